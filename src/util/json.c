/* json.c - see json.h. Jansson refuses what is not UTF-8; such bytes go out as base64 under another key, so that a
 * program can tell. */
#include "util/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ranq_json {
	json_t *root; /* NULL after a failed allocation */
	bool failed;
};

struct ranq_json *ranq_json_object(const char *schema)
{
	struct ranq_json *json = calloc(1, sizeof *json);
	if (!json)
		return NULL;
	json->root = json_object();
	json->failed = !json->root;
	if (schema)
		ranq_json_str(json, "schema", schema);
	return json;
}

void ranq_json_destroy(struct ranq_json *json)
{
	if (!json)
		return;
	json_decref(json->root);
	free(json);
}

static void put(struct ranq_json *json, const char *key, json_t *value)
{
	if (!json) {
		json_decref(value);
		return;
	}
	if (!value || json_object_set_new(json->root, key, value))
		json->failed = true;
}

static size_t utf8_length(const unsigned char *p, size_t left)
{
	static const struct {
		unsigned char mask, lead;
		size_t len;
		uint32_t min;
	} kinds[] = {
		{0x80, 0x00, 1, 0},
		{0xe0, 0xc0, 2, 0x80},
		{0xf0, 0xe0, 3, 0x800},
		{0xf8, 0xf0, 4, 0x10000},
	};
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		if ((p[0] & kinds[k].mask) != kinds[k].lead)
			continue;
		if (kinds[k].len > left)
			return 0;
		uint32_t code = p[0] & (unsigned char)~kinds[k].mask;
		for (size_t i = 1; i < kinds[k].len; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (p[i] & 0x3f);
		}
		bool surrogate = code >= 0xd800 && code <= 0xdfff;
		return code < kinds[k].min || code > 0x10ffff || surrogate ? 0 : kinds[k].len;
	}
	return 0;
}

bool ranq_utf8_check(const void *data, size_t len)
{
	const unsigned char *p = data;
	while (len) {
		size_t n = utf8_length(p, len);
		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

/* RFC 4648 */
static char *base64(const unsigned char *p, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = malloc((len + 2) / 3 * 4 + 1), *to = text;
	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		uint32_t v =
			(uint32_t)p[i] << 16 | (have > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (have > 2 ? p[i + 2] : 0);
		*to++ = digits[v >> 18];
		*to++ = digits[v >> 12 & 63];
		*to++ = have > 1 ? digits[v >> 6 & 63] : '=';
		*to++ = have > 2 ? digits[v & 63] : '=';
	}
	*to = 0;
	return text;
}

void ranq_json_bytes(struct ranq_json *json, const char *key, const void *data, size_t len)
{
	if (!len)
		data = "";
	if (ranq_utf8_check(data, len)) {
		put(json, key, json_stringn(data, len));
		return;
	}
	char name[128];
	snprintf(name, sizeof name, "%s_base64", key);
	char *text = base64(data, len);
	put(json, name, text ? json_string(text) : NULL);
	free(text);
}

void ranq_json_str(struct ranq_json *json, const char *key, const char *text)
{
	if (text)
		ranq_json_bytes(json, key, text, strlen(text));
	else
		put(json, key, json_null());
}

void ranq_json_int(struct ranq_json *json, const char *key, int64_t value)
{
	put(json, key, json_integer(value));
}

void ranq_json_uint(struct ranq_json *json, const char *key, uint64_t value)
{
	put(json, key, value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value));
}

void ranq_json_real(struct ranq_json *json, const char *key, double value)
{
	put(json, key, isfinite(value) ? json_real(value) : json_null());
}

void ranq_json_bool(struct ranq_json *json, const char *key, bool value)
{
	put(json, key, json_boolean(value));
}

/* The array under key, made when missing. */
static json_t *array_at(struct ranq_json *json, const char *key)
{
	json_t *array = json_object_get(json->root, key);
	if (!array) {
		put(json, key, json_array());
		array = json_object_get(json->root, key);
	}
	return array;
}

void ranq_json_append(struct ranq_json *json, const char *key, struct ranq_json *item)
{
	if (json) {
		json_t *array = array_at(json, key);
		if (item && (item->failed || json_array_append(array, item->root)))
			json->failed = true;
	}
	ranq_json_destroy(item);
}

void ranq_json_append_str(struct ranq_json *json, const char *key, const char *text)
{
	if (!json)
		return;
	json_t *value = json_string(text);
	if (!value && text) { /* not UTF-8 */
		char *coded = base64((const unsigned char *)text, strlen(text));
		value = coded ? json_string(coded) : NULL;
		free(coded);
	}
	if (json_array_append_new(array_at(json, key), value))
		json->failed = true;
}

void ranq_json_member(struct ranq_json *json, const char *key, struct ranq_json *item)
{
	if (json) {
		if (!item || item->failed)
			json->failed = true;
		else
			put(json, key, json_incref(item->root));
	}
	ranq_json_destroy(item);
}

int ranq_json_print(struct ranq_json *json, FILE *out, struct ranq_err *err)
{
	int rc = 0;
	if (!json || json->failed)
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "cannot build JSON: out of memory");
	else if (json_dumpf(json->root, out, JSON_COMPACT | JSON_PRESERVE_ORDER) || putc('\n', out) == EOF)
		rc = ranq_err_sys(err, "cannot write JSON");
	ranq_json_destroy(json);
	return rc;
}

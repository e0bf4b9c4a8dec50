/* The job record. One table of fields drives packing, unpacking and clearing; the order of the table is the order of
 * the keys.
 *
 * Canonical means: there is one sequence of bytes for a job. Unpack enforces it by packing again what it read and
 * comparing, so unknown, repeated, reordered and superfluous keys, long forms of numbers and bytes behind the end are
 * all refused in one place. */
#include "record/spec.h"

#include <limits.h>
#include <msgpack.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "record/colsep.h"

#define DEPTH_MAX 4 /* map, lists, one list, its values */

enum kind { UUID, TEXT, STRINGS, LISTS, ENUM, BOOL, U32, U64, I32, I64, BYTES };
struct field {
	const char *key;
	enum kind kind;
	size_t at;
};
#define F(key, kind) {#key, kind, offsetof(struct ranq_spec, key)}
static const struct field fields[] = {
	F(uuid, UUID), F(name, TEXT), F(owner, TEXT), F(body, ENUM), F(argv, STRINGS), F(shell, BOOL),
	F(append, BOOL), F(function, TEXT), F(module_hash, TEXT), F(module_path, TEXT), F(args, ENUM),
	F(range_first, I64), F(range_step, I64), F(lists, LISTS), F(colsep, TEXT), F(data_hash, TEXT),
	F(data_bytes, U64), F(env, STRINGS), F(cwd, TEXT), F(stdin_path, TEXT), F(results, ENUM),
	F(on_error, ENUM), F(max_output, U64), F(memory, U64), F(backlog, U64), F(chunk, U64),
	F(seed, U64), F(has_seed, BOOL), F(retries, U32), F(max_deaths, U32), F(max_fails, U32),
	F(priority, I32), F(timeout_ms, U64), F(time_request_ms, U64), F(warn_signal, TEXT), F(grace_ms, U64),
	F(reduce, TEXT), F(reduce_ordered, BOOL), F(require, TEXT), F(sticky, BOOL), F(offload, TEXT), F(ttl_ms, U64), F(created_ms, I64),
	F(expires_ms, I64), F(signature, BYTES),
};
#undef F
#define FIELDS (sizeof fields / sizeof fields[0])
_Static_assert(sizeof(enum ranq_body_kind) == sizeof(int) && sizeof(enum ranq_args_kind) == sizeof(int) &&
		sizeof(enum ranq_results_mode) == sizeof(int) && sizeof(enum ranq_on_error) == sizeof(int),
	"the table reads enums as int");

static void *member(struct ranq_spec *spec, const struct field *f)
{
	return (char *)spec + f->at;
}

static const void *member_const(const struct ranq_spec *spec, const struct field *f)
{
	return (const char *)spec + f->at;
}

void ranq_spec_init(struct ranq_spec *spec)
{
	*spec = (struct ranq_spec){
		.range_step = 1,
		.max_output = (uint64_t)16 << 20,
		.backlog = 256000000,
		.max_deaths = 5,
		.max_fails = 10000,
		.ttl_ms = (uint64_t)7 * 24 * 3600 * 1000,
	};
	ranq_buf_init(&spec->signature, 0);
}

static void clear_lists(struct ranq_spec *spec)
{
	size_t i;

	for (i = 0; i < spec->nlists; i++)
		ranq_strings_clear(&spec->lists[i].values);
	free(spec->lists);
}

void ranq_spec_clear(struct ranq_spec *spec)
{
	size_t i;

	for (i = 0; i < FIELDS; i++) {
		void *m = member(spec, &fields[i]);

		if (fields[i].kind == TEXT)
			free(*(char **)m);
		else if (fields[i].kind == STRINGS)
			ranq_strings_clear(m);
		else if (fields[i].kind == LISTS)
			clear_lists(spec);
		else if (fields[i].kind == BYTES)
			ranq_buf_clear(m);
	}
	ranq_colsep_destroy(spec->compiled);
	ranq_spec_init(spec);
}

int ranq_spec_prepare(struct ranq_spec *spec, struct ranq_err *err)
{
	if (!spec->colsep || spec->compiled)
		return 0;
	spec->compiled = ranq_colsep_create(spec->colsep, err);
	return spec->compiled ? 0 : -1;
}

/* ---- pack ------------------------------------------------------------------------------------------------ */

static int write_to_buf(void *data, const char *bytes, size_t n)
{
	struct ranq_buf *out = data;

	ranq_buf_add(out, bytes, n);
	return ranq_buf_failed(out) ? -1 : 0;
}

/* Above what msgpack can count, the buffer's limit has been passed long before. */
static void pack_text(msgpack_packer *pk, const char *text)
{
	size_t n = strlen(text);

	msgpack_pack_str(pk, n);
	msgpack_pack_str_body(pk, text, n);
}

static void pack_strings(msgpack_packer *pk, const struct ranq_strings *list)
{
	size_t i;

	msgpack_pack_array(pk, list->n);
	for (i = 0; i < list->n; i++)
		pack_text(pk, list->at[i]);
}

/* A list is [linked, [value, ...]]. */
static void pack_lists(msgpack_packer *pk, const struct ranq_spec *spec)
{
	size_t i;

	msgpack_pack_array(pk, spec->nlists);
	for (i = 0; i < spec->nlists; i++) {
		msgpack_pack_array(pk, 2);
		if (spec->lists[i].linked)
			msgpack_pack_true(pk);
		else
			msgpack_pack_false(pk);
		pack_strings(pk, &spec->lists[i].values);
	}
}

static void pack_bytes(msgpack_packer *pk, const void *data, size_t n)
{
	msgpack_pack_bin(pk, n);
	msgpack_pack_bin_body(pk, data, n);
}

static void pack_field(msgpack_packer *pk, const struct ranq_spec *spec, const struct field *f)
{
	const void *m = member_const(spec, f);

	pack_text(pk, f->key);
	switch (f->kind) {
	case UUID: pack_bytes(pk, m, sizeof spec->uuid); break;
	case TEXT: pack_text(pk, *(char *const *)m); break;
	case STRINGS: pack_strings(pk, m); break;
	case LISTS: pack_lists(pk, spec); break;
	case ENUM: msgpack_pack_int(pk, *(const int *)m); break;
	case BOOL: msgpack_pack_true(pk); break; /* the default is false */
	case U32: msgpack_pack_uint32(pk, *(const uint32_t *)m); break;
	case U64: msgpack_pack_uint64(pk, *(const uint64_t *)m); break;
	case I32: msgpack_pack_int32(pk, *(const int32_t *)m); break;
	case I64: msgpack_pack_int64(pk, *(const int64_t *)m); break;
	case BYTES: pack_bytes(pk, spec->signature.data, spec->signature.len); break;
	}
}

static bool is_default(const struct ranq_spec *spec, const struct ranq_spec *defaults, const struct field *f)
{
	const void *m = member_const(spec, f), *d = member_const(defaults, f);

	switch (f->kind) {
	case UUID: return memcmp(m, d, sizeof spec->uuid) == 0;
	case TEXT: return !*(char *const *)m;
	case STRINGS: return !((const struct ranq_strings *)m)->n;
	case LISTS: return !spec->nlists;
	case ENUM: return *(const int *)m == *(const int *)d;
	case BOOL: return *(const bool *)m == *(const bool *)d;
	case U32: return *(const uint32_t *)m == *(const uint32_t *)d;
	case I32: return *(const int32_t *)m == *(const int32_t *)d;
	case U64: return *(const uint64_t *)m == *(const uint64_t *)d;
	case I64: return *(const int64_t *)m == *(const int64_t *)d;
	case BYTES: return !spec->signature.len;
	}
	return true;
}

static void pack_fields(const struct ranq_spec *spec, struct ranq_buf *out)
{
	struct ranq_spec defaults;
	bool absent[FIELDS];
	msgpack_packer pk;
	size_t i, n = 1;

	ranq_spec_init(&defaults);
	for (i = 0; i < FIELDS; i++) {
		absent[i] = is_default(spec, &defaults, &fields[i]);
		n += !absent[i];
	}
	msgpack_packer_init(&pk, out, write_to_buf);
	msgpack_pack_map(&pk, n);
	pack_text(&pk, "version");
	msgpack_pack_int(&pk, RANQ_SPEC_VERSION);
	for (i = 0; i < FIELDS; i++)
		if (!absent[i])
			pack_field(&pk, spec, &fields[i]);
}

static int out_of_memory(struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a job record");
}

int ranq_spec_pack(const struct ranq_spec *spec, struct ranq_buf *out, struct ranq_err *err)
{
	struct ranq_buf packed;
	int status = -1;

	if (ranq_spec_check(spec, err) < 0)
		return -1;
	ranq_buf_init(&packed, RANQ_SPEC_MAX_BYTES);
	pack_fields(spec, &packed);
	if (ranq_buf_failed(&packed)) {
		ranq_err_set(err, RANQ_ERR_INPUT,
			"command, values and environment of a job are more than %u MiB: pass the values by --arg-file",
			RANQ_SPEC_MAX_BYTES >> 20);
	} else {
		ranq_buf_add(out, packed.data, packed.len);
		status = ranq_buf_failed(out) ? out_of_memory(err) : 0;
	}
	ranq_buf_clear(&packed);
	return status;
}

/* ---- unpack ---------------------------------------------------------------------------------------------- */

/* key may be "" */
static int malformed(struct ranq_err *err, const char *what, const char *key)
{
	return ranq_err_set(err, RANQ_ERR_REPLY, "the job record is malformed: %s%s%s%s", what, *key ? " '" : "", key,
		*key ? "'" : "");
}

/* How many bytes big-endian number `n` at r takes; 0 and failed when cut off. */
static uint64_t big_endian(struct ranq_reader *r, unsigned n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | ranq_reader_byte(r);
	return value;
}

/* Steps over the head of one object: bytes of its payload, objects inside it. False: a type that no job record has. */
static bool read_head(struct ranq_reader *r, uint64_t *bytes, uint64_t *objects)
{
	unsigned char tag = ranq_reader_byte(r);

	*bytes = *objects = 0;
	if (tag <= 0x7f || tag >= 0xe0 || tag == 0xc2 || tag == 0xc3)
		return !r->failed;
	if (tag <= 0x8f)
		*objects = 2 * (uint64_t)(tag & 0x0f);
	else if (tag <= 0x9f)
		*objects = tag & 0x0f;
	else if (tag <= 0xbf)
		*bytes = tag & 0x1f;
	else if (tag >= 0xc4 && tag <= 0xc6)
		*bytes = big_endian(r, 1u << (tag - 0xc4));
	else if (tag >= 0xcc && tag <= 0xcf)
		*bytes = (uint64_t)1 << (tag - 0xcc);
	else if (tag >= 0xd0 && tag <= 0xd3)
		*bytes = (uint64_t)1 << (tag - 0xd0);
	else if (tag >= 0xd9 && tag <= 0xdb)
		*bytes = big_endian(r, 1u << (tag - 0xd9));
	else if (tag == 0xdc || tag == 0xdd)
		*objects = big_endian(r, tag == 0xdc ? 2 : 4);
	else if (tag == 0xde || tag == 0xdf)
		*objects = 2 * big_endian(r, tag == 0xde ? 2 : 4);
	else
		return false;
	return !r->failed;
}

/* msgpack-c allocates what a head announces before it looks whether the bytes are there: 5 bytes can ask for 100 GB.
 * So counts are compared with the bytes left before the library sees them, and depth and types are limited. */
static bool is_sane(const void *data, size_t len)
{
	uint64_t left[DEPTH_MAX + 1] = {1}, bytes, objects;
	struct ranq_reader r;
	unsigned depth = 0;

	ranq_reader_init(&r, data, len);
	for (;;) {
		while (!left[depth]) {
			if (!depth--)
				return !ranq_reader_left(&r);
		}
		left[depth]--;
		if (!read_head(&r, &bytes, &objects) || bytes > ranq_reader_left(&r) || objects > ranq_reader_left(&r))
			return false;
		r.pos += (size_t)bytes;
		if (objects) {
			if (++depth > DEPTH_MAX)
				return false;
			left[depth] = objects;
		}
	}
}

static int read_strings(const msgpack_object *o, struct ranq_strings *list)
{
	uint32_t i;

	if (o->type != MSGPACK_OBJECT_ARRAY)
		return -1;
	for (i = 0; i < o->via.array.size; i++) {
		const msgpack_object *s = &o->via.array.ptr[i];

		if (s->type != MSGPACK_OBJECT_STR || ranq_strings_add(list, s->via.str.ptr, s->via.str.size) < 0)
			return -1;
	}
	return 0;
}

static int read_lists(const msgpack_object *o, struct ranq_spec *spec)
{
	uint32_t i;

	if (o->type != MSGPACK_OBJECT_ARRAY || spec->lists || !o->via.array.size ||
		o->via.array.size > RANQ_SPEC_MAX_LISTS)
		return -1;
	spec->lists = calloc(o->via.array.size, sizeof *spec->lists);
	if (!spec->lists)
		return -1;
	for (i = 0; i < o->via.array.size; i++) {
		const msgpack_object *l = &o->via.array.ptr[i];
		const msgpack_object *item = l->type == MSGPACK_OBJECT_ARRAY ? l->via.array.ptr : NULL;

		if (!item || l->via.array.size != 2 || item[0].type != MSGPACK_OBJECT_BOOLEAN)
			return -1;
		spec->lists[i].linked = item[0].via.boolean;
		spec->nlists++;
		if (read_strings(&item[1], &spec->lists[i].values) < 0)
			return -1;
	}
	return 0;
}

static int read_text(const msgpack_object *o, char **text)
{
	if (o->type != MSGPACK_OBJECT_STR || *text ||
		(o->via.str.size && memchr(o->via.str.ptr, '\0', o->via.str.size)))
		return -1;
	*text = strndup(o->via.str.size ? o->via.str.ptr : "", o->via.str.size);
	return *text ? 0 : -1;
}

static int read_bytes(const msgpack_object *o, const void **data, size_t *n)
{
	if (o->type != MSGPACK_OBJECT_BIN)
		return -1;
	*data = o->via.bin.ptr;
	*n = o->via.bin.size;
	return 0;
}

static int read_unsigned(const msgpack_object *o, uint64_t max, uint64_t *value)
{
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > max)
		return -1;
	*value = o->via.u64;
	return 0;
}

static int read_signed(const msgpack_object *o, int64_t min, int64_t max, int64_t *value)
{
	if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		*value = o->via.i64;
	else if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX)
		*value = (int64_t)o->via.u64;
	else
		return -1;
	return *value < min || *value > max ? -1 : 0;
}

static int read_blob(const msgpack_object *o, struct ranq_spec *spec, const struct field *f)
{
	const void *data;
	size_t n;

	if (read_bytes(o, &data, &n) < 0)
		return -1;
	if (f->kind == UUID) {
		if (n != sizeof spec->uuid)
			return -1;
		memcpy(spec->uuid, data, n);
		return 0;
	}
	ranq_buf_reset(&spec->signature);
	ranq_buf_add(&spec->signature, data, n);
	return ranq_buf_failed(&spec->signature) ? -1 : 0;
}

static int read_number(const msgpack_object *o, enum kind kind, void *m)
{
	uint64_t u = 0;
	int64_t i = 0;

	switch (kind) {
	case ENUM:
		if (read_signed(o, 0, INT_MAX, &i) < 0)
			return -1;
		*(int *)m = (int)i;
		return 0;
	case BOOL:
		if (o->type != MSGPACK_OBJECT_BOOLEAN)
			return -1;
		*(bool *)m = o->via.boolean;
		return 0;
	case U32:
		if (read_unsigned(o, UINT32_MAX, &u) < 0)
			return -1;
		*(uint32_t *)m = (uint32_t)u;
		return 0;
	case I32:
		if (read_signed(o, INT32_MIN, INT32_MAX, &i) < 0)
			return -1;
		*(int32_t *)m = (int32_t)i;
		return 0;
	case U64: return read_unsigned(o, UINT64_MAX, m);
	case I64: return read_signed(o, INT64_MIN, INT64_MAX, m);
	default: return -1;
	}
}

static int read_field(const msgpack_object *o, struct ranq_spec *spec, const struct field *f)
{
	switch (f->kind) {
	case TEXT: return read_text(o, member(spec, f));
	case STRINGS: return ((struct ranq_strings *)member(spec, f))->n ? -1 : read_strings(o, member(spec, f));
	case LISTS: return read_lists(o, spec);
	case UUID:
	case BYTES: return read_blob(o, spec, f);
	default: return read_number(o, f->kind, member(spec, f));
	}
}

static bool is_key(const msgpack_object *o, const char *key)
{
	return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(key) &&
		!memcmp(o->via.str.ptr, key, o->via.str.size);
}

static const struct field *find_field(const msgpack_object *key)
{
	size_t i;

	for (i = 0; i < FIELDS; i++)
		if (is_key(key, fields[i].key))
			return &fields[i];
	return NULL;
}

static int read_map(const msgpack_object *o, struct ranq_spec *spec, struct ranq_err *err)
{
	const msgpack_object_kv *kv;
	uint32_t i;

	if (o->type != MSGPACK_OBJECT_MAP || !o->via.map.size)
		return malformed(err, "not a map", "");
	kv = o->via.map.ptr;
	if (!is_key(&kv[0].key, "version") || kv[0].val.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return malformed(err, "does not begin with", "version");
	if (kv[0].val.via.u64 != RANQ_SPEC_VERSION)
		return ranq_err_set(err, RANQ_ERR_SCHEMA, "the job record has version %llu; this ranq reads version %d",
			(unsigned long long)kv[0].val.via.u64, RANQ_SPEC_VERSION);
	for (i = 1; i < o->via.map.size; i++) {
		const struct field *f = find_field(&kv[i].key);

		if (!f)
			return malformed(err, "unknown key after", i > 1 ? find_field(&kv[i - 1].key)->key : "version");
		if (read_field(&kv[i].val, spec, f) < 0)
			return malformed(err, "bad value of", f->key);
	}
	return 0;
}

static int check_canonical(const void *data, size_t len, const struct ranq_spec *spec, struct ranq_err *err)
{
	struct ranq_buf again;
	int status;

	ranq_buf_init(&again, RANQ_SPEC_MAX_BYTES);
	pack_fields(spec, &again);
	status = ranq_buf_failed(&again) || again.len != len || memcmp(again.data, data, len) != 0 ? -1 : 0;
	ranq_buf_clear(&again);
	return status < 0 ? malformed(err, "not in canonical form", "") : 0;
}

int ranq_spec_unpack(const void *data, size_t len, struct ranq_spec *spec, struct ranq_err *err)
{
	msgpack_unpack_return how;
	msgpack_unpacked result;
	size_t used = 0;
	int status = -1;

	ranq_spec_init(spec);
	if (len > RANQ_SPEC_MAX_BYTES || !is_sane(data, len))
		return malformed(err, "cut off or impossible", "");
	msgpack_unpacked_init(&result);
	how = msgpack_unpack_next(&result, data, len, &used);
	if (how == MSGPACK_UNPACK_NOMEM_ERROR)
		out_of_memory(err);
	else if (how != MSGPACK_UNPACK_SUCCESS || used != len)
		malformed(err, "not msgpack", "");
	else if (read_map(&result.data, spec, err) == 0 && check_canonical(data, len, spec, err) == 0)
		status = ranq_spec_check_fields(spec, false, err);
	msgpack_unpacked_destroy(&result);
	if (status < 0)
		ranq_spec_clear(spec);
	return status;
}

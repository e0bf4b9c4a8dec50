/* template.c - see template.h. */
#include "scale/template.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Length of a name behind an at sign that another at sign ends; 0: none, as in "user@host". */
static size_t name_length(const char *at)
{
	size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
	return at[n] == '@' ? n : 0;
}

static unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;
	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

static int refuse(
	const char *text, const char *at, size_t n, const struct ranq_template_value *values, struct ranq_err *err)
{
	struct ranq_buf known;
	ranq_buf_init(&known, 4096);
	for (; values->name; values++)
		ranq_buf_printf(&known, " @%s@", values->name);
	ranq_err_set(err, RANQ_ERR_INPUT, "line %u of the template: there is no variable '@%.*s@'; there are%s",
		line_of(text, at), (int)(n < 40 ? n : 40), at, ranq_buf_cstr(&known));
	ranq_buf_clear(&known);
	return -1;
}

int ranq_template_fill(
	const char *text, const struct ranq_template_value *values, struct ranq_buf *out, struct ranq_err *err)
{
	const char *start = text;
	for (; *text; text++) {
		size_t n = *text == '@' ? name_length(text + 1) : 0;
		if (*text == '@' && text[1] == '@') {
			ranq_buf_add_byte(out, '@');
			text++;
			continue;
		}
		if (n == 0) {
			ranq_buf_add_byte(out, (unsigned char)*text);
			continue;
		}
		const struct ranq_template_value *value = values;
		while (value->name && (strlen(value->name) != n || memcmp(value->name, text + 1, n) != 0))
			value++;
		if (!value->name)
			return refuse(start, text + 1, n, values, err);
		ranq_buf_add_str(out, value->value);
		text += n + 1;
	}
	if (ranq_buf_failed(out))
		return ranq_err_set(err, RANQ_ERR_INPUT, "the job script is too long");
	return 0;
}

void ranq_template_quote(struct ranq_buf *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%^";
	if (*word && strspn(word, plain) == strlen(word)) {
		ranq_buf_add_str(out, word);
		return;
	}
	ranq_buf_add_byte(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			ranq_buf_add_str(out, "'\\''");
		else
			ranq_buf_add_byte(out, (unsigned char)*word);
	}
	ranq_buf_add_byte(out, '\'');
}

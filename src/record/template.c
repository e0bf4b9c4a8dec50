/* Replacement strings, as GNU parallel reads them:
 *   {}  {.} without extension  {/} basename  {//} directory  {/.} basename without extension
 *   {N} {N.} {N/} {N//} {N/.} the same of column N (1-based; empty when there is no such column)
 *   {#} sequence number  {seed} number drawn from the task's random stream
 * Anything else in braces stays as it is. A form without N applies to each column; the results are joined by a blank.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "record/input.h"

enum form { PLAIN, NO_EXTENSION, BASENAME, DIRECTORY, BASENAME_NO_EXTENSION };
struct token {
	enum { COLUMN, SEQUENCE, SEED } what;
	enum form form;
	uint64_t column; /* 0: all */
	size_t len;
};

/* What one expansion needs. */
struct expansion {
	const struct ranq_arg *arg;
	uint64_t index, seed;
	bool quote;
	struct ranq_buf *out;
};

static bool take(const char **at, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*at, text, n) != 0)
		return false;
	*at += n;
	return true;
}

/* Reads the replacement string that begins at text (a '{'); false when it is none. */
static bool read_token(const char *text, struct token *token)
{
	const char *at = text + 1;

	*token = (struct token){0};
	if (take(&at, "#}")) {
		token->what = SEQUENCE;
	} else if (take(&at, "seed}")) {
		token->what = SEED;
	} else {
		if (*at == '0')
			return false;
		for (; isdigit((unsigned char)*at); at++)
			if (__builtin_mul_overflow(token->column, 10, &token->column) ||
				__builtin_add_overflow(token->column, (uint64_t)(*at - '0'), &token->column))
				return false;
		if (take(&at, "}"))
			token->form = PLAIN;
		else if (take(&at, ".}"))
			token->form = NO_EXTENSION;
		else if (take(&at, "//}"))
			token->form = DIRECTORY;
		else if (take(&at, "/.}"))
			token->form = BASENAME_NO_EXTENSION;
		else if (take(&at, "/}"))
			token->form = BASENAME;
		else
			return false;
	}
	token->len = (size_t)(at - text);
	return true;
}

bool ranq_template_has_replacement(const struct ranq_strings *argv)
{
	struct token token;
	const char *at;
	size_t i;

	for (i = 0; i < argv->n; i++)
		for (at = argv->at[i]; (at = strchr(at, '{')); at++)
			if (read_token(at, &token))
				return true;
	return false;
}

/* As dirname(1): "." without a slash, slashes at the end of the directory dropped, "/" when nothing else is left. */
static struct ranq_bytes directory(const char *text, size_t len)
{
	while (len > 1 && text[len - 1] == '/')
		len--;
	while (len && text[len - 1] != '/')
		len--;
	if (!len)
		return (struct ranq_bytes){".", 1};
	while (len > 1 && text[len - 1] == '/')
		len--;
	return (struct ranq_bytes){text, len};
}

static struct ranq_bytes apply_form(const char *text, enum form form)
{
	size_t len = strlen(text), n;

	if (form == DIRECTORY)
		return directory(text, len);
	if (form == BASENAME || form == BASENAME_NO_EXTENSION) {
		const char *slash = strrchr(text, '/');

		if (slash) {
			len -= (size_t)(slash + 1 - text);
			text = slash + 1;
		}
	}
	if (form == NO_EXTENSION || form == BASENAME_NO_EXTENSION) {
		for (n = len; n && text[n - 1] != '/' && text[n - 1] != '.'; n--)
			;
		if (n && text[n - 1] == '.')
			len = n - 1;
	}
	return (struct ranq_bytes){text, len};
}

static bool needs_quotes(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !memchr("@%+=:,./-_", text[i], 10))
			return true;
	return !len;
}

/* Plain words stay plain, so that "{}" inside double quotes works for them as it does in GNU parallel. */
static void add_value(const struct expansion *e, struct ranq_bytes value)
{
	const char *text = value.data;
	size_t i;

	if (!e->quote || !needs_quotes(text, value.len)) {
		ranq_buf_add(e->out, text, value.len);
		return;
	}
	ranq_buf_add_byte(e->out, '\'');
	for (i = 0; i < value.len; i++) {
		if (text[i] == '\'')
			ranq_buf_add_str(e->out, "'\\''");
		else
			ranq_buf_add_byte(e->out, (unsigned char)text[i]);
	}
	ranq_buf_add_byte(e->out, '\'');
}

static void add_all(const struct expansion *e, enum form form)
{
	size_t i;

	for (i = 0; i < e->arg->columns.n; i++) {
		if (i)
			ranq_buf_add_byte(e->out, ' ');
		add_value(e, apply_form(e->arg->columns.at[i], form));
	}
}

static void add_token(const struct expansion *e, const struct token *token)
{
	if (token->what == SEQUENCE)
		ranq_buf_printf(e->out, "%" PRIu64, e->index + 1);
	else if (token->what == SEED)
		ranq_buf_printf(e->out, "%" PRIu64, e->seed);
	else if (!token->column)
		add_all(e, token->form);
	else if (token->column <= e->arg->columns.n)
		add_value(e, apply_form(e->arg->columns.at[token->column - 1], token->form));
}

static void expand_word(const struct expansion *e, const char *word)
{
	const char *from = word, *at = word;
	struct token token;

	while ((at = strchr(at, '{'))) {
		if (!read_token(at, &token)) {
			at++;
			continue;
		}
		ranq_buf_add(e->out, from, (size_t)(at - from));
		add_token(e, &token);
		from = at += token.len;
	}
	ranq_buf_add_str(e->out, from);
}

static int out_of_memory(struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a command");
}

static int add_words(
	const struct ranq_spec *spec, const struct expansion *e, struct ranq_strings *argv, struct ranq_err *err)
{
	size_t i;

	for (i = 0; i < spec->argv.n; i++) {
		ranq_buf_reset(e->out);
		expand_word(e, spec->argv.at[i]);
		if (spec->append && spec->shell) {
			ranq_buf_add_byte(e->out, ' ');
			add_all(e, PLAIN);
		}
		if (ranq_buf_failed(e->out))
			return ranq_err_set(err, RANQ_ERR_INPUT,
				"a word of the command is longer than %u bytes with its argument", RANQ_SPEC_MAX_BYTES);
		if (ranq_strings_add(argv, (const char *)e->out->data, e->out->len) < 0)
			return out_of_memory(err);
	}
	return 0;
}

/* As parallel does: each column is a word of its own. */
static int append_columns(const struct ranq_strings *columns, struct ranq_strings *argv, struct ranq_err *err)
{
	size_t i;

	for (i = 0; i < columns->n; i++)
		if (ranq_strings_add(argv, columns->at[i], strlen(columns->at[i])) < 0)
			return out_of_memory(err);
	return 0;
}

int ranq_template_expand(const struct ranq_spec *spec, const struct ranq_arg *arg, uint64_t index, uint64_t seed,
	struct ranq_strings *argv, struct ranq_err *err)
{
	struct ranq_buf word;
	struct expansion e = {.arg = arg, .index = index, .seed = seed, .quote = spec->shell, .out = &word};
	int status;

	*argv = (struct ranq_strings){0};
	ranq_buf_init(&word, RANQ_SPEC_MAX_BYTES);
	status = add_words(spec, &e, argv, err);
	if (!status && spec->append && !spec->shell)
		status = append_columns(&arg->columns, argv, err);
	ranq_buf_clear(&word);
	if (status < 0)
		ranq_strings_clear(argv);
	return status;
}

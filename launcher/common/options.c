/* options.c - see options.h. */
#include "common/options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/nearest.h"

#define CALLED "%s%s"
#define CALLED_BY(command) (command)->program ? "" : "ranq ", (command)->program ? (command)->program : (command)->name

#define WORD_MAX 64 /* longer ones are cut in messages */
#define HELP_COLUMN 30

void ranq_words_clear(struct ranq_words *words)
{
	free(words->at);
	words->at = NULL;
	words->n = 0;
}

/* ---- looking up ------------------------------------------------------------------------------------------------ */
static const struct ranq_option *find(
	const struct ranq_command *command, const char *name, size_t len, char letter, size_t *base)
{
	for (const struct ranq_option_group *group = command->groups; group && group->title; group++)
		for (const struct ranq_option *option = group->options; option->name; option++) {
			bool same = letter ? option->letter == letter
					   : strlen(option->name) == len && memcmp(option->name, name, len) == 0;
			*base = group->base;
			if (same)
				return option;
		}
	return NULL;
}

static int unknown(const struct ranq_command *command, const char *name, size_t len, struct ranq_err *err)
{
	const char *names[256];
	size_t n = 0;
	char word[WORD_MAX + 1];
	snprintf(word, sizeof word, "%.*s", (int)(len < WORD_MAX ? len : WORD_MAX), name);
	for (const struct ranq_option_group *group = command->groups; group && group->title; group++)
		for (const struct ranq_option *option = group->options;
			option->name && n < sizeof names / sizeof *names; option++)
			names[n++] = option->name;
	const char *near = ranq_nearest(word, names, n);
	if (near)
		return ranq_err_set(err, RANQ_ERR_USAGE, "unknown option '--%s'; did you mean '--%s'?", word, near);
	return ranq_err_set(err, RANQ_ERR_USAGE, "unknown option '--%s'; see '" CALLED " --help'", word,
		CALLED_BY(command));
}

/* ---- values ---------------------------------------------------------------------------------------------------- */
static int bad_value(const struct ranq_option *option, const char *value, const char *expected, struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_USAGE, "option '--%s': '%.100s' is not %s", option->name, value, expected);
}

static int parse_uint(const char *text, uint64_t *value)
{
	uint64_t n = 0;
	if (!*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
			return -1;
	}
	*value = n;
	return 0;
}

static int set_uint(const struct ranq_option *option, const char *value, uint64_t *to, struct ranq_err *err)
{
	uint64_t n;
	if (parse_uint(value, &n))
		return bad_value(option, value, "a whole number", err);
	if (n < option->min)
		return ranq_err_set(err, RANQ_ERR_USAGE, "option '--%s': %s is less than %llu", option->name, value,
			(unsigned long long)option->min);
	if (option->max && n > option->max)
		return ranq_err_set(err, RANQ_ERR_USAGE, "option '--%s': %s is more than %llu", option->name, value,
			(unsigned long long)option->max);
	*to = n;
	return 0;
}

static int set_int(const struct ranq_option *option, const char *value, int64_t *to, struct ranq_err *err)
{
	uint64_t n, limit = option->max ? option->max : INT64_MAX;
	bool negative = value[0] == '-';
	if (parse_uint(value + (negative || value[0] == '+'), &n) || n > limit)
		return bad_value(option, value, "a whole number in range", err);
	*to = negative ? -(int64_t)n : (int64_t)n;
	return 0;
}

static int set_duration(const struct ranq_option *option, const char *value, int64_t *to, struct ranq_err *err)
{
	int64_t ms;
	if (ranq_duration_parse(value, &ms, err))
		return ranq_err_set(err, RANQ_ERR_USAGE,
			"option '--%s': '%.100s' is not a duration; write 90, 90s, 5m, 2h or 1-12:00:00", option->name,
			value);
	if (ms < (int64_t)option->min) {
		char least[32];
		return ranq_err_set(err, RANQ_ERR_USAGE, "option '--%s': '%.100s' is less than %s", option->name, value,
			ranq_duration_format((int64_t)option->min, least));
	}
	*to = ms;
	return 0;
}

static int set_size(const struct ranq_option *option, const char *value, uint64_t *to, struct ranq_err *err)
{
	if (ranq_size_parse(value, to, err))
		return bad_value(option, value, "a size; write 65536, 64k, 64MB or 64MiB", err);
	return 0;
}

static int set_choice(const struct ranq_option *option, const char *value, int *to, struct ranq_err *err)
{
	size_t len = strlen(value);
	int k = 0;
	for (const char *word = option->choices; word; k++) {
		const char *end = strchr(word, '|');
		size_t n = end ? (size_t)(end - word) : strlen(word);
		if (n == len && memcmp(word, value, n) == 0) {
			*to = k;
			return 0;
		}
		word = end ? end + 1 : NULL;
	}
	return ranq_err_set(
		err, RANQ_ERR_USAGE, "option '--%s': '%.100s' is none of %s", option->name, value, option->choices);
}

static int add_word(struct ranq_words *words, const char *value, struct ranq_err *err)
{
	const char **at = realloc(words->at, (words->n + 1) * sizeof *at);
	if (!at)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	words->at = at;
	words->at[words->n++] = value;
	return 0;
}

static int set_optional(
	const struct ranq_option *option, const char *value, struct ranq_optional *to, struct ranq_err *err)
{
	to->given = true;
	return value ? set_uint(option, value, &to->value, err) : 0;
}

static int set(const struct ranq_option *option, size_t base, const char *value, void *into, struct ranq_err *err)
{
	void *field = (char *)into + base + option->offset;
	switch (option->kind) {
	case RANQ_OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case RANQ_OPTION_TEXT:
		*(const char **)field = value;
		return 0;
	case RANQ_OPTION_UINT:
		return set_uint(option, value, field, err);
	case RANQ_OPTION_INT:
		return set_int(option, value, field, err);
	case RANQ_OPTION_DURATION:
		return set_duration(option, value, field, err);
	case RANQ_OPTION_SIZE:
		return set_size(option, value, field, err);
	case RANQ_OPTION_CHOICE:
		return set_choice(option, value, field, err);
	case RANQ_OPTION_WORDS:
		return add_word(field, value, err);
	case RANQ_OPTION_OPTIONAL:
		return set_optional(option, value, field, err);
	}
	return ranq_err_set(err, RANQ_ERR_USAGE, "option '--%s' has no kind", option->name);
}

/* ---- parsing --------------------------------------------------------------------------------------------------- */
struct scan {
	const struct ranq_command *command;
	char **argv;
	int argc, at;
	void *into;
	bool help;
};

static int want_argument(struct scan *scan, const struct ranq_option *option, const char **value, struct ranq_err *err)
{
	if (scan->at + 1 >= scan->argc)
		return ranq_err_set(
			err, RANQ_ERR_USAGE, "option '--%s' needs an argument: %s", option->name, option->argument);
	*value = scan->argv[++scan->at];
	return 0;
}

static int scan_long(struct scan *scan, const char *text, struct ranq_err *err)
{
	const char *equals = strchr(text, '='), *value = equals ? equals + 1 : NULL;
	size_t len = equals ? (size_t)(equals - text) : strlen(text), base;
	if (len == 4 && memcmp(text, "help", 4) == 0) {
		scan->help = true;
		return 0;
	}
	const struct ranq_option *option = find(scan->command, text, len, 0, &base);
	if (!option)
		return unknown(scan->command, text, len, err);
	if (option->kind == RANQ_OPTION_FLAG && value)
		return ranq_err_set(err, RANQ_ERR_USAGE, "option '--%s' takes no argument", option->name);
	if (!value && option->kind != RANQ_OPTION_FLAG && option->kind != RANQ_OPTION_OPTIONAL &&
		want_argument(scan, option, &value, err))
		return -1;
	return set(option, base, value, scan->into, err);
}

static int scan_short(struct scan *scan, const char *letters, struct ranq_err *err)
{
	for (; *letters; letters++) {
		size_t base;
		if (*letters == 'h') {
			scan->help = true;
			continue;
		}
		const struct ranq_option *option = find(scan->command, NULL, 0, *letters, &base);
		if (!option)
			return ranq_err_set(err, RANQ_ERR_USAGE, "unknown option '-%c'; see '" CALLED " --help'", *letters,
				CALLED_BY(scan->command));
		if (option->kind == RANQ_OPTION_FLAG) {
			if (set(option, base, NULL, scan->into, err))
				return -1;
			continue;
		}
		const char *value = letters[1] ? letters + 1 : NULL;
		if (!value && option->kind != RANQ_OPTION_OPTIONAL && want_argument(scan, option, &value, err))
			return -1;
		return set(option, base, value, scan->into, err);
	}
	return 0;
}

static int check_operands(
	const struct ranq_command *command, const struct ranq_operands *operands, struct ranq_err *err)
{
	unsigned n = (unsigned)operands->n;
	if (n < command->min_operands && strchr(command->synopsis, '\n'))
		return ranq_err_set(
			err, RANQ_ERR_USAGE, "something is missing; see '" CALLED " --help'", CALLED_BY(command));
	if (n < command->min_operands)
		return ranq_err_set(err, RANQ_ERR_USAGE, "something is missing; usage: " CALLED " %s",
			CALLED_BY(command), command->synopsis);
	if (n > command->max_operands)
		return ranq_err_set(err, RANQ_ERR_USAGE, "'%.100s' is one operand too many; see '" CALLED " --help'",
			operands->at[command->max_operands], CALLED_BY(command));
	return 0;
}

int ranq_options_parse(const struct ranq_command *command, int argc, char **argv, void *into,
	struct ranq_operands *operands, struct ranq_err *err)
{
	struct scan scan = {command, argv, argc, 1, into, false};
	int kept = 1;
	operands->dashes = false;
	/* operands move to the front of argv, in their order, over what was consumed */
	for (; scan.at < argc; scan.at++) {
		char *word = argv[scan.at];
		bool lists = command->operands_end_options && strncmp(word, ":::", 3) == 0;
		if (strcmp(word, "--") == 0) {
			operands->dashes = true;
			scan.at++;
			break;
		}
		int rc = 0;
		if (strncmp(word, "--", 2) == 0)
			rc = scan_long(&scan, word + 2, err);
		else if (word[0] == '-' && word[1])
			rc = scan_short(&scan, word + 1, err);
		else if (command->operands_end_options || lists)
			break;
		else
			argv[kept++] = word;
		if (rc)
			return -1;
		if (scan.help) {
			ranq_options_help(command, stdout);
			return 1;
		}
	}
	while (scan.at < argc)
		argv[kept++] = argv[scan.at++];
	operands->at = argv + 1;
	operands->n = kept - 1;
	return check_operands(command, operands, err);
}

/* ---- help ------------------------------------------------------------------------------------------------------ */
static void help_option(const struct ranq_option *option, FILE *out)
{
	char left[128];
	int n = option->letter ? snprintf(left, sizeof left, "  -%c, --%s", option->letter, option->name)
			       : snprintf(left, sizeof left, "      --%s", option->name);
	if (option->kind == RANQ_OPTION_OPTIONAL)
		n += snprintf(left + n, sizeof left - (size_t)n, "[=%s]", option->argument);
	else if (option->argument)
		n += snprintf(left + n, sizeof left - (size_t)n, " %s", option->argument);
	if (n < HELP_COLUMN)
		fprintf(out, "%-*s%s\n", HELP_COLUMN, left, option->help);
	else
		fprintf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", option->help);
}

void ranq_options_help(const struct ranq_command *command, FILE *out)
{
	const char *form = command->synopsis;
	const char *lead = "usage:";
	while (form) {
		size_t n = strcspn(form, "\n");
		fprintf(out, "%s " CALLED " %.*s\n", lead, CALLED_BY(command), (int)n, form);
		lead = "      ";
		form = form[n] ? form + n + 1 : NULL;
	}
	fprintf(out, "\n%s\n", command->summary);
	for (const struct ranq_option_group *group = command->groups; group && group->title; group++) {
		fprintf(out, "\n%s:\n", group->title);
		for (const struct ranq_option *option = group->options; option->name; option++)
			help_option(option, out);
	}
	if (command->details)
		fprintf(out, "\n%s\n", command->details);
}

void ranq_options_dump(const struct ranq_command *command, FILE *out)
{
	fprintf(out, "%s\t\t\t\t\t%s\n", command->name, command->summary);
	for (const struct ranq_option_group *group = command->groups; group && group->title; group++)
		for (const struct ranq_option *option = group->options; option->name; option++) {
			char letter[3] = {option->letter ? '-' : 0, option->letter, 0};
			fprintf(out, "%s\t--%s\t%s\t%s\t%s\t%s\n", command->name, option->name, letter,
				option->argument ? option->argument : "", option->choices ? option->choices : "",
				option->help);
		}
}

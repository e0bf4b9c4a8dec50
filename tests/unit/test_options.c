/* test_options.c - option tables: every kind of option, what must be refused, operands, help, neighbours. */
#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/options.h"
#include "util/nearest.h"

struct inner {
	bool json;
	const char *server;
};
struct values {
	bool flag;
	const char *text;
	uint64_t number, bytes;
	int64_t signed_number, ms;
	int choice;
	struct ranq_words words;
	struct ranq_optional local;
	struct inner inner;
};

#define AT(field) offsetof(struct values, field)
static const struct ranq_option outer_options[] = {
	{"flag", 'f', NULL, RANQ_OPTION_FLAG, AT(flag), "a flag", NULL, 0, 0},
	{"text", 't', "TEXT", RANQ_OPTION_TEXT, AT(text), "a text", NULL, 0, 0},
	{"number", 'n', "N", RANQ_OPTION_UINT, AT(number), "a number", NULL, 2, 100},
	{"signed", 0, "N", RANQ_OPTION_INT, AT(signed_number), "a signed number", NULL, 0, 1000},
	{"size", 0, "SIZE", RANQ_OPTION_SIZE, AT(bytes), "a size", NULL, 0, 0},
	{"duration", 0, "D", RANQ_OPTION_DURATION, AT(ms), "a duration", NULL, 3000, 0},
	{"choice", 0, "a|bb", RANQ_OPTION_CHOICE, AT(choice), "a choice", "a|bb", 0, 0},
	{"word", 'w', "W", RANQ_OPTION_WORDS, AT(words), "words", NULL, 0, 0},
	{"local", 0, "N", RANQ_OPTION_OPTIONAL, AT(local), "maybe a number", NULL, 1, 8},
	{0},
};
static const struct ranq_option inner_options[] = {
	{"json", 0, NULL, RANQ_OPTION_FLAG, offsetof(struct inner, json), "print JSON", NULL, 0, 0},
	{"server", 0, "URL", RANQ_OPTION_TEXT, offsetof(struct inner, server), "server", NULL, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", outer_options, 0},
	{"common options", inner_options, AT(inner)},
	{0},
};
static const struct ranq_command mixing = {
	.name = "test",
	.summary = "a test",
	.synopsis = "[OPTION]... [WORD]...",
	.groups = groups,
	.max_operands = 3,
};
static const struct ranq_command leading = {
	.name = "lead",
	.summary = "a test",
	.synopsis = "CMD...",
	.groups = groups,
	.max_operands = UINT_MAX,
	.operands_end_options = true,
};

static char *words[32], *line;

/* Splits "a b 'c'" at blanks; argv[0] is the command. */
static int split(const char *text)
{
	int n = 0;
	free(line);
	line = strdup(text);
	words[n++] = (char *)(uintptr_t) "test";
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		words[n++] = word;
	words[n] = NULL;
	return n;
}

static int parse(const struct ranq_command *command, const char *text, struct values *values,
	struct ranq_operands *operands, struct ranq_err *err)
{
	*values = (struct values){0};
	return ranq_options_parse(command, split(text), words, values, operands, err);
}

START_TEST(kinds)
{
	struct values v;
	struct ranq_operands operands;
	struct ranq_err err = {0};
	ck_assert_int_eq(parse(&mixing,
				 "one -f --text=x=y -n 7 two --signed -5 --size 64k --duration 5m --choice bb -wA "
				 "--word B --local=3 --json "
				 "--server unix:///s -- --three",
				 &v, &operands, &err),
		0);
	ck_assert(v.flag && v.inner.json && v.local.given);
	ck_assert_str_eq(v.text, "x=y");
	ck_assert_str_eq(v.inner.server, "unix:///s");
	ck_assert_uint_eq(v.number, 7);
	ck_assert_int_eq(v.signed_number, -5);
	ck_assert_uint_ge(v.bytes, 64000);
	ck_assert_int_eq(v.ms, 300000);
	ck_assert_int_eq(v.choice, 1);
	ck_assert_uint_eq(v.local.value, 3);
	ck_assert_uint_eq(v.words.n, 2);
	ck_assert_str_eq(v.words.at[1], "B");
	ck_assert_int_eq(operands.n, 3);
	ck_assert_str_eq(operands.at[0], "one");
	ck_assert_str_eq(operands.at[1], "two");
	ck_assert_str_eq(operands.at[2], "--three");
	ranq_words_clear(&v.words);
}
END_TEST

START_TEST(optional_without_value)
{
	struct values v;
	struct ranq_operands operands;
	struct ranq_err err;
	ck_assert_int_eq(parse(&mixing, "--local 5", &v, &operands, &err), 0);
	ck_assert(v.local.given);
	ck_assert_uint_eq(v.local.value, 0);
	ck_assert_int_eq(operands.n, 1);
}
END_TEST

START_TEST(operands_end_options)
{
	struct values v;
	struct ranq_operands operands;
	struct ranq_err err;
	ck_assert_int_eq(parse(&leading, "-f ls -t ::: -n", &v, &operands, &err), 0);
	ck_assert(v.flag && !v.text && !operands.dashes);
	ck_assert_int_eq(operands.n, 4);
	ck_assert_str_eq(operands.at[1], "-t");
	ck_assert_int_eq(parse(&leading, "-- -f", &v, &operands, &err), 0);
	ck_assert(!v.flag && operands.dashes);
	ck_assert_int_eq(operands.n, 1);
	ck_assert_int_eq(parse(&leading, "::: a", &v, &operands, &err), 0);
	ck_assert_int_eq(operands.n, 2);
}
END_TEST

static const struct {
	const char *text, *message;
} refused[] = {
	{"--nosuch", "unknown option '--nosuch'"},
	{"--texts x", "did you mean '--text'"},
	{"-x", "unknown option '-x'"},
	{"-fx", "unknown option '-x'"},
	{"--flag=1", "takes no argument"},
	{"--text", "needs an argument: TEXT"},
	{"-n", "needs an argument: N"},
	{"-n x", "'x' is not a whole number"},
	{"-n -1", "'-1' is not a whole number"},
	{"-n 1", "1 is less than 2"},
	{"-n 101", "101 is more than 100"},
	{"-n 18446744073709551616", "not a whole number"},
	{"--signed 1001", "not a whole number in range"},
	{"--signed --", "not a whole number in range"},
	{"--size 1Q", "not a size"},
	{"--duration never", "not a duration"},
	{"--duration 2s", "less than"},
	{"--choice b", "none of a|bb"},
	{"--choice a|bb", "none of a|bb"},
	{"--local=9", "9 is more than 8"},
	{"--local=", "not a whole number"},
	{"a b c d", "'d' is one operand too many"},
};

START_TEST(refusals)
{
	struct values v;
	struct ranq_operands operands;
	struct ranq_err err = {0};
	ck_assert_int_eq(parse(&mixing, refused[_i].text, &v, &operands, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_USAGE);
	ck_assert_msg(strstr(err.text, refused[_i].message), "'%s': got '%s', want '%s'", refused[_i].text, err.text,
		refused[_i].message);
	ck_assert_ptr_null(strchr(err.text, '\n'));
	ranq_words_clear(&v.words);
}
END_TEST

START_TEST(missing_operand)
{
	struct values v;
	struct ranq_operands operands;
	struct ranq_err err;
	struct ranq_command command = mixing;
	command.min_operands = 1;
	ck_assert_int_eq(parse(&command, "-f", &v, &operands, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "usage: ranq test [OPTION]... [WORD]..."));
}
END_TEST

START_TEST(help_names_every_option)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	ranq_options_help(&mixing, out);
	fclose(out);
	for (const struct ranq_option_group *group = groups; group->title; group++)
		for (const struct ranq_option *option = group->options; option->name; option++) {
			char name[64];
			snprintf(name, sizeof name, "--%s", option->name);
			ck_assert_ptr_nonnull(strstr(text, name));
			ck_assert_ptr_nonnull(strstr(text, option->help));
		}
	ck_assert_ptr_nonnull(strstr(text, "--local[=N]"));
	free(text);
}
END_TEST

START_TEST(neighbours)
{
	static const char *const names[] = {"submit", "results", "rm", "run"};
	ck_assert_str_eq(ranq_nearest("sbumit", names, 4), "submit");
	ck_assert_str_eq(ranq_nearest("result", names, 4), "results");
	ck_assert_ptr_null(ranq_nearest("elephant", names, 4));
	ck_assert_ptr_null(ranq_nearest("x", names, 4));
	ck_assert_ptr_null(ranq_nearest("", names, 4));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tests = tcase_create("options");
	tcase_add_test(tests, kinds);
	tcase_add_test(tests, optional_without_value);
	tcase_add_test(tests, operands_end_options);
	tcase_add_loop_test(tests, refusals, 0, sizeof refused / sizeof *refused);
	tcase_add_test(tests, missing_operand);
	tcase_add_test(tests, help_names_every_option);
	tcase_add_test(tests, neighbours);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	free(line);
	return failed != 0;
}

/* Arguments and replacement strings. What GNU parallel 20221122 prints for the same input is what is expected here. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/input.h"

static struct ranq_spec spec;
static struct ranq_arg arg;
static struct ranq_strings argv;

static void setup(void)
{
	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_COMMAND;
	arg = (struct ranq_arg){0};
	argv = (struct ranq_strings){0};
}

static void teardown(void)
{
	ranq_spec_clear(&spec);
	ranq_arg_clear(&arg);
	ranq_strings_clear(&argv);
}

static void word(const char *text)
{
	ck_assert_int_eq(ranq_strings_add(&spec.argv, text, strlen(text)), 0);
}

/* Values separated by '|'. */
static void list(bool linked, const char *values)
{
	const char *bar;

	spec.args = RANQ_ARGS_LISTS;
	spec.lists = realloc(spec.lists, (spec.nlists + 1) * sizeof *spec.lists);
	spec.lists[spec.nlists++] = (struct ranq_list){.linked = linked};
	for (; (bar = strchr(values, '|')); values = bar + 1)
		ck_assert_int_eq(
			ranq_strings_add(&spec.lists[spec.nlists - 1].values, values, (size_t)(bar - values)), 0);
	ck_assert_int_eq(ranq_strings_add(&spec.lists[spec.nlists - 1].values, values, strlen(values)), 0);
}

/* The words of task `index`, joined by '|'. */
static const char *expand(uint64_t index, const char *input)
{
	static char text[4096];
	struct ranq_bytes line = {input, input ? strlen(input) : 0};
	size_t i;

	ranq_arg_clear(&arg);
	ranq_strings_clear(&argv);
	ck_assert_int_eq(ranq_arg_make(&spec, index, input ? &line : NULL, &arg, NULL), 0);
	ck_assert_int_eq(ranq_template_expand(&spec, &arg, index, 4711, &argv, NULL), 0);
	ck_assert_ptr_null(argv.at[argv.n]);
	text[0] = '\0';
	for (i = 0; i < argv.n; i++) {
		strcat(text, i ? "|" : "");
		strcat(text, argv.at[i]);
	}
	return text;
}

static const struct {
	const char *value, *base, *dir, *base_plain, *plain;
} paths[] = {
	{"/a/b.c.d", "b.c.d", "/a", "b.c", "/a/b.c"},
	{"a", "a", ".", "a", "a"},
	{"./x.y/z", "z", "./x.y", "z", "./x.y/z"},
	{".", ".", ".", "", ""},
	{"..", "..", ".", ".", "."},
	{"a/", "", ".", "", "a/"},
	{"/", "", "/", "", "/"},
	{"", "", ".", "", ""},
	{"x.y/", "", ".", "", "x.y/"},
	{"a//b", "b", "a", "b", "a//b"},
	{".hidden", ".hidden", ".", "", ""},
	{"d/.hid", ".hid", "d", "", "d/"},
	{"a.b c/d", "d", "a.b c", "d", "a.b c/d"},
	{"//x", "x", "/", "x", "//x"},
};

START_TEST(test_paths)
{
	char want[256];

	word("{/}");
	word("<{//}>");
	word("{1/.}");
	word("{.}{}");
	spec.args = RANQ_ARGS_INPUT;
	snprintf(want, sizeof want, "%s|<%s>|%s|%s%s", paths[_i].base, paths[_i].dir, paths[_i].base_plain,
		paths[_i].plain, paths[_i].value);
	ck_assert_str_eq(expand(0, paths[_i].value), want);
}
END_TEST

START_TEST(test_sequence_and_seed)
{
	word("a{#}b");
	word("{seed}");
	word("{#}{#}");
	ck_assert_str_eq(expand(9, NULL), "a10b|4711|1010");
	ck_assert_str_eq(
		expand(((uint64_t)1 << 53) - 2, NULL), "a9007199254740991b|4711|90071992547409919007199254740991");
}
END_TEST

START_TEST(test_literal_braces)
{
	static const char *const words[] = {"{", "}", "{x}", "{0}", "{-1}", "{1", "{ }", "{#", "{/1}", "{1//.}",
		"{seq}", "{18446744073709551616}", "${HOME}", "{01}", "{..}"};
	struct ranq_strings one = {0};
	size_t i;

	spec.args = RANQ_ARGS_INPUT;
	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		ck_assert_int_eq(ranq_strings_add(&one, words[i], strlen(words[i])), 0);
		word(words[i]);
	}
	ck_assert(!ranq_template_has_replacement(&one));
	expand(0, "v");
	for (i = 0; i < argv.n; i++)
		ck_assert_str_eq(argv.at[i], words[i]);
	ck_assert_int_eq(ranq_strings_add(&one, "{{}}", 4), 0);
	ck_assert(ranq_template_has_replacement(&one));
	ranq_strings_clear(&spec.argv);
	word("{{}}");
	word("{{1}{x{}");
	ck_assert_str_eq(expand(0, "v"), "{v}|{v{xv");
	ranq_strings_clear(&one);
}
END_TEST

START_TEST(test_range)
{
	struct ranq_err err = {0};

	spec.args = RANQ_ARGS_RANGE;
	spec.range_first = 5;
	spec.range_step = -3;
	word("v={}");
	ck_assert_str_eq(expand(0, NULL), "v=5");
	ck_assert_str_eq(expand(4, NULL), "v=-7");
	ck_assert_str_eq(arg.whole, "-7");
	spec.range_first = INT64_MAX - 10;
	spec.range_step = 5;
	ck_assert_int_eq(ranq_spec_lists_count(&spec, NULL), 3);
	ck_assert_str_eq(expand(2, NULL), "v=9223372036854775807");
	ranq_arg_clear(&arg);
	ck_assert_int_eq(ranq_arg_make(&spec, 3, NULL, &arg, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_int_eq(ranq_arg_make(&spec, UINT64_MAX, NULL, &arg, &err), -1);
	spec.range_first = INT64_MIN;
	spec.range_step = 1;
	ck_assert_int_eq(ranq_spec_lists_count(&spec, NULL), ((int64_t)1 << 53) - 1);
	spec.range_first = -1;
	spec.range_step = INT64_MIN;
	ck_assert_int_eq(ranq_spec_lists_count(&spec, NULL), 1);
	ck_assert_str_eq(expand(0, NULL), "v=-1");
}
END_TEST

START_TEST(test_lists)
{
	list(false, "1|2");
	list(false, "a|b|c");
	list(true, "d|e");
	word("{1} {2} {3} {}");
	ck_assert_int_eq(ranq_spec_lists_count(&spec, NULL), 4);
	ck_assert_str_eq(expand(0, NULL), "1 a d 1 a d");
	ck_assert_str_eq(expand(1, NULL), "1 b e 1 b e");
	ck_assert_str_eq(expand(2, NULL), "2 a d 2 a d");
	ck_assert_str_eq(expand(3, NULL), "2 b e 2 b e");
	ck_assert_str_eq(arg.whole, "2 b e");
	ranq_arg_clear(&arg);
	ck_assert_int_eq(ranq_arg_make(&spec, 4, NULL, &arg, NULL), -1);
}
END_TEST

/* Every combination once, the last group fastest: compared with nested loops. */
START_TEST(test_all_combinations)
{
	char want[64];
	uint64_t k = 0;
	int i, j, l;

	list(false, "0|1|2|3|4");
	list(true, "0|1|2|3|4|5|6");
	list(false, "0|1|2");
	list(false, "0|1|2|3");
	word("{1}{2}{3}{4}");
	ck_assert_int_eq(ranq_spec_lists_count(&spec, NULL), 60);
	for (i = 0; i < 5; i++)
		for (j = 0; j < 3; j++)
			for (l = 0; l < 4; l++) {
				snprintf(want, sizeof want, "%d%d%d%d", i, i, j, l);
				ck_assert_str_eq(expand(k++, NULL), want);
			}
}
END_TEST

START_TEST(test_forms_of_several_columns)
{
	list(false, "a.x|b.y");
	list(false, "p/c.z");
	word("[{.}][{/}][{2//}][{3}][{9/.}]");
	ck_assert_str_eq(expand(1, NULL), "[b p/c][b.y c.z][p][][]");
}
END_TEST

START_TEST(test_lists_refused)
{
	struct ranq_err err = {0};
	int i;

	spec.args = RANQ_ARGS_LISTS;
	ck_assert_int_eq(ranq_spec_lists_count(&spec, &err), -1);
	list(true, "a");
	ck_assert_int_eq(ranq_spec_lists_count(&spec, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, ":::+"));
	spec.lists[0].linked = false;
	ck_assert_int_eq(ranq_spec_lists_count(&spec, &err), 1);
	list(false, "x|y");
	ranq_strings_clear(&spec.lists[1].values);
	ck_assert_int_eq(ranq_spec_lists_count(&spec, &err), -1);
	ck_assert_int_eq(ranq_strings_add(&spec.lists[1].values, "", 0), 0);
	ck_assert_int_eq(ranq_spec_lists_count(&spec, &err), 1);
	for (i = 0; i < 52; i++)
		list(false, "0|1");
	ck_assert_int_eq(ranq_spec_lists_count(&spec, &err), (int64_t)1 << 52);
	ck_assert_int_eq(ranq_arg_make(&spec, ((uint64_t)1 << 52) - 1, NULL, &arg, &err), 0);
	ck_assert_uint_eq(arg.columns.n, 54);
	ck_assert_str_eq(arg.columns.at[53], "1");
	list(false, "0|1");
	ck_assert_int_eq(ranq_spec_lists_count(&spec, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
}
END_TEST

START_TEST(test_shell_quotes)
{
	spec.shell = true;
	spec.args = RANQ_ARGS_INPUT;
	word("echo {} \"{}\" {1.}");
	ck_assert_str_eq(expand(0, "plain-1.x"), "echo plain-1.x \"plain-1.x\" plain-1");
	ranq_strings_clear(&spec.argv);
	word("echo {}");
	ck_assert_str_eq(expand(0, "it's; $(rm) *"), "echo 'it'\\''s; $(rm) *'");
	ck_assert_str_eq(expand(0, ""), "echo ''");
	ck_assert_str_eq(expand(0, "a\nb"), "echo 'a\nb'");
	ck_assert_str_eq(expand(0, "~x"), "echo '~x'");
	ck_assert_str_eq(expand(0, "\xc3\xa9"), "echo '\xc3\xa9'");
	ck_assert_str_eq(expand(0, "'"), "echo ''\\'''");
}
END_TEST

/* sh itself must give back every value. */
START_TEST(test_sh_reads_values_back)
{
	char value[2] = {(char)_i, '\0'}, got[8] = {0};
	FILE *pipe;
	size_t n;

	spec.shell = true;
	spec.args = RANQ_ARGS_INPUT;
	word("printf %s {}");
	expand(0, value);
	pipe = popen(argv.at[0], "r");
	ck_assert_ptr_nonnull(pipe);
	n = fread(got, 1, sizeof got - 1, pipe);
	ck_assert_int_eq(pclose(pipe), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(got, value);
}
END_TEST

START_TEST(test_append)
{
	spec.append = true;
	list(false, "a b|c");
	list(true, "x'y|z");
	word("cp");
	word("-v");
	ck_assert_str_eq(expand(0, NULL), "cp|-v|a b|x'y");
	ck_assert_str_eq(expand(1, NULL), "cp|-v|c|z");
	ranq_strings_clear(&spec.argv);
	spec.shell = true;
	word("cat {x} | wc");
	ck_assert_str_eq(expand(0, NULL), "cat {x} | wc 'a b' 'x'\\''y'");
}
END_TEST

START_TEST(test_raw_values_stay_one_word)
{
	spec.args = RANQ_ARGS_INPUT;
	word("sh");
	word("-c");
	word("exit $(({} % 2))");
	ck_assert_str_eq(expand(0, "3; rm"), "sh|-c|exit $((3; rm % 2))");
	ck_assert_uint_eq(argv.n, 3);
}
END_TEST

static const struct {
	const char *colsep, *line, *want;
} tables[] = {
	{",", "a, b,c", "[a b c][a][b][c][]"},
	{",", "x", "[x][x][][][]"},
	{",", ",,", "[  ][][][][]"},
	{",", "", "[][][][][]"},
	{"\t|;", "a\tb;c", "[a b c][a][b][c][]"},
	{"[[:space:]]+", "a   b \t c", "[a b c][a][b][c][]"},
	{",*", "a,,b", "[a b][a][b][][]"}, /* an empty match separates nothing */
	{"^a", "aab", "[ ab][][ab][][]"},  /* only the beginning of the line is one */
	{"x*", "", "[][][][][]"},
};

START_TEST(test_colsep)
{
	int prepared;

	spec.args = RANQ_ARGS_INPUT;
	spec.colsep = strdup(tables[_i].colsep);
	word("[{}][{1}][{2}][{3}][{4}]");
	for (prepared = 0; prepared < 2; prepared++) {
		ck_assert_str_eq(expand(0, tables[_i].line), tables[_i].want);
		ck_assert_int_eq(ranq_spec_prepare(&spec, NULL), 0);
	}
}
END_TEST

START_TEST(test_colsep_of_lists)
{
	list(false, "a,b|c,d");
	list(false, "1|2");
	spec.colsep = strdup(",");
	word("{1}-{2}-{3}");
	ck_assert_str_eq(expand(0, NULL), "a-b-1");
	ck_assert_str_eq(expand(3, NULL), "c-d-2");
}
END_TEST

START_TEST(test_arguments_refused)
{
	struct ranq_bytes line = {"a\0b", 3};
	struct ranq_err err = {0};

	spec.args = RANQ_ARGS_INPUT;
	ck_assert_int_eq(ranq_arg_make(&spec, 0, NULL, &arg, &err), -1);
	ck_assert_int_eq(ranq_arg_make(&spec, 0, &line, &arg, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	spec.colsep = strdup("(");
	ck_assert_int_eq(ranq_arg_make(&spec, 0, &line, &arg, &err), -1);
	ck_assert_int_eq(ranq_spec_prepare(&spec, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "regular expression"));
	spec.args = (enum ranq_args_kind)9;
	ck_assert_int_eq(ranq_arg_make(&spec, 0, &line, &arg, &err), -1);
	ck_assert_ptr_null(arg.whole);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("template");
	TCase *c = tcase_create("template");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_paths, 0, (int)(sizeof paths / sizeof paths[0]));
	tcase_add_test(c, test_sequence_and_seed);
	tcase_add_test(c, test_literal_braces);
	tcase_add_test(c, test_range);
	tcase_add_test(c, test_lists);
	tcase_add_test(c, test_all_combinations);
	tcase_add_test(c, test_forms_of_several_columns);
	tcase_add_test(c, test_lists_refused);
	tcase_add_test(c, test_shell_quotes);
	tcase_add_loop_test(c, test_sh_reads_values_back, 1, 256);
	tcase_add_test(c, test_append);
	tcase_add_test(c, test_raw_values_stay_one_word);
	tcase_add_loop_test(c, test_colsep, 0, (int)(sizeof tables / sizeof tables[0]));
	tcase_add_test(c, test_colsep_of_lists);
	tcase_add_test(c, test_arguments_refused);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* test_jobspec.c - ranges, when a command needs a shell, job ids, and how words become a job. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/jobid.h"
#include "common/jobspec.h"

static const struct {
	const char *text;
	int64_t first, step;
	uint64_t count;
} ranges[] = {
	{"1-10", 1, 1, 10},
	{"5-5", 5, 1, 1},
	{"0-9:3", 0, 3, 4},
	{"1-1000000000", 1, 1, 1000000000},
	{"-3-3", -3, 1, 7},
	{"-5--3", -5, 1, 3},
	{"5-1:-2", 5, -2, 3},
	{"1-9007199254740991", 1, 1, 9007199254740991},
	{"-9223372036854775808-9223372036854775807:9223372036854775807", INT64_MIN, INT64_MAX, 3},
	{"9223372036854775807--9223372036854775808:-9223372036854775808", INT64_MAX, INT64_MIN, 2},
};

START_TEST(range)
{
	int64_t first, step;
	uint64_t count;
	struct ranq_err err;
	ck_assert_int_eq(ranq_range_parse(ranges[_i].text, &first, &step, &count, &err), 0);
	ck_assert_int_eq(first, ranges[_i].first);
	ck_assert_int_eq(step, ranges[_i].step);
	ck_assert_uint_eq(count, ranges[_i].count);
}
END_TEST

static const char *const no_ranges[] = {
	"",
	"-",
	"1",
	"1-",
	"-1",
	"1-2-3",
	"a-b",
	"1 -2",
	" 1-2",
	"1-2:",
	"1-2:x",
	"1-2:0",
	"5-1",
	"1-5:-1",
	"1-2 ",
	"+1-2",
	"0x1-2",
	"1-9007199254740992",
	"1-9007199254740993",
	"1-99999999999999999999",
	"-9223372036854775808-9223372036854775807",
};

START_TEST(no_range)
{
	int64_t first, step;
	uint64_t count;
	struct ranq_err err = {0};
	ck_assert_int_eq(ranq_range_parse(no_ranges[_i], &first, &step, &count, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
}
END_TEST

START_TEST(shell)
{
	static const char *const yes[] = {
		"ls | wc", "a b", "echo$(x)", "a;b", "a>b", "*.c", "{a b}", "{ }", "a'b", "x\ny"};
	static const char *const no[] = {
		"ls", "./prog", "/bin/a-b_c.d", "{}", "{#}", "pre{/.}post", "{1}x{2}", "{seed}", "a=b", "a,b"};
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		ck_assert_msg(ranq_command_needs_shell(yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		ck_assert_msg(!ranq_command_needs_shell(no[i]), "%s", no[i]);
}
END_TEST

START_TEST(job_ids)
{
	static const struct {
		const char *text, *queue;
		uint64_t job;
	} good[] = {{"7", "", 7}, {"last", "", 0}, {"q/12", "q", 12}, {"a.b-c_d/last", "a.b-c_d", 0},
		{"900719925474099", "", 900719925474099}};
	static const char *const bad[] = {
		"", "0", "x", "7x", "-7", "q/", "/7", "a/b/7", "q{}/7", " 7", "99999999999999999999", "q/last ", "1e3"};
	char queue[RANQ_QUEUE_NAME_MAX + 1], text[300];
	uint64_t job;
	struct ranq_err err;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_int_eq(ranq_jobid_parse(good[i].text, queue, &job, &err), 0);
		ck_assert_str_eq(queue, good[i].queue);
		ck_assert_uint_eq(job, good[i].job);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(ranq_jobid_parse(bad[i], queue, &job, &err) == -1, "%s", bad[i]);
	memset(text, 'q', sizeof text);
	strcpy(text + 290, "/7");
	ck_assert_int_eq(ranq_jobid_parse(text, queue, &job, &err), -1);
}
END_TEST

static struct ranq_job_options options;
static struct ranq_jobspec jobspec;
static struct ranq_err err;

static void begin(void)
{
	ranq_job_options_init(&options);
	memset(&err, 0, sizeof err);
}

static void end(void)
{
	ranq_jobspec_clear(&jobspec);
	ranq_job_options_clear(&options);
}

/* Words separated by blanks. */
static int build(const char *text)
{
	char *copy = strdup(text), *words[16];
	struct ranq_operands operands = {words, 0, false};
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		words[operands.n++] = word;
	int rc = ranq_jobspec_build(&jobspec, &options, &operands, &err);
	free(copy);
	return rc;
}

START_TEST(values)
{
	ck_assert_msg(build("echo ::: a b c") == 0, "%s", err.text);
	ck_assert_uint_eq(jobspec.submission.tasks, 3);
	ck_assert(jobspec.spec.append && !jobspec.spec.shell);
	ck_assert_str_eq(jobspec.spec.argv.at[0], "echo");
	char here[4096];
	ck_assert_str_eq(jobspec.spec.cwd, getcwd(here, sizeof here));
	ck_assert_ptr_nonnull(jobspec.spec.owner);
}
END_TEST

START_TEST(combinations)
{
	ck_assert_int_eq(build("echo {2} ::: a b c ::: 1 2 :::+ x y"), 0);
	ck_assert_uint_eq(jobspec.submission.tasks, 6);
	ck_assert(!jobspec.spec.append);
	ck_assert_uint_eq(jobspec.spec.nlists, 3);
	ck_assert(jobspec.spec.lists[2].linked);
}
END_TEST

START_TEST(range_job)
{
	options.range = "1-1000000000";
	ck_assert_int_eq(build("./simulate"), 0);
	ck_assert_uint_eq(jobspec.submission.tasks, 1000000000);
	ck_assert(!jobspec.spec.append);
}
END_TEST

START_TEST(one_task)
{
	ck_assert_int_eq(build("hostname"), 0);
	ck_assert_uint_eq(jobspec.submission.tasks, 1);
	ck_assert_int_eq(jobspec.spec.args, RANQ_ARGS_NONE);
}
END_TEST

START_TEST(shell_joins)
{
	options.shell = true;
	ck_assert_int_eq(build("echo {} | wc ::: a"), 0);
	ck_assert_uint_eq(jobspec.spec.argv.n, 1);
	ck_assert_str_eq(jobspec.spec.argv.at[0], "echo {} | wc");
	ck_assert(jobspec.spec.shell);
}
END_TEST

START_TEST(environment)
{
	static const char *words[] = {"A=1", "RANQ_TEST_VARIABLE", "B="};
	setenv("RANQ_TEST_VARIABLE", "x=y", 1);
	options.env.at = malloc(sizeof words);
	memcpy(options.env.at, words, sizeof words);
	options.env.n = 3;
	ck_assert_int_eq(build("env"), 0);
	ck_assert_str_eq(jobspec.spec.env.at[0], "A=1");
	ck_assert_str_eq(jobspec.spec.env.at[1], "RANQ_TEST_VARIABLE=x=y");
	ck_assert_str_eq(jobspec.spec.env.at[2], "B=");
}
END_TEST

START_TEST(several_files)
{
	static const char *files[2];
	char a[] = "/tmp/ranq-test-XXXXXX", b[] = "/tmp/ranq-test-XXXXXX";
	int fda = mkstemp(a), fdb = mkstemp(b);
	ck_assert_int_eq(write(fda, "1\n2\n3", 5), 5);
	ck_assert_int_eq(write(fdb, "x\n\n", 3), 3);
	close(fda);
	close(fdb);
	files[0] = a;
	files[1] = b;
	options.arg_files.at = malloc(sizeof files);
	memcpy(options.arg_files.at, files, sizeof files);
	options.arg_files.n = 2;
	int rc = build("echo");
	unlink(a);
	unlink(b);
	ck_assert_msg(rc == 0, "%s", err.text);
	ck_assert_uint_eq(jobspec.submission.tasks, 6);
	ck_assert_str_eq(jobspec.spec.lists[1].values.at[1], "");
}
END_TEST

START_TEST(refusals)
{
	options.range = "1-3";
	ck_assert_int_eq(build("echo ::: a"), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "--range cannot be combined"));
	end();
	begin();
	ck_assert_int_eq(build(""), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "nothing to run"));
	end();
	begin();
	ck_assert_int_eq(build("echo ::: a ::: "), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "list 2 is empty"));
	end();
	begin();
	options.module = "/nonexistent.so";
	ck_assert_int_eq(build("echo"), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "a module needs --function"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jobspec");
	TCase *parsers = tcase_create("parsers"), *jobs = tcase_create("jobs");
	tcase_add_loop_test(parsers, range, 0, sizeof ranges / sizeof *ranges);
	tcase_add_loop_test(parsers, no_range, 0, sizeof no_ranges / sizeof *no_ranges);
	tcase_add_test(parsers, shell);
	tcase_add_test(parsers, job_ids);
	tcase_add_checked_fixture(jobs, begin, end);
	tcase_add_test(jobs, values);
	tcase_add_test(jobs, combinations);
	tcase_add_test(jobs, range_job);
	tcase_add_test(jobs, one_task);
	tcase_add_test(jobs, shell_joins);
	tcase_add_test(jobs, environment);
	tcase_add_test(jobs, several_files);
	tcase_add_test(jobs, refusals);
	suite_add_tcase(suite, parsers);
	suite_add_tcase(suite, jobs);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* test_output.c - results on their way to standard output: pipes that somebody made non-blocking, writes that fail in
 * the middle. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/output.h"

#define LEN 1000000

static void fill(struct ranq_output *output, size_t len)
{
	ranq_output_init(output, RANQ_OUTPUT_RAW, false, false);
	for (size_t i = 0; i < len; i++)
		ranq_buf_add_byte(&output->buf, (unsigned char)('a' + i % 26));
}

/* Counts what comes; exit status 0 when it is all of it and in order. */
static pid_t start_reader(int fd, int other)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	char bytes[1000];
	ssize_t n;
	size_t total = 0;
	close(other);
	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		for (ssize_t i = 0; i < n; i++)
			if (bytes[i] != (char)('a' + total++ % 26))
				_exit(1);
	_exit(total == LEN ? 0 : 2);
}

START_TEST(non_blocking)
{
	struct ranq_output output;
	struct ranq_err err = {0};
	int ends[2], status;
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	pid_t reader = start_reader(ends[0], ends[1]);
	close(ends[0]);
	fill(&output, LEN);
	output.fd = ends[1];
	ck_assert_msg(ranq_output_flush(&output, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(output.buf.len, 0);
	close(ends[1]);
	ck_assert_int_eq(waitpid(reader, &status, 0), reader);
	ck_assert_int_eq(status, 0);
	ranq_output_clear(&output);
}
END_TEST

/* The end of a run tries once more to write what is left. */
START_TEST(half_written)
{
	struct ranq_output output;
	struct rlimit limit, small;
	char path[] = "/tmp/ranq-test-XXXXXX", back[200];
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	small = limit;
	small.rlim_cur = 60;
	fill(&output, 100);
	output.fd = fd;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	ck_assert_int_eq(ranq_output_flush(&output, NULL), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_uint_eq(output.buf.len, 40);
	ck_assert_int_eq(ranq_output_flush(&output, NULL), 0);
	ck_assert_int_eq(pread(fd, back, sizeof back, 0), 100);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(back[i], 'a' + i % 26);
	close(fd);
	ranq_output_clear(&output);
}
END_TEST

/* What is no number of 8 bytes is shown in hex, and counted, so that it can be said; a failed task's output is not. */
START_TEST(numbers_that_are_none)
{
	static const struct {
		enum ranq_output_form form;
		enum ranq_task_status status;
		const char *value;
		size_t len;
		const char *shown;
		uint64_t misfits;
	} rows[] = {
		{RANQ_OUTPUT_INT64, RANQ_TASK_OK, "\5\0\0\0\0\0\0\0", 8, "5\n", 0},
		{RANQ_OUTPUT_DOUBLE, RANQ_TASK_OK, "", 0, "\n", 0},
		{RANQ_OUTPUT_DOUBLE, RANQ_TASK_OK, "abc", 3, "616263\n", 1},
		{RANQ_OUTPUT_INT64, RANQ_TASK_OK, "123456789", 9, "313233343536373839\n", 1},
		{RANQ_OUTPUT_INT64, RANQ_TASK_ERROR, "abc", 3, "616263\n", 0},
		{RANQ_OUTPUT_HEX, RANQ_TASK_OK, "abc", 3, "616263\n", 0},
		{RANQ_OUTPUT_RAW, RANQ_TASK_OK, "abc", 3, "abc", 0},
	};
	const int i = _i;
	struct ranq_stream_result result = {.kind = RANQ_STREAM_VALUE,
		.index = 7,
		.status = rows[i].status,
		.value = {rows[i].value, rows[i].len}};
	struct ranq_output output;
	ranq_output_init(&output, rows[i].form, false, true);
	ck_assert_int_eq(ranq_output_add(&output, &result, NULL), 0);
	ck_assert_str_eq(ranq_buf_cstr(&output.buf), rows[i].shown);
	ck_assert_uint_eq(output.misfits, rows[i].misfits);
	ck_assert_uint_eq(output.misfit, rows[i].misfits ? 7 : 0);
	ranq_output_clear(&output);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("output");
	TCase *tests = tcase_create("output");
	tcase_add_test(tests, non_blocking);
	tcase_add_test(tests, half_written);
	tcase_add_loop_test(tests, numbers_that_are_none, 0, 7);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

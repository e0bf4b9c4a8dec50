/* test_foreach.c - ranq_foreach against a real server and a bridge that answers by itself. */
#include "tests/support/foreach_sum.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

#define N 5000

static int64_t jobs_left(void)
{
	struct ranq_conn *conn = test_redis_connect(&rig.server);
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "ZCARD");
	ranq_cmd_str(&cmd, "ranq:{default}:all");
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	int64_t n = ranq_reply_int(reply);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
	return n;
}

/* ---- what is combined ------------------------------------------------------------------------------------------ */
static const struct {
	size_t batch;
	int unordered;
} ways[] = {{1, 0}, {1, 1}, {100, 0}, {100, 1}, {1u << 20, 0}};

START_TEST(all_of_it)
{
	struct sum sum, want = sum_expected(N);
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = sum_each(N, &sum);
	each.batch = ways[_i].batch;
	each.unordered = ways[_i].unordered;
	client_rig_bridge("index8", "37", "0");
	ck_assert_msg(ranq_foreach(ranq, &each) == 1, "%s", ranq_last_error());
	ck_assert_uint_eq(sum.n, N);
	ck_assert_uint_eq(sum.total, want.total);
	ck_assert_uint_le(sum.largest, each.batch);
	if (!each.unordered)
		ck_assert_uint_eq(sum.hash, want.hash);
	if (each.batch > 1)
		ck_assert_uint_lt(sum.calls, N / 10);
	ck_assert_int_eq(jobs_left(), 0);
	ranq_close(ranq);
}
END_TEST

struct finale {
	uint64_t seen;
	int finals, progress;
	struct ranq_progress last;
};

static int count(void *user, const struct ranq_value *values, size_t n)
{
	(void)values;
	((struct finale *)user)->seen += n;
	return 0;
}

static int finish(void *user)
{
	struct finale *finale = user;
	ck_assert_uint_eq(finale->seen, 50);
	finale->finals++;
	return 0;
}

static int note(void *user, const struct ranq_progress *progress)
{
	struct finale *finale = user;
	finale->progress++;
	finale->last = *progress;
	return 0;
}

START_TEST(final_and_progress)
{
	struct finale finale = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	each.job = client_rig_echo(50);
	each.combine = count;
	each.user = &finale;
	each.final = finish;
	each.progress = note;
	each.progress_s = 0.01;
	each.bar = 1; /* no terminal here: nothing is drawn */
	client_rig_bridge("index8", "5", "50");
	ck_assert_msg(ranq_foreach(ranq, &each) == 1, "%s", ranq_last_error());
	ck_assert_int_eq(finale.finals, 1);
	ck_assert_int_ge(finale.progress, 3);
	ck_assert_uint_eq(finale.last.done, 50);
	ck_assert_uint_eq(finale.last.tasks, 50);
	ck_assert_str_eq(finale.last.state, "COMPLETE");
	ranq_close(ranq);
}
END_TEST

/* As R's foreach: nothing is combined, the rest is as ever. */
START_TEST(no_tasks)
{
	struct finale finale = {.seen = 50};
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	each.job = client_rig_echo(0);
	each.combine = count;
	each.user = &finale;
	each.final = finish;
	ck_assert_msg(ranq_foreach(ranq, &each) == 1, "%s", ranq_last_error());
	ck_assert_int_eq(finale.finals, 1);
	ck_assert_int_eq(jobs_left(), 0);
	ranq_close(ranq);
}
END_TEST

static int enough(void *user, const struct ranq_progress *progress)
{
	(void)progress;
	return ++((struct finale *)user)->progress == 2;
}

/* The job goes on; the same handle goes on behind what it has. */
START_TEST(interrupted)
{
	struct finale finale = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	struct ranq_submit_options submit = client_rig_echo(50);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	each.combine = count;
	each.user = &finale;
	each.progress = enough;
	each.progress_s = 0.05;
	client_rig_short_bridge("index8", "5", "25");
	ck_assert_int_eq(ranq_job_foreach(job, &each), -1);
	ck_assert_int_eq(ranq_last_status(), 130);
	each.progress = NULL;
	each.timeout_s = 0.01;
	ck_assert_int_eq(ranq_job_foreach(job, &each), -1);
	ck_assert_int_eq(ranq_last_status(), 5);
	ck_assert_uint_lt(finale.seen, 50);
	client_rig_end_bridge(SIGTERM);
	client_rig_bridge("index8", "5", "0");
	each.timeout_s = 30;
	ck_assert_msg(ranq_job_foreach(job, &each) == 1, "%s", ranq_last_error());
	ck_assert_uint_eq(finale.seen, 50);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* Runs a foreach with a bar on a terminal of its own; returns what that showed. */
static size_t on_terminal(char *shown, size_t size)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	int far = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	pid_t child = fork();
	if (child == 0) {
		struct sum sum;
		dup2(far, STDERR_FILENO);
		close(terminal);
		setenv("TERM", "xterm", 1);
		struct ranq *own = ranq_open(rig.url, NULL);
		struct ranq_foreach_options each = sum_each(40, &sum);
		each.bar = 1;
		_exit(own && ranq_foreach(own, &each) == 1 ? 0 : 1);
	}
	close(far);
	size_t at = 0;
	ssize_t n;
	while (at + 1 < size && (n = read(terminal, shown + at, size - 1 - at)) > 0)
		at += (size_t)n;
	shown[at] = 0;
	close(terminal);
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	return at;
}

START_TEST(bar)
{
	static char shown[65536];
	client_rig_bridge("index8", "5", "60");
	ck_assert_uint_gt(on_terminal(shown, sizeof shown), 0);
	ck_assert_msg(strstr(shown, "/40") && strstr(shown, "workers 2"), "%s", shown);
	const char *last = strrchr(shown, '\r');
	ck_assert_str_eq(last, "\r\033[K"); /* nothing of it stays */
}
END_TEST

/* ---- failed tasks ---------------------------------------------------------------------------------------------- */
struct lines {
	char text[400];
	uint64_t failed;
};

static int append(void *user, const struct ranq_value *values, size_t n)
{
	struct lines *lines = user;
	for (size_t i = 0; i < n; i++) {
		const struct ranq_value *value = &values[i];
		size_t at = strlen(lines->text);
		if (value->error)
			snprintf(lines->text + at, sizeof lines->text - at, "<%s>", value->error);
		else
			snprintf(lines->text + at, sizeof lines->text - at, "%.*s", (int)value->len - 1,
				(const char *)value->data);
		lines->failed += value->status != RANQ_STATUS_OK;
	}
	return 0;
}

static const char *const args[] = {"a", "b", "fail", "c", "fail again", "d"};

static int with_failures(struct ranq *ranq, enum ranq_on_failure on_failure, size_t batch, struct lines *lines)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	memset(lines, 0, sizeof *lines);
	each.job = client_rig_echo(6);
	each.job.args = args;
	each.combine = append;
	each.user = lines;
	each.batch = batch;
	each.on_failure = on_failure;
	return ranq_foreach(ranq, &each);
}

START_TEST(failures)
{
	struct lines lines;
	size_t batch = _i ? 100 : 1;
	struct ranq *ranq = client_rig_open();
	client_rig_bridge("echo", "1", "0");
	ck_assert_msg(with_failures(ranq, RANQ_FAILURE_REMOVE, batch, &lines) == 0, "%s", ranq_last_error());
	ck_assert_str_eq(lines.text, "abcd");
	ck_assert_int_eq(with_failures(ranq, RANQ_FAILURE_PASS, batch, &lines), 0);
	ck_assert_str_eq(lines.text, "ab<exit status 1>c<exit status 1>d");
	ck_assert_uint_eq(lines.failed, 2);
	ck_assert_int_eq(with_failures(ranq, RANQ_FAILURE_STOP, batch, &lines), -1);
	ck_assert_int_eq(ranq_last_status(), 1);
	ck_assert_str_eq(ranq_last_error(), "job default/3: task 2 failed: exit status 1");
	ck_assert_ptr_null(strchr(lines.text, 'c'));
	/* the rest of it does not run */
	struct ranq_job *job = ranq_job_attach(ranq, "3");
	struct ranq_progress progress;
	ck_assert_ptr_nonnull(job);
	ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
	ck_assert_uint_eq(progress.done, 3);
	ck_assert_str_eq(progress.state, "ERROR");
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

static int refuse(void *user, const struct ranq_value *values, size_t n)
{
	(void)values, (void)n;
	return ++*(int *)user == 3;
}

START_TEST(combine_fails)
{
	int calls = 0;
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	each.job = client_rig_echo(1000);
	each.combine = refuse;
	each.user = &calls;
	client_rig_bridge("index8", "1", "10");
	ck_assert_int_eq(ranq_foreach(ranq, &each), -1);
	ck_assert_str_eq(ranq_last_error(), "job default/1: the combine function failed at task 2");
	struct ranq_job *job = ranq_job_attach(ranq, "1");
	struct ranq_progress progress;
	ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
	ck_assert_str_eq(progress.state, "CANCELLED");
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

START_TEST(cancelled_by_others)
{
	struct sum sum;
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = sum_each(0, &sum);
	struct ranq_submit_options submit = client_rig_echo(1000);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	each.timeout_s = 0.3;
	ck_assert_int_eq(ranq_job_foreach(job, &each), -1);
	ck_assert_int_eq(ranq_last_status(), 5);
	ck_assert_int_eq(ranq_cancel(job), 0);
	ck_assert_int_eq(ranq_job_foreach(job, &each), -1);
	ck_assert_int_eq(ranq_last_status(), 1);
	ck_assert_msg(strstr(ranq_last_error(), "CANCELLED: cancelled by the client; 1000 of 1000 tasks never ran"),
		"%s", ranq_last_error());
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

START_TEST(bad_options)
{
	struct sum sum;
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options good = sum_each(1, &sum), bad = good;
#define REFUSED(change) \
	bad = good; \
	change; \
	ck_assert_int_eq(ranq_foreach(ranq, &bad), -1); \
	ck_assert_int_eq(ranq_last_status(), 2)
	REFUSED(bad.size--);
	REFUSED(bad.combine = NULL);
	REFUSED(bad.batch = 0);
	REFUSED(bad.on_failure = (enum ranq_on_failure)3);
	REFUSED(bad.accumulator_bytes = SIZE_MAX);
	REFUSED(bad.progress_s = 0);
	REFUSED(bad.job.keep_results = 0);
	REFUSED(bad.job.reduce = "sum_int64");
	REFUSED(bad.job.command = NULL);
	ck_assert_int_eq(jobs_left(), 0);
	ranq_close(ranq);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------------------------- */
#define MANY 1000000

/* Most memory of this process, in MB; what a sanitizer takes is not the program's. */
static long memory_mb(void)
{
	struct rusage usage;
#ifdef __SANITIZE_ADDRESS__
	return 0;
#endif
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss / 1024;
}

static bool all_but_the_first(struct ranq_job *job)
{
	struct ranq_progress progress;
	ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
	return progress.done >= MANY - 4;
}

static bool first_is_taken(struct ranq_job *job)
{
	struct ranq_progress progress;
	ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
	return !strcmp(progress.state, "RUNNING");
}

static void wait_until(bool (*condition)(struct ranq_job *), struct ranq_job *job)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	int64_t give_up = ranq_clock_ms() + 150000;
	while (!condition(job)) {
		ck_assert_int_lt(ranq_clock_ms(), give_up);
		nanosleep(&pause, NULL);
	}
}

/* A million results in order, and the first task is the last to be done: they wait in the server, not in the client. */
START_TEST(million_in_order)
{
	struct sum sum;
	char file[128];
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options submit = client_rig_echo(MANY);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	struct ranq_foreach_options each = sum_each(0, &sum);
	each.batch = 1000;
	snprintf(file, sizeof file, "%s/wait", rig.server.dir);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	client_rig_slow_bridge("index8", "1", file);
	wait_until(first_is_taken, job);
	client_rig_bridge("index8", "10000", "0");
	wait_until(all_but_the_first, job);
	pid_t child = fork();
	if (child == 0) { /* opens its own connection; its memory is measured apart */
		struct ranq *own = ranq_open(rig.url, NULL);
		struct ranq_job *same = own ? ranq_job_attach(own, "1") : NULL;
		each.user = &sum;
		int rc = same ? ranq_job_foreach(same, &each) : -1;
		bool good = rc == 1 && sum.n == MANY && sum.ordered;
		if (!good)
			fprintf(stderr, "%d %llu %s\n", rc, (unsigned long long)sum.n, ranq_last_error());
		_exit(!good ? 1 : memory_mb() < 64 ? 0 : 2);
	}
	unlink(file);
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* Input larger than the memory that the client may take: 120 MB in arguments of 20 kB. */
#define LONG_BYTES 20000
#define LONG_N 6000

struct long_lines {
	uint64_t at, done, ahead_max;
	char text[LONG_BYTES];
};

static int long_line(void *user, const char **arg, size_t *len)
{
	struct long_lines *lines = user;
	if (lines->at == LONG_N)
		return 0;
	memset(lines->text, 'a' + (int)(lines->at % 26), sizeof lines->text);
	lines->at++;
	if (lines->at - lines->done > lines->ahead_max)
		lines->ahead_max = lines->at - lines->done;
	*arg = lines->text;
	*len = sizeof lines->text;
	return 1;
}

static int check_long(void *user, const struct ranq_value *values, size_t n)
{
	struct long_lines *lines = user;
	for (size_t i = 0; i < n; i++) {
		if (values[i].len != LONG_BYTES + 1 || values[i].index != lines->done ||
			*(const char *)values[i].data != (char)('a' + values[i].index % 26))
			return -1;
		lines->done++;
	}
	return 0;
}

START_TEST(input_larger_than_memory)
{
	client_rig_bridge("good", "40", "0");
	pid_t child = fork();
	if (child == 0) {
		static struct long_lines lines;
		struct ranq *own = ranq_open(rig.url, NULL);
		struct ranq_foreach_options each = RANQ_FOREACH_INIT;
		each.job = client_rig_echo(0);
		each.job.generator = long_line;
		each.job.generator_user = &lines;
		each.combine = check_long;
		each.user = &lines;
		int rc = own ? ranq_foreach(own, &each) : -1;
		if (rc != 1)
			fprintf(stderr, "%s\n", ranq_last_error());
		/* the generator was never farther ahead than the queue takes (64 MiB) and two batches here */
		_exit(rc != 1 || lines.done != LONG_N              ? 1
			: lines.ahead_max * LONG_BYTES > 100000000 ? 2
			: memory_mb() >= 64                        ? 3
								   : 0);
	}
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("foreach");
	TCase *tests = tcase_create("foreach");
	tcase_set_timeout(tests, 100);
	tcase_add_checked_fixture(tests, client_rig_start, client_rig_stop);
	tcase_add_loop_test(tests, all_of_it, 0, 5);
	tcase_add_test(tests, no_tasks);
	tcase_add_test(tests, final_and_progress);
	tcase_add_test(tests, interrupted);
	tcase_add_test(tests, bar);
	tcase_add_loop_test(tests, failures, 0, 2);
	tcase_add_test(tests, combine_fails);
	tcase_add_test(tests, cancelled_by_others);
	tcase_add_test(tests, bad_options);
	tcase_add_test(tests, million_in_order);
	tcase_add_test(tests, input_larger_than_memory);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

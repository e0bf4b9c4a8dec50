/* Executors over their life: jobs come and go, directories vanish, bodies fork and leave, ranq-exec itself is away. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/exec_rig.h"
#include "util/clock.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct exec_rig rig;
static struct ranq_spec spec;
static char directory[64], file[128];

static void set_up(void)
{
	snprintf(directory, sizeof directory, "/tmp/ranq-test-life-%d", (int)getpid());
	snprintf(file, sizeof file, "%s/file", directory);
	ck_assert_int_eq(mkdir(directory, 0700), 0);
}

static void tear_down(void)
{
	unlink(file);
	rmdir(directory);
}

static int64_t number(uint64_t index)
{
	int64_t value = 0;

	ck_assert_uint_eq(rig.tasks[index].len, sizeof value);
	memcpy(&value, rig.tasks[index].data, sizeof value);
	return value;
}

static const char *read_file(void)
{
	static char text[256];
	FILE *in = fopen(file, "r");
	size_t n = in ? fread(text, 1, sizeof text - 1, in) : 0;

	if (in)
		fclose(in);
	text[n] = '\0';
	return text;
}

static bool file_says(void *text)
{
	return !strcmp(read_file(), text);
}

static void add_life(uint64_t job, const char *function)
{
	exec_rig_function(&spec, function);
	exec_rig_add_job(&rig, job, &spec, "life.so", file, strlen(file));
	ranq_spec_clear(&spec);
}

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

START_TEST(init_and_fini)
{
	exec_rig_open(&rig, 1, NULL);
	rig.close_grace_ms = 60000;
	exec_rig_expect_tasks(&rig, 30);
	add_life(1, "which_process");
	exec_rig_run(&rig, 0, 1, 1, 0, 10);
	exec_rig_run(&rig, 0, 1, 2, 10, 20);
	exec_rig_until_done(&rig, 2);
	ck_assert_str_eq(read_file(), "init\n");
	ranq_slot_drop_job(rig.slots[0], 1);
	exec_rig_until(&rig, file_says, (char[]){"init\nfini\n"});
	/* the next job with this module finds the same process */
	add_life(2, "which_process");
	exec_rig_run(&rig, 0, 2, 3, 20, 30);
	exec_rig_until_done(&rig, 3);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 30);
	ck_assert_int_eq(number(29), number(0));
	ck_assert_str_eq(read_file(), "init\nfini\ninit\n");
	/* and leaving is the end of a job, too */
	exec_rig_close(&rig);
	ck_assert_str_eq(read_file(), "init\nfini\ninit\nfini\n");
}
END_TEST

/* A fini without end costs its executor, not the job behind it. */
START_TEST(endless_fini)
{
	FILE *out = fopen(file, "w");

	fputs("endless\n", out);
	fclose(out);
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 20);
	add_life(1, "which_process");
	exec_rig_run(&rig, 0, 1, 1, 0, 10);
	exec_rig_until_done(&rig, 1);
	ranq_slot_drop_job(rig.slots[0], 1);
	add_life(2, "which_process");
	exec_rig_run(&rig, 0, 2, 2, 10, 20);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 20);
	ck_assert_uint_eq(rig.died_events, 0);
	ck_assert_int_ne(number(19), number(0));
	exec_rig_close(&rig);
}
END_TEST

/* What a task has put there is there for the next one, and for the next job. */
START_TEST(cache_outlives_jobs)
{
	uint64_t i;

	exec_rig_open(&rig, 1, NULL);
	rig.close_grace_ms = 60000;
	exec_rig_expect_tasks(&rig, 20);
	add_life(1, "cached");
	exec_rig_run(&rig, 0, 1, 1, 0, 10);
	exec_rig_until_done(&rig, 1);
	ranq_slot_drop_job(rig.slots[0], 1);
	exec_rig_until(&rig, file_says, (char[]){"init\nmake A\nfini\n"});
	add_life(2, "cached");
	exec_rig_run(&rig, 0, 2, 2, 10, 20);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 20);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(number(i), (int64_t)i - 1);
	exec_rig_close(&rig);
	ck_assert_str_eq(read_file(), "init\nmake A\nfini\ninit\nfini\nA gone\n");
}
END_TEST

static void many_values(struct ranq_spec *to)
{
	char text[64];
	int i, n;

	to->args = RANQ_ARGS_LISTS;
	to->lists = calloc(1, sizeof *to->lists);
	to->nlists = 1;
	for (i = 0; i < 1300; i++) {
		n = snprintf(text, sizeof text, "%050d", i);
		ck_assert_int_eq(ranq_strings_add(&to->lists[0].values, text, (size_t)n), 0);
	}
}

/* The end of the first job's record arrives together with the descriptors of the second one. */
START_TEST(large_records_with_files)
{
	uint64_t job;

	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 4);
	for (job = 1; job <= 2; job++) {
		exec_rig_function(&spec, "index8");
		many_values(&spec);
		spec.max_deaths = 1;
		exec_rig_add_job(&rig, job, &spec, "exec_bodies.so", "data", 4);
		ranq_spec_clear(&spec);
		exec_rig_run(&rig, 0, job, job, 2 * (job - 1), 2 * job);
	}
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 4);
	ck_assert_uint_eq(rig.died_events, 0);
	ck_assert_int_eq(number(3), 3);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(directory_made_again)
{
	uint64_t job;

	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 2);
	for (job = 1; job <= 2; job++) {
		exec_rig_command(&spec, ARGV("touch", "file"));
		spec.cwd = strdup(directory);
		exec_rig_add_job(&rig, job, &spec, NULL, NULL, 0);
		ranq_spec_clear(&spec);
		exec_rig_run(&rig, 0, job, job, job - 1, job);
		exec_rig_until_done(&rig, (unsigned)job);
		ck_assert_msg(exec_rig_file_exists(file), "job %d did not work in its directory", (int)job);
		ck_assert_int_eq(unlink(file), 0);
		ck_assert_int_eq(rmdir(directory), 0);
		ck_assert_int_eq(mkdir(directory, 0700), 0);
	}
	exec_rig_close(&rig);
}
END_TEST

/* However often the long task prints. */
START_TEST(short_before_chatty)
{
	int64_t end = ranq_clock_ms() + RIG_LIMIT_MS;

	exec_rig_command(&spec, ARGV("sh", "-c", "test {} -eq 0 || while :; do echo; sleep 0.002; done"));
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 2);
	exec_rig_add_job(&rig, 1, &spec, NULL, NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_run(&rig, 0, 1, 1, 0, 2);
	while (rig.reported < 1 && ranq_clock_ms() < end)
		exec_rig_turn(&rig, 100);
	ck_assert_uint_eq(rig.reported, 1);
	exec_rig_close(&rig);
}
END_TEST

/* A job that is forgotten right after it was cancelled: its task still has the time to clean up. */
START_TEST(grace_of_a_forgotten_job)
{
	exec_rig_command(
		&spec, ARGV("sh", "-c", "trap 'echo cleaned >>file; exit 1' TERM; echo up >file; while :; do sleep 0.01; done"));
	spec.cwd = strdup(directory);
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 2);
	exec_rig_add_job(&rig, 1, &spec, NULL, NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_run(&rig, 0, 1, 1, 0, 1);
	exec_rig_until(&rig, file_says, (char[]){"up\n"});
	ranq_slot_cancel(rig.slots[0], 1, 60000);
	ranq_slot_drop_job(rig.slots[0], 1);
	exec_rig_until_done(&rig, 1);
	ck_assert_str_eq(read_file(), "up\ncleaned\n");
	ck_assert_uint_eq(rig.reported, 0);
	/* the executor is at hand for the next one */
	exec_rig_command(&spec, ARGV("echo", "{}"));
	exec_rig_add_job(&rig, 2, &spec, NULL, NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_run(&rig, 0, 2, 2, 1, 2);
	exec_rig_until_done(&rig, 2);
	ck_assert_str_eq(exec_rig_text(&rig, 1), "1\n");
	exec_rig_close(&rig);
}
END_TEST

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

static bool child_is_gone(void *unused)
{
	pid_t pid = (pid_t)atol(strchr(read_file(), '\n') + 1);

	(void)unused;
	ck_assert_int_gt(pid, 1);
	return kill(pid, 0) < 0 && errno == ESRCH;
}

START_TEST(exit_leaves_no_child)
{
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 1);
	exec_rig_function(&spec, "leaves_child");
	spec.max_deaths = 1;
	exec_rig_add_job(&rig, 1, &spec, "life.so", file, strlen(file));
	ranq_spec_clear(&spec);
	exec_rig_run(&rig, 0, 1, 1, 0, 1);
	exec_rig_until_done(&rig, 1);
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_DIED);
	ck_assert_int_eq(rig.tasks[0].failure.exit_code, 0);
	exec_rig_until(&rig, child_is_gone, NULL);
	exec_rig_close(&rig);
}
END_TEST

/* Four bridges died with it, and two executors: that is not six of either. */
START_TEST(deaths_of_bridges_are_not_those_of_executors)
{
	const struct ranq_chunk chunk = {.job = 1, .id = 1, .start = 3, .end = 4, .deaths = 4, .end_ms = RANQ_NEVER};
	struct ranq_err err = {0};

	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 4);
	exec_rig_function(&spec, "crash3");
	spec.max_deaths = 2;
	exec_rig_add_job(&rig, 1, &spec, "exec_bodies.so", NULL, 0);
	ranq_spec_clear(&spec);
	ck_assert_msg(ranq_slot_run(rig.slots[0], &chunk, &err) == 0, "%s", err.text);
	exec_rig_until_done(&rig, 1);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	ck_assert_uint_eq(rig.tasks[3].failure.attempts, 6);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(child_returns_from_body)
{
	uint64_t index;

	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 12);
	add_life(1, "both_return");
	exec_rig_run(&rig, 0, 1, 1, 0, 6);
	exec_rig_until_done(&rig, 1);
	exec_rig_run(&rig, 0, 1, 2, 6, 12);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 12);
	for (index = 1; index < 12; index++)
		ck_assert_int_eq(number(index), number(0));
	ck_assert_uint_eq(rig.died_events, 0);
	exec_rig_close(&rig);
}
END_TEST

/* ---- ranq-exec away ---------------------------------------------------------------------------------------------- */

static pid_t guardian(void)
{
	char path[64], text[64] = "";
	FILE *in;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	in = fopen(path, "r");
	ck_assert_ptr_nonnull(in);
	ck_assert_ptr_nonnull(fgets(text, sizeof text, in));
	fclose(in);
	return (pid_t)atoi(text);
}

static void open_with_link(void)
{
	ck_assert_int_eq(symlink(RANQ_TEST_BINDIR "/ranq-exec", file), 0);
	exec_rig_program = file;
	exec_rig_open(&rig, 1, NULL);
	exec_rig_program = NULL;
	unlink(file);
	kill(guardian(), SIGKILL);
}

static bool away(void *unused)
{
	(void)unused;
	return ranq_exec_fd(rig.exec) < 0;
}

START_TEST(fork_server_comes_back)
{
	open_with_link();
	exec_rig_until(&rig, away, NULL);
	exec_rig_command(&spec, ARGV("echo", "{}"));
	exec_rig_expect_tasks(&rig, 3);
	exec_rig_add_job(&rig, 1, &spec, NULL, NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_run(&rig, 0, 1, 1, 0, 3);
	exec_rig_turn(&rig, 10);
	ck_assert_int_eq(symlink(RANQ_TEST_BINDIR "/ranq-exec", file), 0);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 3);
	exec_rig_close(&rig);
}
END_TEST

/* Said once; then there is nothing to wake up for. */
START_TEST(fork_server_stays_away)
{
	int64_t end = ranq_clock_ms() + RIG_LIMIT_MS, left;
	struct ranq_err err = {0};
	unsigned turns = 0;

	open_with_link();
	while (ranq_exec_pump(rig.exec, &err) == 0) {
		struct pollfd fds = {.fd = ranq_exec_fd(rig.exec), .events = POLLIN};

		ck_assert_int_lt(ranq_clock_ms(), end);
		left = ranq_exec_deadline_ms(rig.exec) - ranq_clock_ms();
		poll(&fds, 1, left < 0 ? 0 : left > 1000 ? 1000 : (int)left);
		turns++;
	}
	ck_assert_ptr_nonnull(strstr(err.text, "did not start"));
	ck_assert_uint_lt(turns, 50);
	ck_assert_int_eq(ranq_exec_deadline_ms(rig.exec), RANQ_NEVER);
	ck_assert_int_eq(ranq_exec_pump(rig.exec, &err), 0);
	exec_rig_close(&rig);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_life");
	TCase *t = tcase_create("life");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, init_and_fini);
	tcase_add_test(t, endless_fini);
	tcase_add_test(t, cache_outlives_jobs);
	tcase_add_test(t, large_records_with_files);
	tcase_add_test(t, directory_made_again);
	tcase_add_test(t, short_before_chatty);
	tcase_add_test(t, grace_of_a_forgotten_job);
	tcase_add_test(t, exit_leaves_no_child);
	tcase_add_test(t, deaths_of_bridges_are_not_those_of_executors);
	tcase_add_test(t, child_returns_from_body);
	tcase_add_test(t, fork_server_comes_back);
	tcase_add_test(t, fork_server_stays_away);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

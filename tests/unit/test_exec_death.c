/* Everything that can be killed is killed: no task is lost, none is reported twice, no process is left. */
#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/sweep.h"
#include "support/exec_rig.h"
#include "util/clock.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct exec_rig rig;
static struct ranq_spec spec;
static char flag[64];

static void start(uint64_t tasks, const char *module)
{
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, tasks);
	exec_rig_add_job(&rig, 7, &spec, module, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, tasks);
}

static void run_all(uint64_t tasks, const char *module)
{
	start(tasks, module);
	exec_rig_until_done(&rig, 1);
	ranq_spec_clear(&spec);
}

static void check_reported_once(uint64_t tasks)
{
	uint64_t i;

	ck_assert_uint_eq(rig.reported, tasks);
	for (i = 0; i < tasks; i++)
		ck_assert_uint_eq(rig.tasks[i].seen, 1);
}

static void make_flag(void)
{
	snprintf(flag, sizeof flag, "/tmp/ranq-test-flag-%d", (int)getpid());
	unlink(flag);
}

static void flag_in_environment(void)
{
	char entry[80];
	int n = snprintf(entry, sizeof entry, "FLAG=%s", flag);

	ck_assert_int_eq(ranq_strings_add(&spec.env, entry, (size_t)n), 0);
}

static void one_argument(const char *text)
{
	spec.args = RANQ_ARGS_LISTS;
	spec.lists = calloc(1, sizeof *spec.lists);
	spec.nlists = 1;
	ck_assert_int_eq(ranq_strings_add(&spec.lists[0].values, text, strlen(text)), 0);
}

/* The first child of a process; waits for it. */
static pid_t find_process(pid_t parent)
{
	char path[64], text[256];
	int64_t end = ranq_clock_ms() + RIG_LIMIT_MS;
	pid_t found = 0;

	while (!found && ranq_clock_ms() < end) {
		FILE *file;

		snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
		file = fopen(path, "r");
		if (file && fgets(text, sizeof text, file))
			found = (pid_t)atoi(text);
		if (file)
			fclose(file);
		if (!found)
			exec_rig_turn(&rig, 5);
	}
	ck_assert_int_gt(found, 0);
	return found;
}

static pid_t guardian(void)
{
	return find_process(getpid());
}

START_TEST(crash)
{
	exec_rig_function(&spec, "crash3");
	run_all(100, "exec_bodies.so");
	check_reported_once(100);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 99);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	ck_assert_uint_eq(rig.tasks[3].failure.attempts, 5);
	ck_assert_int_eq(rig.tasks[3].failure.signal, SIGSEGV);
	ck_assert_ptr_nonnull(strstr(rig.tasks[3].failure.reason, "killed by signal 11"));
	ck_assert_uint_eq(rig.died_events, 1);
	ck_assert_uint_lt(rig.tasks[3].failure.elapsed_us, 1000u * RIG_LIMIT_MS);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(exit_in_body)
{
	exec_rig_function(&spec, "exit3");
	spec.max_deaths = 2;
	run_all(10, "exec_bodies.so");
	check_reported_once(10);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	ck_assert_str_eq(rig.tasks[3].failure.reason, "exited with status 0 inside the body");
	ck_assert_uint_eq(rig.tasks[3].failure.attempts, 2);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(stack_overflow)
{
	exec_rig_function(&spec, "overflow3");
	spec.max_deaths = 1;
	run_all(10, "exec_bodies.so");
	check_reported_once(10);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 9);
	exec_rig_close(&rig);
}
END_TEST

/* Many tasks die once each and succeed at their second attempt. */
START_TEST(many_die_once)
{
	uint64_t i;

	exec_rig_function(&spec, "abort_first");
	run_all(50, "exec_bodies.so");
	check_reported_once(50);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 50);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(rig.tasks[i].data[0], i % 5 == 2 ? 2 : 1);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(stray_of_a_dead_body)
{
	exec_rig_function(&spec, "stray");
	spec.max_deaths = 2;
	run_all(6, "exec_bodies.so");
	check_reported_once(6);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(endless_body)
{
	exec_rig_function(&spec, "spin3");
	spec.timeout_ms = 300;
	spec.grace_ms = 100;
	run_all(10, "exec_bodies.so");
	check_reported_once(10);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 9);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(rig.tasks[3].failure.reason, "timed out after"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(endless_body_retried)
{
	exec_rig_function(&spec, "spin3");
	spec.timeout_ms = 100;
	spec.grace_ms = 50;
	spec.retries = 2;
	run_all(10, "exec_bodies.so");
	check_reported_once(10);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_TIMEOUT);
	ck_assert_uint_eq(rig.tasks[3].failure.attempts, 3);
	exec_rig_close(&rig);
}
END_TEST

/* Looks at ranq_task_cancelled: ends by itself, the executor lives. */
START_TEST(polite_body)
{
	exec_rig_function(&spec, "spin3_polite");
	spec.timeout_ms = 200;
	spec.grace_ms = 20000;
	run_all(10, "exec_bodies.so");
	check_reported_once(10);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_TIMEOUT);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 9);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(command_kills_its_executor)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "if [ {} -eq 3 ]; then kill -9 $PPID; sleep 100; fi; echo {}"));
	run_all(10, NULL);
	check_reported_once(10);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 9);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	ck_assert_str_eq(exec_rig_text(&rig, 9), "9\n");
	exec_rig_close(&rig);
}
END_TEST

/* "And worse": the fork server too. */
START_TEST(command_kills_ranq_exec)
{
	exec_rig_command(&spec, ARGV("sh", "-c",
					"if [ {} -eq 3 ]; then kill -9 $(sed 's/.*) . //' /proc/$PPID/stat | cut -d' ' "
					"-f1); sleep 100; fi; echo {}"));
	spec.max_deaths = 3;
	run_all(10, NULL);
	check_reported_once(10);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 9);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	ck_assert_ptr_nonnull(strstr(rig.tasks[3].failure.reason, "ranq-exec"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(executor_killed_at_work)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "echo {}; sleep 0.02; setsid sleep 1000 & :"));
	start(40, NULL);
	while (rig.reported < 10)
		exec_rig_turn(&rig, 100);
	kill(find_process(guardian()), SIGKILL);
	exec_rig_until_done(&rig, 1);
	check_reported_once(40);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 40);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(executor_killed_idle)
{
	exec_rig_command(&spec, ARGV("echo", "{}"));
	start(1, NULL);
	exec_rig_until_done(&rig, 1);
	kill(find_process(guardian()), SIGKILL);
	exec_rig_turn(&rig, 200);
	exec_rig_run(&rig, 0, 7, 2, 0, 1);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 2);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(ranq_exec_killed_at_work)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "echo {}; sleep 0.02; sleep 1000 & setsid sleep 1000 & :"));
	start(40, NULL);
	while (rig.reported < 10)
		exec_rig_turn(&rig, 100);
	kill(guardian(), SIGKILL);
	exec_rig_until_done(&rig, 1);
	check_reported_once(40);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 40);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

/* A stopped executor cannot end its own command: the slot does. */
START_TEST(executor_stopped)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "if [ {} -eq 1 ]; then kill -STOP $PPID; sleep 1000; fi; echo {}"));
	spec.timeout_ms = 1000;
	spec.grace_ms = 100;
	run_all(3, NULL);
	check_reported_once(3);
	ck_assert_int_eq(rig.tasks[1].status, RANQ_TASK_TIMEOUT);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 2);
	exec_rig_close(&rig);
}
END_TEST

/* The rank itself is killed: its guardian leaves nothing behind. */
START_TEST(rank_killed)
{
	char mark[64];
	int pipe_fds[2];
	int64_t end;
	pid_t rank;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	rank = fork();
	if (!rank) {
		exec_rig_command(&spec,
			ARGV("sh", "-c",
				"sleep 1000 & setsid sleep 1000 & env -i setsid sleep 1000 & echo on; sleep 1000"));
		start(1, NULL);
		exec_rig_turn(&rig, 300);
		exec_rig_turn(&rig, 300);
		if (write(pipe_fds[1], rig.mark, sizeof mark) < 0)
			_exit(1);
		for (;;)
			exec_rig_turn(&rig, 1000);
	}
	ck_assert_int_eq(read(pipe_fds[0], mark, sizeof mark), sizeof mark);
	for (end = ranq_clock_ms() + RIG_LIMIT_MS; ranq_sweep_pass(mark, 0) < 5 && ranq_clock_ms() < end;)
		poll(NULL, 0, 2);
	ck_assert_uint_ge(ranq_sweep_pass(mark, 0), 5); /* ranq-exec, executor, sh and two sleeps */
	kill(rank, SIGKILL);
	waitpid(rank, NULL, 0);
	snprintf(rig.mark, sizeof rig.mark, "%s", mark);
	exec_rig_check_no_process(&rig);
}
END_TEST

/* ---- bodies that write where they should not ------------------------------------------------------------------------
 */

START_TEST(vandal_socket)
{
	exec_rig_function(&spec, "vandal_socket");
	spec.max_deaths = 2;
	run_all(10, "exec_bodies.so");
	check_reported_once(10);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 9);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	exec_rig_close(&rig);
}
END_TEST

/* Nobody can tell any more which task ran: some task is blamed, but all end, and nothing outside is touched. */
START_TEST(vandal_page)
{
	exec_rig_function(&spec, "vandal_page");
	spec.max_deaths = 2;
	run_all(5, "exec_bodies.so");
	check_reported_once(5);
	ck_assert_uint_ge(rig.counts[RANQ_TASK_DIED], 1);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(closes_all)
{
	exec_rig_function(&spec, "close_all");
	spec.max_deaths = 2;
	run_all(6, "exec_bodies.so");
	check_reported_once(6);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 5);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_DIED);
	exec_rig_close(&rig);
}
END_TEST

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Hundreds of executors later the rank has no descriptor more. */
START_TEST(descriptors_are_given_back)
{
	unsigned before;

	exec_rig_function(&spec, "abort_first");
	start(10, "exec_bodies.so");
	exec_rig_until_done(&rig, 1);
	before = open_descriptors();
	exec_rig_run(&rig, 0, 7, 2, 10, 500);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 500);
	ck_assert_uint_le(open_descriptors(), before);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(few_descriptors)
{
	struct rlimit limit = {.rlim_cur = 24, .rlim_max = 24};

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	exec_rig_command(&spec, ARGV("echo", "{}"));
	run_all(50, NULL);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 50);
	exec_rig_close(&rig);
}
END_TEST

/* Many jobs of one module, one after the other in one executor, none dropped yet: each had two. */
START_TEST(descriptors_of_many_jobs)
{
	const struct rlimit few = {.rlim_cur = 40, .rlim_max = 40};
	int64_t first = 0, process;
	uint64_t job;

	exec_rig_files = &few;
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 1);
	exec_rig_function(&spec, "process");
	for (job = 1; job <= 60; job++) {
		exec_rig_add_job(&rig, job, &spec, "exec_bodies.so", "x", 1);
		exec_rig_run(&rig, 0, job, job, 0, 1);
		exec_rig_until_done(&rig, (unsigned)job);
		ck_assert_uint_eq(rig.tasks[0].len, sizeof process);
		memcpy(&process, rig.tasks[0].data, sizeof process);
		first = job == 1 ? process : first;
		ck_assert_int_eq(process, first);
	}
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 60);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
	exec_rig_files = NULL;
}
END_TEST

/* No process can be started: the task waits and then says so; the rank lives. */
START_TEST(no_more_processes)
{
	struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
	int64_t begun = ranq_clock_ms();

	if (getuid() == 0)
		return; /* root has no such limit */
	exec_rig_command(&spec, ARGV("echo", "{}"));
	start(1, NULL);
	exec_rig_until_done(&rig, 1);
	ck_assert_int_eq(prlimit(find_process(guardian()), RLIMIT_NPROC, &limit, NULL), 0);
	exec_rig_run(&rig, 0, 7, 2, 0, 1);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 1);
	ck_assert_ptr_nonnull(strstr(rig.tasks[0].failure.reason, "cannot start a process"));
	ck_assert_int_ge(ranq_clock_ms() - begun, 9000);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

/* ---- told to stop ------------------------------------------------------------------------------------------------ */

START_TEST(cancel_command)
{
	make_flag();
	exec_rig_command(&spec,
		ARGV("sh", "-c",
			"if [ {} -eq 2 ]; then trap '' TERM; touch $FLAG; while :; do sleep 1; done; fi; echo {}"));
	flag_in_environment();
	start(10, NULL);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ranq_slot_cancel(rig.slots[0], 7, 100);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.reported, 2);
	ck_assert_uint_eq(rig.last_upto, 2);
	ck_assert_uint_eq(ranq_slot_queued(rig.slots[0]), 0);
	/* the slot goes on with other work */
	ranq_slot_drop_job(rig.slots[0], 7);
	ranq_spec_clear(&spec);
	exec_rig_command(&spec, ARGV("echo", "{}"));
	exec_rig_add_job(&rig, 8, &spec, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 8, 2, 5, 10);
	exec_rig_until_done(&rig, 2);
	ck_assert_str_eq(exec_rig_text(&rig, 9), "9\n");
	ranq_spec_clear(&spec);
	unlink(flag);
	exec_rig_close(&rig);
}
END_TEST

/* A body that never looks: its executor is killed, and that is no death. */
START_TEST(cancel_function)
{
	make_flag();
	exec_rig_function(&spec, "touch_and_spin");
	one_argument(flag);
	start(1, "exec_bodies.so");
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ranq_slot_cancel(rig.slots[0], 7, 100);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.reported, 0);
	ck_assert_uint_eq(rig.died_events, 0);
	ranq_spec_clear(&spec);
	unlink(flag);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(cancel_one_of_two_jobs)
{
	make_flag();
	exec_rig_command(&spec, ARGV("sh", "-c", "touch $FLAG; sleep 1000"));
	flag_in_environment();
	start(5, NULL);
	ranq_spec_clear(&spec);
	exec_rig_command(&spec, ARGV("echo", "{}"));
	exec_rig_add_job(&rig, 8, &spec, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 8, 2, 0, 5);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ranq_slot_cancel(rig.slots[0], 7, 1000);
	exec_rig_until_done(&rig, 2);
	check_reported_once(5);
	ck_assert_str_eq(exec_rig_text(&rig, 4), "4\n");
	ranq_spec_clear(&spec);
	unlink(flag);
	exec_rig_close(&rig);
}
END_TEST

/* Drain: the task may end by itself within its time, and then counts. */
START_TEST(warn_lets_end)
{
	make_flag();
	exec_rig_command(
		&spec, ARGV("sh", "-c", "trap 'echo saved; exit 0' USR1; touch $FLAG; while :; do sleep 0.01; done"));
	flag_in_environment();
	start(5, NULL);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ranq_slot_warn(rig.slots[0], SIGUSR1, 10000);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.last_upto, 1);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "saved\n");
	ranq_spec_clear(&spec);
	unlink(flag);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(warn_kills_in_the_end)
{
	int64_t begun;

	make_flag();
	exec_rig_command(&spec, ARGV("sh", "-c", "touch $FLAG; exec sleep 1000"));
	flag_in_environment();
	start(5, NULL);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	begun = ranq_clock_ms();
	ranq_slot_warn(rig.slots[0], 0, 300);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.last_upto, 0);
	ck_assert_uint_eq(rig.reported, 0);
	ck_assert_int_ge(ranq_clock_ms() - begun, 290);
	ranq_spec_clear(&spec);
	unlink(flag);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(warn_function)
{
	make_flag();
	exec_rig_function(&spec, "wait_stop");
	one_argument(flag);
	start(1, "exec_bodies.so");
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ranq_slot_warn(rig.slots[0], SIGUSR1, 10000);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.reported, 0); /* it left because it was told to */
	ranq_spec_clear(&spec);
	unlink(flag);
	exec_rig_close(&rig);
}
END_TEST

/* Of many tasks the first five end, and number 5 waits until the flag is gone. */
static void start_up_to_task_5(void)
{
	make_flag();
	exec_rig_command(&spec,
		ARGV("sh", "-c", "[ {} != 5 ] || { touch $FLAG; while [ -e $FLAG ]; do sleep 0.01; done; }; echo {}"));
	flag_in_environment();
	start(1000, NULL);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
}

static void go_on(void)
{
	exec_rig_turn(&rig, 0);
	ck_assert_int_eq(unlink(flag), 0);
}

START_TEST(truncate_running)
{
	uint64_t i;

	start_up_to_task_5();
	ranq_slot_truncate(rig.slots[0], 1, 10);
	go_on();
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.last_upto, 10);
	for (i = 0; i < 10; i++)
		ck_assert_uint_eq(rig.tasks[i].seen, 1);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(truncate_passed)
{
	start_up_to_task_5();
	ranq_slot_truncate(rig.slots[0], 1, 0);
	go_on();
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.last_upto, 6);
	ck_assert_uint_eq(rig.reported, rig.last_upto);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

/* Behind another chunk, not begun: it ends where it starts. */
START_TEST(truncate_queued)
{
	make_flag();
	exec_rig_command(&spec,
		ARGV("sh", "-c", "[ {} != 0 ] || { touch $FLAG; while [ -e $FLAG ]; do sleep 0.01; done; }; echo {}"));
	flag_in_environment();
	start(2, NULL);
	exec_rig_run(&rig, 0, 7, 2, 2, 4);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ranq_slot_truncate(rig.slots[0], 2, 2);
	go_on();
	exec_rig_until_done(&rig, 2);
	check_reported_once(2);
	ck_assert_uint_eq(rig.last_upto, 2);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_death");
	TCase *t = tcase_create("deaths");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, crash);
	tcase_add_test(t, exit_in_body);
	tcase_add_test(t, stack_overflow);
	tcase_add_test(t, many_die_once);
	tcase_add_test(t, stray_of_a_dead_body);
	tcase_add_test(t, endless_body);
	tcase_add_test(t, endless_body_retried);
	tcase_add_test(t, polite_body);
	tcase_add_test(t, command_kills_its_executor);
	tcase_add_test(t, command_kills_ranq_exec);
	tcase_add_test(t, executor_killed_at_work);
	tcase_add_test(t, executor_killed_idle);
	tcase_add_test(t, ranq_exec_killed_at_work);
	tcase_add_test(t, executor_stopped);
	tcase_add_test(t, rank_killed);
	tcase_add_test(t, vandal_socket);
	tcase_add_test(t, vandal_page);
	tcase_add_test(t, closes_all);
	tcase_add_test(t, descriptors_are_given_back);
	tcase_add_test(t, few_descriptors);
	tcase_add_test(t, descriptors_of_many_jobs);
	tcase_add_test(t, no_more_processes);
	tcase_add_test(t, cancel_command);
	tcase_add_test(t, cancel_function);
	tcase_add_test(t, cancel_one_of_two_jobs);
	tcase_add_test(t, warn_lets_end);
	tcase_add_test(t, warn_kills_in_the_end);
	tcase_add_test(t, warn_function);
	tcase_add_test(t, truncate_running);
	tcase_add_test(t, truncate_passed);
	tcase_add_test(t, truncate_queued);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

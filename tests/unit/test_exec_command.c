/* Commands through a fork server and a slot, as a rank runs them. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/cpus.h"
#include "record/input.h"
#include "support/exec_rig.h"
#include "util/clock.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct exec_rig rig;
static struct ranq_spec spec;

/* One that we may use: not number 0 wherever tests run. */
static const char *some_cpu(void)
{
	static char list[256];

	ck_assert_int_eq(ranq_cpus_current(list, sizeof list, NULL), 0);
	snprintf(list, sizeof list, "%d", atoi(list));
	return list;
}

static void run_all(uint64_t tasks, const char *cpus)
{
	exec_rig_open(&rig, 1, cpus);
	exec_rig_expect_tasks(&rig, tasks);
	exec_rig_add_job(&rig, 7, &spec, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, tasks);
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

START_TEST(echo)
{
	exec_rig_command(&spec, ARGV("echo", "{}", "{#}", "a b"));
	run_all(3, NULL);
	check_reported_once(3);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "0 1 a b\n");
	ck_assert_str_eq(exec_rig_text(&rig, 2), "2 3 a b\n");
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 3);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(exit_codes)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "echo out {}; echo err {} >&2; exit {}"));
	run_all(3, NULL);
	check_reported_once(3);
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_OK);
	ck_assert(!rig.tasks[0].has_failure);
	ck_assert_int_eq(rig.tasks[2].status, RANQ_TASK_ERROR);
	ck_assert_str_eq(exec_rig_text(&rig, 2), "out 2\n");
	ck_assert_str_eq(rig.tasks[2].failure.reason, "exit status 2");
	ck_assert_int_eq(rig.tasks[2].failure.exit_code, 2);
	ck_assert_int_eq(rig.tasks[2].failure.signal, 0);
	ck_assert_uint_eq(rig.tasks[2].failure.attempts, 1);
	ck_assert_str_eq(rig.tasks[2].failure.worker, "bridge/1");
	ck_assert_str_eq(rig.tasks[2].tail, "err 2\n");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(signals)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "kill -9 $$"));
	run_all(1, NULL);
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_ERROR);
	ck_assert_int_eq(rig.tasks[0].failure.signal, SIGKILL);
	ck_assert_int_eq(rig.tasks[0].failure.exit_code, -1);
	ck_assert_ptr_nonnull(strstr(rig.tasks[0].failure.reason, "killed by signal 9"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(shell_word)
{
	exec_rig_command(&spec, ARGV("echo {} | tr 1 x; echo $RANQ_TASK"));
	spec.shell = true;
	run_all(2, NULL);
	ck_assert_str_eq(exec_rig_text(&rig, 1), "x\n1\n");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(environment)
{
	char cpus[300];

	setenv("OMPI_COMM_WORLD_RANK", "0", 1);
	setenv("PMIX_RANK", "0", 1);
	setenv("RANQ_PASSWORD_FILE", "/nowhere", 1);
	setenv("SLURM_JOB_ID", "77", 1);
	exec_rig_command(&spec, ARGV("env"));
	ranq_strings_add(&spec.env, "MINE=yes", 8);
	ranq_strings_add(&spec.env, "RANQ_TASK=fake", 14);
	spec.seed = 1;
	run_all(2, some_cpu());
	snprintf(cpus, sizeof cpus, "RANQ_CPUS=%s\n", some_cpu());
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "MINE=yes\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_JOB=q/7\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_QUEUE=q\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_TASK=1\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_SEQ=2\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_ARG=1\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_ATTEMPT=1\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_SEED="));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_WORKER=bridge/1\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "RANQ_RANK=1\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), cpus));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "OMP_NUM_THREADS=1\n"));
	ck_assert_ptr_nonnull(strstr(exec_rig_text(&rig, 1), "SLURM_JOB_ID=77\n"));
	ck_assert_ptr_null(strstr(exec_rig_text(&rig, 1), "OMPI_COMM"));
	ck_assert_ptr_null(strstr(exec_rig_text(&rig, 1), "PMIX_"));
	ck_assert_ptr_null(strstr(exec_rig_text(&rig, 1), "RANQ_PASSWORD"));
	ck_assert_ptr_null(strstr(exec_rig_text(&rig, 1), "fake"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(pinning)
{
	char line[300];

	exec_rig_command(&spec, ARGV("sh", "-c", "grep Cpus_allowed_list /proc/self/status"));
	run_all(1, some_cpu());
	snprintf(line, sizeof line, "Cpus_allowed_list:\t%s\n", some_cpu());
	ck_assert_str_eq(exec_rig_text(&rig, 0), line);
	exec_rig_close(&rig);
}
END_TEST

/* Nothing of ours is open in a task, its signals are as a shell expects them, and it leads its own process group. */
START_TEST(clean_surroundings)
{
	unsigned long long blocked, ignored;

	signal(SIGPIPE, SIG_IGN);
	exec_rig_command(&spec,
		ARGV("sh", "-c",
			"ls /proc/self/fd | tr '\\n' ' '; grep -E '^(SigBlk|SigIgn)' /proc/self/status | tr -d '\\n'"));
	run_all(1, NULL);
	ck_assert_int_eq(sscanf(exec_rig_text(&rig, 0), "0 1 2 3 SigBlk:\t%llxSigIgn:\t%llx", &blocked, &ignored), 2);
	ck_assert_uint_eq(blocked, 0);
	ck_assert_uint_eq(ignored & 0x7fffffff, 0); /* 32 and 33 belong to the C library */
	exec_rig_close(&rig);
}
END_TEST

START_TEST(standard_input)
{
	char path[] = "/tmp/ranq-test-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, "given\n", 6), 6);
	close(fd);
	exec_rig_command(&spec, ARGV("cat"));
	spec.stdin_path = strdup(path);
	run_all(2, NULL);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "given\n");
	ck_assert_str_eq(exec_rig_text(&rig, 1), "given\n");
	unlink(path);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(standard_input_default)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "cat; echo end"));
	run_all(1, NULL);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "end\n");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(directory)
{
	exec_rig_command(&spec, ARGV("pwd"));
	spec.cwd = strdup("/proc");
	run_all(1, NULL);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "/proc\n");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(directory_missing)
{
	char host[64] = "";

	gethostname(host, sizeof host - 1);
	exec_rig_command(&spec, ARGV("pwd"));
	spec.cwd = strdup("/no/such/directory");
	run_all(3, NULL);
	check_reported_once(3);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 3);
	ck_assert_ptr_nonnull(strstr(rig.tasks[2].failure.reason, "'/no/such/directory'"));
	ck_assert_ptr_nonnull(strstr(rig.tasks[2].failure.reason, host));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(program_missing)
{
	exec_rig_command(&spec, ARGV("no-such-program"));
	run_all(2, NULL);
	ck_assert_int_eq(rig.tasks[1].status, RANQ_TASK_ERROR);
	ck_assert_int_eq(rig.tasks[1].failure.exit_code, 127);
	ck_assert_str_eq(rig.tasks[1].failure.reason, "cannot execute 'no-such-program': No such file or directory");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(program_not_executable)
{
	exec_rig_command(&spec, ARGV("/etc/passwd"));
	run_all(1, NULL);
	ck_assert_int_eq(rig.tasks[0].failure.exit_code, 126);
	ck_assert_str_eq(rig.tasks[0].failure.reason, "cannot execute '/etc/passwd': Permission denied");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(script_without_interpreter)
{
	char path[] = "/tmp/ranq-test-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, "echo script $1\n", 15), 15);
	fchmod(fd, 0700);
	close(fd);
	exec_rig_command(&spec, ARGV(path, "{}"));
	run_all(2, NULL);
	ck_assert_str_eq(exec_rig_text(&rig, 1), "script 1\n");
	unlink(path);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(long_output)
{
	exec_rig_command(&spec, ARGV("head", "-c", "1000000", "/dev/zero"));
	run_all(2, NULL);
	ck_assert_uint_eq(rig.tasks[1].len, 1000000);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 2);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(output_flood)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "yes; echo never"));
	spec.max_output = 100000;
	run_all(2, NULL);
	check_reported_once(2);
	ck_assert_int_eq(rig.tasks[1].status, RANQ_TASK_ERROR);
	ck_assert_uint_eq(rig.tasks[1].len, 100000);
	ck_assert_ptr_nonnull(strstr(rig.tasks[1].failure.reason, "output exceeds"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(error_flood)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x >&2; echo last >&2; exit 1"));
	run_all(1, NULL);
	ck_assert_uint_le(strlen(rig.tasks[0].tail), 6144);
	ck_assert_uint_gt(strlen(rig.tasks[0].tail), 6000);
	ck_assert_str_eq(rig.tasks[0].tail + strlen(rig.tasks[0].tail) - 6, "xlast\n");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(time_out_ignored_term)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "trap '' TERM; echo begun; while :; do sleep 1; done"));
	spec.timeout_ms = 1000;
	spec.grace_ms = 200;
	run_all(1, NULL);
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_TIMEOUT);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "begun\n");
	ck_assert_ptr_nonnull(strstr(rig.tasks[0].failure.reason, "timed out after"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(time_out_others_go_on)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "test {} -ne 1 || sleep 1000; echo {}"));
	spec.timeout_ms = 1000;
	run_all(3, NULL);
	check_reported_once(3);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 2);
	ck_assert_int_eq(rig.tasks[1].status, RANQ_TASK_TIMEOUT);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(retries)
{
	exec_rig_command(&spec,
		ARGV("sh", "-c", "echo $RANQ_ATTEMPT; test $RANQ_ATTEMPT -ge 3 -o {} -eq 1 -a $RANQ_ATTEMPT -eq 9"));
	spec.retries = 2;
	run_all(2, NULL);
	check_reported_once(2);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "3\n");
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_OK);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(retries_used_up)
{
	exec_rig_command(&spec, ARGV("false"));
	spec.retries = 4;
	run_all(1, NULL);
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_ERROR);
	ck_assert_uint_eq(rig.tasks[0].failure.attempts, 5);
	exec_rig_close(&rig);
}
END_TEST

/* A background process of the task's group dies with the task; one that left the group holds the pipe, but nobody waits
 * for it. */
START_TEST(daemons_hold_the_pipe)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "sleep 1000 & setsid sleep 1000 & sleep 0.05; echo done"));
	run_all(3, NULL);
	check_reported_once(3);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 3);
	ck_assert_str_eq(exec_rig_text(&rig, 2), "done\n");
	exec_rig_close(&rig); /* checks that the daemons are gone */
}
END_TEST

START_TEST(many_quick)
{
	uint64_t i;
	char text[32];

	exec_rig_command(&spec, ARGV("/bin/echo", "{}"));
	run_all(3000, NULL);
	check_reported_once(3000);
	for (i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, "%llu\n", (unsigned long long)i);
		ck_assert_str_eq(exec_rig_text(&rig, i), text);
	}
	exec_rig_close(&rig);
}
END_TEST

START_TEST(results_not_kept)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "echo {}; exit $(({} % 2))"));
	spec.results = RANQ_RESULTS_COUNT;
	run_all(10, NULL);
	check_reported_once(10);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 5);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 5);
	ck_assert_uint_eq(rig.tasks[0].len, 0);
	ck_assert_str_eq(rig.tasks[3].failure.reason, "exit status 1");
	exec_rig_close(&rig);
}
END_TEST

/* A short task's result does not wait for the long task behind it. */
START_TEST(short_before_long)
{
	int64_t end = ranq_clock_ms() + RIG_LIMIT_MS;

	exec_rig_command(&spec, ARGV("sh", "-c", "test {} -eq 0 || sleep 1000"));
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 2);
	exec_rig_add_job(&rig, 7, &spec, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, 2);
	while (rig.reported < 1 && ranq_clock_ms() < end)
		exec_rig_turn(&rig, 100);
	ck_assert_uint_eq(rig.reported, 1);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(two_chunks_two_slots)
{
	exec_rig_command(&spec, ARGV("echo", "{}"));
	exec_rig_open(&rig, 2, NULL);
	exec_rig_expect_tasks(&rig, 40);
	exec_rig_add_job(&rig, 7, &spec, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, 10);
	exec_rig_run(&rig, 0, 7, 2, 10, 20);
	exec_rig_run(&rig, 1, 7, 3, 20, 30);
	exec_rig_run(&rig, 1, 7, 4, 30, 40);
	ck_assert_uint_eq(ranq_slot_queued(rig.slots[0]), 2);
	exec_rig_until_done(&rig, 4);
	check_reported_once(40);
	ck_assert_str_eq(exec_rig_text(&rig, 39), "39\n");
	ck_assert_uint_eq(ranq_slot_queued(rig.slots[0]), 0);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(input_lines)
{
	struct ranq_input_writer writer;
	struct ranq_chunk chunk = {.job = 7, .id = 1, .start = 100, .end = 104, .end_ms = RANQ_NEVER};
	struct ranq_buf block;
	const char *lines[] = {"one", "", "three", "4"};
	unsigned i;

	exec_rig_command(&spec, ARGV("echo", "<{}>"));
	spec.args = RANQ_ARGS_INPUT;
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 104);
	exec_rig_add_job(&rig, 7, &spec, NULL, NULL, 0);
	ranq_input_writer_init(&writer);
	ranq_buf_init(&block, 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(ranq_input_writer_add(&writer, lines[i], strlen(lines[i]), NULL), 1);
	ck_assert_int_eq(ranq_input_writer_finish(&writer, &block), 0);
	chunk.input = (struct ranq_bytes){block.data, block.len};
	ck_assert_int_eq(ranq_slot_run(rig.slots[0], &chunk, NULL), 0);
	ranq_buf_clear(&block);
	ranq_input_writer_clear(&writer);
	exec_rig_until_done(&rig, 1);
	ck_assert_str_eq(exec_rig_text(&rig, 100), "<one>\n");
	ck_assert_str_eq(exec_rig_text(&rig, 101), "<>\n");
	ck_assert_str_eq(exec_rig_text(&rig, 103), "<4>\n");
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_command");
	TCase *t = tcase_create("commands");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, echo);
	tcase_add_test(t, exit_codes);
	tcase_add_test(t, signals);
	tcase_add_test(t, shell_word);
	tcase_add_test(t, environment);
	tcase_add_test(t, pinning);
	tcase_add_test(t, clean_surroundings);
	tcase_add_test(t, standard_input);
	tcase_add_test(t, standard_input_default);
	tcase_add_test(t, directory);
	tcase_add_test(t, directory_missing);
	tcase_add_test(t, program_missing);
	tcase_add_test(t, program_not_executable);
	tcase_add_test(t, script_without_interpreter);
	tcase_add_test(t, long_output);
	tcase_add_test(t, output_flood);
	tcase_add_test(t, error_flood);
	tcase_add_test(t, time_out_ignored_term);
	tcase_add_test(t, time_out_others_go_on);
	tcase_add_test(t, retries);
	tcase_add_test(t, retries_used_up);
	tcase_add_test(t, daemons_hold_the_pipe);
	tcase_add_test(t, many_quick);
	tcase_add_test(t, results_not_kept);
	tcase_add_test(t, short_before_long);
	tcase_add_test(t, two_chunks_two_slots);
	tcase_add_test(t, input_lines);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

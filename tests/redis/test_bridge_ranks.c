/* Ranks of a bridge that leave, lag or get too much: what becomes of their work. A whole bridge in one process, as in
 * test_bridge.c. */
#include "tests/support/bridge_rig.h" /* first: check.h has a macro `fail`, which is a name in ranq.h */

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/proxy_impl.h"
#include "exec/cpus.h"
#include "util/clock.h"

static struct bridge_rig rig;

static void setup(void)
{
	rig_start(&rig, 1);
}

static void teardown(void)
{
	rig_stop(&rig);
}

static void finish(uint64_t job, uint64_t tasks)
{
	struct ranq_job_info info;

	rig_until(&rig, rig_job_ended, job);
	info = rig_info(&rig, job);
	ck_assert_msg(info.state == RANQ_JOB_COMPLETE, "%s: %s", ranq_job_state_name(info.state), info.reason);
	ck_assert_uint_eq(info.counts[RANQ_TASK_OK], tasks);
}

static bool time_is_over(struct bridge_rig *r, uint64_t until_ms)
{
	(void)r;
	return ranq_clock_ms() >= (int64_t)until_ms;
}

/* Tasks 0 to n - 1 of wait_for_go run. */
static bool begun(struct bridge_rig *r, uint64_t n)
{
	char path[160];

	while (n-- > 0) {
		snprintf(path, sizeof path, "%s/begun.%llu", r->server.dir, (unsigned long long)n);
		if (access(path, F_OK) != 0)
			return false;
	}
	return true;
}

static bool done_at_least_4(struct bridge_rig *r, uint64_t job)
{
	return rig_info(r, job).done >= 4;
}

static void touch(const char *name)
{
	char command[160];

	snprintf(command, sizeof command, "touch %s/%s", rig.server.dir, name);
	ck_assert_int_eq(system(command), 0);
}

/* A command of tasks that print their index as soon as DIR/go is there. */
static const char *const *wait_for_go(void)
{
	static char command[400];
	static const char *argv[] = {"sh", "-c", command, NULL};

	snprintf(command, sizeof command,
		"touch %s/begun.$RANQ_TASK; until [ -e %s/go ]; do sleep 0.05; done; echo $RANQ_TASK", rig.server.dir,
		rig.server.dir);
	return argv;
}

static void say_number(int rank, enum ranq_message_type type, uint64_t number)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_number_encode(&buf, type, number);
	ck_assert_int_eq(ranq_link_send(rig.links[rank], 0, &buf, NULL), 0);
	ranq_link_flush(rig.links[rank]);
}

/* It is alive (its last word came), but computes no more: its work goes to the other one, long before a lease is over
 * and without blame. */
START_TEST(a_rank_that_says_goodbye)
{
	uint64_t job = rig_command(&rig, 2, wait_for_go());

	rig_lease(&rig, 1000000);
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, begun, 2);
	ck_assert_int_eq(rig.ranks[0].proxy->lease_ms, 1000000);
	say_number(2, RANQ_MESSAGE_GOODBYE, 0);
	rig.cut[2] = true;
	touch("go");
	finish(job, 2);
	rig_expect_lines(&rig, NULL, job, 2);
	ck_assert_uint_eq(rig_info(&rig, job).deaths, 0);
}
END_TEST

START_TEST(all_ranks_say_goodbye)
{
	uint64_t job = rig_command(&rig, 2, wait_for_go());

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, begun, 2);
	for (int r = 1; r < 3; r++) {
		say_number(r, RANQ_MESSAGE_GOODBYE, 1);
		rig.cut[r] = true;
	}
	rig_until(&rig, rig_over, 0);
	ck_assert_int_eq(rig_status(&rig), 1);
	ck_assert_uint_eq(rig_bridges(&rig), 0);
	ck_assert_uint_eq(rig_info(&rig, job).leased, 0);
}
END_TEST

static void drain(void)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_drain_cmd(&rig.queue, &cmd, "all"), 0);
	ck_assert_int_eq(ranq_conn_call(rig.conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

/* `ranq drain` lets running tasks end, also when the server is away for a while meanwhile. */
START_TEST(polite_drain_without_server)
{
	uint64_t job = rig_command(&rig, 2, wait_for_go());

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, begun, 2);
	drain();
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 1000); /* a heartbeat tells of the drain */
	test_redis_kill(&rig.server);
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 700); /* the loss is noticed */
	test_redis_restart(&rig.server);
	touch("go");
	rig_until(&rig, rig_over, 0);
	ck_assert_int_eq(rig_status(&rig), 0);
	ck_assert_uint_eq(rig_info(&rig, job).done, 2);
	rig_expect_lines(&rig, NULL, job, 2);
}
END_TEST

static void notice(int rank, int sig)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_notice_encode(
		&buf, &(struct ranq_message_notice){.kind = RANQ_NOTICE_SIGNAL, .value = (uint64_t)sig});
	ck_assert_int_eq(ranq_link_send(rig.links[rank], 0, &buf, NULL), 0);
	ranq_link_flush(rig.links[rank]);
}

/* TERM to all ranks, a worker's first: that is one TERM, and the tasks have their grace. */
START_TEST(one_term_to_all_ranks)
{
	uint64_t job = rig_command(&rig, 2, wait_for_go());

	rig.options.grace_ms = 20000;
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, begun, 2);
	notice(2, SIGTERM);
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 200);
	ranq_proxy_signal(rig.ranks[0].proxy, SIGTERM);
	notice(1, SIGTERM);
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 300);
	ck_assert(!rig_over(&rig, 0));
	touch("go");
	rig_until(&rig, rig_over, 0);
	ck_assert_int_eq(rig_status(&rig), 0);
	ck_assert_uint_eq(rig_info(&rig, job).done, 2);
}
END_TEST

/* The second one hurries. */
START_TEST(two_terms)
{
	uint64_t job = rig_command(&rig, 2, wait_for_go());

	rig.options.grace_ms = 20000;
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, begun, 2);
	ranq_proxy_signal(rig.ranks[0].proxy, SIGTERM);
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 2100);
	ck_assert(!rig_over(&rig, 0));
	ranq_proxy_signal(rig.ranks[0].proxy, SIGTERM);
	rig_until(&rig, rig_over, 0);
	ck_assert_uint_eq(rig_info(&rig, job).done, 0);
	ck_assert_uint_eq(rig_info(&rig, job).leased, 0);
}
END_TEST

/* The largest output that is allowed fits through everything. */
START_TEST(the_largest_output)
{
	static const char *const argv[] = {"head", "-c", "268435456", "/dev/zero", NULL};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	uint64_t job;

	options.command = argv;
	options.tasks = 1;
	options.max_output_bytes = (uint64_t)256 << 20;
	options.backlog_bytes = (uint64_t)1 << 30;
	job = rig_submit(&rig, NULL, &options);
	rig_bridge(&rig, 2, NULL, 1);
	finish(job, 1);
}
END_TEST

/* Threads of a task: the cores that its executor is bound to, not their hardware threads. */
START_TEST(threads_by_cores)
{
	static const char *const argv[] = {"sh", "-c", "[ $OMP_NUM_THREADS = 3 ] && echo $RANQ_TASK", NULL};
	char cpus[256];
	struct ranq_placement placement = {.cpus = cpus, .numa_node = -1, .ncpus = 6, .ncores = 3};
	uint64_t job = rig_command(&rig, 1, argv);

	ck_assert_int_eq(ranq_cpus_current(cpus, sizeof cpus, NULL), 0);
	rig.placements = &placement;
	rig_bridge(&rig, 2, NULL, 1);
	finish(job, 1);
}
END_TEST

static bool leased_exactly(struct bridge_rig *r, uint64_t n)
{
	return rig_info(r, 1).leased == n;
}

/* Nobody knows yet how long the tasks take, but they run for seconds: what waits behind them is for other bridges. */
START_TEST(long_tasks_are_left_to_others)
{
	uint64_t job = rig_command(&rig, 8, wait_for_go());

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, begun, 2);
	rig_until(&rig, leased_exactly, 2);
	/* nor are they taken again */
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 500);
	ck_assert_uint_eq(rig_info(&rig, job).leased, 2);
	touch("go");
	finish(job, 8);
	rig_expect_lines(&rig, NULL, job, 8);
}
END_TEST

/* 40 tasks of 0.2 s lie within one chunk of very short ones: the other worker gets of them, too. That is 4 s at best, and never
 * less than 8 s one after the other; a busy machine may need more than one try to show it. */
START_TEST(a_patch_of_slow_tasks)
{
	int64_t begin, took = 8000;

	rig_bridge(&rig, 3, NULL, 1);
	for (int tries = 0; took >= 7600 && tries < 5; tries++) {
		uint64_t job = rig_function(&rig, 200000, "sleepy.so", "sleepy_patch");

		begin = ranq_clock_ms();
		finish(job, 200000);
		took = ranq_clock_ms() - begin;
		rig_expect_int64(&rig, job, 200000);
	}
	ck_assert_int_lt(took, 7600);
}
END_TEST

/* The first tasks tell that a task needs 0.6 s. Later ones keep all lanes busy to the end; what waits behind them, and
 * cannot end any more, goes back before the drain. */
START_TEST(what_comes_too_late_goes_back)
{
	static char command[400];
	const char *const argv[] = {"sh", "-c", command, NULL};
	int64_t end = ranq_wall_ms() + 10000; /* of which 2 s are for leaving: the drain is after 8 s */
	uint64_t job;

	snprintf(command, sizeof command,
		"touch %s/begun.$RANQ_TASK; sleep 0.6; [ $RANQ_TASK -lt 2 ] || sleep 100; echo $RANQ_TASK",
		rig.server.dir);
	job = rig_command(&rig, 40, argv);
	rig.options.end_ms = end;
	rig.options.grace_ms = 0;
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, begun, 4);
	ck_assert_uint_gt(rig_info(&rig, job).leased, 2);
	rig_until(&rig, time_is_over, (uint64_t)(ranq_clock_ms() + end - 2900 - ranq_wall_ms()));
	rig_until(&rig, leased_exactly, 2);
	ck_assert_int_eq(rig.ranks[0].proxy->phase, PROXY_RUN);
	rig_until(&rig, rig_over, 0);
	ck_assert_int_eq(rig_status(&rig), 0);
	ck_assert_uint_eq(rig_info(&rig, job).done, 2);
}
END_TEST

static void copy_fork_server(const char *program)
{
	char command[400];

	snprintf(command, sizeof command, "cp %s/ranq-exec %s", RANQ_TEST_BINDIR, program);
	ck_assert_int_eq(system(command), 0);
}

static void kill_fork_server_of_rank1(void)
{
	char command[300];

	snprintf(command, sizeof command, "kill -9 $(pgrep -P %ld -x ranq-exec | sort -n | head -1)", (long)getpid());
	ck_assert_int_eq(system(command), 0);
}

/* The fork server of one rank dies and cannot be started again, which ends three chunks at once: that is the trouble of
 * the rank, not of the job. */
START_TEST(a_rank_without_fork_server)
{
	uint64_t job = rig_command(&rig, 6, wait_for_go());
	char program[128];

	snprintf(program, sizeof program, "%s/ranq-exec", rig.server.dir);
	rig.exec_program = program;
	copy_fork_server(program);
	rig_bridge(&rig, 3, NULL, 3);
	rig_until(&rig, begun, 6);
	ck_assert_int_eq(unlink(program), 0);
	kill_fork_server_of_rank1();
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 1000);
	ck_assert(!ranq_job_state_is_final(rig_info(&rig, job).state));
	ck_assert_uint_eq(rig_info(&rig, job).deaths, 0);
	touch("go");
	finish(job, 6);
	rig_expect_lines(&rig, NULL, job, 6);
}
END_TEST

/* What a worker says when an executor could not be run. */
static void say_broken(int rank, unsigned slot)
{
	const struct proxy_chunk *chunk = TAILQ_FIRST(&rig.ranks[0].proxy->workers[rank].lanes[slot].chunks);
	struct ranq_buf buf;

	ck_assert_ptr_nonnull(chunk);
	ranq_buf_init(&buf, 0);
	ranq_message_results_encode(&buf, &(struct ranq_message_results){.key = chunk->job->key,
						  .chunk = chunk->id,
						  .slot = slot,
						  .from = chunk->upto,
						  .upto = chunk->upto,
						  .done = true,
						  .broken = true});
	ck_assert_int_eq(ranq_link_send(rig.links[rank], 0, &buf, NULL), 0);
	ranq_link_flush(rig.links[rank]);
}

static bool has_no_chunk(struct bridge_rig *r, uint64_t rank)
{
	const struct proxy_worker *worker = &r->ranks[0].proxy->workers[rank];

	for (unsigned slot = 0; slot < worker->nlanes; slot++)
		if (!TAILQ_EMPTY(&worker->lanes[slot].chunks))
			return false;
	return true;
}

/* The same for its executors, one by one: the other rank does the job, and the broken one is not asked again. */
START_TEST(a_rank_without_executors)
{
	uint64_t job = rig_command(&rig, 6, wait_for_go());

	rig_bridge(&rig, 3, NULL, 3);
	rig_until(&rig, begun, 6);
	rig.cut[1] = true; /* we speak for it */
	for (unsigned slot = 0; slot < 3; slot++)
		say_broken(1, slot);
	rig_until(&rig, has_no_chunk, 1);
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 300);
	ck_assert(!ranq_job_state_is_final(rig_info(&rig, job).state));
	ck_assert(has_no_chunk(&rig, 1));
	touch("go");
	finish(job, 6);
	rig_expect_lines(&rig, NULL, job, 6);
}
END_TEST

/* A part of a job comes back as suspect while a stream of short tasks keeps all executors of the last worker busy. */
START_TEST(a_suspect_beside_short_tasks)
{
	/* of different lengths, so that the executors are never free together */
	static const char *const argv[] = {"sh", "-c", "sleep 0.$((2 + RANQ_TASK % 7))", NULL};
	uint64_t job = rig_command(&rig, 8, wait_for_go()), stream;

	rig_bridge(&rig, 3, NULL, 4);
	rig_until(&rig, begun, 8);
	rig_stop_rank(&rig, 2);
	touch("go");
	rig_until(&rig, done_at_least_4, job);
	stream = rig_command(&rig, 2000, argv);
	rig_until(&rig, rig_job_begun, stream);
	finish(job, 8);
	ck_assert(!rig_job_ended(&rig, stream));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_rank_that_says_goodbye, all_ranks_say_goodbye, polite_drain_without_server,
		one_term_to_all_ranks, two_terms, the_largest_output, threads_by_cores, long_tasks_are_left_to_others,
		a_patch_of_slow_tasks, what_comes_too_late_goes_back, a_rank_without_fork_server,
		a_rank_without_executors, a_suspect_beside_short_tasks};
	Suite *suite = suite_create("bridge ranks");
	TCase *tcase = tcase_create("bridge ranks");
	SRunner *runner;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 90);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* A whole bridge in one process against a real server: what it computes, and what happens when parts of it or the
 * server go away. */
#include "tests/support/bridge_rig.h" /* first: check.h has a macro `fail`, which is a name in ranq.h */

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/proxy_impl.h"
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

/* The argument of a job without arguments is not there, so commands print their index by RANQ_TASK. */
static const char *const echo_index[] = {"sh", "-c", "echo $RANQ_TASK", NULL};
static const char *const sleep_long[] = {"sleep", "1000", NULL};

static void finish(uint64_t job, uint64_t tasks)
{
	struct ranq_job_info info;

	rig_until(&rig, rig_job_ended, job);
	info = rig_info(&rig, job);
	ck_assert_msg(info.state == RANQ_JOB_COMPLETE, "%s: %s", ranq_job_state_name(info.state), info.reason);
	ck_assert_uint_eq(info.counts[RANQ_TASK_OK], tasks);
}

START_TEST(commands_on_two_workers)
{
	uint64_t job = rig_command(&rig, 150, echo_index);

	rig_bridge(&rig, 3, NULL, 1);
	finish(job, 150);
	rig_expect_lines(&rig, NULL, job, 150);
}
END_TEST

START_TEST(one_rank_does_everything)
{
	uint64_t job = rig_command(&rig, 40, echo_index);

	rig_bridge(&rig, 1, NULL, 2);
	finish(job, 40);
	rig_expect_lines(&rig, NULL, job, 40);
}
END_TEST

/* Ranks 2 and 3 are on another node: the module goes there in pieces, once, and is shared there. */
START_TEST(functions_on_two_nodes)
{
	static const int node[] = {0, 0, 1, 1};
	uint64_t job = rig_function(&rig, 300000, "noop.so", "noop");

	rig_bridge(&rig, 4, node, 1);
	finish(job, 300000);
	rig_expect_int64(&rig, job, 300000);
	/* cost goes with ranges, not with tasks */
	ck_assert_uint_lt(rig_info(&rig, job).result_items, 3000);
}
END_TEST

static int next_line(void *user, const char **arg, size_t *len)
{
	static char line[32];
	uint64_t *n = user;

	if (*n == 9000)
		return 0;
	*len = (size_t)snprintf(line, sizeof line, "%llu", (unsigned long long)(*n)++);
	*arg = line;
	return 1;
}

/* More lines than one input block has. */
START_TEST(input_lines)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	char path[512];
	uint64_t n = 0, job;

	snprintf(path, sizeof path, "%s/tests/modules/%s", RANQ_TEST_BUILDDIR, "noop.so");
	options.module = path;
	options.function = "noop";
	options.generator = next_line;
	options.generator_user = &n;
	job = rig_submit(&rig, NULL, &options);
	rig_bridge(&rig, 3, NULL, 1);
	finish(job, 9000);
	rig_expect_int64(&rig, job, 9000);
}
END_TEST

static struct ranq_reply *call(struct ranq_cmd *cmd)
{
	struct ranq_reply *reply;
	struct ranq_err err;

	ck_assert_msg(ranq_conn_call(rig.conn, cmd, ranq_clock_ms() + 60000, &reply, &err) == 0, "%s", err.text);
	return reply;
}

/* Another bridge leases [0, n) of a job and gives it back as suspect. */
static void make_suspects(uint64_t job, uint64_t n)
{
	const struct ranq_bridge_meta meta = {
		.host = "node1", .allocation = "job-17", .user = "me", .version = "1", .ranks = 1};
	const struct ranq_fragment all = {.job = job, .seq = 1, .end = n, .kind = RANQ_RELEASE_SUSPECT};
	char id[RANQ_ID_LEN + 1];
	struct ranq_cmd cmd;

	ranq_id_new(id);
	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_join_cmd(&rig.queue, &cmd, id, &meta), 0);
	ranq_reply_destroy(call(&cmd));
	ck_assert_int_eq(ranq_queue_lease_cmd(&rig.queue, &cmd, id, 1, n, 1, 0, -1, NULL), 0);
	ranq_reply_destroy(call(&cmd));
	ck_assert_int_eq(ranq_queue_release_cmd(&rig.queue, &cmd, id, &all, 1), 0);
	ranq_reply_destroy(call(&cmd));
	ck_assert_int_eq(ranq_queue_leave_cmd(&rig.queue, &cmd, id), 0);
	ranq_reply_destroy(call(&cmd));
	ranq_cmd_clear(&cmd);
}

/* What a dead bridge held of a job with input goes to one that has no line of it yet. */
START_TEST(input_of_suspects)
{
	static const char *const argv[] = {"echo", "{}", NULL};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	uint64_t n = 8997, job;

	options.command = argv;
	options.generator = next_line;
	options.generator_user = &n;
	job = rig_submit(&rig, NULL, &options);
	make_suspects(job, 3);
	rig_bridge(&rig, 3, NULL, 1);
	finish(job, 3);
	ck_assert_uint_eq(rig_info(&rig, job).deaths, 0);
}
END_TEST

static void let_go(uint64_t job)
{
	char command[160];

	(void)job;
	snprintf(command, sizeof command, "touch %s/go", rig.server.dir);
	ck_assert_int_eq(system(command), 0);
}

/* Its result must not wait for others: while it does, a kill that has nothing to do with it is counted against it. */
static bool no_suspect_waits(struct bridge_rig *r, uint64_t job)
{
	const struct proxy_queue *pq = &r->ranks[0].proxy->queues[0];

	(void)job;
	ck_assert_msg(pq->done == 0 || pq->npending == 0, "a result of a suspect waits to be committed");
	return pq->done == 1;
}

static bool has_one_done(struct bridge_rig *r, uint64_t job)
{
	return rig_info(r, job).done == 1;
}

/* Another lane is at a long task meanwhile. */
START_TEST(a_suspect_that_has_ended_is_committed)
{
	static char command[400];
	static const char *const argv[] = {"sh", "-c", command, NULL};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	uint64_t job;

	snprintf(command, sizeof command,
		"cd %s; touch $RANQ_TASK.begun; [ $RANQ_TASK = 0 ] && file=1.begun || file=go; until [ -e $file ]; do sleep 0.02; "
		"done; echo $RANQ_TASK",
		rig.server.dir);
	options.command = argv;
	options.tasks = 2;
	options.keep_results = 0; /* nobody waits for any */
	job = rig_submit(&rig, NULL, &options);
	make_suspects(job, 1);
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, no_suspect_waits, job);
	rig_until(&rig, has_one_done, job);
	ck_assert_uint_eq(rig.ranks[0].proxy->running, 1);
	let_go(job);
	finish(job, 2);
}
END_TEST

START_TEST(server_killed_and_restarted)
{
	uint64_t job = rig_command(&rig, 400, echo_index);

	rig_bridge(&rig, 3, NULL, 1);
	for (int round = 0; round < 2; round++) {
		rig_until(&rig, rig_job_begun, job);
		test_redis_kill(&rig.server);
		test_redis_restart(&rig.server);
	}
	finish(job, 400);
	rig_expect_lines(&rig, NULL, job, 400);
	ck_assert_uint_eq(rig_info(&rig, job).requeued, 0);
}
END_TEST

/* Its chunk comes back as suspect after a lease of silence, and the others do it. */
START_TEST(a_silent_rank)
{
	uint64_t job = rig_function(&rig, 3000, "sleepy.so", "sleepy_1ms");

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_job_begun, job);
	rig_stop_rank(&rig, 2);
	finish(job, 3000);
	rig_expect_int64(&rig, job, 3000);
	ck_assert_uint_eq(rig_bridges(&rig), 1);
}
END_TEST

/* Silent for longer than the lease. */
static bool second_rank_is_lost(struct bridge_rig *r, uint64_t unused)
{
	(void)unused;
	return r->ranks[0].proxy->workers[2].lost;
}

/* It was only stopped, and comes back after the others have got its work: that is not taken from it, but new work is
 * given to it. */
START_TEST(a_silent_rank_that_comes_back)
{
	static char command[400];
	const char *const argv[] = {"sh", "-c", command, NULL};
	uint64_t job, next;

	snprintf(command, sizeof command, "until [ -e %s/go ]; do sleep 0.05; done; echo $RANQ_TASK", rig.server.dir);
	job = rig_command(&rig, 3, argv);
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_job_leased, job);
	rig_stop_rank(&rig, 2);
	rig_until(&rig, second_rank_is_lost, 0); /* what it was sent is gone */
	rig_start_rank(&rig, 2);
	let_go(job);
	finish(job, 3);
	rig_expect_lines(&rig, NULL, job, 3);
	/* both ranks are needed for this one: each of two tasks waits for the other */
	snprintf(command, sizeof command,
		"touch %s/$RANQ_TASK; until [ -e %s/0 ] && [ -e %s/1 ]; do sleep 0.05; done; echo $RANQ_TASK",
		rig.server.dir, rig.server.dir, rig.server.dir);
	next = rig_command(&rig, 2, argv);
	finish(next, 2);
}
END_TEST

START_TEST(all_workers_silent)
{
	uint64_t job = rig_command(&rig, 10, sleep_long);

	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, rig_job_leased, job);
	rig_stop_rank(&rig, 1);
	rig_until(&rig, rig_over, 0);
	ck_assert_int_eq(rig_status(&rig), 1);
	ck_assert_uint_eq(rig_bridges(&rig), 0);
	ck_assert_uint_eq(rig_info(&rig, job).leased, 0);
}
END_TEST

static void cancel(uint64_t job)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	struct ranq_err err;

	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_cancel_cmd(&rig.queue, &cmd, job, "by the test"), 0);
	ck_assert_msg(ranq_conn_call(rig.conn, &cmd, ranq_clock_ms() + 60000, &reply, &err) == 0, "%s", err.text);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

START_TEST(cancel_frees_the_workers)
{
	uint64_t job = rig_command(&rig, 10, sleep_long), next;

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_job_leased, job);
	cancel(job);
	next = rig_command(&rig, 4, echo_index);
	finish(next, 4);
	ck_assert_int_eq(rig_info(&rig, job).state, RANQ_JOB_CANCELLED);
}
END_TEST

START_TEST(a_job_that_cannot_run)
{
	uint64_t job = rig_function(&rig, 50, "noop.so", "noop"), next;
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	struct ranq_job_info info;

	/* somebody deletes its module */
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "EVAL");
	ranq_cmd_str(
		&cmd, "for _, k in ipairs(redis.call('KEYS', 'ranq:{t}:blob:*')) do redis.call('DEL', k) end return 1");
	ranq_cmd_str(&cmd, "0");
	ck_assert_int_eq(ranq_conn_call(rig.conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, rig_job_ended, job);
	info = rig_info(&rig, job);
	ck_assert_int_eq(info.state, RANQ_JOB_ERROR);
	ck_assert_uint_eq(info.counts[RANQ_TASK_ERROR], 50);
	next = rig_command(&rig, 3, echo_index);
	finish(next, 3);
}
END_TEST

static void expect_left(uint64_t job, uint64_t tasks)
{
	struct ranq_job_info info;

	rig_until(&rig, rig_over, 0);
	ck_assert_int_eq(rig_status(&rig), 0);
	ck_assert_uint_eq(rig_bridges(&rig), 0);
	info = rig_info(&rig, job);
	ck_assert_uint_eq(info.leased, 0);
	ck_assert_uint_eq(info.deaths, 0);
	/* the rest is done by another bridge */
	rig_end_bridge(&rig);
	rig_bridge(&rig, 3, NULL, 1);
	finish(job, tasks);
	rig_expect_lines(&rig, NULL, job, tasks);
}

static void drain_all(void)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_drain_cmd(&rig.queue, &cmd, "all"), 0);
	ck_assert_int_eq(ranq_conn_call(rig.conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

START_TEST(drain_by_command)
{
	static const char *const argv[] = {"sh", "-c", "sleep 0.05; echo $RANQ_TASK", NULL};
	uint64_t job = rig_command(&rig, 100, argv);

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_job_begun, job);
	drain_all();
	expect_left(job, 100);
}
END_TEST

/* The first time the task hangs, and the grace time kills it; that does not count as a death or failure. */
START_TEST(drain_by_signal)
{
	static char command[128];
	const char *const argv[] = {"sh", "-c", command, NULL};
	uint64_t job;

	snprintf(command, sizeof command, "[ -e %s/second ] || exec sleep 1000; echo $RANQ_TASK", rig.server.dir);
	job = rig_command(&rig, 6, argv);
	rig.options.grace_ms = 300;
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_job_leased, job);
	ranq_proxy_signal(rig.ranks[0].proxy, SIGTERM);
	rig_until(&rig, rig_over, 0);
	snprintf(command, sizeof command, "touch %s/second", rig.server.dir);
	ck_assert_int_eq(system(command), 0);
	expect_left(job, 6);
}
END_TEST

/* Our registration vanishes (another one says that we leave): everything that is held is dropped, and we begin anew. */
START_TEST(a_registration_that_is_gone)
{
	uint64_t job = rig_function(&rig, 2000, "sleepy.so", "sleepy_1ms");
	struct ranq_bridge_info bridge;
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	struct ranq_err err;

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_job_begun, job);
	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_bridges_cmd(&rig.queue, &cmd), 0);
	ck_assert_int_eq(ranq_conn_call(rig.conn, &cmd, ranq_clock_ms() + 60000, &reply, &err), 0);
	ck_assert_int_eq(ranq_queue_bridges_parse(reply, 0, &bridge, &err), 0);
	ranq_reply_destroy(reply);
	ranq_cmd_reset(&cmd);
	ck_assert_int_eq(ranq_queue_leave_cmd(&rig.queue, &cmd, bridge.id), 0);
	ck_assert_int_eq(ranq_conn_call(rig.conn, &cmd, ranq_clock_ms() + 60000, &reply, &err), 0);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	finish(job, 2000);
	rig_expect_int64(&rig, job, 2000);
}
END_TEST

/* A task that takes its executor with it each time ends as DIED, the others do not suffer. */
START_TEST(a_task_that_kills_its_executor)
{
	static const char *const argv[] = {"sh", "-c", "[ $RANQ_TASK != 5 ] || kill -9 $PPID; echo $RANQ_TASK", NULL};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	struct ranq_job_info info;
	uint64_t job;

	options.command = argv;
	options.tasks = 30;
	options.max_deaths = 2;
	job = rig_submit(&rig, NULL, &options);
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_job_ended, job);
	info = rig_info(&rig, job);
	ck_assert_int_eq(info.state, RANQ_JOB_ERROR);
	ck_assert_uint_eq(info.counts[RANQ_TASK_OK], 29);
	ck_assert_uint_eq(info.counts[RANQ_TASK_DIED], 1);
}
END_TEST

/* How many of its numbers are below the limit. */
static unsigned count_below(const char *name, unsigned limit)
{
	unsigned number, n = 0;
	char path[160];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", rig.server.dir, name);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fscanf(file, "%u", &number) == 1)
		n += number < limit;
	fclose(file);
	return n;
}

/* Those of the first queue note how many of the second one were begun before them. */
START_TEST(the_first_queue_comes_first)
{
	static char command[400];
	const char *const argv[] = {"sh", "-c", command, NULL};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	uint64_t low, high;

	options.command = argv;
	snprintf(command, sizeof command, "printf x >>%s/begun; echo $RANQ_TASK", rig.server.dir);
	options.tasks = 300;
	low = rig_submit(&rig, "low", &options);
	snprintf(command, sizeof command, "cat %s/begun | wc -c >>%s/seen; echo $RANQ_TASK", rig.server.dir, rig.server.dir);
	options.tasks = 20;
	rig.queues[1] = "low";
	rig.options.nqueues = 2;
	rig_bridge(&rig, 3, NULL, 1);
	/* work of the first queue that comes later overtakes what waits in the second one */
	high = rig_submit(&rig, "t", &options);
	finish(high, 20);
	ck_assert_int_eq(ranq_queue_init(&rig.queue, "low", NULL), 0);
	ck_assert_int_eq(
		ranq_queue_attach(&rig.queue, rig.conn, RANQ_CALL_AUTO, 0, false, ranq_clock_ms() + 60000, NULL), 0);
	ck_assert_uint_gt(count_below("seen", 200), 10); /* not all 20: one executor may stand still for a while */
	finish(low, 300);
	rig_expect_lines(&rig, "low", low, 300);
}
END_TEST

START_TEST(leaves_when_idle)
{
	uint64_t job = rig_command(&rig, 3, echo_index);
	int64_t begin;

	rig.options.idle_timeout_ms = 1000;
	rig_bridge(&rig, 3, NULL, 1);
	finish(job, 3);
	begin = ranq_clock_ms();
	rig_until(&rig, rig_over, 0);
	ck_assert_int_ge(ranq_clock_ms() - begin, 500);
	ck_assert_int_eq(rig_status(&rig), 0);
	ck_assert_uint_eq(rig_bridges(&rig), 0);
}
END_TEST

/* The allocation ends in 6 s, the tasks need 1 s: none is begun that cannot end, and the bridge is away in time. */
START_TEST(leaves_before_the_end)
{
	static const char *const argv[] = {"sh", "-c", "sleep 1; echo $RANQ_TASK", NULL};
	int64_t end = ranq_wall_ms() + 6000;
	uint64_t job = rig_command(&rig, 100, argv);
	struct ranq_job_info info;

	rig.options.end_ms = end;
	rig.options.grace_ms = 500;
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, rig_over, 0);
	ck_assert_int_lt(ranq_wall_ms(), end);
	ck_assert_int_eq(rig_status(&rig), 0);
	info = rig_info(&rig, job);
	ck_assert_uint_eq(info.leased, 0);
	ck_assert_uint_ge(info.done, 2);
	ck_assert_uint_eq(info.counts[RANQ_TASK_OK], info.done);
}
END_TEST

/* Long tasks stand behind each other in one chunk by mistake (they were short before): the idle workers get their share.
 * Each waits until four of them run, one on each worker. */
START_TEST(work_is_taken_back_for_idle_workers)
{
	static char command[400];
	const char *const argv[] = {"sh", "-c", command, NULL};
	uint64_t job;

	snprintf(command, sizeof command,
		"[ $RANQ_TASK -lt 60 ] || { touch %s/long.$RANQ_TASK; until set -- %s/long.*; [ $# -ge 4 ]; do sleep 0.05; done; }; "
		"echo $RANQ_TASK",
		rig.server.dir, rig.server.dir);
	job = rig_command(&rig, 68, argv);
	rig_bridge(&rig, 5, NULL, 1);
	finish(job, 68);
	rig_expect_lines(&rig, NULL, job, 68);
}
END_TEST

static bool has_done(struct bridge_rig *r, uint64_t tasks)
{
	return rig_info(r, 1).done >= tasks;
}

static bool long_task_runs(struct bridge_rig *r, uint64_t unused)
{
	char path[160];

	(void)unused;
	snprintf(path, sizeof path, "%s/long", r->server.dir);
	return access(path, F_OK) == 0;
}

static bool holds_one_task(struct bridge_rig *r, uint64_t job)
{
	return rig_info(r, job).leased == 1;
}

/* Its tasks from `first` to `last` wait until they are let go. */
static uint64_t job_with_long_tasks(uint64_t tasks, unsigned first, unsigned last)
{
	static char command[400];
	const char *const argv[] = {"sh", "-c", command, NULL};

	snprintf(command, sizeof command,
		"[ $RANQ_TASK -lt %u ] || [ $RANQ_TASK -gt %u ] || { touch %s/long; until [ -e %s/go ]; do sleep 0.05; done; }; "
		"echo $RANQ_TASK",
		first, last, rig.server.dir, rig.server.dir);
	return rig_command(&rig, tasks, argv);
}

/* Short tasks in chunks, one behind the other, and one among them that does not end: all others are done by then. */
START_TEST(nothing_waits_behind_a_long_task)
{
	uint64_t job = job_with_long_tasks(800, 400, 400);

	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, has_done, 799);
	ck_assert_uint_eq(rig_info(&rig, job).done, 799);
	let_go(job);
	finish(job, 800);
	rig_expect_lines(&rig, NULL, job, 800);
}
END_TEST

/* By a polite drain what is behind the task that runs goes back at once, for other bridges. */
START_TEST(a_drain_keeps_only_what_runs)
{
	uint64_t job = job_with_long_tasks(600, 200, 600);

	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, has_done, 200);
	rig_until(&rig, long_task_runs, 0);
	drain_all();
	rig_until(&rig, holds_one_task, job);
	let_go(job);
	rig_until(&rig, rig_over, 0);
	ck_assert_int_eq(rig_status(&rig), 0);
	ck_assert_uint_eq(rig_info(&rig, job).done, 201);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {commands_on_two_workers, one_rank_does_everything, functions_on_two_nodes,
		input_lines, input_of_suspects, a_suspect_that_has_ended_is_committed, server_killed_and_restarted,
		a_silent_rank, a_silent_rank_that_comes_back,
		all_workers_silent, cancel_frees_the_workers, a_job_that_cannot_run, drain_by_command, drain_by_signal,
		a_registration_that_is_gone, a_task_that_kills_its_executor, the_first_queue_comes_first,
		leaves_when_idle, leaves_before_the_end, work_is_taken_back_for_idle_workers,
		nothing_waits_behind_a_long_task, a_drain_keeps_only_what_runs};
	Suite *suite = suite_create("bridge");
	TCase *tcase = tcase_create("bridge");
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

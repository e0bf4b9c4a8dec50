/* What a server, its network and its administrator may do to a bridge. */
#include "tests/support/bridge_rig.h" /* first: check.h has a macro `fail`, which is a name in ranq.h */

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/proxy_impl.h"
#include "tests/support/relay.h"
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

static const char *const echo_index[] = {"sh", "-c", "echo $RANQ_TASK", NULL};

static void finish(uint64_t job, uint64_t tasks)
{
	struct ranq_job_info info;

	rig_until(&rig, rig_job_ended, job);
	info = rig_info(&rig, job);
	ck_assert_msg(info.state == RANQ_JOB_COMPLETE, "%s: %s", ranq_job_state_name(info.state), info.reason);
	ck_assert_uint_eq(info.counts[RANQ_TASK_OK], tasks);
}

/* A command to the server, words up to NULL. */
static struct ranq_reply *say(const char *word, ...)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	struct ranq_err err;
	va_list args;

	ranq_cmd_init(&cmd);
	va_start(args, word);
	for (; word; word = va_arg(args, const char *))
		ranq_cmd_str(&cmd, word);
	va_end(args);
	ck_assert_msg(ranq_conn_call(rig.conn, &cmd, ranq_clock_ms() + 60000, &reply, &err) == 0, "%s", err.text);
	ranq_cmd_clear(&cmd);
	ck_assert_int_ne(ranq_reply_type(reply), RANQ_REPLY_ERROR);
	return reply;
}
#define SAY(...) ranq_reply_destroy(say(__VA_ARGS__, (const char *)NULL))

static bool time_is_over(struct bridge_rig *r, uint64_t until_ms)
{
	(void)r;
	return ranq_clock_ms() >= (int64_t)until_ms;
}

/* The interval in which something is measured. */
static void run_for(int64_t ms)
{
	rig_until(&rig, time_is_over, (uint64_t)(ranq_clock_ms() + ms));
}

static struct proxy_queue *first_queue(void)
{
	return &rig.ranks[0].proxy->queues[0];
}

static bool is_idle(struct bridge_rig *r, uint64_t unused)
{
	(void)r;
	(void)unused;
	return first_queue()->state == PROXY_IN && first_queue()->idle;
}

static bool are_idle(struct bridge_rig *r, uint64_t unused)
{
	const struct proxy_queue *second = &r->ranks[0].proxy->queues[1];

	return is_idle(r, unused) && second->state == PROXY_IN && second->idle;
}

static void shell(const char *format)
{
	char command[300];

	snprintf(command, sizeof command, format, rig.server.dir, rig.server.dir, rig.server.dir);
	ck_assert_int_eq(system(command), 0);
}

/* The server comes back with a state in which the job was not there yet, and gives its number to another one. */
START_TEST(a_number_that_is_given_twice)
{
	static const char *const old[] = {"echo", "old", NULL};
	uint64_t job;

	rig_bridge(&rig, 3, NULL, 1);
	job = rig_command(&rig, 1, echo_index);
	finish(job, 1);
	shell("mkdir %s/before && cp -r %s/append* %s/before/");
	job = rig_command(&rig, 5, old);
	finish(job, 5);
	test_redis_kill(&rig.server);
	shell("rm -rf %s/append* && cp -r %s/before/append* %s/");
	test_redis_restart(&rig.server);
	ranq_conn_close(rig.conn);
	rig.conn = test_redis_connect(&rig.server);
	ck_assert_uint_eq(rig_command(&rig, 5, echo_index), job);
	finish(job, 5);
	rig_expect_lines(&rig, NULL, job, 5);
}
END_TEST

/* The bell went to somebody else. */
START_TEST(a_bell_that_is_lost)
{
	uint64_t job;

	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, is_idle, 0);
	SAY("DEL", "ranq:{t}:idle");
	job = rig_command(&rig, 1, echo_index);
	finish(job, 1);
}
END_TEST

static bool is_prepared(struct bridge_rig *r, uint64_t unused)
{
	return is_idle(r, unused) && first_queue()->standing && r->ranks[0].proxy->conn;
}

static bool is_disconnected(struct bridge_rig *r, uint64_t unused)
{
	(void)unused;
	return !r->ranks[0].proxy->conn;
}

/* An idle bridge's lease call stands behind its bell: it gets work although it may not ask for any, also by its next
 * connection. */
START_TEST(work_that_comes_with_the_bell)
{
	uint64_t job;

	rig_bridge(&rig, 3, NULL, 1);
	for (int i = 0; i < 2; i++) {
		rig_until(&rig, is_prepared, 0);
		first_queue()->hold_ms = ranq_clock_ms() + 100000;
		job = rig_command(&rig, 1, echo_index);
		finish(job, 1);
		first_queue()->hold_ms = 0;
		rig_expect_lines(&rig, NULL, job, 1);
		rig_until(&rig, is_prepared, 0);
		SAY("CLIENT", "KILL", "TYPE", "normal");
		rig_until(&rig, is_disconnected, 0);
	}
}
END_TEST

static unsigned looks, spins;

/* What has become due since the last turn is done first: due at once all the same is what spins. */
static bool watch_due(struct bridge_rig *r, uint64_t until_ms)
{
	ranq_bridge_turn(&r->ranks[0], ranq_clock_ms());
	looks++;
	spins += ranq_proxy_prepare(r->ranks[0].proxy) <= ranq_clock_ms();
	return looks > 50 && ranq_clock_ms() >= (int64_t)until_ms;
}

/* While the first queue keeps everybody busy, the empty second one is not asked, and must not keep us awake. */
START_TEST(a_busy_queue_and_an_empty_one)
{
	static const char *const sleepy[] = {"sleep", "0.2", NULL};
	uint64_t job;

	rig.queues[1] = "low";
	rig.options.nqueues = 2;
	rig_bridge(&rig, 3, NULL, 1);
	rig_until(&rig, are_idle, 0);
	job = rig_command(&rig, 1000, sleepy);
	rig_until(&rig, rig_job_begun, job);
	rig_until(&rig, watch_due, (uint64_t)(ranq_clock_ms() + 3000));
	ck_assert_msg(spins * 5 < looks, "%u of %u", spins, looks);
}
END_TEST

/* Somebody deletes everything, and makes the queue anew with another lease: that one is ours then. */
START_TEST(another_lease)
{
	uint64_t job;

	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, is_idle, 0);
	SAY("FLUSHALL");
	job = rig_command(&rig, 3, echo_index);
	SAY("HSET", "ranq:{t}:q", "lease", "7000");
	finish(job, 3);
	ck_assert_int_eq(first_queue()->q.lease_ms, 7000);
	ck_assert_int_eq(rig.ranks[0].proxy->lease_ms, 7000);
}
END_TEST

static uint64_t commands(void)
{
	struct ranq_reply *reply = say("INFO", "stats", (const char *)NULL);
	struct ranq_bytes text = ranq_reply_bytes(reply);
	const char *at = memmem(text.data, text.len, "total_commands_processed:", 25);
	uint64_t n;

	ck_assert_ptr_nonnull(at);
	n = strtoull(at + 25, NULL, 10);
	ranq_reply_destroy(reply);
	return n;
}

static int next_line(void *user, const char **arg, size_t *len)
{
	static char line[32];
	uint64_t *n = user;

	if (*n == 2000)
		return 0;
	*len = (size_t)snprintf(line, sizeof line, "%llu", (unsigned long long)(*n)++);
	*arg = line;
	return 1;
}

/* What is leased and not there is not asked for in a loop. */
START_TEST(a_part_of_a_job_that_is_deleted)
{
	static const char *const part[] = {"ranq:{t}:j:1:in", "ranq:{t}:j:1:spec"};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	uint64_t n = 0, before;

	options.command = echo_index;
	options.generator = next_line;
	options.generator_user = &n;
	ck_assert_uint_eq(rig_submit(&rig, NULL, &options), 1);
	SAY("DEL", part[_i]);
	rig_bridge(&rig, 2, NULL, 1);
	before = commands();
	run_for(2000);
	ck_assert_uint_lt(commands() - before, 6000);
}
END_TEST

/* Each commit takes longer than an answer may. */
START_TEST(a_slow_network)
{
	static const char *const argv[] = {"head", "-c", "800000", "/dev/zero", NULL};
	struct ranq_server_addr slow;
	char path[128], url[160];
	uint64_t job;
	pid_t relay;

	snprintf(path, sizeof path, "%s/slow", rig.server.dir);
	snprintf(url, sizeof url, "unix://%s", path);
	relay = test_relay_start(path, rig.server.socket, 400000, 0);
	ranq_server_addr_init(&slow);
	ck_assert_int_eq(ranq_server_addr_parse(url, &slow, NULL), 0);
	rig.options.addr = &slow;
	job = rig_command(&rig, 6, argv);
	rig_bridge(&rig, 3, NULL, 1);
	finish(job, 6);
	ck_assert_uint_eq(rig_info(&rig, job).requeued, 0);
	rig_end_bridge(&rig);
	ranq_server_addr_clear(&slow);
	test_relay_stop(relay);
}
END_TEST

static unsigned lines_with(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	char line[700];
	unsigned n = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file))
		n += strstr(line, text) != NULL;
	fclose(file);
	return n;
}

/* It lets us in each time, but serves nothing: that is one loss, told of once. */
START_TEST(a_server_that_refuses)
{
	char path[128];
	uint64_t job;
	int fd;

	snprintf(path, sizeof path, "%s/log", rig.server.dir);
	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, is_idle, 0);
	fflush(stderr);
	fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
	ck_assert_int_ge(dup2(fd, 2), 0);
	close(fd);
	SAY("ACL", "SETUSER", "default", "-@write");
	run_for(2500);
	SAY("ACL", "SETUSER", "default", "+@all");
	job = rig_command(&rig, 3, echo_index);
	finish(job, 3);
	ck_assert_uint_eq(lines_with(path, "server lost"), 1);
	ck_assert_uint_eq(lines_with(path, "server is back"), 1);
}
END_TEST

static void on_answer(struct proxy_request *request, const struct ranq_reply *reply)
{
	(void)request;
	(void)reply;
	ck_abort_msg("the sender was told already");
}

/* A command that cannot be sent kills the connection at once; whoever sends it must not be left with freed memory. */
START_TEST(a_request_that_cannot_be_sent)
{
	uint64_t job = rig_command(&rig, 50, echo_index);
	struct ranq_cmd cmd;

	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, rig_job_leased, job);
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "PING");
	cmd.args.failed = true;
	ck_assert_ptr_null(proxy_request(first_queue(), &cmd, on_answer));
	ranq_cmd_clear(&cmd);
	finish(job, 50);
	rig_expect_lines(&rig, NULL, job, 50);
}
END_TEST

/* Of two parts of the data the second one is deleted: nobody must take the first one for all of it. */
START_TEST(half_of_the_job_data)
{
	static char data[12 << 20];
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	uint64_t job;

	memset(data, 'x', sizeof data);
	options.command = echo_index;
	options.tasks = 3;
	options.data = data;
	options.data_bytes = sizeof data;
	job = rig_submit(&rig, NULL, &options);
	SAY("EVAL",
		"for _, k in ipairs(redis.call('KEYS', 'ranq:{t}:blob:*')) do redis.call('HDEL', k, '1') end return 1",
		"0");
	rig_bridge(&rig, 2, NULL, 1);
	rig_until(&rig, rig_job_ended, job);
	ck_assert_int_eq(rig_info(&rig, job).state, RANQ_JOB_ERROR);
	ck_assert_uint_eq(rig_info(&rig, job).counts[RANQ_TASK_ERROR], 3);
}
END_TEST

static bool is_in(struct bridge_rig *r, uint64_t unused)
{
	(void)r;
	(void)unused;
	return first_queue()->state == PROXY_IN;
}

/* A call in the name of the bridge, by our connection and between two turns. */
static struct ranq_reply *call_for_bridge(struct ranq_cmd *cmd)
{
	struct ranq_reply *reply;
	struct ranq_err err;

	ck_assert_msg(ranq_conn_call(rig.conn, cmd, ranq_clock_ms() + 60000, &reply, &err) == 0, "%s", err.text);
	ck_assert_int_ne(ranq_reply_type(reply), RANQ_REPLY_ERROR);
	return reply;
}

/* Leases the whole job and gives every second task back: what stays under the bridge's id is in pieces of one task. */
static void lease_every_second(uint64_t job, uint64_t tasks)
{
	static struct ranq_fragment parts[RANQ_CALL_ITEMS_MAX];
	const struct proxy_queue *pq = first_queue();
	struct ranq_cmd cmd;
	uint64_t i = 1;

	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_lease_cmd(&pq->q, &cmd, pq->proxy->id, pq->seq, tasks, 1, 0, -1, NULL), 0);
	ranq_reply_destroy(call_for_bridge(&cmd));
	while (i < tasks) {
		struct ranq_reply *reply;
		size_t n = 0;

		for (; n < RANQ_CALL_ITEMS_MAX && i < tasks; n++, i += 2)
			parts[n] = (struct ranq_fragment){
				.job = job, .at = i - 1, .seq = pq->seq, .start = i, .end = i + 1};
		ranq_queue_release_cmd(&pq->q, &cmd, pq->proxy->id, parts, n);
		reply = call_for_bridge(&cmd);
		ck_assert_uint_eq((uint64_t)ranq_reply_int(reply), n);
		ranq_reply_destroy(reply);
	}
	ranq_cmd_clear(&cmd);
}

/* The bridge gets to know of it, as if many leases had given it. */
static void grant_every_second(uint64_t job, uint64_t tasks)
{
	struct proxy_queue *pq = first_queue();
	struct proxy_request request = {
		.proxy = pq->proxy, .pq = pq, .epoch = pq->epoch, .a = pq->seq, .sent_ms = ranq_clock_ms()};

	for (uint64_t i = 0; i < tasks; i += 2) {
		static struct ranq_lease_reply lease;

		lease.n = 1;
		lease.ranges[0] = (struct ranq_range){.job = job, .start = i, .end = i + 1};
		proxy_lease_take(&request, &lease);
	}
}

/* A bridge of hundreds of ranks holds more ranges than one call can name. The server goes and comes back: all that is
 * the bridge's stays its own, and no task runs twice; what the server has never heard of goes. */
START_TEST(more_ranges_than_one_call_can_name)
{
	enum { TASKS = 2600 };
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	struct proxy_queue *pq;
	uint64_t job;

	options.module = RANQ_TEST_BUILDDIR "/tests/modules/noop.so";
	options.function = "noop";
	options.tasks = TASKS;
	options.keep_results = 0; /* or they would not be leased at once */
	rig_bridge(&rig, 3, NULL, 1);
	pq = first_queue();
	pq->hold_ms = RANQ_NEVER;
	rig_until(&rig, is_in, 0);
	job = rig_submit(&rig, NULL, &options);
	pq->seq++;
	lease_every_second(job, TASKS);
	grant_every_second(job, TASKS);
	ck_assert_uint_eq(ranq_held_count(pq->held), TASKS / 2);
	ck_assert_uint_eq(rig_info(&rig, job).leased, TASKS / 2);
	for (uint64_t i = 0; i < RANQ_CALL_ITEMS_MAX + 200; i++)
		ranq_held_add(
			pq->held, &(struct ranq_range){.job = job + 1, .seq = 1, .start = 2 * i, .end = 2 * i + 1});
	test_redis_kill(&rig.server);
	test_redis_restart(&rig.server);
	pq->hold_ms = 0;
	finish(job, TASKS);
	ck_assert_uint_eq(pq->epoch, 0);
	ck_assert_uint_eq(pq->done, TASKS);
	ck_assert_uint_eq(rig_info(&rig, job).stale, 0);
	ck_assert_uint_eq(ranq_held_count(pq->held), 0);
}
END_TEST

/* The second job has the same module: it is here already, though the first job is forgotten. */
START_TEST(a_module_is_fetched_once)
{
	uint64_t job = rig_function(&rig, 20, "noop.so", "noop");

	rig_bridge(&rig, 3, NULL, 1);
	finish(job, 20);
	proxy_job_drop(proxy_job_find(first_queue(), job), false);
	job = rig_function(&rig, 20, "noop.so", "noop");
	finish(job, 20);
	rig_expect_int64(&rig, job, 20);
	ck_assert_uint_eq(rig.ranks[0].proxy->next_blob, 1);
	proxy_job_drop(proxy_job_find(first_queue(), job), false);
	proxy_blobs_trim(rig.ranks[0].proxy, 0);
	ck_assert(TAILQ_EMPTY(&rig.ranks[0].proxy->blobs));
	job = rig_function(&rig, 20, "noop.so", "noop");
	finish(job, 20);
	rig_expect_int64(&rig, job, 20);
	ck_assert_uint_eq(rig.ranks[0].proxy->next_blob, 2);
}
END_TEST

/* In a crowd a bridge asks for more at once, but not of a job that is nearly over, and not so much of one that a client
 * waits for. */
START_TEST(how_much_one_of_many_asks_for)
{
	uint64_t job = rig_function(&rig, 20, "noop.so", "noop"), alone, waited;
	struct proxy_queue *pq;
	bool busy;

	rig_bridge(&rig, 3, NULL, 1);
	finish(job, 20);
	rig_until(&rig, is_idle, 0);
	pq = first_queue();
	ck_assert_uint_eq(pq->bridges, 1);
	ck_assert_uint_eq(pq->left, 0);
	pq->left = UINT64_MAX;
	alone = proxy_lease_want(pq, &busy);
	pq->bridges = 1000;
	pq->q.lease_ms = 15000;
	proxy_job_find(pq, job)->waited = false;
	ck_assert_uint_gt(proxy_lease_want(pq, &busy), 4 * alone);
	proxy_job_find(pq, job)->waited = true;
	waited = proxy_lease_want(pq, &busy);
	ck_assert_uint_gt(waited, 2 * alone);
	ck_assert_uint_lt(waited, 4 * alone);
	pq->left = 1;
	ck_assert_uint_le(proxy_lease_want(pq, &busy), alone);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_number_that_is_given_twice, a_bell_that_is_lost, work_that_comes_with_the_bell,
		a_busy_queue_and_an_empty_one, another_lease, a_slow_network, a_server_that_refuses,
		a_request_that_cannot_be_sent, half_of_the_job_data, a_module_is_fetched_once,
		more_ranges_than_one_call_can_name, how_much_one_of_many_asks_for};
	Suite *suite = suite_create("bridge and server");
	TCase *tcase = tcase_create("bridge and server");
	SRunner *runner;
	int failed;

	signal(SIGPIPE, SIG_IGN);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 90);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		tcase_add_test(tcase, tests[i]);
	tcase_add_loop_test(tcase, a_part_of_a_job_that_is_deleted, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* test_client.c - libranq against a real server and a bridge that answers by itself: submit, read, consume; deaths of
 * the client at every step (F42-F44), of the server (F13), and a server that comes back older than it was (F14). */
#include "tests/support/client_rig.h" /* first: ranq.h comes before check.h, which defines a macro `fail` */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/session.h"
#include "client/submit.h"
#include "store/conn.h"
#include "util/clock.h"

static struct ranq_job *submit(struct ranq *ranq, uint64_t tasks)
{
	struct ranq_submit_options options = client_rig_echo(tasks);
	return client_rig_submit(ranq, &options);
}

static uint64_t value_of(const struct ranq_value *value)
{
	uint64_t index;
	ck_assert_uint_eq(value->len, sizeof index);
	memcpy(&index, value->data, sizeof index);
	return index;
}

/* Marks what comes; fails when an index comes twice. Returns how many came; stops behind `most`. */
static uint64_t read_some(struct ranq_job *job, unsigned char *seen, uint64_t n, int unordered, uint64_t most)
{
	struct ranq_value value;
	uint64_t count = 0;
	int rc = 1;
	while (count < most && (rc = ranq_next(job, &value, unordered, 30)) == 1) {
		ck_assert_uint_lt(value.index, n);
		ck_assert_uint_eq(value_of(&value), value.index);
		ck_assert_msg(!seen[value.index], "task %llu was delivered twice", (unsigned long long)value.index);
		seen[value.index] = 1;
		count++;
	}
	ck_assert_msg(rc >= 0, "%s", ranq_last_error());
	return count;
}

static void all_seen(const unsigned char *seen, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		ck_assert_msg(seen[i] == 1, "task %llu was not delivered", (unsigned long long)i);
}

/* ---- reading --------------------------------------------------------------------------------------------------- */
#define N 5000

START_TEST(everything_once)
{
	unsigned char seen[N] = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit(ranq, N);
	client_rig_bridge("index8", "37", "0");
	ck_assert_uint_eq(read_some(job, seen, N, _i, UINT64_MAX), N);
	all_seen(seen, N);
	ck_assert_int_eq(ranq_wait(job, 10), 1);
	struct ranq_progress progress;
	ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
	ck_assert_uint_eq(progress.done, N);
	ck_assert_str_eq(progress.state, "COMPLETE");
	ck_assert_int_eq(ranq_remove(job), 0);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

START_TEST(order)
{
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit(ranq, N);
	struct ranq_value value;
	client_rig_bridge("index8", "37", "0");
	for (uint64_t i = 0; i < N; i++) {
		ck_assert_int_eq(ranq_next(job, &value, 0, 30), 1);
		ck_assert_uint_eq(value.index, i);
	}
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 0);
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 0);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

START_TEST(time_out)
{
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit(ranq, 3);
	struct ranq_value value;
	ck_assert_int_eq(ranq_next(job, &value, 0, 0.05), -1);
	ck_assert_int_eq(ranq_last_status(), 5);
	ck_assert_int_eq(ranq_wait(job, 0.05), -1);
	ck_assert_int_eq(ranq_last_status(), 5);
	client_rig_bridge("index8", "1", "0");
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 1);
	ck_assert_int_eq(ranq_cancel(job), 0);
	ck_assert_int_ge(ranq_wait(job, 30), 0);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* The backlog is far smaller than the results: the job ends only if reading frees them. */
START_TEST(backlog)
{
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options options = client_rig_echo(60);
	struct ranq_value value;
	options.backlog_bytes = 8000000;
	struct ranq_job *job = client_rig_submit(ranq, &options);
	client_rig_bridge("big", "1", "0");
	for (uint64_t i = 0; i < 60; i++) {
		ck_assert_msg(ranq_next(job, &value, 0, 60) == 1, "%s", ranq_last_error());
		ck_assert_uint_eq(value.index, i);
		ck_assert_uint_eq(value.len, 1000000);
		ck_assert_int_eq(((const char *)value.data)[999999], 'a' + (int)(i % 26));
	}
	ck_assert_int_eq(ranq_next(job, &value, 0, 60), 0);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* ---- streamed input -------------------------------------------------------------------------------------------- */
struct counter {
	uint64_t at, n, fail_at;
	char text[64];
};

static int count_up(void *user, const char **arg, size_t *len)
{
	struct counter *counter = user;
	if (counter->at == counter->fail_at)
		return -1;
	if (counter->at == counter->n)
		return 0;
	*len = (size_t)snprintf(
		counter->text, sizeof counter->text, "line number %llu", (unsigned long long)counter->at++);
	*arg = counter->text;
	return 1;
}

static struct ranq_job *submit_generator(struct ranq *ranq, struct counter *counter)
{
	struct ranq_submit_options options = client_rig_echo(0);
	options.generator = count_up;
	options.generator_user = counter;
	return client_rig_submit(ranq, &options);
}

START_TEST(generator)
{
	struct counter counter = {.n = 200000, .fail_at = UINT64_MAX};
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit_generator(ranq, &counter);
	struct ranq_value value;
	char want[80];
	client_rig_bridge("echo", "5000", "0");
	for (uint64_t i = 0; i < counter.n; i++) {
		ck_assert_msg(ranq_next(job, &value, 0, 60) == 1, "%s", ranq_last_error());
		int n = snprintf(want, sizeof want, "line number %llu\n", (unsigned long long)i);
		ck_assert_uint_eq(value.len, (size_t)n);
		ck_assert_mem_eq(value.data, want, value.len);
	}
	ck_assert_int_eq(ranq_next(job, &value, 0, 60), 0);
	ck_assert_int_eq(ranq_wait(job, 30), 1);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

static int one_more(void *user, const char **arg, size_t *len)
{
	int *more = user;
	if (!*more)
		return 2;
	*more = 0;
	*arg = "one more";
	*len = strlen(*arg);
	return 1;
}

static void has_tasks(struct ranq_job *job, uint64_t n)
{
	int64_t give_up = ranq_clock_ms() + 20000;
	struct ranq_progress progress;
	do {
		ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
		ck_assert(progress.open);
	} while (progress.tasks < n && ranq_clock_ms() < give_up);
	ck_assert_uint_eq(progress.tasks, n);
}

/* A command of administrators, of n words. */
static void redis_command(const char *const *words, size_t n)
{
	struct ranq_conn *conn = test_redis_connect(&rig.server);
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	for (size_t i = 0; i < n; i++)
		ranq_cmd_str(&cmd, words[i]);
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
}

static void cut_connections(void)
{
	redis_command((const char *const[]){"CLIENT", "KILL", "TYPE", "normal"}, 4);
}

/* Nothing else is at work: a task waits neither for company nor for the next look at the generator, also behind an answer that was
 * lost. */
START_TEST(one_at_a_time)
{
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options options = client_rig_echo(0);
	struct ranq_value value;
	int more = 0;
	options.generator = one_more;
	options.generator_user = &more;
	struct ranq_job *job = client_rig_submit(ranq, &options);
	client_rig_bridge("echo", "1", "0");
	for (uint64_t i = 0; i < 20; i++) {
		more = 1;
		bool lost = i >= 16; /* with nobody at work who would feel it: the connection before the append, or behind it */
		if (lost)
			client_rig_end_bridge(SIGKILL);
		if (lost && i % 2 == 0)
			cut_connections();
		int rc = ranq_next(job, &value, 0, 0);
		has_tasks(job, i + 1);
		if (lost && i % 2 == 1)
			cut_connections();
		if (lost)
			client_rig_bridge("echo", "1", "0");
		if (rc != 1)
			ck_assert_msg(ranq_next(job, &value, 0, 30) == 1, "%s", ranq_last_error());
		ck_assert_uint_eq(value.index, i);
	}
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* An input that breaks off: its tasks run, the job says that it is incomplete. */
START_TEST(generator_fails)
{
	struct counter counter = {.n = 200000, .fail_at = 150000};
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit_generator(ranq, &counter);
	client_rig_bridge("echo", "5000", "0");
	ck_assert_int_eq(ranq_wait(job, 60), -1);
	ck_assert_ptr_nonnull(strstr(ranq_last_error(), "the generator failed"));
	ck_assert_int_eq(ranq_wait(job, 60), 0);
	struct ranq_progress progress;
	ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
	ck_assert_str_eq(progress.state, "ERROR");
	ck_assert_uint_gt(progress.done, 0);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

START_TEST(arguments)
{
	static const char *const args[] = {"one", "", "three words here"};
	struct ranq_submit_options options = client_rig_echo(3);
	struct ranq *ranq = client_rig_open();
	struct ranq_value value;
	options.args = args;
	struct ranq_job *job = client_rig_submit(ranq, &options);
	client_rig_bridge("echo", "64", "0");
	for (uint64_t i = 0; i < 3; i++) {
		ck_assert_int_eq(ranq_next(job, &value, 0, 30), 1);
		ck_assert_uint_eq(value.len, strlen(args[i]) + 1);
		ck_assert_mem_eq(value.data, args[i], strlen(args[i]));
	}
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* ---- deaths of clients ----------------------------------------------------------------------------------------- */
/* A child consumes and says through a pipe what it got; it dies after `most`, at a moment of the test's choice. */
static void consume_and_die(const char *id, int unordered, uint64_t most, int to)
{
	struct ranq *ranq = ranq_open(rig.url, NULL);
	struct ranq_job *job = ranq ? ranq_job_attach(ranq, id) : NULL;
	struct ranq_value value;
	for (uint64_t i = 0; job && i < most && ranq_next(job, &value, unordered, 30) == 1; i++)
		if (write(to, &value.index, sizeof value.index) != sizeof value.index)
			_exit(1);
	kill(getpid(), SIGKILL);
}

/* F43: what the dead one acknowledged does not come again, what it did not does: together everything, and twice only
 * what came last. */
START_TEST(consumer_dies)
{
	unsigned char seen[N] = {0}, again[N] = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit(ranq, N);
	client_rig_bridge("index8", "37", "1");
	for (uint64_t most = 1; most < N; most = most * 3 + 7) {
		int fds[2];
		uint64_t index;
		ck_assert_int_eq(pipe(fds), 0);
		pid_t child = fork();
		if (child == 0)
			consume_and_die(ranq_job_id(job), _i, most, fds[1]);
		close(fds[1]);
		while (read(fds[0], &index, sizeof index) == sizeof index)
			seen[index] = 1;
		close(fds[0]);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
	}
	struct ranq_job *heir = ranq_job_attach(ranq, ranq_job_id(job));
	ck_assert_ptr_nonnull(heir);
	read_some(heir, again, N, _i, UINT64_MAX);
	for (uint64_t i = 0; i < N; i++)
		ck_assert_msg(seen[i] || again[i], "task %llu was not delivered to anybody", (unsigned long long)i);
	ranq_job_close(heir);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* F44: the second one takes over where the first one acknowledged; the first one learns of it and stops. */
START_TEST(takeover)
{
	unsigned char first_seen[N] = {0}, second_seen[N] = {0};
	struct ranq *one = client_rig_open(), *two = client_rig_open();
	struct ranq_job *first = submit(one, N);
	client_rig_bridge("index8", "10", "0");
	read_some(first, first_seen, N, 0, 15);
	ck_assert_int_eq(ranq_wait(first, 30), 1);
	struct ranq_job *second = ranq_job_attach(two, ranq_job_id(first));
	ck_assert_uint_ge(read_some(second, second_seen, N, 0, UINT64_MAX), N - 15);
	struct ranq_value value;
	int rc;
	while ((rc = ranq_next(first, &value, 0, 30)) == 1)
		;
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(strstr(ranq_last_error(), "another client took over"), "%s", ranq_last_error());
	for (uint64_t i = 0; i < N; i++)
		ck_assert(first_seen[i] || second_seen[i]);
	ranq_job_close(first);
	ranq_job_close(second);
	ranq_close(one);
	ranq_close(two);
}
END_TEST

/* A child submits these; it says "!" when it begins. */
static pid_t start_submitter(const char *const *args, uint64_t n, int *said)
{
	int ready[2];
	char byte;
	ck_assert_int_eq(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct ranq_submit_options options = client_rig_echo(n);
		struct ranq *own = ranq_open(rig.url, NULL);
		options.args = args;
		if (write(ready[1], "!", 1) == 1 && own)
			ranq_submit(own, &options);
		_exit(0);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	*said = ready[0];
	return child;
}

/* F42: a client that dies at any moment of a submit leaves a whole job or none; what it staged expires. */
START_TEST(submitter_dies)
{
	enum { LINES = 20000, TRIALS = 60 };
	static char text[LINES][8];
	static const char *args[LINES];
	struct ranq *ranq = client_rig_open();
	int whole = 0, none = 0, said;
	for (int i = 0; i < LINES; i++) {
		snprintf(text[i], sizeof text[i], "%d", i);
		args[i] = text[i];
	}
	ranq_job_close(submit(ranq, 1)); /* the queue is there and the functions are loaded */
	for (int trial = 0; trial < TRIALS; trial++) {
		char id[32];
		pid_t child = start_submitter(args, LINES, &said);
		struct pollfd end = {.fd = said};
		int64_t until =
			ranq_clock_ns() + (int64_t)trial * trial * 10000; /* 0 to 35 ms in: every step gets its turn */
		while (ranq_clock_ns() < until)
			;
		if (trial == TRIALS - 1) /* however slow the machine is: this one may end */
			poll(&end, 1, 60000);
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
		close(said);
		snprintf(id, sizeof id, "%d", 2 + whole);
		struct ranq_job *job = ranq_job_attach(ranq, id);
		if (!job) {
			ck_assert_int_eq(ranq_last_status(), 4);
			none++;
			continue;
		}
		struct ranq_progress progress;
		ck_assert_int_eq(ranq_progress_get(job, &progress), 0);
		ck_assert_uint_eq(progress.tasks, LINES);
		ranq_job_close(job);
		whole++;
	}
	ck_assert_int_gt(none, 0);
	ck_assert_int_gt(whole, 0);
	/* every key of a submission that came to nothing has a time to live */
	struct ranq_conn *conn = test_redis_connect(&rig.server);
	struct ranq_cmd cmd;
	struct ranq_reply *keys;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "KEYS");
	ranq_cmd_str(&cmd, "*:s:*");
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &keys, NULL), 0);
	for (size_t i = 0; i < ranq_reply_count(keys); i++) {
		struct ranq_bytes key = ranq_reply_bytes(ranq_reply_at(keys, i));
		struct ranq_reply *ttl;
		ranq_cmd_reset(&cmd);
		ranq_cmd_str(&cmd, "TTL");
		ranq_cmd_bytes(&cmd, key.data, key.len);
		ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &ttl, NULL), 0);
		ck_assert_int_gt(ranq_reply_int(ttl), 0);
		ranq_reply_destroy(ttl);
	}
	ranq_reply_destroy(keys);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
	ranq_close(ranq);
}
END_TEST

/* ---- deaths of the server -------------------------------------------------------------------------------------- */
/* F13: kill -9 in the middle of reading; nothing is lost or repeated for the client. */
START_TEST(server_dies)
{
	unsigned char seen[N] = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit(ranq, N);
	client_rig_bridge("index8", "37", "1");
	uint64_t count = 0;
	for (int round = 0; round < 3; round++) {
		count += read_some(job, seen, N, _i, 300);
		test_redis_kill(&rig.server);
		test_redis_restart(&rig.server);
	}
	count += read_some(job, seen, N, _i, UINT64_MAX);
	ck_assert_uint_eq(count, N);
	all_seen(seen, N);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

static void shell(const char *format)
{
	char command[512];
	snprintf(command, sizeof command, format, rig.server.dir, rig.server.dir, rig.server.dir, rig.server.dir);
	ck_assert_int_eq(system(command), 0);
}

static int64_t stored_items(void)
{
	struct ranq_conn *conn = test_redis_connect(&rig.server);
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "HLEN");
	ranq_cmd_str(&cmd, "ranq:{default}:j:1:r");
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	int64_t n = ranq_reply_int(reply);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
	return n;
}

/* F14: the server comes back as it was before results were read and acknowledged: the client's ledger keeps them from
 * coming twice, and what the server got back is freed again. */
START_TEST(server_rolls_back)
{
	unsigned char seen[N] = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options options = client_rig_echo(N);
	options.max_output_bytes = 8;
	options.backlog_bytes =
		10 * N; /* an eighth of it is acknowledged at once: several times while this test reads */
	struct ranq_job *job = client_rig_submit(ranq, &options);
	client_rig_bridge("index8", "7", "0"); /* several batches of items */
	ck_assert_int_eq(ranq_wait(job, 60), 1);
	client_rig_end_bridge(SIGTERM);
	uint64_t count = read_some(job, seen, N, _i, 500);
	/* a clean copy: stop, copy, start */
	test_redis_kill(&rig.server);
	shell("rm -rf %s/old && mkdir %s/old && cp -r %s/append* %s/old/");
	test_redis_restart(&rig.server);
	count += read_some(job, seen, N, _i, 3000);
	test_redis_kill(&rig.server);
	shell("rm -rf %s/append* && cp -r %s/old/append* %s/");
	test_redis_restart(&rig.server);
	count += read_some(job, seen, N, _i, UINT64_MAX);
	ck_assert_uint_eq(count, N);
	all_seen(seen, N);
	/* all of it was acknowledged and freed, also what the server got back; another reader finds nothing unread */
	ck_assert_int_eq(stored_items(), 0);
	struct ranq_job *heir = ranq_job_attach(ranq, ranq_job_id(job));
	struct ranq_value value;
	ck_assert_int_eq(ranq_next(heir, &value, 0, 30), 0);
	ranq_job_close(heir);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* F34: the functions are forgotten while a client reads. */
START_TEST(functions_forgotten)
{
	unsigned char seen[N] = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_job *job = submit(ranq, N);
	client_rig_bridge("index8", "37", "0");
	uint64_t count = read_some(job, seen, N, _i, 100);
	redis_command((const char *const[]){"FUNCTION", "FLUSH"}, 2);
	count += read_some(job, seen, N, _i, UINT64_MAX);
	ck_assert_uint_eq(count, N);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* What a job of the public interface looks like in the queue; and a job of the programs that has no results of tasks.
 */
START_TEST(job_record)
{
	static const char *const env[] = {"A=1", "B=two words", NULL}, *const bad_env[] = {"novalue", NULL};
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options options = client_rig_echo(1);
	struct ranq_server_addr addr;
	struct ranq_session_options how = {.queue = "default", .patience_ms = 5000, .interrupt_fd = -1};
	struct ranq_spec spec;
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	struct ranq_bytes packed;
	enum ranq_job_state state;
	options.env = bad_env;
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	ck_assert_int_eq(ranq_last_status(), 2);
	options.env = env;
	options.require = "gpu";
	options.cwd = "/tmp";
	ranq_job_close(client_rig_submit(ranq, &options));
	ranq_server_addr_init(&addr);
	ck_assert_int_eq(ranq_server_addr_parse(rig.url, &addr, NULL), 0);
	struct ranq_session *session = ranq_session_open(&addr, &how, NULL);
	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_spec_cmd(&session->queue, &cmd, 1), 0);
	ck_assert_int_eq(ranq_session_call(session, &cmd, RANQ_NEVER, &reply, NULL), 0);
	ck_assert_int_eq(ranq_queue_spec_parse(reply, &packed, &state, NULL), 0);
	ck_assert_int_eq(ranq_spec_unpack(packed.data, packed.len, &spec, NULL), 0);
	ck_assert_str_eq(spec.require, "gpu");
	ck_assert_str_eq(spec.cwd, "/tmp");
	ck_assert_uint_eq(spec.env.n, 2);
	ck_assert_str_eq(spec.env.at[1], "B=two words");
	/* the same again with a reduction */
	struct ranq_submission submission = {.spec = &spec, .tasks = 1};
	struct ranq_producer *producer;
	struct ranq_value value;
	struct ranq_err err = {0};
	uint64_t job;
	spec.reduce = strdup("sum_int64");
	ck_assert_msg(ranq_submit_prepare(&submission, &err) == 0, "%s", err.text);
	ck_assert_msg(ranq_submit_send(session, &submission, &job, &producer, &err) == 0, "%s", err.text);
	struct ranq_job *reduced = ranq_job_attach(ranq, "2");
	ck_assert_int_eq(ranq_next(reduced, &value, 0, 30), -1);
	ck_assert_msg(strstr(ranq_last_error(), "job default/2 has a reduction"), "%s", ranq_last_error());
	ranq_job_close(reduced);
	ranq_spec_clear(&spec);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	ranq_session_close(session);
	ranq_server_addr_clear(&addr);
	ranq_close(ranq);
}
END_TEST

/* Calls of functions that the server has seen. */
static long fcalls(struct ranq_conn *conn)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	char text[4096];
	long calls = 0;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "INFO");
	ranq_cmd_str(&cmd, "commandstats");
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	struct ranq_bytes all = ranq_reply_bytes(reply);
	snprintf(text, sizeof text, "%.*s", (int)all.len, (const char *)all.data);
	for (const char *at = text; (at = strstr(at, "cmdstat_")); at += 8)
		if (strncmp(at, "cmdstat_fcall:", 14) == 0 || strncmp(at, "cmdstat_evalsha:", 16) == 0)
			calls += strtol(strchr(at, '=') + 1, NULL, 10);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return calls;
}

static void forget_modules(struct ranq_conn *conn)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "EVAL");
	ranq_cmd_str(&cmd, "return redis.call('DEL', unpack(redis.call('KEYS', '*:blob:*')))");
	ranq_cmd_int(&cmd, 0);
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &reply, NULL), 0);
	ck_assert_int_eq(ranq_reply_int(reply), 1);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

/* The second job with a module is one call, also when the first one was removed; and a module that the queue has lost is
 * sent again. */
START_TEST(one_module_again)
{
	struct ranq *ranq = client_rig_open();
	struct ranq_conn *conn = test_redis_connect(&rig.server);
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	struct ranq_value value;
	options.module = RANQ_TEST_BUILDDIR "/tests/modules/noop.so";
	options.function = "noop";
	options.tasks = 1;
	client_rig_bridge("index8", "1", "0");
	struct ranq_job *job = client_rig_submit(ranq, &options);
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 1);
	ck_assert_int_eq(ranq_remove(job), 0);
	ranq_job_close(job);
	ck_assert_int_eq(kill(rig.bridge, SIGSTOP), 0); /* it is there, and calls nothing */
	ck_assert_int_eq(waitpid(rig.bridge, NULL, WUNTRACED), rig.bridge);
	long before = fcalls(conn);
	job = client_rig_submit(ranq, &options);
	ck_assert_int_eq(fcalls(conn) - before, 1);
	ranq_job_close(job);
	forget_modules(conn);
	job = client_rig_submit(ranq, &options);
	ck_assert_int_gt(fcalls(conn) - before, 2);
	forget_modules(conn); /* it was there again */
	ranq_job_close(job);
	ranq_conn_close(conn);
	ranq_close(ranq);
}
END_TEST

START_TEST(errors)
{
	static const char *const args[] = {"one"};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	ck_assert_ptr_null(ranq_open("unix:///nonexistent/socket", NULL));
	ck_assert_int_eq(ranq_last_status(), 3);
	ck_assert_ptr_null(ranq_open(rig.url, "a{b}"));
	ck_assert_int_eq(ranq_last_status(), 2);
	struct ranq *ranq = client_rig_open();
	ck_assert_ptr_null(ranq_job_attach(ranq, "7"));
	ck_assert_int_eq(ranq_last_status(), 4);
	ck_assert_ptr_null(ranq_job_attach(ranq, "other/7"));
	ck_assert_int_eq(ranq_last_status(), 2);
	ck_assert_ptr_null(ranq_submit(ranq, &options)); /* no body */
	options = client_rig_echo(0);
	ck_assert_ptr_null(ranq_submit(ranq, &options)); /* no tasks */
	options.tasks = UINT64_MAX;
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	options.tasks = 1;
	options.timeout_s = -1;
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	options.timeout_s = 0;
	options.module = "some.so"; /* of a command */
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	options.module = NULL;
	options.data_bytes = 1; /* of nothing */
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	options.data_bytes = 0;
	options.args = args;
	options.generator = count_up; /* both */
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	ck_assert_int_eq(ranq_last_status(), 2);
	options.args = NULL;
	options.arg_file = "/dev/null"; /* both */
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	options.generator = NULL; /* nothing in it */
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	options.arg_file = "/nonexistent/file";
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	ck_assert_int_eq(ranq_last_status(), 2);
	options.arg_file = NULL;
	options.size -= 8; /* a program of another version: its struct ends here */
	ck_assert_ptr_null(ranq_submit(ranq, &options));
	ck_assert_int_eq(ranq_last_status(), 2);
	ranq_close(ranq);
	ranq_close(NULL);
	ranq_job_close(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tests = tcase_create("client");
	tcase_set_timeout(tests, 100);
	tcase_add_checked_fixture(tests, client_rig_start, client_rig_stop);
	tcase_add_loop_test(tests, everything_once, 0, 2);
	tcase_add_test(tests, order);
	tcase_add_test(tests, time_out);
	tcase_add_test(tests, backlog);
	tcase_add_test(tests, generator);
	tcase_add_test(tests, one_at_a_time);
	tcase_add_test(tests, generator_fails);
	tcase_add_test(tests, arguments);
	tcase_add_loop_test(tests, consumer_dies, 0, 2);
	tcase_add_test(tests, takeover);
	tcase_add_test(tests, submitter_dies);
	tcase_add_loop_test(tests, server_dies, 0, 2);
	tcase_add_loop_test(tests, server_rolls_back, 0, 2);
	tcase_add_loop_test(tests, functions_forgotten, 0, 2);
	tcase_add_test(tests, job_record);
	tcase_add_test(tests, one_module_again);
	tcase_add_test(tests, errors);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

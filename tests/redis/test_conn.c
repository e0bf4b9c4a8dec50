/* A connection against a real server: login, order, size, death. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/redis_server.h"
#include "util/clock.h"

#define CALL_MS 60000

static struct test_redis server;
static struct ranq_conn *conn;

static void setup(void)
{
	test_redis_start(&server, 0, NULL);
	conn = test_redis_connect(&server);
}

static void teardown(void)
{
	ranq_conn_close(conn);
	conn = NULL;
	test_redis_stop(&server);
}

static struct ranq_reply *call(struct ranq_conn *to, const char *const *words)
{
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	for (; *words; words++)
		ranq_cmd_str(&cmd, *words);
	ck_assert_msg(!ranq_conn_call(to, &cmd, ranq_clock_ms() + CALL_MS, &reply, &err), "%s", err.text);
	ranq_cmd_clear(&cmd);
	return reply;
}
#define CALL(to, ...) call(to, (const char *const[]){__VA_ARGS__, NULL})

static void expect_status(struct ranq_reply *reply, const char *text)
{
	struct ranq_bytes bytes = ranq_reply_bytes(reply);

	ck_assert_int_eq(ranq_reply_type(reply), RANQ_REPLY_STATUS);
	ck_assert_uint_eq(bytes.len, strlen(text));
	ck_assert_mem_eq(bytes.data, text, bytes.len);
	ranq_reply_destroy(reply);
}

/* Pumps until nothing is outstanding or the connection is dead. */
static int drain(struct ranq_conn *c, int64_t limit_ms)
{
	int64_t until = ranq_clock_ms() + limit_ms;

	while (ranq_conn_inflight(c)) {
		struct pollfd p = {
			.fd = ranq_conn_fd(c), .events = (short)(POLLIN | (ranq_conn_wants_write(c) ? POLLOUT : 0))};

		if (ranq_conn_pump(c, NULL))
			return -1;
		if (!ranq_conn_inflight(c))
			break;
		ck_assert_msg(ranq_clock_ms() < until, "no reply in time");
		poll(&p, 1, 100);
	}
	return 0;
}

static void send_words(struct ranq_conn *c, ranq_conn_cb *cb, void *arg, const char *const *words)
{
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	for (; *words; words++)
		ranq_cmd_str(&cmd, *words);
	ranq_conn_send(c, &cmd, cb, arg);
	ranq_cmd_clear(&cmd);
}
#define SEND(c, cb, arg, ...) send_words(c, cb, arg, (const char *const[]){__VA_ARGS__, NULL})

/* ---- replies -------------------------------------------------------------------------------------------------- */

START_TEST(every_type_of_reply)
{
	struct ranq_reply *reply;

	expect_status(CALL(conn, "SET", "k", "42"), "OK");
	reply = CALL(conn, "GET", "k");
	ck_assert_int_eq(ranq_reply_type(reply), RANQ_REPLY_STRING);
	ck_assert_int_eq(ranq_reply_int(reply), 42);
	ranq_reply_destroy(reply);
	reply = CALL(conn, "INCR", "k");
	ck_assert_int_eq(ranq_reply_type(reply), RANQ_REPLY_INT);
	ck_assert_int_eq(ranq_reply_int(reply), 43);
	ranq_reply_destroy(reply);
	reply = CALL(conn, "GET", "nothing");
	ck_assert_int_eq(ranq_reply_type(reply), RANQ_REPLY_NIL);
	ranq_reply_destroy(reply);
	reply = CALL(conn, "LPOP", "k");
	ck_assert_int_eq(ranq_reply_type(reply), RANQ_REPLY_ERROR);
	ck_assert_mem_eq(ranq_reply_bytes(reply).data, "WRONGTYPE", 9);
	ranq_reply_destroy(reply);
	reply = CALL(conn, "EVAL", "return {1,{'two',{}},false}", "0");
	ck_assert_uint_eq(ranq_reply_count(reply), 3);
	ck_assert_int_eq(ranq_reply_int(ranq_reply_at(reply, 0)), 1);
	ck_assert_uint_eq(ranq_reply_count(ranq_reply_at(reply, 1)), 2);
	ck_assert_uint_eq(ranq_reply_count(ranq_reply_at(ranq_reply_at(reply, 1), 1)), 0);
	ck_assert_int_eq(ranq_reply_type(ranq_reply_at(reply, 2)), RANQ_REPLY_NIL);
	ck_assert_ptr_null(ranq_reply_at(reply, 3));
	ranq_reply_destroy(reply);
}
END_TEST

START_TEST(facts_of_the_server)
{
	const struct ranq_server_facts *facts = ranq_conn_facts(conn);

	ck_assert_uint_ge(facts->major, 6);
	ck_assert_int_eq(facts->has_functions, facts->major >= 7);
	ck_assert_uint_eq(strlen(facts->run_id), 40);
	ck_assert_str_eq(facts->maxmemory_policy, "noeviction");
	ck_assert(!facts->aof && !facts->loading && !facts->tls);
}
END_TEST

/* ---- order and size ------------------------------------------------------------------------------------------- */

#define PIPELINE 10000

struct order {
	int64_t next, wrong;
};

static void in_order(const struct ranq_reply *reply, void *arg)
{
	struct order *order = arg;

	order->wrong += !reply || ranq_reply_int(reply) != ++order->next;
}

START_TEST(ten_thousand_in_order)
{
	struct order order = {0};

	for (int i = 0; i < PIPELINE; i++)
		SEND(conn, in_order, &order, "INCR", "counter");
	ck_assert_uint_eq(ranq_conn_inflight(conn), PIPELINE);
	ck_assert_int_eq(drain(conn, CALL_MS), 0);
	ck_assert_int_eq(order.next, PIPELINE);
	ck_assert_int_eq(order.wrong, 0);
	ck_assert_uint_eq(ranq_conn_unsent(conn), 0);
}
END_TEST

START_TEST(call_after_sends_keeps_the_order)
{
	struct order order = {0};
	struct ranq_reply *reply;

	for (int i = 0; i < 10; i++)
		SEND(conn, in_order, &order, "INCR", "counter");
	reply = CALL(conn, "INCR", "counter");
	ck_assert_int_eq(order.next, 10);
	ck_assert_int_eq(order.wrong, 0);
	ck_assert_int_eq(ranq_reply_int(reply), 11);
	ranq_reply_destroy(reply);
}
END_TEST

#define BIG ((size_t)16 << 20)

START_TEST(sixteen_megabytes_there_and_back)
{
	unsigned char *data = malloc(BIG);
	struct ranq_reply *reply = NULL;
	struct ranq_cmd cmd;

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < BIG; i++)
		data[i] = (unsigned char)(i * 2654435761u >> 13);
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "SET");
	ranq_cmd_str(&cmd, "big");
	ranq_cmd_bytes(&cmd, data, BIG);
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + CALL_MS, &reply, NULL), 0);
	expect_status(reply, "OK");
	ranq_cmd_clear(&cmd);
	reply = CALL(conn, "GET", "big");
	ck_assert_uint_eq(ranq_reply_bytes(reply).len, BIG);
	ck_assert_mem_eq(ranq_reply_bytes(reply).data, data, BIG);
	ranq_reply_destroy(reply);
	free(data);
}
END_TEST

struct chain_of_sends {
	struct ranq_conn *conn;
	int left, nulls;
};

static void send_another(const struct ranq_reply *reply, void *arg)
{
	struct chain_of_sends *chain = arg;

	chain->nulls += !reply;
	if (reply && --chain->left)
		SEND(chain->conn, send_another, chain, "PING");
}

START_TEST(callbacks_may_send)
{
	struct chain_of_sends chain = {.conn = conn, .left = 200};

	SEND(conn, send_another, &chain, "PING");
	ck_assert_int_eq(drain(conn, CALL_MS), 0);
	ck_assert_int_eq(chain.left, 0);
	ck_assert_int_eq(chain.nulls, 0);
}
END_TEST

START_TEST(command_that_failed_to_build_is_not_sent)
{
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "PING");
	ranq_cmd_bytes(&cmd, "", (size_t)600 << 20);
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + CALL_MS, &reply, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ranq_cmd_clear(&cmd);
	expect_status(CALL(conn, "PING"), "PONG");
}
END_TEST

/* ---- death ---------------------------------------------------------------------------------------------------- */

static void count_nulls(const struct ranq_reply *reply, void *arg)
{
	*(int *)arg += !reply;
}

static void count_calls(const struct ranq_reply *reply, void *arg)
{
	(void)reply;
	++*(int *)arg;
}

START_TEST(killed_server_ends_every_callback_once)
{
	int nulls = 0, calls = 0;
	struct ranq_err err = {0};

	kill(server.pid, SIGSTOP);
	for (int i = 0; i < 100; i++) {
		SEND(conn, count_nulls, &nulls, "PING");
		SEND(conn, count_calls, &calls, "PING");
	}
	ck_assert_int_eq(ranq_conn_pump(conn, NULL), 0);
	test_redis_kill(&server);
	ck_assert_int_eq(drain(conn, CALL_MS), -1);
	ck_assert_int_eq(nulls, 100);
	ck_assert_int_eq(calls, 100);
	ck_assert(!ranq_conn_alive(conn));
	ck_assert_int_eq(ranq_conn_pump(conn, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	SEND(conn, count_nulls, &nulls, "PING");
	ck_assert_int_eq(nulls, 101);
}
END_TEST

START_TEST(close_ends_callbacks)
{
	int nulls = 0;

	SEND(conn, count_nulls, &nulls, "PING");
	ranq_conn_close(conn);
	conn = NULL;
	ck_assert_int_eq(nulls, 1);
}
END_TEST

START_TEST(stopped_server_ends_a_call_at_its_deadline)
{
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;
	int64_t begin;

	kill(server.pid, SIGSTOP);
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "PING");
	begin = ranq_clock_ms();
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, begin + 300, &reply, &err), -1);
	ck_assert_int_ge(ranq_clock_ms() - begin, 300);
	ck_assert_int_lt(ranq_clock_ms() - begin, CALL_MS / 2);
	ck_assert_int_eq(err.code, RANQ_ERR_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(err.text, "no answer in time"));
	/* dead now: the next one has surely not been executed */
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, begin + 300, &reply, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	ranq_cmd_clear(&cmd);
	kill(server.pid, SIGCONT);
}
END_TEST

/* The kernel takes part of it only, so the server cannot have executed it. */
START_TEST(half_sent_command_was_surely_not_executed)
{
	char *data = calloc(1, BIG);
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;

	ck_assert_ptr_nonnull(data);
	kill(server.pid, SIGSTOP);
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "SET");
	ranq_cmd_str(&cmd, "big");
	ranq_cmd_bytes(&cmd, data, BIG);
	free(data);
	ck_assert_int_eq(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 200, &reply, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	ranq_cmd_clear(&cmd);
	kill(server.pid, SIGCONT);
}
END_TEST

START_TEST(killed_client_is_noticed)
{
	struct ranq_conn *other = test_redis_connect(&server);
	int nulls = 0;

	ranq_reply_destroy(CALL(other, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"));
	SEND(conn, count_nulls, &nulls, "PING");
	ck_assert_int_eq(drain(conn, CALL_MS), -1);
	ck_assert_int_eq(nulls, 1);
	ranq_conn_close(other);
}
END_TEST

START_TEST(descriptor_is_not_inherited)
{
	char path[64];
	int status;
	pid_t pid;

	snprintf(path, sizeof path, "/proc/self/fd/%d", ranq_conn_fd(conn));
	ck_assert_int_eq(access(path, F_OK), 0);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", "test ! -e \"$1\"", "sh", path, (char *)NULL);
		_exit(99);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conn");
	TCase *tcase = tcase_create("conn");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, every_type_of_reply);
	tcase_add_test(tcase, facts_of_the_server);
	tcase_add_test(tcase, ten_thousand_in_order);
	tcase_add_test(tcase, call_after_sends_keeps_the_order);
	tcase_add_test(tcase, sixteen_megabytes_there_and_back);
	tcase_add_test(tcase, callbacks_may_send);
	tcase_add_test(tcase, command_that_failed_to_build_is_not_sent);
	tcase_add_test(tcase, killed_server_ends_every_callback_once);
	tcase_add_test(tcase, close_ends_callbacks);
	tcase_add_test(tcase, stopped_server_ends_a_call_at_its_deadline);
	tcase_add_test(tcase, half_sent_command_was_surely_not_executed);
	tcase_add_test(tcase, killed_client_is_noticed);
	tcase_add_test(tcase, descriptor_is_not_inherited);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

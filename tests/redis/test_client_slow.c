/* test_client_slow.c - libranq and slowness: links on which a call takes long but moves, generators that take their
 * time, and what the server forgot of their input. */
#include "tests/support/client_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/stream.h"
#include "tests/support/relay.h"

#define RATE 1000000   /* bytes a second of the slow link */
#define SILENCE_MS 900 /* nothing moves for so long: a dead connection */
#define PATIENCE_MS 900

static struct ranq_session *session_through(const char *path)
{
	struct ranq_server_addr addr;
	struct ranq_err err = {0};
	char text[160];
	struct ranq_session_options options = {.queue = "default",
		.create = true,
		.patience_ms = PATIENCE_MS,
		.silence_ms = SILENCE_MS,
		.interrupt_fd = -1};
	snprintf(text, sizeof text, "unix://%s", path);
	ranq_server_addr_init(&addr);
	ck_assert_int_eq(ranq_server_addr_parse(text, &addr, NULL), 0);
	struct ranq_session *session = ranq_session_open(&addr, &options, &err);
	ck_assert_msg(session != NULL, "%s", err.text);
	ranq_server_addr_clear(&addr);
	return session;
}

/* Which takes its time, too. */
static void load_functions(void)
{
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options submit = client_rig_echo(1);
	ranq_job_close(client_rig_submit(ranq, &submit));
	ranq_close(ranq);
}

/* A command that takes longer than silence and patience arrives, since its bytes move all the time. */
START_TEST(slow_there)
{
	size_t len = RATE * 12 / 10;
	char path[128], *bytes = calloc(1, len);
	struct ranq_reply *reply;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;
	snprintf(path, sizeof path, "%s/slow", rig.server.dir);
	pid_t relay = test_relay_start(path, rig.server.socket, RATE, 0);
	load_functions();
	struct ranq_session *session = session_through(path);
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "SET");
	ranq_cmd_str(&cmd, "large");
	ranq_cmd_bytes(&cmd, bytes, len);
	int64_t began_ms = ranq_clock_ms();
	ck_assert_msg(ranq_session_call(session, &cmd, RANQ_NEVER, &reply, &err) == 0, "%s", err.text);
	ck_assert_int_gt(ranq_clock_ms() - began_ms, PATIENCE_MS);
	ck_assert_uint_eq(session->connects, 1);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	ranq_session_close(session);
	test_relay_stop(relay);
	free(bytes);
}
END_TEST

/* A batch of results that takes longer than that is read, and not asked for again and again. */
START_TEST(slow_back)
{
	char path[128];
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options submit = client_rig_echo(1);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	struct ranq_stream_options options = {0};
	struct ranq_stream_result result;
	struct ranq_err err = {0};
	client_rig_bridge("big", "1", "0");
	ck_assert_int_eq(ranq_wait(job, 30), 1);
	snprintf(path, sizeof path, "%s/slow", rig.server.dir);
	pid_t relay = test_relay_start(path, rig.server.socket, 0, RATE);
	struct ranq_session *session = session_through(path);
	struct ranq_stream *stream = ranq_stream_open(session, 1, &options, &err);
	ck_assert_msg(stream != NULL, "%s", err.text);
	ck_assert_msg(ranq_stream_next(stream, &result, RANQ_NEVER, &err) == 1, "%s", err.text);
	ck_assert_uint_eq(result.value.len, 1000000);
	ck_assert_uint_eq(session->connects, 1);
	ranq_stream_close(stream);
	ranq_session_close(session);
	test_relay_stop(relay);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* A server that does not answer at all is given up after the silence, not later. */
START_TEST(silence)
{
	load_functions();
	struct ranq_session *session = session_through(rig.server.socket);
	struct ranq_reply *reply;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "BLPOP");
	ranq_cmd_str(&cmd, "nothing");
	ranq_cmd_int(&cmd, 600);
	int64_t began_ms = ranq_clock_ms();
	ck_assert_int_eq(ranq_session_call(session, &cmd, RANQ_NEVER, &reply, &err), -1);
	ck_assert_int_lt(ranq_clock_ms() - began_ms, 60000);
	ck_assert_msg(strstr(err.text, "no answer in time"), "%s", err.text);
	ranq_cmd_clear(&cmd);
	ranq_session_close(session);
}
END_TEST

/* ---- generators ------------------------------------------------------------------------------------------------ */
#define SLOW_N 24

struct slow {
	int at, idle; /* idle: how often "none at present" was said */
	bool polite;
	char text[16];
};

/* Takes 50 ms for each, or says twice that there is none at present. */
static int slowly(void *user, const char **arg, size_t *len)
{
	struct slow *slow = user;
	const struct timespec pause = {.tv_nsec = 50000000};
	if (slow->at == SLOW_N)
		return 0;
	if (slow->polite && ++slow->idle % 3)
		return 2;
	if (!slow->polite)
		nanosleep(&pause, NULL);
	*len = (size_t)snprintf(slow->text, sizeof slow->text, "%d", slow->at++);
	*arg = slow->text;
	return 1;
}

static void until_bridge_joined(void)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	struct ranq_conn *conn = test_redis_connect(&rig.server);
	int64_t joined = 0, limit_ms = ranq_clock_ms() + 60000;
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "ZCARD");
	ranq_cmd_str(&cmd, "ranq:{default}:L");
	while (!joined && ranq_clock_ms() < limit_ms) {
		ck_assert_int_eq(ranq_conn_call(conn, &cmd, limit_ms, &reply, NULL), 0);
		joined = ranq_reply_int(reply);
		ranq_reply_destroy(reply);
		nanosleep(&pause, NULL);
	}
	ck_assert_int_eq(joined, 1);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
}

/* Tasks start, and their results come, long before a slow generator has ended. */
START_TEST(slow_generator)
{
	struct slow slow = {.polite = _i};
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options options = client_rig_echo(0);
	struct ranq_value value;
	client_rig_bridge("good", "64", "0");
	until_bridge_joined();
	options.generator = slowly;
	options.generator_user = &slow;
	struct ranq_job *job = client_rig_submit(ranq, &options);
	ck_assert_int_lt(slow.at, SLOW_N);
	for (int i = 0; i < SLOW_N; i++) {
		char want[16];
		ck_assert_msg(ranq_next(job, &value, 0, 30) == 1, "%s", ranq_last_error());
		if (i == 0)
			ck_assert_int_lt(slow.at, SLOW_N);
		ck_assert_uint_eq(value.len, (size_t)snprintf(want, sizeof want, "%d\n", i));
		ck_assert_mem_eq(value.data, want, value.len);
	}
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 0);
	ck_assert_int_eq(ranq_wait(job, 30), 1);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

struct twice {
	int at, go; /* go: more may follow behind the first FIRST */
	char text[16];
};
#define FIRST 300

static int in_two_parts(void *user, const char **arg, size_t *len)
{
	struct twice *twice = user;
	if (twice->at == FIRST + 1)
		return 0;
	if (twice->at == FIRST && !twice->go)
		return 2;
	*len = (size_t)snprintf(twice->text, sizeof twice->text, "%d", twice->at++);
	*arg = twice->text;
	return 1;
}

/* A reader that takes long over what it has does not starve its generator: the input goes on within a batch. */
START_TEST(slow_reader)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct twice twice = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options options = client_rig_echo(0);
	struct ranq_value value;
	options.generator = in_two_parts;
	options.generator_user = &twice;
	struct ranq_job *job = client_rig_submit(ranq, &options);
	client_rig_bridge("good", "1000", "0");
	for (int i = 0; i < FIRST; i++) {
		ck_assert_msg(ranq_next(job, &value, 0, 30) == 1, "%s", ranq_last_error());
		twice.go = i >= 10;
		nanosleep(&pause, NULL);
	}
	ck_assert_int_eq(twice.at, FIRST + 1);
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 1);
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 0);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* ---- a server that goes back in time --------------------------------------------------------------------------- */
#define BACK_N 160
#define BACK_BYTES 60000 /* some 17 of them make a batch */

struct back {
	int at;
	char text[BACK_BYTES];
};

static void shell(const char *format)
{
	char command[512];
	snprintf(command, sizeof command, format, rig.server.dir, rig.server.dir, rig.server.dir, rig.server.dir);
	ck_assert_int_eq(system(command), 0);
}

/* In the middle of it the server is stopped and copied; some batches later it becomes that copy again. */
static int with_roll_back(void *user, const char **arg, size_t *len)
{
	struct back *back = user;
	if (back->at == BACK_N)
		return 0;
	if (back->at == BACK_N / 4) {
		test_redis_kill(&rig.server);
		shell("rm -rf %s/old && mkdir %s/old && cp -r %s/append* %s/old/");
		test_redis_restart(&rig.server);
	} else if (back->at == BACK_N * 3 / 4) {
		test_redis_kill(&rig.server);
		shell("rm -rf %s/append* && cp -r %s/old/append* %s/");
		test_redis_restart(&rig.server);
	}
	memset(back->text, 'a' + back->at % 26, sizeof back->text);
	*arg = back->text;
	*len = sizeof back->text - (size_t)back->at++; /* each its own length */
	return 1;
}

/* What the server forgot of a streamed input is sent again: every line is a task once, in its place. */
START_TEST(input_again)
{
	static struct back back;
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options options = client_rig_echo(0);
	struct ranq_value value;
	options.generator = with_roll_back;
	options.generator_user = &back;
	struct ranq_job *job = client_rig_submit(ranq, &options);
	if (_i) /* tasks run while it happens, or afterwards */
		client_rig_bridge("good", "5", "0");
	for (int i = 0; i < BACK_N; i++) {
		int rc;
		while ((rc = ranq_next(job, &value, 0, _i ? 30 : 0.05)) < 0 && ranq_last_status() == 5)
			if (back.at == BACK_N && !rig.bridge)
				client_rig_bridge("good", "5", "0");
		ck_assert_msg(rc == 1, "%s", ranq_last_error());
		ck_assert_uint_eq(value.index, (uint64_t)i);
		ck_assert_uint_eq(value.len, (size_t)(BACK_BYTES - i + 1));
		ck_assert_int_eq(*(const char *)value.data, 'a' + i % 26);
	}
	ck_assert_int_eq(ranq_next(job, &value, 0, 30), 0);
	ck_assert_int_eq(ranq_wait(job, 30), 1);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client_slow");
	TCase *tests = tcase_create("client_slow");
	tcase_set_timeout(tests, 100);
	tcase_add_checked_fixture(tests, client_rig_start, client_rig_stop);
	tcase_add_test(tests, slow_there);
	tcase_add_test(tests, slow_back);
	tcase_add_test(tests, silence);
	tcase_add_loop_test(tests, slow_generator, 0, 2);
	tcase_add_test(tests, slow_reader);
	tcase_add_loop_test(tests, input_again, 0, 2);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

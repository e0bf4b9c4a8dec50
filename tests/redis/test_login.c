/* Connecting and logging in, and every way in which that fails: one clear line, the right class, no secret in it. */
#include <check.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/listener.h"
#include "support/redis_server.h"
#include "util/clock.h"

#define OPEN_MS 60000
#define CANARY "canary-5d2e"

static struct test_redis server;
static struct ranq_conn *admin;
static struct ranq_server_addr addr;
static struct fake_listener listener;

static void fail_config(const struct ranq_reply *reply, void *arg)
{
	char words[160];

	(void)arg;
	ck_assert_msg(reply && ranq_reply_type(reply) != RANQ_REPLY_ERROR, "%s",
		reply ? ranq_reply_words(reply, words, sizeof words) : "lost");
}

static struct ranq_reply *call(struct ranq_conn *to, const char *const *words)
{
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	for (; *words; words++)
		ranq_cmd_str(&cmd, *words);
	ck_assert_msg(!ranq_conn_call(to, &cmd, ranq_clock_ms() + OPEN_MS, &reply, &err), "%s", err.text);
	ranq_cmd_clear(&cmd);
	return reply;
}

static void configure(const char *const *words)
{
	struct ranq_reply *reply = call(admin, words);

	fail_config(reply, NULL);
	ranq_reply_destroy(reply);
}
#define CONFIGURE(...) configure((const char *const[]){__VA_ARGS__, NULL})

static void setup(void)
{
	static const char *const extra[] = {"--bind", "127.0.0.1", "-::1", NULL};

	test_redis_start(&server, 0, extra);
	admin = test_redis_connect(&server);
	ranq_server_addr_init(&addr);
	addr.unix_path = strdup(server.socket);
}

static void teardown(void)
{
	ranq_server_addr_clear(&addr);
	ranq_conn_close(admin);
	test_redis_stop(&server);
}

static void expect_open(void)
{
	struct ranq_err err = {0};
	struct ranq_conn *conn = ranq_conn_open(&addr, ranq_clock_ms() + OPEN_MS, &err);

	ck_assert_msg(conn, "%s", err.text);
	ranq_reply_destroy(call(conn, (const char *const[]){"SET", "login", "1", NULL}));
	ranq_conn_close(conn);
}

static void expect_refusal(int64_t limit_ms, enum ranq_err_code code, const char *text)
{
	struct ranq_err err = {0};
	struct ranq_conn *conn = ranq_conn_open(&addr, ranq_clock_ms() + limit_ms, &err);

	ck_assert_ptr_null(conn);
	ck_assert_msg(strstr(err.text, text), "'%s' does not say '%s'", err.text, text);
	ck_assert_msg(err.code == code, "%s: '%s'", ranq_err_name(err.code), err.text);
	ck_assert_msg(!strstr(err.text, CANARY), "shows the password: %s", err.text);
	ck_assert_msg(!strchr(err.text, '\n'), "more than one line: %s", err.text);
}

/* ---- passwords ------------------------------------------------------------------------------------------------ */

START_TEST(password_of_the_default_user)
{
	CONFIGURE("CONFIG", "SET", "requirepass", CANARY);
	expect_refusal(OPEN_MS, RANQ_ERR_AUTH, "wants a password");
	addr.password = strdup(CANARY "x");
	expect_refusal(OPEN_MS, RANQ_ERR_AUTH, "refused the user or password (WRONGPASS");
	free(addr.password);
	addr.password = strdup(CANARY);
	expect_open();
	addr.user = strdup("default");
	expect_open();
}
END_TEST

START_TEST(password_where_none_is_needed)
{
	addr.password = strdup(CANARY);
	expect_refusal(OPEN_MS, RANQ_ERR_AUTH, "has none for this user");
}
END_TEST

START_TEST(users)
{
	CONFIGURE("ACL", "SETUSER", "me", "on", ">" CANARY, "~*", "+@all");
	CONFIGURE("ACL", "SETUSER", "off", "off", ">" CANARY, "~*", "+@all");
	CONFIGURE("ACL", "SETUSER", "poor", "on", ">" CANARY, "~*", "+get");
	addr.password = strdup(CANARY);
	addr.user = strdup("me");
	expect_open();
	strcpy(addr.user, "mo");
	expect_refusal(OPEN_MS, RANQ_ERR_AUTH, "WRONGPASS");
	free(addr.user);
	addr.user = strdup("off");
	expect_refusal(OPEN_MS, RANQ_ERR_AUTH, "WRONGPASS");
	free(addr.user);
	addr.user = strdup("poor");
	expect_refusal(OPEN_MS, RANQ_ERR_AUTH, "+info");
}
END_TEST

START_TEST(odd_passwords)
{
	CONFIGURE("ACL", "SETUSER", "a:\"b", "on", ">x\r\n$5 ' \xff", "~*", "+@all");
	addr.user = strdup("a:\"b");
	addr.password = strdup("x\r\n$5 ' \xff");
	expect_open();
}
END_TEST

/* The bytes are stored inverted here, so that only copies made by the library are found. */
__attribute__((no_sanitize("address"))) static bool memory_holds(const unsigned char *inverted, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool found = false;

	ck_assert_ptr_nonnull(maps);
	while (!found && fgets(line, sizeof line, maps)) {
		unsigned char *begin, *end, *p;
		char mode[8];

		if (sscanf(line, "%p-%p %7s", (void **)&begin, (void **)&end, mode) != 3 || strncmp(mode, "rw", 2) ||
			end - begin > 64 << 20 || strstr(line, "[stack]"))
			continue;
		for (p = begin; !found && p + len <= end; p++) {
			size_t n = 0;

			while (n < len && (unsigned char)~p[n] == inverted[n])
				n++;
			found = n == len;
		}
	}
	fclose(maps);
	return found;
}

START_TEST(password_is_wiped)
{
	unsigned char inverted[24];
	char *password = malloc(sizeof inverted + 1);
	struct ranq_conn *conn;

	ck_assert_ptr_nonnull(password);
	for (size_t i = 0; i < sizeof inverted; i++) {
		inverted[i] = (unsigned char)~('A' + (i * 7 + 3) % 26);
		password[i] = (char)~inverted[i];
	}
	password[sizeof inverted] = '\0';
	CONFIGURE("ACL", "SETUSER", "me", "on", "nopass", "~*", "+@all");
	addr.user = strdup("me");
	addr.password = password;
	ck_assert(memory_holds(inverted, sizeof inverted));
	conn = ranq_conn_open(&addr, ranq_clock_ms() + OPEN_MS, NULL);
	ck_assert_ptr_nonnull(conn);
	ranq_server_addr_clear(&addr);
	ck_assert(!memory_holds(inverted, sizeof inverted));
	ranq_conn_close(conn);
}
END_TEST

/* ---- databases, addresses ------------------------------------------------------------------------------------- */

START_TEST(databases)
{
	struct ranq_conn *conn;
	struct ranq_reply *reply;

	addr.db = 3;
	conn = ranq_conn_open(&addr, ranq_clock_ms() + OPEN_MS, NULL);
	ck_assert_ptr_nonnull(conn);
	ranq_reply_destroy(call(conn, (const char *const[]){"SET", "here", "1", NULL}));
	reply = call(admin, (const char *const[]){"EXISTS", "here", NULL});
	ck_assert_int_eq(ranq_reply_int(reply), 0);
	ranq_reply_destroy(reply);
	ranq_conn_close(conn);
	addr.db = 99;
	expect_refusal(OPEN_MS, RANQ_ERR_INPUT, "does not have this database");
}
END_TEST

static void listen_on_tcp(void)
{
	for (int tries = 0; tries < 20; tries++) {
		char port[16];
		struct ranq_reply *reply;
		bool ok;

		addr.port = fake_free_port();
		snprintf(port, sizeof port, "%u", addr.port);
		reply = call(admin, (const char *const[]){"CONFIG", "SET", "port", port, NULL});
		ok = ranq_reply_type(reply) == RANQ_REPLY_STATUS;
		ranq_reply_destroy(reply);
		if (ok)
			return;
	}
	ck_abort_msg("no free port");
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

START_TEST(tcp_is_tuned_to_notice_a_dead_peer)
{
	struct ranq_conn *conn;
	int fd;

	listen_on_tcp();
	free(addr.unix_path);
	addr.unix_path = NULL;
	addr.host = strdup("127.0.0.1");
	conn = ranq_conn_open(&addr, ranq_clock_ms() + OPEN_MS, NULL);
	ck_assert_ptr_nonnull(conn);
	fd = ranq_conn_fd(conn);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	ck_assert_int_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	ck_assert_int_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 10000);
	ranq_conn_close(conn);
	free(addr.host);
	addr.host = strdup("localhost"); /* may be ::1 first */
	expect_open();
	addr.port = fake_free_port();
	expect_refusal(OPEN_MS, RANQ_ERR_SERVER, "connection refused");
	free(addr.host);
	addr.host = strdup("no-such-host.invalid");
	expect_refusal(OPEN_MS, RANQ_ERR_SERVER, "host name");
}
END_TEST

START_TEST(sockets_that_are_not_there)
{
	char text[256];

	test_redis_kill(&server);
	snprintf(text, sizeof text, "cannot connect to 'unix:%s': connection refused", server.socket);
	expect_refusal(OPEN_MS, RANQ_ERR_SERVER, text);
	unlink(server.socket);
	expect_refusal(OPEN_MS, RANQ_ERR_SERVER, "no such file or directory");
	free(addr.unix_path);
	addr.unix_path = calloc(1, 200);
	memset(addr.unix_path, 'x', 199);
	expect_refusal(OPEN_MS, RANQ_ERR_INPUT, "at most 107 bytes");
	free(addr.unix_path);
	addr.unix_path = NULL;
	expect_refusal(OPEN_MS, RANQ_ERR_INPUT, "no server given");
}
END_TEST

/* ---- servers in a bad way ------------------------------------------------------------------------------------- */

START_TEST(stopped_server)
{
	int64_t begin = ranq_clock_ms();

	kill(server.pid, SIGSTOP);
	expect_refusal(300, RANQ_ERR_SERVER, "no answer in time");
	ck_assert_int_lt(ranq_clock_ms() - begin, OPEN_MS / 2);
	kill(server.pid, SIGCONT);
}
END_TEST

START_TEST(too_many_clients)
{
	struct ranq_server_addr other = {.unix_path = server.socket};
	struct ranq_conn *conn = ranq_conn_open(&other, ranq_clock_ms() + OPEN_MS, NULL);

	ck_assert_ptr_nonnull(conn);
	CONFIGURE("CONFIG", "SET", "maxclients", "1");
	expect_refusal(OPEN_MS, RANQ_ERR_SERVER, "max number of clients");
	ranq_conn_close(conn);
}
END_TEST

START_TEST(loading_server)
{
	struct ranq_reply *reply = call(admin, (const char *const[]){"DEBUG", "POPULATE", "20000", "key", "100", NULL});
	struct ranq_cmd cmd;

	ranq_reply_destroy(reply);
	CONFIGURE("SAVE");
	CONFIGURE("CONFIG", "SET", "key-load-delay", "1000");
	CONFIGURE("CONFIG", "SET", "loading-process-events-interval-bytes", "1024");
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "DEBUG");
	ranq_cmd_str(&cmd, "RELOAD");
	ranq_cmd_str(&cmd, "NOSAVE");
	ranq_conn_send(admin, &cmd, NULL, NULL);
	ranq_cmd_clear(&cmd);
	ck_assert_int_eq(ranq_conn_pump(admin, NULL), 0);
	expect_refusal(OPEN_MS, RANQ_ERR_SERVER, "is loading its data, try again");
}
END_TEST

static const struct {
	const char *bytes;
	enum ranq_err_code code;
	const char *text;
} strangers[] = {
	{"HTTP/1.1 400 Bad Request\r\n\r\n", RANQ_ERR_REPLY, "not the Redis protocol"},
	{"", RANQ_ERR_SERVER, "closed by the server before any reply (if it speaks TLS, use rediss://)"},
	{"\x15\x03\x03\x01\x02\x02\x28", RANQ_ERR_SERVER, "it speaks TLS; use rediss://"},
	{"-ERR max number of clients reached\r\n", RANQ_ERR_SERVER,
		"refused the connection (ERR max number of clients reached)"},
	{"-DENIED Redis is running in protected mode\r\n", RANQ_ERR_SERVER,
		"(DENIED Redis is running in protected mode)"},
	{"-LOADING Redis is loading the dataset in memory\r\n", RANQ_ERR_SERVER, "is loading its data, try again"},
	{"-NOAUTH Authentication required.\r\n", RANQ_ERR_AUTH, "wants a password"},
	{"-ERR invalid password\r\n", RANQ_ERR_AUTH, "refused the user or password"},
	{"-ERR Client sent AUTH, but no password is set\r\n", RANQ_ERR_AUTH, "has none for this user"},
	{"-NOPERM \x1b[31mthis user\r\n", RANQ_ERR_AUTH, "?[31mthis user"},
	{"+OK\r\n+OK\r\n+OK\r\n", RANQ_ERR_REPLY, "is it a Redis?"},
	{":1\r\n*0\r\n$-1\r\n", RANQ_ERR_REPLY, "is it a Redis?"},
	{"$536870913\r\n", RANQ_ERR_REPLY, "above 512 MiB"},
};

START_TEST(strangers_on_the_port)
{
	fake_listener_open(&listener, NULL);
	fake_listener_answer(&listener, strangers[_i].bytes, strlen(strangers[_i].bytes));
	addr = (struct ranq_server_addr){.host = strdup("127.0.0.1"), .port = listener.port};
	expect_refusal(OPEN_MS, strangers[_i].code, strangers[_i].text);
	ranq_server_addr_clear(&addr);
	fake_listener_close(&listener);
}
END_TEST

/* Nobody accepts, so the backlog fills up; a Unix socket then says EAGAIN instead of waiting. */
START_TEST(full_backlog_of_a_socket)
{
	struct ranq_server_addr full = {.unix_path = NULL};
	struct ranq_err err;
	char dir[] = "/tmp/ranq-login-XXXXXX", path[64];
	int64_t begin = ranq_clock_ms();

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	fake_listener_open(&listener, path);
	ck_assert_int_eq(listen(listener.fd, 0), 0);
	full.unix_path = path;
	for (int i = 0; i < 3; i++) {
		ck_assert_ptr_null(ranq_conn_open(&full, ranq_clock_ms() + 100, &err));
		ck_assert_ptr_nonnull(strstr(err.text, "no answer in time"));
	}
	ck_assert_int_ge(ranq_clock_ms() - begin, 300);
	fake_listener_close(&listener);
	unlink(path);
	rmdir(dir);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
	Suite *suite = suite_create("login");
	TCase *real = tcase_create("server"), *fake = tcase_create("stranger");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(real, setup, teardown);
	tcase_set_timeout(real, 60);
	tcase_add_test(real, password_of_the_default_user);
	tcase_add_test(real, password_where_none_is_needed);
	tcase_add_test(real, users);
	tcase_add_test(real, odd_passwords);
	tcase_add_test(real, password_is_wiped);
	tcase_add_test(real, databases);
	tcase_add_test(real, tcp_is_tuned_to_notice_a_dead_peer);
	tcase_add_test(real, sockets_that_are_not_there);
	tcase_add_test(real, stopped_server);
	tcase_add_test(real, too_many_clients);
	tcase_add_test(real, loading_server);
	tcase_set_timeout(fake, 60);
	tcase_add_loop_test(fake, strangers_on_the_port, 0, COUNT(strangers));
	tcase_add_test(fake, full_backlog_of_a_socket);
	suite_add_tcase(suite, real);
	suite_add_tcase(suite, fake);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

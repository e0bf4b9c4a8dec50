/* The private server: started once however often it is asked for, carries on after kill -9, ends when told. */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/certificate.h"
#include "common/marked.h"
#include "common/private_server.h"
#include "common/spawn.h"
#include "util/clock.h"

static char home[64];

static void setup(void)
{
	snprintf(home, sizeof home, "/tmp/ranq-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(home));
	setenv("HOME", home, 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_CONFIG_HOME");
	setenv("RANQ_TEST_HOME", home, 1); /* the mark by which teardown finds what a failed test leaves */
}

static void teardown(void)
{
	char mark[96];
	snprintf(mark, sizeof mark, "RANQ_TEST_HOME=%s", home);
	ck_assert_uint_eq(ranq_marked_kill(mark, 5000), 0);
	ranq_marked_remove_tree(home);
}

static struct ranq_reply *command(
	const struct ranq_server_addr *addr, const char *name, const char *key, const char *value)
{
	struct ranq_err err = {0};
	struct ranq_conn *conn = ranq_conn_open(addr, ranq_clock_ms() + 60000, &err);
	struct ranq_reply *reply = NULL;
	struct ranq_cmd cmd;
	ck_assert_msg(conn != NULL, "%s", err.text);
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, name);
	ranq_cmd_str(&cmd, key);
	if (value)
		ranq_cmd_str(&cmd, value);
	ck_assert_msg(ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &reply, &err) == 0, "%s", err.text);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
	return reply;
}

static void set_key(const struct ranq_server_addr *addr, const char *value)
{
	struct ranq_reply *reply = command(addr, "SET", "k", value);
	ck_assert_int_eq(ranq_reply_type(reply), RANQ_REPLY_STATUS);
	ranq_reply_destroy(reply);
}

static void expect_key(const struct ranq_server_addr *addr, const char *value)
{
	struct ranq_reply *reply = command(addr, "GET", "k", NULL);
	struct ranq_bytes bytes = ranq_reply_bytes(reply);
	ck_assert_uint_eq(bytes.len, strlen(value));
	ck_assert_int_eq(memcmp(bytes.data, value, bytes.len), 0);
	ranq_reply_destroy(reply);
}

static void start(const struct ranq_private_options *options, struct ranq_private_start *started)
{
	struct ranq_err err = {0};
	ck_assert_msg(ranq_private_start(options, started, &err) == 0, "%s", err.text);
}

static void expect_mode(const char *path, unsigned mode)
{
	struct stat status;
	ck_assert_msg(stat(path, &status) == 0, "no %s", path);
	ck_assert_msg((status.st_mode & 0777) == mode, "%s has mode %o", path, status.st_mode & 0777);
}

START_TEST(carries_on)
{
	struct ranq_private_options options = {0};
	struct ranq_private_start first, again;
	struct ranq_err err = {0};
	char path[4096];
	start(&options, &first);
	ck_assert(!first.was_running);
	ck_assert_ptr_nonnull(first.file.addr.unix_path);
	ck_assert_int_eq(ranq_connection_file_path(NULL, path, sizeof path, &err), 0);
	expect_mode(path, 0600);
	expect_mode(first.file.dir, 0700);
	set_key(&first.file.addr, "kept");
	start(&options, &again);
	ck_assert(again.was_running);
	ck_assert_int_eq(again.file.pid, first.file.pid);
	ranq_private_start_clear(&again);
	/* killed: the next start has the same address and the data */
	struct ranq_reply *synced = command(&first.file.addr, "WAIT", "0", "0");
	ranq_reply_destroy(synced);
	kill((pid_t)first.file.pid, SIGKILL);
	int status;
	ck_assert_int_eq(ranq_spawn_wait((pid_t)first.file.pid, ranq_clock_ms() + 60000, &status), 1);
	start(&options, &again);
	ck_assert(!again.was_running);
	ck_assert_int_ne(again.file.pid, first.file.pid);
	ck_assert_str_eq(again.file.addr.unix_path, first.file.addr.unix_path);
	expect_key(&again.file.addr, "kept");
	/* stopped: no connection file, no process, no socket; the data is there for the next */
	ck_assert_int_eq(ranq_private_stop(&err), 1);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_ne(access(again.file.addr.unix_path, F_OK), 0);
	ck_assert_int_eq(ranq_private_stop(&err), 0);
	ranq_private_start_clear(&again);
	start(&options, &again);
	expect_key(&again.file.addr, "kept");
	ck_assert_int_eq(ranq_private_stop(&err), 1);
	ranq_private_start_clear(&again);
	ranq_private_start_clear(&first);
}
END_TEST

/* Several at once: one starts it, the others find it. */
START_TEST(starts_at_once)
{
	enum { N = 6 };
	pid_t pids[N];
	struct ranq_err err = {0};
	for (int i = 0; i < N; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct ranq_private_options options = {0};
			struct ranq_private_start started;
			int done = ranq_private_start(&options, &started, NULL);
			_exit(done < 0 ? 2 : started.was_running);
		}
	}
	int new = 0, found = 0;
	for (int i = 0; i < N; i++) {
		int status;
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert(WIFEXITED(status));
		new += WEXITSTATUS(status) == 0;
		found += WEXITSTATUS(status) == 1;
	}
	ck_assert_int_eq(new, 1);
	ck_assert_int_eq(found, N - 1);
	ck_assert_int_eq(ranq_private_stop(&err), 1);
}
END_TEST

START_TEST(listens_with_tls)
{
	struct ranq_private_options options = {.listen = "127.0.0.1"};
	struct ranq_private_start started, again;
	struct ranq_err err = {0};
	if (!ranq_certificate_supported())
		return;
	start(&options, &started);
	ck_assert(started.file.addr.tls);
	ck_assert_ptr_nonnull(started.file.addr.password);
	ck_assert_ptr_nonnull(started.file.addr.ca_pem);
	set_key(&started.file.addr, "x");
	/* without the password, and as the default user */
	struct ranq_server_addr stranger = started.file.addr;
	stranger.password = NULL;
	stranger.user = NULL;
	ck_assert_ptr_null(ranq_conn_open(&stranger, ranq_clock_ms() + 60000, &err));
	/* with another certificate pinned */
	char key[128], cert[128], text[8192];
	static const char *const names[] = {"127.0.0.1", NULL};
	snprintf(key, sizeof key, "%s/k", home);
	snprintf(cert, sizeof cert, "%s/c", home);
	ck_assert_int_eq(ranq_certificate_make(key, cert, names, &err), 0);
	FILE *file = fopen(cert, "r");
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	stranger = started.file.addr;
	stranger.ca_pem = text;
	ck_assert_ptr_null(ranq_conn_open(&stranger, ranq_clock_ms() + 60000, &err));
	/* the same address, password and certificate after kill -9 */
	int status;
	kill((pid_t)started.file.pid, SIGKILL);
	ck_assert_int_eq(ranq_spawn_wait((pid_t)started.file.pid, ranq_clock_ms() + 60000, &status), 1);
	start(&options, &again);
	ck_assert_uint_eq(again.file.addr.port, started.file.addr.port);
	expect_key(&started.file.addr, "x");
	ck_assert_int_eq(ranq_private_stop(&err), 1);
	ranq_private_start_clear(&again);
	ranq_private_start_clear(&started);
}
END_TEST

/* No byte of the password in argv, environment, configuration or log of the server. */
START_TEST(tells_no_secret)
{
	struct ranq_private_options options = {.listen = "127.0.0.1", .plain = true};
	struct ranq_private_start started;
	struct ranq_err err = {0};
	start(&options, &started);
	char paths[5][PATH_MAX];
	snprintf(paths[0], sizeof paths[0], "/proc/%ld/cmdline", started.file.pid);
	snprintf(paths[1], sizeof paths[1], "/proc/%ld/environ", started.file.pid);
	snprintf(paths[2], sizeof paths[2], "%s/redis.conf", started.file.dir);
	snprintf(paths[3], sizeof paths[3], "%s/redis.log", started.file.dir);
	ck_assert_uint_ge(strlen(started.file.addr.password), 32);
	for (int i = 0; i < 4; i++) {
		static char bytes[1 << 20];
		int fd = open(paths[i], O_RDONLY);
		ck_assert_int_ge(fd, 0);
		ssize_t got = read(fd, bytes, sizeof bytes);
		close(fd);
		ck_assert_int_gt(got, 0);
		ck_assert_ptr_null(
			memmem(bytes, (size_t)got, started.file.addr.password, strlen(started.file.addr.password)));
	}
	expect_mode(paths[2], 0600);
	ck_assert_int_eq(ranq_private_stop(&err), 1);
	ranq_private_start_clear(&started);
}
END_TEST

static void refuse(struct ranq_private_options options, const char *why)
{
	struct ranq_private_start started;
	struct ranq_err err = {0};
	ck_assert_int_eq(ranq_private_start(&options, &started, &err), -1);
	ck_assert_msg(strstr(err.text, why) != NULL, "'%s' does not say '%s'", err.text, why);
	ck_assert_int_eq(ranq_err_status(err.code), 2);
	ranq_private_start_clear(&started);
}

START_TEST(refuses)
{
	char open_dir[96], file[96];
	struct ranq_private_start started;
	struct ranq_err err = {0};
	snprintf(open_dir, sizeof open_dir, "%s/open", home);
	snprintf(file, sizeof file, "%s/file", home);
	ck_assert_int_eq(mkdir(open_dir, 0755), 0);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	refuse((struct ranq_private_options){.dir = open_dir}, "open to others");
	refuse((struct ranq_private_options){.dir = file}, "not a directory");
	refuse((struct ranq_private_options){.dir = "/proc/nowhere"}, "cannot make");
	refuse((struct ranq_private_options){.plain = true}, "--listen");
	refuse((struct ranq_private_options){.listen = "192.0.2.1", .plain = true}, "no address of this machine");
	refuse((struct ranq_private_options){.listen = "127.0.0.1:0"}, "not a port");
	refuse((struct ranq_private_options){.listen = "127.0.0.1:70000"}, "not a port");
	refuse((struct ranq_private_options){.listen = ""}, "needs ADDRESS");
	/* one runs, other settings are asked for */
	start(&(struct ranq_private_options){0}, &started);
	refuse((struct ranq_private_options){.listen = "127.0.0.1", .plain = true}, "other settings");
	ranq_private_start_clear(&started);
	ck_assert_int_eq(ranq_private_stop(&err), 1);
}
END_TEST

START_TEST(listen_texts)
{
	static const struct {
		const char *text, *host;
		unsigned port;
	} good[] = {{"127.0.0.1", "127.0.0.1", 0}, {"host.a:7000", "host.a", 7000}, {"[::1]:65535", "::1", 65535},
		{"[::1]", "::1", 0}, {"fe80::1", "fe80::1", 0}};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		char host[256];
		unsigned port;
		ck_assert_int_eq(ranq_private_parse_listen(good[i].text, host, &port, NULL), 0);
		ck_assert_str_eq(host, good[i].host);
		ck_assert_uint_eq(port, good[i].port);
	}
	static const char *const bad[] = {"", ":1", "a:", "a:x", "a:65536", "[::1", "[::1]x", "a b", "a\"b:1", "[]:1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char host[256];
		unsigned port;
		ck_assert_msg(ranq_private_parse_listen(bad[i], host, &port, NULL) == -1, "accepted: %s", bad[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("private_server");
	TCase *tests = tcase_create("all");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, carries_on);
	tcase_add_test(tests, starts_at_once);
	tcase_add_test(tests, listens_with_tls);
	tcase_add_test(tests, tells_no_secret);
	tcase_add_test(tests, refuses);
	tcase_add_test(tests, listen_texts);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

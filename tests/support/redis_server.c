#include "tests/support/redis_server.h"

#include <check.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

unsigned test_redis_major(void)
{
	FILE *version = popen("redis-server --version", "r");
	unsigned major = 0;

	if (version && fscanf(version, "%*[^=]=%u", &major) != 1)
		major = 0;
	if (version)
		pclose(version);
	return major;
}

/* appendfsync no: each write is in the kernel before its reply, whatever a kill follows. With everysec a server whose
 * disk is busy answers first and writes up to two seconds later. */
static void exec_server(const struct test_redis *server, const char *const *extra)
{
	const char *argv[64] = {"redis-server", "--port", "0", "--unixsocket", server->socket, "--dir", server->dir, "--save", "",
		"--appendonly", server->appendonly ? "yes" : "no", "--appendfsync", "no", "--maxmemory-policy", "noeviction", "--daemonize",
		"no", "--loglevel", "warning", "--logfile", "redis.log"};
	size_t n = 21;

	if (test_redis_major() >= 7) { /* before, DEBUG is open to all and cannot be configured */
		argv[n++] = "--enable-debug-command";
		argv[n++] = "local";
	}
	for (; extra && *extra && n < 63; extra++)
		argv[n++] = *extra;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static void wait_ready(const struct test_redis *server)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	struct ranq_conn *conn = NULL;
	int64_t deadline = ranq_clock_ms() + 60000;

	ranq_server_addr_init(&addr);
	addr.unix_path = strdup(server->socket);
	while (!conn && ranq_clock_ms() < deadline) {
		conn = ranq_conn_open(&addr, deadline, &err);
		if (!conn)
			usleep(2000);
	}
	ranq_server_addr_clear(&addr);
	ck_assert_msg(conn, "redis-server does not answer: %s", err.text);
	ranq_conn_close(conn);
}

static void launch(struct test_redis *server, const char *const *extra)
{
	server->pid = fork();
	ck_assert_int_ge(server->pid, 0);
	if (!server->pid)
		exec_server(server, extra);
	wait_ready(server);
}

void test_redis_start(struct test_redis *server, int appendonly, const char *const *extra)
{
	memset(server, 0, sizeof *server);
	snprintf(server->dir, sizeof server->dir, "/tmp/ranq-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(server->dir));
	snprintf(server->socket, sizeof server->socket, "%s/redis.sock", server->dir);
	server->appendonly = appendonly;
	launch(server, extra);
}

void test_redis_kill(struct test_redis *server)
{
	if (!server->pid)
		return;
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

void test_redis_restart(struct test_redis *server)
{
	unlink(server->socket);
	launch(server, NULL);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void test_redis_stop(struct test_redis *server)
{
	test_redis_kill(server);
	if (server->dir[0])
		nftw(server->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	server->dir[0] = '\0';
}

struct ranq_conn *test_redis_connect(const struct test_redis *server)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	struct ranq_conn *conn;

	ranq_server_addr_init(&addr);
	addr.unix_path = strdup(server->socket);
	conn = ranq_conn_open(&addr, ranq_clock_ms() + 60000, &err);
	ranq_server_addr_clear(&addr);
	ck_assert_msg(conn, "cannot connect: %s", err.text);
	return conn;
}

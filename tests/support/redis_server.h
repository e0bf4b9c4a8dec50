/* redis_server.h - a private redis-server on a Unix socket in a temporary directory, for one test. It dies with the test process. */
#ifndef RANQ_TESTS_REDIS_SERVER_H
#define RANQ_TESTS_REDIS_SERVER_H

#include <sys/types.h>

#include "store/conn.h"

struct test_redis {
	char dir[64];     /* temporary directory, removed by stop */
	char socket[96];  /* dir/redis.sock */
	pid_t pid;        /* 0: not running */
	int appendonly;
};
/* Fails the test (ck_abort) when the server does not answer within a minute. extra: more arguments, NULL-terminated, or NULL. */
/* Of the redis-server in PATH; 0: it does not say. */
unsigned test_redis_major(void);
void test_redis_start(struct test_redis *server, int appendonly, const char *const *extra);
void test_redis_kill(struct test_redis *server);    /* kill -9; the directory stays */
void test_redis_restart(struct test_redis *server); /* after kill: again in the same directory */
void test_redis_stop(struct test_redis *server);    /* kill and remove the directory */
/* A connection; fails the test when there is none. */
struct ranq_conn *test_redis_connect(const struct test_redis *server);

#endif

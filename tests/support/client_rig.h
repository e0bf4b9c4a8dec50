/* client_rig.h - what tests of libranq need: a private server, a bridge that answers by itself, and the public API.
 * To be included before check.h, whose macro `fail` is in the way of ranq.h. */
#ifndef RANQ_TESTS_CLIENT_RIG_H
#define RANQ_TESTS_CLIENT_RIG_H

#include "client/ranq.h"

#include <check.h>

#include "tests/support/redis_server.h"

struct client_rig {
	struct test_redis server;
	char url[128];
	pid_t bridge; /* 0: none */
};
extern struct client_rig rig;

/* For tcase_add_checked_fixture. RANQ_SERVER names the server. */
void client_rig_start(void);
void client_rig_stop(void);
/* A fake_bridge: its mode, the most tasks of one commit, the pause after each. */
void client_rig_bridge(const char *mode, const char *range, const char *pause_ms);
/* The same, and task 0 is not done as long as the file is there; it is no rig.bridge, and ends with the test. */
pid_t client_rig_slow_bridge(const char *mode, const char *range, const char *file);
/* The same as the first, without a pause, and it leaves after so many tasks: more is not done before another one comes. */
void client_rig_short_bridge(const char *mode, const char *range, const char *tasks);
void client_rig_end_bridge(int signo);
/* Fails the test when it cannot be opened. */
struct ranq *client_rig_open(void);
struct ranq_submit_options client_rig_echo(uint64_t tasks);
struct ranq_job *client_rig_submit(struct ranq *ranq, const struct ranq_submit_options *options);

#endif

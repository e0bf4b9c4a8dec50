/* relay.h - a slow network: a child that passes what comes on one Unix socket on to another one. */
#ifndef RANQ_TESTS_RELAY_H
#define RANQ_TESTS_RELAY_H

#include <sys/types.h>

/* Listens at `path`, passes to `server` at most `there` bytes a second of each connection, and `back` on the way back;
 * 0: as fast as it goes. */
pid_t test_relay_start(const char *path, const char *server, long there, long back);
void test_relay_stop(pid_t pid);

#endif

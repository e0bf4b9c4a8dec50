/* listener.h - a listening socket whose other side is a child that says given bytes and closes: servers that are none.
 */
#ifndef RANQ_TESTS_LISTENER_H
#define RANQ_TESTS_LISTENER_H

#include <stddef.h>
#include <sys/types.h>

struct fake_listener {
	int fd;
	unsigned port; /* of 127.0.0.1; 0: Unix socket */
	pid_t pid;     /* of the child, 0: nobody accepts */
};

/* On a port of 127.0.0.1 that the kernel chooses, or on a Unix socket when path is given. */
void fake_listener_open(struct fake_listener *listener, const char *path);
/* A child accepts one connection, waits for its first bytes, answers with data, and closes. */
void fake_listener_answer(struct fake_listener *listener, const void *data, size_t len);
void fake_listener_close(struct fake_listener *listener);
/* A port of 127.0.0.1 that is free now. */
unsigned fake_free_port(void);

#endif

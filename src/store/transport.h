/* transport.h - the socket below a connection: non-blocking, CLOEXEC, never SIGPIPE, every wait ends at a deadline; TLS
 * on top of it when the address asks for it. */
#ifndef RANQ_STORE_TRANSPORT_H
#define RANQ_STORE_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "store/conn.h"

struct ranq_tls;
struct ranq_transport {
	int fd;
	struct ranq_tls *tls; /* NULL: plain */
};

int ranq_transport_open(
	struct ranq_transport *t, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err);
void ranq_transport_close(struct ranq_transport *t);
/* Like read(2) and writev(2): 0 from read is the end of the stream; -1 with EAGAIN: not now. */
ssize_t ranq_transport_read(struct ranq_transport *t, void *data, size_t n);
ssize_t ranq_transport_write(struct ranq_transport *t, const struct iovec *vector, int n);
/* Bytes have left the kernel already and poll will not tell of them: read again. */
bool ranq_transport_pending(const struct ranq_transport *t);
/* TLS cannot go on reading before it has written. */
bool ranq_transport_wants_write(const struct ranq_transport *t);
/* What the last failed call means, in words. */
const char *ranq_transport_reason(const struct ranq_transport *t, int error, char *text, size_t size);

/* Waits for POLLIN | POLLOUT ... on fd. 1: ready, 0: the deadline has passed, -1: errno. Signals do not end it. */
int ranq_fd_wait(int fd, short events, int64_t deadline_ms);

#endif

#include "store/transport.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "store/tls.h"
#include "util/clock.h"

/* A peer that acknowledges nothing for this long is gone. The kernel's own patience is 15 minutes (tcp_retries2), and
 * keepalive alone does not cover unacknowledged data. */
#define TCP_DEAD_MS 10000
#define TCP_UNSENT_BYTES (256 << 10) /* more stays with us, where it can still be seen not to move */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 3
#define UNIX_RETRY_MS 10

static int poll_ms(int64_t deadline_ms)
{
	int64_t left;

	if (deadline_ms == RANQ_NEVER)
		return -1;
	left = deadline_ms - ranq_clock_ms();
	if (left <= 0)
		return 0;
	return left > 1000000 ? 1000000 : (int)left;
}

int ranq_fd_wait(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, poll_ms(deadline_ms));

		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -1;
		if (deadline_ms != RANQ_NEVER && ranq_clock_ms() >= deadline_ms)
			return 0;
	}
}

/* strerror in the style of our messages. */
static const char *describe(int error, char *text, size_t size)
{
	snprintf(text, size, "%s", error == ETIMEDOUT ? "no answer in time" : strerror(error));
	if (text[0] && !isupper((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}

static int cannot_connect(struct ranq_err *err, const struct ranq_server_addr *addr, int error)
{
	char text[128];

	return ranq_err_set(err, RANQ_ERR_SERVER, "cannot connect to '%s': %s", ranq_server_addr_text(addr),
		describe(error, text, sizeof text));
}

static int close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

static int wait_connected(int fd, int64_t deadline_ms)
{
	int error = 0, n = ranq_fd_wait(fd, POLLOUT, deadline_ms);
	socklen_t len = sizeof error;

	if (n < 0)
		return -1;
	if (n == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -1;
	errno = error;
	return error ? -1 : 0;
}

/* A connect that a signal interrupted goes on by itself, like one in progress. A full backlog of a Unix socket is
 * EAGAIN and nothing to poll for, so it is asked again. */
static int connect_by(int fd, const struct sockaddr *to, socklen_t len, int64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = UNIX_RETRY_MS * 1000000L};

	for (;;) {
		if (!connect(fd, to, len))
			return 0;
		if (errno == EINPROGRESS || errno == EINTR)
			return wait_connected(fd, deadline_ms);
		if (errno != EAGAIN)
			return -1;
		if (ranq_clock_ms() >= deadline_ms) {
			errno = ETIMEDOUT;
			return -1;
		}
		nanosleep(&pause, NULL);
	}
}

static int socket_to(const struct sockaddr *to, socklen_t len, int64_t deadline_ms)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	return connect_by(fd, to, len, deadline_ms) ? close_keeping_errno(fd) : fd;
}

static int open_unix(const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(addr->unix_path);
	int fd;

	if (len >= sizeof sa.sun_path)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"cannot connect to '%s': the path of a socket has at most %zu bytes",
			ranq_server_addr_text(addr), sizeof sa.sun_path - 1);
	memcpy(sa.sun_path, addr->unix_path, len + 1);
	fd = socket_to((struct sockaddr *)&sa, sizeof sa, deadline_ms);
	return fd < 0 ? cannot_connect(err, addr, errno) : fd;
}

/* Best effort: a kernel without one of them still has our deadlines. */
static void tune_tcp(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
		{IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_DEAD_MS},
		{IPPROTO_TCP, TCP_NOTSENT_LOWAT, TCP_UNSENT_BYTES},
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* Each address gets a fair part of the time that is left: a silent one must not use up that of the next. */
static int connect_any(const struct addrinfo *list, int64_t deadline_ms)
{
	const struct addrinfo *at;
	int fd = -1, left = 0;

	for (at = list; at; at = at->ai_next)
		left++;
	errno = EADDRNOTAVAIL;
	for (at = list; at; at = at->ai_next, left--) {
		int64_t now = ranq_clock_ms(), until = deadline_ms;

		if (deadline_ms != RANQ_NEVER)
			until = now + (deadline_ms > now ? (deadline_ms - now) / left : 0);
		fd = socket_to(at->ai_addr, at->ai_addrlen, until);
		if (fd >= 0)
			break;
	}
	return fd;
}

static int open_tcp(const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV},
			*list = NULL;
	char port[16];
	int fd, failure;

	snprintf(port, sizeof port, "%u", addr->port);
	failure = getaddrinfo(addr->host, port, &hints, &list);
	if (failure == EAI_SYSTEM)
		return cannot_connect(err, addr, errno);
	if (failure)
		return ranq_err_set(err, RANQ_ERR_SERVER, "cannot connect to '%s': host name: %s",
			ranq_server_addr_text(addr), gai_strerror(failure));
	fd = connect_any(list, deadline_ms);
	failure = errno;
	freeaddrinfo(list);
	if (fd < 0)
		return cannot_connect(err, addr, failure);
	tune_tcp(fd);
	return fd;
}

int ranq_transport_open(
	struct ranq_transport *t, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	struct ranq_tls *tls = NULL;
	int fd;

	if (!addr->unix_path && !addr->host)
		return ranq_err_set(err, RANQ_ERR_INPUT, "no server given");
	fd = addr->unix_path ? open_unix(addr, deadline_ms, err) : open_tcp(addr, deadline_ms, err);
	if (fd < 0)
		return -1;
	if (addr->tls) {
		tls = ranq_tls_open(fd, addr, deadline_ms, err);
		if (!tls)
			return close_keeping_errno(fd);
	}
	*t = (struct ranq_transport){.fd = fd, .tls = tls};
	return 0;
}

void ranq_transport_close(struct ranq_transport *t)
{
	ranq_tls_close(t->tls);
	if (t->fd >= 0)
		close_keeping_errno(t->fd);
	*t = (struct ranq_transport){.fd = -1};
}

ssize_t ranq_transport_read(struct ranq_transport *t, void *data, size_t n)
{
	ssize_t got;

	if (t->tls)
		return ranq_tls_read(t->tls, data, n);
	do
		got = recv(t->fd, data, n, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	return got;
}

ssize_t ranq_transport_write(struct ranq_transport *t, const struct iovec *vector, int n)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vector, .msg_iovlen = (size_t)n};
	ssize_t sent;

	if (t->tls)
		return ranq_tls_write(t->tls, vector[0].iov_base, vector[0].iov_len);
	do
		sent = sendmsg(t->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

bool ranq_transport_pending(const struct ranq_transport *t)
{
	return t->tls && ranq_tls_pending(t->tls);
}

bool ranq_transport_wants_write(const struct ranq_transport *t)
{
	return t->tls && ranq_tls_wants_write(t->tls);
}

const char *ranq_transport_reason(const struct ranq_transport *t, int error, char *text, size_t size)
{
	if (t->tls && error == EPROTO) {
		snprintf(text, size, "TLS: %s", ranq_tls_reason(t->tls));
		return text;
	}
	return describe(error, text, size);
}

#include "tests/support/listener.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int bound_tcp(unsigned *port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

static int bound_unix(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

void fake_listener_open(struct fake_listener *listener, const char *path)
{
	*listener = (struct fake_listener){0};
	listener->fd = path ? bound_unix(path) : bound_tcp(&listener->port);
	ck_assert_int_eq(listen(listener->fd, 8), 0);
}

static void answer_one(int listener, const void *data, size_t len)
{
	char bytes[4096];
	int fd = accept(listener, NULL, NULL);

	/* An orderly end: what the other side sends is read away, or the kernel would answer it with a reset that
	 * destroys our bytes. */
	if (fd < 0 || read(fd, bytes, sizeof bytes) < 0 || send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
		_exit(1);
	shutdown(fd, SHUT_WR);
	while (read(fd, bytes, sizeof bytes) > 0)
		continue;
	_exit(0);
}

void fake_listener_answer(struct fake_listener *listener, const void *data, size_t len)
{
	listener->pid = fork();
	ck_assert_int_ge(listener->pid, 0);
	if (listener->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	answer_one(listener->fd, data, len);
}

void fake_listener_close(struct fake_listener *listener)
{
	close(listener->fd);
	if (!listener->pid)
		return;
	kill(listener->pid, SIGKILL);
	waitpid(listener->pid, NULL, 0);
	listener->pid = 0;
}

unsigned fake_free_port(void)
{
	unsigned port;

	close(bound_tcp(&port));
	return port;
}

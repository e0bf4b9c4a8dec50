#include "tests/support/relay.h"

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

#define PAIRS_MAX 16
#define PIECE 8192
#define LATE_NS 100000000

struct pair {
	int near, far;
	int64_t there_ns, back_ns; /* when the next piece may go */
};

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
	return sa;
}

static void take(struct pair *pair, int listener, const char *server)
{
	struct sockaddr_un sa = address(server);
	int small = 2 * PIECE;

	pair->near = accept(listener, NULL, NULL);
	pair->far = socket(AF_UNIX, SOCK_STREAM, 0);
	pair->there_ns = pair->back_ns = 0;
	setsockopt(pair->near, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	setsockopt(pair->near, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	if (connect(pair->far, (struct sockaddr *)&sa, sizeof sa) != 0)
		shutdown(pair->near, SHUT_RDWR);
}

/* One piece; its size, 0 or less: that side has ended. */
static ssize_t pass(int from, int to)
{
	char piece[PIECE];
	ssize_t n = read(from, piece, sizeof piece), done = 0;

	while (done < n) {
		ssize_t k = write(to, piece + done, (size_t)(n - done));

		if (k <= 0)
			return -1;
		done += k;
	}
	return n;
}

static void drop(struct pair *pairs, int *n, int i)
{
	close(pairs[i].near);
	close(pairs[i].far);
	pairs[i] = pairs[--*n];
}

/* From when the piece was due, so that a relay that wakes late still keeps the rate. */
static void delay(int64_t *next_ns, int64_t now, ssize_t bytes, long rate)
{
	int64_t due = *next_ns > now - LATE_NS ? *next_ns : now;

	if (bytes > 0 && rate)
		*next_ns = due + (int64_t)bytes * 1000000000 / rate;
}

static void relay(int listener, const char *server, long there, long back)
{
	struct pair pairs[PAIRS_MAX];
	int n = 0;

	for (;;) {
		struct pollfd fds[1 + 2 * PAIRS_MAX] = {{.fd = n < PAIRS_MAX ? listener : -1, .events = POLLIN}};
		int64_t now = ranq_clock_ns();

		for (int i = 0; i < n; i++) {
			fds[1 + 2 * i] = (struct pollfd){pairs[i].there_ns <= now ? pairs[i].near : -1, POLLIN, 0};
			fds[2 + 2 * i] = (struct pollfd){pairs[i].back_ns <= now ? pairs[i].far : -1, POLLIN, 0};
		}
		if (poll(fds, (nfds_t)(1 + 2 * n), 5) < 0)
			_exit(1);
		for (int i = n - 1; i >= 0; i--) {
			ssize_t up = fds[1 + 2 * i].revents ? pass(pairs[i].near, pairs[i].far) : 1;
			ssize_t down = fds[2 + 2 * i].revents ? pass(pairs[i].far, pairs[i].near) : 1;

			if (fds[1 + 2 * i].revents)
				delay(&pairs[i].there_ns, now, up, there);
			if (fds[2 + 2 * i].revents)
				delay(&pairs[i].back_ns, now, down, back);
			if (up <= 0 || down <= 0)
				drop(pairs, &n, i);
		}
		if (fds[0].revents)
			take(&pairs[n++], listener, server);
	}
}

pid_t test_relay_start(const char *path, const char *server, long there, long back)
{
	struct sockaddr_un sa = address(path);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
	ck_assert_int_eq(listen(listener, 16), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGPIPE, SIG_IGN);
		relay(listener, server, there, back);
	}
	close(listener);
	return pid;
}

void test_relay_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

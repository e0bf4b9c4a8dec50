/* bell.c - see bell.h. */
#include "bridge/bell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct head {
	uint32_t magic;
	int32_t src;
	uint64_t count;
};
#define MAGIC 0x6c656272u

static socklen_t address(const char *id, int rank, struct sockaddr_un *sa)
{
	int n;

	memset(sa, 0, sizeof *sa);
	sa->sun_family = AF_UNIX;
	n = snprintf(sa->sun_path + 1, sizeof sa->sun_path - 1, "ranq-%s-%d", id, rank);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

int ranq_bell_open(struct ranq_bell *bell, const char *id, int rank, struct ranq_err *err)
{
	struct sockaddr_un sa;
	socklen_t len = address(id, rank, &sa);
	int one = 1;

	snprintf(bell->id, sizeof bell->id, "%s", id);
	bell->rank = rank;
	bell->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bell->fd < 0)
		return ranq_err_sys(err, "cannot open a socket");
	if (setsockopt(bell->fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one) < 0 ||
		bind(bell->fd, (struct sockaddr *)&sa, len) < 0) {
		ranq_err_sys(err, "cannot bind the wake-up socket of rank %d", rank);
		ranq_bell_close(bell);
		return -1;
	}
	return 0;
}

void ranq_bell_close(struct ranq_bell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = -1;
}

int ranq_bell_ring(const struct ranq_bell *bell, int dst, int src, uint64_t count, int fd, const void *data, size_t len)
{
	struct sockaddr_un sa;
	struct head head = {MAGIC, src, count};
	struct iovec iov[2] = {{&head, sizeof head}, {(void *)(uintptr_t)data, len}};
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.room = {0}};
	struct msghdr msg = {
		.msg_name = &sa, .msg_namelen = address(bell->id, dst, &sa), .msg_iov = iov, .msg_iovlen = len ? 2 : 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.room;
		msg.msg_controllen = sizeof control.room;
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	while (sendmsg(bell->fd, &msg, MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS)
			return -1;
		if (errno != EINTR)
			return 0; /* no such rank any more: its silence is noticed elsewhere */
	}
	return 0;
}

/* Takes descriptor and sender's credentials out of the control data; 0 when the datagram may be believed. */
static int check_control(struct msghdr *msg, int *fd)
{
	int ours = 0;

	*fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len == CMSG_LEN(sizeof(struct ucred))) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof cred);
			ours = cred.uid == geteuid() || cred.uid == getuid();
		} else if (c->cmsg_type == SCM_RIGHTS) {
			size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			for (size_t i = 0; i < n; i++) {
				int one;

				memcpy(&one, CMSG_DATA(c) + i * sizeof one, sizeof one);
				if (*fd < 0)
					*fd = one;
				else
					close(one);
			}
		}
	}
	return ours && !(msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? 0 : -1;
}

int ranq_bell_read(const struct ranq_bell *bell, struct ranq_bell_note *note)
{
	for (;;) {
		struct head head;
		struct iovec iov[2] = {{&head, sizeof head}, {note->data, sizeof note->data}};
		union {
			char room[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
			struct cmsghdr align;
		} control;
		struct msghdr msg = {.msg_iov = iov,
			.msg_iovlen = 2,
			.msg_control = control.room,
			.msg_controllen = sizeof control.room};
		ssize_t n = recvmsg(bell->fd, &msg, MSG_CMSG_CLOEXEC);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return 0;
		}
		if (check_control(&msg, &note->fd) == 0 && (size_t)n >= sizeof head && head.magic == MAGIC) {
			note->src = head.src;
			note->count = head.count;
			note->len = (size_t)n - sizeof head;
			return 1;
		}
		if (note->fd >= 0)
			close(note->fd);
	}
}

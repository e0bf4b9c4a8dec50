#include "exec/wire.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEP_BYTES ((size_t)4 << 20)

union fd_space {
	struct cmsghdr head;
	char space[CMSG_SPACE(RANQ_WIRE_FDS * sizeof(int))];
};

size_t ranq_wire_begin(struct ranq_buf *out, enum ranq_frame_type type)
{
	struct ranq_wire_head head = {.type = type};
	size_t at = out->len;

	ranq_buf_add(out, &head, sizeof head);
	return at;
}

void ranq_wire_end(struct ranq_buf *out, size_t at)
{
	uint32_t len;

	if (ranq_buf_failed(out))
		return;
	if (out->len - at - sizeof(struct ranq_wire_head) > UINT32_MAX) {
		out->failed = true;
		return;
	}
	len = (uint32_t)(out->len - at - sizeof(struct ranq_wire_head));
	memcpy(out->data + at + offsetof(struct ranq_wire_head, len), &len, sizeof len);
}

void ranq_wire_add_signed(struct ranq_buf *out, int64_t value)
{
	ranq_buf_add_varint(out, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

int64_t ranq_wire_signed(struct ranq_reader *in)
{
	uint64_t value = ranq_reader_varint(in);

	return (int64_t)((value >> 1) ^ (value & 1 ? UINT64_MAX : 0));
}

void ranq_wire_trim(struct ranq_buf *buf)
{
	if (!buf->len && buf->cap > KEEP_BYTES)
		ranq_buf_clear(buf);
}

long ranq_wire_send(int fd, const void *data, size_t len, const int *fds, unsigned nfds, int flags)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_space control;

	if (nfds) {
		memset(&control, 0, sizeof control);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof *fds);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(nfds * sizeof *fds);
		memcpy(CMSG_DATA(&control.head), fds, nfds * sizeof *fds);
	}
	return sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

long ranq_wire_receive(int fd, void *data, size_t len, int *fds, unsigned *nfds, int flags)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	union fd_space control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *cmsg;
	long n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
	size_t bytes;

	*nfds = 0;
	if (n < 0)
		return n;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = cmsg->cmsg_len - CMSG_LEN(0);
		*nfds = (unsigned)(bytes / sizeof(int));
		memcpy(fds, CMSG_DATA(cmsg), *nfds * sizeof(int));
	}
	return n;
}

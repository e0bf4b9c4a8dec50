/* link.h - how the ranks of one bridge talk: messages of bytes between numbered ranks, in order for each pair of ranks,
 * plus descriptors between ranks of one node. Two kinds: MPI (link_mpi.h) and in-process (link_local.h).
 *
 * Nothing blocks. A rank watches ranq_link_fd() for reading and sleeps until ranq_link_deadline_ns() at the latest,
 * then calls ranq_link_pump(), which hands out everything that has arrived. After queuing messages and before sleeping
 * it calls ranq_link_flush(), which rings the ranks concerned. A message to a dead rank is never reported: silence is
 * found above. */
#ifndef RANQ_BRIDGE_LINK_H
#define RANQ_BRIDGE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

/* A longer message is refused by send and receive: the largest output of a task, and what stands around it. */
#define RANQ_LINK_MESSAGE_MAX ((256u + 4) << 20)

struct ranq_link_handler {
	/* data is valid during the call; src is who sent it (may be this rank itself) */
	void (*message)(void *arg, int src, const void *data, size_t len);
	/* a descriptor from a rank of this node, with what it is: ownership of fd moves to the handler */
	void (*file)(void *arg, int src, int fd, const void *data, size_t len);
	void *arg;
};

struct ranq_link;
struct ranq_link_ops {
	int (*send)(struct ranq_link *link, int dst, struct ranq_buf *message, struct ranq_err *err);
	int (*send_file)(struct ranq_link *link, int dst, int fd, const void *data, size_t len, struct ranq_err *err);
	void (*flush)(struct ranq_link *link);
	int (*pump)(struct ranq_link *link, struct ranq_err *err);
	int64_t (*deadline_ns)(const struct ranq_link *link);
	size_t (*unsent)(const struct ranq_link *link, int dst);
	void (*close)(struct ranq_link *link, int limit_ms);
};
/* The common head of all kinds. node[r]: number of the node of rank r; nodes are numbered by their lowest rank. */
struct ranq_link {
	const struct ranq_link_ops *ops;
	int rank, size, fd;
	const int *node;
	struct ranq_link_handler handler;
};

static inline int ranq_link_fd(const struct ranq_link *link)
{
	return link->fd;
}
static inline bool ranq_link_same_node(const struct ranq_link *link, int a, int b)
{
	return link->node[a] == link->node[b];
}
/* Queues a message; its bytes move out of the buffer, which is empty afterwards, also on failure. Sending to oneself is
 * allowed. */
static inline int ranq_link_send(struct ranq_link *link, int dst, struct ranq_buf *message, struct ranq_err *err)
{
	return link->ops->send(link, dst, message, err);
}
/* Hands a duplicate of fd to a rank of the same node; fails for others. data: at most RANQ_LINK_NOTE_MAX bytes that say
 * what it is. */
#define RANQ_LINK_NOTE_MAX 256
static inline int ranq_link_send_file(
	struct ranq_link *link, int dst, int fd, const void *data, size_t len, struct ranq_err *err)
{
	return link->ops->send_file(link, dst, fd, data, len, err);
}
static inline void ranq_link_flush(struct ranq_link *link)
{
	link->ops->flush(link);
}
/* -1: this rank cannot go on talking. The handler may send, but not pump or close. */
static inline int ranq_link_pump(struct ranq_link *link, struct ranq_err *err)
{
	return link->ops->pump(link, err);
}
/* On the clock of ranq_clock_ns(); RANQ_NEVER: only the descriptor wakes us. */
static inline int64_t ranq_link_deadline_ns(const struct ranq_link *link)
{
	return link->ops->deadline_ns(link);
}
/* Bytes queued for dst that the transport still has: for windows of large transfers. */
static inline size_t ranq_link_unsent(const struct ranq_link *link, int dst)
{
	return link->ops->unsent(link, dst);
}
/* Tries to get rid of unsent messages for up to limit_ms, then frees. Takes NULL. */
static inline void ranq_link_close(struct ranq_link *link, int limit_ms)
{
	if (link)
		link->ops->close(link, limit_ms);
}

#endif

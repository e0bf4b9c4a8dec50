/* bell.h - wakes sleeping ranks of one node, and hands them descriptors: a Unix datagram socket for each rank.
 *
 * The sockets live in the abstract name space, so nothing is left behind by a kill -9; as anybody on the node may write
 * to such a socket, every datagram must carry the credentials of our own user, and what it says is only a hint (how
 * many messages a rank has sent us) or a descriptor offered with a note that the receiver checks. No MPI here. */
#ifndef RANQ_BRIDGE_BELL_H
#define RANQ_BRIDGE_BELL_H

#include <stddef.h>
#include <stdint.h>

#include "bridge/link.h"

struct ranq_bell {
	int fd, rank;
	char id[40]; /* random name of the bridge, the same in all ranks */
};
struct ranq_bell_note {
	int src, fd;    /* fd -1: none, else the caller's */
	uint64_t count; /* messages that src has sent to us so far */
	size_t len;
	unsigned char data[RANQ_LINK_NOTE_MAX];
};
int ranq_bell_open(struct ranq_bell *bell, const char *id, int rank, struct ranq_err *err);
void ranq_bell_close(struct ranq_bell *bell);
/* 0: rung, or nobody is there any more; -1: its socket is full now, try again later. fd -1: a plain ring. */
int ranq_bell_ring(
	const struct ranq_bell *bell, int dst, int src, uint64_t count, int fd, const void *data, size_t len);
/* 1: a note; 0: nothing more. Datagrams of other users and malformed ones are skipped. */
int ranq_bell_read(const struct ranq_bell *bell, struct ranq_bell_note *note);

#endif

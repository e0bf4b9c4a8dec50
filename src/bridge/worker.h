/* worker.h - a compute rank: it drives its executors (exec/exec.h) and talks to rank 0 (bridge/message.h). It never
 * runs user code and never blocks. In a bridge of one rank, worker and proxy are one process and talk through the same
 * messages. */
#ifndef RANQ_BRIDGE_WORKER_H
#define RANQ_BRIDGE_WORKER_H

#include "bridge/link.h"
#include "bridge/message.h"
#include "exec/exec.h"
#include "exec/topology.h"

struct event_base;
struct ranq_worker_options {
	struct event_base *base;
	struct ranq_link *link;                  /* rank 0 of it is the proxy */
	struct ranq_exec *exec;                  /* borrowed */
	unsigned slots;                          /* executors at a time, >= 1 */
	const struct ranq_placement *placements; /* one for each slot, or NULL */
	int compute_from;                        /* lowest compute rank of the bridge */
	int64_t lease_ms;                        /* how long rank 0 may be silent at the beginning */
};
struct ranq_worker;
struct ranq_worker *ranq_worker_create(const struct ranq_worker_options *options, struct ranq_err *err);
void ranq_worker_destroy(struct ranq_worker *worker); /* takes NULL; destroys the slots, not exec or link */
/* A message for workers. -1: malformed, ignored. */
int ranq_worker_message(struct ranq_worker *worker, int src, enum ranq_message_type type, struct ranq_reader *body,
	struct ranq_err *err);
void ranq_worker_file(struct ranq_worker *worker, int src, int fd, const void *note, size_t len); /* owns fd */
/* Tells rank 0 that a signal came to this process. */
void ranq_worker_signal(struct ranq_worker *worker, int sig);
/* Before each wait: sets the watches, gives the next time (ranq_clock_ms) at which tick is due. */
int64_t ranq_worker_prepare(struct ranq_worker *worker);
void ranq_worker_tick(struct ranq_worker *worker);
enum ranq_worker_state {
	RANQ_WORKER_RUNS,
	RANQ_WORKER_TOLD /* by BYE */,
	RANQ_WORKER_LOST /* rank 0 or the launcher is gone */
};
enum ranq_worker_state ranq_worker_state(const struct ranq_worker *worker, int *status);

/* Notes that travel with descriptors: which blob it is. */
size_t ranq_blob_note_encode(unsigned char note[RANQ_LINK_NOTE_MAX], uint64_t blob, uint64_t total);
int ranq_blob_note_decode(const void *note, size_t len, uint64_t *blob, uint64_t *total);

#endif

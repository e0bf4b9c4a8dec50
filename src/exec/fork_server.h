/* fork_server.h - between exec.c (the process ranq-exec) and slot.c (one executor at a time). An executor is named by
 * an id that is never used again, so a late report of an old one cannot be taken for the present one's. */
#ifndef RANQ_EXEC_FORK_SERVER_H
#define RANQ_EXEC_FORK_SERVER_H

#include <sys/queue.h>

#include "exec/exec.h"
#include "exec/wire.h"

/* The part of a slot that exec.c sees. */
struct ranq_slot_end {
	LIST_ENTRY(ranq_slot_end) link;
	struct ranq_exec *exec;  /* NULL after ranq_exec_close */
	uint32_t id;             /* of the executor; 0: none */
	struct ranq_page *page;  /* of the executor; NULL: none */
	bool gone, status_known; /* the executor has ended */
	int status, failure;     /* wait status; or errno of a fork that failed */
	uint64_t peak;           /* most memory that it had; 0: unknown */
};
void ranq_exec_enlist(struct ranq_exec *exec, struct ranq_slot_end *end);
void ranq_exec_discharge(struct ranq_slot_end *end);

/* Asks for an executor: data_fd is its end of the socket, page_fd its page (both stay the caller's). Returns its id; 0:
 * ranq-exec is not there just now, ask again soon. */
uint32_t ranq_exec_spawn(struct ranq_exec *exec, const struct ranq_slot_options *options, int data_fd, int page_fd);
/* Kills executor and task group. When nothing comes of it, ranq-exec itself is killed and started again. */
void ranq_exec_kill(struct ranq_exec *exec, uint32_t id);
/* The executor was told to end by the end of its socket; kills it when it has not after grace_ms. */
void ranq_exec_retire(struct ranq_exec *exec, uint32_t id, int grace_ms);
const char *ranq_exec_worker(const struct ranq_exec *exec);
size_t ranq_exec_max_buffer(const struct ranq_exec *exec);

#endif

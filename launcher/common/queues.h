/* queues.h - the queues of a server, whatever their names. */
#ifndef RANQ_COMMON_QUEUES_H
#define RANQ_COMMON_QUEUES_H

#include "client/session.h"
#include "record/spec.h"

/* Adds the name of each queue to *names, in no order. */
int ranq_queues_names(
	struct ranq_session *session, int64_t deadline_ms, struct ranq_strings *names, struct ranq_err *err);
int ranq_queues_info(struct ranq_session *session, const char *name, int64_t deadline_ms, struct ranq_queue_info *info,
	struct ranq_err *err);
/* How many bridges are registered in all queues of the server at addr; 0 also when it cannot say. */
uint64_t ranq_queues_workers(const struct ranq_server_addr *addr, int64_t deadline_ms);

#endif

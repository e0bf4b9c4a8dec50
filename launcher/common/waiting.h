/* waiting.h - why nothing of a job runs, and what would change that, from what the queue shows. */
#ifndef RANQ_COMMON_WAITING_H
#define RANQ_COMMON_WAITING_H

#include "client/session.h"

#define RANQ_WAITING_TEXT 400

/* What was asked already, for the list of a whole queue: zeroed before the first job, cleared behind the last. */
struct ranq_waiting {
	struct ranq_queue_info queue;
	struct ranq_reply *bridges; /* NULL: not asked yet */
	unsigned specs;
	bool has_queue;
};
/* Reason of the job, "" when something runs, the job has ended, or is held (ranq_jobview_held tells), or the reason is
 * only that others come first. */
int ranq_waiting_reason(struct ranq_waiting *waiting, struct ranq_session *session, const struct ranq_job_info *info,
	char text[RANQ_WAITING_TEXT], struct ranq_err *err);
void ranq_waiting_clear(struct ranq_waiting *waiting);

/* The same for one job that is watched: 1 with a reason once nothing has happened for `patience_ms`, each reason once. */
struct ranq_stall {
	int64_t since_ms, next_ms;
	uint64_t done, leased;
	char told[RANQ_WAITING_TEXT];
};
int ranq_waiting_stalled(struct ranq_stall *stall, struct ranq_session *session, const struct ranq_job_info *info,
	int64_t patience_ms, struct ranq_err *err);

#endif

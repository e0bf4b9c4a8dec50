/* wait.h - waiting for a job without polling: the queue rings our bell when the job moved. */
#ifndef RANQ_CLIENT_WAIT_H
#define RANQ_CLIENT_WAIT_H

#include "client/session.h"

/* Sees the job at the beginning, after each change (at most about ten times a second) and each tick_ms. 0: go on; 1:
 * enough; -1: failed. */
typedef int ranq_wait_look(void *user, const struct ranq_job_info *info, struct ranq_err *err);

/* Until the job is final, look says enough, or deadline_ms (UNFINISHED). *info is the last one seen; look may be NULL.
 */
int ranq_wait_job(struct ranq_session *session, uint64_t job, int64_t tick_ms, int64_t deadline_ms,
	ranq_wait_look *look, void *user, struct ranq_job_info *info, struct ranq_err *err);

#endif

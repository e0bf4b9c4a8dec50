/* failures.h - records of failed tasks, fetched piece by piece. */
#ifndef RANQ_COMMON_FAILURES_H
#define RANQ_COMMON_FAILURES_H

#include "client/session.h"
#include "record/segment.h"

/* 0: go on; 1: enough; -1: failed. */
typedef int ranq_failure_visit(void *user, const struct ranq_failure *failure, struct ranq_err *err);
/* In order of the index, from `from` on, at most `max`. */
int ranq_failures_each(struct ranq_session *session, uint64_t job, uint64_t from, uint64_t max,
	ranq_failure_visit *visit, void *user, struct ranq_err *err);

#endif

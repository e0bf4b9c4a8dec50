/* failures.h - records of failed tasks, fetched piece by piece. */
#ifndef RANQ_CLIENT_FAILURES_H
#define RANQ_CLIENT_FAILURES_H

#include "client/session.h"
#include "record/segment.h"

/* 0: go on; 1: enough; -1: failed. */
typedef int ranq_failure_visit(void *user, const struct ranq_failure *failure, struct ranq_err *err);
/* In order of the index, from `from` on, at most `max`. */
int ranq_failures_each(struct ranq_session *session, uint64_t job, uint64_t from, uint64_t max,
	ranq_failure_visit *visit, void *user, struct ranq_err *err);

/* Why tasks failed, asked for in any order, best in order of the index: a hundred records come at once. */
#define RANQ_REASONS_MAX 100
struct ranq_reasons {
	uint64_t from, to; /* all that there is of [from, to) is in at */
	size_t n;
	struct {
		uint64_t index;
		char text[160];
	} at[RANQ_REASONS_MAX];
};
/* Borrowed until the next call; "" when there is no record. NULL: the server cannot be asked. */
const char *ranq_reasons_get(struct ranq_reasons *reasons, struct ranq_session *session, uint64_t job, uint64_t index,
	struct ranq_err *err);

#endif

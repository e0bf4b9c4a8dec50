/* reduce.h - the value of a job with a reduction: what the bridges left in the queue is joined here, in task order.
 *
 * A plain reader changes nothing; a consuming one frees what it has joined. The sum so far is the state that each
 * acknowledgement stores, and what is acknowledged is freed in the same call: so server and sum cannot disagree, and
 * whoever attaches (this reader after the server went back in time, another client after the death of this one) goes on
 * from what the server has, and forgets what it had itself. */
#ifndef RANQ_CLIENT_REDUCE_H
#define RANQ_CLIENT_REDUCE_H

#include "client/session.h"
#include "record/reduce.h"

struct ranq_reducing_options {
	bool consume;
	uint64_t backlog; /* of the job, 0: unknown */
	/* Called before the reader waits; may be NULL. */
	int (*before_wait)(void *user, struct ranq_err *err);
	void *user;
};
struct ranq_reducing_facts { /* as of the last reply */
	enum ranq_job_state state;
	bool held;
	uint64_t tasks, done, failed;
	uint64_t joined; /* tasks that the sum stands for so far, failed ones included */
};
struct ranq_reducing;
/* how->function must be set. Nothing is sent yet. NULL: out of memory, or the function is missing. */
struct ranq_reducing *ranq_reducing_open(struct ranq_session *session, uint64_t job, const struct ranq_reduce *how,
	const struct ranq_reducing_options *options, struct ranq_err *err);
void ranq_reducing_close(struct ranq_reducing *reducing); /* takes NULL */
/* 0: the job is over and *total its value, borrowed: for total->ok tasks of total->count. -1: UNFINISHED when
 * deadline_ms is over, or the job is held and this reader does not consume: call again; else it failed. */
int ranq_reducing_total(
	struct ranq_reducing *reducing, int64_t deadline_ms, struct ranq_part *total, struct ranq_err *err);
/* Becomes the consumer of the job. */
void ranq_reducing_consume(struct ranq_reducing *reducing);
const struct ranq_reducing_facts *ranq_reducing_facts(const struct ranq_reducing *reducing);

#endif

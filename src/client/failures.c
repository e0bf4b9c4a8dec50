/* failures.c - see failures.h. */
#include "client/failures.h"

#include <stdio.h>

#define PIECE 100

static int fetch(struct ranq_session *session, uint64_t job, uint64_t from, unsigned count, struct ranq_reply **reply,
	struct ranq_err *err)
{
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_failures_cmd(&session->queue, &cmd, job, from, count);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, reply, err);
	ranq_cmd_clear(&cmd);
	return rc;
}

/* Visits the records of a reply; *n of them, *next: index behind the last. */
static int visit_all(const struct ranq_reply *reply, uint64_t *n, uint64_t *next, ranq_failure_visit *visit, void *user,
	struct ranq_err *err)
{
	uint64_t index;
	struct ranq_bytes record;
	struct ranq_failure failure;
	*n = 0;
	if (ranq_reply_type(reply) == RANQ_REPLY_ERROR)
		return ranq_queue_failures_parse(reply, 0, &index, &record, err);
	for (size_t i = 0; i < ranq_reply_count(reply) / 2; i++) {
		if (ranq_queue_failures_parse(reply, i, &index, &record, err) ||
			ranq_failure_unpack(record.data, record.len, &failure, err))
			return -1;
		failure.index = index;
		*next = index + 1;
		++*n;
		int rc = visit(user, &failure, err);
		if (rc)
			return rc;
	}
	return 0;
}

int ranq_failures_each(struct ranq_session *session, uint64_t job, uint64_t from, uint64_t max,
	ranq_failure_visit *visit, void *user, struct ranq_err *err)
{
	while (max) {
		struct ranq_reply *reply = NULL;
		unsigned count = max < PIECE ? (unsigned)max : PIECE;
		uint64_t n;
		int rc = fetch(session, job, from, count, &reply, err);
		if (rc == 0)
			rc = visit_all(reply, &n, &from, visit, user, err);
		ranq_reply_destroy(reply);
		if (rc || n < count)
			return rc < 0 ? -1 : 0;
		max -= n;
	}
	return 0;
}

static int note_reason(void *user, const struct ranq_failure *failure, struct ranq_err *err)
{
	struct ranq_reasons *reasons = user;
	(void)err;
	reasons->at[reasons->n].index = failure->index;
	snprintf(reasons->at[reasons->n].text, sizeof reasons->at->text, "%s", failure->reason);
	reasons->to = failure->index + 1;
	return ++reasons->n == RANQ_REASONS_MAX;
}

const char *ranq_reasons_get(
	struct ranq_reasons *reasons, struct ranq_session *session, uint64_t job, uint64_t index, struct ranq_err *err)
{
	if (index < reasons->from || index >= reasons->to) {
		reasons->n = 0;
		reasons->from = index;
		reasons->to = index + 1;
		if (ranq_failures_each(session, job, index, RANQ_REASONS_MAX, note_reason, reasons, err)) {
			reasons->to = index;
			return NULL;
		}
	}
	for (size_t i = 0; i < reasons->n; i++)
		if (reasons->at[i].index == index)
			return reasons->at[i].text;
	return "";
}

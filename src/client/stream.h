/* stream.h - the results of a job, one task after another, in task order or as they come, in bounded memory: one batch
 * is being delivered while the next is under way.
 *
 * A plain stream reads and changes nothing; any number may read a job. A *consuming* stream is the only one of its
 * kind: it acknowledges what was delivered, which frees it in the server. Delivered indices are kept in a ledger, so
 * that no index comes twice: not after a reconnect, a takeover, or a server that lost its last second. */
#ifndef RANQ_CLIENT_STREAM_H
#define RANQ_CLIENT_STREAM_H

#include "client/ledger.h"
#include "client/session.h"
#include "record/segment.h"

enum ranq_stream_kind {
	RANQ_STREAM_VALUE,   /* result of task `index` */
	RANQ_STREAM_SLICE,   /* a part of it, others follow, the last one as VALUE; only when asked for by `slices` */
	RANQ_STREAM_FREED,   /* results of [index, end) were freed by the job's consumer */
	RANQ_STREAM_MISSING, /* the job is over and [index, end) never ran */
};
struct ranq_stream_result {
	enum ranq_stream_kind kind;
	uint64_t index, end;
	enum ranq_task_status status;
	struct ranq_bytes value; /* borrowed until the next call */
};
struct ranq_stream_options {
	bool unordered, consume;
	/* The job was submitted over this connection just now, with this backlog, and keeps its results: nobody can
	 * have read it, so that there is no need to look at it first (two round trips less). */
	bool fresh;
	uint64_t backlog;
	bool slices; /* values that are stored in slices (record/split.h) come as such, so that no value is in memory whole */
	/* Called before each acknowledgement: must make sure that all delivered results are where they belong (flush),
	 * and may fill the file fields of the state. -1 stops the stream: nothing is acknowledged. May be NULL. */
	int (*before_ack)(void *user, struct ranq_consumer_state *state, struct ranq_err *err);
	/* Called before the stream waits: show what is buffered. May be NULL. */
	int (*before_wait)(void *user, struct ranq_err *err);
	void *user;
};
struct ranq_stream_facts { /* as of the last reply */
	enum ranq_job_state state;
	bool held, finished;
	uint64_t tasks, done, failed, round;
};

struct ranq_stream;
struct ranq_stream *ranq_stream_open(
	struct ranq_session *session, uint64_t job, const struct ranq_stream_options *options, struct ranq_err *err);
/* Acknowledges nothing: what was delivered since the last ack will be delivered again to the next consumer. Takes NULL.
 */
void ranq_stream_close(struct ranq_stream *stream);
/* 1: *result; 0: there is no more; -1: failed, UNFINISHED when deadline_ms is over (or the job is held and this stream
 * does not consume). Consuming: results delivered by earlier calls may be acknowledged by this one. */
int ranq_stream_next(
	struct ranq_stream *stream, struct ranq_stream_result *result, int64_t deadline_ms, struct ranq_err *err);
/* Will the next call neither wait nor speak with the server? (It may read a file.) */
bool ranq_stream_at_hand(const struct ranq_stream *stream);
/* Becomes the consumer of the job; what was delivered so far counts. */
int ranq_stream_consume(struct ranq_stream *stream, struct ranq_err *err);
/* Acknowledges all that was delivered. */
int ranq_stream_ack(struct ranq_stream *stream, struct ranq_err *err);
const struct ranq_stream_facts *ranq_stream_facts(const struct ranq_stream *stream);
/* What the last consumer's acknowledgement said about its output file; of a consuming stream, just after open or
 * consume. */
const struct ranq_consumer_state *ranq_stream_state(const struct ranq_stream *stream);
/* Stores what before_ack says now, though nothing was delivered. A consumer calls it before its first output: else one
 * that is killed between that and its first acknowledgement leaves an output of which nobody knows where it begins. */
int ranq_stream_store_state(struct ranq_stream *stream, struct ranq_err *err);
bool ranq_stream_consumes(const struct ranq_stream *stream);

#endif

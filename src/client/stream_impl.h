/* stream_impl.h - the parts of a stream: fetching (stream_fetch.c), consuming (stream_consume.c), values in
 * slices (stream_slices.c), delivering (stream.c). */
#ifndef RANQ_CLIENT_STREAM_IMPL_H
#define RANQ_CLIENT_STREAM_IMPL_H

#include "client/patch.h"
#include "client/stream.h"
#include "record/offload.h"

#define RANQ_STREAM_ACK_BYTES (4u << 20) /* and never more than an eighth of the backlog */
#define RANQ_STREAM_SMALL_STATE (64u << 10) /* acknowledged before each wait */

/* from READY on: what weighs more comes later */
enum ranq_batch_status {
	RANQ_BATCH_EMPTY,
	RANQ_BATCH_PENDING,
	RANQ_BATCH_READY,
	RANQ_BATCH_STALE, /* something of it was freed meanwhile */
	RANQ_BATCH_LOST,
	RANQ_BATCH_BROKEN
};
struct ranq_batch {
	struct ranq_stream *stream;
	enum ranq_batch_status status, coming; /* coming: status once nothing is awaited any more */
	struct ranq_err err;                   /* of BROKEN */
	struct ranq_fetch_reply facts;         /* items point into the replies */
	struct ranq_reply *replies[1 + RANQ_FETCH_ITEMS_MAX];
	size_t nreplies, awaited, next; /* items apart: how many have no reply yet; no earlier one waits for its own */
};

struct ranq_stream {
	struct ranq_session *session;
	uint64_t job;
	struct ranq_stream_options options;
	struct ranq_stream_facts facts;
	bool over;
	/* consumer */
	uint64_t epoch, restarts;
	bool registered;                  /* the server knows that we wait, and rings when there is something to fetch */
	bool attached, attaching;         /* the epoch is known; the request for it is under way */
	struct ranq_consumer_state state; /* delivered: without [run_start, at) */
	struct ranq_ledger unacked;
	uint64_t unacked_bytes, ack_max; /* ack_max: an eighth of the backlog */
	int64_t acked_ms;
	/* what is being delivered */
	struct ranq_batch batch[2];
	unsigned now, stale; /* stale: batches one behind the other of which something was freed while they came */
	size_t item;
	uint64_t from, cursor;           /* next fetch */
	uint64_t run_start, at, run_end; /* results [at, run_end) come next */
	uint64_t item_at, item_end;      /* the open item: position of the segment reader, end */
	bool item_open;
	enum ranq_stream_kind item_kind;
	struct ranq_segment_reader segments;
	struct ranq_spec spec; /* of a job with results in files, once one was met */
	bool has_spec;
	struct ranq_bytes file;  /* the mapped value that was delivered last */
	struct ranq_result owed; /* was read, and could not be delivered; only while it is in_file or in_slices */
	uint64_t slice;          /* of that, comes next */
	struct ranq_split_check *slice_check;
	struct ranq_reply *slice_reply; /* has the last one */
	struct ranq_patch patch; /* results of later rounds for the open item */
};

/* Asks for what comes behind everything that the stream holds. */
void ranq_stream_fetch_send(struct ranq_stream *stream, struct ranq_batch *batch);
/* Makes the next batch the current one. 1: it has items, or the job is finished; -1: also UNFINISHED. */
int ranq_stream_fetch_next(struct ranq_stream *stream, int64_t deadline_ms, struct ranq_err *err);
bool ranq_stream_all_fetched(const struct ranq_stream *stream);
void ranq_stream_batch_clear(struct ranq_batch *batch);

/* Becomes the consumer (again): the server's ledger and ours become one, all of ours is acknowledged again. */
int ranq_stream_attach(struct ranq_stream *stream, struct ranq_err *err);
void ranq_stream_attach_send(struct ranq_stream *stream);
/* Looks whether the server that answers now is the one that we read from so far. */
int ranq_stream_handle_restart(struct ranq_stream *stream, struct ranq_err *err);
/* The value of the task at stream->at: the whole of it, or when the stream gives slices the next one. 1: that is all; 0: more slices
 * follow; -1: it is owed still, the slice that failed comes next. */
int ranq_stream_slices(struct ranq_stream *stream, const struct ranq_result *found, struct ranq_bytes *value,
	struct ranq_err *err);
void ranq_stream_slices_clear(struct ranq_stream *stream);
/* What was delivered of the current run goes into the ledgers. */
int ranq_stream_note_run(struct ranq_stream *stream, struct ranq_err *err);
int ranq_stream_ack_now(struct ranq_stream *stream, struct ranq_err *err);
/* All that an open job has was delivered, and what is not acknowledged of it is little. */
bool ranq_stream_is_lazy(const struct ranq_stream *stream);
bool ranq_stream_ack_is_due(const struct ranq_stream *stream);
int64_t ranq_stream_ack_at_ms(const struct ranq_stream *stream); /* when it will be due at the latest */

#endif

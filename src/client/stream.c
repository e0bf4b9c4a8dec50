/* stream.c - see stream.h.
 *
 * Crash and race arguments:
 * - In order, the next fetch asks for the first index behind what this stream holds, so a lost reply, a reconnect or a
 * server that went back in time only means that the same index is asked for again.
 * - Unordered, the cursor counts arrivals in that one server's life. When the server restarted the cursor starts again
 * at 0; the ledger drops what was delivered.
 * - An acknowledgement contains the whole ledger and frees in the same call, so the server's ledger and its results
 * cannot disagree, whatever second it comes back from. After a restart everything delivered is acknowledged again: that
 * frees what the server got back by the roll-back. */
#include "client/stream.h"

#include <stdlib.h>
#include <string.h>

#include "client/patch.h"

#define FETCH_BYTES (4u << 20)
#define FETCH_ITEMS 256
#define FETCH_MS 15000
#define RETRY_MS 100
#define ACK_BYTES (4u << 20) /* and never more than an eighth of the backlog */
#define ACK_MS 200
#define MISSING_SLICE 4096 /* tasks without a first result that one overlay call looks at */

enum batch_status { BATCH_EMPTY, BATCH_PENDING, BATCH_READY, BATCH_LOST, BATCH_BROKEN };
struct batch {
	enum batch_status status;
	struct ranq_err err; /* of BROKEN */
	struct ranq_buf bytes;
	struct ranq_fetch_reply facts; /* items point into bytes */
};

struct ranq_stream {
	struct ranq_session *session;
	uint64_t job;
	struct ranq_stream_options options;
	struct ranq_stream_facts facts;
	bool over;
	/* consumer */
	uint64_t epoch, restarts;
	bool attached, attaching;         /* the epoch is known; the request for it is under way */
	struct ranq_consumer_state state; /* delivered: without [run_start, at) */
	struct ranq_ledger unacked;
	uint64_t unacked_bytes, ack_bytes;
	int64_t acked_ms;
	/* what is being delivered */
	struct batch batch[2];
	unsigned now;
	size_t item;
	uint64_t from, cursor;           /* next fetch */
	uint64_t run_start, at, run_end; /* results [at, run_end) come next */
	uint64_t item_at, item_end;      /* the open item: position of the segment reader, end */
	bool item_open;
	enum ranq_stream_kind item_kind;
	struct ranq_segment_reader segments;
	struct ranq_patch patch; /* results of later rounds for the open item */
};

/* ---- fetching -------------------------------------------------------------------------------------------------- */
static void keep_items(struct batch *batch)
{
	size_t total = 0;
	for (size_t i = 0; i < batch->facts.n; i++)
		total += batch->facts.items[i].item.len;
	ranq_buf_reset(&batch->bytes);
	unsigned char *to = ranq_buf_reserve(&batch->bytes, total);
	if (!to) {
		ranq_err_set(&batch->err, RANQ_ERR_MEMORY, "out of memory for %zu bytes of results", total);
		batch->status = BATCH_BROKEN;
		return;
	}
	for (size_t i = 0; i < batch->facts.n; i++) {
		struct ranq_bytes *item = &batch->facts.items[i].item;
		if (item->len)
			memcpy(to, item->data, item->len);
		item->data = to;
		to += item->len;
	}
	batch->status = BATCH_READY;
}

static void fetched(const struct ranq_reply *reply, void *arg)
{
	struct batch *batch = arg;
	if (!reply || ranq_queue_reply_is_noscript(reply)) {
		batch->status = BATCH_LOST;
	} else if (ranq_queue_fetch_parse(reply, &batch->facts, &batch->err)) {
		bool passes = batch->err.code == RANQ_ERR_SERVER || batch->err.code == RANQ_ERR_FULL;
		batch->status = passes ? BATCH_LOST : BATCH_BROKEN;
	} else {
		keep_items(batch);
	}
}

/* Asks for what comes behind everything that the stream holds. */
static void send_fetch(struct ranq_stream *stream, struct batch *batch)
{
	struct ranq_fetch fetch = {
		.job = stream->job,
		.unordered = stream->options.unordered,
		.from = stream->options.unordered ? stream->cursor : stream->from,
		.max_bytes = FETCH_BYTES,
		.max_items = FETCH_ITEMS,
		.waiter = stream->session->client,
	};
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	batch->status = BATCH_PENDING;
	if (ranq_queue_fetch_cmd(&stream->session->queue, &cmd, &fetch)) {
		ranq_err_set(&batch->err, RANQ_ERR_MEMORY, "out of memory");
		batch->status = BATCH_BROKEN;
	} else {
		ranq_conn_send(stream->session->conn, &cmd, fetched, batch);
	}
	ranq_cmd_clear(&cmd);
}

static int attach_consumer(struct ranq_stream *stream, struct ranq_err *err);
static int ack(struct ranq_stream *stream, struct ranq_err *err);

/* The server that answers now is not the one that we read from so far. */
static int handle_restart(struct ranq_stream *stream, struct ranq_err *err)
{
	if (stream->restarts == stream->session->restarts)
		return 0;
	stream->restarts = stream->session->restarts;
	stream->cursor = 0;
	struct batch *next = &stream->batch[!stream->now];
	if (next->status == BATCH_READY)
		next->status = BATCH_EMPTY;
	return stream->options.consume ? attach_consumer(stream, err) : 0;
}

static int wait_batch(struct ranq_stream *stream, struct batch *batch, struct ranq_err *err)
{
	int64_t give_up = ranq_session_after(FETCH_MS);
	while (batch->status == BATCH_PENDING) {
		if (ranq_clock_ms() >= give_up)
			ranq_session_disconnect(stream->session); /* calls back: LOST */
		else if (ranq_session_turn(stream->session, give_up, err))
			return -1;
	}
	return batch->status == BATCH_BROKEN ? ranq_err_set(err, batch->err.code, "%s", batch->err.text) : 0;
}

/* Sends what is not sent and waits until the batch is READY, over reconnects. */
static int get_batch(struct ranq_stream *stream, struct batch *batch, struct ranq_err *err)
{
	for (;;) {
		if (ranq_session_connect(stream->session, RANQ_NEVER, err) || handle_restart(stream, err))
			return -1;
		if (!stream->session->conn)
			continue;
		if (batch->status == BATCH_EMPTY || batch->status == BATCH_LOST)
			send_fetch(stream, batch);
		if (wait_batch(stream, batch, err))
			return -1;
		if (batch->status == BATCH_READY)
			return 0;
		/* "Not now", or the functions were forgotten: after a pause a new connection attaches again. */
		if (stream->session->conn && ranq_session_turn(stream->session, ranq_session_after(RETRY_MS), err))
			return -1;
		ranq_session_disconnect(stream->session);
	}
}

static void learn(struct ranq_stream *stream, const struct batch *batch)
{
	stream->facts.state = batch->facts.state;
	stream->facts.held = batch->facts.held;
	stream->facts.finished = batch->facts.finished;
	stream->facts.tasks = batch->facts.tasks;
	stream->facts.done = batch->facts.done;
	stream->facts.failed = batch->facts.failed;
	if (stream->options.unordered)
		stream->cursor = batch->facts.cursor;
	else if (batch->facts.n)
		stream->from = batch->facts.items[batch->facts.n - 1].end;
}

static bool all_fetched(const struct ranq_stream *stream)
{
	return !stream->options.unordered && stream->facts.state != RANQ_JOB_OPEN &&
	       stream->from >= stream->facts.tasks;
}

/* Makes the next batch the current one. 1: it has items, or the job is finished; -1: also UNFINISHED. */
static int next_batch(struct ranq_stream *stream, int64_t deadline_ms, struct ranq_err *err)
{
	for (;;) {
		struct batch *next = &stream->batch[!stream->now];
		if (ranq_session_run_hook(stream->session, err))
			return -1;
		/* A fetch never waits in the server: even with no time left its answer is worth having. */
		if (get_batch(stream, next, err))
			return -1;
		learn(stream, next);
		if (stream->options.consume && !stream->attached && attach_consumer(stream, err))
			return -1;
		if (next->facts.n || next->facts.finished)
			break;
		next->status = BATCH_EMPTY;
		if (stream->options.consume && ack(stream, err))
			return -1;
		if (ranq_clock_ms() >= deadline_ms || (stream->facts.held && !stream->options.consume))
			return ranq_err_set(err, RANQ_ERR_UNFINISHED, "not finished");
		if (stream->options.before_wait && stream->options.before_wait(stream->options.user, err))
			return -1;
		if (ranq_session_bell(stream->session, deadline_ms, err) < 0)
			return -1;
	}
	stream->batch[stream->now].status = BATCH_EMPTY;
	stream->now = !stream->now;
	stream->item = 0;
	if (stream->batch[stream->now].facts.n && stream->session->conn && !all_fetched(stream))
		send_fetch(stream, &stream->batch[!stream->now]);
	return 1;
}

/* ---- consumer -------------------------------------------------------------------------------------------------- */
static int attach_call(
	struct ranq_stream *stream, struct ranq_consumer_state *state, uint64_t *acked_to, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	struct ranq_bytes packed;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_attach_consumer_cmd(&stream->session->queue, &cmd, stream->job, stream->session->client);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(stream->session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_attach_consumer_parse(reply, &stream->epoch, acked_to, &packed, err);
	if (rc == 0)
		rc = ranq_consumer_state_unpack(packed.data, packed.len, state, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

/* The server's ledger and ours become one; all of it is acknowledged (again) by the next ack. */
static int attach_consumer(struct ranq_stream *stream, struct ranq_err *err)
{
	struct ranq_consumer_state theirs;
	uint64_t acked_to = 0;
	if (attach_call(stream, &theirs, &acked_to, err))
		return -1;
	struct ranq_ledger *mine = &stream->state.delivered;
	int rc = 0;
	for (size_t i = 0; i < mine->n && rc == 0; i++)
		rc = ranq_ledger_add(&stream->unacked, mine->at[i][0], mine->at[i][1], err);
	for (size_t i = 0; i < theirs.delivered.n && rc == 0; i++)
		rc = ranq_ledger_add(mine, theirs.delivered.at[i][0], theirs.delivered.at[i][1], err);
	if (rc == 0)
		rc = ranq_ledger_add(mine, 0, acked_to, err);
	if (!stream->state.has_file) {
		stream->state.has_file = theirs.has_file;
		stream->state.device = theirs.device;
		stream->state.inode = theirs.inode;
		stream->state.offset = theirs.offset;
	}
	ranq_ledger_clear(&theirs.delivered);
	stream->restarts = stream->session->restarts;
	stream->attached = rc == 0;
	return rc;
}

/* What was delivered of the current run goes into the ledgers. */
static int note_run(struct ranq_stream *stream, struct ranq_err *err)
{
	if (stream->run_start == stream->at)
		return 0;
	if (ranq_ledger_add(&stream->state.delivered, stream->run_start, stream->at, err))
		return -1;
	if (stream->options.consume && ranq_ledger_add(&stream->unacked, stream->run_start, stream->at, err))
		return -1;
	stream->run_start = stream->at;
	return 0;
}

static int ack_call(
	struct ranq_stream *stream, const struct ranq_buf *packed, size_t n, bool *more, struct ranq_err *err)
{
	struct ranq_bytes state = {packed->data, packed->len};
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_ack_cmd(&stream->session->queue, &cmd, stream->job, stream->epoch, &state,
		(const uint64_t(*)[2])stream->unacked.at, n);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(stream->session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_ack_parse(reply, more, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

/* Sends the ledger and up to 1000 ranges. 1: more to do; 0: done. */
static int ack_some(struct ranq_stream *stream, struct ranq_err *err)
{
	struct ranq_buf packed;
	bool more = false;
	size_t n = stream->unacked.n < RANQ_CALL_ITEMS_MAX ? stream->unacked.n : RANQ_CALL_ITEMS_MAX;
	ranq_buf_init(&packed, 0);
	int rc = ranq_consumer_state_pack(&stream->state, &packed, err);
	if (rc == 0)
		rc = ack_call(stream, &packed, n, &more, err);
	ranq_buf_clear(&packed);
	if (rc == 0 && !more) {
		memmove(stream->unacked.at, stream->unacked.at + n,
			(stream->unacked.n - n) * sizeof *stream->unacked.at);
		stream->unacked.n -= n;
		return stream->unacked.n > 0;
	}
	return rc ? -1 : 1;
}

/* All of what is unacknowledged. 0; -1: also when somebody took over. */
static int ack_all(struct ranq_stream *stream, struct ranq_err *err)
{
	int rc;
	while ((rc = ack_some(stream, err)) != 0) {
		if (rc > 0)
			continue;
		/* After a restart the server may have forgotten our epoch: attach again; else somebody took over. */
		if (err->code != RANQ_ERR_STATE)
			return -1;
		if (stream->restarts == stream->session->restarts)
			return ranq_err_set(err, RANQ_ERR_STATE,
				"another client took over the results of job '%s/%llu'", stream->session->queue.name,
				(unsigned long long)stream->job);
		if (handle_restart(stream, err))
			return -1;
	}
	return 0;
}

static int ack(struct ranq_stream *stream, struct ranq_err *err)
{
	if (note_run(stream, err) || handle_restart(stream, err))
		return -1;
	if (!stream->unacked.n)
		return 0;
	if (stream->options.before_ack && stream->options.before_ack(stream->options.user, &stream->state, err))
		return -1;
	/* The connection may be made anew at any call, to a server that is older than our last acknowledgement. */
	do {
		if (handle_restart(stream, err) || ack_all(stream, err))
			return -1;
	} while (stream->restarts != stream->session->restarts);
	stream->unacked_bytes = 0;
	stream->acked_ms = ranq_clock_ms();
	return 0;
}

static bool ack_is_due(const struct ranq_stream *stream)
{
	return stream->options.consume && (stream->unacked.n || stream->run_start != stream->at) &&
	       (stream->unacked_bytes >= stream->ack_bytes || ranq_clock_ms() - stream->acked_ms >= ACK_MS);
}

/* ---- delivering ------------------------------------------------------------------------------------------------ */
static int load_patch(struct ranq_stream *stream, uint64_t start, uint64_t end, struct ranq_err *err)
{
	ranq_patch_reset(&stream->patch);
	return stream->facts.round ? ranq_patch_load(&stream->patch, stream->session, stream->job, start, end, err) : 0;
}

static int open_range(
	struct ranq_stream *stream, enum ranq_stream_kind kind, uint64_t start, uint64_t end, struct ranq_err *err)
{
	stream->item_kind = kind;
	stream->item_at = start;
	stream->item_end = end;
	stream->item_open = true;
	return load_patch(stream, start, end, err);
}

/* Opens the next item of the batch, or the hole in front of it. */
static int open_item(struct ranq_stream *stream, struct batch *batch, struct ranq_err *err)
{
	uint64_t start = batch->facts.items[stream->item].start, end = batch->facts.items[stream->item].end;
	if (start >= end || end > RANQ_TASKS_MAX)
		return ranq_err_set(err, RANQ_ERR_REPLY, "the server sent a result with a bad range");
	if (!stream->options.unordered && stream->item_end < start) {
		uint64_t upto = start - stream->item_end > MISSING_SLICE && stream->facts.round
					? stream->item_end + MISSING_SLICE
					: start;
		return open_range(stream, RANQ_STREAM_MISSING, stream->item_end, upto, err);
	}
	struct ranq_bytes item = batch->facts.items[stream->item].item;
	bool freed = batch->facts.items[stream->item].freed;
	stream->item++;
	stream->unacked_bytes += item.len;
	ranq_segment_reader_init(&stream->segments, item.data, item.len);
	return open_range(stream, freed ? RANQ_STREAM_FREED : RANQ_STREAM_VALUE, start, end, err);
}

/* Moves the segment reader over results that were delivered before. */
static int skip_to(struct ranq_stream *stream, uint64_t index, struct ranq_err *err)
{
	struct ranq_result ignored;
	for (; stream->item_at < index; stream->item_at++)
		if (stream->item_kind == RANQ_STREAM_VALUE &&
			ranq_segment_reader_next(&stream->segments, &ignored, err) != 1)
			return ranq_err_set(err, RANQ_ERR_REPLY, "results of task %llu are damaged in the server",
				(unsigned long long)stream->item_at);
	return 0;
}

/* Next undelivered part of the open item becomes the run; 1: there is one; 0: the item is over. */
static int next_run(struct ranq_stream *stream, struct ranq_err *err)
{
	uint64_t start, stop;
	if (!ranq_ledger_gap(&stream->state.delivered, stream->item_at, stream->item_end, &start, &stop)) {
		stream->item_open = false;
		return 0;
	}
	if (skip_to(stream, start, err))
		return -1;
	stream->run_start = stream->at = start;
	stream->run_end = stop;
	return 1;
}

/* Nothing more will come: the rest of the job never ran, or all was delivered. 1: a last range was opened. */
static int finish(struct ranq_stream *stream, struct ranq_err *err)
{
	bool in_order = !stream->options.unordered && ranq_job_state_is_final(stream->facts.state);
	if (in_order && stream->item_end < stream->facts.tasks) {
		uint64_t left = stream->facts.tasks - stream->item_end;
		uint64_t slice = stream->facts.round && left > MISSING_SLICE ? MISSING_SLICE : left;
		return open_range(stream, RANQ_STREAM_MISSING, stream->item_end, stream->item_end + slice, err) ? -1
														: 1;
	}
	if (stream->options.consume && ack(stream, err))
		return -1;
	stream->over = true;
	return 0;
}

/* Moves to the next run. 1: there is one; 0: the stream is over; -1. */
static int advance(struct ranq_stream *stream, int64_t deadline_ms, struct ranq_err *err)
{
	if (note_run(stream, err))
		return -1;
	while (!stream->over) {
		struct batch *batch = &stream->batch[stream->now];
		int rc = 1;
		if (stream->item_open) {
			rc = next_run(stream, err);
			if (rc)
				return rc;
		} else if (batch->status == BATCH_READY && stream->item < batch->facts.n) {
			if (ack_is_due(stream) && ack(stream, err))
				return -1;
			if (open_item(stream, batch, err))
				return -1;
		} else if ((batch->status == BATCH_READY && batch->facts.n == 0 && batch->facts.finished) ||
			   all_fetched(stream)) {
			rc = finish(stream, err);
		} else {
			rc = next_batch(stream, deadline_ms, err);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int deliver_run(struct ranq_stream *stream, struct ranq_stream_result *result, struct ranq_err *err)
{
	result->index = stream->at;
	result->end = stream->at + 1;
	result->kind = RANQ_STREAM_VALUE;
	struct ranq_result found = {RANQ_TASK_OK, {NULL, 0}};
	if (stream->item_kind == RANQ_STREAM_VALUE && ranq_segment_reader_next(&stream->segments, &found, err) != 1)
		return ranq_err_set(err, RANQ_ERR_REPLY, "results of task %llu are damaged in the server",
			(unsigned long long)stream->at);
	bool patched = stream->patch.n && ranq_patch_find(&stream->patch, stream->at, &found);
	if (stream->item_kind != RANQ_STREAM_VALUE && !patched) {
		uint64_t stop = ranq_patch_next(&stream->patch, stream->at);
		result->kind = stream->item_kind;
		result->end = stop < stream->run_end ? stop : stream->run_end;
	}
	result->status = found.status;
	result->value = found.value;
	stream->at = stream->item_at = result->end;
	return 1;
}

int ranq_stream_next(
	struct ranq_stream *stream, struct ranq_stream_result *result, int64_t deadline_ms, struct ranq_err *err)
{
	struct ranq_err local;
	if (stream->at >= stream->run_end) {
		int rc = advance(stream, deadline_ms, err ? err : &local);
		if (rc <= 0)
			return rc;
	}
	return deliver_run(stream, result, err ? err : &local);
}

/* ---- life ------------------------------------------------------------------------------------------------------ */
static int first_look(struct ranq_stream *stream, struct ranq_err *err)
{
	struct ranq_job_info info;
	if (ranq_session_info(stream->session, stream->job, &info, err))
		return -1;
	if (info.results != RANQ_RESULTS_KEEP)
		return ranq_err_set(err, RANQ_ERR_STATE, "job '%s/%llu' keeps no results (--results %s)",
			stream->session->queue.name, (unsigned long long)info.job,
			info.results == RANQ_RESULTS_COUNT ? "count" : "none");
	stream->facts.state = info.state;
	stream->facts.tasks = info.tasks;
	stream->facts.done = info.done;
	stream->facts.round = info.round;
	/* Results of later rounds lie beside the first ones by index: in order is the only way to see them all. */
	if (info.round)
		stream->options.unordered = false;
	stream->ack_bytes = info.backlog / 8 < ACK_BYTES ? info.backlog / 8 : ACK_BYTES;
	return 0;
}

/* A job that nobody has read: epoch 1 and an empty ledger. Anything else is left to attach_consumer. */
static void attached(const struct ranq_reply *reply, void *arg)
{
	struct ranq_stream *stream = arg;
	struct ranq_bytes state;
	uint64_t acked_to;
	stream->attaching = false;
	stream->attached = reply &&
			   ranq_queue_attach_consumer_parse(reply, &stream->epoch, &acked_to, &state, NULL) == 0 &&
			   acked_to == 0 && state.len == 0;
}

/* Attach and first fetch leave together. */
static void begin_fresh(struct ranq_stream *stream)
{
	struct ranq_cmd cmd;
	stream->facts.state = RANQ_JOB_OPEN; /* as far as we know */
	stream->ack_bytes = stream->options.backlog / 8 < ACK_BYTES ? stream->options.backlog / 8 : ACK_BYTES;
	if (!stream->session->conn)
		return;
	ranq_cmd_init(&cmd);
	if (stream->options.consume && ranq_queue_attach_consumer_cmd(&stream->session->queue, &cmd, stream->job,
					       stream->session->client) == 0) {
		stream->attaching = true;
		ranq_conn_send(stream->session->conn, &cmd, attached, stream);
	}
	ranq_cmd_clear(&cmd);
	send_fetch(stream, &stream->batch[!stream->now]);
}

static int begin_known(struct ranq_stream *stream, struct ranq_err *err)
{
	uint64_t stop;
	if (first_look(stream, err) || (stream->options.consume && attach_consumer(stream, err)))
		return -1;
	if (!ranq_ledger_gap(&stream->state.delivered, 0, RANQ_TASKS_MAX, &stream->from, &stop))
		stream->from = stream->facts.tasks;
	stream->item_end = stream->from;
	return 0;
}

struct ranq_stream *ranq_stream_open(
	struct ranq_session *session, uint64_t job, const struct ranq_stream_options *options, struct ranq_err *err)
{
	struct ranq_stream *stream = calloc(1, sizeof *stream);
	if (!stream) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	stream->session = session;
	stream->job = job;
	stream->options = *options;
	stream->restarts = session->restarts;
	stream->acked_ms = ranq_clock_ms();
	ranq_buf_init(&stream->batch[0].bytes, 0);
	ranq_buf_init(&stream->batch[1].bytes, 0);
	ranq_patch_init(&stream->patch);
	if (options->fresh) {
		begin_fresh(stream);
	} else if (begin_known(stream, err)) {
		ranq_stream_close(stream);
		return NULL;
	}
	return stream;
}

int ranq_stream_consume(struct ranq_stream *stream, struct ranq_err *err)
{
	if (stream->options.consume)
		return 0;
	if (note_run(stream, err))
		return -1;
	stream->options.consume = true;
	if (attach_consumer(stream, err)) {
		stream->options.consume = false;
		return -1;
	}
	return ack(stream, err);
}

int ranq_stream_ack(struct ranq_stream *stream, struct ranq_err *err)
{
	struct ranq_err local;
	return stream->options.consume ? ack(stream, err ? err : &local) : 0;
}

void ranq_stream_close(struct ranq_stream *stream)
{
	if (!stream)
		return;
	/* a reply under way must not find freed memory */
	if (stream->attaching || stream->batch[0].status == BATCH_PENDING || stream->batch[1].status == BATCH_PENDING)
		ranq_session_disconnect(stream->session);
	for (int i = 0; i < 2; i++)
		ranq_buf_clear(&stream->batch[i].bytes);
	ranq_patch_clear(&stream->patch);
	ranq_ledger_clear(&stream->state.delivered);
	ranq_ledger_clear(&stream->unacked);
	free(stream);
}

const struct ranq_stream_facts *ranq_stream_facts(const struct ranq_stream *stream)
{
	return &stream->facts;
}

const struct ranq_consumer_state *ranq_stream_state(const struct ranq_stream *stream)
{
	return &stream->state;
}

bool ranq_stream_consumes(const struct ranq_stream *stream)
{
	return stream->options.consume;
}

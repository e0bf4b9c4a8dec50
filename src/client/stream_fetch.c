/* stream_fetch.c - batches of results: one is delivered while the next is under way.
 *
 * In order, the next fetch asks for the first index behind what this stream holds, so a lost reply, a reconnect or a
 * server that went back in time only means that the same index is asked for again. Unordered, the cursor counts
 * arrivals in that one server's life: when the server restarted it starts again at 0, and the ledger drops what was
 * delivered.
 *
 * A fetch may say that items lie apart: they are read by commands of their own, all before the batch is whole. One that is gone by then was freed
 * by a consumer, or its job was removed: the next fetch knows. */
#include <string.h>

#include "client/stream_impl.h"

#define FETCH_BYTES (4u << 20)
#define RETRY_MS 100
#define LINGER_MS 20
#define STALE_MAX 16 /* each time somebody freed something between two steps of ours */

void ranq_stream_batch_clear(struct ranq_batch *batch)
{
	while (batch->nreplies)
		ranq_reply_destroy(batch->replies[--batch->nreplies]);
	batch->facts.n = 0;
}

/* The items point into the reply, which stays with the batch. */
static void keep(struct ranq_batch *batch, const struct ranq_reply *reply)
{
	batch->replies[batch->nreplies++] = ranq_conn_keep(batch->stream->session->conn, reply);
}

/* What goes wrong with a part is so with the whole; the worst counts. */
static void came(struct ranq_batch *batch, enum ranq_batch_status how)
{
	if (how > batch->coming)
		batch->coming = how;
	if (batch->awaited == 0)
		batch->status = batch->coming;
}

static enum ranq_batch_status refused(const struct ranq_batch *batch)
{
	bool passes = batch->err.code == RANQ_ERR_SERVER || batch->err.code == RANQ_ERR_FULL;
	return passes ? RANQ_BATCH_LOST : RANQ_BATCH_BROKEN;
}

static void got_apart(const struct ranq_reply *reply, void *arg)
{
	struct ranq_batch *batch = arg;
	bool there;
	while (!batch->facts.items[batch->next].apart)
		batch->next++;
	struct ranq_bytes *item = &batch->facts.items[batch->next++].item;
	batch->awaited--;
	if (!reply) {
		came(batch, RANQ_BATCH_LOST);
	} else if (ranq_queue_apart_get_parse(reply, &there, item, &batch->err)) {
		came(batch, refused(batch));
	} else if (!there) {
		came(batch, RANQ_BATCH_STALE);
	} else {
		keep(batch, reply);
		came(batch, RANQ_BATCH_READY);
	}
}

/* Large items are read past the functions of the server. Their replies come in this order. */
static void get_apart(struct ranq_batch *batch)
{
	const struct ranq_stream *stream = batch->stream;
	struct ranq_cmd cmd;
	batch->coming = RANQ_BATCH_READY;
	batch->next = 0;
	for (size_t i = 0; i < batch->facts.n; i++)
		batch->awaited += batch->facts.items[i].apart;
	ranq_cmd_init(&cmd);
	for (size_t i = 0; i < batch->facts.n; i++) {
		if (!batch->facts.items[i].apart)
			continue;
		ranq_queue_apart_get_cmd(&stream->session->queue, &cmd, stream->job, batch->facts.items[i].start);
		ranq_conn_send(stream->session->conn, &cmd, got_apart, batch);
	}
	ranq_cmd_clear(&cmd);
	if (batch->awaited == 0)
		batch->status = batch->coming;
}

static void fetched(const struct ranq_reply *reply, void *arg)
{
	struct ranq_batch *batch = arg;
	if (!reply || ranq_queue_reply_is_noscript(reply)) {
		batch->status = RANQ_BATCH_LOST;
	} else if (ranq_queue_fetch_parse(reply, &batch->facts, &batch->err)) {
		batch->status = refused(batch);
	} else {
		keep(batch, reply);
		get_apart(batch);
	}
}

/* Asks for what comes behind everything that the stream holds. */
void ranq_stream_fetch_send(struct ranq_stream *stream, struct ranq_batch *batch)
{
	struct ranq_fetch fetch = {
		.job = stream->job,
		.unordered = stream->options.unordered,
		.from = stream->options.unordered ? stream->cursor : stream->from,
		.max_bytes = FETCH_BYTES,
		.max_items = RANQ_FETCH_ITEMS_MAX,
		.waiter = stream->session->client,
	};
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_stream_batch_clear(batch);
	batch->awaited = 0;
	batch->status = RANQ_BATCH_PENDING;
	batch->err.code = RANQ_ERR_OK;
	if (ranq_queue_fetch_cmd(&stream->session->queue, &cmd, &fetch)) {
		ranq_err_set(&batch->err, RANQ_ERR_MEMORY, "out of memory");
		batch->status = RANQ_BATCH_BROKEN;
	} else {
		ranq_conn_send(stream->session->conn, &cmd, fetched, batch);
	}
	ranq_cmd_clear(&cmd);
}

static int wait_batch(struct ranq_stream *stream, struct ranq_batch *batch, struct ranq_err *err)
{
	int64_t silence_ms = ranq_session_silence_ms(stream->session), give_up = ranq_session_after(silence_ms);
	uint64_t moved = 0;
	while (batch->status == RANQ_BATCH_PENDING) {
		uint64_t now = stream->session->conn ? ranq_conn_moved(stream->session->conn) : 0;
		if (now != moved)
			give_up = ranq_session_after(silence_ms);
		moved = now;
		if (ranq_clock_ms() >= give_up)
			ranq_session_disconnect(stream->session); /* calls back: LOST */
		else if (ranq_session_turn(stream->session, give_up, err))
			return -1;
	}
	return batch->status == RANQ_BATCH_BROKEN ? ranq_err_set(err, batch->err.code, "%s", batch->err.text) : 0;
}

/* Sends what is not sent and waits until the batch is READY, over reconnects. */
static int get_batch(struct ranq_stream *stream, struct ranq_batch *batch, struct ranq_err *err)
{
	int64_t patience_ms = ranq_session_after(stream->session->options.patience_ms);
	for (;;) {
		if (ranq_session_connect(stream->session, RANQ_NEVER, err) || ranq_stream_handle_restart(stream, err))
			return -1;
		if (!stream->session->conn)
			continue;
		if (batch->status == RANQ_BATCH_EMPTY || batch->status >= RANQ_BATCH_STALE)
			ranq_stream_fetch_send(stream, batch);
		if (wait_batch(stream, batch, err))
			return -1;
		if (batch->status == RANQ_BATCH_READY) {
			stream->stale = 0;
			return 0;
		}
		if (batch->status == RANQ_BATCH_STALE) {
			if (++stream->stale > STALE_MAX)
				return ranq_err_set(err, RANQ_ERR_STATE, "results were deleted in the server");
			continue;
		}
		if (batch->err.code != RANQ_ERR_OK && ranq_clock_ms() >= patience_ms)
			return ranq_err_set(err, batch->err.code, "%s", batch->err.text);
		/* "Not now", or the functions were forgotten: after a pause a new connection attaches again. */
		if (stream->session->conn && ranq_session_turn(stream->session, ranq_session_after(RETRY_MS), err))
			return -1;
		ranq_session_disconnect(stream->session);
	}
}

static void learn(struct ranq_stream *stream, const struct ranq_batch *batch)
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

bool ranq_stream_all_fetched(const struct ranq_stream *stream)
{
	return !stream->options.unordered && stream->facts.state != RANQ_JOB_OPEN &&
	       stream->from >= stream->facts.tasks;
}

/* Whoever waits has acknowledged; only with a large accumulator not each time: *look_ms is when it is due. Who gets the
 * few results of an open job one by one may have the next one before an acknowledgement is there and back. */
static int ack_before_wait(struct ranq_stream *stream, bool waited, int64_t *look_ms, struct ranq_err *err)
{
	*look_ms = RANQ_NEVER;
	if (!stream->options.consume)
		return 0;
	if (!waited && ranq_stream_is_lazy(stream)) {
		*look_ms = ranq_session_after(LINGER_MS);
		return 0;
	}
	if (stream->state.accumulator.len <= RANQ_STREAM_SMALL_STATE || ranq_stream_ack_is_due(stream))
		return ranq_stream_ack_now(stream, err);
	if (stream->unacked.n)
		*look_ms = ranq_stream_ack_at_ms(stream);
	return 0;
}

static void fetch_behind_bell(void *user)
{
	struct ranq_stream *stream = user;
	ranq_stream_fetch_send(stream, &stream->batch[!stream->now]);
}

/* 1: the batch has items, or the job is finished; 0: nothing yet; -1. */
static int look(struct ranq_stream *stream, struct ranq_batch *next, int64_t deadline_ms, struct ranq_err *err)
{
	bool registered = stream->registered;
	stream->registered = false;
	if (registered && ranq_clock_ms() < deadline_ms)
		return 0;
	/* A fetch never waits in the server: even with no time left its answer is worth having. */
	if (get_batch(stream, next, err))
		return -1;
	learn(stream, next);
	if (stream->options.consume && !stream->attached && ranq_stream_attach(stream, err))
		return -1;
	if (next->facts.n || next->facts.finished)
		return 1;
	next->status = RANQ_BATCH_EMPTY;
	return 0;
}

/* Makes the next batch the current one. 1: it has items, or the job is finished; -1: also UNFINISHED. */
int ranq_stream_fetch_next(struct ranq_stream *stream, int64_t deadline_ms, struct ranq_err *err)
{
	for (bool waited = ranq_clock_ms() + LINGER_MS >= deadline_ms;; waited = true) {
		int64_t look_ms;
		if (ranq_session_run_hook(stream->session, err))
			return -1;
		int rc = look(stream, &stream->batch[!stream->now], deadline_ms, err);
		if (rc < 0)
			return -1;
		if (rc > 0)
			break;
		if (ack_before_wait(stream, waited, &look_ms, err))
			return -1;
		if (ranq_clock_ms() >= deadline_ms || (stream->facts.held && !stream->options.consume))
			return ranq_err_set(err, RANQ_ERR_UNFINISHED, "not finished");
		if (stream->options.before_wait && stream->options.before_wait(stream->options.user, err))
			return -1;
		/* the fetch is there when the bell rings: a round trip less for whoever waits */
		if (ranq_session_bell(stream->session, deadline_ms < look_ms ? deadline_ms : look_ms,
			    fetch_behind_bell, stream, err) < 0)
			return -1;
	}
	stream->batch[stream->now].status = RANQ_BATCH_EMPTY;
	stream->now = !stream->now;
	stream->item = 0;
	if (stream->batch[stream->now].facts.n && stream->session->conn && !ranq_stream_all_fetched(stream)) {
		ranq_stream_fetch_send(stream, &stream->batch[!stream->now]);
		if (ranq_conn_pump(stream->session->conn, NULL)) /* leaves now: the caller may be away for long */
			ranq_session_disconnect(stream->session);
	}
	return 1;
}

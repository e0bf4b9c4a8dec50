/* stream_consume.c - the consumer's side of a stream: taking over, acknowledging, restarts of the server.
 *
 * An acknowledgement contains the whole ledger and frees in the same call, so the server's ledger and its results
 * cannot disagree, whatever second it comes back from. After a restart everything delivered is acknowledged again: that
 * frees what the server got back by the roll-back. */
#include <string.h>

#include "client/stream_impl.h"

#define ACK_MS 200
#define LAZY_BYTES 4096
#define ACCUMULATOR_BYTES_PER_MS 20000

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
int ranq_stream_attach(struct ranq_stream *stream, struct ranq_err *err)
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
	if (!stream->state.has_accumulator && theirs.has_accumulator) {
		struct ranq_buf mine_before = stream->state.accumulator;
		stream->state.has_accumulator = true;
		stream->state.accumulator = theirs.accumulator;
		theirs.accumulator = mine_before;
	}
	ranq_consumer_state_clear(&theirs);
	stream->restarts = stream->session->restarts;
	stream->attached = rc == 0;
	return rc;
}

/* What was delivered of the current run goes into the ledgers. */
int ranq_stream_note_run(struct ranq_stream *stream, struct ranq_err *err)
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
		if (ranq_stream_handle_restart(stream, err))
			return -1;
	}
	return 0;
}

int ranq_stream_ack_now(struct ranq_stream *stream, struct ranq_err *err)
{
	if (ranq_stream_note_run(stream, err) || ranq_stream_handle_restart(stream, err))
		return -1;
	return stream->unacked.n ? ranq_stream_store_state(stream, err) : 0;
}

int ranq_stream_store_state(struct ranq_stream *stream, struct ranq_err *err)
{
	if (stream->options.before_ack && stream->options.before_ack(stream->options.user, &stream->state, err))
		return -1;
	/* The connection may be made anew at any call, to a server that is older than our last acknowledgement. */
	do {
		if (ranq_stream_handle_restart(stream, err) || ack_all(stream, err))
			return -1;
	} while (stream->restarts != stream->session->restarts);
	stream->unacked_bytes = 0;
	stream->acked_ms = ranq_clock_ms();
	return 0;
}

/* An accumulator goes with each acknowledgement, so a large one makes them rarer: at most some 20 MB a second. */
int64_t ranq_stream_ack_at_ms(const struct ranq_stream *stream)
{
	return stream->acked_ms + ACK_MS + (int64_t)(stream->state.accumulator.len / ACCUMULATOR_BYTES_PER_MS);
}

static uint64_t ack_bytes(const struct ranq_stream *stream)
{
	uint64_t wanted = stream->state.accumulator.len > RANQ_STREAM_ACK_BYTES ? stream->state.accumulator.len
										: RANQ_STREAM_ACK_BYTES;
	return wanted < stream->ack_max ? wanted : stream->ack_max;
}

bool ranq_stream_is_lazy(const struct ranq_stream *stream)
{
	return stream->facts.state == RANQ_JOB_OPEN && !stream->facts.held && !stream->options.unordered &&
	       stream->from >= stream->facts.tasks && !stream->state.has_accumulator &&
	       stream->unacked_bytes <= LAZY_BYTES && stream->unacked_bytes < ack_bytes(stream);
}

bool ranq_stream_ack_is_due(const struct ranq_stream *stream)
{
	return stream->options.consume && !ranq_stream_is_lazy(stream) && (stream->unacked.n || stream->run_start != stream->at) &&
	       (stream->unacked_bytes >= ack_bytes(stream) || ranq_clock_ms() >= ranq_stream_ack_at_ms(stream));
}

/* A job that nobody has read: epoch 1 and an empty ledger. Anything else is left to ranq_stream_attach. */
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

/* Asks for the epoch without waiting for it. */
void ranq_stream_attach_send(struct ranq_stream *stream)
{
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	if (!ranq_queue_attach_consumer_cmd(&stream->session->queue, &cmd, stream->job, stream->session->client)) {
		stream->attaching = true;
		ranq_conn_send(stream->session->conn, &cmd, attached, stream);
	}
	ranq_cmd_clear(&cmd);
}

/* The server that answers now is not the one that we read from so far. */
int ranq_stream_handle_restart(struct ranq_stream *stream, struct ranq_err *err)
{
	if (stream->restarts == stream->session->restarts)
		return 0;
	stream->restarts = stream->session->restarts;
	stream->cursor = 0;
	struct ranq_batch *next = &stream->batch[!stream->now];
	if (next->status == RANQ_BATCH_READY)
		next->status = RANQ_BATCH_EMPTY;
	return stream->options.consume ? ranq_stream_attach(stream, err) : 0;
}

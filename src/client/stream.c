/* stream.c - see stream.h: runs of undelivered results, item by item; how a stream begins and ends. */
#include "client/stream.h"

#include <stdlib.h>

#include "client/stream_impl.h"

#define MISSING_SLICE 4096 /* tasks without a first result that one overlay call looks at */

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
static int open_item(struct ranq_stream *stream, struct ranq_batch *batch, struct ranq_err *err)
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
	if (stream->options.consume && ranq_stream_ack_now(stream, err))
		return -1;
	stream->over = true;
	return 0;
}

/* Moves to the next run. 1: there is one; 0: the stream is over; -1. */
static int advance(struct ranq_stream *stream, int64_t deadline_ms, struct ranq_err *err)
{
	if (ranq_stream_note_run(stream, err))
		return -1;
	while (!stream->over) {
		struct ranq_batch *batch = &stream->batch[stream->now];
		int rc = 1;
		if (stream->item_open) {
			rc = next_run(stream, err);
			if (rc)
				return rc;
		} else if (batch->status == RANQ_BATCH_READY && stream->item < batch->facts.n) {
			if (ranq_stream_ack_is_due(stream) && ranq_stream_ack_now(stream, err))
				return -1;
			if (open_item(stream, batch, err))
				return -1;
		} else if ((batch->status == RANQ_BATCH_READY && batch->facts.n == 0 && batch->facts.finished) ||
			   ranq_stream_all_fetched(stream)) {
			rc = finish(stream, err);
		} else {
			rc = ranq_stream_fetch_next(stream, deadline_ms, err);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* The value of the next task is in a file: *value becomes its content. */
static int fetch_file(struct ranq_stream *stream, const struct ranq_result *found, struct ranq_bytes *value,
	struct ranq_err *err)
{
	if (!stream->has_spec && ranq_session_spec(stream->session, stream->job, &stream->spec, err))
		return -1;
	stream->has_spec = true;
	struct ranq_file_ref ref = ranq_file_ref_of(found);
	if (ranq_offload_open(&stream->spec, &ref, &stream->file, err))
		return ranq_err_wrap(err, "task %llu", (unsigned long long)stream->at);
	*value = stream->file;
	return 0;
}

/* The value of the next task is not in its item. 1: *value is it, or the end of it; 0: it is a slice, and more follow; -1: what cannot be read
 * now is owed: whoever asks again gets that result, not the one behind it. */
static int fetch_value(struct ranq_stream *stream, struct ranq_result *found, struct ranq_err *err)
{
	int rc;
	stream->owed = *found;
	if (found->in_slices)
		rc = ranq_stream_slices(stream, &stream->owed, &found->value, err);
	else
		rc = fetch_file(stream, found, &found->value, err) ? -1 : 1;
	if (rc == 1)
		stream->owed = (struct ranq_result){0};
	return rc;
}

static int deliver_run(struct ranq_stream *stream, struct ranq_stream_result *result, struct ranq_err *err)
{
	result->index = stream->at;
	result->end = stream->at + 1;
	result->kind = RANQ_STREAM_VALUE;
	struct ranq_result found = stream->owed;
	bool owed = found.in_file || found.in_slices;
	if (!owed && stream->item_kind == RANQ_STREAM_VALUE && ranq_segment_reader_next(&stream->segments, &found, err) != 1)
		return ranq_err_set(err, RANQ_ERR_REPLY, "results of task %llu are damaged in the server",
			(unsigned long long)stream->at);
	bool patched = !owed && stream->patch.n && ranq_patch_find(&stream->patch, stream->at, &found);
	if (found.in_file || found.in_slices) {
		int rc = fetch_value(stream, &found, err);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			result->kind = RANQ_STREAM_SLICE;
			result->status = found.status;
			result->value = found.value;
			return 1;
		}
	} else if (stream->item_kind != RANQ_STREAM_VALUE && !patched) {
		uint64_t stop = ranq_patch_next(&stream->patch, stream->at);
		result->kind = stream->item_kind;
		result->end = stop < stream->run_end ? stop : stream->run_end;
	}
	result->status = found.status;
	result->value = found.value;
	stream->at = stream->item_at = result->end;
	return 1;
}

/* What nearly all results are: a value among others of one size, in the item, that no later round replaced. */
static bool deliver_plain(struct ranq_stream *stream, struct ranq_stream_result *result)
{
	struct ranq_segment_reader *in = &stream->segments;
	if (stream->item_kind != RANQ_STREAM_VALUE || stream->patch.n || stream->owed.in_file ||
		!ranq_segment_reader_uniform(in, &result->value))
		return false;
	result->kind = RANQ_STREAM_VALUE;
	result->index = stream->at++;
	result->end = stream->item_at = stream->at;
	result->status = RANQ_TASK_OK;
	return true;
}

bool ranq_stream_at_hand(const struct ranq_stream *stream)
{
	return stream->at < stream->run_end;
}

int ranq_stream_next(
	struct ranq_stream *stream, struct ranq_stream_result *result, int64_t deadline_ms, struct ranq_err *err)
{
	struct ranq_err local;
	if (stream->file.len)
		ranq_offload_close(&stream->file);
	if (stream->at >= stream->run_end) {
		int rc = advance(stream, deadline_ms, err ? err : &local);
		if (rc <= 0)
			return rc;
	}
	return deliver_plain(stream, result) ? 1 : deliver_run(stream, result, err ? err : &local);
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
	stream->ack_max = info.backlog / 8;
	return 0;
}

/* The submit has told the server who reads, or attach and first fetch leave together. */
static void begin_fresh(struct ranq_stream *stream)
{
	const struct ranq_session *session = stream->session;
	stream->facts.state = RANQ_JOB_OPEN; /* as far as we know */
	stream->ack_max = stream->options.backlog / 8;
	if (!session->conn)
		return;
	if (session->reads_job == stream->job && session->reads_connects == session->connects) {
		stream->registered = stream->attached = true;
		stream->epoch = 1;
		return;
	}
	if (stream->options.consume)
		ranq_stream_attach_send(stream);
	ranq_stream_fetch_send(stream, &stream->batch[!stream->now]);
}

static int begin_known(struct ranq_stream *stream, struct ranq_err *err)
{
	uint64_t stop;
	if (first_look(stream, err) || (stream->options.consume && ranq_stream_attach(stream, err)))
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
	stream->batch[0].stream = stream->batch[1].stream = stream;
	ranq_patch_init(&stream->patch);
	ranq_consumer_state_init(&stream->state);
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
	if (ranq_stream_note_run(stream, err))
		return -1;
	stream->options.consume = true;
	if (ranq_stream_attach(stream, err)) {
		stream->options.consume = false;
		return -1;
	}
	return ranq_stream_ack_now(stream, err);
}

int ranq_stream_ack(struct ranq_stream *stream, struct ranq_err *err)
{
	struct ranq_err local;
	return stream->options.consume ? ranq_stream_ack_now(stream, err ? err : &local) : 0;
}

void ranq_stream_close(struct ranq_stream *stream)
{
	if (!stream)
		return;
	/* a reply under way must not find freed memory */
	if (stream->attaching || stream->batch[0].status == RANQ_BATCH_PENDING ||
		stream->batch[1].status == RANQ_BATCH_PENDING)
		ranq_session_disconnect(stream->session);
	for (int i = 0; i < 2; i++)
		ranq_stream_batch_clear(&stream->batch[i]);
	ranq_patch_clear(&stream->patch);
	ranq_stream_slices_clear(stream);
	ranq_offload_close(&stream->file);
	ranq_spec_clear(&stream->spec);
	ranq_consumer_state_clear(&stream->state);
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

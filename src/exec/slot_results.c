#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/slot.h"
#include "record/reduce.h"
#include "util/clock.h"

#define GIVEN_UP_AT_ONCE 64

static int reserve_failures(struct ranq_slot *slot, size_t n)
{
	uint64_t *index;
	struct ranq_bytes *failures;

	if (n <= slot->failures_cap)
		return 0;
	index = realloc(slot->failure_index, n * sizeof *index);
	if (index)
		slot->failure_index = index;
	failures = realloc(slot->failures, n * sizeof *failures);
	if (failures)
		slot->failures = failures;
	if (!index || !failures)
		return -1;
	slot->failures_cap = n;
	return 0;
}

/* User code lives in the executor's process and may have written anywhere: every number is checked against what was
 * asked for. */
static int read_head(struct ranq_slot *slot, struct ranq_reader *in, struct ranq_slot_event *event, bool *done)
{
	const struct ranq_slot_run *run = &slot->runs[0];
	const struct ranq_slot_chunk *chunk;
	uint64_t number, count, sum = 0;
	unsigned i;

	number = ranq_reader_varint(in);
	event->from = ranq_reader_varint(in);
	count = ranq_reader_varint(in);
	*done = ranq_reader_byte(in);
	event->elapsed_us = ranq_reader_varint(in);
	for (i = 0; i < RANQ_TASK_STATUS_COUNT; i++) {
		event->counts[i] = ranq_reader_varint(in);
		if (event->counts[i] > count)
			return -1;
		sum += event->counts[i];
	}
	event->upto = event->from + count;
	if (in->failed || !slot->nruns || number != run->number || sum != count)
		return -1;
	if (event->from < run->from || count > run->to - run->from || event->upto > run->to)
		return -1;
	chunk = ranq_slot_find_chunk(slot, run->chunk);
	if (!chunk || (count && (event->from != chunk->upto || event->upto > chunk->told)))
		return -1;
	event->chunk = run->chunk;
	event->job = chunk->given.job;
	return 0;
}

static int read_failures(struct ranq_slot *slot, struct ranq_reader *in, struct ranq_slot_event *event)
{
	uint64_t n = ranq_reader_varint(in);
	size_t i;

	if (in->failed || n > event->upto - event->from || n > ranq_reader_left(in) || reserve_failures(slot, n) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		slot->failure_index[i] = ranq_reader_varint(in);
		slot->failures[i] = ranq_reader_sized(in);
		if (in->failed || slot->failure_index[i] < event->from || slot->failure_index[i] >= event->upto ||
			slot->failures[i].len > RANQ_FAILURE_MAX_BYTES)
			return -1;
	}
	event->nfailures = n;
	event->failure_index = slot->failure_index;
	event->failures = slot->failures;
	return 0;
}

static int check_reduced(const struct ranq_slot_job *job, const struct ranq_slot_event *event)
{
	const struct ranq_reduce how = ranq_reduce_of(&job->spec);
	uint64_t ok;
	int64_t n = ranq_reduction_check(&how, event->from, event->segment.data, event->segment.len, &ok, NULL);

	return n == (int64_t)(event->upto - event->from) && ok == event->counts[RANQ_TASK_OK] ? 0 : -1;
}

static int read_segment(struct ranq_slot *slot, struct ranq_reader *in, struct ranq_slot_event *event)
{
	const struct ranq_slot_job *job = ranq_slot_find_job(slot, event->job);
	size_t left = ranq_reader_left(in);

	event->segment = (struct ranq_bytes){ranq_reader_bytes(in, left), left};
	if (!job)
		return 0; /* dropped meanwhile */
	if (job->spec.results != RANQ_RESULTS_KEEP || event->from == event->upto)
		return left ? -1 : 0;
	if (job->spec.reduce)
		return check_reduced(job, event);
	return ranq_segment_check(event->segment.data, left, NULL) == (int64_t)(event->upto - event->from) ? 0 : -1;
}

static void forget_troubles(struct ranq_slot_chunk *chunk)
{
	size_t n = 0;

	while (n < chunk->ntroubles && chunk->troubles[n].index < chunk->upto)
		n++;
	if (!n)
		return;
	chunk->ntroubles -= n;
	memmove(chunk->troubles, chunk->troubles + n, chunk->ntroubles * sizeof *chunk->troubles);
}

static void end_run(struct ranq_slot *slot, struct ranq_slot_chunk *chunk, uint64_t upto)
{
	const struct ranq_slot_run run = slot->runs[0];

	slot->nruns--;
	memmove(slot->runs, slot->runs + 1, slot->nruns * sizeof *slot->runs);
	chunk->runs--;
	/* cut short by a lowered limit: the chunk ends here; later runs of it are cut at their first task for the same
	 * reason */
	if (upto < run.to && chunk->end > chunk->upto)
		chunk->end = chunk->upto;
}

int ranq_slot_take_results(struct ranq_slot *slot, const struct ranq_wire_head *head, struct ranq_slot_event *event)
{
	struct ranq_slot_chunk *chunk;
	struct ranq_reader in;
	bool done;

	slot->frame = sizeof *head + head->len;
	ranq_reader_init(&in, slot->in.data + sizeof *head, head->len);
	if (read_head(slot, &in, event, &done) < 0 || read_failures(slot, &in, event) < 0 ||
		read_segment(slot, &in, event) < 0)
		return -1;
	chunk = ranq_slot_find_chunk(slot, event->chunk);
	if (event->upto > event->from) {
		struct ranq_slot_job *job = ranq_slot_find_job(slot, chunk->given.job);

		if (job)
			job->load_deaths = 0;
		if (slot->sliced)
			event->nsplits = ranq_segment_splits(event->segment.data, event->segment.len, event->from,
				event->upto - event->from, NULL, 0);
		slot->sliced = false;
		chunk->upto = event->upto;
		slot->barren = 0;
		slot->starting_ms = RANQ_NEVER;
		forget_troubles(chunk);
	}
	if (done)
		end_run(slot, chunk, event->upto);
	event->from = event->upto == event->from ? chunk->upto : event->from;
	event->upto = chunk->upto;
	event->kind = RANQ_SLOT_RESULTS;
	event->chunk_done = ranq_slot_chunk_over(chunk);
	if (event->from == event->upto && !event->chunk_done)
		return 0;
	if (event->chunk_done)
		ranq_slot_finish_chunk(slot, chunk);
	return 1;
}

static bool may_split(const struct ranq_slot_job *job, const struct ranq_split *split)
{
	return job->spec.results == RANQ_RESULTS_KEEP && !job->spec.reduce && split->size > RANQ_SPLIT_MIN &&
	       split->size <= job->spec.max_output;
}

int ranq_slot_take_slice(struct ranq_slot *slot, const struct ranq_wire_head *head, struct ranq_slot_event *event)
{
	const struct ranq_slot_run *run = &slot->runs[0];
	const struct ranq_slot_chunk *chunk;
	const struct ranq_slot_job *job;
	struct ranq_reader in;
	uint64_t number;
	const void *name, *salt;

	slot->frame = sizeof *head + head->len;
	ranq_reader_init(&in, slot->in.data + sizeof *head, head->len);
	number = ranq_reader_varint(&in);
	event->from = ranq_reader_varint(&in);
	event->slice = ranq_reader_varint(&in);
	event->split.size = ranq_reader_varint(&in);
	name = ranq_reader_bytes(&in, sizeof event->split.name);
	salt = ranq_reader_bytes(&in, sizeof event->split.salt);
	if (in.failed || !slot->nruns || number != run->number || event->from < run->from || event->from >= run->to)
		return -1;
	chunk = ranq_slot_find_chunk(slot, run->chunk);
	job = chunk ? ranq_slot_find_job(slot, chunk->given.job) : NULL;
	if (!chunk || event->from < chunk->upto || event->from >= chunk->told)
		return -1;
	if (!job)
		return 0; /* dropped meanwhile */
	if (!may_split(job, &event->split) || event->slice >= ranq_split_count(&event->split) ||
		ranq_reader_left(&in) != ranq_split_len(&event->split, event->slice))
		return -1;
	memcpy(event->split.name, name, sizeof event->split.name);
	memcpy(event->split.salt, salt, sizeof event->split.salt);
	event->kind = RANQ_SLOT_SLICE;
	event->job = chunk->given.job;
	event->chunk = run->chunk;
	event->upto = event->from + 1;
	event->segment.len = ranq_reader_left(&in);
	event->segment.data = ranq_reader_bytes(&in, event->segment.len);
	slot->sliced = true;
	return 1;
}

/* ---- results made here ------------------------------------------------------------------------------------------- */

static int add_given_up(struct ranq_slot *slot, struct ranq_segment_writer *writer, uint64_t index,
	const struct ranq_trouble *trouble, size_t *offset)
{
	struct ranq_failure failure = {.index = index,
		.status = trouble->status,
		.exit_code = trouble->exit_code,
		.signal = trouble->signal,
		.attempts = trouble->deaths + trouble->tries,
		.elapsed_us = trouble->elapsed_us > 0 ? (uint64_t)trouble->elapsed_us : 0};

	*offset = slot->own_failures.len;
	if (gethostname(failure.host, sizeof failure.host - 1) < 0)
		failure.host[0] = '\0';
	snprintf(failure.worker, sizeof failure.worker, "%s", ranq_exec_worker(slot->end.exec));
	memcpy(failure.reason, trouble->reason, sizeof failure.reason);
	if (ranq_segment_writer_add(writer, trouble->status, NULL, 0) < 0)
		return -1;
	return ranq_failure_pack(&failure, &slot->own_failures);
}

/* What a given-up job makes of each of its tasks. */
static struct ranq_trouble of_job(const struct ranq_slot_job *job)
{
	struct ranq_trouble trouble = {
		.given_up = true, .status = RANQ_TASK_DIED, .deaths = job->load_deaths, .exit_code = -1};

	memcpy(trouble.reason, job->reason, sizeof trouble.reason);
	return trouble;
}

static uint64_t pack_given_up(struct ranq_slot *slot, struct ranq_slot_chunk *chunk, const struct ranq_slot_job *job,
	struct ranq_segment_writer *writer, size_t *offsets)
{
	struct ranq_trouble whole = of_job(job), *trouble;
	uint64_t index = chunk->upto, n = 0;

	for (; index < chunk->end && n < GIVEN_UP_AT_ONCE; index++, n++) {
		trouble = ranq_slot_trouble_at(chunk, index);
		if (!trouble || !trouble->given_up)
			trouble = job->given_up ? &whole : NULL;
		if (!trouble || add_given_up(slot, writer, index, trouble, &offsets[n]) < 0)
			break;
	}
	return n;
}

int ranq_slot_report_given_up(struct ranq_slot *slot, struct ranq_slot_chunk *chunk, struct ranq_slot_event *event)
{
	const struct ranq_slot_job *job = ranq_slot_find_job(slot, chunk->given.job);
	struct ranq_segment_writer writer;
	size_t offsets[GIVEN_UP_AT_ONCE + 1];
	uint64_t n, i;

	if (!job || chunk->stopped || chunk->sent != chunk->upto || reserve_failures(slot, GIVEN_UP_AT_ONCE) < 0)
		return 0;
	ranq_buf_reset(&slot->own);
	ranq_buf_reset(&slot->own_failures);
	ranq_segment_writer_init(&writer, 0);
	n = pack_given_up(slot, chunk, job, &writer, offsets);
	memcpy(event->counts, writer.counts, sizeof event->counts);
	if (job->spec.results == RANQ_RESULTS_KEEP && ranq_segment_writer_finish(&writer, &slot->own) < 0)
		n = 0;
	ranq_segment_writer_clear(&writer);
	if (!n || ranq_buf_failed(&slot->own_failures))
		return 0;
	offsets[n] = slot->own_failures.len;
	for (i = 0; i < n; i++) {
		slot->failure_index[i] = chunk->upto + i;
		slot->failures[i] =
			(struct ranq_bytes){slot->own_failures.data + offsets[i], offsets[i + 1] - offsets[i]};
	}
	event->kind = RANQ_SLOT_RESULTS;
	event->job = chunk->given.job;
	event->chunk = chunk->given.id;
	event->from = chunk->upto;
	event->upto = chunk->upto = chunk->sent = chunk->upto + n;
	event->segment = (struct ranq_bytes){slot->own.data, slot->own.len};
	event->nfailures = n;
	event->failure_index = slot->failure_index;
	event->failures = slot->failures;
	slot->announce_death = event->counts[RANQ_TASK_DIED] > 0;
	slot->announced_chunk = event->chunk;
	slot->announced_task = event->upto - 1;
	forget_troubles(chunk);
	event->chunk_done = ranq_slot_chunk_over(chunk);
	if (event->chunk_done)
		ranq_slot_finish_chunk(slot, chunk);
	return 1;
}

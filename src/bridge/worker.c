/* worker.c - see worker.h. */
#include "bridge/worker_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/spec.h"
#include "util/clock.h"

_Static_assert(RANQ_LINK_MESSAGE_MAX >= RANQ_SPEC_MAX_REDUCED + (4u << 20), "the largest value of a reduction fits into a message");

#define UNSENT_MAX (32u << 20) /* results under way to rank 0 before executors are left to wait */
#define SLOT_CHUNKS 2          /* what a slot takes at once */
#define SHORT_PATIENCE_MS 10000 /* without a descriptor for a job; others that end give theirs back */
#define SHORT_PAUSE_MS 50

static void pump_slot(struct worker_slot *slot);

/* ---- chunks ---- */

static struct worker_chunk *chunk_find(struct worker_slot *slot, uint64_t id)
{
	struct worker_chunk *chunk;

	TAILQ_FOREACH(chunk, &slot->chunks, next)
	if (chunk->id == id)
		return chunk;
	return NULL;
}

static void chunk_remove(struct worker_slot *slot, struct worker_chunk *chunk)
{
	TAILQ_REMOVE(&slot->chunks, chunk, next);
	free(chunk->input);
	free(chunk);
}

/* The chunk ends where its results ended; the rest was not run. */
static void chunk_end(struct worker_slot *slot, struct worker_chunk *chunk, bool broken)
{
	struct ranq_message_results m = {.key = chunk->key,
		.chunk = chunk->id,
		.slot = slot->number,
		.from = chunk->upto,
		.upto = chunk->upto,
		.done = true,
		.broken = broken};

	ranq_worker_results(slot->worker, &m);
	chunk_remove(slot, chunk);
}

static int slot_open(struct worker_slot *slot, struct ranq_err *err)
{
	const struct ranq_worker_options *worker = &slot->worker->options;
	unsigned place = slot->number < worker->slots ? slot->number : 0;
	const struct ranq_placement *placement = worker->placements ? &worker->placements[place] : NULL;
	struct ranq_slot_options options = {.cpus = placement ? placement->cpus : NULL,
		.numa_node = placement ? placement->numa_node : -1,
		.ncores = placement ? placement->ncores : 0,
		.slot = slot->number};

	slot->slot = ranq_slot_create(worker->exec, &options, err);
	return slot->slot ? 0 : -1;
}

static bool merges(const struct worker_slot *slot)
{
	return slot->number == slot->worker->options.slots;
}

static void slot_close(struct worker_slot *slot)
{
	struct worker_job *job;

	ranq_watch_clear(&slot->watch);
	slot->has_slice = false;
	ranq_slot_destroy(slot->slot);
	slot->slot = NULL;
	slot->again_ms = RANQ_NEVER;
	TAILQ_FOREACH(job, &slot->worker->jobs, next)
	job->added[slot->number] = false;
}

/* The executor side of this slot does not work: everything goes back to rank 0, and a new slot is made. */
static void slot_broken(struct worker_slot *slot)
{
	struct worker_chunk *chunk;

	while ((chunk = TAILQ_FIRST(&slot->chunks)))
		chunk_end(slot, chunk, true);
	slot_close(slot);
	if (!merges(slot) && slot_open(slot, NULL) != 0)
		ranq_worker_notice(slot->worker, RANQ_NOTICE_BROKEN, slot->number);
}

static int give(struct worker_slot *slot, struct worker_chunk *chunk, struct worker_job *job, struct ranq_err *err)
{
	struct ranq_chunk exec_chunk = {.job = chunk->key,
		.id = chunk->id,
		.start = chunk->start,
		.end = chunk->end,
		.deaths = (unsigned)chunk->deaths,
		.end_ms = chunk->end_ms,
		.merge = chunk->merge,
		.large = chunk->blob != 0,
		.argument_fd = chunk->blob ? ranq_blobs_fd(slot->worker->blobs, chunk->blob) : -1,
		.input = {chunk->input, chunk->input_len}};

	if (ranq_worker_job_introduce(slot->worker, job, slot, err) != 0 ||
		ranq_slot_run(slot->slot, &exec_chunk, err) != 0)
		return -1;
	chunk->given = true;
	slot->short_ms = 0;
	return 0;
}

/* True: neither the job nor this rank is bad for it, the chunk waits here. */
static bool is_short(struct worker_slot *slot, const struct ranq_err *err)
{
	int64_t now = ranq_clock_ms();

	if (err->code != RANQ_ERR_SYSTEM)
		return false;
	if (!slot->short_ms)
		slot->short_ms = now;
	if (now - slot->short_ms >= SHORT_PATIENCE_MS)
		return false;
	slot->again_ms = now + SHORT_PAUSE_MS;
	return true;
}

void ranq_worker_feed(struct ranq_worker *worker, struct worker_slot *slot)
{
	struct worker_chunk *chunk, *next;
	struct ranq_err err;

	slot->again_ms = RANQ_NEVER;
	for (chunk = TAILQ_FIRST(&slot->chunks); chunk && slot->slot; chunk = next) {
		struct worker_job *job;

		next = TAILQ_NEXT(chunk, next);
		if (chunk->given)
			continue;
		job = ranq_worker_job_find(worker, chunk->key);
		if (job && (!ranq_worker_job_ready(worker, job) || !ranq_worker_chunk_ready(worker, chunk) ||
				   ranq_slot_queued(slot->slot) >= RANQ_SLOT_QUEUE))
			return;
		err = (struct ranq_err){0};
		if (job && give(slot, chunk, job, &err) == 0)
			continue;
		if (is_short(slot, &err))
			return;
		chunk_end(slot, chunk, true);
	}
	slot->short_ms = 0;
}

void ranq_worker_feed_all(struct ranq_worker *worker)
{
	for (unsigned s = 0; s < worker->nslots; s++)
		ranq_worker_feed(worker, &worker->slots[s]);
}

void ranq_worker_merged(struct ranq_worker *worker)
{
	struct worker_slot *slot = &worker->slots[worker->options.slots];

	if (slot->slot && TAILQ_EMPTY(&slot->chunks))
		slot_close(slot);
}

static int take_chunk(struct ranq_worker *worker, const struct ranq_message_chunk *m, struct ranq_err *err)
{
	struct worker_chunk *chunk;
	struct worker_slot *slot;

	if (m->slot >= worker->nslots || m->merge != merges(&worker->slots[m->slot]))
		return ranq_err_set(err, RANQ_ERR_REPLY, "a chunk for a slot that does not exist");
	slot = &worker->slots[m->slot];
	chunk = calloc(1, sizeof *chunk);
	if (chunk)
		chunk->input = malloc(m->input.len + 1);
	if (!chunk || !chunk->input) {
		free(chunk);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	chunk->key = m->key;
	chunk->id = m->chunk;
	chunk->start = chunk->upto = m->start;
	chunk->end = m->end;
	chunk->deaths = m->deaths;
	chunk->merge = m->merge;
	chunk->blob = m->blob;
	chunk->ask_ms = ranq_clock_ms() + WORKER_ASK_MS;
	chunk->end_ms = m->left_ms == RANQ_NEVER ? RANQ_NEVER : ranq_clock_ms() + m->left_ms;
	chunk->input_len = m->input.len;
	if (m->input.len)
		memcpy(chunk->input, m->input.data, m->input.len);
	if (!slot->slot && merges(slot))
		slot_open(slot, NULL);
	TAILQ_INSERT_TAIL(&slot->chunks, chunk, next);
	if (!slot->slot)
		slot_broken(slot);
	ranq_worker_feed(worker, slot);
	return 0;
}

static void truncate_chunk(struct ranq_worker *worker, const struct ranq_message_truncate *m)
{
	struct worker_slot *slot = m->slot < worker->nslots ? &worker->slots[m->slot] : NULL;
	struct worker_chunk *chunk = slot ? chunk_find(slot, m->chunk) : NULL;

	if (!chunk)
		return; /* ended meanwhile: rank 0 hears so */
	if (merges(slot)) { /* rank 0 has waited long enough */
		slot_broken(slot);
		return;
	}
	if (!chunk->given) {
		chunk_end(slot, chunk, false);
		return;
	}
	ranq_slot_truncate(slot->slot, chunk->id, m->new_end);
	pump_slot(slot);
}

/* A task takes long, and nothing from `end` on is begun. A chunk of which nothing is begun is over. */
static void shorten_chunk(struct worker_slot *slot, struct worker_chunk *chunk, uint64_t end)
{
	if (end > chunk->upto)
		ranq_worker_shortened(slot->worker, slot->number, chunk->id, end);
	else
		chunk_end(slot, chunk, false);
}

/* ---- results ---- */

static void offer_slice(struct worker_slot *slot, const struct ranq_slot_event *event)
{
	slot->slice = *event;
	slot->has_slice = true;
	slot->offer = WORKER_OFFERED;
	ranq_worker_notice(slot->worker, RANQ_NOTICE_SLICE, slot->number);
}

/* Rank 0 has room for it. What is not wanted any more is nothing: rank 0 waits for an answer. */
static void give_slice(struct worker_slot *slot)
{
	struct ranq_message_slice m = {.slot = slot->number};
	struct ranq_buf buf;

	if (slot->has_slice && slot->offer == WORKER_OFFERED && chunk_find(slot, slot->slice.chunk)) {
		m.key = slot->slice.job;
		m.task = slot->slice.from;
		m.slice = slot->slice.slice;
		m.split = slot->slice.split;
		m.bytes = slot->slice.segment;
	}
	slot->has_slice = false;
	slot->offer = m.split.size ? WORKER_GIVEN : WORKER_OFFER_NONE;
	ranq_buf_init(&buf, RANQ_LINK_MESSAGE_MAX);
	ranq_message_slice_encode(&buf, &m);
	if (ranq_link_send(slot->worker->options.link, 0, &buf, NULL) != 0)
		slot_broken(slot); /* out of memory: rank 0 gets the chunk back */
}

static bool must_wait(const struct worker_slot *slot, size_t most)
{
	return slot->offer != WORKER_OFFER_NONE || ranq_link_unsent(slot->worker->options.link, 0) > most;
}

static void slot_event(struct worker_slot *slot, const struct ranq_slot_event *event)
{
	struct worker_chunk *chunk = chunk_find(slot, event->chunk);
	struct ranq_message_results m = {.key = event->job,
		.chunk = event->chunk,
		.slot = slot->number,
		.from = event->from,
		.upto = event->upto,
		.done = event->chunk_done,
		.elapsed_us = event->elapsed_us,
		.nfailures = event->nfailures,
		.failure_index = (uint64_t *)(uintptr_t)event->failure_index,
		.failures = (struct ranq_bytes *)(uintptr_t)event->failures,
		.segment = event->segment,
		.nsplits = event->nsplits};

	if (event->kind == RANQ_SLOT_SLICE && chunk)
		offer_slice(slot, event);
	if (event->kind == RANQ_SLOT_SHORTENED && chunk)
		shorten_chunk(slot, chunk, event->upto);
	if (event->kind != RANQ_SLOT_RESULTS || !chunk)
		return; /* of a chunk that was cancelled, or is over already */
	memcpy(m.counts, event->counts, sizeof m.counts);
	if (ranq_worker_results(slot->worker, &m) != 0) { /* too large for a message, or no memory */
		if (!event->chunk_done)
			ranq_slot_truncate(slot->slot, chunk->id, event->upto); /* nobody wants the rest from us */
		chunk_end(slot, chunk, true);
		return;
	}
	chunk->upto = event->upto;
	if (event->chunk_done)
		chunk_remove(slot, chunk);
}

static void pump_slot(struct worker_slot *slot)
{
	struct ranq_slot_event event;
	struct ranq_err err;

	while (slot->slot && !slot->stalled) {
		if (ranq_slot_pump(slot->slot, &event, &err) != 0) {
			slot_broken(slot);
			break;
		}
		if (event.kind == RANQ_SLOT_NOTHING)
			break;
		slot_event(slot, &event);
		slot->stalled = must_wait(slot, UNSENT_MAX);
	}
	ranq_worker_feed(slot->worker, slot);
}

static void on_slot(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump_slot(arg);
}

static void pump_exec(struct ranq_worker *worker)
{
	struct ranq_err err;

	if (ranq_exec_pump(worker->options.exec, &err) == 0) {
		for (unsigned s = 0; s < worker->nslots; s++)
			pump_slot(&worker->slots[s]);
		return;
	}
	/* no task is to blame: all chunks end before rank 0 hears that we are lost */
	for (unsigned s = 0; s < worker->nslots; s++) {
		struct worker_slot *slot = &worker->slots[s];
		struct worker_chunk *chunk;

		while ((chunk = TAILQ_FIRST(&slot->chunks)))
			chunk_end(slot, chunk, false);
		slot_close(slot);
	}
	ranq_worker_notice(worker, RANQ_NOTICE_BROKEN, 0);
}

static void on_exec(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump_exec(arg);
}

/* ---- messages ---- */

static void drop_job(struct ranq_worker *worker, const struct ranq_message_drop *m)
{
	struct worker_job *job = ranq_worker_job_find(worker, m->key);

	for (unsigned s = 0; s < worker->nslots; s++) {
		struct worker_slot *slot = &worker->slots[s];
		struct worker_chunk *chunk, *next;
		bool given = false;

		for (chunk = TAILQ_FIRST(&slot->chunks); chunk; chunk = next) {
			next = TAILQ_NEXT(chunk, next);
			if (chunk->key != m->key)
				continue;
			given |= chunk->given;
			chunk_end(slot, chunk, false);
		}
		if (given && slot->slot)
			ranq_slot_cancel(slot->slot, m->key, (int)(m->grace_ms < 60000 ? m->grace_ms : 60000));
	}
	if (job)
		ranq_worker_job_remove(worker, job);
	for (unsigned s = 0; s < worker->nslots; s++)
		pump_slot(&worker->slots[s]);
}

static void ping(struct ranq_worker *worker, const struct ranq_message_ping *m)
{
	worker->silence_ms = 0;
	if (m->lease_ms > 0 && m->lease_ms != RANQ_NEVER)
		worker->lease_ms = m->lease_ms;
	ranq_worker_number(worker, RANQ_MESSAGE_PONG, m->nonce);
}

static int message_job(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_job m;

	return ranq_message_job_decode(body, &m, err) == 0 ? ranq_worker_job_add(worker, &m, err) : -1;
}

static int message_drop(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_drop m;

	if (ranq_message_drop_decode(body, &m, err) != 0)
		return -1;
	drop_job(worker, &m);
	return 0;
}

static int message_blob(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_blob m;

	return ranq_message_blob_decode(body, &m, err) == 0 ? ranq_worker_blob(worker, &m, err) : -1;
}

static int message_forget(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	uint64_t blob;

	if (ranq_message_number_decode(body, &blob, err) != 0)
		return -1;
	ranq_blobs_forget(worker->blobs, blob);
	return 0;
}

static int message_chunk(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_chunk m;

	return ranq_message_chunk_decode(body, &m, err) == 0 ? take_chunk(worker, &m, err) : -1;
}

static int message_truncate(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_truncate m;

	if (ranq_message_truncate_decode(body, &m, err) != 0)
		return -1;
	truncate_chunk(worker, &m);
	return 0;
}

static int message_give(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	uint64_t slot;

	if (ranq_message_number_decode(body, &slot, err) != 0)
		return -1;
	if (slot < worker->options.slots)
		give_slice(&worker->slots[slot]);
	return 0;
}

static int message_stored(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	uint64_t slot;

	if (ranq_message_number_decode(body, &slot, err) != 0)
		return -1;
	if (slot < worker->options.slots && worker->slots[slot].offer == WORKER_GIVEN) {
		worker->slots[slot].offer = WORKER_OFFER_NONE;
		worker->slots[slot].stalled = false;
		pump_slot(&worker->slots[slot]);
	}
	return 0;
}

static int message_warn(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_warn m;
	struct worker_slot *slot;

	if (ranq_message_warn_decode(body, &m, err) != 0)
		return -1;
	slot = m.slot < worker->options.slots ? &worker->slots[m.slot] : NULL;
	if (slot && slot->slot) {
		ranq_slot_warn(slot->slot, m.sig, m.grace_ms);
		pump_slot(slot);
	}
	return 0;
}

static int message_ping(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_ping m;

	if (ranq_message_ping_decode(body, &m, err) != 0)
		return -1;
	ping(worker, &m);
	return 0;
}

static int message_bye(struct ranq_worker *worker, struct ranq_reader *body, struct ranq_err *err)
{
	uint64_t status;

	if (ranq_message_number_decode(body, &status, err) != 0)
		return -1;
	worker->status = (int)(status & 255);
	worker->state = RANQ_WORKER_TOLD;
	return 0;
}

int ranq_worker_message(struct ranq_worker *worker, int src, enum ranq_message_type type, struct ranq_reader *body,
	struct ranq_err *err)
{
	static int (*const handlers[RANQ_MESSAGE_COUNT])(
		struct ranq_worker *, struct ranq_reader *, struct ranq_err *) = {
		[RANQ_MESSAGE_JOB] = message_job,
		[RANQ_MESSAGE_DROP] = message_drop,
		[RANQ_MESSAGE_BLOB] = message_blob,
		[RANQ_MESSAGE_FORGET] = message_forget,
		[RANQ_MESSAGE_CHUNK] = message_chunk,
		[RANQ_MESSAGE_TRUNCATE] = message_truncate,
		[RANQ_MESSAGE_WARN] = message_warn,
		[RANQ_MESSAGE_GIVE] = message_give,
		[RANQ_MESSAGE_STORED] = message_stored,
		[RANQ_MESSAGE_PING] = message_ping,
		[RANQ_MESSAGE_BYE] = message_bye,
	};

	if (src != 0 || (unsigned)type >= RANQ_MESSAGE_COUNT || !handlers[type])
		return ranq_err_set(err, RANQ_ERR_REPLY, "a message '%s' from rank %d is not for a worker",
			ranq_message_name(type), src);
	return handlers[type](worker, body, err);
}

/* ---- loop ---- */

int64_t ranq_worker_prepare(struct ranq_worker *worker)
{
	int64_t due = worker->last_tick_ms + worker->lease_ms / 5, t = ranq_exec_deadline_ms(worker->options.exec);

	if (t < due)
		due = t;
	t = ranq_worker_jobs_due(worker);
	if (t < due)
		due = t;
	ranq_watch_set(
		&worker->exec_watch, worker->options.base, ranq_exec_fd(worker->options.exec), false, on_exec, worker);
	for (unsigned s = 0; s < worker->nslots; s++) {
		struct worker_slot *slot = &worker->slots[s];
		bool open = slot->slot && !slot->stalled;

		ranq_watch_set(&slot->watch, worker->options.base, open ? ranq_slot_fd(slot->slot) : -1,
			open && ranq_slot_wants_write(slot->slot), on_slot, slot);
		t = open ? ranq_slot_deadline_ms(slot->slot) : RANQ_NEVER;
		if (slot->again_ms < t)
			t = slot->again_ms;
		if (t < due)
			due = t;
	}
	return due;
}

/* Rank 0 is silent only for the time in which this process ran: a whole allocation may have been stopped for hours. */
static void check_rank0(struct ranq_worker *worker, int64_t now)
{
	int64_t slice = now - worker->last_tick_ms;

	if (slice < worker->lease_ms / 5)
		return;
	worker->last_tick_ms = now;
	if (worker->options.link->rank == 0)
		return;
	worker->silence_ms += slice < worker->lease_ms / 4 ? slice : worker->lease_ms / 4;
	if (worker->silence_ms > 2 * worker->lease_ms || getppid() != worker->parent)
		worker->state = RANQ_WORKER_LOST;
}

void ranq_worker_tick(struct ranq_worker *worker)
{
	int64_t now = ranq_clock_ms();

	check_rank0(worker, now);
	ranq_worker_jobs_tick(worker, now);
	if (now >= ranq_exec_deadline_ms(worker->options.exec))
		pump_exec(worker);
	for (unsigned s = 0; s < worker->nslots; s++) {
		struct worker_slot *slot = &worker->slots[s];

		if (slot->stalled && !must_wait(slot, UNSENT_MAX / 2)) {
			slot->stalled = false;
			pump_slot(slot);
		} else if (slot->slot && (now >= ranq_slot_deadline_ms(slot->slot) || now >= slot->again_ms)) {
			pump_slot(slot);
		}
	}
}

enum ranq_worker_state ranq_worker_state(const struct ranq_worker *worker, int *status)
{
	*status = worker->status;
	return worker->state;
}

struct ranq_worker *ranq_worker_create(const struct ranq_worker_options *options, struct ranq_err *err)
{
	struct ranq_worker *worker = calloc(1, sizeof *worker);

	if (!worker)
		goto memory;
	worker->options = *options;
	worker->lease_ms = options->lease_ms;
	worker->last_tick_ms = ranq_clock_ms();
	worker->parent = getppid();
	TAILQ_INIT(&worker->jobs);
	worker->blobs = ranq_blobs_create();
	worker->nslots = options->slots + 1;
	worker->slots = calloc(worker->nslots, sizeof *worker->slots);
	if (!worker->blobs || !worker->slots)
		goto memory;
	for (unsigned s = 0; s < worker->nslots; s++) {
		worker->slots[s].worker = worker;
		worker->slots[s].number = s;
		worker->slots[s].again_ms = RANQ_NEVER;
		TAILQ_INIT(&worker->slots[s].chunks);
	}
	for (unsigned s = 0; s < options->slots; s++)
		if (slot_open(&worker->slots[s], err) != 0) {
			ranq_worker_destroy(worker);
			return NULL;
		}
	ranq_worker_hello(worker);
	return worker;
memory:
	ranq_worker_destroy(worker);
	ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	return NULL;
}

void ranq_worker_destroy(struct ranq_worker *worker)
{
	int saved = errno;

	if (!worker)
		return;
	while (!TAILQ_EMPTY(&worker->jobs))
		ranq_worker_job_remove(worker, TAILQ_FIRST(&worker->jobs));
	for (unsigned s = 0; worker->slots && s < worker->nslots; s++) {
		struct worker_chunk *chunk;

		while ((chunk = TAILQ_FIRST(&worker->slots[s].chunks)))
			chunk_remove(&worker->slots[s], chunk);
		slot_close(&worker->slots[s]);
	}
	ranq_watch_clear(&worker->exec_watch);
	ranq_blobs_destroy(worker->blobs);
	free(worker->slots);
	free(worker);
	errno = saved;
}

/* slot.c - one executor at a time for a rank: chunks in, events out. */
#include "exec/oom.h"
#include "exec/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

#define START_PATIENCE_MS 10000
#define RETIRE_MS 2000
#define STOP_SLACK_MS 500

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

struct ranq_slot_job *ranq_slot_find_job(struct ranq_slot *slot, uint64_t id)
{
	struct ranq_slot_job *job;

	LIST_FOREACH(job, &slot->jobs, link)
		if (job->id == id)
			return job;
	return NULL;
}

static void job_destroy(struct ranq_slot_job *job)
{
	if (job->module_fd >= 0)
		close(job->module_fd);
	if (job->data_fd >= 0)
		close(job->data_fd);
	ranq_spec_clear(&job->spec);
	ranq_buf_clear(&job->packed);
	free(job->id_text);
	free(job->key);
	free(job);
}

/* Commands can share an executor. A module stays loaded, so its executor serves only jobs with the same module and
 * environment; what is at a path may have changed since the last job. */
static char *make_key(const struct ranq_slot_job *job)
{
	const struct ranq_spec *spec = &job->spec;
	struct ranq_buf key;
	size_t i;

	if (spec->body == RANQ_BODY_COMMAND)
		return strdup("command");
	ranq_buf_init(&key, 0);
	if (spec->module_hash)
		ranq_buf_printf(&key, "module %s", spec->module_hash);
	else
		ranq_buf_printf(&key, "job %llu", (unsigned long long)job->id);
	for (i = 0; i < spec->env.n; i++)
		ranq_buf_printf(&key, "\n%zu:%s", strlen(spec->env.at[i]), spec->env.at[i]);
	ranq_buf_add_byte(&key, '\0');
	if (ranq_buf_failed(&key))
		ranq_buf_clear(&key);
	return (char *)ranq_buf_take(&key, NULL);
}

static int dup_fd(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int ranq_slot_add_job(struct ranq_slot *slot, const struct ranq_exec_job *given, struct ranq_err *err)
{
	struct ranq_slot_job *job;

	job = ranq_slot_find_job(slot, given->job);
	if (job) {
		job->dropped = false;
		return 0;
	}
	job = calloc(1, sizeof *job);
	if (!job)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	job->module_fd = job->data_fd = -1;
	ranq_buf_init(&job->packed, 0);
	if (ranq_spec_unpack(given->spec.data, given->spec.len, &job->spec, err) < 0) {
		free(job);
		return -1;
	}
	job->id = given->job;
	job->id_text = strdup(given->id_text);
	job->key = make_key(job);
	ranq_buf_add(&job->packed, given->spec.data, given->spec.len);
	job->module_fd = dup_fd(given->module_fd);
	job->data_fd = dup_fd(given->data_fd);
	if ((given->module_fd >= 0 && job->module_fd < 0) || (given->data_fd >= 0 && job->data_fd < 0)) {
		ranq_err_sys(err, "no descriptor for a job");
		job_destroy(job);
		return -1;
	}
	if (!job->id_text || !job->key || ranq_buf_failed(&job->packed)) {
		job_destroy(job);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a job");
	}
	LIST_INSERT_HEAD(&slot->jobs, job, link);
	return 0;
}

static bool job_runs(struct ranq_slot *slot, uint64_t job)
{
	const struct ranq_slot_chunk *chunk;
	unsigned i;

	for (i = 0; i < slot->nruns; i++)
		if ((chunk = ranq_slot_find_chunk(slot, slot->runs[i].chunk)) && chunk->given.job == job)
			return true;
	return false;
}

/* The executor must not hear of it while it runs a task of the job. */
static void forget_job(struct ranq_slot *slot, struct ranq_slot_job *job)
{
	struct ranq_slot_message *message;
	size_t at;

	if (job->sent && slot->state == RANQ_SLOT_LIVE && slot->own_kill == RANQ_KILL_NONE &&
		(message = ranq_slot_message(slot))) {
		at = ranq_wire_begin(&message->bytes, RANQ_FRAME_DROP);
		ranq_buf_add_varint(&message->bytes, job->id);
		ranq_wire_end(&message->bytes, at);
		ranq_slot_flush(slot);
		slot->dropping = true;
		slot->drop_run = slot->next_run;
		slot->fini_ms = RANQ_NEVER;
	}
	LIST_REMOVE(job, link);
	job_destroy(job);
}

static void forget_dropped(struct ranq_slot *slot)
{
	struct ranq_slot_job *job, *next;

	for (job = LIST_FIRST(&slot->jobs); job; job = next) {
		next = LIST_NEXT(job, link);
		if (job->dropped && !job_runs(slot, job->id))
			forget_job(slot, job);
	}
}

static bool is_stopped(const struct ranq_slot *slot, uint64_t job)
{
	unsigned i;

	for (i = 0; i < slot->nchunks; i++)
		if (slot->chunks[i].given.job == job && !slot->chunks[i].stopped)
			return false;
	return true;
}

void ranq_slot_drop_job(struct ranq_slot *slot, uint64_t id)
{
	struct ranq_slot_job *job = ranq_slot_find_job(slot, id);

	if (!job)
		return;
	if (!is_stopped(slot, id))
		ranq_slot_cancel(slot, id, 0);
	job->dropped = true;
	forget_dropped(slot);
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

struct ranq_slot_chunk *ranq_slot_find_chunk(struct ranq_slot *slot, uint64_t id)
{
	unsigned i;

	for (i = 0; i < slot->nchunks; i++)
		if (slot->chunks[i].given.id == id)
			return &slot->chunks[i];
	return NULL;
}

bool ranq_slot_chunk_over(const struct ranq_slot_chunk *chunk)
{
	return !chunk->runs && (chunk->stopped || chunk->upto >= chunk->end);
}

void ranq_slot_chunk_clear(struct ranq_slot_chunk *chunk)
{
	ranq_buf_clear(&chunk->input);
	if (chunk->argument_fd >= 0)
		close(chunk->argument_fd);
	chunk->argument_fd = -1;
	free(chunk->troubles);
	chunk->troubles = NULL;
}

void ranq_slot_finish_chunk(struct ranq_slot *slot, struct ranq_slot_chunk *chunk)
{
	size_t at = (size_t)(chunk - slot->chunks);

	ranq_slot_chunk_clear(chunk);
	slot->nchunks--;
	memmove(chunk, chunk + 1, (slot->nchunks - at) * sizeof *chunk);
}

int ranq_slot_run(struct ranq_slot *slot, const struct ranq_chunk *given, struct ranq_err *err)
{
	struct ranq_slot_chunk *chunk = &slot->chunks[slot->nchunks];

	if (slot->nchunks == RANQ_SLOT_CHUNKS)
		return ranq_err_set(err, RANQ_ERR_STATE, "the slot has as many chunks as it takes");
	if (!ranq_slot_find_job(slot, given->job))
		return ranq_err_set(err, RANQ_ERR_STATE, "the slot does not know the job of this chunk");
	if (given->start >= given->end || ranq_slot_find_chunk(slot, given->id))
		return ranq_err_set(err, RANQ_ERR_INPUT, "a chunk is empty, or was given twice");
	if (given->large && (given->end - given->start != 1 || given->argument_fd < 0))
		return ranq_err_set(err, RANQ_ERR_INPUT, "a large argument is that of one task");
	*chunk = (struct ranq_slot_chunk){
		.given = *given, .argument_fd = -1, .upto = given->start, .sent = given->start, .end = given->end,
		.told = given->end, .look_ms = RANQ_NEVER};
	ranq_buf_init(&chunk->input, 0);
	ranq_buf_add(&chunk->input, given->input.data, given->input.len);
	if (ranq_buf_failed(&chunk->input)) {
		ranq_buf_clear(&chunk->input);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a chunk");
	}
	chunk->given.input = (struct ranq_bytes){0};
	if (given->large && (chunk->argument_fd = dup_fd(given->argument_fd)) < 0) {
		ranq_err_sys(err, "no descriptor for an argument");
		ranq_slot_chunk_clear(chunk);
		return -1;
	}
	slot->nchunks++;
	return 0;
}

unsigned ranq_slot_queued(const struct ranq_slot *slot)
{
	return slot->nchunks;
}

static bool stop_chunk(struct ranq_slot *slot, struct ranq_slot_chunk *chunk)
{
	chunk->stopped = true;
	if (!chunk->runs || ranq_slot_chunk_is_void(chunk))
		return false;
	ranq_slot_lower_limits(slot, chunk->given.id, 0, true);
	return true;
}

static void kill_later(struct ranq_slot *slot, int64_t grace_ms)
{
	int64_t when = ranq_clock_ms() + grace_ms + (grace_ms ? STOP_SLACK_MS : 0);

	slot->stopped_ms = ranq_clock_ms();
	if (when < slot->stop_kill_ms)
		slot->stop_kill_ms = when;
	ranq_slot_flush(slot);
	ranq_slot_watch(slot, ranq_clock_ms());
}

void ranq_slot_cancel(struct ranq_slot *slot, uint64_t job, int grace_ms)
{
	struct ranq_slot_message *message;
	bool running = false;
	unsigned i;
	size_t at;

	for (i = 0; i < slot->nchunks; i++)
		if (slot->chunks[i].given.job == job && stop_chunk(slot, &slot->chunks[i]))
			running = true;
	if (!running)
		return;
	message = ranq_slot_message(slot);
	if (message) {
		at = ranq_wire_begin(&message->bytes, RANQ_FRAME_CANCEL);
		ranq_buf_add_varint(&message->bytes, job);
		ranq_wire_add_signed(&message->bytes, grace_ms);
		ranq_wire_end(&message->bytes, at);
	}
	kill_later(slot, grace_ms);
}

void ranq_slot_warn(struct ranq_slot *slot, int sig, int64_t grace_ms)
{
	struct ranq_slot_message *message;
	bool running = false;
	unsigned i;
	size_t at;

	for (i = 0; i < slot->nchunks; i++)
		if (stop_chunk(slot, &slot->chunks[i]))
			running = true;
	if (!running)
		return;
	message = ranq_slot_message(slot);
	if (message) {
		at = ranq_wire_begin(&message->bytes, RANQ_FRAME_WARN);
		ranq_buf_add_varint(&message->bytes, (uint64_t)sig);
		ranq_wire_add_signed(&message->bytes, grace_ms);
		ranq_wire_end(&message->bytes, at);
	}
	kill_later(slot, grace_ms);
}

/* ---- scheduling -------------------------------------------------------------------------------------------------- */

/* Where the run that starts at chunk->sent ends. */
static uint64_t run_end(const struct ranq_slot_chunk *chunk)
{
	size_t i;

	for (i = 0; i < chunk->ntroubles; i++) {
		if (chunk->troubles[i].index == chunk->sent)
			return chunk->sent + 1;
		if (chunk->troubles[i].index > chunk->sent)
			return chunk->troubles[i].index < chunk->end ? chunk->troubles[i].index : chunk->end;
	}
	return chunk->end;
}

/* The first chunk with something to send, or NULL: a given-up task must first be reported in its turn. */
static struct ranq_slot_chunk *next_to_send(struct ranq_slot *slot, struct ranq_slot_job **job)
{
	struct ranq_trouble *trouble;
	unsigned i;

	for (i = 0; i < slot->nchunks; i++) {
		struct ranq_slot_chunk *chunk = &slot->chunks[i];

		if (chunk->stopped || chunk->sent >= chunk->end)
			continue;
		*job = ranq_slot_find_job(slot, chunk->given.job);
		trouble = ranq_slot_trouble_at(chunk, chunk->sent);
		return !*job || (*job)->given_up || (trouble && trouble->given_up) ? NULL : chunk;
	}
	return NULL;
}

static void schedule(struct ranq_slot *slot, int64_t now)
{
	struct ranq_slot_chunk *chunk;
	struct ranq_slot_job *job;

	while (slot->nruns < RANQ_WIRE_RUNS && (chunk = next_to_send(slot, &job))) {
		if (slot->state == RANQ_SLOT_ENDING || slot->own_kill != RANQ_KILL_NONE)
			return;
		if (slot->state == RANQ_SLOT_LIVE && strcmp(slot->key, job->key) != 0) {
			if (slot->nruns)
				return; /* another executor, but not before this one is idle */
			ranq_slot_leave_executor(slot, RETIRE_MS);
		}
		if (slot->state == RANQ_SLOT_EMPTY &&
			(now < slot->start_ms || ranq_slot_start_executor(slot, job->key) < 0))
			return;
		if (!job->sent)
			ranq_slot_send_job(slot, job);
		if (ranq_slot_send_run(slot, chunk, run_end(chunk)) < 0)
			return;
	}
}

/* ---- pump -------------------------------------------------------------------------------------------------------- */

static int report_end(struct ranq_slot *slot, struct ranq_slot_event *event)
{
	unsigned i;

	for (i = 0; i < slot->nchunks; i++) {
		struct ranq_slot_chunk *chunk = &slot->chunks[i];

		if (!ranq_slot_chunk_over(chunk))
			continue;
		event->kind = RANQ_SLOT_RESULTS;
		event->job = chunk->given.job;
		event->chunk = chunk->given.id;
		event->from = event->upto = chunk->upto;
		event->chunk_done = true;
		ranq_slot_finish_chunk(slot, chunk);
		return 1;
	}
	return 0;
}

static int report_own(struct ranq_slot *slot, struct ranq_slot_event *event)
{
	if (slot->announce_death) {
		slot->announce_death = false;
		event->kind = RANQ_SLOT_DIED;
		event->chunk = slot->announced_chunk;
		event->from = slot->announced_task;
		event->upto = slot->announced_task + 1;
		return 1;
	}
	if (report_end(slot, event))
		return 1;
	return slot->nchunks && slot->end.exec ? ranq_slot_report_given_up(slot, &slot->chunks[0], event) : 0;
}

/* The executor will say nothing more. Its consequences are drawn when ranq-exec has said how it ended, and has swept
 * behind it. */
static void on_silence(struct ranq_slot *slot)
{
	if (slot->state == RANQ_SLOT_LIVE) {
		slot->state = RANQ_SLOT_ENDING;
		close(slot->fd); /* its end would wake the loop again and again until the report comes */
		slot->fd = -1;
		if (!slot->end.gone)
			ranq_exec_kill(slot->end.exec, slot->end.id); /* no harm when it is ending by itself */
	}
	if (slot->end.gone)
		ranq_slot_on_death(slot);
}

/* 1: an event. */
static int read_executor(struct ranq_slot *slot, struct ranq_slot_event *event)
{
	struct ranq_wire_head head;
	int rc = -1;

	while (slot->state == RANQ_SLOT_LIVE && (rc = ranq_slot_receive(slot, &head)) > 0) {
		rc = head.type == RANQ_FRAME_SLICE ? ranq_slot_take_slice(slot, &head, event)
						   : ranq_slot_take_results(slot, &head, event);
		if (rc > 0)
			return 1;
		*event = (struct ranq_slot_event){.kind = RANQ_SLOT_NOTHING};
		ranq_buf_drop(&slot->in, slot->frame);
		slot->frame = 0;
		if (rc < 0)
			break;
	}
	if (rc < 0 && slot->state != RANQ_SLOT_EMPTY)
		on_silence(slot);
	return 0;
}

int ranq_slot_pump(struct ranq_slot *slot, struct ranq_slot_event *event, struct ranq_err *err)
{
	int64_t now = ranq_clock_ms();

	*event = (struct ranq_slot_event){.kind = RANQ_SLOT_NOTHING};
	if (slot->frame) {
		ranq_buf_drop(&slot->in, slot->frame);
		slot->frame = 0;
		ranq_wire_trim(&slot->in);
	}
	if (!slot->end.exec)
		return ranq_err_set(err, RANQ_ERR_STATE, "the fork server of this slot was closed");
	if (report_own(slot, event) || read_executor(slot, event) || report_own(slot, event))
		return 0;
	if (ranq_slot_report_shortened(slot, now, event))
		return 0;
	ranq_slot_watch(slot, now);
	slot->watched_ms = now;
	forget_dropped(slot);
	schedule(slot, now);
	ranq_slot_flush(slot);
	if (slot->state == RANQ_SLOT_EMPTY && slot->starting_ms != RANQ_NEVER &&
		now - slot->starting_ms >= START_PATIENCE_MS) {
		slot->starting_ms = now;
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "cannot start an executor for %d s: %s",
			START_PATIENCE_MS / 1000, strerror(slot->start_errno));
	}
	return 0;
}

int64_t ranq_slot_deadline_ms(const struct ranq_slot *slot)
{
	struct ranq_slot *s = (struct ranq_slot *)(uintptr_t)slot; /* next_to_send only looks */
	int64_t deadline = ranq_slot_watch_deadline(slot), shorten_ms = ranq_slot_shorten_deadline(slot);
	struct ranq_slot_job *job;
	unsigned i;

	if (slot->announce_death || (slot->end.gone && slot->state != RANQ_SLOT_EMPTY))
		return 0;
	for (i = 0; i < slot->nchunks; i++)
		if (ranq_slot_chunk_over(&slot->chunks[i]))
			return 0;
	if (shorten_ms < deadline)
		deadline = shorten_ms;
	if (slot->state == RANQ_SLOT_EMPTY && slot->nchunks)
		return slot->start_ms < deadline ? slot->start_ms : deadline;
	if (slot->state == RANQ_SLOT_LIVE && slot->nruns < RANQ_WIRE_RUNS && slot->own_kill == RANQ_KILL_NONE &&
		next_to_send(s, &job) && (!slot->nruns || !strcmp(slot->key, job->key)))
		return 0;
	return deadline;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct ranq_slot *ranq_slot_create(
	struct ranq_exec *exec, const struct ranq_slot_options *options, struct ranq_err *err)
{
	struct ranq_slot *slot = calloc(1, sizeof *slot);

	if (!slot || (options->cpus && !(slot->cpus = strdup(options->cpus)))) {
		free(slot);
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	slot->options = *options;
	slot->options.cpus = slot->cpus;
	slot->fd = -1;
	slot->oom_kills = ranq_oom_kills();
	slot->starting_ms = slot->timeout_kill_ms = slot->stop_kill_ms = RANQ_NEVER;
	LIST_INIT(&slot->jobs);
	TAILQ_INIT(&slot->out);
	ranq_buf_init(&slot->in, 0);
	ranq_buf_init(&slot->own, 0);
	ranq_buf_init(&slot->own_failures, 0);
	ranq_exec_enlist(exec, &slot->end);
	return slot;
}

void ranq_slot_destroy(struct ranq_slot *slot)
{
	struct ranq_slot_job *job;
	unsigned i;

	if (!slot)
		return;
	ranq_slot_leave_executor(slot, slot->nruns ? 0 : RETIRE_MS);
	ranq_exec_discharge(&slot->end);
	for (i = 0; i < slot->nchunks; i++)
		ranq_slot_chunk_clear(&slot->chunks[i]);
	while ((job = LIST_FIRST(&slot->jobs))) {
		LIST_REMOVE(job, link);
		job_destroy(job);
	}
	ranq_buf_clear(&slot->in);
	ranq_buf_clear(&slot->own);
	ranq_buf_clear(&slot->own_failures);
	free(slot->failure_index);
	free(slot->failures);
	free(slot->cpus);
	free(slot);
}

int ranq_slot_fd(const struct ranq_slot *slot)
{
	return slot->fd;
}

bool ranq_slot_wants_write(const struct ranq_slot *slot)
{
	return slot->fd >= 0 && !TAILQ_EMPTY(&slot->out);
}

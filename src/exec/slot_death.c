/* slot_death.c - an executor ended: which task is to blame, and does it get another try? And the clock that ends
 * executors. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "exec/executor.h"
#include "exec/memory.h"
#include "exec/oom.h"
#include "exec/slot.h"
#include "util/clock.h"

#define BARREN_MAX 5          /* deaths without a result and without a running task, then the next task is blamed */
#define COMMAND_SLACK_MS 2000 /* an executor ends its commands by itself; we only when it does not */
#define LOAD_MS 60000         /* for a module and its init, in jobs with a time limit */
#define FINI_MS 2000          /* for the fini of a job while others wait for it */
#define WATCH_MIN_MS 5
#define WATCH_MAX_MS 250

/* ---- troubles ---------------------------------------------------------------------------------------------------- */

struct ranq_trouble *ranq_slot_trouble_at(struct ranq_slot_chunk *chunk, uint64_t index)
{
	size_t i;

	for (i = 0; i < chunk->ntroubles; i++)
		if (chunk->troubles[i].index == index)
			return &chunk->troubles[i];
	return NULL;
}

/* Those of ranks and bridges, of which the queue keeps count. */
static unsigned deaths_before(const struct ranq_slot_chunk *chunk)
{
	return chunk->given.end - chunk->given.start == 1 ? chunk->given.deaths : 0;
}

static struct ranq_trouble *make_trouble(struct ranq_slot_chunk *chunk, uint64_t index)
{
	struct ranq_trouble *trouble = ranq_slot_trouble_at(chunk, index), *grown;
	size_t at = 0;

	if (trouble)
		return trouble;
	grown = realloc(chunk->troubles, (chunk->ntroubles + 1) * sizeof *grown);
	if (!grown)
		return NULL;
	chunk->troubles = grown;
	while (at < chunk->ntroubles && grown[at].index < index)
		at++;
	memmove(grown + at + 1, grown + at, (chunk->ntroubles - at) * sizeof *grown);
	chunk->ntroubles++;
	grown[at] = (struct ranq_trouble){.index = index, .exit_code = -1, .deaths = deaths_before(chunk)};
	return &grown[at];
}

static const char *short_of_memory(struct ranq_slot *slot, int sig)
{
	return sig == SIGKILL ? ranq_oom_text(&slot->oom_kills) : "";
}

static void explain_status(struct ranq_slot *slot, const struct ranq_slot_job *job, const char *when, char reason[160],
	int *sig, int *exit_code)
{
	int status = slot->end.status;

	*sig = 0;
	*exit_code = -1;
	if (!slot->end.status_known) {
		snprintf(reason, 160, "its executor was killed together with ranq-exec%s", when);
	} else if (WIFSIGNALED(status)) {
		*sig = WTERMSIG(status);
		snprintf(reason, 160, "killed by signal %d (%s)%s%s", *sig, strsignal(*sig), when,
			short_of_memory(slot, *sig));
	} else {
		*exit_code = WEXITSTATUS(status);
		snprintf(reason, 160, "exited with status %d inside the body%s", *exit_code, when);
	}
	if (slot->end.peak)
		ranq_memory_explain(reason, job->spec.memory, "peak", slot->end.peak);
}

/* Since when the dead task ran: since we first saw it, else at most since we last looked. */
static int64_t elapsed_us(const struct ranq_slot *slot)
{
	bool seen = atomic_load(&slot->end.page->seq) == slot->seen_seq;

	return (ranq_clock_ms() - (seen ? slot->seen_ms : slot->watched_ms)) * 1000;
}

static void count_death(
	struct ranq_slot *slot, struct ranq_slot_chunk *chunk, const struct ranq_slot_job *job, uint64_t index)
{
	struct ranq_trouble *trouble = make_trouble(chunk, index);

	if (!trouble)
		return;
	trouble->deaths++;
	trouble->elapsed_us = elapsed_us(slot);
	explain_status(slot, job, "", trouble->reason, &trouble->signal, &trouble->exit_code);
	/* On top of deaths of bridges these would count twice: who kills a whole bridge may hit two executors of the task before their rank. */
	if (trouble->deaths - deaths_before(chunk) >= job->spec.max_deaths) {
		trouble->given_up = true;
		trouble->status = RANQ_TASK_DIED;
	}
}

/* Loading may read much more than a task does, and happens once: the time of a task does not bind it. */
static int64_t load_limit(const struct ranq_slot_job *job)
{
	return job->spec.timeout_ms > LOAD_MS ? (int64_t)job->spec.timeout_ms : LOAD_MS;
}

static void count_timeout(struct ranq_slot_chunk *chunk, const struct ranq_slot_job *job, uint64_t index, bool loading)
{
	struct ranq_trouble *trouble = make_trouble(chunk, index);
	char text[32];

	if (!trouble)
		return;
	trouble->tries++;
	trouble->elapsed_us = (int64_t)job->spec.timeout_ms * 1000;
	trouble->signal = SIGKILL;
	snprintf(trouble->reason, sizeof trouble->reason, "%s %s",
		loading ? "its module was not loaded within" : "timed out after",
		ranq_duration_format(loading ? load_limit(job) : (int64_t)job->spec.timeout_ms, text));
	if (trouble->tries > job->spec.retries) {
		trouble->given_up = true;
		trouble->status = RANQ_TASK_TIMEOUT;
	}
}

/* Did the executor itself ask for another try of its task in a fresh process? */
static bool wants_retry(const struct ranq_slot *slot, const struct ranq_slot_job *job, struct ranq_slot_chunk *chunk,
	uint64_t index)
{
	const struct ranq_trouble *trouble = ranq_slot_trouble_at(chunk, index);

	return slot->end.status_known && WIFEXITED(slot->end.status) &&
	       WEXITSTATUS(slot->end.status) == RANQ_EXECUTOR_WORN &&
	       (trouble ? trouble->tries : 0) < job->spec.retries;
}

static void count_retry(struct ranq_slot_chunk *chunk, uint64_t index)
{
	struct ranq_trouble *trouble = make_trouble(chunk, index);

	if (trouble)
		trouble->tries++;
}

static void count_load_death(struct ranq_slot *slot, struct ranq_slot_job *job)
{
	int sig, exit_code;

	job->load_deaths++;
	if (job->load_deaths < job->spec.max_deaths)
		return;
	explain_status(slot, job, " while the module was loaded", job->reason, &sig, &exit_code);
	job->given_up = true;
}

/* ---- blame ------------------------------------------------------------------------------------------------------- */

const struct ranq_slot_run *ranq_slot_run_with_number(const struct ranq_slot *slot, uint64_t number)
{
	unsigned i;

	for (i = 0; i < slot->nruns; i++)
		if (slot->runs[i].number == number)
			return &slot->runs[i];
	return NULL;
}

struct ranq_slot_chunk *ranq_slot_running_task(struct ranq_slot *slot, uint64_t *index)
{
	const struct ranq_page *page = slot->end.page;
	const struct ranq_slot_run *run = ranq_slot_run_with_number(slot, atomic_load(&page->run));
	struct ranq_slot_chunk *chunk = run ? ranq_slot_find_chunk(slot, run->chunk) : NULL;

	*index = atomic_load(&page->task);
	if (!chunk || *index < chunk->upto || *index < run->from || *index >= run->to)
		return NULL;
	return chunk;
}

static void blame_first(struct ranq_slot *slot)
{
	struct ranq_slot_chunk *chunk = ranq_slot_find_chunk(slot, slot->runs[0].chunk);
	struct ranq_slot_job *job = chunk ? ranq_slot_find_job(slot, chunk->given.job) : NULL;

	if (job)
		count_death(slot, chunk, job, chunk->upto);
}

static void blame(struct ranq_slot *slot)
{
	uint64_t seq = atomic_load(&slot->end.page->seq), index = 0;
	struct ranq_slot_chunk *chunk = seq % 2 ? ranq_slot_running_task(slot, &index) : NULL;
	struct ranq_slot_job *job = chunk ? ranq_slot_find_job(slot, chunk->given.job) : NULL;
	bool loading = atomic_load(&slot->end.page->phase) == RANQ_PHASE_LOADING;

	if (slot->own_kill == RANQ_KILL_STOP)
		return;
	if (slot->own_kill == RANQ_KILL_TIMEOUT) {
		/* the kill may have hit the task after the one that was meant: then nobody is to blame */
		if (job && seq == slot->timed_out_seq)
			count_timeout(chunk, job, index, loading);
		return;
	}
	if (job && loading)
		count_load_death(slot, job);
	else if (job && wants_retry(slot, job, chunk, index))
		count_retry(chunk, index);
	else if (job)
		count_death(slot, chunk, job, index);
	else if (++slot->barren >= BARREN_MAX)
		blame_first(slot);
}

/* Nobody is to blame for what dies while it joins results: they stay apart. */
static bool end_merges(struct ranq_slot *slot)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < slot->nchunks; i++)
		if (slot->chunks[i].given.merge)
			any = slot->chunks[i].stopped = true;
	return any;
}

/* A fork that failed is no death: the executor never was. */
void ranq_slot_on_death(struct ranq_slot *slot)
{
	bool forked = !(slot->end.status_known && slot->end.failure);
	int64_t now = ranq_clock_ms();
	unsigned i;

	if (forked) {
		slot->starting_ms = RANQ_NEVER;
		slot->start_ms = 0;
		if (!end_merges(slot) && slot->nruns)
			blame(slot);
	} else {
		slot->start_errno = slot->end.failure;
		slot->start_ms = now + 50;
		if (slot->starting_ms == RANQ_NEVER)
			slot->starting_ms = now;
	}
	for (i = 0; i < slot->nchunks; i++)
		slot->chunks[i].sent = slot->chunks[i].upto;
	ranq_slot_leave_executor(slot, 0);
}

/* ---- clock ------------------------------------------------------------------------------------------------------- */

static const struct ranq_slot_job *watched_job(const struct ranq_slot *slot)
{
	const struct ranq_slot_run *run = ranq_slot_run_with_number(slot, atomic_load(&slot->end.page->run));
	const struct ranq_slot_job *job;
	unsigned i;

	for (i = 0; run && i < slot->nchunks; i++)
		if (slot->chunks[i].given.id == run->chunk)
			LIST_FOREACH(job, &slot->jobs, link)
				if (job->id == slot->chunks[i].given.job)
					return job;
	return NULL;
}

static void kill_now(struct ranq_slot *slot, enum ranq_own_kill why)
{
	slot->own_kill = why;
	ranq_exec_kill(slot->end.exec, slot->end.id);
}

static void watch_timeout(struct ranq_slot *slot, uint64_t seq, int64_t now)
{
	const struct ranq_slot_job *job = watched_job(slot);
	int64_t limit, grace;
	bool command;

	if (!job || !job->spec.timeout_ms)
		return;
	command = job->spec.body == RANQ_BODY_COMMAND;
	grace = job->spec.grace_ms ? (int64_t)job->spec.grace_ms : RANQ_GRACE_DEFAULT_MS;
	limit = (int64_t)job->spec.timeout_ms + (command ? grace + COMMAND_SLACK_MS : 0);
	if (atomic_load(&slot->end.page->phase) == RANQ_PHASE_LOADING)
		limit = load_limit(job);
	if (now - slot->seen_ms < limit)
		return;
	if (slot->timed_out_seq != seq) {
		slot->timed_out_seq = seq;
		slot->timeout_kill_ms = now + (command ? 0 : grace);
		atomic_store(&slot->end.page->timed_out, seq);
	}
	if (now >= slot->timeout_kill_ms)
		kill_now(slot, RANQ_KILL_TIMEOUT);
}

/* Does anything still run that was told to stop? */
static bool stopped_run(const struct ranq_slot *slot)
{
	unsigned i;

	for (i = 0; i < slot->nchunks; i++)
		if (slot->chunks[i].stopped && slot->chunks[i].runs && !ranq_slot_chunk_is_void(&slot->chunks[i]))
			return true;
	return false;
}

/* Its time is over: the executor is killed, unless the task that it has is not among what was told to stop. Then nothing
 * of that has begun, or will (slot_shorten.c); a task of that job or another one goes on. */
static void end_stopped(struct ranq_slot *slot, int64_t now)
{
	uint64_t index, number;
	const struct ranq_slot_chunk *running = ranq_slot_named_task(slot, &index, &number);
	int64_t sure_ms = slot->stopped_ms + RANQ_SLOT_DRAIN_MS;

	slot->stop_kill_ms = RANQ_NEVER;
	if (running && running->stopped)
		kill_now(slot, RANQ_KILL_STOP);
	else if (now < sure_ms)
		slot->stop_kill_ms = sure_ms;
	else if (!running)
		kill_now(slot, RANQ_KILL_STOP);
}

/* The executor is between two runs, in the fini of a job that was dropped. It says nothing of that: only the first run
 * behind it does, by having begun. */
static bool in_fini(const struct ranq_slot *slot)
{
	return slot->dropping && slot->nruns && slot->runs[0].number >= slot->drop_run;
}

static void watch_fini(struct ranq_slot *slot, uint64_t seq, int64_t now)
{
	if (!in_fini(slot))
		return;
	if (seq && atomic_load(&slot->end.page->run) >= slot->drop_run)
		slot->dropping = false;
	else if (slot->fini_ms == RANQ_NEVER)
		slot->fini_ms = now;
	else if (now - slot->fini_ms >= FINI_MS)
		kill_now(slot, RANQ_KILL_STOP); /* the task behind it is not to blame */
}

void ranq_slot_watch(struct ranq_slot *slot, int64_t now)
{
	uint64_t seq;

	if (slot->state != RANQ_SLOT_LIVE || !slot->end.page)
		return;
	if (!stopped_run(slot))
		slot->stop_kill_ms = RANQ_NEVER;
	if (slot->own_kill != RANQ_KILL_NONE)
		return;
	seq = atomic_load(&slot->end.page->seq);
	if (seq != slot->seen_seq) {
		slot->seen_seq = seq;
		slot->seen_ms = now;
	}
	if (now >= slot->stop_kill_ms) {
		end_stopped(slot, now);
	} else if (seq % 2) {
		watch_timeout(slot, seq, now);
	}
	if (slot->own_kill == RANQ_KILL_NONE)
		watch_fini(slot, seq, now);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t ranq_slot_watch_deadline(const struct ranq_slot *slot)
{
	const struct ranq_slot_job *job;
	int64_t deadline = slot->stop_kill_ms, step;
	unsigned i;

	if (slot->state != RANQ_SLOT_LIVE || !slot->nruns || slot->own_kill != RANQ_KILL_NONE)
		return RANQ_NEVER;
	if (in_fini(slot))
		deadline = earlier(deadline, slot->fini_ms == RANQ_NEVER ? slot->watched_ms + WATCH_MAX_MS
									 : slot->fini_ms + FINI_MS);
	for (i = 0; i < slot->nchunks; i++)
		LIST_FOREACH(job, &slot->jobs, link) {
			if (job->id != slot->chunks[i].given.job || !job->spec.timeout_ms)
				continue;
			step = (int64_t)job->spec.timeout_ms / 8;
			step = step < WATCH_MIN_MS ? WATCH_MIN_MS : step > WATCH_MAX_MS ? WATCH_MAX_MS : step;
			if (slot->watched_ms + step < deadline)
				deadline = slot->watched_ms + step;
		}
	return deadline;
}

/* state.c - see state.h. */
#include "scale/state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ranq_scale_phase_name(enum ranq_scale_phase phase)
{
	static const char *const names[] = {"pending", "starting", "running", "leaving"};
	return names[phase];
}

void ranq_scale_state_init(struct ranq_scale_state *state)
{
	memset(state, 0, sizeof *state);
}

void ranq_scale_state_clear(struct ranq_scale_state *state)
{
	free(state->allocs);
	ranq_scale_state_init(state);
}

static struct ranq_scale_alloc *find(struct ranq_scale_state *state, const char *id)
{
	for (size_t i = 0; i < state->n; i++)
		if (strcmp(state->allocs[i].job.id, id) == 0)
			return &state->allocs[i];
	return NULL;
}

static struct ranq_scale_alloc *add(struct ranq_scale_state *state)
{
	if (state->n >= RANQ_SCALE_ALLOCS_MAX)
		return NULL;
	if (state->n == state->cap) {
		size_t cap = state->cap ? state->cap * 2 : 8;
		struct ranq_scale_alloc *allocs = realloc(state->allocs, cap * sizeof *allocs);
		if (!allocs)
			return NULL;
		state->allocs = allocs;
		state->cap = cap;
	}
	struct ranq_scale_alloc *alloc = &state->allocs[state->n++];
	memset(alloc, 0, sizeof *alloc);
	return alloc;
}

static void say(ranq_scale_note *note, void *user, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(ranq_scale_note *note, void *user, const char *format, ...)
{
	char line[400];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (note)
		note(user, line);
}

/* ---- submissions ---- */

bool ranq_scale_state_submitting(
	struct ranq_scale_state *state, unsigned nodes, int64_t now_ms, char token[RANQ_SCHED_TOKEN_MAX + 1])
{
	if (state->ndoubts >= RANQ_SCALE_DOUBTS_MAX)
		return false;
	char id[RANQ_ID_LEN + 1];
	ranq_id_new(id);
	/* the random part: a record that was lost and begun again gives no number twice */
	snprintf(token, RANQ_SCHED_TOKEN_MAX + 1, "r%.8s-%" PRIu64, id, ++state->serial % 1000000000);
	struct ranq_scale_doubt *doubt = &state->doubts[state->ndoubts++];
	*doubt = (struct ranq_scale_doubt){.at_ms = now_ms, .nodes = nodes};
	memcpy(doubt->token, token, sizeof doubt->token);
	if (state->nsubmits == RANQ_SCALE_SUBMITS_MAX) {
		state->nsubmits--;
		memmove(state->submits_ms, state->submits_ms + 1, state->nsubmits * sizeof *state->submits_ms);
	}
	state->submits_ms[state->nsubmits++] = now_ms;
	return true;
}

static struct ranq_scale_doubt *find_doubt(struct ranq_scale_state *state, const char *token)
{
	for (size_t i = 0; i < state->ndoubts && *token; i++)
		if (strcmp(state->doubts[i].token, token) == 0)
			return &state->doubts[i];
	return NULL;
}

void ranq_scale_state_forget(struct ranq_scale_state *state, const char *token)
{
	struct ranq_scale_doubt *doubt = find_doubt(state, token);
	if (doubt)
		*doubt = state->doubts[--state->ndoubts];
}

int ranq_scale_state_submitted(
	struct ranq_scale_state *state, const char *token, const char *id, int64_t now_ms, struct ranq_err *err)
{
	const struct ranq_scale_doubt *doubt = find_doubt(state, token);
	struct ranq_scale_alloc *alloc = find(state, id) ? NULL : add(state);
	if (!alloc)
		return ranq_err_set(err, RANQ_ERR_INPUT, "too many allocations, or '%s' is known already", id);
	snprintf(alloc->job.id, sizeof alloc->job.id, "%s", id);
	snprintf(alloc->job.token, sizeof alloc->job.token, "%s", token);
	alloc->job.nodes = doubt ? doubt->nodes : 1;
	alloc->submitted_ms = doubt ? doubt->at_ms : now_ms;
	ranq_scale_state_forget(state, token);
	return 0;
}

void ranq_scale_state_failed(struct ranq_scale_state *state, int64_t now_ms, const char *why)
{
	int64_t wait_ms = RANQ_SCALE_BACKOFF_FIRST_MS;
	for (unsigned i = 0; i < state->failures && wait_ms < RANQ_SCALE_BACKOFF_MAX_MS; i++)
		wait_ms *= 2;
	if (wait_ms > RANQ_SCALE_BACKOFF_MAX_MS)
		wait_ms = RANQ_SCALE_BACKOFF_MAX_MS;
	state->failures++;
	state->backoff_until_ms = now_ms + wait_ms;
	ranq_sched_text(state->trouble, sizeof state->trouble, why, strlen(why));
}

/* ---- the list ---- */

/* total + nodes * ms, as far as numbers go. */
static int64_t add_cost(int64_t total_ms, unsigned nodes, int64_t ms)
{
	int64_t cost_ms;
	if (__builtin_mul_overflow((int64_t)nodes, ms, &cost_ms) || __builtin_add_overflow(total_ms, cost_ms, &cost_ms))
		return INT64_MAX;
	return cost_ms;
}

static int64_t run_time(const struct ranq_scale_alloc *alloc, int64_t until_ms)
{
	int64_t end_ms = alloc->job.end_ms > 0 && alloc->job.end_ms < until_ms ? alloc->job.end_ms : until_ms;
	return alloc->started_ms > 0 && end_ms > alloc->started_ms ? end_ms - alloc->started_ms : 0;
}

/* It is over. Joining and leaving, walltime, preemption and our own cancelling are how allocations end; one that ended
 * without having joined would fail again. */
static void retire(struct ranq_scale_state *state, struct ranq_scale_alloc *alloc, int64_t now_ms,
	ranq_scale_note *note, void *user)
{
	const struct ranq_sched_job *job = &alloc->job;
	state->spent_ms = add_cost(state->spent_ms, job->nodes, run_time(alloc, now_ms));
	if (alloc->joined || alloc->cancelled || alloc->drained) {
		say(note, user, "allocation %s is over%s%s", job->id, *job->reason ? ": " : "", job->reason);
	} else {
		char why[400];
		snprintf(why, sizeof why, "allocation %s ended without joining the queue%s%s", job->id,
			*job->reason ? ": " : "", job->reason);
		ranq_scale_state_failed(state, now_ms, why);
		say(note, user, "%s; its output: %s.log", why, job->token);
	}
	*alloc = state->allocs[--state->n];
}

static void update(struct ranq_scale_alloc *alloc, const struct ranq_sched_job *job, int64_t now_ms)
{
	bool was_pending = alloc->job.state == RANQ_SCHED_PENDING;
	char token[RANQ_SCHED_TOKEN_MAX + 1];
	memcpy(token, alloc->job.token, sizeof token);
	alloc->job = *job;
	if (!*alloc->job.token)
		memcpy(alloc->job.token, token, sizeof token);
	if (job->state == RANQ_SCHED_PENDING) {
		/* also again, after a requeue: another run, which has to join anew */
		if (!was_pending) {
			alloc->joined = alloc->drained = false;
			alloc->requeued = true;
		}
		alloc->phase = RANQ_SCALE_PENDING;
		alloc->started_ms = 0;
		alloc->cancelled = false; /* or it would not be there */
		return;
	}
	alloc->requeued = false;
	if (was_pending && job->state == RANQ_SCHED_RUNNING) /* it was quicker than our cancelling */
		alloc->cancelled = false;
	if (alloc->started_ms == 0 || was_pending) {
		alloc->started_ms = job->start_ms > 0 && job->start_ms <= now_ms ? job->start_ms : now_ms;
		if (alloc->phase == RANQ_SCALE_PENDING)
			alloc->phase = RANQ_SCALE_STARTING;
	}
	if (job->state == RANQ_SCHED_ENDING)
		alloc->phase = RANQ_SCALE_LEAVING;
}

static int take(struct ranq_scale_state *state, const struct ranq_sched_job *job, int64_t now_ms, ranq_scale_note *note,
	void *user, struct ranq_err *err)
{
	bool over = job->state == RANQ_SCHED_ENDED || job->state == RANQ_SCHED_FAILED;
	struct ranq_scale_alloc *alloc = find(state, job->id);
	if (!alloc) {
		const struct ranq_scale_doubt *doubt = find_doubt(state, job->token);
		if (over && !doubt)
			return 0;
		alloc = add(state);
		if (!alloc)
			return ranq_err_set(err, RANQ_ERR_INPUT, "more than %d allocations bear the name of this queue",
				RANQ_SCALE_ALLOCS_MAX);
		alloc->submitted_ms = doubt ? doubt->at_ms : now_ms;
		say(note, user,
			doubt ? "allocation %s is there: its submission had no answer"
			      : "found allocation %s by its name",
			job->id);
		ranq_scale_state_forget(state, job->token);
	}
	update(alloc, job, now_ms);
	return 0;
}

static bool listed(const struct ranq_sched_list *list, const char *id, bool *over)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->jobs[i].id, id) != 0)
			continue;
		*over = list->jobs[i].state == RANQ_SCHED_ENDED || list->jobs[i].state == RANQ_SCHED_FAILED;
		return true;
	}
	*over = true;
	return false;
}

static void resolve_doubts(struct ranq_scale_state *state, int64_t asked_ms, ranq_scale_note *note, void *user)
{
	for (size_t i = state->ndoubts; i-- > 0;) {
		if (asked_ms - state->doubts[i].at_ms < RANQ_SCALE_DOUBT_MS)
			continue;
		say(note, user, "submission %s has not arrived at the scheduler", state->doubts[i].token);
		state->doubts[i] = state->doubts[--state->ndoubts];
	}
}

int ranq_scale_state_listed(struct ranq_scale_state *state, const struct ranq_sched_list *list, int64_t asked_ms,
	int64_t now_ms, ranq_scale_note *note, void *user, struct ranq_err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (take(state, &list->jobs[i], now_ms, note, user, err))
			return -1;
	for (size_t i = state->n; i-- > 0;) {
		struct ranq_scale_alloc *alloc = &state->allocs[i];
		bool over, known = listed(list, alloc->job.id, &over);
		/* submitted while the list was on its way */
		if (over && (known || alloc->submitted_ms < asked_ms))
			retire(state, alloc, now_ms, note, user);
	}
	resolve_doubts(state, asked_ms, note, user);
	state->listed_ms = now_ms;
	return 0;
}

/* ---- bridges ---- */

/* "slurm:12" and after a requeue "slurm:12.1" are allocation 12 of slurm. */
static bool is_of(const struct ranq_bridge_info *bridge, const char *driver, const char *id)
{
	size_t d = strlen(driver), len = strlen(id);
	const char *at = bridge->allocation;
	if (strncmp(at, driver, d) != 0 || at[d] != ':' || strncmp(at + d + 1, id, len) != 0)
		return false;
	at += d + 1 + len;
	return *at == '\0' || (*at == '.' && at[1] && strspn(at + 1, "0123456789") == strlen(at + 1));
}

static void see_bridges(struct ranq_scale_alloc *alloc, const char *driver, const struct ranq_bridge_info *bridges,
	size_t n, int64_t now_ms)
{
	bool draining = false;
	alloc->ranks = 0;
	alloc->busy = false;
	*alloc->allocation = '\0';
	if (alloc->requeued) /* what is still seen is the bridge of the run before */
		return;
	for (size_t i = 0; i < n; i++) {
		if (!is_of(&bridges[i], driver, alloc->job.id))
			continue;
		alloc->ranks += bridges[i].ranks;
		alloc->busy |= !bridges[i].idle || bridges[i].fragments > 0;
		draining |= bridges[i].draining;
		snprintf(alloc->allocation, sizeof alloc->allocation, "%s", bridges[i].allocation);
	}
	if (!*alloc->allocation) {
		if (alloc->joined && alloc->phase == RANQ_SCALE_RUNNING)
			alloc->phase = RANQ_SCALE_LEAVING;
		return;
	}
	alloc->joined = true;
	if (alloc->started_ms == 0) /* it was quicker than the scheduler's list */
		alloc->started_ms = now_ms;
	if (alloc->job.state == RANQ_SCHED_PENDING)
		alloc->job.state = RANQ_SCHED_RUNNING;
	alloc->phase = draining || alloc->drained || alloc->job.state == RANQ_SCHED_ENDING ? RANQ_SCALE_LEAVING
											   : RANQ_SCALE_RUNNING;
	if (alloc->busy)
		alloc->idle_since_ms = 0;
	else if (alloc->idle_since_ms == 0)
		alloc->idle_since_ms = now_ms;
}

static bool is_ours(const struct ranq_scale_state *state, const char *driver, const struct ranq_bridge_info *bridge)
{
	for (size_t i = 0; i < state->n; i++)
		if (is_of(bridge, driver, state->allocs[i].job.id))
			return true;
	return false;
}

void ranq_scale_state_bridges(struct ranq_scale_state *state, const char *driver,
	const struct ranq_bridge_info *bridges, size_t n, int64_t now_ms, ranq_scale_note *note, void *user)
{
	for (size_t i = 0; i < state->n; i++) {
		struct ranq_scale_alloc *alloc = &state->allocs[i];
		bool joined = alloc->joined;
		see_bridges(alloc, driver, bridges, n, now_ms);
		if (alloc->ranks > state->ranks || (!joined && alloc->ranks))
			state->ranks = alloc->ranks;
		if (!joined && alloc->joined) {
			state->failures = 0;
			state->backoff_until_ms = 0;
			*state->trouble = '\0';
			say(note, user, "allocation %s has joined with %u ranks", alloc->job.id, alloc->ranks);
		}
	}
	state->foreign_ranks = 0;
	for (size_t i = 0; i < n; i++)
		if (!bridges[i].draining && !is_ours(state, driver, &bridges[i]))
			state->foreign_ranks += bridges[i].ranks;
}

/* ---- questions ---- */

size_t ranq_scale_state_count(const struct ranq_scale_state *state, enum ranq_scale_phase phase)
{
	size_t count = 0;
	for (size_t i = 0; i < state->n; i++)
		count += state->allocs[i].phase == phase;
	return count;
}

int64_t ranq_scale_state_committed(const struct ranq_scale_state *state, int64_t walltime_ms, int64_t now_ms)
{
	int64_t total_ms = state->spent_ms;
	for (size_t i = 0; i < state->n; i++) {
		const struct ranq_scale_alloc *alloc = &state->allocs[i];
		int64_t each_ms = walltime_ms;
		if (alloc->phase == RANQ_SCALE_LEAVING)
			each_ms = run_time(alloc, now_ms);
		else if (alloc->started_ms > 0 && alloc->job.end_ms > alloc->started_ms)
			each_ms = alloc->job.end_ms - alloc->started_ms;
		total_ms = add_cost(total_ms, alloc->job.nodes, each_ms);
	}
	for (size_t i = 0; i < state->ndoubts; i++)
		total_ms = add_cost(total_ms, state->doubts[i].nodes, walltime_ms);
	return total_ms;
}

size_t ranq_scale_state_submits_since(const struct ranq_scale_state *state, int64_t since_ms)
{
	size_t n = 0;
	while (n < state->nsubmits && state->submits_ms[state->nsubmits - 1 - n] > since_ms)
		n++;
	return n;
}

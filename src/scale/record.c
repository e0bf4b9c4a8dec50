/* record.c - the state of a scaler as text, a line a thing, in the record of the queue. Whoever may write to the queue
 * may have written it: nothing is taken that the scheduler's list would not correct or the policy's limits not bound.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scale/state.h"

#define FORM "ranq.scale/1"

enum { CANCELLED = 1, DRAINED = 2, JOINED = 4, REQUEUED = 8 };

static void pack_alloc(const struct ranq_scale_alloc *alloc, struct ranq_buf *text)
{
	const struct ranq_sched_job *job = &alloc->job;
	int flags = (alloc->cancelled ? CANCELLED : 0) | (alloc->drained ? DRAINED : 0) | (alloc->joined ? JOINED : 0) |
		    (alloc->requeued ? REQUEUED : 0);
	ranq_buf_printf(text,
		"alloc %s %s %d %d %d %u %u %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %s\n",
		job->id, *job->token ? job->token : "-", (int)alloc->phase, (int)job->state, (int)job->wait, job->nodes,
		alloc->ranks, flags, alloc->submitted_ms, alloc->started_ms, alloc->idle_since_ms, job->start_ms,
		job->end_ms, job->reason);
}

void ranq_scale_state_pack(const struct ranq_scale_state *state, struct ranq_buf *text)
{
	ranq_buf_printf(text, FORM "\nserial %" PRIu64 "\nspent %" PRId64 "\nneed %u\nranks %u\nlisted %" PRId64 "\n",
		state->serial, state->spent_ms, state->need, state->ranks, state->listed_ms);
	if (state->failures)
		ranq_buf_printf(
			text, "failed %u %" PRId64 " %s\n", state->failures, state->backoff_until_ms, state->trouble);
	for (size_t i = 0; i < state->nsubmits; i++)
		ranq_buf_printf(text, "submit %" PRId64 "\n", state->submits_ms[i]);
	for (size_t i = 0; i < state->ndoubts; i++)
		ranq_buf_printf(text, "doubt %s %" PRId64 " %u\n", state->doubts[i].token, state->doubts[i].at_ms,
			state->doubts[i].nodes);
	for (size_t i = 0; i < state->n; i++)
		pack_alloc(&state->allocs[i], text);
}

static bool time_ok(int64_t ms)
{
	return ms >= 0 && ms < INT64_C(1) << 50;
}

static void unpack_alloc(struct ranq_scale_state *state, const char *line)
{
	char id[RANQ_SCHED_ID_MAX + 1], token[RANQ_SCHED_TOKEN_MAX + 1];
	int phase, job_state, wait, flags, used = 0;
	unsigned nodes, ranks;
	int64_t submitted_ms, started_ms, idle_ms, start_ms, end_ms;
	if (sscanf(line, "%95s %23s %d %d %d %u %u %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %n",
		    id, token, &phase, &job_state, &wait, &nodes, &ranks, &flags, &submitted_ms, &started_ms, &idle_ms,
		    &start_ms, &end_ms, &used) != 13)
		return;
	if (!ranq_sched_id_ok(id) || phase < 0 || phase > RANQ_SCALE_LEAVING || job_state < 0 ||
		job_state > RANQ_SCHED_FAILED || wait < 0 || wait > RANQ_SCHED_NEVER || nodes < 1 || nodes > 1000000 ||
		ranks > 100000000 || !time_ok(submitted_ms) || !time_ok(started_ms) || !time_ok(idle_ms) ||
		!time_ok(start_ms) || !time_ok(end_ms))
		return;
	for (size_t i = 0; i < state->n; i++)
		if (strcmp(state->allocs[i].job.id, id) == 0)
			return;
	struct ranq_err ignored;
	if (ranq_scale_state_submitted(state, token, id, submitted_ms, &ignored))
		return;
	struct ranq_scale_alloc *alloc = &state->allocs[state->n - 1];
	struct ranq_sched_job *job = &alloc->job;
	if (strcmp(token, "-") == 0)
		*job->token = '\0';
	alloc->phase = (enum ranq_scale_phase)phase;
	job->state = (enum ranq_sched_state)job_state;
	job->wait = (enum ranq_sched_wait)wait;
	job->nodes = nodes;
	alloc->ranks = ranks;
	alloc->cancelled = flags & CANCELLED;
	alloc->drained = flags & DRAINED;
	alloc->joined = flags & JOINED;
	alloc->requeued = flags & REQUEUED;
	alloc->submitted_ms = submitted_ms;
	alloc->started_ms = started_ms;
	alloc->idle_since_ms = idle_ms;
	job->start_ms = start_ms;
	job->end_ms = end_ms;
	ranq_sched_text(job->reason, sizeof job->reason, line + used, strlen(line + used));
}

static void unpack_doubt(struct ranq_scale_state *state, const char *line)
{
	struct ranq_scale_doubt doubt;
	if (state->ndoubts < RANQ_SCALE_DOUBTS_MAX &&
		sscanf(line, "%23s %" SCNd64 " %u", doubt.token, &doubt.at_ms, &doubt.nodes) == 3 &&
		ranq_sched_id_ok(doubt.token) && time_ok(doubt.at_ms) && doubt.nodes >= 1 && doubt.nodes <= 1000000)
		state->doubts[state->ndoubts++] = doubt;
}

static void unpack_failure(struct ranq_scale_state *state, const char *line)
{
	unsigned failures;
	int64_t until_ms;
	int used = 0;
	if (sscanf(line, "%u %" SCNd64 " %n", &failures, &until_ms, &used) != 2 || !time_ok(until_ms))
		return;
	state->failures = failures < 1000 ? failures : 1000;
	state->backoff_until_ms = until_ms;
	ranq_sched_text(state->trouble, sizeof state->trouble, line + used, strlen(line + used));
}

static void unpack_submit(struct ranq_scale_state *state, const char *line)
{
	int64_t at_ms = strtoll(line, NULL, 10);
	bool in_order = !state->nsubmits || at_ms >= state->submits_ms[state->nsubmits - 1];
	if (state->nsubmits < RANQ_SCALE_SUBMITS_MAX && time_ok(at_ms) && in_order)
		state->submits_ms[state->nsubmits++] = at_ms;
}

static void unpack_line(struct ranq_scale_state *state, const char *word, const char *rest)
{
	int64_t number = strtoll(rest, NULL, 10);
	if (strcmp(word, "alloc") == 0)
		unpack_alloc(state, rest);
	else if (strcmp(word, "doubt") == 0)
		unpack_doubt(state, rest);
	else if (strcmp(word, "failed") == 0)
		unpack_failure(state, rest);
	else if (strcmp(word, "submit") == 0)
		unpack_submit(state, rest);
	else if (strcmp(word, "serial") == 0 && number >= 0)
		state->serial = (uint64_t)number;
	else if (strcmp(word, "spent") == 0 && number >= 0 && number < INT64_C(1) << 60)
		state->spent_ms = number;
	else if (strcmp(word, "listed") == 0 && time_ok(number))
		state->listed_ms = number;
	else if (strcmp(word, "need") == 0 && number >= 0 && number <= RANQ_SCALE_ALLOCS_MAX)
		state->need = (unsigned)number;
	else if (strcmp(word, "ranks") == 0 && number >= 0 && number <= 100000000)
		state->ranks = (unsigned)number;
}

void ranq_scale_state_unpack(struct ranq_scale_state *state, const char *text)
{
	ranq_scale_state_clear(state);
	if (strncmp(text, FORM "\n", sizeof FORM) != 0)
		return;
	while (*text) {
		char line[1024];
		size_t len = strcspn(text, "\n");
		if (len < sizeof line) {
			memcpy(line, text, len);
			line[len] = '\0';
			char *rest = line + strcspn(line, " ");
			if (*rest)
				*rest++ = '\0';
			unpack_line(state, line, rest);
		}
		text += len + (text[len] == '\n');
	}
}

/* Looking: jobs, queue, bridges, failures, audit, places. */
#include <string.h>

#include "queue/call.h"

static int read_info(const struct ranq_reply *r, struct ranq_job_info *info, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	uint64_t results;

	if (ranq_call_array(r, 34, err))
		return -1;
	memset(info, 0, sizeof *info);
	info->job = ranq_call_next(&in);
	ranq_call_next_text(&in, info->uuid, sizeof info->uuid);
	ranq_call_next_text(&in, info->name, sizeof info->name);
	ranq_call_next_text(&in, info->owner, sizeof info->owner);
	info->state = ranq_call_next_state(&in);
	ranq_call_next_text(&in, info->reason, sizeof info->reason);
	info->open = ranq_call_next_flag(&in);
	info->held = ranq_call_next_flag(&in);
	info->damaged = ranq_call_next_flag(&in);
	info->tasks = ranq_call_next(&in);
	info->next = ranq_call_next(&in);
	info->done = ranq_call_next(&in);
	info->leased = ranq_call_next(&in);
	info->returned = ranq_call_next(&in);
	for (int i = 0; i < 5; i++)
		info->counts[i] = ranq_call_next(&in);
	info->result_bytes = ranq_call_next(&in);
	info->result_items = ranq_call_next(&in);
	info->freed = ranq_call_next(&in);
	info->backlog = ranq_call_next(&in);
	info->elapsed_us = ranq_call_next(&in);
	info->stale = ranq_call_next(&in);
	info->requeued = ranq_call_next(&in);
	info->deaths = ranq_call_next(&in);
	info->round = ranq_call_next(&in);
	info->created_ms = (int64_t)ranq_call_next(&in);
	info->started_ms = (int64_t)ranq_call_next(&in);
	info->ended_ms = (int64_t)ranq_call_next(&in);
	info->priority = (int32_t)ranq_call_next_signed(&in);
	results = ranq_call_next(&in);
	info->workers = (unsigned)ranq_call_next(&in);
	if (in.failed || results > RANQ_RESULTS_NONE)
		return ranq_call_malformed(err);
	info->results = (enum ranq_results_mode)results;
	return 0;
}

int ranq_queue_info_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	ranq_call_begin(q, cmd, "info");
	ranq_call_u64(cmd, job);
	return 0;
}

int ranq_queue_info_parse(const struct ranq_reply *r, struct ranq_job_info *info, struct ranq_err *err)
{
	return read_info(r, info, err);
}

int ranq_queue_jobs_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t from, unsigned count)
{
	ranq_call_begin(q, cmd, "jobs");
	ranq_call_u64(cmd, from);
	ranq_call_u64(cmd, count < 1 ? 1 : count > 100 ? 100 : count);
	return 0;
}

int ranq_queue_jobs_parse(const struct ranq_reply *r, size_t i, struct ranq_job_info *info, struct ranq_err *err)
{
	return ranq_call_array(r, i + 1, err) ? -1 : read_info(ranq_reply_at(r, i), info, err);
}

int ranq_queue_watch_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *waiter)
{
	ranq_call_begin(q, cmd, "watch");
	ranq_call_u64(cmd, job);
	ranq_cmd_str(cmd, waiter);
	return 0;
}

int ranq_queue_stat_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd)
{
	ranq_call_begin(q, cmd, "stat");
	return 0;
}

int ranq_queue_stat_parse(const struct ranq_reply *r, struct ranq_queue_info *info, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 10, err))
		return -1;
	memset(info, 0, sizeof *info);
	info->exists = ranq_call_next_flag(&in);
	info->paused = ranq_call_next_flag(&in);
	info->lease_ms = (int64_t)ranq_call_next(&in);
	info->vt_ms = (int64_t)ranq_call_next(&in);
	info->jobs = ranq_call_next(&in);
	info->ready = ranq_call_next(&in);
	info->bridges = ranq_call_next(&in);
	info->ranks = ranq_call_next(&in);
	info->idle = ranq_call_next(&in);
	info->memory_bytes = ranq_call_next(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_bridges_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd)
{
	ranq_call_begin(q, cmd, "bridges");
	return 0;
}

int ranq_queue_bridges_parse(const struct ranq_reply *r, size_t i, struct ranq_bridge_info *info, struct ranq_err *err)
{
	struct ranq_call_reader in = {0};

	if (ranq_call_array(r, i + 1, err))
		return -1;
	in.array = ranq_reply_at(r, i);
	if (ranq_call_array(in.array, 16, err))
		return -1;
	memset(info, 0, sizeof *info);
	ranq_call_next_text(&in, info->id, sizeof info->id);
	ranq_call_next_text(&in, info->host, sizeof info->host);
	ranq_call_next_text(&in, info->allocation, sizeof info->allocation);
	ranq_call_next_text(&in, info->user, sizeof info->user);
	ranq_call_next_text(&in, info->version, sizeof info->version);
	ranq_call_next_text(&in, info->tags, sizeof info->tags);
	ranq_call_next_text(&in, info->binding, sizeof info->binding);
	info->ranks = (unsigned)ranq_call_next(&in);
	info->running = ranq_call_next(&in);
	info->done = ranq_call_next(&in);
	info->fragments = ranq_call_next(&in);
	info->joined_ms = (int64_t)ranq_call_next(&in);
	info->end_ms = (int64_t)ranq_call_next(&in);
	info->left_ms = ranq_call_next_signed(&in);
	info->idle = ranq_call_next_flag(&in);
	info->draining = ranq_call_next_flag(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_failures_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t from, unsigned count)
{
	ranq_call_begin(q, cmd, "failures");
	ranq_call_u64(cmd, job);
	ranq_call_u64(cmd, from);
	ranq_call_u64(cmd, count < RANQ_CALL_ITEMS_MAX ? count : RANQ_CALL_ITEMS_MAX);
	return 0;
}

int ranq_queue_failures_parse(
	const struct ranq_reply *r, size_t i, uint64_t *index, struct ranq_bytes *record, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r, .next = 2 * i};

	if (ranq_call_array(r, 2 * i + 2, err))
		return -1;
	*index = ranq_call_next(&in);
	*record = ranq_call_next_bytes(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_audit_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	ranq_call_begin(q, cmd, "audit");
	ranq_call_u64(cmd, job);
	return 0;
}

int ranq_queue_audit_parse(const struct ranq_reply *r, struct ranq_audit *audit, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 8, err))
		return -1;
	audit->tasks = ranq_call_next(&in);
	audit->done = ranq_call_next(&in);
	audit->leased = ranq_call_next(&in);
	audit->returned = ranq_call_next(&in);
	audit->remaining = ranq_call_next(&in);
	audit->overlaps = ranq_call_next(&in);
	audit->leased_ranges = ranq_call_next(&in);
	audit->returned_ranges = ranq_call_next(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_places_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	ranq_call_begin(q, cmd, "places");
	ranq_call_u64(cmd, job);
	return 0;
}

int ranq_queue_places_parse(const struct ranq_reply *r, size_t i, struct ranq_place *place, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r, .next = 5 * i};

	if (ranq_call_array(r, 5 * i + 5, err))
		return -1;
	memset(place, 0, sizeof *place);
	place->start = ranq_call_next(&in);
	place->end = ranq_call_next(&in);
	ranq_call_next_text(&in, place->bridge, sizeof place->bridge);
	place->deaths = (unsigned)ranq_call_next(&in);
	place->expiries = (unsigned)ranq_call_next(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

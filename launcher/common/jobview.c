/* jobview.c - see jobview.h. */
#include "common/jobview.h"

#include <stdio.h>

#include "record/segment.h"
#include "util/clock.h"

uint64_t ranq_jobview_failed(const struct ranq_job_info *info)
{
	return info->done >= info->counts[RANQ_TASK_OK] ? info->done - info->counts[RANQ_TASK_OK] : 0;
}

int ranq_jobview_status(const struct ranq_job_info *info)
{
	if (!ranq_job_state_is_final(info->state))
		return ranq_err_status(RANQ_ERR_UNFINISHED);
	return info->state == RANQ_JOB_COMPLETE ? 0 : ranq_err_status(RANQ_ERR_FAILED);
}

void ranq_jobview_held(const char *queue, const struct ranq_job_info *info, char *text, size_t size)
{
	char backlog[32];
	snprintf(text, size,
		"job '%s/%llu' is held: results unread (%s backlog full); read them with 'ranq results %s/%llu', or "
		"submit "
		"with --results none|count",
		queue, (unsigned long long)info->job, ranq_size_format(info->backlog, backlog), queue,
		(unsigned long long)info->job);
}

void ranq_jobview_outcome(const struct ranq_job_info *info, char *text, size_t size)
{
	uint64_t failed = ranq_jobview_failed(info);
	if (info->reason[0])
		snprintf(text, size, "%s", info->reason);
	else if (failed)
		snprintf(text, size, "%llu of %llu tasks failed", (unsigned long long)failed,
			(unsigned long long)info->tasks);
	else
		snprintf(text, size, "%llu of %llu tasks done", (unsigned long long)info->done,
			(unsigned long long)info->tasks);
}

void ranq_jobview_say_end(const struct ranq_command *command, const struct ranq_session *session,
	const struct ranq_job_info *info, bool hint)
{
	const char *job = ranq_cli_job_text(session, info->job);
	char outcome[512], see[RANQ_QUEUE_NAME_MAX + 64] = "";
	if (info->state == RANQ_JOB_COMPLETE)
		return;
	ranq_jobview_outcome(info, outcome, sizeof outcome);
	if (hint && ranq_jobview_failed(info))
		snprintf(see, sizeof see, "; see 'ranq tasks %s --state failed'", job);
	ranq_cli_say(command, "job %s ended %s: %s%s", job, ranq_job_state_name(info->state), outcome, see);
}

static void add_counts(struct ranq_json *json, const struct ranq_job_info *info)
{
	static const char *const names[RANQ_TASK_STATUS_COUNT] = {"ok", "error", "died", "timeout", "cancelled"};
	struct ranq_json *counts = ranq_json_object(NULL);
	for (int i = 0; i < RANQ_TASK_STATUS_COUNT; i++)
		ranq_json_uint(counts, names[i], info->counts[i]);
	ranq_json_member(json, "counts", counts);
}

static void add_times(struct ranq_json *json, const struct ranq_job_info *info)
{
	ranq_json_int(json, "created_ms", info->created_ms);
	if (info->started_ms)
		ranq_json_int(json, "started_ms", info->started_ms);
	if (info->ended_ms)
		ranq_json_int(json, "ended_ms", info->ended_ms);
	ranq_json_real(json, "task_seconds", (double)info->elapsed_us / 1e6);
}

struct ranq_json *ranq_jobview_json(
	const char *schema, const char *queue, const struct ranq_job_info *info, const char *waiting)
{
	static const char *const modes[] = {"keep", "count", "none"};
	char id[RANQ_QUEUE_NAME_MAX + 32];
	struct ranq_json *json = ranq_json_object(schema);
	snprintf(id, sizeof id, "%s/%llu", queue, (unsigned long long)info->job);
	ranq_json_str(json, "job", id);
	ranq_json_str(json, "uuid", info->uuid);
	ranq_json_str(json, "name", info->name[0] ? info->name : NULL);
	ranq_json_str(json, "owner", info->owner);
	ranq_json_str(json, "state", ranq_job_state_name(info->state));
	ranq_json_str(json, "reason", info->reason[0] ? info->reason : NULL);
	ranq_json_str(json, "waiting", waiting && waiting[0] ? waiting : NULL);
	ranq_json_bool(json, "open", info->open);
	ranq_json_bool(json, "held", info->held);
	ranq_json_bool(json, "damaged", info->damaged);
	ranq_json_uint(json, "tasks", info->tasks);
	ranq_json_uint(json, "done", info->done);
	ranq_json_uint(json, "failed", ranq_jobview_failed(info));
	ranq_json_uint(json, "leased", info->leased);
	ranq_json_uint(json, "running", info->leased); /* its old name */
	add_counts(json, info);
	ranq_json_int(json, "priority", info->priority);
	ranq_json_str(json, "results", (unsigned)info->results < 3 ? modes[info->results] : NULL);
	ranq_json_uint(json, "result_bytes", info->result_bytes);
	ranq_json_uint(json, "backlog_bytes", info->backlog);
	ranq_json_uint(json, "freed", info->freed);
	ranq_json_uint(json, "round", info->round);
	ranq_json_uint(json, "requeued", info->requeued);
	ranq_json_uint(json, "deaths", info->deaths);
	ranq_json_uint(json, "stale", info->stale);
	ranq_json_uint(json, "workers", info->workers);
	add_times(json, info);
	return json;
}

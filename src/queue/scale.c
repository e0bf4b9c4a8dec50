/* scale.c - see scale.h. */
#include "queue/scale.h"

#include <string.h>

#include "queue/call.h"

int ranq_queue_demand_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd)
{
	ranq_call_begin(q, cmd, "demand");
	return 0;
}

int ranq_queue_demand_parse(const struct ranq_reply *r, struct ranq_demand *demand, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 4, err))
		return -1;
	memset(demand, 0, sizeof *demand);
	demand->exists = ranq_call_next_flag(&in);
	demand->paused = ranq_call_next_flag(&in);
	demand->lease_ms = (int64_t)ranq_call_next(&in);
	demand->ready = ranq_call_next(&in);
	while (in.next < ranq_reply_count(r) && demand->n < RANQ_DEMAND_JOBS_MAX && !in.failed) {
		struct ranq_demand_job *job = &demand->jobs[demand->n++];

		job->job = ranq_call_next(&in);
		job->tasks = ranq_call_next(&in);
		job->done = ranq_call_next(&in);
		job->leased = ranq_call_next(&in);
		job->waiting = ranq_call_next(&in);
		job->elapsed_us = ranq_call_next(&in);
		job->time_request_ms = (int64_t)ranq_call_next(&in);
		ranq_call_next_text(&in, job->tags, sizeof job->tags);
	}
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_scale_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, unsigned lines)
{
	ranq_call_begin(q, cmd, "scale_get");
	ranq_call_u64(cmd, lines);
	return 0;
}

int ranq_queue_scale_get_parse(const struct ranq_reply *r, struct ranq_scale_record *record, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	uint64_t fields;

	if (ranq_call_array(r, 4, err))
		return -1;
	memset(record, 0, sizeof *record);
	record->exists = ranq_call_next_flag(&in);
	record->left_ms = ranq_call_next_signed(&in);
	ranq_call_next_text(&in, record->who, sizeof record->who);
	fields = ranq_call_next(&in);
	if (in.failed || fields > (ranq_reply_count(r) - 4) / 2)
		return ranq_call_malformed(err);
	while (in.next < ranq_reply_count(r) && !in.failed)
		ranq_call_next_bytes(&in);
	if (in.failed)
		return ranq_call_malformed(err);
	record->nfields = fields;
	record->nlines = ranq_reply_count(r) - 4 - 2 * fields;
	return 0;
}

void ranq_queue_scale_field(const struct ranq_reply *r, size_t i, struct ranq_bytes *name, struct ranq_bytes *value)
{
	*name = ranq_reply_bytes(ranq_reply_at(r, 4 + 2 * i));
	*value = ranq_reply_bytes(ranq_reply_at(r, 5 + 2 * i));
}

struct ranq_bytes ranq_queue_scale_line(const struct ranq_reply *r, const struct ranq_scale_record *record, size_t i)
{
	return ranq_reply_bytes(ranq_reply_at(r, 4 + 2 * record->nfields + i));
}

int ranq_queue_scale_hold_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const char *holder, int64_t ms, const char *who)
{
	ranq_call_begin(q, cmd, "scale_hold");
	ranq_cmd_str(cmd, holder);
	ranq_call_u64(cmd, (uint64_t)ms);
	ranq_cmd_str(cmd, who);
	return 0;
}

int ranq_queue_scale_hold_parse(
	const struct ranq_reply *r, bool *held, struct ranq_scale_record *other, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 3, err))
		return -1;
	memset(other, 0, sizeof *other);
	*held = ranq_call_next_flag(&in);
	other->left_ms = ranq_call_next_signed(&in);
	ranq_call_next_text(&in, other->who, sizeof other->who);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_scale_set_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *holder, size_t n)
{
	ranq_call_begin(q, cmd, "scale_set");
	ranq_cmd_str(cmd, holder);
	ranq_call_u64(cmd, n);
	return 0;
}

void ranq_queue_scale_set_field(struct ranq_cmd *cmd, const char *name, const char *value)
{
	ranq_cmd_str(cmd, name);
	ranq_cmd_str(cmd, value);
}

int ranq_queue_scale_end_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *holder)
{
	ranq_call_begin(q, cmd, "scale_end");
	ranq_cmd_str(cmd, holder);
	return 0;
}

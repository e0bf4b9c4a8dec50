/* Submission: staging of input and blobs, the job itself, batches of a streamed job. */
#include <string.h>

#include "queue/call.h"
#include "record/offload.h"

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

int ranq_queue_stage_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *uuid, uint64_t first,
	const void *block, size_t len)
{
	ranq_call_begin(q, cmd, "stage");
	ranq_cmd_str(cmd, uuid);
	ranq_call_u64(cmd, first);
	ranq_cmd_bytes(cmd, block, len);
	return 0;
}

int ranq_queue_stage_parse(const struct ranq_reply *r, struct ranq_err *err)
{
	uint64_t ignored;

	return ranq_call_number(r, &ignored, err);
}

int ranq_queue_argument_put_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *uuid, uint64_t job, const char *hash,
	uint64_t slice, uint64_t total_bytes, const void *data, size_t len)
{
	ranq_call_begin(q, cmd, "argument_put");
	ranq_cmd_str(cmd, uuid);
	ranq_call_u64(cmd, job);
	ranq_cmd_str(cmd, hash);
	ranq_call_u64(cmd, slice);
	ranq_call_u64(cmd, total_bytes);
	ranq_cmd_bytes(cmd, data, len);
	return 0;
}

int ranq_queue_argument_put_parse(const struct ranq_reply *r, struct ranq_err *err)
{
	uint64_t ignored;

	return ranq_call_number(r, &ignored, err);
}

int ranq_queue_argument_get_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *hash, uint64_t slice)
{
	ranq_call_begin(q, cmd, "argument_get");
	ranq_call_u64(cmd, job);
	ranq_cmd_str(cmd, hash);
	ranq_call_u64(cmd, slice);
	return 0;
}

int ranq_queue_argument_get_parse(const struct ranq_reply *r, struct ranq_bytes *data, struct ranq_err *err)
{
	return ranq_queue_blob_get_parse(r, data, err);
}

int ranq_queue_blob_put_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *hash, uint64_t part,
	uint64_t total_bytes, const void *data, size_t len)
{
	ranq_call_begin(q, cmd, "blob_put");
	ranq_cmd_str(cmd, hash);
	ranq_call_u64(cmd, part);
	ranq_call_u64(cmd, total_bytes);
	ranq_cmd_bytes(cmd, data, len);
	return 0;
}

int ranq_queue_blob_put_parse(const struct ranq_reply *r, bool *have_all, struct ranq_err *err)
{
	uint64_t value;

	if (ranq_call_number(r, &value, err))
		return -1;
	*have_all = value == 1;
	return 0;
}

int ranq_queue_blob_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *hash, uint64_t part)
{
	ranq_call_begin(q, cmd, "blob_get");
	ranq_cmd_str(cmd, hash);
	ranq_call_u64(cmd, part);
	return 0;
}

int ranq_queue_blob_get_parse(const struct ranq_reply *r, struct ranq_bytes *data, struct ranq_err *err)
{
	if (!r || ranq_reply_type(r) != RANQ_REPLY_STRING)
		return ranq_call_error(r, err);
	*data = ranq_reply_bytes(r);
	return 0;
}

static void add_wishes(const struct ranq_queue *q, struct ranq_cmd *cmd)
{
	ranq_cmd_int(cmd, q->lease_asked);
	ranq_call_u64(cmd, q->result_limit);
}

static void add_policy(struct ranq_cmd *cmd, const struct ranq_spec *spec)
{
	ranq_cmd_int(cmd, spec->results);
	ranq_call_u64(cmd, spec->backlog);
	ranq_call_u64(cmd, spec->max_output);
	ranq_call_u64(cmd, spec->max_deaths);
	ranq_call_u64(cmd, spec->max_fails);
	ranq_cmd_int(cmd, (spec->on_error == RANQ_ON_ERROR_STOP) + 2 * spec->sticky);
	ranq_cmd_int(cmd, spec->priority);
	ranq_call_u64(cmd, spec->time_request_ms);
	ranq_call_u64(cmd, spec->ttl_ms);
	ranq_cmd_str(cmd, text_or_empty(spec->require));
}

static int check(const struct ranq_submit *s, struct ranq_err *err)
{
	const struct ranq_spec *spec = s->spec;

	if (s->tasks >= RANQ_TASKS_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "too many tasks: at most 2^53 - 1");
	if (!s->tasks && !s->open)
		return ranq_err_set(err, RANQ_ERR_INPUT, "a job needs at least one task");
	if (s->nafter > RANQ_SUBMIT_AFTER_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "a job can wait for %d jobs at most", RANQ_SUBMIT_AFTER_MAX);
	if (spec->priority < -RANQ_PRIORITY_MAX || spec->priority > RANQ_PRIORITY_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "priority %d is not between -%d and %d", (int)spec->priority,
			RANQ_PRIORITY_MAX, RANQ_PRIORITY_MAX);
	if (spec->backlog >= RANQ_TASKS_MAX || spec->max_output >= RANQ_TASKS_MAX ||
		spec->time_request_ms >= RANQ_TASKS_MAX || spec->ttl_ms >= RANQ_TASKS_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "a size or duration of the job is absurd");
	return 0;
}

int ranq_queue_submit_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const struct ranq_submit *s, struct ranq_err *err)
{
	struct ranq_buf packed;

	if (check(s, err))
		return -1;
	ranq_buf_init(&packed, RANQ_SPEC_MAX_BYTES);
	if (ranq_spec_pack(s->spec, &packed, err)) {
		ranq_buf_clear(&packed);
		return -1;
	}
	ranq_call_begin(q, cmd, "submit");
	add_wishes(q, cmd);
	ranq_cmd_str(cmd, s->uuid);
	ranq_call_u64(cmd, s->tasks);
	ranq_cmd_int(cmd, s->open);
	ranq_cmd_int(cmd, s->staged);
	ranq_cmd_bytes(cmd, packed.data, packed.len);
	ranq_buf_clear(&packed);
	ranq_cmd_str(cmd, text_or_empty(s->spec->name));
	ranq_cmd_str(cmd, text_or_empty(s->spec->owner));
	ranq_cmd_str(cmd, text_or_empty(s->spec->module_hash));
	ranq_cmd_str(cmd, text_or_empty(s->spec->data_hash));
	add_policy(cmd, s->spec);
	if (ranq_offload_wanted(s->spec))
		ranq_cmd_str(cmd, s->spec->offload);
	for (size_t i = 0; i < s->nafter; i++)
		ranq_call_u64(cmd, s->after[i]);
	if (s->reader)
		ranq_cmd_str(cmd, s->reader);
	return 0;
}

int ranq_queue_submit_parse(const struct ranq_reply *r, uint64_t *job, bool *existed, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 2, err))
		return -1;
	*job = ranq_call_next(&in);
	*existed = ranq_call_next_flag(&in);
	return in.failed || !*job ? ranq_call_malformed(err) : 0;
}

int ranq_queue_append_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *uuid,
	uint64_t batch, uint64_t count, const struct ranq_bytes *blocks, const uint64_t *block_counts, size_t nblocks)
{
	ranq_call_begin(q, cmd, "append");
	ranq_call_u64(cmd, job);
	ranq_cmd_str(cmd, uuid);
	ranq_call_u64(cmd, batch);
	ranq_call_u64(cmd, count);
	for (size_t i = 0; i < nblocks; i++) {
		ranq_cmd_bytes(cmd, blocks[i].data, blocks[i].len);
		ranq_call_u64(cmd, block_counts[i]);
	}
	return 0;
}

int ranq_queue_append_parse(const struct ranq_reply *r, uint64_t *tasks, bool *held, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 2, err))
		return -1;
	*tasks = ranq_call_next(&in);
	*held = ranq_call_next_flag(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_close_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *uuid,
	uint64_t batches, const char *reason)
{
	size_t len = strlen(text_or_empty(reason));

	ranq_call_begin(q, cmd, "close");
	ranq_call_u64(cmd, job);
	ranq_cmd_str(cmd, uuid);
	ranq_call_u64(cmd, batches);
	ranq_cmd_bytes(cmd, text_or_empty(reason), len < RANQ_REASON_MAX ? len : RANQ_REASON_MAX);
	return 0;
}

int ranq_queue_close_parse(const struct ranq_reply *r, struct ranq_err *err)
{
	uint64_t ignored;

	return ranq_call_number(r, &ignored, err);
}

/* Results that are too large to travel whole: their slices. */
#include "queue/call.h"

int ranq_queue_slice_put_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t task, const char *name,
	uint64_t slice, uint64_t total_bytes, const void *data, size_t len)
{
	ranq_call_begin(q, cmd, "slice_put");
	ranq_call_u64(cmd, job);
	ranq_call_u64(cmd, task);
	ranq_cmd_str(cmd, name);
	ranq_call_u64(cmd, slice);
	ranq_call_u64(cmd, total_bytes);
	ranq_cmd_bytes(cmd, data, len);
	return 0;
}

int ranq_queue_slice_put_parse(const struct ranq_reply *r, struct ranq_err *err)
{
	uint64_t value;

	return ranq_call_number(r, &value, err);
}

int ranq_queue_slice_get_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *name, uint64_t slice)
{
	ranq_call_begin(q, cmd, "slice_get");
	ranq_call_u64(cmd, job);
	ranq_cmd_str(cmd, name);
	ranq_call_u64(cmd, slice);
	return 0;
}

int ranq_queue_slice_get_parse(const struct ranq_reply *r, struct ranq_bytes *data, struct ranq_err *err)
{
	if (!r || ranq_reply_type(r) != RANQ_REPLY_STRING)
		return ranq_call_error(r, err);
	*data = ranq_reply_bytes(r);
	return 0;
}

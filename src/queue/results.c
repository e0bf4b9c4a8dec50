/* Results: readers, rounds, the consumer; and control of jobs and queues. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "queue/call.h"

int ranq_queue_fetch_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const struct ranq_fetch *f)
{
	ranq_call_begin(q, cmd, "fetch");
	ranq_call_u64(cmd, f->job);
	ranq_cmd_int(cmd, f->unordered);
	ranq_call_u64(cmd, f->from);
	ranq_call_u64(cmd, f->max_bytes);
	ranq_call_u64(cmd, f->max_items < 1 ? 1 : f->max_items > RANQ_FETCH_ITEMS_MAX ? RANQ_FETCH_ITEMS_MAX : f->max_items);
	ranq_cmd_str(cmd, f->waiter ? f->waiter : "");
	return 0;
}

int ranq_queue_fetch_parse(const struct ranq_reply *r, struct ranq_fetch_reply *out, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	uint64_t n;

	if (ranq_call_array(r, 9, err))
		return -1;
	out->state = ranq_call_next_state(&in);
	out->held = ranq_call_next_flag(&in);
	out->finished = ranq_call_next_flag(&in);
	out->tasks = ranq_call_next(&in);
	out->done = ranq_call_next(&in);
	out->failed = ranq_call_next(&in);
	out->freed_to = ranq_call_next(&in);
	out->cursor = ranq_call_next(&in);
	n = ranq_call_next(&in);
	if (in.failed || n > RANQ_FETCH_ITEMS_MAX || ranq_reply_count(r) != 9 + 4 * n)
		return ranq_call_malformed(err);
	for (out->n = 0; out->n < n; out->n++) {
		uint64_t start = ranq_call_next(&in), end = ranq_call_next(&in), freed = ranq_call_next(&in);

		out->items[out->n].start = start;
		out->items[out->n].end = end;
		out->items[out->n].freed = freed == 1;
		out->items[out->n].apart = freed == 2;
		out->items[out->n].item = ranq_call_next_bytes(&in);
		if (end <= start || end > RANQ_TASKS_MAX)
			return ranq_call_malformed(err);
	}
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_overlay_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t start, uint64_t end)
{
	ranq_call_begin(q, cmd, "overlay");
	ranq_call_u64(cmd, job);
	ranq_call_u64(cmd, start);
	ranq_call_u64(cmd, end);
	return 0;
}

int ranq_queue_overlay_parse(const struct ranq_reply *r, size_t i, uint64_t *start, uint64_t *end,
	struct ranq_bytes *item, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r, .next = 3 * i};

	if (ranq_call_array(r, 3 * i + 3, err))
		return -1;
	*start = ranq_call_next(&in);
	*end = ranq_call_next(&in);
	*item = ranq_call_next_bytes(&in);
	return in.failed || *end <= *start ? ranq_call_malformed(err) : 0;
}

int ranq_queue_consumer_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	ranq_call_begin(q, cmd, "consumer");
	ranq_call_u64(cmd, job);
	return 0;
}

int ranq_queue_attach_consumer_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *client)
{
	ranq_call_begin(q, cmd, "attach_consumer");
	ranq_call_u64(cmd, job);
	ranq_cmd_str(cmd, client);
	return 0;
}

int ranq_queue_attach_consumer_parse(
	const struct ranq_reply *r, uint64_t *epoch, uint64_t *acked_to, struct ranq_bytes *state, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 3, err))
		return -1;
	*epoch = ranq_call_next(&in);
	*acked_to = ranq_call_next(&in);
	*state = ranq_call_next_bytes(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_ack_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t epoch,
	const struct ranq_bytes *state, const uint64_t (*ranges)[2], size_t n)
{
	ranq_call_begin(q, cmd, "ack");
	ranq_call_u64(cmd, job);
	ranq_call_u64(cmd, epoch);
	ranq_cmd_int(cmd, state != NULL);
	ranq_cmd_bytes(cmd, state && state->len ? state->data : "", state ? state->len : 0);
	for (size_t i = 0; i < n; i++) {
		ranq_call_u64(cmd, ranges[i][0]);
		ranq_call_u64(cmd, ranges[i][1]);
	}
	return n <= RANQ_CALL_ITEMS_MAX ? 0 : -1;
}

int ranq_queue_ack_parse(const struct ranq_reply *r, bool *more, struct ranq_err *err)
{
	uint64_t value;

	if (ranq_call_number(r, &value, err))
		return -1;
	*more = value == 1;
	return 0;
}

/* ---- control
 * ---------------------------------------------------------------------------------------------------------- */

int ranq_queue_cancel_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *reason)
{
	size_t len = reason ? strlen(reason) : 0;

	ranq_call_begin(q, cmd, "cancel");
	ranq_call_u64(cmd, job);
	ranq_cmd_bytes(cmd, reason ? reason : "", len < RANQ_REASON_MAX ? len : RANQ_REASON_MAX);
	return 0;
}

int ranq_queue_retry_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, bool failed_only, const uint64_t *tasks, size_t n)
{
	ranq_call_begin(q, cmd, "retry");
	ranq_call_u64(cmd, job);
	ranq_cmd_int(cmd, failed_only);
	for (size_t i = 0; i < n; i++)
		ranq_call_u64(cmd, tasks[i]);
	return 0;
}

int ranq_queue_remove_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	ranq_call_begin(q, cmd, "remove");
	ranq_call_u64(cmd, job);
	return 0;
}

int ranq_queue_pause_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, bool pause)
{
	ranq_call_begin(q, cmd, "pause");
	ranq_cmd_int(cmd, pause);
	return 0;
}

int ranq_queue_drain_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge)
{
	ranq_call_begin(q, cmd, "drain");
	ranq_cmd_str(cmd, bridge);
	return 0;
}

int ranq_queue_destroy_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd)
{
	ranq_call_begin(q, cmd, "destroy");
	return 0;
}

int ranq_queue_control_parse(const struct ranq_reply *r, uint64_t *n, bool *more, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 2, err))
		return -1;
	*n = ranq_call_next(&in);
	*more = ranq_call_next_flag(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

/* ---- files of removed jobs --------------------------------------------------------------------------------------------- */
int ranq_queue_files_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t first)
{
	ranq_call_begin(q, cmd, "files");
	ranq_call_u64(cmd, first);
	ranq_call_u64(cmd, RANQ_FILES_PAGE);
	return 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int ranq_queue_files_parse(const struct ranq_reply *r, size_t i, struct ranq_spec *spec, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r, .next = i};
	struct ranq_bytes entry;

	if (ranq_call_array(r, i + 1, err))
		return -1;
	entry = ranq_call_next_bytes(&in);
	const char *text = (const char *)entry.data;
	if (in.failed || entry.len <= RANQ_ID_LEN || entry.len - RANQ_ID_LEN >= PATH_MAX || text[RANQ_ID_LEN] != '/' ||
		memchr(text, 0, entry.len))
		return ranq_call_malformed(err);
	for (size_t k = 0; k < sizeof spec->uuid; k++) {
		int high = hex_digit(text[2 * k]), low = hex_digit(text[2 * k + 1]);
		if (high < 0 || low < 0)
			return ranq_call_malformed(err);
		spec->uuid[k] = (unsigned char)(16 * high + low);
	}
	free(spec->offload);
	spec->offload = strndup(text + RANQ_ID_LEN, entry.len - RANQ_ID_LEN);
	return spec->offload ? 0 : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
}

int ranq_queue_files_gone_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const struct ranq_reply *r, const bool *gone)
{
	ranq_call_begin(q, cmd, "files_gone");
	for (size_t i = 0; i < ranq_reply_count(r); i++) {
		struct ranq_bytes entry = ranq_reply_bytes(ranq_reply_at(r, i));
		if (gone[i])
			ranq_cmd_bytes(cmd, entry.data, entry.len);
	}
	return 0;
}

int ranq_queue_files_gone_parse(const struct ranq_reply *r, struct ranq_err *err)
{
	uint64_t ignored;

	return ranq_call_number(r, &ignored, err);
}

/* What bridges call, commits apart: join, lease, job records, release, beat, resync, leave, bells. */
#include <stdio.h>
#include <string.h>

#include "queue/call.h"

int ranq_queue_join_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const struct ranq_bridge_meta *meta)
{
	const char *texts[] = {meta->host, meta->allocation, meta->user, meta->version, meta->tags, meta->binding};

	ranq_call_begin(q, cmd, "join");
	ranq_cmd_int(cmd, q->lease_asked);
	ranq_call_u64(cmd, q->result_limit);
	ranq_cmd_str(cmd, bridge);
	ranq_call_u64(cmd, meta->ranks);
	ranq_cmd_int(cmd, meta->end_ms > 0 ? meta->end_ms : 0);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		size_t len = texts[i] ? strlen(texts[i]) : 0;

		ranq_cmd_bytes(cmd, texts[i] ? texts[i] : "", len < RANQ_META_MAX ? len : RANQ_META_MAX);
	}
	return 0;
}

int ranq_queue_join_parse(const struct ranq_reply *r, int64_t *lease_ms, struct ranq_err *err)
{
	uint64_t value;

	if (ranq_call_number(r, &value, err))
		return -1;
	if (!value || value >= RANQ_TASKS_MAX)
		return ranq_call_malformed(err);
	*lease_ms = (int64_t)value;
	return 0;
}

int ranq_queue_lease_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, uint64_t seq,
	uint64_t want, unsigned max_ranges, unsigned flags, int64_t time_left_ms, const char *tags)
{
	char list[RANQ_META_MAX + 3];
	unsigned most = sizeof((struct ranq_lease_reply *)NULL)->ranges / sizeof(struct ranq_range);

	ranq_call_begin(q, cmd, flags & RANQ_LEASE_RETURNED_ONLY ? "lease_returned" : "lease");
	ranq_cmd_str(cmd, bridge);
	ranq_call_u64(cmd, seq);
	ranq_call_u64(cmd, want < RANQ_TASKS_MAX ? want : RANQ_TASKS_MAX - 1);
	ranq_call_u64(cmd, max_ranges < most ? max_ranges : most);
	ranq_call_u64(cmd, flags);
	ranq_cmd_int(cmd, time_left_ms < 0 ? -1 : time_left_ms);
	snprintf(list, sizeof list, ",%.*s,", RANQ_META_MAX, tags ? tags : "");
	ranq_cmd_str(cmd, list);
	return 0;
}

static int read_range(struct ranq_call_reader *in, uint64_t seq, struct ranq_range *range)
{
	uint64_t flags;

	range->job = ranq_call_next(in);
	range->start = ranq_call_next(in);
	range->end = ranq_call_next(in);
	range->seq = seq;
	range->deaths = (unsigned)ranq_call_next(in);
	range->expiries = (unsigned)ranq_call_next(in);
	flags = ranq_call_next(in);
	range->suspect = flags & 1;
	range->waited = flags & 2;
	return in->failed || !range->job || range->end <= range->start || range->end > RANQ_TASKS_MAX ? -1 : 0;
}

int ranq_queue_lease_parse(const struct ranq_reply *r, struct ranq_lease_reply *out, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	uint64_t seq, n, idle;
	size_t at;

	if (ranq_call_array(r, 5, err))
		return -1;
	memset(out, 0, sizeof *out);
	out->paused = ranq_call_next_flag(&in);
	out->drain = ranq_call_next_flag(&in);
	idle = ranq_call_next(&in);
	out->idle = idle > 0;
	out->elsewhere = idle == 2;
	seq = ranq_call_next(&in);
	n = ranq_call_next(&in);
	if (in.failed || idle > 2 || n > sizeof out->ranges / sizeof *out->ranges || ranq_reply_count(r) < 5 + 6 * n)
		return ranq_call_malformed(err);
	for (; out->n < n; out->n++)
		if (read_range(&in, seq, &out->ranges[out->n]))
			return ranq_call_malformed(err);
	if (ranq_reply_count(r) > 5 + 6 * n)
		out->bridges = ranq_call_next(&in);
	at = 6 + 6 * n;
	out->left = UINT64_MAX;
	if (ranq_reply_count(r) > at && ranq_reply_type(ranq_reply_at(r, at)) == RANQ_REPLY_INT) {
		uint64_t left = ranq_call_next(&in);

		out->left = left < RANQ_TASKS_MAX ? left : UINT64_MAX;
		at++;
	}
	if (n > 0 && ranq_reply_count(r) > at)
		out->record = ranq_call_next_bytes(&in);
	if (n > 0 && ranq_reply_count(r) > at + 2) {
		out->input_first = ranq_call_next(&in);
		out->input = ranq_call_next_bytes(&in);
	}
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_spec_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	ranq_call_begin(q, cmd, "spec");
	ranq_call_u64(cmd, job);
	return 0;
}

int ranq_queue_spec_parse(
	const struct ranq_reply *r, struct ranq_bytes *spec, enum ranq_job_state *state, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};

	if (ranq_call_array(r, 2, err))
		return -1;
	*spec = ranq_call_next_bytes(&in);
	*state = ranq_call_next_state(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_input_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t start, uint64_t end, size_t max_bytes)
{
	ranq_call_begin(q, cmd, "input");
	ranq_call_u64(cmd, job);
	ranq_call_u64(cmd, start);
	ranq_call_u64(cmd, end);
	ranq_call_u64(cmd, max_bytes);
	return 0;
}

int ranq_queue_input_parse(const struct ranq_reply *r, struct ranq_input_reply *out, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	size_t n;

	if (ranq_call_array(r, 2, err))
		return -1;
	n = ranq_reply_count(r) / 2;
	if (n > sizeof out->blocks / sizeof *out->blocks || ranq_reply_count(r) % 2)
		return ranq_call_malformed(err);
	for (out->n = 0; out->n < n; out->n++) {
		out->blocks[out->n].first = ranq_call_next(&in);
		out->blocks[out->n].block = ranq_call_next_bytes(&in);
	}
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_release_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const struct ranq_fragment *f, size_t n)
{
	ranq_call_begin(q, cmd, "release");
	ranq_cmd_str(cmd, bridge);
	for (size_t i = 0; i < n; i++) {
		ranq_call_u64(cmd, f[i].job);
		ranq_call_u64(cmd, f[i].at);
		ranq_call_u64(cmd, f[i].seq);
		ranq_call_u64(cmd, f[i].start);
		ranq_call_u64(cmd, f[i].end);
		ranq_cmd_int(cmd, f[i].kind == RANQ_RELEASE_SUSPECT);
	}
	return 0;
}

int ranq_queue_release_parse(const struct ranq_reply *r, struct ranq_err *err)
{
	uint64_t ignored;

	return ranq_call_number(r, &ignored, err);
}

int ranq_queue_amend_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, unsigned ranks, int64_t end_ms)
{
	ranq_call_begin(q, cmd, "amend");
	ranq_cmd_str(cmd, bridge);
	ranq_call_u64(cmd, ranks);
	ranq_cmd_int(cmd, end_ms > 0 ? end_ms : 0);
	return 0;
}

int ranq_queue_amend_parse(const struct ranq_reply *r, struct ranq_err *err)
{
	uint64_t ignored;

	return ranq_call_number(r, &ignored, err);
}

int ranq_queue_beat_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const uint64_t *jobs,
	size_t njobs, uint64_t running, uint64_t done)
{
	ranq_call_begin(q, cmd, "beat");
	ranq_cmd_str(cmd, bridge);
	ranq_call_u64(cmd, running);
	ranq_call_u64(cmd, done);
	for (size_t i = 0; i < njobs && i < RANQ_CALL_ITEMS_MAX; i++)
		ranq_call_u64(cmd, jobs[i]);
	return 0;
}

int ranq_queue_beat_parse(const struct ranq_reply *r, struct ranq_beat_reply *out, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	uint64_t n;

	if (ranq_call_array(r, 3, err))
		return -1;
	memset(out, 0, sizeof *out);
	out->drain = ranq_call_next_flag(&in);
	out->paused = ranq_call_next_flag(&in);
	n = ranq_call_next(&in);
	if (n > RANQ_CALL_ITEMS_MAX)
		return ranq_call_malformed(err);
	for (; out->nstopped < n; out->nstopped++)
		out->stopped[out->nstopped] = ranq_call_next(&in);
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_resync_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge,
	const struct ranq_fragment *list, const struct ranq_resync_page *page)
{
	char window[4 * 21];

	if (page->n > RANQ_CALL_ITEMS_MAX)
		return -1;
	ranq_call_begin(q, cmd, "resync");
	ranq_cmd_str(cmd, bridge);
	for (size_t i = page->first; i < page->first + page->n; i++) {
		ranq_call_u64(cmd, list[i].job);
		ranq_call_u64(cmd, list[i].start);
		ranq_call_u64(cmd, list[i].end);
		ranq_call_u64(cmd, list[i].seq);
	}
	if (page->first == 0 && page->last)
		return 0; /* all there is */
	snprintf(window, sizeof window, "%llu:%llu:%llu:%llu", (unsigned long long)page->from_job,
		(unsigned long long)page->from, (unsigned long long)page->to_job, (unsigned long long)page->to);
	ranq_cmd_str(cmd, window);
	return 0;
}

int ranq_queue_resync_parse(
	const struct ranq_reply *r, size_t *ngone, size_t gone[RANQ_CALL_ITEMS_MAX], struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	uint64_t n;

	if (ranq_call_array(r, 1, err))
		return -1;
	n = ranq_call_next(&in);
	if (n > RANQ_CALL_ITEMS_MAX)
		return ranq_call_malformed(err);
	for (*ngone = 0; *ngone < n; ++*ngone) {
		gone[*ngone] = (size_t)ranq_call_next(&in);
		if (gone[*ngone] >= RANQ_CALL_ITEMS_MAX)
			return ranq_call_malformed(err);
	}
	return in.failed ? ranq_call_malformed(err) : 0;
}

int ranq_queue_leave_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge)
{
	ranq_call_begin(q, cmd, "leave");
	ranq_cmd_str(cmd, bridge);
	return 0;
}

int ranq_queue_leave_parse(const struct ranq_reply *r, bool *more, struct ranq_err *err)
{
	uint64_t value;

	if (ranq_call_number(r, &value, err))
		return -1;
	*more = value == 1;
	return 0;
}

int ranq_queue_dead_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge,
	const struct ranq_task_name *blamed, size_t n)
{
	if (n > RANQ_CALL_ITEMS_MAX / 2)
		return -1;
	ranq_call_begin(q, cmd, "dead");
	ranq_cmd_str(cmd, bridge);
	for (size_t i = 0; i < n; i++) {
		ranq_call_u64(cmd, blamed[i].job);
		ranq_call_u64(cmd, blamed[i].index);
	}
	return 0;
}

/* ---- bells
 * ------------------------------------------------------------------------------------------------------------ */

static void bell_key(const struct ranq_queue *q, const char *id, char key[RANQ_QUEUE_NAME_MAX + 64])
{
	snprintf(key, RANQ_QUEUE_NAME_MAX + 64, "%sbell:%.*s", q->base, RANQ_ID_LEN, id);
}

void ranq_queue_bell_cmd(
	struct ranq_cmd *cmd, const struct ranq_queue *const *queues, size_t n, const char *id, double timeout_s)
{
	char key[RANQ_QUEUE_NAME_MAX + 64];

	ranq_cmd_reset(cmd);
	ranq_cmd_str(cmd, "BLPOP");
	for (size_t i = 0; i < n; i++) {
		bell_key(queues[i], id, key);
		ranq_cmd_str(cmd, key);
	}
	/* Servers before 6.0 take whole seconds only; 0 would mean for ever. */
	snprintf(key, sizeof key, "%.3f", timeout_s > 0.001 ? timeout_s : 0.001);
	ranq_cmd_str(cmd, key);
}

int ranq_queue_bell_parse(const struct ranq_reply *r, const struct ranq_queue *const *queues, size_t n, int *which,
	struct ranq_bytes *text, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	struct ranq_bytes key;

	*which = -1;
	*text = (struct ranq_bytes){"", 0};
	if (r && ranq_reply_type(r) == RANQ_REPLY_NIL)
		return 0;
	if (ranq_call_array(r, 2, err))
		return -1;
	key = ranq_call_next_bytes(&in);
	*text = ranq_call_next_bytes(&in);
	if (in.failed)
		return ranq_call_malformed(err);
	for (size_t i = 0; i < n && *which < 0; i++)
		if (key.len > strlen(queues[i]->base) && !memcmp(key.data, queues[i]->base, strlen(queues[i]->base)))
			*which = (int)i;
	return *which < 0 ? ranq_call_malformed(err) : 0;
}

void ranq_queue_bell_drop_cmd(struct ranq_cmd *cmd, const struct ranq_queue *q, const char *id)
{
	char key[RANQ_QUEUE_NAME_MAX + 64];

	bell_key(q, id, key);
	ranq_cmd_reset(cmd);
	ranq_cmd_str(cmd, "UNLINK");
	ranq_cmd_str(cmd, key);
}

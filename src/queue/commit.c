/* The commit of many items in one call. */
#include <stdio.h>
#include <string.h>

#include "queue/call.h"
#include "record/segment.h"

int ranq_queue_commit_begin(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge)
{
	ranq_call_begin(q, cmd, "commit");
	ranq_cmd_str(cmd, bridge);
	return 0;
}

static void add_counts(struct ranq_cmd *cmd, const uint64_t counts[5])
{
	char text[128] = "";

	if (counts[1] || counts[2] || counts[3] || counts[4])
		snprintf(text, sizeof text, "%llu %llu %llu %llu %llu", (unsigned long long)counts[0],
			(unsigned long long)counts[1], (unsigned long long)counts[2], (unsigned long long)counts[3],
			(unsigned long long)counts[4]);
	ranq_cmd_str(cmd, text);
}

/* With results in slices their number stands behind that of the failure records, and behind that where the bytes are. */
static void add_numbers(struct ranq_cmd *cmd, const struct ranq_commit_item *item)
{
	char text[72];
	int n = snprintf(text, sizeof text, "%zu:%zu", item->nfailures, item->nsplits);

	if (item->apart)
		snprintf(text + n, sizeof text - (size_t)n, ":%llu", (unsigned long long)item->apart);
	ranq_cmd_str(cmd, text);
}

static void add_split(struct ranq_cmd *cmd, const struct ranq_split_place *place)
{
	char name[RANQ_SPLIT_NAME_LEN + 1];

	ranq_split_name(&place->split, name);
	ranq_call_u64(cmd, place->index);
	ranq_cmd_str(cmd, name);
	ranq_call_u64(cmd, place->split.size);
}

int ranq_queue_commit_add(struct ranq_cmd *cmd, const struct ranq_commit_item *item)
{
	uint64_t sum = 0;

	for (int i = 0; i < 5; i++)
		sum += item->counts[i];
	if (item->end <= item->start || item->end > RANQ_TASKS_MAX || sum != item->end - item->start ||
		item->nfailures > RANQ_CALL_ITEMS_MAX || item->nsplits > RANQ_CALL_ITEMS_MAX)
		return -1;
	ranq_call_u64(cmd, item->job);
	ranq_call_u64(cmd, item->at);
	ranq_call_u64(cmd, item->seq);
	ranq_call_u64(cmd, item->start);
	ranq_call_u64(cmd, item->end);
	add_counts(cmd, item->counts);
	ranq_call_u64(cmd, item->elapsed_us < RANQ_TASKS_MAX ? item->elapsed_us : RANQ_TASKS_MAX - 1);
	if (item->apart)
		ranq_cmd_str(cmd, "");
	else
		ranq_cmd_bytes(cmd, item->item.len ? item->item.data : "", item->item.len);
	if (item->nsplits || item->apart)
		add_numbers(cmd, item);
	else
		ranq_call_u64(cmd, item->nfailures);
	for (size_t i = 0; i < item->nfailures; i++) {
		ranq_call_u64(cmd, item->failure_index[i]);
		ranq_cmd_bytes(cmd, item->failures[i].data, item->failures[i].len);
	}
	for (size_t i = 0; i < item->nsplits; i++)
		add_split(cmd, &item->splits[i]);
	return 0;
}

static size_t read_jobs(struct ranq_call_reader *in, uint64_t *jobs, size_t max)
{
	uint64_t n = ranq_call_next(in);

	if (n > max) {
		in->failed = true;
		return 0;
	}
	for (uint64_t i = 0; i < n; i++)
		jobs[i] = ranq_call_next(in);
	return (size_t)n;
}

int ranq_queue_commit_parse(const struct ranq_reply *r, struct ranq_commit_reply *out, struct ranq_err *err)
{
	struct ranq_call_reader in = {.array = r};
	struct ranq_bytes accepted;

	if (ranq_call_array(r, 5, err))
		return -1;
	memset(out, 0, sizeof *out);
	out->drain = ranq_call_next_flag(&in);
	out->paused = ranq_call_next_flag(&in);
	accepted = ranq_call_next_bytes(&in);
	if (accepted.len > RANQ_CALL_ITEMS_MAX)
		return ranq_call_malformed(err);
	for (; out->n < accepted.len; out->n++)
		out->accepted[out->n] = ((const char *)accepted.data)[out->n] == '1';
	out->nstopped = read_jobs(&in, out->stopped, sizeof out->stopped / sizeof *out->stopped);
	out->nwaited = read_jobs(&in, out->waited, sizeof out->waited / sizeof *out->waited);
	return in.failed ? ranq_call_malformed(err) : 0;
}

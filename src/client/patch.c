/* patch.c - see patch.h. */
#include "client/patch.h"

#include <stdlib.h>
#include <string.h>

void ranq_patch_init(struct ranq_patch *patch)
{
	memset(patch, 0, sizeof *patch);
}

void ranq_patch_reset(struct ranq_patch *patch)
{
	patch->n = 0;
	ranq_reply_destroy(patch->reply);
	patch->reply = NULL;
}

void ranq_patch_clear(struct ranq_patch *patch)
{
	ranq_patch_reset(patch);
	free(patch->at);
	ranq_patch_init(patch);
}

static int add(struct ranq_patch *patch, uint64_t index, const struct ranq_result *result, struct ranq_err *err)
{
	if (patch->n == patch->cap) {
		size_t cap = patch->cap ? 2 * patch->cap : 64;
		void *at = realloc(patch->at, cap * sizeof *patch->at);
		if (!at)
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		patch->at = at;
		patch->cap = cap;
	}
	patch->at[patch->n] = (struct ranq_patch_entry){index, patch->n, *result};
	patch->n++;
	return 0;
}

static int add_item(
	struct ranq_patch *patch, uint64_t start, uint64_t end, struct ranq_bytes item, struct ranq_err *err)
{
	struct ranq_segment_reader in;
	struct ranq_result result;
	ranq_segment_reader_init(&in, item.data, item.len);
	for (uint64_t index = start; index < end; index++) {
		int rc = ranq_segment_reader_next(&in, &result, err);
		if (rc == 0)
			return ranq_err_set(err, RANQ_ERR_REPLY, "results of task %llu are damaged in the server",
				(unsigned long long)index);
		if (rc < 0 || add(patch, index, &result, err))
			return -1;
	}
	return 0;
}

static int by_index(const void *a, const void *b)
{
	const struct ranq_patch_entry *x = a, *y = b;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void sort(struct ranq_patch *patch)
{
	if (!patch->n)
		return;
	qsort(patch->at, patch->n, sizeof *patch->at, by_index);
	size_t kept = 0;
	for (size_t i = 1; i < patch->n; i++) {
		if (patch->at[i].index != patch->at[kept].index)
			kept++;
		patch->at[kept] = patch->at[i];
	}
	patch->n = kept + 1;
}

static int parse(struct ranq_patch *patch, struct ranq_err *err)
{
	if (ranq_reply_type(patch->reply) == RANQ_REPLY_ERROR) { /* entry 0 says which */
		uint64_t start, end;
		struct ranq_bytes item;
		return ranq_queue_overlay_parse(patch->reply, 0, &start, &end, &item, err);
	}
	for (size_t i = 0; i < ranq_reply_count(patch->reply) / 3; i++) {
		uint64_t start, end;
		struct ranq_bytes item;
		if (ranq_queue_overlay_parse(patch->reply, i, &start, &end, &item, err) ||
			add_item(patch, start, end, item, err))
			return -1;
	}
	sort(patch);
	return 0;
}

int ranq_patch_load(struct ranq_patch *patch, struct ranq_session *session, uint64_t job, uint64_t start, uint64_t end,
	struct ranq_err *err)
{
	struct ranq_cmd cmd;
	ranq_patch_reset(patch);
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_overlay_cmd(&session->queue, &cmd, job, start, end);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &patch->reply, err);
	ranq_cmd_clear(&cmd);
	if (rc == 0)
		rc = parse(patch, err);
	if (rc)
		ranq_patch_reset(patch);
	return rc;
}

/* First entry whose index is >= index. */
static size_t lower(const struct ranq_patch *patch, uint64_t index)
{
	size_t low = 0, high = patch->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (patch->at[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool ranq_patch_find(const struct ranq_patch *patch, uint64_t index, struct ranq_result *result)
{
	size_t pos = lower(patch, index);
	if (pos == patch->n || patch->at[pos].index != index)
		return false;
	*result = patch->at[pos].result;
	return true;
}

uint64_t ranq_patch_next(const struct ranq_patch *patch, uint64_t index)
{
	size_t pos = lower(patch, index + 1);
	return pos < patch->n ? patch->at[pos].index : UINT64_MAX;
}

/* proxy_items.c - results of consecutive tasks on their way to a commit. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

size_t proxy_item_bytes(const struct proxy_item *item)
{
	return item->segment.len + item->failures.len + sizeof *item;
}

void proxy_item_destroy(struct proxy_item *item)
{
	if (item->chunk)
		item->chunk->item = NULL;
	ranq_buf_clear(&item->segment);
	ranq_buf_clear(&item->failures);
	free(item->failure);
	free(item);
}

struct proxy_item *proxy_item_create(const struct proxy_job *job, uint64_t seq, uint64_t grant, uint64_t start)
{
	struct proxy_item *item = calloc(1, sizeof *item);

	if (!item)
		return NULL;
	item->job = job->id;
	item->reduce = ranq_reduce_of(&job->spec);
	item->seq = seq;
	item->grant = grant;
	item->start = item->end = start;
	item->since_ms = ranq_clock_ms();
	ranq_buf_init(&item->segment, 0);
	ranq_buf_init(&item->failures, 0);
	return item;
}

int proxy_item_failure(struct proxy_item *item, uint64_t index, const void *data, size_t len)
{
	if (item->nfailures == item->failures_room) {
		size_t room = item->failures_room ? item->failures_room * 2 : 8;
		struct proxy_failure *more = realloc(item->failure, room * sizeof *more);

		if (!more)
			return -1;
		item->failure = more;
		item->failures_room = room;
	}
	item->failure[item->nfailures++] = (struct proxy_failure){index, item->failures.len, len};
	ranq_buf_add(&item->failures, data, len);
	return ranq_buf_failed(&item->failures) ? -1 : 0;
}

int proxy_item_join(struct proxy_item *a, const struct proxy_item *b)
{
	if (!ranq_buf_reserve(&a->segment, b->segment.len)) {
		a->segment.failed = false;
		return -1;
	}
	ranq_buf_add(&a->segment, b->segment.data, b->segment.len);
	for (size_t i = 0; i < b->nfailures; i++)
		proxy_item_failure(a, b->failure[i].index, b->failures.data + b->failure[i].at, b->failure[i].len);
	for (int s = 0; s < RANQ_TASK_STATUS_COUNT; s++)
		a->counts[s] += b->counts[s];
	a->nsplits += b->nsplits;
	a->elapsed_us += b->elapsed_us;
	a->end = b->end;
	if (b->merges > a->merges)
		a->merges = b->merges;
	proxy_item_reduce(a);
	return 0;
}

int proxy_item_extend(struct proxy_item *item, const struct ranq_message_results *m)
{
	if (m->segment.len && !ranq_buf_reserve(&item->segment, m->segment.len)) {
		item->segment.failed = false;
		return -1;
	}
	ranq_buf_add(&item->segment, m->segment.data, m->segment.len);
	for (size_t i = 0; i < m->nfailures; i++)
		if (proxy_item_failure(item, m->failure_index[i], m->failures[i].data, m->failures[i].len) != 0)
			break; /* out of memory: the counts stay right, a record is missing */
	for (int s = 0; s < RANQ_TASK_STATUS_COUNT; s++)
		item->counts[s] += m->counts[s];
	item->nsplits += m->nsplits;
	item->elapsed_us += m->elapsed_us;
	item->end = m->upto;
	proxy_item_reduce(item);
	return 0;
}

void proxy_item_belongs(struct proxy_item *item, struct proxy_chunk *chunk)
{
	if (item->chunk)
		item->chunk->item = NULL;
	if (chunk->item)
		chunk->item->chunk = NULL;
	item->chunk = chunk;
	chunk->item = item;
}

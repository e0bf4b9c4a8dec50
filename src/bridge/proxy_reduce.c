/* proxy_reduce.c - results of jobs with a reduction are joined before they are committed: of neighbouring chunks, also
 * of different ranks, one value goes to the queue.
 *
 * An item stays what it was, the results of a contiguous range under one token, committed whole or run again whole.
 * What is built in is joined here, at once. The function of a module is not run in this process, which runs no user
 * code: an item that is on its way to a commit, and of which enough can be joined, goes to an executor of one rank that
 * does nothing else, and comes back in its place. The item stays here meanwhile as it is. So whatever becomes of that
 * executor, its rank, the function or this bridge's time, at worst the item is committed unjoined, after MERGE_MS, and
 * joined by the reader. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>

#include "util/clock.h"

#define MERGE_PARTS 3           /* worth the way: so many values fewer */
#define MERGE_BYTES (64u << 10) /* or about so many bytes */
#define MERGE_MAX 8             /* items under way */
#define MERGE_TIMES 3           /* of one item, which grows by neighbours in between */
#define MERGE_MS 2000           /* for one of them */
#define MERGE_FAILURES 3        /* one after the other: no more for this job */

void proxy_item_reduce(struct proxy_item *item)
{
	struct ranq_reduction reduction;
	struct ranq_buf joined;
	struct ranq_err err;

	if (!item->reduce.function)
		return;
	ranq_reduction_init(&reduction, &item->reduce, item->start);
	ranq_buf_init(&joined, 0);
	/* what cannot be read or joined is for the reader to complain about */
	if (ranq_reduction_add_item(&reduction, item->segment.data, item->segment.len, item->end, &err) == 0 &&
		ranq_reduction_write(&reduction, &joined) == 0) {
		ranq_buf_clear(&item->segment);
		item->segment = joined;
	} else {
		ranq_buf_clear(&joined);
	}
	ranq_reduction_clear(&reduction);
}

/* ---- by an executor ---------------------------------------------------------------------------------------------- */

static bool worth_it(const struct proxy_item *item)
{
	size_t parts, left;

	if (item->reduce.kind != RANQ_REDUCE_FUNCTION || item->merges >= MERGE_TIMES)
		return false;
	if (ranq_reduction_foresee(&item->reduce, item->start, item->segment.data, item->segment.len, &parts, &left) !=
		0)
		return false;
	return parts - left >= MERGE_PARTS ||
	       (left < parts && item->segment.len / parts * (parts - left) >= MERGE_BYTES);
}

/* Whose executor joins: that of a rank on this node, if there is one. -1: none. */
static int merging_rank(const struct ranq_proxy *proxy)
{
	const struct ranq_link *link = proxy->options.link;
	int first = -1;

	for (int r = 0; r < link->size; r++) {
		if (!proxy_computes(proxy, r) || proxy->workers[r].nlanes == 0)
			continue;
		if (link->node[r] == link->node[link->rank])
			return r;
		if (first < 0)
			first = r;
	}
	return first;
}

/* What is in a hurry is committed as it is. */
static bool may_merge(const struct proxy_queue *pq)
{
	const struct ranq_proxy *proxy = pq->proxy;

	return proxy->phase == PROXY_RUN && !proxy->hurry && proxy->life_ms == 0;
}

static bool ask(struct proxy_queue *pq, struct proxy_item *item)
{
	struct ranq_proxy *proxy = pq->proxy;
	struct proxy_job *job = proxy_job_find(pq, item->job);
	int rank = merging_rank(proxy);
	struct ranq_buf buf;

	if (!job || job->state != PROXY_JOB_READY || job->merges_failed >= MERGE_FAILURES || rank < 0 ||
		pq->nmerging >= MERGE_MAX)
		return false;
	proxy_job_introduce(job, rank);
	item->merges++;
	item->merge = ++proxy->next_chunk;
	item->merge_rank = rank;
	item->due_ms = proxy->now_ms + MERGE_MS;
	ranq_buf_init(&buf, 0);
	ranq_message_chunk_encode(&buf, &(struct ranq_message_chunk){.key = job->key,
						.chunk = item->merge,
						.slot = proxy->workers[rank].nlanes,
						.start = item->start,
						.end = item->end,
						.left_ms = RANQ_NEVER,
						.merge = true,
						.input = {item->segment.data, item->segment.len}});
	proxy_send(proxy, rank, &buf);
	TAILQ_INSERT_TAIL(&pq->merging, item, next);
	pq->nmerging++;
	pq->outbox_bytes += proxy_item_bytes(item);
	return true;
}

size_t proxy_merge_items(struct proxy_queue *pq, struct proxy_item **items, size_t n)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		if (!may_merge(pq) || !worth_it(items[i]) || !ask(pq, items[i]))
			items[left++] = items[i];
	return left;
}

static void take(struct proxy_queue *pq, struct proxy_item *item)
{
	TAILQ_REMOVE(&pq->merging, item, next);
	pq->nmerging--;
	pq->outbox_bytes -= proxy_item_bytes(item);
}

static void failed(struct proxy_queue *pq, const struct proxy_item *item)
{
	struct proxy_job *job = proxy_job_find(pq, item->job);

	if (job && job->merges_failed < MERGE_FAILURES && ++job->merges_failed == MERGE_FAILURES)
		proxy_log(pq->proxy,
			"job=%s/%llu: its reduce function fails: from here on its results are joined by who reads them",
			pq->q.name, (unsigned long long)job->id);
}

/* The item with its values joined, if what came is that. */
static bool replace(struct proxy_item *item, const struct ranq_message_results *m)
{
	struct ranq_buf joined;
	uint64_t ok;

	if (m->from != item->start || m->upto != item->end ||
		ranq_reduction_check(&item->reduce, m->from, m->segment.data, m->segment.len, &ok, NULL) !=
			(int64_t)(item->end - item->start) ||
		ok != item->counts[RANQ_TASK_OK])
		return false;
	ranq_buf_init(&joined, 0);
	ranq_buf_add(&joined, m->segment.data, m->segment.len);
	if (ranq_buf_failed(&joined))
		return false;
	ranq_buf_clear(&item->segment);
	item->segment = joined;
	return true;
}

static void merged(struct proxy_queue *pq, struct proxy_item *item, const struct ranq_message_results *m)
{
	struct proxy_job *job = proxy_job_find(pq, item->job);

	take(pq, item);
	if (!replace(item, m)) {
		failed(pq, item);
		item->merges = MERGE_TIMES;
	} else if (job && job->merges_failed < MERGE_FAILURES) {
		job->merges_failed = 0;
	}
	proxy_outbox_put(pq, item, pq->proxy->now_ms);
}

void proxy_merge_results(struct ranq_proxy *proxy, int rank, const struct ranq_message_results *m)
{
	struct proxy_item *item;

	for (size_t i = 0; i < proxy->options.nqueues; i++)
		TAILQ_FOREACH(item, &proxy->queues[i].merging, next)
	if (item->merge == m->chunk && item->merge_rank == rank) {
		merged(&proxy->queues[i], item, m);
		return;
	}
}

static void recall(struct proxy_queue *pq, struct proxy_item *item)
{
	take(pq, item);
	item->merges = MERGE_TIMES;
	proxy_outbox_put(pq, item, pq->proxy->now_ms);
}

void proxy_merge_recall(struct proxy_queue *pq, int rank)
{
	struct proxy_item *item, *next;

	for (item = TAILQ_FIRST(&pq->merging); item; item = next) {
		next = TAILQ_NEXT(item, next);
		if (rank < 0 || item->merge_rank == rank)
			recall(pq, item);
	}
}

void proxy_merge_drop(struct proxy_queue *pq, uint64_t job)
{
	struct proxy_item *item, *next;

	for (item = TAILQ_FIRST(&pq->merging); item; item = next) {
		next = TAILQ_NEXT(item, next);
		if (job && item->job != job)
			continue;
		take(pq, item);
		proxy_item_destroy(item);
	}
}

/* The rank kills the executor that takes so long, and with it what else it was to join. */
static void give_up(struct proxy_queue *pq, struct proxy_item *item)
{
	struct ranq_proxy *proxy = pq->proxy;
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_truncate_encode(&buf, RANQ_MESSAGE_TRUNCATE,
		&(struct ranq_message_truncate){
			.slot = proxy->workers[item->merge_rank].nlanes, .chunk = item->merge, .new_end = item->start});
	proxy_send(proxy, item->merge_rank, &buf);
	failed(pq, item);
	recall(pq, item);
}

void proxy_merge_tick(struct proxy_queue *pq)
{
	struct proxy_item *item;

	if (!may_merge(pq))
		proxy_merge_recall(pq, -1);
	while ((item = TAILQ_FIRST(&pq->merging)) && pq->proxy->now_ms >= item->due_ms)
		give_up(pq, item);
}

int64_t proxy_merge_due(const struct proxy_queue *pq)
{
	const struct proxy_item *item = TAILQ_FIRST(&pq->merging);

	return item ? item->due_ms : RANQ_NEVER;
}

/* proxy_steal.c - taking work back from lanes that turned out to have too much of it. */
#include "bridge/proxy_impl.h"

#include "util/clock.h"

#define STEAL_NS INT64_C(10000000) /* work that is worth taking back from another lane */
#define STEAL_CHECK_MS 20

static void truncate_chunk(struct proxy_lane *lane, struct proxy_chunk *chunk, uint64_t new_end)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_truncate_encode(
		&buf, &(struct ranq_message_truncate){.slot = lane->slot, .chunk = chunk->id, .new_end = new_end});
	proxy_send(chunk->job->pq->proxy, lane->rank, &buf);
	chunk->truncated = true;
}

/* How much time is in the part of the chunk that could go to another lane; 0: nothing worth it. */
static double gain(const struct proxy_lane *lane, const struct proxy_chunk *chunk, int64_t now_ns)
{
	bool runs = TAILQ_FIRST(&lane->chunks) == chunk;
	uint64_t left = chunk->end - chunk->upto, spare = runs ? left - 1 : left;
	double task_ns;

	if (!chunk->job || chunk->truncated || chunk->suspect || spare == 0)
		return 0;
	task_ns = ranq_pace_task_ns(&chunk->job->pace, runs ? now_ns - chunk->since_ns : 0);
	if (runs && (double)(now_ns - chunk->since_ns) > 4 * task_ns)
		task_ns = (double)(now_ns - chunk->since_ns) / 2; /* tasks have become slow */
	if (!runs && lane->n > 1) {
		const struct proxy_chunk *first = TAILQ_FIRST(&lane->chunks);

		task_ns += (double)(now_ns - first->since_ns) / (double)spare; /* it waits behind a long one */
	}
	return task_ns * (double)spare;
}

/* An idle lane and nothing unstarted: of the chunk that has most time in it, all behind the task that runs comes back,
 * and is cut anew, as its tasks turned out to take long. To leave a part of it where it is would mean that nothing
 * comes before that part is done. */
void proxy_steal(struct ranq_proxy *proxy)
{
	struct proxy_lane *best_lane = NULL;
	struct proxy_chunk *best = NULL;
	double best_gain = (double)STEAL_NS;
	int64_t now_ns = ranq_clock_ns();

	if (proxy->phase != PROXY_RUN || !TAILQ_EMPTY(&proxy->pieces) || proxy->idle_lanes == 0)
		return;
	for (int r = 0; r < proxy->options.link->size; r++)
		for (unsigned s = 0; proxy_computes(proxy, r) && s < proxy->workers[r].nlanes; s++) {
			struct proxy_lane *lane = &proxy->workers[r].lanes[s];
			struct proxy_chunk *chunk;

			TAILQ_FOREACH(chunk, &lane->chunks, next)
			{
				double g = gain(lane, chunk, now_ns);

				if (g > best_gain) {
					best_gain = g;
					best = chunk;
					best_lane = lane;
				}
			}
		}
	if (!best)
		return;
	truncate_chunk(best_lane, best, best->upto);
}

/* While a lane is idle and another one works, look again soon whether a chunk overruns. */
int64_t proxy_steal_due(const struct ranq_proxy *proxy)
{
	bool splittable = false;

	if (proxy->phase != PROXY_RUN || !TAILQ_EMPTY(&proxy->pieces) || proxy->idle_lanes == 0)
		return RANQ_NEVER;
	for (int r = 0; r < proxy->options.link->size && !splittable; r++)
		for (unsigned s = 0; s < proxy->workers[r].nlanes; s++) {
			const struct proxy_lane *lane = &proxy->workers[r].lanes[s];
			const struct proxy_chunk *chunk = TAILQ_FIRST(&lane->chunks);

			splittable |= lane->n > 1 || (chunk && !chunk->truncated && chunk->end - chunk->upto > 1);
		}
	return splittable ? proxy->now_ms + STEAL_CHECK_MS : RANQ_NEVER;
}

/* proxy_steal.c - taking work back from lanes that turned out to have too much of it. */
#include "bridge/proxy_impl.h"

#include "util/clock.h"

#define STEAL_NS INT64_C(10000000) /* work that is worth taking back from another lane */
#define STEAL_CHECK_MS 20

static void truncate_chunk(struct proxy_lane *lane, struct proxy_chunk *chunk, uint64_t new_end)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_truncate_encode(&buf, RANQ_MESSAGE_TRUNCATE,
		&(struct ranq_message_truncate){.slot = lane->slot, .chunk = chunk->id, .new_end = new_end});
	proxy_send(chunk->job->pq->proxy, lane->rank, &buf);
	chunk->truncated = true;
}

/* Time in what could go from the lane to others: the rest of the chunk that runs, and all of those behind it, which
 * wait for it besides. */
static double gain(const struct proxy_lane *lane, int64_t now_ns)
{
	const struct proxy_chunk *first = TAILQ_FIRST(&lane->chunks), *chunk;
	double ran_ns = first ? (double)(now_ns - first->since_ns) : 0, sum = 0;

	TAILQ_FOREACH(chunk, &lane->chunks, next)
	{
		uint64_t left = chunk->end - chunk->upto, spare = chunk == first ? left - (left > 0) : left;
		double task_ns;

		if (!chunk->job || chunk->truncated || chunk->suspect || spare == 0)
			continue;
		task_ns = ranq_pace_task_ns(&chunk->job->pace, chunk == first ? (int64_t)ran_ns : 0);
		if (chunk == first && ran_ns > 4 * task_ns)
			task_ns = ran_ns / 2; /* tasks have become slow */
		if (chunk != first && sum == 0)
			sum = ran_ns;
		sum += task_ns * (double)spare;
	}
	return sum;
}

static bool may_steal(const struct ranq_proxy *proxy)
{
	return proxy->phase == PROXY_RUN && TAILQ_EMPTY(&proxy->pieces) && proxy->idle_lanes > 0 &&
	       proxy->divisible_lanes > 0;
}

/* An idle lane and nothing unstarted: of the lane that has most time in it, all behind the task that runs comes back,
 * and is cut anew, as its tasks turned out to take long. It comes within some ms (SHORTENED), however long that task goes
 * on. To leave a part of it where it is would mean that this part waits for it. */
void proxy_steal(struct ranq_proxy *proxy)
{
	struct proxy_lane *best = NULL;
	struct proxy_chunk *chunk;
	double best_gain = (double)STEAL_NS;
	int64_t now_ns = ranq_clock_ns();

	if (!may_steal(proxy))
		return;
	for (int r = 0; r < proxy->options.link->size; r++)
		for (unsigned s = 0; proxy_computes(proxy, r) && s < proxy->workers[r].nlanes; s++) {
			double g = gain(&proxy->workers[r].lanes[s], now_ns);

			if (g > best_gain) {
				best_gain = g;
				best = &proxy->workers[r].lanes[s];
			}
		}
	if (!best)
		return;
	TAILQ_FOREACH(chunk, &best->chunks, next)
	if (chunk->job && !chunk->truncated && !chunk->suspect)
		truncate_chunk(best, chunk, chunk->upto);
	proxy_lane_look(proxy, best);
}

/* While a lane is idle and another one works, look again soon whether a chunk overruns. */
int64_t proxy_steal_due(const struct ranq_proxy *proxy)
{
	return may_steal(proxy) ? proxy->now_ms + STEAL_CHECK_MS : RANQ_NEVER;
}

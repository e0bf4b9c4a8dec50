/* chunking.c - see chunking.h. */
#include "bridge/chunking.h"

#define WEIGHT 0.3 /* of the newest measurement in the moving average, at least */
#define GROWTH 4
#define SURPLUS_SECONDS 4.0
#define WINDOW_NS 2e6          /* of work that a lane has in more than two chunks */
#define CHUNKS_A_SECOND 200000 /* that rank 0 hands out, about */
#define DEPTH_TASK_NS 50e6     /* from this task time on a lane gets one chunk at a time */
/* Of long tasks no more are put aside than will begin very soon, and not for longer than a second: another bridge may
 * have time for them at once. Only what is clearly long is given back, so that an average near the limit does not send
 * work to and fro. */
#define LONG_TASK_NS 1e9
#define SURPLUS_TASK_NS 2e9
#define STOCK_SECONDS 0.5

void ranq_pace_init(struct ranq_pace *pace)
{
	*pace = (struct ranq_pace){.chunk = 1};
}

void ranq_pace_add(struct ranq_pace *pace, uint64_t tasks, int64_t elapsed_ns)
{
	double ns, weight;

	if (tasks == 0)
		return;
	ns = elapsed_ns > 0 ? (double)elapsed_ns / (double)tasks : 1.0;
	if (ns < 1.0)
		ns = 1.0;
	/* The first tasks meet cold caches, which matters where tasks are short: as long as few were seen, each counts
	 * the same. */
	weight = (double)tasks / ((double)pace->measured + (double)tasks);
	if (weight < WEIGHT)
		weight = WEIGHT;
	pace->task_ns = (1 - weight) * pace->task_ns + weight * ns;
	pace->measured += tasks;
}

static uint64_t target_tasks(double task_ns, double target_ns)
{
	double n = task_ns > 0 ? target_ns / task_ns : 1;

	if (n >= (double)RANQ_LEASE_WANT_MAX)
		return RANQ_LEASE_WANT_MAX;
	return n < 1 ? 1 : (uint64_t)n;
}

void ranq_pace_chunk_done(struct ranq_pace *pace, uint64_t tasks)
{
	uint64_t target = target_tasks(pace->task_ns, (double)RANQ_CHUNK_TARGET_NS);

	if (target <= pace->chunk)
		pace->chunk = target;
	else if (tasks >= pace->chunk / 2) /* a chunk of about this size has been tried */
		pace->chunk = pace->chunk > target / GROWTH ? target : pace->chunk * GROWTH;
}

double ranq_pace_task_ns(const struct ranq_pace *pace, int64_t running_ns)
{
	if (pace->measured > 0 || running_ns <= 0)
		return pace->task_ns;
	return (double)running_ns;
}

uint64_t ranq_chunking_size(const struct ranq_pace *pace, const struct ranq_chunking *c)
{
	uint64_t n = pace->chunk, guided = c->remaining / (2 * (uint64_t)(c->lanes ? c->lanes : 1));

	if (n > guided)
		n = guided;
	if (c->cap > 0 && n > c->cap)
		n = c->cap;
	if (n < 1)
		n = 1;
	if (n > c->remaining)
		n = c->remaining;
	if (c->left_ns != INT64_MAX && pace->task_ns > 0) {
		double fit = (double)(c->left_ns > 0 ? c->left_ns : 0) / pace->task_ns;

		if (fit < (double)n)
			n = (uint64_t)fit;
	}
	return n;
}

unsigned ranq_chunking_depth(const struct ranq_pace *pace, uint64_t tasks)
{
	double n = WINDOW_NS / (pace->task_ns * (double)(tasks ? tasks : 1));

	if (pace->measured == 0 || pace->task_ns >= DEPTH_TASK_NS)
		return 1;
	return n < 2 ? 2 : n > RANQ_CHUNKING_DEPTH_MAX ? RANQ_CHUNKING_DEPTH_MAX : (unsigned)n;
}

/* Long tasks that the lanes together begin in STOCK_SECONDS or so; 0 when that is less than one. */
static uint64_t stock(const struct ranq_leasing *l)
{
	return (uint64_t)((STOCK_SECONDS + l->crowd_s) * 1e9 * (double)l->lanes / l->task_ns);
}

double ranq_leasing_crowd_s(double most_s, double left_s, double ago_s)
{
	double fair_s = (left_s - ago_s) / 2 - STOCK_SECONDS;

	return fair_s < 0 ? 0 : fair_s < most_s ? fair_s : most_s;
}

/* Times are unknown: one task a lane, then twice as many each time as long as nothing is measured. */
static uint64_t first_tasks(const struct ranq_leasing *l, uint64_t lanes)
{
	uint64_t want = l->last_want * 2 > lanes ? l->last_want * 2 : lanes;

	if (want > lanes * 16)
		want = lanes * 16;
	return l->unstarted >= (l->idle ? 16 * lanes : lanes) ? 0 : want;
}

static uint64_t timed_tasks(const struct ranq_leasing *l, uint64_t lanes)
{
	uint64_t second, least;

	if (l->task_ns >= LONG_TASK_NS)
		return l->unstarted < l->idle ? l->idle - l->unstarted + stock(l) : 0;
	second = target_tasks(l->task_ns, ((double)RANQ_LEASE_TARGET_NS + l->crowd_s * 1e9) * (double)lanes);
	if (l->cap > 0 && second / CHUNKS_A_SECOND > l->cap)
		second = l->cap * CHUNKS_A_SECOND;
	if (l->task_ns < DEPTH_TASK_NS && second < 2 * lanes)
		second = 2 * lanes;
	/* a quarter of a second's worth, in a crowd too, as the answer comes as soon; and never wait with an idle lane
	 * and nothing at hand */
	least = (uint64_t)((double)second / (1 + l->crowd_s)) + l->idle;
	second += l->idle;
	if (l->unstarted > 0 && l->unstarted * 4 >= least)
		return 0;
	return second - l->unstarted < RANQ_LEASE_WANT_MAX ? second - l->unstarted : RANQ_LEASE_WANT_MAX;
}

uint64_t ranq_leasing_want(const struct ranq_leasing *l)
{
	uint64_t lanes = l->lanes ? l->lanes : 1, first, timed;

	if (l->task_ns > 0 && !l->unmeasured)
		return timed_tasks(l, lanes);
	first = first_tasks(l, lanes);
	if (l->task_ns <= 0)
		return first;
	/* a task that began a microsecond ago may take an hour */
	timed = timed_tasks(l, lanes);
	return first < timed ? first : timed;
}

uint64_t ranq_leasing_surplus(const struct ranq_leasing *l)
{
	uint64_t lanes = l->lanes ? l->lanes : 1, keep;

	if (l->task_ns <= 0)
		return 0;
	if (l->task_ns >= SURPLUS_TASK_NS) {
		keep = l->idle + (l->stale ? 0 : stock(l));
		return l->unstarted > keep ? l->unstarted - keep : 0;
	}
	keep = target_tasks(l->task_ns, (SURPLUS_SECONDS + l->crowd_s) * 1e9 * (double)lanes);
	if (l->cap > 0 && keep / (uint64_t)(SURPLUS_SECONDS * CHUNKS_A_SECOND) > l->cap)
		keep = l->cap * (uint64_t)(SURPLUS_SECONDS * CHUNKS_A_SECOND);
	if (keep < 2 * lanes)
		keep = 2 * lanes;
	return l->unstarted > keep ? l->unstarted - keep / 2 : 0;
}

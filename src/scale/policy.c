/* policy.c - see policy.h. */
#include "scale/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/plural.h"

#define WORK_MAX_MS (INT64_C(1) << 52)

const char *ranq_scale_kind_name(enum ranq_scale_kind kind)
{
	static const char *const names[] = {"submit", "cancel", "drain", "shrink"};
	return names[kind];
}

/* ---- work ---- */

static bool has_tag(const char *tags, const char *tag, size_t len)
{
	while (tags && *tags) {
		size_t n = strcspn(tags, ",");
		if (n == len && memcmp(tags, tag, len) == 0)
			return true;
		tags += n + (tags[n] == ',');
	}
	return false;
}

static bool fits(const struct ranq_demand_job *job, const struct ranq_scale_limits *limits)
{
	if (job->time_request_ms > limits->walltime_ms)
		return false;
	for (const char *tag = job->tags; *tag;) {
		size_t n = strcspn(tag, ",");
		if (n && !has_tag(limits->tags, tag, n))
			return false;
		tag += n + (tag[n] == ',');
	}
	return true;
}

void ranq_scale_work(
	const struct ranq_demand *demand, const struct ranq_scale_limits *limits, struct ranq_scale_work *work)
{
	*work = (struct ranq_scale_work){.paused = demand->paused};
	double total_ms = 0;
	for (size_t i = 0; i < demand->n; i++) {
		const struct ranq_demand_job *job = &demand->jobs[i];
		if (!fits(job, limits)) {
			work->unfit++;
			continue;
		}
		uint64_t tasks = job->waiting + job->leased;
		double each_ms =
			job->done ? (double)job->elapsed_us / 1e3 / (double)job->done : (double)limits->task_ms;
		work->tasks += tasks;
		total_ms += (double)tasks * each_ms;
	}
	work->work_ms = total_ms < (double)WORK_MAX_MS ? (int64_t)total_ms : WORK_MAX_MS;
}

/* ---- needs ---- */

struct decision {
	const struct ranq_scale_limits *limits;
	const struct ranq_scale_work *work;
	const struct ranq_scale_state *state;
	struct ranq_scale_plan *plan;
	int64_t now_ms;
	size_t pending, starting, running, leaving;
	bool wished; /* need is what somebody asked for */
};

/* Never above what the caller can have, so that sums stay small. */
static unsigned clamp(uint64_t value, unsigned min, unsigned max)
{
	return value < min ? min : value > max ? max : (unsigned)value;
}

static unsigned ranks_of_one(const struct decision *d)
{
	unsigned ranks = d->state->ranks ? d->state->ranks : d->limits->ranks;
	return ranks ? ranks : 1;
}

/* Allocations that are worth having when each rank shall find worth_ms of work. */
static unsigned allocations_for(const struct decision *d, int64_t worth_ms)
{
	const struct ranq_scale_work *work = d->work;
	uint64_t ranks =
		worth_ms > 0 ? (uint64_t)(work->work_ms / worth_ms) + (work->work_ms % worth_ms > 0) : work->tasks;
	if (ranks > work->tasks)
		ranks = work->tasks;
	if (ranks == 0 && work->tasks > 0)
		ranks = 1;
	ranks = ranks > d->state->foreign_ranks ? ranks - d->state->foreign_ranks : 0;
	uint64_t each = ranks_of_one(d);
	return clamp(ranks / each + (ranks % each > 0), d->limits->min, d->limits->max);
}

static void find_needs(struct decision *d, int want)
{
	struct ranq_scale_plan *plan = d->plan;
	d->pending = ranq_scale_state_count(d->state, RANQ_SCALE_PENDING);
	d->starting = ranq_scale_state_count(d->state, RANQ_SCALE_STARTING);
	d->running = ranq_scale_state_count(d->state, RANQ_SCALE_RUNNING);
	d->leaving = ranq_scale_state_count(d->state, RANQ_SCALE_LEAVING);
	plan->have = (unsigned)(d->pending + d->starting + d->running + d->state->ndoubts);
	d->wished = want >= 0;
	if (d->wished) {
		plan->need = plan->keep = clamp((uint64_t)want, 0, d->limits->max);
	} else if (d->work->paused) { /* of no use now, maybe soon */
		plan->need = d->limits->min;
		plan->keep = d->limits->max;
	} else {
		plan->need = allocations_for(d, d->limits->worth_ms);
		plan->keep = allocations_for(d, d->limits->worth_ms / 2);
		plan->keep = plan->keep < plan->need ? plan->need : plan->keep;
	}
}

/* ---- words ---- */

static void write_work(const struct decision *d, char *text, size_t size)
{
	char time[32];
	if (d->work->paused)
		snprintf(text, size, "the queue is paused");
	else if (d->work->tasks == 0)
		snprintf(text, size, d->work->unfit ? "no work that an allocation like this may run" : "no work");
	else
		snprintf(text, size, "%llu task%s, about %s of work for one rank", (unsigned long long)d->work->tasks,
			ranq_plural(d->work->tasks), ranq_duration_format(d->work->work_ms, time));
}

static struct ranq_scale_action *act(struct decision *d, enum ranq_scale_kind kind, size_t alloc, const char *format,
	...) __attribute__((format(printf, 4, 5)));
static struct ranq_scale_action *act(
	struct decision *d, enum ranq_scale_kind kind, size_t alloc, const char *format, ...)
{
	static struct ranq_scale_action none; /* the plan is full: the next one goes on */
	if (d->plan->n == RANQ_SCALE_ACTIONS_MAX)
		return &none;
	struct ranq_scale_action *action = &d->plan->actions[d->plan->n++];
	*action = (struct ranq_scale_action){.kind = kind, .alloc = alloc};
	va_list args;
	va_start(args, format);
	vsnprintf(action->reason, sizeof action->reason, format, args);
	va_end(args);
	return action;
}

/* ---- growing ---- */

/* Why nothing can be submitted now; false: something can. */
static bool is_barred(const struct decision *d, char *why, size_t size)
{
	const struct ranq_scale_limits *limits = d->limits;
	const struct ranq_scale_state *state = d->state;
	char time[32];
	if (d->now_ms < state->backoff_until_ms) {
		snprintf(why, size, "waiting %s after: %s",
			ranq_duration_format(state->backoff_until_ms - d->now_ms, time), state->trouble);
		return true;
	}
	for (size_t i = 0; i < state->n; i++) {
		const struct ranq_scale_alloc *alloc = &state->allocs[i];
		if (alloc->phase != RANQ_SCALE_PENDING || alloc->job.wait == RANQ_SCHED_WAITS)
			continue;
		snprintf(why, size, "allocation %s is held back: %s", alloc->job.id, alloc->job.reason);
		return true;
	}
	if (d->pending + state->ndoubts >= (limits->max_pending ? limits->max_pending : limits->max)) {
		size_t n = d->pending + state->ndoubts;
		snprintf(why, size, "%zu allocation%s wait%s already", n, ranq_plural(n), ranq_number(n, "s", ""));
		return true;
	}
	if (limits->submits_per_hour &&
		ranq_scale_state_submits_since(state, d->now_ms - 3600000) >= limits->submits_per_hour) {
		snprintf(why, size, "%u submission%s within an hour %s the limit", limits->submits_per_hour,
			ranq_plural(limits->submits_per_hour), ranq_number(limits->submits_per_hour, "is", "are"));
		return true;
	}
	return false;
}

static unsigned affordable(const struct decision *d, unsigned count)
{
	const struct ranq_scale_limits *limits = d->limits;
	int64_t cost_ms = (int64_t)limits->nodes * limits->walltime_ms;
	int64_t left_ms = limits->budget_ms - ranq_scale_state_committed(d->state, limits->walltime_ms, d->now_ms);
	if (limits->budget_ms == 0 || cost_ms <= 0)
		return count;
	return left_ms < cost_ms ? 0 : clamp((uint64_t)(left_ms / cost_ms), 0, count);
}

static unsigned least(unsigned a, size_t b)
{
	return b < a ? (unsigned)b : a;
}

static void grow(struct decision *d)
{
	const struct ranq_scale_limits *limits = d->limits;
	struct ranq_scale_plan *plan = d->plan;
	char why[300], work[128];
	if (plan->have >= plan->need)
		return;
	if (is_barred(d, why, sizeof why)) {
		snprintf(plan->verdict, sizeof plan->verdict, "%.250s", why);
		return;
	}
	size_t there = plan->have + d->leaving;
	unsigned count = least(plan->need - plan->have, limits->max > there ? limits->max - there : 0);
	if (limits->max_pending)
		count = least(count, limits->max_pending - d->pending - d->state->ndoubts);
	if (limits->submits_per_hour)
		count = least(count,
			limits->submits_per_hour - ranq_scale_state_submits_since(d->state, d->now_ms - 3600000));
	count = least(count, RANQ_SCALE_DOUBTS_MAX - d->state->ndoubts);
	unsigned paid = affordable(d, count);
	if (paid < count)
		snprintf(plan->verdict, sizeof plan->verdict,
			"the budget of %.4g node-hours has no room for another allocation",
			(double)limits->budget_ms / 3.6e6);
	write_work(d, work, sizeof work);
	for (unsigned i = 0; i < paid; i++)
		act(d, RANQ_SCALE_SUBMIT, 0, "%u allocation%s %s %s, %u %s there or coming: %s", plan->need,
			ranq_plural(plan->need), ranq_number(plan->need, "is", "are"), d->wished ? "asked for" : "needed", plan->have + i,
			ranq_number(plan->have + i, "is", "are"), work)
			->nodes = limits->nodes;
}

/* ---- shrinking ---- */

/* Waits, is not in doubt, and was submitted last. */
static bool latest_pending(const struct decision *d, const bool *taken, size_t *at)
{
	bool found = false;
	for (size_t i = 0; i < d->state->n; i++) {
		const struct ranq_scale_alloc *alloc = &d->state->allocs[i];
		if (taken[i] || alloc->phase != RANQ_SCALE_PENDING || alloc->cancelled)
			continue;
		if (!found || alloc->submitted_ms >= d->state->allocs[*at].submitted_ms)
			*at = i;
		found = true;
	}
	return found;
}

/* Runs, is idle for long enough (busy: or not), and ends first. */
static bool next_to_drain(const struct decision *d, const bool *taken, bool busy, size_t *at)
{
	bool found = false;
	for (size_t i = 0; i < d->state->n; i++) {
		const struct ranq_scale_alloc *alloc = &d->state->allocs[i];
		bool idle = alloc->idle_since_ms > 0 && d->now_ms - alloc->idle_since_ms >= d->limits->idle_ms;
		if (taken[i] || alloc->phase != RANQ_SCALE_RUNNING || alloc->drained || (!idle && !busy))
			continue;
		int64_t end_ms = alloc->job.end_ms ? alloc->job.end_ms : INT64_MAX;
		int64_t best_ms =
			found && d->state->allocs[*at].job.end_ms ? d->state->allocs[*at].job.end_ms : INT64_MAX;
		if (!found || end_ms < best_ms)
			*at = i;
		found = true;
	}
	return found;
}

static void drain_one(struct decision *d, bool *taken, size_t at, const char *why)
{
	char time[32] = "0 s";
	int64_t since_ms = d->state->allocs[at].idle_since_ms;
	if (since_ms)
		ranq_duration_format(d->now_ms - since_ms, time);
	taken[at] = true;
	act(d, RANQ_SCALE_DRAIN, at, "%s; it was idle for %s", why, time);
}

static void shrink(struct decision *d, bool *taken)
{
	struct ranq_scale_plan *plan = d->plan;
	char work[128], why[200];
	size_t at = 0;
	unsigned have = plan->have;
	write_work(d, work, sizeof work);
	snprintf(why, sizeof why, "%u allocation%s %s enough: %s", plan->keep, ranq_plural(plan->keep),
		ranq_number(plan->keep, "is", "are"), work);
	while (have > plan->keep && latest_pending(d, taken, &at)) {
		taken[at] = true;
		act(d, RANQ_SCALE_CANCEL, at, "%s", why)->pending = true;
		have--;
	}
	while (have > plan->keep && next_to_drain(d, taken, d->wished || have > d->limits->max, &at)) {
		drain_one(d, taken, at, d->wished ? "fewer allocations were asked for" : why);
		have--;
	}
}

/* The last of the pending ones need not be larger than what is left for it. */
static void make_smaller(struct decision *d, const bool *taken)
{
	size_t at = 0;
	uint64_t each = ranks_of_one(d), covered;
	if (!d->limits->can_shrink || d->wished || d->work->paused || d->limits->worth_ms < 2 ||
		d->plan->have > d->plan->keep || d->plan->have <= d->limits->min || !latest_pending(d, taken, &at))
		return;
	const struct ranq_scale_alloc *alloc = &d->state->allocs[at];
	uint64_t ranks = (uint64_t)(d->work->work_ms / (d->limits->worth_ms / 2)) + 1;
	ranks = ranks < d->work->tasks ? ranks : d->work->tasks;
	covered = (d->plan->have - 1) * each + d->state->foreign_ranks;
	if (ranks <= covered || alloc->job.nodes < 2)
		return;
	uint64_t nodes = ((ranks - covered) * d->limits->nodes + each - 1) / each;
	if (nodes < 1 || nodes * 2 > alloc->job.nodes)
		return;
	act(d, RANQ_SCALE_SHRINK, at, "%llu node%s %s enough for what is left", (unsigned long long)nodes,
		ranq_plural(nodes), ranq_number(nodes, "is", "are"))
		->nodes = (unsigned)nodes;
}

/* ---- what went wrong ---- */

static void mend(struct decision *d, bool *taken)
{
	for (size_t i = 0; i < d->state->n; i++) {
		const struct ranq_scale_alloc *alloc = &d->state->allocs[i];
		struct ranq_scale_action *action;
		if (alloc->cancelled)
			continue;
		if (alloc->phase == RANQ_SCALE_PENDING && alloc->job.wait == RANQ_SCHED_NEVER)
			action = act(
				d, RANQ_SCALE_CANCEL, i, "the scheduler will never start it: %s", alloc->job.reason);
		else if (alloc->phase == RANQ_SCALE_STARTING && alloc->started_ms &&
			 d->now_ms - alloc->started_ms > RANQ_SCALE_JOIN_LIMIT_MS)
			action = act(d, RANQ_SCALE_CANCEL, i, "it has its nodes for 10 minutes and has not joined");
		else
			continue;
		action->failure = true;
		taken[i] = true;
	}
}

/* ---- ends ---- */

static void stop(struct decision *d, bool now)
{
	for (size_t i = 0; i < d->state->n; i++) {
		const struct ranq_scale_alloc *alloc = &d->state->allocs[i];
		if (alloc->cancelled || (alloc->phase == RANQ_SCALE_LEAVING && !now))
			continue;
		if (now || alloc->phase == RANQ_SCALE_PENDING || alloc->phase == RANQ_SCALE_STARTING)
			act(d, RANQ_SCALE_CANCEL, i, "scaling is being stopped");
		else if (!alloc->drained)
			act(d, RANQ_SCALE_DRAIN, i, "scaling is being stopped");
	}
}

static void write_verdict(struct decision *d)
{
	struct ranq_scale_plan *plan = d->plan;
	char work[128];
	if (*plan->verdict)
		return;
	write_work(d, work, sizeof work);
	snprintf(plan->verdict, sizeof plan->verdict,
		"%s; %u allocation%s needed%s, %zu pending, %zu starting, %zu running, %zu leaving", work, plan->need,
		ranq_plural(plan->need), d->wished ? " as asked" : "", d->pending + d->state->ndoubts, d->starting, d->running, d->leaving);
}

void ranq_scale_decide(const struct ranq_scale_limits *limits, enum ranq_scale_mode mode, int want,
	const struct ranq_scale_work *work, const struct ranq_scale_state *state, int64_t now_ms,
	struct ranq_scale_plan *plan)
{
	struct decision d = {.limits = limits, .work = work, .state = state, .plan = plan, .now_ms = now_ms};
	bool taken[RANQ_SCALE_ALLOCS_MAX] = {false};
	memset(plan, 0, sizeof *plan);
	find_needs(&d, want);
	if (mode == RANQ_SCALE_PAUSED) {
		snprintf(plan->verdict, sizeof plan->verdict, "scaling is paused");
	} else if (mode == RANQ_SCALE_STOP || mode == RANQ_SCALE_STOP_NOW) {
		stop(&d, mode == RANQ_SCALE_STOP_NOW);
		snprintf(plan->verdict, sizeof plan->verdict, "scaling is being stopped: %zu allocation%s %s left",
			state->n, ranq_plural(state->n), ranq_number(state->n, "is", "are"));
	} else {
		mend(&d, taken);
		grow(&d);
		shrink(&d, taken);
		make_smaller(&d, taken);
		write_verdict(&d);
	}
}

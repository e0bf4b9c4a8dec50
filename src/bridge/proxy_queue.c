/* proxy_queue.c - one queue as the bridge sees it: registration, leases, heartbeat, leaving. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/fault.h"
#include "exec/black_box.h"
#include "util/clock.h"

#define IDLE_RETRY_MS 30000
#define FULL_RETRY_MS 1000
#define JOIN_RETRY_MS 500
#define MISSING_HOLD_MS 1000
#define LANES_TOLD 65535
#define CROWD 100 /* bridges from which on heartbeats are spared */

bool proxy_fenced(const struct proxy_queue *pq)
{
	return pq->state == PROXY_LEFT || pq->proxy->now_ms >= pq->fence_ms;
}

/* It may be taken away at this moment; twice, it is leased again and again without being there. */
void proxy_queue_missing(struct proxy_queue *pq, uint64_t job)
{
	if (pq->missing_job == job)
		pq->hold_ms = ranq_clock_ms() + MISSING_HOLD_MS;
	pq->missing_job = job;
	proxy_job_stop(pq, job);
}

void proxy_queue_look(struct proxy_queue *pq)
{
	pq->idle = false;
	pq->elsewhere = false;
	pq->paused = false;
	pq->rung = true;
	pq->retry_ms = 0;
}

/* ---- registration ---- */

/* STATE: what stood under our id before is still being given back, or somebody made the queue anew with another lease,
 * which is then ours. */
static void join_refused(struct proxy_request *request, const struct ranq_err *err)
{
	struct proxy_queue *pq = request->pq;

	if (err->code != RANQ_ERR_STATE) {
		proxy_refused(request, err);
		return;
	}
	pq->q.lease_asked = 0;
	pq->state = PROXY_OUT;
	pq->retry_ms = ranq_clock_ms() + (pq->join_tries++ < 3 ? 0 : JOIN_RETRY_MS);
}

static void shortest_lease(struct ranq_proxy *proxy)
{
	proxy->lease_ms = proxy->queues[0].q.lease_ms;
	for (size_t i = 1; i < proxy->options.nqueues; i++)
		proxy->lease_ms = proxy_min(proxy->lease_ms, proxy->queues[i].q.lease_ms);
}

static void joined(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct proxy_queue *pq = request->pq;
	struct ranq_err err;
	int64_t lease_ms;

	if (!reply || request->epoch != pq->epoch)
		return;
	if (ranq_queue_join_parse(reply, &lease_ms, &err) != 0) {
		join_refused(request, &err);
		return;
	}
	pq->join_tries = 0;
	if (lease_ms >= RANQ_LEASE_MS_MIN)
		pq->q.lease_ms = lease_ms;
	shortest_lease(pq->proxy);
	proxy_renewed(request);
	pq->state = PROXY_IN;
	pq->beaten_ms = ranq_clock_ms();
	pq->beat_ms = pq->beaten_ms + pq->q.lease_ms / 5;
	proxy_queue_look(pq);
}

void proxy_queue_join(struct proxy_queue *pq)
{
	const struct ranq_proxy_options *o = &pq->proxy->options;
	struct ranq_bridge_meta meta = {.host = o->facts[0].host,
		.allocation = o->allocation,
		.user = pq->proxy->user,
		.version = pq->proxy->version,
		.tags = o->tags,
		.binding = o->binding,
		.ranks = pq->proxy->ranks,
		.end_ms = o->end_ms};
	struct ranq_cmd cmd;

	/* before the server can know us */
	ranq_black_box_bridge(o->black_box, pq->q.name, pq->proxy->id);
	ranq_cmd_init(&cmd);
	if (ranq_queue_join_cmd(&pq->q, &cmd, pq->proxy->id, &meta) == 0 && proxy_request(pq, &cmd, joined))
		pq->state = PROXY_JOINING;
	ranq_cmd_clear(&cmd);
	pq->told_ranks = meta.ranks;
	pq->told_end_ms = meta.end_ms;
}

static void start_anew(struct proxy_queue *pq, const char *why)
{
	struct ranq_proxy *proxy = pq->proxy;
	struct proxy_job *job, *next;

	proxy_log(proxy, "queue '%s': %s; starting anew", pq->q.name, why);
	pq->epoch++;
	pq->fence_ms = 0;
	pq->lease_asked = pq->resync_again = false;
	if (pq->standing) /* it must not give anything to our next life */
		proxy->bell_bad = true;
	proxy_outbox_drop(pq);
	for (job = TAILQ_FIRST(&proxy->jobs); job; job = next) {
		next = TAILQ_NEXT(job, next);
		if (job->pq == pq)
			proxy_job_drop(job, true);
	}
	ranq_held_destroy(pq->held);
	pq->held = ranq_held_create();
	if (proxy->phase >= PROXY_LEAVE || !pq->held) {
		pq->state = PROXY_LEFT;
		return;
	}
	pq->state = PROXY_OUT;
	proxy_queue_join(pq);
}

void proxy_queue_gone(struct proxy_queue *pq)
{
	start_anew(pq, "our lease has expired");
}

int64_t proxy_crowd_ms(const struct proxy_queue *pq)
{
	return pq->bridges < (uint64_t)pq->q.lease_ms / 5 ? (int64_t)pq->bridges : pq->q.lease_ms / 5;
}

int64_t proxy_slack_ms(const struct proxy_queue *pq, const struct proxy_job *job)
{
	if (job && job->waited)
		return proxy_min(2 * proxy_crowd_ms(pq), pq->q.lease_ms / 5);
	return proxy_min(4 * proxy_crowd_ms(pq), pq->q.lease_ms / 4);
}

/* ---- heartbeat ---- */

static void beaten(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct proxy_queue *pq = request->pq;
	static struct ranq_beat_reply beat;
	struct ranq_err err;

	if (!reply || request->epoch != pq->epoch)
		return;
	if (ranq_queue_beat_parse(reply, &beat, &err) != 0) {
		proxy_refused(request, &err);
		return;
	}
	proxy_renewed(request);
	if (pq->paused && !beat.paused)
		proxy_queue_look(pq);
	for (size_t i = 0; i < beat.nstopped; i++)
		proxy_job_stop(pq, beat.stopped[i]);
	if (beat.drain)
		proxy_drain(pq->proxy, true, "ranq drain");
}

static void beat(struct proxy_queue *pq)
{
	static uint64_t jobs[RANQ_CALL_ITEMS_MAX];
	/* of more jobs than one heartbeat can name the next one names the rest */
	size_t n = ranq_held_jobs(pq->held, pq->beaten_job, jobs, RANQ_CALL_ITEMS_MAX);
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	if (ranq_queue_beat_cmd(&pq->q, &cmd, pq->proxy->id, jobs, n, pq->proxy->running, pq->done) == 0)
		proxy_request(pq, &cmd, beaten);
	ranq_cmd_clear(&cmd);
	pq->beaten_job = n == RANQ_CALL_ITEMS_MAX ? jobs[n - 1] : 0;
	pq->told_done = pq->done;
	pq->told_running = pq->proxy->running;
	pq->beaten_ms = pq->proxy->now_ms;
	pq->beat_ms = pq->proxy->now_ms + pq->q.lease_ms / 5;
	if (pq->state == PROXY_IN && pq->resync_again && !pq->lease_asked && proxy_outbox_empty(pq))
		proxy_queue_resync(pq);
}

/* A large outbox may take longer than the lease to get through. */
static bool may_beat(const struct proxy_queue *pq)
{
	return pq->proxy->conn && (pq->state == PROXY_IN || pq->state == PROXY_SYNCING) &&
	       pq->proxy->phase < PROXY_LEAVE;
}

/* Each call renews the lease, and the reply to a commit names the jobs that are over. So in a crowd a busy bridge tells
 * what only people want to know once a lease, and a third of a lease may pass without a call. */
void proxy_queue_heard(struct proxy_queue *pq)
{
	if (pq->bridges >= CROWD && !pq->resync_again && !pq->idle)
		pq->beat_ms = proxy_min(pq->proxy->now_ms + pq->q.lease_ms / 3, pq->beaten_ms + pq->q.lease_ms);
}

/* ---- what `ranq workers` shows and `ranq scale` counts with ---- */

static void amended(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct ranq_err err;

	if (request->epoch != request->pq->epoch)
		return;
	if (!reply)
		request->pq->told_end_ms = -1; /* once more */
	else if (ranq_queue_amend_parse(reply, &err) != 0)
		proxy_refused(request, &err);
	else
		proxy_renewed(request);
}

static void amend(struct proxy_queue *pq)
{
	const struct ranq_proxy *proxy = pq->proxy;
	struct ranq_cmd cmd;

	if (pq->state != PROXY_IN || !proxy->conn || proxy->phase >= PROXY_LEAVE ||
		(pq->told_ranks == proxy->ranks && pq->told_end_ms == proxy->options.end_ms))
		return;
	ranq_cmd_init(&cmd);
	if (ranq_queue_amend_cmd(&pq->q, &cmd, proxy->id, proxy->ranks, proxy->options.end_ms) == 0)
		proxy_request(pq, &cmd, amended);
	ranq_cmd_clear(&cmd);
	pq->told_ranks = proxy->ranks;
	pq->told_end_ms = proxy->options.end_ms;
}

/* ---- leases ---- */

static void take_range(struct proxy_queue *pq, const struct ranq_range *range)
{
	struct proxy_job *job;

	if (range->start >= range->end || range->end > RANQ_TASKS_MAX || ranq_held_add(pq->held, range) != 0) {
		pq->resync_again = true; /* gives it back */
		return;
	}
	pq->last_job = range->job;
	job = proxy_job_get(pq, range->job);
	if (!job || proxy_piece_add(job, range, ++pq->proxy->next_grant) != 0)
		proxy_outbox_release_one(pq, range->job, range->seq, range->start, range->end, RANQ_RELEASE_DRAINED);
	else if (range->waited)
		proxy_outbox_waited(job);
}

/* Nothing, or nothing more. An idle bridge asks for a lease where it would send a heartbeat, a little earlier: that
 * renews as well, and finds what a lost bell would have told. */
static void lease_empty(struct proxy_queue *pq, const struct ranq_lease_reply *lease, bool full)
{
	int64_t beat_ms = pq->q.lease_ms / 5;

	pq->last_want = 0;
	if (pq->rung) /* the bell, which comes by another connection, overtook this reply: there is work by now */
		return;
	pq->elsewhere = lease->elsewhere;
	if (pq->elsewhere)
		return;
	pq->paused = lease->paused;
	pq->idle = true;
	pq->retry_ms =
		ranq_clock_ms() + (full ? FULL_RETRY_MS
					: proxy_min(beat_ms, IDLE_RETRY_MS) -
							  beat_ms / 40 /* or the tick of the heartbeat comes first */ -
							  (int64_t)(rand_r(&pq->proxy->random) % (beat_ms / 20)));
}

void proxy_lease_take(struct proxy_request *request, struct ranq_lease_reply *lease)
{
	struct proxy_queue *pq = request->pq;

	proxy_renewed(request);
	if (lease->bridges > 0)
		pq->bridges = lease->bridges;
	pq->left = lease->n > 0 ? lease->left : 0; /* what comes next may be small */
	pq->left_ms = ranq_clock_ms();
	pq->full = false;
	if (lease->drain)
		proxy_drain(pq->proxy, true, "ranq drain");
	if (lease->n > 0) {
		pq->idle = false;
		proxy_queue_heard(pq);
	}
	if ((lease->n == 0 || lease->idle) && !lease->drain)
		lease_empty(pq, lease, request->b & RANQ_LEASE_RETURNED_ONLY);
	if (lease->record.len > 0)
		proxy_job_record(pq, lease->ranges[0].job, lease->record);
	for (size_t i = 0; i < lease->n; i++) {
		lease->ranges[i].seq = request->a;
		take_range(pq, &lease->ranges[i]);
	}
	if (lease->input.len > 0)
		proxy_input_came(pq, lease->ranges[0].job, lease->input_first, lease->input);
}

static void leased(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct proxy_queue *pq = request->pq;
	static struct ranq_lease_reply lease;
	struct ranq_err err;

	if (request->epoch != pq->epoch)
		return;
	pq->lease_asked = false;
	if (!reply)
		return;
	ranq_fault_kill("leased");
	if (ranq_queue_lease_parse(reply, &lease, &err) != 0) {
		if (err.code == RANQ_ERR_STATE && proxy_standing_overtook(request))
			return;
		if (err.code == RANQ_ERR_FULL || proxy_refused_alone(&err)) {
			pq->full = err.code == RANQ_ERR_FULL;
			pq->retry_ms = ranq_clock_ms() + FULL_RETRY_MS;
			pq->idle = true;
		} else {
			proxy_refused(request, &err);
		}
		return;
	}
	proxy_lease_take(request, &lease);
}

void proxy_lease_is_beat(struct proxy_queue *pq)
{
	if (pq->idle && pq->told_done == pq->done && pq->told_running == pq->proxy->running &&
		ranq_held_count(pq->held) == 0 && !pq->resync_again)
		pq->beat_ms = ranq_clock_ms() + pq->q.lease_ms / 5;
}

/* Those that have nothing at hand: others may leave a job that comes to another bridge. */
unsigned proxy_lease_lanes(const struct ranq_proxy *proxy)
{
	return RANQ_LEASE_LANE * (proxy->idle_lanes < LANES_TOLD ? proxy->idle_lanes : LANES_TOLD);
}

/* In a crowd, what is to be said soon anyway goes with a lease call: the server reads it in one go, and has all that it
 * needs at hand, so the calls cost it less than one at a time. */
static void say_the_rest(struct proxy_queue *pq)
{
	if (pq->bridges < CROWD)
		return;
	proxy_outbox_along(pq);
	if (may_beat(pq) && pq->proxy->now_ms - pq->beaten_ms >= pq->q.lease_ms / 3 * 2)
		beat(pq);
}

static void ask_lease(struct proxy_queue *pq, uint64_t want, bool busy)
{
	struct ranq_proxy *proxy = pq->proxy;
	int64_t left_ms = proxy_left_ms(proxy);
	unsigned flags = (pq->full ? RANQ_LEASE_RETURNED_ONLY : 0) | (busy ? RANQ_LEASE_BUSY : 0) |
			 (proxy->running == 0 ? RANQ_LEASE_RECORD : 0) | RANQ_LEASE_LEFT | proxy_lease_lanes(proxy);
	struct proxy_request *request;
	struct ranq_cmd cmd;

	pq->rung = false;
	pq->elsewhere = false;
	pq->full = false; /* the next one tries new work again */
	ranq_cmd_init(&cmd);
	if (!pq->idle && pq->seq < pq->standing_seq)
		pq->seq = pq->standing_seq; /* the call that stands behind the bell is of no use any more */
	pq->seq++;
	request = NULL;
	if (ranq_queue_lease_cmd(&pq->q, &cmd, proxy->id, pq->seq, want, PROXY_RANGES_MAX, flags,
		    left_ms == RANQ_NEVER ? -1 : left_ms, proxy->options.tags) == 0)
		request = proxy_request(pq, &cmd, leased);
	ranq_cmd_clear(&cmd);
	if (!request)
		return;
	request->a = pq->seq;
	request->b = flags;
	proxy_lease_is_beat(pq);
	pq->lease_asked = true;
	pq->last_want = want;
	say_the_rest(pq);
}

/* As in the server: each rank cuts its pieces out of ranges. */
static size_t fragments_max(const struct ranq_proxy *proxy)
{
	size_t max = 3 * (size_t)proxy->options.link->size;

	return max > RANQ_BRIDGE_FRAGMENTS_MAX ? max : RANQ_BRIDGE_FRAGMENTS_MAX;
}

static bool may_lease(const struct proxy_queue *pq)
{
	return pq->state == PROXY_IN && !pq->lease_asked && !pq->standing_due && pq->proxy->now_ms >= pq->hold_ms &&
	       ranq_held_count(pq->held) + PROXY_RANGES_MAX <= fragments_max(pq->proxy) &&
	       (!pq->idle || pq->proxy->now_ms >= pq->retry_ms);
}

/* The tasks that come next will be as those of the job that came last, if it is still here. */
static void expect(struct proxy_queue *pq, struct ranq_leasing *leasing)
{
	const struct proxy_job *job = proxy_job_find(pq, pq->last_job);

	if (!job)
		return;
	leasing->task_ns = proxy_job_task_ns(job);
	leasing->unmeasured = job->pace.measured == 0;
	leasing->cap = job->state == PROXY_JOB_READY ? job->spec.chunk : 0;
}

/* A task for each lane at least, or each lane would get the one that another should have. */
static uint64_t at_least(struct proxy_queue *pq, uint64_t want)
{
	const struct proxy_job *job = proxy_job_find(pq, pq->last_job);
	uint64_t each = job && job->spec.sticky ? (job->spec.chunk ? job->spec.chunk : 1) : 0;

	return want > each * pq->proxy->lanes ? want : each * pq->proxy->lanes;
}

/* Near the end of the only job less is asked for: what one bridge had then, others would wait for. */
static double crowd_s(struct proxy_queue *pq, double task_ns)
{
	double s = (double)proxy_slack_ms(pq, proxy_job_find(pq, pq->last_job)) / 1e3;
	double all = (double)pq->bridges * pq->proxy->lanes;

	if (pq->left == UINT64_MAX || task_ns <= 0 || all < 1)
		return s;
	return ranq_leasing_crowd_s(
		s, (double)pq->left * task_ns / 1e9 / all, (double)(pq->proxy->now_ms - pq->left_ms) / 1e3);
}

uint64_t proxy_lease_want(struct proxy_queue *pq, bool *busy)
{
	const struct ranq_proxy *proxy = pq->proxy;
	struct ranq_leasing leasing = {.lanes = proxy->lanes, .idle = proxy->idle_lanes, .last_want = pq->last_want};
	uint64_t want;

	expect(pq, &leasing);
	leasing.crowd_s = crowd_s(pq, leasing.task_ns);
	leasing.unstarted = proxy_unstarted(proxy, pq->index, leasing.task_ns);
	want = ranq_leasing_want(&leasing);
	*busy = proxy->idle_lanes == 0 || leasing.unstarted >= proxy->idle_lanes;
	return want > 0 ? at_least(pq, want) : 0;
}

/* Queues in their order: a later one is asked only while the earlier ones have nothing; what a later one gave does not
 * keep us from asking an earlier one. */
void proxy_lease(struct ranq_proxy *proxy)
{
	if (proxy->phase != PROXY_RUN || proxy->lanes == 0 || proxy->now_ms < proxy->hold_ms ||
		proxy_outbox_bytes(proxy) > PROXY_RESULTS_MAX / 2)
		return;
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		struct proxy_queue *pq = &proxy->queues[i];
		bool busy;
		uint64_t want = proxy_lease_want(pq, &busy);

		if (want == 0)
			return;
		if (may_lease(pq) && !(busy && pq->elsewhere))
			ask_lease(pq, want, busy);
		if (pq->lease_asked)
			return;
	}
}

/* ---- leaving ---- */

static void left(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct proxy_queue *pq = request->pq;
	struct ranq_err err;
	bool more = false;

	pq->leave_asked = false;
	if (!reply)
		return;
	if (ranq_queue_leave_parse(reply, &more, &err) != 0 && err.code != RANQ_ERR_GONE)
		proxy_refused(request, &err);
	else if (!more)
		pq->state = PROXY_LEFT;
}

void proxy_queue_leave(struct proxy_queue *pq)
{
	struct ranq_cmd cmd;

	if (pq->state == PROXY_LEFT || pq->leave_asked)
		return;
	ranq_fault_kill("before_leave");
	proxy_outbox_send(pq, true);
	ranq_cmd_init(&cmd);
	if (ranq_queue_leave_cmd(&pq->q, &cmd, pq->proxy->id) == 0 && proxy_request(pq, &cmd, left))
		pq->leave_asked = true;
	ranq_cmd_clear(&cmd);
}

/* ---- loop ---- */

void proxy_queue_tick(struct proxy_queue *pq)
{
	if (pq->state == PROXY_OUT && pq->proxy->conn && pq->proxy->phase < PROXY_LEAVE &&
		pq->proxy->now_ms >= pq->retry_ms)
		proxy_queue_join(pq);
	proxy_queue_sync(pq);
	if (may_beat(pq) && pq->proxy->now_ms >= pq->beat_ms)
		beat(pq);
	amend(pq);
}

int64_t proxy_queue_due(const struct proxy_queue *pq)
{
	int64_t due = RANQ_NEVER;

	if (pq->proxy->phase >= PROXY_LEAVE)
		return due;
	if (pq->state == PROXY_OUT && pq->proxy->conn)
		return pq->retry_ms;
	if (!may_beat(pq))
		return due;
	due = pq->beat_ms;
	/* a time that has passed without a lease means that there is enough work: the next event asks again */
	if (pq->idle && !pq->lease_asked && pq->retry_ms > pq->proxy->now_ms)
		due = proxy_min(due, pq->retry_ms);
	if (pq->hold_ms > pq->proxy->now_ms)
		due = proxy_min(due, pq->hold_ms);
	return due;
}

/* proxy_standing.c - the next lease call of an idle bridge stands in the server behind its bell: what comes by one
 * connection is carried out in order, so it is carried out the moment the bell rings, and instead of word of work the work
 * itself arrives.
 *
 * Its number is far ahead. Heartbeats of the idle bridge, which are lease calls too, stay below it; a call that wants work,
 * because something else told of it, goes beyond it, and the server refuses the one that stands there. So it gives only to
 * a bridge that is as idle as when it was sent. An answer is lost only with its connection, and the resync that follows
 * gives back what it granted. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>

#include "bridge/fault.h"
#include "util/clock.h"

#define AHEAD ((uint64_t)1 << 20) /* more than the heartbeats of one wait */

static void answered(const struct ranq_reply *reply, void *arg)
{
	static struct ranq_lease_reply lease;
	struct proxy_request *request = arg;
	struct proxy_queue *pq = request->pq;
	struct ranq_err err;

	request->proxy->heard++;
	pq->standing = pq->standing_due = false;
	if (pq->seq < pq->standing_seq)
		pq->seq = pq->standing_seq;
	if (!reply || request->epoch != pq->epoch) {
		free(request);
		return;
	}
	if (ranq_queue_reply_is_noscript(reply)) {
		request->proxy->bell_bad = true;
	} else if (ranq_queue_lease_parse(reply, &lease, &err) == 0) {
		ranq_fault_kill("leased");
		proxy_lease_take(request, &lease);
		if (lease.n > 0)
			pq->last_want = request->key;
		proxy_lease_is_beat(pq);
	} else if (err.code != RANQ_ERR_FULL && !proxy_refused_alone(&err)) {
		proxy_refused(request, &err);
	}
	free(request);
}

static bool is_wanted(const struct proxy_queue *pq)
{
	const struct ranq_proxy *proxy = pq->proxy;

	return proxy->phase == PROXY_RUN && proxy->lanes > 0 && proxy->running == 0 && proxy->now_ms >= proxy->hold_ms &&
	       proxy->conn && !proxy->conn_bad && proxy->bell && !proxy->bell_bad && proxy->bell_waits && !pq->standing &&
	       pq->state == PROXY_IN && pq->idle && !pq->paused && !pq->full && !pq->rung && !pq->lease_asked &&
	       proxy->now_ms >= pq->hold_ms && !pq->resync_again && ranq_held_count(pq->held) == 0;
}

/* With several queues nobody knows whose bell will ring. */
void proxy_standing_send(struct ranq_proxy *proxy)
{
	struct proxy_queue *pq = &proxy->queues[0];
	struct proxy_request *request;
	int64_t left_ms = proxy_left_ms(proxy), wait_ms = proxy->bell_deadline_ms - ranq_clock_ms();
	struct ranq_cmd cmd;
	bool busy;

	if (proxy->options.nqueues != 1 || !is_wanted(pq))
		return;
	request = calloc(1, sizeof *request);
	if (!request)
		return;
	*request = (struct proxy_request){.proxy = proxy,
		.pq = pq,
		.epoch = pq->epoch,
		.key = proxy_lease_want(pq, &busy),
		.a = pq->seq + AHEAD,
		.b = RANQ_LEASE_RECORD | RANQ_LEASE_LEFT | proxy_lease_lanes(proxy),
		.sent_ms = ranq_clock_ms()};
	if (left_ms != RANQ_NEVER) /* as it will be at the latest */
		left_ms = left_ms > wait_ms ? left_ms - wait_ms : 0;
	ranq_cmd_init(&cmd);
	if (request->key > 0 && ranq_queue_lease_cmd(&pq->q, &cmd, proxy->id, request->a, request->key, PROXY_RANGES_MAX,
					(unsigned)request->b, left_ms == RANQ_NEVER ? -1 : left_ms, proxy->options.tags) == 0) {
		pq->standing = true;
		pq->standing_seq = request->a;
		ranq_conn_send(proxy->bell, &cmd, answered, request);
	} else {
		free(request);
	}
	ranq_cmd_clear(&cmd);
}

bool proxy_standing_rung(struct proxy_queue *pq)
{
	pq->standing_due = pq->standing && pq->seq < pq->standing_seq;
	return pq->standing_due;
}

bool proxy_standing_overtook(const struct proxy_request *request)
{
	return request->a < request->pq->standing_seq;
}

/* proxy_give.c - nodes that had no task for the time of --give-back are offered to the scheduler while the others go on.
 *
 * From the offer on the ranks of such a node get no work, but are asked for signs of life as before, so that they come back when the
 * scheduler does not take the node. When it does, it kills them: under `srun --no-kill` the others do not notice.
 *
 * The node of rank 0 stays, and with it or elsewhere at least one rank that computes. Under mpirun, which ends all ranks
 * with any node, nodes are offered only when no task runs at all; then `ranq join` drains the bridge, gives them back
 * and starts another one on what is left. */
#include <stdio.h>
#include <stdlib.h>

#include "bridge/proxy_impl.h"
#include "util/clock.h"

#define LOOK_MS 250
#define ANSWER_MS 120000 /* no answer is a no */
#define AGAIN_MS 300000  /* after a no */
#define HOSTS_MAX ((size_t)1 << 20)

bool proxy_give_init(struct ranq_proxy *proxy)
{
	const struct ranq_link *link = proxy->options.link;

	if (proxy->options.give_back_ms <= 0 || !proxy->options.offer)
		return true;
	for (int r = 0; r < link->size; r++)
		if (link->node[r] >= proxy->nnodes)
			proxy->nnodes = link->node[r] + 1;
	proxy->node_used_ms = calloc((size_t)proxy->nnodes, sizeof *proxy->node_used_ms);
	for (int node = 0; proxy->node_used_ms && node < proxy->nnodes; node++)
		proxy->node_used_ms[node] = ranq_clock_ms();
	return proxy->node_used_ms != NULL;
}

static bool work_is_there(const struct ranq_proxy *proxy)
{
	if (!TAILQ_EMPTY(&proxy->pieces) || !proxy->conn)
		return true;
	for (size_t i = 0; i < proxy->options.nqueues; i++)
		if (proxy->queues[i].state != PROXY_IN || !proxy->queues[i].idle || proxy->queues[i].paused)
			return true;
	return false;
}

static void note_used(struct ranq_proxy *proxy)
{
	bool all = work_is_there(proxy) || (proxy->options.mpirun && !proxy_idle(proxy));

	for (int r = 0; r < proxy->options.link->size; r++)
		if (all || proxy->workers[r].chunks > 0)
			proxy->node_used_ms[proxy->options.link->node[r]] = proxy->now_ms;
}

static bool is_unused(const struct ranq_proxy *proxy, int node)
{
	int64_t since_ms = proxy->node_used_ms[node] > proxy->work_ms ? proxy->node_used_ms[node] : proxy->work_ms;

	return node != proxy->options.link->node[0] && proxy->now_ms - since_ms >= proxy->options.give_back_ms;
}

/* Somebody must be there to compute when work comes: with no other rank, the first such node stays. */
static int stays(const struct ranq_proxy *proxy)
{
	int first = -1;

	for (int r = 0; r < proxy->options.link->size; r++) {
		int node = proxy->options.link->node[r];

		if (!proxy_computes(proxy, r))
			continue;
		if (!is_unused(proxy, node))
			return -1;
		if (first < 0)
			first = node;
	}
	return first;
}

/* Names of the unused nodes, each once, wherever its ranks stand. */
static void list_unused(struct ranq_proxy *proxy, struct ranq_buf *hosts)
{
	bool *listed = calloc((size_t)proxy->nnodes, sizeof *listed);
	int but = stays(proxy);

	for (int r = 0; listed && r < proxy->options.link->size; r++) {
		int node = proxy->options.link->node[r];

		if (!proxy_computes(proxy, r) || node == but || !is_unused(proxy, node))
			continue;
		if (!listed[node])
			ranq_buf_printf(hosts, "%s%s", hosts->len ? "," : "", proxy->options.facts[r].host);
		listed[node] = proxy->workers[r].offered = true;
	}
	free(listed);
}

static void answer(struct ranq_proxy *proxy, bool taken)
{
	proxy->offer_ms = 0;
	for (int r = 0; r < proxy->options.link->size; r++) {
		struct proxy_worker *worker = &proxy->workers[r];

		if (!worker->offered || worker->broken)
			continue;
		worker->broken = taken; /* no more messages to it */
		worker->offered = taken;
	}
	if (!taken)
		proxy->give_ms = proxy->now_ms + AGAIN_MS;
}

static void offer(struct ranq_proxy *proxy)
{
	struct ranq_buf hosts;

	ranq_buf_init(&hosts, HOSTS_MAX);
	list_unused(proxy, &hosts);
	if (hosts.len > 0 && !ranq_buf_failed(&hosts) &&
		proxy->options.offer(proxy->options.offer_arg, ranq_buf_cstr(&hosts))) {
		proxy_log(proxy, "offered to the scheduler, since no task runs there: %s", ranq_buf_cstr(&hosts));
		for (int r = 0; r < proxy->options.link->size; r++)
			if (proxy->workers[r].offered && !proxy->workers[r].broken)
				proxy_worker_retire(proxy, r);
		proxy->offer_ms = proxy->now_ms;
	} else {
		answer(proxy, hosts.len == 0);
	}
	ranq_buf_clear(&hosts);
}

void ranq_proxy_given(struct ranq_proxy *proxy, bool taken)
{
	if (proxy->offer_ms > 0)
		answer(proxy, taken);
}

void proxy_give_tick(struct ranq_proxy *proxy)
{
	if (!proxy->node_used_ms || proxy->now_ms < proxy->give_ms)
		return;
	proxy->give_ms = proxy->now_ms + LOOK_MS;
	note_used(proxy);
	if (proxy->offer_ms == 0)
		offer(proxy);
	else if (proxy->now_ms - proxy->offer_ms > ANSWER_MS)
		answer(proxy, false);
}

int64_t proxy_give_due(const struct ranq_proxy *proxy)
{
	return proxy->node_used_ms ? proxy->give_ms : RANQ_NEVER;
}

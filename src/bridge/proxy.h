/* proxy.h - rank 0 of a bridge: the only process there that talks to Redis. It leases ranges of tasks, cuts them into
 * chunks for the workers, and commits their results. One event loop, nothing blocks except opening a connection
 * (bounded, see proxy_conn.c).
 *
 * What must never happen, whatever dies: a result committed that was not computed under the range's token (the server
 * checks), a range held for ever without being worked on (mirror + resync, proxy_conn.c), a new task started past the
 * lease (fence). */
#ifndef RANQ_BRIDGE_PROXY_H
#define RANQ_BRIDGE_PROXY_H

#include "bridge/link.h"
#include "bridge/message.h"
#include "bridge/nodes.h"
#include "store/conn.h"

struct event_base;
struct ranq_proxy_options {
	struct event_base *base;
	struct ranq_link *link;
	const struct ranq_rank_facts *facts; /* of all ranks */
	struct ranq_server_addr *addr;
	void (*find_again)(struct ranq_server_addr *addr); /* before another connection: the server may have moved; or NULL */
	const char *const *queues; /* in order of priority */
	size_t nqueues;
	bool computes;                           /* this rank has a worker of its own */
	bool mpirun;                             /* the launcher kills everything when one rank dies: see proxy_end.c */
	int64_t lease_ms;                        /* wish for a new queue, 0: none */
	const char *allocation, *tags, *binding; /* shown by `ranq workers`; may be NULL */
	int64_t end_ms;                          /* wall clock end of the allocation, 0: unknown */
	int64_t idle_timeout_ms;                 /* -1: stay */
	bool stop_on_server_lost;
	int warn_signal;  /* for running tasks when the bridge must leave; 0: none */
	int64_t grace_ms; /* how long they may go on then */
	int black_box;    /* exec/black_box.h; 0 and below: none */
	int64_t give_back_ms; /* nodes without a task for so long are offered to the scheduler; 0: never */
	/* Offers nodes, names separated by commas: the answer is ranq_proxy_given. false: it cannot be asked. */
	bool (*offer)(void *arg, const char *hosts);
	void *offer_arg;
};
struct ranq_proxy;
/* Connects, attaches to the queues and joins them; errors as of these (AUTH, SERVER, SCHEMA, STATE). */
struct ranq_proxy *ranq_proxy_create(const struct ranq_proxy_options *options, struct ranq_err *err);
void ranq_proxy_destroy(struct ranq_proxy *proxy); /* takes NULL; leaving is done before, by the loop */
/* A message for the proxy. -1: malformed, ignored. */
int ranq_proxy_message(
	struct ranq_proxy *proxy, int src, enum ranq_message_type type, struct ranq_reader *body, struct ranq_err *err);
/* SIGTERM, SIGINT, SIGUSR1, SIGUSR2: drain, the second one hurries; SIGCONT: see proxy_end.c. */
void ranq_proxy_signal(struct ranq_proxy *proxy, int sig);
/* The allocation's end has moved (wall clock, ms): what is leased from now on goes by it. */
void ranq_proxy_set_end(struct ranq_proxy *proxy, int64_t end_ms);
/* The answer to the last offer. taken: these nodes are gone; else their ranks compute again. */
void ranq_proxy_given(struct ranq_proxy *proxy, bool taken);
/* Before each wait: sets the watches, gives the next time (ranq_clock_ms) at which tick is due. */
int64_t ranq_proxy_prepare(struct ranq_proxy *proxy);
void ranq_proxy_tick(struct ranq_proxy *proxy);
/* True when everything is over: the workers have said goodbye or their time is up. *status: exit status of the bridge.
 */
bool ranq_proxy_done(const struct ranq_proxy *proxy, int *status);

#endif

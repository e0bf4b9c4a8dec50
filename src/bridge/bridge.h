/* bridge.h - the loop of one rank: link, signals, and the proxy and worker that live there (rank 0 may have both). */
#ifndef RANQ_BRIDGE_BRIDGE_H
#define RANQ_BRIDGE_BRIDGE_H

#include "bridge/link.h"
#include "bridge/proxy.h"
#include "bridge/watch.h"
#include "bridge/worker.h"

struct ranq_bridge {
	struct event_base *base;
	struct ranq_link *link;
	struct ranq_proxy *proxy;   /* NULL: this is not rank 0 */
	struct ranq_worker *worker; /* NULL: this rank does not compute */
	int signal_fd;              /* signalfd, or -1 */
	/* private */
	struct event *timer;
	struct ranq_watch link_watch, signal_watch;
	bool link_broken;
};
/* Puts link's handler in place. To be called before proxy and worker are made. */
int ranq_bridge_init(struct ranq_bridge *bridge, struct ranq_err *err);
void ranq_bridge_clear(struct ranq_bridge *bridge);
/* One turn of the loop: waits for something at most until until_ms, handles it. */
void ranq_bridge_turn(struct ranq_bridge *bridge, int64_t until_ms);
/* Turns until this rank's part is over; *status: exit status. */
void ranq_bridge_run(struct ranq_bridge *bridge, int *status);

#endif

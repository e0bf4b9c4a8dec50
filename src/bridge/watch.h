/* watch.h - descriptors that come and go in the event loop of a rank.
 *
 * The loop uses select(2) underneath: a rank has a dozen descriptors, wants time-outs of 100 us, and closes and reopens
 * descriptors under the same number (executors, connections), which a kernel-side interest list would get wrong. */
#ifndef RANQ_BRIDGE_WATCH_H
#define RANQ_BRIDGE_WATCH_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct ranq_watch {
	struct event *event;
	int fd;
	short what;
};
struct event_base *ranq_watch_base(struct ranq_err *err);
/* Watches fd (-1: nothing) for reading, and writing if asked; cheap when nothing changes. To be called before each
 * wait. */
void ranq_watch_set(
	struct ranq_watch *watch, struct event_base *base, int fd, bool write, event_callback_fn call, void *arg);
void ranq_watch_clear(struct ranq_watch *watch);
/* One turn of the loop: waits until until_ns of ranq_clock_ns() at the latest (0: does not wait; RANQ_NEVER: for ever).
 */
void ranq_watch_wait(struct event_base *base, struct event *timer, int64_t until_ns);

#endif

/* end_watch.h - keeps the end of the allocation fresh while a bridge runs: limits are changed, preemptions shorten them.
 *
 * Asks the scheduler every five minutes, more often as the end comes near (half of what is left, 30 s at least), or
 * as RANQ_END_POLL says, and writes what it hears into a file, which rank 0 of the bridge watches (--end-file). */
#ifndef RANQ_LAUNCHER_END_WATCH_H
#define RANQ_LAUNCHER_END_WATCH_H

#include "common/allocation.h"

struct ranq_end_watch {
	char path[4096]; /* "": nothing to watch */
	int64_t end_s, next_ms, poll_ms /* 0: by itself */;
};
/* For an allocation of a scheduler that told its end; else it does nothing. */
void ranq_end_watch_start(struct ranq_end_watch *watch, const struct ranq_allocation *allocation);
/* Call about each second: asks when it is time to. */
void ranq_end_watch_look(struct ranq_end_watch *watch, const struct ranq_allocation *allocation);
void ranq_end_watch_stop(struct ranq_end_watch *watch);

#endif

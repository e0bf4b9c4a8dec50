/* dead_bridge.h - telling the queues that a bridge was killed, for the one who saw it die. */
#ifndef RANQ_COMMON_DEAD_BRIDGE_H
#define RANQ_COMMON_DEAD_BRIDGE_H

#include <stdbool.h>

#include "exec/black_box.h"

/* Reports each bridge of the box to its queue (queue/PROTOCOL.md, dead): what it held goes back now and not when its
 * lease ends. blame: the tasks of the box are to blame; that is known only when all ranks were on this host. Call it
 * when no process of the bridge is left. -1: some queue could not be told; then the lease does it. Returns how many
 * tasks were named. */
int ranq_dead_bridge_report(const struct ranq_black_box *box, const char *server, bool blame, struct ranq_err *err);
/* The same bridges left by themselves: removes the files of jobs that their queues have no more (client/remove.h). */
void ranq_dead_bridge_tidy(const struct ranq_black_box *box, const char *server);

#endif

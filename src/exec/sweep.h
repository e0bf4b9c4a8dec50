/* sweep.h - ends what a rank, an executor or a task has left behind. */
#ifndef RANQ_EXEC_SWEEP_H
#define RANQ_EXEC_SWEEP_H

#include <stdint.h>
#include <sys/types.h>

/* KILL to every process (but this one) whose environment says RANQ_MARK=<mark> or RANQ_MARK=<mark>.<anything>; repeated
 * until none is left, for limit_ms at most. A process can fork while the list is read, so "none left" means two passes
 * without a find. Returns how many processes were seen in the last pass: 0 is success. */
unsigned ranq_sweep(const char *mark, int64_t limit_ms);
/* How many there are now; sends them sig unless it is 0. */
unsigned ranq_sweep_pass(const char *mark, int sig);
/* KILL to a group that came out of a progress page. The page may hold anything: groups of the caller or outside
 * `session` stay alone. */
void ranq_sweep_group(pid_t group, pid_t session, int sig);

#endif

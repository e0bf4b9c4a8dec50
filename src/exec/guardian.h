/* guardian.h - the process ranq-exec: forks executors for one rank, reaps them, and cleans up when either of them ends.
 */
#ifndef RANQ_EXEC_GUARDIAN_H
#define RANQ_EXEC_GUARDIAN_H

#include <sys/resource.h>

/* Serves the control socket until it ends; returns the exit status. RANQ_MARK is in the environment. core, files:
 * what executors get back. black_box: where the end of the rank is noted (exec/black_box.h), -1: nowhere. */
int ranq_guardian_run(int control_fd, int black_box, const struct rlimit *core, const struct rlimit *files);

#endif

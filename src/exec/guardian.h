/* guardian.h - the process ranq-exec: forks executors for one rank, reaps them, and cleans up when either of them ends.
 */
#ifndef RANQ_EXEC_GUARDIAN_H
#define RANQ_EXEC_GUARDIAN_H

#include <sys/resource.h>

/* Serves the control socket until it ends; returns the exit status. RANQ_MARK is in the environment. core: what
 * executors get back. */
int ranq_guardian_run(int control_fd, const struct rlimit *core);

#endif

/* survivors.h - which nodes of an allocation still answer, asked before a bridge is started again after a crash.
 *
 * A scheduler needs minutes to find a dead node (Slurm 300 s by default, PBS about 70 s and more), PBS leaves it in the
 * node file for ever, and mpirun does not start at all while one of its nodes is dead. */
#ifndef RANQ_LAUNCHER_SURVIVORS_H
#define RANQ_LAUNCHER_SURVIVORS_H

#include <stdbool.h>

#include "common/allocation.h"

/* Asks each node to run `true`, by the way that mpirun or srun would take (all at once, 5 s), and takes those that do not
 * out of nodes, nnodes and, by their share, cpus. Returns their names separated by commas (owned), or NULL: nothing was
 * changed. This node is asked, too: where not even it answers, the way of asking may be what is broken, and the others
 * are taken out only if `desperate`. */
char *ranq_survivors_keep(struct ranq_allocation *allocation, bool desperate);

#endif

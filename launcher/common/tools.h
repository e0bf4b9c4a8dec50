/* tools.h - runs the programs of a scheduler (sbatch, qstat): with a time limit, bounded output, a clean environment.
 */
#ifndef RANQ_LAUNCHER_TOOLS_H
#define RANQ_LAUNCHER_TOOLS_H

#include "scale/scheduler.h"

/* For the drivers. LC_ALL=C; without the variables that would change what squeue prints or that an allocation around us
 * would hand on to the next one; /opt/pbs/bin at the end of PATH. */
extern const struct ranq_tools ranq_tools;

#endif

/* scale_local.h - the driver for machines without a scheduler: allocations are processes of this host that run the job
 * script. */
#ifndef RANQ_LAUNCHER_SCALE_LOCAL_H
#define RANQ_LAUNCHER_SCALE_LOCAL_H

#include <limits.h>

#include "scale/scheduler.h"

struct ranq_scale_local {
	char host[HOST_NAME_MAX + 1];
};
extern const struct ranq_sched_driver ranq_scale_local_driver;
struct ranq_scheduler ranq_scale_local_scheduler(struct ranq_scale_local *local);

#endif

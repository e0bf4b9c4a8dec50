/* oom.h - did the kernel kill for want of memory? A process killed by it looks like any other that got signal 9. */
#ifndef RANQ_EXEC_OOM_H
#define RANQ_EXEC_OOM_H

#include <stdint.h>

#define RANQ_OOM_TEXT ", out of memory"

/* How many processes of this process's cgroup (version 1 or 2) were killed for want of memory; -1: cannot be known
 * here. */
int64_t ranq_oom_kills(void);
/* The same from other places: a file like /proc/self/cgroup, a directory like /sys/fs/cgroup. */
int64_t ranq_oom_kills_of(const char *cgroup_file, const char *root);

#endif

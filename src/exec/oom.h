/* oom.h - did the kernel kill for want of memory? A process killed by it looks like any other that got signal 9. */
#ifndef RANQ_EXEC_OOM_H
#define RANQ_EXEC_OOM_H

#include <stdint.h>

/* How many processes of this process's cgroup (version 1 or 2) were killed for want of memory; -1: cannot be known
 * here. */
int64_t ranq_oom_kills(void);
/* For a process that got signal 9 and not from us: ", out of memory" when the count has grown beyond *seen (which takes
 * the new one), ", out of memory?" when it cannot be known, else "". */
const char *ranq_oom_text(int64_t *seen);
/* ranq_oom_kills from other places: a file like /proc/self/cgroup, a directory like /sys/fs/cgroup. */
int64_t ranq_oom_kills_of(const char *cgroup_file, const char *root);

#endif

/* cpus.h - cpu lists ("0,2-3") and applying them. */
#ifndef RANQ_EXEC_CPUS_H
#define RANQ_EXEC_CPUS_H

#include <stddef.h>

#include "util/err.h"

#define RANQ_CPUS_MAX 8192 /* numbers above are refused */

/* Number of cpus of a list, or -1 with err when it is not one. */
int ranq_cpus_count(const char *list, struct ranq_err *err);
/* sched_setaffinity of this process. */
int ranq_cpus_bind(const char *list, struct ranq_err *err);
/* The cpus this process may use now, as a list; at most len bytes with the NUL, -1 when it does not fit. */
int ranq_cpus_current(char *list, size_t len, struct ranq_err *err);
/* Memory of this process comes from `node` as long as there is some. Kernels without NUMA refuse; that does no harm. */
void ranq_cpus_prefer_node(int node);

#endif

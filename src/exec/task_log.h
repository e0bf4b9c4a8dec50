/* task_log.h - what functions print: stdout and stderr of the executor become one file in memory of fixed size.
 *
 * A sealed memfd cannot grow, so a body that prints for ever fills it and then gets write errors; nobody has to empty
 * it meanwhile. The two descriptors share one file position: it says how much was printed, and setting it to 0 empties
 * the log. */
#ifndef RANQ_EXEC_TASK_LOG_H
#define RANQ_EXEC_TASK_LOG_H

#include <stdbool.h>

#include "util/buf.h"
#include "util/err.h"

struct ranq_task_log;
/* Takes over descriptors 1 and 2. */
struct ranq_task_log *ranq_task_log_open(struct ranq_err *err);
/* Before a task: empties the log. Costs a system call only after something was found in it: a job that prints once will
 * print again. */
void ranq_task_log_start(struct ranq_task_log *log);
/* Was anything found in it so far? */
bool ranq_task_log_is_noisy(const struct ranq_task_log *log);
/* What the task printed, at most the last `max` bytes; borrowed. */
struct ranq_bytes ranq_task_log_tail(struct ranq_task_log *log, size_t max);
/* Now and then (each flush): notices that tasks print, makes room. */
void ranq_task_log_check(struct ranq_task_log *log);

#endif

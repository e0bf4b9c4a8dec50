/* memory.h - the memory limit of a job (--memory): RLIMIT_DATA, and the stack as far as it is larger.
 *
 * RLIMIT_DATA counts what a process has taken for itself: heap, private anonymous mappings, stacks of threads. Unlike
 * RLIMIT_AS it leaves alone what is only reserved, or shared: libraries, mapped files, job data. It holds for each
 * process of a command, and for the executor while it is in a function. */
#ifndef RANQ_EXEC_MEMORY_H
#define RANQ_EXEC_MEMORY_H

#include <stdint.h>

/* For this process and what it starts, for good. Async-signal-safe. */
void ranq_memory_limit(uint64_t bytes);
/* Around a call of a function of the user: the executor's own work must never fail for want of memory that a function
 * has kept. */
void ranq_memory_enter(uint64_t bytes);
void ranq_memory_leave(void);
/* What this process has taken, as RLIMIT_DATA counts it (and its stack); 0: unknown. */
uint64_t ranq_memory_used(void);
/* Appends " (memory limit 100 MB, WORD 98 MB)" to a reason; nothing when limit is 0. */
void ranq_memory_explain(char reason[160], uint64_t limit, const char *word, uint64_t bytes);

#endif

/* process.h - what /proc tells about a process. */
#ifndef RANQ_EXEC_PROCESS_H
#define RANQ_EXEC_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct ranq_process {
	char state; /* as in proc(5): 'R', 'S', 'T', 'Z', ... */
	pid_t parent;
};

/* False: there is none. */
bool ranq_process_look(pid_t pid, struct ranq_process *what);
/* Whether a process that this one descends from is stopped; its own state does not matter. */
bool ranq_process_stopped_above(pid_t pid);
/* Sends sig to the children of this one's parent that are in its session; it is one of them. */
void ranq_process_signal_siblings(pid_t pid, int sig);

#endif

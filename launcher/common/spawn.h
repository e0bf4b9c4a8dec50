/* spawn.h - starting and ending the programs that ranq runs beside itself (redis-server, mpirun, squeue).
 *
 * Not for tasks: those are executors' business (exec/). Children get signals at their defaults and no descriptor but
 * 0-2. */
#ifndef RANQ_LAUNCHER_SPAWN_H
#define RANQ_LAUNCHER_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"
#include "util/err.h"

struct ranq_spawn {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH unless it holds a slash */
	const char *const *env;  /* NULL-terminated "NAME=VALUE" to set and "NAME" to remove, or NULL */
	const char *dir;         /* working directory, NULL: ours */
	int out_fd, err_fd;      /* stdout and stderr; -1: ours. stdin is /dev/null */
	bool session;            /* a session of its own: the terminal's signals do not reach it */
	int keep_fd;      /* stays open in it, as descriptor 3; -1: none (a lock that is to live as long as it) */
	int death_signal; /* sent to it when the thread that started it is gone, 0: none */
};
#define RANQ_SPAWN_INIT \
	{ \
		.out_fd = -1, .err_fd = -1, .keep_fd = -1 \
	}

/* Returns the process id, or -1: also when the program cannot be executed (err: INPUT names it and says why). */
pid_t ranq_spawn_start(const struct ranq_spawn *spawn, struct ranq_err *err);

/* Waits for a child until deadline_ms of ranq_clock_ms (RANQ_NEVER: for ever). 1: it is over, *status as of waitpid; 0:
 * still running. */
int ranq_spawn_wait(pid_t pid, int64_t deadline_ms, int *status);

/* Sleeps. */
void ranq_spawn_nap(int64_t ms);

/* Ends a child with its process group: TERM, then KILL after grace_ms; waits for it. */
void ranq_spawn_stop(pid_t pid, int grace_ms);

/* Runs argv and collects its stdout (at most the maximum of out); stderr is dropped. Returns its exit status, 128 +
 * signal, or -1: it could not be started or took longer than timeout_ms (it is killed then). */
int ranq_spawn_capture(const char *const *argv, int timeout_ms, struct ranq_buf *out, struct ranq_err *err);

/* "exited with status 2", "was killed by signal 9"; writes into and returns text. */
const char *ranq_spawn_status_text(int status, char text[48]);

/* Path of a program of ranq: $variable (e.g. RANQ_BRIDGE) when set, else beside the running program, in libexec, or in
 * PATH. Owned by the caller. NULL: not found (err: INPUT). */
char *ranq_spawn_find_own(const char *name, const char *variable, struct ranq_err *err);

/* First of the NULL-terminated names that PATH (and the sbin directories, which users often lack) holds; owned; NULL:
 * none. */
char *ranq_spawn_find_path(const char *const *names);

#endif

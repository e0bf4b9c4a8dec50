/* spawn.h - starts a command as quickly as posix_spawn does, with what posix_spawn cannot: PDEATHSIG, and the process
 * group written into the progress page before the exec. */
#ifndef RANQ_EXEC_SPAWN_H
#define RANQ_EXEC_SPAWN_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct ranq_spawner_order {
	const char *path; /* no search */
	char *const *argv, *const *envp;
	int in, out, err;       /* become 0, 1 and 2; all above 2 and CLOEXEC, in = -1: keep 0 */
	_Atomic int32_t *group; /* receives the process group */
	uint64_t memory;        /* limit; 0: none */
};

/* One child at a time uses it. NULL: out of memory. */
struct ranq_spawner;
struct ranq_spawner *ranq_spawner_create(struct ranq_err *err);
void ranq_spawner_destroy(struct ranq_spawner *spawner);
/* Returns the pid of a child that has passed its exec, or -1 with errno: of clone (then *started is 0), or of the exec
 * (*started is 1, the child is reaped). The caller has no signal handlers that could run in between but blocked ones;
 * all other descriptors are CLOEXEC. */
pid_t ranq_spawner_start(struct ranq_spawner *spawner, const struct ranq_spawner_order *spawn, int *started);

#endif

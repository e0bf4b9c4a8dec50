#include "exec/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/memory.h"

#define STACK_BYTES (64u << 10)

struct ranq_spawner {
	unsigned char *stack;
	const struct ranq_spawner_order *spawn;
	pid_t parent;
	int failure; /* written by the child, which shares our memory */
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_SANITIZE __attribute__((no_sanitize("address", "undefined")))
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define NO_SANITIZE __attribute__((no_sanitize_address, no_sanitize_undefined))
#endif
#ifndef NO_SANITIZE
#define NO_SANITIZE
#endif

struct ranq_spawner *ranq_spawner_create(struct ranq_err *err)
{
	struct ranq_spawner *spawner = calloc(1, sizeof *spawner);

	if (!spawner) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	spawner->stack =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (spawner->stack == MAP_FAILED) {
		ranq_err_sys(err, "cannot map the stack of a child");
		free(spawner);
		return NULL;
	}
	return spawner;
}

void ranq_spawner_destroy(struct ranq_spawner *spawner)
{
	if (!spawner)
		return;
	munmap(spawner->stack, STACK_BYTES);
	free(spawner);
}

/* Runs in our memory on a stack of its own while we stand still: system calls only, nothing that allocates or takes a
 * lock.
 *
 * PDEATHSIG can be set too late: when the executor was killed before, the child belongs to ranq-exec already and no
 * signal would ever come; hence the look at getppid. The group is in the page before the exec, so that whoever sweeps
 * finds it whatever the command does. */
NO_SANITIZE static int child(void *arg)
{
	struct ranq_spawner *spawner = arg;
	const struct ranq_spawner_order *spawn = spawner->spawn;
	sigset_t none;

	setpgid(0, 0);
	atomic_store_explicit(spawn->group, getpid(), memory_order_release);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != spawner->parent)
		_exit(127);
	if ((spawn->in >= 0 && dup2(spawn->in, 0) < 0) || dup2(spawn->out, 1) < 0 || dup2(spawn->err, 2) < 0)
		goto failed;
	if (spawn->memory)
		ranq_memory_limit(spawn->memory);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(spawn->path, spawn->argv, spawn->envp);
failed:
	spawner->failure = errno;
	_exit(127);
}

pid_t ranq_spawner_start(struct ranq_spawner *spawner, const struct ranq_spawner_order *spawn, int *started)
{
	pid_t pid;

	spawner->spawn = spawn;
	spawner->parent = getpid();
	spawner->failure = 0;
	*started = 0;
	pid = clone(child, spawner->stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, spawner);
	if (pid < 0)
		return -1;
	*started = 1;
	if (!spawner->failure)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	atomic_store_explicit(spawn->group, 0, memory_order_release);
	errno = spawner->failure;
	return -1;
}

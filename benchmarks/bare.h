/* bare.h - the least that running a command with captured output can cost: a loop of posix_spawn, pipe and wait. */
#ifndef RANQ_BENCHMARKS_BARE_H
#define RANQ_BENCHMARKS_BARE_H

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/bench.h"

static inline void bench_bare_commands(uint64_t tasks)
{
	char name[] = "/bin/true";
	char *argv[] = {name, NULL};

	for (uint64_t i = 0; i < tasks; i++) {
		posix_spawn_file_actions_t actions;
		int pair[2], status;
		char data[4096];
		pid_t pid;

		if (pipe2(pair, O_CLOEXEC) < 0)
			bench_die(BENCH_FAILED, "no pipe");
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, pair[1], 1);
		if (posix_spawn(&pid, name, &actions, NULL, argv, environ))
			bench_die(BENCH_FAILED, "cannot run /bin/true");
		posix_spawn_file_actions_destroy(&actions);
		close(pair[1]);
		while (read(pair[0], data, sizeof data) > 0)
			;
		close(pair[0]);
		if (waitpid(pid, &status, 0) != pid || status)
			bench_die(BENCH_WRONG, "/bin/true failed");
	}
}

#endif

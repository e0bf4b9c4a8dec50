#include "exec/sweep.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"

#define ENVIRON_MAX (8u << 20)
#define MARK_NAME "RANQ_MARK="
#define MARK_NAME_LEN (sizeof MARK_NAME - 1)

/* 0: read (an empty environment too), -1: not ours to read, or gone. */
static int read_environ(pid_t pid, struct ranq_buf *env)
{
	char path[64];
	unsigned char *room;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ranq_buf_reset(env);
	while ((room = ranq_buf_reserve(env, 16384)) && (n = read(fd, room, 16384)) > 0)
		env->len += (size_t)n;
	close(fd);
	return n < 0 || ranq_buf_failed(env) ? -1 : 0;
}

static bool entry_matches(const char *entry, const char *mark, size_t mark_len)
{
	if (strncmp(entry, MARK_NAME, MARK_NAME_LEN) != 0)
		return false;
	entry += MARK_NAME_LEN;
	return !strncmp(entry, mark, mark_len) && (entry[mark_len] == '\0' || entry[mark_len] == '.');
}

static bool carries(pid_t pid, const char *mark, struct ranq_buf *env)
{
	size_t mark_len = strlen(mark), at = 0;
	const char *text;

	if (read_environ(pid, env) < 0 || !env->len)
		return false;
	text = ranq_buf_cstr(env);
	for (; at < env->len; at += strlen(text + at) + 1)
		if (entry_matches(text + at, mark, mark_len))
			return true;
	return false;
}

/* The number may have gone to another process between look and kill: where the kernel has pidfds, look again with the
 * process held. */
static void kill_marked(pid_t pid, const char *mark, int sig, struct ranq_buf *env)
{
#ifdef SYS_pidfd_open
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0) {
		if (carries(pid, mark, env))
			syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
		close(fd);
		return;
	}
	if (errno == ESRCH)
		return;
#endif
	kill(pid, sig);
}

unsigned ranq_sweep_pass(const char *mark, int sig)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct ranq_buf env;
	unsigned found = 0;

	if (!proc)
		return 0;
	ranq_buf_init(&env, ENVIRON_MAX);
	while ((entry = readdir(proc))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)atoi(entry->d_name) : 0;

		if (pid <= 1 || pid == getpid() || !carries(pid, mark, &env))
			continue;
		found++;
		if (sig)
			kill_marked(pid, mark, sig, &env);
	}
	ranq_buf_clear(&env);
	closedir(proc);
	return found;
}

unsigned ranq_sweep(const char *mark, int64_t limit_ms)
{
	const struct timespec pause = {.tv_nsec = 2000000};
	int64_t end = ranq_clock_ms() + limit_ms;
	unsigned found, clean = 0;
	bool any = false;

	for (;;) {
		found = ranq_sweep_pass(mark, SIGKILL);
		any = any || found;
		clean = found ? 0 : clean + 1;
		if (clean >= (any ? 2 : 1) || ranq_clock_ms() >= end)
			return found;
		nanosleep(&pause, NULL);
	}
}

void ranq_sweep_group(pid_t group, pid_t session, int sig)
{
	pid_t leader_session;

	if (group <= 1 || group == getpgrp() || group == session)
		return;
	leader_session = getsid(group);
	/* no such leader: the group can still have members */
	if (leader_session >= 0 && leader_session != session)
		return;
	kill(-group, sig);
}

/* spawn.c - fork and exec with the error of exec handed back, waiting with a limit. */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

static void apply_env(const char *const *env)
{
	for (; env && *env; env++) {
		const char *equals = strchr(*env, '=');
		if (equals)
			putenv((char *)(uintptr_t)*env);
		else
			unsetenv(*env);
	}
}

static void default_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts fd on `target` even when some of 0-2 are closed in this process. */
static int place_fd(int fd, int target)
{
	if (fd == target)
		return fcntl(fd, F_SETFD, 0);
	return dup2(fd, target);
}

static int redirect(const struct ranq_spawn *spawn)
{
	int out = spawn->out_fd >= 0 ? fcntl(spawn->out_fd, F_DUPFD_CLOEXEC, 4) : -1;
	int err = spawn->err_fd >= 0 ? fcntl(spawn->err_fd, F_DUPFD_CLOEXEC, 4) : -1;
	int keep = spawn->keep_fd >= 0 ? fcntl(spawn->keep_fd, F_DUPFD_CLOEXEC, 4) : -1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || place_fd(null, 0) < 0)
		return -1;
	if (spawn->out_fd >= 0 && (out < 0 || place_fd(out, 1) < 0))
		return -1;
	if (spawn->err_fd >= 0 && (err < 0 || place_fd(err, 2) < 0))
		return -1;
	if (spawn->keep_fd >= 0 && (keep < 0 || place_fd(keep, 3) < 0))
		return -1;
	return 0;
}

static void close_from(unsigned first, int keep)
{
#ifdef SYS_close_range
	if ((unsigned)keep > first)
		syscall(SYS_close_range, first, (unsigned)keep - 1, 0);
	if (syscall(SYS_close_range, (unsigned)keep + 1, ~0U, 0) == 0)
		return;
#endif
	long most = sysconf(_SC_OPEN_MAX);
	for (long fd = first; fd < (most > 0 && most < 65536 ? most : 65536); fd++)
		if (fd != keep)
			close((int)fd);
}

/* The child's side: never returns. errno of a failure goes up through `report`, which exec closes. */
static void run_child(const struct ranq_spawn *spawn, pid_t parent, int report)
{
	int failure = 0;
	default_signals();
	if (spawn->session)
		setsid();
	if (spawn->death_signal) {
		prctl(PR_SET_PDEATHSIG, spawn->death_signal);
		if (getppid() != parent) /* it died before the line above */
			_exit(127);
	}
	if (redirect(spawn) < 0 || (spawn->dir && chdir(spawn->dir) < 0)) {
		failure = errno;
	} else {
		close_from(spawn->keep_fd >= 0 ? 4 : 3, report);
		apply_env(spawn->env);
		execvp(spawn->argv[0], (char *const *)(uintptr_t)spawn->argv);
		failure = errno;
	}
	while (write(report, &failure, sizeof failure) < 0 && errno == EINTR)
		;
	_exit(127);
}

static ssize_t read_again(int fd, void *data, size_t len)
{
	ssize_t got;
	do
		got = read(fd, data, len);
	while (got < 0 && errno == EINTR);
	return got;
}

/* A report pipe whose ends are above 3, so that placing 0-3 in the child cannot overwrite them. */
static int open_report(int report[2])
{
	int raw[2];
	if (pipe2(raw, O_CLOEXEC) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		report[i] = raw[i] > 3 ? raw[i] : fcntl(raw[i], F_DUPFD_CLOEXEC, 4);
		if (report[i] != raw[i])
			close(raw[i]);
	}
	return report[0] < 0 || report[1] < 0 ? -1 : 0;
}

pid_t ranq_spawn_start(const struct ranq_spawn *spawn, struct ranq_err *err)
{
	int report[2], failure = 0;
	pid_t parent = getpid();
	if (open_report(report) < 0)
		return ranq_err_sys(err, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		run_child(spawn, parent, report[1]);
	int fork_errno = errno;
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		errno = fork_errno;
		return ranq_err_sys(err, "cannot start '%s'", spawn->argv[0]);
	}
	ssize_t got = read_again(report[0], &failure, sizeof failure);
	close(report[0]);
	if (got != (ssize_t)sizeof failure)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ranq_err_set(err, RANQ_ERR_INPUT, "cannot run '%s': %s", spawn->argv[0], strerror(failure));
}

void ranq_spawn_nap(int64_t ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&time, NULL);
}

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Sleeps until the process ends or the time is over; a kernel without pidfd makes it a short nap. */
static void await_exit(pid_t pid, int64_t deadline_ms)
{
	int64_t left = deadline_ms == RANQ_NEVER ? 1000 : deadline_ms - ranq_clock_ms();
	if (left < 0)
		left = 0;
	if (left > 1000)
		left = 1000;
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		ranq_spawn_nap(left < 20 ? left : 20);
		return;
	}
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	poll(&wait, 1, (int)left);
	close(fd);
}

int ranq_spawn_wait(pid_t pid, int64_t deadline_ms, int *status)
{
	for (;;) {
		pid_t got = waitpid(pid, status, WNOHANG);
		if (got == pid)
			return 1;
		if (got < 0 && errno != EINTR) { /* not our child any more: over, with an unknown end */
			*status = 0;
			return 1;
		}
		if (deadline_ms != RANQ_NEVER && ranq_clock_ms() >= deadline_ms)
			return 0;
		await_exit(pid, deadline_ms);
	}
}

static void signal_group(pid_t pid, int sig)
{
	if (getpgid(pid) == pid)
		kill(-pid, sig);
	else
		kill(pid, sig);
}

void ranq_spawn_stop(pid_t pid, int grace_ms)
{
	int status;
	if (pid <= 0)
		return;
	if (grace_ms > 0) {
		signal_group(pid, SIGTERM);
		if (ranq_spawn_wait(pid, ranq_clock_ms() + grace_ms, &status))
			return;
	}
	signal_group(pid, SIGKILL);
	ranq_spawn_wait(pid, RANQ_NEVER, &status);
}

/* Reads until the end of the pipe or the deadline. 0: end, -1: time over. */
static int collect(int fd, int64_t deadline_ms, struct ranq_buf *out)
{
	char bytes[4096];
	for (;;) {
		int64_t left = deadline_ms - ranq_clock_ms();
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		if (left <= 0)
			return -1;
		if (poll(&wait, 1, (int)(left < 1000 ? left : 1000)) <= 0)
			continue;
		ssize_t got = read_again(fd, bytes, sizeof bytes);
		if (got <= 0)
			return 0;
		ranq_buf_add(out, bytes, (size_t)got);
	}
}

int ranq_spawn_capture(const char *const *argv, int timeout_ms, struct ranq_buf *out, struct ranq_err *err)
{
	int64_t deadline_ms = ranq_clock_ms() + timeout_ms;
	int ends[2], status = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return ranq_err_sys(err, "cannot make a pipe");
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct ranq_spawn spawn = {.argv = argv, .out_fd = ends[1], .err_fd = null, .keep_fd = -1, .session = true};
	pid_t pid = ranq_spawn_start(&spawn, err);
	close(ends[1]);
	if (null >= 0)
		close(null);
	if (pid < 0) {
		close(ends[0]);
		return -1;
	}
	int late = collect(ends[0], deadline_ms, out) < 0 || !ranq_spawn_wait(pid, deadline_ms, &status);
	close(ends[0]);
	if (late) {
		ranq_spawn_stop(pid, 0);
		return ranq_err_set(
			err, RANQ_ERR_SERVER, "'%s' did not answer within %d s", argv[0], timeout_ms / 1000);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

const char *ranq_spawn_status_text(int status, char text[48])
{
	if (WIFSIGNALED(status))
		snprintf(text, 48, "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, 48, "exited with status %d", WEXITSTATUS(status));
	return text;
}

static char *join_path(const char *dir, size_t dir_len, const char *name)
{
	char *path = NULL;
	if (asprintf(&path, "%.*s/%s", (int)dir_len, dir, name) < 0)
		return NULL;
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static char *find_in_path(const char *name)
{
	const char *path = getenv("PATH");
	char all[8192], *found = NULL;
	snprintf(all, sizeof all, "%s:/usr/local/sbin:/usr/sbin:/sbin", path ? path : "/usr/local/bin:/usr/bin:/bin");
	for (const char *dir = all; !found && *dir;) {
		size_t len = strcspn(dir, ":");
		if (len)
			found = join_path(dir, len, name);
		dir += len + (dir[len] == ':');
	}
	return found;
}

char *ranq_spawn_find_path(const char *const *names)
{
	char *found = NULL;
	for (; !found && *names; names++)
		found = find_in_path(*names);
	return found;
}

char *ranq_spawn_find_own(const char *name, const char *variable, struct ranq_err *err)
{
	char self[PATH_MAX];
	const char *given = variable ? getenv(variable) : NULL;
	if (given && *given) {
		if (access(given, X_OK) == 0)
			return strdup(given);
		ranq_err_sys(err, "cannot run '%s' (from %s)", given, variable);
		return NULL;
	}
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	char *found = NULL;
	if (len > 0) {
		self[len] = '\0';
		char *slash = strrchr(self, '/');
		found = slash ? join_path(self, (size_t)(slash - self), name) : NULL;
	}
	if (!found)
		found = join_path(RANQ_LIBEXECDIR, strlen(RANQ_LIBEXECDIR), name);
	if (!found)
		found = find_in_path(name);
	if (!found)
		ranq_err_set(err, RANQ_ERR_INPUT, "cannot find '%s': it is neither beside this program nor in PATH%s",
			name, strcmp(name, "ranq-bridge") == 0 ? " (this ranq may have been built without MPI)" : "");
	return found;
}

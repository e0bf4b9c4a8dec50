/* tools.c - see tools.h. */
#include "common/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn.h"
#include "util/clock.h"

#define OUT_MAX (8 << 20)
#define ERR_MAX (64 << 10)

extern char **environ;

/* ---- environment ---- */

static bool is_in_the_way(const char *entry)
{
	if (strncmp(entry, "SLURM_CONF=", 11) == 0)
		return false;
	return strncmp(entry, "SLURM_", 6) == 0 || strncmp(entry, "SQUEUE_", 7) == 0 ||
	       strncmp(entry, "SCANCEL_", 8) == 0 || strncmp(entry, "PBS_JOB", 7) == 0 ||
	       strncmp(entry, "LANGUAGE=", 9) == 0;
}

/* Changes for ranq_spawn: owned words, NULL at the end. */
static char **make_environment(void)
{
	size_t n = 0, count = 0;
	while (environ[count])
		count++;
	char **changes = calloc(count + 3, sizeof *changes);
	const char *path = getenv("PATH");
	if (!changes)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (is_in_the_way(environ[i]) && (changes[n] = strndup(environ[i], strcspn(environ[i], "="))) != NULL)
			n++;
	if (asprintf(&changes[n], "PATH=%s:/opt/pbs/bin", path ? path : "/usr/bin:/bin") > 0)
		n++;
	changes[n] = strdup("LC_ALL=C");
	return changes;
}

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

/* ---- output ---- */

/* Reads what is there; false: the end of this one. */
static bool take(struct pollfd *from, struct ranq_buf *into)
{
	char bytes[16384];
	ssize_t got = read(from->fd, bytes, sizeof bytes);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (got <= 0)
		return false;
	if (!ranq_buf_failed(into))
		ranq_buf_add(into, bytes, (size_t)got);
	return true;
}

enum end { ENDED, TOO_LATE, TOO_MUCH };

/* Both streams to their end. What is too much on stderr is dropped, on stdout it ends the program. */
static enum end collect(int out, int err, int64_t deadline_ms, struct ranq_tool_result *result)
{
	struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int64_t left_ms = deadline_ms - ranq_clock_ms();
		if (left_ms <= 0)
			return TOO_LATE;
		if (poll(fds, 2, (int)(left_ms < 1000 ? left_ms : 1000)) <= 0)
			continue;
		if (fds[0].revents && !take(&fds[0], &result->out))
			fds[0].fd = -1;
		if (fds[1].revents && !take(&fds[1], &result->err))
			fds[1].fd = -1;
		if (ranq_buf_failed(&result->out))
			return TOO_MUCH;
	}
	return ENDED;
}

static int await(pid_t pid, const char *name, int out, int err_fd, int timeout_ms, struct ranq_tool_result *result,
	struct ranq_err *err)
{
	int64_t deadline_ms = ranq_clock_ms() + timeout_ms;
	int status = 0;
	enum end end = collect(out, err_fd, deadline_ms, result);
	if (end == ENDED && !ranq_spawn_wait(pid, deadline_ms, &status))
		end = TOO_LATE;
	if (end != ENDED) {
		ranq_spawn_stop(pid, 0);
		return end == TOO_LATE
			       ? ranq_err_set(
					 err, RANQ_ERR_SERVER, "%s did not answer within %d s", name, timeout_ms / 1000)
			       : ranq_err_set(err, RANQ_ERR_SERVER, "%s printed more than %d MiB", name, OUT_MAX >> 20);
	}
	result->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}

static void close_both(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static int run(
	void *user, const char *const *argv, int timeout_ms, struct ranq_tool_result *result, struct ranq_err *err)
{
	int out[2], errors[2];
	(void)user;
	ranq_buf_init(&result->out, OUT_MAX);
	ranq_buf_init(&result->err, ERR_MAX);
	if (pipe2(out, O_CLOEXEC) < 0)
		return ranq_err_sys(err, "cannot make a pipe");
	if (pipe2(errors, O_CLOEXEC) < 0) {
		close_both(out);
		return ranq_err_sys(err, "cannot make a pipe");
	}
	char **env = make_environment();
	struct ranq_spawn spawn = {.argv = argv,
		.env = (const char *const *)env,
		.out_fd = out[1],
		.err_fd = errors[1],
		.keep_fd = -1,
		.session = true,
		.death_signal = 0};
	pid_t pid = ranq_spawn_start(&spawn, err);
	close(out[1]);
	close(errors[1]);
	int rc = pid < 0 ? -1 : await(pid, argv[0], out[0], errors[0], timeout_ms, result, err);
	close(out[0]);
	close(errors[0]);
	free_words(env);
	return rc;
}

const struct ranq_tools ranq_tools = {.run = run};

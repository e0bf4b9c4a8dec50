/* marked.c - see the header. A process between fork and exec shows the environment of its parent, so the scan sees it
 * too; one that is born behind the scan's back is found by the next round, which is why killing goes on until a round
 * finds nobody. */
#include "common/marked.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"

#define ENVIRON_MAX (4 << 20)

static int read_file(const char *path, struct ranq_buf *into)
{
	ranq_buf_reset(into);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	for (;;) {
		unsigned char *room = ranq_buf_reserve(into, 16384);
		ssize_t got = room ? read(fd, room, 16384) : 0;
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		into->len += (size_t)got;
	}
	close(fd);
	ranq_buf_cstr(into);
	return ranq_buf_failed(into) || into->len == 0 ? -1 : 0;
}

/* The value behind prefix in an environment block (strings with NUL ends), or NULL. */
static const char *find_value(const struct ranq_buf *block, const char *prefix)
{
	size_t len = strlen(prefix);
	const char *at = (const char *)block->data, *end = at + block->len;
	for (; at < end; at += strlen(at) + 1)
		if (strncmp(at, prefix, len) == 0)
			return at + len;
	return NULL;
}

/* "pid (comm) state ppid ...": the text behind the last parenthesis, or NULL. */
static const char *read_stat(pid_t pid, char text[1024])
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	ssize_t got = read(fd, text, 1023);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	const char *close_paren = strrchr(text, ')');
	return close_paren && close_paren[1] == ' ' ? close_paren + 2 : NULL;
}

unsigned long long ranq_marked_start_time(pid_t pid)
{
	char text[1024];
	unsigned long long start = 0;
	const char *fields = read_stat(pid, text);
	if (!fields || *fields == 'Z')
		return 0;
	/* field 22 of stat(5); `fields` begins with field 3 */
	for (int i = 3; fields && i < 22; i++) {
		fields = strchr(fields, ' ');
		fields = fields ? fields + 1 : NULL;
	}
	if (fields)
		start = strtoull(fields, NULL, 10);
	return start;
}

static bool is_zombie(pid_t pid)
{
	char text[1024];
	const char *fields = read_stat(pid, text);
	return !fields || *fields == 'Z' || *fields == 'X';
}

void ranq_marked_each(const char *prefix, ranq_marked_visit *visit, void *arg)
{
	struct ranq_buf block;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	bool go_on = proc != NULL;
	ranq_buf_init(&block, ENVIRON_MAX);
	while (go_on && (entry = readdir(proc)) != NULL) {
		char path[300];
		pid_t pid = isdigit((unsigned char)*entry->d_name) ? atoi(entry->d_name) : 0;
		if (pid <= 0 || pid == getpid())
			continue;
		snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
		const char *value = read_file(path, &block) == 0 ? find_value(&block, prefix) : NULL;
		if (value && !is_zombie(pid))
			go_on = visit(pid, value, arg);
	}
	ranq_buf_clear(&block);
	if (proc)
		closedir(proc);
}

static bool kill_one(pid_t pid, const char *value, void *arg)
{
	if (*value == '\0') {
		kill(pid, SIGKILL);
		++*(unsigned *)arg;
	}
	return true;
}

unsigned ranq_marked_kill(const char *assignment, int limit_ms)
{
	int64_t deadline_ms = ranq_clock_ms() + limit_ms;
	for (;;) {
		unsigned found = 0;
		ranq_marked_each(assignment, kill_one, &found);
		if (!found || ranq_clock_ms() >= deadline_ms)
			return found;
		poll(NULL, 0, 5);
	}
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	remove(path);
	return 0;
}

void ranq_marked_remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
}

#include "exec/black_box.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VARIABLE "RANQ_BLACK_BOX"
#define READ_MAX (1u << 20)
/* Each ranq-exec notes the time at which it saw its rank gone, so the order is that of the deaths but for some
 * milliseconds on a busy machine: hydra kills the others that soon. Naming a few keeps the guilty one among them;
 * naming all would make suspects, which run one by one, of everything that a killed bridge was at. */
#define FIRST_RANKS 3

/* ---- join -------------------------------------------------------------------------------------------------------- */

int ranq_black_box_create(const char *name, char variable[64])
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	snprintf(variable, 64, VARIABLE "=/proc/%ld/fd/%d", (long)getpid(), fd);
	return fd;
}

void ranq_black_box_empty(int fd)
{
	if (fd >= 0 && ftruncate(fd, 0) != 0)
		return; /* old lines name bridges that are known to be dead: no harm */
}

static bool copy_word(char *to, size_t size, const char *from, size_t len)
{
	if (!len || len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* "bridge QUEUE ID" */
static void read_bridge(struct ranq_black_box *box, const char *line)
{
	size_t queue = strcspn(line, " "), n = box->nbridges;
	const char *id = line[queue] ? line + queue + 1 : "";

	for (size_t i = 0; i < n; i++)
		if (!strcmp(box->bridges[i].id, id) && !strncmp(box->bridges[i].queue, line, queue) &&
			!box->bridges[i].queue[queue])
			return;
	if (n == RANQ_BLACK_BOX_MAX || strlen(id) != RANQ_BLACK_BOX_ID - 1 ||
		!copy_word(box->bridges[n].queue, sizeof box->bridges[n].queue, line, queue))
		return;
	memcpy(box->bridges[n].id, id, RANQ_BLACK_BOX_ID);
	box->nbridges++;
}

/* "dead TIME [QUEUE/JOB:INDEX]...": the first ones to die, in order. */
struct deaths {
	struct {
		int64_t time;
		char *tasks;
	} first[FIRST_RANKS + 1];
	size_t n;
};

static void read_death(struct deaths *deaths, char *line)
{
	char *tasks;
	int64_t time = strtoll(line, &tasks, 10);
	size_t at = deaths->n;

	if (tasks == line || time < 0)
		return;
	for (; at > 0 && deaths->first[at - 1].time > time; at--)
		deaths->first[at] = deaths->first[at - 1];
	deaths->first[at].time = time;
	deaths->first[at].tasks = tasks;
	deaths->n += deaths->n < FIRST_RANKS;
}

static void read_tasks(struct ranq_black_box *box, char *text)
{
	char *word, *rest;

	for (word = strtok_r(text, " ", &rest); word && box->ntasks < RANQ_BLACK_BOX_MAX;
		word = strtok_r(NULL, " ", &rest)) {
		size_t queue = strcspn(word, "/"), n = box->ntasks;
		int len = 0;

		if (sscanf(word + queue, "/%" SCNu64 ":%" SCNu64 "%n", &box->tasks[n].job, &box->tasks[n].index,
			    &len) == 2 &&
			!word[queue + (size_t)len] &&
			copy_word(box->tasks[n].queue, sizeof box->tasks[n].queue, word, queue))
			box->ntasks++;
	}
}

void ranq_black_box_read(int fd, struct ranq_black_box *box)
{
	char *text = fd >= 0 ? malloc(READ_MAX + 1) : NULL, *line, *rest;
	ssize_t n = text ? pread(fd, text, READ_MAX, 0) : 0;
	struct deaths deaths = {.n = 0};

	*box = (struct ranq_black_box){0};
	if (text)
		text[n > 0 ? n : 0] = '\0';
	for (line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strncmp(line, "bridge ", 7))
			read_bridge(box, line + 7);
		else if (!strncmp(line, "dead ", 5))
			read_death(&deaths, line + 5);
	}
	for (size_t i = 0; i < deaths.n; i++)
		read_tasks(box, deaths.first[i].tasks);
	free(text);
}

/* ---- ranks and ranq-exec ----------------------------------------------------------------------------------------- */

/* On another host the path may name a descriptor of another process: only a memory file of that name is ours. */
int ranq_black_box_open(const char *name)
{
	const char *path = getenv(VARIABLE);
	char want[300], have[300];
	ssize_t n = path && name ? readlink(path, have, sizeof have - 1) : -1;

	if (n < 0)
		return -1;
	have[n] = '\0';
	snprintf(want, sizeof want, "/memfd:%s (deleted)", name);
	return strcmp(want, have) ? -1 : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static void add(int fd, const char *text, size_t len)
{
	if (fd > 0 && write(fd, text, len) < 0)
		return; /* its reader has nothing to go by then, and the lease ends in its own time */
}

void ranq_black_box_bridge(int fd, const char *queue, const char *id)
{
	char line[160];
	int n = snprintf(line, sizeof line, "bridge %s %s\n", queue, id);

	add(fd, line, (size_t)n < sizeof line ? (size_t)n : 0);
}

void ranq_black_box_line_begin(struct ranq_black_box_line *line, int64_t time_ns)
{
	line->len = (size_t)snprintf(line->text, sizeof line->text, "dead %" PRId64, time_ns);
}

void ranq_black_box_line_task(struct ranq_black_box_line *line, const char *job, uint64_t index)
{
	size_t left = sizeof line->text - line->len - 1;
	int n = snprintf(line->text + line->len, left, " %s:%" PRIu64, job, index);

	if (n > 0 && (size_t)n < left)
		line->len += (size_t)n;
}

void ranq_black_box_line_write(struct ranq_black_box_line *line, int fd)
{
	line->text[line->len] = '\n';
	add(fd, line->text, line->len + 1);
}

/* Bodies that end badly, by their argument. */
#ifdef __clang__ /* it would leave out what these bodies do wrong */
#pragma clang optimize off
#endif
#include <ranq.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int misbehave(struct ranq_task *task);
int takes_much(struct ranq_task *task);
int hold_data(struct ranq_task *task);
int large(struct ranq_task *task);
int same(struct ranq_task *task);

/* Up to 10 GB; keeps it. False when there is no more. */
static int leak(void)
{
	const size_t step = (size_t)4 << 20;
	volatile char *p;
	int i;

	for (i = 0; i < 2500; i++) {
		p = malloc(step);
		if (!p)
			return 0;
		memset((void *)(size_t)p, i, step);
	}
	return 1;
}

static volatile unsigned depth;

__attribute__((noinline)) static unsigned recurse(volatile char *before)
{
	volatile char room[4096];

	room[0] = before ? before[0] : 1;
	depth++;
	return depth ? recurse(room) + (unsigned)room[0] : 0;
}

static int closed_pipe(void)
{
	int fds[2];

	if (pipe(fds) < 0)
		return 1;
	close(fds[0]);
	return write(fds[1], "x", 1) == 1 ? 0 : 2;
}

int misbehave(struct ranq_task *task)
{
	const char *how = ranq_task_arg(task, NULL);
	volatile int on = 1;
	volatile char *nowhere = NULL;

	if (!strcmp(how, "segfault"))
		raise(SIGSEGV);
	if (!strcmp(how, "exit"))
		exit(3);
	if (!strcmp(how, "overflow"))
		return (int)recurse(NULL);
	if (!strcmp(how, "leak-crash") && !leak())
		nowhere[0] = 1;
	if (!strcmp(how, "leak-return") && !leak())
		return ranq_task_fail(task, "no memory");
	if (!strcmp(how, "pipe"))
		return closed_pipe();
	while (!strcmp(how, "spin") && on)
		;
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

/* Half of a limit of 100 MB, for as long as it runs. Every fourth one leaks at its first attempt. */
int takes_much(struct ranq_task *task)
{
	const size_t much = (size_t)50 << 20;
	char *p;

	if (ranq_task_index(task) % 4 == 1 && ranq_task_attempt(task) == 1 && !leak())
		return ranq_task_fail(task, "no memory");
	p = malloc(much);
	if (!p)
		return ranq_task_fail(task, "not my fault");
	memset(p, 1, much);
	free(p);
	return ranq_task_return_int64(task, getpid());
}

/* Reads all of the job data, says so by a file in the directory that is its argument, stays until there is a file "go". */
int hold_data(struct ranq_task *task)
{
	char path[512];
	size_t len, i;
	const unsigned char *data = ranq_task_data(task, &len);
	uint64_t word, sum = 0;
	FILE *file;

	for (i = 0; i + sizeof word <= len; i += sizeof word) {
		memcpy(&word, data + i, sizeof word);
		sum = sum * 31 + word;
	}
	snprintf(path, sizeof path, "%s/%d", ranq_task_arg(task, NULL), (int)getpid());
	file = fopen(path, "w");
	if (!file)
		return 1;
	fclose(file);
	snprintf(path, sizeof path, "%s/go", ranq_task_arg(task, NULL));
	while (access(path, F_OK) < 0 && !ranq_task_cancelled(task))
		usleep(5000);
	snprintf(path, sizeof path, "%zu %llx", len, (unsigned long long)sum);
	return ranq_task_return_string(task, path);
}

RANQ_MODULE;

/* As many bytes as its argument says. */
int large(struct ranq_task *task)
{
	size_t len = strtoul(ranq_task_arg(task, NULL), NULL, 10), i;
	char *text = ranq_task_scratch(task, len);

	if (!text)
		return 1;
	for (i = 0; i < len; i++)
		text[i] = (char)('a' + (i + ranq_task_index(task)) % 23);
	return ranq_task_return(task, text, len);
}

/* Its argument, which must be a text. */
int same(struct ranq_task *task)
{
	size_t len;
	const char *arg = ranq_task_arg(task, &len);

	return strlen(arg) == len ? ranq_task_return(task, arg, len) : 1;
}

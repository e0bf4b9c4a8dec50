/* Functions that misbehave in the ways in which user code does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ranq.h>

RANQ_MODULE;

/* Every seventh task (index 3, 10, ...) has a segmentation fault; the others return their index. */
int crash(struct ranq_task *task)
{
	if (ranq_task_index(task) % 7 == 3) {
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	}
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

int fail(struct ranq_task *task)
{
	fprintf(stderr, "task %lld fails\n", (long long)ranq_task_index(task));
	return ranq_task_fail(task, "failed on purpose");
}

/* Odd tasks fail with exit code 3. */
int fail_odd(struct ranq_task *task)
{
	if (ranq_task_index(task) % 2)
		return 3;
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

/* Fails at the first attempt, succeeds later. */
int flaky(struct ranq_task *task)
{
	if (ranq_task_attempt(task) == 1)
		return ranq_task_fail(task, "the first attempt always fails");
	return ranq_task_return_int64(task, (int64_t)ranq_task_attempt(task));
}

/* Returns as many bytes 'x' as its argument says. */
int big(struct ranq_task *task)
{
	size_t n = strtoull(ranq_task_arg(task, NULL), NULL, 10);
	char *bytes = malloc(n ? n : 1);
	int status;

	if (!bytes)
		return ranq_task_fail(task, "out of memory");
	memset(bytes, 'x', n);
	status = ranq_task_return(task, bytes, n);
	free(bytes);
	return status;
}

/* Never ends and does not look whether it should. */
int hang(struct ranq_task *task)
{
	(void)task;
	for (;;)
		pause();
}

/* Takes the whole executor down without a signal. */
int leave(struct ranq_task *task)
{
	if (ranq_task_index(task) % 7 == 3)
		_exit(0);
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

/* work.c - the module of the benchmarks: functions whose results can be checked. */
#include "work.h"

#include <ranq.h>
#include <time.h>

RANQ_MODULE;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_ns(int64_t ns)
{
	struct timespec left = {ns / 1000000000, ns % 1000000000};

	while (nanosleep(&left, &left) < 0)
		;
}

/* Result: the index. */
int noop(struct ranq_task *task)
{
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

/* Result: the index. */
int sleep_10ms(struct ranq_task *task)
{
	sleep_ns(10000000);
	return noop(task);
}

/* Result: how long it took, in nanoseconds. */
int uneven(struct ranq_task *task)
{
	int64_t start = now_ns();

	sleep_ns(work_uneven_ns(ranq_task_index(task)));
	return ranq_task_return_int64(task, now_ns() - start);
}

int megabyte(struct ranq_task *task)
{
	static uint64_t words[WORK_BYTES / sizeof(uint64_t)];

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		words[i] = ranq_task_index(task);
	return ranq_task_return(task, words, sizeof words);
}

/* Result: when it ran, on CLOCK_MONOTONIC in nanoseconds. */
int when(struct ranq_task *task)
{
	return ranq_task_return_int64(task, now_ns());
}

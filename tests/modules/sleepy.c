/* Functions that take time; results are the index, as in noop. */
#include <stdlib.h>
#include <time.h>

#include <ranq.h>

RANQ_MODULE;

static void sleep_us(long us)
{
	struct timespec left = {us / 1000000, us % 1000000 * 1000};

	while (nanosleep(&left, &left) < 0)
		;
}

static int give_index(struct ranq_task *task)
{
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

/* Sleeps as many milliseconds as its argument says; ends early when cancelled. */
int sleepy(struct ranq_task *task)
{
	long ms = strtol(ranq_task_arg(task, NULL), NULL, 10);

	for (; ms > 0 && !ranq_task_cancelled(task); ms -= 10)
		sleep_us(ms < 10 ? ms * 1000 : 10000);
	return give_index(task);
}

int sleepy_1ms(struct ranq_task *task)
{
	sleep_us(1000);
	return give_index(task);
}

int sleepy_10ms(struct ranq_task *task)
{
	sleep_us(10000);
	return give_index(task);
}

int sleepy_100ms(struct ranq_task *task)
{
	sleep_us(100000);
	return give_index(task);
}

/* 40 tasks in the middle of many that take no time. */
int sleepy_patch(struct ranq_task *task)
{
	if (ranq_task_index(task) >= 100000 && ranq_task_index(task) < 100040)
		sleep_us(200000);
	return give_index(task);
}

/* Keeps a core busy for a millisecond. */
int busy_1ms(struct ranq_task *task)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec < 1000000);
	return give_index(task);
}

/* Draws of a task's own stream; a task takes DRAW_US microseconds. */
#include <stdlib.h>
#include <time.h>

#include <ranq.h>

RANQ_MODULE;

int draws(struct ranq_task *task)
{
	const char *us = getenv("DRAW_US");
	struct timespec left = {0, us ? atoi(us) * 1000 : 0};
	double x[3];

	while (nanosleep(&left, &left) < 0)
		;
	x[0] = ranq_task_unif(task);
	x[1] = ranq_task_norm(task);
	x[2] = (double)ranq_task_seed(task);
	return ranq_task_return_doubles(task, x, 3);
}

/* The state of the stream, and what a seed of one's own gives. */
int seeds(struct ranq_task *task)
{
	uint32_t s[6];
	double x[8];
	int i;

	ranq_task_stream(task, s);
	for (i = 0; i < 6; i++)
		x[i] = s[i];
	ranq_task_set_seed(task, 42);
	x[6] = ranq_task_unif(task);
	ranq_task_next_substream(task);
	x[7] = ranq_task_unif(task);
	return ranq_task_return_doubles(task, x, 8);
}

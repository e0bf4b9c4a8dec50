/* The cheapest functions: what a task costs beside its work. */
#include <ranq.h>

RANQ_MODULE;

int noop(struct ranq_task *task)
{
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

/* No result at all. */
int nothing(struct ranq_task *task)
{
	(void)task;
	return 0;
}

int square(struct ranq_task *task)
{
	int64_t x = (int64_t)ranq_task_index(task);

	return ranq_task_return_int64(task, x * x);
}

/* Like noop, but one result is wrong: for the check that nothing is made of it. */
#include <ranq.h>

RANQ_MODULE;

int noop(struct ranq_task *task)
{
	int64_t k = (int64_t)ranq_task_index(task);

	return ranq_task_return_int64(task, k == 777 ? 0 : k);
}

/* A shared object that forgot RANQ_MODULE. */
#include <ranq.h>

int noop(struct ranq_task *task);

int noop(struct ranq_task *task)
{
	return ranq_task_return_int64(task, 0);
}

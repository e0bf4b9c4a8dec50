/* Its init fails: every task must say why. */
#include <ranq.h>

RANQ_MODULE;

int ranq_module_init(struct ranq_task *task)
{
	return ranq_task_fail(task, "this module never starts");
}

int noop(struct ranq_task *task)
{
	return ranq_task_return_int64(task, 0);
}

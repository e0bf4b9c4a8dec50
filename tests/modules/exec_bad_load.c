/* Dies while it is loaded. */
#include <ranq.h>
#include <signal.h>

RANQ_MODULE;

int index8(struct ranq_task *task);

__attribute__((constructor)) static void die(void)
{
	raise(SIGBUS);
}

int index8(struct ranq_task *task)
{
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

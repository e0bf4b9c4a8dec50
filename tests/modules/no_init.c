/* Its init fails: every task must say why. */
#include <string.h>

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

int join(struct ranq_partial *into, const void *value, size_t len)
{
	size_t at = into->len;

	if (into->resize(into, at + len))
		return 1;
	memcpy((char *)into->data + at, value, len);
	return 0;
}

/* Dies while it is loaded if $FLAG is there, once: the file is removed. The first try of each task makes it and dies. */
#include <ranq.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

RANQ_MODULE;

int index8_second(struct ranq_task *task);

__attribute__((constructor)) static void die_once(void)
{
	if (unlink(getenv("FLAG")) == 0)
		raise(SIGBUS);
}

int index8_second(struct ranq_task *task)
{
	if (ranq_task_attempt(task) == 1) {
		close(open(getenv("FLAG"), O_CREAT | O_WRONLY, 0600));
		raise(SIGKILL);
	}
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task));
}

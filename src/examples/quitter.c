/* quitter.c - a task that takes its process with it at the first attempts, as one that crashes would (listing 2 of the
 * vignettes of doRedis). It costs nobody else anything, and is given another process until --max-deaths (5).
 *
 *     ranq run --module quitter.so --function quitter --as int64 --range 1-4 */
#include <unistd.h>

#include <ranq.h>

RANQ_MODULE;

int quitter(struct ranq_task *task)
{
	if (ranq_task_attempt(task) < 3)
		_exit(0);
	return ranq_task_return_int64(task, (int64_t)ranq_task_index(task) + 1);
}

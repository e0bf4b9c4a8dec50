/* A function that keeps something for each task: it tells whether it was there already, and what kind of worker it ran on. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <ranq.h>

RANQ_MODULE;

int keep(struct ranq_task *task)
{
	const char *slow = getenv("KEEPER_SLOW_MS");
	long ms = slow ? strtol(slow, NULL, 10) : 50;
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	char name[32], text[32];
	int kept, n;

	snprintf(name, sizeof name, "part %llu", (unsigned long long)ranq_task_index(task));
	kept = ranq_task_cache_get(task, name, NULL) != NULL;
	if (!kept && ranq_task_cache_copy(task, name, name, sizeof name))
		return ranq_task_fail(task, "no room in the cache");
	nanosleep(&time, NULL);
	n = snprintf(text, sizeof text, "%s %s", slow ? "slow" : "fast", kept ? "kept" : "new");
	return ranq_task_return(task, text, (size_t)n);
}

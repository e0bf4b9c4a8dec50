/* work.c - the module of the sweep: a task that takes a given time and gives a given number of bytes. */
#include <ranq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

RANQ_MODULE;

#define SLEEP_NS 1000000 /* shorter tasks are awake: the kernel wakes sleepers up to 100 us late */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pass(int64_t ns)
{
	int64_t end = now_ns() + ns;
	struct timespec left = {ns / 1000000000, ns % 1000000000};

	if (ns >= SLEEP_NS)
		while (nanosleep(&left, &left) < 0)
			;
	while (now_ns() < end)
		;
}

struct work {
	long long ns, bytes;
	int64_t words[];
};

/* Job data: "NANOSECONDS BYTES". */
int ranq_module_init(struct ranq_task *task)
{
	size_t len = 0;
	const void *data = ranq_task_data(task, &len);
	long long ns, bytes;
	struct work *work;
	char text[64] = "";

	if (data)
		memcpy(text, data, len < sizeof text - 1 ? len : sizeof text - 1);
	if (sscanf(text, "%lld %lld", &ns, &bytes) != 2 || ns < 0 || bytes < 8 || bytes % 8)
		return ranq_task_fail(task, "bad job data");
	work = malloc(sizeof *work + (size_t)bytes);
	if (!work)
		return ranq_task_fail(task, "out of memory");
	work->ns = ns;
	work->bytes = bytes;
	ranq_task_set_state(task, work);
	return 0;
}

void ranq_module_fini(struct ranq_task *task)
{
	free(ranq_task_state(task));
}

/* Result: the index, again and again. */
int timed(struct ranq_task *task)
{
	struct work *work = ranq_task_state(task);

	if (work->ns > 0)
		pass(work->ns);
	for (long long i = 0; i < work->bytes / 8; i++)
		work->words[i] = (int64_t)ranq_task_index(task);
	return ranq_task_return(task, work->words, (size_t)work->bytes);
}

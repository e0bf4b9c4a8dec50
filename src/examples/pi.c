/* pi.c - pi by Monte Carlo: the mean over the tasks is the estimate.
 *
 *     ranq run --module pi.so --function pi --range 1-10 --seed 1
 *
 * A task throws points at the unit square and returns, as a double, 4 times the share that hits the quarter circle. How
 * many: the number that the job data holds as text, else a million. Its argument only tells tasks apart. */
#include <stdlib.h>
#include <string.h>

#include <ranq.h>

#define POINTS_DEFAULT 1000000
#define POINTS_MAX 1000000000000

RANQ_MODULE;

/* Job data is not NUL-terminated. -1: not a number of points. */
static long long read_points(const char *text, size_t len)
{
	char digits[24], *end;
	long long points;

	if (!len)
		return POINTS_DEFAULT;
	if (len >= sizeof digits)
		return -1;
	memcpy(digits, text, len);
	digits[len] = '\0';
	points = strtoll(digits, &end, 10);
	end += strspn(end, " \t\r\n");
	return *end || points < 1 || points > POINTS_MAX ? -1 : points;
}

int ranq_module_init(struct ranq_task *task)
{
	long long *points = malloc(sizeof *points);
	size_t len = 0;
	const char *text = ranq_task_data(task, &len);

	ranq_task_set_state(task, points);
	if (!points)
		return ranq_task_fail(task, "out of memory");
	*points = read_points(text, len);
	return *points < 0 ? ranq_task_fail(task, "the job data is not a number of points") : 0;
}

void ranq_module_fini(struct ranq_task *task)
{
	free(ranq_task_state(task));
}

int pi(struct ranq_task *task)
{
	long long points = *(const long long *)ranq_task_state(task), i, hits = 0;

	for (i = 0; i < points; i++) {
		double x = ranq_task_unif(task), y = ranq_task_unif(task);

		hits += x * x + y * y <= 1;
		if (i % 65536 == 0 && ranq_task_cancelled(task))
			return ranq_task_fail(task, "cancelled");
	}
	return ranq_task_return_double(task, 4.0 * (double)hits / (double)points);
}

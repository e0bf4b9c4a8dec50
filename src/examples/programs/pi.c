/* pi.c - pi by Monte Carlo, summed up on the way: whatever the number of tasks, one number comes back.
 *
 *     pi [TASKS]
 *
 * Each task returns an estimate from a million points of its own random stream (pi.so). Workers, bridges and this
 * program add them up in a fixed order, so the last digit too is the same whatever workers there are. */
#include <stdio.h>
#include <stdlib.h>

#include <ranq.h>

#include "beside.h"

int main(int argc, char **argv)
{
	struct ranq *queue = ranq_open(NULL, NULL);
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	struct ranq_job *job;
	struct ranq_value sum;

	if (!queue)
		return failed("pi");
	options.module = beside("pi.so");
	options.function = "pi";
	options.tasks = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
	options.seed = 1;
	options.has_seed = 1;
	options.reduce = "sum_double";
	options.reduce_ordered = 1;
	job = ranq_submit(queue, &options);
	if (!job || ranq_reduced(job, NULL, &sum, -1) != 1)
		return failed("pi");
	printf("%.15f\n", ranq_value_double(&sum) / (double)sum.index);
	ranq_remove(job);
	ranq_job_close(job);
	ranq_close(queue);
	return 0;
}

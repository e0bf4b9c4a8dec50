/* faults.c - fault tolerance (listing 2 of the vignettes of doRedis): four iterations in chunks of two, whose workers
 * quit at first; the sum is 10 all the same. There it takes 15 s, here no longer than new processes take.
 *
 *     faults */
#include <stdio.h>

#include <ranq.h>

#include "beside.h"

static int sum(void *user, const struct ranq_value *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*(int64_t *)user += ranq_value_int64(&values[i]);
	return 0;
}

int main(void)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	struct ranq *queue = ranq_open(NULL, NULL);
	int64_t total = 0;

	if (!queue)
		return failed("faults");
	each.job.module = beside("quitter.so");
	each.job.function = "quitter";
	each.job.tasks = 4;
	each.job.chunk = 2;
	each.combine = sum;
	each.user = &total;
	if (ranq_foreach(queue, &each) != 1)
		return failed("faults");
	printf("%lld\n", (long long)total);
	ranq_close(queue);
	return 0;
}

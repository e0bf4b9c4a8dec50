/* matrix_cache.c - the same loop over the parts of a matrix again and again, as an iterative method has it; workers keep
 * their parts (listings 9 to 14 of the older vignette of doRedis, whose task assignment by tags is `sticky` here: a part
 * goes to the worker that had it, or to one that is idle, which makes it).
 *
 *     matrix_cache [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>

#include <ranq.h>

#include "beside.h"

struct round {
	double sums[2];
	int kept; /* parts that a worker had already */
};

static int take(void *user, const struct ranq_value *values, size_t n)
{
	struct round *round = user;

	for (size_t i = 0; i < n; i++) {
		double x[2] = {0, 0};

		ranq_value_doubles(&values[i], x, 2);
		round->sums[values[i].index] = x[0];
		round->kept += x[1] > 0;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	static char matrix[65536];
	int rounds = argc > 1 ? atoi(argv[1]) : 10, kept = 0;
	struct round round;
	FILE *file = fopen(beside("matrix.txt"), "r");
	struct ranq *queue = ranq_open(NULL, NULL);

	if (!file || !queue)
		return failed("matrix_cache");
	each.job.data_bytes = fread(matrix, 1, sizeof matrix, file);
	each.job.data = matrix;
	each.job.module = beside("matrix_sum.so");
	each.job.function = "matrix_part";
	each.job.tasks = 2;
	each.job.sticky = 1;
	each.combine = take;
	each.user = &round;
	fclose(file);
	for (int i = 0; i < rounds; i++) {
		round = (struct round){{0, 0}, 0};
		if (ranq_foreach(queue, &each) != 1)
			return failed("matrix_cache");
		kept += round.kept;
	}
	printf("%.6f %.6f, %d of %d parts from a cache\n", round.sums[0], round.sums[1], kept, 2 * rounds);
	ranq_close(queue);
	return 0;
}

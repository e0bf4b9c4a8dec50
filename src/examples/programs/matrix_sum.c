/* matrix_sum.c - the sums of the parts of a matrix that is larger than one value may be (listing 5 of the vignette of
 * doRedis 1.2, listing 8 of the older one).
 *
 *     matrix_sum [FILE]
 *
 * The parts, five rows each, are read from the file while the first sums are computed already: the matrix is never in
 * memory as a whole, here or in a worker. matrix.txt is A <- matrix(rnorm(100), nrow = 10) of R's set.seed(1); R and
 * doRedis print 6.216482 4.672254. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ranq.h>

#include "beside.h"

#define ROWS 5

/* The next part: some lines as one argument. */
static int next_part(void *user, const char **arg, size_t *len)
{
	static char part[1 << 20], *to;
	int rows = 0;

	for (to = part; rows < ROWS && fgets(to, (int)(part + sizeof part - to), user); rows++) {
		to += strlen(to);
		if (to == part || to[-1] != '\n')
			return -1; /* a row that does not fit */
		to[-1] = ' ';
	}
	*arg = part;
	*len = (size_t)(to - part);
	return rows > 0;
}

static int print_sum(void *user, const struct ranq_value *values, size_t n)
{
	(void)user;
	for (size_t i = 0; i < n; i++)
		printf("%s%.6f", values[i].index ? " " : "", ranq_value_double(&values[i]));
	return 0;
}

int main(int argc, char **argv)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	FILE *file = fopen(argc > 1 ? argv[1] : beside("matrix.txt"), "r");
	struct ranq *queue = ranq_open(NULL, NULL);

	if (!file)
		perror("matrix_sum");
	if (!file || !queue)
		return file ? failed("matrix_sum") : 2;
	each.job.module = beside("matrix_sum.so");
	each.job.function = "matrix_sum";
	each.job.generator = next_part;
	each.job.generator_user = file;
	each.combine = print_sum;
	if (ranq_foreach(queue, &each) != 1)
		return failed("matrix_sum");
	putchar('\n');
	ranq_close(queue);
	fclose(file);
	return 0;
}

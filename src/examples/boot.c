/* boot.c - a chunk of bootstrap replicates of a ratio: what boot(data, ratio, R, stype = "w") of R does.
 *
 *     ranq run --module boot.so --function boot --data city.txt --seed 1 --as double ::: 5 5
 *
 * The job data is a table of two columns u and x, the argument the number of replicates of this chunk. A replicate
 * draws as many rows as there are, with replacement, from the task's own stream; the result is sum(x) / sum(u) of each.
 */
#include <stdlib.h>
#include <string.h>

#include <ranq.h>

RANQ_MODULE;

#define ROWS_MAX 1000
#define REPLICATES_MAX 1000000

struct table {
	int n;
	double u[ROWS_MAX], x[ROWS_MAX];
};

/* Once for a job and executor. */
int ranq_module_init(struct ranq_task *task)
{
	struct table *table = calloc(1, sizeof *table);
	size_t len = 0;
	const char *data = ranq_task_data(task, &len);
	char *text = data ? strndup(data, len) : NULL, *at = text, *end = text;

	ranq_task_set_state(task, table);
	if (!table || !text) {
		free(text);
		return ranq_task_fail(task, "no memory, or no job data (--data)");
	}
	for (; table->n < ROWS_MAX; table->n++, at = end) {
		table->u[table->n] = strtod(at, &end);
		if (end == at)
			break;
		table->x[table->n] = strtod(end, &end);
	}
	free(text);
	return table->n > 1 ? 0 : ranq_task_fail(task, "the job data has fewer than two rows");
}

void ranq_module_fini(struct ranq_task *task)
{
	free(ranq_task_state(task));
}

static double replicate(struct ranq_task *task, const struct table *table)
{
	double u = 0, x = 0;

	for (int i = 0; i < table->n; i++) {
		int row = (int)(ranq_task_unif(task) * table->n);

		u += table->u[row];
		x += table->x[row];
	}
	return x / u;
}

int boot(struct ranq_task *task)
{
	const struct table *table = ranq_task_state(task);
	long n = atol(ranq_task_arg(task, NULL));
	double *t;

	if (n < 1 || n > REPLICATES_MAX)
		return ranq_task_fail(task, "the argument is no number of replicates");
	t = ranq_task_scratch(task, (size_t)n * sizeof *t);
	if (!t)
		return ranq_task_fail(task, "out of memory");
	for (long i = 0; i < n; i++)
		t[i] = replicate(task, table);
	return ranq_task_return_doubles(task, t, (size_t)n);
}

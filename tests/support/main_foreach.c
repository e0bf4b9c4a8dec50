/* main_foreach.c - a client that combines, for tests that kill it.
 *
 *   main_foreach submit MODULE FUNCTION TASKS     prints the id of the job
 *   main_foreach combine JOB FILE                 prints count, a sum that depends on the order, and how it came to be
 *
 * Results are indices as 8 bytes; how many are combined so far stands in FILE. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ranq.h"

struct sum {
	uint64_t n, last, disorder;
	double harmonic; /* depends on the order by its rounding */
};

static const char *path;

static int fail(void)
{
	fprintf(stderr, "main_foreach: %s\n", ranq_last_error());
	return 1;
}

static void note(uint64_t n)
{
	char fresh[4096];
	snprintf(fresh, sizeof fresh, "%s.new", path);
	FILE *file = fopen(fresh, "w");
	if (!file)
		return;
	fprintf(file, "%llu\n", (unsigned long long)n);
	fclose(file);
	rename(fresh, path);
}

static int combine(void *user, const struct ranq_value *values, size_t n)
{
	struct sum *sum = user;
	for (size_t i = 0; i < n; i++) {
		uint64_t index = (uint64_t)ranq_value_int64(&values[i]);
		if (index != values[i].index)
			return -1;
		sum->disorder += sum->n && index != sum->last + 1;
		sum->last = index;
		sum->n++;
		sum->harmonic += 1 / (double)(index + 1) * ((double)(index % 7) - 3);
	}
	note(sum->n);
	return 0;
}

static int submit(struct ranq *queue, char **argv)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	options.module = argv[2];
	options.function = argv[3];
	options.tasks = strtoull(argv[4], NULL, 10);
	struct ranq_job *job = ranq_submit(queue, &options);
	if (!job)
		return fail();
	printf("%s\n", ranq_job_id(job));
	ranq_job_close(job);
	return 0;
}

static int run(struct ranq *queue, char **argv)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	struct sum sum = {0};
	struct ranq_job *job = ranq_job_attach(queue, argv[2]);
	if (!job)
		return fail();
	path = argv[3];
	each.combine = combine;
	each.batch = 10;
	each.user = each.accumulator = &sum;
	each.accumulator_bytes = sizeof sum;
	if (ranq_job_foreach(job, &each) != 1)
		return fail();
	printf("%llu %llu %a\n", (unsigned long long)sum.n, (unsigned long long)sum.disorder, sum.harmonic);
	ranq_job_close(job);
	return 0;
}

int main(int argc, char **argv)
{
	struct ranq *queue = ranq_open(NULL, NULL);
	int status = 2;
	if (!queue)
		return fail();
	if (argc == 5 && strcmp(argv[1], "submit") == 0)
		status = submit(queue, argv);
	else if (argc == 4 && strcmp(argv[1], "combine") == 0)
		status = run(queue, argv);
	ranq_close(queue);
	return status;
}

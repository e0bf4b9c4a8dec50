/* bench-client - what a C client sees of a running queue (RANQ_SERVER, a bridge joined), one JSON line a result.
 *   bench-client noop MODULE TASKS [CHUNK]   no-op function tasks, each result of 8 bytes delivered in order and checked
 *   bench-client round-trip MODULE COUNT     one task there and back after 1 s of idleness, COUNT times */
#include <inttypes.h>
#include <ranq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int die(const char *what)
{
	fprintf(stderr, "bench-client: %s: %s\n", what, ranq_last_error());
	return 1;
}

static struct ranq_job *submit(struct ranq *ranq, const char *module, uint64_t tasks, uint64_t chunk)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;

	options.module = module;
	options.function = "noop";
	options.tasks = tasks;
	options.chunk = chunk;
	return ranq_submit(ranq, &options);
}

/* Reads all results in order; number of right ones up to the first wrong or the end, -1 when the client failed. */
static int64_t count_right(struct ranq_job *job)
{
	struct ranq_value value;
	uint64_t next = 0, got;
	int more;

	while ((more = ranq_next(job, &value, 0, -1)) > 0) {
		if (value.len != sizeof got || value.index != next)
			return (int64_t)next;
		memcpy(&got, value.data, sizeof got);
		if (got != next)
			return (int64_t)next;
		next++;
	}
	return more < 0 ? -1 : (int64_t)next;
}

static int noop(struct ranq *ranq, const char *module, uint64_t tasks, uint64_t chunk)
{
	double start = now(), submitted, seconds;
	struct ranq_job *job = submit(ranq, module, tasks, chunk);
	int64_t right;

	if (!job)
		return die("submit");
	submitted = now();
	right = count_right(job);
	seconds = now() - start;
	if (right < 0)
		return die("next");
	if ((uint64_t)right != tasks) {
		fprintf(stderr, "bench-client: wrong or missing result at task %" PRId64 "\n", right);
		return 1;
	}
	printf("{\"benchmark\": \"noop\", \"tasks\": %" PRIu64 ", \"chunk\": %" PRIu64
	       ", \"seconds\": %.4f, \"tasks_per_second\": %.0f, \"submit_ms\": %.2f, \"verified\": true}\n",
		tasks, chunk, seconds, (double)tasks / seconds, (submitted - start) * 1e3);
	ranq_remove(job);
	ranq_job_close(job);
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int one_trip(struct ranq *ranq, const char *module, double *ms)
{
	struct timespec idle = {1, 0};
	struct ranq_job *job;
	struct ranq_value value;
	double start;

	nanosleep(&idle, NULL);
	start = now();
	job = submit(ranq, module, 1, 0);
	if (!job || ranq_next(job, &value, 0, 30) != 1)
		return die("round trip");
	*ms = (now() - start) * 1e3;
	ranq_remove(job);
	ranq_job_close(job);
	return 0;
}

static int round_trip(struct ranq *ranq, const char *module, unsigned count)
{
	double *ms = count ? calloc(count, sizeof *ms) : NULL;
	unsigned i;

	if (!ms)
		return 1;
	for (i = 0; i < count; i++)
		if (one_trip(ranq, module, &ms[i]))
			return free(ms), 1;
	qsort(ms, count, sizeof *ms, compare);
	printf("{\"benchmark\": \"round_trip\", \"count\": %u, \"median_ms\": %.3f, \"p99_ms\": %.3f, \"min_ms\": %.3f}\n", count,
		ms[count / 2], ms[count * 99 / 100], ms[0]);
	free(ms);
	return 0;
}

int main(int argc, char **argv)
{
	struct ranq *ranq;
	int rc = 2;

	if (argc < 4) {
		fprintf(stderr, "usage: bench-client noop MODULE TASKS [CHUNK] | round-trip MODULE COUNT\n");
		return 2;
	}
	ranq = ranq_open(NULL, NULL);
	if (!ranq)
		return die("open");
	if (!strcmp(argv[1], "noop"))
		rc = noop(ranq, argv[2], strtoull(argv[3], NULL, 10), argc > 4 ? strtoull(argv[4], NULL, 10) : 0);
	else if (!strcmp(argv[1], "round-trip"))
		rc = round_trip(ranq, argv[2], (unsigned)strtoul(argv[3], NULL, 10));
	ranq_close(ranq);
	return rc;
}

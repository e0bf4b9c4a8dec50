/* bench-client - what a C client sees of a running queue (RANQ_SERVER, workers joined): one measurement, after all results
 * were checked.
 *   bench-client noop MODULE TASKS [CHUNK]              no-op tasks, each result of 8 bytes delivered in order
 *   bench-client sleep MODULE TASKS RANKS               10-ms tasks: per cent of ideal, which is 10 ms * TASKS / RANKS
 *   bench-client tail MODULE TASKS RANKS                uneven tasks: makespan / that of the best list schedule found
 *   bench-client bytes MODULE TASKS                     1-MB results: MB/s
 *   bench-client trip MODULE COUNT                      one task there and back after 1 s of idleness, a job each: ms
 *   bench-client next MODULE COUNT                      the same, each the next task of one open job
 *   bench-client commands TASKS                         /bin/true with captured output
 *   bench-client submit MODULE TASKS                    submit alone: ms; the job is left, its id is in "more"
 *   bench-client reduce MODULE TASKS ORDERED            no-op tasks, only the sum of their results comes back
 *   bench-client first MODULE                           prints a line when submitted, then when its one task ran (ns) */
#include <inttypes.h>
#include <ranq.h>
#include <stdbool.h>
#include <string.h>

#include "benchmarks/bench.h"
#include "benchmarks/load/work.h"

static struct ranq *ranq;

static _Noreturn void die(const char *what)
{
	bench_die(BENCH_FAILED, "bench-client: %s: %s", what, ranq_last_error());
}

static struct ranq_job *submit_options(const struct ranq_submit_options *options)
{
	struct ranq_job *job = ranq_submit(ranq, options);

	if (!job)
		die("submit");
	return job;
}

static struct ranq_job *submit(const char *module, const char *function, uint64_t tasks, uint64_t chunk)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;

	options.module = module;
	options.function = function;
	options.tasks = tasks;
	options.chunk = chunk;
	return submit_options(&options);
}

static void finish(struct ranq_job *job)
{
	ranq_remove(job);
	ranq_job_close(job);
}

/* The next result, which must be that of task `index`; false at the end. */
static bool next(struct ranq_job *job, uint64_t index, struct ranq_value *value)
{
	int more = ranq_next(job, value, 0, 120);

	if (more < 0)
		die("next");
	if (more && (value->index != index || value->status != RANQ_STATUS_OK))
		bench_die(BENCH_WRONG, "bench-client: task %" PRIu64 " came with status %d where %" PRIu64 " was due",
			value->index, (int)value->status, index);
	return more;
}

static int64_t number(const struct ranq_value *value)
{
	int64_t n = -1;

	if (value->len != sizeof n)
		bench_die(BENCH_WRONG, "bench-client: a result of %zu bytes at task %" PRIu64, value->len, value->index);
	memcpy(&n, value->data, sizeof n);
	return n;
}

static void must_be_all(uint64_t got, uint64_t tasks)
{
	if (got != tasks)
		bench_die(BENCH_WRONG, "bench-client: %" PRIu64 " results of %" PRIu64, got, tasks);
}

/* Reads all results; each must be the index of its task. */
static void read_indices(struct ranq_job *job, uint64_t tasks)
{
	struct ranq_value value;
	uint64_t k;

	for (k = 0; next(job, k, &value); k++)
		if (number(&value) != (int64_t)k)
			bench_die(BENCH_WRONG, "bench-client: wrong result at task %" PRIu64, k);
	must_be_all(k, tasks);
}

static void noop(const char *module, uint64_t tasks, uint64_t chunk)
{
	double start = bench_now_s(), submitted, seconds;
	struct ranq_job *job = submit(module, "noop", tasks, chunk);
	char more[64];

	submitted = bench_now_s();
	read_indices(job, tasks);
	seconds = bench_now_s() - start;
	snprintf(more, sizeof more, "\"submit_ms\": %.3f", (submitted - start) * 1e3);
	bench_print_more("noop", "", "", (double)tasks / seconds, "tasks/s", "higher", more);
	finish(job);
}

static void sleeping(const char *module, uint64_t tasks, uint64_t ranks)
{
	double start = bench_now_s(), ideal = 0.01 * (double)((tasks + ranks - 1) / ranks);
	struct ranq_job *job = submit(module, "sleep_10ms", tasks, 0);

	read_indices(job, tasks);
	bench_print("sleep", "", 100 * ideal / (bench_now_s() - start), "% of ideal", "higher");
	finish(job);
}

/* Makespan of the list schedule "longest first" on `ranks` machines: never more than 4/3 - 1/(3 ranks) of the optimum, and
 * for many tasks within one short task of the lower bound max(sum / ranks, longest). */
static double list_schedule_s(const double *length, uint64_t tasks, uint64_t ranks)
{
	double *sorted = malloc(tasks * sizeof *sorted), *load = calloc(ranks, sizeof *load), end = 0;

	if (!sorted || !load)
		bench_die(BENCH_FAILED, "out of memory");
	memcpy(sorted, length, tasks * sizeof *sorted);
	qsort(sorted, tasks, sizeof *sorted, bench_compare_doubles);
	for (uint64_t k = tasks; k-- > 0;) {
		uint64_t least = 0;

		for (uint64_t r = 1; r < ranks; r++)
			if (load[r] < load[least])
				least = r;
		load[least] += sorted[k];
		end = load[least] > end ? load[least] : end;
	}
	free(sorted);
	free(load);
	return end;
}

static void tail(const char *module, uint64_t tasks, uint64_t ranks)
{
	double *length = calloc(tasks + 1, sizeof *length), start = bench_now_s(), makespan, best, took = 0;
	struct ranq_job *job = submit(module, "uneven", tasks, 0);
	struct ranq_value value;
	char more[160];
	uint64_t k;

	if (!length)
		bench_die(BENCH_FAILED, "out of memory");
	for (k = 0; next(job, k, &value); k++) {
		if (number(&value) < work_uneven_ns(k) || k >= tasks)
			bench_die(BENCH_WRONG, "bench-client: task %" PRIu64 " was too short", k);
		length[k] = (double)work_uneven_ns(k) / 1e9;
		took += (double)number(&value) / 1e9;
	}
	makespan = bench_now_s() - start;
	must_be_all(k, tasks);
	best = list_schedule_s(length, tasks, ranks);
	snprintf(more, sizeof more, "\"makespan_s\": %.3f, \"list_schedule_s\": %.3f, \"sum_of_measured_lengths_s\": %.3f",
		makespan, best, took);
	bench_print_more("tail", "", "", makespan / best, "of the list schedule", "lower", more);
	free(length);
	finish(job);
}

static void bytes(const char *module, uint64_t tasks)
{
	static uint64_t want[WORK_BYTES / sizeof(uint64_t)];
	double start = bench_now_s();
	struct ranq_job *job = submit(module, "megabyte", tasks, 0);
	struct ranq_value value;
	uint64_t k;

	for (k = 0; next(job, k, &value); k++) {
		for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
			want[i] = k;
		if (value.len != sizeof want || memcmp(value.data, want, sizeof want) != 0)
			bench_die(BENCH_WRONG, "bench-client: wrong bytes of task %" PRIu64, k);
	}
	must_be_all(k, tasks);
	bench_print("bytes", "", (double)tasks * WORK_BYTES / 1e6 / (bench_now_s() - start), "MB/s", "higher");
	finish(job);
}

static void pause_ms(uint64_t ms)
{
	struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

/* Until the result is in the client's hands. */
static double one_trip_ms(const char *module, uint64_t idle_ms)
{
	struct ranq_value value;
	struct ranq_job *job;
	double start;

	pause_ms(idle_ms);
	start = bench_now_s();
	job = submit(module, "noop", 1, 0);
	must_be_all(next(job, 0, &value), 1);
	start = bench_now_s() - start;
	if (number(&value) != 0 || next(job, 1, &value))
		bench_die(BENCH_WRONG, "bench-client: the trip brought something else");
	finish(job);
	return start * 1e3;
}

/* One more argument for each trip. */
static int one_more(void *user, const char **arg, size_t *len)
{
	int *more = user;

	*arg = "x";
	*len = 1;
	if (!*more)
		return 2;
	*more = 0;
	return 1;
}

static struct ranq_job *open_job(const char *module, int *more)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;

	options.module = module;
	options.function = "noop";
	options.generator = one_more;
	options.generator_user = more;
	return submit_options(&options);
}

static double next_trip_ms(struct ranq_job *job, int *more, uint64_t k, uint64_t idle_ms)
{
	struct ranq_value value;
	double start;

	pause_ms(idle_ms);
	start = bench_now_s();
	*more = 1;
	if (!next(job, k, &value))
		bench_die(BENCH_WRONG, "bench-client: the job ended");
	start = bench_now_s() - start;
	if (number(&value) != (int64_t)k)
		bench_die(BENCH_WRONG, "bench-client: the trip brought something else");
	return start * 1e3;
}

/* The first trip is not counted: it brings the module to the node. */
static void trips(const char *name, const char *module, uint64_t count, uint64_t idle_ms)
{
	double *ms = calloc(count + 1, sizeof *ms);
	bool open = strcmp(name, "next") == 0;
	int args = 0;
	struct ranq_job *job = open ? open_job(module, &args) : NULL;
	char more[128];

	if (!ms || !count)
		bench_die(BENCH_FAILED, "bench-client: no trips");
	for (uint64_t i = 0; i <= count; i++)
		ms[i ? i - 1 : 0] = open ? next_trip_ms(job, &args, i, idle_ms) : one_trip_ms(module, idle_ms);
	qsort(ms, count, sizeof *ms, bench_compare_doubles);
	snprintf(more, sizeof more, "\"trips\": %" PRIu64 ", \"min_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f", count,
		ms[0], ms[(count * 99 + 99) / 100 - 1], ms[count - 1]);
	bench_print_more(name, "", "", ms[count / 2], "ms", "lower", more);
	free(ms);
	if (open)
		finish(job);
}

static void commands(uint64_t tasks)
{
	static const char *const argv[] = {"/bin/true", NULL};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	double start = bench_now_s();
	struct ranq_value value;
	struct ranq_job *job;
	uint64_t k;

	options.command = argv;
	options.tasks = tasks;
	job = submit_options(&options);
	for (k = 0; next(job, k, &value); k++)
		if (value.len)
			bench_die(BENCH_WRONG, "bench-client: /bin/true wrote something");
	must_be_all(k, tasks);
	bench_print("commands", "", (double)tasks / (bench_now_s() - start), "tasks/s", "higher");
	finish(job);
}

static void submit_only(const char *module, uint64_t tasks)
{
	double start = bench_now_s();
	struct ranq_job *job = submit(module, "noop", tasks, 0);
	double ms = (bench_now_s() - start) * 1e3;
	char more[128];

	snprintf(more, sizeof more, "\"job\": \"%s\"", ranq_job_id(job));
	bench_print_more("submit", "", "", ms, "ms", "lower", more);
	ranq_job_close(job);
}

static void reduce(const char *module, uint64_t tasks, bool ordered)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	double start = bench_now_s(), submitted, seconds;
	struct ranq_value value;
	struct ranq_job *job;
	char more[64];

	options.module = module;
	options.function = "noop";
	options.tasks = tasks;
	options.reduce = "sum_int64";
	options.reduce_ordered = ordered;
	job = submit_options(&options);
	submitted = bench_now_s();
	if (ranq_reduced(job, NULL, &value, 600) != 1)
		die("reduced");
	seconds = bench_now_s() - start;
	must_be_all(value.index, tasks);
	if (ranq_value_int64(&value) != (int64_t)(tasks * (tasks - 1) / 2))
		bench_die(BENCH_WRONG, "bench-client: the sum is wrong");
	snprintf(more, sizeof more, "\"submit_ms\": %.3f", (submitted - start) * 1e3);
	bench_print_more("reduce", "", "", (double)tasks / seconds, "tasks/s", "higher", more);
	finish(job);
}

static void first(const char *module)
{
	struct ranq_job *job = submit(module, "when", 1, 0);
	struct ranq_value value;

	puts("submitted");
	fflush(stdout);
	must_be_all(next(job, 0, &value), 1);
	printf("%" PRId64 "\n", number(&value));
	finish(job);
}

static uint64_t count(int argc, char **argv, int n)
{
	return n < argc ? strtoull(argv[n], NULL, 10) : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *module = argc > 2 ? argv[2] : "";

	ranq = ranq_open(NULL, NULL);
	if (!ranq)
		die("open");
	if (!strcmp(what, "noop") && argc >= 4)
		noop(module, count(argc, argv, 3), count(argc, argv, 4));
	else if (!strcmp(what, "sleep") && argc == 5 && count(argc, argv, 4))
		sleeping(module, count(argc, argv, 3), count(argc, argv, 4));
	else if (!strcmp(what, "tail") && argc == 5 && count(argc, argv, 4))
		tail(module, count(argc, argv, 3), count(argc, argv, 4));
	else if (!strcmp(what, "bytes") && argc == 4)
		bytes(module, count(argc, argv, 3));
	else if ((!strcmp(what, "trip") || !strcmp(what, "next")) && (argc == 4 || argc == 5))
		trips(what, module, count(argc, argv, 3), argc == 5 ? count(argc, argv, 4) : 1000);
	else if (!strcmp(what, "commands") && argc == 3)
		commands(count(argc, argv, 2));
	else if (!strcmp(what, "submit") && argc == 4)
		submit_only(module, count(argc, argv, 3));
	else if (!strcmp(what, "reduce") && argc == 5)
		reduce(module, count(argc, argv, 3), count(argc, argv, 4) != 0);
	else if (!strcmp(what, "first") && argc == 3)
		first(module);
	else
		bench_die(2, "usage: bench-client noop|sleep|tail|bytes|trip|next|commands|submit|reduce|first ... (see benchmarks/load/client.c)");
	ranq_close(ranq);
	return 0;
}

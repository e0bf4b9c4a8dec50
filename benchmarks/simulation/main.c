/* main.c - bench-simulation: what B bridges of R ranks cost the server, and a bridge itself, without a cluster.
 *
 * The proxies are those of ranq-bridge, the server is a real one, only the ranks are simulated. Prints JSON
 * measurements (benchmarks/README.md); all of a run's counters stand in "more" of the first one. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "benchmarks/simulation/simulation.h"
#include "util/clock.h"
#include "util/json.h"

static const char usage[] =
	"usage: bench-simulation [OPTION]...\n"
	"  --server URL     a server without other work (default: RANQ_SERVER)\n"
	"  --queue NAME     default: simulation\n"
	"  --bridges N      default 10\n"
	"  --ranks N        of each bridge, default 128\n"
	"  --task D         time of a task, default 1s; also 200us\n"
	"  --spread F       tasks take D * (1 +- F), default 0.1\n"
	"  --tasks N        run these and stop; default: measure a window of endless work\n"
	"  --chunk N        at most so many tasks a chunk\n"
	"  --results R      keep, count or none; default keep\n"
	"  --bytes N        of each result, default 8\n"
	"  --warm D         time before the window, default 5s\n"
	"  --window D       default 10s\n"
	"  --slow S         a second of bridges and ranks takes S real ones, default 1: the server\n"
	"                   has S times less to do, and so has this program; times are theirs\n";

enum {
	OPT_SERVER = 256,
	OPT_QUEUE,
	OPT_BRIDGES,
	OPT_RANKS,
	OPT_TASK,
	OPT_SPREAD,
	OPT_TASKS,
	OPT_CHUNK,
	OPT_RESULTS,
	OPT_BYTES,
	OPT_WARM,
	OPT_WINDOW,
	OPT_SLOW,
	OPT_HELP
};
static const struct option options[] = {{"server", 1, NULL, OPT_SERVER}, {"queue", 1, NULL, OPT_QUEUE},
	{"bridges", 1, NULL, OPT_BRIDGES}, {"ranks", 1, NULL, OPT_RANKS}, {"task", 1, NULL, OPT_TASK},
	{"spread", 1, NULL, OPT_SPREAD}, {"tasks", 1, NULL, OPT_TASKS}, {"chunk", 1, NULL, OPT_CHUNK},
	{"results", 1, NULL, OPT_RESULTS}, {"bytes", 1, NULL, OPT_BYTES}, {"warm", 1, NULL, OPT_WARM},
	{"window", 1, NULL, OPT_WINDOW}, {"slow", 1, NULL, OPT_SLOW}, {"help", 0, NULL, OPT_HELP}, {0}};

static const char *const results_names[] = {"keep", "count", "none"};
static const char *url;

static _Noreturn void bad(const char *text)
{
	fprintf(stderr, "bench-simulation: bad value '%s'\n%s", text, usage);
	exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (end == text || *end || n < min || n > max)
		bad(text);
	return n;
}

static double real(const char *text, double min, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max))
		bad(text);
	return value;
}

static double duration_s(const char *text)
{
	size_t len = strlen(text);
	struct ranq_err err;
	int64_t ms;
	char digits[32];

	if (len > 2 && len < sizeof digits && strcmp(text + len - 2, "us") == 0) {
		memcpy(digits, text, len - 2);
		digits[len - 2] = '\0';
		return real(digits, 1, 1e9) / 1e6;
	}
	if (ranq_duration_parse(text, &ms, &err) != 0 || ms <= 0)
		bad(text);
	return (double)ms / 1e3;
}

static enum ranq_results_mode results_mode(const char *text)
{
	for (int i = 0; i < 3; i++)
		if (strcmp(text, results_names[i]) == 0)
			return (enum ranq_results_mode)i;
	bad(text);
}

static void set_option(int option, const char *value)
{
	struct sim_settings *set = &sim.set;

	switch (option) {
	case OPT_SERVER:
		url = value;
		return;
	case OPT_QUEUE:
		set->queue = value;
		return;
	case OPT_BRIDGES:
		set->bridges = (unsigned)number(value, 1, 20000);
		return;
	case OPT_RANKS:
		set->ranks = (unsigned)number(value, 1, 100000);
		return;
	case OPT_TASK:
		set->task_s = duration_s(value);
		return;
	case OPT_SPREAD:
		set->spread = real(value, 0, 1);
		return;
	case OPT_TASKS:
		set->tasks = number(value, 1, RANQ_TASKS_MAX - 1);
		return;
	case OPT_CHUNK:
		set->chunk = number(value, 0, (uint64_t)1 << 40);
		return;
	case OPT_RESULTS:
		set->results = results_mode(value);
		return;
	case OPT_BYTES:
		set->bytes = number(value, 0, 16u << 20);
		return;
	case OPT_WARM:
		set->warm_s = duration_s(value);
		return;
	case OPT_WINDOW:
		set->window_s = duration_s(value);
		return;
	case OPT_SLOW:
		set->slow = real(value, 1, 100);
		return;
	case OPT_HELP:
		fputs(usage, stdout);
		exit(EXIT_SUCCESS);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

/* Two connections for each bridge. */
static void raise_descriptors(void)
{
	rlim_t need = (rlim_t)sim.set.bridges * 2 + 100;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= need)
		return;
	limit.rlim_cur = need;
	if (limit.rlim_max < need)
		limit.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		fprintf(stderr, "bench-simulation: %u bridges need %lu descriptors (ulimit -n)\n", sim.set.bridges,
			(unsigned long)need);
		exit(EXIT_FAILURE);
	}
}

/* ---- course ---- */

static void run_for(double seconds)
{
	int64_t until = ranq_clock_ns() + (int64_t)(seconds * 1e9);

	while (ranq_clock_ns() < until)
		sim_turn(until);
}

static void run_job(uint64_t job)
{
	while (!ranq_job_state_is_final(sim_info(job).state))
		run_for(0.05);
}

static size_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- report ---- */

static struct ranq_json *parameters(void)
{
	struct ranq_json *json = ranq_json_object(NULL);

	ranq_json_uint(json, "bridges", sim.set.bridges);
	ranq_json_uint(json, "ranks", sim.set.ranks);
	ranq_json_real(json, "task_s", sim.set.task_s);
	ranq_json_real(json, "spread", sim.set.spread);
	ranq_json_uint(json, "chunk", sim.set.chunk);
	ranq_json_str(json, "results", results_names[sim.set.results]);
	ranq_json_uint(json, "result_bytes", sim.set.bytes);
	ranq_json_real(json, "slow", sim.set.slow);
	return json;
}

static void print(
	const char *name, double value, const char *unit, const char *better, bool right, struct ranq_json *more)
{
	struct ranq_json *json = ranq_json_object(NULL);
	struct ranq_err err;

	ranq_json_str(json, "benchmark", "simulation");
	ranq_json_str(json, "case", name);
	ranq_json_member(json, "parameters", parameters());
	ranq_json_real(json, "value", value);
	ranq_json_str(json, "unit", unit);
	ranq_json_str(json, "better", better);
	ranq_json_bool(json, "verified", right);
	if (more)
		ranq_json_member(json, "more", more);
	if (ranq_json_print(json, stdout, &err) != 0)
		sim_die("output", &err);
}

static double ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

/* What the window between two counts shows. */
static void report(
	const struct sim_counters *a, const struct sim_counters *b, size_t bridge_bytes, uint64_t job, bool right)
{
	double s = (double)(b->at_ns - a->at_ns) / 1e9, bridge_s = s * sim.set.bridges;
	double done = (double)(b->sums.done - a->sums.done), server_s = b->server_s - a->server_s;
	double calls = (double)(b->calls - a->calls), proxy_s = b->proxy_s - a->proxy_s;
	double bytes = (double)(b->bytes_in - a->bytes_in + b->bytes_out - a->bytes_out);
	double commands = (double)(b->commands - a->commands);
	double ranges = (double)(b->sums.ranges - a->sums.ranges), chunks = (double)(b->sums.chunks - a->sums.chunks);
	double possible = s * sim.set.bridges * sim.set.ranks / sim.set.task_s;
	struct ranq_job_info info = sim_info(job);
	struct ranq_json *more = ranq_json_object(NULL);

	ranq_json_real(more, "seconds", s);
	ranq_json_real(more, "tasks_per_second", ratio(done, s));
	ranq_json_real(more, "efficiency", ratio(done, possible));
	ranq_json_real(more, "late_ms", 1e3 * ratio(b->late_s - a->late_s, (double)(b->timers - a->timers)));
	ranq_json_real(more, "calls_per_bridge_second", ratio(calls, bridge_s));
	ranq_json_real(more, "ranges_per_bridge_second", ratio(ranges, bridge_s));
	ranq_json_real(more, "chunks_per_bridge_second", ratio(chunks, bridge_s));
	ranq_json_real(more, "commands_per_bridge_second", ratio(commands, bridge_s));
	ranq_json_real(more, "bytes_per_bridge_second", ratio(bytes, bridge_s));
	ranq_json_real(more, "server_us_per_call", ratio(server_s * 1e6, calls));
	ranq_json_real(more, "function_us_per_call", ratio((double)(b->calls_us - a->calls_us), calls));
	ranq_json_real(more, "server_us_per_range", ratio(server_s * 1e6, ranges));
	ranq_json_real(more, "server_us_per_chunk", ratio(server_s * 1e6, chunks));
	ranq_json_real(more, "server_us_per_task", ratio(server_s * 1e6, done));
	ranq_json_real(more, "calls_per_task", ratio(calls, done));
	ranq_json_real(more, "commands_per_task", ratio(commands, done));
	ranq_json_real(more, "commands_per_chunk", ratio(commands, chunks));
	ranq_json_real(more, "bytes_per_task", ratio(bytes, done));
	ranq_json_real(more, "bytes_per_chunk", ratio(bytes, chunks));
	ranq_json_real(more, "server_bytes", (double)b->memory_bytes);
	ranq_json_real(more, "tasks_per_item", ratio((double)info.done, (double)info.result_items));
	ranq_json_real(more, "proxy_us_per_chunk", ratio(proxy_s * 1e6, chunks));
	ranq_json_real(more, "process_cpu", ratio(b->process_s - a->process_s, s));
	print("server CPU", 100 * ratio(server_s, s), "% of a core", "lower", right, more);
	print("server CPU of a bridge", 1e6 * ratio(server_s, bridge_s), "us/s", "lower", right, NULL);
	print("proxy CPU", 100 * ratio(proxy_s, bridge_s), "% of a core", "lower", right, NULL);
	print("proxy CPU of a task", 1e6 * ratio(proxy_s, done), "us", "lower", right, NULL);
	print("memory of a bridge", (double)bridge_bytes / 1024, "KiB", "lower", right, NULL);
}

int main(int argc, char **argv)
{
	struct sim_counters begin, end;
	size_t before, bridge_bytes;
	uint64_t job;
	bool right;
	int option;

	url = getenv("RANQ_SERVER");
	sim.set = (struct sim_settings){.bridges = 10,
		.ranks = 128,
		.task_s = 1,
		.spread = 0.1,
		.bytes = 8,
		.warm_s = 5,
		.window_s = 10,
		.slow = 1,
		.queue = "simulation"};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		set_option(option, optarg);
	if (!url || optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	raise_descriptors();
	sim_server_open(url);
	before = resident_bytes();
	sim_bridges_start();
	begin = sim_count();
	job = sim_submit();
	if (sim.set.tasks == 0) {
		run_for(sim.set.warm_s);
		begin = sim_count();
		run_for(sim.set.window_s);
	} else {
		run_job(job);
	}
	end = sim_count();
	bridge_bytes = (resident_bytes() - before) / sim.set.bridges;
	sim_drain();
	sim_bridges_stop();
	right = sim_verify(job) == 0;
	report(&begin, &end, bridge_bytes, job, right);
	sim_remove(job);
	sim_server_close();
	return right ? EXIT_SUCCESS : EXIT_FAILURE;
}

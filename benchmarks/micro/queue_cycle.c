/* What the queue protocol costs the server. Starts a private server and stops it again.
 *   bench-queue_cycle [functions|evalsha [cycle|pipelined|items|beat|submit]] */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/bench.h"
#include "queue/queue.h"
#include "util/clock.h"

static char dir[] = "/tmp/ranq-bench-XXXXXX";
static char path[64];
static pid_t server;
static struct ranq_conn *conn;
static struct ranq_queue queue;
static struct ranq_cmd cmd;
static char bridge[RANQ_ID_LEN + 1];
static uint64_t seq;
static const char *mode_name = "functions";

static _Noreturn void die(const char *what, const struct ranq_err *err)
{
	fprintf(stderr, "bench-queue_cycle: %s: %s\n", what, err->text);
	exit(EXIT_FAILURE);
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(name);
}

static void stop(void)
{
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	}
	server = 0;
}

static void start(void)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	int64_t deadline = ranq_clock_ms() + 10000;

	if (!mkdtemp(dir))
		exit(EXIT_FAILURE);
	snprintf(path, sizeof path, "%s/s", dir);
	server = fork();
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--dir", dir, "--save", "",
			"--loglevel", "warning", "--logfile", "log", (char *)NULL);
		_exit(127);
	}
	atexit(stop);
	ranq_server_addr_init(&addr);
	addr.unix_path = strdup(path);
	while (!conn && ranq_clock_ms() < deadline) {
		conn = ranq_conn_open(&addr, ranq_clock_ms() + 1000, &err);
		if (!conn)
			usleep(5000);
	}
	ranq_server_addr_clear(&addr);
	if (!conn)
		die("no server", &err);
}

static struct ranq_reply *call(void)
{
	struct ranq_reply *reply;
	struct ranq_err err;

	if (ranq_conn_call(conn, &cmd, ranq_clock_ms() + 60000, &reply, &err))
		die("call", &err);
	if (ranq_reply_type(reply) == RANQ_REPLY_ERROR) {
		ranq_err_set(&err, RANQ_ERR_REPLY, "%.*s", (int)ranq_reply_bytes(reply).len,
			(const char *)ranq_reply_bytes(reply).data);
		die("reply", &err);
	}
	return reply;
}

static double server_cpu_us(void)
{
	struct ranq_reply *r;
	struct ranq_bytes b;
	double sum = 0;

	ranq_cmd_reset(&cmd);
	ranq_cmd_str(&cmd, "INFO");
	ranq_cmd_str(&cmd, "cpu");
	r = call();
	b = ranq_reply_bytes(r);
	for (const char *name = "used_cpu_sys:"; name; name = name[9] == 's' ? "used_cpu_user:" : NULL) {
		const char *at = memmem(b.data, b.len, name, strlen(name));

		sum += at ? strtod(at + strlen(name), NULL) : 0;
	}
	ranq_reply_destroy(r);
	return sum * 1e6;
}

static void print(const char *what, double value, const char *unit, double cpu_us)
{
	char mode[64], more[64];

	snprintf(mode, sizeof mode, "\"mode\": \"%s\"", mode_name);
	snprintf(more, sizeof more, "\"server_cpu_us\": %.4g", cpu_us);
	bench_print_more("queue", what, mode, value, unit, "higher", more);
}

static uint64_t submit(uint64_t tasks, enum ranq_results_mode results)
{
	struct ranq_spec spec;
	char uuid[RANQ_ID_LEN + 1];
	struct ranq_submit s = {.uuid = uuid, .spec = &spec, .tasks = tasks};
	struct ranq_err err;
	struct ranq_reply *r;
	uint64_t job;
	bool existed;

	ranq_id_new(uuid);
	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_COMMAND;
	ranq_strings_add(&spec.argv, "true", 4);
	spec.results = results;
	spec.backlog = (uint64_t)1 << 40;
	if (ranq_queue_submit_cmd(&queue, &cmd, &s, &err))
		die("submit", &err);
	ranq_spec_clear(&spec);
	r = call();
	if (ranq_queue_submit_parse(r, &job, &existed, &err))
		die("submit", &err);
	ranq_reply_destroy(r);
	return job;
}

static struct ranq_range lease(uint64_t want)
{
	static struct ranq_lease_reply out;
	struct ranq_err err;
	struct ranq_reply *r;

	ranq_queue_lease_cmd(&queue, &cmd, bridge, ++seq, want, 1, 0, -1, NULL);
	r = call();
	if (ranq_queue_lease_parse(r, &out, &err))
		die("lease", &err);
	ranq_reply_destroy(r);
	return out.ranges[0];
}

static void add(const struct ranq_range *r, uint64_t at, uint64_t start, uint64_t end, size_t bytes)
{
	static const char zeros[4096];
	struct ranq_commit_item item = {.job = r->job,
		.at = at,
		.seq = r->seq,
		.start = start,
		.end = end,
		.counts = {end - start},
		.item = {zeros, bytes}};

	ranq_queue_commit_add(&cmd, &item);
}

static void bench_cycle(int rounds, bool keep)
{
	double cpu;
	int64_t begin;
	struct ranq_range r;

	submit(100 * (uint64_t)rounds, keep ? RANQ_RESULTS_KEEP : RANQ_RESULTS_COUNT);
	cpu = server_cpu_us();
	begin = ranq_clock_ns();
	for (int i = 0; i < rounds; i++) {
		r = lease(100);
		ranq_queue_commit_begin(&queue, &cmd, bridge);
		add(&r, r.start, r.start, r.end, 800);
		ranq_reply_destroy(call());
	}
	print(keep ? "lease and commit of a range, 800 bytes kept" : "lease and commit of a range, no results",
		rounds / ((double)(ranq_clock_ns() - begin) / 1e9), "cycles/s", (server_cpu_us() - cpu) / rounds);
}

/* Without waiting for replies: what remains is the work itself. */
static void bench_pipelined(int rounds)
{
	double cpu;
	int64_t begin;
	struct ranq_err err;
	uint64_t job = submit((uint64_t)rounds, RANQ_RESULTS_KEEP);

	cpu = server_cpu_us();
	begin = ranq_clock_ns();
	for (int i = 0; i < rounds; i++) {
		struct ranq_range r = {.job = job, .start = (uint64_t)i, .end = (uint64_t)i + 1, .seq = ++seq};

		ranq_queue_lease_cmd(&queue, &cmd, bridge, seq, 1, 1, 0, -1, NULL);
		ranq_conn_send(conn, &cmd, NULL, NULL);
		ranq_queue_commit_begin(&queue, &cmd, bridge);
		add(&r, r.start, r.start, r.end, 8);
		ranq_conn_send(conn, &cmd, NULL, NULL);
		while (ranq_conn_inflight(conn) > 32)
			if (ranq_conn_pump(conn, &err))
				die("pump", &err);
	}
	server_cpu_us();
	print("lease and commit, pipelined", rounds / ((double)(ranq_clock_ns() - begin) / 1e9), "cycles/s",
		(server_cpu_us() - cpu) / rounds);
}

static void bench_small_items(int rounds)
{
	double cpu;
	int64_t begin;
	uint64_t job = submit(1000 * (uint64_t)rounds, RANQ_RESULTS_KEEP);

	cpu = server_cpu_us();
	begin = ranq_clock_ns();
	for (int i = 0; i < rounds; i++) {
		struct ranq_range r = lease(1000);

		ranq_queue_commit_begin(&queue, &cmd, bridge);
		for (uint64_t k = r.start; k < r.end; k++)
			add(&r, k, k, k + 1, 8);
		ranq_reply_destroy(call());
	}
	print("commit of 1000 items of one task", rounds * 1000 / ((double)(ranq_clock_ns() - begin) / 1e9), "tasks/s",
		(server_cpu_us() - cpu) / rounds);
	ranq_queue_remove_cmd(&queue, &cmd, job);
	ranq_reply_destroy(call());
}

static void bench_beat(int rounds)
{
	double cpu = server_cpu_us();
	int64_t begin = ranq_clock_ns();
	uint64_t job = 1;

	for (int i = 0; i < rounds; i++) {
		ranq_queue_beat_cmd(&queue, &cmd, bridge, &job, 1, 0, 0);
		ranq_reply_destroy(call());
	}
	print("beat", rounds / ((double)(ranq_clock_ns() - begin) / 1e9), "calls/s", (server_cpu_us() - cpu) / rounds);
}

static void bench_submit(int rounds)
{
	double cpu = server_cpu_us();
	int64_t begin = ranq_clock_ns();

	for (int i = 0; i < rounds; i++)
		submit(1000000000, RANQ_RESULTS_KEEP);
	print("submit", rounds / ((double)(ranq_clock_ns() - begin) / 1e9), "jobs/s", (server_cpu_us() - cpu) / rounds);
}

static bool wanted(int argc, char **argv, const char *name)
{
	return argc < 3 || !strcmp(argv[2], name);
}

int main(int argc, char **argv)
{
	struct ranq_bridge_meta meta = {.host = "bench", .ranks = 2};
	struct ranq_err err;
	enum ranq_call_mode mode = argc > 1 && !strcmp(argv[1], "evalsha") ? RANQ_CALL_EVALSHA : RANQ_CALL_FUNCTIONS;

	if (mode == RANQ_CALL_EVALSHA)
		mode_name = "evalsha";
	start();
	ranq_cmd_init(&cmd);
	if (ranq_queue_init(&queue, "bench", &err) ||
		ranq_queue_attach(&queue, conn, mode, 0, true, ranq_clock_ms() + 10000, &err))
		die("attach", &err);
	ranq_id_new(bridge);
	ranq_queue_join_cmd(&queue, &cmd, bridge, &meta);
	ranq_reply_destroy(call());
	if (wanted(argc, argv, "cycle")) {
		bench_cycle((int)bench_times(10000), false);
		bench_cycle((int)bench_times(10000), true);
	}
	if (wanted(argc, argv, "pipelined"))
		bench_pipelined((int)bench_times(20000));
	if (wanted(argc, argv, "items"))
		bench_small_items((int)bench_times(200));
	if (wanted(argc, argv, "beat"))
		bench_beat((int)bench_times(10000));
	if (wanted(argc, argv, "submit"))
		bench_submit((int)bench_times(5000));
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
	return EXIT_SUCCESS;
}

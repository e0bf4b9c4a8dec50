/* What one connection costs: small commands in a pipeline, one there and back, large values.
 *   bench-conn_rate URL   (flushes nothing; uses the key "ranq-bench:conn" and removes it) */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "benchmarks/bench.h"
#include "store/conn.h"
#include "util/clock.h"

#define KEY "ranq-bench:conn"
#define NEVER_MS 60000

static struct ranq_conn *conn;

static _Noreturn void fail(const char *what)
{
	bench_die(BENCH_FAILED, "bench-conn_rate: %s", what);
}

static double cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static void count(const struct ranq_reply *reply, void *arg)
{
	if (!reply)
		fail("lost the connection");
	++*(long *)arg;
}

static void turn(void)
{
	struct pollfd p = {
		.fd = ranq_conn_fd(conn), .events = (short)(POLLIN | (ranq_conn_wants_write(conn) ? POLLOUT : 0))};
	struct ranq_err err;

	if (ranq_conn_pump(conn, &err))
		fail(err.text);
	if (ranq_conn_inflight(conn))
		poll(&p, 1, 1000);
}

static void report(const char *what, double n, double bytes, int64_t begin_ns, double cpu)
{
	double seconds = (double)(ranq_clock_ns() - begin_ns) / 1e9;
	char more[96];

	snprintf(more, sizeof more, "\"mb_per_s\": %.1f, \"client_cpu_us_each\": %.2f", bytes / seconds / 1e6,
		(cpu_s() - cpu) / n * 1e6);
	bench_print_more("connection", what, "", n / seconds, "calls/s", "higher", more);
}

/* `n` times the command with `window` in flight. */
static void pipeline(const char *what, struct ranq_cmd *cmd, long n, long window, double bytes_each)
{
	long done = 0, sent = 0;
	double cpu = cpu_s();
	int64_t begin = ranq_clock_ns();

	while (done < n) {
		while (sent < n && sent - done < window) {
			ranq_conn_send(conn, cmd, count, &done);
			sent++;
		}
		turn();
	}
	report(what, (double)n, bytes_each * (double)n, begin, cpu);
}

static struct ranq_cmd *words(struct ranq_cmd *cmd, const char *a, const char *b)
{
	ranq_cmd_reset(cmd);
	ranq_cmd_str(cmd, a);
	if (b)
		ranq_cmd_str(cmd, b);
	return cmd;
}

int main(int argc, char **argv)
{
	const size_t big = 1 << 20;
	struct ranq_server_addr addr;
	struct ranq_cmd cmd;
	struct ranq_err err;
	char *value = calloc(1, big);

	ranq_server_addr_init(&addr);
	ranq_cmd_init(&cmd);
	if (!value || argc != 2)
		fail("usage: conn_rate URL");
	if (ranq_server_addr_parse(argv[1], &addr, &err) ||
		!(conn = ranq_conn_open(&addr, ranq_clock_ms() + NEVER_MS, &err)))
		fail(err.text);
	pipeline("ping, one in flight", words(&cmd, "PING", NULL), (long)bench_times(50000), 1, 0);
	pipeline("ping, 50 in flight", &cmd, (long)bench_times(1000000), 50, 0);
	pipeline("ping, 5000 in flight", &cmd, (long)bench_times(2000000), 5000, 0);
	words(&cmd, "SET", KEY);
	ranq_cmd_bytes(&cmd, value, big);
	pipeline("set of 1 MiB, 4 in flight", &cmd, (long)bench_times(1000), 4, (double)big);
	pipeline("get of 1 MiB, 4 in flight", words(&cmd, "GET", KEY), (long)bench_times(1000), 4, (double)big);
	pipeline("unlink of 1 MiB", words(&cmd, "UNLINK", KEY), 1, 1, 0);
	ranq_conn_close(conn);
	ranq_cmd_clear(&cmd);
	ranq_server_addr_clear(&addr);
	free(value);
	return 0;
}

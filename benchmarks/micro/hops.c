/* hops.c - what the parts of a task's way there and back cost at least on this machine, each after a second without
 * work: the server's answer, an empty script in it, waking one process and being woken by it, a byte that wakes HOPS
 * processes one after the other, as many as one task wakes.
 *   bench-hops URL [TIMES] */
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#include "benchmarks/bench.h"
#include "store/conn.h"
#include "util/clock.h"

#define HOPS 8
#define CALL_MS 60000

static struct ranq_conn *conn;

static _Noreturn void fail(const char *what)
{
	bench_die(BENCH_FAILED, "bench-hops: %s", what);
}

/* As the ranks do: sleeps until the byte is there, then passes it on. */
static _Noreturn void pass_on(int from, int to)
{
	struct pollfd p = {.fd = from, .events = POLLIN};
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (poll(&p, 1, -1) == 1 && read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
		;
	_exit(0);
}

/* A row of n - 1 processes between the two descriptors. */
static void make_row(int n, int *first, int *last)
{
	int pair[2], from;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		fail("socketpair");
	*first = pair[0];
	from = pair[1];
	for (int i = 1; i < n; i++) {
		pid_t pid;

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || (pid = fork()) < 0)
			fail("cannot start a process");
		if (pid == 0)
			pass_on(from, pair[0]);
		close(from);
		close(pair[0]);
		from = pair[1];
	}
	*last = from;
}

static void send_byte(int to, int from)
{
	struct pollfd p = {.fd = from, .events = POLLIN};
	char byte = 'x';

	if (write(to, &byte, 1) != 1 || poll(&p, 1, CALL_MS) != 1 || read(from, &byte, 1) != 1 || byte != 'x')
		fail("the byte is lost");
}

static void call(const char *const *words)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	struct ranq_err err;

	ranq_cmd_init(&cmd);
	for (; *words; words++)
		ranq_cmd_str(&cmd, *words);
	if (ranq_conn_call(conn, &cmd, ranq_clock_ms() + CALL_MS, &reply, &err) != 0)
		fail(err.text);
	if (ranq_reply_type(reply) == RANQ_REPLY_ERROR)
		bench_die(BENCH_WRONG, "bench-hops: the server refuses '%s'", words[-1]);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

enum { PING, SCRIPT, WAKE, ROW, CASES };
static int first[CASES], last[CASES];

static double once_us(int which)
{
	static const char *const ping[] = {"PING", NULL}, *const script[] = {"EVAL", "return 1", "0", NULL};
	struct timespec idle = {1, 0};
	double start;

	nanosleep(&idle, NULL);
	start = bench_now_s();
	if (which == PING || which == SCRIPT)
		call(which == PING ? ping : script);
	else
		send_byte(first[which], last[which]);
	return (bench_now_s() - start) * 1e6;
}

int main(int argc, char **argv)
{
	static const char *const names[CASES] = {"PING", "empty script", "one process", "row of processes"};
	uint64_t times = argc > 2 ? strtoull(argv[2], NULL, 10) : bench_times(20);
	struct ranq_server_addr addr;
	struct ranq_err err;
	double *us;

	ranq_server_addr_init(&addr);
	if (argc < 2 || times < 1 || times > 100000)
		bench_die(2, "usage: bench-hops URL [TIMES]");
	if (ranq_server_addr_parse(argv[1], &addr, &err) != 0)
		fail(err.text);
	make_row(2, &first[WAKE], &last[WAKE]);
	make_row(HOPS, &first[ROW], &last[ROW]);
	conn = ranq_conn_open(&addr, ranq_clock_ms() + CALL_MS, &err);
	us = calloc(times, sizeof *us);
	if (!conn || !us)
		fail(conn ? "out of memory" : err.text);
	for (int which = 0; which < CASES; which++) {
		once_us(which);
		for (uint64_t i = 0; i < times; i++)
			us[i] = once_us(which);
		qsort(us, times, sizeof *us, bench_compare_doubles);
		bench_print("hops", names[which], us[times / 2], "us", "lower");
	}
	free(us);
	ranq_conn_close(conn);
	ranq_server_addr_clear(&addr);
	return 0;
}

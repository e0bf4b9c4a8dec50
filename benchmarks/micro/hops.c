/* hops.c - what the parts of a task's way there and back cost at least on this machine, each after a second without
 * work: the server's answer, an empty script in it, waking one process and being woken by it, a byte that wakes HOPS
 * processes one after the other, as many as one task wakes; and the bare way: client, server, "rank 0", "worker",
 * "executor" and back by the same kinds of messages, with nothing done in any of them.
 *   bench-hops URL [TIMES [CASE]] */
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
#define THERE "bench-hops-there"
#define BACK "bench-hops-back"

static struct ranq_server_addr addr;
static struct ranq_conn *conn;

static _Noreturn void fail(const char *what)
{
	bench_die(BENCH_FAILED, "bench-hops: %s", what);
}

static int make_pair(int *theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		fail("socketpair");
	*theirs = pair[1];
	return pair[0];
}

/* 0: the child, which does not outlive us. */
static pid_t begin_process(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("cannot start a process");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* ---- bytes ---- */

static void put_byte(int to)
{
	if (write(to, "x", 1) != 1)
		_exit(0);
}

/* As the ranks do: sleeps until the byte is there. */
static void get_byte(int from)
{
	struct pollfd p = {.fd = from, .events = POLLIN};
	char byte;

	if (poll(&p, 1, -1) != 1 || read(from, &byte, 1) != 1)
		_exit(0);
}

static _Noreturn void pass_on(int from, int to)
{
	for (;;) {
		get_byte(from);
		put_byte(to);
	}
}

/* A row of n - 1 processes between the two descriptors. */
static void make_row(int n, int *first, int *last)
{
	int from;

	*first = make_pair(&from);
	for (int i = 1; i < n; i++) {
		int next, to = make_pair(&next);

		if (begin_process() == 0)
			pass_on(from, to);
		close(from);
		close(to);
		from = next;
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

/* ---- the server ---- */

static void build(struct ranq_cmd *cmd, const char *const *words)
{
	ranq_cmd_reset(cmd);
	for (; *words; words++)
		ranq_cmd_str(cmd, *words);
}

/* The reply to `words`; `before` (may be NULL) leaves together with them. */
static void call(struct ranq_conn *to, const char *const *before, const char *const *words)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	struct ranq_err err;

	ranq_cmd_init(&cmd);
	if (before) {
		build(&cmd, before);
		ranq_conn_send(to, &cmd, NULL, NULL);
	}
	build(&cmd, words);
	if (ranq_conn_call(to, &cmd, ranq_clock_ms() + CALL_MS, &reply, &err) != 0)
		fail(err.text);
	if (ranq_reply_type(reply) == RANQ_REPLY_ERROR || ranq_reply_type(reply) == RANQ_REPLY_NIL)
		bench_die(BENCH_WRONG, "bench-hops: the server refuses '%s'", words[0]);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

static struct ranq_conn *connect_server(void)
{
	struct ranq_err err;
	struct ranq_conn *made = ranq_conn_open(&addr, ranq_clock_ms() + CALL_MS, &err);

	if (!made)
		fail(err.text);
	return made;
}

/* ---- the bare way ---- */

static const char *const give[] = {"RPUSH", THERE, "x", NULL}, *const take[] = {"BLPOP", THERE, "0", NULL};
static const char *const answer[] = {"RPUSH", BACK, "x", NULL}, *const wait_answer[] = {"BLPOP", BACK, "60", NULL};

static _Noreturn void bare_worker(int rank0, int executor)
{
	for (;;) {
		get_byte(rank0);
		put_byte(executor);
		get_byte(executor);
		put_byte(rank0);
	}
}

static _Noreturn void bare_rank0(int worker)
{
	struct ranq_conn *mine = connect_server();

	call(mine, NULL, take);
	for (;;) {
		put_byte(worker);
		get_byte(worker);
		call(mine, answer, take); /* listens again in the same breath, as rank 0 does */
	}
}

static void make_bare_way(void)
{
	int end, worker, executor = make_pair(&end);

	if (begin_process() == 0)
		pass_on(end, end);
	close(end);
	worker = make_pair(&end);
	if (begin_process() == 0)
		bare_worker(end, executor);
	close(end);
	close(executor);
	if (begin_process() == 0)
		bare_rank0(worker);
	close(worker);
}

/* ---- cases ---- */

enum { PING, SCRIPT, WAKE, ROW, BARE, CASES };
static int first[CASES], last[CASES];

static double once_us(int which)
{
	static const char *const ping[] = {"PING", NULL}, *const script[] = {"EVAL", "return 1", "0", NULL};
	struct timespec idle = {1, 0};
	double start;

	nanosleep(&idle, NULL);
	start = bench_now_s();
	if (which == PING || which == SCRIPT)
		call(conn, NULL, which == PING ? ping : script);
	else if (which == BARE)
		call(conn, give, wait_answer);
	else
		send_byte(first[which], last[which]);
	return (bench_now_s() - start) * 1e6;
}

int main(int argc, char **argv)
{
	static const char *const names[CASES] = {"PING", "empty script", "one process", "row of processes", "bare way there and back"};
	uint64_t times = argc > 2 ? strtoull(argv[2], NULL, 10) : bench_times(12);
	struct ranq_err err;
	double *us;

	ranq_server_addr_init(&addr);
	if (argc < 2 || times < 1 || times > 100000)
		bench_die(2, "usage: bench-hops URL [TIMES [CASE]]");
	if (ranq_server_addr_parse(argv[1], &addr, &err) != 0)
		fail(err.text);
	make_row(2, &first[WAKE], &last[WAKE]);
	make_row(HOPS, &first[ROW], &last[ROW]);
	make_bare_way();
	conn = connect_server();
	us = calloc(times, sizeof *us);
	if (!us)
		fail("out of memory");
	for (int which = 0; which < CASES; which++) {
		if (argc > 3 && strcmp(argv[3], names[which]) != 0)
			continue;
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

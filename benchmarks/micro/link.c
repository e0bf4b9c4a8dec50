/* link.c - the link between two ranks: one small message there and back, many small ones, large ones.
 *   mpirun -n 2 bench-link */
#include <poll.h>
#include <string.h>

#include "benchmarks/bench.h"
#include "bridge/link_mpi.h"
#include "util/clock.h"

#define END UINT64_MAX
#define WINDOW_BYTES (8u << 20) /* unsent at most: what the bridge keeps in flight is bounded as well */

/* Each message: a number, then bytes. Rank 0 measures in stages, each ended by END; rank 1 answers each message of a round
 * trip, and the last one of a stream. */
struct stage {
	bool echo;
	uint64_t times;
	size_t bytes;
};
#define STAGES 3
static struct stage stages[STAGES] = {{true, 20000, 8}, {false, 500000, 64}, {false, 1000, 1 << 20}};
static struct {
	struct ranq_link *link;
	unsigned stage;
	uint64_t got; /* messages of this stage */
} here;
static struct ranq_err err;

static void send_number(struct ranq_link *link, uint64_t number, size_t bytes)
{
	struct ranq_buf message;
	unsigned char *room;

	ranq_buf_init(&message, 0);
	ranq_buf_add(&message, &number, sizeof number);
	room = bytes > sizeof number ? ranq_buf_reserve(&message, bytes - sizeof number) : NULL;
	if (room) {
		memset(room, (int)(number & 0xff), bytes - sizeof number);
		message.len = bytes;
	}
	if (ranq_link_send(link, 1 - link->rank, &message, &err))
		bench_die(BENCH_FAILED, "bench-link: %s", err.text);
}

static void on_message(void *arg, int src, const void *data, size_t len)
{
	const struct stage *stage = &stages[here.stage];
	uint64_t number = 0;

	(void)arg, (void)src;
	if (len >= sizeof number)
		memcpy(&number, data, sizeof number);
	if (number == END) {
		here.stage++;
		here.got = 0;
		return;
	}
	if (here.stage == STAGES || len != (here.link->rank ? stage->bytes : sizeof number) || number != here.got ||
		(len > sizeof number && ((const unsigned char *)data)[len - 1] != (number & 0xff)))
		bench_die(BENCH_WRONG, "bench-link: wrong message");
	here.got++;
	if (here.link->rank == 1 && (stage->echo || here.got == stage->times))
		send_number(here.link, stage->echo ? number : 0, sizeof number);
}

static void turn(struct ranq_link *link)
{
	struct pollfd p = {ranq_link_fd(link), POLLIN, 0};
	int64_t left_ns;

	ranq_link_flush(link);
	left_ns = ranq_link_deadline_ns(link) == RANQ_NEVER ? 1000000000 : ranq_link_deadline_ns(link) - ranq_clock_ns();
	if (left_ns > 0) {
		struct timespec limit = {left_ns / 1000000000, left_ns % 1000000000};

		ppoll(&p, 1, &limit, NULL);
	}
	if (ranq_link_pump(link, &err))
		bench_die(BENCH_FAILED, "bench-link: %s", err.text);
}

/* Seconds for the stage, at rank 0. */
static double measure(struct ranq_link *link, const struct stage *stage)
{
	double start = bench_now_s();

	for (uint64_t i = 0; i < stage->times; i++) {
		send_number(link, i, stage->bytes);
		while (stage->echo ? here.got <= i : ranq_link_unsent(link, 1) > WINDOW_BYTES)
			turn(link);
	}
	while (here.got < (stage->echo ? stage->times : 1))
		turn(link);
	start = bench_now_s() - start;
	send_number(link, END, sizeof(uint64_t));
	here.stage++;
	here.got = 0;
	return start;
}

int main(void)
{
	struct ranq_rank_facts mine, *all;
	struct ranq_link *link;
	double s[STAGES];

	for (unsigned i = 0; i < STAGES; i++)
		stages[i].times = bench_times(stages[i].times);
	ranq_rank_facts_init(&mine);
	here.link = link = ranq_link_mpi_open(&mine, &all, &err);
	if (!link || link->size != 2)
		bench_die(2, "usage: mpirun -n 2 bench-link");
	link->handler.message = on_message;
	while (link->rank == 1 && here.stage < STAGES)
		turn(link);
	for (unsigned i = 0; link->rank == 0 && i < STAGES; i++)
		s[i] = measure(link, &stages[i]);
	if (link->rank == 0) {
		bench_print("link", "round trip of 8 bytes", 1e6 * s[0] / (double)stages[0].times, "us", "lower");
		bench_print("link", "messages of 64 bytes", (double)stages[1].times / s[1], "messages/s", "higher");
		bench_print("link", "messages of 1 MiB", (double)stages[2].times * 1.048576 / s[2], "MB/s", "higher");
	}
	ranq_link_close(link, 1000);
	free(all);
	ranq_link_mpi_finalize(1000, 0);
	return 0;
}

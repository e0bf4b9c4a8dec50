/* ranks.c - the link of a simulated bridge. It carries the same messages as the MPI link, but all ranks live behind it:
 * a chunk becomes a timer, and the timer the results that a rank would send. Letters to the proxy wait in an inbox, so
 * that it never hears an answer while it is still sending. */
#include <stdlib.h>
#include <string.h>

#include "benchmarks/simulation/simulation.h"
#include "record/segment.h"
#include "util/clock.h"

#define REPORT_NS 20e6      /* an executor reports what it has about so often (exec/outbox.c) */
#define STEP_MAX (1u << 20) /* and no more tasks at once than these */

static void post(struct sim_lane *lane, struct ranq_buf *message)
{
	struct sim_letter *letter = calloc(1, sizeof *letter);

	if (!letter || ranq_buf_failed(message)) {
		struct ranq_err err;

		ranq_err_set(&err, RANQ_ERR_MEMORY, "out of memory");
		sim_die("a message of a rank", &err);
	}
	letter->rank = lane->rank;
	letter->message = *message;
	STAILQ_INSERT_TAIL(&lane->bridge->link.inbox, letter, next);
	sim_touch(lane->bridge);
}

static void post_number(struct sim_lane *lane, enum ranq_message_type type, uint64_t number)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_number_encode(&buf, type, number);
	post(lane, &buf);
}

/* ---- work ---- */

/* The result of a task is its index, in as many bytes as are wanted. */
static void pack(uint64_t from, uint64_t upto, struct ranq_buf *out)
{
	struct ranq_segment_writer writer;

	ranq_segment_writer_init(&writer, 0);
	for (uint64_t k = from; k < upto; k++) {
		memcpy(sim.result.data, &k, sizeof k < sim.set.bytes ? sizeof k : sim.set.bytes);
		ranq_segment_writer_add(&writer, RANQ_TASK_OK, sim.result.data, sim.set.bytes);
	}
	ranq_segment_writer_finish(&writer, out);
	ranq_segment_writer_clear(&writer);
}

static void report(struct sim_lane *lane, const struct sim_chunk *chunk, uint64_t upto, bool done, double elapsed_ns)
{
	struct ranq_message_results m = {.key = chunk->key,
		.chunk = chunk->id,
		.from = chunk->upto,
		.upto = upto,
		.done = done,
		.counts = {upto - chunk->upto},
		.elapsed_us = (uint64_t)(elapsed_ns / 1e3)};
	struct ranq_buf segment, buf;

	ranq_buf_init(&segment, 0);
	ranq_buf_init(&buf, 0);
	if (sim.set.results == RANQ_RESULTS_KEEP && upto > chunk->upto)
		pack(chunk->upto, upto, &segment);
	m.segment = (struct ranq_bytes){segment.data, segment.len};
	ranq_message_results_encode(&buf, &m);
	ranq_buf_clear(&segment);
	sim.executed += upto - chunk->upto;
	post(lane, &buf);
}

static void set_timer(struct sim_lane *lane, double ns)
{
	struct timeval tv = sim_real_time(ns);

	event_add(lane->timer, &tv);
}

/* Runs the next tasks of the first chunk: one, or as many as end before a report is due. */
static void run(struct sim_lane *lane)
{
	struct sim_chunk *chunk = TAILQ_FIRST(&lane->chunks);
	uint64_t left;

	if (!chunk || lane->step > 0)
		return;
	left = chunk->end - chunk->upto;
	lane->task_ns = sim.set.task_s * 1e9 * (1 + sim.set.spread * (2 * sim_uniform() - 1));
	lane->step = lane->task_ns < REPORT_NS ? (uint64_t)(REPORT_NS / lane->task_ns) : 1;
	if (lane->step > left)
		lane->step = left;
	if (lane->step > STEP_MAX)
		lane->step = STEP_MAX;
	lane->began_ns = ranq_clock_ns();
	set_timer(lane, (double)lane->step * lane->task_ns);
}

static void chunk_remove(struct sim_lane *lane, struct sim_chunk *chunk)
{
	if (chunk == TAILQ_FIRST(&lane->chunks)) {
		event_del(lane->timer);
		lane->step = 0;
	}
	TAILQ_REMOVE(&lane->chunks, chunk, next);
	free(chunk);
}

static void on_timer(int fd, short what, void *arg)
{
	struct sim_lane *lane = arg;
	struct sim_chunk *chunk = TAILQ_FIRST(&lane->chunks);
	uint64_t upto = chunk->upto + lane->step;

	(void)fd;
	(void)what;
	sim.timers++;
	sim.late_s += (double)(ranq_clock_ns() - lane->began_ns) / 1e9 - (double)lane->step * lane->task_ns / 1e9;
	report(lane, chunk, upto, upto == chunk->end, (double)lane->step * lane->task_ns);
	chunk->upto = upto;
	lane->step = 0;
	if (upto == chunk->end)
		chunk_remove(lane, chunk);
	run(lane);
}

/* ---- messages ---- */

static void take_chunk(struct sim_lane *lane, const struct ranq_message_chunk *m)
{
	struct sim_chunk *chunk = calloc(1, sizeof *chunk);

	if (!chunk)
		return;
	*chunk = (struct sim_chunk){.key = m->key, .id = m->chunk, .upto = m->start, .end = m->end};
	TAILQ_INSERT_TAIL(&lane->chunks, chunk, next);
	run(lane);
}

static void end_chunk(struct sim_lane *lane, struct sim_chunk *chunk)
{
	report(lane, chunk, chunk->upto, true, 0);
	chunk_remove(lane, chunk);
	run(lane);
}

/* The task that runs goes on, what is behind it goes back. */
static void truncate_chunk(struct sim_lane *lane, const struct ranq_message_truncate *m)
{
	double ran_ns = (double)(ranq_clock_ns() - lane->began_ns);
	struct sim_chunk *chunk;
	uint64_t begun;

	TAILQ_FOREACH(chunk, &lane->chunks, next)
	if (chunk->id == m->chunk)
		break;
	if (!chunk)
		return;
	if (chunk != TAILQ_FIRST(&lane->chunks)) {
		end_chunk(lane, chunk);
		return;
	}
	begun = (uint64_t)(ran_ns / lane->task_ns) + 1;
	if (begun < lane->step) {
		lane->step = begun;
		set_timer(lane, (double)begun * lane->task_ns - ran_ns);
	}
	if (m->new_end > chunk->upto + lane->step)
		begun = m->new_end - chunk->upto;
	else
		begun = lane->step;
	if (chunk->upto + begun < chunk->end)
		chunk->end = chunk->upto + begun;
}

static void drop_job(struct sim_lane *lane, uint64_t key)
{
	struct sim_chunk *chunk, *next;

	for (chunk = TAILQ_FIRST(&lane->chunks); chunk; chunk = next) {
		next = TAILQ_NEXT(chunk, next);
		if (chunk->key == key)
			end_chunk(lane, chunk);
	}
}

static int take(struct sim_lane *lane, const struct ranq_buf *message, struct ranq_err *err)
{
	enum ranq_message_type type;
	struct ranq_reader body;
	struct ranq_message_truncate truncate;
	struct ranq_message_chunk chunk;
	struct ranq_message_drop drop;
	struct ranq_message_ping ping;
	int rc = ranq_message_open(message->data, message->len, &type, &body, err);

	if (rc != 0)
		return rc;
	switch (type) {
	case RANQ_MESSAGE_CHUNK:
		if ((rc = ranq_message_chunk_decode(&body, &chunk, err)) == 0)
			take_chunk(lane, &chunk);
		return rc;
	case RANQ_MESSAGE_TRUNCATE:
		if ((rc = ranq_message_truncate_decode(&body, &truncate, err)) == 0)
			truncate_chunk(lane, &truncate);
		return rc;
	case RANQ_MESSAGE_DROP:
		if ((rc = ranq_message_drop_decode(&body, &drop, err)) == 0)
			drop_job(lane, drop.key);
		return rc;
	case RANQ_MESSAGE_PING:
		if ((rc = ranq_message_ping_decode(&body, &ping, err)) == 0)
			post_number(lane, RANQ_MESSAGE_PONG, ping.nonce);
		return rc;
	case RANQ_MESSAGE_BYE:
		post_number(lane, RANQ_MESSAGE_GOODBYE, 0);
		return 0;
	case RANQ_MESSAGE_JOB:  /* all tasks are alike */
	case RANQ_MESSAGE_WARN: /* they are short */
		return 0;
	default:
		return ranq_err_set(err, RANQ_ERR_REPLY, "ranks here know nothing of '%s'", ranq_message_name(type));
	}
}

/* ---- link ---- */

static int link_send(struct ranq_link *base, int dst, struct ranq_buf *message, struct ranq_err *err)
{
	struct sim_link *link = (struct sim_link *)base;
	int rc = take(&link->lanes[dst - 1], message, err);

	ranq_buf_clear(message);
	return rc;
}

static int link_send_file(struct ranq_link *base, int dst, int fd, const void *data, size_t len, struct ranq_err *err)
{
	(void)base, (void)dst, (void)fd, (void)data, (void)len;
	return ranq_err_set(err, RANQ_ERR_STATE, "simulated ranks take no descriptors");
}

static void link_flush(struct ranq_link *base)
{
	(void)base; /* what was sent has arrived */
}

static size_t link_unsent(const struct ranq_link *base, int dst)
{
	(void)base, (void)dst;
	return 0;
}

static const struct ranq_link_ops ops = {
	.send = link_send, .send_file = link_send_file, .flush = link_flush, .unsent = link_unsent};

int sim_link_init(struct sim_link *link, struct sim_bridge *bridge)
{
	int size = (int)sim.set.ranks + 1;

	STAILQ_INIT(&link->inbox);
	link->base = (struct ranq_link){.ops = &ops, .size = size, .fd = -1};
	link->node = calloc((size_t)size, sizeof *link->node);
	link->lanes = calloc(sim.set.ranks, sizeof *link->lanes);
	if (!link->node || !link->lanes)
		return -1;
	link->base.node = link->node;
	for (int r = 1; r < size; r++) {
		struct sim_lane *lane = &link->lanes[r - 1];

		link->node[r] = 1; /* another one than rank 0's: no process of theirs is to be looked at here */
		lane->bridge = bridge;
		lane->rank = r;
		TAILQ_INIT(&lane->chunks);
		lane->timer = event_new(sim.base, -1, 0, on_timer, lane);
		if (!lane->timer)
			return -1;
	}
	return 0;
}

void sim_link_hello(struct sim_link *link)
{
	for (int r = 1; r < link->base.size; r++) {
		struct ranq_buf buf;

		ranq_buf_init(&buf, 0);
		ranq_message_hello_encode(&buf, &(struct ranq_message_hello){.pid = 1, .slots = 1});
		post(&link->lanes[r - 1], &buf);
	}
}

void sim_link_clear(struct sim_link *link)
{
	struct sim_letter *letter;

	while ((letter = STAILQ_FIRST(&link->inbox))) {
		STAILQ_REMOVE_HEAD(&link->inbox, next);
		ranq_buf_clear(&letter->message);
		free(letter);
	}
	for (int r = 1; link->lanes && r < link->base.size; r++) {
		struct sim_lane *lane = &link->lanes[r - 1];

		while (lane->timer && !TAILQ_EMPTY(&lane->chunks))
			chunk_remove(lane, TAILQ_FIRST(&lane->chunks));
		if (lane->timer)
			event_free(lane->timer);
	}
	free(link->lanes);
	free(link->node);
}

/* producer.c - see producer.h.
 *
 * A batch is kept until the server said that it has it, and is repeated under its number: repeating changes nothing.
 * After that it is kept for some seconds more: a server that comes back with a state up to a second older has forgotten
 * the last batches, says so, and gets them again. The server holds a producer's lease on its virtual clock; empty
 * batches renew it while the input is silent. */
#include "client/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/argument.h"

#define BATCH_BYTES (1u << 20)
#define BATCH_BLOCKS 200
#define FLUSH_MS 100   /* lines wait at most this long for company, while earlier ones are at work */
#define AHEAD_MS 1000  /* no answer for so long: ask again, and wait */
#define HELD_MS 250    /* the queue is full of input: look again */
#define IDLE_MS 20     /* a generator has nothing at present: ask again */
#define ALIVE_MS 10000 /* below every producer's lease (60 s at least) */
#define KEPT_MAX 16    /* batches that the server has, */
#define KEPT_MS 4000   /* for so long: a server that is killed forgets a second or two */
#define CLOSE_MS 5000  /* a server that is away closes the job by itself */

/* ---- blocks ---------------------------------------------------------------------------------------------------- */
void ranq_blocks_init(struct ranq_blocks *blocks, size_t max_bytes)
{
	memset(blocks, 0, sizeof *blocks);
	blocks->max_bytes = max_bytes;
	ranq_buf_init(&blocks->bytes, 0);
}

void ranq_blocks_clear(struct ranq_blocks *blocks)
{
	ranq_buf_clear(&blocks->bytes);
	if (blocks->writer)
		ranq_input_writer_clear(blocks->writer);
	free(blocks->writer);
	free(blocks->ends);
	free(blocks->counts);
	memset(blocks, 0, sizeof *blocks);
}

void ranq_blocks_reset(struct ranq_blocks *blocks)
{
	ranq_buf_reset(&blocks->bytes);
	blocks->n = 0;
	blocks->large = (struct ranq_bytes){0};
}

void ranq_blocks_swap(struct ranq_blocks *a, struct ranq_blocks *b)
{
	struct ranq_blocks was = *a;
	a->bytes = b->bytes;
	a->n = b->n;
	a->ends = b->ends;
	a->counts = b->counts;
	a->cap = b->cap;
	b->bytes = was.bytes;
	b->n = was.n;
	b->ends = was.ends;
	b->counts = was.counts;
	b->cap = was.cap;
}

struct ranq_bytes ranq_blocks_get(const struct ranq_blocks *blocks, size_t i)
{
	size_t start = i ? blocks->ends[i - 1] : 0;
	return (struct ranq_bytes){blocks->bytes.data + start, blocks->ends[i] - start};
}

uint64_t ranq_blocks_count(const struct ranq_blocks *blocks)
{
	uint64_t count = 0;
	for (size_t i = 0; i < blocks->n; i++)
		count += blocks->counts[i];
	return count;
}

static int no_memory(struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
}

static int make_room(struct ranq_blocks *blocks, struct ranq_err *err)
{
	if (!blocks->writer) {
		blocks->writer = calloc(1, sizeof *blocks->writer);
		if (!blocks->writer)
			return no_memory(err);
		ranq_input_writer_init(blocks->writer);
	}
	if (blocks->n < blocks->cap)
		return 0;
	size_t cap = blocks->cap ? 2 * blocks->cap : 32;
	void *ends = realloc(blocks->ends, cap * sizeof *blocks->ends);
	if (ends)
		blocks->ends = ends;
	void *counts = ends ? realloc(blocks->counts, cap * sizeof *blocks->counts) : NULL;
	if (!counts)
		return no_memory(err);
	blocks->counts = counts;
	blocks->cap = cap;
	return 0;
}

int ranq_blocks_flush(struct ranq_blocks *blocks, struct ranq_err *err)
{
	if (make_room(blocks, err))
		return -1;
	uint64_t count = blocks->writer->count;
	if (!count)
		return 0;
	if (ranq_input_writer_finish(blocks->writer, &blocks->bytes) || ranq_buf_failed(&blocks->bytes))
		return no_memory(err);
	blocks->ends[blocks->n] = blocks->bytes.len;
	blocks->counts[blocks->n++] = count;
	return 0;
}

void ranq_blocks_store(struct ranq_blocks *blocks, struct ranq_session *session, const char *uuid, uint64_t job)
{
	blocks->session = session;
	blocks->job = job;
	snprintf(blocks->uuid, sizeof blocks->uuid, "%s", uuid);
}

/* Its bytes are in the queue before the block says so. 0: the blocks are full, with it or without: then it is spare. */
static int add_large(struct ranq_blocks *blocks, const struct ranq_bytes *line, struct ranq_err *err)
{
	struct ranq_input_large large = {0};
	if (ranq_blocks_flush(blocks, err))
		return -1;
	if (!blocks->session || blocks->n) {
		blocks->spare = *line;
		blocks->has_spare = true;
		return 0;
	}
	if (ranq_argument_send(blocks->session, blocks->uuid, blocks->job, line, &large, err))
		return -1;
	ranq_input_large_pack(&blocks->bytes, &large);
	if (ranq_buf_failed(&blocks->bytes))
		return no_memory(err);
	blocks->ends[0] = blocks->bytes.len;
	blocks->counts[0] = blocks->n = 1;
	blocks->large = *line;
	return 0;
}

int ranq_blocks_send_large(struct ranq_blocks *blocks, struct ranq_err *err)
{
	struct ranq_input_large large;
	return ranq_argument_send(blocks->session, blocks->uuid, blocks->job, &blocks->large, &large, err);
}

/* 1: taken; 0: the blocks are full and the line is spare. */
static int add_line(struct ranq_blocks *blocks, const struct ranq_bytes *line, struct ranq_err *err)
{
	if (line->len > RANQ_ARG_MAX_BYTES && blocks->takes_large)
		return add_large(blocks, line, err);
	int rc = ranq_input_writer_add(blocks->writer, line->data, line->len, err);
	if (rc)
		return rc;
	if (ranq_blocks_flush(blocks, err) || make_room(blocks, err))
		return -1;
	if (blocks->bytes.len >= blocks->max_bytes || blocks->n >= BATCH_BLOCKS) {
		blocks->spare = *line;
		blocks->has_spare = true;
		return 0;
	}
	return ranq_input_writer_add(blocks->writer, line->data, line->len, err);
}

int ranq_blocks_read(struct ranq_blocks *blocks, struct ranq_lines *lines, struct ranq_err *err)
{
	if (make_room(blocks, err))
		return -1;
	if (lines->begin)
		lines->begin(lines->user);
	for (;;) {
		struct ranq_bytes line = blocks->spare;
		int rc = blocks->has_spare ? 1 : lines->next(lines->user, &line, err);
		blocks->has_spare = false;
		if (rc == 2)
			return RANQ_BLOCKS_NOTHING_NOW;
		if (rc == RANQ_LINES_PAUSE)
			return RANQ_BLOCKS_PAUSE;
		if (rc < 0)
			return -1;
		if (rc == 0)
			return ranq_blocks_flush(blocks, err) ? -1 : RANQ_BLOCKS_END;
		rc = add_line(blocks, &line, err);
		if (rc <= 0)
			return rc < 0 ? -1 : RANQ_BLOCKS_FULL;
	}
}

/* ---- producer -------------------------------------------------------------------------------------------------- */
struct kept {
	struct ranq_blocks blocks; /* the finished ones only */
	uint64_t batch, first;     /* its number; index of its first task */
	int64_t sent_ms;
};

struct ranq_producer {
	struct kept kept[KEPT_MAX]; /* oldest first */
	size_t nkept;
	struct ranq_session *session;
	struct ranq_session_hook hook;
	struct ranq_lines *lines;
	struct ranq_blocks blocks;
	uint64_t job, batch, tasks;
	char uuid[RANQ_ID_LEN + 1];
	bool end, done;
	bool asks_again; /* after IDLE_MS */
	enum { AHEAD_NONE, AHEAD_SENT, AHEAD_TAKEN, AHEAD_FAILED } ahead; /* the blocks left without waiting for the answer */
	int64_t sent_ms;
};

static int append_cmd(struct ranq_producer *producer, struct ranq_cmd *cmd, uint64_t batch, const struct ranq_blocks *blocks)
{
	struct ranq_bytes at[BATCH_BLOCKS + 2];
	for (size_t i = 0; i < blocks->n; i++)
		at[i] = ranq_blocks_get(blocks, i);
	return ranq_queue_append_cmd(&producer->session->queue, cmd, producer->job, producer->uuid, batch,
		ranq_blocks_count(blocks), at, blocks->counts, blocks->n);
}

/* One call: all finished blocks, or none as a sign of life. 1: taken; 0: held; -1. */
static int append_call(
	struct ranq_producer *producer, uint64_t batch, const struct ranq_blocks *blocks, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	bool held = false;
	ranq_cmd_init(&cmd);
	int rc = append_cmd(producer, &cmd, batch, blocks);
	if (rc)
		no_memory(err);
	else
		rc = ranq_session_call(producer->session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_append_parse(reply, &producer->tasks, &held, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	if (rc)
		return -1;
	producer->sent_ms = ranq_clock_ms();
	return held ? 0 : 1;
}

/* The finished blocks of the batch that was taken go where they can be found again. */
static void keep(struct ranq_producer *producer)
{
	struct ranq_blocks *blocks = &producer->blocks;
	struct kept *oldest = &producer->kept[0], next = {0};
	if (producer->nkept && (producer->nkept == KEPT_MAX || oldest->sent_ms + KEPT_MS < ranq_clock_ms())) {
		next = *oldest; /* its memory serves again */
		memmove(oldest, oldest + 1, --producer->nkept * sizeof *oldest);
	} else {
		ranq_blocks_init(&next.blocks, 0);
	}
	ranq_blocks_reset(&next.blocks);
	next.batch = producer->batch;
	next.first = producer->tasks - ranq_blocks_count(blocks);
	next.sent_ms = producer->sent_ms;
	ranq_blocks_swap(&next.blocks, blocks);
	producer->kept[producer->nkept++] = next;
}

/* The server has another number of batches than we: it went back in time. What it lost is sent again. STATE: the job is
 * over, or it lost more than is kept. */
static int send_again(struct ranq_producer *producer, struct ranq_err *err)
{
	struct ranq_job_info info;
	size_t at = 0;
	if (ranq_session_info(producer->session, producer->job, &info, err))
		return -1;
	while (at < producer->nkept && producer->kept[at].first != info.tasks)
		at++;
	if (!info.open || ranq_job_state_is_final(info.state) || at == producer->nkept)
		return ranq_err_set(err, RANQ_ERR_STATE, "%s",
			info.open ? "the server went back in time and lost input that is not at hand any more"
				  : "the job takes no more input: it has ended or was closed");
	while (at < producer->nkept) {
		int rc = append_call(producer, producer->kept[at].batch, &producer->kept[at].blocks, err);
		if (rc < 0 ||
			(rc == 0 && ranq_session_wait_fd(producer->session, -1, ranq_session_after(HELD_MS), err)))
			return -1;
		at += (size_t)rc;
	}
	return 0;
}

static void next_batch(struct ranq_producer *producer)
{
	keep(producer);
	producer->blocks.large = (struct ranq_bytes){0};
	producer->batch++;
}

/* All finished blocks, or a sign of life when there is none. 1: taken; 0: held; -1. */
static int append(struct ranq_producer *producer, struct ranq_err *err)
{
	size_t n = producer->blocks.n;
	int rc = append_call(producer, producer->batch, &producer->blocks, err);
	if (rc < 0 && err->code == RANQ_ERR_STATE && send_again(producer, err) == 0)
		rc = append_call(producer, producer->batch, &producer->blocks, err);
	/* the server went back in time between the last slices and the block */
	if (rc < 0 && err->code == RANQ_ERR_INPUT && producer->blocks.large.len &&
		ranq_blocks_send_large(&producer->blocks, err) == 0)
		rc = append_call(producer, producer->batch, &producer->blocks, err);
	if (rc == 1 && n)
		next_batch(producer);
	return rc;
}

/* ---- ahead ----------------------------------------------------------------------------------------------------- */
/* Who waits for the result of one task does not wait for the answer that it was taken as well: that is looked at when there
 * is time. Anything but a plain "taken" is settled by appending the same batch again, under its number, and waiting. */
static void ahead_answered(const struct ranq_reply *reply, void *arg)
{
	struct ranq_producer *producer = arg;
	bool held;
	if (producer->ahead != AHEAD_SENT)
		return;
	producer->ahead = reply && ranq_queue_append_parse(reply, &producer->tasks, &held, NULL) == 0 && !held
				  ? AHEAD_TAKEN
				  : AHEAD_FAILED;
}

/* False: nothing was sent, or the connection is gone. */
static bool ahead_send(struct ranq_producer *producer)
{
	struct ranq_session *session = producer->session;
	struct ranq_cmd cmd;
	if (!session->conn || producer->blocks.n != 1 || producer->blocks.large.len || producer->end)
		return false;
	ranq_cmd_init(&cmd);
	if (append_cmd(producer, &cmd, producer->batch, &producer->blocks) == 0) {
		producer->ahead = AHEAD_SENT;
		producer->sent_ms = ranq_clock_ms();
		ranq_conn_send(session->conn, &cmd, ahead_answered, producer);
		if (ranq_conn_pump(session->conn, NULL))
			ranq_session_disconnect(session); /* calls back */
	}
	ranq_cmd_clear(&cmd);
	if (producer->ahead == AHEAD_FAILED)
		producer->ahead = AHEAD_NONE;
	return producer->ahead != AHEAD_NONE;
}

/* True: the answer may still come. False: the batch was taken, or is to be appended again. */
static bool ahead_waits(struct ranq_producer *producer)
{
	struct ranq_session *session = producer->session;
	if (producer->ahead == AHEAD_SENT && session->conn && ranq_conn_pump(session->conn, NULL))
		ranq_session_disconnect(session);
	if (producer->ahead == AHEAD_SENT && ranq_clock_ms() < producer->sent_ms + AHEAD_MS)
		return true;
	if (producer->ahead == AHEAD_TAKEN)
		next_batch(producer);
	producer->ahead = AHEAD_NONE;
	return false;
}


static int close_call(struct ranq_producer *producer, const char *reason, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_close_cmd(
		&producer->session->queue, &cmd, producer->job, producer->uuid, producer->batch, reason);
	if (rc)
		no_memory(err);
	else
		rc = ranq_session_call(producer->session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_close_parse(reply, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int close_job(struct ranq_producer *producer, const char *reason, struct ranq_err *err)
{
	int rc = close_call(producer, reason, err);
	if (rc && err->code == RANQ_ERR_STATE && send_again(producer, err) == 0)
		rc = close_call(producer, reason, err);
	producer->done = true;
	producer->asks_again = false;
	producer->hook.fd = -1;
	producer->hook.next_ms = RANQ_NEVER;
	return rc;
}

/* The input is bad from here on: the tasks so far run, the job says why it is incomplete. */
static int input_failed(struct ranq_producer *producer, struct ranq_err *err)
{
	struct ranq_err ignored, why = *err;
	close_job(producer, why.text, &ignored);
	*err = why;
	return -1;
}

static void plan(struct ranq_producer *producer, bool held, bool silent)
{
	bool started = producer->blocks.n || (producer->blocks.writer && producer->blocks.writer->count);
	int64_t alive = producer->sent_ms + ALIVE_MS;
	producer->asks_again = !held && silent && producer->lines->fd < 0;
	producer->hook.fd = held || !silent ? -1 : producer->lines->fd;
	if (held)
		producer->hook.next_ms = ranq_session_after(HELD_MS);
	else if (!silent)
		producer->hook.next_ms = 0; /* there is more to read at once */
	else if (producer->asks_again)
		producer->hook.next_ms = ranq_session_after(IDLE_MS);
	else
		producer->hook.next_ms = started ? producer->sent_ms + FLUSH_MS : alive;
}

/* Lines that nothing else stands before go at once. */
static bool is_hurried(const struct ranq_producer *producer)
{
	const struct ranq_lines *lines = producer->lines;
	return lines->hurried && lines->hurried(lines->user, producer->tasks);
}

static bool flush_is_due(const struct ranq_producer *producer)
{
	return ranq_clock_ms() >= producer->sent_ms + FLUSH_MS || is_hurried(producer);
}

/* Reads what is there, at most one batch, and sends it. */
static int step(void *user, struct ranq_err *err)
{
	struct ranq_producer *producer = user;
	bool silent = false, pause = false;
	if (producer->done)
		return 0;
	if (producer->ahead != AHEAD_NONE && ahead_waits(producer)) {
		plan(producer, false, true);
		return 0;
	}
	if (!producer->end && !producer->blocks.n) {
		int rc = ranq_blocks_read(&producer->blocks, producer->lines, err);
		if (rc < 0)
			return input_failed(producer, err);
		producer->end = rc == RANQ_BLOCKS_END;
		silent = rc == RANQ_BLOCKS_NOTHING_NOW;
		pause = rc == RANQ_BLOCKS_PAUSE;
	}
	if ((silent || pause) && flush_is_due(producer) && ranq_blocks_flush(&producer->blocks, err))
		return -1;
	if (silent && is_hurried(producer) && ahead_send(producer)) {
		plan(producer, false, true);
		return 0;
	}
	bool due = producer->blocks.n || ranq_clock_ms() >= producer->sent_ms + ALIVE_MS;
	int taken = due ? append(producer, err) : 1;
	if (taken < 0)
		return -1;
	if (producer->end && !producer->blocks.n)
		return close_job(producer, NULL, err);
	plan(producer, !taken, silent);
	return 0;
}

struct ranq_producer *ranq_producer_create(struct ranq_session *session, const char *uuid, struct ranq_lines *lines,
	struct ranq_blocks *blocks, struct ranq_err *err)
{
	struct ranq_producer *producer = calloc(1, sizeof *producer);
	if (!producer) {
		no_memory(err);
		return NULL;
	}
	producer->session = ranq_session_clone(session, err);
	if (!producer->session) {
		free(producer);
		return NULL;
	}
	producer->lines = lines;
	producer->blocks = *blocks;
	producer->blocks.max_bytes = BATCH_BYTES;
	memset(blocks, 0, sizeof *blocks);
	snprintf(producer->uuid, sizeof producer->uuid, "%s", uuid);
	producer->sent_ms = ranq_clock_ms();
	producer->hook = (struct ranq_session_hook){.fd = -1, .next_ms = 0, .run = step, .user = producer};
	return producer;
}

void ranq_producer_start(struct ranq_producer *producer, uint64_t job)
{
	producer->job = job;
	ranq_blocks_store(&producer->blocks, producer->session, producer->uuid, job);
}

struct ranq_session_hook *ranq_producer_hook(struct ranq_producer *producer)
{
	return &producer->hook;
}

void ranq_producer_look(struct ranq_producer *producer)
{
	if (producer->asks_again)
		producer->hook.next_ms = 0;
}

bool ranq_producer_done(const struct ranq_producer *producer)
{
	return producer->done;
}

int ranq_producer_finish(struct ranq_producer *producer, struct ranq_err *err)
{
	int rc = 0;
	while (rc == 0 && !producer->done) {
		/* The step itself uses this connection; outside of it nothing is under way. */
		rc = ranq_session_wait_fd(producer->session, producer->hook.fd, producer->hook.next_ms, err);
		if (rc == 0)
			rc = step(producer, err);
	}
	return rc;
}

void ranq_producer_close(struct ranq_producer *producer, const char *reason)
{
	if (!producer)
		return;
	if (producer->job && !producer->done) {
		if (producer->session->options.patience_ms > CLOSE_MS)
			producer->session->options.patience_ms = CLOSE_MS;
		struct ranq_err ignored;
		/* lines that were read already belong to the job */
		if (ranq_blocks_flush(&producer->blocks, &ignored) == 0 && producer->blocks.n)
			append(producer, &ignored);
		close_job(producer, reason ? reason : "the producer left", &ignored);
	}
	ranq_session_close(producer->session);
	ranq_blocks_clear(&producer->blocks);
	for (size_t i = 0; i < producer->nkept; i++)
		ranq_blocks_clear(&producer->kept[i].blocks);
	free(producer);
}

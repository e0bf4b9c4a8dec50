/* reduce.c - see reduce.h: look or attach, fetch in order, join, acknowledge; at the end the later rounds. */
#include "client/reduce.h"

#include <stdlib.h>

#define STATE_REDUCED 'R' /* first byte of the state; that of other readers is 1 (ledger.c) */
#define FETCH_BYTES (4u << 20)
#define FETCH_ITEMS 256
#define ACK_BYTES (4u << 20)
#define ACK_MS 200
#define STALE_MAX 16

struct ranq_reducing {
	struct ranq_session *session;
	uint64_t job, epoch, restarts;
	struct ranq_reducing_options options;
	struct ranq_reducing_facts facts;
	bool loaded; /* the sum began with what the server has */
	struct ranq_reduction sum;
	unsigned stale; /* items one behind the other that were freed while they came */
	struct ranq_reduction rounds; /* the sum of the first round, and of each later one */
	uint64_t unacked_bytes, acked_to;
	int64_t acked_ms;
};

static int taken_over(const struct ranq_reducing *r, struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_STATE, "another client took over the results of job '%s/%llu'",
		r->session->queue.name, (unsigned long long)r->job);
}

/* The reply to cmd, which is cleared. NULL with err. */
static struct ranq_reply *call(struct ranq_reducing *r, struct ranq_cmd *cmd, int built, struct ranq_err *err)
{
	struct ranq_reply *reply = NULL;
	if (built)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		ranq_session_call(r->session, cmd, RANQ_NEVER, &reply, err);
	ranq_cmd_clear(cmd);
	return reply;
}

/* If the server is another one than the sum was loaded from, a reply of it says nothing about that: load again. */
static bool is_same_server(struct ranq_reducing *r)
{
	if (r->restarts != r->session->restarts)
		r->loaded = false;
	return r->restarts == r->session->restarts;
}

/* ---- state ----------------------------------------------------------------------------------------------------- */
static int unpack(struct ranq_reducing *r, const struct ranq_bytes *state, uint64_t acked_to, struct ranq_err *err)
{
	struct ranq_reader in;
	ranq_reduction_restart(&r->sum, 0);
	if (state->len) {
		ranq_reader_init(&in, state->data, state->len);
		unsigned char kind = ranq_reader_byte(&in);
		uint64_t upto = ranq_reader_varint(&in);
		size_t left = ranq_reader_left(&in);
		if (kind != STATE_REDUCED || in.failed)
			return ranq_err_set(err, RANQ_ERR_SCHEMA, "the job was read by another version of ranq");
		if (ranq_reduction_add_item(&r->sum, ranq_reader_bytes(&in, left), left, upto, err))
			return -1;
	}
	if (r->sum.end != acked_to)
		return ranq_err_set(err, RANQ_ERR_REPLY, "results of job '%s/%llu' were freed by another kind of reader",
			r->session->queue.name, (unsigned long long)r->job);
	r->acked_to = acked_to;
	return 0;
}

/* Begins anew with what the server has. */
static int load(struct ranq_reducing *r, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_bytes state;
	uint64_t acked_to;
	ranq_cmd_init(&cmd);
	int built = r->options.consume ? ranq_queue_attach_consumer_cmd(
						 &r->session->queue, &cmd, r->job, r->session->client)
				       : ranq_queue_consumer_cmd(&r->session->queue, &cmd, r->job);
	struct ranq_reply *reply = call(r, &cmd, built, err);
	if (!reply)
		return -1;
	r->restarts = r->session->restarts;
	int rc = ranq_queue_attach_consumer_parse(reply, &r->epoch, &acked_to, &state, err);
	if (rc == 0)
		rc = unpack(r, &state, acked_to, err);
	ranq_reply_destroy(reply);
	r->unacked_bytes = 0;
	r->acked_ms = ranq_clock_ms();
	r->loaded = rc == 0;
	return rc;
}

/* 0: acknowledged, or the server is another one: `loaded` tells; -1. */
static int ack_some(struct ranq_reducing *r, const struct ranq_buf *state, bool *more, struct ranq_err *err)
{
	const uint64_t range[1][2] = {{0, r->sum.end}};
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	int built = ranq_queue_ack_cmd(&r->session->queue, &cmd, r->job, r->epoch,
		&(struct ranq_bytes){state->data, state->len}, range, 1);
	struct ranq_reply *reply = call(r, &cmd, built, err);
	if (!reply)
		return -1;
	int rc = ranq_queue_ack_parse(reply, more, err);
	ranq_reply_destroy(reply);
	if (!is_same_server(r)) { /* carried out or not: what the server has now counts */
		*more = false;
		return 0;
	}
	return rc && err->code == RANQ_ERR_STATE ? taken_over(r, err) : rc;
}

static int ack(struct ranq_reducing *r, struct ranq_err *err)
{
	struct ranq_buf state;
	bool more = true;
	int rc = 0;
	if (!r->options.consume || r->acked_to == r->sum.end)
		return 0;
	ranq_buf_init(&state, 0);
	ranq_buf_add_byte(&state, STATE_REDUCED);
	ranq_buf_add_varint(&state, r->sum.end);
	if (ranq_reduction_write(&r->sum, &state))
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	while (rc == 0 && more)
		rc = ack_some(r, &state, &more, err);
	ranq_buf_clear(&state);
	r->acked_to = r->sum.end;
	r->unacked_bytes = 0;
	r->acked_ms = ranq_clock_ms();
	return rc;
}

/* Large sums are not sent to and fro for every small item. */
static bool ack_is_due(const struct ranq_reducing *r)
{
	uint64_t bytes = r->options.backlog / 8 && r->options.backlog / 8 < ACK_BYTES ? r->options.backlog / 8
										      : ACK_BYTES;
	if (r->unacked_bytes >= bytes)
		return true;
	return ranq_clock_ms() - r->acked_ms >= ACK_MS && r->unacked_bytes >= ranq_reduction_bytes(&r->sum);
}

/* ---- results --------------------------------------------------------------------------------------------------- */
static int join(struct ranq_reducing *r, const struct ranq_fetch_reply *reply, size_t i, struct ranq_err *err)
{
	uint64_t start = reply->items[i].start, end = reply->items[i].end;
	const struct ranq_bytes *item = &reply->items[i].item;
	if (reply->items[i].freed) { /* by a consumer, which has stored its sum in the same call: begin again there */
		if (r->options.consume)
			return taken_over(r, err);
		r->loaded = false;
		return 0;
	}
	if (start < r->sum.end || (start > r->sum.end && !ranq_job_state_is_final(reply->state)))
		return ranq_err_set(err, RANQ_ERR_REPLY, "the server sent results of the wrong tasks");
	if (ranq_reduction_skip(&r->sum, start))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	r->unacked_bytes += item->len + 64;
	if (ranq_reduction_add_item(&r->sum, item->data, item->len, end, err))
		return -1;
	r->facts.joined = r->sum.end;
	return 0;
}

/* Joins an item that lies apart. *again: it was freed meanwhile, or the server was another one: fetch again. */
static int join_apart(
	struct ranq_reducing *r, struct ranq_fetch_reply *facts, size_t i, bool *again, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	bool there = false;
	ranq_cmd_init(&cmd);
	ranq_queue_apart_get_cmd(&r->session->queue, &cmd, r->job, facts->items[i].start);
	struct ranq_reply *reply = call(r, &cmd, 0, err);
	if (!reply)
		return -1;
	int rc = 0;
	if (is_same_server(r))
		rc = ranq_queue_apart_get_parse(reply, &there, &facts->items[i].item, err);
	if (rc == 0 && there)
		rc = join(r, facts, i, err);
	else if (rc == 0 && r->loaded && r->stale == STALE_MAX)
		rc = ranq_err_set(err, RANQ_ERR_STATE, "results were deleted in the server");
	*again = !there;
	r->stale = there ? 0 : r->stale + 1;
	ranq_reply_destroy(reply);
	return rc;
}

static int join_all(struct ranq_reducing *r, struct ranq_fetch_reply *facts, struct ranq_err *err)
{
	bool again = false;
	int rc = 0;
	for (size_t i = 0; rc == 0 && !again && r->loaded && i < facts->n; i++)
		rc = facts->items[i].apart ? join_apart(r, facts, i, &again, err) : join(r, facts, i, err);
	return rc;
}

static void learn(struct ranq_reducing *r, const struct ranq_fetch_reply *reply)
{
	r->facts.state = reply->state;
	r->facts.held = reply->held;
	r->facts.tasks = reply->tasks;
	r->facts.done = reply->done;
	r->facts.failed = reply->failed;
}

/* Takes in what is there. 1: that was all of the job; 0: look again when the bell rings; 2: at once; -1. */
static int take_in(struct ranq_reducing *r, struct ranq_err *err)
{
	static _Thread_local struct ranq_fetch_reply facts;
	struct ranq_fetch fetch = {.job = r->job,
		.from = r->sum.end,
		.max_bytes = FETCH_BYTES,
		.max_items = FETCH_ITEMS,
		.waiter = r->session->client};
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	struct ranq_reply *reply = call(r, &cmd, ranq_queue_fetch_cmd(&r->session->queue, &cmd, &fetch), err);
	if (!reply)
		return -1;
	int rc = 0;
	if (is_same_server(r))
		rc = ranq_queue_fetch_parse(reply, &facts, err);
	if (rc == 0 && r->loaded)
		learn(r, &facts);
	if (rc == 0)
		rc = join_all(r, &facts, err);
	ranq_reply_destroy(reply);
	if (rc || !r->loaded || facts.n)
		return rc ? -1 : 2;
	return facts.finished;
}

/* ---- the end --------------------------------------------------------------------------------------------------- */
static int add_round(struct ranq_reducing *r, struct ranq_reduction *sum, struct ranq_err *err)
{
	struct ranq_part total;
	if (ranq_reduction_total(sum, &total, err))
		return -1;
	if (!total.count)
		return 0;
	/* counts tell how many succeeded, whichever round a task is of */
	total.count = total.ok ? total.ok : 1;
	return ranq_reduction_add(&r->rounds, &total) ? ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory") : 0;
}

/* Results of later rounds, earlier rounds first; where the next item does not lie behind the last one, a round ends. */
static int join_rounds(struct ranq_reducing *r, struct ranq_reduction *round, const struct ranq_reply *reply,
	struct ranq_err *err)
{
	size_t n = ranq_reply_count(reply) / 3;
	for (size_t i = 0; i < n; i++) {
		struct ranq_bytes item;
		uint64_t start, end;
		if (ranq_queue_overlay_parse(reply, i, &start, &end, &item, err))
			return -1;
		if (start < round->end) {
			if (add_round(r, round, err))
				return -1;
			ranq_reduction_restart(round, 0);
		}
		if (ranq_reduction_skip(round, start))
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		if (ranq_reduction_add_item(round, item.data, item.len, end, err))
			return -1;
	}
	return add_round(r, round, err);
}

static int later_rounds(struct ranq_reducing *r, struct ranq_err *err)
{
	struct ranq_job_info info;
	struct ranq_reduction round;
	struct ranq_cmd cmd;
	if (ranq_session_info(r->session, r->job, &info, err))
		return -1;
	if (!info.round || !info.tasks)
		return 0;
	ranq_cmd_init(&cmd);
	struct ranq_reply *reply = call(
		r, &cmd, ranq_queue_overlay_cmd(&r->session->queue, &cmd, r->job, 0, info.tasks), err);
	if (!reply)
		return -1;
	ranq_reduction_init(&round, &r->sum.how, 0);
	int rc = join_rounds(r, &round, reply, err);
	ranq_reduction_clear(&round);
	ranq_reply_destroy(reply);
	return rc;
}

/* The sum itself stays as it was acknowledged: the job may be tried again. */
static int close_sum(struct ranq_reducing *r, struct ranq_part *total, struct ranq_err *err)
{
	struct ranq_reduction sum;
	struct ranq_reduce grouped = r->sum.how;
	struct ranq_buf copy;
	ranq_buf_init(&copy, 0);
	ranq_reduction_init(&sum, &r->sum.how, 0);
	int rc = ranq_reduction_write(&r->sum, &copy) ? ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory") : 0;
	if (rc == 0)
		rc = ranq_reduction_add_item(&sum, copy.data, copy.len, r->sum.end, err);
	ranq_buf_clear(&copy);
	grouped.ordered = false;
	ranq_reduction_clear(&r->rounds);
	ranq_reduction_init(&r->rounds, &grouped, 0);
	if (rc == 0)
		rc = add_round(r, &sum, err);
	ranq_reduction_clear(&sum);
	if (rc || later_rounds(r, err) || ranq_reduction_total(&r->rounds, total, err))
		return -1;
	total->count = r->facts.tasks;
	return 0;
}

int ranq_reducing_total(
	struct ranq_reducing *r, int64_t deadline_ms, struct ranq_part *total, struct ranq_err *err)
{
	struct ranq_err local;
	err = err ? err : &local;
	for (;;) {
		if (ranq_session_run_hook(r->session, err) || (!r->loaded && load(r, err)))
			return -1;
		int rc = take_in(r, err);
		if (rc < 0 || (r->loaded && (rc == 1 || ack_is_due(r)) && ack(r, err)))
			return -1;
		if (rc == 2 || !r->loaded)
			continue;
		if (rc == 1)
			return close_sum(r, total, err);
		if (ranq_clock_ms() >= deadline_ms || (r->facts.held && !r->options.consume))
			return ranq_err_set(err, RANQ_ERR_UNFINISHED, "not finished");
		if (r->facts.held && ack(r, err))
			return -1;
		if (r->options.before_wait && r->options.before_wait(r->options.user, err))
			return -1;
		int64_t until = r->acked_to < r->sum.end ? ranq_session_after(ACK_MS) : RANQ_NEVER;
		if (ranq_session_bell(r->session, until < deadline_ms ? until : deadline_ms, NULL, NULL, err) < 0)
			return -1;
	}
}

/* ---- life ------------------------------------------------------------------------------------------------------ */
struct ranq_reducing *ranq_reducing_open(struct ranq_session *session, uint64_t job, const struct ranq_reduce *how,
	const struct ranq_reducing_options *options, struct ranq_err *err)
{
	if (!how->function) {
		ranq_err_set(err, RANQ_ERR_INPUT, "the job's reduction is a function of its module: name the module");
		return NULL;
	}
	struct ranq_reducing *r = calloc(1, sizeof *r);
	if (!r) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	r->session = session;
	r->job = job;
	r->options = *options;
	r->facts.state = RANQ_JOB_OPEN; /* as far as we know */
	ranq_reduction_init(&r->sum, how, 0);
	ranq_reduction_init(&r->rounds, how, 0);
	return r;
}

void ranq_reducing_close(struct ranq_reducing *r)
{
	if (!r)
		return;
	ranq_reduction_clear(&r->sum);
	ranq_reduction_clear(&r->rounds);
	free(r);
}

void ranq_reducing_consume(struct ranq_reducing *r)
{
	r->loaded = r->loaded && r->options.consume;
	r->options.consume = true;
}

const struct ranq_reducing_facts *ranq_reducing_facts(const struct ranq_reducing *r)
{
	return &r->facts;
}

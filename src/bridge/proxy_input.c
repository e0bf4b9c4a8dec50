/* proxy_input.c - input lines of jobs: fetched ahead of dispatch for the pieces at hand, a bounded amount, and dropped
 * when no piece needs them any more. A large argument is a blob: fetched before its task is given to a lane, as far as there is
 * room for it, and gone with the chunk that has it. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD_BYTES ((size_t)4 << 20)
#define ARGUMENTS_BYTES ((uint64_t)512 << 20) /* of large arguments, those of tasks that run included; one may be larger */
#define FETCH_BYTES ((size_t)1 << 20)

static struct proxy_block *block_at(const struct proxy_job *job, uint64_t index)
{
	struct proxy_block *block;

	TAILQ_FOREACH(block, &job->blocks, next)
	if (index >= block->first && index - block->first < block->count)
		return block;
	return NULL;
}

static uint64_t have_lines(const struct proxy_block *block, uint64_t start, uint64_t end)
{
	uint64_t n;

	if (!block)
		return 0;
	n = block->first + block->count - start;
	return n < end - start ? n : end - start;
}

uint64_t proxy_input_have(const struct proxy_job *job, uint64_t start, uint64_t end)
{
	const struct proxy_block *block = block_at(job, start);

	if (block && block->large.bytes && !(block->argument && block->argument->whole))
		return 0;
	return have_lines(block, start, end);
}

struct proxy_blob *proxy_input_take(struct proxy_job *job, uint64_t index)
{
	struct proxy_block *block = block_at(job, index);
	struct proxy_blob *argument = block ? block->argument : NULL;

	if (block)
		block->argument = NULL;
	return argument;
}

int proxy_input_slice(
	const struct proxy_job *job, uint64_t start, uint64_t end, struct ranq_buf *out, struct ranq_err *err)
{
	const struct proxy_block *block = block_at(job, start);

	if (!block || end > block->first + block->count)
		return ranq_err_set(err, RANQ_ERR_STATE, "input is not here");
	return ranq_input_slice(block->data, block->len, start - block->first, end - block->first, out, err);
}

static void drop_argument(struct proxy_job *job, struct proxy_block *block)
{
	if (block->argument)
		proxy_blob_put(job->pq->proxy, block->argument);
	block->argument = NULL;
}

static void block_remove(struct proxy_job *job, struct proxy_block *block)
{
	drop_argument(job, block);
	TAILQ_REMOVE(&job->blocks, block, next);
	job->block_bytes -= block->len;
	free(block->data);
	free(block);
}

void proxy_input_clear(struct proxy_job *job)
{
	while (!TAILQ_EMPTY(&job->blocks))
		block_remove(job, TAILQ_FIRST(&job->blocks));
}

static bool needed(const struct proxy_job *job, const struct proxy_block *block)
{
	const struct proxy_piece *piece;

	TAILQ_FOREACH(piece, &job->pq->proxy->pieces, next)
	if (piece->job == job && piece->start < block->first + block->count && block->first < piece->end)
		return true;
	return false;
}

void proxy_input_trim(struct proxy_job *job)
{
	struct proxy_block *block, *next;

	for (block = TAILQ_FIRST(&job->blocks); block; block = next) {
		next = TAILQ_NEXT(block, next);
		if (!needed(job, block))
			block_remove(job, block);
	}
}

static void add_block(struct proxy_job *job, uint64_t first, struct ranq_bytes bytes)
{
	struct proxy_block *block;
	struct ranq_err err;
	int64_t count = ranq_input_check(bytes.data, bytes.len, &err);

	if (count <= 0) {
		proxy_job_fail(job, "its input is damaged: %.100s", count < 0 ? err.text : "a block without lines");
		return;
	}
	if (block_at(job, first))
		return;
	block = calloc(1, sizeof *block);
	if (block)
		block->data = malloc(bytes.len);
	if (!block || !block->data) {
		free(block);
		return;
	}
	memcpy(block->data, bytes.data, bytes.len);
	block->first = first;
	block->count = (uint64_t)count;
	block->len = bytes.len;
	if (!ranq_input_large_block(bytes.data, bytes.len, &block->large))
		block->large.bytes = 0;
	job->block_bytes += block->len;
	TAILQ_INSERT_TAIL(&job->blocks, block, next);
}

void proxy_input_came(struct proxy_queue *pq, uint64_t id, uint64_t first, struct ranq_bytes block)
{
	struct proxy_job *job = proxy_job_find(pq, id);

	if (!job || (job->state != PROXY_JOB_READY && job->state != PROXY_JOB_BLOBS) ||
		job->spec.args != RANQ_ARGS_INPUT || first >= RANQ_TASKS_MAX)
		return;
	proxy_input_trim(job); /* no lane has anything: nothing of what was begun comes back */
	add_block(job, first, block);
}

static void have_input(struct proxy_request *request, const struct ranq_reply *reply)
{
	static struct ranq_input_reply input;
	struct proxy_job *job = proxy_job_find(request->pq, request->key);
	struct ranq_err err;

	if (!job || request->epoch != request->pq->epoch)
		return;
	job->input_asked = false;
	if (!reply)
		return;
	if (ranq_queue_input_parse(reply, &input, &err) != 0) {
		if (err.code == RANQ_ERR_NOTFOUND)
			proxy_queue_missing(request->pq, job->id);
		else if (proxy_refused_alone(&err))
			proxy_job_fail(job, "%.140s", err.text);
		else
			proxy_refused(request, &err);
		return;
	}
	for (size_t i = 0; i < input.n && job->state == PROXY_JOB_READY; i++)
		add_block(job, input.blocks[i].first, input.blocks[i].block);
	if (job->state == PROXY_JOB_READY && !block_at(job, request->a))
		proxy_job_fail(job, "its input has no line for task %llu", (unsigned long long)request->a);
}

static void ask(struct proxy_job *job, uint64_t start, uint64_t end)
{
	struct proxy_request *request = NULL;
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	if (ranq_queue_input_cmd(&job->pq->q, &cmd, job->id, start, end, FETCH_BYTES) == 0)
		request = proxy_request(job->pq, &cmd, have_input);
	ranq_cmd_clear(&cmd);
	if (!request)
		return;
	request->key = job->id;
	request->a = start;
	job->input_asked = true;
}

/* Is it the task that a lane gets next of some piece? */
static bool is_next(const struct proxy_job *job, const struct proxy_block *block)
{
	const struct proxy_piece *piece;

	TAILQ_FOREACH(piece, &job->pq->proxy->pieces, next)
	if (piece->job == job && piece->start == block->first)
		return true;
	return false;
}

static bool has_room(const struct proxy_job *job, const struct proxy_block *block)
{
	uint64_t others = proxy_blobs_arguments(job->pq->proxy);

	return !others || others + block->large.bytes <= ARGUMENTS_BYTES;
}

/* What can be given to a lane only after it (a task that came back) gives way: else each would wait for the other. */
static bool make_room(struct proxy_job *job, const struct proxy_block *block)
{
	struct proxy_block *other;

	if (!has_room(job, block) && is_next(job, block))
		TAILQ_FOREACH(other, &job->blocks, next)
		if (other->argument && !is_next(job, other))
			drop_argument(job, other);
	return has_room(job, block);
}

/* The argument of a task was lost or changed in the queue: that task fails, when it is its turn. */
static void fail_task(struct proxy_job *job, struct proxy_block *block)
{
	struct ranq_proxy *proxy = job->pq->proxy;
	struct proxy_piece *piece;

	TAILQ_FOREACH(piece, &proxy->pieces, next)
	if (piece->job == job && piece->start == block->first)
		break;
	if (!piece)
		return;
	proxy_outbox_fail(job, piece, block->first + 1, "its argument is missing or damaged in the queue");
	if (piece->start == piece->end)
		proxy_piece_remove(proxy, piece);
	drop_argument(job, block);
}

static void want_arguments(struct proxy_job *job)
{
	struct proxy_block *block;

	TAILQ_FOREACH(block, &job->blocks, next)
	if (block->argument && !needed(job, block))
		drop_argument(job, block); /* it went back to the queue */
	TAILQ_FOREACH(block, &job->blocks, next)
	if (block->argument && block->argument->missing)
		fail_task(job, block);
	TAILQ_FOREACH(block, &job->blocks, next)
	{
		if (!block->large.bytes || block->argument || !needed(job, block) || !make_room(job, block))
			continue;
		block->argument = proxy_blob_get(job->pq, job->id, block->large.hash, block->large.bytes);
		if (!block->argument || block->argument->missing) {
			proxy_job_fail(job, "no memory for a large argument");
			return;
		}
	}
}

void proxy_input_ask(struct proxy_job *job)
{
	const struct proxy_piece *piece;

	want_arguments(job);
	if (job->state != PROXY_JOB_READY)
		return;
	if (job->input_asked || job->unstarted == 0)
		return;
	if (job->block_bytes >= AHEAD_BYTES)
		proxy_input_trim(job);
	if (job->block_bytes >= AHEAD_BYTES)
		return;
	TAILQ_FOREACH(piece, &job->pq->proxy->pieces, next)
	{
		uint64_t at = piece->start, n;

		if (piece->job != job)
			continue;
		while (at < piece->end && (n = have_lines(block_at(job, at), at, piece->end)) > 0)
			at += n;
		if (at < piece->end) {
			ask(job, at, piece->end);
			return;
		}
	}
}

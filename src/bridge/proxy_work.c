/* proxy_work.c - unstarted work in pieces, work of lanes in chunks: who gets what, and what comes back.
 *
 * A lane is an executor of a worker. It gets one chunk, a second one to go on with when tasks are so short that it
 * would feel the round trip, and more while chunks are that short; it is filled again when half of them are done. A
 * suspect task runs alone on a worker that holds nothing else, so that if the worker dies we know why. */
#include "bridge/proxy_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/fault.h"
#include "util/clock.h"

#define BROKEN_MAX 3 /* ranks that could not run chunks of a job, or tries, when there are no others */
#define LATE_RETRY_MS 5000
#define LONG_NS INT64_C(250000000) /* a task that has run for so long may go on for hours */

/* ---- pieces ---- */

/* Pieces stand in the order of their queues, within a queue in the order in which they came. */
static void piece_insert(struct proxy_piece *piece, bool front)
{
	struct ranq_proxy *proxy = piece->job->pq->proxy;
	size_t index = piece->job->pq->index;
	struct proxy_piece *other;

	TAILQ_FOREACH(other, &proxy->pieces, next)
	if (front ? other->job->pq->index >= index : other->job->pq->index > index)
		break;
	if (other)
		TAILQ_INSERT_BEFORE(other, piece, next);
	else
		TAILQ_INSERT_TAIL(&proxy->pieces, piece, next);
	piece->job->unstarted += piece->end - piece->start;
	proxy->idle_since_ms = proxy->work_ms = proxy->now_ms;
}

int proxy_piece_add(struct proxy_job *job, const struct ranq_range *range, uint64_t grant)
{
	struct proxy_piece *piece = calloc(1, sizeof *piece);

	if (!piece)
		return -1;
	*piece = (struct proxy_piece){.job = job,
		.seq = range->seq,
		.grant = grant,
		.start = range->start,
		.end = range->end,
		.deaths = range->deaths,
		.suspect = range->suspect};
	piece_insert(piece, false);
	job->granted_ms = job->pq->proxy->now_ms;
	return 0;
}

/* The rest of the chunk beside the piece that came back last, if it touches it. */
static bool piece_extend(const struct proxy_chunk *chunk, uint64_t from)
{
	struct proxy_piece *piece = TAILQ_FIRST(&chunk->job->pq->proxy->pieces);

	if (!piece || piece->job != chunk->job || piece->grant != chunk->grant || piece->suspect || chunk->suspect)
		return false;
	if (piece->end == from)
		piece->end = chunk->end;
	else if (piece->start == chunk->end)
		piece->start = from;
	else
		return false;
	chunk->job->unstarted += chunk->end - from;
	return true;
}

void proxy_piece_back(struct proxy_chunk *chunk, uint64_t from)
{
	struct proxy_piece *piece;

	if (piece_extend(chunk, from))
		return;
	piece = calloc(1, sizeof *piece);
	if (!piece) {
		proxy_outbox_release_one(
			chunk->job->pq, chunk->job->id, chunk->seq, from, chunk->end, RANQ_RELEASE_DRAINED);
		return;
	}
	*piece = (struct proxy_piece){.job = chunk->job,
		.seq = chunk->seq,
		.grant = chunk->grant,
		.start = from,
		.end = chunk->end,
		.deaths = chunk->deaths,
		.suspect = chunk->suspect};
	piece_insert(piece, true);
}

void proxy_piece_remove(struct ranq_proxy *proxy, struct proxy_piece *piece)
{
	piece->job->unstarted -= piece->end - piece->start;
	TAILQ_REMOVE(&proxy->pieces, piece, next);
	free(piece);
}

void proxy_pieces_drop(struct proxy_queue *pq, const struct ranq_fragment *gone)
{
	struct proxy_piece *piece, *next;

	for (piece = TAILQ_FIRST(&pq->proxy->pieces); piece; piece = next) {
		next = TAILQ_NEXT(piece, next);
		if (piece->job->pq == pq && piece->job->id == gone->job && piece->seq == gone->seq &&
			piece->start < gone->end && gone->start < piece->end)
			proxy_piece_remove(pq->proxy, piece);
	}
}

void proxy_pieces_release(struct proxy_queue *pq, const struct proxy_job *job, uint64_t keep)
{
	static struct ranq_fragment parts[RANQ_CALL_ITEMS_MAX];
	struct proxy_piece *piece, *before;
	uint64_t have = 0;
	size_t n = 0;

	TAILQ_FOREACH(piece, &pq->proxy->pieces, next)
	if (piece->job->pq == pq && (!job || piece->job == job))
		have += piece->end - piece->start;
	piece = TAILQ_LAST(&pq->proxy->pieces, proxy_piece_list);
	for (; piece && have > keep && n < RANQ_CALL_ITEMS_MAX; piece = before) {
		uint64_t size = piece->end - piece->start, give = have - keep < size ? have - keep : size;

		before = TAILQ_PREV(piece, proxy_piece_list, next);
		if (piece->job->pq != pq || (job && piece->job != job))
			continue;
		parts[n++] = (struct ranq_fragment){.job = piece->job->id,
			.seq = piece->seq,
			.start = piece->end - give,
			.end = piece->end,
			.kind = RANQ_RELEASE_DRAINED};
		have -= give;
		piece->end -= give;
		piece->job->unstarted -= give;
		if (piece->start == piece->end)
			proxy_piece_remove(pq->proxy, piece);
	}
	if (n > 0)
		proxy_outbox_release(pq, parts, n);
}

uint64_t proxy_unstarted(const struct ranq_proxy *proxy, size_t upto_queue, double task_ns)
{
	const struct proxy_job *job;
	double n = 0;

	TAILQ_FOREACH(job, &proxy->jobs, next)
	{
		double weight = task_ns > 0 && job->pace.task_ns > 0 ? job->pace.task_ns / task_ns : 1;

		if (job->pq->index <= upto_queue)
			n += (double)job->unstarted * weight;
	}
	return n < (double)RANQ_LEASE_WANT_MAX ? (uint64_t)ceil(n) : RANQ_LEASE_WANT_MAX;
}

double proxy_job_task_ns(const struct proxy_job *job)
{
	const struct ranq_proxy *proxy = job->pq->proxy;
	int64_t now_ns, oldest_ns;

	if (job->pace.measured > 0 || job->chunks == 0)
		return job->pace.task_ns;
	now_ns = oldest_ns = ranq_clock_ns();
	for (int r = 0; r < proxy->options.link->size; r++)
		for (unsigned s = 0; s < proxy->workers[r].nlanes; s++) {
			const struct proxy_chunk *chunk = TAILQ_FIRST(&proxy->workers[r].lanes[s].chunks);

			if (chunk && chunk->job == job && chunk->since_ns < oldest_ns)
				oldest_ns = chunk->since_ns;
		}
	return ranq_pace_task_ns(&job->pace, now_ns - oldest_ns);
}

/* ---- lanes ---- */

static bool divisible(const struct proxy_lane *lane)
{
	const struct proxy_chunk *chunk = TAILQ_FIRST(&lane->chunks);

	return lane->n > 1 || (chunk && !chunk->truncated && chunk->end - chunk->upto > 1);
}

/* The number of divisible lanes, so that nobody looks at thousands of lanes to find that each has but the task that it
 * runs. */
static void lane_count(struct ranq_proxy *proxy, struct proxy_lane *lane, bool in)
{
	proxy->divisible_lanes -= lane->divisible;
	lane->divisible = in && divisible(lane);
	proxy->divisible_lanes += lane->divisible;
}

void proxy_lane_look(struct ranq_proxy *proxy, struct proxy_lane *lane)
{
	lane_count(proxy, lane, true);
}

static void lane_list(struct ranq_proxy *proxy, struct proxy_lane *lane, bool in)
{
	lane_count(proxy, lane, in);
	if (in)
		lane->list = lane->n == 0 ? 0 : lane->n == 1 || lane->n <= lane->filled / 2 ? 1 : -1;
	if (lane->list >= 0 && in)
		TAILQ_INSERT_TAIL(&proxy->free[lane->list], lane, next);
	else if (lane->list >= 0)
		TAILQ_REMOVE(&proxy->free[lane->list], lane, next);
	if (lane->n == 0)
		proxy->idle_lanes += in ? 1 : -1u;
}

static void lane_filled(struct ranq_proxy *proxy, struct proxy_lane *lane)
{
	lane_list(proxy, lane, false);
	lane->filled = lane->n;
	lane_list(proxy, lane, true);
}

void proxy_lane_join(struct ranq_proxy *proxy, struct proxy_lane *lane)
{
	lane_list(proxy, lane, true);
	lane->number = proxy->lanes++;
}

void proxy_lane_leave(struct ranq_proxy *proxy, struct proxy_lane *lane)
{
	lane_list(proxy, lane, false);
	proxy->lanes--;
}

static void lane_add(struct ranq_proxy *proxy, struct proxy_lane *lane, struct proxy_chunk *chunk)
{
	lane_list(proxy, lane, false);
	TAILQ_INSERT_TAIL(&lane->chunks, chunk, next);
	lane->n++;
	proxy->workers[lane->rank].chunks++;
	proxy->workers[lane->rank].suspects += chunk->suspect;
	proxy->running++;
	lane_list(proxy, lane, true);
}

static void lane_remove(struct ranq_proxy *proxy, struct proxy_lane *lane, struct proxy_chunk *chunk)
{
	lane_list(proxy, lane, false);
	TAILQ_REMOVE(&lane->chunks, chunk, next);
	lane->n--;
	proxy->workers[lane->rank].chunks--;
	proxy->workers[lane->rank].suspects -= chunk->suspect;
	proxy->running--;
	lane_list(proxy, lane, true);
}

static bool send_chunk(struct proxy_lane *lane, struct proxy_chunk *chunk)
{
	struct proxy_job *job = chunk->job;
	struct ranq_proxy *proxy = job->pq->proxy;
	int64_t left_ms = proxy->options.end_ms > 0 ? proxy->options.end_ms - ranq_wall_ms() : RANQ_NEVER;
	struct ranq_buf input, buf;
	struct ranq_err err;

	ranq_buf_init(&input, 0);
	if (job->spec.args == RANQ_ARGS_INPUT && proxy_input_slice(job, chunk->start, chunk->end, &input, &err) != 0) {
		ranq_buf_clear(&input);
		proxy_job_fail(job, "%.140s", err.text);
		return false;
	}
	proxy_job_introduce(job, lane->rank);
	chunk->argument = job->spec.args == RANQ_ARGS_INPUT ? proxy_input_take(job, chunk->start) : NULL;
	if (chunk->argument)
		proxy_blob_share(proxy, chunk->argument, lane->rank);
	ranq_buf_init(&buf, 0);
	ranq_message_chunk_encode(&buf, &(struct ranq_message_chunk){.key = job->key,
						.chunk = chunk->id,
						.slot = lane->slot,
						.start = chunk->start,
						.end = chunk->end,
						.deaths = chunk->deaths,
						.left_ms = left_ms,
						.blob = chunk->argument ? chunk->argument->number : 0,
						.input = {input.data, input.len}});
	ranq_buf_clear(&input);
	proxy_send(proxy, lane->rank, &buf);
	return true;
}

/* Gives the first n tasks of the piece to the lane. */
static void give(struct proxy_lane *lane, struct proxy_piece *piece, uint64_t n)
{
	struct ranq_proxy *proxy = piece->job->pq->proxy;
	struct proxy_chunk *chunk = calloc(1, sizeof *chunk);

	if (!chunk)
		return;
	*chunk = (struct proxy_chunk){.job = piece->job,
		.id = ++proxy->next_chunk,
		.seq = piece->seq,
		.grant = piece->grant,
		.start = piece->start,
		.upto = piece->start,
		.end = piece->start + n,
		.deaths = piece->suspect ? piece->deaths : 0, /* of one task; a range has none */
		.suspect = piece->suspect,
		.since_ns = ranq_clock_ns()};
	if (!send_chunk(lane, chunk)) {
		free(chunk);
		return;
	}
	lane_add(proxy, lane, chunk);
	piece->job->chunks++;
	piece->start += n;
	piece->job->unstarted -= n;
	if (piece->start == piece->end)
		proxy_piece_remove(proxy, piece);
	ranq_fault_kill("dispatched");
}

/* How long it is until no task of the job can end before the end of the allocation, by what it says or by what we know.
 */
static int64_t late_in_ms(const struct proxy_job *job)
{
	int64_t left_ms = proxy_left_ms(job->pq->proxy), need_ms = (int64_t)job->spec.time_request_ms;
	double known_ms;

	if (left_ms == RANQ_NEVER)
		return RANQ_NEVER;
	known_ms = ceil(proxy_job_task_ns(job) / 1e6);
	if (known_ms > (double)left_ms)
		return 0;
	if ((int64_t)known_ms > need_ms)
		need_ms = (int64_t)known_ms;
	return left_ms >= need_ms ? left_ms - need_ms + 1 : 0;
}

static uint64_t chunk_size(struct ranq_proxy *proxy, const struct proxy_piece *piece)
{
	const struct proxy_job *job = piece->job;
	int64_t left_ms = proxy_left_ms(proxy);
	struct ranq_chunking c = {.remaining = job->unstarted,
		.cap = job->spec.chunk,
		.lanes = proxy->lanes,
		.left_ns = left_ms == RANQ_NEVER ? INT64_MAX : left_ms * 1000000};
	uint64_t n;

	if (late_in_ms(job) == 0)
		return 0;
	n = piece->suspect ? 1 : ranq_chunking_size(&job->pace, &c);
	if (n > piece->end - piece->start)
		n = piece->end - piece->start;
	if (n > 0 && job->spec.args == RANQ_ARGS_INPUT)
		n = proxy_input_have(job, piece->start, piece->start + n);
	return n;
}

/* Some rank has not failed to run the job. */
static bool others_may_try(const struct proxy_job *job)
{
	const struct ranq_proxy *proxy = job->pq->proxy;

	for (int r = 0; r < proxy->options.link->size; r++)
		if (proxy_computes(proxy, r) && proxy->workers[r].nlanes > 0 && !job->broke[r])
			return true;
	return false;
}

/* How many chunks of n tasks a lane may have; few towards the end of the work. */
static uint64_t depth(const struct ranq_proxy *proxy, const struct proxy_job *job, uint64_t n)
{
	uint64_t most = ranq_chunking_depth(&job->pace, n), fair = job->unstarted / (2 * n * proxy->lanes);

	return most <= 2 ? most : fair < 2 ? 2 : fair < most ? fair : most;
}

/* What was handed to an executor behind a task comes back by a detour (proxy_steal.c), when a lane is idle. So nothing is
 * put behind one that has run for long, or of a job of which nothing is known yet. */
static bool is_held_up(const struct ranq_proxy *proxy, const struct proxy_lane *lane)
{
	const struct proxy_chunk *first = TAILQ_FIRST(&lane->chunks);

	return first && ((first->job && first->job->pace.measured == 0) || proxy->now_ms * 1000000 - first->since_ns > LONG_NS);
}

/* The piece that this lane may start now, and how much of it. */
static struct proxy_piece *choose(
	struct ranq_proxy *proxy, const struct proxy_lane *lane, int reserved, bool any, uint64_t *n)
{
	const struct proxy_worker *worker = &proxy->workers[lane->rank];
	struct proxy_piece *piece;
	uint64_t at = 0;

	if (worker->suspects > 0 || is_held_up(proxy, lane))
		return NULL;
	TAILQ_FOREACH(piece, &proxy->pieces, next)
	{
		const struct proxy_job *job = piece->job;

		if (job->state != PROXY_JOB_READY || proxy_fenced(job->pq) ||
			(piece->suspect ? worker->chunks > 0 : lane->rank == reserved))
			continue;
		if (lane->n >= RANQ_CHUNKING_DEPTH_MAX ||
			(lane->n > 0 && lane->n >= ranq_chunking_depth(&job->pace, 1)) ||
			(job->broken > 0 && job->broke[lane->rank] && others_may_try(job)))
			continue;
		if (proxy_sticky(piece))
			*n = late_in_ms(job) == 0 ? 0 : proxy_sticky_part(lane, piece, any, &at);
		else
			*n = chunk_size(proxy, piece);
		if (*n > 0 && lane->n < depth(proxy, job, *n))
			return proxy_sticky(piece) ? proxy_sticky_cut(piece, at) : piece;
	}
	return NULL;
}

static bool may_dispatch(const struct ranq_proxy *proxy)
{
	return proxy->phase == PROXY_RUN && !TAILQ_EMPTY(&proxy->pieces) &&
	       proxy_outbox_bytes(proxy) < PROXY_RESULTS_MAX;
}

/* While a suspect waits, one worker gets nothing else, so that it is free for it soon; -1: none waits. */
static int reserve_worker(const struct ranq_proxy *proxy)
{
	const struct proxy_piece *piece;

	TAILQ_FOREACH(piece, &proxy->pieces, next)
	if (piece->suspect && piece->job->state == PROXY_JOB_READY && !proxy_fenced(piece->job->pq))
		break;
	for (int r = proxy->options.link->size - 1; piece && r >= 0; r--)
		if (proxy_computes(proxy, r) && proxy->workers[r].nlanes > 0)
			return r;
	return -1;
}

static void fill(struct ranq_proxy *proxy, struct proxy_lane *lane, int reserved, bool any, unsigned upto)
{
	struct proxy_piece *piece;
	uint64_t n;

	while (lane->n < upto && may_dispatch(proxy) && (piece = choose(proxy, lane, reserved, any, &n))) {
		unsigned before = lane->n;

		give(lane, piece, n);
		if (lane->n == before)
			break;
	}
}

static void fill_idle(struct ranq_proxy *proxy, int reserved, bool any)
{
	struct proxy_lane *lane, *next;

	for (lane = TAILQ_FIRST(&proxy->free[0]); lane && may_dispatch(proxy); lane = next) {
		next = TAILQ_NEXT(lane, next);
		fill(proxy, lane, reserved, any, 1);
	}
}

/* Of some piece a lane takes a second chunk. Of long tasks none does, and then nobody goes through thousands of busy
 * lanes. */
static bool any_deep(const struct ranq_proxy *proxy)
{
	const struct proxy_piece *piece;

	TAILQ_FOREACH(piece, &proxy->pieces, next)
	if (ranq_chunking_depth(&piece->job->pace, 1) > 1)
		return true;
	return false;
}

/* Empty lanes first, then more for those that have few. A lane that stays idle takes what others should have. */
void proxy_dispatch(struct ranq_proxy *proxy)
{
	int reserved = may_dispatch(proxy) ? reserve_worker(proxy) : -1;
	struct proxy_lane *lane, *next;

	fill_idle(proxy, reserved, false);
	fill_idle(proxy, reserved, true);
	for (lane = any_deep(proxy) ? TAILQ_FIRST(&proxy->free[1]) : NULL; lane && may_dispatch(proxy); lane = next) {
		unsigned before = lane->n;

		next = TAILQ_NEXT(lane, next);
		fill(proxy, lane, reserved, false, RANQ_CHUNKING_DEPTH_MAX);
		if (lane->n > before)
			lane_filled(proxy, lane);
	}
}

/* What would not end in time goes back, also while all lanes are busy: another bridge may have the time. The queue is
 * asked again later, as other jobs may have shorter tasks. */
void proxy_give_back_late(struct ranq_proxy *proxy)
{
	struct proxy_job *job;

	if (proxy->phase != PROXY_RUN || proxy_left_ms(proxy) == RANQ_NEVER)
		return;
	TAILQ_FOREACH(job, &proxy->jobs, next)
	{
		if (job->unstarted == 0 || late_in_ms(job) > 0)
			continue;
		job->pq->idle = true;
		job->pq->retry_ms = proxy->now_ms + LATE_RETRY_MS;
		proxy_pieces_release(job->pq, job, 0);
	}
}

/* ---- results ---- */

static struct proxy_chunk *find_chunk(
	struct ranq_proxy *proxy, int rank, uint64_t slot, uint64_t id, struct proxy_lane **lane)
{
	struct proxy_worker *worker = &proxy->workers[rank];
	struct proxy_chunk *chunk;

	if (slot >= worker->nlanes)
		return NULL;
	*lane = &worker->lanes[slot];
	TAILQ_FOREACH(chunk, &(*lane)->chunks, next)
	if (chunk->id == id)
		return chunk;
	return NULL;
}

void proxy_chunk_end(struct ranq_proxy *proxy, struct proxy_lane *lane, struct proxy_chunk *chunk)
{
	struct proxy_chunk *first;

	if (chunk->item)
		chunk->item->chunk = NULL;
	if (chunk->job && --chunk->job->chunks == 0 && chunk->job->waited)
		proxy_outbox_waited(chunk->job);
	lane_remove(proxy, lane, chunk);
	if (chunk->argument)
		proxy_blob_put(proxy, chunk->argument);
	free(chunk);
	first = TAILQ_FIRST(&lane->chunks);
	if (first)
		first->since_ns = ranq_clock_ns();
}

/* One rank that fails must not fail the job: it gets nothing of it while others work on it. */
static void chunk_broken(struct proxy_job *job, int rank)
{
	const struct ranq_proxy *proxy = job->pq->proxy;
	unsigned ranks = 0;

	job->broken++;
	job->broke[rank] = 1;
	for (int r = 0; r < proxy->options.link->size; r++)
		ranks += job->broke[r];
	if (ranks >= BROKEN_MAX || (job->broken >= BROKEN_MAX && !others_may_try(job)))
		proxy_job_fail(job, "no executor could run it on host %s", proxy->options.facts[rank].host);
}

/* What was not begun of it, for another lane or, when we leave, another bridge. */
static void rest_back(struct ranq_proxy *proxy, struct proxy_chunk *chunk, uint64_t from)
{
	if (!chunk->job || from >= chunk->end)
		return;
	if (proxy->phase == PROXY_RUN)
		proxy_piece_back(chunk, from);
	else
		proxy_outbox_release_one(
			chunk->job->pq, chunk->job->id, chunk->seq, from, chunk->end, RANQ_RELEASE_DRAINED);
	chunk->end = from;
}

static void chunk_done(struct ranq_proxy *proxy, struct proxy_lane *lane, struct proxy_chunk *chunk, bool broken)
{
	struct proxy_job *job = chunk->job;

	if (job && chunk->upto > chunk->start)
		ranq_pace_chunk_done(&job->pace, chunk->upto - chunk->start);
	if (job && broken)
		chunk_broken(job, lane->rank);
	rest_back(proxy, chunk, chunk->upto);
	proxy_chunk_end(proxy, lane, chunk);
}

void proxy_work_results(struct ranq_proxy *proxy, int rank, const struct ranq_message_results *m)
{
	struct proxy_lane *lane;
	struct proxy_chunk *chunk = find_chunk(proxy, rank, m->slot, m->chunk, &lane);
	struct proxy_job *job;

	if (m->slot == proxy->workers[rank].nlanes)
		proxy_merge_results(proxy, rank, m);
	if (!chunk || m->from != chunk->upto || m->upto > chunk->end)
		return; /* of a chunk that was given up */
	job = chunk->job;
	if (job && m->upto > m->from) {
		ranq_pace_add(&job->pace, m->upto - m->from,
			(int64_t)(m->elapsed_us > INT64_MAX / 1000 ? INT64_MAX : m->elapsed_us * 1000));
		job->pq->done += m->upto - m->from;
		if (job->broken > 0)
			memset(job->broke, 0, (size_t)proxy->options.link->size);
		job->broken = 0;
		proxy_outbox_results(chunk, m);
	}
	chunk->upto = m->upto;
	chunk->since_ns = ranq_clock_ns();
	proxy_lane_look(proxy, lane);
	if (m->done)
		chunk_done(proxy, lane, chunk, m->broken);
}

/* A task of the chunk takes long: what is behind it does not wait for it. The chunk keeps what its executor has begun. */
void proxy_work_shortened(struct ranq_proxy *proxy, int rank, const struct ranq_message_truncate *m)
{
	struct proxy_lane *lane;
	struct proxy_chunk *chunk = find_chunk(proxy, rank, m->slot, m->chunk, &lane);

	if (!chunk || m->new_end <= chunk->upto || m->new_end >= chunk->end)
		return; /* of a chunk that was given up */
	rest_back(proxy, chunk, m->new_end);
	chunk->end = m->new_end;
	proxy_lane_look(proxy, lane);
}

/* ---- loop ---- */

int64_t proxy_work_due(const struct ranq_proxy *proxy)
{
	const struct proxy_job *job;
	int64_t due = RANQ_NEVER, in_ms, stale_ms;

	if (proxy->phase != PROXY_RUN || TAILQ_EMPTY(&proxy->pieces))
		return due;
	TAILQ_FOREACH(job, &proxy->jobs, next)
	{
		if (job->unstarted == 0)
			continue;
		in_ms = late_in_ms(job);
		stale_ms = job->granted_ms + PROXY_STALE_MS + proxy_slack_ms(job->pq, job);
		if (in_ms != RANQ_NEVER)
			due = proxy_min(due, proxy->now_ms + in_ms);
		if (stale_ms > proxy->now_ms)
			due = proxy_min(due, stale_ms);
	}
	return due;
}

/* proxy_jobs.c - what the proxy knows of jobs: the spec (fetched once), whether it can run here, how fast its tasks
 * are. */
#include "bridge/proxy_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define FORGET_MS 5000 /* a job without work here is forgotten, and its fini runs */
#define CANCEL_GRACE_MS 500

struct proxy_job *proxy_job_find(struct proxy_queue *pq, uint64_t id)
{
	struct proxy_job *job;

	TAILQ_FOREACH(job, &pq->proxy->jobs, next)
	if (job->pq == pq && job->id == id)
		return job;
	return NULL;
}

void proxy_job_fail(struct proxy_job *job, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(job->reason, sizeof job->reason, format, args);
	va_end(args);
	job->state = PROXY_JOB_FAILED;
	proxy_log(job->pq->proxy, "job=%s/%llu cannot run: %s", job->pq->q.name, (unsigned long long)job->id,
		job->reason);
}

/* ---- spec ---- */

static void settle(struct proxy_job *job)
{
	if (job->state != PROXY_JOB_BLOBS)
		return;
	if (job->module && job->module->missing)
		proxy_job_fail(job, "its module is missing or damaged in the queue");
	else if (job->data && job->data->missing)
		proxy_job_fail(job, "its job data is missing or damaged in the queue");
	else if ((!job->module || job->module->whole) && (!job->data || job->data->whole))
		job->state = PROXY_JOB_READY;
}

void proxy_job_blob_here(struct proxy_blob *blob)
{
	struct proxy_job *job;

	if (blob->job)
		return; /* an argument: its task is looked at each time (proxy_input.c) */
	TAILQ_FOREACH(job, &blob->pq->proxy->jobs, next)
	if (job->module == blob || job->data == blob)
		settle(job);
}

static void take_spec(struct proxy_job *job, struct ranq_bytes spec)
{
	struct ranq_err err;

	if (ranq_spec_unpack(spec.data, spec.len, &job->spec, &err) != 0) {
		proxy_job_fail(job, "%.140s", err.text);
		return;
	}
	ranq_buf_add(&job->packed, spec.data, spec.len);
	if (ranq_buf_failed(&job->packed)) {
		proxy_job_fail(job, "out of memory");
		return;
	}
	job->state = PROXY_JOB_BLOBS;
	if (job->spec.module_hash)
		job->module = proxy_blob_get(job->pq, 0, job->spec.module_hash, 0);
	if (job->spec.data_hash)
		job->data = proxy_blob_get(job->pq, 0, job->spec.data_hash, job->spec.data_bytes);
	if ((job->spec.module_hash && !job->module) || (job->spec.data_hash && !job->data))
		proxy_job_fail(job, "out of memory");
	else
		settle(job);
}

static void have_spec(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct proxy_job *job = proxy_job_find(request->pq, request->key);
	enum ranq_job_state state;
	struct ranq_bytes spec;
	struct ranq_err err;

	if (!job || job->state != PROXY_JOB_ASKED || request->epoch != request->pq->epoch)
		return;
	job->state = PROXY_JOB_NEW;
	if (!reply)
		return;
	if (ranq_queue_spec_parse(reply, &spec, &state, &err) == 0) {
		if (ranq_job_state_is_final(state))
			proxy_job_stop(request->pq, job->id);
		else
			take_spec(job, spec);
	} else if (err.code == RANQ_ERR_NOTFOUND) {
		proxy_queue_missing(request->pq, job->id);
	} else if (proxy_refused_alone(&err)) {
		proxy_job_fail(job, "%.140s", err.text);
	} else {
		proxy_refused(request, &err);
	}
}

static void ask_spec(struct proxy_job *job)
{
	struct proxy_request *request = NULL;
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	if (ranq_queue_spec_cmd(&job->pq->q, &cmd, job->id) == 0)
		request = proxy_request(job->pq, &cmd, have_spec);
	ranq_cmd_clear(&cmd);
	if (!request)
		return;
	request->key = job->id;
	job->state = PROXY_JOB_ASKED;
}

static struct proxy_job *job_create(struct proxy_queue *pq, uint64_t id)
{
	struct proxy_job *job = calloc(1, sizeof *job);

	if (!job)
		return NULL;
	job->introduced = calloc((size_t)pq->proxy->options.link->size, sizeof *job->introduced);
	job->broke = calloc((size_t)pq->proxy->options.link->size, sizeof *job->broke);
	if (!job->introduced || !job->broke) {
		free(job->introduced);
		free(job->broke);
		free(job);
		return NULL;
	}
	job->pq = pq;
	job->id = id;
	job->key = ++pq->proxy->next_key;
	job->used_ms = pq->proxy->now_ms;
	ranq_spec_init(&job->spec);
	ranq_buf_init(&job->packed, RANQ_SPEC_MAX_BYTES);
	ranq_pace_init(&job->pace);
	TAILQ_INIT(&job->blocks);
	TAILQ_INSERT_TAIL(&pq->proxy->jobs, job, next);
	return job;
}

struct proxy_job *proxy_job_get(struct proxy_queue *pq, uint64_t id)
{
	struct proxy_job *job = proxy_job_find(pq, id);

	if (job)
		return job;
	job = job_create(pq, id);
	if (job)
		ask_spec(job);
	return job;
}

void proxy_job_record(struct proxy_queue *pq, uint64_t id, struct ranq_bytes record)
{
	struct proxy_job *job = proxy_job_find(pq, id);

	if (!job)
		job = job_create(pq, id);
	if (job && (job->state == PROXY_JOB_NEW || job->state == PROXY_JOB_ASKED))
		take_spec(job, record);
}

/* ---- at the workers ---- */

void proxy_job_introduce(struct proxy_job *job, int rank)
{
	struct ranq_proxy *proxy = job->pq->proxy;
	char id[RANQ_QUEUE_NAME_MAX + 32];
	struct ranq_buf buf;
	int n;

	if (job->introduced[rank])
		return;
	job->introduced[rank] = 1;
	n = snprintf(id, sizeof id, "%s/%llu", job->pq->q.name, (unsigned long long)job->id);
	ranq_buf_init(&buf, 0);
	ranq_message_job_encode(&buf, &(struct ranq_message_job){.key = job->key,
					      .id_text = {id, (size_t)n},
					      .module = job->module ? job->module->number : 0,
					      .data = job->data ? job->data->number : 0,
					      .spec = {job->packed.data, job->packed.len}});
	proxy_send(proxy, rank, &buf);
	if (job->module)
		proxy_blob_share(proxy, job->module, rank);
	if (job->data)
		proxy_blob_share(proxy, job->data, rank);
}

static void drop_chunks(struct proxy_job *job)
{
	struct ranq_proxy *proxy = job->pq->proxy;

	for (int r = 0; r < proxy->options.link->size; r++)
		for (unsigned s = 0; s < proxy->workers[r].nlanes; s++) {
			struct proxy_chunk *chunk;

			TAILQ_FOREACH(chunk, &proxy->workers[r].lanes[s].chunks, next)
			if (chunk->job == job) {
				chunk->job = NULL; /* the worker says when the lane is free */
				if (chunk->item)
					chunk->item->chunk = NULL;
				chunk->item = NULL;
			}
		}
}

void proxy_job_drop(struct proxy_job *job, bool kill)
{
	struct ranq_proxy *proxy = job->pq->proxy;
	struct proxy_piece *piece, *next;

	for (piece = TAILQ_FIRST(&proxy->pieces); piece; piece = next) {
		next = TAILQ_NEXT(piece, next);
		if (piece->job == job)
			proxy_piece_remove(proxy, piece);
	}
	for (int r = 0; r < proxy->options.link->size; r++) {
		struct ranq_buf buf;

		if (!job->introduced[r] || !proxy_computes(proxy, r))
			continue;
		ranq_buf_init(&buf, 0);
		ranq_message_drop_encode(
			&buf, &(struct ranq_message_drop){.key = job->key, .kill = kill, .grace_ms = CANCEL_GRACE_MS});
		proxy_send(proxy, r, &buf);
	}
	drop_chunks(job);
	if (job->module)
		proxy_blob_put(proxy, job->module);
	if (job->data)
		proxy_blob_put(proxy, job->data);
	proxy_input_clear(job);
	TAILQ_REMOVE(&proxy->jobs, job, next);
	ranq_spec_clear(&job->spec);
	ranq_buf_clear(&job->packed);
	free(job->introduced);
	free(job->broke);
	free(job);
}

/* Results of the job count no more; the parts that we still hold are given back, so that the server forgets them. */
void proxy_job_stop(struct proxy_queue *pq, uint64_t id)
{
	struct proxy_job *job = proxy_job_find(pq, id);
	size_t n = ranq_held_count(pq->held), mine = 0;
	struct ranq_fragment *parts = calloc(n ? n : 1, sizeof *parts);

	proxy_outbox_drop_job(pq, id);
	if (parts) {
		ranq_held_list(pq->held, parts);
		for (size_t i = 0; i < n; i++)
			if (parts[i].job == id) {
				parts[mine] = parts[i];
				parts[mine++].kind = RANQ_RELEASE_DRAINED;
			}
		if (mine > 0)
			proxy_outbox_release(pq, parts, mine);
		free(parts);
	} else {
		pq->resync_again = true;
	}
	if (job)
		proxy_job_drop(job, true);
}

/* ---- loop ---- */

static bool in_use(const struct proxy_job *job)
{
	const struct proxy_item *item;

	if (job->unstarted > 0 || job->chunks > 0)
		return true;
	TAILQ_FOREACH(item, &job->pq->pending, next)
	if (item->job == job->id)
		return true;
	TAILQ_FOREACH(item, &job->pq->merging, next)
	if (item->job == job->id)
		return true;
	return false;
}

static void fail_pieces(struct proxy_job *job)
{
	struct ranq_proxy *proxy = job->pq->proxy;
	struct proxy_piece *piece, *next;

	for (piece = TAILQ_FIRST(&proxy->pieces); piece; piece = next) {
		next = TAILQ_NEXT(piece, next);
		while (piece->job == job && piece->start < piece->end) {
			if (proxy_outbox_bytes(proxy) > PROXY_RESULTS_MAX / 16)
				return; /* the queue stops the job soon */
			proxy_outbox_fail(job, piece, piece->end, job->reason);
		}
		if (piece->job == job)
			proxy_piece_remove(proxy, piece);
	}
}

void proxy_jobs_tick(struct ranq_proxy *proxy)
{
	struct proxy_job *job, *next;

	for (job = TAILQ_FIRST(&proxy->jobs); job; job = next) {
		next = TAILQ_NEXT(job, next);
		if (job->state == PROXY_JOB_NEW)
			ask_spec(job);
		if (job->state == PROXY_JOB_READY && job->spec.args == RANQ_ARGS_INPUT)
			proxy_input_ask(job);
		if (job->state == PROXY_JOB_FAILED)
			fail_pieces(job);
		if (in_use(job))
			job->used_ms = proxy->now_ms;
		else if (proxy->now_ms - job->used_ms > FORGET_MS)
			proxy_job_drop(job, false);
	}
}

int64_t proxy_jobs_due(const struct ranq_proxy *proxy)
{
	const struct proxy_job *job;
	int64_t due = RANQ_NEVER;

	TAILQ_FOREACH(job, &proxy->jobs, next)
	if (job->unstarted == 0 && job->chunks == 0)
		due = proxy_min(due, job->used_ms + FORGET_MS + 1);
	return due;
}

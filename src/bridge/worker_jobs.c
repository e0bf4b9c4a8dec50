/* worker_jobs.c - jobs and blobs of a worker. The first compute rank of a node gets a blob in pieces (or as a
 * descriptor, on the node of rank 0) and shares the memory file with its neighbours. */
#include "bridge/worker_impl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

size_t ranq_blob_note_encode(unsigned char note[RANQ_LINK_NOTE_MAX], uint64_t blob, uint64_t total)
{
	struct ranq_buf buf;
	size_t len;

	ranq_buf_init(&buf, RANQ_LINK_NOTE_MAX);
	ranq_buf_add_varint(&buf, blob);
	ranq_buf_add_varint(&buf, total);
	len = ranq_buf_failed(&buf) ? 0 : buf.len;
	if (len)
		memcpy(note, buf.data, len);
	ranq_buf_clear(&buf);
	return len;
}

int ranq_blob_note_decode(const void *note, size_t len, uint64_t *blob, uint64_t *total)
{
	struct ranq_reader in;

	ranq_reader_init(&in, note, len);
	*blob = ranq_reader_varint(&in);
	*total = ranq_reader_varint(&in);
	return in.failed || ranq_reader_left(&in) || *blob == 0 ? -1 : 0;
}

struct worker_job *ranq_worker_job_find(struct ranq_worker *worker, uint64_t key)
{
	struct worker_job *job;

	TAILQ_FOREACH(job, &worker->jobs, next)
	if (job->key == key)
		return job;
	return NULL;
}

static void job_destroy(struct worker_job *job)
{
	free(job->id_text);
	free(job->spec);
	free(job->added);
	free(job);
}

int ranq_worker_job_add(struct ranq_worker *worker, const struct ranq_message_job *m, struct ranq_err *err)
{
	struct worker_job *job;

	if (ranq_worker_job_find(worker, m->key))
		return 0;
	job = calloc(1, sizeof *job);
	if (!job)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	job->key = m->key;
	job->module = m->module;
	job->data = m->data;
	job->id_text = strndup(m->id_text.data, m->id_text.len);
	job->spec = malloc(m->spec.len + 1);
	job->added = calloc(worker->nslots, sizeof *job->added);
	if (!job->id_text || !job->spec || !job->added) {
		job_destroy(job);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	if (m->spec.len)
		memcpy(job->spec, m->spec.data, m->spec.len);
	job->spec_len = m->spec.len;
	job->ask_ms = ranq_clock_ms() + WORKER_ASK_MS;
	TAILQ_INSERT_TAIL(&worker->jobs, job, next);
	return 0;
}

void ranq_worker_job_remove(struct ranq_worker *worker, struct worker_job *job)
{
	bool merges = job->added[worker->options.slots];

	for (unsigned s = 0; s < worker->nslots; s++)
		if (job->added[s] && worker->slots && worker->slots[s].slot)
			ranq_slot_drop_job(worker->slots[s].slot, job->key);
	TAILQ_REMOVE(&worker->jobs, job, next);
	job_destroy(job);
	if (merges)
		ranq_worker_merged(worker);
}

static bool missing(const struct ranq_worker *worker, uint64_t blob)
{
	return blob && ranq_blobs_fd(worker->blobs, blob) < 0;
}

bool ranq_worker_job_ready(const struct ranq_worker *worker, const struct worker_job *job)
{
	return !missing(worker, job->module) && !missing(worker, job->data);
}

bool ranq_worker_chunk_ready(const struct ranq_worker *worker, const struct worker_chunk *chunk)
{
	return !missing(worker, chunk->blob);
}

static void ask_arguments(struct ranq_worker *worker, int64_t now_ms)
{
	struct worker_chunk *chunk;

	for (unsigned s = 0; s < worker->nslots; s++)
		TAILQ_FOREACH(chunk, &worker->slots[s].chunks, next)
		{
			if (chunk->given || now_ms < chunk->ask_ms || !missing(worker, chunk->blob))
				continue;
			chunk->ask_ms = now_ms + WORKER_ASK_MS;
			ranq_worker_notice(worker, RANQ_NOTICE_MISSING, chunk->blob);
		}
}

void ranq_worker_jobs_tick(struct ranq_worker *worker, int64_t now_ms)
{
	struct worker_job *job;

	ask_arguments(worker, now_ms);
	TAILQ_FOREACH(job, &worker->jobs, next)
	{
		if (now_ms < job->ask_ms || ranq_worker_job_ready(worker, job))
			continue;
		job->ask_ms = now_ms + WORKER_ASK_MS;
		if (missing(worker, job->module))
			ranq_worker_notice(worker, RANQ_NOTICE_MISSING, job->module);
		if (missing(worker, job->data))
			ranq_worker_notice(worker, RANQ_NOTICE_MISSING, job->data);
	}
}

int64_t ranq_worker_jobs_due(const struct ranq_worker *worker)
{
	const struct worker_chunk *chunk;
	const struct worker_job *job;
	int64_t due = RANQ_NEVER;

	TAILQ_FOREACH(job, &worker->jobs, next)
	if (job->ask_ms < due && !ranq_worker_job_ready(worker, job))
		due = job->ask_ms;
	for (unsigned s = 0; s < worker->nslots; s++)
		TAILQ_FOREACH(chunk, &worker->slots[s].chunks, next)
		if (!chunk->given && chunk->ask_ms < due && missing(worker, chunk->blob))
			due = chunk->ask_ms;
	return due;
}

int ranq_worker_job_introduce(
	struct ranq_worker *worker, struct worker_job *job, struct worker_slot *slot, struct ranq_err *err)
{
	struct ranq_exec_job exec_job = {.job = job->key,
		.id_text = job->id_text,
		.spec = {job->spec, job->spec_len},
		.module_fd = job->module ? ranq_blobs_fd(worker->blobs, job->module) : -1,
		.data_fd = job->data ? ranq_blobs_fd(worker->blobs, job->data) : -1};

	if (job->added[slot->number])
		return 0;
	if (ranq_slot_add_job(slot->slot, &exec_job, err) != 0)
		return -1;
	job->added[slot->number] = true;
	return 0;
}

static void share(struct ranq_worker *worker, uint64_t blob, uint64_t total)
{
	struct ranq_link *link = worker->options.link;
	unsigned char note[RANQ_LINK_NOTE_MAX];
	size_t len = ranq_blob_note_encode(note, blob, total);

	for (int r = worker->options.compute_from; r < link->size; r++)
		if (r != link->rank && ranq_link_same_node(link, r, link->rank))
			ranq_link_send_file(link, r, ranq_blobs_fd(worker->blobs, blob), note, len, NULL);
}

int ranq_worker_blob(struct ranq_worker *worker, const struct ranq_message_blob *m, struct ranq_err *err)
{
	bool whole;

	if (ranq_blobs_piece(worker->blobs, m->blob, m->total, m->offset, m->piece.data, m->piece.len, &whole, err) !=
		0)
		return -1;
	if (whole) {
		share(worker, m->blob, m->total);
		ranq_worker_feed_all(worker);
	}
	return 0;
}

void ranq_worker_file(struct ranq_worker *worker, int src, int fd, const void *note, size_t len)
{
	uint64_t blob, total;

	(void)src;
	if (ranq_blob_note_decode(note, len, &blob, &total) != 0) {
		close(fd);
		return;
	}
	if (ranq_blobs_adopt(worker->blobs, blob, total, fd, NULL) == 0)
		ranq_worker_feed_all(worker);
}

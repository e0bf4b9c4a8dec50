/* proxy_outbox.c - results and returned work on their way to the queue.
 *
 * Results wait in `pending` (merged where they touch) until a flush makes a call of them. Making a call takes its parts
 * out of the mirror (queue/held.h), which gives each part its `at`: so from then on the order of the calls is fixed,
 * and they are sent, and after a loss sent again, in that order until each has a definite answer. An answer "0" is
 * final too: done before the loss, or fenced. */
#include "bridge/proxy_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/fault.h"
#include "record/segment.h"
#include "util/clock.h"

#define ISLAND 16         /* fewer than a sixteenth of the tasks of a commit */
#define ISLAND_BYTES 4096 /* and not more than these */
#define COLLECT_MAX 16384 /* items looked at for one commit */
#define COLLECT_BYTES (4 * PROXY_ITEM_BYTES)
#define TOGETHER_MS 60000
#define FAIL_SLICE 1000 /* tasks of a job that cannot run, failed in one item */

/* ---- items ---- */

/* A client waits for results. Single ones of a reduction help nobody: only the last that this bridge has of it. */
static bool is_waited(const struct proxy_job *job)
{
	return job->waited && (!job->spec.reduce || (job->unstarted == 0 && job->chunks == 0));
}

/* How long results may wait for others to be committed with. While a client waits, or the server does not know yet how
 * large results are: not long. Else for a second, and longer in a crowd: hardly more is lost with this bridge then than
 * what its ranks have under way. */
static int64_t patience_ms(const struct proxy_queue *pq, const struct proxy_job *job)
{
	int64_t crowd = proxy_crowd_ms(pq);

	if (!is_waited(job) && job->began_ms > 0 && pq->proxy->now_ms - job->began_ms >= PROXY_HOLD_MS)
		return PROXY_HOLD_MS + proxy_slack_ms(pq, job);
	return PROXY_FLUSH_MS > crowd ? PROXY_FLUSH_MS : crowd;
}

void proxy_outbox_waited(struct proxy_job *job)
{
	struct proxy_queue *pq = job->pq;

	job->waited = true;
	if (pq->npending == 0 || !is_waited(job))
		return;
	pq->pending_waited = true;
	pq->pending_ms = proxy_min(pq->pending_ms, pq->proxy->now_ms + patience_ms(pq, job));
}

static void pending_add(struct proxy_queue *pq, struct proxy_item *item, const struct proxy_job *job)
{
	proxy_outbox_put(pq, item, item->since_ms + patience_ms(pq, job));
	pq->pending_waited |= is_waited(job);
}

void proxy_outbox_put(struct proxy_queue *pq, struct proxy_item *item, int64_t due_ms)
{
	item->due_ms = due_ms;
	pq->pending_ms = pq->npending > 0 ? proxy_min(pq->pending_ms, due_ms) : due_ms;
	TAILQ_INSERT_TAIL(&pq->pending, item, next);
	pq->npending++;
	pq->pending_bytes += proxy_item_bytes(item);
}

static void pending_remove(struct proxy_queue *pq, struct proxy_item *item)
{
	TAILQ_REMOVE(&pq->pending, item, next);
	pq->npending--;
	pq->pending_bytes -= proxy_item_bytes(item);
	if (item->chunk)
		item->chunk->item = NULL;
	item->chunk = NULL;
	pq->pending_waited &= pq->npending > 0;
}

/* The pending item that these results continue, or NULL: that of the chunk, or the last one, of the chunk before. */
static struct proxy_item *item_before(const struct proxy_chunk *chunk, const struct ranq_message_results *m)
{
	struct proxy_item *item = chunk->item ? chunk->item : TAILQ_LAST(&chunk->job->pq->pending, proxy_items);

	if (!item || item->job != chunk->job->id || item->grant != chunk->grant || item->end != m->from)
		return NULL;
	return item->segment.len + m->segment.len <= PROXY_ITEM_BYTES &&
			       item->nfailures + m->nfailures <= RANQ_CALL_ITEMS_MAX &&
			       item->nsplits + m->nsplits <= RANQ_CALL_ITEMS_MAX
		       ? item
		       : NULL;
}

void proxy_outbox_results(struct proxy_chunk *chunk, const struct ranq_message_results *m)
{
	struct proxy_queue *pq = chunk->job->pq;
	struct proxy_item *item = item_before(chunk, m);

	if (!item) {
		item = proxy_item_create(chunk->job, chunk->seq, chunk->grant, m->from);
		if (!item)
			return; /* the tasks stay leased: they run again after the next resync or expiry */
		if (chunk->job->began_ms == 0)
			chunk->job->began_ms = item->since_ms;
		pending_add(pq, item, chunk->job);
	}
	proxy_item_belongs(item, chunk);
	pq->pending_bytes -= proxy_item_bytes(item);
	proxy_item_extend(item, m);
	pq->pending_bytes += proxy_item_bytes(item);
	/* A suspect that has ended must not be there when the bridge dies of something else; and only then comes the next one. */
	if (chunk->suspect || pq->pending_bytes >= PROXY_ITEM_BYTES)
		proxy_outbox_flush(pq, chunk->suspect);
}

/* Tasks of the piece before `end` fail; some of them, if there are many. */
void proxy_outbox_fail(struct proxy_job *job, struct proxy_piece *piece, uint64_t end, const char *reason)
{
	struct ranq_failure failure = {.status = RANQ_TASK_ERROR, .exit_code = 1, .attempts = 1};
	struct proxy_item *item = proxy_item_create(job, piece->seq, piece->grant, piece->start);
	struct ranq_segment_writer writer;
	struct ranq_buf record;

	if (!item)
		return;
	snprintf(failure.host, sizeof failure.host, "%.63s", job->pq->proxy->options.facts[0].host);
	snprintf(failure.reason, sizeof failure.reason, "%s", reason);
	ranq_segment_writer_init(&writer, 0);
	ranq_buf_init(&record, 0);
	while (piece->start < end && item->counts[RANQ_TASK_ERROR] < FAIL_SLICE) {
		failure.index = piece->start++;
		ranq_buf_reset(&record);
		if (ranq_failure_pack(&failure, &record) == 0)
			proxy_item_failure(item, failure.index, record.data, record.len);
		ranq_segment_writer_add(&writer, RANQ_TASK_ERROR, NULL, 0);
		item->counts[RANQ_TASK_ERROR]++;
		job->unstarted--;
	}
	item->end = piece->start;
	if (job->spec.results == RANQ_RESULTS_KEEP)
		ranq_segment_writer_finish(&writer, &item->segment);
	ranq_segment_writer_clear(&writer);
	ranq_buf_clear(&record);
	pending_add(job->pq, item, job);
}

/* ---- calls ---- */

static void call_destroy(struct proxy_call *call)
{
	struct proxy_item *item;

	while ((item = TAILQ_FIRST(&call->items))) {
		TAILQ_REMOVE(&call->items, item, next);
		proxy_item_destroy(item);
	}
	free(call->fragments);
	free(call);
}

static void call_remove(struct proxy_call *call)
{
	TAILQ_REMOVE(&call->pq->outbox, call, next);
	call->pq->outbox_bytes -= call->bytes;
	call_destroy(call);
}

static void note_reply(struct proxy_queue *pq, const struct ranq_commit_reply *reply)
{
	if (reply->drain)
		proxy_drain(pq->proxy, true, "ranq drain");
	for (size_t i = 0; i < reply->nwaited && i < 32; i++) {
		struct proxy_job *job = proxy_job_find(pq, reply->waited[i]);

		if (job)
			proxy_outbox_waited(job);
	}
	for (size_t i = 0; i < reply->nstopped && i < 32; i++)
		proxy_job_stop(pq, reply->stopped[i]);
}

static void answered(struct proxy_request *request, const struct ranq_reply *reply)
{
	static struct ranq_commit_reply commit;
	struct proxy_call *call = request->call;
	struct proxy_queue *pq = request->pq;
	struct ranq_err err;
	int rc;

	if (call->kind == PROXY_COMMIT && pq->commits_asked > 0)
		pq->commits_asked--;
	call->sent = false;
	if (call->dead) {
		call_destroy(call);
		return;
	}
	if (!reply)
		return; /* sent again after the reconnect */
	rc = call->kind == PROXY_COMMIT ? ranq_queue_commit_parse(reply, &commit, &err)
					: ranq_queue_release_parse(reply, &err);
	if (rc != 0 && proxy_refused_alone(&err)) {
		/* will never be taken: what it stands for is ours still, and the resync gives it back to be computed
		 * again */
		proxy_log(pq->proxy, "queue '%s': %s", pq->q.name, err.text);
		pq->resync_again = true;
		call_remove(call);
		return;
	}
	if (rc != 0) {
		if (call->apart) /* the server may have no memory for anything but commits */
			pq->together_ms = pq->proxy->now_ms + TOGETHER_MS;
		proxy_refused(
			request, &err); /* GONE drops the outbox with this call; anything else is a lost connection */
		return;
	}
	proxy_renewed(request);
	rc = call->kind == PROXY_COMMIT;
	call_remove(call);
	proxy_queue_heard(pq);
	if (rc)
		note_reply(pq, &commit);
}

/* One item of a commit; what it has in slices is named beside it. */
static int commit_add(struct ranq_cmd *cmd, const struct proxy_item *item, struct ranq_commit_item *add)
{
	struct ranq_split_place *splits = NULL;
	int rc;

	if (item->nsplits) {
		splits = calloc(item->nsplits, sizeof *splits);
		if (!splits)
			return -1; /* not without them: the call is tried again */
		add->nsplits = ranq_segment_splits(item->segment.data, item->segment.len, item->start,
			item->end - item->start, splits, item->nsplits);
		if (add->nsplits > item->nsplits)
			add->nsplits = item->nsplits;
		add->splits = splits;
	}
	rc = ranq_queue_commit_add(cmd, add);
	free(splits);
	return rc;
}

static int commit_cmd(struct proxy_call *call, struct ranq_cmd *cmd)
{
	struct proxy_item *item;
	struct ranq_bytes *failures = NULL;
	uint64_t *index = NULL;
	size_t most = 0;
	int rc = ranq_queue_commit_begin(&call->pq->q, cmd, call->pq->proxy->id);

	TAILQ_FOREACH(item, &call->items, next)
	if (item->nfailures > most)
		most = item->nfailures;
	if (most) {
		failures = calloc(most, sizeof *failures);
		index = calloc(most, sizeof *index);
	}
	TAILQ_FOREACH(item, &call->items, next)
	{
		struct ranq_commit_item add = {.job = item->job,
			.at = item->at,
			.seq = item->seq,
			.start = item->start,
			.end = item->end,
			.item = {item->segment.data, item->segment.len},
			.apart = item->apart,
			.elapsed_us = item->elapsed_us,
			.nfailures = failures && index ? item->nfailures : 0,
			.failure_index = index,
			.failures = failures};

		memcpy(add.counts, item->counts, sizeof add.counts);
		for (size_t i = 0; i < add.nfailures; i++) {
			index[i] = item->failure[i].index;
			failures[i] =
				(struct ranq_bytes){item->failures.data + item->failure[i].at, item->failure[i].len};
		}
		if (rc == 0)
			rc = commit_add(cmd, item, &add);
	}
	free(failures);
	free(index);
	return rc;
}

/* Whether it was taken says the commit behind it. */
static void put_apart(struct proxy_request *request, const struct ranq_reply *reply)
{
	(void)request;
	(void)reply;
}

/* Large segments go ahead of their commit, past the functions of the server, which look at every byte. Under a new number each time: what an
 * earlier connection has sent may still arrive, and is dropped by its own commit or expires. */
static void send_apart(struct proxy_call *call, struct ranq_cmd *cmd)
{
	struct proxy_queue *pq = call->pq;
	struct proxy_item *item;

	call->apart = false;
	TAILQ_FOREACH(item, &call->items, next)
	{
		item->apart = 0;
		if (item->segment.len < RANQ_APART_BYTES || pq->proxy->now_ms < pq->together_ms)
			continue;
		item->apart = ++pq->proxy->next_apart;
		ranq_queue_apart_put_cmd(&pq->q, cmd, pq->proxy->id, item->apart,
			(struct ranq_bytes){item->segment.data, item->segment.len});
		proxy_request(pq, cmd, put_apart); /* not sent: then the commit is not either */
		call->apart = true;
	}
}

static void call_send(struct proxy_call *call)
{
	struct proxy_queue *pq = call->pq;
	struct proxy_request *request;
	struct ranq_cmd cmd;
	int rc;

	ranq_cmd_init(&cmd);
	send_apart(call, &cmd);
	rc = call->kind == PROXY_COMMIT ? commit_cmd(call, &cmd)
					: ranq_queue_release_cmd(&pq->q, &cmd, pq->proxy->id, call->fragments, call->n);
	request = rc == 0 ? proxy_request(pq, &cmd, answered) : NULL;
	ranq_cmd_clear(&cmd);
	if (!request)
		return;
	request->call = call;
	call->sent = true;
	if (call->kind == PROXY_COMMIT) {
		pq->commits_asked++;
		pq->committed_ms = request->sent_ms;
	}
	ranq_fault_kill("committed");
}

static struct proxy_call *call_create(struct proxy_queue *pq, enum proxy_call_kind kind)
{
	struct proxy_call *call = calloc(1, sizeof *call);

	if (!call)
		return NULL;
	call->pq = pq;
	call->kind = kind;
	TAILQ_INIT(&call->items);
	return call;
}

/* Heartbeats stand behind what is in the buffer of the connection: so that is kept short. */
bool proxy_window_open(const struct ranq_proxy *proxy)
{
	return proxy->conn && (ranq_conn_unsent(proxy->conn) < PROXY_ITEM_BYTES || proxy->hurry || proxy->life_ms > 0);
}

bool proxy_outbox_sent(const struct proxy_queue *pq)
{
	const struct proxy_call *last = TAILQ_LAST(&pq->outbox, proxy_calls);

	return !last || last->sent;
}

void proxy_outbox_send(struct proxy_queue *pq, bool all)
{
	struct proxy_call *call;

	if (proxy_outbox_sent(pq))
		return;
	TAILQ_FOREACH(call, &pq->outbox, next)
	{
		if (call->sent)
			continue;
		if (all || proxy_window_open(pq->proxy))
			call_send(call);
		if (!call->sent)
			return;
	}
}

static void call_go(struct proxy_call *call)
{
	TAILQ_INSERT_TAIL(&call->pq->outbox, call, next);
	call->pq->outbox_bytes += call->bytes;
	proxy_outbox_send(call->pq, false);
}

/* ---- release ---- */

void proxy_outbox_release(struct proxy_queue *pq, const struct ranq_fragment *parts, size_t n)
{
	while (n > 0) {
		struct proxy_call *call = call_create(pq, PROXY_RELEASE);

		if (call)
			call->fragments =
				calloc(n < RANQ_CALL_ITEMS_MAX ? n : RANQ_CALL_ITEMS_MAX, sizeof *call->fragments);
		if (!call || !call->fragments) {
			free(call);
			pq->resync_again = true;
			return;
		}
		for (; n > 0 && call->n < RANQ_CALL_ITEMS_MAX; parts++, n--) {
			struct ranq_fragment part = *parts;

			if (ranq_held_take(pq->held, part.job, part.seq, part.start, part.end, &part.at) == 0)
				call->fragments[call->n++] = part;
		}
		if (call->n > 0)
			call_go(call);
		else
			call_destroy(call);
	}
}

void proxy_outbox_release_one(
	struct proxy_queue *pq, uint64_t job, uint64_t seq, uint64_t start, uint64_t end, enum ranq_release_kind kind)
{
	struct ranq_fragment part = {.job = job, .seq = seq, .start = start, .end = end, .kind = kind};

	proxy_outbox_release(pq, &part, 1);
}

/* ---- commit ---- */

static int by_place(const void *pa, const void *pb)
{
	const struct proxy_item *a = *(const struct proxy_item *const *)pa, *b = *(const struct proxy_item *const *)pb;

	if (a->job != b->job)
		return a->job < b->job ? -1 : 1;
	return a->start < b->start ? -1 : a->start > b->start;
}

/* Joins neighbours of one grant, so that one item stands for many chunks. */
static size_t merge(struct proxy_item **items, size_t n)
{
	size_t kept = 0;

	qsort(items, n, sizeof *items, by_place);
	for (size_t i = 0; i < n; i++) {
		struct proxy_item *last = kept ? items[kept - 1] : NULL;

		if (last && last->job == items[i]->job && last->grant == items[i]->grant &&
			last->end == items[i]->start && last->segment.len + items[i]->segment.len <= PROXY_ITEM_BYTES &&
			last->nfailures + items[i]->nfailures <= RANQ_CALL_ITEMS_MAX &&
			last->nsplits + items[i]->nsplits <= RANQ_CALL_ITEMS_MAX && proxy_item_join(last, items[i]) == 0)
			proxy_item_destroy(items[i]);
		else
			items[kept++] = items[i];
	}
	return kept;
}

/* Takes the oldest pending items: more than a call's worth, as thousands of ranks end tasks in another order than they
 * began them, and what is merged is one item. */
static size_t collect(struct proxy_queue *pq, struct proxy_item **items)
{
	size_t n = 0, bytes = 0;
	struct proxy_item *item;

	while (n < COLLECT_MAX && bytes < COLLECT_BYTES && (item = TAILQ_FIRST(&pq->pending))) {
		bytes += item->segment.len;
		pending_remove(pq, item);
		items[n++] = item;
	}
	return n;
}

/* Puts the islands among n items, a few tasks each, back to wait for what lies between them: an item costs the server
 * as much as a hundred tasks in it. Each only once. Returns how many items remain. */
static size_t keep_islands(struct proxy_queue *pq, struct proxy_item **items, size_t n)
{
	uint64_t tasks = 0;
	size_t left = 0;

	for (size_t i = 0; i < n; i++)
		tasks += items[i]->end - items[i]->start;
	for (size_t i = 0; i < n; i++) {
		struct proxy_item *item = items[i];

		if (item->kept || item->segment.len > ISLAND_BYTES || (item->end - item->start) * ISLAND >= tasks) {
			items[left++] = item;
			continue;
		}
		item->kept = true;
		proxy_outbox_put(pq, item, pq->proxy->now_ms + PROXY_HOLD_MS + proxy_slack_ms(pq, NULL));
	}
	return left;
}

static bool fits(const struct proxy_call *call, size_t bytes, size_t failures, const struct proxy_item *item)
{
	return call->n == 0 || (call->n < RANQ_CALL_ITEMS_MAX && bytes + item->segment.len <= PROXY_ITEM_BYTES &&
				       failures + item->nfailures <= RANQ_CALL_ITEMS_MAX);
}

/* Makes a call of the first items, as many as fit; returns how many. */
static size_t commit_first(struct proxy_queue *pq, struct proxy_item **items, size_t n)
{
	struct proxy_call *call = call_create(pq, PROXY_COMMIT);
	size_t i, bytes = 0, failures = 0;

	if (!call) { /* they are ours still, and the resync gives them back to be computed again */
		for (i = 0; i < n; i++)
			proxy_item_destroy(items[i]);
		pq->resync_again = true;
		return n;
	}
	for (i = 0; i < n && fits(call, bytes, failures, items[i]); i++) {
		struct proxy_item *item = items[i];

		if (ranq_held_take(pq->held, item->job, item->seq, item->start, item->end, &item->at) != 0) {
			proxy_item_destroy(item); /* fenced meanwhile */
			continue;
		}
		TAILQ_INSERT_TAIL(&call->items, item, next);
		bytes += item->segment.len;
		failures += item->nfailures;
		call->bytes += proxy_item_bytes(item);
		call->n++;
	}
	if (call->n > 0)
		call_go(call);
	else
		call_destroy(call);
	return i;
}

/* False: that was all. */
static bool commit_some(struct proxy_queue *pq, bool hurry)
{
	static struct proxy_item *items[COLLECT_MAX];
	size_t n = merge(items, collect(pq, items));
	bool more = !TAILQ_EMPTY(&pq->pending);

	if (!hurry)
		n = keep_islands(pq, items, n);
	n = proxy_merge_items(pq, items, n);
	for (size_t i = 0; i < n;)
		i += commit_first(pq, items + i, n - i);
	return more;
}

static void flush(struct proxy_queue *pq, bool all, bool hurry)
{
	const struct proxy_item *item;

	proxy_merge_tick(pq);
	while (pq->state == PROXY_IN && proxy_outbox_sent(pq) && !TAILQ_EMPTY(&pq->pending) &&
		(all || pq->pending_bytes >= PROXY_ITEM_BYTES) &&
		(all ? pq->commits_asked < 4 * PROXY_CALLS_MAX : pq->commits_asked < PROXY_CALLS_MAX))
		if (!commit_some(pq, hurry))
			break;
	pq->pending_ms = RANQ_NEVER;
	TAILQ_FOREACH(item, &pq->pending, next)
	pq->pending_ms = proxy_min(pq->pending_ms, item->due_ms);
}

void proxy_outbox_flush(struct proxy_queue *pq, bool all)
{
	flush(pq, all, all || pq->pending_waited || pq->proxy->running == 0);
}

/* A client waits for some of the pending results, or nothing else is under way that could fill the batch. */
static bool urgent(const struct proxy_queue *pq)
{
	return pq->commits_asked == 0 && (pq->pending_waited || pq->proxy->running == 0);
}

static int64_t flush_due(const struct proxy_queue *pq)
{
	return urgent(pq) ? proxy_min(pq->pending_ms, pq->committed_ms + proxy_crowd_ms(pq)) : pq->pending_ms;
}

void proxy_outbox_tick(struct proxy_queue *pq)
{
	proxy_outbox_send(pq, false);
	proxy_merge_tick(pq);
	if (!TAILQ_EMPTY(&pq->pending) && pq->proxy->now_ms >= flush_due(pq))
		flush(pq, true, pq->pending_waited || pq->proxy->running == 0);
}

void proxy_outbox_along(struct proxy_queue *pq)
{
	int64_t early_ms = (PROXY_HOLD_MS + proxy_slack_ms(pq, NULL)) / 2;

	if (!TAILQ_EMPTY(&pq->pending) && pq->pending_ms - pq->proxy->now_ms < early_ms)
		flush(pq, true, pq->pending_waited || pq->proxy->running == 0);
}

int64_t proxy_outbox_due(const struct proxy_queue *pq)
{
	/* what waits for the network to take more is sent when it can be written to */
	if (TAILQ_EMPTY(&pq->pending) || pq->state != PROXY_IN || pq->commits_asked >= PROXY_CALLS_MAX ||
		!proxy_outbox_sent(pq))
		return proxy_merge_due(pq);
	return proxy_min(flush_due(pq), proxy_merge_due(pq));
}

/* ---- dropping ---- */

void proxy_outbox_drop_job(struct proxy_queue *pq, uint64_t job)
{
	struct proxy_item *item, *next;

	proxy_merge_drop(pq, job);
	for (item = TAILQ_FIRST(&pq->pending); item; item = next) {
		next = TAILQ_NEXT(item, next);
		if (item->job != job)
			continue;
		pending_remove(pq, item);
		proxy_item_destroy(item);
	}
}

void proxy_outbox_drop(struct proxy_queue *pq)
{
	struct proxy_call *call;
	struct proxy_item *item;

	proxy_merge_drop(pq, 0);
	while ((item = TAILQ_FIRST(&pq->pending))) {
		pending_remove(pq, item);
		proxy_item_destroy(item);
	}
	while ((call = TAILQ_FIRST(&pq->outbox))) {
		TAILQ_REMOVE(&pq->outbox, call, next);
		call->dead = true;
		if (!call->sent)
			call_destroy(call);
	}
	pq->outbox_bytes = 0;
}

bool proxy_outbox_empty(const struct proxy_queue *pq)
{
	return TAILQ_EMPTY(&pq->pending) && TAILQ_EMPTY(&pq->merging) && TAILQ_EMPTY(&pq->outbox);
}

size_t proxy_outbox_bytes(const struct ranq_proxy *proxy)
{
	size_t bytes = 0;

	for (size_t i = 0; i < proxy->options.nqueues; i++)
		bytes += proxy->queues[i].pending_bytes + proxy->queues[i].outbox_bytes;
	return bytes;
}

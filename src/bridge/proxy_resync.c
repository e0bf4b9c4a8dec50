/* proxy_resync.c - the server and the mirror say the same again: once after each reconnect, once a heartbeat later, and
 * whenever the mirror may have lost something. Why and when: proxy_conn.c. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>
#include <string.h>

#define LAST_PAGE 1 /* proxy_request.b */

/* A job of which nothing is held may be another one by now: a server that was rolled back gives a number twice. */
static void forget_unheld(struct proxy_queue *pq)
{
	struct proxy_job *job, *next;

	for (job = TAILQ_FIRST(&pq->proxy->jobs); job; job = next) {
		next = TAILQ_NEXT(job, next);
		if (job->pq == pq && !ranq_held_job(pq->held, job->id))
			proxy_job_drop(job, true);
	}
}

static void resynced(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct proxy_queue *pq = request->pq;
	static size_t gone[RANQ_CALL_ITEMS_MAX];
	struct ranq_err err;
	size_t n;

	if (!reply || request->epoch != pq->epoch)
		return;
	if (ranq_queue_resync_parse(reply, &n, gone, &err) != 0) {
		proxy_refused(request, &err);
		return;
	}
	proxy_renewed(request);
	for (size_t i = 0; i < n; i++) {
		if (gone[i] >= request->a)
			continue;
		const struct ranq_fragment *f = &request->list[gone[i]];

		ranq_held_drop_range(pq->held, f->job, f->seq, f->start, f->end);
		proxy_pieces_drop(pq, f);
	}
	if (pq->state == PROXY_SYNCING && request->b == LAST_PAGE) {
		forget_unheld(pq);
		pq->state = PROXY_IN;
	}
}

static int send_page(struct proxy_queue *pq, const struct ranq_fragment *list, const struct ranq_resync_page *page)
{
	struct ranq_fragment *parts = calloc(page->n ? page->n : 1, sizeof *parts);
	struct proxy_request *request = NULL;
	struct ranq_cmd cmd;

	if (!parts)
		return -1;
	memcpy(parts, list + page->first, page->n * sizeof *parts);
	ranq_cmd_init(&cmd);
	if (ranq_queue_resync_cmd(&pq->q, &cmd, pq->proxy->id, list, page) == 0)
		request = proxy_request(pq, &cmd, resynced);
	ranq_cmd_clear(&cmd);
	if (!request) {
		free(parts);
		return -1;
	}
	request->list = parts;
	request->a = page->n;
	request->b = page->last ? LAST_PAGE : 0;
	return 0;
}

/* All pages are of one moment of the mirror and are sent in one go. The connection's calls are carried out in their
 * order, so no commit, release or lease of ours comes between two of them, and together they say what one call would
 * say if it could be so large. What else may come between changes nothing in that: a late call of the old connection is
 * found by the second resync, as it is behind a single page, and once we are cleaned up the rest gets GONE. Lost
 * half-way, or out of memory, all of it is sent again: each page is true by itself, as long as its parts are ours. */
void proxy_queue_resync(struct proxy_queue *pq)
{
	size_t n = ranq_held_count(pq->held);
	struct ranq_fragment *list = calloc(n ? n : 1, sizeof *list);
	struct ranq_resync_page page = {0};
	int rc = 0;

	if (!list)
		return;
	ranq_held_list(pq->held, list);
	ranq_held_sort(list, n);
	while (rc == 0 && ranq_held_page(list, n, RANQ_CALL_ITEMS_MAX, &page))
		rc = send_page(pq, list, &page);
	free(list);
	if (rc != 0)
		return;
	pq->resync_again = pq->state == PROXY_SYNCING;
	pq->resync_asked = true;
}

void proxy_queue_sync(struct proxy_queue *pq)
{
	if (pq->state == PROXY_SYNCING && pq->proxy->conn && !pq->resync_asked && proxy_outbox_sent(pq))
		proxy_queue_resync(pq);
}

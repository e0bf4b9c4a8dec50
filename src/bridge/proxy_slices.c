/* proxy_slices.c - slices of results that are too large to travel whole (record/split.h), on their way to the queue.
 *
 * A lane offers a slice, is told to give it when there is room, and goes on when it is stored: so what stands here is
 * bounded, and the results that name a value come when all of it is in the queue. A slice is sent again until it has an
 * answer, over reconnects; the same slice twice is the same. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>
#include <string.h>

#include "bridge/fault.h"
#include "util/clock.h"

#define SLICES_MAX 8 /* here, or on their way here */
#define FULL_MS 500  /* the server has no memory: pause */

enum slice_state { OFFERED, WANTED, HERE };
struct proxy_slice {
	TAILQ_ENTRY(proxy_slice) next;
	enum slice_state state;
	int rank;
	unsigned slot;
	uint64_t number;
	/* HERE */
	bool sent;
	struct proxy_queue *pq;
	uint64_t job, task, slice;
	struct ranq_split split;
	unsigned char *data;
	size_t len;
};

static void slice_remove(struct ranq_proxy *proxy, struct proxy_slice *slice)
{
	TAILQ_REMOVE(&proxy->slices, slice, next);
	free(slice->data);
	free(slice);
}

static void tell(struct ranq_proxy *proxy, const struct proxy_slice *slice, enum ranq_message_type type)
{
	struct ranq_buf buf;

	if (!proxy_reachable(proxy, slice->rank))
		return;
	ranq_buf_init(&buf, 0);
	ranq_message_number_encode(&buf, type, slice->slot);
	proxy_send(proxy, slice->rank, &buf);
}

/* What the lane offered, or was asked for; NULL: nothing. */
static struct proxy_slice *slice_of(struct ranq_proxy *proxy, int rank, uint64_t slot)
{
	struct proxy_slice *slice;

	TAILQ_FOREACH(slice, &proxy->slices, next)
	if (slice->state != HERE && slice->rank == rank && slice->slot == slot)
		return slice;
	return NULL;
}

static struct proxy_slice *slice_create(struct ranq_proxy *proxy, int rank, uint64_t slot)
{
	struct proxy_slice *slice = calloc(1, sizeof *slice);

	if (!slice)
		return NULL;
	slice->rank = rank;
	slice->slot = (unsigned)slot;
	slice->number = ++proxy->next_slice;
	TAILQ_INSERT_TAIL(&proxy->slices, slice, next);
	return slice;
}

int proxy_slice_offered(struct ranq_proxy *proxy, int rank, uint64_t slot, struct ranq_err *err)
{
	if (slot >= proxy->workers[rank].nlanes)
		return ranq_err_set(err, RANQ_ERR_REPLY, "a slice of a lane that does not exist");
	if (!slice_of(proxy, rank, slot) && !slice_create(proxy, rank, slot))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	return 0;
}

static struct proxy_job *job_of(struct ranq_proxy *proxy, uint64_t key)
{
	struct proxy_job *job;

	TAILQ_FOREACH(job, &proxy->jobs, next)
	if (job->key == key)
		return job;
	return NULL;
}

/* One of nothing stands for a job that was dropped meanwhile. */
int proxy_slice_here(struct ranq_proxy *proxy, int rank, const struct ranq_message_slice *m, struct ranq_err *err)
{
	struct proxy_slice *slice = slice_of(proxy, rank, m->slot);
	struct proxy_job *job = m->split.size ? job_of(proxy, m->key) : NULL;

	if (m->slot >= proxy->workers[rank].nlanes)
		return ranq_err_set(err, RANQ_ERR_REPLY, "a slice of a lane that does not exist");
	if (!slice && !(slice = slice_create(proxy, rank, m->slot)))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (!job) {
		if (m->split.size)
			tell(proxy, slice, RANQ_MESSAGE_STORED);
		slice_remove(proxy, slice);
		return 0;
	}
	slice->data = malloc(m->bytes.len);
	if (!slice->data)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	memcpy(slice->data, m->bytes.data, m->bytes.len);
	slice->len = m->bytes.len;
	slice->state = HERE;
	slice->pq = job->pq;
	slice->job = job->id;
	slice->task = m->task;
	slice->slice = m->slice;
	slice->split = m->split;
	return 0;
}

static void stored(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct ranq_proxy *proxy = request->proxy;
	struct proxy_slice *slice;
	struct ranq_err err;

	TAILQ_FOREACH(slice, &proxy->slices, next)
	if (slice->number == request->key)
		break;
	if (!slice)
		return;
	slice->sent = false;
	if (!reply)
		return;
	if (ranq_queue_slice_put_parse(reply, &err) != 0 && !proxy_refused_alone(&err)) {
		proxy->slices_ms = ranq_clock_ms() + FULL_MS;
		if (err.code != RANQ_ERR_FULL)
			proxy_refused(request, &err);
		return;
	}
	tell(proxy, slice, RANQ_MESSAGE_STORED); /* also when the job is over: it will hear so */
	slice_remove(proxy, slice);
}

static void slice_send(struct proxy_slice *slice)
{
	struct proxy_queue *pq = slice->pq;
	struct proxy_request *request = NULL;
	char name[RANQ_SPLIT_NAME_LEN + 1];
	struct ranq_cmd cmd;

	ranq_split_name(&slice->split, name);
	ranq_cmd_init(&cmd);
	if (ranq_queue_slice_put_cmd(&pq->q, &cmd, slice->job, slice->task, name, slice->slice, slice->split.size,
		    slice->data, slice->len) == 0)
		request = proxy_request(pq, &cmd, stored);
	ranq_cmd_clear(&cmd);
	if (!request)
		return;
	request->key = slice->number;
	slice->sent = true;
	ranq_fault_kill("sliced");
}

void proxy_slices_pump(struct ranq_proxy *proxy)
{
	struct proxy_slice *slice;
	unsigned busy = 0;

	TAILQ_FOREACH(slice, &proxy->slices, next)
	busy += slice->state != OFFERED;
	TAILQ_FOREACH(slice, &proxy->slices, next)
	{
		if (slice->state == OFFERED && busy < SLICES_MAX && !proxy->workers[slice->rank].lost) {
			slice->state = WANTED;
			busy++;
			tell(proxy, slice, RANQ_MESSAGE_GIVE);
		} else if (slice->state == HERE && !slice->sent && slice->pq->state == PROXY_IN &&
			   proxy->now_ms >= proxy->slices_ms && proxy_window_open(proxy)) {
			slice_send(slice);
		}
	}
}

int64_t proxy_slices_due(const struct ranq_proxy *proxy)
{
	return !TAILQ_EMPTY(&proxy->slices) && proxy->slices_ms > proxy->now_ms ? proxy->slices_ms : RANQ_NEVER;
}

/* What it was asked for may never come; what it offered it offers still, should it come back. */
void proxy_slices_lost(struct ranq_proxy *proxy, int rank)
{
	struct proxy_slice *slice, *next;

	for (slice = TAILQ_FIRST(&proxy->slices); slice; slice = next) {
		next = TAILQ_NEXT(slice, next);
		if (slice->rank == rank && slice->state == WANTED)
			slice_remove(proxy, slice);
	}
}

void proxy_slices_clear(struct ranq_proxy *proxy)
{
	while (!TAILQ_EMPTY(&proxy->slices))
		slice_remove(proxy, TAILQ_FIRST(&proxy->slices));
}

/* proxy.c - see proxy.h: life and clock of the proxy, messages of the workers. */
#include "bridge/proxy_impl.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

#define LONGEST_WAIT_MS 60000

void proxy_log(const struct ranq_proxy *proxy, const char *format, ...)
{
	char text[700], stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	localtime_r(&now, &tm);
	strftime(stamp, sizeof stamp, "%H:%M:%S", &tm);
	fprintf(stderr, "%s ranq-bridge %.8s %s: %s\n", stamp, proxy->id, proxy->options.facts[0].host, text);
}

void proxy_send(struct ranq_proxy *proxy, int rank, struct ranq_buf *message)
{
	struct ranq_err err;

	if (ranq_link_send(proxy->options.link, rank, message, &err) != 0)
		proxy_log(proxy, "%s", err.text);
}

bool proxy_computes(const struct ranq_proxy *proxy, int rank)
{
	return (rank > 0 || proxy->options.computes) && !proxy->workers[rank].lost;
}

bool proxy_reachable(const struct ranq_proxy *proxy, int rank)
{
	const struct proxy_worker *worker = &proxy->workers[rank];

	return (rank > 0 || proxy->options.computes) && !worker->broken && !worker->goodbye;
}

/* ---- messages ---- */

static int hello(struct ranq_proxy *proxy, int rank, struct ranq_reader *body, struct ranq_err *err)
{
	struct proxy_worker *worker = &proxy->workers[rank];
	struct ranq_message_hello m;

	if (ranq_message_hello_decode(body, &m, err) != 0)
		return -1;
	if (worker->hello)
		return 0;
	worker->lanes = calloc(m.slots, sizeof *worker->lanes);
	if (!worker->lanes)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	for (unsigned s = 0; s < m.slots; s++) {
		worker->lanes[s].rank = rank;
		worker->lanes[s].slot = s;
		TAILQ_INIT(&worker->lanes[s].chunks);
		proxy_lane_join(proxy, &worker->lanes[s]);
	}
	worker->nlanes = (unsigned)m.slots;
	worker->hello = true;
	worker->pid = (int64_t)m.pid;
	return 0;
}

static int results(struct ranq_proxy *proxy, int rank, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_results m;

	if (ranq_message_results_decode(body, &m, err) != 0)
		return -1;
	proxy_work_results(proxy, rank, &m);
	ranq_message_results_clear(&m);
	return 0;
}

static int shortened(struct ranq_proxy *proxy, int rank, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_truncate m;

	if (ranq_message_truncate_decode(body, &m, err) != 0)
		return -1;
	proxy_work_shortened(proxy, rank, &m);
	return 0;
}

static int slice(struct ranq_proxy *proxy, int rank, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_slice m;

	return ranq_message_slice_decode(body, &m, err) == 0 ? proxy_slice_here(proxy, rank, &m, err) : -1;
}

static int notice(struct ranq_proxy *proxy, int rank, struct ranq_reader *body, struct ranq_err *err)
{
	struct ranq_message_notice m;

	if (ranq_message_notice_decode(body, &m, err) != 0)
		return -1;
	if (m.kind == RANQ_NOTICE_BROKEN) {
		proxy->workers[rank].broken = true;
		proxy_worker_lost(proxy, rank, "it cannot start executors");
	} else if (m.kind == RANQ_NOTICE_MISSING) {
		proxy_blob_missing(proxy, m.value, rank);
	} else if (m.kind == RANQ_NOTICE_SLICE) {
		return proxy_slice_offered(proxy, rank, m.value, err);
	} else if (proxy->phase == PROXY_RUN && m.value <= 64) {
		proxy_signal(proxy, (int)m.value, false); /* the same one came here, or will */
	}
	return 0;
}

int ranq_proxy_message(
	struct ranq_proxy *proxy, int src, enum ranq_message_type type, struct ranq_reader *body, struct ranq_err *err)
{
	struct proxy_worker *worker;
	uint64_t number;

	if (src < 0 || src >= proxy->options.link->size || (src == 0 && !proxy->options.computes))
		return ranq_err_set(err, RANQ_ERR_REPLY, "a message from rank %d, which does not compute", src);
	worker = &proxy->workers[src];
	proxy->now_ms = worker->heard_ms = ranq_clock_ms();
	if (worker->offered && type == RANQ_MESSAGE_NOTICE)
		return 0; /* the scheduler ends it: none of our business */
	if (worker->lost && !worker->broken && !worker->offered && type != RANQ_MESSAGE_GOODBYE)
		proxy_worker_back(proxy, src);
	switch (type) {
	case RANQ_MESSAGE_HELLO:
		return hello(proxy, src, body, err);
	case RANQ_MESSAGE_RESULTS:
		return results(proxy, src, body, err);
	case RANQ_MESSAGE_SHORTENED:
		return shortened(proxy, src, body, err);
	case RANQ_MESSAGE_SLICE:
		return slice(proxy, src, body, err);
	case RANQ_MESSAGE_NOTICE:
		return notice(proxy, src, body, err);
	case RANQ_MESSAGE_PONG:
	case RANQ_MESSAGE_GOODBYE:
		if (ranq_message_number_decode(body, &number, err) != 0)
			return -1;
		if (type == RANQ_MESSAGE_PONG)
			worker->pong = number;
		else
			proxy_worker_left(proxy, src);
		return 0;
	default:
		return ranq_err_set(
			err, RANQ_ERR_REPLY, "a message '%s' is not for the proxy", ranq_message_name(type));
	}
}

/* ---- clock ---- */

/* Tasks turned out to be longer than thought: what would take this bridge many seconds is for others. */
static void give_back_surplus(struct ranq_proxy *proxy)
{
	struct proxy_job *job;

	TAILQ_FOREACH(job, &proxy->jobs, next)
	{
		struct ranq_leasing leasing = {.unstarted = job->unstarted,
			.lanes = proxy->lanes,
			.idle = proxy->idle_lanes,
			.crowd_s = (double)proxy_slack_ms(job->pq, job) / 1e3};
		uint64_t surplus;

		if (job->unstarted == 0)
			continue;
		leasing.task_ns = proxy_job_task_ns(job);
		leasing.stale = proxy->now_ms - job->granted_ms >= PROXY_STALE_MS + proxy_slack_ms(job->pq, job);
		leasing.cap = job->spec.chunk;
		surplus = ranq_leasing_surplus(&leasing);
		if (surplus > 0)
			proxy_pieces_release(job->pq, job, job->unstarted - surplus);
	}
}

void ranq_proxy_tick(struct ranq_proxy *proxy)
{
	uint64_t heard;

	proxy->now_ms = ranq_clock_ms();
	proxy_conn_tick(proxy);
	heard = proxy->heard;
	for (size_t i = 0; i < proxy->options.nqueues; i++)
		proxy_queue_tick(&proxy->queues[i]);
	proxy_blobs_ask(proxy);
	proxy_blobs_pump(proxy);
	proxy_slices_pump(proxy);
	proxy_jobs_tick(proxy);
	proxy_dispatch(proxy);
	ranq_link_flush(proxy->options.link); /* workers begin while we go on */
	proxy_give_back_late(proxy);
	proxy_steal(proxy);
	if (proxy->phase == PROXY_RUN)
		give_back_surplus(proxy);
	for (size_t i = 0; i < proxy->options.nqueues; i++)
		proxy_outbox_tick(&proxy->queues[i]); /* somebody may wait for results: they go before the lease */
	proxy_lease(proxy);
	proxy_end_tick(proxy);
	proxy->last_tick_ms = proxy->now_ms;
	proxy_bell_wait(proxy);
	proxy_standing_send(proxy);
	proxy_conn_tick(proxy); /* what was asked goes out now */
	proxy->again = proxy->heard != heard;
}

int64_t ranq_proxy_prepare(struct ranq_proxy *proxy)
{
	int64_t due = proxy->now_ms + LONGEST_WAIT_MS;

	due = proxy_min(due, proxy_conn_prepare(proxy));
	if (proxy->again)
		return proxy->now_ms;
	due = proxy_min(due, proxy_jobs_due(proxy));
	due = proxy_min(due, proxy_work_due(proxy));
	due = proxy_min(due, proxy_steal_due(proxy));
	due = proxy_min(due, proxy_slices_due(proxy));
	due = proxy_min(due, proxy_end_due(proxy));
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		due = proxy_min(due, proxy_queue_due(&proxy->queues[i]));
		due = proxy_min(due, proxy_outbox_due(&proxy->queues[i]));
	}
	return due;
}

bool ranq_proxy_done(const struct ranq_proxy *proxy, int *status)
{
	*status = proxy->status;
	return proxy->phase == PROXY_DONE;
}

/* ---- life ---- */

static int queue_init(struct ranq_proxy *proxy, size_t index, struct ranq_err *err)
{
	struct proxy_queue *pq = &proxy->queues[index];

	pq->proxy = proxy;
	pq->index = index;
	TAILQ_INIT(&pq->pending);
	TAILQ_INIT(&pq->merging);
	TAILQ_INIT(&pq->outbox);
	if (ranq_queue_init(&pq->q, proxy->options.queues[index], err) != 0)
		return -1;
	if (getenv("RANQ_FORCE_EVALSHA"))
		pq->q.mode = RANQ_CALL_EVALSHA;
	pq->held = ranq_held_create();
	proxy->bells[index] = &pq->q;
	return pq->held ? 0 : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
}

static void set_user(struct ranq_proxy *proxy)
{
	const struct passwd *pw = getpwuid(geteuid());

	if (pw)
		snprintf(proxy->user, sizeof proxy->user, "%.63s", pw->pw_name);
	else
		snprintf(proxy->user, sizeof proxy->user, "%lu", (unsigned long)geteuid());
	snprintf(proxy->version, sizeof proxy->version, "%.15s", RANQ_VERSION);
}

static struct ranq_proxy *proxy_alloc(const struct ranq_proxy_options *options)
{
	struct ranq_proxy *proxy = calloc(1, sizeof *proxy);
	size_t n = options->nqueues;

	if (!proxy)
		return NULL;
	proxy->options = *options;
	TAILQ_INIT(&proxy->requests);
	TAILQ_INIT(&proxy->jobs);
	TAILQ_INIT(&proxy->pieces);
	TAILQ_INIT(&proxy->blobs);
	TAILQ_INIT(&proxy->transfers);
	TAILQ_INIT(&proxy->slices);
	TAILQ_INIT(&proxy->free[0]);
	TAILQ_INIT(&proxy->free[1]);
	proxy->ranks = (unsigned)options->link->size - (options->computes ? 0 : 1);
	proxy->queues = calloc(n, sizeof *proxy->queues);
	proxy->bells = calloc(n, sizeof *proxy->bells);
	proxy->workers = calloc((size_t)options->link->size, sizeof *proxy->workers);
	if (proxy->queues && proxy->bells && proxy->workers && proxy_give_init(proxy))
		return proxy;
	free(proxy->queues);
	free(proxy->bells);
	free(proxy->workers);
	free(proxy->node_used_ms);
	free(proxy);
	return NULL;
}

struct ranq_proxy *ranq_proxy_create(const struct ranq_proxy_options *options, struct ranq_err *err)
{
	struct ranq_proxy *proxy = proxy_alloc(options);

	if (!proxy) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	ranq_id_new(proxy->id);
	set_user(proxy);
	proxy->random = (unsigned)getpid() ^ (unsigned)ranq_clock_ns();
	proxy->lease_ms = options->lease_ms ? options->lease_ms : RANQ_LEASE_MS_DEFAULT;
	proxy->now_ms = proxy->last_tick_ms = proxy->idle_since_ms = ranq_clock_ms();
	for (size_t i = 0; i < options->nqueues; i++)
		if (queue_init(proxy, i, err) != 0)
			goto failed;
	if (proxy_connect(proxy, true, err) != 0)
		goto failed;
	for (int r = 0; r < options->link->size; r++)
		proxy->workers[r].heard_ms = ranq_clock_ms();
	return proxy;
failed:
	ranq_proxy_destroy(proxy);
	return NULL;
}

void ranq_proxy_destroy(struct ranq_proxy *proxy)
{
	int saved = errno;

	if (!proxy)
		return;
	proxy_conn_close(proxy);
	for (int r = 0; r < proxy->options.link->size; r++)
		for (unsigned s = 0; s < proxy->workers[r].nlanes; s++)
			while (!TAILQ_EMPTY(&proxy->workers[r].lanes[s].chunks))
				proxy_chunk_end(proxy, &proxy->workers[r].lanes[s],
					TAILQ_FIRST(&proxy->workers[r].lanes[s].chunks));
	for (int r = 0; r < proxy->options.link->size; r++) { /* only now: lanes stand in lists with those of others */
		proxy->workers[r].lost = proxy->workers[r].broken = true; /* no more messages */
		free(proxy->workers[r].lanes);
		proxy->workers[r].nlanes = 0;
	}
	while (!TAILQ_EMPTY(&proxy->jobs))
		proxy_job_drop(TAILQ_FIRST(&proxy->jobs), false);
	proxy_blobs_trim(proxy, 0);
	proxy_slices_clear(proxy);
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		if (!proxy->queues[i].proxy)
			break;
		proxy_outbox_drop(&proxy->queues[i]);
		ranq_held_destroy(proxy->queues[i].held);
	}
	free(proxy->queues);
	free(proxy->bells);
	free(proxy->workers);
	free(proxy->node_used_ms);
	free(proxy);
	errno = saved;
}

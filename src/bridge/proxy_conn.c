/* proxy_conn.c - the two connections to the server: one for calls, one that waits for the bell.
 *
 * After every loss: open, attach, send the outbox again in its order, and, when all of it is on its way (a little at a
 * time, proxy_outbox.c), resync with the mirror as it will stand
 * after those calls (proxy_outbox.c: the mirror is ahead of the server by exactly the calls in the outbox). A call that
 * was executed before the loss finds its part gone and is refused, which is the same as done; one that was not is
 * executed now. A lease whose reply was lost is not in the mirror: resync gives it back. A call of the old connection
 * may still stand in the server's socket and run after all that: commits and releases are harmless then, a lease has a
 * number below the next one's and is refused once that one came, and what it may have granted before is found by a
 * second resync one heartbeat later.
 *
 * Opening is synchronous but bounded (OPEN_MS): workers need nothing from rank 0 for so long. */
#include "bridge/proxy_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/fault.h"
#include "util/clock.h"

#define OPEN_MS 1000
#define OPEN_FIRST_MS 5000
#define BACKOFF_MS 50
#define SETTLED_MS 5000 /* a connection that lasted so long was a good one: the next back-off begins anew */
#define BELL_S 40.0

static int64_t call_limit_ms(const struct ranq_proxy *proxy)
{
	return proxy->lease_ms / 3 > 1000 ? proxy->lease_ms / 3 : 1000;
}

void proxy_conn_fail(struct ranq_proxy *proxy, const char *format, ...)
{
	va_list args;

	if (proxy->conn_bad || !proxy->conn)
		return;
	proxy->conn_bad = true;
	va_start(args, format);
	vsnprintf(proxy->conn_why, sizeof proxy->conn_why, format, args);
	va_end(args);
}

/* ---- requests ---- */

static void on_reply(const struct ranq_reply *reply, void *arg)
{
	struct proxy_request *request = arg;
	struct ranq_proxy *proxy = request->proxy;

	if (request->sending) { /* the connection died of it: the sender hears of it as its result */
		request->refused = true;
		return;
	}
	TAILQ_REMOVE(&proxy->requests, request, next);
	proxy->heard++;
	if (reply && ranq_fault("drop_reply")) {
		proxy_conn_fail(proxy, "fault point 'drop_reply'");
		reply = NULL;
	}
	if (reply && ranq_queue_reply_is_noscript(reply)) {
		proxy_conn_fail(proxy, "the server has forgotten the functions of ranq");
		reply = NULL;
	}
	request->done(request, proxy->conn_bad ? NULL : reply);
	free(request->list);
	free(request);
}

struct proxy_request *proxy_request(struct proxy_queue *pq, struct ranq_cmd *cmd, proxy_done *done)
{
	struct ranq_proxy *proxy = pq->proxy;
	struct proxy_request *request;

	if (!proxy->conn || proxy->conn_bad || !ranq_conn_alive(proxy->conn))
		return NULL;
	request = calloc(1, sizeof *request);
	if (!request)
		return NULL;
	request->proxy = proxy;
	request->pq = pq;
	request->epoch = pq->epoch;
	request->sent_ms = ranq_clock_ms();
	request->done = done;
	TAILQ_INSERT_TAIL(&proxy->requests, request, next);
	request->sending = true;
	ranq_conn_send(proxy->conn, cmd, on_reply, request);
	request->sending = false;
	if (!request->refused)
		return request;
	TAILQ_REMOVE(&proxy->requests, request, next);
	free(request);
	return NULL;
}

void proxy_renewed(const struct proxy_request *request)
{
	struct proxy_queue *pq = request->pq;
	int64_t until = request->sent_ms + pq->q.lease_ms;

	if (request->epoch == pq->epoch && until > pq->fence_ms)
		pq->fence_ms = until;
	if (pq->proxy->down_ms > 0) { /* it does not only let us in, but serves */
		proxy_log(pq->proxy, "server is back after %lld ms", (long long)(ranq_clock_ms() - pq->proxy->down_ms));
		pq->proxy->down_ms = 0;
		pq->proxy->down_told = false;
	}
}

bool proxy_refused_alone(const struct ranq_err *err)
{
	return err->code == RANQ_ERR_NOTFOUND || err->code == RANQ_ERR_INPUT || err->code == RANQ_ERR_STATE;
}

void proxy_refused(struct proxy_request *request, const struct ranq_err *err)
{
	if (err->code == RANQ_ERR_GONE) {
		if (request->epoch == request->pq->epoch)
			proxy_queue_gone(request->pq);
	} else if (err->code == RANQ_ERR_SCHEMA) {
		proxy_fatal(request->proxy, ranq_err_status(err->code), "%s", err->text);
	} else {
		proxy_conn_fail(request->proxy, "%s", err->text);
	}
}

/* ---- open and lose ---- */

static void close_bell(struct ranq_proxy *proxy)
{
	ranq_watch_clear(&proxy->bell_watch);
	ranq_conn_close(proxy->bell);
	proxy->bell = NULL;
	proxy->bell_bad = proxy->bell_waits = false;
}

void proxy_conn_close(struct ranq_proxy *proxy)
{
	struct ranq_conn *conn = proxy->conn;

	ranq_watch_clear(&proxy->conn_watch);
	close_bell(proxy);
	proxy->conn = NULL; /* the callbacks that get NULL now must not send */
	ranq_conn_close(conn);
	proxy->conn_bad = false;
}

static void schedule(struct ranq_proxy *proxy)
{
	int64_t cap = proxy->lease_ms / 5 > BACKOFF_MS ? proxy->lease_ms / 5 : BACKOFF_MS;

	proxy->backoff_ms = proxy->backoff_ms == 0 ? BACKOFF_MS : proxy_min(proxy->backoff_ms * 2, cap);
	proxy->retry_ms = ranq_clock_ms() + proxy->backoff_ms / 2 +
			  (int64_t)(rand_r(&proxy->random) % (unsigned)(proxy->backoff_ms / 2 + 1));
}

static void lose(struct ranq_proxy *proxy)
{
	char why[sizeof proxy->conn_why];

	snprintf(why, sizeof why, "%s", proxy->conn_why);
	proxy_conn_close(proxy);
	if (ranq_clock_ms() - proxy->up_ms > SETTLED_MS)
		proxy->backoff_ms = 0;
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		struct proxy_queue *pq = &proxy->queues[i];

		if (pq->state == PROXY_IN || pq->state == PROXY_SYNCING)
			pq->state = PROXY_SYNCING;
		else if (pq->state != PROXY_LEFT)
			pq->state = PROXY_OUT;
		pq->lease_asked = pq->resync_asked = false;
	}
	if (proxy->down_ms == 0) {
		proxy->down_ms = ranq_clock_ms();
		proxy_log(proxy, "server lost: %s; going on with what is here", why);
	}
	schedule(proxy);
}

static int attach_all(struct ranq_proxy *proxy, int64_t deadline_ms, bool first, struct ranq_err *err)
{
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		struct proxy_queue *pq = &proxy->queues[i];

		if (ranq_queue_attach(&pq->q, proxy->conn, pq->q.mode, first ? proxy->options.lease_ms : 0, true,
			    deadline_ms, err) != 0)
			return ranq_err_wrap(err, "queue '%s'", pq->q.name);
		if (pq->q.lease_ms < RANQ_LEASE_MS_MIN)
			pq->q.lease_ms = proxy->options.lease_ms ? proxy->options.lease_ms : RANQ_LEASE_MS_DEFAULT;
		if (i == 0 || pq->q.lease_ms < proxy->lease_ms)
			proxy->lease_ms = pq->q.lease_ms;
	}
	return 0;
}

static void on_bell(const struct ranq_reply *reply, void *arg);

static void wait_for_bell(struct ranq_proxy *proxy)
{
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ranq_queue_bell_cmd(&cmd, proxy->bells, proxy->options.nqueues, proxy->id, BELL_S);
	proxy->bell_deadline_ms = ranq_clock_ms() + (int64_t)(BELL_S * 1000) + call_limit_ms(proxy);
	proxy->bell_waits = true;
	ranq_conn_send(proxy->bell, &cmd, on_bell, proxy);
	ranq_cmd_clear(&cmd);
}

static int open_bell(struct ranq_proxy *proxy, int64_t deadline_ms, struct ranq_err *err)
{
	proxy->bell = ranq_conn_open(proxy->options.addr, deadline_ms, err);
	if (!proxy->bell)
		return -1;
	wait_for_bell(proxy);
	return 0;
}

int proxy_connect(struct ranq_proxy *proxy, bool first, struct ranq_err *err)
{
	int64_t deadline_ms = ranq_clock_ms() + (first ? OPEN_FIRST_MS : OPEN_MS);

	if (!first && proxy->options.find_again)
		proxy->options.find_again(proxy->options.addr);
	proxy->conn = ranq_conn_open(proxy->options.addr, deadline_ms, err);
	if (!proxy->conn)
		return -1;
	if (attach_all(proxy, deadline_ms, first, err) != 0 || open_bell(proxy, deadline_ms, err) != 0) {
		proxy_conn_close(proxy);
		return -1;
	}
	proxy->up_ms = proxy->moved_ms = ranq_clock_ms();
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		struct proxy_queue *pq = &proxy->queues[i];

		if (pq->state == PROXY_OUT) {
			proxy_queue_join(pq);
		} else if (pq->state == PROXY_SYNCING) {
			proxy_outbox_send(pq, false);
			proxy_queue_sync(pq);
		}
		proxy_queue_look(pq); /* bells may have rung unheard */
	}
	return 0;
}

static void try_again(struct ranq_proxy *proxy)
{
	struct ranq_err err;

	if (proxy_connect(proxy, false, &err) == 0)
		return;
	schedule(proxy);
	if (err.code == RANQ_ERR_SCHEMA || err.code == RANQ_ERR_STATE)
		proxy_fatal(proxy, ranq_err_status(err.code), "%s", err.text);
	if (!proxy->down_told) {
		proxy_log(proxy, "%s; trying again", err.text);
		proxy->down_told = true;
	}
}

static void check_down(struct ranq_proxy *proxy)
{
	if (proxy->options.stop_on_server_lost && proxy->down_ms > 0 &&
		ranq_clock_ms() - proxy->down_ms > proxy->lease_ms)
		proxy_fatal(proxy, 3, "the server is away for longer than the lease, and --on-server-lost is 'stop'");
}

/* ---- bell ---- */

static void bell_text(struct proxy_queue *pq, struct ranq_bytes text)
{
	char word[64];
	unsigned long long job;

	snprintf(word, sizeof word, "%.*s", (int)(text.len < 60 ? text.len : 60), (const char *)text.data);
	if (strcmp(word, "drain") == 0)
		proxy_drain(pq->proxy, true, "ranq drain");
	else if (sscanf(word, "stop %llu", &job) == 1)
		proxy_job_stop(pq, job);
	else
		proxy_queue_look(pq);
	if (proxy_standing_rung(pq))
		pq->rung = false; /* what it asks for, we asked for */
}

static void on_bell(const struct ranq_reply *reply, void *arg)
{
	struct ranq_proxy *proxy = arg;
	struct ranq_bytes text = {"", 0};
	struct ranq_err err;
	int which = -1;

	proxy->heard++;
	proxy->bell_waits = false;
	if (!reply || ranq_queue_bell_parse(reply, proxy->bells, proxy->options.nqueues, &which, &text, &err) != 0) {
		proxy->bell_bad = true;
		return;
	}
	if (which >= 0 && (size_t)which < proxy->options.nqueues)
		bell_text(&proxy->queues[which], text);
}

void proxy_bell_wait(struct ranq_proxy *proxy)
{
	if (proxy->bell && !proxy->bell_bad && !proxy->bell_waits)
		wait_for_bell(proxy);
}

/* ---- loop ---- */

static void on_readable(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	proxy_conn_tick(arg);
}

static void pump(struct ranq_proxy *proxy)
{
	struct ranq_err err;

	if (proxy->conn && ranq_conn_pump(proxy->conn, &err) != 0)
		proxy_conn_fail(proxy, "%s", err.text);
	if (proxy->bell && ranq_conn_pump(proxy->bell, &err) != 0)
		proxy->bell_bad = true;
}

/* When to give the connection up. A slow network that moves anything at all is not a lost one. */
static int64_t answer_due_ms(const struct ranq_proxy *proxy)
{
	const struct proxy_request *oldest = TAILQ_FIRST(&proxy->requests);

	if (!oldest)
		return RANQ_NEVER;
	return (oldest->sent_ms > proxy->moved_ms ? oldest->sent_ms : proxy->moved_ms) + call_limit_ms(proxy);
}

static void check_limits(struct ranq_proxy *proxy)
{
	int64_t now = ranq_clock_ms();
	uint64_t moved = proxy->conn ? ranq_conn_moved(proxy->conn) : 0;

	if (moved != proxy->moved) {
		proxy->moved = moved;
		proxy->moved_ms = now;
	}
	if (now > answer_due_ms(proxy))
		proxy_conn_fail(
			proxy, "no answer for %lld ms", (long long)(now - answer_due_ms(proxy) + call_limit_ms(proxy)));
	if (proxy->bell && now > proxy->bell_deadline_ms)
		proxy->bell_bad = true;
}

void proxy_conn_tick(struct ranq_proxy *proxy)
{
	pump(proxy);
	check_limits(proxy);
	if (proxy->conn && (proxy->conn_bad || !ranq_conn_alive(proxy->conn))) {
		lose(proxy);
	} else if (proxy->conn && proxy->bell_bad) {
		/* the server closed only this one, or it is the first to notice: both are opened again */
		proxy_conn_fail(proxy, "the waiting connection was lost");
		lose(proxy);
	}
	if (!proxy->conn && proxy->phase != PROXY_DONE && ranq_clock_ms() >= proxy->retry_ms)
		try_again(proxy);
	check_down(proxy);
}

int64_t proxy_conn_prepare(struct ranq_proxy *proxy)
{
	int64_t due = answer_due_ms(proxy);

	if (!proxy->conn)
		return proxy->phase == PROXY_DONE ? RANQ_NEVER : proxy->retry_ms;
	if (due != RANQ_NEVER)
		due++;
	ranq_watch_set(&proxy->conn_watch, proxy->options.base, ranq_conn_fd(proxy->conn),
		ranq_conn_wants_write(proxy->conn), on_readable, proxy);
	if (proxy->bell) {
		ranq_watch_set(&proxy->bell_watch, proxy->options.base, ranq_conn_fd(proxy->bell),
			ranq_conn_wants_write(proxy->bell), on_readable, proxy);
		due = proxy_min(due, proxy->bell_deadline_ms + 1);
	}
	return due;
}

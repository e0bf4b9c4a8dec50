/* One connection: what was sent and waits for its reply stands in a ring in order of sending; every entry of it is
 * called exactly once, with the reply or, when the connection has died, with NULL. Bytes count from the first to the
 * last of the connection, so that a command of which the kernel never got the end is known not to have been executed.
 */
#include "store/conn.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "store/chain.h"
#include "store/login.h"
#include "store/resp.h"
#include "store/transport.h"
#include "util/clock.h"

#define READ_BYTES ((size_t)128 << 10)
#define PUMP_READ_MAX ((size_t)4 << 20) /* per pump; the loop has other guests */
#define UNSENT_MAX ((size_t)2000 << 20)
#define INFLIGHT_MAX ((size_t)1 << 22)
#define VECTOR_MAX 64

struct waiter {
	ranq_conn_cb *cb;
	void *arg;
};

struct ranq_conn {
	struct ranq_transport transport;
	struct ranq_chain out;
	struct ranq_resp resp;
	unsigned char *in;   /* READ_BYTES */
	struct waiter *ring; /* capacity a power of two */
	size_t ring_cap, first, waiting;
	uint64_t queued, sent, received; /* bytes ever */
	bool opening, dead;
	bool greeted;        /* at least one reply came */
	bool dispatching;    /* a callback is running */
	bool taken;          /* that callback keeps its reply */
	struct ranq_err why; /* of dead */
	struct ranq_server_facts facts;
	char name[256]; /* address, for messages */
};

/* ---- the ring ------------------------------------------------------------------------------------------------- */

static bool ring_grow(struct ranq_conn *conn)
{
	size_t cap = conn->ring_cap ? conn->ring_cap * 2 : 64;
	struct waiter *ring = calloc(cap, sizeof *ring);

	if (!ring)
		return false;
	for (size_t i = 0; i < conn->waiting; i++)
		ring[i] = conn->ring[(conn->first + i) & (conn->ring_cap - 1)];
	free(conn->ring);
	conn->ring = ring;
	conn->ring_cap = cap;
	conn->first = 0;
	return true;
}

static bool ring_push(struct ranq_conn *conn, ranq_conn_cb *cb, void *arg)
{
	if (conn->waiting == INFLIGHT_MAX || (conn->waiting == conn->ring_cap && !ring_grow(conn)))
		return false;
	conn->ring[(conn->first + conn->waiting++) & (conn->ring_cap - 1)] = (struct waiter){cb, arg};
	return true;
}

/* The entry leaves the ring before its callback runs, which may send and so grow the ring. */
static void ring_call(struct ranq_conn *conn, struct ranq_reply *reply)
{
	struct waiter w = conn->ring[conn->first];
	bool nested = conn->dispatching;

	conn->first = (conn->first + 1) & (conn->ring_cap - 1);
	conn->waiting--;
	conn->taken = false;
	conn->dispatching = true;
	if (w.cb)
		w.cb(reply, w.arg);
	conn->dispatching = nested;
	if (!conn->taken)
		ranq_reply_destroy(reply);
	conn->taken = false;
}

/* The descriptor stays open until close, so that its number cannot be given to somebody else while an event loop still
 * watches it. */
static void die(struct ranq_conn *conn)
{
	conn->dead = true;
	ranq_chain_clear(&conn->out);
	while (conn->waiting)
		ring_call(conn, NULL);
}

static void die_of(struct ranq_conn *conn, enum ranq_err_code code, const char *reason)
{
	if (conn->dead)
		return;
	ranq_err_set(&conn->why, code, "%s '%s': %s", conn->opening ? "cannot connect to" : "lost the connection to",
		conn->name, reason);
	die(conn);
}

/* ---- sending -------------------------------------------------------------------------------------------------- */

static bool queue_bytes(struct ranq_conn *conn, const struct ranq_cmd *cmd)
{
	char header[32];
	size_t n = (size_t)snprintf(header, sizeof header, "*%zu\r\n", cmd->argc);

	if (conn->out.len + n + cmd->args.len > UNSENT_MAX || !ranq_chain_add(&conn->out, header, n) ||
		!ranq_chain_add(&conn->out, cmd->args.data, cmd->args.len))
		return false;
	conn->queued += n + cmd->args.len;
	return true;
}

struct ranq_reply *ranq_conn_keep(struct ranq_conn *conn, const struct ranq_reply *reply)
{
	assert(conn->dispatching);
	conn->taken = true;
	return (struct ranq_reply *)(uintptr_t)reply;
}

void ranq_conn_send(struct ranq_conn *conn, const struct ranq_cmd *cmd, ranq_conn_cb *cb, void *arg)
{
	bool ok = !conn->dead && cmd->argc && !ranq_buf_failed(&cmd->args);

	/* The callback is in the ring before the bytes are: if those find no room, it is called with the others. */
	if (ok && ring_push(conn, cb, arg)) {
		if (!queue_bytes(conn, cmd))
			die_of(conn, RANQ_ERR_MEMORY, "out of memory for commands that wait to be sent");
		return;
	}
	die_of(conn, RANQ_ERR_MEMORY, ok ? "too many commands without a reply" : "a command is too large");
	if (cb)
		cb(NULL, arg);
}

/* 0: sent all or the kernel is full; -1: errno. */
static int write_out(struct ranq_conn *conn)
{
	struct iovec vector[VECTOR_MAX];

	while (conn->out.len) {
		ssize_t n = ranq_transport_write(
			&conn->transport, vector, ranq_chain_vector(&conn->out, vector, VECTOR_MAX));

		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		ranq_chain_drop(&conn->out, (size_t)n);
		conn->sent += (uint64_t)n;
	}
	return 0;
}

/* ---- receiving ------------------------------------------------------------------------------------------------ */

/* A server that refuses a connection says so in an error reply that nobody asked for, then closes. */
static void unasked(struct ranq_conn *conn, struct ranq_reply *reply)
{
	char words[160], text[224];

	snprintf(text, sizeof text, "the server sent a reply that nobody asked for (%s)",
		ranq_reply_words(reply, words, sizeof words));
	die_of(conn, ranq_reply_type(reply) == RANQ_REPLY_ERROR ? RANQ_ERR_SERVER : RANQ_ERR_REPLY, text);
	ranq_reply_destroy(reply);
}

/* Calls back for every complete reply. */
static void dispatch(struct ranq_conn *conn)
{
	while (!conn->dead) {
		struct ranq_reply *reply;
		struct ranq_err err = {0};

		if (ranq_resp_next(&conn->resp, &reply, &err)) {
			die_of(conn, err.code, err.text);
			return;
		}
		if (!reply)
			return;
		conn->greeted = true;
		if (conn->waiting)
			ring_call(conn, reply);
		else
			unasked(conn, reply);
	}
}

static bool is_tls_alert(const struct ranq_conn *conn, const unsigned char *data, size_t n)
{
	return !conn->greeted && !conn->transport.tls && n >= 2 && data[0] == 0x15 && data[1] == 0x03;
}

static void decode(struct ranq_conn *conn, const unsigned char *data, size_t n)
{
	if (is_tls_alert(conn, data, n)) {
		die_of(conn, RANQ_ERR_SERVER, "it speaks TLS; use rediss://");
		return;
	}
	while (n && !conn->dead) {
		size_t piece = ranq_resp_appetite(&conn->resp, n);
		struct ranq_err err = {0};

		if (ranq_resp_feed(&conn->resp, data, piece, &err))
			die_of(conn, err.code, err.text);
		else
			dispatch(conn);
		data += piece;
		n -= piece;
	}
}

static void end_of_stream(struct ranq_conn *conn)
{
	bool plain_tcp = !conn->transport.tls && strncmp(conn->name, "unix:", 5);

	die_of(conn, RANQ_ERR_SERVER,
		conn->greeted || !plain_tcp
			? "closed by the server"
			: "closed by the server before any reply (if it speaks TLS, use rediss://)");
}

/* Reads until the kernel has no more, or enough for one pump: then poll tells of the rest, except of what TLS has read
 * already. */
static void read_in(struct ranq_conn *conn)
{
	size_t total = 0;

	while (!conn->dead && (total < PUMP_READ_MAX || ranq_transport_pending(&conn->transport))) {
		ssize_t n = ranq_transport_read(&conn->transport, conn->in, READ_BYTES);
		char text[160];

		if (n < 0 && errno == EAGAIN)
			return;
		if (n == 0 || (n < 0 && errno == ECONNRESET && !conn->greeted))
			end_of_stream(conn);
		else if (n < 0)
			die_of(conn, RANQ_ERR_SERVER,
				ranq_transport_reason(&conn->transport, errno, text, sizeof text));
		else
			decode(conn, conn->in, (size_t)n);
		total += n > 0 ? (size_t)n : 0;
		conn->received += n > 0 ? (uint64_t)n : 0;
		if (n > 0 && (size_t)n < READ_BYTES && !conn->transport.tls)
			return;
	}
}

int ranq_conn_pump(struct ranq_conn *conn, struct ranq_err *err)
{
	assert(!conn->dispatching);
	if (!conn->dead) {
		int failed = write_out(conn), error = errno;
		char text[160];

		/* What the server said before it closed is the better reason than a broken pipe. */
		read_in(conn);
		if (!failed && !conn->dead) {
			failed = write_out(conn); /* commands of the callbacks */
			error = errno;
		}
		if (failed)
			die_of(conn, RANQ_ERR_SERVER,
				ranq_transport_reason(&conn->transport, error, text, sizeof text));
	}
	if (conn->dead && err)
		*err = conn->why;
	return conn->dead ? -1 : 0;
}

/* ---- synchronous ---------------------------------------------------------------------------------------------- */

struct call {
	struct ranq_conn *conn;
	struct ranq_reply *reply;
	bool done;
};

static void call_done(const struct ranq_reply *reply, void *arg)
{
	struct call *call = arg;

	call->reply = ranq_conn_keep(call->conn, reply);
	call->done = true;
}

/* After a failed call it must be known whether its command can have been executed: not if its last byte never left. */
static int call_failed(const struct ranq_conn *conn, uint64_t end, struct ranq_err *err)
{
	if (!err)
		return -1;
	*err = conn->why;
	err->code = conn->sent >= end ? RANQ_ERR_UNKNOWN : RANQ_ERR_SERVER;
	return -1;
}

/* When the connection was last seen to move. */
struct motion {
	uint64_t moved;
	int64_t silence_ms, since_ms;
};

static int64_t silent_from(struct motion *motion, const struct ranq_conn *conn)
{
	uint64_t moved = ranq_conn_moved(conn);

	if (motion->silence_ms == RANQ_NEVER)
		return RANQ_NEVER;
	if (moved != motion->moved || !motion->since_ms)
		motion->since_ms = ranq_clock_ms();
	motion->moved = moved;
	return motion->since_ms + motion->silence_ms;
}

static void wait_turn(struct ranq_conn *conn, struct motion *motion, int64_t deadline_ms)
{
	short events = (short)(POLLIN | (ranq_conn_wants_write(conn) ? POLLOUT : 0));
	int64_t silent_ms = silent_from(motion, conn);
	int n = ranq_fd_wait(conn->transport.fd, events, silent_ms < deadline_ms ? silent_ms : deadline_ms);
	char text[160];

	/* what was written may have gone on its way without anything to poll for */
	if (n == 0 && ranq_clock_ms() < deadline_ms && ranq_clock_ms() < silent_from(motion, conn))
		return;
	if (n == 0)
		die_of(conn, RANQ_ERR_SERVER, "no answer in time");
	else if (n < 0)
		die_of(conn, RANQ_ERR_SERVER, ranq_transport_reason(&conn->transport, errno, text, sizeof text));
}

int ranq_conn_call_moving(struct ranq_conn *conn, const struct ranq_cmd *cmd, int64_t silence_ms, int64_t deadline_ms,
	struct ranq_reply **reply, struct ranq_err *err)
{
	struct call call = {.conn = conn};
	struct motion motion = {.silence_ms = silence_ms};
	uint64_t end;

	assert(!conn->dispatching);
	if (!cmd->argc || ranq_buf_failed(&cmd->args))
		return ranq_err_set(err, RANQ_ERR_INPUT, "a command is too large, or memory is short");
	if (conn->dead)
		return call_failed(conn, UINT64_MAX, err);
	ranq_conn_send(conn, cmd, call_done, &call);
	end = conn->dead ? UINT64_MAX : conn->queued;
	while (!call.done && !ranq_conn_pump(conn, NULL))
		if (!call.done)
			wait_turn(conn, &motion, deadline_ms);
	if (!call.reply)
		return call_failed(conn, end, err);
	*reply = call.reply;
	return 0;
}

int ranq_conn_call(struct ranq_conn *conn, const struct ranq_cmd *cmd, int64_t deadline_ms, struct ranq_reply **reply,
	struct ranq_err *err)
{
	return ranq_conn_call_moving(conn, cmd, RANQ_NEVER, deadline_ms, reply, err);
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static struct ranq_conn *conn_new(const struct ranq_server_addr *addr, struct ranq_err *err)
{
	struct ranq_conn *conn = calloc(1, sizeof *conn);

	if (!conn || !(conn->in = malloc(READ_BYTES))) {
		free(conn);
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	conn->transport.fd = -1;
	ranq_chain_init(&conn->out);
	snprintf(conn->name, sizeof conn->name, "%.255s", ranq_server_addr_text(addr));
	if (!ranq_resp_init(&conn->resp, err))
		return conn;
	ranq_conn_close(conn);
	return NULL;
}

struct ranq_conn *ranq_conn_open(const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	struct ranq_conn *conn = conn_new(addr, err);

	if (!conn)
		return NULL;
	conn->opening = true;
	conn->out.wipe = true; /* the password passes through */
	if (ranq_transport_open(&conn->transport, addr, deadline_ms, err) ||
		ranq_login(conn, addr, deadline_ms, &conn->facts, err)) {
		ranq_conn_close(conn);
		return NULL;
	}
	conn->out.wipe = false;
	conn->opening = false;
	return conn;
}

void ranq_conn_close(struct ranq_conn *conn)
{
	int saved = errno;

	if (!conn)
		return;
	assert(!conn->dispatching);
	die_of(conn, RANQ_ERR_SERVER, "closed");
	ranq_transport_close(&conn->transport);
	ranq_resp_clear(&conn->resp);
	ranq_chain_clear(&conn->out);
	free(conn->ring);
	free(conn->in);
	free(conn);
	errno = saved;
}

const struct ranq_server_facts *ranq_conn_facts(const struct ranq_conn *conn)
{
	return &conn->facts;
}

int ranq_conn_fd(const struct ranq_conn *conn)
{
	return conn->transport.fd;
}

bool ranq_conn_wants_write(const struct ranq_conn *conn)
{
	return !conn->dead && (conn->out.len || ranq_transport_wants_write(&conn->transport));
}

size_t ranq_conn_unsent(const struct ranq_conn *conn)
{
	return conn->out.len;
}

uint64_t ranq_conn_moved(const struct ranq_conn *conn)
{
	int unread = 0; /* written, but the other side does not have it yet */

	if (conn->dead || ioctl(conn->transport.fd, SIOCOUTQ, &unread) != 0)
		unread = 0;
	return conn->received + conn->sent - (uint64_t)unread;
}

size_t ranq_conn_inflight(const struct ranq_conn *conn)
{
	return conn->waiting;
}

bool ranq_conn_alive(const struct ranq_conn *conn)
{
	return !conn->dead;
}

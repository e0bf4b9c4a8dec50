/* session.c - see session.h.
 *
 * A lost reply means "outcome unknown"; the same request is sent again. A server that answers "not now" (loading, busy,
 * replica, out of memory while it still frees) is asked again as well until the patience is over: the last words of the
 * server are the error then. What is never repeated: AUTH, SCHEMA and answers of the protocol itself. */
#include "client/session.h"
#include "client/resolve.h"
#include "queue/call.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000
#define LOADING_MS 60000
#define SILENCE_MS 15000
#define BACKOFF_FIRST_MS 50
#define BACKOFF_LAST_MS 2000 /* well under a lease / 5 would be needed for bridges only */
#define REFUSED_MS 1000      /* "not now" for so long is told */
#define BELL_GRACE_MS 5000   /* a pop that did not end this long after its own time-out: dead connection */
#define BELL_MAX_MS 20000    /* one blocking pop */

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int copy_addr(struct ranq_server_addr *to, const struct ranq_server_addr *from, struct ranq_err *err)
{
	ranq_server_addr_init(to);
	to->unix_path = copy(from->unix_path);
	to->host = copy(from->host);
	to->ca_pem = copy(from->ca_pem);
	to->user = copy(from->user);
	to->password = copy(from->password);
	to->port = from->port;
	to->db = from->db;
	to->tls = from->tls;
	to->moves = from->moves;
	if ((from->unix_path && !to->unix_path) || (from->host && !to->host) || (from->ca_pem && !to->ca_pem) ||
		(from->user && !to->user) || (from->password && !to->password)) {
		ranq_server_addr_clear(to);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	return 0;
}

int64_t ranq_session_after(int64_t ms)
{
	int64_t now = ranq_clock_ms();
	return ms >= RANQ_NEVER - now ? RANQ_NEVER : now + ms;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int poll_ms(int64_t until_ms)
{
	int64_t left = until_ms - ranq_clock_ms();
	return left <= 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static int interrupted(struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_INTERRUPTED, "interrupted");
}

void ranq_session_disconnect(struct ranq_session *session)
{
	struct ranq_conn *conn = session->conn;
	session->conn = NULL;
	ranq_conn_close(conn);
}

/* One attempt. */
static int connect_once(struct ranq_session *session, int64_t deadline_ms, struct ranq_err *err)
{
	if (session->connects)
		ranq_resolve_again(&session->addr);
	struct ranq_conn *conn = ranq_conn_open(&session->addr, deadline_ms, err);
	if (!conn)
		return -1;
	/* The lease is settled at the first attach: a later one must not fail because somebody else changed it
	 * meanwhile. */
	int64_t lease_ms = session->connects ? 0 : session->options.lease_ms;
	if (ranq_queue_attach(
		    &session->queue, conn, RANQ_CALL_AUTO, lease_ms, session->options.create, deadline_ms, err)) {
		ranq_conn_close(conn);
		return -1;
	}
	const char *run_id = ranq_conn_facts(conn)->run_id;
	if (session->connects && strcmp(run_id, session->run_id) != 0)
		session->restarts++;
	snprintf(session->run_id, sizeof session->run_id, "%s", run_id);
	session->connects++;
	session->conn = conn;
	return 0;
}

static bool may_pass(const struct ranq_err *err)
{
	return err->code == RANQ_ERR_SERVER || err->code == RANQ_ERR_UNKNOWN || err->code == RANQ_ERR_FULL ||
	       err->code == RANQ_ERR_REPLY;
}

static int nap(struct ranq_session *session, int64_t ms, struct ranq_err *err)
{
	struct pollfd fd = {.fd = session->options.interrupt_fd, .events = POLLIN};
	int64_t until = ranq_session_after(ms);
	do {
		if (poll(&fd, 1, poll_ms(until)) > 0)
			return interrupted(err);
	} while (ranq_clock_ms() < until);
	return 0;
}

int ranq_session_wait_fd(struct ranq_session *session, int fd, int64_t until_ms, struct ranq_err *err)
{
	struct pollfd fds[2] = {
		{.fd = session ? session->options.interrupt_fd : -1, .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};
	do {
		int n = poll(fds, 2, poll_ms(until_ms));
		if (n > 0)
			return fds[0].revents ? interrupted(err) : 0;
	} while (ranq_clock_ms() < until_ms);
	return 0;
}

static void notice(struct ranq_session *session, const char *text)
{
	if (session->options.notice)
		session->options.notice(session->options.notice_user, text);
}

int ranq_session_connect(struct ranq_session *session, int64_t deadline_ms, struct ranq_err *err)
{
	deadline_ms = earlier(deadline_ms, ranq_session_after(session->options.patience_ms));
	int64_t backoff = BACKOFF_FIRST_MS;
	bool told = false;
	while (!session->conn) {
		struct ranq_err now = {0};
		if (!connect_once(session, earlier(deadline_ms, ranq_session_after(CONNECT_MS)), &now))
			break;
		if (!may_pass(&now) || ranq_clock_ms() + backoff >= deadline_ms)
			return ranq_err_set(err, now.code, "%s", now.text);
		if (!told && backoff > 4 * BACKOFF_FIRST_MS) {
			char text[sizeof now.text + 32];
			snprintf(text, sizeof text, "%s; trying again", now.text);
			notice(session, text);
			told = true;
		}
		unsigned char jitter = (unsigned char)ranq_clock_ns();
		if (nap(session, backoff / 2 + backoff * jitter / 256, err))
			return -1;
		backoff = earlier(2 * backoff, BACKOFF_LAST_MS);
	}
	if (told)
		notice(session, "the server is back");
	return 0;
}

/* The first attempt decides whether there is a server at all. One that is reading its data after a restart is there, so
 * it is waited for. */
static int first_connect(struct ranq_session *session, int64_t connect_ms, struct ranq_err *err)
{
	int64_t deadline_ms = ranq_session_after(LOADING_MS);
	struct ranq_err now = {0};

	while (connect_once(session, ranq_session_after(connect_ms), &now)) {
		if (!ranq_conn_error_is_loading(&now) || ranq_clock_ms() > deadline_ms)
			return ranq_err_set(err, now.code, "%s", now.text);
		if (nap(session, BACKOFF_FIRST_MS, err))
			return -1;
	}
	return 0;
}

struct ranq_session *ranq_session_open(
	const struct ranq_server_addr *addr, const struct ranq_session_options *options, struct ranq_err *err)
{
	struct ranq_session *session = calloc(1, sizeof *session);
	if (!session) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	session->options = *options;
	session->options.queue = NULL; /* lives in session->queue */
	ranq_id_new(session->client);
	int64_t connect_ms = options->connect_ms ? options->connect_ms : CONNECT_MS;
	if (ranq_queue_init(&session->queue, options->queue, err) || copy_addr(&session->addr, addr, err)) {
		free(session);
		return NULL;
	}
	if (first_connect(session, connect_ms, err)) {
		ranq_session_close(session);
		return NULL;
	}
	return session;
}

void ranq_session_close(struct ranq_session *session)
{
	if (!session)
		return;
	int saved = errno;
	ranq_session_disconnect(session);
	ranq_server_addr_clear(&session->addr);
	free(session);
	errno = saved;
}

struct ranq_session *ranq_session_clone(const struct ranq_session *session, struct ranq_err *err)
{
	struct ranq_session_options options = session->options;
	options.queue = session->queue.name;
	options.lease_ms = 0;
	return ranq_session_open(&session->addr, &options, err);
}

/* "Not now" of the server itself, as far as it comes as an error reply. */
static bool is_transient(const struct ranq_reply *reply)
{
	static const char *const words[] = {
		"LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "MISCONF"};
	if (ranq_reply_type(reply) != RANQ_REPLY_ERROR)
		return false;
	struct ranq_bytes text = ranq_reply_bytes(reply);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t n = strlen(words[i]);
		if (text.len >= n && memcmp(text.data, words[i], n) == 0)
			return true;
	}
	return false;
}

/* A server that says "not now" for longer than a moment is told of, once: somebody may have to do something. */
static void note_refusal(struct ranq_session *session, const struct ranq_reply *reply)
{
	struct ranq_err why = {0};
	if (!session->refused_ms)
		session->refused_ms = ranq_clock_ms();
	if (session->refusal_told || ranq_clock_ms() - session->refused_ms < REFUSED_MS)
		return;
	ranq_call_error(reply, &why);
	char text[sizeof why.text + 32];
	snprintf(text, sizeof text, "%s; trying again", why.text);
	notice(session, text);
	session->refusal_told = true;
}

static void note_acceptance(struct ranq_session *session)
{
	if (session->refusal_told)
		notice(session, "the server goes on");
	session->refused_ms = 0;
	session->refusal_told = false;
}

int64_t ranq_session_silence_ms(const struct ranq_session *session)
{
	return session->options.silence_ms ? session->options.silence_ms : earlier(SILENCE_MS, session->options.patience_ms);
}

/* deadline_ms: of the caller and of the patience. 1: *reply is definite; 0: try again; -1: over. */
static int call_once(struct ranq_session *session, const struct ranq_cmd *cmd, int64_t callers_ms, int64_t deadline_ms,
	struct ranq_reply **reply, struct ranq_err *err)
{
	if (ranq_session_connect(session, deadline_ms, err))
		return -1;
	if (ranq_conn_call_moving(session->conn, cmd, ranq_session_silence_ms(session), callers_ms, reply, err)) {
		ranq_session_disconnect(session);
		return err->code == RANQ_ERR_AUTH || err->code == RANQ_ERR_INPUT || ranq_clock_ms() >= deadline_ms ? -1
														   : 0;
	}
	if (ranq_queue_reply_is_noscript(*reply)) {
		ranq_reply_destroy(*reply);
		*reply = NULL;
		ranq_session_disconnect(session); /* the new connection attaches again */
		return 0;
	}
	bool transient = is_transient(*reply);
	if (!transient)
		note_acceptance(session);
	if (!transient || ranq_clock_ms() + BACKOFF_LAST_MS >= deadline_ms)
		return 1;
	note_refusal(session, *reply);
	ranq_reply_destroy(*reply);
	*reply = NULL;
	return nap(session, BACKOFF_LAST_MS / 8, err) ? -1 : 0;
}

int ranq_session_call(struct ranq_session *session, const struct ranq_cmd *cmd, int64_t deadline_ms,
	struct ranq_reply **reply, struct ranq_err *err)
{
	struct ranq_err local;
	if (!err)
		err = &local;
	int64_t patience_ms = earlier(deadline_ms, ranq_session_after(session->options.patience_ms));
	*reply = NULL;
	int rc;
	while ((rc = call_once(session, cmd, deadline_ms, patience_ms, reply, err)) == 0)
		;
	return rc < 0 ? -1 : 0;
}

int ranq_session_run_hook(struct ranq_session *session, struct ranq_err *err)
{
	struct ranq_session_hook *hook = session->hook;
	if (!hook || session->in_hook)
		return 0;
	struct pollfd fd = {.fd = hook->fd, .events = POLLIN};
	bool due = hook->next_ms <= ranq_clock_ms() || (hook->fd >= 0 && poll(&fd, 1, 0) > 0);
	if (!due)
		return 0;
	session->in_hook = true;
	int rc = hook->run(hook->user, err);
	session->in_hook = false;
	return rc;
}

int ranq_session_turn(struct ranq_session *session, int64_t until_ms, struct ranq_err *err)
{
	struct ranq_session_hook *hook = session->in_hook ? NULL : session->hook;
	struct pollfd fds[3] = {
		{.fd = session->options.interrupt_fd, .events = POLLIN},
		{.fd = session->conn ? ranq_conn_fd(session->conn) : -1, .events = POLLIN},
		{.fd = hook ? hook->fd : -1, .events = POLLIN},
	};
	if (session->conn && ranq_conn_wants_write(session->conn))
		fds[1].events |= POLLOUT;
	int n = poll(fds, 3, poll_ms(hook ? earlier(until_ms, hook->next_ms) : until_ms));
	if (n < 0 && errno != EINTR)
		return ranq_err_sys(err, "cannot poll");
	if (n > 0 && fds[0].revents)
		return interrupted(err);
	if (n > 0 && fds[1].revents && session->conn && ranq_conn_pump(session->conn, NULL))
		ranq_session_disconnect(session);
	return hook ? ranq_session_run_hook(session, err) : 0;
}

struct bell {
	bool over;
};

static void bell_rang(const struct ranq_reply *reply, void *arg)
{
	struct bell *bell = arg;
	(void)reply; /* rung, timed out or lost: the caller looks at the job in any case */
	bell->over = true;
}

int ranq_session_bell(struct ranq_session *session, int64_t until_ms, void (*then)(void *user), void *user,
	struct ranq_err *err)
{
	if (!session->conn)
		return 1; /* whoever looks again connects, with the patience that it has */
	int64_t now = ranq_clock_ms(), end = earlier(until_ms, now + BELL_MAX_MS);
	if (end <= now)
		return ranq_session_turn(session, now, err);
	const struct ranq_queue *queue = &session->queue;
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	/* never 0: that would wait for ever */
	ranq_queue_bell_cmd(&cmd, &queue, 1, session->client, (double)(end - now) / 1000);
	struct bell bell = {0};
	ranq_conn_send(session->conn, &cmd, bell_rang, &bell);
	ranq_cmd_clear(&cmd);
	if (then)
		then(user);
	int rc = 0;
	while (!bell.over && rc == 0 && ranq_clock_ms() < end + BELL_GRACE_MS)
		rc = ranq_session_turn(session, end + BELL_GRACE_MS, err);
	if (!bell.over)
		ranq_session_disconnect(session); /* the callback must not outlive this frame */
	if (rc)
		return -1;
	return ranq_clock_ms() < until_ms ? 1 : 0;
}

int ranq_session_control_step(struct ranq_session *session, ranq_session_build *build, const void *user, uint64_t *n,
	bool *more, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	uint64_t count = 0;
	int rc;
	ranq_cmd_init(&cmd);
	if (build(&session->queue, &cmd, user))
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_control_parse(reply, &count, more, err);
	*n += count;
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

int ranq_session_control(
	struct ranq_session *session, ranq_session_build *build, const void *user, uint64_t *n, struct ranq_err *err)
{
	uint64_t total = 0;
	bool more = true;
	int rc = 0;
	while (more && rc == 0)
		rc = ranq_session_control_step(session, build, user, &total, &more, err);
	if (n)
		*n = total;
	return rc;
}

int ranq_session_info(struct ranq_session *session, uint64_t job, struct ranq_job_info *info, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_info_cmd(&session->queue, &cmd, job);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_info_parse(reply, info, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	if (rc == 0 || !err || err->code != RANQ_ERR_NOTFOUND)
		return rc;
	if (job)
		return ranq_err_set(
			err, RANQ_ERR_NOTFOUND, "no such job: '%s/%llu'", session->queue.name, (unsigned long long)job);
	return ranq_err_set(err, RANQ_ERR_NOTFOUND, "queue '%s' has no jobs", session->queue.name);
}

int ranq_session_spec(struct ranq_session *session, uint64_t job, struct ranq_spec *spec, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	struct ranq_bytes packed;
	enum ranq_job_state state;
	ranq_spec_init(spec);
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_spec_cmd(&session->queue, &cmd, job);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_spec_parse(reply, &packed, &state, err);
	if (rc == 0)
		rc = ranq_spec_unpack(packed.data, packed.len, spec, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

#include "client/durable.h"

#include <string.h>

#define LIMIT_MS 30000
#define FSYNC_MS 2000 /* appendfsync everysec: once a second, and begun a second late when the disk was busy */
#define AGAIN_MS 200
#define WAITAOF_MS 1000

int ranq_durable_check(const struct ranq_session *session, struct ranq_err *err)
{
	if (session->conn && !ranq_conn_facts(session->conn)->aof)
		return ranq_err_set(err, RANQ_ERR_STATE,
			"--durable: the server keeps no append-only file (appendonly no), so nothing on it is durable");
	return 0;
}

static bool has_waitaof(const struct ranq_session *session)
{
	const struct ranq_server_facts *facts = session->conn ? ranq_conn_facts(session->conn) : NULL;

	return facts && !facts->valkey && (facts->major > 7 || (facts->major == 7 && facts->minor >= 2));
}

/* 1: it is on the disk; 0: not yet; -1. */
static int ask(struct ranq_session *session, bool waitaof, struct ranq_err *err)
{
	static const char pending[] = "aof_pending_bio_fsync:";
	struct ranq_reply *reply = NULL;
	struct ranq_cmd cmd;
	int rc;

	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, waitaof ? "WAITAOF" : "INFO");
	ranq_cmd_str(&cmd, waitaof ? "1" : "persistence");
	if (waitaof) {
		ranq_cmd_str(&cmd, "0");
		ranq_cmd_int(&cmd, WAITAOF_MS);
	}
	rc = ranq_session_call(session, &cmd, ranq_session_after(LIMIT_MS), &reply, err);
	if (rc == 0 && waitaof) {
		rc = ranq_reply_type(reply) == RANQ_REPLY_ERROR ? -1 : ranq_reply_int(ranq_reply_at(reply, 0)) > 0;
	} else if (rc == 0) {
		struct ranq_bytes text = ranq_reply_bytes(reply);
		const char *at = text.data ? memmem(text.data, text.len, pending, sizeof pending - 1) : NULL;

		rc = at && at + sizeof pending - 1 < (const char *)text.data + text.len &&
		     at[sizeof pending - 1] == '0';
	}
	if (rc < 0 && ranq_reply_type(reply) == RANQ_REPLY_ERROR)
		ranq_err_set(err, RANQ_ERR_UNKNOWN, "the server does not say whether the job is on its disk: %.200s",
			(const char *)ranq_reply_bytes(reply).data);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int wait_for_disk(struct ranq_session *session, uint64_t connects, struct ranq_err *err)
{
	/* WAITAOF speaks of what its own connection has written */
	bool waitaof = has_waitaof(session) && session->connects == connects;
	int64_t limit_ms = ranq_clock_ms() + LIMIT_MS;
	int rc = 0;

	if (!waitaof && ranq_session_wait_fd(session, -1, ranq_session_after(FSYNC_MS), err) < 0)
		return -1;
	while (ranq_clock_ms() < limit_ms && (rc = ask(session, waitaof, err)) == 0)
		if (ranq_session_wait_fd(session, -1, ranq_session_after(AGAIN_MS), err) < 0)
			return -1;
	if (rc == 0)
		return ranq_err_set(
			err, RANQ_ERR_UNKNOWN, "the disk of the server is more than %d s behind", LIMIT_MS / 1000);
	return rc < 0 ? -1 : 0;
}

int ranq_durable_wait(struct ranq_session *session, uint64_t job, uint64_t restarts, struct ranq_err *err)
{
	struct ranq_job_info info;

	for (;;) {
		uint64_t connects = session->connects, seen = session->restarts;

		/* a server that was started again may have lost the job; if it has not, it read it from its disk */
		if (seen != restarts && ranq_session_info(session, job, &info, err) != 0)
			return -1;
		if (seen != restarts && seen == session->restarts)
			return 0;
		if (wait_for_disk(session, connects, err) != 0)
			return -1;
		if (session->restarts == seen)
			return 0;
		restarts = UINT64_MAX;
	}
}

/* wait.c - see wait.h. */
#include "client/wait.h"

#define CALL_MS 5000
#define PAUSE_MAX_MS 100 /* between two looks at a job that moves all the time */

/* Even with no time left a server that is there is asked once. */
static int64_t call_deadline(int64_t deadline_ms)
{
	int64_t least = ranq_session_after(CALL_MS);
	return deadline_ms < least ? least : deadline_ms;
}

static int watch(struct ranq_session *session, uint64_t job, int64_t deadline_ms, struct ranq_job_info *info,
	struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_watch_cmd(&session->queue, &cmd, job, session->client);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, call_deadline(deadline_ms), &reply, err);
	if (rc == 0)
		rc = ranq_queue_info_parse(reply, info, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Lets a busy job go on for a moment; the hook and the interrupt are served. */
static int pause_for(struct ranq_session *session, int64_t until_ms, struct ranq_err *err)
{
	while (ranq_clock_ms() < until_ms)
		if (ranq_session_turn(session, until_ms, err))
			return -1;
	return 0;
}

int ranq_wait_job(struct ranq_session *session, uint64_t job, int64_t tick_ms, int64_t deadline_ms,
	ranq_wait_look *look, void *user, struct ranq_job_info *info, struct ranq_err *err)
{
	int64_t pause = 0;
	for (;;) {
		if (ranq_session_run_hook(session, err) || watch(session, job, deadline_ms, info, err))
			return -1;
		int rc = look ? look(user, info, err) : 0;
		if (rc)
			return rc < 0 ? -1 : 0;
		if (ranq_job_state_is_final(info->state))
			return 0;
		if (ranq_clock_ms() >= deadline_ms)
			return ranq_err_set(err, RANQ_ERR_UNFINISHED,
				"job '%s/%llu' is not finished: %llu of %llu tasks done", session->queue.name,
				(unsigned long long)info->job, (unsigned long long)info->done,
				(unsigned long long)info->tasks);
		rc = ranq_session_bell(session, earlier(deadline_ms, ranq_session_after(tick_ms)), NULL, NULL, err);
		if (rc < 0 || (rc > 0 && pause_for(session, earlier(deadline_ms, ranq_session_after(pause)), err)))
			return -1;
		pause = rc > 0 ? earlier(2 * pause + 5, PAUSE_MAX_MS) : 0;
	}
}

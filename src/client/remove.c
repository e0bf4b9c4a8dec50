#include "client/remove.h"

#include <stdlib.h>
#include <string.h>

#include "record/offload.h"

static int build(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	return ranq_queue_remove_cmd(q, cmd, *(const uint64_t *)user);
}

/* Else nothing is known of files, because the job has no readable record; it can be removed all the same. */
static bool is_outage(enum ranq_err_code code)
{
	return code == RANQ_ERR_SERVER || code == RANQ_ERR_UNKNOWN || code == RANQ_ERR_AUTH || code == RANQ_ERR_INTERRUPTED;
}

/* First the job: as long as it is there somebody may read it, and its tasks write. */
int ranq_job_remove(struct ranq_session *session, uint64_t job, bool files, struct ranq_err *err)
{
	struct ranq_spec spec;
	struct ranq_err local = {0};
	ranq_spec_init(&spec);
	if (files && ranq_session_spec(session, job, &spec, &local) && is_outage(local.code))
		return ranq_err_set(err, local.code, "%s", local.text);
	int rc = ranq_session_control(session, build, &job, NULL, err);
	if (rc == 0 && ranq_offload_remove(&spec, err))
		rc = ranq_err_wrap(err, "job '%s/%llu' is removed, but", session->queue.name, (unsigned long long)job);
	ranq_spec_clear(&spec);
	return rc;
}

/* ---- whole queues ---------------------------------------------------------------------------------------------- */
#define PIECE 100 /* jobs asked for at a time */

/* Where the jobs of a queue have files. */
struct directories {
	struct ranq_spec *at; /* uuid and directory */
	size_t n, cap;
};

static void clear(struct directories *dirs)
{
	for (size_t i = 0; i < dirs->n; i++)
		ranq_spec_clear(&dirs->at[i]);
	free(dirs->at);
}

static int note(struct directories *dirs, struct ranq_session *session, uint64_t job, struct ranq_err *err)
{
	struct ranq_spec spec;
	struct ranq_err local = {0};
	if (ranq_session_spec(session, job, &spec, &local))
		return is_outage(local.code) ? ranq_err_set(err, local.code, "%s", local.text) : 0;
	if (!ranq_offload_wanted(&spec)) {
		ranq_spec_clear(&spec);
		return 0;
	}
	if (dirs->n == dirs->cap) {
		size_t cap = dirs->cap ? 2 * dirs->cap : 16;
		struct ranq_spec *at = realloc(dirs->at, cap * sizeof *at);
		if (!at) {
			ranq_spec_clear(&spec);
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		}
		dirs->at = at;
		dirs->cap = cap;
	}
	dirs->at[dirs->n++] = spec;
	return 0;
}

/* Of up to PIECE jobs; *n: how many there were, *next: where the following ones start. */
static int note_piece(struct directories *dirs, struct ranq_session *session, uint64_t *next, size_t *n, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	struct ranq_job_info info;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_jobs_cmd(&session->queue, &cmd, *next, PIECE);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0 && ranq_reply_type(reply) == RANQ_REPLY_ERROR)
		rc = ranq_queue_jobs_parse(reply, 0, &info, err);
	*n = rc == 0 ? ranq_reply_count(reply) : 0;
	for (size_t i = 0; i < *n && rc == 0; i++) {
		rc = ranq_queue_jobs_parse(reply, i, &info, err);
		*next = info.job + 1;
		if (rc == 0 && info.results == RANQ_RESULTS_KEEP)
			rc = note(dirs, session, info.job, err);
	}
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int note_all(struct directories *dirs, struct ranq_session *session, struct ranq_err *err)
{
	uint64_t next = 1;
	size_t n;
	do {
		if (note_piece(dirs, session, &next, &n, err))
			return -1;
	} while (n == PIECE);
	return 0;
}

static int build_destroy(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	(void)user;
	return ranq_queue_destroy_cmd(q, cmd);
}

int ranq_queue_remove(struct ranq_session *session, uint64_t *jobs, struct ranq_err *err)
{
	struct directories dirs = {0};
	int rc = note_all(&dirs, session, err);
	if (rc == 0)
		rc = ranq_session_control(session, build_destroy, NULL, jobs, err);
	bool gone = rc == 0;
	for (size_t i = 0; gone && i < dirs.n; i++)
		if (ranq_offload_remove(&dirs.at[i], rc ? NULL : err) && rc == 0)
			rc = ranq_err_wrap(err, "queue '%s' is gone, but", session->queue.name);
	clear(&dirs);
	return rc;
}

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

/* ---- files ------------------------------------------------------------------------------------------------------- */
#define CALL_MS 5000

struct sweep {
	struct ranq_session *session;
	const struct ranq_spec *own; /* NULL: no job's files are the caller's business */
	bool all;                    /* every job's are */
	int64_t others_ms, until_ms; /* until: 0 before the first page */
	int rc;
};

/* Is entry i no more, or not to be made sense of? */
static bool remove_files(struct sweep *sweep, const struct ranq_reply *page, size_t i, struct ranq_err *err)
{
	struct ranq_spec spec;
	ranq_spec_init(&spec);
	bool gone = ranq_queue_files_parse(page, i, &spec, NULL) != 0;
	if (!gone) {
		bool own = sweep->all ||
			(sweep->own && memcmp(sweep->own->uuid, spec.uuid, sizeof spec.uuid) == 0);
		bool say = own && sweep->rc == 0;
		gone = ranq_offload_remove(&spec, own ? RANQ_NEVER : sweep->until_ms, say ? err : NULL) == 0;
		if (own && !gone)
			sweep->rc = -1;
	}
	ranq_spec_clear(&spec);
	return gone;
}

static int call(struct sweep *sweep, const struct ranq_cmd *cmd, struct ranq_reply **reply, struct ranq_err *err)
{
	bool own = sweep->all || sweep->own;
	int64_t until = own ? RANQ_NEVER : ranq_session_after(CALL_MS);
	int rc = ranq_session_call(sweep->session, cmd, until, reply, own && sweep->rc == 0 ? err : NULL);
	if (rc && own)
		sweep->rc = -1;
	return rc;
}

/* *place: behind those that are left of this page and the ones before. Returns how many entries it had, -1: nothing can be known now. */
static int sweep_page(struct sweep *sweep, uint64_t *place, struct ranq_err *err)
{
	bool gone[RANQ_FILES_PAGE];
	struct ranq_cmd cmd;
	struct ranq_reply *page = NULL, *reply = NULL;
	size_t ngone = 0;
	ranq_cmd_init(&cmd);
	ranq_queue_files_cmd(&sweep->session->queue, &cmd, *place);
	int rc = call(sweep, &cmd, &page, err);
	size_t n = rc == 0 ? ranq_reply_count(page) : 0;
	if (sweep->until_ms == 0)
		sweep->until_ms = ranq_session_after(sweep->others_ms);
	if (n > RANQ_FILES_PAGE)
		n = 0;
	for (size_t i = 0; i < n; i++)
		ngone += gone[i] = remove_files(sweep, page, i, err);
	if (ngone) {
		ranq_queue_files_gone_cmd(&sweep->session->queue, &cmd, page, gone);
		rc = call(sweep, &cmd, &reply, err);
	}
	*place += n - ngone;
	ranq_reply_destroy(reply);
	ranq_reply_destroy(page);
	ranq_cmd_clear(&cmd);
	return rc ? -1 : (int)n;
}

/* An entry is there only when its job is not: the call that removed the job made it. It goes when the files are gone, so whoever dies in
 * between leaves it to the next one; two at once, or a server that came back with an entry whose files are gone, find nothing. A job that its
 * submitter sends again after it had expired, because no reply came, takes its entry away; when that one was read just before, the job has a
 * damaged result, and says so. */
static int sweep_all(struct sweep *sweep, struct ranq_err *err)
{
	uint64_t place = 0;
	int n;
	do
		n = sweep_page(sweep, &place, err);
	while (n == RANQ_FILES_PAGE && (sweep->all || sweep->own || ranq_clock_ms() < sweep->until_ms));
	return sweep->rc;
}

void ranq_files_sweep(struct ranq_session *session, int64_t ms)
{
	struct sweep sweep = {.session = session, .others_ms = ms};
	sweep_all(&sweep, NULL);
}

/* ---- jobs and queues ------------------------------------------------------------------------------------------- */

/* First the job: as long as it is there somebody may read it, and its tasks write. */
int ranq_job_remove(struct ranq_session *session, uint64_t job, bool files, struct ranq_err *err)
{
	struct ranq_spec spec;
	struct ranq_err local = {0};
	struct sweep sweep = {.session = session, .others_ms = RANQ_FILES_SWEEP_MS};
	ranq_spec_init(&spec);
	if (files && ranq_session_spec(session, job, &spec, &local) && is_outage(local.code))
		return ranq_err_set(err, local.code, "%s", local.text);
	int rc = ranq_session_control(session, build, &job, NULL, err);
	if (rc == 0 && ranq_offload_wanted(&spec))
		sweep.own = &spec;
	if (rc && files)
		ranq_files_sweep(session, RANQ_FILES_SWEEP_MS);
	else if (files && sweep_all(&sweep, err))
		rc = ranq_err_wrap(err, "job '%s/%llu' is removed, but", session->queue.name, (unsigned long long)job);
	ranq_spec_clear(&spec);
	return rc;
}

static int build_destroy(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	(void)user;
	return ranq_queue_destroy_cmd(q, cmd);
}

/* The server remembers a bounded number of directories: they go step by step, with the jobs. */
int ranq_queue_remove(struct ranq_session *session, uint64_t *jobs, struct ranq_err *err)
{
	struct sweep sweep = {.session = session, .all = true, .others_ms = RANQ_FILES_SWEEP_MS};
	struct ranq_err left = {0};
	bool more = true;
	*jobs = 0;
	while (more) {
		if (ranq_session_control_step(session, build_destroy, NULL, jobs, &more, err)) {
			ranq_files_sweep(session, RANQ_FILES_SWEEP_MS);
			return -1;
		}
		if (sweep.rc == 0 || !more)
			sweep_all(&sweep, &left);
	}
	if (sweep.rc == 0)
		return 0;
	ranq_err_set(err, left.code, "%s", left.text);
	return ranq_err_wrap(err, "queue '%s' is gone, but", session->queue.name);
}

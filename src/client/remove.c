#include "client/remove.h"

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

/* api_reduce.c - the value of a job with a reduction, for programs. */
#include <stdlib.h>
#include <string.h>

#include "client/api_impl.h"
#include "client/module.h"

int ranq_api_learn_reduction(struct ranq_job *job, const struct ranq_spec *spec, const char *module)
{
	job->reduce = ranq_reduce_of(spec);
	if (!module)
		module = spec->module_path;
	if (job->reduce.kind != RANQ_REDUCE_FUNCTION || !module)
		return 0;
	job->module = strdup(module);
	return job->module ? 0 : ranq_err_set(ranq_api_err(), RANQ_ERR_MEMORY, "out of memory");
}

void ranq_api_forget_reduction(struct ranq_job *job)
{
	ranq_reducing_close(job->reducing);
	free(job->module);
}

static int before_wait(void *user, struct ranq_err *err)
{
	(void)err; /* what feeding says is there already */
	return ranq_api_feed(user);
}

static int open_reducing(struct ranq_job *job, ranq_reducer *reducer, const char *name)
{
	struct ranq_reducing_options options = {
		.consume = true, .backlog = job->backlog, .before_wait = before_wait, .user = job};
	struct ranq_reduce how = job->reduce;
	if (how.kind == RANQ_REDUCE_FUNCTION && reducer)
		how.function = reducer;
	else if (!how.function && job->module)
		how.function = ranq_module_reducer(job->module, name, ranq_api_err());
	if (!how.function && job->module)
		return -1;
	job->reducing = ranq_reducing_open(job->session, job->id, &how, &options, ranq_api_err());
	return job->reducing ? 0 : -1;
}

static int begin(struct ranq_job *job, ranq_reducer *reducer)
{
	struct ranq_spec spec;
	if (job->reducing)
		return 0;
	if (!job->reduce.kind)
		return ranq_err_set(ranq_api_err(), RANQ_ERR_STATE, "job %s has no reduction", job->text);
	if (ranq_session_spec(job->session, job->id, &spec, ranq_api_err()))
		return -1;
	int rc = open_reducing(job, reducer, spec.reduce);
	ranq_spec_clear(&spec);
	return rc;
}

RANQ_API int ranq_reduced(struct ranq_job *job, ranq_reducer *reducer, struct ranq_value *value, double timeout_s)
{
	struct ranq_part total;
	if (begin(job, reducer))
		return -1;
	ranq_api_lend_hook(job);
	int rc = ranq_reducing_total(job->reducing, ranq_api_deadline(timeout_s), &total, ranq_api_err());
	job->session->hook = NULL;
	if (rc)
		return -1;
	*value = (struct ranq_value){.index = total.ok, .data = total.value.data, .len = total.value.len};
	return total.ok == total.count && ranq_reducing_facts(job->reducing)->state == RANQ_JOB_COMPLETE;
}

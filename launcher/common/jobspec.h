/* jobspec.h - the job options of `run` and `submit`: from words to a submission, all checks made before any server is
 * asked. */
#ifndef RANQ_COMMON_JOBSPEC_H
#define RANQ_COMMON_JOBSPEC_H

#include "client/submit.h"
#include "common/options.h"
#include "record/spec.h"

struct ranq_job_options {
	const char *name, *range, *colsep, *module, *module_path, *function, *data, *cwd, *chunk, *require, *stdin_path,
		*warn_signal, *reduce, *offload;
	struct ranq_words arg_files, env, after;
	int results, on_error;
	uint64_t backlog, max_output, memory, max_fails, retries, max_deaths, seed;
	int64_t priority, timeout_ms, time_request_ms, ttl_ms, grace_ms, lease_ms;
	bool shell, reduce_ordered, sticky;
};
extern const struct ranq_option ranq_job_options_table[];
void ranq_job_options_init(struct ranq_job_options *options); /* the defaults */
void ranq_job_options_clear(struct ranq_job_options *options);

/* A submission with everything that it points to. */
struct ranq_jobspec {
	struct ranq_spec spec;
	struct ranq_submission submission;
	struct ranq_buf module;
	struct ranq_blob_file data;
	struct ranq_lines lines;
	struct ranq_line_file *file;
	uint64_t *after;
};
/* operands: CMD [ARG]... [::: VALUE...]... Prepared (ranq_submit_prepare) when it returns 0. */
int ranq_jobspec_build(struct ranq_jobspec *jobspec, const struct ranq_job_options *options,
	const struct ranq_operands *operands, struct ranq_err *err);
/* Turns --after into job numbers of the session's queue. */
int ranq_jobspec_after(struct ranq_jobspec *jobspec, const struct ranq_job_options *options,
	struct ranq_session *session, struct ranq_err *err);
void ranq_jobspec_clear(struct ranq_jobspec *jobspec);

/* "A-B[:STEP]", inclusive: first value, step and number of values. */
int ranq_range_parse(const char *text, int64_t *first, int64_t *step, uint64_t *count, struct ranq_err *err);
/* Does a command of one word need a shell? Replacement strings do not count. */
bool ranq_command_needs_shell(const char *word);

#endif

/* cmd_submit.c - `ranq submit`: puts a job into the queue and prints its id. */
#include <limits.h>
#include <stdio.h>

#include "client/durable.h"
#include "common/cli.h"
#include "common/jobspec.h"
#include "util/json.h"

struct options {
	struct ranq_job_options job;
	struct ranq_cli_common common;
	bool durable;
};

static const struct ranq_option submit_options[] = {
	{"durable", 0, NULL, RANQ_OPTION_FLAG, offsetof(struct options, durable),
		"end when the server has the job on its disk"},
	{0},
};

static const struct ranq_option_group groups[] = {
	{"options", submit_options, 0},
	{"job options", ranq_job_options_table, offsetof(struct options, job)},
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

static int print_id(const struct ranq_session *session, uint64_t job, bool as_json, struct ranq_err *err)
{
	const char *id = ranq_cli_job_text(session, job);
	if (as_json) {
		struct ranq_json *json = ranq_json_object("ranq.submission/1");
		ranq_json_str(json, "job", id);
		if (ranq_json_print(json, stdout, err))
			return -1;
	} else {
		printf("%s\n", id);
	}
	return ranq_cli_close_stdout(err);
}

static int send(
	struct ranq_session *session, struct ranq_jobspec *jobspec, const struct options *options, struct ranq_err *err)
{
	struct ranq_producer *producer;
	uint64_t job, restarts = session->restarts;
	if (options->durable && ranq_durable_check(session, err))
		return -1;
	if (ranq_jobspec_after(jobspec, &options->job, session, err) ||
		ranq_submit_send(session, &jobspec->submission, &job, &producer, err))
		return -1;
	/* the id comes before the rest of a streamed input: whoever reads it may follow the job already */
	int rc = print_id(session, job, options->common.json, err);
	if (rc == 0 && producer)
		rc = ranq_producer_finish(producer, err);
	if (rc == 0 && options->durable)
		rc = ranq_durable_wait(session, job, restarts, err);
	if (rc)
		ranq_cli_interrupt_handled();
	ranq_producer_close(producer, rc ? err->text : NULL);
	return rc;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_jobspec jobspec = {0};
	struct ranq_err err = {0};
	ranq_job_options_init(&options.job);
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc == 0) {
		struct ranq_session *session = NULL;
		rc = ranq_jobspec_build(&jobspec, &options.job, &operands, &err);
		if (rc == 0)
			rc = ranq_cli_catch_signals(&err);
		if (rc == 0) {
			session = ranq_cli_open(&options.common, true, options.job.lease_ms, &err);
			rc = session ? send(session, &jobspec, &options, &err) : -1;
		}
		ranq_session_close(session);
		ranq_jobspec_clear(&jobspec);
	}
	ranq_job_options_clear(&options.job);
	return rc < 0 ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_submit = {
	.name = "submit",
	.summary = "submit a job and print its id",
	.synopsis = "[OPTION]... [--] CMD [ARG]... [::: VALUE...]...\n"
		    "[OPTION]... --module FILE.so --function NAME [::: VALUE...]...",
	.details =
		"Replacement strings: {} the argument, {.} without extension, {/} its last part, {//} its directory,\n"
		"{/.} last part without extension, {#} number of the task from 1, {1} {2} ... columns, {seed}.\n"
		"Without any of them the argument is appended; with --range nothing is appended.\n"
		"':::' starts a list of values, several make all combinations; ':::+' goes along with the list before "
		"it.",
	.groups = groups,
	.operands_end_options = true,
	.max_operands = UINT_MAX,
	.run = run,
};

/* cmd_cancel.c - `ranq cancel JOB...`: no new task starts, running ones are ended. */
#include <limits.h>

#include "common/cli.h"

struct options {
	const char *reason;
	struct ranq_cli_common common;
};

static const struct ranq_option cancel_options[] = {
	{"reason", 0, "TEXT", RANQ_OPTION_TEXT, offsetof(struct options, reason), "shown with the job", NULL, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", cancel_options, 0},
	{"common options", ranq_cli_server_options, offsetof(struct options, common)},
	{0},
};

struct request {
	const struct ranq_command *command;
	uint64_t job;
	const char *reason;
};

static int build(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	const struct request *request = user;
	return ranq_queue_cancel_cmd(q, cmd, request->job, request->reason);
}

static int cancel(void *user, struct ranq_session *session, uint64_t job, struct ranq_err *err)
{
	struct request *request = user;
	uint64_t n;
	request->job = job;
	if (ranq_session_control(session, build, request, &n, err))
		return -1;
	if (!n)
		ranq_cli_say(request->command, "job %s has ended before", ranq_cli_job_text(session, job));
	return 0;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {.reason = "cancelled by its user"};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc)
		return rc > 0 ? 0 : ranq_cli_fail(command, &err);
	struct request request = {.command = command, .reason = options.reason};
	return ranq_cli_each_job(command, &options.common, &operands, cancel, &request);
}

const struct ranq_command ranq_command_cancel = {
	.name = "cancel",
	.summary = "cancel jobs",
	.synopsis = "[OPTION]... JOB...",
	.details = "Running tasks are ended within a second; results that are there stay until the job is removed.",
	.groups = groups,
	.min_operands = 1,
	.max_operands = UINT_MAX,
	.run = run,
};

/* cmd_rm.c - `ranq rm JOB...`: removes jobs with everything that belongs to them. */
#include <limits.h>

#include "client/remove.h"
#include "common/cli.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_server_options, offsetof(struct options, common)},
	{0},
};

static int remove_job(void *user, struct ranq_session *session, uint64_t job, struct ranq_err *err)
{
	(void)user;
	return ranq_job_remove(session, job, true, err);
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc)
		return rc > 0 ? 0 : ranq_cli_fail(command, &err);
	return ranq_cli_each_job(command, &options.common, &operands, remove_job, NULL);
}

const struct ranq_command ranq_command_rm = {
	.name = "rm",
	.summary = "remove jobs and their results",
	.synopsis = "[OPTION]... JOB...",
	.details = "A job that still runs is cancelled. Nothing of it is left in the server.",
	.groups = groups,
	.min_operands = 1,
	.max_operands = UINT_MAX,
	.run = run,
};

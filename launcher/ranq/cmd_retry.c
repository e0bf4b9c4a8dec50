/* cmd_retry.c - `ranq retry JOB`: runs again what failed, and what never ran. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cli.h"
#include "util/plural.h"

struct options {
	bool failed;
	const char *tasks;
	struct ranq_cli_common common;
};

static const struct ranq_option retry_options[] = {
	{"failed", 0, NULL, RANQ_OPTION_FLAG, offsetof(struct options, failed),
		"only failed tasks, not those that never ran", NULL, 0, 0},
	{"task", 0, "INDEX[,INDEX...]", RANQ_OPTION_TEXT, offsetof(struct options, tasks),
		"these tasks, too, whose results cannot be read", NULL, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", retry_options, 0},
	{"common options", ranq_cli_server_options, offsetof(struct options, common)},
	{0},
};

struct request {
	const struct ranq_command *command;
	uint64_t job;
	bool failed_only;
	uint64_t tasks[RANQ_RETRY_TASKS_MAX];
	size_t ntasks;
};

static int build(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	const struct request *request = user;
	return ranq_queue_retry_cmd(q, cmd, request->job, request->failed_only, request->tasks, request->ntasks);
}

static int read_tasks(struct request *request, const char *text, struct ranq_err *err)
{
	while (text && *text) {
		char *end;
		errno = 0;
		unsigned long long index = strtoull(text, &end, 10);
		if (*text < '0' || *text > '9' || errno || index >= RANQ_TASKS_MAX || (*end && *end != ',') || (*end && !end[1]))
			return ranq_err_set(err, RANQ_ERR_INPUT, "option '--task': '%s' is no list of task indices", text);
		if (request->ntasks == RANQ_RETRY_TASKS_MAX)
			return ranq_err_set(err, RANQ_ERR_INPUT, "option '--task': at most %d tasks at a time", RANQ_RETRY_TASKS_MAX);
		request->tasks[request->ntasks++] = index;
		text = *end ? end + 1 : NULL;
	}
	return 0;
}

/* What went into a sum cannot be taken out of it. */
static int check_tasks(struct ranq_session *session, uint64_t job, struct ranq_err *err)
{
	struct ranq_spec spec;
	if (ranq_session_spec(session, job, &spec, err))
		return -1;
	int rc = 0;
	if (spec.reduce || spec.results != RANQ_RESULTS_KEEP)
		rc = ranq_err_set(err, RANQ_ERR_STATE, "job %s keeps no results of single tasks", ranq_cli_job_text(session, job));
	ranq_spec_clear(&spec);
	return rc;
}

static int retry(void *user, struct ranq_session *session, uint64_t job, struct ranq_err *err)
{
	struct request *request = user;
	uint64_t n;
	request->job = job;
	if (request->ntasks && check_tasks(session, job, err))
		return -1;
	if (ranq_session_control(session, build, request, &n, err))
		return err->code == RANQ_ERR_STATE
			       ? ranq_err_wrap(err, "job %s cannot be retried", ranq_cli_job_text(session, job))
			       : -1;
	ranq_cli_say(request->command, "%llu task%s of job %s run%s again", (unsigned long long)n, ranq_plural(n),
		ranq_cli_job_text(session, job), ranq_number(n, "s", ""));
	return 0;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc)
		return rc > 0 ? 0 : ranq_cli_fail(command, &err);
	struct request request = {.command = command, .failed_only = options.failed};
	if (read_tasks(&request, options.tasks, &err))
		return ranq_cli_fail(command, &err);
	return ranq_cli_each_job(command, &options.common, &operands, retry, &request);
}

const struct ranq_command ranq_command_retry = {
	.name = "retry",
	.summary = "run the failed tasks of a finished job again",
	.synopsis = "[OPTION]... JOB",
	.details = "With --task also tasks that succeeded and whose results cannot be read.\n"
		   "Results of the new round take the place of the old ones when they are read.",
	.groups = groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

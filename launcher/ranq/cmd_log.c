/* cmd_log.c - `ranq log JOB INDEX`: the record of a failed task: how it ended, where, and the end of its standard
 * error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arguments.h"
#include "common/cli.h"
#include "client/failures.h"
#include "common/table.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/plural.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

struct logging {
	struct ranq_session *session;
	struct ranq_arguments arguments;
	uint64_t job, index;
	bool json, found;
};

static int print_json(
	struct logging *logging, const struct ranq_failure *failure, const char *arg, struct ranq_err *err)
{
	struct ranq_json *json = ranq_json_object("ranq.log/1");
	ranq_json_str(json, "job", ranq_cli_job_text(logging->session, logging->job));
	ranq_json_uint(json, "index", failure->index);
	ranq_json_str(json, "arg", arg);
	ranq_json_str(json, "status", ranq_task_status_name(failure->status));
	ranq_json_int(json, "exit_code", failure->exit_code);
	ranq_json_int(json, "signal", failure->signal);
	ranq_json_str(json, "reason", failure->reason);
	ranq_json_uint(json, "attempts", failure->attempts);
	ranq_json_real(json, "seconds", (double)failure->elapsed_us / 1e6);
	ranq_json_str(json, "host", failure->host);
	ranq_json_str(json, "worker", failure->worker);
	ranq_json_bytes(json, "stderr", failure->err_tail.data, failure->err_tail.len);
	return ranq_json_print(json, stdout, err);
}

static void print_field(const char *name, const char *text)
{
	printf("%-9s ", name);
	ranq_clean_print(stdout, text, strlen(text), false);
	putchar('\n');
}

static void print_text(struct logging *logging, const struct ranq_failure *failure, const char *arg)
{
	char text[128], elapsed[32];
	snprintf(text, sizeof text, "%llu of job %s", (unsigned long long)failure->index,
		ranq_cli_job_text(logging->session, logging->job));
	print_field("task", text);
	if (arg)
		print_field("argument", arg);
	print_field("status", ranq_task_status_name(failure->status));
	print_field("reason", failure->reason);
	snprintf(text, sizeof text, "%u", failure->attempts);
	print_field("attempts", text);
	print_field("time", ranq_duration_format((int64_t)(failure->elapsed_us / 1000), elapsed));
	print_field("host", failure->host);
	print_field("worker", failure->worker);
	if (!failure->err_tail.len)
		return;
	const char *tail = failure->err_tail.data;
	printf("end of its standard error:\n");
	ranq_clean_print(stdout, tail, failure->err_tail.len, true);
	if (tail[failure->err_tail.len - 1] != '\n')
		putchar('\n');
}

static int print(void *user, const struct ranq_failure *failure, struct ranq_err *err)
{
	struct logging *logging = user;
	if (failure->index != logging->index)
		return 1;
	logging->found = true;
	const char *arg = ranq_arguments_get(&logging->arguments, failure->index);
	if (logging->json)
		return print_json(logging, failure, arg, err) ? -1 : 1;
	print_text(logging, failure, arg);
	return 1;
}

static int find(struct logging *logging, struct ranq_err *err)
{
	struct ranq_job_info info;
	if (ranq_session_info(logging->session, logging->job, &info, err))
		return -1;
	if (logging->index >= info.tasks)
		return ranq_err_set(err, RANQ_ERR_INPUT, "job %s has %llu task%s; the last is %lld",
			ranq_cli_job_text(logging->session, logging->job), (unsigned long long)info.tasks,
			ranq_plural(info.tasks), (long long)info.tasks - 1);
	if (ranq_arguments_open(&logging->arguments, logging->session, logging->job, err))
		return -1;
	int rc = ranq_failures_each(logging->session, logging->job, logging->index, 1, print, logging, err);
	ranq_arguments_close(&logging->arguments);
	if (rc == 0 && !logging->found)
		rc = ranq_err_set(err, RANQ_ERR_NOTFOUND, "task %llu of job %s has no record: it did not fail",
			(unsigned long long)logging->index, ranq_cli_job_text(logging->session, logging->job));
	return rc;
}

static int parse_index(const char *text, uint64_t *index, struct ranq_err *err)
{
	char *end;
	*index = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || *index >= RANQ_TASKS_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%.80s' is not the index of a task", text);
	return 0;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	struct logging logging = {0};
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	logging.json = options.common.json;
	if (rc == 0)
		rc = parse_index(operands.at[1], &logging.index, &err);
	if (rc == 0)
		logging.session = ranq_cli_open_job(&options.common, operands.at[0], &logging.job, &err);
	rc = logging.session ? find(&logging, &err) : -1;
	if (rc == 0)
		rc = ranq_cli_close_stdout(&err);
	ranq_session_close(logging.session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_log = {
	.name = "log",
	.summary = "show how a failed task ended, and the end of its standard error",
	.synopsis = "[OPTION]... JOB INDEX",
	.details = "INDEX counts from 0, as 'ranq tasks' shows it.",
	.groups = groups,
	.min_operands = 2,
	.max_operands = 2,
	.run = run,
};

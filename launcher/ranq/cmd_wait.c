/* cmd_wait.c - `ranq wait JOB...`: until all of them ended; the exit status tells how. */
#include <limits.h>
#include <stdio.h>

#include "client/wait.h"
#include "common/cli.h"
#include "common/jobview.h"
#include "client/progress.h"
#include "common/waiting.h"

#define PATIENCE_MS 1000

struct options {
	int64_t timeout_ms;
	struct ranq_cli_common common;
};

static const struct ranq_option wait_options[] = {
	{"timeout", 't', "D", RANQ_OPTION_DURATION, offsetof(struct options, timeout_ms),
		"give up after this time with status 5: 90, 90s, 5m, 2h, 1-12:00:00", NULL, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", wait_options, 0},
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

struct waiting {
	const struct ranq_command *command;
	const struct options *options;
	int64_t deadline_ms;
	struct ranq_session *session;
	struct ranq_progress_bar bar;
	bool told_held;
	struct ranq_stall stall;
};

static int seen(void *user, const struct ranq_job_info *info, struct ranq_err *err)
{
	struct waiting *waiting = user;
	ranq_progress_show(&waiting->bar, info);
	if (info->held && !waiting->told_held) {
		char text[512];
		ranq_jobview_held(waiting->session->queue.name, info, text, sizeof text);
		ranq_progress_hide(&waiting->bar);
		ranq_cli_say(waiting->command, "%s", text);
	}
	waiting->told_held = info->held;
	int rc = ranq_waiting_stalled(&waiting->stall, waiting->session, info, PATIENCE_MS, err);
	if (rc > 0) {
		ranq_progress_hide(&waiting->bar);
		ranq_cli_say(waiting->command, "job %s waits: %s", ranq_cli_job_text(waiting->session, info->job),
			waiting->stall.told);
	}
	return rc < 0 ? -1 : 0;
}

static int wait_for(void *user, struct ranq_session *session, uint64_t job, struct ranq_err *err)
{
	struct waiting *waiting = user;
	struct ranq_job_info info;
	waiting->session = session;
	waiting->told_held = false;
	waiting->stall = (struct ranq_stall){0};
	session->options.patience_ms = RANQ_NEVER; /* a server that is away comes back */
	ranq_progress_init(&waiting->bar);
	int rc = ranq_wait_job(
		session, job, waiting->bar.on ? 250 : PATIENCE_MS, waiting->deadline_ms, seen, waiting, &info, err);
	ranq_progress_hide(&waiting->bar);
	if (rc)
		return -1;
	if (waiting->options->common.json)
		return ranq_json_print(ranq_jobview_json("ranq.job/1", session->queue.name, &info, NULL), stdout, err)
			       ? -1
			       : ranq_jobview_status(&info);
	ranq_jobview_say_end(waiting->command, session, &info, true);
	return ranq_jobview_status(&info);
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {.timeout_ms = RANQ_NEVER};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	if (rc < 0 || ranq_cli_catch_signals(&err))
		return ranq_cli_fail(command, &err);
	struct waiting waiting = {
		.command = command, .options = &options, .deadline_ms = ranq_session_after(options.timeout_ms)};
	int status = ranq_cli_each_job(command, &options.common, &operands, wait_for, &waiting);
	return ranq_cli_close_stdout(&err) ? ranq_cli_fail(command, &err) : status;
}

const struct ranq_command ranq_command_wait = {
	.name = "wait",
	.summary = "wait until jobs have ended",
	.synopsis = "[OPTION]... JOB...",
	.details = "JOB is '7', 'QUEUE/7' or 'last'. Exit status: 0 all tasks succeeded, 1 some failed or the job was "
		   "cancelled,\n"
		   "5 the time-out is over. A job that cannot go on because its results are unread is named at once, and\n"
		   "why nothing of a job runs after a second.",
	.groups = groups,
	.min_operands = 1,
	.max_operands = UINT_MAX,
	.run = run,
};

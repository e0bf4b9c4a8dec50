/* cmd_pause.c - `ranq pause QUEUE` and `ranq resume QUEUE`. */
#include "common/cli.h"
#include "common/commands.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_server_options, offsetof(struct options, common)},
	{0},
};

static int build(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	return ranq_queue_pause_cmd(q, cmd, *(const bool *)user);
}

/* Without an operand it is the queue in use: which one that was must be seen, or all later work stands still. */
static void say(const struct ranq_command *command, const char *queue, bool pause, bool changed)
{
	if (!changed)
		ranq_cli_say(command, "queue '%s' is %s already", queue, pause ? "paused" : "open");
	else if (pause)
		ranq_cli_say(command, "queue '%s' starts no new tasks until 'ranq resume %s'", queue, queue);
	else
		ranq_cli_say(command, "queue '%s' goes on", queue);
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	bool pause = command == &ranq_command_pause;
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	uint64_t n;
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	if (rc == 0 && operands.n)
		options.common.queue = operands.at[0];
	struct ranq_session *session = rc == 0 ? ranq_cli_open(&options.common, false, 0, &err) : NULL;
	rc = session ? ranq_session_control(session, build, &pause, &n, &err) : -1;
	if (rc && err.code == RANQ_ERR_NOTFOUND)
		ranq_err_set(&err, RANQ_ERR_NOTFOUND, "no such queue: '%s'", session ? session->queue.name : "");
	if (rc == 0)
		say(command, session->queue.name, pause, n > 0);
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_pause = {
	.name = "pause",
	.summary = "start no new tasks of a queue",
	.synopsis = "[OPTION]... [QUEUE]",
	.details = "What runs goes on, and its results are kept. Jobs may be submitted.",
	.groups = groups,
	.max_operands = 1,
	.run = run,
};

const struct ranq_command ranq_command_resume = {
	.name = "resume",
	.summary = "let a paused queue go on",
	.synopsis = "[OPTION]... [QUEUE]",
	.details = "Idle workers are woken at once.",
	.groups = groups,
	.max_operands = 1,
	.run = run,
};

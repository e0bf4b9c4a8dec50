/* cmd_drain.c - `ranq drain WORKER|ALLOCATION|all`: workers finish what runs, give back the rest and leave. */
#include <string.h>

#include "common/cli.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_server_options, offsetof(struct options, common)},
	{0},
};

static int build(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	return ranq_queue_drain_cmd(q, cmd, user);
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	uint64_t n = 0;
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	struct ranq_session *session = rc == 0 ? ranq_cli_open(&options.common, false, 0, &err) : NULL;
	rc = session ? ranq_session_control(session, build, operands.at[0], &n, &err) : -1;
	bool none = rc == 0 ? n == 0 : err.code == RANQ_ERR_NOTFOUND;
	if (session && none && strcmp(operands.at[0], "all") == 0)
		rc = ranq_err_set(&err, RANQ_ERR_NOTFOUND, "no worker serves queue '%s'", session->queue.name);
	else if (session && none)
		rc = ranq_err_set(&err, RANQ_ERR_NOTFOUND,
			"no such worker or allocation in queue '%s': '%.100s'; see 'ranq workers'", session->queue.name,
			operands.at[0]);
	if (rc == 0)
		ranq_cli_say(command, "%llu workers will leave queue '%s'", (unsigned long long)n, session->queue.name);
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_drain = {
	.name = "drain",
	.summary = "let workers finish what runs and leave",
	.synopsis = "[OPTION]... WORKER|ALLOCATION|all",
	.details = "WORKER is an id or its first 8 digits or more, as 'ranq workers' shows it.",
	.groups = groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

/* cmd_rm_queue.c - `ranq rm-queue QUEUE`: removes a queue with all of its jobs. */
#include "client/remove.h"
#include "common/cli.h"
#include "util/plural.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_server_options, offsetof(struct options, common)},
	{0},
};

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	uint64_t n;
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	if (rc == 0)
		options.common.queue = operands.at[0];
	struct ranq_session *session = rc == 0 ? ranq_cli_open(&options.common, false, 0, &err) : NULL;
	rc = session ? ranq_queue_remove(session, &n, &err) : -1;
	if (rc && err.code == RANQ_ERR_NOTFOUND)
		ranq_err_set(&err, RANQ_ERR_NOTFOUND, "no such queue: '%s'", operands.at[0]);
	if (rc == 0)
		ranq_cli_say(command, "queue '%s' is gone, and %llu job%s with it", session->queue.name,
			(unsigned long long)n, ranq_plural(n));
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_rm_queue = {
	.name = "rm-queue",
	.summary = "remove a queue and all of its jobs",
	.synopsis = "[OPTION]... QUEUE",
	.details = "Workers of the queue drop what they run and leave it. Nothing of the queue is left in the server, and no file\n"
		   "of its jobs in their --offload directories.",
	.groups = groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

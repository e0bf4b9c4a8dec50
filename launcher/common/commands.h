/* commands.h - the subcommands of `ranq`; each is defined in ranq/cmd_NAME.c. */
#ifndef RANQ_COMMON_COMMANDS_H
#define RANQ_COMMON_COMMANDS_H

#include "common/options.h"

/* in the order of `ranq help` */
#define RANQ_COMMANDS(X) \
	X(run) \
	X(submit) X(wait) X(results) X(jobs) X(queues) X(workers) X(tasks) X(info) X(log) X(cancel) X(retry) X(rm) \
		X(pause) X(resume) X(rm_queue) X(join) X(drain) X(scale) X(server) X(doctor)
#define X(name) extern const struct ranq_command ranq_command_##name;
RANQ_COMMANDS(X)
#undef X

#endif

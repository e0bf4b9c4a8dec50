/* scale.h - the parts of `ranq scale`; internal to cmd_scale*.c. */
#ifndef RANQ_LAUNCHER_SCALE_H
#define RANQ_LAUNCHER_SCALE_H

#include "common/cli.h"
#include "common/commands.h"
#include "common/scale_door.h"
#include "common/scale_local.h"
#include "common/scale_script.h"
#include "pbs/pbs.h"
#include "slurm/slurm.h"

struct ranq_scale_options {
	int scheduler; /* enum */
	uint64_t min, max, nodes, cpus, ranks, max_pending, submits_per_hour;
	int64_t walltime_ms, worth_ms, task_ms, idle_ms, poll_ms;
	const char *budget, *template, *log_dir, *tags, *env_setup, *image;
	struct ranq_words submit_options;
	bool fit, once, dry_run, now;
	struct ranq_cli_common common;
};
enum { RANQ_SCALE_ANY, RANQ_SCALE_SLURM, RANQ_SCALE_PBS, RANQ_SCALE_LOCAL };
extern const struct ranq_option_group ranq_scale_groups[];
void ranq_scale_options_init(struct ranq_scale_options *options);

/* Everything of one scaler. */
struct ranq_scaler {
	const struct ranq_command *command;
	struct ranq_scale_options options;
	struct ranq_operands operands; /* options of join */
	char **words;                  /* as given, for the record; NULL-terminated, owned */
	char *template, *name, *env_setup, *image; /* the latter absolute paths, or NULL */
	bool was_stopping; /* when we came */
	struct ranq_session *session;
	struct ranq_scale_queue queue;
	struct ranq_scale_engine engine;
	struct ranq_scale_script script;
	struct ranq_slurm slurm;
	struct ranq_pbs pbs;
	struct ranq_scale_local local;
};
/* `ranq scale`: argv of the whole command. */
int ranq_scaler_run(const struct ranq_command *command, const struct ranq_scale_options *options,
	const struct ranq_operands *operands, int argc, char **argv);
/* Goes on with what the record says. */
int ranq_scaler_reconnect(const struct ranq_command *command, const struct ranq_scale_options *options);

/* `ranq scale status` */
int ranq_scale_status(const struct ranq_command *command, const struct ranq_scale_options *options);

#endif

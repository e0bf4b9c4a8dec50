/* cmd_scale.c - `ranq scale`: allocations come and go with the work. Options, and the commands to a scaler that runs
 * somewhere. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/ranq/scale.h"

#define FIELD(f) offsetof(struct ranq_scale_options, f)
static const struct ranq_option option_table[] = {
	{"scheduler", 0, "NAME", RANQ_OPTION_CHOICE, FIELD(scheduler),
		"slurm, pbs, or local: processes of this host (default: the one that is here)", "auto|slurm|pbs|local"},
	{"min", 0, "N", RANQ_OPTION_UINT, FIELD(min), "allocations that are always there (default: 0)", NULL, 0, 1000},
	{"max", 0, "N", RANQ_OPTION_UINT, FIELD(max), "most allocations at a time (default: 1)", NULL, 1, 1000},
	{"nodes-per-allocation", 'N', "N", RANQ_OPTION_UINT, FIELD(nodes), "nodes of one (default: 1)", NULL, 1,
		100000},
	{"cpus-per-node", 0, "N", RANQ_OPTION_UINT, FIELD(cpus), "for PBS, which must be told (default: 1)", NULL, 1,
		100000},
	{"ranks", 'n', "N", RANQ_OPTION_UINT, FIELD(ranks), "compute ranks of one (default: one per core)", NULL, 1,
		1000000},
	{"walltime", 't', "D", RANQ_OPTION_DURATION, FIELD(walltime_ms), "of one (default: 1h)", NULL, 60000, 0},
	{"fit", 0, NULL, RANQ_OPTION_FLAG, FIELD(fit), "the scheduler may give a quarter of it, to use a gap"},
	{"tags", 0, "TAG,...", RANQ_OPTION_TEXT, FIELD(tags), "of the workers: what jobs may --require"},
	{"worth", 0, "D", RANQ_OPTION_DURATION, FIELD(worth_ms),
		"work that each rank of a new one should find (default: 30s)", NULL, 1000, 0},
	{"task-time", 0, "D", RANQ_OPTION_DURATION, FIELD(task_ms),
		"assumed until the first task of a job ends (default: 1m)", NULL, 1, 0},
	{"idle", 0, "D", RANQ_OPTION_DURATION, FIELD(idle_ms), "an idle one leaves after (default: 5m)", NULL, 1000, 0},
	{"budget", 0, "NODE-HOURS", RANQ_OPTION_TEXT, FIELD(budget), "never spend more in all"},
	{"max-pending", 0, "N", RANQ_OPTION_UINT, FIELD(max_pending), "most that wait at a time (default: --max)", NULL,
		1, 1000},
	{"max-submits-per-hour", 0, "N", RANQ_OPTION_UINT, FIELD(submits_per_hour), "(default: 60)", NULL, 1, 1000},
	{"poll", 0, "D", RANQ_OPTION_DURATION, FIELD(poll_ms), "ask the scheduler no more often (default: 30s)", NULL,
		500, 0},
	{"template", 0, "FILE", RANQ_OPTION_TEXT, FIELD(template), "job script with @variables@ (see the manual page)"},
	{"env-setup", 0, "FILE", RANQ_OPTION_TEXT, FIELD(env_setup),
		"read by bash on each node before the ranks start: modules, conda, ..."},
	{"image", 0, "IMG.sif", RANQ_OPTION_TEXT, FIELD(image),
		"Apptainer image to run ranks and tasks in; holds a ranq-bridge of its own"},
	{"submit-option", 0, "WORD", RANQ_OPTION_WORDS, FIELD(submit_options),
		"one more word for sbatch or qsub; may be repeated"},
	{"log-dir", 0, "DIR", RANQ_OPTION_TEXT, FIELD(log_dir),
		"output of the allocations (default: ~/.local/state/ranq/scale)"},
	{"once", 0, NULL, RANQ_OPTION_FLAG, FIELD(once), "decide once and leave, for cron"},
	{"dry-run", 0, NULL, RANQ_OPTION_FLAG, FIELD(dry_run), "print job script and decision, do nothing"},
	{"now", 0, NULL, RANQ_OPTION_FLAG, FIELD(now), "stop: cancel allocations that run, too"},
	{NULL},
};
const struct ranq_option_group ranq_scale_groups[] = {
	{"options", option_table, 0},
	{"common options", ranq_cli_common_options, FIELD(common)},
	{NULL},
};

void ranq_scale_options_init(struct ranq_scale_options *options)
{
	*options = (struct ranq_scale_options){.max = 1,
		.nodes = 1,
		.cpus = 1,
		.submits_per_hour = 60,
		.walltime_ms = 3600000,
		.worth_ms = 30000,
		.task_ms = 60000,
		.idle_ms = 300000,
		.poll_ms = 30000};
}

/* ---- wishes ---- */

static int no_record(const struct ranq_session *session, struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_NOTFOUND, "queue '%s' is not scaled; start with: ranq scale -q %s --max N",
		session->queue.name, session->queue.name);
}

/* Writes one wish for whoever scales the queue. */
static int wish(const struct ranq_command *command, const struct ranq_scale_options *options, const char *name,
	const char *value, struct ranq_err *err)
{
	struct ranq_session *session = ranq_cli_open(&options->common, false, 0, err);
	struct ranq_scale_queue queue;
	const char *const pair[1][2] = {{name, value}};
	if (!session)
		return -1;
	ranq_scale_queue_init(&queue, session);
	int rc = ranq_scale_queue_set(&queue, true, pair, 1, err);
	if (rc && err->code == RANQ_ERR_NOTFOUND)
		rc = no_record(session, err);
	struct ranq_scale_record record;
	struct ranq_reply *reply = NULL;
	if (rc == 0 && ranq_scale_queue_bury(&queue, err) < 0)
		rc = -1;
	if (rc == 0 && ranq_scale_queue_get(&queue, 0, &record, &reply, err) == 0 && record.left_ms == 0)
		ranq_cli_say(command, "noted; no scaler runs now: ranq scale reconnect -q %s", session->queue.name);
	ranq_reply_destroy(reply);
	ranq_scale_queue_clear(&queue);
	ranq_session_close(session);
	return rc;
}

static int set(const struct ranq_command *command, const struct ranq_scale_options *options,
	const struct ranq_operands *operands, struct ranq_err *err)
{
	const char *word = operands->n == 2 ? operands->at[1] : "";
	if (strcmp(word, "auto") == 0)
		return wish(command, options, "want", "", err);
	if (ranq_scale_want_of(word) < 0)
		return ranq_err_set(err, RANQ_ERR_USAGE, "'set' needs a number of allocations or 'auto'");
	return wish(command, options, "want", word, err);
}

/* ---- stopping ---- */

/* A scaler that runs does it; without one we do. */
static int stop(const struct ranq_command *command, const struct ranq_scale_options *options, struct ranq_err *err)
{
	struct ranq_scale_queue queue;
	struct ranq_scale_record record;
	const char *const pair[1][2] = {{"mode", options->now ? "stop-now" : "stop"}};
	struct ranq_session *session = ranq_cli_open(&options->common, false, 0, err);
	if (!session)
		return -1;
	ranq_scale_queue_init(&queue, session);
	int rc = ranq_scale_queue_set(&queue, true, pair, 1, err);
	if (rc && err->code == RANQ_ERR_NOTFOUND)
		rc = no_record(session, err);
	for (bool told = false; rc == 0;) {
		struct ranq_reply *reply = NULL;
		rc = ranq_scale_queue_get(&queue, 0, &record, &reply, err);
		ranq_reply_destroy(reply);
		if (rc || !record.exists || record.left_ms == 0 || ranq_scale_queue_bury(&queue, err))
			break;
		if (!told)
			ranq_cli_say(command, "%.*s is stopping it", (int)strcspn(record.who, " "), record.who);
		told = true;
		rc = ranq_session_turn(session, ranq_clock_ms() + 300, err);
	}
	ranq_scale_queue_clear(&queue);
	ranq_session_close(session);
	if (rc)
		return -1;
	return record.exists ? ranq_scaler_reconnect(command, options) : 0;
}

/* ---- the command ---- */

static int act(const struct ranq_command *command, const struct ranq_scale_options *options,
	const struct ranq_operands *operands, struct ranq_err *err)
{
	const char *verb = operands->at[0];
	if (operands->n > (strcmp(verb, "set") == 0 ? 2 : 1))
		return ranq_err_set(err, RANQ_ERR_USAGE, "too many words behind '%s'", verb);
	if (strcmp(verb, "status") == 0)
		return ranq_scale_status(command, options);
	if (strcmp(verb, "set") == 0)
		return set(command, options, operands, err);
	if (strcmp(verb, "pause") == 0)
		return wish(command, options, "mode", "paused", err);
	if (strcmp(verb, "resume") == 0)
		return wish(command, options, "mode", "auto", err);
	if (strcmp(verb, "stop") == 0)
		return stop(command, options, err);
	if (strcmp(verb, "reconnect") == 0)
		return ranq_scaler_reconnect(command, options);
	return ranq_err_set(err, RANQ_ERR_USAGE,
		"there is no 'ranq scale %.40s'; there are status, set, pause, resume, stop, reconnect; options of "
		"join stand "
		"behind '--'",
		verb);
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct ranq_scale_options options;
	struct ranq_operands operands;
	struct ranq_err err = {0};
	/* parsing permutes: what the record keeps is as it was given */
	char **given = calloc((size_t)argc + 1, sizeof *given);
	if (!given)
		return 2;
	memcpy(given, argv, (size_t)argc * sizeof *given);
	ranq_scale_options_init(&options);
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc == 0) {
		bool verb = operands.n > 0 && (!operands.dashes || operands.at[0][0] != '-');
		if (!options.dry_run && !options.once)
			rc = ranq_cli_catch_signals(&err);
		if (rc == 0)
			rc = verb ? act(command, &options, &operands, &err)
				  : ranq_scaler_run(command, &options, &operands, argc, given);
	} else if (rc > 0) {
		rc = 0;
	}
	ranq_words_clear(&options.submit_options);
	free(given);
	/* scaler and status have told their errors */
	return rc < 0 ? ranq_cli_fail(command, &err) : rc;
}

const struct ranq_command ranq_command_scale = {
	.name = "scale",
	.summary = "let allocations come and go with the work",
	.synopsis =
		"--max N [OPTION]... [-- OPTION OF JOIN...]\nstatus|pause|resume|reconnect|stop [--now]\nset N|auto",
	.details = "Submits allocations to Slurm or PBS while there is work for them, takes back pending ones that are "
		   "not\n"
		   "needed, and drains idle ones. It may be killed and started again, here or elsewhere: what it knows "
		   "is in\n"
		   "the queue and at the scheduler. When it ends, allocations stay; each leaves by itself when it is "
		   "idle.",
	.groups = ranq_scale_groups,
	.min_operands = 0,
	.max_operands = UINT_MAX,
	.run = run,
};

/* scale_script.h - job scripts of `ranq scale`: built-in templates, the user's own, and the files that a submission
 * needs. */
#ifndef RANQ_LAUNCHER_SCALE_SCRIPT_H
#define RANQ_LAUNCHER_SCALE_SCRIPT_H

#include "scale/engine.h"

struct ranq_scale_script {
	const char *scheduler; /* "slurm", "pbs", "local" */
	const char *template;  /* text; NULL: built in */
	const char *queue, *name;
	const char *server;      /* URL for the bridges, NULL: they find it as we did */
	const char *tags;        /* or NULL */
	const char *env_setup, *image; /* of ranks and tasks, as given; or NULL */
	const char *const *join; /* further options of ranq join */
	size_t njoin;
	const char *const *options; /* further words for sbatch or qsub */
	size_t noptions;
	unsigned nodes, cpus /* of a node */, ranks /* of all; 0: one per core */;
	int64_t walltime_ms, idle_ms; /* idle_ms 0: allocations do not end by themselves */
	bool fit;                     /* the scheduler may give less time, to use a gap */
	char dir[4000];               /* of scripts and logs */
};
/* $XDG_STATE_HOME/ranq/scale or ~/.local/state/ranq/scale unless given; made when missing. */
int ranq_scale_script_dir(struct ranq_scale_script *script, const char *given, struct ranq_err *err);
/* The text for a submission of so many nodes. */
int ranq_scale_script_fill(
	const struct ranq_scale_script *script, const char *token, struct ranq_buf *out, struct ranq_err *err);
/* For the engine. */
struct ranq_scale_scripts ranq_scale_script_door(struct ranq_scale_script *script);

#endif

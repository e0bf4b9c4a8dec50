/* command.h - inside of commands: what a task's command is started with (command_start.c), and how it is watched and
 * judged (executor_command.c). */
#ifndef RANQ_EXEC_COMMAND_H
#define RANQ_EXEC_COMMAND_H

#include <signal.h>
#include <sys/types.h>

#include "exec/executor.h"
#include "exec/spawn.h"

/* variables that differ from task to task; they stand at the end of envp */
enum { RANQ_VAR_TASK, RANQ_VAR_SEQ, RANQ_VAR_ATTEMPT, RANQ_VAR_SEED, RANQ_VAR_ARG, RANQ_VAR_COUNT };

/* A job of commands. */
struct ranq_command_body {
	char **envp; /* constant part borrowed from job->env, then vars */
	size_t nconstant;
	char vars[RANQ_VAR_ARG][48];
	char *arg_var;
	size_t arg_cap;
	char *path;       /* found program; NULL: look at each task */
	bool fixed_word0; /* argv[0] is the same for all tasks */
	struct ranq_buf output;
	char tail[2 * RANQ_ERR_TAIL_BYTES]; /* end of stderr */
	size_t tail_len;
};

/* A running command. */
struct ranq_command {
	struct ranq_executor *x;
	struct ranq_executor_job *job;
	struct ranq_command_body *body;
	const struct ranq_attempt *attempt;
	pid_t pid;
	int out, err;                /* our ends of its pipes; -1: at their end */
	int64_t timeout_ms, kill_ms; /* monotonic; RANQ_NEVER */
	enum { RANQ_COMMAND_RUNS, RANQ_COMMAND_TIMED_OUT, RANQ_COMMAND_TOO_LONG, RANQ_COMMAND_NO_FILE, RANQ_COMMAND_INTERRUPTED } verdict;
	uint64_t spilled; /* bytes of output that are in x->spill */
	int no_file;      /* errno of NO_FILE */
};

struct ranq_command_body *ranq_command_body_create(struct ranq_executor_job *job, struct ranq_err *err);
void ranq_command_body_destroy(struct ranq_command_body *body);
/* Starts the command of c->attempt. 0: it runs, pid, out and err are set; -1: `outcome` says why it does not. */
int ranq_command_start(struct ranq_command *c, struct ranq_outcome *outcome);

#endif

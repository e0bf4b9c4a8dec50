/* command_start.c - argv, environment, pipes and program of a task's command. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/command.h"
#include "exec/path.h"
#include "record/rng.h"
#include "util/clock.h"

#define OUTPUT_SLACK (64u << 10) /* one read may pass max_output */
#define SPAWN_PATIENCE_MS 10000
#define SPAWN_PAUSE_MS 20
#define ENTRY_MAX (128u << 10) /* Linux: MAX_ARG_STRLEN; a longer RANQ_ARG would make every exec fail */

/* ---- job --------------------------------------------------------------------------------------------------------- */

void ranq_command_body_destroy(struct ranq_command_body *body)
{
	free(body->envp);
	free(body->arg_var);
	free(body->path);
	ranq_buf_clear(&body->output);
	free(body);
}

/* --env must not hide what belongs to the task. */
static bool is_task_variable(const char *entry)
{
	static const char *const names[] = {"RANQ_TASK=", "RANQ_SEQ=", "RANQ_ATTEMPT=", "RANQ_SEED=", "RANQ_ARG="};
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		if (!strncmp(entry, names[i], strlen(names[i])))
			return true;
	return false;
}

struct ranq_command_body *ranq_command_body_create(struct ranq_executor_job *job, struct ranq_err *err)
{
	struct ranq_strings word0 = {.at = job->spec.argv.at, .n = 1};
	struct ranq_command_body *body = calloc(1, sizeof *body);
	size_t i;

	if (!body || !(body->envp = calloc(job->env.n + RANQ_VAR_COUNT + 1, sizeof *body->envp))) {
		free(body);
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	for (i = 0; i < job->env.n; i++)
		if (!is_task_variable(job->env.at[i]))
			body->envp[body->nconstant++] = job->env.at[i];
	body->fixed_word0 = job->spec.shell || !ranq_template_has_replacement(&word0);
	ranq_buf_init(&body->output, ranq_offload_kept(&job->spec) + OUTPUT_SLACK);
	return body;
}

/* ---- what a task is started with --------------------------------------------------------------------------------- */

static int set_arg_var(struct ranq_command_body *body, const char *whole)
{
	size_t len = strlen(whole) + sizeof "RANQ_ARG=";
	char *text;

	if (len > body->arg_cap) {
		text = realloc(body->arg_var, len);
		if (!text)
			return -1;
		body->arg_var = text;
		body->arg_cap = len;
	}
	snprintf(body->arg_var, body->arg_cap, "RANQ_ARG=%s", whole);
	return 0;
}

static int set_variables(
	struct ranq_command_body *body, const struct ranq_attempt *attempt, const char *whole, uint64_t seed)
{
	char **at = body->envp + body->nconstant;
	int i;

	snprintf(body->vars[RANQ_VAR_TASK], sizeof *body->vars, "RANQ_TASK=%llu", (unsigned long long)attempt->index);
	snprintf(body->vars[RANQ_VAR_SEQ], sizeof *body->vars, "RANQ_SEQ=%llu", (unsigned long long)attempt->index + 1);
	snprintf(body->vars[RANQ_VAR_ATTEMPT], sizeof *body->vars, "RANQ_ATTEMPT=%u", attempt->attempt);
	snprintf(body->vars[RANQ_VAR_SEED], sizeof *body->vars, "RANQ_SEED=%llu", (unsigned long long)seed);
	for (i = 0; i < RANQ_VAR_ARG; i++)
		*at++ = body->vars[i];
	if (whole && strlen(whole) + sizeof "RANQ_ARG=" <= ENTRY_MAX) {
		if (set_arg_var(body, whole) < 0)
			return -1;
		*at++ = body->arg_var;
	}
	*at = NULL;
	return 0;
}

/* argv of the task; shell words become sh -c WORD. */
static int make_argv(const struct ranq_executor_job *job, const struct ranq_arg *arg,
	const struct ranq_attempt *attempt, uint64_t seed, struct ranq_strings *argv, struct ranq_err *err)
{
	struct ranq_strings word;

	if (!job->spec.shell)
		return ranq_template_expand(&job->spec, arg, attempt->index, seed, argv, err);
	if (ranq_template_expand(&job->spec, arg, attempt->index, seed, &word, err) < 0)
		return -1;
	*argv = (struct ranq_strings){0};
	if (word.n == 1 && !ranq_strings_add(argv, "/bin/sh", 7) && !ranq_strings_add(argv, "-c", 2) &&
		!ranq_strings_add(argv, word.at[0], strlen(word.at[0]))) {
		ranq_strings_clear(&word);
		return 0;
	}
	ranq_strings_clear(&word);
	ranq_strings_clear(argv);
	return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a command");
}

static const char *find_program(struct ranq_executor_job *job, const struct ranq_strings *argv)
{
	struct ranq_command_body *body = job->body;

	if (!body->path)
		body->path = ranq_path_find(argv->at[0], ranq_environment_get(&job->env, "PATH"));
	return body->path;
}

static void forget_program(struct ranq_command_body *body)
{
	free(body->path);
	body->path = NULL;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

struct pipes {
	int out[2], err[2], in;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void pipes_close(struct pipes *p)
{
	close_fd(&p->out[0]);
	close_fd(&p->out[1]);
	close_fd(&p->err[0]);
	close_fd(&p->err[1]);
	close_fd(&p->in);
}

/* A FIFO without a writer must not hold us up. */
static int open_input(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		fcntl(fd, F_SETFL, 0);
	return fd;
}

/* -1 with errno. */
static int pipes_open(struct pipes *p, const char *stdin_path)
{
	*p = (struct pipes){{-1, -1}, {-1, -1}, -1};
	if (pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->err, O_CLOEXEC) < 0 ||
		(stdin_path && (p->in = open_input(stdin_path)) < 0)) {
		int saved = errno;

		pipes_close(p);
		errno = saved;
		return -1;
	}
	return 0;
}

static bool may_pass(int error)
{
	return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
}

static void pause_for_rank(struct ranq_executor *x)
{
	struct pollfd poll_fd = {.fd = x->fd, .events = POLLIN};

	if (poll(&poll_fd, 1, SPAWN_PAUSE_MS) > 0)
		ranq_executor_pump(x, false);
}

/* A script without #! is sh's, as for execvp. */
static pid_t start_script(struct ranq_executor *x, const struct ranq_spawner_order *spawn, size_t nwords, int *started)
{
	char **words = calloc(nwords + 2, sizeof *words);
	struct ranq_spawner_order script = *spawn;
	char shell[] = "/bin/sh";
	char *path = strdup(spawn->path);
	pid_t pid = -1;

	if (words && path) {
		words[0] = shell;
		words[1] = path;
		memcpy(words + 2, spawn->argv + 1, (nwords - 1) * sizeof *words);
		script.path = shell;
		script.argv = words;
		pid = ranq_spawner_start(x->spawner, &script, started);
	}
	free(words);
	free(path);
	return pid;
}

static void explain_exec(const char *program, int error, struct ranq_outcome *out)
{
	ranq_outcome_error(out, error == ENOENT ? 127 : 126, "cannot execute '%.96s': %s", program, strerror(error));
}

/* One try. 0: runs, p holds our ends; 1: try again later; -1: out says why not. */
static int try_start(struct ranq_command *c, const struct ranq_strings *argv, struct pipes *p, struct ranq_outcome *out)
{
	const char *stdin_path = c->job->spec.stdin_path;
	struct ranq_spawner_order spawn = {.argv = argv->at, .envp = c->body->envp, .group = &c->x->page->group, .memory = c->job->spec.memory};
	int started, error;

	spawn.path = find_program(c->job, argv);
	if (!spawn.path) {
		explain_exec(argv->at[0], errno, out);
		return -1;
	}
	if (pipes_open(p, stdin_path) < 0) {
		if (may_pass(errno))
			return 1;
		ranq_outcome_error(out, 126, "cannot open '%.80s' as standard input: %s", stdin_path ? stdin_path : "",
			strerror(errno));
		return -1;
	}
	spawn.in = p->in;
	spawn.out = p->out[1];
	spawn.err = p->err[1];
	c->pid = ranq_spawner_start(c->x->spawner, &spawn, &started);
	if (c->pid < 0 && started && errno == ENOEXEC)
		c->pid = start_script(c->x, &spawn, argv->n, &started);
	error = errno;
	if (c->pid > 0) {
		close_fd(&p->out[1]);
		close_fd(&p->err[1]);
		close_fd(&p->in);
		return 0;
	}
	pipes_close(p);
	forget_program(c->body);
	if (may_pass(error))
		return 1;
	explain_exec(argv->at[0], error, out);
	return -1;
}

/* Out of processes, memory or descriptors: another task may give some back soon. */
static int start(struct ranq_command *c, const struct ranq_strings *argv, struct pipes *p, struct ranq_outcome *out)
{
	int64_t end = ranq_clock_ms() + SPAWN_PATIENCE_MS;
	int rc, error;

	while ((rc = try_start(c, argv, p, out)) > 0) {
		error = errno;
		if (ranq_clock_ms() >= end) {
			ranq_outcome_error(out, 126, "cannot start a process on %.32s for %d s: %s", c->x->host,
				SPAWN_PATIENCE_MS / 1000, strerror(error));
			return -1;
		}
		pause_for_rank(c->x);
		if (ranq_run_stopped(c->x, c->attempt->run)) {
			out->status = RANQ_TASK_CANCELLED;
			out->interrupted = true;
			return -1;
		}
	}
	return rc;
}

int ranq_command_start(struct ranq_command *c, struct ranq_outcome *outcome)
{
	uint64_t seed = ranq_rng_seed_number((uint32_t)c->job->spec.seed, c->attempt->index);
	struct ranq_strings argv = {0};
	struct ranq_arg arg;
	struct ranq_err err = {0};
	struct pipes p;
	int rc = -1;

	if (ranq_executor_arg(c->job, c->attempt, &arg, &err) < 0) {
		ranq_outcome_error(outcome, 126, "%.150s", err.text);
		return -1;
	}
	if (make_argv(c->job, &arg, c->attempt, seed, &argv, &err) < 0 ||
		set_variables(c->body, c->attempt, arg.whole, seed) < 0)
		ranq_outcome_error(outcome, 126, "%.150s", err.text[0] ? err.text : "out of memory");
	else
		rc = start(c, &argv, &p, outcome);
	ranq_strings_clear(&argv);
	ranq_arg_clear(&arg);
	if (rc < 0)
		return -1;
	c->out = p.out[0];
	c->err = p.err[0];
	if (!c->body->fixed_word0)
		forget_program(c->body);
	return 0;
}

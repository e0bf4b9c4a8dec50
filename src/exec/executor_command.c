/* executor_command.c - the body is a command: one process group a task, stdout is the result.
 *
 * While a command runs we sleep in one ppoll over its two pipes and the rank's socket; SIGCHLD is blocked except inside
 * it, so the end of the command wakes us without a descriptor more (and on kernels without pidfds). The command's
 * process is reaped only after its group was killed: until then the number of the group cannot belong to anybody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/executor.h"
#include "exec/path.h"
#include "exec/spawn.h"
#include "record/rng.h"
#include "util/clock.h"

#define READ_BYTES (64u << 10)
#define FLUSH_MS 20
#define SPAWN_PATIENCE_MS 10000
#define SPAWN_PAUSE_MS 20
#define ENTRY_MAX (128u << 10) /* Linux: MAX_ARG_STRLEN; a longer RANQ_ARG would make every exec fail */

/* variables that differ from task to task; they stand at the end of envp */
enum { VAR_TASK, VAR_SEQ, VAR_ATTEMPT, VAR_SEED, VAR_ARG, VAR_COUNT };

struct body {
	char **envp; /* constant part borrowed from job->env, then vars */
	size_t nconstant;
	char vars[VAR_ARG][48];
	char *arg_var;
	size_t arg_cap;
	char *path;       /* found program; NULL: look at each task */
	bool fixed_word0; /* argv[0] is the same for all tasks */
	struct ranq_buf output;
	char tail[2 * RANQ_ERR_TAIL_BYTES]; /* end of stderr */
	size_t tail_len;
};

/* A running command. */
struct command {
	struct ranq_executor *x;
	struct ranq_executor_job *job;
	struct body *body;
	const struct ranq_attempt *attempt;
	pid_t pid;
	int out, err; /* -1: at their end */
	bool exited;
	int64_t timeout_ms, kill_ms; /* monotonic; RANQ_NEVER */
	enum { RUNNING, TIMED_OUT, TOO_LONG, INTERRUPTED } verdict;
};

static void on_child(int sig)
{
	(void)sig;
}

/* Blocked outside ppoll, and without SA_RESTART: its only work is to end ppoll. */
static void watch_children(void)
{
	struct sigaction action = {.sa_handler = on_child};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGCHLD, &action, NULL);
}

/* ---- job --------------------------------------------------------------------------------------------------------- */

static void body_destroy(struct body *body)
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

static int command_open(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_err *err)
{
	struct ranq_strings word0 = {.at = job->spec.argv.at, .n = 1};
	struct body *body = calloc(1, sizeof *body);
	size_t i;

	if (ranq_executor_environment(x, job, err) < 0) {
		free(body);
		return -1;
	}
	if (!x->spawner) {
		watch_children();
		x->spawner = ranq_spawner_create(err);
	}
	if (!body || !x->spawner || !(body->envp = calloc(job->env.n + VAR_COUNT + 1, sizeof *body->envp))) {
		free(body);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	for (i = 0; i < job->env.n; i++)
		if (!is_task_variable(job->env.at[i]))
			body->envp[body->nconstant++] = job->env.at[i];
	body->fixed_word0 = job->spec.shell || !ranq_template_has_replacement(&word0);
	ranq_buf_init(&body->output, job->spec.max_output + READ_BYTES);
	job->body = body;
	return 0;
}

static void command_close(struct ranq_executor *x, struct ranq_executor_job *job)
{
	(void)x;
	body_destroy(job->body);
}

/* ---- what a task is started with --------------------------------------------------------------------------------- */

static int set_arg_var(struct body *body, const char *whole)
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

static int set_variables(struct body *body, const struct ranq_attempt *attempt, const char *whole, uint64_t seed)
{
	char **at = body->envp + body->nconstant;
	int i;

	snprintf(body->vars[VAR_TASK], sizeof *body->vars, "RANQ_TASK=%llu", (unsigned long long)attempt->index);
	snprintf(body->vars[VAR_SEQ], sizeof *body->vars, "RANQ_SEQ=%llu", (unsigned long long)attempt->index + 1);
	snprintf(body->vars[VAR_ATTEMPT], sizeof *body->vars, "RANQ_ATTEMPT=%u", attempt->attempt);
	snprintf(body->vars[VAR_SEED], sizeof *body->vars, "RANQ_SEED=%llu", (unsigned long long)seed);
	for (i = 0; i < VAR_ARG; i++)
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
	struct body *body = job->body;

	if (!body->path)
		body->path = ranq_path_find(argv->at[0], ranq_environment_get(&job->env, "PATH"));
	return body->path;
}

static void forget_program(struct body *body)
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
static pid_t start_script(
	struct ranq_executor *x, struct ranq_spawn *spawn, const struct ranq_strings *argv, int *started)
{
	char **words = calloc(argv->n + 2, sizeof *words);
	char shell[] = "/bin/sh";
	char *path = strdup(spawn->path);
	pid_t pid = -1;

	if (words && path) {
		words[0] = shell;
		words[1] = path;
		memcpy(words + 2, argv->at + 1, (argv->n - 1) * sizeof *words);
		spawn->path = shell;
		spawn->argv = words;
		pid = ranq_spawner_start(x->spawner, spawn, started);
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
static int try_start(struct command *c, const struct ranq_strings *argv, struct pipes *p, struct ranq_outcome *out)
{
	const char *stdin_path = c->job->spec.stdin_path;
	struct ranq_spawn spawn = {.argv = argv->at, .envp = c->body->envp, .group = &c->x->page->group};
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
		c->pid = start_script(c->x, &spawn, argv, &started);
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
static int start(struct command *c, const struct ranq_strings *argv, struct pipes *p, struct ranq_outcome *out)
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

/* ---- run --------------------------------------------------------------------------------------------------------- */

static void signal_group(const struct command *c, int sig)
{
	kill(-c->pid, sig);
}

static void stop_for(struct command *c, int verdict, int sig, int64_t kill_ms)
{
	if (c->verdict == RUNNING)
		c->verdict = verdict;
	if (sig)
		signal_group(c, sig);
	if (kill_ms < c->kill_ms)
		c->kill_ms = kill_ms;
}

static void keep_tail(struct body *body, const char *data, size_t len)
{
	if (len > RANQ_ERR_TAIL_BYTES) {
		data += len - RANQ_ERR_TAIL_BYTES;
		len = RANQ_ERR_TAIL_BYTES;
	}
	if (body->tail_len + len > sizeof body->tail) {
		memmove(body->tail, body->tail + body->tail_len - RANQ_ERR_TAIL_BYTES, RANQ_ERR_TAIL_BYTES);
		body->tail_len = RANQ_ERR_TAIL_BYTES;
	}
	memcpy(body->tail + body->tail_len, data, len);
	body->tail_len += len;
}

/* Reads once what poll or FIONREAD said is there. */
static void read_output(struct command *c, size_t most)
{
	struct ranq_buf *output = &c->body->output;
	unsigned char *room = ranq_buf_reserve(output, most);
	ssize_t n;

	if (!room) { /* out of memory counts as too long: there is no room for it */
		output->failed = false;
		stop_for(c, TOO_LONG, SIGKILL, 0);
		close_fd(&c->out);
		return;
	}
	n = read(c->out, room, most);
	if (n > 0)
		output->len += (size_t)n;
	else if (n == 0 || errno != EINTR)
		close_fd(&c->out);
	if (output->len > c->job->spec.max_output) {
		output->len = c->job->spec.max_output;
		stop_for(c, TOO_LONG, SIGKILL, 0);
		close_fd(&c->out);
	}
}

static void read_errors(struct command *c, size_t most)
{
	char data[16384];
	ssize_t n = read(c->err, data, most < sizeof data ? most : sizeof data);

	if (n > 0)
		keep_tail(c->body, data, (size_t)n);
	else if (n == 0 || errno != EINTR)
		close_fd(&c->err);
}

/* After the end of the command: what is in the pipes now was written by it (or by what it left behind, which is not
 * waited for). */
static void drain(struct command *c)
{
	int left;

	while (c->out >= 0 && ioctl(c->out, FIONREAD, &left) == 0 && left > 0)
		read_output(c, (size_t)left);
	if (c->err >= 0 && ioctl(c->err, FIONREAD, &left) == 0)
		for (; left > 0 && c->err >= 0; left -= 16384)
			read_errors(c, (size_t)left);
	close_fd(&c->out);
	close_fd(&c->err);
}

static void on_interrupt(struct command *c)
{
	struct ranq_interrupt *i = &c->x->interrupt;

	if (!i->wanted || i->sent || !ranq_run_stopped(c->x, c->attempt->run))
		return;
	i->sent = true;
	if (i->sig)
		stop_for(c, INTERRUPTED, i->sig, i->kill_ms);
	else if (i->kill_ms < c->kill_ms)
		c->kill_ms = i->kill_ms; /* it may end by itself until then, in any way */
}

static void on_time(struct command *c)
{
	int64_t now = ranq_clock_ms();
	int64_t grace = c->job->spec.grace_ms ? (int64_t)c->job->spec.grace_ms : RANQ_GRACE_DEFAULT_MS;

	if (now >= c->kill_ms) {
		stop_for(c, INTERRUPTED, SIGKILL, RANQ_NEVER);
		c->kill_ms = RANQ_NEVER;
	}
	if (now >= c->timeout_ms) {
		c->timeout_ms = RANQ_NEVER;
		stop_for(c, TIMED_OUT, SIGTERM, now + grace);
	}
}

static int wait_ms(const struct command *c, int64_t now)
{
	int64_t until = c->timeout_ms < c->kill_ms ? c->timeout_ms : c->kill_ms;
	int64_t left = until == RANQ_NEVER ? -1 : until > now ? until - now : 0;

	if (c->x->out.count && (left < 0 || left > FLUSH_MS))
		return FLUSH_MS;
	return left > 3600000 ? 3600000 : (int)left;
}

static void sleep_until_something(struct command *c)
{
	struct pollfd fds[3] = {{c->out, POLLIN, 0}, {c->err, POLLIN, 0}, {c->x->fd, POLLIN, 0}};
	int ms = wait_ms(c, c->timeout_ms == RANQ_NEVER && c->kill_ms == RANQ_NEVER ? 0 : ranq_clock_ms());
	struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	sigset_t none;
	int n;

	sigemptyset(&none);
	n = ppoll(fds, 3, ms < 0 ? NULL : &timeout, &none);
	if (n > 0 && fds[0].revents)
		read_output(c, READ_BYTES);
	if (n > 0 && fds[1].revents)
		read_errors(c, READ_BYTES);
	if (n > 0 && fds[2].revents)
		ranq_executor_pump(c->x, false);
	/* a short task before this long one must not wait for it */
	if (!n && c->x->out.count && ranq_outbox_flush(&c->x->out, c->x->fd, false) < 0)
		ranq_executor_end(c->x);
}

static bool has_exited(const struct command *c)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == c->pid;
}

static int watch(struct command *c)
{
	int status = 0;

	for (;;) {
		sleep_until_something(c);
		on_interrupt(c);
		on_time(c);
		if (has_exited(c))
			break;
	}
	signal_group(c, SIGKILL);
	drain(c);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	atomic_store_explicit(&c->x->page->group, 0, memory_order_release);
	return status;
}

/* ---- outcome ----------------------------------------------------------------------------------------------------- */

static struct ranq_bytes tail_of(const struct body *body)
{
	if (body->tail_len <= RANQ_ERR_TAIL_BYTES)
		return (struct ranq_bytes){body->tail, body->tail_len};
	return (struct ranq_bytes){body->tail + body->tail_len - RANQ_ERR_TAIL_BYTES, RANQ_ERR_TAIL_BYTES};
}

static void judge(struct command *c, int status, struct ranq_outcome *out)
{
	char text[32];
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	out->data = c->body->output.data;
	out->len = c->body->output.len;
	out->err_tail = tail_of(c->body);
	out->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (c->verdict == TOO_LONG) {
		ranq_outcome_error(out, out->exit_code, "output exceeds %s (--max-output)",
			ranq_size_format(c->job->spec.max_output, text));
	} else if (c->verdict == TIMED_OUT) {
		out->status = RANQ_TASK_TIMEOUT;
		snprintf(out->reason, sizeof out->reason, "timed out after %s",
			ranq_duration_format((int64_t)c->job->spec.timeout_ms, text));
	} else if (good) {
		out->status = RANQ_TASK_OK;
	} else if (c->verdict == INTERRUPTED) {
		out->status = RANQ_TASK_CANCELLED;
		out->interrupted = true;
	} else if (WIFSIGNALED(status)) {
		ranq_outcome_error(out, -1, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	} else {
		ranq_outcome_error(out, WEXITSTATUS(status), "exit status %d", WEXITSTATUS(status));
	}
}

static void run_argv(struct command *c, const struct ranq_strings *argv, struct ranq_outcome *out)
{
	struct pipes p;
	int64_t timeout = (int64_t)c->job->spec.timeout_ms;

	if (start(c, argv, &p, out) < 0)
		return;
	c->out = p.out[0];
	c->err = p.err[0];
	if (timeout)
		c->timeout_ms = ranq_clock_ms() + timeout;
	judge(c, watch(c), out);
	if (!c->body->fixed_word0)
		forget_program(c->body);
}

static void command_run(struct ranq_executor *x, struct ranq_executor_job *job, const struct ranq_attempt *attempt,
	struct ranq_outcome *out)
{
	struct command c = {.timeout_ms = RANQ_NEVER, .kill_ms = RANQ_NEVER, .pid = -1, .out = -1, .err = -1};
	uint64_t seed = ranq_rng_seed_number((uint32_t)job->spec.seed, attempt->index);
	struct ranq_strings argv = {0};
	struct ranq_arg arg;
	struct ranq_err err = {0};

	c.x = x;
	c.job = job;
	c.body = job->body;
	c.attempt = attempt;
	ranq_buf_reset(&c.body->output);
	c.body->tail_len = 0;
	out->data = NULL;
	out->err_tail = (struct ranq_bytes){0};
	out->exit_code = out->signal = 0;
	if (ranq_executor_arg(job, attempt, &arg, &err) < 0) {
		ranq_outcome_error(out, 126, "%.150s", err.text);
		return;
	}
	if (make_argv(job, &arg, attempt, seed, &argv, &err) < 0 || set_variables(c.body, attempt, arg.whole, seed) < 0)
		ranq_outcome_error(out, 126, "%.150s", err.text[0] ? err.text : "out of memory");
	else
		run_argv(&c, &argv, out);
	ranq_strings_clear(&argv);
	ranq_arg_clear(&arg);
}

const struct ranq_body_kind_ops ranq_command_ops = {command_open, command_run, command_close};

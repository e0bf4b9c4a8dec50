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
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/command.h"
#include "exec/memory.h"
#include "exec/oom.h"
#include "util/clock.h"

#define READ_BYTES (64u << 10)

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

static int command_open(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_err *err)
{
	if (ranq_executor_environment(x, job, err) < 0)
		return -1;
	if (!x->spawner) {
		watch_children();
		x->spawner = ranq_spawner_create(err);
	}
	if (!x->spawner)
		return -1;
	job->body = ranq_command_body_create(job, err);
	return job->body ? 0 : -1;
}

static void command_close(struct ranq_executor *x, struct ranq_executor_job *job)
{
	(void)x;
	ranq_command_body_destroy(job->body);
}

/* ---- run --------------------------------------------------------------------------------------------------------- */

static void close_pipe(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void signal_group(const struct ranq_command *c, int sig)
{
	kill(-c->pid, sig);
}

static void stop_for(struct ranq_command *c, unsigned verdict, int sig, int64_t kill_ms)
{
	if (c->verdict == RANQ_COMMAND_RUNS)
		c->verdict = verdict;
	if (sig)
		signal_group(c, sig);
	if (kill_ms < c->kill_ms)
		c->kill_ms = kill_ms;
}

static void keep_tail(struct ranq_command_body *body, const char *data, size_t len)
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

static void stop_reading(struct ranq_command *c, unsigned verdict)
{
	stop_for(c, verdict, SIGKILL, 0);
	close_pipe(&c->out);
}

/* Memory never holds more of an output than would stay there. */
static void spill(struct ranq_command *c)
{
	struct ranq_buf *output = &c->body->output;

	if (!ranq_executor_spill(c->x, c->job, output->data, output->len)) {
		c->spilled += output->len;
	} else {
		c->no_file = errno;
		stop_reading(c, RANQ_COMMAND_NO_FILE);
	}
	ranq_buf_reset(output);
}

/* Reads once what poll or FIONREAD said is there. */
static void read_output(struct ranq_command *c, size_t most)
{
	struct ranq_buf *output = &c->body->output;
	unsigned char *room = ranq_buf_reserve(output, most);
	ssize_t n;

	if (!room) { /* out of memory counts as too long: there is no room for it */
		output->failed = false;
		stop_reading(c, RANQ_COMMAND_TOO_LONG);
		return;
	}
	n = read(c->out, room, most);
	if (n > 0)
		output->len += (size_t)n;
	else if (n == 0 || errno != EINTR)
		close_pipe(&c->out);
	if (output->len > c->job->spec.max_output - c->spilled) {
		output->len = c->job->spec.max_output - c->spilled;
		stop_reading(c, RANQ_COMMAND_TOO_LONG);
	}
	if (c->job->offload && output->len > RANQ_OFFLOAD_MIN)
		spill(c);
}

static void read_errors(struct ranq_command *c, size_t most)
{
	char data[16384];
	ssize_t n = read(c->err, data, most < sizeof data ? most : sizeof data);

	if (n > 0)
		keep_tail(c->body, data, (size_t)n);
	else if (n == 0 || errno != EINTR)
		close_pipe(&c->err);
}

/* After the end of the command: what is in the pipes now was written by it (or by what it left behind, which is not
 * waited for). */
static void drain(struct ranq_command *c)
{
	int left;

	while (c->out >= 0 && ioctl(c->out, FIONREAD, &left) == 0 && left > 0)
		read_output(c, (size_t)left);
	if (c->err >= 0 && ioctl(c->err, FIONREAD, &left) == 0)
		for (; left > 0 && c->err >= 0; left -= 16384)
			read_errors(c, (size_t)left);
	close_pipe(&c->out);
	close_pipe(&c->err);
}

static void on_interrupt(struct ranq_command *c)
{
	struct ranq_interrupt *i = &c->x->interrupt;

	if (!i->wanted || i->sent || !ranq_run_stopped(c->x, c->attempt->run))
		return;
	i->sent = true;
	if (i->sig)
		stop_for(c, RANQ_COMMAND_INTERRUPTED, i->sig, i->kill_ms);
	else if (i->kill_ms < c->kill_ms)
		c->kill_ms = i->kill_ms; /* it may end by itself until then, in any way */
}

static void on_time(struct ranq_command *c)
{
	int64_t now = ranq_clock_ms();
	int64_t grace = c->job->spec.grace_ms ? (int64_t)c->job->spec.grace_ms : RANQ_GRACE_DEFAULT_MS;

	if (now >= c->kill_ms) {
		stop_for(c, RANQ_COMMAND_INTERRUPTED, SIGKILL, RANQ_NEVER);
		c->kill_ms = RANQ_NEVER;
	}
	if (now >= c->timeout_ms) {
		c->timeout_ms = RANQ_NEVER;
		stop_for(c, RANQ_COMMAND_TIMED_OUT, SIGTERM, now + grace);
	}
}

static int wait_ms(const struct ranq_command *c, int64_t now)
{
	int64_t until = c->timeout_ms < c->kill_ms ? c->timeout_ms : c->kill_ms;
	int64_t left = until == RANQ_NEVER ? -1 : until > now ? until - now : 0;

	if (ranq_outbox_holds(&c->x->out) && (left < 0 || left > RANQ_OUTBOX_FLUSH_MS))
		return RANQ_OUTBOX_FLUSH_MS;
	return left > 3600000 ? 3600000 : (int)left;
}

/* A short task's result does not wait for the long task behind it, however much that one prints. But nor does the long
 * task's clock wait for a rank that does not read just now. */
static void flush_results(struct ranq_executor *x)
{
	struct pollfd socket = {.fd = x->fd, .events = POLLOUT};

	if (ranq_outbox_due(&x->out, ranq_clock_ms()) && poll(&socket, 1, 0) == 1 &&
		(ranq_outbox_pack(&x->out, false) < 0 || ranq_outbox_send(&x->out, x->fd) < 0))
		ranq_executor_end(x, 0);
}

static void sleep_until_something(struct ranq_command *c)
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
	if (ranq_outbox_holds(&c->x->out))
		flush_results(c->x);
}

static bool has_exited(const struct ranq_command *c)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == c->pid;
}

/* Waits for its end; *peak is the most memory that it, or a process it waited for, had at a time. */
static int watch(struct ranq_command *c, uint64_t *peak)
{
	struct rusage usage = {0};
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
	while (wait4(c->pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	*peak = (uint64_t)usage.ru_maxrss << 10;
	atomic_store_explicit(&c->x->page->group, 0, memory_order_release);
	return status;
}

/* ---- outcome ----------------------------------------------------------------------------------------------------- */

static struct ranq_bytes tail_of(const struct ranq_command_body *body)
{
	if (body->tail_len <= RANQ_ERR_TAIL_BYTES)
		return (struct ranq_bytes){body->tail, body->tail_len};
	return (struct ranq_bytes){body->tail + body->tail_len - RANQ_ERR_TAIL_BYTES, RANQ_ERR_TAIL_BYTES};
}

static void judge(struct ranq_command *c, int status, uint64_t peak, struct ranq_outcome *out)
{
	char text[32];
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	out->data = c->body->output.data;
	out->len = c->body->output.len;
	out->err_tail = tail_of(c->body);
	out->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (c->verdict == RANQ_COMMAND_TOO_LONG) {
		ranq_outcome_error(out, out->exit_code, "output exceeds %s (--max-output)",
			ranq_size_format(c->job->spec.max_output, text));
	} else if (c->verdict == RANQ_COMMAND_NO_FILE) {
		errno = c->no_file;
		ranq_executor_no_file(c->x, c->job, out);
	} else if (c->verdict == RANQ_COMMAND_TIMED_OUT) {
		out->status = RANQ_TASK_TIMEOUT;
		snprintf(out->reason, sizeof out->reason, "timed out after %s",
			ranq_duration_format((int64_t)c->job->spec.timeout_ms, text));
	} else if (good) {
		out->status = RANQ_TASK_OK;
	} else if (c->verdict == RANQ_COMMAND_INTERRUPTED) {
		out->status = RANQ_TASK_CANCELLED;
		out->interrupted = true;
	} else if (WIFSIGNALED(status)) {
		ranq_outcome_error(out, -1, "killed by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGKILL ? ranq_oom_text(&c->x->oom_kills) : "");
	} else {
		/* a shell's way of saying that its child got signal 9 */
		ranq_outcome_error(out, WEXITSTATUS(status), "exit status %d%s", WEXITSTATUS(status),
			WEXITSTATUS(status) == 128 + SIGKILL ? ranq_oom_text(&c->x->oom_kills) : "");
	}
	if (out->status == RANQ_TASK_ERROR && c->verdict == RANQ_COMMAND_RUNS)
		ranq_memory_explain(out->reason, c->job->spec.memory, "peak", peak);
}

static void command_run(struct ranq_executor *x, struct ranq_executor_job *job, const struct ranq_attempt *attempt,
	struct ranq_outcome *out)
{
	struct ranq_command c = {.x = x,
		.job = job,
		.body = job->body,
		.attempt = attempt,
		.timeout_ms = RANQ_NEVER,
		.kill_ms = RANQ_NEVER,
		.pid = -1,
		.out = -1,
		.err = -1};
	uint64_t peak;
	int status;

	ranq_buf_reset(&c.body->output);
	ranq_wire_trim(&c.body->output);
	c.body->tail_len = 0;
	out->data = NULL;
	out->err_tail = (struct ranq_bytes){0};
	out->exit_code = out->signal = 0;
	if (ranq_command_start(&c, out) < 0)
		return;
	if (job->spec.timeout_ms)
		c.timeout_ms = ranq_clock_ms() + (int64_t)job->spec.timeout_ms;
	status = watch(&c, &peak);
	judge(&c, status, peak, out);
}

const struct ranq_body_kind_ops ranq_command_ops = {command_open, command_run, command_close};

/* exec.c - a rank's handle of ranq-exec: start, watch, start again.
 *
 * ranq-exec guards this rank, and this rank guards ranq-exec: whatever ended it (a task can), its executors have died
 * with it by PDEATHSIG, the rest is found by its mark, and the next one starts from a clean state. */
#include "exec/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/environment.h"
#include "exec/fork_server.h"
#include "exec/sweep.h"
#include "util/clock.h"

#define HELLO_MS 10000
#define KILL_PATIENCE_MS 5000
#define SWEEP_MS 3000
#define RESTARTS_MAX 6 /* in a row without a HELLO: with the pauses between them 5 s */
#define RESTART_PAUSE_MS 80 /* after the first; each pause is twice the one before */
#define MAX_BUFFER ((size_t)64 << 20)

/* An executor whose end we wait for. */
struct doomed {
	LIST_ENTRY(doomed) link;
	uint32_t id;
	int64_t kill_ms, give_up_ms; /* when it must be killed; when ranq-exec must be */
};

struct ranq_exec {
	char *program;
	char *mark;
	char *worker;
	struct ranq_environment env;
	struct rlimit core, files;
	size_t max_buffer;
	int black_box;
	int fd; /* control socket; -1: ranq-exec is not there */
	pid_t pid;
	unsigned failures;
	int64_t restart_ms; /* not before; RANQ_NEVER: given up */
	uint32_t last_id;
	LIST_HEAD(, ranq_slot_end) slots;
	LIST_HEAD(, doomed) doomed;
};

/* ---- start ------------------------------------------------------------------------------------------------------- */

/* Beside the running program, else wherever PATH has it. */
static char *find_program(const char *given)
{
	char self[PATH_MAX], path[PATH_MAX + 16];
	ssize_t n;

	if (given)
		return strdup(given);
	n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n > 0) {
		self[n] = '\0';
		snprintf(path, sizeof path, "%s/ranq-exec", dirname(self));
		if (access(path, X_OK) == 0)
			return strdup(path);
	}
	return strdup("ranq-exec");
}

static void limit_text(char text[64], const struct rlimit *limit)
{
	snprintf(text, 64, "%llu:%llu", (unsigned long long)limit->rlim_cur, (unsigned long long)limit->rlim_max);
}

static int launch(struct ranq_exec *exec, int fd, struct ranq_err *err)
{
	char core[64], files[64];
	char name[] = "ranq-exec", box[] = "black-box";
	char *argv[] = {name, core, files, exec->black_box > 0 ? box : NULL, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int rc;

	limit_text(core, &exec->core);
	limit_text(files, &exec->files);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, fd, 3);
	if (exec->black_box > 0)
		posix_spawn_file_actions_adddup2(&actions, exec->black_box, 4);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawnp(&exec->pid, exec->program, &actions, &attributes, argv, exec->env.at);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (!rc)
		return 0;
	exec->pid = -1;
	errno = rc;
	return ranq_err_sys(err, "cannot start '%s'", exec->program);
}

static int start_server(struct ranq_exec *exec, struct ranq_err *err)
{
	int pair[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ranq_err_sys(err, "cannot make a socket to ranq-exec");
	/* dup2 of 3 onto 3 would leave it close-on-exec; 4 is the place of the black box */
	fd = fcntl(pair[1], F_DUPFD_CLOEXEC, 5);
	close(pair[1]);
	if (fd < 0 || launch(exec, fd, err) < 0) {
		if (fd < 0)
			ranq_err_sys(err, "cannot make a socket to ranq-exec");
		else
			close(fd);
		close(pair[0]);
		return -1;
	}
	close(fd);
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	exec->fd = pair[0];
	return 0;
}

static int wait_for_hello(struct ranq_exec *exec, struct ranq_err *err)
{
	struct pollfd poll_fd = {.fd = exec->fd, .events = POLLIN};
	struct ranq_control message;
	int64_t end = ranq_clock_ms() + HELLO_MS, left;
	int rc;

	do {
		left = end - ranq_clock_ms();
		rc = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
	} while (rc < 0 && errno == EINTR);
	if (rc <= 0 || recv(exec->fd, &message, sizeof message, 0) < (ssize_t)offsetof(struct ranq_control, cpus))
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "'%s' does not run here", exec->program);
	if (message.type != RANQ_CONTROL_HELLO || message.value != (int32_t)RANQ_WIRE_VERSION)
		return ranq_err_set(err, RANQ_ERR_SCHEMA, "'%s' belongs to another version of ranq", exec->program);
	return 0;
}

static int make_environment(struct ranq_exec *exec, const struct ranq_exec_options *options, struct ranq_err *err)
{
	struct ranq_environment *env = &exec->env;

	if (ranq_environment_scrubbed(env, environ, err) < 0 ||
		ranq_environment_printf(env, err, "RANQ_MARK=%s", options->mark) < 0 ||
		ranq_environment_printf(env, err, "RANQ_RANK=%u", options->rank) < 0 ||
		ranq_environment_printf(env, err, "RANQ_WORKER=%s", exec->worker) < 0)
		return -1;
	return options->queue ? ranq_environment_printf(env, err, "RANQ_QUEUE=%s", options->queue) : 0;
}

static void reap_server(struct ranq_exec *exec)
{
	close(exec->fd);
	exec->fd = -1;
	if (exec->pid <= 0)
		return;
	kill(exec->pid, SIGKILL); /* it may have closed its socket only */
	while (waitpid(exec->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void destroy(struct ranq_exec *exec)
{
	ranq_environment_clear(&exec->env);
	free(exec->program);
	free(exec->mark);
	free(exec->worker);
	free(exec);
}

struct ranq_exec *ranq_exec_open(const struct ranq_exec_options *options, struct ranq_err *err)
{
	struct ranq_exec *exec = calloc(1, sizeof *exec);

	if (!exec) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	LIST_INIT(&exec->slots);
	LIST_INIT(&exec->doomed);
	exec->fd = exec->pid = -1;
	exec->black_box = options->black_box;
	exec->max_buffer = options->max_buffer ? options->max_buffer : MAX_BUFFER;
	exec->program = find_program(options->program);
	exec->mark = strdup(options->mark);
	exec->worker = strdup(options->worker ? options->worker : "");
	getrlimit(RLIMIT_CORE, &exec->core);
	if (options->files)
		exec->files = *options->files;
	else
		getrlimit(RLIMIT_NOFILE, &exec->files);
	if (!exec->program || !exec->mark || !exec->worker)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else if (make_environment(exec, options, err) == 0 && start_server(exec, err) == 0) {
		if (wait_for_hello(exec, err) == 0)
			return exec;
		reap_server(exec);
	}
	destroy(exec);
	return NULL;
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static void forget_doomed(struct ranq_exec *exec, uint32_t id)
{
	struct doomed *doomed, *next;

	for (doomed = LIST_FIRST(&exec->doomed); doomed; doomed = next) {
		next = LIST_NEXT(doomed, link);
		if (id && doomed->id != id)
			continue;
		LIST_REMOVE(doomed, link);
		free(doomed);
	}
}

/* What is below us now has lost its guardian: do its work. */
static void clean_up(struct ranq_exec *exec)
{
	struct ranq_slot_end *end;

	LIST_FOREACH(end, &exec->slots, link)
		if (end->page)
			ranq_sweep_group((pid_t)atomic_load(&end->page->group), exec->pid, SIGKILL);
	ranq_sweep(exec->mark, SWEEP_MS);
	LIST_FOREACH(end, &exec->slots, link)
		if (end->id && !end->gone)
			end->gone = true;
	forget_doomed(exec, 0);
}

static bool wait_for_end(struct ranq_exec *exec, int64_t end)
{
	struct pollfd poll_fd = {.fd = exec->fd, .events = POLLIN};
	struct ranq_control message;
	ssize_t n;

	for (;;) {
		int64_t left = end - ranq_clock_ms();

		if (left <= 0)
			return false;
		if (poll(&poll_fd, 1, (int)left) <= 0)
			continue;
		n = recv(exec->fd, &message, sizeof message, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
	}
}

void ranq_exec_close(struct ranq_exec *exec, int grace_ms)
{
	struct ranq_control order = {.type = RANQ_CONTROL_CLOSE, .value = grace_ms};
	struct ranq_slot_end *end;
	unsigned i;

	if (!exec)
		return;
	LIST_FOREACH(end, &exec->slots, link)
		for (i = 0; end->page && i < RANQ_WIRE_RUNS; i++) {
			atomic_store(&end->page->runs[i].limit, 0);
			atomic_store(&end->page->runs[i].stop, 1);
		}
	if (exec->fd >= 0) {
		if (ranq_wire_send(exec->fd, &order, offsetof(struct ranq_control, cpus), NULL, 0, 0) > 0)
			wait_for_end(exec, ranq_clock_ms() + grace_ms + 2 * KILL_PATIENCE_MS);
		reap_server(exec);
		clean_up(exec);
	}
	while ((end = LIST_FIRST(&exec->slots))) {
		LIST_REMOVE(end, link);
		end->exec = NULL;
	}
	forget_doomed(exec, 0);
	destroy(exec);
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

void ranq_exec_enlist(struct ranq_exec *exec, struct ranq_slot_end *end)
{
	end->exec = exec;
	LIST_INSERT_HEAD(&exec->slots, end, link);
}

void ranq_exec_discharge(struct ranq_slot_end *end)
{
	if (end->exec)
		LIST_REMOVE(end, link);
	end->exec = NULL;
}

uint32_t ranq_exec_spawn(struct ranq_exec *exec, const struct ranq_slot_options *options, int data_fd, int page_fd)
{
	struct ranq_control order = {.type = RANQ_CONTROL_SPAWN,
		.slot = options->slot,
		.numa_node = options->numa_node,
		.ncores = options->ncores};
	int fds[2] = {data_fd, page_fd};

	if (exec->fd < 0)
		return 0;
	order.id = exec->last_id + 1 ? exec->last_id + 1 : 1;
	snprintf(order.cpus, sizeof order.cpus, "%s", options->cpus ? options->cpus : "");
	if (ranq_wire_send(exec->fd, &order, offsetof(struct ranq_control, cpus) + strlen(order.cpus) + 1, fds, 2,
		    MSG_DONTWAIT) < 0)
		return 0;
	return exec->last_id = order.id;
}

static void send_kill(struct ranq_exec *exec, struct doomed *doomed, int64_t now)
{
	struct ranq_control order = {.type = RANQ_CONTROL_KILL, .id = doomed->id};

	doomed->kill_ms = RANQ_NEVER;
	doomed->give_up_ms = now + KILL_PATIENCE_MS;
	ranq_wire_send(exec->fd, &order, offsetof(struct ranq_control, cpus), NULL, 0, MSG_DONTWAIT);
}

void ranq_exec_retire(struct ranq_exec *exec, uint32_t id, int grace_ms)
{
	struct doomed *doomed;

	if (exec->fd < 0)
		return;
	LIST_FOREACH(doomed, &exec->doomed, link)
		if (doomed->id == id)
			break;
	if (!doomed && !(doomed = calloc(1, sizeof *doomed)))
		return;
	if (!doomed->id) {
		doomed->id = id;
		doomed->give_up_ms = doomed->kill_ms = RANQ_NEVER;
		LIST_INSERT_HEAD(&exec->doomed, doomed, link);
	}
	if (doomed->give_up_ms != RANQ_NEVER)
		return; /* killed already */
	if (grace_ms <= 0)
		send_kill(exec, doomed, ranq_clock_ms());
	else
		doomed->kill_ms = ranq_clock_ms() + grace_ms;
}

void ranq_exec_kill(struct ranq_exec *exec, uint32_t id)
{
	ranq_exec_retire(exec, id, 0);
}

const char *ranq_exec_worker(const struct ranq_exec *exec)
{
	return exec->worker;
}

size_t ranq_exec_max_buffer(const struct ranq_exec *exec)
{
	return exec->max_buffer;
}

/* ---- loop -------------------------------------------------------------------------------------------------------- */

int ranq_exec_fd(const struct ranq_exec *exec)
{
	return exec->fd;
}

static void on_exited(struct ranq_exec *exec, const struct ranq_control *message)
{
	struct ranq_slot_end *end;

	forget_doomed(exec, message->id);
	LIST_FOREACH(end, &exec->slots, link) {
		if (end->id != message->id)
			continue;
		end->gone = end->status_known = true;
		end->status = message->value;
		end->failure = message->failure;
		end->peak = message->peak;
	}
}

/* 1: handled one; 0: nothing there; -1: ranq-exec is gone. */
static int receive(struct ranq_exec *exec)
{
	struct ranq_control message = {0};
	ssize_t n = recv(exec->fd, &message, sizeof message, MSG_DONTWAIT);

	if (n < 0 && errno == EINTR)
		return 1;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < (ssize_t)offsetof(struct ranq_control, cpus))
		return -1;
	if (message.type == RANQ_CONTROL_HELLO) {
		exec->failures = 0;
		exec->restart_ms = 0;
	} else if (message.type == RANQ_CONTROL_EXITED) {
		on_exited(exec, &message);
	}
	return 1;
}

/* The node may be out of processes or memory for a moment, or a file system away. -1: given up, said once. */
static int restart(struct ranq_exec *exec, struct ranq_err *err)
{
	int64_t now;

	if (exec->fd >= 0) {
		reap_server(exec);
		clean_up(exec);
	}
	now = ranq_clock_ms();
	if (now < exec->restart_ms)
		return 0;
	if (exec->failures == RESTARTS_MAX) {
		exec->restart_ms = RANQ_NEVER;
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "'%s' did not start, or ended without a word, %d times in a row",
			exec->program, RESTARTS_MAX);
	}
	exec->restart_ms = now + (RESTART_PAUSE_MS << exec->failures++);
	start_server(exec, NULL);
	return 0;
}

/* -1: ranq-exec did not do what it was told. */
static int check_doomed(struct ranq_exec *exec, int64_t now)
{
	struct doomed *doomed;

	LIST_FOREACH(doomed, &exec->doomed, link) {
		if (now >= doomed->give_up_ms)
			return -1;
		if (now >= doomed->kill_ms)
			send_kill(exec, doomed, now);
	}
	return 0;
}

int ranq_exec_pump(struct ranq_exec *exec, struct ranq_err *err)
{
	int rc = exec->fd < 0 ? -1 : 1;

	while (rc > 0)
		rc = receive(exec);
	if (rc == 0)
		rc = check_doomed(exec, ranq_clock_ms());
	return rc < 0 ? restart(exec, err) : 0;
}

int64_t ranq_exec_deadline_ms(const struct ranq_exec *exec)
{
	const struct doomed *doomed;
	int64_t deadline = exec->fd < 0 ? exec->restart_ms : RANQ_NEVER;

	LIST_FOREACH(doomed, &exec->doomed, link) {
		if (doomed->kill_ms < deadline)
			deadline = doomed->kill_ms;
		if (doomed->give_up_ms < deadline)
			deadline = doomed->give_up_ms;
	}
	return deadline;
}

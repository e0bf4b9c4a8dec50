/* guardian.c - one thread, one poll over the control socket and a signalfd.
 *
 * Everything below us carries our RANQ_MARK, and we are the subreaper of it all: whatever a task leaves behind becomes
 * our child. So at our end: kill what is recorded, what is marked, and what is our child, until nothing is left.
 * Signals do not end us: the rank may be dying of the same one, and then we have work to do. */
#include "exec/guardian.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "exec/black_box.h"
#include "exec/descriptors.h"
#include "exec/executor.h"
#include "exec/process.h"
#include "exec/sweep.h"
#include "exec/wire.h"
#include "util/clock.h"

#define OOM_SCORE "500"
#define SWEEP_MS 3000
#define CLOSE_MS 5000
#define SUSPENSION_MS 1000
#define SUSPENSION_PASSES 8
#define UNFINISHED_MAX 16
#define UNFINISHED_MS 500 /* the sockets of a rank end at about the same time, in any order */

struct child {
	LIST_ENTRY(child) link;
	uint32_t id, slot;
	pid_t pid;
	struct ranq_page *page;
};

/* What a child was at when it ended by itself: its rank let go of it, or is dead. */
struct unfinished {
	int64_t ended_ns;
	char job[sizeof((struct ranq_page *)NULL)->job];
	uint64_t task;
};

struct guardian {
	int control, signals, black_box;
	pid_t pid, rank;
	const char *mark;
	struct rlimit core, files;
	sigset_t no_signals;
	LIST_HEAD(, child) children;
	struct unfinished unfinished[UNFINISHED_MAX]; /* the last ones */
	unsigned nunfinished;
	bool closing, over;
	int64_t kill_ms; /* while closing */
	int64_t look_ms; /* the next look for a suspension; RANQ_NEVER: nobody suspends without our help here */
	bool suspended, resuming;
};

/* ---- executors --------------------------------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0; /* not permitted everywhere, and not needed */
	close(fd);
}

static void default_signals(const struct guardian *g)
{
	int sig;

	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, &g->no_signals, NULL);
}

/* Leaves two descriptors, at 3 and 4. */
static void keep_two(int *a, int *b)
{
	int first = fcntl(*a, F_DUPFD_CLOEXEC, 5), second = fcntl(*b, F_DUPFD_CLOEXEC, 5);

	if (first < 0 || second < 0 || dup3(first, 3, O_CLOEXEC) < 0 || dup3(second, 4, O_CLOEXEC) < 0)
		_exit(70);
	ranq_close_from(5);
	*a = 3;
	*b = 4;
}

/* PDEATHSIG may come too late to be sent: hence the look at getppid behind it. */
_Noreturn static void become_executor(struct guardian *g, const struct ranq_control *order, int *fds)
{
	struct ranq_executor_options options = {.slot = order->slot,
		.id = order->id,
		.cpus = order->cpus[0] ? order->cpus : NULL,
		.numa_node = order->numa_node,
		.ncores = order->ncores};

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != g->pid)
		_exit(70);
	setpgid(0, 0);
	keep_two(&fds[0], &fds[1]);
	default_signals(g);
	setrlimit(RLIMIT_CORE, &g->core);
	setrlimit(RLIMIT_NOFILE, &g->files);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	write_file("/proc/self/oom_score_adj", OOM_SCORE);
	options.fd = fds[0];
	options.page_fd = fds[1];
	ranq_executor_main(&options);
}

/* The rank reads all the time; when it does not any more, its end of the socket ends too. */
static void report(const struct guardian *g, const struct ranq_control *message)
{
	ranq_wire_send(g->control, message, offsetof(struct ranq_control, cpus), NULL, 0, 0);
}

static void report_no_fork(const struct guardian *g, uint32_t id, int error)
{
	report(g, &(struct ranq_control){.type = RANQ_CONTROL_EXITED, .id = id, .failure = error});
}

static struct child *child_create(const struct ranq_control *order, int page_fd)
{
	struct child *child = calloc(1, sizeof *child);

	if (!child)
		return NULL;
	child->id = order->id;
	child->slot = order->slot;
	child->page = mmap(NULL, sizeof *child->page, PROT_READ, MAP_SHARED, page_fd, 0);
	if (child->page != MAP_FAILED)
		return child;
	free(child);
	return NULL;
}

static void child_destroy(struct child *child)
{
	munmap(child->page, sizeof *child->page);
	free(child);
}

static void on_spawn(struct guardian *g, const struct ranq_control *order, int *fds, unsigned nfds)
{
	struct child *child = nfds == 2 ? child_create(order, fds[1]) : NULL;

	if (!child) {
		report_no_fork(g, order->id, ENOMEM);
		return;
	}
	child->pid = fork();
	if (!child->pid)
		become_executor(g, order, fds);
	if (child->pid < 0) {
		report_no_fork(g, order->id, errno);
		child_destroy(child);
		return;
	}
	LIST_INSERT_HEAD(&g->children, child, link);
}

static void kill_task(const struct child *child, int sig)
{
	ranq_sweep_group((pid_t)atomic_load_explicit(&child->page->group, memory_order_acquire), getsid(0), sig);
}

static void kill_child(const struct child *child)
{
	kill(child->pid, SIGKILL);
	kill(-child->pid, SIGKILL);
	kill_task(child, SIGKILL);
}

/* User code can write to the page: what is no job is left out by the reader. True: a task runs, or ran at the end. */
static bool look_at(const struct child *child, struct unfinished *what)
{
	what->ended_ns = ranq_clock_ns();
	what->task = atomic_load(&child->page->task);
	memcpy(what->job, child->page->job, sizeof what->job);
	what->job[sizeof what->job - 1] = '\0';
	return atomic_load(&child->page->seq) % 2;
}

/* An executor that ended by itself, between two tasks, has cleaned up; exit(0) in a body looks the same but for seq. */
static bool ended_well(const struct child *child, const siginfo_t *info)
{
	return info->si_code == CLD_EXITED && !info->si_status && atomic_load(&child->page->seq) % 2 == 0;
}

/* Before the report: when the rank starts the next executor of this slot, nothing of the last one's task runs any more.
 * The mark names the executor, not the slot alone: a retired one may end while its successor works. Groups are killed
 * before their leaders are reaped: until then nobody else can have their numbers. */
static void on_child_end(struct guardian *g, struct child *child, const siginfo_t *info)
{
	bool clean = ended_well(child, info);
	struct rusage usage = {0};
	char mark[256];
	int status = 0;

	LIST_REMOVE(child, link);
	if (info->si_code == CLD_EXITED && !info->si_status &&
		look_at(child, &g->unfinished[g->nunfinished % UNFINISHED_MAX]))
		g->nunfinished++;
	if (!clean) {
		kill(-child->pid, SIGKILL);
		kill_task(child, SIGKILL);
	}
	wait4(child->pid, &status, 0, &usage);
	if (!clean) {
		snprintf(mark, sizeof mark, "%s.%u.%u", g->mark, child->slot, child->id);
		ranq_sweep(mark, SWEEP_MS);
	}
	report(g, &(struct ranq_control){.type = RANQ_CONTROL_EXITED,
			  .id = child->id,
			  .value = status,
			  .peak = (uint64_t)usage.ru_maxrss << 10});
	child_destroy(child);
}

static void reap(struct guardian *g)
{
	siginfo_t info = {0};
	struct child *child;

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
		LIST_FOREACH(child, &g->children, link)
			if (child->pid == info.si_pid)
				break;
		if (child)
			on_child_end(g, child, &info);
		else /* an orphan of a task */
			waitpid(info.si_pid, NULL, 0);
		info.si_pid = 0;
	}
}

/* ---- suspension -------------------------------------------------------------------------------------------------- */

/* A process can fork while the list is read: until two passes find as many. */
static void signal_marked(const struct guardian *g, int sig)
{
	unsigned found = 0, last = ~0U;

	for (int i = 0; i < SUSPENSION_PASSES && found != last; i++) {
		last = found;
		found = ranq_sweep_pass(g->mark, sig);
	}
}

/* PBS without its cgroups hook stops the sessions that it started: neither the ranks of the first node nor any task, as
 * these have sessions of their own (its TERM, which asks for a drain, would end them otherwise). So what is below us
 * follows what is above the rank, and so do all ranks of the node: rank 0, which nobody guards, would find itself alone
 * after a lease and leave. mpirun goes on, or nobody could tell its stop from one of PBS; and it is what ends stopped
 * ranks when PBS kills join. The rank's own state is not asked: on the other nodes PBS has stopped its parent, too.
 *
 * PBS continues this node first, then the others. Rank 0 takes its SIGCONT for the first one of mpirun's killing sequence
 * and asks all ranks for a sign of life: hence the second look before we go on. */
static void follow_suspension(struct guardian *g)
{
	bool there = getppid() == g->rank, stopped = there && ranq_process_stopped_above(g->rank);

	g->look_ms = ranq_clock_ms() + SUSPENSION_MS;
	if (stopped == g->suspended) {
		g->resuming = false;
		return;
	}
	if (there && !stopped && !g->resuming) {
		g->resuming = true;
		return;
	}
	g->suspended = stopped;
	g->resuming = false;
	if (stopped)
		ranq_process_signal_siblings(g->rank, SIGSTOP);
	signal_marked(g, stopped ? SIGSTOP : SIGCONT);
	if (there && !stopped)
		ranq_process_signal_siblings(g->rank, SIGCONT);
}

/* ---- end --------------------------------------------------------------------------------------------------------- */

static unsigned kill_own_children(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct ranq_process process;
	unsigned found = 0;
	pid_t pid;

	while (proc && (entry = readdir(proc))) {
		pid = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? (pid_t)atoi(entry->d_name) : 0;
		if (!pid || !ranq_process_look(pid, &process) || process.parent != getpid())
			continue;
		kill(pid, SIGKILL);
		found++;
	}
	if (proc)
		closedir(proc);
	return found;
}

static bool is_recent(const struct unfinished *what, int64_t now_ns)
{
	return now_ns - what->ended_ns < UNFINISHED_MS * INT64_C(1000000);
}

/* The rank is gone, and did not say that it would: what ran then? At once, before anything is killed: the time tells
 * which of several ranks died first. */
static void note_death(const struct guardian *g)
{
	static struct ranq_black_box_line line;
	int64_t now_ns = ranq_clock_ns(), gone_ns = now_ns;
	struct unfinished now;
	struct child *child;

	for (unsigned i = 0; i < UNFINISHED_MAX && i < g->nunfinished; i++)
		if (is_recent(&g->unfinished[i], now_ns) && g->unfinished[i].ended_ns < gone_ns)
			gone_ns = g->unfinished[i].ended_ns;
	ranq_black_box_line_begin(&line, gone_ns);
	LIST_FOREACH(child, &g->children, link)
	if (look_at(child, &now))
		ranq_black_box_line_task(&line, now.job, now.task);
	for (unsigned i = 0; i < UNFINISHED_MAX && i < g->nunfinished; i++)
		if (is_recent(&g->unfinished[i], now_ns))
			ranq_black_box_line_task(&line, g->unfinished[i].job, g->unfinished[i].task);
	ranq_black_box_line_write(&line, g->black_box);
}

/* Kills until nothing marked and no child is left: what we kill hands its children to us. */
static void sweep_all(struct guardian *g)
{
	int64_t end = ranq_clock_ms() + CLOSE_MS;
	const struct timespec pause = {.tv_nsec = 2000000};
	struct child *child;
	unsigned found;

	LIST_FOREACH(child, &g->children, link)
	kill_child(child);
	do {
		ranq_sweep(g->mark, SWEEP_MS);
		found = kill_own_children();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (found)
			nanosleep(&pause, NULL);
	} while (found && ranq_clock_ms() < end);
}

static void on_close(struct guardian *g, int grace_ms)
{
	struct child *child;

	g->closing = true;
	g->kill_ms = ranq_clock_ms() + grace_ms;
	LIST_FOREACH(child, &g->children, link)
	kill_task(child, SIGTERM);
}

static struct child *find_child(struct guardian *g, uint32_t id)
{
	struct child *child;

	LIST_FOREACH(child, &g->children, link)
	if (child->id == id)
		break;
	return child;
}

static void on_control(struct guardian *g)
{
	struct ranq_control order = {0};
	int fds[RANQ_WIRE_FDS];
	unsigned nfds, i;
	struct child *child;
	long n = ranq_wire_receive(g->control, &order, sizeof order, fds, &nfds, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		g->over = true;
		return;
	}
	order.cpus[sizeof order.cpus - 1] = '\0';
	switch (order.type) {
	case RANQ_CONTROL_SPAWN:
		on_spawn(g, &order, fds, nfds);
		break;
	case RANQ_CONTROL_KILL:
		child = find_child(g, order.id);
		if (child)
			kill_child(child);
		break;
	case RANQ_CONTROL_CLOSE:
		on_close(g, order.value);
		break;
	default:
		break;
	}
	for (i = 0; i < nfds; i++)
		close(fds[i]);
}

static void on_signal(struct guardian *g)
{
	struct signalfd_siginfo info;

	while (read(g->signals, &info, sizeof info) > 0)
		;
	reap(g);
}

static int set_up(struct guardian *g)
{
	sigset_t all;

	g->pid = getpid();
	g->rank = getppid();
	g->look_ms = getenv("PBS_JOBID") ? 0 : RANQ_NEVER;
	g->mark = getenv("RANQ_MARK");
	LIST_INIT(&g->children);
	sigemptyset(&g->no_signals);
	sigfillset(&all);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (!g->mark || sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -1;
	sigemptyset(&all);
	sigaddset(&all, SIGCHLD);
	g->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return g->signals < 0 ? -1 : 0;
}

static int wait_ms(const struct guardian *g)
{
	int64_t at = g->closing && g->kill_ms < g->look_ms ? g->kill_ms : g->look_ms, left;

	if (at == RANQ_NEVER)
		return -1;
	left = at - ranq_clock_ms();
	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

int ranq_guardian_run(int control_fd, int black_box, const struct rlimit *core, const struct rlimit *files)
{
	struct guardian g = {.control = control_fd, .black_box = black_box, .core = *core, .files = *files};

	if (set_up(&g) < 0)
		return 70;
	report(&g, &(struct ranq_control){.type = RANQ_CONTROL_HELLO, .value = (int32_t)RANQ_WIRE_VERSION});
	while (!g.over) {
		struct pollfd fds[2] = {{g.control, POLLIN, 0}, {g.signals, POLLIN, 0}};

		if (poll(fds, 2, wait_ms(&g)) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			on_signal(&g);
		if (fds[0].revents)
			on_control(&g);
		if (ranq_clock_ms() >= g.look_ms)
			follow_suspension(&g);
		if (g.closing && (LIST_EMPTY(&g.children) || ranq_clock_ms() >= g.kill_ms))
			break;
	}
	if (g.over && !g.closing)
		note_death(&g);
	sweep_all(&g);
	return 0;
}

/* cmd_join.c - `ranq join`: starts a bridge on whatever nodes this allocation has, and starts it again after a crash.
 *
 * The bridge has its own crash handling; join is for the deaths that take the whole MPI world down. Between the two
 * nothing is lost: what a dead bridge held comes back by lease expiry, or at once by join's word, which the black box
 * tells what was running (exec/black_box.h). join never signals mpirun with TERM first, since
 * mpirun then kills its ranks within two seconds: the first signal that join gets becomes the drain signal of the
 * bridge, the second one kills. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/allocation.h"
#include "common/cli.h"
#include "common/commands.h"
#include "common/config.h"
#include "common/end_watch.h"
#include "common/give_back.h"
#include "common/local.h"
#include "common/dead_bridge.h"
#include "common/marked.h"
#include "common/mpi_launch.h"
#include "common/orphans.h"
#include "common/spawn.h"
#include "common/survivors.h"
#include "common/tools.h"
#include "common/values.h"
#include "exec/bind.h"
#include "util/clock.h"
#include "util/plural.h"

#define QUICK_DEATH_MS 10000 /* a life shorter than this counts towards giving up */
#define QUICK_KILLED_MAX 20  /* a poison task needs some rounds until it is isolated */
#define QUICK_FAILED_MAX 4   /* the bridge or mpirun cannot start at all */
#define BACKOFF_FIRST_MS 250
#define BACKOFF_MAX_MS 3000
#define KILL_GRACE_MS 5000
#define PREEMPTION_MS 600000 /* longer than any grace time that is usual */

struct join_options {
	uint64_t ranks, slots;
	int64_t give_back_ms, walltime_ms, lease_ms; /* 0: not given */
	int64_t idle_timeout_ms, grace_ms; /* -1: not given */
	const char *queue, *server, *name, *tags, *bind, *end_time, *warn_signal, *env_setup, *image;
	int on_server_lost; /* 1: stop */
	bool report_bindings, proxy_computes, dry_run;
};

#define FIELD(f) offsetof(struct join_options, f)
static const struct ranq_option join_option_table[] = {
	{"ranks", 'n', "N", RANQ_OPTION_UINT, FIELD(ranks),
		"compute ranks in all (default: one per core); a proxy is added", NULL, 1, 1000000},
	{"queue", 'q', "QUEUE,...", RANQ_OPTION_TEXT, FIELD(queue), "queues to serve, the first one first"},
	{"server", 0, "URL", RANQ_OPTION_TEXT, FIELD(server), "the Redis server"},
	{"name", 0, "NAME", RANQ_OPTION_TEXT, FIELD(name), "name of the bridge in 'ranq workers'"},
	{"tags", 0, "TAG,...", RANQ_OPTION_TEXT, FIELD(tags), "what jobs may --require"},
	{"bind", 0, "UNIT", RANQ_OPTION_TEXT, FIELD(bind), "pin executors to core, pu, l3, numa, package or none"},
	{"report-bindings", 0, NULL, RANQ_OPTION_FLAG, FIELD(report_bindings), "print where executors are pinned"},
	{"slots", 0, "N", RANQ_OPTION_UINT, FIELD(slots), "executors of each compute rank (default: 1)", NULL, 1, 1024},
	{"proxy-computes", 0, NULL, RANQ_OPTION_FLAG, FIELD(proxy_computes), "rank 0 computes as well"},
	{"idle-timeout", 0, "D", RANQ_OPTION_DURATION, FIELD(idle_timeout_ms),
		"leave when there was no work for so long"},
	{"give-back", 0, "D", RANQ_OPTION_DURATION, FIELD(give_back_ms),
		"give nodes that had no task for so long back to the scheduler", NULL, 1, 0},
	{"walltime", 0, "D", RANQ_OPTION_DURATION, FIELD(walltime_ms), "leave when so much time is over", NULL, 1, 0},
	{"end-time", 0, "TIME", RANQ_OPTION_TEXT, FIELD(end_time),
		"leave before this time (seconds since 1970 or ISO 8601)"},
	{"warn-signal", 0, "SIG", RANQ_OPTION_TEXT, FIELD(warn_signal),
		"signal for tasks that run when the bridge must leave"},
	{"grace", 0, "D", RANQ_OPTION_DURATION, FIELD(grace_ms), "time that they have then"},
	{"lease", 0, "D", RANQ_OPTION_DURATION, FIELD(lease_ms), "lease of the queue, set at its first use", NULL,
		RANQ_LEASE_MS_MIN, 0},
	{"on-server-lost", 0, "WHAT", RANQ_OPTION_CHOICE, FIELD(on_server_lost),
		"finish or stop running tasks when Redis is away", "finish|stop"},
	{"env-setup", 0, "FILE", RANQ_OPTION_TEXT, FIELD(env_setup),
		"read by bash on each node before the ranks start: modules, conda, ..."},
	{"image", 0, "IMG.sif", RANQ_OPTION_TEXT, FIELD(image),
		"Apptainer image to run ranks and tasks in; holds a ranq-bridge of its own"},
	{"dry-run", 0, NULL, RANQ_OPTION_FLAG, FIELD(dry_run), "print the command line and leave"},
	{"help", 'h', NULL, RANQ_OPTION_FLAG, 0, "show this help"},
	{NULL},
};
static const struct ranq_option_group join_groups[] = {
	{"options", join_option_table, 0},
	{NULL},
};

/* Everything about this run of join. */
struct join {
	const struct ranq_command *command;
	struct join_options options;
	char *bridge;
	char mark[HOST_NAME_MAX + 64], box_variable[64];
	int box; /* -1: none */
	unsigned starts, quick_killed, quick_failed;
	unsigned nnodes; /* at the first start */
	char *apptainer, *env_setup; /* absolute paths, NULL: not wanted */
	struct ranq_end_watch end;
	struct ranq_give_back give;
	bool shrinking; /* the bridge is drained, to be started again on fewer nodes */
	int64_t backoff_ms, end_ms /* by --walltime */;
	int signals; /* got so far: 1 drains, 2 kills */
	sigset_t set;
};

enum verdict { VERDICT_AGAIN, VERDICT_END };

/* ---- the bridge's command line ---- */

/* Owned copies, so that numbers can stand among them. */
struct words {
	char *at[64];
	size_t n;
};

static void add_option(struct words *words, const char *name, const char *value)
{
	if (!value)
		return;
	words->at[words->n++] = strdup(name);
	words->at[words->n++] = strdup(value);
}

static void add_number(struct words *words, const char *name, int64_t value, const char *unit)
{
	char text[48];
	snprintf(text, sizeof text, "%lld%s", (long long)value, unit);
	add_option(words, name, value > 0 ? text : NULL);
}

/* 0 is a wish, too. */
static void add_time(struct words *words, const char *name, int64_t ms)
{
	if (ms == 0)
		add_option(words, name, "0");
	else
		add_number(words, name, ms, "ms");
}

static void clear_words(struct words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->at[i]);
}

static void make_arguments(const struct join *join, const struct ranq_allocation *allocation, struct words *words)
{
	const struct join_options *options = &join->options;
	*words = (struct words){0};
	add_option(words, "--server", options->server);
	add_option(words, "--queue", options->queue);
	add_option(words, "--name", options->name);
	add_option(words, "--tags", options->tags);
	add_option(words, "--bind", options->bind);
	add_option(words, "--warn-signal", options->warn_signal);
	add_option(words, "--on-server-lost", options->on_server_lost ? "stop" : NULL);
	add_number(words, "--slots", (int64_t)options->slots, "");
	add_time(words, "--idle-timeout", options->idle_timeout_ms);
	add_time(words, "--grace", options->grace_ms);
	add_number(words, "--lease", options->lease_ms, "ms");
	/* of the whole of join, whatever the number of restarts */
	if (options->walltime_ms)
		add_number(words, "--walltime", join->end_ms - ranq_clock_ms(), "ms");
	add_option(words, "--allocation", allocation->id);
	if (options->end_time)
		add_option(words, "--end-time", options->end_time);
	else
		add_number(words, "--end-time", allocation->end_s, "");
	if (*join->end.path)
		add_option(words, "--end-file", join->end.path);
	if (*join->give.path) {
		add_number(words, "--give-back", options->give_back_ms, "ms");
		add_option(words, "--give-back-file", join->give.path);
	}
	if (options->report_bindings)
		words->at[words->n++] = strdup("--report-bindings");
	if (options->proxy_computes)
		words->at[words->n++] = strdup("--proxy-computes");
}

/* ---- waiting ---- */

/* Takes a signal if there is one within timeout_ms; 0: none. CHLD only ends the wait. */
static int next_signal(const struct join *join, int64_t timeout_ms)
{
	struct timespec limit = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
	int sig = sigtimedwait(&join->set, NULL, &limit);
	return sig > 0 && sig != SIGCHLD ? sig : 0;
}

/* Sleeps in the back-off; true: a signal came, so no new start. */
static bool interrupted_within(struct join *join, int64_t ms)
{
	int64_t deadline_ms = ranq_clock_ms() + ms;
	for (int64_t left; (left = deadline_ms - ranq_clock_ms()) > 0;) {
		if (next_signal(join, left)) {
			join->signals++;
			return true;
		}
	}
	return false;
}

static void hand_on(struct join *join, pid_t pid, const struct ranq_mpi_launch *launch)
{
	join->signals++;
	if (join->signals == 1) {
		ranq_cli_say(join->command, "draining: running tasks end, the rest goes back (once more to kill)");
		kill(pid, launch->drain_signal);
	} else if (join->signals == 2) {
		ranq_cli_say(join->command, "killing the bridge");
		kill(-pid, launch->kill_signal);
	} else {
		kill(-pid, SIGKILL);
	}
}

/* A wish that cannot come true is named once, not at each restart: a bridge that gave nodes back may be left with one. */
static void start_giving_back(struct join *join, const struct ranq_allocation *allocation)
{
	ranq_give_back_start(&join->give, allocation);
	if (!join->give.path[0] && join->starts == 0)
		ranq_cli_say(join->command, "--give-back does nothing here: it needs a Slurm or PBS allocation of several nodes");
}

static void give_back(
	struct join *join, pid_t pid, const struct ranq_mpi_launch *launch, const struct ranq_allocation *allocation)
{
	struct ranq_err err = {0};
	switch (ranq_give_back_look(&join->give, allocation, &ranq_tools, &err)) {
	case RANQ_GIVE_BACK_NOTHING:
		break;
	case RANQ_GIVE_BACK_DONE:
		ranq_cli_say(join->command, "given back to the scheduler: %s", join->give.gone);
		break;
	case RANQ_GIVE_BACK_DRAIN:
		join->shrinking = true;
		kill(pid, launch->drain_signal);
		break;
	case RANQ_GIVE_BACK_REFUSED:
		ranq_cli_say(join->command, "cannot give idle nodes back: %s", err.text);
		break;
	}
}

/* The bridge has ended for that, so it is started again in any case. */
static void give_back_now(struct join *join, const struct ranq_allocation *allocation)
{
	struct ranq_err err = {0};
	join->shrinking = false;
	if (ranq_give_back_finish(&join->give, allocation, &ranq_tools, &err) == 0) {
		ranq_cli_say(join->command, "given back to the scheduler: %s", join->give.gone);
		return;
	}
	ranq_cli_say(join->command, "cannot give idle nodes back: %s", err.text);
	join->options.give_back_ms = 0;
}

/* Until the launcher is over; signals are handed on. A second signal has a limit: mpirun may hang in it. */
static int await_end(
	struct join *join, pid_t pid, const struct ranq_mpi_launch *launch, const struct ranq_allocation *allocation)
{
	int status;
	int64_t kill_deadline_ms = RANQ_NEVER;
	while (!ranq_spawn_wait(pid, 0, &status)) {
		if (next_signal(join, 1000))
			hand_on(join, pid, launch);
		if (join->signals == 0) {
			ranq_end_watch_look(&join->end, allocation);
			give_back(join, pid, launch, allocation);
		}
		if (join->signals >= 2 && kill_deadline_ms == RANQ_NEVER)
			kill_deadline_ms = ranq_clock_ms() + KILL_GRACE_MS;
		if (ranq_clock_ms() > kill_deadline_ms)
			kill(-pid, SIGKILL);
	}
	return status;
}

static bool is_any(pid_t pid, const char *value, void *arg)
{
	(void)pid;
	*(bool *)arg |= *value == '\0';
	return !*(bool *)arg;
}

/* What mpirun left: ranks that outlive it for some seconds and may still commit, tasks that ran away. They get that
 * time, then KILL. */
static void sweep(const struct join *join)
{
	int64_t deadline_ms = ranq_clock_ms() + KILL_GRACE_MS;
	for (;;) {
		bool any = false;
		ranq_marked_each(join->mark, is_any, &any);
		if (!any || ranq_clock_ms() > deadline_ms || join->signals > 1)
			break;
		ranq_spawn_nap(20);
	}
	ranq_marked_kill(join->mark, KILL_GRACE_MS);
}

/* Nobody of this host lives any more. When the bridge had left by itself, the queue does not know it and nothing
 * happens. The tasks of the ranks that died first are suspects, if these ranks were surely here. Returns whether the
 * bridge ever was in a queue. */
static bool report_dead(const struct join *join, bool one_node)
{
	static struct ranq_black_box box;
	struct ranq_err err = {0};
	ranq_black_box_read(join->box, &box);
	if (ranq_dead_bridge_report(&box, join->options.server, one_node, &err) < 0)
		ranq_cli_say(join->command, "what the bridge held comes back when its lease ends: %s", err.text);
	return box.nbridges > 0;
}

static void tidy(const struct join *join)
{
	static struct ranq_black_box box;
	ranq_black_box_read(join->box, &box);
	ranq_dead_bridge_tidy(&box, join->options.server);
}

/* ---- one life of the bridge ---- */

/* After a signal. A launcher that died of the drain signal had not started its ranks yet, so nothing was lost. */
static int drained_status(const struct join *join, int code)
{
	if (join->signals > 1)
		return 130;
	return code == 128 + SIGUSR1 || code == 128 + SIGUSR2 || code == 128 + SIGTERM ? 0 : 1;
}

/* A preempted job of Slurm is requeued if it is still there when its grace time is over, so after the drain there is something left to
 * do: to be killed. The first signal ends the wait. */
static void await_preemption(struct join *join, const struct ranq_allocation *allocation)
{
	int64_t deadline_ms = ranq_clock_ms() + PREEMPTION_MS;
	if (!ranq_allocation_preempted(allocation))
		return;
	ranq_cli_say(join->command, "preempted: waiting for Slurm, which requeues the job");
	while (ranq_clock_ms() < deadline_ms && !next_signal(join, 1000))
		;
}

/* Exit status of the whole when the bridge should not be started again, else VERDICT_AGAIN through *verdict. */
static int judge(struct join *join, int status, int64_t life_ms, bool registered, enum verdict *verdict)
{
	char how[48];
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	*verdict = VERDICT_END;
	if (code == 0)
		return 0;
	if (join->signals)
		return drained_status(join, code);
	if (code >= 2 && code <= 4 && join->starts == 1) /* the bridge said why */
		return code;
	bool quick = life_ms < QUICK_DEATH_MS;
	join->quick_killed = quick ? join->quick_killed + 1 : 0;
	/* hydra's status is the number of the signal, so it does not tell the two apart */
	join->quick_failed = quick && code < 128 && !registered ? join->quick_failed + 1 : 0;
	join->backoff_ms = !quick || !join->backoff_ms ? BACKOFF_FIRST_MS : join->backoff_ms * 2;
	if (join->backoff_ms > BACKOFF_MAX_MS)
		join->backoff_ms = BACKOFF_MAX_MS;
	ranq_spawn_status_text(status, how);
	if (join->quick_killed >= QUICK_KILLED_MAX || join->quick_failed >= QUICK_FAILED_MAX) {
		ranq_cli_say(join->command,
			"the bridge %s after %.1f s, the %u. time in a row: giving up (see 'ranq doctor')", how,
			(double)life_ms / 1000,
			join->quick_failed >= QUICK_FAILED_MAX ? join->quick_failed : join->quick_killed);
		return 1;
	}
	*verdict = VERDICT_AGAIN;
	ranq_cli_say(join->command, "the bridge %s after %.1f s; restart in %.2g s", how, (double)life_ms / 1000,
		(double)join->backoff_ms / 1000);
	return 1;
}

static void say_start(const struct join *join, const struct ranq_allocation *allocation,
	const struct ranq_mpi_launch *launch, unsigned ranks)
{
	char where[192] = "this machine", until[64] = "";
	time_t end = (time_t)allocation->end_s;
	struct tm local;
	if (allocation->scheduler != RANQ_SCHEDULER_NONE)
		snprintf(where, sizeof where, "%s (%u node%s)", allocation->id, allocation->nnodes,
			ranq_plural(allocation->nnodes));
	if (end > 0 && localtime_r(&end, &local))
		strftime(until, sizeof until, ", until %F %T", &local);
	ranq_cli_say(join->command, "%u compute rank%s on %s%s, by %s (%s)", ranks, ranq_plural(ranks), where, until,
		launch->launcher, ranq_mpi_name(launch->mpi));
}

static int show_plan(const struct ranq_mpi_launch *launch)
{
	for (size_t i = 0; i < launch->argc; i++)
		printf("%s%s", i ? " " : "", launch->argv[i]);
	putchar('\n');
	return 0;
}

static int run_once(struct join *join, const struct ranq_mpi_launch *launch, const struct ranq_allocation *allocation,
	enum verdict *verdict, struct ranq_err *err)
{
	const char *env[8];
	size_t n = 0;
	for (const char *const *entry = ranq_mpi_environment; *entry; entry++)
		env[n++] = *entry;
	env[n++] = join->mark;
	env[n++] = join->box >= 0 ? join->box_variable : "RANQ_BLACK_BOX";
	env[n] = NULL;
	ranq_black_box_empty(join->box);
	int64_t started_ms = ranq_clock_ms();
	struct ranq_spawn spawn = {.argv = launch->argv,
		.env = env,
		.out_fd = -1,
		.err_fd = -1,
		.keep_fd = -1,
		.session = true,
		.death_signal = launch->death_signal};
	pid_t pid = ranq_spawn_start(&spawn, err);
	if (pid < 0)
		return -1;
	join->starts++;
	int status = await_end(join, pid, launch, allocation);
	sweep(join);
	if (status == 0)
		tidy(join);
	if (status == 0 && join->signals == 0)
		await_preemption(join, allocation);
	if (status == 0 && join->signals == 0 && join->shrinking) {
		give_back_now(join, allocation);
		*verdict = VERDICT_AGAIN;
		join->backoff_ms = 0;
		return 0;
	}
	bool registered = status != 0 && report_dead(join, allocation->nnodes <= 1);
	return judge(join, status, ranq_clock_ms() - started_ms, registered, verdict);
}

/* The second failed start in a row is desperate: rather this node alone than nothing. */
static void leave_out_dead(struct join *join, struct ranq_allocation *allocation)
{
	char *gone = ranq_survivors_keep(allocation, join->quick_failed >= 2);
	if (!gone)
		return;
	ranq_cli_say(join->command, "left out, because no answer comes from there: %s", gone);
	free(gone);
}

/* Compute ranks for the nodes that are left. */
static unsigned count_ranks(const struct join *join, const struct ranq_allocation *allocation)
{
	uint64_t wanted = join->options.ranks;
	if (!wanted)
		return allocation->cpus;
	if (allocation->nnodes < join->nnodes)
		wanted = (wanted * allocation->nnodes + join->nnodes - 1) / join->nnodes;
	return (unsigned)wanted;
}

/* Finds nodes and launcher anew each time: nodes may be gone since. Returns the exit status, or -1. */
static int start_once(struct join *join, enum verdict *verdict, struct ranq_err *err)
{
	struct ranq_allocation allocation;
	struct ranq_mpi_launch launch;
	struct words words;
	int status;
	ranq_allocation_find(&allocation);
	ranq_give_back_leave_out(&join->give, &allocation);
	if (join->starts > 0)
		leave_out_dead(join, &allocation);
	else
		join->nnodes = allocation.nnodes;
	if (!join->options.end_time && !join->options.dry_run)
		ranq_end_watch_start(&join->end, &allocation);
	join->shrinking = false;
	if (join->options.give_back_ms && !join->options.dry_run)
		start_giving_back(join, &allocation);
	make_arguments(join, &allocation, &words);
	unsigned ranks = count_ranks(join, &allocation);
	const char *launcher = getenv("RANQ_MPIRUN");
	struct ranq_mpi_request request = {.bridge = join->bridge,
		.arguments = (const char *const *)words.at,
		.ranks = ranks,
		.env_setup = join->env_setup,
		.apptainer = join->apptainer,
		.image = join->options.image,
		.allocation = &allocation,
		.launcher = launcher && *launcher ? launcher : NULL};
	*verdict = VERDICT_END;
	bool here = allocation.scheduler == RANQ_SCHEDULER_NONE;
	status = here && ranq_local_ranks_check(ranks, err) < 0 ? -1 : ranq_mpi_plan(&request, &launch, err);
	if (status == 0) {
		if (join->options.dry_run) {
			status = show_plan(&launch);
		} else {
			join->give.at_once = launch.srun;
			if (join->starts == 0)
				say_start(join, &allocation, &launch, ranks);
			status = run_once(join, &launch, &allocation, verdict, err);
		}
		ranq_mpi_launch_clear(&launch);
	}
	ranq_end_watch_stop(&join->end);
	ranq_give_back_stop(&join->give);
	clear_words(&words);
	ranq_allocation_clear(&allocation);
	return status;
}

/* ---- around it ---- */

static void block_signals(struct join *join)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGCHLD};
	sigemptyset(&join->set);
	for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
		if (signal(caught[i], SIG_DFL) == SIG_IGN && caught[i] == SIGHUP)
			signal(SIGHUP, SIG_IGN); /* nohup means it */
		sigaddset(&join->set, caught[i]);
	}
	sigprocmask(SIG_BLOCK, &join->set, NULL);
}

/* One clear line now instead of what mpirun makes of it. The first time a server that is away is an error; later it is
 * waited for. */
static int check_server(const struct join *join, struct ranq_err *err)
{
	struct ranq_server_addr addr;
	if (ranq_config_server(join->options.server, &addr, err) < 0)
		return -1;
	struct ranq_conn *conn = ranq_conn_open(&addr, ranq_clock_ms() + 10000, err);
	ranq_conn_close(conn);
	ranq_server_addr_clear(&addr);
	return conn ? 0 : -1;
}

/* One clear line here instead of as many as there are ranks. */
static int find_surroundings(struct join *join, struct ranq_err *err)
{
	static const char *const names[] = {"apptainer", "singularity", NULL};
	const struct join_options *options = &join->options;
	if (options->env_setup) {
		join->env_setup = realpath(options->env_setup, NULL);
		if (!join->env_setup || access(join->env_setup, R_OK) < 0)
			return ranq_err_sys(err, "cannot read '%s' (--env-setup)", options->env_setup);
	}
	if (options->image) {
		join->apptainer = ranq_spawn_find_path(names);
		if (!join->apptainer)
			return ranq_err_set(err, RANQ_ERR_INPUT,
				"cannot find 'apptainer' or 'singularity' in PATH, which --image needs: load its module first");
		if (access(options->image, R_OK) < 0)
			return ranq_err_sys(err, "cannot read '%s' (--image)", options->image);
	}
	return 0;
}

static int prepare(struct join *join, struct ranq_err *err)
{
	char host[HOST_NAME_MAX + 1] = "localhost";
	gethostname(host, sizeof host - 1);
	snprintf(join->mark, sizeof join->mark, "RANQ_JOIN=%s:%d:%llu", host, (int)getpid(),
		ranq_marked_start_time(getpid()));
	/* under the value of the mark: a rank on another host finds another file there, or none */
	join->box = ranq_black_box_create(join->mark + strlen("RANQ_JOIN="), join->box_variable);
	join->bridge = ranq_spawn_find_own("ranq-bridge", "RANQ_BRIDGE", err);
	if (!join->bridge || (!join->options.dry_run && check_server(join, err) < 0))
		return -1;
	/* orphans of the ranks come to us, so that the sweep finds them reaped */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	block_signals(join);
	ranq_orphans_sweep(host);
	return 0;
}

/* After a crash: back-off, then until the server answers. true: go on. */
static bool ready_again(struct join *join)
{
	if (interrupted_within(join, join->backoff_ms))
		return false;
	if (join->options.walltime_ms && ranq_clock_ms() >= join->end_ms)
		return false;
	struct ranq_err err = {0};
	while (check_server(join, &err) < 0)
		if (interrupted_within(join, BACKOFF_MAX_MS / 4))
			return false;
	return true;
}

static int check_queues(const char *list, struct ranq_err *err)
{
	for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		char name[RANQ_QUEUE_NAME_MAX + 2];
		size_t len = strcspn(at, ",");
		snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), at);
		if (ranq_queue_name_check(name, err) < 0)
			return -1;
		for (const char *other = at + len; *other; other += strcspn(other, ",")) {
			other++;
			if (strcspn(other, ",") == len && strncmp(other, at, len) == 0)
				return ranq_err_set(
					err, RANQ_ERR_USAGE, "option '--queue': '%s' is named twice", name);
		}
	}
	return 0;
}

static int check_values(const struct join_options *options, struct ranq_err *err)
{
	enum ranq_bind bind;
	bool scatter;
	int64_t ms;
	int number;
	if (options->bind && ranq_bind_parse(options->bind, &bind, &scatter, err) < 0)
		return ranq_err_wrap(err, "option '--bind'");
	if (options->end_time && ranq_time_parse(options->end_time, &ms, err) < 0)
		return ranq_err_wrap(err, "option '--end-time'");
	if (options->warn_signal && ranq_signal_parse(options->warn_signal, &number, err) < 0)
		return ranq_err_wrap(err, "option '--warn-signal'");
	return check_queues(options->queue, err);
}

static int join_main(struct join *join, struct ranq_err *err)
{
	enum verdict verdict;
	join->end_ms = ranq_clock_ms() + join->options.walltime_ms;
	if (check_values(&join->options, err) < 0 || find_surroundings(join, err) < 0 || prepare(join, err) < 0)
		return -1;
	for (;;) {
		int status = start_once(join, &verdict, err);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (status < 0 || verdict == VERDICT_END)
			return status;
		if (!ready_again(join))
			return 0;
	}
}

static int run_join(const struct ranq_command *command, int argc, char **argv)
{
	struct join join = {.command = command, .options = {.idle_timeout_ms = -1, .grace_ms = -1}, .box = -1};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int parsed = ranq_options_parse(command, argc, argv, &join.options, &operands, &err);
	if (parsed != 0)
		return parsed > 0 ? 0 : ranq_cli_fail(command, &err);
	int status = join_main(&join, &err);
	ranq_give_back_clear(&join.give);
	free(join.bridge);
	free(join.apptainer);
	free(join.env_setup);
	if (join.box >= 0)
		close(join.box);
	return status < 0 ? ranq_cli_fail(command, &err) : status;
}

const struct ranq_command ranq_command_join = {
	.name = "join",
	.summary = "start workers here: a bridge on this machine or allocation",
	.synopsis = "[-q QUEUE[,QUEUE...]] [-n RANKS] [BRIDGE OPTIONS]",
	.details =
		"Inside a Slurm or PBS allocation it finds nodes, launcher and end time by itself, elsewhere it runs\n"
		"mpirun on this machine. After a crash it starts the bridge again on what is left.\n"
		"TERM, INT, HUP, USR1 and USR2 drain: running tasks end, the rest goes back; a second one kills.\n"
		"RANQ_MPIRUN names another mpirun, mpiexec or srun; RANQ_BRIDGE another ranq-bridge.\n"
		"RANQ_END_POLL=D: how often the scheduler is asked for the end (default: each 5 min, near the end 30 s).",
	.groups = join_groups,
	.max_operands = 0,
	.run = run_join,
};

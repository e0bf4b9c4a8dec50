/* keeper.c - starts redis-server and `ranq join`, waits for the end of the channel, ends both.
 *
 * The order at the end is the reason why nothing is left: join gets TERM (drain: the ranks commit and MPI tidies up its
 * own files), then a second TERM (it kills mpirun), then the server, which has nothing to save, then whatever carries
 * the mark, then the directory. */
#include "common/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/marked.h"
#include "common/redis_server.h"
#include "common/spawn.h"
#include "util/clock.h"

#define DRAIN_MS 4000
#define KILL_MS 5000
#define SWEEP_MS 5000

static void tell(const struct ranq_keeper *keeper, char kind, const char *text)
{
	char message[500];
	int len = snprintf(message, sizeof message, "%c%s", kind, text);
	if (len >= (int)sizeof message)
		len = (int)sizeof message - 1;
	/* the caller may be gone: then its end of the channel is what we act on */
	send(keeper->channel, message, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Keeps the channel and the lock, drops all else that the caller had open (its stdout may be a pipe that somebody reads
 * to its end). */
static void drop_descriptors(struct ranq_keeper *keeper)
{
	int null = open("/dev/null", O_RDWR);
	keeper->channel = fcntl(keeper->channel, F_DUPFD_CLOEXEC, 100);
	keeper->lock = fcntl(keeper->lock, F_DUPFD_CLOEXEC, 100);
	int high = keeper->channel > keeper->lock ? keeper->channel : keeper->lock;
	for (int fd = 0; fd < high; fd++) {
		if (fd < 3 && null >= 0)
			dup2(null, fd);
		else if (fd != keeper->channel && fd != keeper->lock)
			close(fd);
	}
#ifdef SYS_close_range
	syscall(SYS_close_range, (unsigned)high + 1, ~0U, 0);
#else
	for (int fd = high + 1; fd < 4096; fd++)
		close(fd);
#endif
}

/* CHLD and TERM come through a descriptor; what a terminal may send is not for us. */
static int catch_signals(void)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t set;
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static pid_t start_redis(struct ranq_keeper *keeper, struct ranq_err *err)
{
	char socket_path[sizeof keeper->dir + 16];
	struct ranq_server_addr addr;
	snprintf(socket_path, sizeof socket_path, "%s/%s", keeper->dir, RANQ_REDIS_SOCKET);
	struct ranq_redis_options options = {.program = keeper->redis,
		.dir = keeper->dir,
		.socket = socket_path,
		.ends_with_us = true,
		.keep_fd = -1};
	putenv(keeper->mark);
	pid_t pid = ranq_redis_start(&options, err);
	if (pid < 0)
		return -1;
	ranq_server_addr_init(&addr);
	addr.unix_path = strdup(socket_path);
	int answers = ranq_redis_await(pid, keeper->dir, &addr, ranq_clock_ms() + 20000, err);
	ranq_server_addr_clear(&addr);
	if (answers == 0)
		return pid;
	ranq_spawn_stop(pid, 0);
	return -1;
}

/* `ranq join`, so that crashes of the bridge are handled in one place. Its MPI keeps its session files in our
 * directory. */
static pid_t start_ranks(struct ranq_keeper *keeper, struct ranq_err *err)
{
	char server[200], mpi_tmp[200], ranks[16], log_path[200], queue[300];
	snprintf(server, sizeof server, "RANQ_SERVER=unix://%s/%s", keeper->dir, RANQ_REDIS_SOCKET);
	snprintf(mpi_tmp, sizeof mpi_tmp, "OMPI_MCA_orte_tmpdir_base=%s", keeper->dir);
	snprintf(ranks, sizeof ranks, "%u", keeper->ranks);
	snprintf(log_path, sizeof log_path, "%s/join.log", keeper->dir);
	snprintf(queue, sizeof queue, "RANQ_QUEUE=%s", keeper->queue ? keeper->queue : "");
	/* whoever ends this run does not want what still runs */
	const char *const argv[] = {keeper->ranq, "join", "-n", ranks, "--grace", "1s", NULL};
	const char *const env[] = {server, mpi_tmp, "RANQ_PASSWORD_FILE", keeper->queue ? queue : NULL, NULL};
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct ranq_spawn spawn = {.argv = argv,
		.env = env,
		.out_fd = log,
		.err_fd = log,
		.keep_fd = -1,
		.session = true,
		.death_signal = SIGTERM};
	pid_t pid = ranq_spawn_start(&spawn, err);
	if (log >= 0)
		close(log);
	return pid;
}

static void tell_end(const struct ranq_keeper *keeper, const char *who, const char *log, int status)
{
	char path[200], line[256], how[48], text[480];
	snprintf(path, sizeof path, "%s/%s", keeper->dir, log);
	ranq_redis_log_end(path, line, sizeof line);
	snprintf(text, sizeof text, "%s %s: %s", who, ranq_spawn_status_text(status, how), line);
	tell(keeper, RANQ_KEEPER_FAILED, text);
}

/* Collects children; what is over gets pid 0. Others are orphans that came to us. */
static void reap(const struct ranq_keeper *keeper, pid_t *redis, pid_t *ranks)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == *redis) {
			*redis = 0;
			tell_end(keeper, "the private Redis server", RANQ_REDIS_LOG, status);
		} else if (pid == *ranks) {
			*ranks = 0;
			tell_end(keeper, "'ranq join' of the local ranks", "join.log", status);
		}
	}
}

/* Until the caller closes the channel or is gone, or somebody sends TERM. */
static void attend(const struct ranq_keeper *keeper, int signals, pid_t *redis, pid_t *ranks)
{
	struct pollfd wait[2] = {{.fd = keeper->channel, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	for (;;) {
		struct signalfd_siginfo info;
		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			return;
		while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
			if (info.ssi_signo == SIGTERM)
				return;
		reap(keeper, redis, ranks);
		char byte;
		ssize_t got = recv(keeper->channel, &byte, 1, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			return;
	}
}

static void end_everything(const struct ranq_keeper *keeper, pid_t redis, pid_t ranks)
{
	int status;
	if (ranks > 0) {
		kill(ranks, SIGTERM);
		if (!ranq_spawn_wait(ranks, ranq_clock_ms() + DRAIN_MS, &status))
			ranq_spawn_stop(ranks, KILL_MS);
	}
	if (redis > 0)
		ranq_spawn_stop(redis, 0);
	ranq_marked_kill(keeper->mark, SWEEP_MS);
	ranq_marked_remove_tree(keeper->dir);
}

void ranq_keeper_run(struct ranq_keeper *keeper)
{
	struct ranq_err err = {0};
	drop_descriptors(keeper);
	setsid();
	if (chdir("/") < 0)
		_exit(1);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	int signals = catch_signals();
	pid_t ranks = 0, redis = start_redis(keeper, &err);
	if (redis > 0)
		ranks = start_ranks(keeper, &err);
	if (redis <= 0 || ranks <= 0)
		tell(keeper, err.code == RANQ_ERR_INPUT ? RANQ_KEEPER_MISSING : RANQ_KEEPER_FAILED, err.text);
	else
		tell(keeper, RANQ_KEEPER_READY, "");
	attend(keeper, signals, &redis, &ranks);
	end_everything(keeper, redis > 0 ? redis : 0, ranks > 0 ? ranks : 0);
	_exit(0);
}

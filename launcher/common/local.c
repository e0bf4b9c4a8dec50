/* local.c - the side of the caller: makes the directory, forks the keeper (keeper.c), talks to it over a socket pair.
 *
 * Who dies and what happens then:
 *
 * - this process: the keeper reads the end of the channel and ends everything
 * - the keeper: redis-server gets KILL and `ranq join` TERM from the kernel; ranq_local_stop kills the rest and removes
 * the directory
 * - both at once: as before, and the next start removes the directory, whose lock nobody holds any more
 * - join or server: the keeper tells, ranq_local_check passes it on */
#include "common/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/keeper.h"
#include "common/marked.h"
#include "common/redis_server.h"
#include "common/spawn.h"
#include "util/clock.h"
#include "util/plural.h"

#define PREFIX "ranq-local-"
#define STALE_AGE_S 60
#define RANKS_A_CORE 64
#define RANKS_MAX 256 /* of a few cores */
#define START_LIMIT_MS 30000
#define STOP_LIMIT_MS 20000

struct ranq_local {
	struct ranq_server_addr addr;
	struct ranq_keeper keeper;
	pid_t pid; /* of the keeper */
	bool failed;
	struct ranq_err why; /* when failed */
};

unsigned ranq_local_default_ranks(void)
{
	cpu_set_t cpus;
	if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
		return (unsigned)CPU_COUNT(&cpus);
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}

int ranq_local_ranks_check(unsigned ranks, struct ranq_err *err)
{
	unsigned cores = ranq_local_default_ranks();
	unsigned most = cores > RANKS_MAX / RANKS_A_CORE ? cores * RANKS_A_CORE : RANKS_MAX;
	if (ranks <= most)
		return 0;
	return ranq_err_set(err, RANQ_ERR_USAGE, "%u compute ranks are too many for %u core%s: at most %u", ranks, cores,
		ranq_plural(cores), most);
}

/* A base directory is good when we may write there and a socket below it can be named, also in a URL. */
static bool good_base(const char *dir)
{
	struct stat status;
	return dir && *dir == '/' && strlen(dir) < 70 && !strpbrk(dir, "?#%\"\\ ") && stat(dir, &status) == 0 &&
	       S_ISDIR(status.st_mode) && access(dir, W_OK | X_OK) == 0;
}

static const char *base_dir(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
	if (good_base(runtime))
		return runtime;
	return good_base(tmp) ? tmp : "/tmp";
}

/* Directories of runs that were killed together with their keeper: ours, older than the moment between mkdir and flock,
 * lock free. */
static void remove_if_stale(const char *dir)
{
	char lock_path[PATH_MAX + 8];
	struct stat status;
	if (lstat(dir, &status) < 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid() ||
		time(NULL) - status.st_mtime < STALE_AGE_S)
		return;
	snprintf(lock_path, sizeof lock_path, "%s/lock", dir);
	int fd = open(lock_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno != ENOENT)
		return;
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		ranq_marked_remove_tree(dir);
	if (fd >= 0)
		close(fd);
}

static void remove_stale(const char *base)
{
	struct dirent *entry;
	DIR *all = opendir(base);
	while (all && (entry = readdir(all)) != NULL) {
		char path[PATH_MAX];
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", base, entry->d_name);
		remove_if_stale(path);
	}
	if (all)
		closedir(all);
}

static int make_dir(struct ranq_keeper *keeper, struct ranq_err *err)
{
	char lock_path[sizeof keeper->dir + 8];
	const char *base = base_dir();
	remove_stale(base);
	snprintf(keeper->dir, sizeof keeper->dir, "%s/" PREFIX "XXXXXX", base);
	if (!mkdtemp(keeper->dir))
		return ranq_err_sys(err, "cannot make a directory '%s'", keeper->dir);
	snprintf(keeper->mark, sizeof keeper->mark, "RANQ_LOCAL=%s", keeper->dir);
	snprintf(lock_path, sizeof lock_path, "%s/lock", keeper->dir);
	keeper->lock = open(lock_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (keeper->lock < 0 || flock(keeper->lock, LOCK_EX | LOCK_NB) < 0)
		return ranq_err_sys(err, "cannot lock '%s'", lock_path);
	return 0;
}

static int start_keeper(struct ranq_local *local, struct ranq_err *err)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return ranq_err_sys(err, "cannot make a socket pair");
	/* the keeper must not write what stdio still holds */
	fflush(NULL);
	local->pid = fork();
	if (local->pid < 0) {
		ranq_err_sys(err, "cannot start a process");
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (local->pid == 0) {
		local->keeper.channel = ends[1];
		ranq_keeper_run(&local->keeper);
	}
	close(ends[1]);
	local->keeper.channel = ends[0];
	return 0;
}

/* Takes one message of the keeper. 1: ready; 0: none yet; -1: failed (kept for ever after). */
static int take_message(struct ranq_local *local, int timeout_ms)
{
	char text[512];
	struct pollfd wait = {.fd = local->keeper.channel, .events = POLLIN};
	if (local->failed)
		return -1;
	if (poll(&wait, 1, timeout_ms) <= 0)
		return 0;
	ssize_t got = recv(local->keeper.channel, text, sizeof text - 1, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	text[got > 0 ? got : 0] = '\0';
	if (*text == RANQ_KEEPER_READY)
		return 1;
	local->failed = true;
	if (*text == RANQ_KEEPER_FAILED || *text == RANQ_KEEPER_MISSING)
		ranq_err_set(
			&local->why, *text == RANQ_KEEPER_MISSING ? RANQ_ERR_INPUT : RANQ_ERR_SERVER, "%s", text + 1);
	else
		ranq_err_set(&local->why, RANQ_ERR_SERVER,
			"the process that keeps the private server and the local ranks was killed");
	return -1;
}

static int await_ready(struct ranq_local *local, struct ranq_err *err)
{
	int64_t deadline_ms = ranq_clock_ms() + START_LIMIT_MS;
	while (ranq_clock_ms() < deadline_ms) {
		int got = take_message(local, 100);
		if (got > 0)
			return 0;
		if (got == 0)
			continue;
		if (err)
			*err = local->why;
		return -1;
	}
	return ranq_err_set(
		err, RANQ_ERR_SERVER, "the private Redis server did not start within %d s", START_LIMIT_MS / 1000);
}

static int start(struct ranq_local *local, struct ranq_err *err)
{
	char socket_path[sizeof local->keeper.dir + 16];
	struct ranq_keeper *keeper = &local->keeper;
	keeper->redis = ranq_redis_program(err);
	keeper->ranq = keeper->redis ? ranq_spawn_find_own("ranq", NULL, err) : NULL;
	char *bridge = keeper->ranq ? ranq_spawn_find_own("ranq-bridge", "RANQ_BRIDGE", err) : NULL;
	free(bridge); /* only to say now, and not in a log, that it is missing */
	if (!bridge || make_dir(keeper, err) < 0)
		return -1;
	snprintf(socket_path, sizeof socket_path, "%s/%s", keeper->dir, RANQ_REDIS_SOCKET);
	local->addr.unix_path = strdup(socket_path);
	if (!local->addr.unix_path)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (start_keeper(local, err) < 0)
		return -1;
	return await_ready(local, err);
}

struct ranq_local *ranq_local_start(unsigned ranks, const char *queue, struct ranq_err *err)
{
	if (ranq_local_ranks_check(ranks, err) < 0)
		return NULL;
	struct ranq_local *local = calloc(1, sizeof *local);
	if (!local) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	ranq_server_addr_init(&local->addr);
	local->keeper.channel = local->keeper.lock = -1;
	local->keeper.ranks = ranks ? ranks : ranq_local_default_ranks();
	local->keeper.queue = queue;
	if (start(local, err) == 0)
		return local;
	ranq_local_stop(local);
	return NULL;
}

const struct ranq_server_addr *ranq_local_addr(const struct ranq_local *local)
{
	return &local->addr;
}

int ranq_local_check(struct ranq_local *local, struct ranq_err *err)
{
	if (take_message(local, 0) >= 0)
		return 0;
	if (err)
		*err = local->why;
	return -1;
}

void ranq_local_stop(struct ranq_local *local)
{
	int status, kept_errno = errno;
	if (!local)
		return;
	if (local->keeper.channel >= 0)
		close(local->keeper.channel);
	if (local->pid > 0 && !ranq_spawn_wait(local->pid, ranq_clock_ms() + STOP_LIMIT_MS, &status))
		ranq_spawn_stop(local->pid, 0);
	/* nothing to do here unless the keeper was killed */
	if (local->pid > 0 && access(local->keeper.dir, F_OK) == 0)
		ranq_marked_kill(local->keeper.mark, 5000);
	if (*local->keeper.mark)
		ranq_marked_remove_tree(local->keeper.dir);
	if (local->keeper.lock >= 0)
		close(local->keeper.lock);
	free(local->keeper.redis);
	free(local->keeper.ranq);
	ranq_server_addr_clear(&local->addr);
	free(local);
	errno = kept_errno;
}

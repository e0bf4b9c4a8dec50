/* redis_server.c - see the header. Directives that a server before 7.0 does not know are left out for it, since it
 * would refuse to start. */
#include "common/redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spawn.h"
#include "util/buf.h"
#include "util/clock.h"

#define LOADING_LIMIT_MS (10 * 60 * 1000)

char *ranq_redis_program(struct ranq_err *err)
{
	static const char *const names[] = {"redis-server", "valkey-server", NULL};
	const char *given = getenv("RANQ_REDIS_SERVER");
	if (given && *given) {
		if (access(given, X_OK) == 0)
			return strdup(given);
		ranq_err_sys(err, "cannot run '%s' (from RANQ_REDIS_SERVER)", given);
		return NULL;
	}
	char *found = ranq_spawn_find_path(names);
	if (!found)
		ranq_err_set(err, RANQ_ERR_INPUT,
			"cannot find 'redis-server' or 'valkey-server' in PATH: install one (Debian: apt install "
			"redis-server), or name it in RANQ_REDIS_SERVER");
	return found;
}

unsigned ranq_redis_major(const char *program)
{
	const char *const argv[] = {program, "--version", NULL};
	struct ranq_buf out;
	unsigned major = 0;
	ranq_buf_init(&out, 4096);
	if (ranq_spawn_capture(argv, 5000, &out, NULL) == 0) {
		const char *version = strstr(ranq_buf_cstr(&out), " v=");
		if (version)
			major = (unsigned)strtoul(version + 3, NULL, 10);
	}
	ranq_buf_clear(&out);
	return major;
}

static uint64_t read_number(const char *path)
{
	uint64_t value = 0;
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%20lu", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

uint64_t ranq_redis_memory(void)
{
	static const char *const limits[] = {
		"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	uint64_t memory = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 4ULL << 30;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		uint64_t limit = read_number(limits[i]);
		if (limit && limit < memory)
			memory = limit;
	}
	return memory;
}

/* A value as redis.conf wants it: in quotes, with \ and " escaped. Control characters cannot stand in a path of ours
 * (refused by the caller). */
static void add_quoted(struct ranq_buf *conf, const char *name, const char *value)
{
	ranq_buf_printf(conf, "%s \"", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			ranq_buf_add_byte(conf, '\\');
		ranq_buf_add_byte(conf, (unsigned char)*value);
	}
	ranq_buf_add_str(conf, "\"\n");
}

static void add_file(struct ranq_buf *conf, const char *name, const char *dir, const char *file)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, file);
	add_quoted(conf, name, path);
}

static void add_doors(struct ranq_buf *conf, const struct ranq_redis_options *options)
{
	if (options->socket) {
		add_quoted(conf, "unixsocket", options->socket);
		ranq_buf_add_str(conf, "unixsocketperm 700\nport 0\n");
		return;
	}
	add_quoted(conf, "bind", options->listen);
	if (!options->tls) {
		ranq_buf_printf(conf, "port %u\n", options->port);
		return;
	}
	ranq_buf_printf(
		conf, "port 0\ntls-port %u\ntls-auth-clients no\ntls-protocols \"TLSv1.2 TLSv1.3\"\n", options->port);
	add_file(conf, "tls-cert-file", options->dir, RANQ_REDIS_CERT);
	add_file(conf, "tls-key-file", options->dir, RANQ_REDIS_KEY);
	add_file(conf, "tls-ca-cert-file", options->dir, RANQ_REDIS_CERT);
}

/* The password is stored as its SHA-256, as the server itself would keep it. Nobody may log in as "default", yet it
 * keeps its rights: the server replays the append-only file in that name and would drop every transaction else. */
static void add_user(struct ranq_buf *conf, const char *user, const char *password)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof hash + 1];
	crypto_hash_sha256(hash, (const unsigned char *)password, strlen(password));
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	if (strcmp(user, "default") != 0)
		ranq_buf_add_str(conf, "user default off ~* &* +@all\n");
	ranq_buf_printf(conf, "user %s on #%s ~* &* +@all\n", user, hex);
}

static void add_persistence(struct ranq_buf *conf, bool persistent)
{
	/* What was consumed leaves the file at its next rewrite only. At 64 MB, where the server would begin, a fast job makes
	 * it rewrite all the time: a fork, and every stored result compressed, which gains little with numbers. */
	if (persistent)
		ranq_buf_add_str(conf, "appendonly yes\nappendfsync everysec\nno-appendfsync-on-rewrite "
				       "no\naof-load-truncated yes\nauto-aof-rewrite-min-size 256mb\nrdbcompression no\n"
				       "save 3600 1\n");
	else
		ranq_buf_add_str(conf, "appendonly no\nsave \"\"\n");
}

static void make_conf(struct ranq_buf *conf, const struct ranq_redis_options *options)
{
	uint64_t maxmemory = options->maxmemory ? options->maxmemory : ranq_redis_memory() / 10 * 6;
	ranq_buf_add_str(
		conf, "# made by ranq; every start writes it anew\nprotected-mode yes\ndaemonize no\nsupervised no\n");
	add_quoted(conf, "dir", options->dir);
	add_doors(conf, options);
	if (options->password)
		add_user(conf, options->user ? options->user : "default", options->password);
	add_persistence(conf, options->persistent);
	ranq_buf_printf(conf, "maxmemory %llu\nmaxmemory-policy noeviction\n", (unsigned long long)maxmemory);
	ranq_buf_add_str(conf, "lazyfree-lazy-user-del yes\nlazyfree-lazy-expire yes\nlazyfree-lazy-server-del yes\n"
			       "client-output-buffer-limit normal 256mb 64mb 10\ntcp-keepalive 15\ntimeout "
			       "0\ntcp-backlog 4096\nmaxclients 10000\n");
	if (ranq_redis_major(options->program) >= 7)
		ranq_buf_add_str(conf, "maxmemory-clients 5%\nenable-debug-command no\nenable-module-command "
				       "no\nenable-protected-configs no\n");
}

static int write_all(int fd, const unsigned char *data, size_t len)
{
	while (len) {
		ssize_t put = write(fd, data, len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return -1;
		data += put;
		len -= (size_t)put;
	}
	return 0;
}

static int write_conf(const char *path, struct ranq_buf *conf, struct ranq_err *err)
{
	if (ranq_buf_failed(conf))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ranq_err_sys(err, "cannot write '%s'", path);
	if (fchmod(fd, 0600) < 0 || write_all(fd, conf->data, conf->len) < 0) {
		ranq_err_sys(err, "cannot write '%s'", path);
		close(fd);
		return -1;
	}
	return close(fd) < 0 ? ranq_err_sys(err, "cannot write '%s'", path) : 0;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			return true;
	return false;
}

static int check_options(const struct ranq_redis_options *options, struct ranq_err *err)
{
	if (has_control(options->dir) || (options->socket && has_control(options->socket)))
		return ranq_err_set(err, RANQ_ERR_INPUT, "the path of the server's directory holds control characters");
	if (options->socket && strlen(options->socket) > 107)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"the path of a Unix socket holds at most 107 bytes, '%s' is longer", options->socket);
	return 0;
}

pid_t ranq_redis_start(const struct ranq_redis_options *options, struct ranq_err *err)
{
	char conf_path[4096], log_path[4096];
	struct ranq_buf conf;
	if (check_options(options, err) < 0)
		return -1;
	snprintf(conf_path, sizeof conf_path, "%s/%s", options->dir, RANQ_REDIS_CONF);
	snprintf(log_path, sizeof log_path, "%s/%s", options->dir, RANQ_REDIS_LOG);
	ranq_buf_init(&conf, 1 << 20);
	make_conf(&conf, options);
	int written = write_conf(conf_path, &conf, err);
	ranq_buf_clear(&conf);
	if (written < 0)
		return -1;
	int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (log < 0)
		return ranq_err_sys(err, "cannot write '%s'", log_path);
	const char *const argv[] = {options->program, conf_path, NULL};
	struct ranq_spawn spawn = {.argv = argv,
		.dir = options->dir,
		.out_fd = log,
		.err_fd = log,
		.keep_fd = options->keep_fd,
		.session = true,
		.death_signal = options->ends_with_us ? SIGKILL : 0};
	pid_t pid = ranq_spawn_start(&spawn, err);
	close(log);
	return pid;
}

/* Starts of what a log says about itself rather than about a fault. */
static bool tells_nothing(const char *line)
{
	return *line == '\0' || strncmp(line, ">>> '", 5) == 0 || strstr(line, "Reading the configuration file");
}

void ranq_redis_log_end(const char *path, char *text, size_t size)
{
	char tail[8193];
	*text = '\0';
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t got = pread(fd, tail, sizeof tail - 1, end > (off_t)sizeof tail ? end - (off_t)sizeof tail + 1 : 0);
	close(fd);
	tail[got > 0 ? got : 0] = '\0';
	for (char *state, *line = strtok_r(tail, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
		for (char *c = line; *c; c++)
			if ((unsigned char)*c < ' ')
				*c = ' ';
		if (!tells_nothing(line))
			snprintf(text, size, "%s", line);
	}
}

/* Did the server drop commands of its append-only file in its last start? It only says so in its log and serves what is
 * left. */
static bool loaded_half(const char *path)
{
	char line[1024];
	bool half = false, whole_line = true;
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	while (fgets(line, sizeof line, file)) {
		if (whole_line && strstr(line, "oO0OoO0OoO0Oo"))
			half = false;
		else if (whole_line && strstr(line, "== CRITICAL ==") && strstr(line, "AOF-loading-client"))
			half = true;
		whole_line = strchr(line, '\n') != NULL;
	}
	fclose(file);
	return half;
}

static int check_load(const char *dir, struct ranq_err *err)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, RANQ_REDIS_LOG);
	if (!loaded_half(path))
		return 0;
	return ranq_err_set(err, RANQ_ERR_STATE,
		"the Redis server could not load all of its append-only file (see 'AOF-loading-client' in '%s') and "
		"was "
		"stopped; the file is as it was: mend it, or move 'appendonlydir' away to begin with an empty queue",
		path);
}

static int server_ended(const char *dir, int status, struct ranq_err *err)
{
	char path[4096], line[256], how[48];
	snprintf(path, sizeof path, "%s/%s", dir, RANQ_REDIS_LOG);
	ranq_redis_log_end(path, line, sizeof line);
	return ranq_err_set(err, RANQ_ERR_SERVER, "the Redis server %s; its log '%s' ends: %s",
		ranq_spawn_status_text(status, how), path, line);
}

int ranq_redis_await(
	pid_t pid, const char *dir, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	int64_t loading_deadline_ms = ranq_clock_ms() + LOADING_LIMIT_MS;
	struct ranq_err last = {0};
	for (;;) {
		int status;
		struct ranq_conn *conn = ranq_conn_open(addr, ranq_clock_ms() + 2000, &last);
		if (conn) {
			ranq_conn_close(conn);
			return check_load(dir, err);
		}
		if (pid > 0 && ranq_spawn_wait(pid, 0, &status))
			return server_ended(dir, status, err);
		bool loading = ranq_conn_error_is_loading(&last);
		if (last.code == RANQ_ERR_AUTH || ranq_clock_ms() > (loading ? loading_deadline_ms : deadline_ms))
			break;
		poll(NULL, 0, loading ? 100 : 5);
	}
	if (err)
		*err = last;
	return ranq_err_wrap(err, "the Redis server does not answer");
}

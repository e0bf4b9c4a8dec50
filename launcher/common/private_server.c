/* private_server.c - start and stop under one lock per user.
 *
 * Two locks: `server.lock` in the state directory orders the starts and stops of this user; `lock` in the data
 * directory is handed to the server itself (and its children that rewrite the append-only file), so it is free only
 * when nobody writes there any more. A server that was killed, or a start that was killed after it had started one, can
 * therefore never lead to two servers on one append-only file. */
#include "common/private_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "common/certificate.h"
#include "common/private_dir.h"
#include "common/redis_server.h"
#include "common/spawn.h"
#include "util/clock.h"

#define START_LOCK_MS 60000
#define DATA_LOCK_MS 10000
#define ANSWER_MS 20000
#define STOP_MS 30000
#define SERVER_USER "ranq"
#define CERT_DAYS 30

struct setup {
	char dir[PATH_MAX], host[256];
	char listen[256];
	unsigned port;
	bool tcp;
	struct ranq_identity identity;
};

const char *ranq_private_network_fs(const char *path)
{
	static const struct {
		unsigned long magic;
		const char *name;
	} known[] = {{0x6969, "NFS"}, {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"}, {0xFF534D42, "CIFS"},
		{0xFE534D42, "SMB"}, {0x19830326, "BeeGFS"}, {0x00C36400, "Ceph"}, {0xAAD7AAEA, "PanFS"},
		{0x5346414F, "AFS"}, {0x01021997, "9p"}};
	struct statfs status;
	if (statfs(path, &status) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if ((unsigned long)(unsigned)status.f_type == known[i].magic)
			return known[i].name;
	return NULL;
}

int ranq_private_parse_listen(const char *text, char host[256], unsigned *port, struct ranq_err *err)
{
	const char *colon = NULL, *end = text + strlen(text);
	size_t len;
	if (*text == '[') {
		const char *close_bracket = strchr(++text, ']');
		if (!close_bracket || (close_bracket[1] != '\0' && close_bracket[1] != ':'))
			return ranq_err_set(err, RANQ_ERR_INPUT, "--listen '[%.200s' is not [ADDRESS]:PORT", text);
		colon = close_bracket[1] ? close_bracket + 1 : NULL;
		len = (size_t)(close_bracket - text);
	} else {
		colon = strchr(text, ':');
		if (colon && strchr(colon + 1, ':'))
			colon = NULL; /* a bare IPv6 address */
		len = (size_t)((colon ? colon : end) - text);
	}
	if (len == 0 || len >= 256 || strcspn(text, " \t\"\\\n\r") < len)
		return ranq_err_set(err, RANQ_ERR_INPUT, "--listen needs ADDRESS or ADDRESS:PORT");
	memcpy(host, text, len);
	host[len] = '\0';
	*port = 0;
	if (colon) {
		char *rest;
		unsigned long value = strtoul(colon + 1, &rest, 10);
		if (*rest || value < 1 || value > 65535 || rest == colon + 1)
			return ranq_err_set(
				err, RANQ_ERR_INPUT, "--listen: '%.20s' is not a port (1 to 65535)", colon + 1);
		*port = (unsigned)value;
	}
	return 0;
}

/* ---- addresses ---- */

static bool is_any_address(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || strcmp(host, "*") == 0;
}

/* The name under which others reach the server. */
static void public_name(const struct setup *setup, char name[256])
{
	snprintf(name, 256, "%s", is_any_address(setup->listen) ? setup->host : setup->listen);
}

/* Port that can be had on host: `wanted`, or any when it is 0. 0: none. */
static unsigned try_port(const char *host, unsigned wanted)
{
	char service[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *all = NULL;
	unsigned port = 0;
	snprintf(service, sizeof service, "%u", wanted);
	if (getaddrinfo(strcmp(host, "*") == 0 ? "0.0.0.0" : host, service, &hints, &all) != 0)
		return 0;
	for (struct addrinfo *one = all; one && !port; one = one->ai_next) {
		struct sockaddr_storage bound = {0};
		socklen_t len = sizeof bound;
		int on = 1, fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
		if (bind(fd, one->ai_addr, one->ai_addrlen) == 0 &&
			getsockname(fd, (struct sockaddr *)&bound, &len) == 0)
			port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
								 : ((struct sockaddr_in *)&bound)->sin_port);
		close(fd);
	}
	freeaddrinfo(all);
	return port;
}

/* The port asked for, else the one of the last start on the same address, else a free one. */
static int choose_port(struct setup *setup, struct ranq_err *err)
{
	unsigned wanted = setup->port;
	if (wanted) {
		if (!try_port(setup->listen, wanted))
			return ranq_err_set(err, RANQ_ERR_INPUT,
				"cannot listen on '%s' port %u: it is in use, or no address of this machine",
				setup->listen, wanted);
		return 0;
	}
	if (setup->identity.port && strcmp(setup->identity.listen, setup->listen) == 0)
		setup->port = try_port(setup->listen, setup->identity.port);
	if (!setup->port)
		setup->port = try_port(setup->listen, 0);
	return setup->port ? 0
			   : ranq_err_set(err, RANQ_ERR_INPUT,
				     "cannot listen on '%s': it is no address of this machine", setup->listen);
}

/* A socket below the data directory, or, where its path would be too long or the file system cannot hold one, in a 0700
 * directory of its own. */
static int choose_socket(struct setup *setup, struct ranq_err *err)
{
	struct stat status;
	char path[PATH_MAX + 16], *slash;
	int len = snprintf(path, sizeof path, "%s/%s", setup->dir, RANQ_REDIS_SOCKET);
	if (len < (int)sizeof setup->identity.socket && !ranq_private_network_fs(setup->dir) &&
		!strpbrk(setup->dir, "?#% ")) {
		memcpy(setup->identity.socket, path, (size_t)len + 1);
		return 0;
	}
	snprintf(path, sizeof path, "%s", setup->identity.socket);
	slash = strrchr(path, '/');
	if (slash && slash != path) { /* the one of the last start */
		*slash = '\0';
		mkdir(path, 0700);
		if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
			!(status.st_mode & 077))
			return 0;
	}
	snprintf(path, sizeof path, "/tmp/ranq-%u-XXXXXX", (unsigned)geteuid());
	if (!mkdtemp(path))
		return ranq_err_sys(err, "cannot make a directory for the socket in /tmp");
	snprintf(setup->identity.socket, sizeof setup->identity.socket, "%.60s/%s", path, RANQ_REDIS_SOCKET);
	return 0;
}

/* ---- certificate and password ---- */

#define NAMES_MAX 32

static size_t interface_addresses(char texts[][INET6_ADDRSTRLEN], size_t max)
{
	struct ifaddrs *all = NULL;
	size_t n = 0;
	if (getifaddrs(&all) < 0)
		return 0;
	for (struct ifaddrs *one = all; one && n < max; one = one->ifa_next) {
		int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
		const void *bytes;
		if (family == AF_INET)
			bytes = &((struct sockaddr_in *)one->ifa_addr)->sin_addr;
		else if (family == AF_INET6)
			bytes = &((struct sockaddr_in6 *)one->ifa_addr)->sin6_addr;
		else
			continue; /* a tunnel may have no address at all */
		if (inet_ntop(family, bytes, texts[n], INET6_ADDRSTRLEN))
			n++;
	}
	freeifaddrs(all);
	return n;
}

static int make_certificate(const struct setup *setup, const char *name, struct ranq_err *err)
{
	char key[PATH_MAX + 16], cert[PATH_MAX + 16], addresses[NAMES_MAX][INET6_ADDRSTRLEN];
	const char *names[NAMES_MAX + 4];
	size_t n = 0, found = interface_addresses(addresses, NAMES_MAX);
	snprintf(key, sizeof key, "%s/%s", setup->dir, RANQ_REDIS_KEY);
	snprintf(cert, sizeof cert, "%s/%s", setup->dir, RANQ_REDIS_CERT);
	if (access(key, R_OK) == 0 && ranq_certificate_check(cert, name, CERT_DAYS) == 0)
		return 0;
	names[n++] = name;
	names[n++] = setup->host;
	names[n++] = "localhost";
	for (size_t i = 0; i < found; i++)
		names[n++] = addresses[i];
	names[n] = NULL;
	return ranq_certificate_make(key, cert, names, err);
}

static char *read_certificate(const struct setup *setup)
{
	char path[PATH_MAX + 16], *text = calloc(1, 65536);
	snprintf(path, sizeof path, "%s/%s", setup->dir, RANQ_REDIS_CERT);
	FILE *file = text ? fopen(path, "re") : NULL;
	size_t got = file ? fread(text, 1, 65535, file) : 0;
	if (file)
		fclose(file);
	if (got)
		return text;
	free(text);
	return NULL;
}

static void make_password(struct ranq_identity *identity)
{
	unsigned char bytes[32];
	if (strlen(identity->password) == 2 * sizeof bytes)
		return;
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(identity->password, sizeof identity->password, bytes, sizeof bytes);
	explicit_bzero(bytes, sizeof bytes);
}

/* ---- a server without a connection file ---- */

static bool is_server_of(pid_t pid, const char *dir)
{
	char path[64], cwd[PATH_MAX], name[64] = "";
	snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
	ssize_t len = readlink(path, cwd, sizeof cwd - 1);
	if (len <= 0)
		return false;
	cwd[len] = '\0';
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof name, file))
		*name = '\0';
	fclose(file);
	/* and not a redis-cli that somebody started there */
	return strcmp(cwd, dir) == 0 && (strstr(name, "redis-server") || strstr(name, "valkey-server"));
}

/* The server that works in dir on this host, 0: none. A pid from a file is not enough: it may be another process by
 * now. */
static pid_t find_server(const char *dir)
{
	pid_t found = 0;
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	while (proc && !found && (entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		if (pid > 0 && is_server_of(pid, dir))
			found = pid;
	}
	if (proc)
		closedir(proc);
	return found;
}

/* The lock of the data directory. A server that holds it although nobody knows it any more (its start was killed) is
 * ended first. */
static int take_data_lock(const char *dir, struct ranq_err *err)
{
	struct ranq_err held = {0};
	int lock = ranq_private_lock(dir, "lock", 0, &held);
	if (lock < 0 && held.code == RANQ_ERR_STATE) {
		pid_t pid = find_server(dir);
		if (pid > 0)
			kill(pid, SIGTERM);
		lock = ranq_private_lock(dir, "lock", DATA_LOCK_MS, &held);
	}
	if (lock >= 0)
		return lock;
	if (err)
		*err = held;
	return ranq_err_wrap(err, "cannot have the directory '%s' for the server", dir);
}

/* ---- start ---- */

static int describe(const struct setup *setup, struct ranq_connection_file *file, struct ranq_err *err)
{
	char name[256];
	ranq_connection_file_init(file);
	file->host = strdup(setup->host);
	file->dir = strdup(setup->dir);
	if (!setup->tcp) {
		file->addr.unix_path = strdup(setup->identity.socket);
		return file->addr.unix_path ? 0 : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	public_name(setup, name);
	file->addr.host = strdup(name);
	file->addr.port = setup->port;
	file->addr.user = strdup(SERVER_USER);
	file->addr.password = strdup(setup->identity.password);
	file->addr.tls = !setup->identity.plain;
	if (file->addr.tls)
		file->addr.ca_pem = read_certificate(setup);
	return file->addr.host && file->addr.password && (!file->addr.tls || file->addr.ca_pem)
		       ? 0
		       : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory, or the certificate in '%s' cannot be read",
				 setup->dir);
}

/* Decides everything that does not need a running server. */
static int prepare(const struct ranq_private_options *options, struct setup *setup, struct ranq_err *err)
{
	char name[256];
	if (sodium_init() < 0)
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "cannot get random numbers");
	ranq_identity_read(setup->dir, &setup->identity);
	if (!setup->tcp) {
		setup->identity.listen[0] = '\0';
		return choose_socket(setup, err);
	}
	setup->identity.plain = options->plain;
	public_name(setup, name);
	if (!options->plain && !ranq_certificate_supported())
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"this ranq was built without TLS: use --plain on a network that you trust");
	if (choose_port(setup, err) < 0 || (!options->plain && make_certificate(setup, name, err) < 0))
		return -1;
	make_password(&setup->identity);
	memcpy(setup->identity.listen, setup->listen, sizeof setup->identity.listen);
	setup->identity.port = setup->port;
	return 0;
}

static int launch(const struct ranq_private_options *options, const struct setup *setup, int lock,
	struct ranq_connection_file *file, struct ranq_err *err)
{
	struct ranq_redis_options redis = {
		.dir = setup->dir, .persistent = true, .keep_fd = lock, .maxmemory = options->maxmemory};
	char *program = ranq_redis_program(err);
	if (!program)
		return -1;
	redis.program = program;
	if (setup->tcp) {
		redis.listen = setup->listen;
		redis.port = setup->port;
		redis.tls = !options->plain;
		redis.user = SERVER_USER;
		redis.password = setup->identity.password;
	} else {
		redis.socket = setup->identity.socket;
	}
	pid_t pid = ranq_redis_start(&redis, err);
	free(program);
	if (pid < 0)
		return -1;
	file->pid = (long)pid;
	if (ranq_redis_await(pid, setup->dir, &file->addr, ranq_clock_ms() + ANSWER_MS, err) == 0)
		return 0;
	ranq_spawn_stop(pid, 5000);
	return -1;
}

static int start_new(const struct ranq_private_options *options, struct setup *setup, const char *file_path,
	struct ranq_private_start *start, struct ranq_err *err)
{
	int lock = take_data_lock(setup->dir, err);
	if (lock < 0)
		return -1;
	int started = -1;
	if (prepare(options, setup, err) == 0 && ranq_identity_write(setup->dir, &setup->identity, err) == 0 &&
		describe(setup, &start->file, err) == 0 && launch(options, setup, lock, &start->file, err) == 0) {
		started = ranq_connection_file_write(file_path, &start->file, err);
		if (started < 0)
			kill((pid_t)start->file.pid, SIGTERM);
		else
			ranq_private_remember_dir(setup->dir);
	}
	explicit_bzero(setup->identity.password, sizeof setup->identity.password);
	close(lock); /* the server holds it on */
	return started;
}

/* Does the server of this connection file answer? */
static bool answers(const struct ranq_connection_file *file)
{
	struct ranq_err err = {0};
	struct ranq_conn *conn = ranq_conn_open(&file->addr, ranq_clock_ms() + 5000, &err);
	ranq_conn_close(conn);
	return conn || ranq_conn_error_is_loading(&err);
}

static bool same_wish(
	const struct ranq_private_options *options, const struct setup *setup, const struct ranq_connection_file *file)
{
	char name[256];
	public_name(setup, name);
	if (options->dir && (!file->dir || strcmp(setup->dir, file->dir) != 0))
		return false;
	if (!options->listen)
		return true;
	return file->addr.host && strcmp(file->addr.host, name) == 0 &&
	       (!setup->port || setup->port == file->addr.port) && file->addr.tls == !options->plain;
}

/* 1: one runs and is what is wished; 0: none runs (an old file does not count); -1: one runs that is in the way. */
static int find_running(const struct ranq_private_options *options, const struct setup *setup, const char *file_path,
	struct ranq_connection_file *file, struct ranq_err *err)
{
	struct ranq_err none = {0};
	if (ranq_connection_file_read(file_path, file, &none) < 0) {
		ranq_connection_file_clear(file);
		ranq_connection_file_init(file);
		if (none.code == RANQ_ERR_NOTFOUND)
			return 0;
		if (err)
			*err = none;
		return -1;
	}
	bool here = file->host && strcmp(file->host, setup->host) == 0;
	bool alive = (here || !file->addr.unix_path) && answers(file);
	if (alive && same_wish(options, setup, file))
		return 1;
	if (alive)
		return ranq_err_set(err, RANQ_ERR_STATE,
			"a server with other settings runs already (%s): run 'ranq server stop' first",
			ranq_server_addr_text(&file->addr));
	if (!here && !options->take_over)
		return ranq_err_set(err, RANQ_ERR_STATE,
			"your server was started on '%s', from where it cannot be seen here: run 'ranq server stop' "
			"there, or give --take-over here if it is gone",
			file->host ? file->host : "another host");
	ranq_connection_file_clear(file);
	ranq_connection_file_init(file);
	return 0;
}

static int start_locked(
	const struct ranq_private_options *options, struct ranq_private_start *start, struct ranq_err *err)
{
	struct setup setup = {.tcp = options->listen != NULL};
	char file_path[PATH_MAX];
	gethostname(setup.host, sizeof setup.host - 1);
	if (options->listen && ranq_private_parse_listen(options->listen, setup.listen, &setup.port, err) < 0)
		return -1;
	if (ranq_private_data_dir(options->dir, setup.dir, sizeof setup.dir, err) < 0 ||
		ranq_connection_file_path(NULL, file_path, sizeof file_path, err) < 0)
		return -1;
	const char *fs = ranq_private_network_fs(setup.dir);
	start->network_fs = fs != NULL;
	snprintf(start->fs, sizeof start->fs, "%s", fs ? fs : "");
	int running = find_running(options, &setup, file_path, &start->file, err);
	if (running < 0)
		return -1;
	start->was_running = running > 0;
	return running ? 0 : start_new(options, &setup, file_path, start, err);
}

static int lock_user(struct ranq_err *err)
{
	char state[PATH_MAX];
	if (ranq_private_state_dir(state, sizeof state, err) < 0)
		return -1;
	return ranq_private_lock(state, "server.lock", START_LOCK_MS, err);
}

int ranq_private_start(
	const struct ranq_private_options *options, struct ranq_private_start *start, struct ranq_err *err)
{
	*start = (struct ranq_private_start){0};
	ranq_connection_file_init(&start->file);
	if (options->plain && !options->listen)
		return ranq_err_set(err, RANQ_ERR_USAGE, "--plain is about --listen: a Unix socket needs no TLS");
	int lock = lock_user(err);
	if (lock < 0)
		return -1;
	int started = start_locked(options, start, err);
	close(lock);
	return started;
}

void ranq_private_start_clear(struct ranq_private_start *start)
{
	ranq_connection_file_clear(&start->file);
}

/* ---- stop ---- */

/* The reply to SHUTDOWN is the end of the connection, so its failure is success; whether it ended is seen from the
 * lock. */
static void ask_to_end(const struct ranq_connection_file *file)
{
	struct ranq_conn *conn = ranq_conn_open(&file->addr, ranq_clock_ms() + 5000, NULL);
	struct ranq_reply *reply = NULL;
	struct ranq_cmd cmd;
	if (!conn) { /* it loads, or hangs: TERM is the same request */
		pid_t pid = file->dir ? find_server(file->dir) : 0;
		if (pid > 0)
			kill(pid, SIGTERM);
		return;
	}
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "SHUTDOWN");
	ranq_cmd_str(&cmd, "NOSAVE"); /* the append-only file is synced all the same, and is what counts */
	ranq_conn_call(conn, &cmd, ranq_clock_ms() + STOP_MS, &reply, NULL);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
}

static int stop_here(const struct ranq_connection_file *file, struct ranq_err *err)
{
	const char *dir = file->dir;
	int lock = dir ? ranq_private_lock(dir, "lock", 0, NULL) : -1;
	if (lock >= 0) { /* nobody holds it: it is gone already */
		close(lock);
		return 0;
	}
	ask_to_end(file);
	lock = dir ? ranq_private_lock(dir, "lock", STOP_MS, NULL) : -1;
	if (lock < 0)
		return ranq_err_set(err, RANQ_ERR_SERVER, "the server (process %ld) does not end; look into '%s/%s'",
			file->pid, dir ? dir : "", RANQ_REDIS_LOG);
	close(lock);
	if (file->addr.unix_path)
		unlink(file->addr.unix_path);
	return 1;
}

static int stop_locked(struct ranq_err *err)
{
	char path[PATH_MAX], host[256] = "";
	struct ranq_connection_file file;
	struct ranq_err none = {0};
	int stopped;
	if (ranq_connection_file_path(NULL, path, sizeof path, err) < 0)
		return -1;
	if (ranq_connection_file_read(path, &file, &none) < 0) {
		ranq_connection_file_clear(&file);
		if (none.code == RANQ_ERR_NOTFOUND)
			return 0;
		if (err)
			*err = none;
		return -1;
	}
	gethostname(host, sizeof host - 1);
	if (file.host && strcmp(file.host, host) != 0)
		stopped = ranq_err_set(
			err, RANQ_ERR_STATE, "your server runs on '%s': run 'ranq server stop' there", file.host);
	else
		stopped = stop_here(&file, err);
	if (stopped >= 0 && unlink(path) < 0 && errno != ENOENT)
		stopped = ranq_err_sys(err, "cannot remove '%s'", path);
	ranq_connection_file_clear(&file);
	return stopped;
}

int ranq_private_stop(struct ranq_err *err)
{
	int lock = lock_user(err);
	if (lock < 0)
		return -1;
	int stopped = stop_locked(err);
	close(lock);
	return stopped;
}

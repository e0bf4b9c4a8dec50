/* private_dir.c - see the header. Everything here may be attacked by another user of the same machine through /tmp or a
 * shared scratch directory, so nothing is used that is not a directory or a file of ours that nobody else may enter. */
#include "common/private_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spawn.h"
#include "util/clock.h"

#define IDENTITY "identity"
#define LAST_DIR "server-dir"

static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int made = mkdir(path, 0700);
		*slash = '/';
		if (made < 0 && errno != EEXIST)
			return -1;
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

int ranq_private_state_dir(char *path, size_t size, struct ranq_err *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int len;
	if (state && *state == '/')
		len = snprintf(path, size, "%s/ranq", state);
	else if (home && *home == '/')
		len = snprintf(path, size, "%s/.local/state/ranq", home);
	else
		return ranq_err_set(err, RANQ_ERR_INPUT, "HOME is not set: name a directory with --dir");
	if (len < 0 || (size_t)len >= size)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the path of the state directory is too long");
	return make_parents(path) < 0 ? ranq_err_sys(err, "cannot make the directory '%s'", path) : 0;
}

static int check_private(const char *path, struct ranq_err *err)
{
	struct stat status;
	if (lstat(path, &status) < 0)
		return ranq_err_sys(err, "cannot use the directory '%s'", path);
	if (!S_ISDIR(status.st_mode))
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is not a directory", path);
	if (status.st_uid != geteuid())
		return ranq_err_set(err, RANQ_ERR_INPUT, "the directory '%s' belongs to another user", path);
	if (status.st_mode & 077)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"the directory '%s' is open to others: name a new one below it, which is made "
			"with mode 0700, or run 'chmod 700 %s'",
			path, path);
	return 0;
}

/* Absolute, since servers change their directory. */
static int make_absolute(const char *given, char *path, size_t size, struct ranq_err *err)
{
	char here[PATH_MAX];
	int len;
	if (*given == '/')
		len = snprintf(path, size, "%s", given);
	else if (getcwd(here, sizeof here))
		len = snprintf(path, size, "%s/%s", here, given);
	else
		return ranq_err_sys(err, "cannot find the working directory");
	if (len < 0 || (size_t)len >= size)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the path '%.100s...' is too long", given);
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	return 0;
}

int ranq_private_data_dir(const char *given, char *path, size_t size, struct ranq_err *err)
{
	char state[PATH_MAX], link[PATH_MAX + 32];
	ssize_t len = 0;
	if (given) {
		if (!*given)
			return ranq_err_set(err, RANQ_ERR_INPUT, "--dir is empty");
		if (make_absolute(given, path, size, err) < 0)
			return -1;
	} else {
		if (ranq_private_state_dir(state, sizeof state, err) < 0)
			return -1;
		snprintf(link, sizeof link, "%s/%s", state, LAST_DIR);
		len = readlink(link, path, size - 1);
		if (len > 0)
			path[len] = '\0';
		else if (snprintf(path, size, "%s/server", state) >= (int)size)
			return ranq_err_set(err, RANQ_ERR_INPUT, "the path of the state directory is too long");
	}
	if (make_parents(path) < 0)
		return ranq_err_sys(err, "cannot make the directory '%s'", path);
	return check_private(path, err);
}

void ranq_private_remember_dir(const char *path)
{
	char state[PATH_MAX], link[PATH_MAX + 32], fresh[PATH_MAX + 64];
	if (ranq_private_state_dir(state, sizeof state, NULL) < 0)
		return;
	snprintf(link, sizeof link, "%s/%s", state, LAST_DIR);
	snprintf(fresh, sizeof fresh, "%s.%d", link, (int)getpid());
	if (symlink(path, fresh) == 0 && rename(fresh, link) < 0)
		unlink(fresh);
}

int ranq_private_lock(const char *dir, const char *name, int limit_ms, struct ranq_err *err)
{
	char path[PATH_MAX + 64];
	int64_t deadline_ms = ranq_clock_ms() + limit_ms;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ranq_err_sys(err, "cannot open '%s'", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			ranq_err_sys(err, "cannot lock '%s'", path);
			close(fd);
			return -1;
		}
		if (ranq_clock_ms() >= deadline_ms) {
			close(fd);
			return ranq_err_set(err, RANQ_ERR_STATE, "'%s' is held by another process", path);
		}
		ranq_spawn_nap(10);
	}
	return fd;
}

static void take_line(struct ranq_identity *identity, const char *key, const char *value)
{
	if (strcmp(key, "listen") == 0)
		snprintf(identity->listen, sizeof identity->listen, "%s", value);
	else if (strcmp(key, "socket") == 0)
		snprintf(identity->socket, sizeof identity->socket, "%s", value);
	else if (strcmp(key, "password") == 0)
		snprintf(identity->password, sizeof identity->password, "%s", value);
	else if (strcmp(key, "plain") == 0)
		identity->plain = strcmp(value, "1") == 0;
	else if (strcmp(key, "port") == 0)
		identity->port = (unsigned)strtoul(value, NULL, 10) & 0xffff;
}

void ranq_identity_read(const char *dir, struct ranq_identity *identity)
{
	char path[PATH_MAX + 64], line[1024];
	*identity = (struct ranq_identity){0};
	snprintf(path, sizeof path, "%s/" IDENTITY, dir);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	while (file && fgets(line, sizeof line, file)) {
		char *value = strchr(line, ' ');
		line[strcspn(line, "\n")] = '\0';
		if (!value)
			continue;
		*value++ = '\0';
		take_line(identity, line, value);
	}
	if (file)
		fclose(file);
	explicit_bzero(line, sizeof line);
}

int ranq_identity_write(const char *dir, const struct ranq_identity *identity, struct ranq_err *err)
{
	char path[PATH_MAX + 64], fresh[PATH_MAX + 72];
	snprintf(path, sizeof path, "%s/" IDENTITY, dir);
	snprintf(fresh, sizeof fresh, "%s.new", path);
	unlink(fresh);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!file)
		return ranq_err_sys(err, "cannot write '%s'", fresh);
	fprintf(file, "listen %s\nport %u\nplain %d\nsocket %s\npassword %s\n", identity->listen, identity->port,
		identity->plain, identity->socket, identity->password);
	if (fclose(file) != 0 || rename(fresh, path) < 0)
		return ranq_err_sys(err, "cannot write '%s'", path);
	return 0;
}

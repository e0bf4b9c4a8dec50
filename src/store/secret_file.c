#include "store/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ranq_secret_wipe(char *data, size_t len)
{
	int saved = errno;

	if (data)
		explicit_bzero(data, len);
	free(data);
	errno = saved;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static int trusted(int fd, const char *path, size_t max, struct ranq_err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return ranq_err_sys(err, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' must be a regular file", path);
	if (st.st_uid != geteuid())
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"'%s' belongs to user %lu, not to you (%lu): make a file of your own", path,
			(unsigned long)st.st_uid, (unsigned long)geteuid());
	if (st.st_mode & 077)
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is open to others (mode %04o): chmod 600 '%s'", path,
			(unsigned)(st.st_mode & 07777), path);
	if (st.st_size > (off_t)max)
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is longer than %zu bytes", path, max);
	return 0;
}

/* NONBLOCK: a FIFO must not hold us up before it is refused. */
static int open_trusted(const char *path, size_t max, struct ranq_err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return ranq_err_set(err, RANQ_ERR_NOTFOUND, "no file '%s'", path);
	if (fd < 0 && errno == ELOOP)
		return ranq_err_set(
			err, RANQ_ERR_INPUT, "'%s' is a symbolic link: give the path of the file itself", path);
	if (fd < 0) {
		ranq_err_sys(err, "cannot read '%s'", path);
		if (err)
			err->code = RANQ_ERR_INPUT;
		return -1;
	}
	if (!trusted(fd, path, max, err))
		return fd;
	close(fd);
	return -1;
}

/* One byte more than allowed is asked for: the file may have grown since it was looked at. */
static int read_all(int fd, char *data, size_t max, size_t *len)
{
	*len = 0;
	for (;;) {
		ssize_t n = read(fd, data + *len, max + 1 - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			return 0;
		*len += (size_t)n;
		if (*len > max) {
			errno = EFBIG;
			return -1;
		}
	}
}

char *ranq_secret_file_read(const char *path, size_t max, size_t *len, struct ranq_err *err)
{
	int fd = open_trusted(path, max, err), failed;
	char *data;

	if (fd < 0)
		return NULL;
	data = calloc(1, max + 2);
	failed = data ? read_all(fd, data, max, len) : -1;
	if (failed) {
		ranq_err_sys(err, "cannot read '%s'", path);
		ranq_secret_wipe(data, max + 2);
		data = NULL;
	}
	close(fd);
	return data;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

static int make_directories(const char *path, struct ranq_err *err)
{
	char part[PATH_MAX];
	char *slash;

	if (strlen(path) >= sizeof part)
		return ranq_err_set(err, RANQ_ERR_INPUT, "path too long: '%s'", path);
	strcpy(part, path);
	for (slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0700) && errno != EEXIST)
			return ranq_err_sys(err, "cannot make the directory '%s'", part);
		*slash = '/';
	}
	return 0;
}

/* The rename is made to last as well; a file system that cannot do that loses nothing but durability. */
static void sync_directory(const char *path)
{
	char part[PATH_MAX];
	char *slash;
	int fd;

	snprintf(part, sizeof part, "%s", path);
	slash = strrchr(part, '/');
	if (slash)
		slash[1] = '\0';
	fd = open(slash ? part : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

int ranq_secret_file_write(const char *path, const void *data, size_t len, struct ranq_err *err)
{
	char temporary[PATH_MAX];
	int fd, failed;

	if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
		return ranq_err_set(err, RANQ_ERR_INPUT, "path too long: '%s'", path);
	if (make_directories(path, err))
		return -1;
	fd = mkostemp(temporary, O_CLOEXEC); /* O_CREAT | O_EXCL, 0600 */
	if (fd < 0)
		return ranq_err_sys(err, "cannot make a file beside '%s'", path);
	failed = fchmod(fd, 0600) || write_all(fd, data, len);
	failed |= close(fd) != 0;
	failed = failed || rename(temporary, path);
	if (failed) {
		ranq_err_sys(err, "cannot write '%s'", path);
		unlink(temporary);
		return -1;
	}
	sync_directory(path);
	return 0;
}

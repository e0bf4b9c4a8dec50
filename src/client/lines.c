/* lines.c - see lines.h. */
#include "client/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/input.h"

#define READ_BYTES (64u << 10)

struct ranq_line_file {
	int fd;
	bool own_fd, end;
	char *name;
	uint64_t line;
	struct ranq_buf buf;
	uint64_t most; /* bytes of a line */
	size_t at, searched; /* next line starts at `at`; no newline before `searched` */
};

static int too_long(const struct ranq_line_file *file, struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_INPUT, "line %llu of '%s' is longer than %llu bytes",
		(unsigned long long)file->line + 1, file->name, (unsigned long long)file->most);
}

/* 1: read something, or the end was met; 2: nothing now; -1. */
static int fill(struct ranq_line_file *file, struct ranq_err *err)
{
	ranq_buf_drop(&file->buf, file->at);
	file->searched -= file->at;
	file->at = 0;
	if (file->buf.len > file->most)
		return too_long(file, err);
	struct pollfd fd = {.fd = file->fd, .events = POLLIN};
	if (poll(&fd, 1, 0) == 0)
		return 2;
	unsigned char *to = ranq_buf_reserve(&file->buf, READ_BYTES);
	if (!to)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	ssize_t n = read(file->fd, to, READ_BYTES);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 2;
	if (n < 0)
		return ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': %s", file->name, strerror(errno));
	file->buf.len += (size_t)n;
	file->end = n == 0;
	return 1;
}

static int give(struct ranq_line_file *file, size_t len, size_t skip, struct ranq_bytes *line, struct ranq_err *err)
{
	line->data = file->buf.data + file->at;
	line->len = len;
	if (len > file->most)
		return too_long(file, err);
	if (len && memchr(line->data, 0, len))
		return ranq_err_set(err, RANQ_ERR_INPUT, "line %llu of '%s' contains a NUL byte",
			(unsigned long long)file->line + 1, file->name);
	file->line++;
	file->at += len + skip;
	file->searched = file->at;
	return 1;
}

static int next(void *user, struct ranq_bytes *line, struct ranq_err *err)
{
	struct ranq_line_file *file = user;
	for (;;) {
		size_t have = file->buf.len - file->searched;
		const unsigned char *from = file->buf.data;
		const unsigned char *found = have ? memchr(from + file->searched, '\n', have) : NULL;
		if (found)
			return give(file, (size_t)(found - from) - file->at, 1, line, err);
		file->searched = file->buf.len;
		if (file->end)
			return file->buf.len > file->at ? give(file, file->buf.len - file->at, 0, line, err) : 0;
		int rc = fill(file, err);
		if (rc != 1)
			return rc;
	}
}

static void set_most(struct ranq_line_file *file, uint64_t most)
{
	file->most = most;
	file->buf.max = (size_t)most + 2 * READ_BYTES;
}

static void allow_large(void *user)
{
	set_most(user, RANQ_ARG_LARGE_MAX_BYTES);
}

static int open_path(struct ranq_line_file *file, const char *path, struct ranq_err *err)
{
	if (strcmp(path, "-") == 0) {
		file->fd = STDIN_FILENO;
		return 0;
	}
	struct stat st;
	file->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': %s", path, strerror(errno));
	file->own_fd = true;
	if (fstat(file->fd, &st) == 0 && S_ISDIR(st.st_mode))
		return ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': %s", path, strerror(EISDIR));
	return 0;
}

struct ranq_line_file *ranq_line_file_open(const char *path, struct ranq_lines *lines, struct ranq_err *err)
{
	struct ranq_line_file *file = calloc(1, sizeof *file);
	char *name = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
	if (!file || !name) {
		free(file);
		free(name);
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	file->name = name;
	ranq_buf_init(&file->buf, 0);
	set_most(file, RANQ_ARG_MAX_BYTES);
	if (open_path(file, path, err)) {
		ranq_line_file_close(file);
		return NULL;
	}
	*lines = (struct ranq_lines){.next = next, .allow_large = allow_large, .user = file, .fd = file->fd, .name = file->name};
	return file;
}

void ranq_line_file_close(struct ranq_line_file *file)
{
	if (!file)
		return;
	if (file->own_fd)
		close(file->fd);
	ranq_buf_clear(&file->buf);
	free(file->name);
	free(file);
}

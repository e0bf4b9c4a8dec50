/* lines.h - where arguments come from: a line a task, of a file, a pipe, an array or a callback. */
#ifndef RANQ_CLIENT_LINES_H
#define RANQ_CLIENT_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

/* next: 1: *line is borrowed until the next call; 0: end; 2: nothing now, wait for fd; 3 (PAUSE): there is more, but
 * pass on what was read so far; -1: failed. */
enum { RANQ_LINES_PAUSE = 3 };
struct ranq_lines {
	int (*next)(void *user, struct ranq_bytes *line, struct ranq_err *err);
	void (*begin)(void *user); /* somebody begins to read a batch; NULL: nothing to do */
	void (*allow_large)(void *user); /* lines of more than 1 MiB are wanted; NULL: there is no limit here */
	bool (*hurried)(void *user, uint64_t tasks); /* nothing of the tasks passed on so far is left to do; NULL: not known */
	void *user;
	int fd;           /* to wait for after 2; -1: never blocks */
	const char *name; /* for messages */
};

struct ranq_line_file;
/* path "-" is standard input. Lines end with a newline (the last one may lack it); a line has at most 1 MiB, or
 * RANQ_ARG_LARGE_MAX_BYTES where large ones are allowed, and no NUL byte. */
struct ranq_line_file *ranq_line_file_open(const char *path, struct ranq_lines *lines, struct ranq_err *err);
void ranq_line_file_close(struct ranq_line_file *file); /* takes NULL */

#endif

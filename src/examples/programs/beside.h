/* beside.h - what the example programs share: files that lie beside the program, and the end after an error. */
#ifndef RANQ_EXAMPLES_BESIDE_H
#define RANQ_EXAMPLES_BESIDE_H

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ranq.h>

/* Path of a file in the directory of the program; valid until the fourth next call. */
static inline const char *beside(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned next;
	char *path = paths[next++ % 4], *slash;
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash ? slash + 1 : path, 64, "%s", name);
	return path;
}

/* Says what went wrong; returns the exit status that fits. */
static inline int failed(const char *program)
{
	fprintf(stderr, "%s: %s\n", program, ranq_last_error());
	return ranq_last_status() ? ranq_last_status() : 1;
}

#endif

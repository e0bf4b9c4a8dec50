#include "exec/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_SEARCH "/usr/local/bin:/usr/bin:/bin"

static int is_program(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		errno = ENOENT; /* a directory of the search that may not be read is one without the program */
		return 0;
	}
	if (!S_ISREG(st.st_mode)) {
		errno = EACCES;
		return 0;
	}
	return access(path, X_OK) == 0;
}

/* An empty directory is the current one. */
static char *join(const char *directory, size_t len, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%.*s%s%s", (int)len, directory, len ? "/" : "./", name) < 0)
		return NULL;
	return path;
}

char *ranq_path_find(const char *name, const char *search)
{
	const char *at = search ? search : DEFAULT_SEARCH;
	int denied = 0;
	size_t len;
	char *path;

	if (!*name) {
		errno = ENOENT;
		return NULL;
	}
	if (strchr(name, '/'))
		return strdup(name);
	for (;; at += len + 1) {
		len = strcspn(at, ":");
		path = join(at, len, name);
		if (!path)
			return NULL;
		if (is_program(path))
			return path;
		denied |= errno == EACCES;
		free(path);
		if (!at[len])
			break;
	}
	errno = denied ? EACCES : ENOENT;
	return NULL;
}

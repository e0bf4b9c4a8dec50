/* shm_dir.c - see shm_dir.h. */
#include "bridge/shm_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "ranq-mpi-"

static void empty(int fd)
{
	int copy = dup(fd);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!list && copy >= 0)
		close(copy);
	while (list && (entry = readdir(list)))
		unlinkat(fd, entry->d_name, 0); /* directories stay, with "." and ".." */
	if (list)
		closedir(list);
}

/* The lock tells also across containers that share /dev/shm: their process ids would not. */
static void remove_if_left(int parent, const char *name, int young_s)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && time(NULL) - st.st_ctime >= young_s &&
		flock(fd, LOCK_EX | LOCK_NB) == 0) {
		empty(fd);
		unlinkat(parent, name, AT_REMOVEDIR);
	}
	close(fd);
}

static void remove_left(const char *path, int young_s)
{
	DIR *list = opendir(path);
	struct dirent *entry;

	while (list && (entry = readdir(list)))
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			remove_if_left(dirfd(list), entry->d_name, young_s);
	if (list)
		closedir(list);
}

void ranq_shm_dir_create(struct ranq_shm_dir *dir, const char *parent, int young_s)
{
	int n = snprintf(dir->path, sizeof dir->path, "%s/" PREFIX "XXXXXX", parent);

	dir->fd = -1;
	remove_left(parent, young_s);
	if (n < 0 || (size_t)n >= sizeof dir->path || !mkdtemp(dir->path)) {
		dir->path[0] = '\0';
		return;
	}
	dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir->fd < 0 || flock(dir->fd, LOCK_EX | LOCK_NB) != 0)
		ranq_shm_dir_remove(dir);
}

void ranq_shm_dir_remove(struct ranq_shm_dir *dir)
{
	if (!dir->path[0])
		return;
	if (dir->fd >= 0) {
		empty(dir->fd);
		close(dir->fd);
	}
	rmdir(dir->path);
	dir->path[0] = '\0';
}

#include "exec/descriptors.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENOUGH 262144u /* libraries may walk, or have a table of, all that are allowed */

/* Kernels before 5.9 have no close_range. Closing while reading the directory is allowed: entries already read are not
 * needed again. */
static int close_listed(int first)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		if (entry->d_name[0] != '.' && fd >= first && fd != dirfd(dir))
			close(fd);
	}
	closedir(dir);
	return 0;
}

void ranq_close_from(int first)
{
	long fd, limit;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0)
		return;
#endif
	if (close_listed(first) == 0)
		return;
	limit = sysconf(_SC_OPEN_MAX);
	for (fd = first; fd < limit; fd++)
		close((int)fd);
}

void ranq_raise_descriptors(struct rlimit *before)
{
	struct rlimit raised;

	if (getrlimit(RLIMIT_NOFILE, before) < 0) {
		*before = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
		return;
	}
	raised = *before;
	raised.rlim_cur = raised.rlim_max < ENOUGH ? raised.rlim_max : ENOUGH;
	if (raised.rlim_cur > before->rlim_cur)
		setrlimit(RLIMIT_NOFILE, &raised);
}

#include "exec/memory.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/clock.h"

static struct rlimit data_outside, stack_outside;
static bool known;

static void lower(int resource, uint64_t bytes, bool for_good)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0 || limit.rlim_cur <= bytes)
		return;
	limit.rlim_cur = bytes;
	if (for_good && limit.rlim_max > bytes)
		limit.rlim_max = bytes;
	setrlimit(resource, &limit);
}

void ranq_memory_limit(uint64_t bytes)
{
	lower(RLIMIT_DATA, bytes, true);
	lower(RLIMIT_STACK, bytes, true);
}

void ranq_memory_enter(uint64_t bytes)
{
	if (!known)
		known = getrlimit(RLIMIT_DATA, &data_outside) == 0 && getrlimit(RLIMIT_STACK, &stack_outside) == 0;
	lower(RLIMIT_DATA, bytes, false);
	lower(RLIMIT_STACK, bytes, false);
}

void ranq_memory_leave(void)
{
	if (!known)
		return;
	setrlimit(RLIMIT_DATA, &data_outside);
	setrlimit(RLIMIT_STACK, &stack_outside);
}

uint64_t ranq_memory_used(void)
{
	char text[128];
	unsigned long long pages = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* size resident shared text lib data */
	if (sscanf(text, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void ranq_memory_explain(char reason[160], uint64_t limit, const char *word, uint64_t bytes)
{
	size_t len = strlen(reason);
	char most[32], used[32];

	if (limit)
		snprintf(reason + len, 160 - len, " (memory limit %s, %s %s)", ranq_size_format(limit, most), word,
			ranq_size_format(bytes, used));
}

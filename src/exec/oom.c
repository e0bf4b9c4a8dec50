#include "exec/oom.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Both versions have a line "oom_kill N" (memory.oom_control since Linux 4.13). */
static int64_t read_count(const char *path)
{
	char line[128];
	long long count = -1;
	FILE *file = fopen(path, "re");

	if (!file)
		return -1;
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "oom_kill %lld", &count) == 1)
			break;
	fclose(file);
	return count;
}

/* Inside a container the path is often the host's and not visible: then what is mounted is our own group. */
static int64_t read_group(const char *root, const char *controller, const char *group, const char *name)
{
	char path[PATH_MAX];
	int64_t count;

	snprintf(path, sizeof path, "%s%s%s/%s", root, controller, group, name);
	count = read_count(path);
	if (count >= 0)
		return count;
	snprintf(path, sizeof path, "%s%s/%s", root, controller, name);
	return read_count(path);
}

static int64_t read_line(const char *root, char *line)
{
	char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return -1;
	line[strcspn(line, "\n")] = '\0';
	*controllers++ = *group++ = '\0';
	if (!strcmp(controllers, "memory"))
		return read_group(root, "/memory", group, "memory.oom_control");
	return *controllers ? -1 : read_group(root, "", group, "memory.events");
}

int64_t ranq_oom_kills_of(const char *cgroup_file, const char *root)
{
	char line[PATH_MAX];
	int64_t count = -1;
	FILE *file = fopen(cgroup_file, "re");

	while (file && count < 0 && fgets(line, sizeof line, file))
		count = read_line(root, line);
	if (file)
		fclose(file);
	return count;
}

int64_t ranq_oom_kills(void)
{
	return ranq_oom_kills_of("/proc/self/cgroup", "/sys/fs/cgroup");
}

const char *ranq_oom_text(int64_t *seen)
{
	int64_t before = *seen;

	*seen = ranq_oom_kills();
	if (*seen < 0)
		return ", out of memory?";
	return *seen > before ? ", out of memory" : "";
}

/* orphans.c - see the header. */
#include "common/orphans.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/marked.h"

/* Orphans of joins that were killed together with their bridge: marked by a join that is gone, and no launcher or rank
 * among them. */
struct orphans {
	char host[HOST_NAME_MAX + 1];
	char mark[HOST_NAME_MAX + 64];
	bool found;
};

static bool join_is_gone(const char *host, const char *value)
{
	size_t len = strlen(host);
	int pid;
	unsigned long long start;
	char rest;
	if (strncmp(value, host, len) != 0 || sscanf(value + len, ":%d:%llu%c", &pid, &start, &rest) != 2)
		return false;
	return ranq_marked_start_time(pid) != start;
}

static bool is_bridge(pid_t pid)
{
	char path[64], name[64] = "";
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof name, file))
		*name = '\0';
	fclose(file);
	static const char *const own[] = {
		"ranq-bridge", "ranq-exec", "mpirun", "mpiexec", "srun", "orted", "hydra_pmi"};
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (strncmp(name, own[i], strlen(own[i])) == 0)
			return true;
	return false;
}

static bool spoil_if_bridge(pid_t pid, const char *value, void *arg)
{
	if (*value == '\0' && is_bridge(pid))
		*(bool *)arg = true;
	return !*(bool *)arg;
}

static bool find_orphan(pid_t pid, const char *value, void *arg)
{
	struct orphans *orphans = arg;
	bool bridge_lives = false;
	(void)pid;
	if (!join_is_gone(orphans->host, value))
		return true;
	snprintf(orphans->mark, sizeof orphans->mark, "RANQ_JOIN=%s", value);
	ranq_marked_each(orphans->mark, spoil_if_bridge, &bridge_lives); /* it drains: leave it alone */
	orphans->found = !bridge_lives;
	return !orphans->found;
}

void ranq_orphans_sweep(const char *host)
{
	for (int round = 0; round < 16; round++) {
		struct orphans orphans = {0};
		snprintf(orphans.host, sizeof orphans.host, "%s", host);
		ranq_marked_each("RANQ_JOIN=", find_orphan, &orphans);
		if (!orphans.found)
			return;
		ranq_marked_kill(orphans.mark, 2000);
	}
}

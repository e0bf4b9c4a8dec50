/* nodes.c - see nodes.h. A node is: host name, kernel boot and network name space, because abstract sockets are one per
 * network name space; containers of one machine count as different nodes when they cannot talk by sockets. */
#include "bridge/nodes.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_line(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
}

void ranq_rank_facts_init(struct ranq_rank_facts *facts)
{
	char boot[64], net[64];
	ssize_t n = readlink("/proc/self/ns/net", net, sizeof net - 1);

	memset(facts, 0, sizeof *facts);
	net[n > 0 ? n : 0] = 0;
	read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
	if (gethostname(facts->host, sizeof facts->host - 1) != 0)
		snprintf(facts->host, sizeof facts->host, "localhost");
	snprintf(facts->node, sizeof facts->node, "%s %s %s", facts->host, boot, net);
	facts->pid = getpid();
}

void ranq_rank_facts_check(struct ranq_rank_facts *facts)
{
	facts->host[sizeof facts->host - 1] = 0;
	facts->node[sizeof facts->node - 1] = 0;
	facts->cpus[sizeof facts->cpus - 1] = 0;
}

int ranq_nodes_number(const struct ranq_rank_facts *all, int size, int *node)
{
	int n = 0;

	for (int r = 0; r < size; r++) {
		int k = r > 0 && strcmp(all[r].node, all[r - 1].node) == 0 ? r - 1 : 0;

		while (k < r && strcmp(all[r].node, all[k].node) != 0)
			k++;
		node[r] = k < r ? node[k] : n++;
	}
	return n;
}

int ranq_nodes_lowest(const int *node, int size, int rank)
{
	return ranq_nodes_leader(node, size, rank, 0);
}

int ranq_nodes_leader(const int *node, int size, int rank, int compute_from)
{
	for (int r = compute_from; r < size; r++)
		if (node[r] == node[rank])
			return r;
	return rank;
}

bool ranq_nodes_pid_alive(int64_t pid)
{
	char path[64], stat[512];
	const char *state;

	snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
	read_line(path, stat, sizeof stat);
	state = strrchr(stat, ')');
	return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

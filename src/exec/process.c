#include "exec/process.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* rank, mpirun, join, the shells of a job's script, with room for wrappers */
#define ANCESTORS_MAX 12

bool ranq_process_look(pid_t pid, struct ranq_process *what)
{
	char path[64], text[512], *end;
	FILE *file;
	int parent;
	bool ok;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	/* pid (name) state ppid: the name may hold anything */
	ok = fgets(text, sizeof text, file) && (end = strrchr(text, ')')) &&
	     sscanf(end + 1, " %c %d", &what->state, &parent) == 2;
	fclose(file);
	if (ok)
		what->parent = (pid_t)parent;
	return ok;
}

bool ranq_process_stopped_above(pid_t pid)
{
	struct ranq_process process;

	if (!ranq_process_look(pid, &process))
		return false;
	for (int i = 0; i < ANCESTORS_MAX && process.parent > 1; i++)
		if (!ranq_process_look(process.parent, &process))
			return false;
		else if (process.state == 'T')
			return true;
	return false;
}

void ranq_process_signal_siblings(pid_t pid, int sig)
{
	DIR *proc = opendir("/proc");
	struct ranq_process process, other;
	struct dirent *entry;

	if (proc && ranq_process_look(pid, &process) && process.parent > 1)
		while ((entry = readdir(proc))) {
			pid_t each = (pid_t)atoi(entry->d_name);

			if (each > 1 && ranq_process_look(each, &other) && other.parent == process.parent &&
				getsid(each) == getsid(pid))
				kill(each, sig);
		}
	if (proc)
		closedir(proc);
}

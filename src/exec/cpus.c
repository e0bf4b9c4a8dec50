#include "exec/cpus.h"

#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MPOL_PREFERRED_MODE 1
#define NODES_MAX 1024

static int read_number(const char **text, unsigned *number)
{
	unsigned value = 0;

	if (!isdigit((unsigned char)**text))
		return -1;
	while (isdigit((unsigned char)**text)) {
		value = value * 10 + (unsigned)(*(*text)++ - '0');
		if (value >= RANQ_CPUS_MAX)
			return -1;
	}
	*number = value;
	return 0;
}

/* set may be NULL; returns the number of cpus or -1. */
static int parse(const char *list, cpu_set_t *set, size_t bytes, struct ranq_err *err)
{
	const char *at = list;
	unsigned first, last, cpu;
	int count = 0;

	do {
		if (read_number(&at, &first) < 0)
			goto bad;
		last = first;
		if (*at == '-') {
			at++;
			if (read_number(&at, &last) < 0 || last < first)
				goto bad;
		}
		for (cpu = first; cpu <= last; cpu++) {
			count++;
			if (set)
				CPU_SET_S(cpu, bytes, set);
		}
	} while (*at++ == ',');
	if (at[-1] == '\0')
		return count;
bad:
	return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is not a list of cpus like 0,2-3", list);
}

int ranq_cpus_count(const char *list, struct ranq_err *err)
{
	return parse(list, NULL, 0, err);
}

int ranq_cpus_bind(const char *list, struct ranq_err *err)
{
	cpu_set_t *set = CPU_ALLOC(RANQ_CPUS_MAX);
	size_t bytes = CPU_ALLOC_SIZE(RANQ_CPUS_MAX);
	int rc;

	if (!set)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	CPU_ZERO_S(bytes, set);
	rc = parse(list, set, bytes, err);
	if (rc >= 0)
		rc = sched_setaffinity(0, bytes, set) < 0 ? ranq_err_sys(err, "cannot bind to cpus '%s'", list) : 0;
	CPU_FREE(set);
	return rc;
}

static int append_span(char *list, size_t len, size_t *used, int first, int last)
{
	const char *comma = *used ? "," : "";
	int n = first == last ? snprintf(list + *used, len - *used, "%s%d", comma, first)
			      : snprintf(list + *used, len - *used, "%s%d-%d", comma, first, last);

	if (n < 0 || (size_t)n >= len - *used)
		return -1;
	*used += (size_t)n;
	return 0;
}

int ranq_cpus_current(char *list, size_t len, struct ranq_err *err)
{
	cpu_set_t *set = CPU_ALLOC(RANQ_CPUS_MAX);
	size_t bytes = CPU_ALLOC_SIZE(RANQ_CPUS_MAX), used = 0;
	int cpu, first, rc = 0;

	if (!set)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (sched_getaffinity(0, bytes, set) < 0)
		rc = ranq_err_sys(err, "cannot read the cpus of this process");
	for (cpu = 0; !rc && cpu < RANQ_CPUS_MAX; cpu++) {
		if (!CPU_ISSET_S((size_t)cpu, bytes, set))
			continue;
		for (first = cpu; cpu + 1 < RANQ_CPUS_MAX && CPU_ISSET_S((size_t)cpu + 1, bytes, set);)
			cpu++;
		if (append_span(list, len, &used, first, cpu) < 0)
			rc = ranq_err_set(err, RANQ_ERR_INPUT, "the list of cpus of this process is too long");
	}
	CPU_FREE(set);
	return rc;
}

void ranq_cpus_prefer_node(int node)
{
	unsigned long mask[NODES_MAX / (8 * sizeof(unsigned long))] = {0};
	const unsigned bits = 8 * sizeof *mask;

	if (node < 0 || node >= NODES_MAX)
		return;
	mask[(unsigned)node / bits] = 1ul << ((unsigned)node % bits);
	syscall(SYS_set_mempolicy, MPOL_PREFERRED_MODE, mask, (unsigned long)NODES_MAX);
}

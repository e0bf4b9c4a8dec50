/* fault.c - see fault.h. */
#include "bridge/fault.h"

#ifdef RANQ_FAULTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned state;

/* Parses "point:probability:seed" in the list; the seed starts the generator at the first use. */
static double probability(const char *point)
{
	const char *list = getenv("RANQ_FAULT");
	size_t len = strlen(point);

	for (const char *p = list; p && *p; p += strcspn(p, ","), p += *p == ',') {
		char *end;
		double chance;

		if (strncmp(p, point, len) != 0 || p[len] != ':')
			continue;
		chance = strtod(p + len + 1, &end);
		if (state == 0)
			state = (*end == ':' ? (unsigned)strtoul(end + 1, NULL, 10) : 1u) * 2654435761u +
				(unsigned)getpid();
		return chance;
	}
	return 0;
}

bool ranq_fault(const char *point)
{
	double chance = probability(point);

	if (chance <= 0)
		return false;
	return rand_r(&state) < chance * RAND_MAX;
}

void ranq_fault_kill(const char *point)
{
	if (!ranq_fault(point))
		return;
	fprintf(stderr, "ranq-bridge: fault point '%s'\n", point);
	kill(getpid(), SIGKILL);
}
#else
typedef int ranq_fault_unused;
#endif

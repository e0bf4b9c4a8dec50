/* fault.c - see fault.h. */
#include "bridge/fault.h"

#ifdef RANQ_FAULTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned state;

/* The finalizer of MurmurHash3: process ids of successive bridges are a constant apart, and a linear generator whose states are a constant
 * apart may draw the same again and again. */
static unsigned mixed(unsigned h)
{
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return h ^ h >> 16;
}

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
			state = mixed((*end == ':' ? (unsigned)strtoul(end + 1, NULL, 10) : 1u) * 2654435761u +
				      (unsigned)getpid());
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

/* placing.c - see placing.h. The union, because launchers bind each rank before any of our code runs (mpirun: one core
 * a rank when there are two), and the proxy needs no core of its own. */
#include "bridge/placing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ranq_placing_facts(struct ranq_rank_facts *facts)
{
	struct ranq_topology *topology = ranq_topology_open(NULL, NULL);
	char *cpus = topology ? ranq_topology_allowed(topology, NULL) : NULL;

	if (cpus && strlen(cpus) < sizeof facts->cpus)
		memcpy(facts->cpus, cpus, strlen(cpus) + 1);
	free(cpus);
	if (topology)
		ranq_topology_close(topology);
}

static char *allowed_here(const struct ranq_placing *placing, const struct ranq_link *link, struct ranq_err *err)
{
	char *all = strdup("");

	for (int r = 0; all && r < link->size; r++) {
		char *more;

		if (!ranq_link_same_node(link, r, link->rank) || !placing->facts[r].cpus[0])
			continue;
		more = *all ? ranq_cpus_union(all, placing->facts[r].cpus, err) : strdup(placing->facts[r].cpus);
		free(all);
		all = more;
	}
	if (!all)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	return all;
}

/* This rank's place among the compute ranks of its node, and how many these are. */
static unsigned position(const struct ranq_placing *placing, const struct ranq_link *link, unsigned *count)
{
	unsigned mine = 0;

	*count = 0;
	for (int r = placing->compute_from; r < link->size; r++)
		if (ranq_link_same_node(link, r, link->rank)) {
			if (r == link->rank)
				mine = *count;
			(*count)++;
		}
	return mine;
}

static int plan(const struct ranq_placing *placing, const char *allowed, unsigned total, struct ranq_placement *all,
	struct ranq_err *err)
{
	struct ranq_topology *topology;
	enum ranq_bind bind;
	bool scatter;
	int rc;

	if (ranq_bind_parse(placing->bind, &bind, &scatter, err) != 0)
		return -1;
	topology = ranq_topology_open(NULL, err);
	if (!topology)
		return -1;
	rc = ranq_topology_plan(topology, allowed, *allowed ? bind : RANQ_BIND_NONE, scatter, total, all, err);
	ranq_topology_close(topology);
	return rc;
}

int ranq_placing_plan(const struct ranq_placing *placing, const struct ranq_link *link,
	struct ranq_placement **placements, struct ranq_err *err)
{
	unsigned count, mine = position(placing, link, &count), slots = placing->slots;
	char *allowed = allowed_here(placing, link, err);
	struct ranq_placement *all = allowed ? calloc((size_t)count * slots, sizeof *all) : NULL;
	int rc = -1;

	*placements = calloc(slots, sizeof **placements);
	if (allowed && (!all || !*placements))
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else if (allowed && plan(placing, allowed, count * slots, all, err) == 0)
		rc = 0;
	for (unsigned i = 0; rc == 0 && i < count * slots; i++) {
		if (i / slots == mine)
			(*placements)[i % slots] = all[i];
		else
			ranq_placement_clear(&all[i]);
	}
	free(allowed);
	free(all);
	if (rc != 0) {
		free(*placements);
		*placements = NULL;
	}
	return rc;
}

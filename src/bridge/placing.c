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

struct plan {
	struct ranq_placement *all; /* of all executors of this node, and of all its places */
	unsigned n, lanes, places, cores; /* cores: of this node */
};

static int plan(const struct ranq_placing *placing, const char *allowed, struct plan *plan, struct ranq_err *err)
{
	struct ranq_topology *topology;
	enum ranq_bind bind;
	bool scatter;
	int rc = -1;

	if (ranq_bind_parse(placing->bind, &bind, &scatter, err) != 0)
		return -1;
	if (!*allowed)
		bind = RANQ_BIND_NONE;
	topology = ranq_topology_open(NULL, err);
	if (!topology)
		return -1;
	rc = ranq_topology_count_cores(topology, allowed);
	plan->cores = rc > 0 ? (unsigned)rc : 1;
	rc = ranq_topology_places(topology, allowed, bind, err);
	if (rc >= 0) {
		plan->places = (unsigned)rc;
		plan->n = plan->lanes > plan->places ? plan->lanes : plan->places;
		plan->all = calloc(plan->n, sizeof *plan->all);
		rc = plan->all ? ranq_topology_plan(topology, allowed, bind, scatter, plan->n, plan->all, err)
			       : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	ranq_topology_close(topology);
	return rc;
}

static void plan_clear(struct plan *plan, int rc)
{
	for (unsigned i = 0; rc == 0 && i < plan->n; i++)
		ranq_placement_clear(&plan->all[i]);
	free(plan->all);
}

/* The k-th place that a lane tries: its own one, those that are nobody's in this bridge, those of its neighbours, which
 * may have moved on. When there are more lanes than places, its own one only: crowding on the rest would be worse than
 * not being bound. */
static unsigned candidate(const struct plan *plan, unsigned lane, unsigned k)
{
	unsigned spare = plan->places > plan->lanes ? plan->places - plan->lanes : 0;

	if (k == 0)
		return lane % plan->places;
	if (k <= spare)
		return plan->lanes + k - 1;
	k -= spare + 1; /* neighbours, without itself */
	return k < lane ? k : k + 1;
}

static size_t friends(const struct ranq_placing *placing, const struct ranq_link *link, pid_t *pids)
{
	size_t n = 0;

	for (int r = 0; r < link->size; r++)
		if (ranq_link_same_node(link, r, link->rank))
			pids[n++] = (pid_t)placing->facts[r].pid;
	return n;
}

/* The place that a lane gets, or NULL. */
static struct ranq_placement *place_of(
	const struct ranq_placing *placing, const struct plan *plan, unsigned lane, const pid_t *pids, size_t npids)
{
	bool share = plan->lanes > plan->places;

	if (!placing->claims || plan->places == 0)
		return &plan->all[lane];
	for (unsigned k = 0; k < (share ? 1 : plan->places); k++) {
		struct ranq_placement *place = &plan->all[candidate(plan, lane, k)];

		if (ranq_claims_take(placing->claims, place->cpus, pids, share ? npids : 0))
			return place;
	}
	return NULL;
}

static int take_place(struct ranq_placement *mine, const struct ranq_placement *place, struct ranq_err *err)
{
	if (!place) {
		*mine = (struct ranq_placement){.numa_node = -1};
		snprintf(mine->text, sizeof mine->text, "other bridges of this user are bound to what is there");
		return 0;
	}
	*mine = *place;
	if (place->cpus && !(mine->cpus = strdup(place->cpus)))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	return 0;
}

/* What is not bound shares the node evenly: its tasks must not start a thread a core each (OMP_NUM_THREADS). */
static unsigned fair_share(const struct plan *plan)
{
	return plan->lanes && plan->cores > plan->lanes ? plan->cores / plan->lanes : 1;
}

static int take_lane(
	struct ranq_placement *mine, const struct plan *plan, const struct ranq_placement *place, struct ranq_err *err)
{
	if (take_place(mine, place, err) != 0)
		return -1;
	if (!mine->cpus)
		mine->ncores = fair_share(plan);
	return 0;
}

int ranq_placing_plan(const struct ranq_placing *placing, const struct ranq_link *link,
	struct ranq_placement **placements, struct ranq_err *err)
{
	unsigned count, mine = position(placing, link, &count), slots = placing->slots;
	struct plan node = {.lanes = count * slots};
	char *allowed = allowed_here(placing, link, err);
	pid_t *pids = calloc((size_t)link->size, sizeof *pids);
	size_t npids = pids ? friends(placing, link, pids) : 0;
	int rc = -1;

	*placements = calloc(slots, sizeof **placements);
	if (allowed && (!pids || !*placements))
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else if (allowed)
		rc = plan(placing, allowed, &node, err);
	if (rc == 0) {
		for (unsigned s = 0; rc == 0 && s < slots; s++)
			rc = take_lane(&(*placements)[s], &node,
				place_of(placing, &node, mine * slots + s, pids, npids), err);
		plan_clear(&node, 0);
	} else {
		plan_clear(&node, -1);
	}
	free(allowed);
	free(pids);
	if (rc != 0) {
		for (unsigned s = 0; *placements && s < slots; s++)
			ranq_placement_clear(&(*placements)[s]);
		free(*placements);
		*placements = NULL;
	}
	return rc;
}

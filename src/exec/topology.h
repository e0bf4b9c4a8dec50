/* topology.h - which cores each compute rank of a node gets: a pure plan from a topology, applied elsewhere. The only
 * user of hwloc. */
#ifndef RANQ_EXEC_TOPOLOGY_H
#define RANQ_EXEC_TOPOLOGY_H

#include "exec/bind.h"

struct ranq_topology;
/* synthetic: hwloc synthetic description for tests ("package:2 core:4 pu:2"), NULL: this machine. */
struct ranq_topology *ranq_topology_open(const char *synthetic, struct ranq_err *err);
void ranq_topology_close(struct ranq_topology *topology);
/* The cpuset this process was given, as a list "0-3,8"; malloced. */
char *ranq_topology_allowed(const struct ranq_topology *topology, struct ranq_err *err);
int ranq_topology_count_cores(const struct ranq_topology *topology, const char *allowed);

struct ranq_placement {
	char *cpus;             /* list, or NULL: not bound */
	int numa_node;          /* OS index, -1 none */
	unsigned ncpus, ncores; /* hardware threads; cores that they belong to */
	char text[96];          /* for people: "package 0 core 3" */
};
/* Plan for `ranks` compute ranks of one node over the union `allowed` of what they were given. More ranks than places:
 * they share round robin. placements: `ranks` entries, cleared with ranq_placement_clear. */
int ranq_topology_plan(const struct ranq_topology *topology, const char *allowed, enum ranq_bind bind, bool scatter,
	unsigned ranks, struct ranq_placement *placements, struct ranq_err *err);
/* How many places there are for this kind of binding, 0 for none. -1 with err. The plan uses them one after the other.
 */
int ranq_topology_places(
	const struct ranq_topology *topology, const char *allowed, enum ranq_bind bind, struct ranq_err *err);
void ranq_placement_clear(struct ranq_placement *placement);
/* Union of two cpu lists; malloced. */
char *ranq_cpus_union(const char *a, const char *b, struct ranq_err *err);

#endif

/* placing.h - which processors the executors of each rank are bound to. All ranks compute the same plan from the same
 * facts; where another bridge has a place of it already, the rank looks for another one by itself. */
#ifndef RANQ_BRIDGE_PLACING_H
#define RANQ_BRIDGE_PLACING_H

#include "bridge/claims.h"
#include "bridge/link.h"
#include "bridge/nodes.h"
#include "exec/topology.h"

struct ranq_placing {
	const struct ranq_rank_facts *facts; /* of all ranks */
	int compute_from;                    /* lowest compute rank */
	unsigned slots;                      /* executors of each rank */
	const char *bind;                    /* "core", "numa:scatter", ... */
	struct ranq_claims *claims;          /* places that other bridges have are left to them; NULL: not asked */
};
/* Fills facts->cpus with what this process may use. Never fails: "" is "unknown". */
void ranq_placing_facts(struct ranq_rank_facts *facts);
/* Placements of the slots of this rank (slots entries, malloced, each to be cleared), over the union of what the ranks
 * of this node were given. Slots for which other bridges leave no place are not bound. */
int ranq_placing_plan(const struct ranq_placing *placing, const struct ranq_link *link,
	struct ranq_placement **placements, struct ranq_err *err);

#endif

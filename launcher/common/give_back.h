/* give_back.h - idle nodes of an allocation go back to the scheduler while the bridge works on with the others.
 *
 * Rank 0 says which nodes have had no task for long (give_file.h of ranq-bridge tells the form). Where the bridge outlives the loss
 * of nodes (srun --no-kill) they are released at once and Slurm ends the ranks there; mpirun ends all ranks with any node,
 * so there the bridge offers nodes only when nothing runs, is drained first and started again on what is left. */
#ifndef RANQ_LAUNCHER_GIVE_BACK_H
#define RANQ_LAUNCHER_GIVE_BACK_H

#include <stdbool.h>

#include "common/allocation.h"
#include "scale/scheduler.h"

struct ranq_give_back {
	char path[4096]; /* "": not wanted, or not possible */
	bool at_once; /* the bridge outlives the loss of nodes; to be set before look */
	unsigned number; /* of the offer that was looked at last */
	char *offered;   /* waits for the end of the bridge; owned */
	char *gone;      /* nodes released so far, separated by commas; owned */
};
enum ranq_give_back_event {
	RANQ_GIVE_BACK_NOTHING,
	RANQ_GIVE_BACK_DONE,   /* nodes were released: `gone` */
	RANQ_GIVE_BACK_DRAIN,  /* end the bridge, then call ranq_give_back_finish */
	RANQ_GIVE_BACK_REFUSED /* by the scheduler or by us: err */
};
/* For each start of the bridge. */
void ranq_give_back_start(struct ranq_give_back *give, const struct ranq_allocation *allocation);
/* Takes nodes that are gone out of a list that still has them (PBS_NODEFILE). */
void ranq_give_back_leave_out(const struct ranq_give_back *give, struct ranq_allocation *allocation);
/* Call about each second. */
enum ranq_give_back_event ranq_give_back_look(struct ranq_give_back *give, const struct ranq_allocation *allocation,
	const struct ranq_tools *tools, struct ranq_err *err);
/* After a drained bridge has ended: releases what was offered. After a refusal nothing is offered any more. */
int ranq_give_back_finish(struct ranq_give_back *give, const struct ranq_allocation *allocation,
	const struct ranq_tools *tools, struct ranq_err *err);
void ranq_give_back_stop(struct ranq_give_back *give); /* with the end of each bridge */
void ranq_give_back_clear(struct ranq_give_back *give);

/* Pure, for tests. Names of `nodes` (as the scheduler has them) that are the hosts `hosts`, or, with `others`, those that are not; both
 * lists separated by commas, names equal up to the first dot. NULL: none, a host that is no node of the list or is
 * `here`, or no memory. Owned. */
char *ranq_give_back_select(const char *nodes, const char *hosts, const char *here, bool others);

#endif

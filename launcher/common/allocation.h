/* allocation.h - where this process runs: a Slurm or PBS allocation or just a machine; which nodes, until when.
 *
 * Nothing that a scheduler says is trusted: what cannot be parsed or does not come in time is "unknown", never an
 * error. */
#ifndef RANQ_LAUNCHER_ALLOCATION_H
#define RANQ_LAUNCHER_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum ranq_scheduler_kind { RANQ_SCHEDULER_NONE, RANQ_SCHEDULER_SLURM, RANQ_SCHEDULER_PBS };

#define RANQ_COMPONENTS_MAX 32

struct ranq_allocation {
	enum ranq_scheduler_kind scheduler;
	char id[128];          /* "slurm:123", "slurm:123.1" after a requeue, "pbs:7.server[.1]", "host:NAME" */
	char job_id[96];       /* as the scheduler wants it, "" without one */
	char *nodes;           /* names separated by commas as they are now, in order; NULL: only this one. Owned */
	unsigned nnodes, cpus; /* cpus: of all nodes together */
	int64_t end_s;         /* wall clock, seconds; 0: unknown or none */
	/* of a heterogeneous Slurm job, whose nodes are those of all components together; 0: an ordinary one */
	unsigned ncomponents, component_cpus[RANQ_COMPONENTS_MAX];
};

const char *ranq_scheduler_name(enum ranq_scheduler_kind scheduler);
/* Fills *allocation; asks the scheduler (at most 10 s). Call again before each start: nodes may be gone, the end may
 * have moved. */
void ranq_allocation_find(struct ranq_allocation *allocation);
/* Asks the scheduler (at most 10 s) when this allocation ends, as it stands now: seconds, wall clock; 0: unknown. */
int64_t ranq_allocation_ask_end(const struct ranq_allocation *allocation);
/* Is Slurm about to take the nodes away for another job? (PBS tells nobody.) Asks at most 10 s. */
bool ranq_allocation_preempted(const struct ranq_allocation *allocation);
void ranq_allocation_clear(struct ranq_allocation *allocation);

/* The parsers, pure, for tests. */

/* Output of `squeue -h -j ID -o '%e|%N|%D|%C'`: end, node list, number of nodes, of cpus. 0, or -1 when it is not that.
 * `nodes` gets the compact list ("h[1-3]"). */
int ranq_allocation_parse_squeue(const char *text, struct ranq_allocation *allocation);
/* Output of `scontrol -o show job ID`. */
bool ranq_allocation_parse_preempted(const char *text);
/* A list of cpus for each node as Slurm writes it, "2(x3),1": the sum, here 7; 0: it is not that. */
unsigned ranq_allocation_parse_cpus(const char *text);
/* Output of `qstat -f -F json ID`: end = stime + walltime (0: unknown); how often the job was started again. */
int64_t ranq_allocation_parse_qstat(const char *text, unsigned *restarts);
/* Contents of $PBS_NODEFILE: a host a line, repeated; cpus_here: $NCPUS or 0. */
int ranq_allocation_parse_nodefile(const char *text, unsigned cpus_here, struct ranq_allocation *allocation);

#endif

/* sim_cluster.h - a simulated batch scheduler with a queue of work, for scaling: the fake driver. Time passes when told
 * to; everything random comes from one seed. */
#ifndef RANQ_TESTS_SIM_CLUSTER_H
#define RANQ_TESTS_SIM_CLUSTER_H

#include "scale/engine.h"

#define SIM_CLUSTER_JOBS 4096

struct sim_cluster_job {
	char id[24], token[RANQ_SCHED_TOKEN_MAX + 1], name[32];
	enum { SIM_WAITS, SIM_RUNS, SIM_OVER } state;
	enum { SIM_HEALTHY, SIM_FAILS, SIM_NEVER_JOINS } fate;
	unsigned nodes, restarts;
	int64_t submitted_ms, eligible_ms, started_ms, joins_ms, ended_ms;
	bool draining, failed, never; /* never: the scheduler will not start it */
	int64_t idle_since_ms, busy_until_ms;
	bool busy;
};

struct sim_cluster {
	/* what the test sets */
	int64_t now_ms;
	unsigned nodes, ranks_per_node; /* of the machine; of a node */
	int64_t wait_ms, join_ms, walltime_ms, idle_timeout_ms;
	int64_t task_ms;
	unsigned refuse, lose, phantom, fail_start, preempt, list_fails, crash; /* chances in 1000 */
	bool never;                                                             /* what is submitted can never start */
	bool down;                                                              /* the scheduler does not answer */
	bool paused;
	uint64_t tasks, leased, done; /* of the queue: one job */
	uint64_t seed;
	/* what it counts */
	unsigned submits, cancels, drains, most, failures, lists;
	int64_t node_ms;
	int64_t submit_times[SIM_CLUSTER_JOBS];
	bool crashed; /* the scaler died in a submission */
	/* the record */
	char *saved;
	enum ranq_scale_mode mode;
	int want;
	/* inside */
	struct sim_cluster_job jobs[SIM_CLUSTER_JOBS];
	size_t njobs;
	struct ranq_bridge_info bridges[256];
	size_t nbridges;
	char node_text[16];
	const char *node_words[1];
	bool verbose;
};
void sim_cluster_init(struct sim_cluster *c, uint64_t seed); /* a quiet machine of 16 nodes */
void sim_cluster_clear(struct sim_cluster *c);
/* An engine on it, going on from what the last one saved. */
void sim_cluster_engine(
	struct sim_cluster *c, struct ranq_scale_engine *engine, const struct ranq_scale_limits *limits);
/* Lets dt_ms pass: starts, works, ends. */
void sim_cluster_pass(struct sim_cluster *c, int64_t dt_ms);
unsigned sim_cluster_alive(const struct sim_cluster *c);
extern const struct ranq_sched_driver sim_cluster_driver;

#endif

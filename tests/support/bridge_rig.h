/* bridge_rig.h - a whole bridge in the test process: ranks over the in-process link, real executors, a real private
 * server. */
#ifndef RANQ_TESTS_BRIDGE_RIG_H
#define RANQ_TESTS_BRIDGE_RIG_H

#include "bridge/bridge.h"
#include "client/ranq.h"
#include "queue/queue.h"
#include "tests/support/redis_server.h"

#define BRIDGE_RIG_RANKS 5
#define BRIDGE_RIG_LIMIT_MS 150000

struct bridge_rig {
	struct test_redis server;
	struct ranq_server_addr addr;
	char url[128], mark[BRIDGE_RIG_RANKS][64];
	/* the client's side */
	struct ranq_conn *conn;
	struct ranq_queue queue; /* the first one */
	/* the bridge */
	int size;
	bool runs, cut[BRIDGE_RIG_RANKS];
	struct ranq_link *links[BRIDGE_RIG_RANKS];
	struct ranq_exec *execs[BRIDGE_RIG_RANKS];
	struct ranq_bridge ranks[BRIDGE_RIG_RANKS];
	struct ranq_rank_facts facts[BRIDGE_RIG_RANKS];
	struct ranq_proxy_options options; /* change before rig_bridge */
	const char *queues[4];
	const char *exec_program;                /* NULL: ours */
	const struct ranq_placement *placements; /* of the slots of each worker, or NULL */
};

/* Server and client; lease of 3 s, queue "t". */
void rig_start(struct bridge_rig *rig, int appendonly);
/* Another lease, after a submission and before the bridge. */
void rig_lease(struct bridge_rig *rig, int64_t ms);
/* The bridge: `size` ranks (1: rank 0 computes); node of each rank or NULL; slots of each worker. */
void rig_bridge(struct bridge_rig *rig, int size, const int *node, unsigned slots);
/* Turns of all ranks until the condition holds; fails the test at the limit. */
void rig_until(struct bridge_rig *rig, bool (*condition)(struct bridge_rig *rig, uint64_t arg), uint64_t arg);
/* Conditions. */
bool rig_job_ended(struct bridge_rig *rig, uint64_t job);
bool rig_job_begun(struct bridge_rig *rig, uint64_t job);  /* some task is done */
bool rig_job_leased(struct bridge_rig *rig, uint64_t job); /* some task is leased */
bool rig_over(struct bridge_rig *rig, uint64_t unused);    /* the proxy is done */
int rig_status(struct bridge_rig *rig);                    /* of the proxy */
void rig_stop_rank(struct bridge_rig *rig, int rank);      /* as if it had died: silent from now on */
void rig_start_rank(struct bridge_rig *rig, int rank);     /* it was only stopped */
void rig_end_bridge(struct bridge_rig *rig);
void rig_stop(struct bridge_rig *rig);

struct ranq_job_info rig_info(struct bridge_rig *rig, uint64_t job);
uint64_t rig_bridges(struct bridge_rig *rig); /* registered in the queue */
/* Jobs, in queue `queue` or NULL for the first one. argv NULL-terminated; returns its number. */
uint64_t rig_submit(struct bridge_rig *rig, const char *queue, const struct ranq_submit_options *options);
uint64_t rig_command(struct bridge_rig *rig, uint64_t tasks, const char *const *argv);
uint64_t rig_function(struct bridge_rig *rig, uint64_t tasks, const char *module, const char *function);
/* Reads all results in order and fails the test unless task k printed "k\n", or, for int64 values, gave k. */
void rig_expect_lines(struct bridge_rig *rig, const char *queue, uint64_t job, uint64_t tasks);
void rig_expect_int64(struct bridge_rig *rig, uint64_t job, uint64_t tasks);

#endif

/* simulation.h - the pieces of tests/redis/test_simulation.c: virtual bridges, a client and a server that loses things,
 * all in one process. One history at a time; everything random comes from its seed. */
#ifndef RANQ_TESTS_SIMULATION_H
#define RANQ_TESTS_SIMULATION_H

#include <stdio.h>

#include "queue/held.h"
#include "tests/support/queue_driver.h"

enum { JOBS_MAX = 3, BRIDGES_MAX = 4, TASKS_MAX = 1500, PENDING_MAX = 64, LEASE_MS = 1000000 };

struct sim_job {
	uint64_t id, n, key; /* key: of the values of its tasks */
	char uuid[RANQ_ID_LEN + 1];
	bool open, counted[TASKS_MAX];
	/* the client's */
	bool ledger[TASKS_MAX]; /* delivered; survives the client's death */
	bool unordered;
	uint64_t from, cursor, epoch, batch, delivered;
	char client[RANQ_ID_LEN + 1];
};
struct part { /* a commit or release whose reply has not come */
	struct ranq_fragment f;
	bool release;
};
struct sim_bridge {
	bool alive, joined, broken /* must reconnect and resync */;
	int frozen; /* steps left */
	char id[RANQ_ID_LEN + 1];
	uint64_t seq;
	struct ranq_held *held;
	struct part pending[PENDING_MAX];
	size_t npending;
	uint64_t apart;
	bool together; /* the last one that went ahead was not there */
};
extern uint64_t sim_seed, sim_state;
extern bool sim_trace, sim_calm; /* calm: no faults any more */
extern struct sim_job sim_jobs[JOBS_MAX];
extern size_t sim_njobs;
extern struct sim_bridge sim_bridges[BRIDGES_MAX];
extern size_t sim_nbridges;
extern struct sim_total {
	uint64_t calls, lost_requests, lost_replies, repeats, rollbacks, deaths, stale, accepted, gone, pages, apart;
} sim_total;

#define SIM_MUST(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "seed %llu: ", (unsigned long long)sim_seed); \
			fprintf(stderr, __VA_ARGS__); \
			fprintf(stderr, " (RANQ_SIM_SEED=%llu RANQ_SIM_SEEDS=1 repeats it)\n", \
				(unsigned long long)sim_seed); \
			ck_abort_msg("history of seed %llu: %s", (unsigned long long)sim_seed, #condition); \
		} \
	} while (0)

enum sim_outcome { ANSWERED, LOST };

uint64_t sim_draw(void);
uint64_t sim_below(uint64_t n);
bool sim_chance(unsigned per_mille);
void sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t sim_value(const struct sim_job *job, uint64_t index);
struct sim_job *sim_job_of(uint64_t id);
enum sim_outcome sim_network(bool *executed);
void sim_forget_snapshot(void);
void sim_take_snapshot(void);
void sim_pass(int64_t ms);
void sim_server_step(void);
void sim_check(void);
void sim_bridge_join(struct sim_bridge *b);
void sim_bridge_start(struct sim_bridge *b);
void sim_bridge_die(struct sim_bridge *b);
void sim_bridge_resync(struct sim_bridge *b);
bool sim_bridge_lease(struct sim_bridge *b, uint64_t want);
void sim_bridge_commit(struct sim_bridge *b, bool whole);
void sim_bridge_leave(struct sim_bridge *b);
void sim_bridge_step(struct sim_bridge *b);
void sim_client_attach(struct sim_job *job);
bool sim_client_fetch(struct sim_job *job);
void sim_client_produce(struct sim_job *job, uint64_t most);
void sim_client_step(struct sim_job *job);

#endif

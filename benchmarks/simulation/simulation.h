/* simulation.h - pieces of the load generator: many bridges in one process, each the real proxy (src/bridge) on a real
 * server, with ranks that only wait instead of computing.
 *
 *   ranks.c    the link of a bridge: behind it all its ranks, each with executors that take a given time for a task
 *   bridges.c  the proxies and their loop
 *   slow.c     a clock for bridges and ranks that goes slower than the server's
 *   server.c   what is asked of the server beside: jobs, accounting, counters
 *   main.c     options, course, report */
#ifndef RANQ_BENCHMARKS_SIMULATION_H
#define RANQ_BENCHMARKS_SIMULATION_H

#include <event2/event.h>
#include <sys/queue.h>

#include "bridge/link.h"
#include "bridge/message.h"
#include "bridge/proxy_impl.h"
#include "queue/queue.h"

struct sim_settings {
	unsigned bridges, ranks; /* ranks: of each bridge */
	double task_s, spread;   /* a task takes task_s * (1 +- spread), evenly */
	uint64_t tasks;          /* 0: more than can be done; measure a window */
	uint64_t chunk;          /* --chunk of the job, 0: auto */
	size_t bytes;            /* of a result; keep only */
	enum ranq_results_mode results;
	double warm_s, window_s;
	double slow; /* real seconds that a second of bridges and ranks takes */
	const char *queue;
};

/* ---- slow.c ---- */
/* The real time in which ns of simulated time pass. */
struct timeval sim_real_time(double ns);

/* ---- ranks.c ---- */
struct sim_bridge;
struct sim_chunk {
	TAILQ_ENTRY(sim_chunk) next;
	uint64_t key, id, upto, end;
};
struct sim_lane { /* the executor of a rank */
	struct sim_bridge *bridge;
	int rank;
	TAILQ_HEAD(, sim_chunk) chunks; /* the first one runs */
	struct event *timer;
	uint64_t step; /* tasks of the first chunk that the timer stands for; 0: nothing runs */
	int64_t began_ns;
	double task_ns; /* of these */
};
struct sim_letter { /* from a rank to its proxy */
	STAILQ_ENTRY(sim_letter) next;
	int rank;
	struct ranq_buf message;
};
struct sim_link {
	struct ranq_link base;
	int *node;
	struct sim_lane *lanes; /* ranks 1 to size - 1 */
	STAILQ_HEAD(, sim_letter) inbox;
};
int sim_link_init(struct sim_link *link, struct sim_bridge *bridge);
void sim_link_clear(struct sim_link *link);
void sim_link_hello(struct sim_link *link);

/* ---- bridges.c ---- */
struct sim_bridge {
	STAILQ_ENTRY(sim_bridge) touched; /* in the list while `due` */
	bool due, over;
	struct sim_link link;
	struct ranq_proxy *proxy;
	struct ranq_conn *conn, *bell; /* whose descriptors are watched */
	struct ranq_watch conn_watch, bell_watch;
	struct event *timer;
};
struct simulation {
	struct sim_settings set;
	struct ranq_server_addr addr;
	struct event_base *base, *unused; /* unused: the proxies' own watches, never waited for */
	struct event *timer;
	struct ranq_rank_facts *facts;
	struct sim_bridge *bridges;
	unsigned nbridges, nover;
	STAILQ_HEAD(, sim_bridge) touched;
	struct ranq_conn *conn;
	struct ranq_queue queue;
	uint64_t random;
	uint64_t executed;      /* tasks that ranks reported */
	uint64_t timers;        /* of ranks that came */
	double late_s;          /* after their time, all together */
	double proxy_s;         /* CPU time in the proxies */
	struct ranq_buf result; /* zeros */
};
extern struct simulation sim;

void sim_touch(struct sim_bridge *bridge);
double sim_uniform(void); /* [0, 1) */
_Noreturn void sim_die(const char *what, const struct ranq_err *err);
void sim_bridges_start(void);
void sim_bridges_stop(void);
/* One turn of the loop, until_ns at the latest. */
void sim_turn(int64_t until_ns);
/* Sums over all proxies. */
struct sim_sums {
	uint64_t joined, ranges, chunks, done;
};
struct sim_sums sim_sums(void);

/* ---- server.c ---- */
struct sim_counters { /* of the server, since its start; and of ourselves */
	int64_t at_ns;
	double server_s, proxy_s, process_s, late_s;
	uint64_t commands, calls, calls_us, bytes_in, bytes_out, memory_bytes, timers;
	struct sim_sums sums;
};
void sim_server_open(const char *url);
void sim_server_close(void);
uint64_t sim_submit(void);
struct ranq_job_info sim_info(uint64_t job);
void sim_drain(void);
void sim_remove(uint64_t job);
struct sim_counters sim_count(void);
/* Accounting of a job that nothing runs of any more, against what the ranks did. 0: right; else says why on stderr. */
int sim_verify(uint64_t job);

#endif

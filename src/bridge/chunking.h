/* chunking.h - how much work: the size of a chunk for a worker and of a lease for the bridge. Pure arithmetic, no
 * clock, no I/O.
 *
 * Chunks: about TARGET of work by measured task time; while times are unknown they start at one task and grow fourfold
 * with each chunk that ended early; towards the end of the work at hand a chunk is at most remaining / (2 * lanes), so
 * that lanes end together (guided self-scheduling: Polychronopoulos and Kuck, IEEE Trans. Comput. C-36 (1987) 1425). */
#ifndef RANQ_BRIDGE_CHUNKING_H
#define RANQ_BRIDGE_CHUNKING_H

#include <stdbool.h>
#include <stdint.h>

#define RANQ_CHUNK_TARGET_NS INT64_C(25000000)
#define RANQ_LEASE_TARGET_NS INT64_C(1000000000)
#define RANQ_LEASE_WANT_MAX ((uint64_t)1 << 40)

/* What is known about the tasks of one job. */
struct ranq_pace {
	double task_ns;    /* moving average of the time of a task; 0: unknown */
	uint64_t chunk;    /* present chunk size, at least 1 */
	uint64_t measured; /* tasks that the average has seen */
};
void ranq_pace_init(struct ranq_pace *pace);
/* `tasks` tasks took elapsed_ns together. */
void ranq_pace_add(struct ranq_pace *pace, uint64_t tasks, int64_t elapsed_ns);
/* A whole chunk of `tasks` tasks has ended: time to grow or shrink the next one. */
void ranq_pace_chunk_done(struct ranq_pace *pace, uint64_t tasks);
/* The oldest unfinished task runs for this long: while nothing is measured, that is a lower bound of the time of a
 * task. */
double ranq_pace_task_ns(const struct ranq_pace *pace, int64_t running_ns);

struct ranq_chunking {
	uint64_t remaining; /* unstarted tasks at hand of this job */
	uint64_t cap;       /* --chunk, 0: none */
	unsigned lanes;     /* executors that compute */
	int64_t left_ns;    /* until the allocation ends, INT64_MAX: unknown */
};
/* Tasks for the next chunk; 0: nothing that could end in time (or nothing remains). */
uint64_t ranq_chunking_size(const struct ranq_pace *pace, const struct ranq_chunking *c);
/* Chunks of `tasks` tasks that a lane is given at once: a second one only when tasks are so short that a round trip
 * would be felt, more when chunks are (--chunk) so short that many a round trip would. */
#define RANQ_CHUNKING_DEPTH_MAX 64
unsigned ranq_chunking_depth(const struct ranq_pace *pace, uint64_t tasks);

struct ranq_leasing {
	uint64_t unstarted;   /* work at hand, in such tasks */
	unsigned lanes, idle; /* all executors; those with nothing to do */
	double task_ns;       /* of the tasks that are likely to come, or what they take at least; 0: unknown */
	bool unmeasured;      /* none has ended: task_ns is only what the oldest took so far */
	uint64_t last_want;   /* of the lease before, 0: none */
	bool stale;           /* the work at hand has been lying here for a second */
	double crowd_s;       /* seconds of work to be asked for besides, since there are many bridges */
	uint64_t cap;         /* --chunk of such tasks, 0: none */
};
/* Tasks to ask the queue for now; 0: enough is at hand. Long ones are asked for when a lane is idle, and then a few
 * more: what all lanes together begin within half a second and crowd_s, or each task would need a lease of its own. */
uint64_t ranq_leasing_want(const struct ranq_leasing *l);
/* What crowd_s may be when it should be most_s: ago_s seconds ago work of left_s seconds for all bridges together had
 * not been given to any. Half of what each may expect to get of that; 0 at the end. */
double ranq_leasing_crowd_s(double most_s, double left_s, double ago_s);
/* Unstarted tasks to give back because they are more than this bridge does in a few seconds, or so long that any other
 * bridge should have them; 0: keep all. */
uint64_t ranq_leasing_surplus(const struct ranq_leasing *l);

#endif

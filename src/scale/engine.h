/* engine.h - one turn of scaling: look at the queue and the scheduler, decide, act, remember. No clock and no sleep of
 * its own: the same code runs in `ranq scale`, from cron and in the simulation of the tests.
 *
 * A scheduler that cannot be asked stops scaling and nothing else: without a list that succeeded since the start
 * nothing is done; later ones that fail leave the last picture and forbid actions until one succeeds again. */
#ifndef RANQ_SCALE_ENGINE_H
#define RANQ_SCALE_ENGINE_H

#include "scale/policy.h"

/* The queue, as far as scaling needs it. Errors as of the session: SERVER and UNKNOWN are outages. */
struct ranq_scale_door {
	/* What there is to do, who serves, what people wish. bridges: borrowed until the next call. */
	int (*look)(void *user, struct ranq_demand *demand, const struct ranq_bridge_info **bridges, size_t *n,
		enum ranq_scale_mode *mode, int *want, struct ranq_err *err);
	int (*drain)(void *user, const char *allocation, struct ranq_err *err);
	/* Stays the holder of the record for ms. STATE: another one holds it. */
	int (*hold)(void *user, int64_t ms, struct ranq_err *err);
	int (*save)(void *user, const char *state, const char *const *lines, size_t nlines, struct ranq_err *err);
	void *user;
};

/* Job script and what else a submission needs; the paths live until done is called. */
struct ranq_scale_scripts {
	int (*make)(void *user, const char *token, struct ranq_sched_request *request, struct ranq_err *err);
	void (*done)(void *user, struct ranq_sched_request *request);
	void *user;
};

#define RANQ_SCALE_LINES_MAX 100

struct ranq_scale_engine {
	struct ranq_scale_limits limits;
	struct ranq_scheduler scheduler;
	struct ranq_scale_door door;
	struct ranq_scale_scripts scripts;
	const char *name; /* of the allocations at the scheduler */
	int64_t poll_ms;  /* the scheduler is asked no more often */
	bool dry;         /* decide, do nothing */
	void (*log)(void *user, const char *line);
	void *log_user;

	/* inside */
	struct ranq_scale_state state;
	struct ranq_scale_plan plan; /* the last decision */
	enum ranq_scale_mode mode;
	int want;
	int64_t next_list_ms; /* monotonic or simulated, as now_ms of the turns */
	bool outage;          /* the last list failed */
	bool held_long;       /* in this turn, for a call of the scheduler */
	char verdict[256];    /* told last */
	char saved[64];       /* digest of what was saved last */
	char *lines[RANQ_SCALE_LINES_MAX];
	size_t nlines;
};
/* The state may have been unpacked into engine->state before. */
void ranq_scale_engine_init(struct ranq_scale_engine *engine);
void ranq_scale_engine_clear(struct ranq_scale_engine *engine);

/* now_ms: wall clock. 1: stopping is finished, no allocation is left; 0: go on; -1: this turn failed, a later one may
 * succeed; code STATE: another scaler took over, end. */
int ranq_scale_engine_turn(struct ranq_scale_engine *engine, int64_t now_ms, struct ranq_err *err);

#endif

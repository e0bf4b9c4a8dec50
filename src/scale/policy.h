/* policy.h - how many allocations a queue should have: a pure function of what is seen, the limits and the time.
 *
 * It answers with actions and the reason for each. What keeps it from storms and swings: everything that was asked for
 * counts as there until the scheduler says otherwise; it grows when each rank of a new allocation would find `worth` of
 * work and takes a pending one back only when that has fallen below half of it; failures, limits of the scheduler and
 * too many submissions an hour make it wait. */
#ifndef RANQ_SCALE_POLICY_H
#define RANQ_SCALE_POLICY_H

#include "queue/scale.h"
#include "scale/state.h"

#define RANQ_SCALE_JOIN_LIMIT_MS 600000 /* an allocation that has its nodes must join within */
#define RANQ_SCALE_ACTIONS_MAX 64

enum ranq_scale_mode {
	RANQ_SCALE_AUTO,
	RANQ_SCALE_PAUSED,  /* nothing is submitted, cancelled or drained */
	RANQ_SCALE_STOP,    /* cancel what waits, drain the rest */
	RANQ_SCALE_STOP_NOW /* cancel all */
};
#define RANQ_SCALE_MODES \
	{ \
		"auto", "paused", "stop", "stop-now" \
	}

struct ranq_scale_limits {
	unsigned min, max;         /* allocations */
	unsigned nodes;            /* of one */
	unsigned ranks;            /* of one, guessed until one has joined */
	unsigned max_pending;      /* 0: max */
	unsigned submits_per_hour; /* 0: no limit */
	int64_t walltime_ms;       /* of one */
	int64_t worth_ms;          /* work that each rank of a new one should find */
	int64_t task_ms;           /* assumed for tasks of a job of which none has ended */
	int64_t idle_ms;           /* an idle one that is not needed leaves after */
	int64_t budget_ms;         /* node-milliseconds in all; 0: no limit */
	const char *tags;          /* of our bridges, separated by commas, or NULL */
	bool can_shrink;
};

/* Work that an allocation of these limits could do. */
struct ranq_scale_work {
	bool paused;
	uint64_t tasks;  /* not done, of jobs with work to give */
	int64_t work_ms; /* for one rank alone */
	unsigned unfit;  /* jobs that an allocation of ours may not run: tags, time request */
};
void ranq_scale_work(
	const struct ranq_demand *demand, const struct ranq_scale_limits *limits, struct ranq_scale_work *work);

enum ranq_scale_kind { RANQ_SCALE_SUBMIT, RANQ_SCALE_CANCEL, RANQ_SCALE_DRAIN, RANQ_SCALE_SHRINK };
const char *ranq_scale_kind_name(enum ranq_scale_kind kind);
struct ranq_scale_action {
	enum ranq_scale_kind kind;
	size_t alloc;   /* position in the state; of all but SUBMIT */
	unsigned nodes; /* of SUBMIT, SHRINK */
	bool pending;   /* of CANCEL: only if it has not started meanwhile */
	bool failure;   /* of CANCEL: it could never start, or never joined */
	char reason[256];
};
struct ranq_scale_plan {
	unsigned need, keep, have; /* allocations: worth having, worth keeping, there or coming */
	size_t n;
	struct ranq_scale_action actions[RANQ_SCALE_ACTIONS_MAX];
	char verdict[256]; /* the state of things in one line, also when nothing is done */
};
/* want: allocations that somebody asked for, or -1. */
void ranq_scale_decide(const struct ranq_scale_limits *limits, enum ranq_scale_mode mode, int want,
	const struct ranq_scale_work *work, const struct ranq_scale_state *state, int64_t now_ms,
	struct ranq_scale_plan *plan);

#endif

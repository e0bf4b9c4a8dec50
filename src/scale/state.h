/* state.h - what a scaler knows: its allocations, submissions of unknown outcome, what it spent, what went wrong.
 *
 * It lives in the record of the queue (pack, unpack), so that a scaler may die at any instant and go on on another
 * host. The rule that makes it safe: a submission is noted as a doubt and saved *before* the scheduler is asked; it
 * counts as an allocation until the scheduler's own list, which is asked by name, shows it or has not shown it for
 * DOUBT_MS. Times are wall clock and given by the caller. */
#ifndef RANQ_SCALE_STATE_H
#define RANQ_SCALE_STATE_H

#include "queue/queue.h"
#include "scale/scheduler.h"

#define RANQ_SCALE_ALLOCS_MAX 1000
#define RANQ_SCALE_DOUBTS_MAX 16
#define RANQ_SCALE_SUBMITS_MAX 1000 /* remembered for the limit an hour */
#define RANQ_SCALE_DOUBT_MS 60000
#define RANQ_SCALE_BACKOFF_FIRST_MS 15000
#define RANQ_SCALE_BACKOFF_MAX_MS 3600000
#define RANQ_SCALE_TROUBLE_MAX 255

/* expected = all of them */
enum ranq_scale_phase {
	RANQ_SCALE_PENDING,
	RANQ_SCALE_STARTING, /* has its nodes, has not joined yet */
	RANQ_SCALE_RUNNING,  /* its bridge serves the queue */
	RANQ_SCALE_LEAVING   /* drains, or its bridge has left */
};
const char *ranq_scale_phase_name(enum ranq_scale_phase phase);

struct ranq_scale_alloc {
	struct ranq_sched_job job;
	enum ranq_scale_phase phase;
	int64_t submitted_ms, started_ms; /* 0: not known */
	bool joined;                      /* its bridge was seen at some time */
	bool cancelled, drained;          /* asked by us */
	bool requeued;                    /* pending again: bridges that are still seen are of the run before */
	/* of its bridge as seen last */
	bool busy;
	unsigned ranks;
	int64_t idle_since_ms; /* 0: busy */
	char allocation[96];   /* what the bridge calls itself; "" none there */
};
struct ranq_scale_doubt {
	char token[RANQ_SCHED_TOKEN_MAX + 1];
	int64_t at_ms;
	unsigned nodes;
};

struct ranq_scale_state {
	struct ranq_scale_alloc *allocs;
	size_t n, cap;
	struct ranq_scale_doubt doubts[RANQ_SCALE_DOUBTS_MAX];
	size_t ndoubts;
	int64_t submits_ms[RANQ_SCALE_SUBMITS_MAX]; /* oldest first */
	size_t nsubmits;
	unsigned failures; /* in a row */
	int64_t backoff_until_ms;
	char trouble[RANQ_SCALE_TROUBLE_MAX + 1]; /* the last one */
	int64_t spent_ms;                         /* node-milliseconds of allocations that are over */
	int64_t listed_ms;                        /* last list that succeeded; 0: none yet by this process */
	uint64_t serial;
	unsigned need;          /* allocations, as decided last: for people */
	unsigned ranks;         /* of an allocation, as seen last; 0: none has joined yet */
	unsigned foreign_ranks; /* of bridges that are not ours */
};
void ranq_scale_state_init(struct ranq_scale_state *state);
void ranq_scale_state_clear(struct ranq_scale_state *state);

/* ---- events ---- */
/* A doubt with a token of its own; false: too many are open. */
bool ranq_scale_state_submitting(
	struct ranq_scale_state *state, unsigned nodes, int64_t now_ms, char token[RANQ_SCHED_TOKEN_MAX + 1]);
/* The scheduler gave it an id: an allocation instead of the doubt. */
int ranq_scale_state_submitted(
	struct ranq_scale_state *state, const char *token, const char *id, int64_t now_ms, struct ranq_err *err);
/* It was surely not submitted. */
void ranq_scale_state_forget(struct ranq_scale_state *state, const char *token);
/* Something that should not be repeated at once: back-off, doubled each time in a row. */
void ranq_scale_state_failed(struct ranq_scale_state *state, int64_t now_ms, const char *why);

/* What happened to allocations, one line each: for the log. */
typedef void ranq_scale_note(void *user, const char *line);
/* The scheduler's list, asked at asked_ms: everything that it knows by our name. */
int ranq_scale_state_listed(struct ranq_scale_state *state, const struct ranq_sched_list *list, int64_t asked_ms,
	int64_t now_ms, ranq_scale_note *note, void *user, struct ranq_err *err);
/* The bridges of the queue. driver: name of the scheduler. */
void ranq_scale_state_bridges(struct ranq_scale_state *state, const char *driver,
	const struct ranq_bridge_info *bridges, size_t n, int64_t now_ms, ranq_scale_note *note, void *user);

/* ---- questions ---- */
size_t ranq_scale_state_count(const struct ranq_scale_state *state, enum ranq_scale_phase phase);
/* Node-milliseconds spent and promised: of running allocations to their end, of pending ones their walltime. */
int64_t ranq_scale_state_committed(const struct ranq_scale_state *state, int64_t walltime_ms, int64_t now_ms);
size_t ranq_scale_state_submits_since(const struct ranq_scale_state *state, int64_t since_ms);

/* ---- the record ---- */
void ranq_scale_state_pack(const struct ranq_scale_state *state, struct ranq_buf *text);
/* Replaces all; what cannot be read is left out: the scheduler's list will tell. */
void ranq_scale_state_unpack(struct ranq_scale_state *state, const char *text);

#endif

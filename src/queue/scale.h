/* scale.h - the queue's part in elastic scaling: how much work there is for new allocations, and the record that
 * `ranq scale` keeps in the queue. Contract of the functions: PROTOCOL.md. */
#ifndef RANQ_QUEUE_SCALE_H
#define RANQ_QUEUE_SCALE_H

#include "queue/queue.h"

#define RANQ_DEMAND_JOBS_MAX 100
#define RANQ_SCALE_HOLD_MS_MAX 3600000
#define RANQ_SCALE_VALUE_MAX 262144

struct ranq_demand_job {
	uint64_t job, tasks, done, leased, waiting /* that nobody has */, elapsed_us /* of the done ones */;
	int64_t time_request_ms;
	char tags[128]; /* wanted, separated by commas */
};
struct ranq_demand {
	bool exists, paused;
	int64_t lease_ms;
	uint64_t ready; /* jobs with work to give; the first of them: */
	size_t n;
	struct ranq_demand_job jobs[RANQ_DEMAND_JOBS_MAX];
};
int ranq_queue_demand_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd);
int ranq_queue_demand_parse(const struct ranq_reply *r, struct ranq_demand *demand, struct ranq_err *err);

/* The record; values borrowed from r. */
struct ranq_scale_record {
	bool exists;
	int64_t left_ms; /* of its holder; 0: nobody holds it */
	char who[201];   /* the holder's name */
	size_t nfields, nlines;
};
int ranq_queue_scale_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, unsigned lines);
int ranq_queue_scale_get_parse(const struct ranq_reply *r, struct ranq_scale_record *record, struct ranq_err *err);
/* Entries of a reply that the parse function took. */
void ranq_queue_scale_field(const struct ranq_reply *r, size_t i, struct ranq_bytes *name, struct ranq_bytes *value);
struct ranq_bytes ranq_queue_scale_line(const struct ranq_reply *r, const struct ranq_scale_record *record, size_t i);

/* Becomes the holder, stays it, or (ms 0) lets go. who: shown to others, at most 200 bytes. */
int ranq_queue_scale_hold_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const char *holder, int64_t ms, const char *who);
int ranq_queue_scale_hold_parse(
	const struct ranq_reply *r, bool *held, struct ranq_scale_record *other, struct ranq_err *err);

/* Writes n fields (then as many ..._field calls) and lines (any number up to 100 of ranq_cmd_str). holder "": only
 * `mode` and `want`. Reply: ranq_queue_control_parse; STATE: another one holds the record; NOTFOUND: there is none. */
int ranq_queue_scale_set_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *holder, size_t n);
void ranq_queue_scale_set_field(struct ranq_cmd *cmd, const char *name, const char *value /* "" deletes */);
/* Forgets the record. */
int ranq_queue_scale_end_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *holder);

#endif

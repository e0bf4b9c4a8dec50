/* scheduler.h - what scaling asks of a batch scheduler: five calls, the same for slurm, pbs, local processes and the
 * simulated one of the tests.
 *
 * Nothing that a scheduler says is trusted. Errors of all calls: INPUT the scheduler refuses (err has its own words),
 * SERVER it cannot be asked or gives no usable answer (nothing was changed), and of submit UNKNOWN: it may or may not
 * have the job; the next lists tell, by the token. */
#ifndef RANQ_SCALE_SCHEDULER_H
#define RANQ_SCALE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

#define RANQ_SCHED_ID_MAX 95
#define RANQ_SCHED_TOKEN_MAX 23
#define RANQ_SCHED_NAME_MAX 15 /* the shortest job names: old PBS */
#define RANQ_SCHED_REASON_MAX 159
#define RANQ_SCHED_JOBS_MAX 5000
#define RANQ_SCHED_CALL_MS 30000 /* time limit of one call of a scheduler's program */

enum ranq_sched_state {
	RANQ_SCHED_PENDING,
	RANQ_SCHED_RUNNING,
	RANQ_SCHED_ENDING, /* its nodes are being freed */
	RANQ_SCHED_ENDED,
	RANQ_SCHED_FAILED /* ended, and not by its own will */
};
enum ranq_sched_wait {
	RANQ_SCHED_WAITS, /* its turn will come */
	RANQ_SCHED_LIMIT, /* a limit of the user, or a hold: more submissions would wait behind the same */
	RANQ_SCHED_NEVER  /* it can never start as it is */
};
const char *ranq_sched_state_name(enum ranq_sched_state state);

struct ranq_sched_job {
	char id[RANQ_SCHED_ID_MAX + 1];
	char token[RANQ_SCHED_TOKEN_MAX + 1]; /* given at submission; "": not told */
	enum ranq_sched_state state;
	enum ranq_sched_wait wait;              /* of PENDING */
	char reason[RANQ_SCHED_REASON_MAX + 1]; /* why it waits or failed, the scheduler's words; "" none */
	unsigned nodes;
	int64_t start_ms, end_ms; /* wall clock; of PENDING: the scheduler's estimate; 0: unknown */
};
struct ranq_sched_list {
	struct ranq_sched_job *jobs;
	size_t n, cap;
};
void ranq_sched_list_clear(struct ranq_sched_list *list);
/* A zeroed job at the end, or NULL (too many, no memory). */
struct ranq_sched_job *ranq_sched_list_add(struct ranq_sched_list *list);

struct ranq_sched_request {
	const char *name, *token;   /* name: of all allocations of one queue; token: of this submission */
	const char *script;         /* path of the job script */
	const char *log;            /* where its output shall go; ends in TOKEN.log */
	const char *const *options; /* further words for the submitting program */
	size_t noptions;
};

struct ranq_sched_driver {
	const char *name; /* bridges of allocation ID call themselves NAME:ID */
	int (*submit)(void *self, const struct ranq_sched_request *request, char id[RANQ_SCHED_ID_MAX + 1],
		struct ranq_err *err);
	/* Appends all jobs of this user with this name that the scheduler still knows. */
	int (*list)(void *self, const char *name, struct ranq_sched_list *list, struct ranq_err *err);
	/* Ends a job; one that is over already is no error. pending: only as long as it has not started, where the
	 * scheduler can do that. */
	int (*cancel)(void *self, const char *id, bool pending, struct ranq_err *err);
	/* Makes a pending job smaller; NULL: it cannot. */
	int (*shrink)(void *self, const char *id, unsigned nodes, struct ranq_err *err);
	/* One line for people: name, version, whether it answers. */
	int (*describe)(void *self, struct ranq_buf *text, struct ranq_err *err);
};
struct ranq_scheduler {
	const struct ranq_sched_driver *driver;
	void *self;
};

/* How drivers run programs: given by the launcher, replaced by tests. LC_ALL is C. */
struct ranq_tool_result {
	int status;               /* exit status, 128 + signal */
	struct ranq_buf out, err; /* bounded */
};
struct ranq_tools {
	/* -1: INPUT the program is not there, SERVER no end within timeout_ms or too much output (it is killed). The
	 * caller clears result in any case. */
	int (*run)(void *user, const char *const *argv, int timeout_ms, struct ranq_tool_result *result,
		struct ranq_err *err);
	void *user;
};
void ranq_tool_result_clear(struct ranq_tool_result *result);
/* The first lines of what a program said, without its "NAME: error: " in front; for messages. */
void ranq_tool_words(struct ranq_tool_result *result, char *text, size_t size);

/* Copies at most size - 1 bytes, control characters become blanks. */
void ranq_sched_text(char *into, size_t size, const char *text, size_t len);
/* Letters, digits and what else ids have; no option, no shell character. */
bool ranq_sched_id_ok(const char *id);
/* "2026-11-20T07:45:23" in local time -> wall ms; 0: anything else ("N/A", "Unknown"). */
int64_t ranq_sched_time_iso(const char *text);
/* TOKEN out of ".../TOKEN.log"; false: not ours. */
bool ranq_sched_token_of_log(const char *path, char token[RANQ_SCHED_TOKEN_MAX + 1]);

#endif

/* ranq.h - the public interface of ranq, for C and C++.
 *
 * Two sides. A *module* is a shared object with task functions; it needs this header only and links with nothing:
 *
 *     #include <ranq.h>
 *     int square(struct ranq_task *task)
 *     {
 *         double x = (double)ranq_task_index(task);
 *         return ranq_task_return_double(task, x * x);
 *     }
 *     RANQ_MODULE;
 *
 * A *client* links with libranq: it opens a queue, submits jobs, consumes results. No MPI is needed on either side.
 * All functions that can fail return 0 or a pointer, and -1 or NULL with ranq_last_error() otherwise. */
#ifndef RANQ_H
#define RANQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define RANQ_ZERO {}
#else
#define RANQ_ZERO {0}
#endif

#define RANQ_MODULE_ABI 1

/* ---- modules ---------------------------------------------------------------------------------------------------------- */
struct ranq_task; /* opaque; valid during one call of the body */

/* The table through which a module reaches the executor; use the ranq_task_* functions below. Grows at its end only. */
struct ranq_task_ops {
	uint32_t abi, size;
	uint64_t (*index)(const struct ranq_task *);
	const char *(*arg)(const struct ranq_task *, size_t *len);
	const void *(*data)(const struct ranq_task *, size_t *len);
	unsigned (*attempt)(const struct ranq_task *);
	double (*unif)(struct ranq_task *);
	double (*norm)(struct ranq_task *);
	void *(*scratch)(struct ranq_task *, size_t bytes);
	int (*cancelled)(const struct ranq_task *);
	double (*time_left)(const struct ranq_task *);
	int (*give)(struct ranq_task *, const void *data, size_t len);
	int (*fail)(struct ranq_task *, const char *message);
	void *(*state)(const struct ranq_task *);
	void (*set_state)(struct ranq_task *, void *state);
};
struct ranq_task_head {
	const struct ranq_task_ops *ops;
};
#define RANQ_TASK_OPS(task) (((const struct ranq_task_head *)(const void *)(task))->ops)

/* A body: returns 0, or another number to fail (becomes its exit code; ranq_task_fail gives a message). */
typedef int ranq_body(struct ranq_task *task);

/* 0-based index of the task. */
static inline uint64_t ranq_task_index(const struct ranq_task *task) { return RANQ_TASK_OPS(task)->index(task); }
/* The argument as text, NUL-terminated behind *len bytes (len may be NULL); "" when there is none. */
static inline const char *ranq_task_arg(const struct ranq_task *task, size_t *len) { return RANQ_TASK_OPS(task)->arg(task, len); }
/* Job data (--data), read-only and shared by all executors of a node; NULL and 0 when there is none. */
static inline const void *ranq_task_data(const struct ranq_task *task, size_t *len) { return RANQ_TASK_OPS(task)->data(task, len); }
/* 1 at the first attempt. */
static inline unsigned ranq_task_attempt(const struct ranq_task *task) { return RANQ_TASK_OPS(task)->attempt(task); }
/* Draw from the task's own stream: same numbers whatever worker, chunk or attempt. */
static inline double ranq_task_unif(struct ranq_task *task) { return RANQ_TASK_OPS(task)->unif(task); }
static inline double ranq_task_norm(struct ranq_task *task) { return RANQ_TASK_OPS(task)->norm(task); }
/* Zeroed memory until the body returns; NULL when there is none. */
static inline void *ranq_task_scratch(struct ranq_task *task, size_t bytes) { return RANQ_TASK_OPS(task)->scratch(task, bytes); }
/* Not 0 when the job was cancelled or the worker must leave: return soon. */
static inline int ranq_task_cancelled(const struct ranq_task *task) { return RANQ_TASK_OPS(task)->cancelled(task); }
/* Seconds until the allocation ends; infinity when unknown. */
static inline double ranq_task_time_left(const struct ranq_task *task) { return RANQ_TASK_OPS(task)->time_left(task); }
/* The result: bytes are copied; the last call counts. Returns 0, or -1 when too large (--max-output). */
static inline int ranq_task_return(struct ranq_task *task, const void *data, size_t len)
{
	return RANQ_TASK_OPS(task)->give(task, data, len);
}
static inline int ranq_task_return_double(struct ranq_task *task, double x) { return RANQ_TASK_OPS(task)->give(task, &x, sizeof x); }
static inline int ranq_task_return_doubles(struct ranq_task *task, const double *x, size_t n)
{
	return RANQ_TASK_OPS(task)->give(task, x, n * sizeof *x);
}
static inline int ranq_task_return_int64(struct ranq_task *task, int64_t x) { return RANQ_TASK_OPS(task)->give(task, &x, sizeof x); }
static inline int ranq_task_return_string(struct ranq_task *task, const char *text)
{
	size_t n = 0;
	while (text[n])
		n++;
	return ranq_task_return(task, text, n);
}
/* Why the body fails; use as `return ranq_task_fail(task, "negative mass")`. Returns 1. */
static inline int ranq_task_fail(struct ranq_task *task, const char *message) { return RANQ_TASK_OPS(task)->fail(task, message); }
/* Pointer that the worker's init stored; lives as long as job and executor. */
static inline void *ranq_task_state(const struct ranq_task *task) { return RANQ_TASK_OPS(task)->state(task); }
static inline void ranq_task_set_state(struct ranq_task *task, void *state) { RANQ_TASK_OPS(task)->set_state(task, state); }

/* Optional functions that a module may export, called once per job and executor, with the job data at hand:
 *   int ranq_module_init(struct ranq_task *task);   not 0: every task of the job fails here with its message
 *   void ranq_module_fini(struct ranq_task *task);
 * Put RANQ_MODULE; once into a module: it states the ABI that it was built for. */
#define RANQ_MODULE                                                                                 \
	extern const uint32_t ranq_module_abi;                                                          \
	__attribute__((visibility("default"))) const uint32_t ranq_module_abi = RANQ_MODULE_ABI

/* ---- clients ---------------------------------------------------------------------------------------------------------- */
struct ranq;     /* a queue, opened */
struct ranq_job; /* a job that was submitted or attached to */

/* server NULL: RANQ_SERVER, the config file, the connection file of `ranq server`; queue NULL: RANQ_QUEUE or "default". */
struct ranq *ranq_open(const char *server, const char *queue);
void ranq_close(struct ranq *ranq); /* takes NULL */
const char *ranq_last_error(void);  /* of this thread; one line */
int ranq_last_status(void);         /* exit status that fits: 2 input, 3 server, 4 not found, 5 not finished */

/* Generator of arguments: writes the next argument through *arg, *len (borrowed until the next call); 1: one more, 0: end, 2: none at
 * present, ask again, -1: failed. Called from ranq_submit until a fifth of a second or a megabyte is over, and after that from
 * ranq_foreach, ranq_next and ranq_wait of its job, which must be called at least once in a minute: a job whose producer is silent for
 * longer is closed. One call must not take longer either: return 2 rather than wait. */
typedef int ranq_generator(void *user, const char **arg, size_t *len);

/* Begin with RANQ_SUBMIT_INIT, then set what you need. Exactly one of command and function. */
struct ranq_submit_options {
	size_t size; /* of this struct when the caller was built; set by RANQ_SUBMIT_INIT */
	const char *name;
	const char *const *command; /* NULL-terminated argv, replacement strings as in `ranq run` */
	const char *module;         /* file: sent with the job */
	const char *module_path;    /* or path on the nodes */
	const char *function;
	uint64_t tasks;                  /* N when there are no arguments */
	const char *const *args;         /* or N arguments */
	ranq_generator *generator;       /* or streamed */
	void *generator_user;
	const void *data; /* job data */
	size_t data_bytes;
	uint64_t chunk; /* 0: auto */
	uint32_t seed;
	int has_seed;
	int priority;
	unsigned retries, max_deaths;
	double timeout_s;
	int stop_on_error;
	int keep_results; /* 1 keep (default), 0 count only */
	uint64_t backlog_bytes, max_output_bytes;
	uint64_t memory_bytes; /* that a task may take; 0: no limit */
};
/* In the caller, so that it is the caller's own idea of the struct that the library checks. */
static inline struct ranq_submit_options ranq_submit_init(void)
{
	struct ranq_submit_options options = RANQ_ZERO;
	options.size = sizeof options;
	options.max_deaths = 5;
	options.keep_results = 1;
	options.backlog_bytes = 256000000;
	options.max_output_bytes = 16u << 20;
	return options;
}
#define RANQ_SUBMIT_INIT ranq_submit_init()

struct ranq_job *ranq_submit(struct ranq *ranq, const struct ranq_submit_options *options);
struct ranq_job *ranq_job_attach(struct ranq *ranq, const char *job_id); /* "7", "QUEUE/7", "last" */
void ranq_job_close(struct ranq_job *job); /* before ranq_close; the job itself goes on, but an unfinished input ends here */
const char *ranq_job_id(const struct ranq_job *job);                 /* "QUEUE/7" */

enum ranq_status { RANQ_STATUS_OK, RANQ_STATUS_ERROR, RANQ_STATUS_DIED, RANQ_STATUS_TIMEOUT, RANQ_STATUS_CANCELLED };
struct ranq_value {
	uint64_t index;
	enum ranq_status status;
	const void *data; /* borrowed until the next call */
	size_t len;
};
/* Next result, in task order or as they come (the first call decides); memory is bounded. 1: *value; 0: no more; -1: failed.
 * timeout_s < 0: wait for ever; over: -1 with status 5. The caller becomes the one consumer of the job: results that earlier calls
 * delivered may be acknowledged by this one, which frees them in the server; acknowledged results never come again, others come to
 * the next consumer. Tasks that never ran, or whose results were freed, are left out. */
int ranq_next(struct ranq_job *job, struct ranq_value *value, int unordered, double timeout_s);
/* 1: finished, all tasks succeeded; 0: finished otherwise; -1. */
int ranq_wait(struct ranq_job *job, double timeout_s);
int ranq_cancel(struct ranq_job *job);
int ranq_remove(struct ranq_job *job);

struct ranq_progress {
	uint64_t tasks, done, failed;
	unsigned workers;
	int held; /* results unread: workers wait for the reader */
	const char *state; /* "RUNNING", ... */
};
int ranq_progress_get(struct ranq_job *job, struct ranq_progress *progress);

#ifdef __cplusplus
}
#endif

#endif

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
	int (*fail_with)(struct ranq_task *, const char *message);
	void *(*state)(const struct ranq_task *);
	void (*set_state)(struct ranq_task *, void *state);
	void *(*cache_get)(struct ranq_task *, const char *name, size_t *bytes);
	int (*cache_put)(struct ranq_task *, const char *name, void *value, size_t bytes, void (*destroy)(void *));
	int (*cache_copy)(struct ranq_task *, const char *name, const void *data, size_t len);
	void (*cache_limit)(struct ranq_task *, size_t bytes);
	uint64_t (*seed)(const struct ranq_task *);
	void (*set_seed)(struct ranq_task *, uint32_t seed);
	void (*next_substream)(struct ranq_task *);
	void (*stream)(const struct ranq_task *, uint32_t state[6]);
};
struct ranq_task_head {
	const struct ranq_task_ops *ops;
};
#define RANQ_TASK_OPS(task) (((const struct ranq_task_head *)(const void *)(task))->ops)
/* An executor older than this header has a shorter table. */
#define RANQ_TASK_HAS(task, member) (RANQ_TASK_OPS(task)->size > offsetof(struct ranq_task_ops, member))

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
/* For a generator of your own: a number from 1 to 2^31 - 1 that belongs to the task, as RANQ_SEED and {seed} of commands; it is
 * floor(u * 2147483647) + 1 of the first uniform number u of the task's stream, which stays as it is. Or all of the stream's beginning: six
 * numbers, the first three below 4294967087, the others below 4294944443. */
static inline uint64_t ranq_task_seed(const struct ranq_task *task) { return RANQ_TASK_OPS(task)->seed(task); }
static inline void ranq_task_stream(const struct ranq_task *task, uint32_t state[6]) { RANQ_TASK_OPS(task)->stream(task, state); }
/* A stream of your own choice for the rest of this attempt: what R draws after RNGkind("L'Ecuyer-CMRG"); set.seed(seed). */
static inline void ranq_task_set_seed(struct ranq_task *task, uint32_t seed) { RANQ_TASK_OPS(task)->set_seed(task, seed); }
/* Goes to the beginning of the stream's next substream (2^76 numbers behind that of the present one, as R's nextRNGSubStream): parts of a
 * task that draw from substreams of their own do not depend on how many numbers the others drew. */
static inline void ranq_task_next_substream(struct ranq_task *task) { RANQ_TASK_OPS(task)->next_substream(task); }
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
static inline int ranq_task_fail(struct ranq_task *task, const char *message) { return RANQ_TASK_OPS(task)->fail_with(task, message); }
/* Pointer that the worker's init stored; lives as long as job and executor. */
static inline void *ranq_task_state(const struct ranq_task *task) { return RANQ_TASK_OPS(task)->state(task); }
static inline void ranq_task_set_state(struct ranq_task *task, void *state) { RANQ_TASK_OPS(task)->set_state(task, state); }

/* A reduce function (`--reduce NAME`) joins two results into one: `into` holds the value of some consecutive tasks, and takes in that of
 * the tasks right behind them. It must be associative: (a b) c = a (b c); order is kept, so it need not be commutative. Runs in executors,
 * also in one that only joins what others gave, and in the client that reads: not behind ranq_module_init everywhere. Returns 0; anything
 * else: the two do not go together, and `into` is as it was. */
struct ranq_partial {
	void *data; /* aligned for any type; so is `value` */
	size_t len;
	int (*resize)(struct ranq_partial *into, size_t len); /* keeps what is there, new bytes are zero; -1: too large */
};
typedef int ranq_reducer(struct ranq_partial *into, const void *value, size_t len);

/* A cache for what is costly to make and needed again: by the next task, or by a task of the next job. It belongs to the executor, which
 * goes on from job to job as long as they have the same module, sent with them, and the same environment (--env), and nothing else runs
 * between them on its slot. A crash, a time-out or a kill empties it, so does a command, or another module; with --module-path it ends
 * with the job. Use it for speed, never for what must be there.
 *
 * Names are the module's own. The sum of the sizes has a limit (256 MiB unless ranq_task_cache_limit sets another one): what was not used
 * for the longest time is destroyed first, never what the running call has got or put. With --memory, all of it counts. */

/* The value of this name, NULL when there is none; *bytes (may be NULL) is its size. Valid until the call of the function ends. */
static inline void *ranq_task_cache_get(struct ranq_task *task, const char *name, size_t *bytes)
{
	if (bytes)
		*bytes = 0;
	return RANQ_TASK_HAS(task, cache_get) ? RANQ_TASK_OPS(task)->cache_get(task, name, bytes) : (void *)0;
}
/* Keeps value, which counts as so many bytes, in the place of what had this name; destroy (may be NULL) is called at its end. -1: there is
 * no room for it beside what is in use: value stays the caller's. */
static inline int ranq_task_cache_put(
	struct ranq_task *task, const char *name, void *value, size_t bytes, void (*destroy)(void *))
{
	return RANQ_TASK_HAS(task, cache_put) ? RANQ_TASK_OPS(task)->cache_put(task, name, value, bytes, destroy) : -1;
}
/* The same for a copy of bytes. */
static inline int ranq_task_cache_copy(struct ranq_task *task, const char *name, const void *data, size_t len)
{
	return RANQ_TASK_HAS(task, cache_copy) ? RANQ_TASK_OPS(task)->cache_copy(task, name, data, len) : -1;
}
static inline void ranq_task_cache_limit(struct ranq_task *task, size_t bytes)
{
	if (RANQ_TASK_HAS(task, cache_limit))
		RANQ_TASK_OPS(task)->cache_limit(task, bytes);
}

/* Optional functions that a module may export, called once per job and executor, with the job data at hand:
 *   int ranq_module_init(struct ranq_task *task);   before its first task; not 0: every task of the job fails here with its message
 *   void ranq_module_fini(struct ranq_task *task);   when the job has had no work here for 5 s, or the worker leaves. Not called when init
 *                                                    failed, or the executor was killed; killed itself after 2 s when others wait for it
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
 * longer is closed. One call must not take longer either: return 2 rather than wait. It is asked for each argument once, also when the
 * server comes back with a state some seconds older; if that lost an argument above 1 MiB which was in the queue already, the job ends as
 * ERROR. An argument has at most 1 MiB; of a function 4 GiB, and then its bytes are sent from where they are.
 * A program that makes tasks one after the other, each when it has seen a result or its user wants one, keeps one such job: its generator
 * gives what there is, then 2. Each ranq_next that has no result at hand asks it first, and when all earlier tasks are done what it gives
 * leaves at once; there is no shorter way to a worker and back. */
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
	const char *arg_file;            /* or a line a task; "-": standard input; streamed unless a regular file */
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
	const char *reduce;    /* sum_int64, sum_double, min_..., max_..., count, or a reduce function of the module: see ranq_reduced */
	int reduce_ordered;    /* the same bits whatever workers and chunks */
	const char *require;   /* run only on workers with this tag, or these: "gpu,avx512" */
	int sticky;            /* task k goes to the worker that had task k of an earlier such job, unless it is busy and another idle */
	const char *const *env; /* NULL-terminated "NAME=VALUE" for the tasks */
	const char *cwd;        /* working directory of the tasks; NULL: that of their worker */
	const char *offload;    /* results above 1 MiB go to files below this directory (absolute) that all workers and readers see; NULL: none do */
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
	const void *data; /* borrowed until the next call; of a failed task what it gave before it failed */
	size_t len;
	const char *error; /* why it failed, borrowed likewise; NULL: it did not */
};
/* What a task returned with ranq_task_return_double and its sisters; NaN, 0 or no element when it returned something else. */
static inline double ranq_value_double(const struct ranq_value *value)
{
	double x = __builtin_nan("");
	if (value->len == sizeof x)
		__builtin_memcpy(&x, value->data, sizeof x);
	return x;
}
static inline int64_t ranq_value_int64(const struct ranq_value *value)
{
	int64_t x = 0;
	if (value->len == sizeof x)
		__builtin_memcpy(&x, value->data, sizeof x);
	return x;
}
/* Copies at most n; returns how many there are. */
static inline size_t ranq_value_doubles(const struct ranq_value *value, double *x, size_t n)
{
	size_t have = value->len % sizeof *x ? 0 : value->len / sizeof *x;
	if (have && n)
		__builtin_memcpy(x, value->data, (have < n ? have : n) * sizeof *x);
	return have;
}
/* Next result, in task order or as they come (the first call decides); memory is bounded. 1: *value; 0: no more; -1: failed.
 * timeout_s < 0: wait for ever; over: -1 with status 5. The caller becomes the one consumer of the job: results that earlier calls
 * delivered may be acknowledged by this one, which frees them in the server; acknowledged results never come again, others come to
 * the next consumer. Tasks that never ran, or whose results were freed, are left out. */
int ranq_next(struct ranq_job *job, struct ranq_value *value, int unordered, double timeout_s);
/* 1: finished, all tasks succeeded; 0: finished otherwise; -1. */
int ranq_wait(struct ranq_job *job, double timeout_s);
/* The one value of a job with a reduction, when the job is over: 1: of all tasks; 0: of those that succeeded; -1. value->index is how
 * many these are; without any there is no data. reducer: the job's reduce function in this program, which joins what comes from the
 * workers; NULL: built in, or taken from the module that the job was submitted with, which is then loaded here. The caller becomes the
 * one consumer of the job, which frees what was joined; when it dies another one goes on exactly there. */
int ranq_reduced(struct ranq_job *job, ranq_reducer *reducer, struct ranq_value *value, double timeout_s);
int ranq_cancel(struct ranq_job *job);
int ranq_remove(struct ranq_job *job);

struct ranq_progress {
	uint64_t tasks, done, failed;
	unsigned workers; /* compute ranks that serve the queue */
	int held; /* results unread: workers wait for the reader */
	const char *state; /* "RUNNING", ... */
	int open;     /* the input has not ended: there will be more tasks */
	double rate;  /* tasks a second, lately; < 0: not known yet */
	double eta_s; /* seconds to the end at that rate; < 0: not known */
};
int ranq_progress_get(struct ranq_job *job, struct ranq_progress *progress);
/* One line on standard error, if that is a terminal: how far, how fast, time left, workers, failed. Call it as often as you like. */
int ranq_bar_show(struct ranq_job *job);
void ranq_bar_hide(struct ranq_job *job); /* before other text is written */

/* ---- foreach ---------------------------------------------------------------------------------------------------------- */
/* Takes n >= 1 results into what the caller makes of them; not 0: foreach ends with an error. */
typedef int ranq_combine(void *user, const struct ranq_value *values, size_t n);

enum ranq_on_failure {
	RANQ_FAILURE_STOP,   /* the first failed task ends foreach, which names it; the rest is cancelled */
	RANQ_FAILURE_REMOVE, /* failed tasks are left out */
	RANQ_FAILURE_PASS    /* they come to combine like others: status and error say so */
};

/* Begin with RANQ_FOREACH_INIT, then set what you need; combine at least. */
struct ranq_foreach_options {
	size_t size;                    /* of this struct when the caller was built; set by RANQ_FOREACH_INIT */
	struct ranq_submit_options job; /* what is computed; not looked at by ranq_job_foreach */
	ranq_combine *combine;
	void *user;   /* handed to all functions here */
	size_t batch; /* most results of one call of combine; 1 (default): one at a time */
	int unordered; /* as they come, not in task order */
	enum ranq_on_failure on_failure;
	/* What was combined so far, so that another client can go on with it: plain memory, or two functions. What is in there at the
	 * beginning is the initial value. It is saved in the queue together with the note which results it contains; at most 64 MiB. */
	void *accumulator;
	size_t accumulator_bytes;
	int (*save)(void *user, const void **data, size_t *len); /* borrowed until the next call; not 0: failed */
	int (*load)(void *user, const void *data, size_t len);
	/* Read all results from the first one on, and leave them in the server for others. */
	int from_start;
	int (*final)(void *user); /* once, behind the last result; not 0: failed */
	/* Every progress_s seconds (default 1) and at the end; not 0: foreach ends, the job goes on. */
	int (*progress)(void *user, const struct ranq_progress *progress);
	double progress_s;
	int bar;          /* a progress bar on standard error, if that is a terminal */
	double timeout_s; /* give up after so long with status 5; < 0 (default): never */
};
static inline struct ranq_foreach_options ranq_foreach_init(void)
{
	struct ranq_foreach_options options = RANQ_ZERO;
	options.size = sizeof options;
	options.job = ranq_submit_init();
	options.batch = 1;
	options.progress_s = 1;
	options.timeout_s = -1;
	return options;
}
#define RANQ_FOREACH_INIT ranq_foreach_init()

/* Submits the job, combines its results as they come, removes the job when all tasks succeeded. 1: all did (of none at all, when tasks
 * is 0: then final alone is called); 0: some failed and were left out or passed; -1: not done. Memory is bounded whatever the number of
 * tasks. After STOP, and when combine or final fails, the job is cancelled; after other errors (server, time-out, interrupt by progress)
 * it goes on: ranq_last_error names it. */
int ranq_foreach(struct ranq *ranq, const struct ranq_foreach_options *options);
/* The same for a job that is there, which is cancelled after STOP only and never removed. Results that an earlier client acknowledged
 * are in the accumulator that it saved, which is loaded first: so each result is combined exactly once, whoever dies. The same handle
 * may go on after a time-out. */
int ranq_job_foreach(struct ranq_job *job, const struct ranq_foreach_options *options);

#ifdef __cplusplus
}
#endif

#endif

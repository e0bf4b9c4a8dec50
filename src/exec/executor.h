/* executor.h - inside of an executor process: one struct, its jobs, its outbox, and the kinds of bodies.
 *
 * An executor is forked by ranq-exec, speaks with its rank over one socket and works off runs in order. It is
 * single-threaded; what must be noticed while a function runs (truncate, cancel) is in the progress page. It serves
 * either commands (any number of jobs) or one module in one environment: the rank sees to that. */
#ifndef RANQ_EXEC_EXECUTOR_H
#define RANQ_EXEC_EXECUTOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "exec/environment.h"
#include "exec/wire.h"
#include "record/input.h"
#include "record/offload.h"
#include "record/reduce.h"
#include "record/segment.h"
#include "record/spec.h"

#define RANQ_ERR_TAIL_BYTES (6u << 10)
#define RANQ_GRACE_DEFAULT_MS 2000
#define RANQ_RARE __attribute__((noinline)) /* keeps what tasks of no length never do out of their way */

struct ranq_executor;
struct ranq_executor_job;

/* How one attempt of a task ended. Pointers are valid until the next attempt. */
struct ranq_outcome {
	enum ranq_task_status status;
	bool interrupted; /* ended because of cancel or warn: not a result */
	const void *data;
	size_t len;
	bool in_file; /* all of it, `data` too, is in `file` */
	struct ranq_file_ref file;
	bool in_slices; /* they were sent */
	struct ranq_split split;
	int exit_code, signal;
	struct ranq_bytes err_tail;
	char reason[160];
};

struct ranq_run {
	uint64_t number, job, start, end, input_base;
	int64_t end_ms;
	unsigned tries, deaths; /* of task `start` so far */
	bool merge;             /* `input` is results to join */
	struct ranq_buf input;
	bool large;           /* the argument of its only task was a file: */
	char *argument;       /* mapped, NUL-terminated behind its bytes; NULL: that failed (errno in argument_errno) */
	size_t argument_len;
	int argument_errno;
	/* walk over the input: `line` is that of task next_index - 1 */
	struct ranq_input_reader reader;
	struct ranq_bytes line;
	uint64_t next_index;
};

/* What the body of a task sees of itself. */
struct ranq_attempt {
	struct ranq_run *run;
	uint64_t index;
	unsigned attempt;
	uint64_t seq;
};

/* When results are sent: see executor_run.c. */
struct ranq_look {
	int64_t now_ms; /* of the last look at the clock */
	unsigned skip, step;
};

/* A kind of body: commands, functions of modules. */
struct ranq_body_kind_ops {
	/* Once for each job, before its first task. -1: every task of the job fails with this message. */
	int (*open)(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_err *err);
	void (*run)(struct ranq_executor *x, struct ranq_executor_job *job, const struct ranq_attempt *attempt,
		struct ranq_outcome *out);
	void (*close)(struct ranq_executor *x, struct ranq_executor_job *job);
	/* Optional: the first attempts of tasks from attempt->index on, for as long as they succeed, their results are
	 * small and it is not time to send. True: attempt->index was tried, *out says how it ended, the rest is the
	 * caller's. */
	bool (*burst)(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_attempt *attempt,
		struct ranq_outcome *out, struct ranq_look *look);
};
extern const struct ranq_body_kind_ops ranq_command_ops, ranq_function_ops;

struct ranq_executor_job {
	LIST_ENTRY(ranq_executor_job) link;
	uint64_t id;
	char *id_text;
	struct ranq_spec spec;
	int module_fd, data_fd;
	const struct ranq_body_kind_ops *ops;
	bool opened, broken, offload;
	bool merges; /* opened for its reduce function only */
	bool offload_made; /* see ranq_offload_begin */
	char broken_reason[160];
	struct ranq_environment env; /* constant part */
	struct ranq_reduce reduce;
	void *body;                  /* of its kind */
};

/* Results on their way to the rank: those of consecutive tasks of one run. */
struct ranq_outbox {
	struct ranq_segment_writer writer;
	struct ranq_reduction reduction; /* instead, in a job with one */
	struct ranq_buf failures, frame;
	uint64_t nfailures, number, from, count, counts[RANQ_TASK_STATUS_COUNT];
	int64_t since_ns, flushed_ms;
	int64_t run_ns, held_ns; /* start of the run; of the first run that `frame` has something of */
};

/* What CANCEL and WARN ask of a running command. */
struct ranq_interrupt {
	bool wanted;
	int sig;         /* 0: none */
	int64_t kill_ms; /* monotonic */
	bool sent;
};

struct ranq_executor {
	int fd; /* data socket, blocking */
	struct ranq_page *page;
	char *cpus, *mark;
	unsigned slot, id, ncores;
	char host[64], worker[80];
	LIST_HEAD(, ranq_executor_job) jobs;
	struct ranq_run runs[RANQ_WIRE_RUNS];
	unsigned nruns;
	struct ranq_buf in;
	int in_fds[2 * RANQ_WIRE_FDS]; /* of a frame that is not whole yet, and of the next one */
	unsigned nin_fds;
	struct ranq_outbox out;
	struct ranq_interrupt interrupt;
	char *home;                /* where we started */
	const struct ranq_executor_job *entered; /* whose directory we are in; NULL: not known */
	uint64_t seq;              /* copy of page->seq */
	int64_t oom_kills;         /* seen so far */
	bool worn;                 /* to end after this task: its memory is full of what others left */
	struct ranq_task_log *log; /* what functions print */
	struct ranq_buf numbers;   /* of an output that is reduced */
	struct ranq_cache *cache;  /* of functions */
	struct ranq_spawner *spawner;
	struct ranq_offload_file *spill; /* first part of the task's output; its end is in memory */
};

struct ranq_executor_options {
	int fd, page_fd;
	unsigned slot, id;
	const char *cpus; /* NULL: not bound */
	int numa_node;
	unsigned ncores; /* for OMP_NUM_THREADS; 0: leave it */
};
/* Serves until the data socket ends; never returns. The caller has set up process attributes that survive (PDEATHSIG).
 */
_Noreturn void ranq_executor_main(const struct ranq_executor_options *options);

/* Takes in what the socket holds without blocking (wait: blocks for the first byte). The executor ends when the rank is
 * gone. */
void ranq_executor_pump(struct ranq_executor *x, bool wait);
void ranq_executor_close_files(struct ranq_executor_job *job);
bool ranq_run_stopped(const struct ranq_executor *x, const struct ranq_run *run);
/* No task of the run from there on is to be started. */
static inline uint64_t ranq_run_limit(const struct ranq_executor *x, const struct ranq_run *run)
{
	return atomic_load_explicit(&x->page->runs[run->number % RANQ_WIRE_RUNS].limit, memory_order_acquire);
}
/* What runs, for the rank: it reads `task` only while it sees an odd seq. The fence (no instruction on x86) keeps the
 * name of this task behind the even seq of the one before it. */
static inline void ranq_executor_begin(struct ranq_executor *x, const struct ranq_run *run, uint64_t index)
{
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&x->page->task, index, memory_order_relaxed);
	atomic_store_explicit(&x->page->run, run->number, memory_order_relaxed);
	atomic_store_explicit(&x->page->seq, ++x->seq, memory_order_release);
}
static inline void ranq_executor_end_task(struct ranq_executor *x)
{
	atomic_store_explicit(&x->page->seq, ++x->seq, memory_order_release);
}
/* Begins the task, unless the run ends before it. It is named first and only then asked for: see slot_shorten.c, which
 * reads in the other order. The compiler must not turn this round; the processor does for as long as a store waits in its
 * buffer, and for that the rank waits, once, so that no task pays for a fence. */
static inline bool ranq_executor_claim(struct ranq_executor *x, const struct ranq_run *run, uint64_t index)
{
	ranq_executor_begin(x, run, index);
	atomic_signal_fence(memory_order_seq_cst);
	if (index < ranq_run_limit(x, run))
		return true;
	ranq_executor_end_task(x);
	return false;
}
/* Behind a task of a burst: is it time to look whether to send? */
bool ranq_look_now(struct ranq_look *look, const struct ranq_executor *x, const struct ranq_executor_job *job);
static inline bool ranq_look_due(
	struct ranq_look *look, const struct ranq_executor *x, const struct ranq_executor_job *job)
{
	return !--look->skip && ranq_look_now(look, x, job);
}
/* Constant environment of a job; common to both kinds. */
int ranq_executor_environment(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_err *err);
/* Goes to the job's directory, unless the run before was of this job, too: the directory may have been removed and made
 * again between two jobs, and asking a file server at each run would be too much. */
int ranq_executor_enter(struct ranq_executor *x, const struct ranq_executor_job *job, struct ranq_err *err);
/* The argument of a task (ranq_arg_clear it). Tasks of a run are asked for in rising order, each as often as needed. */
int ranq_executor_arg(const struct ranq_executor_job *job, const struct ranq_attempt *attempt, struct ranq_arg *arg,
	struct ranq_err *err);
/* Works off one run and reports it. */
void ranq_executor_work(struct ranq_executor *x, struct ranq_run *run);
/* With the fini of all jobs. status: 0, or RANQ_EXECUTOR_WORN: the task that the page names wants another try elsewhere. */
#define RANQ_EXECUTOR_WORN 73
_Noreturn void ranq_executor_end(struct ranq_executor *x, int status);
/* Moves what the task has given so far to the file of its output. -1: errno; there is no such file then. */
int ranq_executor_spill(struct ranq_executor *x, struct ranq_executor_job *job, const void *data, size_t len);
/* A result that could not be written: errno says why. */
void ranq_executor_no_file(const struct ranq_executor *x, const struct ranq_executor_job *job, struct ranq_outcome *out);
/* "the body failed": status ERROR with this reason. */
void ranq_outcome_error(struct ranq_outcome *out, int exit_code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- outbox ------------------------------------------------------------------------------------------------------ */
#define RANQ_OUTBOX_FLUSH_MS 20
#define RANQ_OUTBOX_FLUSH_BYTES (256u << 10)
void ranq_outbox_init(struct ranq_outbox *out);
void ranq_outbox_start(struct ranq_outbox *out, const struct ranq_run *run, const struct ranq_reduce *reduce);
/* Adds the next task of the run; 0, or -1: does not fit into memory. */
int ranq_outbox_add(struct ranq_outbox *out, const struct ranq_spec *spec, const struct ranq_outcome *outcome);
/* The same for a small result of a task that succeeded; false: nothing was done, take the long way. */
#define RANQ_OUTBOX_SMALL 1024u
static inline bool ranq_outbox_add_small(
	struct ranq_outbox *out, const struct ranq_executor_job *job, const void *data, size_t len)
{
	if (job->reduce.kind) {
		if (job->reduce.text || !ranq_reduction_add8(&out->reduction, data, len))
			return false;
	} else if (job->spec.results == RANQ_RESULTS_KEEP) {
		if (len > RANQ_OUTBOX_SMALL || ranq_segment_writer_add(&out->writer, RANQ_TASK_OK, data, len) < 0)
			return false;
	}
	out->counts[RANQ_TASK_OK]++;
	out->count++;
	return true;
}
int ranq_outbox_add_failure(struct ranq_outbox *out, const struct ranq_failure *failure);
/* Is it time to send? now_ms: CLOCK_MONOTONIC_COARSE will do. */
bool ranq_outbox_due(const struct ranq_outbox *out, int64_t now_ms);
/* Makes a frame of what there is (done: even of nothing). -1: out of memory. */
int ranq_outbox_pack(struct ranq_outbox *out, bool done);
/* Directly behind pack: may the frames wait for those of the next run? */
bool ranq_outbox_may_hold(const struct ranq_outbox *out);
/* Is anything here that was not sent? */
bool ranq_outbox_holds(const struct ranq_outbox *out);
/* Takes in all results of the run at once, joined. -1: they cannot be. */
int ranq_outbox_merge(struct ranq_outbox *out, const struct ranq_run *run, struct ranq_err *err);
/* Sends the frames. -1: the rank is gone. */
int ranq_outbox_send(struct ranq_outbox *out, int fd);
/* Sends a slice of a task's result, past the frames: send these before it. -1: the rank is gone, or out of memory. */
int ranq_outbox_send_slice(struct ranq_outbox *out, int fd, uint64_t task, const struct ranq_split *split, uint64_t slice,
	const void *data);

#endif

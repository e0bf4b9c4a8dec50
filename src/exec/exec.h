/* exec.h - what a rank sees of running tasks: a fork server (`ranq-exec`) and executor slots.
 *
 * Start the fork server before MPI_Init. All descriptors are CLOEXEC and meant for one event loop: watch ranq_exec_fd()
 * and the fd of each slot for reading (and writing while ranq_slot_wants_write), then call ranq_exec_pump() and
 * ranq_slot_pump(). Nothing here blocks, but for some ms of sweeping when ranq-exec has died. No Redis, no MPI. The
 * wire formats are in exec/wire.h. */
#ifndef RANQ_EXEC_EXEC_H
#define RANQ_EXEC_EXEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "record/segment.h"
#include "record/spec.h"

struct ranq_exec_options {
	const char *program;   /* path of ranq-exec; NULL: beside the running program, else $PATH */
	const char *mark;      /* value of RANQ_MARK for everything below: "<bridge id>.<rank>" */
	const char *queue, *worker /* RANQ_WORKER */;
	unsigned rank;         /* RANQ_RANK */
	int black_box;         /* where ranq-exec notes that this rank died (exec/black_box.h); stays the caller's; 0: nowhere */
	const struct rlimit *files; /* descriptors that tasks may have; NULL: as many as this process */
	size_t max_buffer;     /* bytes of results that a slot may hold unsent; 0: 64 MiB */
};
struct ranq_exec;
struct ranq_exec *ranq_exec_open(const struct ranq_exec_options *options, struct ranq_err *err);
/* Ends executors (TERM, after grace_ms KILL of their groups and everything marked), waits for ranq-exec. Takes NULL. */
void ranq_exec_close(struct ranq_exec *exec, int grace_ms);
int ranq_exec_fd(const struct ranq_exec *exec); /* changes when ranq-exec had to be started again */
/* Handles reports of the fork server. When it died: sweeps by mark, starts another, its slots are dead. -1: cannot be
 * restarted for 5 s; said once, from then on it stays away. */
int ranq_exec_pump(struct ranq_exec *exec, struct ranq_err *err);
/* Next time at which ranq_exec_pump must be called, or RANQ_NEVER. */
int64_t ranq_exec_deadline_ms(const struct ranq_exec *exec);

/* A job as the executors need it. Shared by all slots of a rank; files are memfds (or -1) that stay the caller's. */
struct ranq_exec_job {
	uint64_t job;
	const char *id_text;   /* "QUEUE/7" = RANQ_JOB */
	struct ranq_bytes spec; /* packed spec */
	int module_fd, data_fd;
};

/* A slot: one executor at a time, started on demand, again after a crash; one chunk at a time, others may be queued
 * behind it, so that short ones cost no round trip each. */
#define RANQ_SLOT_QUEUE 32
struct ranq_slot_options {
	const char *cpus;      /* "0,2-3" or NULL: do not bind */
	int numa_node;         /* memory preference, -1 none */
	unsigned ncores;       /* OMP_NUM_THREADS of its tasks unless set; 0: leave it */
	unsigned slot;
};
struct ranq_slot;
struct ranq_slot *ranq_slot_create(struct ranq_exec *exec, const struct ranq_slot_options *options,
	struct ranq_err *err);
void ranq_slot_destroy(struct ranq_slot *slot);
int ranq_slot_fd(const struct ranq_slot *slot); /* may change after a restart; -1 while no executor runs */
bool ranq_slot_wants_write(const struct ranq_slot *slot);

struct ranq_chunk {
	uint64_t job, id;         /* id: the caller's name for the chunk */
	uint64_t start, end;
	unsigned deaths;          /* of the (single) task so far, from the queue */
	int64_t end_ms;           /* monotonic end of the allocation, RANQ_NEVER */
	struct ranq_bytes input;  /* one input block holding exactly the lines of [start, end), or empty */
	/* Runs no task: `input` is the reduced results of [start, end), which the module's reduce function joins. Its one
	 * event has them, or none (upto == start) when that failed or its executor died. A slot that is given such chunks
	 * is given no others. */
	bool merge;
	bool large;      /* of one task: its argument is the file argument_fd (duplicated), not the line of `input` */
	int argument_fd;
};
/* What came out of a slot. `chunk` is finished when upto == its (possibly lowered) end. */
enum ranq_slot_event_kind {
	RANQ_SLOT_NOTHING,
	RANQ_SLOT_RESULTS, /* tasks [from, upto) are over */
	RANQ_SLOT_SLICE,   /* of the result of task `from`, which is not reported yet (record/split.h) */
	RANQ_SLOT_SHORTENED, /* a truncated chunk goes on, but ends at `upto` at the latest: the rest was not and will not be begun */
	RANQ_SLOT_DIED,    /* the executor died and the task was given up as DIED already reported by RESULTS; informative */
};
struct ranq_slot_event {
	enum ranq_slot_event_kind kind;
	uint64_t job, chunk, from, upto;
	struct ranq_bytes segment; /* packed results in final form (empty for count/none); valid until the next pump */
	uint64_t counts[RANQ_TASK_STATUS_COUNT], elapsed_us;
	size_t nfailures;
	const uint64_t *failure_index;
	const struct ranq_bytes *failures; /* packed ranq_failure */
	bool chunk_done;
	size_t nsplits; /* results among them that came in slices before */
	/* SLICE: its bytes are in `segment` */
	struct ranq_split split;
	uint64_t slice;
};
/* Makes the job known to the slot (sent to the executor before its first chunk, again after a restart). Bytes and
 * descriptors are copied. RANQ_ERR_SYSTEM: this process has too many descriptors open just now. */
int ranq_slot_add_job(struct ranq_slot *slot, const struct ranq_exec_job *job, struct ranq_err *err);
/* Runs its fini, forgets it. What runs of it is killed, unless it was cancelled before: then its grace holds, and the
 * job is forgotten when it has ended. */
void ranq_slot_drop_job(struct ranq_slot *slot, uint64_t job);
int ranq_slot_run(struct ranq_slot *slot, const struct ranq_chunk *chunk, struct ranq_err *err);
unsigned ranq_slot_queued(const struct ranq_slot *slot); /* chunks given and not done: at most RANQ_SLOT_QUEUE */
/* Lowers the end of a chunk as far as it is not started yet; asynchronous: the answer is the chunk's last RESULTS
 * event, whose upto tells where it really ended. new_end <= start of what runs: ends after the running task. While a task
 * takes long SHORTENED says before that what is free already; upto is where the chunk's results end when it has not
 * begun at all. */
void ranq_slot_truncate(struct ranq_slot *slot, uint64_t chunk, uint64_t new_end);
/* Kills what runs (TERM, then KILL after grace_ms) and drops the chunks of the job: no RESULTS for the killed task;
 * each chunk still ends with an event that says chunk_done, where its results end. Bodies see ranq_task_cancelled. */
void ranq_slot_cancel(struct ranq_slot *slot, uint64_t job, int grace_ms);
/* Drain: sends sig (0: none) to the running task's group, kills it after grace_ms unless it ended. A task that ends in
 * failure behind the signal, or is killed, is not reported: the chunk ends (chunk_done) where its results end. */
void ranq_slot_warn(struct ranq_slot *slot, int sig, int64_t grace_ms);
/* Next event or NOTHING; call until NOTHING whenever the fd is readable (or writable, when wanted), the deadline is
 * over, or something was given or ordered. -1: no executor could be started for 10 s (it goes on trying), or the fork
 * server was closed. */
int ranq_slot_pump(struct ranq_slot *slot, struct ranq_slot_event *event, struct ranq_err *err);
int64_t ranq_slot_deadline_ms(const struct ranq_slot *slot);

#endif

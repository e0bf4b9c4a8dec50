/* slot.h - inside of a slot: chunks given by the caller, runs in flight to the executor, and what is known of tasks
 * that went wrong.
 *
 * Words: a *chunk* is cut into *runs*. Normally the whole chunk is one run. A task that killed its executor or ran out
 * of time becomes a *trouble*: from then on it is a run of its own, so that the tasks before it are reported before it
 * is tried again, and its next death costs nobody else anything.
 *
 * Invariants: chunk->upto is what was reported as RESULTS events; upto <= sent <= end. runs[] are the runs in flight,
 * in order of their numbers, at most RANQ_WIRE_RUNS; runs of an earlier chunk come before those of a later one. An executor that
 * ends takes its runs with it: sent goes back to upto. A truncated chunk may have been sent, and have run, past its end. */
#ifndef RANQ_EXEC_SLOT_H
#define RANQ_EXEC_SLOT_H

#include <sys/queue.h>

#include "exec/fork_server.h"

#define RANQ_SLOT_CHUNKS RANQ_SLOT_QUEUE

/* A task that needs care. Sorted by index, only of tasks not reported yet. */
struct ranq_trouble {
	uint64_t index;
	unsigned deaths, tries;
	bool given_up;
	enum ranq_task_status status; /* when given up */
	int signal, exit_code;
	int64_t elapsed_us;
	char reason[160];
};

struct ranq_slot_chunk {
	struct ranq_chunk given;
	struct ranq_buf input;
	int argument_fd;          /* -1: none */
	uint64_t upto, sent, end; /* end: lowered by truncate */
	uint64_t told;            /* where the caller knows it to end: nothing from there on is begun, or taken */
	int64_t look_ms;          /* truncated: when to look how far it has come; RANQ_NEVER */
	unsigned runs;            /* of it in flight */
	bool stopped;             /* by cancel or warn: nothing more is sent */
	struct ranq_trouble *troubles;
	size_t ntroubles;
};

struct ranq_slot_job {
	LIST_ENTRY(ranq_slot_job) link;
	uint64_t id;
	char *id_text, *key; /* key: which executors can serve it */
	struct ranq_buf packed;
	struct ranq_spec spec;
	int module_fd, data_fd;
	bool sent;            /* the executor knows it */
	bool dropped;         /* forgotten as soon as nothing of it runs */
	unsigned load_deaths; /* while it was opened, since its last result */
	bool given_up;        /* its module kills executors */
	char reason[160];
};

struct ranq_slot_run {
	uint64_t number, chunk, from, to;
};

/* Bytes for the executor; descriptors go with the first byte. */
struct ranq_slot_message {
	TAILQ_ENTRY(ranq_slot_message) link;
	struct ranq_buf bytes;
	size_t sent;
	int fds[RANQ_WIRE_FDS];
	unsigned nfds;
};

enum ranq_slot_state {
	RANQ_SLOT_EMPTY,
	RANQ_SLOT_LIVE,
	RANQ_SLOT_ENDING /* its socket ended: only the report is missing */
};
enum ranq_own_kill { RANQ_KILL_NONE, RANQ_KILL_TIMEOUT, RANQ_KILL_STOP };

struct ranq_slot {
	struct ranq_slot_end end; /* first: exec.c's part */
	struct ranq_slot_options options;
	char *cpus;
	enum ranq_slot_state state;
	int fd;
	char *key; /* of the executor */
	uint64_t next_run;
	struct ranq_slot_run runs[RANQ_WIRE_RUNS];
	unsigned nruns;
	struct ranq_slot_chunk chunks[RANQ_SLOT_CHUNKS];
	unsigned nchunks;
	LIST_HEAD(, ranq_slot_job) jobs;
	TAILQ_HEAD(ranq_slot_messages, ranq_slot_message) out;
	struct ranq_buf in;
	size_t frame; /* bytes at the front of `in` that the last event borrows */
	bool ended;   /* the socket's end was read */
	bool sliced;  /* the next results have slices that came before them */
	/* watch over the running task */
	uint64_t seen_seq, timed_out_seq;
	int64_t seen_ms, watched_ms;
	int64_t timeout_kill_ms, stop_kill_ms; /* RANQ_NEVER */
	int64_t stopped_ms;                    /* of the last cancel or warn */
	bool dropping;     /* runs from drop_run on wait for the fini of a job ... */
	uint64_t drop_run;
	int64_t fini_ms;   /* ... since then; RANQ_NEVER: it is not their turn yet */
	enum ranq_own_kill own_kill;
	/* starting executors */
	int64_t oom_kills;   /* seen so far */
	unsigned barren;     /* deaths since the last result */
	int64_t start_ms;    /* not before */
	int64_t starting_ms; /* since when starts fail, RANQ_NEVER */
	int start_errno;
	/* the event being built */
	struct ranq_buf own; /* results made here, in their packed form */
	struct ranq_buf own_failures;
	uint64_t *failure_index;
	struct ranq_bytes *failures;
	size_t failures_cap;
	bool announce_death;
	uint64_t announced_chunk, announced_task;
};

struct ranq_slot_job *ranq_slot_find_job(struct ranq_slot *slot, uint64_t job);
struct ranq_slot_chunk *ranq_slot_find_chunk(struct ranq_slot *slot, uint64_t chunk);
/* Everything of the chunk is reported, or will never be. */
bool ranq_slot_chunk_over(const struct ranq_slot_chunk *chunk);
void ranq_slot_chunk_clear(struct ranq_slot_chunk *chunk);
void ranq_slot_finish_chunk(struct ranq_slot *slot, struct ranq_slot_chunk *chunk);

/* ---- slot_shorten.c ---------------------------------------------------------------------------------------------- */
/* No task of the chunk from `end` on is to be begun; stop: and its body should return soon. */
void ranq_slot_lower_limits(struct ranq_slot *slot, uint64_t chunk, uint64_t end, bool stop);
#define RANQ_SLOT_DRAIN_MS 10 /* from lowering a limit to a look that can be relied on */
/* The chunk of the task that runs, or is about to, its index and the number of its run; NULL: nothing can be said now. */
struct ranq_slot_chunk *ranq_slot_named_task(struct ranq_slot *slot, uint64_t *index, uint64_t *number);
/* Its runs in flight will do nothing, and the caller has it back. */
bool ranq_slot_chunk_is_void(const struct ranq_slot_chunk *chunk);
/* What was truncated and is known not to have begun. 1: an event. */
int ranq_slot_report_shortened(struct ranq_slot *slot, int64_t now, struct ranq_slot_event *event);
int64_t ranq_slot_shorten_deadline(const struct ranq_slot *slot);

/* ---- slot_io.c: the executor and its socket ---------------------------------------------------------------------- */
/* 0 or -1: not now (slot->start_ms says when). */
int ranq_slot_start_executor(struct ranq_slot *slot, const char *key);
/* Lets go of the executor (it ends by the end of its socket). */
void ranq_slot_leave_executor(struct ranq_slot *slot, int grace_ms);
/* A frame to send, or NULL: out of memory. */
struct ranq_slot_message *ranq_slot_message(struct ranq_slot *slot);
void ranq_slot_send_job(struct ranq_slot *slot, struct ranq_slot_job *job);
/* -1: out of memory. */
int ranq_slot_send_run(struct ranq_slot *slot, struct ranq_slot_chunk *chunk, uint64_t to);
void ranq_slot_flush(struct ranq_slot *slot);
/* 1: a whole frame lies at the front of slot->in; 0: not yet; -1: nothing more will come. */
int ranq_slot_receive(struct ranq_slot *slot, struct ranq_wire_head *head);

/* ---- slot_results.c ---------------------------------------------------------------------------------------------- */
/* Turns the RESULTS frame at the front of slot->in into an event. 1: an event; 0: nothing to tell; -1: it is not what
 * an executor sends. */
int ranq_slot_take_results(struct ranq_slot *slot, const struct ranq_wire_head *head, struct ranq_slot_event *event);
/* The same for a SLICE. */
int ranq_slot_take_slice(struct ranq_slot *slot, const struct ranq_wire_head *head, struct ranq_slot_event *event);
/* Tasks that are given up, when it is their turn. 1: an event. */
int ranq_slot_report_given_up(struct ranq_slot *slot, struct ranq_slot_chunk *chunk, struct ranq_slot_event *event);

/* ---- slot_death.c ------------------------------------------------------------------------------------------------ */
const struct ranq_slot_run *ranq_slot_run_with_number(const struct ranq_slot *slot, uint64_t number);
/* The chunk of the task that the page names, when it can be true: the page may have been overwritten. */
struct ranq_slot_chunk *ranq_slot_running_task(struct ranq_slot *slot, uint64_t *index);
struct ranq_trouble *ranq_slot_trouble_at(struct ranq_slot_chunk *chunk, uint64_t index);
/* The executor has ended and all it said was read: who is to blame, what runs again. */
void ranq_slot_on_death(struct ranq_slot *slot);
/* Looks at the running task's time. */
void ranq_slot_watch(struct ranq_slot *slot, int64_t now);
int64_t ranq_slot_watch_deadline(const struct ranq_slot *slot);

#endif

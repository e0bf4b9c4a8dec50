/* queue.h - the queue protocol for C: one pair of functions per server function, `..._cmd` builds the request, `..._parse`
 * reads the reply, so that the event loop, the synchronous client and the simulation share one implementation.
 *
 * Contract of every function (keys, arguments, replies, errors, idempotence): PROTOCOL.md. A parse function gets any reply
 * tree, never trusts it, and turns error replies into codes (GONE, NOTFOUND, STATE, SCHEMA, FULL, AUTH, SERVER, REPLY). */
#ifndef RANQ_QUEUE_QUEUE_H
#define RANQ_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/spec.h"
#include "store/conn.h"

#define RANQ_QUEUE_SCHEMA 1
#define RANQ_QUEUE_NAME_MAX 64 /* letters, digits, '.', '_', '-'; not starting with '.' or '-' */
#define RANQ_CALL_ITEMS_MAX 1000
#define RANQ_BRIDGE_FRAGMENTS_MAX 500
#define RANQ_ID_LEN 32 /* lower-case hex of 128 random bits */
#define RANQ_LEASE_MS_DEFAULT 15000
#define RANQ_LEASE_MS_MIN 3000
#define RANQ_PRIORITY_MAX 1000   /* -1000 to 1000 */
#define RANQ_SUBMIT_AFTER_MAX 100
#define RANQ_REASON_MAX 200      /* longer ones are cut, in bytes */
#define RANQ_META_MAX 255        /* of each text of struct ranq_bridge_meta; likewise */

#define RANQ_JOB_STATES(X) X(OPEN) X(DEFERRED) X(PENDING) X(RUNNING) X(COMPLETE) X(ERROR) X(CANCELLED) X(IMPOSSIBLE)
enum ranq_job_state {
#define X(name) RANQ_JOB_##name,
	RANQ_JOB_STATES(X)
#undef X
		RANQ_JOB_STATE_COUNT
};
const char *ranq_job_state_name(enum ranq_job_state state);
bool ranq_job_state_is_final(enum ranq_job_state state);

/* Which queue, and how functions are called on this server. One per queue and connection. */
enum ranq_call_mode { RANQ_CALL_AUTO, RANQ_CALL_FUNCTIONS, RANQ_CALL_EVALSHA };
struct ranq_queue {
	char name[RANQ_QUEUE_NAME_MAX + 1];
	char base[RANQ_QUEUE_NAME_MAX + 16]; /* "ranq:{NAME}:" */
	enum ranq_call_mode mode;            /* never AUTO after attach */
	int64_t lease_ms;                    /* as the queue says; 0 before attach */
	int64_t lease_asked;                 /* wish of attach, carried out by the first join or submit; 0: none */
	uint64_t result_limit;               /* bytes that results of all jobs may take: half of maxmemory; 0: no limit */
	bool legacy;                         /* server before 7.0: scripts without flags; tests set it before attach */
};
int ranq_queue_name_check(const char *name, struct ranq_err *err);
int ranq_queue_init(struct ranq_queue *queue, const char *name, struct ranq_err *err);
/* Loads the functions into the server if missing (under a lock in the server; EVALSHA: SCRIPT LOAD), checks maxmemory-policy, schema
 * version and role. lease_ms 0: take the queue's; else it is set when the queue is new or empty and refused when
 * different (STATE). create false: lease_ms is passed over. Makes no key: a queue comes into being with its first bridge, job or
 * staged block, and one that does not exist is fine. Synchronous. */
int ranq_queue_attach(struct ranq_queue *queue, struct ranq_conn *conn, enum ranq_call_mode mode, int64_t lease_ms, bool create,
	int64_t deadline_ms, struct ranq_err *err);
/* True when the server forgot the functions (NOSCRIPT, function not found): attach again and repeat the call. */
bool ranq_queue_reply_is_noscript(const struct ranq_reply *reply);

/* ---- ids -------------------------------------------------------------------------------------------------------------- */
void ranq_id_new(char id[RANQ_ID_LEN + 1]); /* from the kernel's random generator */

/* ---- submit ----------------------------------------------------------------------------------------------------------- */
/* Puts one input block (record/input.h) under the staging key of a submission; blocks may come in any order and repeatedly. */
int ranq_queue_stage_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *uuid, uint64_t first, const void *block, size_t len);
int ranq_queue_stage_parse(const struct ranq_reply *r, struct ranq_err *err);
/* One slice of an argument that is too large to travel whole (record/input.h), all of them before the block that stands for it. job 0: of
 * staged input, else of an open job. */
int ranq_queue_argument_put_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *uuid, uint64_t job, const char *hash,
	uint64_t slice, uint64_t total_bytes, const void *data, size_t len);
int ranq_queue_argument_put_parse(const struct ranq_reply *r, struct ranq_err *err);
int ranq_queue_argument_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *hash, uint64_t slice);
int ranq_queue_argument_get_parse(const struct ranq_reply *r, struct ranq_bytes *data, struct ranq_err *err); /* borrowed from r */
/* One part of a content-addressed blob (module, job data). */
#define RANQ_BLOB_PART_BYTES (8u << 20)
int ranq_queue_blob_put_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *hash, uint64_t part, uint64_t total_bytes,
	const void *data, size_t len);
int ranq_queue_blob_put_parse(const struct ranq_reply *r, bool *have_all, struct ranq_err *err);
int ranq_queue_blob_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *hash, uint64_t part);
int ranq_queue_blob_get_parse(const struct ranq_reply *r, struct ranq_bytes *data, struct ranq_err *err); /* borrowed from r */

struct ranq_submit {
	const char *uuid; /* chosen by the client; the same uuid twice makes one job */
	const struct ranq_spec *spec;
	uint64_t tasks;        /* N; so far, when open */
	bool open;             /* streamed: batches follow */
	bool staged;           /* input blocks were staged under uuid */
	const uint64_t *after; /* ids of jobs of this queue */
	size_t nafter;
	const char *reader;    /* a client that reads the results: consumer of epoch 1, and waiter for any; NULL: none */
};
int ranq_queue_submit_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const struct ranq_submit *s, struct ranq_err *err);
int ranq_queue_submit_parse(const struct ranq_reply *r, uint64_t *job, bool *existed, struct ranq_err *err);
/* Batch `batch` (0, 1, ...) of an OPEN job: blocks whose first line is task `first`. Repeating a batch changes nothing. held: nothing was
 * taken because too much input waits; try again after a bell or a second. */
int ranq_queue_append_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *uuid, uint64_t batch,
	uint64_t count, const struct ranq_bytes *blocks, const uint64_t *block_counts, size_t nblocks);
int ranq_queue_append_parse(const struct ranq_reply *r, uint64_t *tasks, bool *held, struct ranq_err *err);
/* Ends the input. reason NULL: properly, and then `batches` is how many were taken: a server that has another number (it lost some in a
 * roll-back) refuses with STATE instead of dropping tasks; send them all again. Else the job becomes ERROR with it after its tasks ran. */
int ranq_queue_close_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *uuid, uint64_t batches,
	const char *reason);
int ranq_queue_close_parse(const struct ranq_reply *r, struct ranq_err *err);

/* ---- bridge ----------------------------------------------------------------------------------------------------------- */
struct ranq_bridge_meta { /* shown by `workers`; plain text, bounded */
	const char *host, *allocation; /* allocation: scheduler id or "local-PID" */
	const char *user, *version, *tags /* comma-separated */, *binding;
	unsigned ranks; /* compute ranks */
	int64_t end_ms; /* wall clock end of the allocation, 0 unknown */
};
int ranq_queue_join_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const struct ranq_bridge_meta *meta);
int ranq_queue_join_parse(const struct ranq_reply *r, int64_t *lease_ms, struct ranq_err *err);

enum ranq_lease_flags { RANQ_LEASE_RETURNED_ONLY = 1, /* the allow-oom twin: only ranges that came back */
	RANQ_LEASE_NO_SUSPECTS = 2,
	RANQ_LEASE_BUSY = 4, /* no lane is idle: nothing of sticky jobs that has its home elsewhere */
	RANQ_LEASE_RECORD = 8, /* with the record of the first job, and the input block of its first task, if they are small */
	RANQ_LEASE_LEFT = 16,  /* with `left` */
	RANQ_LEASE_LANE = 32   /* for each idle lane: a call that empties the queue and gives fewer tasks makes the bridge idle */ };
struct ranq_range { /* a leased range as granted */
	uint64_t job, start, end; /* [start, end) */
	uint64_t seq;             /* token: (bridge, seq) */
	unsigned deaths;          /* suspect: deaths so far; the task runs alone */
	unsigned expiries;        /* x of ARCHITECTURE */
	bool suspect, waited;     /* waited: a client waits for results of this job now: flush at once */
};
struct ranq_lease_reply {
	bool paused, drain, idle; /* idle: nothing more to lease, the bridge is in the idle set and will be rung; neither idle nor paused
				   * and n == 0: there may be more behind what it may not run, ask again soon */
	bool elsewhere; /* it is idle, and was not given what has its home elsewhere, as it said that it is busy */
	size_t n;
	struct ranq_range ranges[64];
	uint64_t bridges; /* alive in the queue; 0: not told */
	uint64_t left;    /* tasks that no bridge has been given yet, of the only job that has any; UINT64_MAX: there may be others, or nobody asked */
	struct ranq_bytes record; /* of the job of the first range, borrowed from the reply; empty: not told */
	uint64_t input_first;     /* first line of the block */
	struct ranq_bytes input;  /* the block in which the first range begins, borrowed likewise; empty: not told */
};
/* Asks for about `want` tasks (over several jobs if need be) in at most max_ranges ranges. time_left_ms: of the allocation, or -1. tags may be NULL. */
int ranq_queue_lease_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, uint64_t seq, uint64_t want,
	unsigned max_ranges, unsigned flags, int64_t time_left_ms, const char *tags);
int ranq_queue_lease_parse(const struct ranq_reply *r, struct ranq_lease_reply *out, struct ranq_err *err);

/* Spec and changing facts of a job; spec bytes borrowed from r. */
int ranq_queue_spec_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job);
int ranq_queue_spec_parse(const struct ranq_reply *r, struct ranq_bytes *spec, enum ranq_job_state *state, struct ranq_err *err);
/* Input blocks that cover [start, end), as far as max_bytes goes (always at least one). */
struct ranq_input_reply {
	size_t n;
	struct {
		uint64_t first;
		struct ranq_bytes block; /* borrowed from r */
	} blocks[256];
};
int ranq_queue_input_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t start, uint64_t end, size_t max_bytes);
int ranq_queue_input_parse(const struct ranq_reply *r, struct ranq_input_reply *out, struct ranq_err *err);

/* A commit of many items. Begin, add, send. `at` = start of the fragment, as the server has it at that moment (queue/held.h keeps the mirror). */
struct ranq_commit_item {
	uint64_t job, at, seq, start, end;
	uint64_t counts[5];      /* by enum ranq_task_status; their sum is end - start */
	struct ranq_bytes item;  /* segments; empty for results count or none */
	uint64_t elapsed_us;     /* sum over its tasks */
	size_t nfailures;
	const uint64_t *failure_index;
	const struct ranq_bytes *failures; /* packed records */
	size_t nsplits;
	const struct ranq_split_place *splits; /* what the item has in slices */
	uint64_t apart; /* number under which its bytes were sent ahead (apart_put); 0: they are sent with the commit */
};
int ranq_queue_commit_begin(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge);
int ranq_queue_commit_add(struct ranq_cmd *cmd, const struct ranq_commit_item *item);
struct ranq_commit_reply {
	bool drain, paused;
	size_t n;
	uint8_t accepted[RANQ_CALL_ITEMS_MAX]; /* 1 counted; 0 stale, repeated or of a job that is gone or over: drop it */
	size_t nstopped;
	uint64_t stopped[32]; /* jobs among the items that are over (cancelled, stopped, removed): drop their work */
	size_t nwaited;
	uint64_t waited[32];  /* jobs among the items for which a client waits */
};
int ranq_queue_commit_parse(const struct ranq_reply *r, struct ranq_commit_reply *out, struct ranq_err *err);

/* The bytes of a large item, by plain commands, since functions are slow at bytes. Put: under a number that the bridge never used before, ahead
 * of the commit that names it, which takes them or drops them; a commit that finds nothing there fails (SERVER) and has changed nothing. Get: of
 * what a fetch said is apart; false: it was freed or removed meanwhile, fetch again. */
#define RANQ_APART_BYTES ((size_t)32 << 10) /* from so many on it is worth it */
void ranq_queue_apart_put_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, uint64_t number, struct ranq_bytes item);
void ranq_queue_apart_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t start);
int ranq_queue_apart_get_parse(const struct ranq_reply *r, bool *there, struct ranq_bytes *item /* borrowed from r */, struct ranq_err *err);

/* One slice of a result that is too large to travel whole (record/split.h); all of them before the commit that names it. NOTFOUND, STATE:
 * nobody wants it any more. */
int ranq_queue_slice_put_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t task, const char *name,
	uint64_t slice, uint64_t total_bytes, const void *data, size_t len);
int ranq_queue_slice_put_parse(const struct ranq_reply *r, struct ranq_err *err);
int ranq_queue_slice_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *name, uint64_t slice);
int ranq_queue_slice_get_parse(const struct ranq_reply *r, struct ranq_bytes *data, struct ranq_err *err); /* borrowed from r */

enum ranq_release_kind { RANQ_RELEASE_DRAINED = 0, RANQ_RELEASE_SUSPECT = 1 };
struct ranq_fragment {
	uint64_t job, at, seq, start, end; /* at: start of the fragment; [start, end) the part meant */
	enum ranq_release_kind kind;
};
int ranq_queue_release_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const struct ranq_fragment *f, size_t n);
int ranq_queue_release_parse(const struct ranq_reply *r, struct ranq_err *err);
struct ranq_beat_reply {
	bool drain, paused;
	size_t nstopped;
	uint64_t stopped[RANQ_CALL_ITEMS_MAX];
};
/* Ranks and end of the allocation (wall clock; 0: unknown) are others now than at the join. */
int ranq_queue_amend_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, unsigned ranks, int64_t end_ms);
int ranq_queue_amend_parse(const struct ranq_reply *r, struct ranq_err *err);
/* Heartbeat: renews the lease; jobs: those of which the bridge holds something. running/done: for `workers`. */
int ranq_queue_beat_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const uint64_t *jobs, size_t njobs,
	uint64_t running, uint64_t done);
int ranq_queue_beat_parse(const struct ranq_reply *r, struct ranq_beat_reply *out, struct ranq_err *err);
/* After every reconnect, before anything else. `list` names what the bridge holds (ranq_held_list) and, as parts of their own, every
 * part of a commit or release whose reply did not come: what is not listed goes back to the queue. Of each entry job, start, end and
 * seq count. Reply: parts that are no longer ours; of an unanswered commit or release that means: done already, or fenced: drop it. The others are
 * fragments now exactly as listed (at == start). GONE: join again, drop everything. More than RANQ_CALL_ITEMS_MAX parts take several pages
 * (ranq_held_page), which all are to be sent before any commit, release or lease. */
struct ranq_resync_page {
	size_t first, n;             /* its parts: n of the list, from this one on */
	uint64_t from_job, from;     /* it speaks of the tasks from here */
	uint64_t to_job, to;         /* to before there; to_job RANQ_TASKS_MAX: all */
	bool last;
};
int ranq_queue_resync_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const struct ranq_fragment *list,
	const struct ranq_resync_page *page);
int ranq_queue_resync_parse(const struct ranq_reply *r, size_t *ngone, size_t gone[RANQ_CALL_ITEMS_MAX] /* positions in the page */,
	struct ranq_err *err);
/* Gives back everything as drained and unregisters. *more: call again (bounded work). */
int ranq_queue_leave_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge);
int ranq_queue_leave_parse(const struct ranq_reply *r, bool *more, struct ranq_err *err);
/* For somebody who saw all processes of the bridge end: what leave does, but as if its lease had ended; with tasks to blame (those that ran
 * on the ranks that died first) they become suspects and everything else goes back untouched. At most RANQ_CALL_ITEMS_MAX / 2 tasks. The
 * reply is that of leave. */
struct ranq_task_name {
	uint64_t job, index;
};
int ranq_queue_dead_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, const struct ranq_task_name *blamed, size_t n);
/* BLPOP on the bells of a bridge in several queues; timeout in seconds. Bell text: "work", "work JOB", "drain", "stop JOB", "look". */
void ranq_queue_bell_cmd(struct ranq_cmd *cmd, const struct ranq_queue *const *queues, size_t n, const char *id, double timeout_s);
/* Removes the bell of one who stops listening, so that no key stays behind (bells expire after a minute by themselves). Reply: any integer. */
void ranq_queue_bell_drop_cmd(struct ranq_cmd *cmd, const struct ranq_queue *q, const char *id);
/* which: position in queues, or -1 on timeout. */
int ranq_queue_bell_parse(const struct ranq_reply *r, const struct ranq_queue *const *queues, size_t n, int *which,
	struct ranq_bytes *text, struct ranq_err *err);

/* ---- reading ---------------------------------------------------------------------------------------------------------- */
struct ranq_job_info {
	uint64_t job;
	char uuid[RANQ_ID_LEN + 1], name[128], owner[128];
	enum ranq_job_state state;
	char reason[256]; /* why ERROR, CANCELLED, IMPOSSIBLE, or why held; "" none */
	bool open, held, damaged;
	uint64_t tasks, next, done, leased, returned, counts[5];
	uint64_t result_bytes /* stored now */, result_items, freed /* tasks whose results were freed */;
	uint64_t backlog, elapsed_us /* of its tasks */, stale /* late or repeated commits discarded */, requeued, deaths, round;
	int64_t created_ms, started_ms, ended_ms; /* wall clock of the server, 0 not yet */
	int32_t priority;
	enum ranq_results_mode results;
	unsigned workers; /* compute ranks of the bridges alive in the queue */
};
int ranq_queue_info_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job /* 0: the newest */);
int ranq_queue_info_parse(const struct ranq_reply *r, struct ranq_job_info *info, struct ranq_err *err);
/* Jobs in order of submission from id `from` on; at most `count` (<= 100). */
int ranq_queue_jobs_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t from, unsigned count);
int ranq_queue_jobs_parse(const struct ranq_reply *r, size_t i, struct ranq_job_info *info, struct ranq_err *err); /* entry i of ranq_reply_count */
struct ranq_queue_info {
	bool exists, paused;
	int64_t lease_ms, vt_ms;
	uint64_t jobs, ready, bridges, ranks, idle, memory_bytes;
};
int ranq_queue_stat_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd);
int ranq_queue_stat_parse(const struct ranq_reply *r, struct ranq_queue_info *info, struct ranq_err *err);
struct ranq_bridge_info {
	char id[RANQ_ID_LEN + 1], host[64], allocation[96], user[64], version[32], tags[128], binding[128];
	unsigned ranks;
	uint64_t running, done, fragments;
	int64_t joined_ms, end_ms, left_ms /* of its lease, virtual */;
	bool idle, draining;
};
int ranq_queue_bridges_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd);
int ranq_queue_bridges_parse(const struct ranq_reply *r, size_t i, struct ranq_bridge_info *info, struct ranq_err *err);
/* Failure records from index `from` on (round-overlaid); entry i: index, packed record (borrowed). */
int ranq_queue_failures_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t from, unsigned count);
int ranq_queue_failures_parse(const struct ranq_reply *r, size_t i, uint64_t *index, struct ranq_bytes *record, struct ranq_err *err);
/* Accounting (I12), read-only, at one instant: leased + returned + done + remaining == tasks, and ranges are disjoint. */
struct ranq_audit {
	uint64_t tasks, done, leased, returned, remaining, overlaps, leased_ranges, returned_ranges;
};
int ranq_queue_audit_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job);
int ranq_queue_audit_parse(const struct ranq_reply *r, struct ranq_audit *audit, struct ranq_err *err);
/* Where tasks are: leased ranges (bridge, start, end) and returned ranges of a job, for `tasks`. */
struct ranq_place {
	uint64_t start, end;
	char bridge[RANQ_ID_LEN + 1]; /* "" : returned, waiting */
	unsigned deaths, expiries;
};
int ranq_queue_places_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job);
int ranq_queue_places_parse(const struct ranq_reply *r, size_t i, struct ranq_place *place, struct ranq_err *err);

/* Results. In order: the item that covers task `from`. Unordered: items that arrived after `cursor`. waiter: id of the caller's bell to be rung
 * when there is nothing now ("" : do not). */
struct ranq_fetch {
	uint64_t job;
	bool unordered;
	uint64_t from;   /* next index wanted, or arrival cursor */
	size_t max_bytes;
	unsigned max_items;
	const char *waiter;
};
#define RANQ_FETCH_ITEMS_MAX 256
struct ranq_fetch_reply {
	enum ranq_job_state state;
	bool held, finished; /* finished: no further item will ever come */
	uint64_t tasks, done, failed, freed_to /* results below this index were freed */, cursor /* unordered: next cursor */;
	size_t n;
	struct ranq_fetch_item {
		uint64_t start, end;
		struct ranq_bytes item; /* borrowed from r */
		bool freed;             /* result was freed by its consumer: bytes empty */
		bool apart;             /* bytes empty: to be read by apart_get */
	} items[RANQ_FETCH_ITEMS_MAX];
};
int ranq_queue_fetch_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const struct ranq_fetch *f);
int ranq_queue_fetch_parse(const struct ranq_reply *r, struct ranq_fetch_reply *out, struct ranq_err *err);
/* Results of later rounds (retry) for tasks in [start, end): entry i: start, end, item. */
int ranq_queue_overlay_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t start, uint64_t end);
int ranq_queue_overlay_parse(const struct ranq_reply *r, size_t i, uint64_t *start, uint64_t *end, struct ranq_bytes *item,
	struct ranq_err *err);

/* The one consumer of a job: attach takes over from an earlier one (its acks are refused from then on); the state is what the last ack stored. */
int ranq_queue_attach_consumer_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *client);
int ranq_queue_attach_consumer_parse(const struct ranq_reply *r, uint64_t *epoch, uint64_t *acked_to, struct ranq_bytes *state, struct ranq_err *err);
/* Looks only; the reply is that of attach_consumer. */
int ranq_queue_consumer_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job);
/* Stores the state and frees the results of [start, end) ranges: items wholly inside everything acknowledged so far. */
int ranq_queue_ack_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t epoch, const struct ranq_bytes *state,
	const uint64_t (*ranges)[2], size_t n);
int ranq_queue_ack_parse(const struct ranq_reply *r, bool *more, struct ranq_err *err); /* STATE: another consumer took over */

/* Registers waiter for the next change of state or progress of the job and gives its info. */
int ranq_queue_watch_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *waiter);

/* ---- control ---------------------------------------------------------------------------------------------------------- */
int ranq_queue_cancel_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, const char *reason);
/* n tasks, at most RANQ_RETRY_TASKS_MAX, run again although they did not fail; of a job that keeps results and reduces nothing. */
#define RANQ_RETRY_TASKS_MAX 100
int ranq_queue_retry_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, bool failed_only, const uint64_t *tasks, size_t n);
int ranq_queue_remove_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job); /* cancels if need be */
int ranq_queue_pause_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, bool pause);
int ranq_queue_drain_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge /* prefix of an id, allocation, or "all" */);
int ranq_queue_destroy_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd); /* rm-queue, bounded: repeat while *more */
/* What removed jobs have left in files (record/offload.h), oldest first, from place `first` on: at most RANQ_FILES_PAGE entries. The queue
 * itself may be gone. */
#define RANQ_FILES_PAGE 100
int ranq_queue_files_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t first);
/* Entry i of ranq_reply_count: sets uuid and directory of an initialised spec. */
int ranq_queue_files_parse(const struct ranq_reply *r, size_t i, struct ranq_spec *spec, struct ranq_err *err);
/* Those entries of the reply are to be forgotten; at least one. */
int ranq_queue_files_gone_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, const struct ranq_reply *r, const bool *gone);
int ranq_queue_files_gone_parse(const struct ranq_reply *r, struct ranq_err *err);
/* For the control functions: n = how many things were changed; more = repeat. */
int ranq_queue_control_parse(const struct ranq_reply *r, uint64_t *n, bool *more, struct ranq_err *err);

#endif

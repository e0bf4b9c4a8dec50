/* proxy_impl.h - inside of the proxy. Who does what:
 *   proxy.c         life, clock, messages of the workers
 *   proxy_conn.c    connections: open, lose, open again, replay, resync; the bell
 *   proxy_queue.c   requests to a queue: join, lease, beat, leave; proxy_resync.c: after a reconnect
 *   proxy_items.c   results on their way to a commit; proxy_reduce.c: joined there
 *   proxy_outbox.c  commits and releases: an ordered list of calls that is sent again until each has a definite answer
 *   proxy_jobs.c    jobs: spec, failure of a whole job, forgetting
 *   proxy_blobs.c   modules and job data: fetched once, sent once to each node
 *   proxy_input.c   input lines
 *   proxy_work.c    pieces (unstarted work) and chunks (work of a lane): dispatch, results
 *   proxy_slices.c  slices of large results
 *   proxy_steal.c   taking back chunks that overrun
 *   proxy_give.c    idle nodes go back to the scheduler
 *   proxy_end.c     drain, killing sequences, silent ranks, leaving */
#ifndef RANQ_BRIDGE_PROXY_IMPL_H
#define RANQ_BRIDGE_PROXY_IMPL_H

#include <sys/queue.h>

#include "bridge/chunking.h"
#include "bridge/proxy.h"
#include "bridge/watch.h"
#include "queue/held.h"
#include "queue/queue.h"
#include "record/input.h"
#include "record/reduce.h"
#include "record/spec.h"

#define PROXY_RESULTS_MAX ((size_t)256 << 20) /* uncommitted results at which workers get no more chunks */
#define PROXY_ITEM_BYTES ((size_t)1 << 20)    /* flush at, and largest item made by merging */
#define PROXY_FLUSH_MS 50
#define PROXY_STALE_MS 1000 /* unstarted long tasks are for others then */
#define PROXY_HOLD_MS 1000  /* see patience_ms in proxy_outbox.c */
#define PROXY_CALLS_MAX 8   /* commits in flight for a queue */

struct proxy_queue;
struct proxy_job;

/* ---- work ---- */
/* Unstarted tasks [start, end) of one fragment. grant names the granted range that they come from: parts of different
 * grants may touch each other, but are different fragments on the server. */
struct proxy_piece {
	TAILQ_ENTRY(proxy_piece) next;
	struct proxy_job *job;
	uint64_t seq, grant, start, end;
	unsigned deaths;
	bool suspect;
};
/* What a lane was given: [upto, end) is not reported yet. */
struct proxy_chunk {
	TAILQ_ENTRY(proxy_chunk) next;
	struct proxy_job *job; /* NULL: dropped meanwhile, results are thrown away */
	uint64_t id, seq, grant, start, end, upto;
	unsigned deaths;
	bool suspect, truncated;
	int64_t since_ns;        /* start, or last report */
	struct proxy_item *item; /* pending item that the next results of this chunk extend */
	struct proxy_blob *argument; /* of its only task, when that is a large one */
};
TAILQ_HEAD(proxy_chunks, proxy_chunk);
TAILQ_HEAD(proxy_piece_list, proxy_piece);
struct proxy_lane {                   /* an executor of a worker */
	TAILQ_ENTRY(proxy_lane) next; /* in proxy->free, while the worker lives */
	int rank, list;               /* list: free[list], -1: it has enough */
	unsigned slot, n;             /* n: chunks */
	unsigned number;              /* among all lanes, for sticky jobs */
	unsigned filled;              /* n when it was filled last */
	bool divisible;               /* has more than the task that runs */
	struct proxy_chunks chunks;   /* the first one runs */
};
struct proxy_worker {
	bool hello, lost, goodbye;
	bool broken; /* cannot run executors: lost for good */
	bool offered; /* with its node, to the scheduler: gets no work, and counts as lost */
	int64_t pid, heard_ms;
	uint64_t pong;
	unsigned nlanes, chunks, suspects; /* chunks at its lanes; suspects among them */
	struct proxy_lane *lanes;
};

/* ---- results ---- */
struct proxy_failure {
	uint64_t index;
	size_t at, len; /* in failures */
};
struct proxy_item { /* results of [start, end), to be committed */
	TAILQ_ENTRY(proxy_item) next;
	uint64_t job, seq, grant, start, end, at; /* job: id in its queue */
	uint64_t counts[RANQ_TASK_STATUS_COUNT], elapsed_us;
	struct ranq_buf segment, failures;
	uint64_t apart; /* number under which the segment was sent ahead of the commit; 0: it is sent with it */
	struct proxy_failure *failure;
	size_t nfailures, failures_room;
	size_t nsplits; /* results in slices, which are in the queue */
	struct proxy_chunk *chunk; /* whose item this is */
	struct ranq_reduce reduce; /* of its job */
	int64_t since_ms, due_ms;
	bool kept;       /* was left out of a commit already */
	unsigned merges; /* how often it was given to an executor to be joined */
	uint64_t merge;  /* number of the request, while an executor of merge_rank joins it */
	int merge_rank;
};
TAILQ_HEAD(proxy_items, proxy_item);
enum proxy_call_kind { PROXY_COMMIT, PROXY_RELEASE };
struct proxy_call {
	TAILQ_ENTRY(proxy_call) next;
	struct proxy_queue *pq;
	enum proxy_call_kind kind;
	struct proxy_items items;
	struct ranq_fragment *fragments;
	size_t n, bytes;
	bool apart;      /* was sent with segments ahead of it */
	bool sent, dead; /* dead: its registration is gone; freed when its reply or the end of the connection comes */
};

/* ---- jobs ---- */
struct proxy_blob {
	TAILQ_ENTRY(proxy_blob) next;
	char hash[129];
	uint64_t job; /* whose argument it is; 0: a module or job data */
	uint64_t number, have, total; /* total: 0 when nobody said it */
	struct proxy_queue *pq;       /* where it is fetched */
	int fd;
	unsigned users;
	int64_t unused_ms; /* since when it has no users */
	int64_t told_ms;   /* last word on how far it is */
	bool asked, whole, missing;
	struct crypto_hash_sha256_state *digest; /* of what is here; NULL when whole */
	int *receiver; /* for each node: the rank that has it or is being sent it, and shares it there, + 1; 0: none */
};
struct proxy_transfer { /* of a blob to the first worker of another node */
	TAILQ_ENTRY(proxy_transfer) next;
	struct proxy_blob *blob;
	int rank;
	uint64_t offset;
};
struct proxy_block { /* input lines [first, first + count) */
	TAILQ_ENTRY(proxy_block) next;
	uint64_t first, count;
	unsigned char *data;
	size_t len;
	struct ranq_input_large large; /* bytes 0: its lines are in it */
	struct proxy_blob *argument;   /* being fetched, or here; NULL: not yet, or a chunk has it */
};
enum proxy_job_state { PROXY_JOB_NEW, PROXY_JOB_ASKED, PROXY_JOB_BLOBS, PROXY_JOB_READY, PROXY_JOB_FAILED };
struct proxy_job {
	TAILQ_ENTRY(proxy_job) next;
	struct proxy_queue *pq;
	uint64_t key, id;
	enum proxy_job_state state;
	char reason[160]; /* of FAILED */
	struct ranq_spec spec;
	struct ranq_buf packed;
	struct ranq_pace pace;
	struct proxy_blob *module, *data;
	TAILQ_HEAD(, proxy_block) blocks;
	size_t block_bytes;
	bool input_asked, waited;
	uint64_t unstarted;      /* tasks in pieces */
	int64_t granted_ms;      /* when the last of them came */
	int64_t began_ms;        /* first results; 0: none yet */
	unsigned chunks, broken; /* chunks at workers; broken ones since the last result */
	unsigned merges_failed;
	int64_t used_ms;     /* last time with work */
	uint8_t *introduced; /* for each rank */
	uint8_t *broke;      /* for each rank: has had one of the broken chunks */
};

/* ---- queues ---- */
enum proxy_queue_state { PROXY_OUT, PROXY_JOINING, PROXY_SYNCING, PROXY_IN, PROXY_LEFT };
struct proxy_queue {
	struct ranq_queue q;
	struct ranq_proxy *proxy;
	size_t index;
	enum proxy_queue_state state;
	struct ranq_held *held;
	uint64_t seq, epoch; /* epoch: counts registrations; replies of an earlier one are ignored */
	int64_t fence_ms;    /* lease as we know it: past it nothing new is started */
	bool lease_asked, idle, paused, full, resync_again, resync_asked, leave_asked;
	uint64_t last_job; /* of which something was granted last */
	bool elsewhere;    /* there is work that has its home elsewhere: to be asked for when a lane is idle */
	bool rung;         /* the bell rang since the last lease was asked for */
	bool standing;     /* a lease call stands behind the bell (proxy_standing.c) */
	bool standing_due; /* the bell rang: its answer is on the way */
	uint64_t standing_seq; /* its number, or that of the last one */
	uint64_t last_want;
	int64_t retry_ms; /* when idle or paused: ask again at; when out: join again at */
	unsigned join_tries;
	uint64_t missing_job;                /* was leased last without being there */
	int64_t hold_ms;                     /* no lease before */
	int64_t beat_ms, beaten_ms;          /* next heartbeat, last one */
	uint64_t beaten_job;                 /* the last job that it named, if there are more; else 0 */
	struct proxy_items pending, merging; /* merging: oldest first; their bytes count as those of the outbox */
	size_t pending_bytes, npending, nmerging;
	bool pending_waited; /* a client waits for some of them */
	int64_t pending_ms;  /* when they are to be committed, if there are any */
	unsigned commits_asked;
	int64_t committed_ms; /* the last one was sent */
	int64_t together_ms;  /* until then no segment is sent ahead of its commit */
	uint64_t bridges;     /* in the queue, as the server told last */
	uint64_t left;        /* tasks that no bridge had at left_ms; UINT64_MAX: many, for all we know */
	int64_t left_ms;
	TAILQ_HEAD(proxy_calls, proxy_call) outbox;
	size_t outbox_bytes;
	uint64_t done;                    /* tasks reported to us, for `ranq workers` */
	uint64_t told_done, told_running; /* by the last heartbeat */
	unsigned told_ranks;              /* by the last join or amend */
	int64_t told_end_ms;
};

/* A request under way. */
struct proxy_request;
typedef void proxy_done(struct proxy_request *request, const struct ranq_reply *reply); /* reply NULL: lost */
struct proxy_request {
	TAILQ_ENTRY(proxy_request) next;
	struct ranq_proxy *proxy;
	struct proxy_queue *pq;
	uint64_t epoch, key, a, b;
	int64_t sent_ms;
	bool sending, refused; /* inside of ranq_conn_send; which called back at once */
	proxy_done *done;
	struct proxy_call *call;
	struct ranq_fragment *list; /* of a page of a resync; freed with the request */
};

enum proxy_phase { PROXY_RUN, PROXY_DRAIN, PROXY_LEAVE, PROXY_END, PROXY_DONE };
struct ranq_proxy {
	struct ranq_proxy_options options;
	char id[RANQ_ID_LEN + 1], user[64], version[16];
	struct ranq_conn *conn, *bell;
	struct ranq_watch conn_watch, bell_watch;
	TAILQ_HEAD(, proxy_request) requests;
	bool conn_bad, bell_bad, down_told;
	bool bell_waits; /* a blocking pop is under way */
	bool again;     /* something came in the last step of the tick: it is due at once */
	uint64_t heard; /* replies and bells so far */
	char conn_why[256];
	int64_t retry_ms, backoff_ms, up_ms, down_ms /* 0: served */, bell_deadline_ms, moved_ms;
	uint64_t moved; /* ranq_conn_moved, at moved_ms */
	struct proxy_queue *queues;
	const struct ranq_queue **bells; /* for BLPOP */
	TAILQ_HEAD(, proxy_job) jobs;
	struct proxy_piece_list pieces;
	TAILQ_HEAD(, proxy_blob) blobs;
	TAILQ_HEAD(, proxy_transfer) transfers;
	TAILQ_HEAD(, proxy_slice) slices;
	struct proxy_worker *workers;     /* by rank */
	TAILQ_HEAD(, proxy_lane) free[2]; /* lanes with no chunk, with few */
	unsigned idle_lanes, divisible_lanes;
	uint64_t running; /* chunks at living workers */
	unsigned lanes;   /* of living workers */
	unsigned ranks;   /* that compute and are not lost */
	uint64_t next_key, next_chunk, next_grant, next_blob, next_slice, next_apart, nonce;
	int64_t slices_ms; /* none is sent before */
	int64_t lease_ms, now_ms, last_tick_ms, ping_ms, silence_ms, idle_since_ms;
	unsigned random;
	/* the end */
	enum proxy_phase phase;
	bool hurry, polite; /* give back at once without waiting for tasks; wait for them without limit */
	int64_t phase_ms, drain_limit_ms, cont_ms, life_ms /* answer of life is due */,
		hold_ms /* no new leases before */;
	uint64_t life_nonce;
	/* nodes without work: see proxy_give.c */
	int64_t *node_used_ms; /* by node; NULL: none is ever given back */
	int nnodes;
	int64_t work_ms /* unstarted work came last */, give_ms /* look again */, offer_ms /* 0: no answer is due */;
	int64_t signal_ms; /* the first signal to leave, 0: none */
	int status;
	/* may we leave for lack of work? asked of all queues */
	bool idle_asked, idle_others;
	unsigned idle_answers;
	int64_t idle_ask_ms;
};

/* proxy.c */
void proxy_log(const struct ranq_proxy *proxy, const char *format, ...) __attribute__((format(printf, 2, 3)));
void proxy_send(struct ranq_proxy *proxy, int rank, struct ranq_buf *message);
bool proxy_computes(
	const struct ranq_proxy *proxy, int rank); /* rank has a worker that is not lost (its lanes come with HELLO) */
int64_t proxy_left_ms(
	const struct ranq_proxy *proxy); /* until the drain before the end of the allocation; RANQ_NEVER */

bool proxy_reachable(
	const struct ranq_proxy *proxy, int rank); /* has a worker that may still take messages, though it was silent */

/* proxy_conn.c */
int proxy_connect(struct ranq_proxy *proxy, bool first, struct ranq_err *err);
void proxy_conn_fail(struct ranq_proxy *proxy, const char *format, ...) __attribute__((format(printf, 2, 3)));
void proxy_conn_tick(struct ranq_proxy *proxy);
int64_t proxy_conn_prepare(struct ranq_proxy *proxy);
void proxy_conn_close(struct ranq_proxy *proxy);
void proxy_bell_wait(struct ranq_proxy *proxy); /* again, after it rang */
struct proxy_request *proxy_request(struct proxy_queue *pq, struct ranq_cmd *cmd, proxy_done *done);
/* What any other error in a reply means: GONE, another schema, a server that cannot serve now. */
void proxy_refused(struct proxy_request *request, const struct ranq_err *err);
/* The refusal concerns this request alone (bad argument, something missing); the server is all right. */
bool proxy_refused_alone(const struct ranq_err *err);
void proxy_renewed(const struct proxy_request *request);

/* proxy_resync.c */
void proxy_queue_resync(struct proxy_queue *pq);
void proxy_queue_sync(struct proxy_queue *pq); /* the first resync of a connection, once the outbox is on its way */

/* proxy_queue.c */
void proxy_queue_join(struct proxy_queue *pq);
void proxy_queue_gone(struct proxy_queue *pq);
void proxy_queue_tick(struct proxy_queue *pq);
int64_t proxy_queue_due(const struct proxy_queue *pq);
void proxy_queue_look(struct proxy_queue *pq); /* work may be there */
void proxy_queue_missing(
	struct proxy_queue *pq, uint64_t job); /* we hold parts of it, and the server does not know it */
void proxy_queue_leave(struct proxy_queue *pq);
/* Another call than a heartbeat was answered. */
void proxy_queue_heard(struct proxy_queue *pq);
/* A millisecond for each bridge of the queue, at most a fifth of a lease: between commits that somebody waits for. So
 * the server has a thousand of them a second or so, however many bridges there are. */
int64_t proxy_crowd_ms(const struct proxy_queue *pq);
/* By how much longer everything waits that nobody waits for, and how much more work is leased at once: four milliseconds
 * for each bridge, at most a quarter of a lease; of a job that a client waits for half of it. job: NULL for any. */
int64_t proxy_slack_ms(const struct proxy_queue *pq, const struct proxy_job *job);
void proxy_lease(struct ranq_proxy *proxy);
/* How many tasks the queue is to be asked for, 0: none; busy: no lane is idle. */
uint64_t proxy_lease_want(struct proxy_queue *pq, bool *busy);
/* The idle lanes, as flags of a lease call. */
unsigned proxy_lease_lanes(const struct ranq_proxy *proxy);
/* The bridge has just been heard by a lease call: of an idle one a heartbeat would say nothing more. */
void proxy_lease_is_beat(struct proxy_queue *pq);
#define PROXY_RANGES_MAX 64 /* of one lease */
void proxy_lease_take(struct proxy_request *request, struct ranq_lease_reply *lease);
bool proxy_fenced(const struct proxy_queue *pq);

/* proxy_items.c */
size_t proxy_item_bytes(const struct proxy_item *item);
struct proxy_item *proxy_item_create(const struct proxy_job *job, uint64_t seq, uint64_t grant, uint64_t start);
void proxy_item_destroy(struct proxy_item *item);
int proxy_item_failure(struct proxy_item *item, uint64_t index, const void *data, size_t len);
/* Puts the tasks of b, which begin where a ends, behind those of a. On failure a is unchanged. */
int proxy_item_join(struct proxy_item *a, const struct proxy_item *b);
int proxy_item_extend(struct proxy_item *item, const struct ranq_message_results *m);
void proxy_item_belongs(struct proxy_item *item, struct proxy_chunk *chunk);

/* proxy_standing.c */
void proxy_standing_send(struct ranq_proxy *proxy);
/* The bell rang. True: the answer of the lease call behind it comes at once. */
bool proxy_standing_rung(struct proxy_queue *pq);
/* A lease call that was sent before the one that stands, or stood, and was carried out after it. */
bool proxy_standing_overtook(const struct proxy_request *request);

/* proxy_outbox.c */
/* To be committed at due_ms. */
void proxy_outbox_put(struct proxy_queue *pq, struct proxy_item *item, int64_t due_ms);
void proxy_outbox_results(struct proxy_chunk *chunk, const struct ranq_message_results *m);
void proxy_outbox_waited(struct proxy_job *job); /* a client waits for its results */
void proxy_outbox_fail(struct proxy_job *job, struct proxy_piece *piece, uint64_t end, const char *reason);
void proxy_outbox_release(struct proxy_queue *pq, const struct ranq_fragment *parts, size_t n);
void proxy_outbox_release_one(
	struct proxy_queue *pq, uint64_t job, uint64_t seq, uint64_t start, uint64_t end, enum ranq_release_kind kind);
void proxy_outbox_flush(struct proxy_queue *pq, bool all);
void proxy_outbox_tick(struct proxy_queue *pq);
void proxy_outbox_along(struct proxy_queue *pq); /* commits what would be due soon */
int64_t proxy_outbox_due(const struct proxy_queue *pq);
/* Sends calls that are not on their way, in order; unless `all`, as many as the network takes. */
void proxy_outbox_send(struct proxy_queue *pq, bool all);
bool proxy_outbox_sent(const struct proxy_queue *pq);             /* all of them */
void proxy_outbox_drop(struct proxy_queue *pq);                   /* registration gone */
void proxy_outbox_drop_job(struct proxy_queue *pq, uint64_t job); /* pending items only */
bool proxy_outbox_empty(const struct proxy_queue *pq);
size_t proxy_outbox_bytes(const struct ranq_proxy *proxy);

bool proxy_window_open(const struct ranq_proxy *proxy); /* the connection takes more */

/* proxy_slices.c */
int proxy_slice_offered(struct ranq_proxy *proxy, int rank, uint64_t slot, struct ranq_err *err);
int proxy_slice_here(struct ranq_proxy *proxy, int rank, const struct ranq_message_slice *m, struct ranq_err *err);
void proxy_slices_pump(struct ranq_proxy *proxy);
int64_t proxy_slices_due(const struct ranq_proxy *proxy);
void proxy_slices_lost(struct ranq_proxy *proxy, int rank);
void proxy_slices_clear(struct ranq_proxy *proxy);

/* proxy_reduce.c */
void proxy_item_reduce(struct proxy_item *item); /* joins what of its results can be joined */
/* Takes those out of n items that an executor can make smaller with the reduce function of their job; returns how many
 * remain. They come back to be committed, joined or as they are. */
size_t proxy_merge_items(struct proxy_queue *pq, struct proxy_item **items, size_t n);
void proxy_merge_results(struct ranq_proxy *proxy, int rank, const struct ranq_message_results *m);
void proxy_merge_recall(struct proxy_queue *pq, int rank);   /* those at a rank, -1: all; as they are */
void proxy_merge_drop(struct proxy_queue *pq, uint64_t job); /* 0: all */
void proxy_merge_tick(struct proxy_queue *pq);
int64_t proxy_merge_due(const struct proxy_queue *pq);

/* proxy_jobs.c */
struct proxy_job *proxy_job_get(struct proxy_queue *pq, uint64_t id);
struct proxy_job *proxy_job_find(struct proxy_queue *pq, uint64_t id);
void proxy_job_stop(struct proxy_queue *pq, uint64_t id); /* the job is over: drop and give back its work */
void proxy_job_record(struct proxy_queue *pq, uint64_t id, struct ranq_bytes record); /* came with a lease */
void proxy_job_drop(struct proxy_job *job, bool kill);    /* forget it here and at the workers */
void proxy_job_fail(struct proxy_job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
void proxy_job_introduce(struct proxy_job *job, int rank);
void proxy_job_blob_here(struct proxy_blob *blob);
void proxy_jobs_tick(struct ranq_proxy *proxy);
int64_t proxy_jobs_due(const struct ranq_proxy *proxy);

/* proxy_blobs.c */
/* job: it is an argument of that job; 0: it is a module or job data. */
struct proxy_blob *proxy_blob_get(struct proxy_queue *pq, uint64_t job, const char *hash, uint64_t total);
uint64_t proxy_blobs_arguments(const struct ranq_proxy *proxy); /* bytes of all arguments that are here or on the way */
void proxy_blob_put(struct ranq_proxy *proxy, struct proxy_blob *blob);
void proxy_blob_share(struct ranq_proxy *proxy, struct proxy_blob *blob, int rank);
void proxy_blobs_ask(struct ranq_proxy *proxy);
void proxy_blobs_trim(struct ranq_proxy *proxy, uint64_t bytes); /* of unused ones, at most so much may stay */
void proxy_blobs_pump(struct ranq_proxy *proxy);
void proxy_blobs_lost(struct ranq_proxy *proxy, int rank);
void proxy_blob_missing(struct ranq_proxy *proxy, uint64_t number, int rank); /* it waits for it in vain */

/* proxy_input.c */
void proxy_input_ask(struct proxy_job *job);
void proxy_input_came(struct proxy_queue *pq, uint64_t id, uint64_t first, struct ranq_bytes block); /* with a lease */
/* How many tasks from start on have their lines here, at most to end; 0: none. */
uint64_t proxy_input_have(const struct proxy_job *job, uint64_t start, uint64_t end);
int proxy_input_slice(
	const struct proxy_job *job, uint64_t start, uint64_t end, struct ranq_buf *out, struct ranq_err *err);
void proxy_input_trim(struct proxy_job *job);
/* The large argument of the task, from now on the caller's; NULL: it has none. */
struct proxy_blob *proxy_input_take(struct proxy_job *job, uint64_t index);
void proxy_input_clear(struct proxy_job *job);

/* proxy_work.c */
int proxy_piece_add(struct proxy_job *job, const struct ranq_range *range, uint64_t grant);
void proxy_piece_back(struct proxy_chunk *chunk, uint64_t from); /* the rest of a chunk is unstarted again */
void proxy_piece_remove(struct ranq_proxy *proxy, struct proxy_piece *piece);
/* Gives unstarted work of the queue, or of one job of it, back, the last first, but keeps `keep` tasks. */
void proxy_pieces_release(struct proxy_queue *pq, const struct proxy_job *job, uint64_t keep);
void proxy_pieces_drop(struct proxy_queue *pq, const struct ranq_fragment *gone);
void proxy_dispatch(struct ranq_proxy *proxy);
void proxy_give_back_late(struct ranq_proxy *proxy);
void proxy_work_results(struct ranq_proxy *proxy, int rank, const struct ranq_message_results *m);
void proxy_work_shortened(struct ranq_proxy *proxy, int rank, const struct ranq_message_truncate *m);
void proxy_chunk_end(struct ranq_proxy *proxy, struct proxy_lane *lane, struct proxy_chunk *chunk);
/* Time of a task as measured; before any is, what the one that runs longest takes at least. */
double proxy_job_task_ns(const struct proxy_job *job);
/* Unstarted work of the queues up to upto_queue, in tasks of task_ns each (0: just counted). */
uint64_t proxy_unstarted(const struct ranq_proxy *proxy, size_t upto_queue, double task_ns);
void proxy_lane_join(struct ranq_proxy *proxy, struct proxy_lane *lane);  /* a new one, idle */
void proxy_lane_leave(struct ranq_proxy *proxy, struct proxy_lane *lane); /* of a lost worker */
void proxy_lane_look(struct ranq_proxy *proxy, struct proxy_lane *lane);  /* the chunk that runs there has changed */
int64_t proxy_work_due(const struct ranq_proxy *proxy);

/* proxy_sticky.c */
bool proxy_sticky(const struct proxy_piece *piece);
/* The part of the piece that this lane takes: the first block of its own, or with `any` the last one of the piece,
 * which its own lane would take last. Its length, 0: none. */
uint64_t proxy_sticky_part(const struct proxy_lane *lane, const struct proxy_piece *piece, bool any, uint64_t *at);
/* Cuts the piece; what begins at `at`, NULL: out of memory. */
struct proxy_piece *proxy_sticky_cut(struct proxy_piece *piece, uint64_t at);

/* proxy_steal.c */
void proxy_steal(struct ranq_proxy *proxy);
int64_t proxy_steal_due(const struct ranq_proxy *proxy);

/* proxy_give.c */
bool proxy_give_init(struct ranq_proxy *proxy);
void proxy_give_tick(struct ranq_proxy *proxy);
int64_t proxy_give_due(const struct ranq_proxy *proxy);

/* proxy_end.c */
void proxy_worker_retire(struct ranq_proxy *proxy, int rank); /* an idle one gets no more work; without a word */
bool proxy_idle(const struct ranq_proxy *proxy); /* nothing runs, nothing is to be had, everything is committed */
void proxy_drain(struct ranq_proxy *proxy, bool polite, const char *why);
void proxy_hurry(struct ranq_proxy *proxy, const char *why);
void proxy_fatal(struct ranq_proxy *proxy, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void proxy_signal(struct ranq_proxy *proxy, int sig, bool own); /* own: not told by a worker */
void proxy_worker_lost(struct ranq_proxy *proxy, int rank, const char *why);
void proxy_worker_left(struct ranq_proxy *proxy, int rank);
void proxy_worker_back(struct ranq_proxy *proxy, int rank);
void proxy_end_tick(struct ranq_proxy *proxy);
int64_t proxy_end_due(const struct ranq_proxy *proxy);

static inline int64_t proxy_min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

#endif

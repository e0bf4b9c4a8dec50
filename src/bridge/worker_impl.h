/* worker_impl.h - inside of the worker, shared by worker.c (messages, slots), worker_jobs.c (jobs and blobs) and
 * worker_send.c. */
#ifndef RANQ_BRIDGE_WORKER_IMPL_H
#define RANQ_BRIDGE_WORKER_IMPL_H

#include <sys/queue.h>

#include "bridge/blobs.h"
#include "bridge/watch.h"
#include "bridge/worker.h"

#define WORKER_ASK_MS 2000 /* between two questions where a blob is */

/* A chunk that rank 0 gave: first waiting here (its job's blobs are not complete, or the slot is full), then given to
 * the slot. Rank 0 hears of its end exactly once, whatever happens: `done` of RESULTS. */
struct worker_chunk {
	TAILQ_ENTRY(worker_chunk) next;
	uint64_t key, id, start, end, upto, deaths;
	uint64_t blob;   /* the argument of its only task; 0: `input` has it */
	int64_t ask_ms;  /* when to ask for it, if it is not here by then */
	int64_t end_ms;
	unsigned char *input;
	size_t input_len;
	bool given, merge;
};
struct worker_job {
	TAILQ_ENTRY(worker_job) next;
	uint64_t key, module, data;
	char *id_text;
	unsigned char *spec;
	size_t spec_len;
	bool *added;    /* for each slot: the executor side knows it */
	int64_t ask_ms; /* when to ask for its blobs, if they are not here by then */
};
/* A slice of a result: OFFERED to rank 0, GIVEN when that has asked for it. Until it is stored the slot is stalled. */
enum worker_offer { WORKER_OFFER_NONE, WORKER_OFFERED, WORKER_GIVEN };
struct worker_slot {
	struct ranq_worker *worker;
	struct ranq_slot *slot; /* NULL: could not be made again; of the one that merges: nothing to merge */
	struct ranq_watch watch;
	unsigned number;
	bool stalled;                      /* waits for rank 0 to take results */
	enum worker_offer offer;
	bool has_slice;                    /* `slice` holds, its bytes in the slot, until that is pumped again */
	struct ranq_slot_event slice;
	int64_t short_ms, again_ms;        /* out of descriptors since then (0: not), next try; RANQ_NEVER */
	TAILQ_HEAD(, worker_chunk) chunks; /* given ones first, in order */
};
struct ranq_worker {
	struct ranq_worker_options options;
	/* Those of the lanes, and behind them one that joins results: it has an executor while there is something to join, so
	 * that nobody's task waits for it, or dies of it. */
	struct worker_slot *slots;
	unsigned nslots;
	struct ranq_watch exec_watch;
	TAILQ_HEAD(, worker_job) jobs;
	struct ranq_blobs *blobs;
	enum ranq_worker_state state;
	int status, parent;
	int64_t lease_ms, silence_ms, last_tick_ms;
};

void ranq_worker_feed(struct ranq_worker *worker, struct worker_slot *slot); /* worker.c */
void ranq_worker_feed_all(struct ranq_worker *worker);
void ranq_worker_merged(struct ranq_worker *worker); /* a job that had merges is over: the executor for them may be, too */

/* worker_send.c */
int ranq_worker_results(struct ranq_worker *worker, const struct ranq_message_results *m);
void ranq_worker_number(struct ranq_worker *worker, enum ranq_message_type type, uint64_t number);
void ranq_worker_notice(struct ranq_worker *worker, enum ranq_notice kind, uint64_t value);
void ranq_worker_hello(struct ranq_worker *worker);
void ranq_worker_shortened(struct ranq_worker *worker, unsigned slot, uint64_t chunk, uint64_t new_end);

struct worker_job *ranq_worker_job_find(struct ranq_worker *worker, uint64_t key);
int ranq_worker_job_add(struct ranq_worker *worker, const struct ranq_message_job *m, struct ranq_err *err);
void ranq_worker_job_remove(struct ranq_worker *worker, struct worker_job *job);
bool ranq_worker_job_ready(const struct ranq_worker *worker, const struct worker_job *job);
bool ranq_worker_chunk_ready(const struct ranq_worker *worker, const struct worker_chunk *chunk);
/* Makes the job known to the slot, once. */
int ranq_worker_job_introduce(
	struct ranq_worker *worker, struct worker_job *job, struct worker_slot *slot, struct ranq_err *err);
/* A descriptor may be lost on its way (this process had too many open), and nobody else would notice: what a job waits
 * for is asked for again. */
void ranq_worker_jobs_tick(struct ranq_worker *worker, int64_t now_ms);
int64_t ranq_worker_jobs_due(const struct ranq_worker *worker);
int ranq_worker_blob(struct ranq_worker *worker, const struct ranq_message_blob *m, struct ranq_err *err);

#endif

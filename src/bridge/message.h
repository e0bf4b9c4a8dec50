/* message.h - the typed messages between rank 0 (the proxy) and the compute ranks (workers).
 *
 *   message := magic:4 "rnqm"  version:1  type:1  zero:2  body_length:4 (little endian)  body
 * Every decoder checks magic, version, type, length and each field, and refuses bytes left over: a rank is a process of
 * the same user, but its memory may be damaged. Decoded bytes are borrowed from the message. Jobs are named by `key`, a
 * number that rank 0 gives: jobs of different queues may have the same id. */
#ifndef RANQ_BRIDGE_MESSAGE_H
#define RANQ_BRIDGE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/segment.h"
#include "util/buf.h"
#include "util/err.h"

#define RANQ_MESSAGE_VERSION 5
#define RANQ_MESSAGE_FAILURES_MAX 16384 /* failure records in one message */

/* name, who reads it */
#define RANQ_MESSAGES(X) \
	X(JOB, WORKER)      /* a job: spec, and which blobs it needs */ \
	X(DROP, WORKER)     /* forget a job; kill: also what runs of it */ \
	X(BLOB, WORKER)     /* a piece of a module or of job data */ \
	X(FORGET, WORKER)   /* a blob is not needed any more */ \
	X(CHUNK, WORKER)    /* run these tasks */ \
	X(TRUNCATE, WORKER) /* give back the end of a chunk */ \
	X(WARN, WORKER)     /* the allocation ends: signal, then kill */ \
	X(PING, WORKER)     /* answer; carries the lease */ \
	X(GIVE, WORKER)     /* send the slice that a slot has offered */ \
	X(STORED, WORKER)   /* it is in the queue: the slot goes on */ \
	X(BYE, WORKER)      /* end */ \
	X(HELLO, PROXY)     /* first message of a worker */ \
	X(RESULTS, PROXY)   /* tasks of a chunk are over, or the chunk is */ \
	X(SHORTENED, PROXY) /* the end of a chunk is free, the rest of it goes on */ \
	X(SLICE, PROXY)     /* of the result of a task that is not reported yet */ \
	X(PONG, PROXY)      /* answer to PING */ \
	X(NOTICE, PROXY)    /* a signal came, a blob did not, or this worker cannot go on */ \
	X(GOODBYE, PROXY)   /* last message of a worker */
enum ranq_message_type {
	RANQ_MESSAGE_INVALID = 0,
#define X(name, reader) RANQ_MESSAGE_##name,
	RANQ_MESSAGES(X)
#undef X
		RANQ_MESSAGE_COUNT
};
const char *ranq_message_name(enum ranq_message_type type);
bool ranq_message_is_for_proxy(enum ranq_message_type type);

/* Checks the head and gives type and a reader over the body. */
int ranq_message_open(
	const void *data, size_t len, enum ranq_message_type *type, struct ranq_reader *body, struct ranq_err *err);

struct ranq_message_job {
	uint64_t key;
	struct ranq_bytes id_text; /* "QUEUE/7" */
	uint64_t module, data;     /* blob numbers, 0: none */
	struct ranq_bytes spec;
};
struct ranq_message_drop {
	uint64_t key;
	bool kill;
	int64_t grace_ms;
};
struct ranq_message_blob {
	uint64_t blob, total, offset;
	struct ranq_bytes piece;
};
struct ranq_message_chunk {
	uint64_t key, chunk, slot, start, end, deaths;
	int64_t left_ms; /* until the allocation ends; RANQ_NEVER */
	bool merge;      /* run nothing: `input` is their reduced results, to be joined and sent back (slot: one behind the last) */
	uint64_t blob;   /* of one task: its argument, which `input` stands for; 0: none */
	struct ranq_bytes input;
};
struct ranq_message_truncate { /* and SHORTENED */
	uint64_t slot, chunk, new_end;
};
struct ranq_message_warn {
	uint64_t slot;
	int sig;
	int64_t grace_ms;
};
struct ranq_message_ping {
	uint64_t nonce;
	int64_t lease_ms;
};
struct ranq_message_hello {
	uint64_t pid, slots;
};
struct ranq_message_results {
	uint64_t key, chunk, slot, from, upto;
	bool done;   /* nothing more will come of this chunk */
	bool broken; /* ... because the executor could not be run */
	uint64_t counts[RANQ_TASK_STATUS_COUNT], elapsed_us;
	size_t nfailures;
	uint64_t *failure_index; /* nfailures entries; decode: malloced, freed by ranq_message_results_clear */
	struct ranq_bytes *failures;
	struct ranq_bytes segment;
	uint64_t nsplits; /* results in it that came in slices before */
};
struct ranq_message_slice {
	uint64_t key, slot, task, slice;
	struct ranq_split split; /* size 0: there is nothing to give any more */
	struct ranq_bytes bytes;
};
enum ranq_notice {
	RANQ_NOTICE_SIGNAL = 1, /* value: its number */
	RANQ_NOTICE_BROKEN = 2,
	RANQ_NOTICE_MISSING = 3, /* value: the blob that a job here waits for */
	RANQ_NOTICE_SLICE = 4    /* value: the slot that has a slice to give */
};
struct ranq_message_notice {
	enum ranq_notice kind;
	uint64_t value;
};

/* Encoders append one whole message to an empty buffer; check ranq_buf_failed (send does). */
void ranq_message_job_encode(struct ranq_buf *buf, const struct ranq_message_job *m);
void ranq_message_drop_encode(struct ranq_buf *buf, const struct ranq_message_drop *m);
void ranq_message_blob_encode(struct ranq_buf *buf, const struct ranq_message_blob *m);
void ranq_message_chunk_encode(struct ranq_buf *buf, const struct ranq_message_chunk *m);
void ranq_message_truncate_encode(
	struct ranq_buf *buf, enum ranq_message_type type, const struct ranq_message_truncate *m); /* TRUNCATE, SHORTENED */
void ranq_message_warn_encode(struct ranq_buf *buf, const struct ranq_message_warn *m);
void ranq_message_ping_encode(struct ranq_buf *buf, const struct ranq_message_ping *m);
void ranq_message_hello_encode(struct ranq_buf *buf, const struct ranq_message_hello *m);
void ranq_message_results_encode(struct ranq_buf *buf, const struct ranq_message_results *m);
void ranq_message_slice_encode(struct ranq_buf *buf, const struct ranq_message_slice *m);
void ranq_message_notice_encode(struct ranq_buf *buf, const struct ranq_message_notice *m);
void ranq_message_number_encode(
	struct ranq_buf *buf, enum ranq_message_type type, uint64_t number); /* FORGET, GIVE, STORED, PONG, BYE, GOODBYE */

/* Decoders take the reader that open gave. */
int ranq_message_job_decode(struct ranq_reader *in, struct ranq_message_job *m, struct ranq_err *err);
int ranq_message_drop_decode(struct ranq_reader *in, struct ranq_message_drop *m, struct ranq_err *err);
int ranq_message_blob_decode(struct ranq_reader *in, struct ranq_message_blob *m, struct ranq_err *err);
int ranq_message_chunk_decode(struct ranq_reader *in, struct ranq_message_chunk *m, struct ranq_err *err);
int ranq_message_truncate_decode(struct ranq_reader *in, struct ranq_message_truncate *m, struct ranq_err *err);
int ranq_message_warn_decode(struct ranq_reader *in, struct ranq_message_warn *m, struct ranq_err *err);
int ranq_message_ping_decode(struct ranq_reader *in, struct ranq_message_ping *m, struct ranq_err *err);
int ranq_message_hello_decode(struct ranq_reader *in, struct ranq_message_hello *m, struct ranq_err *err);
int ranq_message_results_decode(struct ranq_reader *in, struct ranq_message_results *m, struct ranq_err *err);
void ranq_message_results_clear(struct ranq_message_results *m);
int ranq_message_slice_decode(struct ranq_reader *in, struct ranq_message_slice *m, struct ranq_err *err);
int ranq_message_notice_decode(struct ranq_reader *in, struct ranq_message_notice *m, struct ranq_err *err);
int ranq_message_number_decode(struct ranq_reader *in, uint64_t *number, struct ranq_err *err);

#endif

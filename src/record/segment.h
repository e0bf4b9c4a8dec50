/* segment.h - packed results of consecutive tasks, written by executors in final form, read by clients.
 *
 * An item (what one commit stores) is one or more segments end to end; the first task index is known from outside.
 *   segment := kind:1 count:varint body       count >= 1
 *   kind 'u' uniform: every task OK, same size:   size:varint  count*size bytes
 *   kind 'v' varied:  body_len:varint  count * (status:1  len:varint  bytes); status + 128: the value is in a file, and
 *                     bytes say in which (record/offload.h): size:varint hash:32; status + 64: it is stored in slices
 *                     (record/split.h): size:varint name:32 salt:16
 *   kind 'r' reduced: ok:varint  len:varint  bytes: one value for the `ok` tasks of the `count` that succeeded; none, no
 *                     bytes. Only in jobs with a reduction (record/reduce.h), whose segments are of kinds 'r' and 'v'.
 * Segments of a job with results "count" or "none" are not stored. Bytes of a failed task are the output that it had
 * made. */
#ifndef RANQ_RECORD_SEGMENT_H
#define RANQ_RECORD_SEGMENT_H

#include <string.h>

#include "record/split.h"
#include "util/buf.h"
#include "util/err.h"

/* order is the wire value */
#define RANQ_TASK_STATUSES(X) X(OK) X(ERROR) X(DIED) X(TIMEOUT) X(CANCELLED)
enum ranq_task_status {
#define X(name) RANQ_TASK_##name,
	RANQ_TASK_STATUSES(X)
#undef X
		RANQ_TASK_STATUS_COUNT
};
const char *ranq_task_status_name(enum ranq_task_status status); /* "OK", "ERROR", ... */

/* Which file has a value. Only what it must contain: where it lies is said by the job, never by a result. */
#define RANQ_FILE_HASH_BYTES 32
struct ranq_file_ref {
	uint64_t size; /* at least 1 */
	unsigned char hash[RANQ_FILE_HASH_BYTES];
};

/* Writer: collects results; stays uniform as long as it can. `max` limits the bytes of the body (0: no limit). */
struct ranq_segment_writer {
	struct ranq_buf body; /* uniform payload, or varied records */
	uint64_t count, size; /* size: of each result while uniform */
	bool uniform;
	uint64_t counts[RANQ_TASK_STATUS_COUNT];
};
void ranq_segment_writer_init(struct ranq_segment_writer *w, size_t max);
void ranq_segment_writer_clear(struct ranq_segment_writer *w);
void ranq_segment_writer_reset(struct ranq_segment_writer *w);
int ranq_segment_writer_add_slow(
	struct ranq_segment_writer *w, enum ranq_task_status status, const void *data, size_t len);
/* One more result; data is copied. -1: the segment would pass its maximum, or out of memory; the writer is as before.
 * Inline, because an executor of tiny functions does little else; the body never has room beyond max, so room is the
 * only thing to check. */
static inline int ranq_segment_writer_add(
	struct ranq_segment_writer *w, enum ranq_task_status status, const void *data, size_t len)
{
	unsigned char *at;

	if (!w->uniform || !w->count || status != RANQ_TASK_OK || len != w->size || len >= w->body.cap - w->body.len)
		return ranq_segment_writer_add_slow(w, status, data, len);
	at = w->body.data + w->body.len;
	if (len == sizeof(uint64_t))
		memcpy(at, data, sizeof(uint64_t));
	else if (len)
		memcpy(at, data, len);
	w->body.len += len;
	w->count++;
	w->counts[RANQ_TASK_OK]++;
	return 0;
}
/* The same for a result whose value is in a file. */
int ranq_segment_writer_add_file(
	struct ranq_segment_writer *w, enum ranq_task_status status, const struct ranq_file_ref *file);
/* The same for a result that is stored in slices. */
int ranq_segment_writer_add_split(
	struct ranq_segment_writer *w, enum ranq_task_status status, const struct ranq_split *split);
/* Appends the finished segment to out and resets the writer. A writer without tasks appends nothing. */
int ranq_segment_writer_finish(struct ranq_segment_writer *w, struct ranq_buf *out);
size_t ranq_segment_writer_bytes(const struct ranq_segment_writer *w); /* what finish would append, at most */

/* Reader over an item. */
struct ranq_segment_reader {
	struct ranq_reader in;
	uint64_t left; /* tasks left in this segment */
	uint64_t size; /* of each while uniform; else where the body ends in `in` */
	bool uniform;
	bool parts; /* reads parts: 'r' and 'v' are expected, else 'u' and 'v' */
};
struct ranq_result {
	enum ranq_task_status status;
	bool in_file, in_slices;
	struct ranq_bytes value; /* borrowed from the item; in_file: for ranq_file_ref_of; in_slices: for ranq_split_of */
};
/* What the value of a result in a file stands for; the reader has checked it. */
struct ranq_file_ref ranq_file_ref_of(const struct ranq_result *result);
struct ranq_split ranq_split_of(const struct ranq_result *result);
void ranq_segment_reader_init(struct ranq_segment_reader *r, const void *item, size_t len);
int ranq_segment_reader_next_slow(struct ranq_segment_reader *r, struct ranq_result *result, struct ranq_err *err);
/* The next value, when it is one of a uniform segment that was begun; false: nothing was read. */
static inline bool ranq_segment_reader_uniform(struct ranq_segment_reader *r, struct ranq_bytes *value)
{
	if (!r->uniform || !r->left)
		return false;
	value->data = r->in.data + r->in.pos; /* inside: the whole body was checked when the segment began */
	value->len = r->size;
	r->in.pos += r->size;
	r->left--;
	return true;
}
/* 1: *result is the next task's; 0: clean end; -1: the item is malformed (never reads outside it), for good. A uniform
 * segment of empty results claims any count with a few bytes: stop at the number of tasks that the item must have. */
static inline int ranq_segment_reader_next(
	struct ranq_segment_reader *r, struct ranq_result *result, struct ranq_err *err)
{
	if (!r->uniform || !r->left)
		return ranq_segment_reader_next_slow(r, result, err);
	result->status = RANQ_TASK_OK;
	result->in_file = result->in_slices = false;
	result->value.data = r->in.data + r->in.pos; /* inside: the whole body was checked when the segment began */
	result->value.len = r->size;
	r->in.pos += r->size;
	r->left--;
	return 1;
}
/* The same over an item of a job with a reduction: one part at a time. A reader is used for the one or the other. */
struct ranq_part {
	uint64_t count, ok; /* tasks; those of them that the value stands for: those that succeeded */
	struct ranq_bytes value;
};
int ranq_segment_reader_next_part(struct ranq_segment_reader *r, struct ranq_part *part, struct ranq_err *err);
int ranq_part_add(struct ranq_buf *out, const struct ranq_part *part); /* as a segment; -1: out failed */
/* Number of tasks of an item (at most RANQ_SEGMENT_TASKS_MAX), checked in full, or -1 with err. */
#define RANQ_SEGMENT_TASKS_MAX ((uint64_t)1 << 53)
int64_t ranq_segment_check(const void *item, size_t len, struct ranq_err *err);
/* The results of an item of `tasks` tasks from `first` on that are stored in slices: how many there are; the first `max`
 * of them go to `found`. */
struct ranq_split_place {
	uint64_t index;
	struct ranq_split split;
};
size_t ranq_segment_splits(
	const void *item, size_t len, uint64_t first, uint64_t tasks, struct ranq_split_place *found, size_t max);

/* Record of one failed task; kept for `tasks`, `log` and the summary of `run`. At most 8 KiB when packed. */
struct ranq_failure {
	uint64_t index;
	enum ranq_task_status status;
	int exit_code; /* -1 when ended by a signal */
	int signal;    /* 0 when it exited */
	unsigned attempts;
	uint64_t elapsed_us;
	char host[64];
	char worker[80];  /* bridge/rank */
	char reason[160]; /* "exit status 3", "killed by signal 9", "timed out after 5s", message of the body */
	struct ranq_bytes err_tail; /* end of its stderr, at most 6 KiB */
};
#define RANQ_FAILURE_MAX_BYTES (8u << 10)
#define RANQ_FAILURE_TAIL_BYTES (6u << 10)
/* Appends; of a longer err_tail the last RANQ_FAILURE_TAIL_BYTES. -1: `out` failed. */
int ranq_failure_pack(const struct ranq_failure *f, struct ranq_buf *out);
/* err_tail is borrowed from data; f is all zero on failure. */
int ranq_failure_unpack(const void *data, size_t len, struct ranq_failure *f, struct ranq_err *err);

#endif

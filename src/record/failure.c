/* The record of a failed task:
 *   version:1 status:1 index:varint exit_code+1:varint signal:varint attempts:varint elapsed_us:varint
 *   host:sized worker:sized reason:sized err_tail:sized */
#include <limits.h>
#include <string.h>

#include "record/segment.h"

#define FAILURE_VERSION 1

static void add_text(struct ranq_buf *out, const char *text, size_t size)
{
	ranq_buf_add_sized(out, text, strnlen(text, size - 1));
}

int ranq_failure_pack(const struct ranq_failure *f, struct ranq_buf *out)
{
	size_t tail = f->err_tail.len < RANQ_FAILURE_TAIL_BYTES ? f->err_tail.len : RANQ_FAILURE_TAIL_BYTES;
	const unsigned char *end = f->err_tail.data;

	_Static_assert(RANQ_FAILURE_TAIL_BYTES + sizeof f->host + sizeof f->worker + sizeof f->reason + 100 <=
			       RANQ_FAILURE_MAX_BYTES,
		"a packed failure is at most 8 KiB");
	ranq_buf_add_byte(out, FAILURE_VERSION);
	ranq_buf_add_byte(out, (unsigned char)f->status);
	ranq_buf_add_varint(out, f->index);
	ranq_buf_add_varint(out, f->exit_code < 0 ? 0 : (uint64_t)f->exit_code + 1);
	ranq_buf_add_varint(out, f->signal < 0 ? 0 : (uint64_t)f->signal);
	ranq_buf_add_varint(out, f->attempts);
	ranq_buf_add_varint(out, f->elapsed_us);
	add_text(out, f->host, sizeof f->host);
	add_text(out, f->worker, sizeof f->worker);
	add_text(out, f->reason, sizeof f->reason);
	ranq_buf_add_sized(out, tail ? end + (f->err_tail.len - tail) : NULL, tail);
	return ranq_buf_failed(out) ? -1 : 0;
}

static uint64_t read_number(struct ranq_reader *r, uint64_t max)
{
	uint64_t value = ranq_reader_varint(r);

	if (value > max)
		r->failed = true;
	return r->failed ? 0 : value;
}

static void read_text(struct ranq_reader *r, char *text, size_t size)
{
	struct ranq_bytes bytes = ranq_reader_sized(r);

	if (bytes.len >= size || (bytes.len && memchr(bytes.data, '\0', bytes.len)))
		r->failed = true;
	if (r->failed)
		return;
	if (bytes.len)
		memcpy(text, bytes.data, bytes.len);
	text[bytes.len] = '\0';
}

int ranq_failure_unpack(const void *data, size_t len, struct ranq_failure *f, struct ranq_err *err)
{
	struct ranq_reader r;
	unsigned char version, status;

	memset(f, 0, sizeof *f);
	ranq_reader_init(&r, data, len);
	version = ranq_reader_byte(&r);
	status = ranq_reader_byte(&r);
	f->status = status < RANQ_TASK_STATUS_COUNT ? (enum ranq_task_status)status : RANQ_TASK_ERROR;
	f->index = read_number(&r, RANQ_SEGMENT_TASKS_MAX);
	f->exit_code = (int)read_number(&r, INT_MAX) - 1;
	f->signal = (int)read_number(&r, INT_MAX);
	f->attempts = (unsigned)read_number(&r, UINT_MAX);
	f->elapsed_us = ranq_reader_varint(&r);
	read_text(&r, f->host, sizeof f->host);
	read_text(&r, f->worker, sizeof f->worker);
	read_text(&r, f->reason, sizeof f->reason);
	f->err_tail = ranq_reader_sized(&r);
	if (!r.failed && version == FAILURE_VERSION && status < RANQ_TASK_STATUS_COUNT &&
		f->err_tail.len <= RANQ_FAILURE_TAIL_BYTES && !ranq_reader_left(&r))
		return 0;
	memset(f, 0, sizeof *f);
	return ranq_err_set(err, RANQ_ERR_REPLY, "the record of a failed task is malformed (%zu bytes)", len);
}

/* outbox.c - results from executor to rank. A crash of the executor costs what lies here, so nothing lies here for
 * longer than RANQ_OUTBOX_FLUSH_MS of work; a single send for each task would cost more than a short task itself. For
 * the same reason frames of several short runs are sent together, when the next run waits already. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "exec/executor.h"
#include "util/clock.h"

#define FLUSH_COUNT (1u << 20)
#define FLUSH_FAILURES 64
#define HOLD_NS 300000

void ranq_outbox_init(struct ranq_outbox *out)
{
	*out = (struct ranq_outbox){0};
	ranq_segment_writer_init(&out->writer, 0);
	ranq_buf_init(&out->failures, 0);
	ranq_buf_init(&out->frame, 0);
}

static void restart(struct ranq_outbox *out)
{
	out->from += out->count;
	out->count = out->nfailures = 0;
	memset(out->counts, 0, sizeof out->counts);
	ranq_segment_writer_reset(&out->writer);
	ranq_buf_reset(&out->failures);
	ranq_wire_trim(&out->writer.body);
	ranq_reduction_restart(&out->reduction, out->from);
	out->since_ns = ranq_clock_ns();
	out->flushed_ms = out->since_ns / 1000000;
}

void ranq_outbox_start(struct ranq_outbox *out, const struct ranq_run *run, const struct ranq_reduce *reduce)
{
	out->reduction.how = *reduce;
	out->number = run->number;
	out->from = run->start;
	out->count = 0;
	restart(out);
	out->run_ns = out->since_ns;
}

static int reduce(struct ranq_outbox *out, const struct ranq_outcome *outcome)
{
	struct ranq_part part = {.count = 1};

	if (outcome->status == RANQ_TASK_OK) {
		part.ok = 1;
		part.value = (struct ranq_bytes){outcome->data, outcome->len};
	}
	return ranq_reduction_add(&out->reduction, &part);
}

static int add_value(struct ranq_segment_writer *writer, const struct ranq_outcome *outcome)
{
	if (outcome->in_file)
		return ranq_segment_writer_add_file(writer, outcome->status, &outcome->file);
	if (outcome->in_slices)
		return ranq_segment_writer_add_split(writer, outcome->status, &outcome->split);
	return ranq_segment_writer_add(writer, outcome->status, outcome->data, outcome->len);
}

int ranq_outbox_add(struct ranq_outbox *out, const struct ranq_spec *spec, const struct ranq_outcome *outcome)
{
	if (out->reduction.how.kind) {
		if (reduce(out, outcome) < 0)
			return -1;
	} else if (spec->results == RANQ_RESULTS_KEEP && add_value(&out->writer, outcome) < 0) {
		return -1;
	}
	out->counts[outcome->status]++;
	out->count++;
	return 0;
}

int ranq_outbox_merge(struct ranq_outbox *out, const struct ranq_run *run, struct ranq_err *err)
{
	uint64_t ok;

	if (ranq_reduction_check(&out->reduction.how, run->start, run->input.data, run->input.len, &ok, err) < 0)
		return -1;
	if (ranq_reduction_add_item(&out->reduction, run->input.data, run->input.len, run->end, err) < 0) {
		ranq_reduction_restart(&out->reduction, run->start);
		return -1;
	}
	out->count = run->end - run->start;
	out->counts[RANQ_TASK_OK] = ok;
	out->counts[RANQ_TASK_ERROR] = out->count - ok;
	return 0;
}

int ranq_outbox_add_failure(struct ranq_outbox *out, const struct ranq_failure *failure)
{
	struct ranq_buf record;
	int rc;

	ranq_buf_init(&record, 0);
	rc = ranq_failure_pack(failure, &record);
	if (!rc) {
		ranq_buf_add_varint(&out->failures, failure->index);
		ranq_buf_add_sized(&out->failures, record.data, record.len);
		out->nfailures++;
	}
	ranq_buf_clear(&record);
	return rc;
}

bool ranq_outbox_due(const struct ranq_outbox *out, int64_t now_ms)
{
	return now_ms - out->flushed_ms >= RANQ_OUTBOX_FLUSH_MS ||
	       ranq_segment_writer_bytes(&out->writer) + out->reduction.bytes >= RANQ_OUTBOX_FLUSH_BYTES ||
	       out->nfailures >= FLUSH_FAILURES || out->count >= FLUSH_COUNT;
}

static int send_all(int fd, const unsigned char *data, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(fd, data, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int ranq_outbox_pack(struct ranq_outbox *out, bool done)
{
	struct ranq_buf *frame = &out->frame;
	size_t at, i;

	if (!out->count && !done)
		return 0;
	at = ranq_wire_begin(frame, RANQ_FRAME_RESULTS);
	ranq_buf_add_varint(frame, out->number);
	ranq_buf_add_varint(frame, out->from);
	ranq_buf_add_varint(frame, out->count);
	ranq_buf_add_byte(frame, done);
	ranq_buf_add_varint(frame, (uint64_t)(ranq_clock_ns() - out->since_ns) / 1000);
	for (i = 0; i < RANQ_TASK_STATUS_COUNT; i++)
		ranq_buf_add_varint(frame, out->counts[i]);
	ranq_buf_add_varint(frame, out->nfailures);
	ranq_buf_add(frame, out->failures.data, out->failures.len);
	ranq_segment_writer_finish(&out->writer, frame);
	ranq_reduction_write(&out->reduction, frame);
	ranq_wire_end(frame, at);
	if (ranq_buf_failed(frame) || ranq_buf_failed(&out->failures)) {
		errno = ENOMEM;
		return -1;
	}
	restart(out);
	if (!at)
		out->held_ns = out->run_ns;
	return 0;
}

bool ranq_outbox_may_hold(const struct ranq_outbox *out)
{
	return out->frame.len < RANQ_OUTBOX_FLUSH_BYTES && out->since_ns - out->held_ns < HOLD_NS;
}

bool ranq_outbox_holds(const struct ranq_outbox *out)
{
	return out->count || out->frame.len;
}

int ranq_outbox_send(struct ranq_outbox *out, int fd)
{
	struct ranq_buf *frame = &out->frame;
	int rc = send_all(fd, frame->data, frame->len);

	ranq_buf_reset(frame);
	ranq_wire_trim(frame);
	return rc;
}

int ranq_outbox_send_slice(struct ranq_outbox *out, int fd, uint64_t task, const struct ranq_split *split, uint64_t slice,
	const void *data)
{
	struct ranq_wire_head head = {.type = RANQ_FRAME_SLICE};
	size_t len = ranq_split_len(split, slice);
	struct ranq_buf fields;
	int rc;

	ranq_buf_init(&fields, 0);
	ranq_buf_add(&fields, &head, sizeof head);
	ranq_buf_add_varint(&fields, out->number);
	ranq_buf_add_varint(&fields, task);
	ranq_buf_add_varint(&fields, slice);
	ranq_buf_add_varint(&fields, split->size);
	ranq_buf_add(&fields, split->name, sizeof split->name);
	ranq_buf_add(&fields, split->salt, sizeof split->salt);
	rc = ranq_buf_failed(&fields) ? -1 : 0;
	if (!rc) {
		head.len = (uint32_t)(fields.len - sizeof head + len);
		memcpy(fields.data, &head, sizeof head);
		rc = send_all(fd, fields.data, fields.len);
	}
	ranq_buf_clear(&fields);
	return rc ? rc : send_all(fd, data, len);
}

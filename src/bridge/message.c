/* message.c - see message.h. */
#include "bridge/message.h"

#include <stdlib.h>
#include <string.h>

#include "record/spec.h"
#include "util/clock.h"

#define HEAD 12
static const unsigned char magic[4] = {'r', 'n', 'q', 'm'};

static const struct {
	const char *name;
	bool for_proxy;
} types[RANQ_MESSAGE_COUNT] = {{"INVALID", false},
#define WORKER false
#define PROXY true
#define X(name, reader) {#name, reader},
	RANQ_MESSAGES(X)
#undef X
};

const char *ranq_message_name(enum ranq_message_type type)
{
	return types[(unsigned)type < RANQ_MESSAGE_COUNT ? type : RANQ_MESSAGE_INVALID].name;
}

bool ranq_message_is_for_proxy(enum ranq_message_type type)
{
	return (unsigned)type < RANQ_MESSAGE_COUNT && types[type].for_proxy;
}

static int bad(struct ranq_err *err, const char *what)
{
	return ranq_err_set(err, RANQ_ERR_REPLY, "malformed message between ranks: %s", what);
}

int ranq_message_open(
	const void *data, size_t len, enum ranq_message_type *type, struct ranq_reader *body, struct ranq_err *err)
{
	const unsigned char *p = data;
	uint32_t n;

	if (len < HEAD || memcmp(p, magic, sizeof magic) != 0)
		return bad(err, "not a message of ranq");
	if (p[4] != RANQ_MESSAGE_VERSION)
		return bad(err, "another version of ranq-bridge runs on some rank");
	if (p[5] == RANQ_MESSAGE_INVALID || p[5] >= RANQ_MESSAGE_COUNT || p[6] || p[7])
		return bad(err, "unknown type");
	n = (uint32_t)p[8] | (uint32_t)p[9] << 8 | (uint32_t)p[10] << 16 | (uint32_t)p[11] << 24;
	if (n != len - HEAD)
		return bad(err, "length");
	*type = (enum ranq_message_type)p[5];
	ranq_reader_init(body, p + HEAD, n);
	return 0;
}

static size_t begin(struct ranq_buf *buf, enum ranq_message_type type)
{
	size_t at = buf->len;
	unsigned char head[HEAD] = {magic[0], magic[1], magic[2], magic[3], RANQ_MESSAGE_VERSION, (unsigned char)type};

	ranq_buf_add(buf, head, sizeof head);
	return at;
}

static void end(struct ranq_buf *buf, size_t at)
{
	size_t n;

	if (ranq_buf_failed(buf))
		return;
	n = buf->len - at - HEAD;
	if (n > UINT32_MAX) {
		buf->failed = true;
		return;
	}
	for (int i = 0; i < 4; i++)
		buf->data[at + 8 + (size_t)i] = (unsigned char)(n >> (8 * i));
}

static void add_bytes(struct ranq_buf *buf, struct ranq_bytes bytes)
{
	ranq_buf_add_sized(buf, bytes.data, bytes.len);
}

/* Times travel as milliseconds + 1, never as 0. */
static void add_ms(struct ranq_buf *buf, int64_t ms)
{
	ranq_buf_add_varint(buf, ms == RANQ_NEVER ? 0 : (uint64_t)(ms < 0 ? 0 : ms) + 1);
}

static int64_t read_ms(struct ranq_reader *in)
{
	uint64_t v = ranq_reader_varint(in);

	if (v == 0)
		return RANQ_NEVER;
	if (v - 1 >= (uint64_t)1 << 50) /* 35,000 years */
		in->failed = true;
	return (int64_t)(v - 1);
}

static bool read_bool(struct ranq_reader *in)
{
	unsigned char v = ranq_reader_byte(in);

	if (v > 1)
		in->failed = true;
	return v == 1;
}

static int finish(const struct ranq_reader *in, struct ranq_err *err)
{
	if (in->failed)
		return bad(err, "a field is cut off or out of range");
	if (ranq_reader_left(in) != 0)
		return bad(err, "bytes left over");
	return 0;
}

/* A part of a job: 0 <= start <= end < 2^53. */
static void check_part(struct ranq_reader *in, uint64_t start, uint64_t upto)
{
	if (start > upto || upto > RANQ_TASKS_MAX)
		in->failed = true;
}

void ranq_message_job_encode(struct ranq_buf *buf, const struct ranq_message_job *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_JOB);

	ranq_buf_add_varint(buf, m->key);
	add_bytes(buf, m->id_text);
	ranq_buf_add_varint(buf, m->module);
	ranq_buf_add_varint(buf, m->data);
	add_bytes(buf, m->spec);
	end(buf, at);
}

int ranq_message_job_decode(struct ranq_reader *in, struct ranq_message_job *m, struct ranq_err *err)
{
	m->key = ranq_reader_varint(in);
	m->id_text = ranq_reader_sized(in);
	m->module = ranq_reader_varint(in);
	m->data = ranq_reader_varint(in);
	m->spec = ranq_reader_sized(in);
	if (m->id_text.len == 0 || m->id_text.len > 128 || m->spec.len > RANQ_SPEC_MAX_BYTES)
		in->failed = true;
	return finish(in, err);
}

void ranq_message_drop_encode(struct ranq_buf *buf, const struct ranq_message_drop *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_DROP);

	ranq_buf_add_varint(buf, m->key);
	ranq_buf_add_byte(buf, m->kill);
	add_ms(buf, m->grace_ms);
	end(buf, at);
}

int ranq_message_drop_decode(struct ranq_reader *in, struct ranq_message_drop *m, struct ranq_err *err)
{
	m->key = ranq_reader_varint(in);
	m->kill = read_bool(in);
	m->grace_ms = read_ms(in);
	return finish(in, err);
}

void ranq_message_blob_encode(struct ranq_buf *buf, const struct ranq_message_blob *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_BLOB);

	ranq_buf_add_varint(buf, m->blob);
	ranq_buf_add_varint(buf, m->total);
	ranq_buf_add_varint(buf, m->offset);
	add_bytes(buf, m->piece);
	end(buf, at);
}

int ranq_message_blob_decode(struct ranq_reader *in, struct ranq_message_blob *m, struct ranq_err *err)
{
	m->blob = ranq_reader_varint(in);
	m->total = ranq_reader_varint(in);
	m->offset = ranq_reader_varint(in);
	m->piece = ranq_reader_sized(in);
	if (m->blob == 0 || m->total > (uint64_t)1 << 50 || m->offset > m->total || m->piece.len > m->total - m->offset)
		in->failed = true;
	return finish(in, err);
}

void ranq_message_chunk_encode(struct ranq_buf *buf, const struct ranq_message_chunk *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_CHUNK);

	ranq_buf_add_varint(buf, m->key);
	ranq_buf_add_varint(buf, m->chunk);
	ranq_buf_add_varint(buf, m->slot);
	ranq_buf_add_varint(buf, m->start);
	ranq_buf_add_varint(buf, m->end);
	ranq_buf_add_varint(buf, m->deaths);
	add_ms(buf, m->left_ms);
	ranq_buf_add_byte(buf, m->merge);
	ranq_buf_add_varint(buf, m->blob);
	add_bytes(buf, m->input);
	end(buf, at);
}

int ranq_message_chunk_decode(struct ranq_reader *in, struct ranq_message_chunk *m, struct ranq_err *err)
{
	m->key = ranq_reader_varint(in);
	m->chunk = ranq_reader_varint(in);
	m->slot = ranq_reader_varint(in);
	m->start = ranq_reader_varint(in);
	m->end = ranq_reader_varint(in);
	m->deaths = ranq_reader_varint(in);
	m->left_ms = read_ms(in);
	m->merge = read_bool(in);
	m->blob = ranq_reader_varint(in);
	m->input = ranq_reader_sized(in);
	check_part(in, m->start, m->end);
	if (m->start == m->end || (m->blob && (m->merge || m->end - m->start != 1)) || m->deaths > UINT32_MAX)
		in->failed = true;
	return finish(in, err);
}

void ranq_message_truncate_encode(
	struct ranq_buf *buf, enum ranq_message_type type, const struct ranq_message_truncate *m)
{
	size_t at = begin(buf, type);

	ranq_buf_add_varint(buf, m->slot);
	ranq_buf_add_varint(buf, m->chunk);
	ranq_buf_add_varint(buf, m->new_end);
	end(buf, at);
}

int ranq_message_truncate_decode(struct ranq_reader *in, struct ranq_message_truncate *m, struct ranq_err *err)
{
	m->slot = ranq_reader_varint(in);
	m->chunk = ranq_reader_varint(in);
	m->new_end = ranq_reader_varint(in);
	return finish(in, err);
}

void ranq_message_warn_encode(struct ranq_buf *buf, const struct ranq_message_warn *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_WARN);

	ranq_buf_add_varint(buf, m->slot);
	ranq_buf_add_varint(buf, (uint64_t)m->sig);
	add_ms(buf, m->grace_ms);
	end(buf, at);
}

int ranq_message_warn_decode(struct ranq_reader *in, struct ranq_message_warn *m, struct ranq_err *err)
{
	uint64_t sig;

	m->slot = ranq_reader_varint(in);
	sig = ranq_reader_varint(in);
	m->grace_ms = read_ms(in);
	if (sig > 64)
		in->failed = true;
	m->sig = (int)(sig & 127);
	return finish(in, err);
}

void ranq_message_ping_encode(struct ranq_buf *buf, const struct ranq_message_ping *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_PING);

	ranq_buf_add_varint(buf, m->nonce);
	add_ms(buf, m->lease_ms);
	end(buf, at);
}

int ranq_message_ping_decode(struct ranq_reader *in, struct ranq_message_ping *m, struct ranq_err *err)
{
	m->nonce = ranq_reader_varint(in);
	m->lease_ms = read_ms(in);
	return finish(in, err);
}

void ranq_message_hello_encode(struct ranq_buf *buf, const struct ranq_message_hello *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_HELLO);

	ranq_buf_add_varint(buf, m->pid);
	ranq_buf_add_varint(buf, m->slots);
	end(buf, at);
}

int ranq_message_hello_decode(struct ranq_reader *in, struct ranq_message_hello *m, struct ranq_err *err)
{
	m->pid = ranq_reader_varint(in);
	m->slots = ranq_reader_varint(in);
	if (m->pid > INT32_MAX || m->slots == 0 || m->slots > 4096)
		in->failed = true;
	return finish(in, err);
}

void ranq_message_results_encode(struct ranq_buf *buf, const struct ranq_message_results *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_RESULTS);

	ranq_buf_add_varint(buf, m->key);
	ranq_buf_add_varint(buf, m->chunk);
	ranq_buf_add_varint(buf, m->slot);
	ranq_buf_add_varint(buf, m->from);
	ranq_buf_add_varint(buf, m->upto);
	ranq_buf_add_byte(buf, m->done);
	ranq_buf_add_byte(buf, m->broken);
	for (int s = 0; s < RANQ_TASK_STATUS_COUNT; s++)
		ranq_buf_add_varint(buf, m->counts[s]);
	ranq_buf_add_varint(buf, m->elapsed_us);
	ranq_buf_add_varint(buf, m->nfailures);
	for (size_t i = 0; i < m->nfailures; i++) {
		ranq_buf_add_varint(buf, m->failure_index[i]);
		add_bytes(buf, m->failures[i]);
	}
	ranq_buf_add_varint(buf, m->nsplits);
	add_bytes(buf, m->segment);
	end(buf, at);
}

static int results_failures(struct ranq_reader *in, struct ranq_message_results *m, struct ranq_err *err)
{
	size_t n = m->nfailures;

	m->failure_index = calloc(n ? n : 1, sizeof *m->failure_index);
	m->failures = calloc(n ? n : 1, sizeof *m->failures);
	if (!m->failure_index || !m->failures)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < n; i++) {
		m->failure_index[i] = ranq_reader_varint(in);
		m->failures[i] = ranq_reader_sized(in);
		if (m->failure_index[i] < m->from || m->failure_index[i] >= m->upto)
			in->failed = true;
	}
	return 0;
}

/* The counts say what happened to the tasks [from, upto), no more and no fewer. */
static void check_counts(struct ranq_reader *in, const struct ranq_message_results *m)
{
	uint64_t sum = 0;

	for (int s = 0; s < RANQ_TASK_STATUS_COUNT; s++) {
		if (m->counts[s] > RANQ_TASKS_MAX)
			in->failed = true;
		sum += m->counts[s];
	}
	if (sum != m->upto - m->from)
		in->failed = true;
}

int ranq_message_results_decode(struct ranq_reader *in, struct ranq_message_results *m, struct ranq_err *err)
{
	*m = (struct ranq_message_results){0};
	m->key = ranq_reader_varint(in);
	m->chunk = ranq_reader_varint(in);
	m->slot = ranq_reader_varint(in);
	m->from = ranq_reader_varint(in);
	m->upto = ranq_reader_varint(in);
	m->done = read_bool(in);
	m->broken = read_bool(in);
	check_part(in, m->from, m->upto);
	for (int s = 0; s < RANQ_TASK_STATUS_COUNT; s++)
		m->counts[s] = ranq_reader_varint(in);
	check_counts(in, m);
	m->elapsed_us = ranq_reader_varint(in);
	m->nfailures = ranq_reader_varint(in);
	if (m->nfailures > RANQ_MESSAGE_FAILURES_MAX || m->nfailures > ranq_reader_left(in)) {
		m->nfailures = 0;
		return bad(err, "too many failure records");
	}
	if (in->failed)
		return finish(in, err);
	if (results_failures(in, m, err) == 0) {
		m->nsplits = ranq_reader_varint(in);
		m->segment = ranq_reader_sized(in);
		if (m->nsplits > m->upto - m->from)
			in->failed = true;
		if (finish(in, err) == 0)
			return 0;
	}
	ranq_message_results_clear(m);
	return -1;
}

void ranq_message_results_clear(struct ranq_message_results *m)
{
	free(m->failure_index);
	free(m->failures);
	m->failure_index = NULL;
	m->failures = NULL;
	m->nfailures = 0;
}

void ranq_message_slice_encode(struct ranq_buf *buf, const struct ranq_message_slice *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_SLICE);

	ranq_buf_add_varint(buf, m->key);
	ranq_buf_add_varint(buf, m->slot);
	ranq_buf_add_varint(buf, m->task);
	ranq_buf_add_varint(buf, m->slice);
	ranq_buf_add_varint(buf, m->split.size);
	ranq_buf_add(buf, m->split.name, sizeof m->split.name);
	ranq_buf_add(buf, m->split.salt, sizeof m->split.salt);
	add_bytes(buf, m->bytes);
	end(buf, at);
}

int ranq_message_slice_decode(struct ranq_reader *in, struct ranq_message_slice *m, struct ranq_err *err)
{
	const void *name, *salt;

	m->key = ranq_reader_varint(in);
	m->slot = ranq_reader_varint(in);
	m->task = ranq_reader_varint(in);
	m->slice = ranq_reader_varint(in);
	m->split.size = ranq_reader_varint(in);
	name = ranq_reader_bytes(in, sizeof m->split.name);
	salt = ranq_reader_bytes(in, sizeof m->split.salt);
	m->bytes = ranq_reader_sized(in);
	if (in->failed)
		return finish(in, err);
	memcpy(m->split.name, name, sizeof m->split.name);
	memcpy(m->split.salt, salt, sizeof m->split.salt);
	if (m->task >= RANQ_TASKS_MAX || m->split.size > RANQ_SPEC_MAX_OUTPUT ||
		(m->split.size && m->slice >= ranq_split_count(&m->split)) ||
		m->bytes.len != (m->split.size ? ranq_split_len(&m->split, m->slice) : 0))
		in->failed = true;
	return finish(in, err);
}

void ranq_message_notice_encode(struct ranq_buf *buf, const struct ranq_message_notice *m)
{
	size_t at = begin(buf, RANQ_MESSAGE_NOTICE);

	ranq_buf_add_byte(buf, (unsigned char)m->kind);
	ranq_buf_add_varint(buf, m->value);
	end(buf, at);
}

int ranq_message_notice_decode(struct ranq_reader *in, struct ranq_message_notice *m, struct ranq_err *err)
{
	unsigned char kind = ranq_reader_byte(in);

	m->kind = (enum ranq_notice)kind;
	m->value = ranq_reader_varint(in);
	if (kind < RANQ_NOTICE_SIGNAL || kind > RANQ_NOTICE_SLICE)
		in->failed = true;
	return finish(in, err);
}

void ranq_message_number_encode(struct ranq_buf *buf, enum ranq_message_type type, uint64_t number)
{
	size_t at = begin(buf, type);

	ranq_buf_add_varint(buf, number);
	end(buf, at);
}

int ranq_message_number_decode(struct ranq_reader *in, uint64_t *number, struct ranq_err *err)
{
	*number = ranq_reader_varint(in);
	return finish(in, err);
}

#include "record/segment.h"

#include "record/spec.h"

#define SEGMENT_HEAD_MAX 21 /* kind and two varints */
#define IN_FILE 0x80        /* beside the status of a record */
#define IN_SLICES 0x40
#define STATUS_MASK (IN_SLICES - 1)
#define FILE_REF_MAX (10 + RANQ_FILE_HASH_BYTES)
#define SPLIT_MAX (10 + RANQ_SPLIT_NAME_BYTES + RANQ_SPLIT_SALT_BYTES)

const char *ranq_task_status_name(enum ranq_task_status status)
{
	static const char *const names[] = {
#define X(name) #name,
		RANQ_TASK_STATUSES(X)
#undef X
	};

	return (unsigned)status < RANQ_TASK_STATUS_COUNT ? names[status] : "?";
}

/* ---- writer ---------------------------------------------------------------------------------------------- */

void ranq_segment_writer_init(struct ranq_segment_writer *w, size_t max)
{
	*w = (struct ranq_segment_writer){.uniform = true};
	ranq_buf_init(&w->body, max);
}

void ranq_segment_writer_clear(struct ranq_segment_writer *w)
{
	size_t max = w->body.max;

	ranq_buf_clear(&w->body);
	ranq_segment_writer_init(w, max);
}

void ranq_segment_writer_reset(struct ranq_segment_writer *w)
{
	ranq_buf_reset(&w->body);
	w->count = w->size = 0;
	w->uniform = true;
	memset(w->counts, 0, sizeof w->counts);
}

static size_t varint_size(uint64_t value)
{
	size_t n = 1;

	while (value >>= 7)
		n++;
	return n;
}

/* Asked before any append, because the sticky failure of a buffer would cost the results that are already in it. */
static bool has_room(struct ranq_buf *buf, size_t n)
{
	if (ranq_buf_reserve(buf, n))
		return true;
	buf->failed = false;
	return false;
}

static unsigned char *put_varint(unsigned char *at, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*at++ = (unsigned char)(value | 0x80);
	*at++ = (unsigned char)value;
	return at;
}

/* has_room was asked for it. */
static void add_record(struct ranq_buf *body, unsigned tag, const void *data, size_t len)
{
	unsigned char *at = body->data + body->len;

	*at++ = (unsigned char)tag;
	at = put_varint(at, len);
	if (len)
		memcpy(at, data, len);
	body->len = (size_t)(at - body->data) + len;
}

/* The first result that does not fit the pattern: what is there gets written again with its sizes. `extra` is room that
 * the caller needs behind it; without that room nothing changes. */
static int become_varied(struct ranq_segment_writer *w, size_t extra)
{
	size_t record = 1 + varint_size(w->size) + (size_t)w->size;
	struct ranq_buf varied;
	uint64_t i;

	ranq_buf_init(&varied, w->body.max);
	if (w->count > (SIZE_MAX - extra) / record || !has_room(&varied, (size_t)w->count * record + extra)) {
		ranq_buf_clear(&varied);
		return -1;
	}
	for (i = 0; i < w->count; i++)
		add_record(&varied, RANQ_TASK_OK, w->size ? w->body.data + i * w->size : NULL, (size_t)w->size);
	ranq_buf_clear(&w->body);
	w->body = varied;
	w->uniform = false;
	w->size = 0;
	return 0;
}

/* tag: a status, or one with IN_FILE or IN_SLICES. */
static int add_tagged(struct ranq_segment_writer *w, unsigned tag, const void *data, size_t len)
{
	bool fits = tag == RANQ_TASK_OK && (!w->count || len == w->size);
	size_t record = 1 + varint_size(len);
	unsigned status = tag & STATUS_MASK;

	if (status >= RANQ_TASK_STATUS_COUNT || len > SIZE_MAX - record)
		return -1;
	record += len;
	if (w->uniform && !fits && become_varied(w, record) < 0)
		return -1;
	if (!has_room(&w->body, w->uniform ? len : record))
		return -1;
	if (w->uniform) {
		w->size = len;
		ranq_buf_add(&w->body, data, len);
	} else {
		add_record(&w->body, tag, data, len);
	}
	w->count++;
	w->counts[status]++;
	return 0;
}

int ranq_segment_writer_add_slow(
	struct ranq_segment_writer *w, enum ranq_task_status status, const void *data, size_t len)
{
	return (unsigned)status < RANQ_TASK_STATUS_COUNT ? add_tagged(w, status, data, len) : -1;
}

int ranq_segment_writer_add_file(
	struct ranq_segment_writer *w, enum ranq_task_status status, const struct ranq_file_ref *file)
{
	unsigned char packed[FILE_REF_MAX], *at;

	if ((unsigned)status >= RANQ_TASK_STATUS_COUNT)
		return -1;
	at = put_varint(packed, file->size);
	memcpy(at, file->hash, sizeof file->hash);
	return add_tagged(w, (unsigned)status | IN_FILE, packed, (size_t)(at - packed) + sizeof file->hash);
}

int ranq_segment_writer_add_split(
	struct ranq_segment_writer *w, enum ranq_task_status status, const struct ranq_split *split)
{
	unsigned char packed[SPLIT_MAX], *at;

	if ((unsigned)status >= RANQ_TASK_STATUS_COUNT)
		return -1;
	at = put_varint(packed, split->size);
	memcpy(at, split->name, sizeof split->name);
	at += sizeof split->name;
	memcpy(at, split->salt, sizeof split->salt);
	return add_tagged(w, (unsigned)status | IN_SLICES, packed, (size_t)(at - packed) + sizeof split->salt);
}

int ranq_segment_writer_finish(struct ranq_segment_writer *w, struct ranq_buf *out)
{
	if (w->count) {
		ranq_buf_add_byte(out, w->uniform ? 'u' : 'v');
		ranq_buf_add_varint(out, w->count);
		ranq_buf_add_varint(out, w->uniform ? w->size : w->body.len);
		ranq_buf_add(out, w->body.data, w->body.len);
	}
	if (ranq_buf_failed(out))
		return -1;
	ranq_segment_writer_reset(w);
	return 0;
}

size_t ranq_segment_writer_bytes(const struct ranq_segment_writer *w)
{
	return w->count ? SEGMENT_HEAD_MAX + w->body.len : 0;
}

/* ---- reader ---------------------------------------------------------------------------------------------- */

void ranq_segment_reader_init(struct ranq_segment_reader *r, const void *item, size_t len)
{
	*r = (struct ranq_segment_reader){0};
	ranq_reader_init(&r->in, item, len);
}

static int malformed(struct ranq_segment_reader *r, const char *what, struct ranq_err *err)
{
	r->in.failed = true;
	r->uniform = false;
	r->left = 0;
	return ranq_err_set(err, RANQ_ERR_REPLY, "stored results are malformed at byte %zu: %s", r->in.pos, what);
}

/* The rest of the head of a reduced segment: left is its tasks, size those that succeeded, the value comes next. */
static int begin_part(struct ranq_segment_reader *r, uint64_t count, uint64_t ok, struct ranq_err *err)
{
	if (ok > count)
		return malformed(r, "more successes than tasks", err);
	r->uniform = true;
	r->left = count;
	r->size = ok;
	return 0;
}

/* Reads a segment's head. After it, the whole body is known to lie inside the item. */
static int begin_segment(struct ranq_segment_reader *r, struct ranq_err *err)
{
	unsigned char kind = ranq_reader_byte(&r->in);
	uint64_t count = ranq_reader_varint(&r->in);
	uint64_t size = ranq_reader_varint(&r->in);
	size_t left = ranq_reader_left(&r->in);

	if (r->in.failed)
		return malformed(r, "cut off in the head of a segment", err);
	if (kind == 'r' && !r->parts)
		return malformed(r, "it is the sum of several tasks", err);
	if (kind != 'v' && kind != (r->parts ? 'r' : 'u'))
		return malformed(r, "unknown kind of segment", err);
	if (!count || count > RANQ_SEGMENT_TASKS_MAX)
		return malformed(r, "impossible number of tasks", err);
	if (kind == 'u' ? size && count > left / size : kind == 'v' && size > left)
		return malformed(r, "longer than the item", err);
	if (kind == 'v' && count > size / 2)
		return malformed(r, "more tasks than bytes for them", err);
	if (kind == 'r')
		return begin_part(r, count, size, err);
	r->uniform = kind == 'u';
	r->left = count;
	r->size = r->uniform ? size : r->in.pos + size;
	return 0;
}

/* False: these bytes are no reference. */
static bool read_file_ref(const struct ranq_bytes *bytes, struct ranq_file_ref *file)
{
	struct ranq_reader in;
	const unsigned char *hash;

	ranq_reader_init(&in, bytes->data, bytes->len);
	file->size = ranq_reader_varint(&in);
	hash = ranq_reader_bytes(&in, sizeof file->hash);
	if (in.failed || ranq_reader_left(&in) || !file->size || file->size > INT64_MAX)
		return false;
	memcpy(file->hash, hash, sizeof file->hash);
	return true;
}

struct ranq_file_ref ranq_file_ref_of(const struct ranq_result *result)
{
	struct ranq_file_ref file = {0};

	read_file_ref(&result->value, &file);
	return file;
}

static bool read_split(const struct ranq_bytes *bytes, struct ranq_split *split)
{
	struct ranq_reader in;
	const unsigned char *name, *salt;

	ranq_reader_init(&in, bytes->data, bytes->len);
	split->size = ranq_reader_varint(&in);
	name = ranq_reader_bytes(&in, sizeof split->name);
	salt = ranq_reader_bytes(&in, sizeof split->salt);
	if (in.failed || ranq_reader_left(&in) || split->size <= RANQ_SLICE_BYTES || split->size > RANQ_SPEC_MAX_OUTPUT)
		return false;
	memcpy(split->name, name, sizeof split->name);
	memcpy(split->salt, salt, sizeof split->salt);
	return true;
}

struct ranq_split ranq_split_of(const struct ranq_result *result)
{
	struct ranq_split split = {0};

	read_split(&result->value, &split);
	return split;
}

/* A reference must be one: what follows trusts it. */
static bool is_place(const struct ranq_segment_reader *r, const struct ranq_result *result)
{
	struct ranq_file_ref file;
	struct ranq_split split;

	if (r->parts || (result->in_file && result->in_slices))
		return false;
	return result->in_file ? read_file_ref(&result->value, &file) : read_split(&result->value, &split);
}

static int next_record(struct ranq_segment_reader *r, struct ranq_result *result, struct ranq_err *err)
{
	unsigned char tag = ranq_reader_byte(&r->in), status = tag & STATUS_MASK;
	uint64_t len = ranq_reader_varint(&r->in);

	if (r->in.failed || r->in.pos > r->size || len > r->size - r->in.pos)
		return malformed(r, "a result is longer than its segment", err);
	if (status >= RANQ_TASK_STATUS_COUNT)
		return malformed(r, "unknown task status", err);
	if (!--r->left && r->in.pos + len != r->size)
		return malformed(r, "bytes left over in a segment", err);
	result->status = (enum ranq_task_status)status;
	result->in_file = tag & IN_FILE;
	result->in_slices = tag & IN_SLICES;
	result->value = (struct ranq_bytes){r->in.data + r->in.pos, (size_t)len};
	if ((tag & ~STATUS_MASK) && !is_place(r, result))
		return malformed(r, "it does not say where a value is", err);
	r->in.pos += (size_t)len;
	return 1;
}

int ranq_segment_reader_next_slow(struct ranq_segment_reader *r, struct ranq_result *result, struct ranq_err *err)
{
	if (r->in.failed)
		return malformed(r, "read on after a failure", err);
	if (!r->left) {
		if (!ranq_reader_left(&r->in))
			return 0;
		if (begin_segment(r, err) < 0)
			return -1;
	}
	return r->uniform ? ranq_segment_reader_next(r, result, err) : next_record(r, result, err);
}

static int next_reduced(struct ranq_segment_reader *r, struct ranq_part *part, struct ranq_err *err)
{
	*part = (struct ranq_part){.count = r->left, .ok = r->size, .value = ranq_reader_sized(&r->in)};
	if (r->in.failed)
		return malformed(r, "longer than the item", err);
	if (!part->ok && part->value.len)
		return malformed(r, "a value of no task", err);
	r->left = 0;
	return 1;
}

int ranq_segment_reader_next_part(struct ranq_segment_reader *r, struct ranq_part *part, struct ranq_err *err)
{
	struct ranq_result result;
	int status;

	r->parts = true;
	if (!r->in.failed && !r->left) {
		if (!ranq_reader_left(&r->in))
			return 0;
		if (begin_segment(r, err) < 0)
			return -1;
		if (r->uniform)
			return next_reduced(r, part, err);
	}
	status = ranq_segment_reader_next_slow(r, &result, err);
	if (status != 1)
		return status;
	*part = (struct ranq_part){.count = 1};
	if (result.status == RANQ_TASK_OK) {
		part->ok = 1;
		part->value = result.value;
	}
	return 1;
}

int ranq_part_add(struct ranq_buf *out, const struct ranq_part *part)
{
	ranq_buf_add_byte(out, 'r');
	ranq_buf_add_varint(out, part->count);
	ranq_buf_add_varint(out, part->ok);
	ranq_buf_add_sized(out, part->value.data, part->value.len);
	return ranq_buf_failed(out) ? -1 : 0;
}

int64_t ranq_segment_check(const void *item, size_t len, struct ranq_err *err)
{
	struct ranq_segment_reader r;
	struct ranq_result result;
	uint64_t count = 0;
	int status;

	ranq_segment_reader_init(&r, item, len);
	while ((status = ranq_segment_reader_next(&r, &result, err)) > 0) {
		count++;
		if (r.uniform) { /* the rest of it was checked with its head */
			count += r.left;
			r.in.pos += (size_t)(r.left * r.size);
			r.left = 0;
		}
		if (count > RANQ_SEGMENT_TASKS_MAX)
			return malformed(&r, "impossible number of tasks", err);
	}
	return status < 0 ? -1 : (int64_t)count;
}

size_t ranq_segment_splits(
	const void *item, size_t len, uint64_t first, uint64_t tasks, struct ranq_split_place *found, size_t max)
{
	struct ranq_segment_reader r;
	struct ranq_result result;
	size_t n = 0;

	ranq_segment_reader_init(&r, item, len);
	for (uint64_t i = 0; i < tasks && ranq_segment_reader_next(&r, &result, NULL) == 1; i++) {
		if (result.in_slices && n < max)
			found[n] = (struct ranq_split_place){first + i, ranq_split_of(&result)};
		n += result.in_slices;
		if (r.uniform) {
			i += r.left;
			r.in.pos += (size_t)(r.left * r.size);
			r.left = 0;
		}
	}
	return n;
}

/* Input blocks. The reader of a block trusts nothing: every length is checked against what is left. */
#include "record/input.h"

#include <stdio.h>
#include <string.h>

void ranq_input_writer_init(struct ranq_input_writer *w)
{
	ranq_buf_init(&w->body, 0);
	w->count = 0;
}

void ranq_input_writer_clear(struct ranq_input_writer *w)
{
	ranq_buf_clear(&w->body);
	w->count = 0;
}

int ranq_input_writer_add(struct ranq_input_writer *w, const void *line, size_t len, struct ranq_err *err)
{
	/* 8: varints of the count and of this length */
	if (len > RANQ_ARG_MAX_BYTES)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"an argument of %zu bytes is longer than %u: pass a file name instead", len,
			RANQ_ARG_MAX_BYTES);
	if (len && memchr(line, '\0', len))
		return ranq_err_set(err, RANQ_ERR_INPUT, "an argument contains a NUL byte");
	if (w->count >= RANQ_INPUT_BLOCK_LINES || (w->count && w->body.len + len + 8 > RANQ_INPUT_BLOCK_BYTES))
		return 0;
	ranq_buf_add_sized(&w->body, line, len);
	if (ranq_buf_failed(&w->body))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for an input block");
	w->count++;
	return 1;
}

int ranq_input_writer_finish(struct ranq_input_writer *w, struct ranq_buf *out)
{
	ranq_buf_add_varint(out, w->count);
	ranq_buf_add(out, w->body.data, w->body.len);
	if (ranq_buf_failed(out))
		return -1;
	ranq_buf_reset(&w->body);
	w->count = 0;
	return 0;
}

static int malformed(struct ranq_err *err, const char *what)
{
	return ranq_err_set(err, RANQ_ERR_REPLY, "an input block is malformed: %s", what);
}

int ranq_input_reader_init(struct ranq_input_reader *r, const void *block, size_t len, struct ranq_err *err)
{
	ranq_reader_init(&r->in, block, len);
	r->left = ranq_reader_varint(&r->in);
	if (!r->in.failed && r->left <= RANQ_INPUT_BLOCK_LINES && r->left <= ranq_reader_left(&r->in))
		return 0;
	r->in.failed = true;
	r->left = 0;
	return malformed(err, "impossible number of lines");
}

int ranq_input_reader_next(struct ranq_input_reader *r, struct ranq_bytes *line, struct ranq_err *err)
{
	uint64_t len;

	if (r->in.failed)
		return malformed(err, "read on after a failure");
	if (!r->left)
		return ranq_reader_left(&r->in) ? malformed(err, "bytes left over") : 0;
	len = ranq_reader_varint(&r->in);
	if (r->in.failed || len > ranq_reader_left(&r->in) || len > RANQ_ARG_MAX_BYTES) {
		r->in.failed = true;
		return malformed(err, "a line is longer than the block");
	}
	*line = (struct ranq_bytes){r->in.data + r->in.pos, (size_t)len};
	r->in.pos += (size_t)len;
	r->left--;
	return 1;
}

int ranq_input_get(const void *block, size_t len, uint64_t k, struct ranq_bytes *line, struct ranq_err *err)
{
	struct ranq_input_reader r;

	if (ranq_input_reader_init(&r, block, len, err) < 0)
		return -1;
	if (k >= r.left)
		return malformed(err, "fewer lines than tasks");
	do {
		if (ranq_input_reader_next(&r, line, err) < 0)
			return -1;
	} while (k--);
	return 0;
}

void ranq_input_large_pack(struct ranq_buf *out, const struct ranq_input_large *large)
{
	char line[RANQ_ARG_HASH_LEN + 24];
	int n = snprintf(line + 1, sizeof line - 1, "%s:%llu", large->hash, (unsigned long long)large->bytes);

	line[0] = '\0';
	ranq_buf_add_varint(out, 1);
	ranq_buf_add_sized(out, line, (size_t)n + 1);
}

bool ranq_input_large_of(const struct ranq_bytes *line, struct ranq_input_large *large)
{
	const char *text = line->data;
	uint64_t bytes = 0;
	size_t i;

	if (line->len < RANQ_ARG_HASH_LEN + 3 || line->len > RANQ_ARG_HASH_LEN + 12 || text[0] ||
		text[RANQ_ARG_HASH_LEN + 1] != ':' || text[RANQ_ARG_HASH_LEN + 2] == '0')
		return false;
	for (i = 1; i <= RANQ_ARG_HASH_LEN; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	for (i = RANQ_ARG_HASH_LEN + 2; i < line->len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		bytes = 10 * bytes + (uint64_t)(text[i] - '0');
	}
	if (bytes > RANQ_ARG_LARGE_MAX_BYTES)
		return false;
	memcpy(large->hash, text + 1, RANQ_ARG_HASH_LEN);
	large->hash[RANQ_ARG_HASH_LEN] = '\0';
	large->bytes = bytes;
	return true;
}

bool ranq_input_large_block(const void *block, size_t len, struct ranq_input_large *large)
{
	struct ranq_input_reader r;
	struct ranq_bytes line;

	return ranq_input_reader_init(&r, block, len, NULL) == 0 && r.left == 1 &&
	       ranq_input_reader_next(&r, &line, NULL) == 1 && !ranq_reader_left(&r.in) && ranq_input_large_of(&line, large);
}

int64_t ranq_input_check(const void *block, size_t len, struct ranq_err *err)
{
	struct ranq_input_reader r;
	struct ranq_bytes line = {0};
	struct ranq_input_large large;
	int64_t count = 0;
	int status;

	if (ranq_input_large_block(block, len, &large))
		return 1;
	if (ranq_input_reader_init(&r, block, len, err) < 0)
		return -1;
	while ((status = ranq_input_reader_next(&r, &line, err)) > 0) {
		if (line.len && memchr(line.data, '\0', line.len))
			return malformed(err, "NUL byte in a line");
		count++;
	}
	return status < 0 ? -1 : count;
}

int ranq_input_slice(
	const void *block, size_t len, uint64_t from, uint64_t to, struct ranq_buf *out, struct ranq_err *err)
{
	struct ranq_input_reader r;
	struct ranq_bytes line;
	size_t begin;
	uint64_t i;

	if (ranq_input_reader_init(&r, block, len, err) < 0)
		return -1;
	if (from > to || to > r.left)
		return malformed(err, "fewer lines than tasks");
	for (i = 0; i < from; i++)
		if (ranq_input_reader_next(&r, &line, err) < 0)
			return -1;
	begin = r.in.pos;
	for (; i < to; i++)
		if (ranq_input_reader_next(&r, &line, err) < 0)
			return -1;
	ranq_buf_add_varint(out, to - from);
	ranq_buf_add(out, r.in.data + begin, r.in.pos - begin);
	return ranq_buf_failed(out) ? ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for an input block") : 0;
}

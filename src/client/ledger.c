/* ledger.c - see ledger.h. Ranges come in ascending order nearly always, so that add is O(1) at the end. */
#include "client/ledger.h"

#include <stdlib.h>
#include <string.h>

#define STATE_VERSION 2
#define HAS_FILE 1u
#define HAS_ACCUMULATOR 2u
#define RANGES_MAX (1u << 20) /* of a packed ledger */
#define INDEX_MAX ((uint64_t)1 << 53)

void ranq_ledger_init(struct ranq_ledger *ledger)
{
	memset(ledger, 0, sizeof *ledger);
}

void ranq_ledger_clear(struct ranq_ledger *ledger)
{
	free(ledger->at);
	ranq_ledger_init(ledger);
}

/* First range whose end is >= index (touching counts). */
static size_t find(const struct ranq_ledger *ledger, uint64_t index)
{
	size_t low = 0, high = ledger->n;
	if (high && ledger->at[high - 1][1] < index)
		return high;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (ledger->at[mid][1] < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int insert(struct ranq_ledger *ledger, size_t pos, uint64_t start, uint64_t end, struct ranq_err *err)
{
	if (ledger->n == ledger->cap) {
		size_t cap = ledger->cap ? 2 * ledger->cap : 16;
		void *at = realloc(ledger->at, cap * sizeof *ledger->at);
		if (!at)
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		ledger->at = at;
		ledger->cap = cap;
	}
	memmove(ledger->at + pos + 1, ledger->at + pos, (ledger->n - pos) * sizeof *ledger->at);
	ledger->at[pos][0] = start;
	ledger->at[pos][1] = end;
	ledger->n++;
	return 0;
}

int ranq_ledger_add(struct ranq_ledger *ledger, uint64_t start, uint64_t end, struct ranq_err *err)
{
	if (start >= end)
		return 0;
	size_t pos = find(ledger, start);
	if (pos == ledger->n || end < ledger->at[pos][0])
		return insert(ledger, pos, start, end, err);
	uint64_t *first = ledger->at[pos];
	if (start < first[0])
		first[0] = start;
	size_t last = pos;
	while (last + 1 < ledger->n && ledger->at[last + 1][0] <= end)
		last++;
	first[1] = ledger->at[last][1] > end ? ledger->at[last][1] : end;
	memmove(ledger->at + pos + 1, ledger->at + last + 1, (ledger->n - last - 1) * sizeof *ledger->at);
	ledger->n -= last - pos;
	return 0;
}

bool ranq_ledger_has(const struct ranq_ledger *ledger, uint64_t index)
{
	size_t pos = find(ledger, index + 1);
	return pos < ledger->n && ledger->at[pos][0] <= index;
}

bool ranq_ledger_gap(const struct ranq_ledger *ledger, uint64_t from, uint64_t end, uint64_t *start, uint64_t *stop)
{
	size_t pos = find(ledger, from + 1);
	if (pos < ledger->n && ledger->at[pos][0] <= from)
		from = ledger->at[pos++][1];
	if (from >= end)
		return false;
	*start = from;
	*stop = pos < ledger->n && ledger->at[pos][0] < end ? ledger->at[pos][0] : end;
	return true;
}

uint64_t ranq_ledger_count(const struct ranq_ledger *ledger)
{
	uint64_t count = 0;
	for (size_t i = 0; i < ledger->n; i++)
		count += ledger->at[i][1] - ledger->at[i][0];
	return count;
}

int ranq_ledger_copy(struct ranq_ledger *to, const struct ranq_ledger *from, struct ranq_err *err)
{
	ranq_ledger_init(to);
	for (size_t i = 0; i < from->n; i++)
		if (ranq_ledger_add(to, from->at[i][0], from->at[i][1], err)) {
			ranq_ledger_clear(to);
			return -1;
		}
	return 0;
}

void ranq_consumer_state_init(struct ranq_consumer_state *state)
{
	memset(state, 0, sizeof *state);
	ranq_buf_init(&state->accumulator, RANQ_ACCUMULATOR_MAX_BYTES);
}

void ranq_consumer_state_clear(struct ranq_consumer_state *state)
{
	ranq_ledger_clear(&state->delivered);
	ranq_buf_clear(&state->accumulator);
	ranq_consumer_state_init(state);
}

int ranq_consumer_state_pack(const struct ranq_consumer_state *state, struct ranq_buf *out, struct ranq_err *err)
{
	uint64_t before = 0;
	ranq_buf_add_byte(out, STATE_VERSION);
	ranq_buf_add_varint(out, state->delivered.n);
	for (size_t i = 0; i < state->delivered.n; i++) {
		ranq_buf_add_varint(out, state->delivered.at[i][0] - before);
		ranq_buf_add_varint(out, state->delivered.at[i][1] - state->delivered.at[i][0]);
		before = state->delivered.at[i][1];
	}
	ranq_buf_add_byte(out, (state->has_file ? HAS_FILE : 0) | (state->has_accumulator ? HAS_ACCUMULATOR : 0));
	if (state->has_file) {
		ranq_buf_add_varint(out, state->device);
		ranq_buf_add_varint(out, state->inode);
		ranq_buf_add_varint(out, state->offset);
	}
	if (state->has_accumulator)
		ranq_buf_add_sized(out, state->accumulator.data, state->accumulator.len);
	return ranq_buf_failed(out) ? ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory") : 0;
}

static int unpack_ranges(struct ranq_reader *in, struct ranq_ledger *ledger, struct ranq_err *err)
{
	uint64_t n = ranq_reader_varint(in), before = 0;
	if (in->failed || n > RANGES_MAX || n > ranq_reader_left(in) / 2)
		return ranq_err_set(err, RANQ_ERR_REPLY, "the consumer's state is malformed");
	for (uint64_t i = 0; i < n; i++) {
		uint64_t gap = ranq_reader_varint(in), len = ranq_reader_varint(in);
		if (in->failed || len == 0 || gap > INDEX_MAX - before || len > INDEX_MAX - before - gap)
			return ranq_err_set(err, RANQ_ERR_REPLY, "the consumer's state is malformed");
		if (ranq_ledger_add(ledger, before + gap, before + gap + len, err))
			return -1;
		before += gap + len;
	}
	return 0;
}

int ranq_consumer_state_unpack(const void *data, size_t len, struct ranq_consumer_state *state, struct ranq_err *err)
{
	ranq_consumer_state_init(state);
	if (!len)
		return 0;
	struct ranq_reader in;
	ranq_reader_init(&in, data, len);
	if (ranq_reader_byte(&in) != STATE_VERSION)
		return ranq_err_set(err, RANQ_ERR_SCHEMA, "the job was read by another version of ranq");
	if (unpack_ranges(&in, &state->delivered, err))
		goto fail;
	unsigned char parts = ranq_reader_byte(&in);
	if (parts & HAS_FILE) {
		state->has_file = true;
		state->device = ranq_reader_varint(&in);
		state->inode = ranq_reader_varint(&in);
		state->offset = ranq_reader_varint(&in);
	}
	if (parts & HAS_ACCUMULATOR) {
		struct ranq_bytes accumulator = ranq_reader_sized(&in);
		state->has_accumulator = true;
		ranq_buf_add(&state->accumulator, accumulator.data, accumulator.len);
	}
	if (in.failed || parts > (HAS_FILE | HAS_ACCUMULATOR) || ranq_reader_left(&in) ||
		ranq_buf_failed(&state->accumulator)) {
		ranq_err_set(err, RANQ_ERR_REPLY, "the consumer's state is malformed");
		goto fail;
	}
	return 0;
fail:
	ranq_consumer_state_clear(state);
	return -1;
}

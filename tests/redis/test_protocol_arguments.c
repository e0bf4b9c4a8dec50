/* Large arguments: with the input that they are part of, whole or refused, gone with it. */
#include <stdlib.h>
#include <string.h>

#include "record/input.h"
#include "tests/support/queue_driver.h"

#define SIZE (RANQ_ARG_SLICE_BYTES + 3) /* two slices */

static char *text;

static struct ranq_input_large large_of(char digit)
{
	struct ranq_input_large large = {.bytes = SIZE};

	memset(large.hash, digit, RANQ_ARG_HASH_LEN);
	return large;
}

static enum ranq_err_code put(uint64_t job, const char *uuid, char digit, uint64_t slice)
{
	struct ranq_input_large large = large_of(digit);

	if (!text)
		text = calloc(1, RANQ_ARG_SLICE_BYTES);
	memset(text, digit, RANQ_ARG_SLICE_BYTES);
	ranq_queue_argument_put_cmd(&tq.q, &tq.cmd, uuid, job, large.hash, slice, SIZE, text,
		slice ? SIZE - RANQ_ARG_SLICE_BYTES : RANQ_ARG_SLICE_BYTES);
	tq_call();
	return ranq_queue_argument_put_parse(tq.reply, &tq.err) ? tq.err.code : RANQ_ERR_OK;
}

static size_t got(uint64_t job, char digit, uint64_t slice)
{
	struct ranq_input_large large = large_of(digit);
	struct ranq_bytes data;

	ranq_queue_argument_get_cmd(&tq.q, &tq.cmd, job, large.hash, slice);
	tq_call();
	if (ranq_queue_argument_get_parse(tq.reply, &data, &tq.err))
		return 0;
	ck_assert_int_eq(((const char *)data.data)[data.len - 1], digit);
	return data.len;
}

static enum ranq_err_code stage(const char *uuid, uint64_t first, char digit)
{
	struct ranq_input_large large = large_of(digit);
	struct ranq_buf block;

	ranq_buf_init(&block, 0);
	ranq_input_large_pack(&block, &large);
	ranq_queue_stage_cmd(&tq.q, &tq.cmd, uuid, first, block.data, block.len);
	tq_call();
	ranq_buf_clear(&block);
	return ranq_queue_stage_parse(tq.reply, &tq.err) ? tq.err.code : RANQ_ERR_OK;
}

/* As many large ones as there are digits. */
static enum ranq_err_code append(uint64_t job, const char *uuid, uint64_t batch, const char *digits, bool *held)
{
	struct ranq_buf block[2];
	struct ranq_bytes bytes[2] = {{0}};
	uint64_t counts[2] = {1, 1}, tasks;
	size_t n = strlen(digits);

	for (size_t i = 0; i < n; i++) {
		struct ranq_input_large large = large_of(digits[i]);

		ranq_buf_init(&block[i], 0);
		ranq_input_large_pack(&block[i], &large);
		bytes[i] = (struct ranq_bytes){block[i].data, block[i].len};
	}
	ranq_queue_append_cmd(&tq.q, &tq.cmd, job, uuid, batch, n, bytes, counts, n);
	tq_call();
	for (size_t i = 0; i < n; i++)
		ranq_buf_clear(&block[i]);
	return ranq_queue_append_parse(tq.reply, &tasks, held, &tq.err) ? tq.err.code : RANQ_ERR_OK;
}

START_TEST(staged_ones_go_with_the_input)
{
	const char *uuid = tq_id('c');

	ck_assert_int_eq(stage(uuid, 0, '1'), RANQ_ERR_INPUT);
	ck_assert_int_eq(put(0, uuid, '1', 0), RANQ_ERR_OK);
	ck_assert_int_eq(stage(uuid, 0, '1'), RANQ_ERR_INPUT); /* not all of it */
	ck_assert_int_eq(put(0, uuid, '1', 1), RANQ_ERR_OK);
	ck_assert_int_eq(put(0, uuid, '1', 1), RANQ_ERR_OK);
	ck_assert_int_gt(tq_command("TTL %ss:%s", tq.q.base, uuid), 3000);
	ck_assert_int_eq(stage(uuid, 0, '1'), RANQ_ERR_OK);
	ck_assert_int_eq(stage(uuid, 1, '1'), RANQ_ERR_OK); /* an equal one */
	ck_assert_uint_eq(TQ_JOB(.tasks = 2, .uuid = uuid, .staged = true), 1);
	ck_assert_int_eq(tq_command("TTL %sj:1:in", tq.q.base), -1);
	ck_assert_uint_eq(got(1, '1', 0), RANQ_ARG_SLICE_BYTES);
	ck_assert_uint_eq(got(1, '1', 1), SIZE - RANQ_ARG_SLICE_BYTES);
	ck_assert_uint_eq(got(1, '2', 0), 0);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_INPUT);
	ck_assert_uint_eq(tq_remove(1), 1);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

START_TEST(appended_ones_come_before_their_block)
{
	const char *uuid = tq_id('c');
	uint64_t job = TQ_JOB(.open = true, .uuid = uuid);
	bool held;

	ck_assert_int_eq(append(job, uuid, 0, "1", &held), RANQ_ERR_INPUT);
	ck_assert_int_eq(put(job, tq_id('d'), '1', 0), RANQ_ERR_NOTFOUND);
	ck_assert_int_eq(put(job, uuid, '1', 0), RANQ_ERR_OK);
	ck_assert_int_eq(put(job, uuid, '1', 1), RANQ_ERR_OK);
	ck_assert_int_eq(append(job, uuid, 0, "11", &held), RANQ_ERR_INPUT); /* one a batch */
	ck_assert_int_eq(append(job, uuid, 0, "1", &held), RANQ_ERR_OK);
	ck_assert_uint_eq(tq_info(job).tasks, 1);
	/* their bytes wait to be run: beyond 64 MiB nothing more is taken */
	for (uint64_t batch = 1; batch < 8; batch++)
		ck_assert(append(job, uuid, batch, "1", &held) == RANQ_ERR_OK && !held);
	ck_assert(append(job, uuid, 8, "1", &held) == RANQ_ERR_OK && held);
	tq_cancel(job);
	ck_assert_int_eq(put(job, uuid, '2', 0), RANQ_ERR_STATE);
	tq_remove(job);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

/* A producer that sends slices for a long time is not silent. */
START_TEST(slices_are_signs_of_life)
{
	const char *uuid = tq_id('c');
	uint64_t job = TQ_JOB(.open = true, .uuid = uuid);

	tq_join(tq_id('a'), 1);
	for (int i = 0; i < 3; i++) {
		tq_pass(40000);
		ck_assert_int_eq(put(job, uuid, '1', 1), RANQ_ERR_OK);
	}
	ck_assert_int_eq(tq_info(job).open, 1);
	tq_pass(70000);
	ck_assert_int_eq(put(job, uuid, '1', 1), RANQ_ERR_STATE);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		staged_ones_go_with_the_input, appended_ones_come_before_their_block, slices_are_signs_of_life};
	int rc = test_queue_main("protocol arguments", tests, sizeof tests / sizeof *tests);

	free(text);
	return rc;
}

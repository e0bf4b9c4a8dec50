#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/input.h"

static struct ranq_input_writer w;
static struct ranq_buf out;

static void setup(void)
{
	ranq_input_writer_init(&w);
	ranq_buf_init(&out, 0);
}

static void teardown(void)
{
	ranq_input_writer_clear(&w);
	ranq_buf_clear(&out);
}

static void add(const char *line)
{
	ck_assert_int_eq(ranq_input_writer_add(&w, line, strlen(line), NULL), 1);
}

static void expect_line(uint64_t k, const char *want)
{
	struct ranq_bytes line;

	ck_assert_int_eq(ranq_input_get(out.data, out.len, k, &line, NULL), 0);
	ck_assert_uint_eq(line.len, strlen(want));
	ck_assert(!line.len || !memcmp(line.data, want, line.len));
}

START_TEST(test_round_trip)
{
	struct ranq_input_reader r;
	struct ranq_bytes line;

	add("one");
	add("");
	add("three");
	ck_assert_int_eq(ranq_input_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_input_check(out.data, out.len, NULL), 3);
	expect_line(2, "three");
	expect_line(1, "");
	expect_line(0, "one");
	ck_assert_int_eq(ranq_input_get(out.data, out.len, 3, &line, NULL), -1);
	ck_assert_int_eq(ranq_input_reader_init(&r, out.data, out.len, NULL), 0);
	ck_assert_int_eq(ranq_input_reader_next(&r, &line, NULL), 1);
	ck_assert_int_eq(ranq_input_reader_next(&r, &line, NULL), 1);
	ck_assert_uint_eq(line.len, 0);
	ck_assert_int_eq(ranq_input_reader_next(&r, &line, NULL), 1);
	ck_assert_int_eq(ranq_input_reader_next(&r, &line, NULL), 0);
	ranq_buf_reset(&out);
	ck_assert_int_eq(ranq_input_writer_finish(&w, &out), 0); /* finish began anew */
	ck_assert_int_eq(ranq_input_check(out.data, out.len, NULL), 0);
}
END_TEST

START_TEST(test_lines_are_limited)
{
	int i;

	for (i = 0; i < RANQ_INPUT_BLOCK_LINES; i++)
		add("x");
	ck_assert_int_eq(ranq_input_writer_add(&w, "x", 1, NULL), 0);
	ck_assert_int_eq(ranq_input_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_input_check(out.data, out.len, NULL), RANQ_INPUT_BLOCK_LINES);
	ck_assert_int_eq(ranq_input_writer_add(&w, "x", 1, NULL), 1);
}
END_TEST

START_TEST(test_bytes_are_limited)
{
	char *big = calloc(1, RANQ_ARG_MAX_BYTES + 1);
	struct ranq_err err = {0};

	memset(big, 'b', RANQ_ARG_MAX_BYTES + 1);
	ck_assert_int_eq(ranq_input_writer_add(&w, big, RANQ_ARG_MAX_BYTES + 1, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_int_eq(ranq_input_writer_add(&w, "a\0b", 3, &err), -1);
	ck_assert_int_eq(ranq_input_writer_add(&w, big, RANQ_ARG_MAX_BYTES, &err), 1); /* alone in its block */
	ck_assert_int_eq(ranq_input_writer_add(&w, "x", 1, &err), 0);
	ck_assert_int_eq(ranq_input_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_input_check(out.data, out.len, NULL), 1);
	ranq_buf_reset(&out);
	while (ranq_input_writer_add(&w, big, 1000, &err) == 1)
		;
	ck_assert_int_eq(ranq_input_writer_finish(&w, &out), 0);
	ck_assert_uint_le(out.len, RANQ_INPUT_BLOCK_BYTES);
	ck_assert_uint_ge(out.len, RANQ_INPUT_BLOCK_BYTES - 1100);
	free(big);
}
END_TEST

START_TEST(test_slice)
{
	struct ranq_buf slice;
	char text[16];
	uint64_t from, to, i;

	for (i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "line %d", (int)i);
		add(text);
	}
	ck_assert_int_eq(ranq_input_writer_finish(&w, &out), 0);
	ranq_buf_init(&slice, 0);
	for (from = 0; from <= 20; from++)
		for (to = from; to <= 20; to++) {
			ranq_buf_reset(&slice);
			ck_assert_int_eq(ranq_input_slice(out.data, out.len, from, to, &slice, NULL), 0);
			ck_assert_int_eq(ranq_input_check(slice.data, slice.len, NULL), (int64_t)(to - from));
			for (i = from; i < to; i++) {
				struct ranq_bytes a, b;

				ck_assert_int_eq(ranq_input_get(out.data, out.len, i, &a, NULL), 0);
				ck_assert_int_eq(ranq_input_get(slice.data, slice.len, i - from, &b, NULL), 0);
				ck_assert_uint_eq(a.len, b.len);
				ck_assert_mem_eq(a.data, b.data, a.len);
			}
		}
	ck_assert_int_eq(ranq_input_slice(out.data, out.len, 3, 21, &slice, NULL), -1);
	ck_assert_int_eq(ranq_input_slice(out.data, out.len, 4, 3, &slice, NULL), -1);
	ranq_buf_clear(&slice);
}
END_TEST

#define ROW(...) \
	{ \
		{__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__}) \
	}
static const struct {
	unsigned char bytes[16];
	size_t len;
} hostile[] = {
	ROW(1),              /* no line */
	ROW(0, 0),           /* rubbish behind */
	ROW(1, 2, 'a'),      /* line cut off */
	ROW(1, 1, 'a', 'b'), /* rubbish behind */
	ROW(2, 1, 'a'),      /* one line too few */
	ROW(1, 1, 0),        /* NUL */
	ROW(0x80),           /* count cut off */
	ROW(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0),
	ROW(1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
};

START_TEST(test_hostile)
{
	struct ranq_err err = {0};
	struct ranq_bytes line;
	unsigned char *bytes = malloc(hostile[_i].len);
	uint64_t k;

	memcpy(bytes, hostile[_i].bytes, hostile[_i].len);
	ck_assert_int_eq(ranq_input_check(bytes, hostile[_i].len, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_REPLY);
	for (k = 0; k < 3; k++)
		if (ranq_input_get(bytes, hostile[_i].len, k, &line, NULL) == 0)
			ck_assert((const unsigned char *)line.data + line.len <= bytes + hostile[_i].len);
	free(bytes);
}
END_TEST

/* What stands for a large argument is the only line of its block, and nothing else is taken for it. */
START_TEST(test_large)
{
	struct ranq_input_large large = {.bytes = RANQ_ARG_LARGE_MAX_BYTES}, got;
	struct ranq_buf two;
	struct ranq_bytes line;
	size_t i;

	memset(large.hash, 'a', RANQ_ARG_HASH_LEN);
	ranq_input_large_pack(&out, &large);
	ck_assert_int_eq(ranq_input_check(out.data, out.len, NULL), 1);
	ck_assert(ranq_input_large_block(out.data, out.len, &got));
	ck_assert_uint_eq(got.bytes, large.bytes);
	ck_assert_str_eq(got.hash, large.hash);
	for (i = 0; i < out.len; i++) {
		ck_assert(!ranq_input_large_block(out.data, i, &got));
		ck_assert_int_eq(ranq_input_check(out.data, i, NULL), -1);
	}
	ranq_buf_init(&two, 0);
	ranq_buf_add_byte(&two, 2);
	for (i = 0; i < 2; i++)
		ranq_buf_add(&two, out.data + 1, out.len - 1);
	ck_assert_int_eq(ranq_input_check(two.data, two.len, NULL), -1);
	ranq_buf_clear(&two);
	for (i = 2; i < out.len; i++) { /* each byte of the line matters */
		unsigned char was = out.data[i];

		out.data[i] = 'G';
		ck_assert(!ranq_input_large_block(out.data, out.len, &got));
		out.data[i] = was;
	}
	out.data[out.len - 1]++; /* one byte too many */
	ck_assert(!ranq_input_large_block(out.data, out.len, &got));
	line = (struct ranq_bytes){"", 1};
	ck_assert(!ranq_input_large_of(&line, &got));
}
END_TEST

START_TEST(test_nothing_is_no_block)
{
	ck_assert_int_eq(ranq_input_check(NULL, 0, NULL), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("input");
	TCase *c = tcase_create("input");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_round_trip);
	tcase_add_test(c, test_lines_are_limited);
	tcase_add_test(c, test_bytes_are_limited);
	tcase_add_test(c, test_slice);
	tcase_add_test(c, test_large);
	tcase_add_loop_test(c, test_hostile, 0, (int)(sizeof hostile / sizeof hostile[0]));
	tcase_add_test(c, test_nothing_is_no_block);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

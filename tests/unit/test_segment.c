#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "record/segment.h"
#include "record/spec.h"
#include "tests/support/check_loop.h"

/* A small deterministic generator for the property tests. */
static uint64_t state = 88172645463325252u;
static uint64_t draw(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

static struct ranq_segment_writer w;
static struct ranq_buf out;

static void setup(void)
{
	ranq_segment_writer_init(&w, 0);
	ranq_buf_init(&out, 0);
}

static void teardown(void)
{
	ranq_segment_writer_clear(&w);
	ranq_buf_clear(&out);
}

static void add(enum ranq_task_status status, const char *text)
{
	ck_assert_int_eq(ranq_segment_writer_add(&w, status, text, strlen(text)), 0);
}

static void expect(struct ranq_segment_reader *r, enum ranq_task_status status, const char *text)
{
	struct ranq_result result;

	ck_assert_int_eq(ranq_segment_reader_next(r, &result, NULL), 1);
	ck_assert_int_eq(result.status, status);
	ck_assert_uint_eq(result.value.len, strlen(text));
	ck_assert(!result.value.len || !memcmp(result.value.data, text, result.value.len));
}

static void expect_end(struct ranq_segment_reader *r)
{
	struct ranq_result result;

	ck_assert_int_eq(ranq_segment_reader_next(r, &result, NULL), 0);
	ck_assert_int_eq(ranq_segment_reader_next(r, &result, NULL), 0);
}

START_TEST(test_names)
{
	ck_assert_str_eq(ranq_task_status_name(RANQ_TASK_OK), "OK");
	ck_assert_str_eq(ranq_task_status_name(RANQ_TASK_CANCELLED), "CANCELLED");
	ck_assert_str_eq(ranq_task_status_name((enum ranq_task_status)77), "?");
}
END_TEST

START_TEST(test_uniform_bytes)
{
	static const unsigned char want[] = {'u', 3, 2, 'a', 'b', 'c', 'd', 'e', 'f'};

	add(RANQ_TASK_OK, "ab");
	add(RANQ_TASK_OK, "cd");
	add(RANQ_TASK_OK, "ef");
	ck_assert_uint_eq(w.counts[RANQ_TASK_OK], 3);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_uint_eq(out.len, sizeof want);
	ck_assert_mem_eq(out.data, want, sizeof want);
	ck_assert_uint_eq(w.counts[RANQ_TASK_OK], 0);
	ck_assert_uint_eq(ranq_segment_writer_bytes(&w), 0);
}
END_TEST

START_TEST(test_varied_bytes)
{
	static const unsigned char want[] = {'v', 3, 8, 0, 1, 'a', 0, 1, 'b', 1, 0};

	add(RANQ_TASK_OK, "a");
	add(RANQ_TASK_OK, "b");
	add(RANQ_TASK_ERROR, "");
	ck_assert_uint_eq(w.counts[RANQ_TASK_ERROR], 1);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_uint_eq(out.len, sizeof want);
	ck_assert_mem_eq(out.data, want, sizeof want);
}
END_TEST

START_TEST(test_nothing_written)
{
	struct ranq_segment_reader r;

	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_uint_eq(out.len, 0);
	ranq_segment_reader_init(&r, out.data, out.len);
	expect_end(&r);
	ck_assert_int_eq(ranq_segment_check(NULL, 0, NULL), 0);
}
END_TEST

START_TEST(test_empty_results_take_no_room)
{
	int i;

	for (i = 0; i < 100000; i++)
		MUST(ranq_segment_writer_add(&w, RANQ_TASK_OK, NULL, 0) == 0);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_uint_le(out.len, 8);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), 100000);
}
END_TEST

START_TEST(test_segments_end_to_end)
{
	struct ranq_segment_reader r;

	add(RANQ_TASK_OK, "one");
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	add(RANQ_TASK_DIED, "");
	add(RANQ_TASK_OK, "two");
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	add(RANQ_TASK_OK, "");
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ranq_segment_reader_init(&r, out.data, out.len);
	expect(&r, RANQ_TASK_OK, "one");
	expect(&r, RANQ_TASK_DIED, "");
	expect(&r, RANQ_TASK_OK, "two");
	expect(&r, RANQ_TASK_OK, "");
	expect_end(&r);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), 4);
}
END_TEST

START_TEST(test_limit_leaves_the_writer_as_it_was)
{
	struct ranq_segment_reader r;

	ranq_segment_writer_init(&w, 12);
	add(RANQ_TASK_OK, "1234");
	add(RANQ_TASK_OK, "5678");
	ck_assert_int_eq(ranq_segment_writer_add(&w, RANQ_TASK_ERROR, "", 0), -1); /* varied needs 14 */
	add(RANQ_TASK_OK, "90ab");
	ck_assert_int_eq(ranq_segment_writer_add(&w, RANQ_TASK_OK, "cdef", 4), -1);
	ck_assert_int_eq(ranq_segment_writer_add(&w, (enum ranq_task_status)9, "cdef", 4), -1);
	ck_assert_uint_eq(w.counts[RANQ_TASK_OK], 3);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ranq_segment_reader_init(&r, out.data, out.len);
	expect(&r, RANQ_TASK_OK, "1234");
	expect(&r, RANQ_TASK_OK, "5678");
	expect(&r, RANQ_TASK_OK, "90ab");
	expect_end(&r);
}
END_TEST

START_TEST(test_limit_of_varied)
{
	ranq_segment_writer_init(&w, 10);
	add(RANQ_TASK_ERROR, "12");                                                  /* 4 */
	ck_assert_int_eq(ranq_segment_writer_add(&w, RANQ_TASK_OK, "12345", 5), -1); /* 11 */
	add(RANQ_TASK_OK, "1234");                                                   /* 10 */
	ck_assert_int_eq(ranq_segment_writer_add(&w, RANQ_TASK_OK, "", 0), -1);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), 2);
}
END_TEST

#define TASKS 600
/* Whatever is written comes back, in any mix of sizes, statuses and segment ends. */
START_TEST(test_round_trip)
{
	static char bytes[TASKS][300];
	size_t sizes[TASKS], i, n = draw(TASKS);
	enum ranq_task_status statuses[TASKS];
	uint64_t kind = draw(4), cut = 1 + draw(200);
	struct ranq_segment_reader r;
	struct ranq_result result;

	for (i = 0; i < n; i++) {
		sizes[i] = kind == 0 ? 8 : kind == 1 ? 0 : draw(kind == 2 ? 3 : sizeof bytes[0]);
		statuses[i] = kind == 3 || draw(100) == 0 ? (enum ranq_task_status)draw(RANQ_TASK_STATUS_COUNT)
							  : RANQ_TASK_OK;
		memset(bytes[i], (int)draw(256), sizes[i]);
		MUST(ranq_segment_writer_add(&w, statuses[i], bytes[i], sizes[i]) == 0);
		if (draw(cut) == 0) {
			size_t most = ranq_segment_writer_bytes(&w), before = out.len;

			MUST(ranq_segment_writer_finish(&w, &out) == 0);
			MUST(out.len - before <= most);
		}
	}
	MUST(ranq_segment_writer_finish(&w, &out) == 0);
	MUST(ranq_segment_check(out.data, out.len, NULL) == (int64_t)n);
	ranq_segment_reader_init(&r, out.data, out.len);
	for (i = 0; i < n; i++) {
		MUST(ranq_segment_reader_next(&r, &result, NULL) == 1);
		MUST(result.status == statuses[i]);
		MUST(result.value.len == sizes[i]);
		MUST(!sizes[i] || !memcmp(result.value.data, bytes[i], sizes[i]));
	}
	expect_end(&r);
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
	ROW('x', 1, 1, 'a'),           /* unknown kind */
	ROW('u'),                      /* cut off */
	ROW('u', 0x80),                /* cut off in a varint */
	ROW('u', 1),                   /* no size */
	ROW('u', 0, 0),                /* no tasks */
	ROW('u', 2, 2, 'a', 'b', 'c'), /* too short */
	ROW('u', 1, 1, 'a', 'u'),      /* rubbish behind */
	ROW('u', 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1,
		4), /* 2^63 tasks of 4: the product overflows to 0 */
	ROW('u', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0), /* 2^64 - 1 tasks of nothing */
	ROW('v', 1, 3, 0, 1),                                                 /* body longer than the item */
	ROW('v', 1, 2, 5, 0),                                                 /* no such status */
	ROW('v', 1, 2, 0, 1, 'a'),                                            /* result longer than its body */
	ROW('v', 1, 3, 0, 0, 0),                                              /* body longer than its results */
	ROW('v', 1, 5, 0, 0, 'u', 1, 0), /* what is left over in the body looks like a segment */
	ROW('v', 2, 4, 0, 100, 0, 0),    /* first result reaches out of the item */
	ROW('v', 2, 3, 0, 0, 0),         /* second result cut off */
	ROW('v', 3, 4, 0, 0, 0, 0),      /* more tasks than results */
	ROW('v', 1, 3, 0, 0x81, 0x00),   /* length 1 behind the end of the body */
	ROW('v', 1, 2, 0x80, 0),         /* a file without a name */
	ROW('v', 1, 12, 0x80, 10, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9), /* a name that is too short */
	ROW('v', 1, 12, 0x80, 10, '.', '.', '/', '.', '.', '/', 'e', 't', 'c', '/'), /* a path */
	ROW('v', 1, 2, 0x85, 0),         /* no such status */
	ROW('v', 1, 11, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), /* a length of 2^64 - 1 */
};

START_TEST(test_values_in_files)
{
	struct ranq_file_ref file = {.size = (uint64_t)1 << 40}, again;
	struct ranq_segment_reader r;
	struct ranq_result result;
	struct ranq_part part;

	memset(file.hash, 0xe7, sizeof file.hash);
	add(RANQ_TASK_OK, "a");
	ck_assert_int_eq(ranq_segment_writer_add_file(&w, RANQ_TASK_ERROR, &file), 0);
	add(RANQ_TASK_OK, "b");
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), 3);
	ranq_segment_reader_init(&r, out.data, out.len);
	expect(&r, RANQ_TASK_OK, "a");
	ck_assert_int_eq(ranq_segment_reader_next(&r, &result, NULL), 1);
	ck_assert_int_eq(result.status, RANQ_TASK_ERROR);
	ck_assert(result.in_file);
	again = ranq_file_ref_of(&result);
	ck_assert_uint_eq(again.size, file.size);
	ck_assert_mem_eq(again.hash, file.hash, sizeof file.hash);
	ck_assert_int_eq(ranq_segment_reader_next(&r, &result, NULL), 1);
	ck_assert(!result.in_file);
	/* a reduction never has one */
	ranq_segment_reader_init(&r, out.data, out.len);
	ck_assert_int_eq(ranq_segment_reader_next_part(&r, &part, NULL), 1);
	ck_assert_int_eq(ranq_segment_reader_next_part(&r, &part, NULL), -1);
}
END_TEST

START_TEST(test_values_in_slices)
{
	struct ranq_split split = {.size = RANQ_SPEC_MAX_OUTPUT}, again;
	struct ranq_split_place found[2];
	struct ranq_segment_reader r;
	struct ranq_result result;

	memset(split.name, 0xe7, sizeof split.name);
	memset(split.salt, 0x5a, sizeof split.salt);
	for (int i = 0; i < 5; i++)
		add(RANQ_TASK_OK, "a");
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	add(RANQ_TASK_OK, "b");
	ck_assert_int_eq(ranq_segment_writer_add_split(&w, RANQ_TASK_OK, &split), 0);
	ck_assert_int_eq(ranq_segment_writer_add_split(&w, RANQ_TASK_ERROR, &split), 0);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), 8);
	ck_assert_uint_eq(ranq_segment_splits(out.data, out.len, 100, 8, NULL, 0), 2);
	ck_assert_uint_eq(ranq_segment_splits(out.data, out.len, 100, 7, found, 2), 1);
	ck_assert_uint_eq(ranq_segment_splits(out.data, out.len, 100, 8, found, 2), 2);
	ck_assert_uint_eq(found[0].index, 106);
	ck_assert_uint_eq(found[1].index, 107);
	ck_assert_mem_eq(&found[1].split, &split, sizeof split);
	ranq_segment_reader_init(&r, out.data, out.len);
	for (int i = 0; i < 7; i++)
		ck_assert_int_eq(ranq_segment_reader_next(&r, &result, NULL), 1);
	ck_assert(result.in_slices && !result.in_file);
	again = ranq_split_of(&result);
	ck_assert_mem_eq(&again, &split, sizeof split);
	/* a size that no split has */
	ranq_buf_reset(&out);
	split.size = RANQ_SLICE_BYTES;
	ck_assert_int_eq(ranq_segment_writer_add_split(&w, RANQ_TASK_OK, &split), 0);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), -1);
	ranq_buf_reset(&out);
	split.size = RANQ_SPEC_MAX_OUTPUT + 1;
	ck_assert_int_eq(ranq_segment_writer_add_split(&w, RANQ_TASK_OK, &split), 0);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), -1);
}
END_TEST

/* The name is that of salt and content, so two attempts never have the same one. */
START_TEST(test_splits_know_their_content)
{
	struct ranq_split one, two;
	struct ranq_split_check *check;

	ck_assert_int_eq(ranq_split_make(&one, "abcdef", 6), 0);
	ck_assert_int_eq(ranq_split_make(&two, "abcdef", 6), 0);
	ck_assert_int_ne(memcmp(one.name, two.name, sizeof one.name), 0);
	check = ranq_split_check_begin(&one);
	ranq_split_check_add(check, "abc", 3);
	ranq_split_check_add(check, "def", 3);
	ck_assert(ranq_split_check_end(check, &one));
	check = ranq_split_check_begin(&one);
	ranq_split_check_add(check, "abcdeg", 6);
	ck_assert(!ranq_split_check_end(check, &one));
	one.size = 2 * RANQ_SLICE_BYTES;
	ck_assert_uint_eq(ranq_split_count(&one), 2);
	ck_assert_uint_eq(ranq_split_len(&one, 1), RANQ_SLICE_BYTES);
	one.size++;
	ck_assert_uint_eq(ranq_split_count(&one), 3);
	ck_assert_uint_eq(ranq_split_len(&one, 2), 1);
}
END_TEST

START_TEST(test_names_of_files_are_exact)
{
	struct ranq_file_ref file = {.size = 0};
	unsigned char *bytes;

	ck_assert_int_eq(ranq_segment_writer_add_file(&w, RANQ_TASK_OK, &file), 0);
	ck_assert_int_eq(ranq_segment_writer_finish(&w, &out), 0);
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), -1); /* of no bytes */
	bytes = out.data + out.len - RANQ_FILE_HASH_BYTES - 1;
	*bytes = 1;
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), 1);
	*bytes = 0x80; /* the length takes a byte of the hash */
	ck_assert_int_eq(ranq_segment_check(out.data, out.len, NULL), -1);
}
END_TEST

START_TEST(test_hostile)
{
	struct ranq_segment_reader r;
	struct ranq_result result;
	struct ranq_err err = {0};
	unsigned char *bytes = malloc(hostile[_i].len); /* exactly as long as it is, for the sanitizer */
	int status, n = 0;

	memcpy(bytes, hostile[_i].bytes, hostile[_i].len);
	ck_assert_int_eq(ranq_segment_check(bytes, hostile[_i].len, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_REPLY);
	ranq_segment_reader_init(&r, bytes, hostile[_i].len);
	while ((status = ranq_segment_reader_next(&r, &result, &err)) > 0) {
		const unsigned char *at = result.value.data;

		ck_assert(at >= bytes && result.value.len <= (size_t)(bytes + hostile[_i].len - at));
		ck_assert_int_lt(n++, 10);
	}
	ck_assert_int_eq(status, -1);
	ck_assert_int_eq(ranq_segment_reader_next(&r, &result, &err), -1);
	free(bytes);
}
END_TEST

static struct ranq_failure sample(void)
{
	struct ranq_failure f = {
		.index = (uint64_t)1 << 52,
		.status = RANQ_TASK_TIMEOUT,
		.exit_code = -1,
		.signal = 9,
		.attempts = 3,
		.elapsed_us = UINT64_MAX,
		.host = "node1",
		.worker = "0123456789abcdef0123456789abcdef/12",
		.reason = "timed out after 5s",
		.err_tail = {"oops\n", 5},
	};

	return f;
}

START_TEST(test_failure_round_trip)
{
	struct ranq_failure f = sample(), g;

	ck_assert_int_eq(ranq_failure_pack(&f, &out), 0);
	ck_assert_int_eq(ranq_failure_unpack(out.data, out.len, &g, NULL), 0);
	ck_assert_uint_eq(g.index, f.index);
	ck_assert_int_eq(g.status, f.status);
	ck_assert_int_eq(g.exit_code, -1);
	ck_assert_int_eq(g.signal, 9);
	ck_assert_uint_eq(g.attempts, 3);
	ck_assert_uint_eq(g.elapsed_us, UINT64_MAX);
	ck_assert_str_eq(g.host, f.host);
	ck_assert_str_eq(g.worker, f.worker);
	ck_assert_str_eq(g.reason, f.reason);
	ck_assert_uint_eq(g.err_tail.len, 5);
	ck_assert_mem_eq(g.err_tail.data, "oops\n", 5);
}
END_TEST

START_TEST(test_failure_is_bounded)
{
	static char noise[100000];
	struct ranq_failure f = sample(), g;

	memset(noise, 'n', sizeof noise);
	memcpy(noise + sizeof noise - 3, "end", 3);
	memset(f.host, 'h', sizeof f.host); /* also when a caller forgets the NUL */
	memset(f.worker, 'w', sizeof f.worker);
	memset(f.reason, 'r', sizeof f.reason);
	f.err_tail = (struct ranq_bytes){noise, sizeof noise};
	ck_assert_int_eq(ranq_failure_pack(&f, &out), 0);
	ck_assert_uint_le(out.len, 8192);
	ck_assert_int_eq(ranq_failure_unpack(out.data, out.len, &g, NULL), 0);
	ck_assert_uint_eq(g.err_tail.len, 6144);
	ck_assert_mem_eq((const char *)g.err_tail.data + 6141, "end", 3);
	ck_assert_uint_eq(strlen(g.reason), sizeof g.reason - 1);
}
END_TEST

START_TEST(test_failure_refused)
{
	struct ranq_failure f = sample(), g;
	struct ranq_err err = {0};
	size_t n;

	ck_assert_int_eq(ranq_failure_pack(&f, &out), 0);
	for (n = 0; n < out.len; n++) {
		ck_assert_int_eq(ranq_failure_unpack(out.data, n, &g, &err), -1);
		ck_assert_uint_eq(g.err_tail.len, 0);
	}
	ranq_buf_add_byte(&out, 'x');
	ck_assert_int_eq(ranq_failure_unpack(out.data, out.len, &g, &err), -1);
	out.data[1] = RANQ_TASK_STATUS_COUNT;
	ck_assert_int_eq(ranq_failure_unpack(out.data, out.len - 1, &g, &err), -1);
	out.data[1] = RANQ_TASK_OK;
	ck_assert_int_eq(ranq_failure_unpack(out.data, out.len - 1, &g, &err), 0);
	out.data[0]++;
	ck_assert_int_eq(ranq_failure_unpack(out.data, out.len - 1, &g, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_REPLY);
}
END_TEST

/* Texts that are one byte too long for the struct, or that hide a NUL. */
START_TEST(test_failure_texts_refused)
{
	static const size_t sizes[3] = {sizeof((struct ranq_failure *)0)->host,
		sizeof((struct ranq_failure *)0)->worker, sizeof((struct ranq_failure *)0)->reason};
	static const unsigned char head[] = {1, RANQ_TASK_ERROR, 0, 2, 0, 1, 0};
	char text[200] = {0};
	struct ranq_failure g;
	int which, wrong, i;

	for (which = 0; which < 3; which++)
		for (wrong = 0; wrong < 3; wrong++) {
			memset(text, 't', sizeof text);
			text[3] = wrong == 2 ? '\0' : 't';
			ranq_buf_reset(&out);
			ranq_buf_add(&out, head, sizeof head);
			for (i = 0; i < 3; i++)
				ranq_buf_add_sized(&out, text,
					i != which   ? 1
					: wrong == 2 ? 5
						     : sizes[i] - (wrong == 0));
			ranq_buf_add_sized(&out, "", 0);
			ck_assert_int_eq(ranq_failure_unpack(out.data, out.len, &g, NULL), wrong ? -1 : 0);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("segment");
	TCase *c = tcase_create("segment");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_names);
	tcase_add_test(c, test_uniform_bytes);
	tcase_add_test(c, test_varied_bytes);
	tcase_add_test(c, test_nothing_written);
	tcase_add_test(c, test_empty_results_take_no_room);
	tcase_add_test(c, test_segments_end_to_end);
	tcase_add_test(c, test_limit_leaves_the_writer_as_it_was);
	tcase_add_test(c, test_limit_of_varied);
	tcase_add_test(c, test_values_in_files);
	tcase_add_test(c, test_values_in_slices);
	tcase_add_test(c, test_splits_know_their_content);
	tcase_add_test(c, test_names_of_files_are_exact);
	tcase_add_loop_test(c, test_hostile, 0, (int)(sizeof hostile / sizeof hostile[0]));
	tcase_add_test(c, test_failure_round_trip);
	tcase_add_test(c, test_failure_is_bounded);
	tcase_add_test(c, test_failure_refused);
	tcase_add_test(c, test_failure_texts_refused);
	suite_add_tcase(suite, c);
	c = tcase_create("property");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_round_trip, 0, 200);
	suite_add_tcase(suite, c);
	srunner_set_fork_status(runner, CK_NOFORK); /* so that the generator goes on from round to round */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

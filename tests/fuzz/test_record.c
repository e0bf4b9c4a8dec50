/* Mutated valid bytes against every reader of this floor. Deterministic: the same rounds each time; RANQ_FUZZ_SEED=N
 * gives others, RANQ_FUZZ_ROUNDS=N more. What is checked besides memory errors: readers end, say how, and agree with
 * each other. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/input.h"
#include "record/segment.h"
#include "tests/support/check_loop.h"

static uint64_t state;
static long rounds = 100000;

static uint64_t draw(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

static void start(uint64_t salt)
{
	const char *seed = getenv("RANQ_FUZZ_SEED"), *more = getenv("RANQ_FUZZ_ROUNDS");

	state = (seed ? strtoull(seed, NULL, 10) + 1 : 1) * 0x9e3779b97f4a7c15u + salt;
	rounds = more ? strtol(more, NULL, 10) : rounds;
}

/* A heap copy with a few changes, of exactly its length, so that the sanitizer sees one byte too far. */
static unsigned char *mutate(const struct ranq_buf *valid, size_t *len)
{
	static const unsigned char special[] = {
		0, 1, 0x7f, 0x80, 0xff, 0xc0, 0xc4, 0xcf, 0xd3, 0xdb, 0xdd, 0xdf, 0x90, 0x80, 'u', 'v'};
	size_t n = valid->len, cap = valid->len + 16, times = draw(4);
	unsigned char *bytes = malloc(cap), *exact;

	memcpy(bytes, valid->data, n);
	while (times-- && n) {
		size_t at = draw(n), count = 1 + draw(8);

		switch (draw(6)) {
		case 0:
			bytes[at] ^= (unsigned char)(1u << draw(8));
			break;
		case 1:
			bytes[at] = special[draw(sizeof special)];
			break;
		case 2:
			n = at;
			break;
		case 3: /* take some out */
			count = count < n - at ? count : n - at;
			memmove(bytes + at, bytes + at + count, n - at - count);
			n -= count;
			break;
		case 4: /* put one in */
			if (n < cap) {
				memmove(bytes + at + 1, bytes + at, n - at);
				bytes[at] = special[draw(sizeof special)];
				n++;
			}
			break;
		default: /* the same bytes elsewhere */
			count = count < n - at ? count : n - at;
			memmove(bytes + draw(n - count + 1), bytes + at, count);
		}
	}
	exact = malloc(n ? n : 1);
	memcpy(exact, bytes, n);
	free(bytes);
	*len = n;
	return exact;
}

static uint64_t checksum;
static void touch(struct ranq_bytes bytes)
{
	size_t i;

	for (i = 0; i < bytes.len; i++)
		checksum += ((const unsigned char *)bytes.data)[i];
}

static void make_segments(struct ranq_buf *out)
{
	struct ranq_segment_writer w;
	struct ranq_split split = {.size = RANQ_SLICE_BYTES + 1 + draw(1000)};
	char bytes[300];
	int i, n = (int)draw(40), size = (int)draw(10);

	memset(bytes, 'r', sizeof bytes);
	ranq_segment_writer_init(&w, 0);
	for (i = 0; i < n; i++) {
		bool odd = draw(10) == 0;

		MUST(ranq_segment_writer_add(&w, odd ? (enum ranq_task_status)draw(5) : RANQ_TASK_OK, bytes,
			     odd ? draw(sizeof bytes) : (size_t)size) == 0);
		if (draw(20) == 0)
			MUST(ranq_segment_writer_add_split(&w, (enum ranq_task_status)draw(5), &split) == 0);
		if (draw(12) == 0)
			MUST(ranq_segment_writer_finish(&w, out) == 0);
	}
	MUST(ranq_segment_writer_finish(&w, out) == 0);
	ranq_segment_writer_clear(&w);
}

START_TEST(test_segments)
{
	struct ranq_buf valid;
	long round;

	start(1);
	ranq_buf_init(&valid, 0);
	for (round = 0; round < rounds; round++) {
		struct ranq_segment_reader r;
		struct ranq_result result;
		struct ranq_split_place place;
		unsigned char *bytes;
		int64_t count, n = 0;
		size_t len;
		int status;

		ranq_buf_reset(&valid);
		make_segments(&valid);
		bytes = mutate(&valid, &len);
		count = ranq_segment_check(bytes, len, NULL);
		ranq_segment_reader_init(&r, bytes, len);
		while ((status = ranq_segment_reader_next(&r, &result, NULL)) > 0 && n < 10000) {
			MUST((unsigned)result.status < RANQ_TASK_STATUS_COUNT);
			touch(result.value);
			n++;
		}
		MUST(ranq_segment_splits(bytes, len, 0, 10000, &place, 1) <= len);
		if (count < 0)
			MUST(status != 0);
		else
			MUST(n == 10000 || (status == 0 && n == count));
		free(bytes);
	}
	ranq_buf_clear(&valid);
}
END_TEST

START_TEST(test_failures)
{
	struct ranq_failure f = {.index = 12345,
				    .status = RANQ_TASK_ERROR,
				    .exit_code = 3,
				    .attempts = 1,
				    .elapsed_us = 99,
				    .host = "host",
				    .worker = "worker",
				    .reason = "exit status 3",
				    .err_tail = {"some text", 9}},
			    g;
	struct ranq_buf valid;
	long round, good = 0;

	start(2);
	ranq_buf_init(&valid, 0);
	ck_assert_int_eq(ranq_failure_pack(&f, &valid), 0);
	for (round = 0; round < rounds; round++) {
		size_t len;
		unsigned char *bytes = mutate(&valid, &len);

		if (ranq_failure_unpack(bytes, len, &g, NULL) == 0) {
			MUST(strlen(g.reason) < sizeof g.reason);
			MUST(strlen(g.host) < sizeof g.host);
			touch(g.err_tail);
			good++;
		}
		free(bytes);
	}
	ck_assert_int_gt(good, rounds / 10);
	ck_assert_int_lt(good, rounds);
	ranq_buf_clear(&valid);
}
END_TEST

START_TEST(test_inputs)
{
	struct ranq_input_writer w;
	struct ranq_buf valid, slice;
	char line[200];
	long round;

	start(3);
	memset(line, 'l', sizeof line);
	ranq_input_writer_init(&w);
	ranq_buf_init(&valid, 0);
	ranq_buf_init(&slice, 0);
	for (round = 0; round < rounds; round++) {
		int64_t count, lines = (int64_t)draw(10), i;
		struct ranq_bytes got;
		unsigned char *bytes;
		size_t len;

		for (i = 0; i < lines; i++)
			MUST(ranq_input_writer_add(&w, line, draw(sizeof line), NULL) == 1);
		ranq_buf_reset(&valid);
		MUST(ranq_input_writer_finish(&w, &valid) == 0);
		bytes = mutate(&valid, &len);
		count = ranq_input_check(bytes, len, NULL);
		for (i = 0; i < 12; i++)
			if (ranq_input_get(bytes, len, (uint64_t)i, &got, NULL) == 0)
				touch(got);
			else
				MUST(count <= i);
		ranq_buf_reset(&slice);
		if (ranq_input_slice(bytes, len, 1, 3, &slice, NULL) == 0 && count >= 3)
			MUST(ranq_input_check(slice.data, slice.len, NULL) == 2);
		free(bytes);
	}
	ranq_input_writer_clear(&w);
	ranq_buf_clear(&valid);
	ranq_buf_clear(&slice);
}
END_TEST

static void make_spec(struct ranq_spec *spec)
{
	ranq_spec_init(spec);
	spec->body = RANQ_BODY_COMMAND;
	ck_assert_int_eq(ranq_strings_add(&spec->argv, "echo", 4), 0);
	ck_assert_int_eq(ranq_strings_add(&spec->argv, "{1} {2/.} {#}", 13), 0);
	ck_assert_int_eq(ranq_strings_add(&spec->env, "A=b", 3), 0);
	spec->args = RANQ_ARGS_LISTS;
	spec->nlists = 2;
	spec->lists = calloc(2, sizeof *spec->lists);
	ck_assert_int_eq(ranq_strings_add(&spec->lists[0].values, "x", 1), 0);
	ck_assert_int_eq(ranq_strings_add(&spec->lists[0].values, "y", 1), 0);
	ck_assert_int_eq(ranq_strings_add(&spec->lists[1].values, "zz", 2), 0);
	memset(spec->uuid, 7, sizeof spec->uuid);
	spec->name = strdup("job");
	spec->cwd = strdup("/tmp");
	spec->timeout_ms = 70000;
	spec->priority = -100;
	spec->has_seed = true;
	spec->seed = 42;
	ranq_buf_add(&spec->signature, "sig", 3);
}

/* What was accepted is canonical, and can be used. */
static void use(struct ranq_spec *spec, const unsigned char *bytes, size_t len)
{
	struct ranq_strings argv;
	struct ranq_bytes line = {"l,m", 3};
	struct ranq_arg arg;
	struct ranq_buf again;

	ranq_buf_init(&again, 0);
	if (ranq_spec_pack(spec, &again, NULL) == 0) {
		MUST(again.len == len);
		ck_assert_mem_eq(again.data, bytes, len);
	}
	ranq_buf_clear(&again);
	if (ranq_arg_make(spec, draw(5), &line, &arg, NULL) < 0)
		return;
	MUST(ranq_template_expand(spec, &arg, 1, 2, &argv, NULL) == 0);
	ranq_strings_clear(&argv);
	ranq_arg_clear(&arg);
}

START_TEST(test_specs)
{
	struct ranq_spec spec, got;
	struct ranq_buf valid;
	long round, good = 0;

	start(4);
	ranq_buf_init(&valid, 0);
	make_spec(&spec);
	ck_assert_int_eq(ranq_spec_pack(&spec, &valid, NULL), 0);
	for (round = 0; round < rounds; round++) {
		struct ranq_err err;
		size_t len;
		unsigned char *bytes = mutate(&valid, &len);

		if (ranq_spec_unpack(bytes, len, &got, &err) == 0) {
			good++;
			use(&got, bytes, len);
			ranq_spec_clear(&got);
		} else {
			MUST(err.code == RANQ_ERR_REPLY || err.code == RANQ_ERR_INPUT || err.code == RANQ_ERR_SCHEMA);
			MUST(!got.lists);
		}
		free(bytes);
	}
	ck_assert_int_gt(good, rounds / 10);
	ck_assert_int_lt(good, rounds);
	ranq_spec_clear(&spec);
	ranq_buf_clear(&valid);
}
END_TEST

/* Words made of the characters that the template reader looks at, and separators that match oddly. */
START_TEST(test_templates)
{
	static const char letters[] = "{{{}}}//..##12340seed x'\\";
	static const char *const seps[] = {NULL, ",", "x*", ",+|;", "^.", "[^a]", "$"};
	long round;

	start(5);
	for (round = 0; round < rounds; round++) {
		struct ranq_spec spec;
		struct ranq_strings argv;
		struct ranq_arg arg;
		char word[40], value[40];
		size_t i, n = draw(sizeof word), m = draw(sizeof value);
		const char *sep = seps[draw(sizeof seps / sizeof seps[0])];
		struct ranq_bytes line = {value, m};

		for (i = 0; i < n; i++)
			word[i] = letters[draw(sizeof letters - 1)];
		for (i = 0; i < m; i++)
			value[i] = letters[draw(sizeof letters - 1)];
		ranq_spec_init(&spec);
		spec.body = RANQ_BODY_COMMAND;
		spec.args = RANQ_ARGS_INPUT;
		spec.shell = draw(2);
		spec.append = draw(2);
		spec.colsep = sep ? strdup(sep) : NULL;
		MUST(ranq_strings_add(&spec.argv, word, n) == 0);
		MUST(ranq_arg_make(&spec, 0, &line, &arg, NULL) == 0);
		MUST(arg.columns.n >= 1);
		MUST(arg.columns.n <= m + 1);
		MUST(ranq_template_expand(&spec, &arg, 0, 1, &argv, NULL) == 0);
		MUST(argv.n >= 1);
		if (!ranq_template_has_replacement(&spec.argv) && !(spec.shell && spec.append))
			MUST(!strcmp(argv.at[0], spec.argv.at[0]));
		ranq_strings_clear(&argv);
		ranq_arg_clear(&arg);
		ranq_spec_clear(&spec);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("record");
	TCase *c = tcase_create("record");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(c, 150);
	tcase_add_test(c, test_segments);
	tcase_add_test(c, test_failures);
	tcase_add_test(c, test_inputs);
	tcase_add_test(c, test_specs);
	tcase_add_test(c, test_templates);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

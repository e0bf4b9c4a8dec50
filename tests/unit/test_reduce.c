/* Reductions: built-in joins, order and grouping, the fixed tree, items that nobody should trust. */
#include "record/reduce.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct ranq_err err;
static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (random_state >> 33) % n;
}

static double value_of(uint64_t index) /* sums of these depend on their grouping */
{
	double x = (double)((index * 2654435761u) % 1000003) / 7;

	return index % 3 ? x : -x * 1e-9;
}

static bool failed(uint64_t index)
{
	return index % 11 == 5;
}

static void add_task(struct ranq_reduction *r, uint64_t index)
{
	double x = value_of(index);
	struct ranq_part part = {.count = 1, .ok = 1, .value = {&x, sizeof x}};

	if (failed(index))
		part = (struct ranq_part){.count = 1};
	else if (ranq_reduction_add8(r, &x, sizeof x))
		return;
	ck_assert_int_eq(ranq_reduction_add(r, &part), 0);
}

static void write_range(const struct ranq_reduce *how, uint64_t start, uint64_t end, struct ranq_buf *out)
{
	struct ranq_reduction r;
	uint64_t i;

	ranq_reduction_init(&r, how, start);
	for (i = start; i < end; i++)
		add_task(&r, i);
	ck_assert_uint_eq(r.end, end);
	ck_assert_int_eq(ranq_reduction_write(&r, out), 0);
	ck_assert_uint_ge(ranq_reduction_bytes(&r), out->len);
	ranq_reduction_clear(&r);
}

/* Cuts [start, end) anywhere, reduces the pieces apart and joins them, also by way of joined neighbours. */
static void write_cut(const struct ranq_reduce *how, uint64_t start, uint64_t end, int depth, struct ranq_buf *out)
{
	uint64_t cut = start + random_below(end - start + 1), ok;
	struct ranq_buf piece[2];
	struct ranq_reduction r;
	int i;

	if (!depth || cut == start || cut == end) {
		write_range(how, start, end, out);
		return;
	}
	ranq_reduction_init(&r, how, start);
	for (i = 0; i < 2; i++) {
		uint64_t from = i ? cut : start, upto = i ? end : cut;

		ranq_buf_init(&piece[i], 0);
		write_cut(how, from, upto, depth - 1, &piece[i]);
		ck_assert_int_eq(ranq_reduction_check(how, from, piece[i].data, piece[i].len, &ok, &err),
			(int64_t)(upto - from));
		ck_assert_int_eq(ranq_reduction_add_item(&r, piece[i].data, piece[i].len, upto, &err), 0);
		ranq_buf_clear(&piece[i]);
	}
	ck_assert_int_eq(ranq_reduction_write(&r, out), 0);
	ranq_reduction_clear(&r);
}

static uint64_t total_bits(const struct ranq_reduce *how, uint64_t n, int depth)
{
	struct ranq_reduction r;
	struct ranq_buf item;
	struct ranq_part total;
	uint64_t bits;

	ranq_buf_init(&item, 0);
	write_cut(how, 0, n, depth, &item);
	ranq_reduction_init(&r, how, 0);
	ck_assert_int_eq(ranq_reduction_add_item(&r, item.data, item.len, n, &err), 0);
	ck_assert_uint_le(r.n, how->ordered ? 8 : 1);
	ck_assert_int_eq(ranq_reduction_total(&r, &total, &err), 0);
	ck_assert_uint_eq(total.count, n);
	ck_assert_uint_eq(total.value.len, 8);
	memcpy(&bits, total.value.data, 8);
	ranq_reduction_clear(&r);
	ranq_buf_clear(&item);
	return bits;
}

static struct ranq_reduce how_of(const char *name, bool ordered)
{
	struct ranq_spec spec = {.reduce = (char *)(uintptr_t)name, .reduce_ordered = ordered,
		.body = RANQ_BODY_FUNCTION};

	return ranq_reduce_of(&spec);
}

/* The definition, without parts: a node is the join of its children from left to right. False: no task succeeded. */
static bool tree(uint64_t size, uint64_t start, uint64_t n, double *x)
{
	bool any = false;
	uint64_t i;

	if (size == 1) {
		*x = value_of(start);
		return start < n && !failed(start);
	}
	for (i = 0; i < 16; i++) {
		uint64_t child = start + i * size / 16;
		double y = 0;

		if (child >= n || !tree(size / 16, child, n, &y))
			continue;
		*x = any ? *x + y : y;
		any = true;
	}
	return any;
}

START_TEST(test_ordered_has_the_same_bits_however_it_is_cut)
{
	const uint64_t sizes[] = {1, 2, 15, 16, 17, 255, 256, 257, 300, 4095, 4097, 5000};
	struct ranq_reduce how = how_of("sum_double", true);
	size_t s;
	int i;

	for (s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
		double expected = 0;
		uint64_t bits;

		ck_assert(tree(65536, 0, sizes[s], &expected));
		memcpy(&bits, &expected, sizeof bits);
		for (i = 0; i < 40; i++)
			ck_assert_uint_eq(total_bits(&how, sizes[s], i ? 6 : 0), bits);
	}
}
END_TEST

START_TEST(test_any_grouping_becomes_one_part)
{
	struct ranq_reduce how = how_of("sum_double", false);
	uint64_t bits = total_bits(&how, 5000, 6), i;
	double sum = 0, x;

	for (i = 0; i < 5000; i++)
		sum += failed(i) ? 0 : value_of(i);
	memcpy(&x, &bits, sizeof x);
	ck_assert_double_eq_tol(x, sum, 1e-3);
}
END_TEST

static int64_t reduce_two(const char *name, const void *a, const void *b)
{
	struct ranq_reduce how = how_of(name, false);
	struct ranq_reduction r;
	struct ranq_part total;
	int64_t bits;

	ranq_reduction_init(&r, &how, 0);
	ck_assert_int_eq(ranq_reduction_add(&r, &(struct ranq_part){1, 1, {a, 8}}), 0);
	ck_assert_int_eq(ranq_reduction_add(&r, &(struct ranq_part){1, 1, {b, 8}}), 0);
	ck_assert_int_eq(ranq_reduction_total(&r, &total, &err), 0);
	memcpy(&bits, total.value.data, 8);
	ranq_reduction_clear(&r);
	return bits;
}

static int64_t two_int64(const char *name, int64_t a, int64_t b)
{
	return reduce_two(name, &a, &b);
}

static double two_double(const char *name, double a, double b)
{
	int64_t bits = reduce_two(name, &a, &b);
	double x;

	memcpy(&x, &bits, sizeof x);
	return x;
}

START_TEST(test_builtin)
{
	ck_assert_int_eq(two_int64("sum_int64", -5, 3), -2);
	ck_assert_int_eq(two_int64("sum_int64", INT64_MAX, 1), INT64_MIN);
	ck_assert_int_eq(two_int64("min_int64", -5, 3), -5);
	ck_assert_int_eq(two_int64("max_int64", -5, 3), 3);
	ck_assert_double_eq(two_double("sum_double", 0.5, 0.25), 0.75);
	ck_assert_double_eq(two_double("min_double", 0.5, 0.25), 0.25);
	ck_assert_double_eq(two_double("max_double", 0.5, 0.25), 0.5);
	ck_assert(isnan(two_double("min_double", NAN, 1)));
	ck_assert(isnan(two_double("min_double", 1, NAN)));
	ck_assert(isnan(two_double("max_double", NAN, 1)));
	ck_assert(isnan(two_double("max_double", 1, NAN)));
	ck_assert(signbit(two_double("min_double", -0.0, 0.0)) && !signbit(two_double("max_double", 0.0, -0.0)));
	ck_assert_int_eq(ranq_reduce_kind_of(NULL), RANQ_REDUCE_NONE);
	ck_assert_int_eq(ranq_reduce_kind_of("sum"), RANQ_REDUCE_FUNCTION);
	ck_assert_int_eq(ranq_reduce_kind_of("count"), RANQ_REDUCE_count);
}
END_TEST

START_TEST(test_arrays_go_element_by_element)
{
	struct ranq_reduce how = how_of("max_int64", true);
	struct ranq_reduction r;
	struct ranq_part total;
	const int64_t a[3] = {1, -2, 3}, b[3] = {-1, 2, 4}, c[2] = {1, 2};
	int64_t sum[3];

	ranq_reduction_init(&r, &how, 0);
	ck_assert_int_eq(ranq_reduction_add(&r, &(struct ranq_part){1, 1, {a, sizeof a}}), 0);
	ck_assert_int_eq(ranq_reduction_add(&r, &(struct ranq_part){1, 1, {b, sizeof b}}), 0);
	ck_assert_uint_eq(r.n, 1);
	memcpy(sum, r.part->value.data, sizeof sum);
	ck_assert(sum[0] == 1 && sum[1] == 2 && sum[2] == 4);
	/* what does not fit stays apart, and the total says so */
	ck_assert(!ranq_reduction_add8(&r, c, sizeof c));
	ck_assert(ranq_reduction_add8(&r, c, sizeof c[0]));
	ck_assert_uint_eq(r.n, 2);
	ck_assert_int_eq(ranq_reduction_total(&r, &total, &err), -1);
	ck_assert_str_eq(err.text, "the values of tasks 0 to 1 and of 2 to 2 do not go together");
	ranq_reduction_clear(&r);
}
END_TEST

START_TEST(test_tasks_without_a_value)
{
	struct ranq_reduce how = how_of("sum_int64", true);
	struct ranq_reduction r;
	struct ranq_part total;
	const int64_t x = 7;

	ranq_reduction_init(&r, &how, 0);
	ck_assert_int_eq(ranq_reduction_skip(&r, 1000003), 0);
	ck_assert_int_eq(ranq_reduction_add(&r, &(struct ranq_part){1, 1, {&x, 8}}), 0);
	ck_assert_int_eq(ranq_reduction_skip(&r, 5000000000), 0);
	ck_assert_int_eq(ranq_reduction_total(&r, &total, &err), 0);
	ck_assert(total.count == 5000000000 && total.ok == 1 && !memcmp(total.value.data, &x, 8));
	ranq_reduction_restart(&r, 0);
	ck_assert_int_eq(ranq_reduction_skip(&r, 10), 0);
	ck_assert_int_eq(ranq_reduction_total(&r, &total, &err), 0);
	ck_assert(total.count == 10 && total.ok == 0 && total.value.len == 0);
	ranq_reduction_clear(&r);
}
END_TEST

/* Concatenation: order is kept whatever the grouping. */
static int join_text(struct ranq_partial *into, const void *value, size_t len)
{
	size_t at = into->len;

	if (into->resize(into, at + len))
		return 1;
	memcpy((char *)into->data + at, value, len);
	return 0;
}

START_TEST(test_function_keeps_the_order)
{
	struct ranq_reduce how = how_of("join_text", _i != 0);
	struct ranq_reduction r, apart;
	struct ranq_part total;
	struct ranq_buf item;
	char expected[400 * 3 + 1] = "", text[8];
	int i;

	ck_assert_int_eq(how.kind, RANQ_REDUCE_FUNCTION);
	ranq_reduction_init(&apart, &how, 0); /* without the function parts stay apart */
	how.function = join_text;
	ranq_reduction_init(&r, &how, 0);
	ranq_buf_init(&item, 0);
	for (i = 0; i < 400; i++) {
		snprintf(text, sizeof text, "%d ", i % 100);
		strcat(expected, text);
		ck_assert_int_eq(ranq_reduction_add(&apart, &(struct ranq_part){1, 1, {text, strlen(text)}}), 0);
	}
	ck_assert_uint_eq(apart.n, 400);
	ck_assert_int_eq(ranq_reduction_write(&apart, &item), 0);
	ck_assert_int_eq(ranq_reduction_add_item(&r, item.data, item.len, 400, &err), 0);
	ck_assert_int_eq(ranq_reduction_total(&r, &total, &err), 0);
	ck_assert_uint_eq(total.value.len, strlen(expected));
	ck_assert(!memcmp(total.value.data, expected, total.value.len));
	ranq_buf_clear(&item);
	ranq_reduction_clear(&r);
	ranq_reduction_clear(&apart);
}
END_TEST

static const struct {
	const char *name, *text, *error;
	size_t len;
	double x[2];
} leaves[] = {
	{"sum_double", " 1.5 -2e3\n", NULL, 16, {1.5, -2000}},
	{"sum_double", "7", NULL, 8, {7, 0}},
	{"sum_double", "", "its output is not only numbers", 0, {0, 0}},
	{"sum_double", " \n", "its output is not only numbers", 0, {0, 0}},
	{"sum_double", "1 x", "its output is not only numbers", 0, {0, 0}},
	{"sum_double", "1,2", "its output is not only numbers", 0, {0, 0}},
	{"max_int64", "1.5", "its output is not only whole numbers", 0, {0, 0}},
	{"max_int64", "99999999999999999999", "its output is not only whole numbers", 0, {0, 0}},
};

START_TEST(test_numbers_of_commands)
{
	struct ranq_reduce how = how_of(leaves[_i].name, false);
	struct ranq_bytes value = {leaves[_i].text, strlen(leaves[_i].text)};
	struct ranq_buf scratch;

	how.text = true;
	ranq_buf_init(&scratch, 0);
	ck_assert_int_eq(ranq_reduce_leaf(&how, &value, &scratch, &err), leaves[_i].error ? -1 : 0);
	if (leaves[_i].error)
		ck_assert_str_eq(err.text, leaves[_i].error);
	else
		ck_assert(value.len == leaves[_i].len && !memcmp(value.data, leaves[_i].x, value.len));
	ranq_buf_clear(&scratch);
}
END_TEST

START_TEST(test_results_of_functions)
{
	struct ranq_reduce how = how_of("sum_int64", false);
	struct ranq_bytes value = {"abc", 3};

	ck_assert_int_eq(ranq_reduce_leaf(&how, &value, NULL, &err), -1);
	ck_assert_str_eq(err.text, "its result of 3 bytes is not what sum_int64 takes: numbers of 8 bytes");
	how = how_of("count", false);
	ck_assert_int_eq(ranq_reduce_leaf(&how, &value, NULL, &err), 0);
	ck_assert(value.len == 8 && !memcmp(value.data, &(int64_t){1}, 8));
}
END_TEST

#define BYTES(text) {text, sizeof(text) - 1}
static const struct {
	bool ordered;
	uint64_t start;
	struct ranq_bytes item;
	int64_t count;
} items[] = {
	{false, 0, BYTES(""), 0},
	{false, 0, BYTES("r\3\2\1x"), 3},
	{false, 7, BYTES("r\3\2\1xv\1\2\2\0r\1\0\0"), 5},
	{true, 0, BYTES("r\3\2\1x"), 3},
	{true, 5, BYTES("r\1\1\1x"), 1},
	{true, 5, BYTES("r\3\2\1x"), -1},     /* no node */
	{true, 0, BYTES("r\22\2\1x"), -1},    /* 18 are no node and no beginning of one */
	{true, 16, BYTES("r\20\2\1x"), 16},
	{true, 16, BYTES("r\40\2\1x"), -1},   /* two nodes in the middle of theirs */
	{true, 256, BYTES("r\40\2\1x"), 32},
	{false, 0, BYTES("r\0\0\0"), -1},     /* of no task */
	{false, 0, BYTES("r\1\2\1x"), -1},    /* more successes than tasks */
	{false, 0, BYTES("r\1\0\1x"), -1},    /* a value of nobody */
	{false, 0, BYTES("r\1\1\2x"), -1},    /* cut off */
	{false, 0, BYTES("r\1\1"), -1},
	{false, 0, BYTES("u\1\0"), -1},       /* not of a reduction */
	{false, 0, BYTES("v\1\2\2\1"), -1},
	{false, 0, BYTES("r\200\200\200\200\200\200\200\40\0\0"), -1},
	{false, (uint64_t)1 << 53, BYTES("r\1\0\0"), -1},
};

START_TEST(test_items)
{
	struct ranq_reduce how = how_of("sum_int64", items[_i].ordered);
	uint64_t ok;

	ck_assert_int_eq(ranq_reduction_check(
				 &how, items[_i].start, items[_i].item.data, items[_i].item.len, &ok, &err),
		items[_i].count);
}
END_TEST

/* What is foreseen is what becomes of it. */
START_TEST(test_foreseen)
{
	random_state = 7;
	for (int i = 0; i < 200; i++) {
		struct ranq_reduce how = how_of("sum_double", i % 2), apart = how;
		uint64_t start = random_below(600), end = start + 1 + random_below(600);
		struct ranq_reduction r;
		struct ranq_buf item;
		size_t parts, left;

		apart.function = NULL; /* as the results of chunks of a function that is not here */
		apart.kind = RANQ_REDUCE_FUNCTION;
		ranq_buf_init(&item, 0);
		write_cut(&how, start, start + (end - start) / 2, 3, &item);
		write_cut(&how, start + (end - start) / 2, end, 3, &item);
		ranq_reduction_init(&r, &how, start);
		ck_assert_int_eq(ranq_reduction_foresee(&apart, start, item.data, item.len, &parts, &left), 0);
		ck_assert_int_eq(ranq_reduction_add_item(&r, item.data, item.len, end, &err), 0);
		ck_assert_uint_eq(left, r.n);
		ck_assert_uint_ge(parts, left);
		ck_assert_int_eq(ranq_reduction_foresee(&apart, start, item.data, item.len - 1, &parts, &left), -1);
		ranq_reduction_clear(&r);
		ranq_buf_clear(&item);
	}
}
END_TEST

START_TEST(test_other_readers_refuse)
{
	struct ranq_segment_reader in;
	struct ranq_result result;

	ranq_segment_reader_init(&in, "r\3\2\1x", 5);
	ck_assert_int_eq(ranq_segment_reader_next(&in, &result, &err), -1);
	ck_assert_int_eq(ranq_segment_check("r\3\2\1x", 5, &err), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reduce");
	TCase *tc = tcase_create("reduce");
	SRunner *runner;
	int bad;

	tcase_add_test(tc, test_ordered_has_the_same_bits_however_it_is_cut);
	tcase_add_test(tc, test_any_grouping_becomes_one_part);
	tcase_add_test(tc, test_builtin);
	tcase_add_test(tc, test_arrays_go_element_by_element);
	tcase_add_test(tc, test_tasks_without_a_value);
	tcase_add_loop_test(tc, test_function_keeps_the_order, 0, 2);
	tcase_add_loop_test(tc, test_numbers_of_commands, 0, sizeof leaves / sizeof leaves[0]);
	tcase_add_test(tc, test_results_of_functions);
	tcase_add_loop_test(tc, test_items, 0, sizeof items / sizeof items[0]);
	tcase_add_test(tc, test_foreseen);
	tcase_add_test(tc, test_other_readers_refuse);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	bad = srunner_ntests_failed(runner);
	srunner_free(runner);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

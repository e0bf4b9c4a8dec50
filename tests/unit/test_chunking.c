/* Sizes of chunks and leases: tables, and a simulated job whose lanes must end together. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "bridge/chunking.h"

#define MS INT64_C(1000000)

static struct ranq_pace known(double task_ns, uint64_t chunk)
{
	return (struct ranq_pace){.task_ns = task_ns, .chunk = chunk, .measured = 100};
}

START_TEST(sizes)
{
	static const struct {
		const char *what;
		double task_ns;
		uint64_t chunk, remaining, cap;
		unsigned lanes;
		int64_t left_ns;
		uint64_t want;
	} rows[] = {
		{"as large as it has grown", 1000, 64, 1000000, 0, 2, INT64_MAX, 64},
		{"capped by --chunk", 1000, 64, 1000000, 10, 2, INT64_MAX, 10},
		{"guided down at the end", 1000, 64, 100, 0, 2, INT64_MAX, 25},
		{"one by one at the very end", 1000, 64, 3, 0, 2, INT64_MAX, 1},
		{"the last one", 1000, 64, 1, 0, 128, INT64_MAX, 1},
		{"nothing remains", 1000, 64, 0, 0, 2, INT64_MAX, 0},
		{"what ends in time", 10.0 * MS, 64, 1000000, 0, 2, 50 * MS, 5},
		{"nothing ends in time", 10.0 * MS, 64, 1000000, 0, 2, 9 * MS, 0},
		{"the end has passed", 10.0 * MS, 64, 1000000, 0, 2, -5, 0},
		{"no lanes yet", 1000, 4, 100, 0, 0, INT64_MAX, 4},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ranq_pace pace = known(rows[i].task_ns, rows[i].chunk);
		struct ranq_chunking c = {rows[i].remaining, rows[i].cap, rows[i].lanes, rows[i].left_ns};

		ck_assert_msg(ranq_chunking_size(&pace, &c) == rows[i].want, "%s: %llu", rows[i].what,
			(unsigned long long)ranq_chunking_size(&pace, &c));
	}
}
END_TEST

START_TEST(grows_fourfold_to_the_target)
{
	struct ranq_chunking c = {.remaining = UINT64_C(1) << 50, .lanes = 2, .left_ns = INT64_MAX};
	struct ranq_pace pace;
	uint64_t size, before = 0;
	int chunks = 0;

	ranq_pace_init(&pace);
	ck_assert_uint_eq(ranq_chunking_size(&pace, &c), 1);
	for (; (size = ranq_chunking_size(&pace, &c)) != before; chunks++) {
		ck_assert_uint_le(size, before ? 4 * before : 1);
		before = size;
		ranq_pace_add(&pace, size, (int64_t)size * 1000); /* 1 us a task */
		ranq_pace_chunk_done(&pace, size);
		ck_assert_int_lt(chunks, 20);
	}
	ck_assert_uint_ge(size, 24000); /* 25 ms */
	ck_assert_uint_le(size, 25001);
	/* tasks become slow: the next chunk is short at once */
	ranq_pace_add(&pace, 10, 10 * 1000 * MS);
	ranq_pace_chunk_done(&pace, 10);
	ck_assert_uint_eq(ranq_chunking_size(&pace, &c), 1);
}
END_TEST

/* What the first tasks took with cold caches is forgotten with the next many; what many took is not for a few. */
START_TEST(cold_start)
{
	struct ranq_pace pace;
	double before;

	ranq_pace_init(&pace);
	ranq_pace_add(&pace, 1, 20000);
	ranq_pace_add(&pace, 4, 4000);
	ranq_pace_add(&pace, 1000, 50000);
	ck_assert(pace.task_ns > 50 && pace.task_ns < 80);
	before = pace.task_ns;
	ranq_pace_add(&pace, 1, 1000);
	ck_assert(pace.task_ns > before && pace.task_ns < 0.31 * 1000 + before);
}
END_TEST

START_TEST(depth)
{
	struct ranq_pace fresh, fast = known(1000, 10), slow = known(60.0 * MS, 1);

	ranq_pace_init(&fresh);
	ck_assert_uint_eq(ranq_chunking_depth(&fresh, 1), 1);
	ck_assert_uint_eq(ranq_chunking_depth(&fast, 1000000), 2);
	ck_assert_uint_eq(ranq_chunking_depth(&slow, 1), 1);
	/* chunks far shorter than a round trip: 2 ms of them, bounded */
	ck_assert_uint_eq(ranq_chunking_depth(&fast, 100), 20);
	ck_assert_uint_eq(ranq_chunking_depth(&fast, 1), RANQ_CHUNKING_DEPTH_MAX);
}
END_TEST

START_TEST(strange_measurements)
{
	struct ranq_pace pace;

	ranq_pace_init(&pace);
	ranq_pace_add(&pace, 0, 100);
	ck_assert_uint_eq(pace.measured, 0);
	ranq_pace_add(&pace, 5, -100);
	ck_assert(pace.task_ns >= 1 && isfinite(pace.task_ns));
	ranq_pace_add(&pace, UINT64_C(1) << 53, INT64_MAX);
	ck_assert(pace.task_ns >= 1 && isfinite(pace.task_ns));
	ranq_pace_init(&pace);
	ck_assert(ranq_pace_task_ns(&pace, 7 * MS) == 7.0 * MS);
	ranq_pace_add(&pace, 1, 3 * MS);
	ck_assert(ranq_pace_task_ns(&pace, 7 * MS) == 3.0 * MS);
}
END_TEST

START_TEST(leases)
{
	static const struct {
		const char *what;
		struct ranq_leasing l;
		uint64_t least, most;
	} rows[] = {
		{"first: one a lane", {0, 4, 4}, 4, 4},
		{"unknown times: twice as many", {0, 4, 4, .last_want = 4}, 8, 8},
		{"unknown times: not for ever", {0, 4, 4, .last_want = 1000}, 64, 64},
		{"unknown times: enough at hand", {4, 4, 0, .last_want = 4}, 0, 0},
		{"a second of work of all lanes", {0, 4, 0, 1.0 * MS}, 3900, 4100},
		{"less than a quarter is left", {900, 4, 0, 1.0 * MS}, 3000, 3200},
		{"more than a quarter is left", {1100, 4, 0, 1.0 * MS}, 0, 0},
		{"unknown times: work is at hand, but cannot begin", {64, 4, 4, .last_want = 64}, 0, 0},
		{"long tasks: no hoarding", {0, 4, 0, 60000.0 * MS}, 0, 0},
		{"long tasks: one waits already", {1, 4, 1, 60000.0 * MS}, 0, 0},
		{"long tasks: for the idle lanes", {0, 4, 3, 60000.0 * MS}, 3, 3},
		{"long tasks: for the idle lanes that have nothing yet", {1, 4, 3, 3000.0 * MS}, 2, 2},
		{"long tasks, many lanes: and what begins within half a second", {0, 128, 1, 4000.0 * MS}, 17, 17},
		{"long tasks, many lanes: none is idle", {0, 128, 0, 4000.0 * MS}, 0, 0},
		{"shorter than a second: one waits for each lane", {0, 4, 0, 900.0 * MS}, 4, 4},
		{"very short tasks: bounded", {0, 1000000, 0, 1}, 1, RANQ_LEASE_WANT_MAX},
		{"very short tasks with --chunk 3: what rank 0 hands out in a second",
			{.lanes = 2, .task_ns = 1, .cap = 3}, 600000, 600000},
		{"one runs for a microsecond, none has ended: twice as many",
			{.lanes = 4, .task_ns = 1000, .unmeasured = true, .last_want = 4}, 8, 8},
		{"one runs for a minute, none has ended: no hoarding",
			{.lanes = 4, .task_ns = 60000.0 * MS, .unmeasured = true, .last_want = 4}, 0, 0},
		{"no lanes", {0, 0, 0, 0}, 1, 1},
		{"a crowd of bridges: more seconds of work", {.lanes = 4, .task_ns = 1.0 * MS, .crowd_s = 1.5}, 9900,
			10100},
		{"a crowd: less than a quarter of a second is left", {900, 4, .task_ns = 1.0 * MS, .crowd_s = 1.5},
			9000, 9200},
		{"a crowd: more than that is", {1100, 4, .task_ns = 1.0 * MS, .crowd_s = 1.5}, 0, 0},
		{"a crowd: a lane is idle and nothing at hand", {0, 1, .idle = 1, .task_ns = 900.0 * MS, .crowd_s = 4},
			2, 10},
		{"a crowd, long tasks: what begins within two seconds",
			{.lanes = 128, .idle = 1, .task_ns = 4000.0 * MS, .crowd_s = 1.5}, 65, 65},
		{"a crowd, long tasks: none is idle", {.lanes = 128, .task_ns = 4000.0 * MS, .crowd_s = 1.5}, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t want = ranq_leasing_want(&rows[i].l);

		ck_assert_msg(want >= rows[i].least && want <= rows[i].most, "%s: %llu", rows[i].what,
			(unsigned long long)want);
	}
}
END_TEST

START_TEST(surplus)
{
	struct ranq_leasing unknown = {.unstarted = 1000000, .lanes = 2},
			    fits = {.unstarted = 700, .lanes = 2, .task_ns = 10.0 * MS},
			    much = {.unstarted = 5000, .lanes = 2, .task_ns = 10.0 * MS},
			    second = {.unstarted = 4, .lanes = 2, .task_ns = 1500.0 * MS},
			    longs = {.unstarted = 4, .lanes = 2, .task_ns = 12000.0 * MS},
			    soon = {.unstarted = 30, .lanes = 128, .task_ns = 4000.0 * MS},
			    starts = {.unstarted = 4, .lanes = 2, .idle = 2, .task_ns = 12000.0 * MS};

	ck_assert_uint_eq(ranq_leasing_surplus(&unknown), 0);
	ck_assert_uint_eq(ranq_leasing_surplus(&fits), 0);
	ck_assert_uint_eq(ranq_leasing_surplus(&much), 4600); /* two seconds of two lanes stay */
	ck_assert_uint_eq(ranq_leasing_surplus(&second), 0);
	ck_assert_uint_eq(ranq_leasing_surplus(&longs), 4); /* any other bridge has them sooner */
	ck_assert_uint_eq(ranq_leasing_surplus(&starts), 2);
	ck_assert_uint_eq(ranq_leasing_surplus(&soon), 14);
	soon.stale = true;
	ck_assert_uint_eq(ranq_leasing_surplus(&soon), 30);
	soon.crowd_s = 3; /* stale is stale */
	ck_assert_uint_eq(ranq_leasing_surplus(&soon), 30);
}
END_TEST

/* Of what is left a bridge of many asks for half of its share at most. */
START_TEST(less_near_the_end)
{
	static const struct {
		double most, left, ago, expected;
	} rows[] = {{4, INFINITY, 1, 4}, {4, 100, 2, 4}, {4, 9, 0, 4}, {4, 8, 0, 3.5}, {4, 8, 2, 2.5}, {4, 2, 1, 0},
		{4, 1, 0, 0}, {4, 0, 0, 0}, {4, 0, 100, 0}, {0, 100, 0, 0}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_double_eq_tol(
			ranq_leasing_crowd_s(rows[i].most, rows[i].left, rows[i].ago), rows[i].expected, 1e-9);
}
END_TEST

/* What a bridge asked for it does not give back at once, however large the crowd. */
START_TEST(no_to_and_fro)
{
	for (double ms = 0.1; ms < 100000; ms *= 1.3)
		for (double crowd_s = 0; crowd_s <= 4; crowd_s += 0.25)
			for (unsigned idle = 0; idle <= 128; idle += 32) {
				struct ranq_leasing l = {
					.lanes = 128, .idle = idle, .task_ns = ms * MS, .crowd_s = crowd_s};

				l.unstarted = ranq_leasing_want(&l);
				ck_assert_uint_eq(ranq_leasing_surplus(&l), 0);
			}
}
END_TEST

/* Lanes that take chunks from one heap of tasks of random length: the last one must not work long after the first one
 * stopped. */
START_TEST(lanes_end_together)
{
	enum { LANES = 8, TASKS = 20000 };
	double busy_until[LANES] = {0}, first = INFINITY, last = 0;
	struct ranq_pace pace;
	uint64_t left = TASKS;
	unsigned seed = 7;

	ranq_pace_init(&pace);
	while (left > 0) {
		struct ranq_chunking c = {.remaining = left, .lanes = LANES, .left_ns = INT64_MAX};
		uint64_t n = ranq_chunking_size(&pace, &c);
		double elapsed = 0;
		int lane = 0;

		for (int k = 1; k < LANES; k++)
			if (busy_until[k] < busy_until[lane])
				lane = k;
		for (uint64_t k = 0; k < n; k++)
			elapsed += (0.5 + (double)rand_r(&seed) / RAND_MAX) * MS;
		busy_until[lane] += elapsed;
		ranq_pace_add(&pace, n, (int64_t)elapsed);
		ranq_pace_chunk_done(&pace, n);
		left -= n;
	}
	for (int k = 0; k < LANES; k++) {
		first = fmin(first, busy_until[k]);
		last = fmax(last, busy_until[k]);
	}
	ck_assert_msg(last - first < 5.0 * MS, "%f ms", (last - first) / MS);
	ck_assert(last < 1.01 * TASKS * MS / LANES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chunking");
	TCase *tcase = tcase_create("chunking");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, grows_fourfold_to_the_target);
	tcase_add_test(tcase, cold_start);
	tcase_add_test(tcase, depth);
	tcase_add_test(tcase, strange_measurements);
	tcase_add_test(tcase, leases);
	tcase_add_test(tcase, surplus);
	tcase_add_test(tcase, less_near_the_end);
	tcase_add_test(tcase, no_to_and_fro);
	tcase_add_test(tcase, lanes_end_together);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

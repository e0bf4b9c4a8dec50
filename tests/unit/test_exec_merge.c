/* Results that an executor joins with the reduce function of a module: in order, or not at all; who dies of it costs
 * nobody a task. */
#include <check.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "record/reduce.h"
#include "support/exec_rig.h"
#include "util/clock.h"

static struct exec_rig rig;
static struct ranq_buf item;
static struct ranq_slot_event event; /* its segment is in `got` */
static struct ranq_buf got;
static uint64_t next_chunk;

static void open_rig(const char *module, const char *function, const char *reduce, bool ordered)
{
	struct ranq_spec spec;

	exec_rig_open(&rig, 1, NULL);
	exec_rig_function(&spec, function);
	spec.reduce = strdup(reduce);
	spec.reduce_ordered = ordered;
	exec_rig_add_job(&rig, 7, &spec, module, NULL, 0);
	ranq_spec_clear(&spec);
	ranq_buf_init(&item, 0);
	ranq_buf_init(&got, 0);
}

static void close_rig(void)
{
	ranq_buf_clear(&item);
	ranq_buf_clear(&got);
	exec_rig_close(&rig);
}

static void add_part(uint64_t count, uint64_t ok, const void *data, size_t len)
{
	ck_assert_int_eq(ranq_part_add(&item, &(struct ranq_part){count, ok, {data, len}}), 0);
}

static void wait_some(void)
{
	struct pollfd fds[2] = {{.fd = ranq_exec_fd(rig.exec), .events = POLLIN},
		{.fd = ranq_slot_fd(rig.slots[0]),
			.events = (short)(POLLIN | (ranq_slot_wants_write(rig.slots[0]) ? POLLOUT : 0))}};

	poll(fds, 2, 50);
}

/* The one event of a merge of tasks [start, end). */
static void merge(uint64_t start, uint64_t end)
{
	struct ranq_chunk chunk = {.job = 7,
		.id = ++next_chunk,
		.start = start,
		.end = end,
		.end_ms = RANQ_NEVER,
		.merge = true,
		.input = {item.data, item.len}};
	int64_t limit = ranq_clock_ms() + RIG_LIMIT_MS;
	struct ranq_err err = {0};

	ck_assert_msg(ranq_slot_run(rig.slots[0], &chunk, &err) == 0, "%s", err.text);
	for (;;) {
		ck_assert_int_eq(ranq_exec_pump(rig.exec, &err), 0);
		ck_assert_msg(ranq_slot_pump(rig.slots[0], &event, &err) == 0, "%s", err.text);
		if (event.kind != RANQ_SLOT_NOTHING)
			break;
		ck_assert_int_lt(ranq_clock_ms(), limit);
		wait_some();
	}
	ck_assert_int_eq(event.kind, RANQ_SLOT_RESULTS);
	ck_assert(event.chunk_done && event.chunk == next_chunk && event.from == start);
	ck_assert_uint_eq(event.nfailures, 0);
	ranq_buf_reset(&got);
	ranq_buf_add(&got, event.segment.data, event.segment.len);
	ranq_buf_reset(&item);
}

static void is_unmerged(uint64_t start)
{
	ck_assert_uint_eq(event.upto, start);
	ck_assert_uint_eq(got.len, 0);
}

/* The value of the i-th part. */
static struct ranq_part part_at(unsigned i)
{
	struct ranq_segment_reader in;
	struct ranq_part part = {0};

	ranq_segment_reader_init(&in, got.data, got.len);
	for (unsigned k = 0; k <= i; k++)
		if (ranq_segment_reader_next_part(&in, &part, NULL) != 1)
			return (struct ranq_part){0};
	return part;
}

START_TEST(joins_in_order)
{
	struct ranq_part part;

	open_rig("reduce.so", "word", "join_words", false);
	add_part(3, 3, "a b c ", 6);
	add_part(2, 1, "d ", 2);
	add_part(4, 0, NULL, 0);
	add_part(1, 1, "e ", 2);
	merge(10, 20);
	ck_assert_uint_eq(event.upto, 20);
	ck_assert_uint_eq(event.counts[RANQ_TASK_OK], 5);
	ck_assert_uint_eq(event.counts[RANQ_TASK_ERROR], 5);
	part = part_at(0);
	ck_assert(part.count == 10 && part.ok == 5 && part.value.len == 10);
	ck_assert_mem_eq(part.value.data, "a b c d e ", 10);
	ck_assert_uint_eq(part_at(1).count, 0);
	close_rig();
}
END_TEST

/* Nodes of the tree only: 16 tasks from a multiple of 16 on. */
START_TEST(ordered_joins_what_belongs_together)
{
	struct ranq_part part;

	open_rig("reduce.so", "word", "join_words", true);
	for (char c = 'a'; c < 'a' + 20; c++)
		add_part(1, 1, &c, 1);
	merge(14, 34);
	ck_assert_uint_eq(event.upto, 34);
	ck_assert_uint_eq(part_at(0).count, 1);
	ck_assert_uint_eq(part_at(1).count, 1);
	part = part_at(2);
	ck_assert(part.count == 16 && part.value.len == 16);
	ck_assert_mem_eq(part.value.data, "cdefghijklmnopqr", 16);
	ck_assert_uint_eq(part_at(3).count, 2);
	ck_assert_uint_eq(part_at(4).count, 0);
	close_rig();
}
END_TEST

START_TEST(what_does_not_go_together_stays_apart)
{
	open_rig("reduce.so", "word", "refuse", false);
	add_part(1, 1, "a", 1);
	add_part(1, 1, "b", 1);
	merge(0, 2);
	ck_assert_uint_eq(event.upto, 2);
	ck_assert_uint_eq(part_at(0).count, 1);
	ck_assert_uint_eq(part_at(1).count, 1);
	close_rig();
}
END_TEST

START_TEST(a_crash_leaves_them_unmerged)
{
	int64_t bins[1024] = {2};

	open_rig("reduce.so", "histogram", "crash_in_merges", false);
	for (int round = 0; round < 7; round++) {
		add_part(2, 2, bins, sizeof bins);
		if (round % 2 == 0)
			add_part(2, 2, bins, sizeof bins);
		merge(0, round % 2 == 0 ? 4 : 2);
		if (round % 2 == 0)
			is_unmerged(0); /* and never is a task blamed, however often */
		else
			ck_assert(event.upto == 2 && part_at(0).count == 2);
	}
	close_rig();
}
END_TEST

START_TEST(what_is_no_reduction_is_not_merged)
{
	open_rig("reduce.so", "word", "join_words", false);
	ranq_buf_add(&item, "r\12\12\1", 4); /* cut off */
	merge(0, 10);
	is_unmerged(0);
	add_part(3, 3, "abc", 3); /* of fewer tasks than it says */
	merge(0, 10);
	is_unmerged(0);
	add_part(5, 5, "abc", 3);
	add_part(5, 5, "def", 3);
	merge(0, 10);
	ck_assert_mem_eq(part_at(0).value.data, "abcdef", 6);
	close_rig();
}
END_TEST

/* Who only joins needs neither init nor data, and has no task. */
START_TEST(init_is_for_tasks)
{
	open_rig("no_init.so", "noop", "join", false);
	add_part(1, 1, "a", 1);
	add_part(1, 1, "b", 1);
	merge(0, 2);
	ck_assert_mem_eq(part_at(0).value.data, "ab", 2);
	close_rig();
}
END_TEST

START_TEST(a_module_without_the_function)
{
	open_rig("reduce.so", "word", "nothing", false);
	add_part(1, 1, "a", 1);
	add_part(1, 1, "b", 1);
	merge(0, 2);
	is_unmerged(0);
	close_rig();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_merge");
	TCase *t = tcase_create("merge");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, joins_in_order);
	tcase_add_test(t, ordered_joins_what_belongs_together);
	tcase_add_test(t, what_does_not_go_together_stays_apart);
	tcase_add_test(t, a_crash_leaves_them_unmerged);
	tcase_add_test(t, what_is_no_reduction_is_not_merged);
	tcase_add_test(t, init_is_for_tasks);
	tcase_add_test(t, a_module_without_the_function);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

/* Results in slices: whole with the commit that names them, gone with their item, their job or another attempt. */
#include <stdlib.h>
#include <string.h>

#include "record/segment.h"
#include "tests/support/queue_driver.h"

#define A tq_id('a')
#define B tq_id('b')

static uint64_t job;

static struct ranq_split_place place_of(uint64_t task, char name, uint64_t size)
{
	struct ranq_split_place place = {.index = task, .split.size = size};

	memset(place.split.name, name, sizeof place.split.name);
	return place;
}

static enum ranq_err_code put(const struct ranq_split_place *place, uint64_t slice, const void *data, size_t len)
{
	char name[RANQ_SPLIT_NAME_LEN + 1];

	ranq_split_name(&place->split, name);
	ranq_queue_slice_put_cmd(&tq.q, &tq.cmd, job, place->index, name, slice, place->split.size, data, len);
	tq_call();
	return ranq_queue_slice_put_parse(tq.reply, &tq.err) ? tq.err.code : RANQ_ERR_OK;
}

static bool has(const struct ranq_split_place *place, uint64_t slice, const char *want)
{
	char name[RANQ_SPLIT_NAME_LEN + 1];
	struct ranq_bytes data;

	ranq_split_name(&place->split, name);
	ranq_queue_slice_get_cmd(&tq.q, &tq.cmd, job, name, slice);
	tq_call();
	return !ranq_queue_slice_get_parse(tq.reply, &data, &tq.err) && data.len == strlen(want) &&
	       !memcmp(data.data, want, data.len);
}

/* The item is "item"; the failure record, if there is one, that of its first task. */
static bool commit(const char *bridge, const struct ranq_range *r, uint64_t start, uint64_t end,
	const struct ranq_split_place *places, size_t n, bool failed)
{
	struct ranq_bytes record = {"\1\1record", 8};
	struct ranq_commit_item item = {.job = job,
		.at = r->start,
		.seq = r->seq,
		.start = start,
		.end = end,
		.counts = {end - start - failed, failed},
		.item = {"item", 4},
		.nfailures = failed,
		.failure_index = &start,
		.failures = &record,
		.nsplits = n,
		.splits = places};
	struct ranq_commit_reply out;

	ranq_queue_commit_begin(&tq.q, &tq.cmd, bridge);
	ck_assert_int_eq(ranq_queue_commit_add(&tq.cmd, &item), 0);
	tq_call();
	ck_assert_msg(!ranq_queue_commit_parse(tq.reply, &out, &tq.err), "%s", tq.err.text);
	return out.accepted[0];
}

START_TEST(a_value_counts_with_its_commit)
{
	struct ranq_split_place one = place_of(1, '1', 3), two = place_of(2, '2', 5);
	struct ranq_range r;
	char name[RANQ_SPLIT_NAME_LEN + 1];

	job = tq_begin_pair(10);
	r = tq_lease1(A, 10);
	ck_assert_int_eq(put(&one, 0, "abc", 3), RANQ_ERR_OK);
	ck_assert_int_eq(put(&one, 0, "abc", 3), RANQ_ERR_OK);
	ck_assert_int_eq(put(&two, 0, "defgh", 5), RANQ_ERR_OK);
	ranq_split_name(&one.split, name);
	ck_assert_int_gt(tq_command("TTL %sj:%llu:v:%s", tq.q.base, (unsigned long long)job, name), 3000);
	ck_assert_uint_eq(tq_info(job).result_bytes, 0);
	ck_assert(commit(A, &r, 0, 3, (struct ranq_split_place[]){one, two}, 2, true));
	ck_assert_int_eq(tq_command("TTL %sj:%llu:v:%s", tq.q.base, (unsigned long long)job, name), -1);
	ck_assert_uint_eq(tq_info(job).result_bytes, 4 + 3 + 5);
	ck_assert_uint_eq(tq_info(job).counts[1], 1);
	ck_assert(has(&one, 0, "abc") && has(&two, 0, "defgh") && !has(&two, 1, ""));
	ck_assert_uint_eq(tq_fetch(job, false, 0, "")->n, 1);
	tq_end_pair(job);
}
END_TEST

/* The server lost the last slices in a roll-back; or nobody ever sent them. */
START_TEST(a_value_that_is_not_whole_runs_again)
{
	struct ranq_split_place one = place_of(4, '1', RANQ_SLICE_BYTES + 1);
	struct ranq_range r, again;
	char *slice = calloc(1, RANQ_SLICE_BYTES);

	job = tq_begin_pair(5);
	r = tq_lease1(A, 5);
	ck_assert_int_eq(put(&one, 1, "x", 1), RANQ_ERR_OK);
	ck_assert(!commit(A, &r, 3, 5, &one, 1, false));
	ck_assert_uint_eq(tq_audit(job).returned, 2);
	again = tq_lease1(B, 1);
	ck_assert(again.suspect && again.start == 3);
	ck_assert_int_eq(put(&one, 0, slice, RANQ_SLICE_BYTES), RANQ_ERR_OK);
	free(slice);
	ck_assert(!commit(A, &r, 3, 5, &one, 1, false)); /* fenced */
	again = tq_lease1(B, 1);
	ck_assert_uint_eq(again.start, 4);
	ck_assert(commit(B, &again, 4, 5, &one, 1, false));
	ck_assert(has(&one, 1, "x"));
	tq_end_pair(job);
}
END_TEST

START_TEST(what_the_loser_left_goes)
{
	struct ranq_split_place half = place_of(0, '1', RANQ_SLICE_BYTES + 1), other = place_of(1, '2', 3),
				won = place_of(0, '3', 4), late = place_of(0, '4', 5);
	struct ranq_range a, b;

	job = tq_begin_pair(2);
	a = tq_lease1(A, 2);
	ck_assert_int_eq(put(&half, 1, "x", 1), RANQ_ERR_OK);
	ck_assert_int_eq(put(&other, 0, "abc", 3), RANQ_ERR_OK);
	tq_release(A, &a, 0, 0, 1, RANQ_RELEASE_DRAINED);
	b = tq_lease1(B, 1);
	ck_assert_int_eq(put(&won, 0, "defg", 4), RANQ_ERR_OK);
	ck_assert(commit(B, &b, 0, 1, &won, 1, false));
	ck_assert(!has(&half, 1, "x") && has(&other, 0, "abc") && has(&won, 0, "defg"));
	ck_assert(!commit(B, &b, 0, 1, &won, 1, false)); /* the same again */
	ck_assert(has(&won, 0, "defg"));
	ck_assert_int_eq(put(&late, 0, "12345", 5), RANQ_ERR_OK); /* of A, which does not know yet */
	tq_cancel(job);
	ck_assert_int_eq(put(&other, 0, "abc", 3), RANQ_ERR_STATE);
	tq_end_pair(job); /* with the job goes all of it */
}
END_TEST

START_TEST(acknowledged_values_are_freed)
{
	struct ranq_split_place one = place_of(1, '1', 3), two = place_of(2, '2', 5), again = place_of(1, '3', 2);
	uint64_t epoch, acked;
	struct ranq_bytes stored;
	struct ranq_range r;
	bool more;

	job = tq_begin_pair(4);
	r = tq_lease1(A, 4);
	ck_assert_int_eq(put(&one, 0, "abc", 3), RANQ_ERR_OK);
	ck_assert_int_eq(put(&two, 0, "defgh", 5), RANQ_ERR_OK);
	ck_assert(commit(A, &r, 0, 2, &one, 1, false));
	r.start = 2;
	ck_assert(commit(A, &r, 2, 4, &two, 1, false));
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('c'));
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &stored, &tq.err), 0);
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, epoch, NULL, (const uint64_t[][2]){{0, 3}}, 1);
	tq_call();
	ck_assert_int_eq(ranq_queue_ack_parse(tq.reply, &more, &tq.err), 0);
	ck_assert(!has(&one, 0, "abc") && has(&two, 0, "defgh"));
	ck_assert_uint_eq(tq_info(job).result_bytes, 4 + 5);
	tq_remove(job);
	/* a task that runs again although its result is acknowledged: nobody will read it */
	job = TQ_JOB(.tasks = 4);
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('c'));
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &stored, &tq.err), 0);
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, epoch, NULL, (const uint64_t[][2]){{0, 2}}, 1);
	tq_call();
	r = tq_lease1(A, 4);
	ck_assert_int_eq(put(&again, 0, "xy", 2), RANQ_ERR_OK);
	ck_assert(commit(A, &r, 0, 2, &again, 1, false));
	ck_assert(!has(&again, 0, "xy"));
	ck_assert_uint_eq(tq_info(job).result_bytes, 0);
	tq_end_pair(job);
}
END_TEST

/* A later round's value replaces the first one's. */
START_TEST(retried_tasks_have_the_later_value)
{
	struct ranq_split_place first = place_of(0, '1', 3), second = place_of(0, '2', 4);
	struct ranq_range r;

	job = tq_begin_pair(1);
	r = tq_lease1(A, 1);
	ck_assert_int_eq(put(&first, 0, "abc", 3), RANQ_ERR_OK);
	ck_assert(commit(A, &r, 0, 1, &first, 1, true));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
	ck_assert(has(&first, 0, "abc"));
	ck_assert_uint_eq(tq_retry(job, true), 1);
	r = tq_lease1(A, 1);
	ck_assert_int_eq(put(&second, 0, "defg", 4), RANQ_ERR_OK);
	ck_assert(commit(A, &r, 0, 1, &second, 1, false));
	ck_assert(!has(&first, 0, "abc") && has(&second, 0, "defg"));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
	tq_end_pair(job);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_value_counts_with_its_commit, a_value_that_is_not_whole_runs_again,
		what_the_loser_left_goes, acknowledged_values_are_freed, retried_tasks_have_the_later_value};

	return test_queue_main("protocol slices", tests, sizeof tests / sizeof *tests);
}

/* Large items past the functions: taken by the commit that names them or dropped by it, read by name, gone with their job. */
#include <stdio.h>
#include <string.h>

#include "tests/support/queue_driver.h"

#define A tq_id('a')
#define B tq_id('b')

static uint64_t job;

static void put(const char *bridge, uint64_t number, const char *bytes)
{
	ranq_queue_apart_put_cmd(&tq.q, &tq.cmd, bridge, number, (struct ranq_bytes){bytes, strlen(bytes)});
	tq_call();
}

static bool is_there(const char *bridge, uint64_t number)
{
	return tq_command("EXISTS %sup:%s:%llu", tq.q.base, bridge, (unsigned long long)number);
}

/* What stands in the queue for the item that begins there, "" when nothing does; until the next call. */
static const char *got(uint64_t start)
{
	static char text[64];
	struct ranq_bytes item = {"", 0};
	bool there;

	ranq_queue_apart_get_cmd(&tq.q, &tq.cmd, job, start);
	tq_call();
	ck_assert_msg(!ranq_queue_apart_get_parse(tq.reply, &there, &item, &tq.err), "%s", tq.err.text);
	ck_assert(there || !item.len);
	snprintf(text, sizeof text, "%.*s", (int)item.len, (const char *)item.data);
	return text;
}

static int add(const struct ranq_range *r, uint64_t start, uint64_t end, uint64_t number, bool failed)
{
	struct ranq_bytes record = {"\1\1record", 8};
	struct ranq_commit_item item = {.job = job,
		.at = r->start,
		.seq = r->seq,
		.start = start,
		.end = end,
		.counts = {end - start - failed, failed},
		.item = {"not these", 9},
		.nfailures = failed,
		.failure_index = &start,
		.failures = &record,
		.apart = number};

	return ranq_queue_commit_add(&tq.cmd, &item);
}

/* Of an item whose bytes went ahead under the number. */
static enum ranq_err_code commit_opt(
	const char *bridge, const struct ranq_range *r, uint64_t start, uint64_t end, uint64_t number, bool failed, bool *taken)
{
	static struct ranq_commit_reply out;

	ranq_queue_commit_begin(&tq.q, &tq.cmd, bridge);
	ck_assert_int_eq(add(r, start, end, number, failed), 0);
	tq_call();
	if (ranq_queue_commit_parse(tq.reply, &out, &tq.err))
		return tq.err.code;
	*taken = out.accepted[0];
	return RANQ_ERR_OK;
}

static bool commit(const char *bridge, const struct ranq_range *r, uint64_t start, uint64_t end, uint64_t number)
{
	bool taken = false;

	ck_assert_msg(commit_opt(bridge, r, start, end, number, false, &taken) == RANQ_ERR_OK, "%s", tq.err.text);
	return taken;
}

START_TEST(a_commit_takes_what_went_ahead)
{
	const struct ranq_fetch_reply *f;
	struct ranq_range r;

	job = tq_begin_pair(10);
	r = tq_lease1(A, 10);
	put(A, 7, "0123456789");
	ck_assert_int_gt(tq_command("PTTL %sup:%s:7", tq.q.base, A), 30000);
	ck_assert(commit(A, &r, 2, 5, 7));
	ck_assert(!is_there(A, 7));
	ck_assert_int_eq(tq_command("PTTL %sj:%llu:rx:2", tq.q.base, (unsigned long long)job), -1);
	ck_assert_uint_eq(tq_info(job).result_bytes, 10);
	ck_assert_uint_eq(tq_command("HGET %sq rbytes", tq.q.base), 10);
	ck_assert(tq_commit(A, &r, 0, 0, 2));
	f = tq_fetch(job, false, 0, "");
	ck_assert_uint_eq(f->n, 2);
	ck_assert(!f->items[0].apart && !f->items[0].freed && f->items[0].item.len == 3);
	ck_assert(f->items[1].apart && !f->items[1].freed && f->items[1].start == 2 && f->items[1].end == 5);
	ck_assert(tq_fetch(job, true, 0, "")->items[0].apart);
	ck_assert_str_eq(got(2), "0123456789");
	ck_assert_str_eq(got(0), "");
	tq_end_pair(job);
}
END_TEST

/* The server had no memory for it, or it has expired: nothing is counted, and with it sent again all is well. */
START_TEST(a_commit_that_finds_nothing_changes_nothing)
{
	struct ranq_range r;
	bool taken;

	job = tq_begin_pair(6);
	r = tq_lease1(A, 6);
	put(A, 1, "one");
	ranq_queue_commit_begin(&tq.q, &tq.cmd, A);
	ck_assert_int_eq(add(&r, 0, 2, 1, false), 0);
	r.start = 2;
	ck_assert_int_eq(add(&r, 2, 4, 2, false), 0);
	ck_assert_int_eq(tq_code(), RANQ_ERR_SERVER);
	r.start = 0;
	ck_assert_uint_eq(tq_audit(job).leased, 6);
	ck_assert_uint_eq(tq_info(job).result_bytes, 0);
	ck_assert(is_there(A, 1));
	ck_assert_int_eq(commit_opt(B, &r, 0, 2, 1, false, &taken), RANQ_ERR_SERVER); /* what is A's is not B's */
	tq_command("RPUSH %sup:%s:2 x", tq.q.base, A);
	ck_assert_int_eq(commit_opt(A, &r, 0, 2, 2, false, &taken), RANQ_ERR_SERVER);
	tq_command("DEL %sup:%s:2", tq.q.base, A);
	ck_assert(commit(A, &r, 0, 2, 1));
	ck_assert_str_eq(got(0), "one");
	r.start = 2;
	ck_assert(tq_commit(A, &r, 2, 2, 4)); /* together with the commit */
	ck_assert_uint_eq(tq_fetch(job, false, 0, "")->n, 2);
	tq_end_pair(job);
}
END_TEST

START_TEST(what_is_not_counted_is_dropped)
{
	struct ranq_range r, again;

	job = tq_begin_pair(6);
	r = tq_lease1(A, 6);
	put(A, 1, "first");
	ck_assert(commit(A, &r, 0, 1, 1));
	put(A, 1, "other"); /* the same again, whatever it carries */
	ck_assert(!commit(A, &r, 0, 1, 1));
	ck_assert(!is_there(A, 1));
	ck_assert_str_eq(got(0), "first");
	r.start = 1;
	tq_release(A, &r, 1, 1, 2, RANQ_RELEASE_DRAINED);
	again = tq_lease1(B, 1);
	put(A, 2, "late");
	ck_assert(!commit(A, &r, 1, 2, 2)); /* fenced */
	ck_assert(!is_there(A, 2));
	put(B, 2, "won");
	ck_assert(commit(B, &again, 1, 2, 2));
	ck_assert_str_eq(got(1), "won");
	r.start = 2;
	tq_cancel(job);
	put(A, 3, "over");
	ck_assert(!commit(A, &r, 2, 3, 3));
	tq_remove(job);
	put(A, 4, "gone");
	ck_assert(!commit(A, &r, 3, 4, 4));
	ck_assert(!is_there(A, 3) && !is_there(A, 4));
	job = TQ_JOB(.tasks = 1, .results = RANQ_RESULTS_COUNT);
	r = tq_lease1(A, 1);
	put(A, 5, "not kept");
	ck_assert(commit(A, &r, 0, 1, 5));
	tq_end_pair(job);
}
END_TEST

START_TEST(forged_numbers_are_refused)
{
	static const char *const numbers[] = {"0:0", "0:0:", "0:0:x", "0:0:1:2", "0:0:9007199254740992", "0:1001:1", ":0:1", "-1:0:1", "0:1:1"};
	struct ranq_range r;
	char start[32];

	job = tq_begin_pair(4);
	r = tq_lease1(A, 4);
	put(A, 1, "bytes");
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		ranq_queue_commit_begin(&tq.q, &tq.cmd, A);
		snprintf(start, sizeof start, "%llu", (unsigned long long)job);
		ranq_cmd_str(&tq.cmd, start);
		ranq_cmd_str(&tq.cmd, "0");
		ranq_cmd_int(&tq.cmd, (int64_t)r.seq);
		ranq_cmd_str(&tq.cmd, "0");
		ranq_cmd_str(&tq.cmd, "1");
		for (int k = 0; k < 3; k++)
			ranq_cmd_str(&tq.cmd, k == 1 ? "5" : "");
		ranq_cmd_str(&tq.cmd, numbers[i]);
		ck_assert_msg(tq_code() == RANQ_ERR_INPUT, "'%s': %s", numbers[i], tq.err.text);
	}
	ranq_queue_commit_begin(&tq.q, &tq.cmd, A); /* one for two */
	ck_assert_int_eq(add(&r, 0, 1, 1, false), 0);
	ck_assert_int_eq(add(&r, 1, 2, 1, false), 0);
	ck_assert_int_eq(tq_code(), RANQ_ERR_INPUT);
	ck_assert_uint_eq(tq_audit(job).leased, 4);
	ck_assert(commit(A, &r, 0, 4, 1));
	tq_end_pair(job);
}
END_TEST

static void acknowledge(uint64_t epoch, uint64_t from, uint64_t to)
{
	bool more = true;

	while (more) {
		ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, epoch, NULL, (const uint64_t[][2]){{from, to}}, 1);
		tq_call();
		ck_assert_int_eq(ranq_queue_ack_parse(tq.reply, &more, &tq.err), 0);
	}
}

static uint64_t attach(void)
{
	struct ranq_bytes stored;
	uint64_t epoch, acked;

	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('c'));
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &stored, &tq.err), 0);
	return epoch;
}

START_TEST(acknowledged_ones_are_freed)
{
	struct ranq_range r;

	job = tq_begin_pair(6);
	r = tq_lease1(A, 6);
	acknowledge(attach(), 0, 1);
	put(A, 1, "acknowledged");
	ck_assert(commit(A, &r, 0, 1, 1)); /* ran again after a roll-back */
	ck_assert(!is_there(A, 1));
	ck_assert_str_eq(got(0), "");
	r.start = 1;
	put(A, 2, "two");
	put(A, 3, "three");
	ck_assert(commit(A, &r, 1, 3, 2));
	r.start = 3;
	ck_assert(commit(A, &r, 3, 4, 3));
	acknowledge(attach(), 0, 3);
	ck_assert_str_eq(got(1), "");
	ck_assert_str_eq(got(3), "three");
	ck_assert_uint_eq(tq_info(job).result_bytes, 5);
	ck_assert_uint_eq(tq_info(job).freed, 3);
	tq_end_pair(job);
}
END_TEST

/* Results of later rounds are few, and are told with their ranges: those pass through the function. */
START_TEST(a_later_round_has_its_bytes_in_place)
{
	struct ranq_bytes item;
	uint64_t start, stop;
	struct ranq_range r;
	bool taken;

	job = tq_begin_pair(3);
	r = tq_lease1(A, 3);
	put(A, 1, "whole");
	ck_assert_int_eq(commit_opt(A, &r, 0, 3, 1, true, &taken), RANQ_ERR_OK);
	ck_assert_uint_eq(tq_retry(job, true), 1);
	r = tq_lease1(A, 1);
	put(A, 2, "better");
	ck_assert(commit(A, &r, 0, 1, 2));
	ck_assert(!is_there(A, 2));
	ck_assert_str_eq(got(0), "whole");
	ck_assert_uint_eq(tq_info(job).result_bytes, 11);
	ranq_queue_overlay_cmd(&tq.q, &tq.cmd, job, 0, 3);
	tq_call();
	ck_assert_int_eq(ranq_queue_overlay_parse(tq.reply, 0, &start, &stop, &item, &tq.err), 0);
	ck_assert(start == 0 && stop == 1 && item.len == 6 && !memcmp(item.data, "better", 6));
	tq_end_pair(job);
}
END_TEST

/* More than one call can remove, of a job in the middle and of a whole queue. */
START_TEST(many_go_with_their_job)
{
	static struct ranq_commit_reply out;
	struct ranq_range r;

	for (int whole_queue = 0; whole_queue < 2; whole_queue++) {
		job = tq_begin_pair(1500);
		r = tq_lease1(A, 1500);
		for (uint64_t from = 0; from < 1500; from += 750) {
			for (uint64_t i = from; i < from + 750; i++)
				put(A, i + 1, "x");
			ranq_queue_commit_begin(&tq.q, &tq.cmd, A);
			for (uint64_t i = from; i < from + 750; i++) {
				r.start = i;
				ck_assert_int_eq(add(&r, i, i + 1, i + 1, false), 0);
			}
			tq_call();
			ck_assert_int_eq(ranq_queue_commit_parse(tq.reply, &out, &tq.err), 0);
			ck_assert(out.accepted[0] && out.accepted[749]);
		}
		ck_assert_uint_eq(tq_info(job).result_bytes, 1500);
		if (whole_queue) {
			ranq_queue_destroy_cmd(&tq.q, &tq.cmd);
			tq_control();
			tq_command("DEL %sbell:%s", tq.q.base, A);
			tq_command("DEL %sbell:%s", tq.q.base, B);
			ck_assert_int_eq(tq_command("DBSIZE"), 0);
		} else {
			tq_end_pair(job);
		}
	}
}
END_TEST

/* Somebody deleted one: whoever reads it hears so, and the audit finds it. */
START_TEST(a_deleted_one_is_damage)
{
	struct ranq_range r;

	job = tq_begin_pair(1);
	r = tq_lease1(A, 1);
	put(A, 1, "bytes");
	ck_assert(commit(A, &r, 0, 1, 1));
	tq_command("DEL %sj:%llu:rx:0", tq.q.base, (unsigned long long)job);
	ck_assert(!tq_fetch(job, false, 0, "")->items[0].apart);
	ck_assert(tq_info(job).damaged);
	tq_command("ZREM %sj:%llu:rx 0", tq.q.base, (unsigned long long)job);
	tq_end_pair(job);
}
END_TEST

START_TEST(a_full_server_takes_it_with_the_commit)
{
	struct ranq_range r;
	bool taken;

	job = tq_begin_pair(2);
	r = tq_lease1(A, 2);
	tq_command("CONFIG SET maxmemory 1");
	put(A, 1, "bytes");
	ck_assert_int_eq(ranq_reply_type(tq.reply), RANQ_REPLY_ERROR);
	ck_assert_int_eq(commit_opt(A, &r, 0, 1, 1, false, &taken), RANQ_ERR_SERVER);
	ck_assert(tq_commit(A, &r, 0, 0, 1));
	tq_command("CONFIG SET maxmemory 0");
	tq_end_pair(job);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_commit_takes_what_went_ahead, a_commit_that_finds_nothing_changes_nothing,
		what_is_not_counted_is_dropped, forged_numbers_are_refused, acknowledged_ones_are_freed,
		a_later_round_has_its_bytes_in_place, many_go_with_their_job, a_deleted_one_is_damage,
		a_full_server_takes_it_with_the_commit};

	return test_queue_main("protocol apart", tests, sizeof tests / sizeof *tests);
}

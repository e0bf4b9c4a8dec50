/* The server and a bridge that lost its connection say the same again: resync, whole and in pages. */
#include <stdlib.h>
#include <string.h>

#include "queue/held.h"
#include "tests/support/queue_driver.h"

#define A tq_id('a')

START_TEST(ranges_whose_lease_reply_was_lost_come_back_by_resync)
{
	uint64_t job = TQ_JOB(.tasks = 30);
	struct ranq_fragment held;
	struct ranq_range known, lost;
	size_t gone[RANQ_CALL_ITEMS_MAX];

	tq_join(A, 1);
	known = tq_lease1(A, 10);
	lost = tq_lease1(A, 10);
	held = (struct ranq_fragment){.job = job, .start = 0, .end = 10, .seq = known.seq};
	ck_assert_uint_eq(tq_resync(A, &held, 1, gone), 0);
	ck_assert_uint_eq(tq_audit(job).leased, 10);
	ck_assert_uint_eq(tq_audit(job).returned, 10);
	ck_assert(!tq_commit(A, &lost, 10, 10, 20));
	ck_assert_uint_eq(tq_lease1(A, 10).start, 10);
}
END_TEST

START_TEST(resync_leaves_what_is_listed_cut_as_listed)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r;
	size_t gone[RANQ_CALL_ITEMS_MAX];
	struct ranq_fragment list[6];

	tq_join(A, 1);
	r = tq_lease1(A, 100);
	ck_assert(tq_commit(A, &r, 0, 0, 10));
	list[0] = (struct ranq_fragment){.job = job, .start = 0, .end = 10, .seq = r.seq};  /* counted, reply lost */
	list[1] = (struct ranq_fragment){.job = job, .start = 10, .end = 30, .seq = r.seq}; /* under way */
	list[2] = (struct ranq_fragment){
		.job = job, .start = 50, .end = 100, .seq = r.seq}; /* held; 30 to 50 never came */
	list[3] = (struct ranq_fragment){.job = job, .start = 60, .end = 70, .seq = r.seq}; /* overlaps: nonsense */
	list[4] = (struct ranq_fragment){.job = job, .start = 30, .end = 40, .seq = r.seq + 1};
	list[5] = (struct ranq_fragment){.job = 77, .start = 0, .end = 1, .seq = r.seq};
	ck_assert_uint_eq(tq_resync(A, list, 6, gone), 4);
	ck_assert_uint_eq(tq_audit(job).leased, 70);
	ck_assert_uint_eq(tq_audit(job).leased_ranges, 2);
	ck_assert_uint_eq(tq_audit(job).returned, 20);
	ck_assert(tq_commit(A, &r, 10, 10, 30));
	ck_assert(tq_commit(A, &r, 50, 60, 100));
	ck_assert(tq_commit(A, &r, 50, 50, 60));
	ck_assert_uint_eq(tq_audit(job).done, 80);
}
END_TEST

/* What the bridge has there, in no order: each of its fragments counts once. */
static uint64_t fragments_of(const char *bridge)
{
	uint64_t sum = 0;

	tq_command("HGETALL ranq:{%s}:b:%s", tq.q.name, bridge);
	for (size_t i = 0; i + 1 < ranq_reply_count(tq.reply); i += 2) {
		struct ranq_bytes text[] = {
			ranq_reply_bytes(ranq_reply_at(tq.reply, i)), ranq_reply_bytes(ranq_reply_at(tq.reply, i + 1))};
		uint64_t hash = 14695981039346656037u;

		for (size_t k = 0; k < 2; k++)
			for (const char *c = text[k].data, *end = c + text[k].len; c < end; c++)
				hash = (hash ^ (unsigned char)*c) * 1099511628211u;
		sum += hash;
	}
	return sum;
}

/* A bridge with some grants of two jobs, and a list that cuts them anyhow, leaves some out and has some of its own, as
 * after a roll-back of the server. Returns the number of its parts. */
static size_t grants_and_list(struct ranq_fragment *list, unsigned *seed)
{
	size_t n = 0;

	TQ_JOB(.tasks = 100);
	TQ_JOB(.tasks = 100);
	tq_join(A, 1);
	for (;;) {
		struct ranq_lease_reply lease = tq_lease_opt(A, 1 + (uint64_t)rand_r(seed) % 30, 1, 0, -1, NULL);
		struct ranq_range r = lease.ranges[0];
		uint64_t e;

		if (lease.n == 0 || rand_r(seed) % 20 == 0)
			break;
		for (uint64_t s = r.start; s < r.end; s = e) {
			e = s + 1 + (uint64_t)rand_r(seed) % 12;
			if (rand_r(seed) % 10 > 0 && e > r.end)
				e = r.end; /* else it reaches beyond what was granted */
			if (rand_r(seed) % 4 > 0)
				list[n++] = (struct ranq_fragment){
					.job = r.job, .start = s, .end = e, .seq = r.seq + (rand_r(seed) % 10 == 0)};
		}
	}
	ranq_held_sort(list, n);
	return n;
}

struct outcome {
	uint64_t fragments;
	struct ranq_audit audit[2];
	bool gone[200];
};

static void resync_in_pages(unsigned seed, size_t max, struct outcome *out)
{
	struct ranq_fragment list[200];
	size_t gone[RANQ_CALL_ITEMS_MAX], n, pages = 0;
	struct ranq_resync_page page = {0};

	memset(out, 0, sizeof *out);
	tq_command("FLUSHALL");
	tq_attach(0);
	tq.seq = 0;
	n = grants_and_list(list, &seed);
	for (; ranq_held_page(list, n, max, &page); pages++)
		for (size_t i = 0, ngone = tq_resync_page(A, list, &page, gone); i < ngone; i++)
			out->gone[page.first + gone[i]] = true;
	ck_assert_uint_ge(pages, n / max);
	out->fragments = fragments_of(A);
	out->audit[0] = tq_audit(1);
	out->audit[1] = tq_audit(2);
	ck_assert_uint_eq(out->audit[0].overlaps + out->audit[1].overlaps, 0);
}

/* Some pages say what one call says, wherever their borders fall. */
START_TEST(a_resync_in_pages_is_a_resync)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		static struct outcome whole, paged;

		resync_in_pages(seed, RANQ_CALL_ITEMS_MAX, &whole);
		for (size_t max = 1; max <= 3; max += 2) {
			resync_in_pages(seed, max, &paged);
			ck_assert_msg(memcmp(&whole, &paged, sizeof whole) == 0, "seed %u, pages of %zu", seed, max);
		}
	}
}
END_TEST

/* Of a fragment that two pages share the second page never comes: what it would have named is still the bridge's. */
START_TEST(half_a_resync)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r;
	struct ranq_resync_page page = {0};
	size_t gone[RANQ_CALL_ITEMS_MAX];
	struct ranq_fragment list[2];

	tq_join(A, 1);
	r = tq_lease1(A, 100);
	list[0] = (struct ranq_fragment){.job = job, .start = 0, .end = 20, .seq = r.seq};
	list[1] = (struct ranq_fragment){.job = job, .start = 30, .end = 90, .seq = r.seq};
	ck_assert(ranq_held_page(list, 2, 1, &page));
	ck_assert_uint_eq(tq_resync_page(A, list, &page, gone), 0);
	ck_assert_uint_eq(tq_audit(job).leased, 90);
	ck_assert_uint_eq(tq_audit(job).returned, 10);
	ck_assert(tq_commit(A, &r, 30, 30, 40));
	ck_assert_uint_eq(tq_resync(A, list, 2, gone), 1);
	ck_assert_uint_eq(gone[0], 1);
	ck_assert_uint_eq(tq_audit(job).leased, 20);
}
END_TEST

/* A resync of a bridge that holds more than one page of fragments: none stays that is not listed, none that is listed
 * goes. */
START_TEST(a_large_bridge_resyncs)
{
	enum { TASKS = 8000, LISTED = 900 };
	uint64_t job = TQ_JOB(.tasks = TASKS, .results = RANQ_RESULTS_NONE);
	static struct ranq_fragment list[TASKS / 2];
	struct ranq_resync_page page = {0};
	size_t gone[RANQ_CALL_ITEMS_MAX];
	struct ranq_range r;

	tq_join(A, 4000);
	r = tq_lease1(A, TASKS);
	for (uint64_t i = 1; i < TASKS; i += 2)
		ck_assert(tq_commit(A, &r, i - 1, i, i + 1));
	ck_assert_uint_eq(tq_audit(job).leased_ranges, TASKS / 2);
	for (uint64_t i = 0; i < TASKS / 2; i++)
		list[i] = (struct ranq_fragment){.job = job, .start = 2 * i, .end = 2 * i + 1, .seq = r.seq};
	while (ranq_held_page(list, TASKS / 2, RANQ_CALL_ITEMS_MAX, &page))
		ck_assert_uint_eq(tq_resync_page(A, list, &page, gone), 0);
	ck_assert_uint_eq(page.first, 3 * RANQ_CALL_ITEMS_MAX);
	ck_assert_uint_eq(tq_audit(job).leased, TASKS / 2);
	for (uint64_t i = 0; i < LISTED; i++) /* in no order */
		list[i * 7 % LISTED] =
			(struct ranq_fragment){.job = job, .start = 8 * i, .end = 8 * i + 1, .seq = r.seq};
	ck_assert_uint_eq(tq_resync(A, list, LISTED, gone), 0);
	ck_assert_uint_eq(tq_audit(job).leased, LISTED);
	ck_assert_uint_eq(tq_audit(job).returned, TASKS / 2 - LISTED);
	ck_assert_uint_eq(tq_resync(A, NULL, 0, gone), 0);
	ck_assert_uint_eq(tq_audit(job).leased, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {ranges_whose_lease_reply_was_lost_come_back_by_resync,
		resync_leaves_what_is_listed_cut_as_listed, a_resync_in_pages_is_a_resync, half_a_resync,
		a_large_bridge_resyncs};

	return test_queue_main("resync", tests, sizeof tests / sizeof *tests);
}

/* Housekeeping, idle bridges, and what large bridges and long lists need. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/queue_driver.h"

#define A tq_id('a')
#define B tq_id('b')
#define C tq_id('c')

static uint64_t commands_processed(void)
{
	struct ranq_bytes b;
	char *text;
	const char *at;
	uint64_t value;

	ranq_cmd_reset(&tq.cmd);
	ranq_cmd_str(&tq.cmd, "INFO");
	ranq_cmd_str(&tq.cmd, "stats");
	tq_call();
	b = ranq_reply_bytes(tq.reply);
	text = strndup(b.data, b.len);
	ck_assert_ptr_nonnull(text);
	at = strstr(text, "total_commands_processed:");
	ck_assert_ptr_nonnull(at);
	value = strtoull(strchr(at, ':') + 1, NULL, 10);
	free(text);
	return value;
}

/* Fewer than two commands a second, the server's own count of those inside of functions included. */
START_TEST(an_idle_bridge_costs_little)
{
	enum { CALLS = 40, SECONDS = CALLS * 3 };
	uint64_t before;

	tq_join(A, 1);
	ck_assert(tq_lease(A, 1).idle);
	before = commands_processed();
	for (int i = 0; i < CALLS; i++) {
		tq_command("HINCRBY %sq last -3000", tq.q.base);
		ck_assert(tq_lease(A, 1).idle);
	}
	/* less our own, more a BLPOP every ten seconds */
	before = commands_processed() - before - CALLS - 1 + SECONDS / 10;
	ck_assert_uint_lt(before, 2 * SECONDS + CALLS * tq.q.legacy);
	ck_assert_uint_eq(tq_stat().bridges, 1);
	ck_assert_uint_eq(tq_stat().idle, 1);
}
END_TEST

START_TEST(an_idle_bridge_outlives_and_finds_a_dead_one)
{
	uint64_t job = TQ_JOB(.tasks = 4);
	struct ranq_lease_reply r;
	int calls = 0;

	tq_join(A, 1);
	tq_join(B, 1);
	tq_lease1(A, 4);
	for (int i = 0; i < 4; i++) { /* twelve seconds: nobody's lease is over */
		tq_command("HINCRBY %sq last -3000", tq.q.base);
		ck_assert(tq_lease(B, 4).idle);
	}
	ck_assert_uint_eq(tq_stat().bridges, 2);
	do {
		tq_command("HINCRBY %sq last -3000", tq.q.base);
		r = tq_lease(B, 4);
	} while (!r.n && ++calls < 5);
	ck_assert_int_le(calls, 2);
	ck_assert_uint_eq(r.ranges[0].expiries, 1);
	ck_assert_uint_eq(tq_audit(job).leased, 4);
	ck_assert_uint_eq(tq_stat().idle, 0);
	ck_assert_uint_eq(tq_stat().bridges, 1);
}
END_TEST

/* A bell must not be lost with who cannot use it. */
START_TEST(work_that_not_everybody_may_run_rings_all)
{
	tq_join(A, 1);
	tq_join(B, 1);
	tq_join(C, 1);
	ck_assert(tq_lease(A, 1).idle);
	ck_assert(tq_lease(B, 1).idle);
	ck_assert(tq_lease(C, 1).idle);
	ck_assert(TQ_JOB(.tasks = 1, .require = "gpu"));
	ck_assert_uint_eq(tq_stat().idle, 0);
	ck_assert_int_eq(tq_bell(A)[0], 'w');
	ck_assert_int_eq(tq_bell(B)[0], 'w');
	ck_assert_int_eq(tq_bell(C)[0], 'w');
}
END_TEST

START_TEST(a_bridge_that_died_with_a_bell_is_replaced)
{
	tq_join(A, 1);
	ck_assert(tq_lease(A, 1).idle);
	ck_assert(TQ_JOB(.tasks = 1)); /* rings A, which is dead */
	tq_join(B, 1);
	for (int i = 0; i < 2; i++) {
		tq_pass(3000);
		tq_beat(B);
	}
	tq_command("SADD %sidle %s", tq.q.base, B); /* it looked before the job came */
	for (int i = 0; i < 6; i++) {
		tq_pass(3000);
		tq_beat(B);
	}
	ck_assert_uint_eq(tq_stat().bridges, 1);
	ck_assert_int_eq(tq_bell(B)[0], 'w');
}
END_TEST

/* Jobs in front that this bridge may not run do not hide those behind them. */
START_TEST(jobs_for_others_hide_nothing)
{
	struct ranq_lease_reply r;
	uint64_t mine, urgent;
	int calls = 0;

	for (int i = 0; i < 1200; i++)
		ck_assert(TQ_JOB(.tasks = 1, .require = "gpu"));
	mine = TQ_JOB(.tasks = 2);
	tq_join(A, 1);
	while (!(r = tq_lease(A, 1)).n && ++calls < 5)
		ck_assert(!r.idle); /* there is more to look at */
	ck_assert_uint_eq(r.n, 1);
	ck_assert_uint_eq(r.ranges[0].job, mine);
	ck_assert_int_eq(calls, 2);
	/* from the front again: what is more urgent comes first */
	urgent = TQ_JOB(.tasks = 1, .priority = 5);
	ck_assert_uint_eq(tq_lease1(A, 1).job, urgent);
	for (calls = 0; !(r = tq_lease(A, 1)).n && calls < 5; calls++)
		;
	ck_assert_uint_eq(r.ranges[0].job, mine);
	for (calls = 0; !(r = tq_lease(A, 1)).idle && calls < 5; calls++)
		ck_assert_uint_eq(r.n, 0);
	ck_assert(r.idle);
}
END_TEST

START_TEST(a_full_server_can_be_joined)
{
	uint64_t job = TQ_JOB(.tasks = 2);
	struct ranq_range r;

	tq_join(A, 1);
	r = tq_lease1(A, 2);
	tq_release(A, &r, 0, 0, 2, RANQ_RELEASE_DRAINED);
	tq_leave(A);
	tq_command("CONFIG SET maxmemory 1");
	tq_join(B, 1);
	ck_assert_uint_eq(tq_lease_opt(B, 2, 1, RANQ_LEASE_RETURNED_ONLY, -1, NULL).n, 1);
	tq_command("CONFIG SET maxmemory 0");
	ck_assert_uint_eq(tq_audit(job).leased, 2);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {an_idle_bridge_costs_little, an_idle_bridge_outlives_and_finds_a_dead_one,
		work_that_not_everybody_may_run_rings_all, a_bridge_that_died_with_a_bell_is_replaced,
		jobs_for_others_hide_nothing, a_full_server_can_be_joined};

	return test_queue_main("protocol upkeep", tests, sizeof tests / sizeof *tests);
}

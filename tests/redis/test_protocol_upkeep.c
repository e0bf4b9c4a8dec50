/* Housekeeping, idle bridges, and what large bridges and long lists need. */
#include <stdlib.h>
#include <string.h>

#include "record/segment.h"
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
	/* less our own, more a BLPOP every ten seconds; a bridge calls up to a tenth more often */
	before = commands_processed() - before - CALLS - 1 + SECONDS / 10;
	ck_assert_uint_lt(before, 2 * SECONDS * 9 / 10);
	ck_assert_uint_eq(tq_stat().bridges, 1);
	ck_assert_uint_eq(tq_stat().idle, 1);
}
END_TEST

/* Work that stands there without a word, after a call that failed in its middle, is found a lease later. */
START_TEST(work_that_nobody_announced_is_found)
{
	int calls = 0;

	tq_join(A, 1);
	ck_assert(TQ_JOB(.tasks = 1));
	tq_command("HSET %sq work 0", tq.q.base);
	while (!tq_lease(A, 1).n && ++calls < 10)
		tq_pass(3000);
	ck_assert_int_le(calls, 6);
}
END_TEST

/* Bounds that somebody else wrote keep housekeeping from nothing. */
START_TEST(bounds_out_of_range_are_not_believed)
{
	int calls = 0;

	tq_join(A, 1);
	tq_join(B, 1);
	ck_assert(TQ_JOB(.tasks = 1, .ttl_ms = 1));
	tq_cancel(1);
	tq_command("HSET %sq due 9000000000000000 chores 9000000000000000", tq.q.base);
	while (tq_stat().bridges == 2 && ++calls < 10) {
		tq_pass(3000);
		tq_beat(B);
	}
	ck_assert_int_le(calls, 6);
	ck_assert_uint_eq(tq_stat().jobs, 0);
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

/* Looking at one that was seen lately must not make the next look wait for one that was seen just now. */
START_TEST(a_dead_bridge_beside_a_busy_one)
{
	int64_t seen;

	tq_join(A, 1);
	for (int i = 0; i < 2; i++) { /* the first look is over with its first word */
		tq_command("HINCRBY %sq last -2000", tq.q.base);
		tq_beat(A);
	}
	seen = tq_command("HINCRBY %sq vt 0", tq.q.base);
	tq_join(B, 1);
	do {
		tq_command("HINCRBY %sq last -1000", tq.q.base);
		tq_beat(B);
		ck_assert_int_le(tq_command("HINCRBY %sq vt 0", tq.q.base), seen + 15000 + 2 * 3000);
	} while (tq_stat().bridges == 2);
	ck_assert_int_gt(tq_command("HINCRBY %sq vt 0", tq.q.base), seen + 15000);
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

/* How many fragments a bridge may hold goes with its ranks. */
START_TEST(a_bridge_of_many_ranks_may_hold_more)
{
	enum { TASKS = 1400 };
	struct ranq_range a, b;

	ck_assert(TQ_JOB(.tasks = 4000, .results = RANQ_RESULTS_NONE));
	tq_join(A, 1);
	tq_join(B, 700);
	a = tq_lease1(A, TASKS);
	b = tq_lease1(B, TASKS);
	for (uint64_t i = 1; i < TASKS; i += 2) {
		ck_assert(tq_commit(A, &a, a.start + i - 1, a.start + i, a.start + i + 1));
		ck_assert(tq_commit(B, &b, b.start + i - 1, b.start + i, b.start + i + 1));
	}
	ck_assert_uint_eq(tq_lease(A, 1).n, 0);
	ck_assert_uint_eq(tq_lease(B, 1).n, 1);
}
END_TEST

static char zeros[2000];

static uint64_t held_by_the_limit(uint64_t first_ttl_ms)
{
	uint64_t full, held;
	struct ranq_range r;

	tq.q.result_limit = 1000;
	full = TQ_JOB(.tasks = 1, .ttl_ms = first_ttl_ms);
	held = TQ_JOB(.tasks = 4);
	ck_assert(full && held);
	tq_join(A, 1);
	tq_join(B, 1);
	r = tq_lease1(A, 1);
	ck_assert_uint_eq(r.job, full);
	ck_assert(tq_commit_bytes(A, &r, 0, 0, 1, zeros, sizeof zeros));
	ck_assert_uint_eq(tq_lease(A, 1).n, 0);
	ck_assert(tq_lease(B, 1).idle);
	return held;
}

/* Jobs that the limit of all results held go on when another job's results go with it. */
START_TEST(an_expired_job_makes_room_for_others)
{
	uint64_t job = held_by_the_limit(7000);

	tq_pass(9000);
	tq_pass(3000);
	ck_assert_int_eq(tq_bell(B)[0], 'w');
	ck_assert_uint_eq(tq_lease1(B, 1).job, job);
}
END_TEST

START_TEST(a_higher_limit_lets_jobs_go_on)
{
	uint64_t job = held_by_the_limit(0);

	tq.q.result_limit = 1000000;
	tq_join(C, 1);
	tq_pass(3000);
	ck_assert_uint_eq(tq_lease1(B, 1).job, job);
}
END_TEST

/* More held jobs than are looked at in one call: each has its turn, also when the first ones have to stay. */
START_TEST(every_held_job_has_its_turn)
{
	uint64_t full, last = 0;
	struct ranq_range r;

	tq.q.result_limit = 100000;
	for (int i = 0; i < 110; i++) { /* full by their own backlog */
		uint64_t job = TQ_JOB(.tasks = 2, .backlog = 1);

		tq_join(A, 1);
		r = tq_lease1(A, 1);
		ck_assert_uint_eq(r.job, job);
		ck_assert(tq_commit_bytes(A, &r, 0, 0, 1, zeros, 100));
		ck_assert_uint_eq(tq_lease(A, 1).n, 0);
	}
	full = TQ_JOB(.tasks = 1);
	r = tq_lease1(A, 1);
	ck_assert_uint_eq(r.job, full);
	for (int i = 0; i < 50; i++)
		tq_command("HINCRBY %sq rbytes 2000", tq.q.base);
	ck_assert(tq_commit_bytes(A, &r, 0, 0, 1, zeros, sizeof zeros));
	last = TQ_JOB(.tasks = 1);
	ck_assert_uint_eq(tq_lease(A, 1).n, 0);
	tq_command("HINCRBY %sq rbytes -100000", tq.q.base);
	for (int i = 0; i < 15; i++) {
		tq_pass(3000);
		tq_beat(A);
	}
	ck_assert_uint_eq(tq_lease1(A, 1).job, last);
}
END_TEST

static enum ranq_err_code ask_input(uint64_t job, uint64_t start)
{
	ranq_queue_input_cmd(&tq.q, &tq.cmd, job, start, start + 1, 1000);
	return tq_code();
}

static uint64_t streamed(void)
{
	uint64_t job = TQ_JOB(.open = true, .uuid = A);

	ranq_queue_append_cmd(&tq.q, &tq.cmd, job, A, 0, 2, &(struct ranq_bytes){"\2\1\1ab", 5}, &(uint64_t){2}, 1);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	tq_join(B, 1);
	tq_lease1(B, 2);
	return job;
}

/* What a bridge needs was deleted by hand: the job ends instead of being leased for ever. */
START_TEST(a_job_without_its_input_ends)
{
	uint64_t job = streamed();

	ck_assert_int_eq(ask_input(job, 0), RANQ_ERR_OK);
	ck_assert_int_eq(ask_input(job, 2), RANQ_ERR_NOTFOUND); /* asked too far: its fault */
	ck_assert_int_eq(ask_input(99, 0), RANQ_ERR_NOTFOUND);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_OPEN);
	tq_command("DEL %sj:%d:in", tq.q.base, (int)job);
	ck_assert_int_eq(ask_input(job, 0), RANQ_ERR_INPUT);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
	ck_assert_str_eq(tq_info(job).reason, "damaged: its input was deleted");
	ck_assert_int_eq(ask_input(job, 0), RANQ_ERR_NOTFOUND);
	ck_assert_int_eq(tq_bell(B)[0], 's');
}
END_TEST

START_TEST(a_job_without_its_record_ends)
{
	uint64_t job = streamed();

	ranq_queue_spec_cmd(&tq.q, &tq.cmd, job);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	tq_command("DEL %sj:%d:spec", tq.q.base, (int)job);
	ranq_queue_spec_cmd(&tq.q, &tq.cmd, job);
	ck_assert_int_eq(tq_code(), RANQ_ERR_INPUT);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
}
END_TEST

START_TEST(a_client_that_waits_sees_that_the_input_is_gone)
{
	uint64_t job = streamed();

	tq_command("DEL %sj:%d:in", tq.q.base, (int)job);
	ranq_queue_watch_cmd(&tq.q, &tq.cmd, job, C);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
}
END_TEST

/* More jobs wait for one that is removed than one call can tell. */
START_TEST(all_dependents_of_a_removed_job_are_told)
{
	enum { N = 2300 };
	uint64_t first = TQ_JOB(.tasks = 1), job = 0;

	for (int i = 0; i < N; i++)
		job = TQ_JOB(.tasks = 1, .after = {first}, .nafter = 1);
	ck_assert_uint_eq(tq_remove(first), 1);
	for (uint64_t id = first + 1; id <= job; id++)
		ck_assert_int_eq(tq_info(id).state, RANQ_JOB_IMPOSSIBLE);
}
END_TEST

/* Who saw a bridge die names the tasks that ran there: they run alone, the rest runs on as if nothing had been. */
START_TEST(a_lost_bridge_is_not_waited_for)
{
	uint64_t job = TQ_JOB(.tasks = 100, .max_deaths = 2);
	struct ranq_task_name blamed[] = {{job, 50}, {job, 10}, {job, 10}, {job + 1, 3}, {job, 700}};
	struct ranq_lease_reply s;
	struct ranq_range r;

	tq_join(A, 1);
	tq_lease1(A, 60);
	tq_dead(A, blamed, 5);
	tq_dead(A, blamed, 5);
	ck_assert_uint_eq(tq_stat().bridges, 0);
	ck_assert_uint_eq(tq_audit(job).leased, 0);
	ck_assert_uint_eq(tq_audit(job).returned, 60);
	ck_assert_uint_eq(tq_info(job).requeued, 2);
	ck_assert_uint_eq(tq_info(job).deaths, 0);
	tq_join(B, 1);
	s = tq_lease(B, 60);
	ck_assert_uint_eq(s.n, 5);
	ck_assert(!s.ranges[0].suspect && s.ranges[0].end == 10 && s.ranges[0].expiries == 0);
	ck_assert(s.ranges[1].suspect && s.ranges[1].start == 10 && s.ranges[1].end == 11);
	ck_assert(!s.ranges[2].suspect && s.ranges[2].start == 11 && s.ranges[2].end == 50);
	/* the other suspect waits until the first one is over */
	ck_assert(!s.ranges[3].suspect && s.ranges[3].start == 51 && s.ranges[3].end == 60);
	r = s.ranges[1];
	ck_assert(tq_commit(B, &r, 10, 10, 11));
	ck_assert_uint_eq(tq_lease1(B, 1).start, 50);
	/* the only suspect of its bridge, and blamed again: that counts; blamed while another one was there, it does
	 * not */
	for (unsigned deaths = 1; deaths <= 2; deaths++) {
		ck_assert_uint_eq(tq_info(job).deaths, deaths - 1);
		tq_dead(B, blamed, 1);
		tq_join(B, 1);
		if (deaths < 2)
			ck_assert_uint_eq(tq_lease(B, 100).n > 0, 1);
	}
	ck_assert_uint_eq(tq_info(job).counts[RANQ_TASK_DIED], 1);
	ck_assert_uint_eq(tq_audit(job).leased, 0);
}
END_TEST

START_TEST(a_bridge_lost_for_reasons_unknown_is_expired)
{
	uint64_t job = TQ_JOB(.tasks = 100);

	tq_join(A, 1);
	tq_lease1(A, 60);
	tq_dead(A, NULL, 0);
	ck_assert_uint_eq(tq_info(job).requeued, 1);
	tq_join(B, 1);
	ck_assert_uint_eq(tq_lease1(B, 60).expiries, 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {an_idle_bridge_costs_little, work_that_nobody_announced_is_found,
		bounds_out_of_range_are_not_believed, an_idle_bridge_outlives_and_finds_a_dead_one, a_dead_bridge_beside_a_busy_one,
		work_that_not_everybody_may_run_rings_all, a_bridge_that_died_with_a_bell_is_replaced,
		jobs_for_others_hide_nothing, a_full_server_can_be_joined,
		a_bridge_of_many_ranks_may_hold_more, an_expired_job_makes_room_for_others,
		a_higher_limit_lets_jobs_go_on, every_held_job_has_its_turn, a_job_without_its_input_ends,
		a_job_without_its_record_ends, a_client_that_waits_sees_that_the_input_is_gone,
		all_dependents_of_a_removed_job_are_told, a_lost_bridge_is_not_waited_for,
		a_bridge_lost_for_reasons_unknown_is_expired};

	return test_queue_main("protocol upkeep", tests, sizeof tests / sizeof *tests);
}

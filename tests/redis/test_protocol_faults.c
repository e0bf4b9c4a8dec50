/* The guards of the protocol, each with the fault that it is there for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/segment.h"
#include "tests/support/queue_driver.h"

#define A tq_id('a')
#define B tq_id('b')

/* Expires bridge A; B, if it is there, goes on. */
static void expire_a(bool with_b)
{
	for (int i = 0; i < 7; i++) {
		tq_pass(3000);
		if (with_b)
			tq_beat(B);
	}
}

START_TEST(a_token_that_is_not_current_commits_nothing)
{
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range old, now;

	tq_join(A, 1);
	old = tq_lease1(A, 10);
	tq_release(A, &old, 0, 0, 10, RANQ_RELEASE_DRAINED);
	now = tq_lease1(A, 10);
	ck_assert_uint_eq(now.start, old.start);
	ck_assert(!tq_commit(A, &old, 0, 0, 10));
	ck_assert(!tq_commit(A, &old, 0, 0, 4));
	tq_release(A, &old, 0, 0, 10, RANQ_RELEASE_DRAINED);
	ck_assert_uint_eq(tq_audit(job).leased, 10);
	ck_assert_uint_eq(tq_info(job).stale, 2);
	ck_assert(tq_commit(A, &now, 0, 0, 10));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
}
END_TEST

START_TEST(a_zombie_is_fenced_and_the_new_holder_is_not_stuck)
{
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range zombie, now;

	tq_join(A, 1);
	tq_join(B, 1);
	zombie = tq_lease1(A, 10);
	expire_a(true);
	ck_assert_uint_eq(tq_stat().bridges, 1);
	now = tq_lease1(B, 10);
	ck_assert_uint_eq(now.expiries, 1);
	ranq_queue_beat_cmd(&tq.q, &tq.cmd, A, NULL, 0, 0, 0);
	ck_assert_int_eq(tq_code(), RANQ_ERR_GONE);
	tq_join(A, 1);
	ck_assert(!tq_commit(A, &zombie, 0, 0, 5));
	ck_assert(tq_commit(B, &now, 0, 0, 10));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
	ck_assert_uint_eq(tq_info(job).result_items, 1);
	ck_assert_uint_eq(tq_info(job).requeued, 1);
}
END_TEST

START_TEST(a_step_of_the_clock_expires_nobody)
{
	static const long long steps[] = {120000, -3600000, 31536000000, -31536000000};
	uint64_t job = TQ_JOB(.tasks = 10);

	tq_join(A, 1);
	tq_join(B, 1);
	tq_lease1(A, 5);
	tq_lease1(B, 5);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		tq_command("HINCRBY %sq last %lld", tq.q.base, -steps[i]);
		tq_beat(B);
		ck_assert_uint_eq(tq_stat().bridges, 2);
		tq_beat(A);
	}
	ck_assert_uint_eq(tq_audit(job).leased, 10);
	/* and a dead one is found all the same */
	tq_command("HINCRBY %sq last 3600000", tq.q.base);
	expire_a(true);
	ck_assert_uint_eq(tq_stat().bridges, 1);
	ck_assert_uint_eq(tq_audit(job).returned, 5);
}
END_TEST

START_TEST(nobody_is_reaped_by_its_own_call)
{
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range r;

	tq_join(A, 1);
	r = tq_lease1(A, 10);
	for (int i = 0; i < 20; i++) {
		tq_command("HINCRBY %sq last -1000000", tq.q.base);
		if (i % 3 == 2)
			tq_beat(A);
	}
	/* far behind, and nobody has looked yet */
	tq_command("ZADD %sL 1 %s", tq.q.base, A);
	ranq_cmd_reset(&tq.cmd);
	ranq_cmd_str(&tq.cmd, "HSET");
	ranq_cmd_str(&tq.cmd, "ranq:{t}:q");
	ranq_cmd_str(&tq.cmd, "b:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	ranq_cmd_str(&tq.cmd, "0 1 0"); /* seen, last seq, place */
	ranq_cmd_str(&tq.cmd, "due");
	ranq_cmd_str(&tq.cmd, "0");
	tq_call();
	tq_command("HINCRBY %sq last -3000", tq.q.base);
	ck_assert(tq_commit(A, &r, 0, 0, 10));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
}
END_TEST

START_TEST(cleaning_up_is_bounded_and_consistent_at_every_step)
{
	uint64_t job = TQ_JOB(.tasks = 8000, .results = RANQ_RESULTS_NONE), returned = 0;
	struct ranq_range r;
	struct ranq_audit audit;
	int calls = 0, steps = 0;

	tq_join(A, 1);
	tq_join(B, 1);
	r = tq_lease1(A, 8000);
	for (uint64_t i = 0; i < 8000; i += 2)
		ck_assert(tq_commit(A, &r, i ? i - 1 : 0, i, i + 1));
	ck_assert_uint_eq(tq_audit(job).leased_ranges, 4000);
	while (tq_stat().bridges == 2 && calls++ < 40) {
		tq_pass(3000);
		tq_beat(B);
		audit = tq_audit(job);
		ck_assert_uint_le(audit.returned - returned, 2600); /* two calls a round, about 1,000 each */
		steps += audit.returned > returned;
		returned = audit.returned;
		if (returned && returned < 4000) {
			ranq_queue_beat_cmd(&tq.q, &tq.cmd, A, NULL, 0, 0, 0);
			ck_assert_int_eq(tq_code(), RANQ_ERR_GONE);
		}
	}
	ck_assert_uint_eq(tq_stat().bridges, 1);
	ck_assert_uint_eq(tq_audit(job).returned, 4000);
	ck_assert_int_ge(steps, 2);
}
END_TEST

START_TEST(a_full_server_drains)
{
	uint64_t job = TQ_JOB(.tasks = 100), other;
	struct ranq_range r;
	struct ranq_lease_reply lease;
	struct ranq_fragment f;
	size_t gone[RANQ_CALL_ITEMS_MAX];
	struct ranq_bytes none = {"", 0};

	other = TQ_JOB(.tasks = 5);
	tq_join(A, 1);
	r = tq_lease1(A, 50);
	tq_command("CONFIG SET maxmemory 1");
	ck_assert_uint_eq(TQ_JOB(.tasks = 1), 0);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_FULL);
	ranq_queue_lease_cmd(&tq.q, &tq.cmd, A, 100, 1, 1, 0, -1, NULL);
	tq_call();
	ck_assert_int_eq(ranq_queue_lease_parse(tq.reply, &lease, &tq.err), -1);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_FULL);
	ck_assert(tq_commit(A, &r, 0, 0, 10));
	tq_release(A, &r, 10, 10, 20, RANQ_RELEASE_DRAINED);
	tq_beat(A);
	f = (struct ranq_fragment){.job = job, .start = 20, .end = 50, .seq = r.seq};
	ck_assert_uint_eq(tq_resync(A, &f, 1, gone), 0);
	tq.seq = 200;
	lease = tq_lease_opt(A, 60, 64, RANQ_LEASE_RETURNED_ONLY, -1, NULL);
	ck_assert_uint_eq(lease.n, 1); /* what came back, nothing new */
	ck_assert_uint_eq(lease.ranges[0].start, 10);
	ck_assert_uint_eq(tq_fetch(job, false, 0, tq_id('d'))->n, 1);
	ranq_queue_watch_cmd(&tq.q, &tq.cmd, job, tq_id('d'));
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('c'));
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, 1, &none, (const uint64_t[][2]){{0, 10}}, 1);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ck_assert_uint_eq(tq_cancel(other), 1);
	ck_assert_uint_eq(tq_remove(other), 1);
	tq_leave(A);
	ck_assert_uint_eq(tq_audit(job).returned, 40);
}
END_TEST

START_TEST(a_lease_request_is_answered_once)
{
	uint64_t job = TQ_JOB(.tasks = 30);
	struct ranq_lease_reply out;

	tq_join(A, 1);
	tq_lease1(A, 10);
	tq.seq--;
	ranq_queue_lease_cmd(&tq.q, &tq.cmd, A, ++tq.seq, 10, 1, 0, -1, NULL);
	tq_call();
	ck_assert_int_eq(ranq_queue_lease_parse(tq.reply, &out, &tq.err), -1);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_STATE);
	ck_assert_uint_eq(tq_audit(job).leased, 10);
}
END_TEST

START_TEST(joining_again_gives_back)
{
	uint64_t job = TQ_JOB(.tasks = 30);

	tq_join(A, 2);
	tq_lease1(A, 10);
	tq_join(A, 2);
	ck_assert_uint_eq(tq_audit(job).returned, 10);
	ck_assert_uint_eq(tq_stat().ranks, 2);
	ck_assert_uint_eq(tq_stat().bridges, 1);
}
END_TEST

/* A task that takes its whole bridge down every time: found by halving (eighths), then given alone, then DIED; the
 * others run. */
START_TEST(a_poison_task_is_narrowed_down_and_dies)
{
	enum { N = 200, POISON = 137 };
	uint64_t job = TQ_JOB(.tasks = N, .max_deaths = 3);
	struct ranq_failure failure;
	struct ranq_bytes record;
	struct ranq_fetch_reply *f;
	uint64_t index;
	int lives = 0;

	while (!ranq_job_state_is_final(tq_info(job).state) && lives++ < 100) {
		bool dead = false;

		tq_join(A, 1);
		while (!dead) {
			struct ranq_lease_reply r = tq_lease_opt(A, 100, 1, 0, -1, NULL);

			if (!r.n)
				break;
			for (size_t i = 0; i < r.n && !dead; i++) {
				struct ranq_range *range = &r.ranges[i];

				dead = range->start <= POISON && POISON < range->end;
				if (!dead)
					ck_assert(tq_commit(A, range, range->start, range->start, range->end));
			}
			tq_audit(job);
		}
		if (dead)
			expire_a(false);
		else
			tq_leave(A);
	}
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
	ck_assert_str_eq(tq_info(job).reason, "1 of 200 tasks failed");
	ck_assert_uint_eq(tq_info(job).counts[RANQ_TASK_OK], N - 1);
	ck_assert_uint_eq(tq_info(job).counts[RANQ_TASK_DIED], 1);
	ck_assert_int_lt(lives, 15);
	ranq_queue_failures_cmd(&tq.q, &tq.cmd, job, 0, 10);
	tq_call();
	ck_assert_uint_eq(ranq_reply_count(tq.reply), 2);
	ck_assert_int_eq(ranq_queue_failures_parse(tq.reply, 0, &index, &record, &tq.err), 0);
	ck_assert_int_eq(ranq_failure_unpack(record.data, record.len, &failure, &tq.err), 0);
	ck_assert_uint_eq(index, POISON);
	ck_assert_uint_eq(failure.index, POISON);
	ck_assert_int_eq(failure.status, RANQ_TASK_DIED);
	ck_assert_uint_eq(failure.attempts, 3);
	ck_assert_str_eq(failure.reason, "killed its worker 3 times");
	f = tq_fetch(job, false, POISON, "");
	ck_assert_uint_ge(f->n, 1);
	ck_assert_uint_eq(f->items[0].start, POISON);
	ck_assert_int_eq(ranq_segment_check(f->items[0].item.data, f->items[0].item.len, &tq.err), 1);
}
END_TEST

START_TEST(suspects_are_given_one_by_one)
{
	uint64_t job = TQ_JOB(.tasks = 300, .max_deaths = 2);
	struct ranq_range r;
	struct ranq_lease_reply s;

	tq_join(A, 1);
	r = tq_lease1(A, 10);
	tq_release(A, &r, 0, 0, 4, RANQ_RELEASE_SUSPECT);
	s = tq_lease_opt(A, 10, 64, RANQ_LEASE_NO_SUSPECTS, -1, NULL);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.ranges[0].start, 10);
	s = tq_lease_opt(A, 10, 3, 0, -1, NULL);
	ck_assert_uint_eq(s.n, 3);
	for (size_t i = 0; i < 3; i++) {
		ck_assert(s.ranges[i].suspect);
		ck_assert_uint_eq(s.ranges[i].deaths, 0);
		ck_assert_uint_eq(s.ranges[i].start, i);
		ck_assert_uint_eq(s.ranges[i].end, i + 1);
	}
	tq_release(A, &s.ranges[1], 1, 1, 2, RANQ_RELEASE_SUSPECT); /* it was alone on its rank: one death */
	tq_release(A, &s.ranges[2], 2, 2, 3, RANQ_RELEASE_DRAINED); /* nothing happened to it */
	s = tq_lease_opt(A, 1, 1, 0, -1, NULL);
	ck_assert_uint_eq(s.ranges[0].start, 1);
	ck_assert_uint_eq(s.ranges[0].deaths, 1);
	tq_release(A, &s.ranges[0], 1, 1, 2, RANQ_RELEASE_SUSPECT);
	ck_assert_uint_eq(tq_info(job).counts[RANQ_TASK_DIED], 1);
	ck_assert_uint_eq(tq_info(job).deaths, 2);
	s = tq_lease_opt(A, 1, 1, 0, -1, NULL);
	ck_assert_uint_eq(s.ranges[0].start, 2);
	ck_assert_uint_eq(s.ranges[0].deaths, 0);
	tq_audit(job);
}
END_TEST

/* Two suspects on one bridge that dies: none is blamed, but from the third expiry on they are given to bridges that
 * hold no other. */
START_TEST(suspects_that_die_together_are_separated)
{
	uint64_t job = TQ_JOB(.tasks = 2, .max_deaths = 1);
	struct ranq_range r;
	struct ranq_lease_reply s;

	tq_join(A, 1);
	r = tq_lease1(A, 2);
	tq_release(A, &r, 0, 0, 2, RANQ_RELEASE_SUSPECT);
	for (int i = 0; i < 3; i++) {
		s = tq_lease(A, 2);
		ck_assert_uint_eq(s.n, 2);
		expire_a(false);
		ck_assert_uint_eq(tq_info(job).deaths, 0);
		tq_join(A, 1);
	}
	s = tq_lease(A, 2);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(tq_lease(A, 2).n, 0);
	tq_join(B, 1);
	ck_assert_uint_eq(tq_lease(B, 2).n, 1);
	expire_a(true);
	ck_assert_uint_eq(tq_info(job).counts[RANQ_TASK_DIED], 1);
}
END_TEST

/* The lowest suspect is given to A, which dies of whatever it may be. */
static void die_once(uint64_t suspect, unsigned deaths_before)
{
	struct ranq_range r;

	tq_join(A, 1);
	r = tq_lease1(A, 1);
	ck_assert(r.suspect);
	ck_assert_uint_eq(r.start, suspect);
	ck_assert_uint_eq(r.deaths, deaths_before);
	expire_a(false);
}

/* The same one ends. */
static void end_with(uint64_t suspect, unsigned deaths_before, enum ranq_task_status status)
{
	struct ranq_commit_item item = {.item = {"x", 1}, .start = suspect, .at = suspect, .end = suspect + 1};
	struct ranq_range r;

	tq_join(A, 1);
	r = tq_lease1(A, 1);
	ck_assert_uint_eq(r.start, suspect);
	ck_assert_uint_eq(r.deaths, deaths_before);
	item.job = r.job;
	item.seq = r.seq;
	item.counts[status] = 1;
	ranq_queue_commit_begin(&tq.q, &tq.cmd, A);
	ranq_queue_commit_add(&tq.cmd, &item);
	tq_call();
	tq_leave(A);
}

/* Where bridges die of something else, too, a task is not given up for as few deaths as where only it was there: the deaths
 * of tasks that end after all are counted, and 1, 3, 7... of them ask for one more. */
START_TEST(who_ends_speaks_for_the_others)
{
	static const unsigned most[] = {2, 3, 3, 4};
	uint64_t job = TQ_JOB(.tasks = 10, .max_deaths = 2), at = 0;
	struct ranq_range r;

	tq_join(A, 1);
	r = tq_lease1(A, 10);
	tq_release(A, &r, 0, 0, 10, RANQ_RELEASE_SUSPECT);
	tq_leave(A);
	end_with(at++, 0, RANQ_TASK_OK); /* no bridge died with it: it says nothing */
	die_once(at, 0);
	end_with(at++, 1, RANQ_TASK_DIED); /* its executors did not live, either */
	for (unsigned acquitted = 0; acquitted < 4; acquitted++) {
		for (unsigned deaths = 0; deaths < most[acquitted]; deaths++) {
			ck_assert_uint_eq(tq_info(job).counts[RANQ_TASK_DIED], 1 + acquitted);
			die_once(at, deaths);
		}
		ck_assert_uint_eq(tq_info(job).counts[RANQ_TASK_DIED], 2 + acquitted);
		at++;
		if (acquitted < 3) {
			die_once(at, 0);
			end_with(at++, 1, RANQ_TASK_ERROR);
		}
	}
	tq_audit(job);
}
END_TEST

/* A bridge that takes all the pieces and dies must not get them back as one. */
START_TEST(pieces_do_not_grow_together)
{
	uint64_t job = TQ_JOB(.tasks = 64, .max_deaths = 100);
	struct ranq_lease_reply r;

	for (int life = 0; life < 5; life++) {
		tq_join(A, 1);
		while (tq_lease(A, 100).n)
			continue;
		expire_a(false);
	}
	tq_join(A, 1);
	r = tq_lease(A, 100);
	ck_assert_uint_eq(r.n, 1);
	ck_assert(r.ranges[0].suspect);
	ck_assert_uint_eq(tq_lease(A, 100).n, 0);
	ck_assert_uint_eq(tq_audit(job).returned_ranges, 63);
}
END_TEST

START_TEST(stopping_at_failures)
{
	uint64_t stop = TQ_JOB(.tasks = 20, .stop = true), many = TQ_JOB(.tasks = 20, .max_fails = 3);
	struct ranq_range r;
	struct ranq_beat_reply out;
	uint64_t jobs[] = {stop, many};

	tq_join(A, 1);
	r = tq_lease1(A, 20);
	ck_assert(tq_commit(A, &r, 0, 0, 1));
	ck_assert(tq_commit_failed(A, &r, 1, 1, 2, "r"));
	ck_assert_int_eq(tq_info(stop).state, RANQ_JOB_ERROR);
	ck_assert_str_eq(tq_info(stop).reason, "stopped because a task failed");
	ck_assert_str_eq(tq_bell(A), "stop 1");
	r = tq_lease1(A, 20);
	ck_assert_uint_eq(r.job, many);
	ck_assert(tq_commit_failed(A, &r, 0, 0, 3, "r"));
	ck_assert_int_eq(tq_info(many).state, RANQ_JOB_RUNNING);
	ck_assert(tq_commit_failed(A, &r, 3, 3, 4, "r"));
	ck_assert_str_eq(tq_info(many).reason, "more than 3 tasks failed");
	ranq_queue_beat_cmd(&tq.q, &tq.cmd, A, jobs, 2, 0, 0);
	tq_call();
	ck_assert_int_eq(ranq_queue_beat_parse(tq.reply, &out, &tq.err), 0);
	ck_assert_uint_eq(out.nstopped, 2);
	tq_audit(stop);
	tq_audit(many);
}
END_TEST

START_TEST(damage_by_others_is_reported_and_stops_nobody_else)
{
	uint64_t ret = TQ_JOB(.tasks = 10), type = TQ_JOB(.tasks = 10), field = TQ_JOB(.tasks = 10),
		 leased = TQ_JOB(.tasks = 10), good = TQ_JOB(.tasks = 10);
	struct ranq_lease_reply r;

	tq_join(A, 1);
	r = tq_lease(A, 10);
	tq_release(A, &r.ranges[0], 0, 0, 10, RANQ_RELEASE_DRAINED);
	tq_command("DEL %sj:1:ret", tq.q.base);
	tq_command("DEL %sj:2", tq.q.base);
	tq_command("SET %sj:2 x", tq.q.base);
	tq_counter(3, "next", "0/0");
	tq_counter(3, "n", "-5");
	r = tq_lease(A, 20);
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(r.ranges[0].job, leased);
	ck_assert_uint_eq(r.ranges[1].job, good);
	ck_assert(tq_info(ret).damaged);
	ck_assert_int_eq(tq_info(ret).state, RANQ_JOB_ERROR);
	ck_assert_str_eq(tq_info(ret).reason, "damaged: returned ranges were deleted");
	ck_assert_int_eq(tq_info(field).state, RANQ_JOB_ERROR);
	ck_assert(tq_commit(A, &r.ranges[1], 0, 0, 10));
	tq_command("HDEL %sb:%s %llu:0", tq.q.base, A, (unsigned long long)leased);
	tq_fetch(leased, false, 0, tq_id('d'));
	ck_assert_str_eq(tq_info(leased).reason, "damaged: leased ranges were deleted");
	ck_assert_uint_eq(tq_remove(type), 1);
	ck_assert_uint_eq(tq_remove(ret), 1);
	ck_assert_uint_eq(tq_remove(field), 1);
	tq_command("FLUSHALL");
	ranq_queue_beat_cmd(&tq.q, &tq.cmd, A, NULL, 0, 0, 0);
	ck_assert_int_eq(tq_code(), RANQ_ERR_GONE);
	ranq_queue_watch_cmd(&tq.q, &tq.cmd, good, tq_id('d'));
	ck_assert_int_eq(tq_code(), RANQ_ERR_NOTFOUND);
}
END_TEST

START_TEST(another_schema_is_refused)
{
	TQ_JOB(.tasks = 10);
	tq_join(A, 1);
	tq_command("HSET %sq schema 1", tq.q.base);
	ck_assert_uint_eq(TQ_JOB(.tasks = 1), 0);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_SCHEMA);
	ranq_queue_beat_cmd(&tq.q, &tq.cmd, A, NULL, 0, 0, 0);
	ck_assert_int_eq(tq_code(), RANQ_ERR_SCHEMA);
	ck_assert_int_eq(ranq_queue_attach(&tq.q, tq.conn, tq.q.mode, 0, false, INT64_MAX, &tq.err), -1);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_SCHEMA);
}
END_TEST

START_TEST(functions_that_the_server_forgot_are_loaded_again)
{
	TQ_JOB(.tasks = 10);
	if (tq.q.mode == RANQ_CALL_FUNCTIONS)
		tq_command("FUNCTION FLUSH");
	else
		tq_command("SCRIPT FLUSH");
	ranq_queue_info_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	ck_assert(ranq_queue_reply_is_noscript(tq.reply));
	tq_attach(0);
	ck_assert_uint_eq(tq_info(1).tasks, 10);
	ck_assert(!ranq_queue_reply_is_noscript(tq.reply));
}
END_TEST

START_TEST(a_newer_library_stays)
{
	if (tq.q.mode != RANQ_CALL_FUNCTIONS)
		return;
	ranq_cmd_reset(&tq.cmd);
	ranq_cmd_str(&tq.cmd, "FUNCTION");
	ranq_cmd_str(&tq.cmd, "LOAD");
	ranq_cmd_str(&tq.cmd, "REPLACE");
	ranq_cmd_str(&tq.cmd,
		"#!lua name=ranq1\nredis.register_function{function_name='ranq1_version', callback=function() "
		"return {99, 'new'} end}\nredis.register_function{function_name='ranq1_stat', callback=function() "
		"return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1} end}");
	tq_call();
	tq_attach(0);
	ranq_queue_info_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	ck_assert(ranq_queue_reply_is_noscript(tq.reply)); /* ours was not put in its place */
	tq_command("FUNCTION FLUSH");
	tq_attach(0);
	ranq_queue_jobs_cmd(&tq.q, &tq.cmd, 0, 1);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
}
END_TEST

START_TEST(a_server_that_evicts_is_refused)
{
	struct ranq_conn *conn;

	tq_command("CONFIG SET maxmemory-policy allkeys-lru");
	conn = test_redis_connect(test_queue_server());
	tq_command("CONFIG SET maxmemory-policy noeviction");
	ck_assert_int_eq(ranq_queue_attach(&tq.q, conn, RANQ_CALL_AUTO, 0, true, INT64_MAX, &tq.err), -1);
	ranq_conn_close(conn);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_SERVER);
	ck_assert_ptr_nonnull(strstr(tq.err.text, "config set maxmemory-policy noeviction"));
}
END_TEST

/* The rights that PROTOCOL.md names suffice, in another queue they are worth nothing. */
START_TEST(the_rights_named_suffice)
{
	char *text, *p;
	FILE *file;
	struct ranq_server_addr addr;
	struct ranq_conn *owner = tq.conn;
	struct ranq_range r;
	uint64_t job;

	if (tq.q.mode != RANQ_CALL_FUNCTIONS)
		return;
	text = calloc(1, 1 << 17);
	file = fopen(RANQ_TEST_SOURCEDIR "/src/queue/PROTOCOL.md", "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(text, 1, (1 << 17) - 1, file), 1000);
	fclose(file);
	p = strstr(text, "## Access");
	ck_assert_ptr_nonnull(p);
	*strstr(p, "Without +function") = '\0';
	ranq_cmd_reset(&tq.cmd);
	for (const char *word = "ACL SETUSER u on >pw ~ranq:{t}:* -@all"; *word;) {
		size_t n = strcspn(word, " ");

		ranq_cmd_bytes(&tq.cmd, word, n);
		word += n + (word[n] == ' ');
	}
	for (p = strpbrk(p, "+"); p; p = strpbrk(p, "+")) {
		size_t n = 1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_");

		ranq_cmd_bytes(&tq.cmd, p, n);
		p += n;
	}
	free(text);
	tq_call();
	ck_assert_int_eq(ranq_reply_type(tq.reply), RANQ_REPLY_STATUS);
	ranq_server_addr_init(&addr);
	addr.unix_path = strdup(test_queue_server()->socket);
	addr.user = strdup("u");
	addr.password = strdup("pw");
	tq.conn = ranq_conn_open(&addr, INT64_MAX, &tq.err);
	ck_assert_msg(tq.conn, "%s", tq.err.text);
	ranq_server_addr_clear(&addr);
	tq_attach(0);
	job = TQ_JOB(.tasks = 10);
	ck_assert_msg(job, "%s", tq.err.text);
	tq_join(A, 1);
	tq_join(B, 1);
	r = tq_lease1(A, 5);
	ck_assert(tq_commit(A, &r, 0, 1, 3));
	ck_assert(tq_commit_failed(A, &r, 0, 0, 1, "r"));
	ck_assert_uint_eq(tq_fetch(job, false, 0, tq_id('d'))->n, 2);
	tq_fetch(job, true, 9, tq_id('d'));
	ranq_queue_apart_put_cmd(&tq.q, &tq.cmd, A, 1, (struct ranq_bytes){"large", 5});
	tq_call();
	ranq_queue_commit_begin(&tq.q, &tq.cmd, A);
	ranq_queue_commit_add(&tq.cmd, &(struct ranq_commit_item){.job = job, .at = 3, .seq = r.seq, .start = 4, .end = 5, .counts = {1}, .apart = 1});
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ranq_queue_apart_get_cmd(&tq.q, &tq.cmd, job, 4);
	tq_call();
	ck_assert_uint_eq(ranq_reply_bytes(tq.reply).len, 5);
	tq_release(A, &r, 3, 3, 4, RANQ_RELEASE_SUSPECT);
	tq_beat(A);
	tq_leave(A);
	tq_cancel(job);
	ck_assert_uint_eq(tq_retry(job, true), 1);
	tq_audit(job);
	tq_remove(job);
	ranq_queue_destroy_cmd(&tq.q, &tq.cmd);
	tq_control();
	ck_assert_int_eq(ranq_queue_init(&tq.q, "other", NULL), 0);
	tq.q.mode = RANQ_CALL_FUNCTIONS;
	ck_assert_uint_eq(TQ_JOB(.tasks = 1), 0);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_AUTH);
	ranq_conn_close(tq.conn);
	tq.conn = owner;
	tq_command("ACL DELUSER u");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_token_that_is_not_current_commits_nothing,
		a_zombie_is_fenced_and_the_new_holder_is_not_stuck, a_step_of_the_clock_expires_nobody,
		nobody_is_reaped_by_its_own_call, cleaning_up_is_bounded_and_consistent_at_every_step,
		a_full_server_drains, a_lease_request_is_answered_once, joining_again_gives_back,
		a_poison_task_is_narrowed_down_and_dies, suspects_are_given_one_by_one,
		suspects_that_die_together_are_separated, who_ends_speaks_for_the_others,
		pieces_do_not_grow_together, stopping_at_failures,
		damage_by_others_is_reported_and_stops_nobody_else, another_schema_is_refused,
		functions_that_the_server_forgot_are_loaded_again, a_newer_library_stays,
		a_server_that_evicts_is_refused, the_rights_named_suffice};

	return test_queue_main("protocol faults", tests, sizeof tests / sizeof *tests);
}

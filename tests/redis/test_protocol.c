/* The protocol in its ordinary course: submit, lease, commit, release, renew, resync, leave, control. */
#include <stdio.h>
#include <string.h>

#include "tests/support/queue_driver.h"

START_TEST(submit_is_atomic_and_repeatable)
{
	const char *uuid = tq_id('c');
	uint64_t a = TQ_JOB(.tasks = 1000000000, .uuid = uuid), b = TQ_JOB(.tasks = 1000000000, .uuid = uuid),
		 c = TQ_JOB(.tasks = 1);
	struct ranq_job_info info;

	ck_assert_uint_eq(a, 1);
	ck_assert_uint_eq(b, 1);
	ck_assert_uint_eq(c, 2);
	info = tq_info(1);
	ck_assert_uint_eq(info.tasks, 1000000000);
	ck_assert_int_eq(info.state, RANQ_JOB_PENDING);
	ck_assert_str_eq(info.uuid, uuid);
	ck_assert_str_eq(info.name, "test");
	ck_assert_uint_eq(tq_stat().jobs, 2);
	ck_assert_int_lt(tq_command("MEMORY USAGE %sj:1", tq.q.base), 500);
}
END_TEST

START_TEST(one_task_runs_from_end_to_end)
{
	uint64_t job = TQ_JOB(.tasks = 1);
	struct ranq_range r;
	struct ranq_fetch_reply *f;
	struct ranq_job_info info;

	tq_join(tq_id('a'), 2);
	r = tq_lease1(tq_id('a'), 10);
	ck_assert_uint_eq(r.job, job);
	ck_assert_uint_eq(r.start, 0);
	ck_assert_uint_eq(r.end, 1);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_RUNNING);
	ck_assert(tq_commit(tq_id('a'), &r, 0, 0, 1));
	info = tq_info(job);
	ck_assert_int_eq(info.state, RANQ_JOB_COMPLETE);
	ck_assert_uint_eq(info.done, 1);
	ck_assert_uint_eq(info.counts[0], 1);
	ck_assert_uint_eq(info.elapsed_us, 10);
	ck_assert_int_gt(info.ended_ms, 0);
	f = tq_fetch(job, false, 0, "");
	ck_assert_uint_eq(f->n, 1);
	ck_assert(f->finished);
	ck_assert_uint_eq(f->items[0].item.len, 3);
	ck_assert(!memcmp(f->items[0].item.data, "0-1", 3));
}
END_TEST

START_TEST(commits_may_take_any_part_in_any_order)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r;
	const char *a = tq_id('a');

	tq_join(a, 1);
	r = tq_lease1(a, 100);
	ck_assert(tq_commit(a, &r, 0, 40, 60)); /* the middle: 0-40 stays at 0, 60-100 becomes a fragment of its own */
	ck_assert_uint_eq(tq_audit(job).leased_ranges, 2);
	ck_assert(!tq_commit(a, &r, 0, 50, 70));  /* not all of it is leased any more */
	ck_assert(tq_commit(a, &r, 60, 90, 100)); /* suffix */
	ck_assert(tq_commit(a, &r, 0, 0, 40));    /* whole */
	ck_assert(tq_commit(a, &r, 60, 60, 61));  /* prefix */
	ck_assert_uint_eq(tq_audit(job).leased, 29);
	ck_assert(tq_commit(a, &r, 61, 61, 90));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
	ck_assert_uint_eq(tq_info(job).stale, 1);
	ck_assert_uint_eq(tq_audit(job).leased_ranges, 0);
}
END_TEST

START_TEST(a_repeated_commit_counts_once)
{
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range r;

	tq_join(tq_id('a'), 1);
	r = tq_lease1(tq_id('a'), 10);
	ck_assert(tq_commit(tq_id('a'), &r, 0, 0, 5));
	ck_assert(!tq_commit(tq_id('a'), &r, 0, 0, 5));
	ck_assert_uint_eq(tq_info(job).done, 5);
	ck_assert_uint_eq(tq_info(job).result_items, 1);
}
END_TEST

START_TEST(priority_first_then_order_of_submission)
{
	uint64_t low = TQ_JOB(.tasks = 1, .priority = -5), first = TQ_JOB(.tasks = 1), second = TQ_JOB(.tasks = 1),
		 high = TQ_JOB(.tasks = 1, .priority = 7);
	struct ranq_lease_reply r;

	tq_join(tq_id('a'), 1);
	r = tq_lease(tq_id('a'), 100);
	ck_assert_uint_eq(r.n, 4);
	ck_assert_uint_eq(r.ranges[0].job, high);
	ck_assert_uint_eq(r.ranges[1].job, first);
	ck_assert_uint_eq(r.ranges[2].job, second);
	ck_assert_uint_eq(r.ranges[3].job, low);
	ck_assert_uint_eq(r.bridges, 1);
	tq_join(tq_id('b'), 1);
	ck_assert_uint_eq(tq_lease(tq_id('b'), 1).bridges, 0);
	ck_assert(TQ_JOB(.tasks = 1));
	ck_assert_uint_eq(tq_lease(tq_id('b'), 1).bridges, 2);
}
END_TEST

/* A bridge is told how much of the only job is left, when it asks; with another job behind it nobody knows. */
START_TEST(what_is_left_of_the_last_job)
{
	const char *a = tq_id('a');
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_lease_reply r;

	tq_join(a, 1);
	ck_assert_uint_eq(tq_lease(a, 10).left, UINT64_MAX);
	r = tq_lease_opt(a, 20, 64, RANQ_LEASE_LEFT, -1, NULL);
	ck_assert_uint_eq(r.left, 70);
	ck_assert_uint_eq(r.record.len, 0);
	r = tq_lease_opt(a, 10, 64, RANQ_LEASE_LEFT | RANQ_LEASE_RECORD, -1, NULL);
	ck_assert_uint_eq(r.left, 60);
	ck_assert_uint_gt(r.record.len, 0);
	tq_release(a, &r.ranges[0], r.ranges[0].start, r.ranges[0].start, r.ranges[0].end, RANQ_RELEASE_DRAINED);
	ck_assert_uint_eq(tq_lease_opt(a, 1, 64, RANQ_LEASE_LEFT, -1, NULL).left, 69);
	ck_assert(TQ_JOB(.tasks = 5));
	ck_assert_uint_eq(tq_lease_opt(a, 1, 64, RANQ_LEASE_LEFT, -1, NULL).left, UINT64_MAX);
	tq_cancel(job);
	ck_assert_uint_eq(tq_lease_opt(a, 2, 64, RANQ_LEASE_LEFT, -1, NULL).left, 3);
	ck_assert_uint_eq(tq_lease_opt(a, 9, 64, RANQ_LEASE_LEFT, -1, NULL).left, 0);
	ck_assert(TQ_JOB(.tasks = 5, .open = true));
	ck_assert_uint_eq(tq_lease_opt(a, 1, 64, RANQ_LEASE_LEFT, -1, NULL).left, UINT64_MAX);
}
END_TEST

START_TEST(drained_ranges_come_back_first_and_grow_together)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r, again;
	const char *a = tq_id('a');

	tq_join(a, 1);
	r = tq_lease1(a, 30);
	tq_release(a, &r, 0, 10, 20, RANQ_RELEASE_DRAINED);
	tq_release(a, &r, 20, 20, 30, RANQ_RELEASE_DRAINED);
	ck_assert_uint_eq(tq_audit(job).returned_ranges, 1);
	again = tq_lease1(a, 20);
	ck_assert_uint_eq(again.start, 10);
	ck_assert_uint_eq(again.end, 30);
	ck_assert_uint_eq(again.expiries, 0);
	ck_assert(again.seq > r.seq);
	ck_assert_uint_eq(tq_lease1(a, 5).start, 30);
}
END_TEST

START_TEST(idle_bridges_are_rung)
{
	struct ranq_lease_reply r;

	tq_join(tq_id('a'), 1);
	tq_join(tq_id('b'), 1);
	r = tq_lease(tq_id('a'), 1);
	ck_assert(r.idle);
	ck_assert(tq_lease(tq_id('b'), 1).idle);
	ck_assert_uint_eq(tq_stat().idle, 2);
	ck_assert(TQ_JOB(.tasks = 1));
	ck_assert_uint_eq(tq_stat().idle, 1); /* one task: one bridge */
	ck_assert_int_eq((tq_bell(tq_id('a'))[0] == 'w') + (tq_bell(tq_id('b'))[0] == 'w'), 1);
}
END_TEST

/* What empties the queue need not be asked again, unless other lanes of the bridge are busy and would keep a job waiting. */
START_TEST(who_gets_less_than_its_idle_lanes_take_is_rung)
{
	struct ranq_lease_reply r;
	uint64_t job;

	tq_join(tq_id('a'), 2);
	TQ_JOB(.tasks = 2);
	r = tq_lease_opt(tq_id('a'), 100, 64, 2 * RANQ_LEASE_LANE, -1, NULL);
	ck_assert_uint_eq(r.n, 1);
	ck_assert(!r.idle);
	TQ_JOB(.tasks = 1);
	r = tq_lease_opt(tq_id('a'), 100, 64, RANQ_LEASE_RECORD + 2 * RANQ_LEASE_LANE, -1, NULL);
	ck_assert_uint_eq(r.n, 1);
	ck_assert(r.idle && r.record.len > 0);
	ck_assert_uint_eq(tq_stat().idle, 1);
	job = TQ_JOB(.tasks = 3);
	ck_assert_uint_eq(tq_stat().idle, 0);
	ck_assert_str_eq(tq_bell(tq_id('a')), "work 3");
	r = tq_lease_opt(tq_id('a'), 2, 64, 4 * RANQ_LEASE_LANE, -1, NULL);
	ck_assert(!r.idle); /* there is more */
	ck_assert(tq_lease_opt(tq_id('a'), 2, 64, 4 * RANQ_LEASE_LANE, -1, NULL).idle);
	tq_audit(job);
}
END_TEST

START_TEST(the_end_of_a_job_rings_no_idle_bridge)
{
	struct ranq_range r;

	tq_join(tq_id('a'), 1);
	TQ_JOB(.tasks = 1);
	r = tq_lease1(tq_id('a'), 1);
	ck_assert(tq_lease(tq_id('a'), 1).idle);
	ck_assert(tq_commit(tq_id('a'), &r, 0, 0, 1));
	ck_assert_str_eq(tq_bell(tq_id('a')), "");
	ck_assert_uint_eq(tq_stat().idle, 1);
	TQ_JOB(.tasks = 1);
	ck_assert_str_eq(tq_bell(tq_id('a')), "work 2");
}
END_TEST

START_TEST(a_submit_names_the_reader)
{
	struct ranq_range r;
	uint64_t job = TQ_JOB(.tasks = 2, .reader = tq_id('d')), epoch, acked;
	struct ranq_bytes state;

	tq_join(tq_id('a'), 1);
	r = tq_lease1(tq_id('a'), 2);
	ck_assert(r.waited);
	ck_assert(tq_commit(tq_id('a'), &r, 0, 1, 2)); /* any, not the first alone */
	ck_assert_str_eq(tq_bell(tq_id('d')), "look");
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('d'));
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &state, &tq.err), 0);
	ck_assert_uint_eq(epoch, 1);
	ck_assert_uint_eq(state.len, 0);
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('e'));
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &state, &tq.err), 0);
	ck_assert_uint_eq(epoch, 2);
}
END_TEST

START_TEST(beat_names_jobs_that_are_over)
{
	uint64_t a = TQ_JOB(.tasks = 10), b = TQ_JOB(.tasks = 10), jobs[] = {a, b, 99};
	struct ranq_beat_reply out;

	tq_join(tq_id('a'), 1);
	tq_lease(tq_id('a'), 20);
	ck_assert_uint_eq(tq_cancel(a), 1);
	ck_assert_uint_eq(tq_cancel(a), 0);
	ranq_queue_beat_cmd(&tq.q, &tq.cmd, tq_id('a'), jobs, 3, 1, 2);
	tq_call();
	ck_assert_int_eq(ranq_queue_beat_parse(tq.reply, &out, &tq.err), 0);
	ck_assert_uint_eq(out.nstopped, 2);
	ck_assert_uint_eq(out.stopped[0], a);
	ck_assert_uint_eq(out.stopped[1], 99);
	ck_assert_str_eq(tq_bell(tq_id('a')), "stop 1");
}
END_TEST

START_TEST(late_commits_of_a_cancelled_job_do_not_count)
{
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range r;
	struct ranq_commit_reply out;

	tq_join(tq_id('a'), 1);
	r = tq_lease1(tq_id('a'), 6);
	tq_cancel(job);
	ck_assert(!tq_commit(tq_id('a'), &r, 0, 0, 2));
	ck_assert_int_eq(ranq_queue_commit_parse(tq.reply, &out, &tq.err), 0);
	ck_assert_uint_eq(out.nstopped, 1);
	ck_assert_uint_eq(out.stopped[0], job);
	ck_assert_uint_eq(tq_audit(job).leased, 4);
	ck_assert_uint_eq(tq_info(job).done, 0);
	ck_assert_uint_eq(tq_lease(tq_id('a'), 10).n, 0);
}
END_TEST

START_TEST(leave_gives_everything_back_without_blame)
{
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range r;

	tq_join(tq_id('a'), 3);
	ck_assert_uint_eq(tq_stat().ranks, 3);
	tq_lease1(tq_id('a'), 10);
	tq_leave(tq_id('a'));
	tq_leave(tq_id('a'));
	ck_assert_uint_eq(tq_stat().bridges, 0);
	ck_assert_uint_eq(tq_stat().ranks, 0);
	ck_assert_uint_eq(tq_audit(job).returned, 10);
	tq_join(tq_id('b'), 1);
	r = tq_lease1(tq_id('b'), 10);
	ck_assert_uint_eq(r.expiries + r.deaths, 0);
}
END_TEST

START_TEST(pause_and_resume)
{
	struct ranq_lease_reply r;

	TQ_JOB(.tasks = 10);
	tq_join(tq_id('a'), 1);
	ranq_queue_pause_cmd(&tq.q, &tq.cmd, true);
	ck_assert_uint_eq(tq_control(), 1);
	ck_assert_str_eq(tq_bell(tq_id('a')), "look");
	r = tq_lease(tq_id('a'), 1);
	ck_assert(r.paused);
	ck_assert_uint_eq(r.n, 0);
	ranq_queue_pause_cmd(&tq.q, &tq.cmd, false);
	ck_assert_uint_eq(tq_control(), 1);
	ck_assert_str_eq(tq_bell(tq_id('a')), "work");
	ck_assert_uint_eq(tq_lease(tq_id('a'), 1).n, 1);
}
END_TEST

static void id_of(unsigned i, char id[33])
{
	snprintf(id, 33, "%032x", i);
}

START_TEST(drain_reaches_every_bridge)
{
	enum { BRIDGES = 1003 }; /* more than the elements of an ordinary reply */
	char id[33];
	for (unsigned i = 0; i < BRIDGES; i++) {
		id_of(i, id);
		tq_join(id, 1);
	}
	ranq_queue_bridges_cmd(&tq.q, &tq.cmd);
	tq_call();
	ck_assert_uint_eq(ranq_reply_count(tq.reply), BRIDGES);
	ranq_queue_drain_cmd(&tq.q, &tq.cmd, "all");
	ck_assert_uint_eq(tq_control(), BRIDGES);
	for (unsigned i = 0; i < BRIDGES; i++) {
		id_of(i, id);
		ck_assert_str_eq(tq_bell(id), "drain");
		ck_assert(tq_beat(id).drain);
	}
}
END_TEST

START_TEST(drain_reaches_the_bridges_meant)
{
	TQ_JOB(.tasks = 10);
	tq_join(tq_id('a'), 1);
	tq_join(tq_id('b'), 1);
	ranq_queue_drain_cmd(&tq.q, &tq.cmd, "aaaaaaaa");
	ck_assert_uint_eq(tq_control(), 1);
	ck_assert_str_eq(tq_bell(tq_id('a')), "drain");
	ck_assert(tq_beat(tq_id('a')).drain);
	ck_assert(!tq_beat(tq_id('b')).drain);
	ck_assert_uint_eq(tq_lease(tq_id('a'), 1).n, 0);
	ranq_queue_drain_cmd(&tq.q, &tq.cmd, "job-17");
	ck_assert_uint_eq(tq_control(), 2);
	ranq_queue_drain_cmd(&tq.q, &tq.cmd, "job-18");
	ck_assert_uint_eq(tq_control(), 0);
	tq_leave(tq_id('a'));
	tq_leave(tq_id('b'));
	tq_join(tq_id('a'), 1);
	ck_assert(!tq_beat(tq_id('a')).drain);
}
END_TEST

START_TEST(nothing_stays_behind)
{
	uint64_t job;
	struct ranq_range r;

	tq_join(tq_id('a'), 1);
	job = TQ_JOB(.tasks = 10);
	r = tq_lease1(tq_id('a'), 10);
	tq_commit(tq_id('a'), &r, 0, 0, 3);
	tq_commit_failed(tq_id('a'), &r, 3, 3, 5, "r");
	tq_release(tq_id('a'), &r, 5, 5, 6, RANQ_RELEASE_DRAINED);
	tq_fetch(job, false, 9, tq_id('d'));
	ck_assert_uint_eq(tq_remove(job), 1);
	ck_assert_str_eq(tq_bell(tq_id('d')), "look");
	while (tq_bell(tq_id('a'))[0])
		continue;
	tq_release(tq_id('a'), &r, 6, 6, 10, RANQ_RELEASE_DRAINED);
	tq_leave(tq_id('a'));
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

START_TEST(destroy_removes_a_queue_and_its_bridges_find_out)
{
	struct ranq_lease_reply out;

	tq_join(tq_id('a'), 1);
	for (int i = 0; i < 150; i++)
		ck_assert(TQ_JOB(.tasks = 5));
	tq_lease(tq_id('a'), 100);
	ranq_queue_destroy_cmd(&tq.q, &tq.cmd);
	ck_assert_uint_eq(tq_control(), 150);
	ranq_queue_lease_cmd(&tq.q, &tq.cmd, tq_id('a'), 1000, 1, 1, 0, -1, NULL);
	tq_call();
	ck_assert_int_eq(ranq_queue_lease_parse(tq.reply, &out, &tq.err), -1);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_GONE);
	tq_command("UNLINK %sbell:%s", tq.q.base, tq_id('a'));
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

START_TEST(jobs_and_bridges_are_listed)
{
	struct ranq_job_info info;
	struct ranq_bridge_info b;
	struct ranq_place place;

	TQ_JOB(.tasks = 1);
	TQ_JOB(.tasks = 2, .priority = -3);
	tq_join(tq_id('a'), 2);
	tq_lease1(tq_id('a'), 1);
	ranq_queue_jobs_cmd(&tq.q, &tq.cmd, 2, 100);
	tq_call();
	ck_assert_uint_eq(ranq_reply_count(tq.reply), 1);
	ck_assert_int_eq(ranq_queue_jobs_parse(tq.reply, 0, &info, &tq.err), 0);
	ck_assert_uint_eq(info.job, 2);
	ck_assert_int_eq(info.priority, -3);
	ck_assert_uint_eq(info.workers, 2);
	ck_assert_uint_eq(tq_info(0).job, 2);
	ranq_queue_bridges_cmd(&tq.q, &tq.cmd);
	tq_call();
	ck_assert_int_eq(ranq_queue_bridges_parse(tq.reply, 0, &b, &tq.err), 0);
	ck_assert_str_eq(b.id, tq_id('a'));
	ck_assert_str_eq(b.host, "node1");
	ck_assert_uint_eq(b.ranks, 2);
	ck_assert_uint_eq(b.fragments, 1);
	ck_assert_int_gt(b.left_ms, 10000);
	ranq_queue_places_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	ck_assert_int_eq(ranq_queue_places_parse(tq.reply, 0, &place, &tq.err), 0);
	ck_assert_uint_eq(place.end, 1);
	ck_assert_str_eq(place.bridge, tq_id('a'));
}
END_TEST

START_TEST(what_a_bridge_said_may_change)
{
	struct ranq_bridge_info b;

	tq_attach(0);
	tq_join(tq_id('a'), 6);
	tq_join(tq_id('b'), 1);
	for (int twice = 0; twice < 2; twice++) { /* said again, it is the same */
		ranq_queue_amend_cmd(&tq.q, &tq.cmd, tq_id('a'), 4, INT64_C(1795186819000));
		tq_call();
		ck_assert_int_eq(ranq_queue_amend_parse(tq.reply, &tq.err), 0);
		ck_assert_uint_eq(tq_stat().ranks, 5);
	}
	ranq_queue_bridges_cmd(&tq.q, &tq.cmd);
	tq_call();
	b.id[0] = '\0';
	for (size_t i = 0; i < 2 && strcmp(b.id, tq_id('a')) != 0; i++) /* in the order of their leases */
		ck_assert_int_eq(ranq_queue_bridges_parse(tq.reply, i, &b, &tq.err), 0);
	ck_assert_str_eq(b.id, tq_id('a'));
	ck_assert_uint_eq(b.ranks, 4);
	ck_assert_int_eq(b.end_ms, INT64_C(1795186819000));
	tq_leave(tq_id('a'));
	ck_assert_uint_eq(tq_stat().ranks, 1);
}
END_TEST

START_TEST(the_lease_belongs_to_the_queue)
{
	struct ranq_err err;

	tq_attach(5000);
	tq_join(tq_id('a'), 1);
	ck_assert_int_eq(tq_stat().lease_ms, 5000);
	ck_assert_int_eq(ranq_queue_attach(&tq.q, tq.conn, tq.q.mode, 6000, true, INT64_MAX, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_STATE);
	ck_assert_str_eq(err.text, "queue 't' is in use with a lease of 5 s, not 6 s");
	ck_assert_int_eq(ranq_queue_attach(&tq.q, tq.conn, tq.q.mode, 2999, true, INT64_MAX, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_USAGE);
	tq_attach(0);
	ck_assert_int_eq(tq.q.lease_ms, 5000);
	tq_leave(tq_id('a'));
	tq_attach(6000);
	tq_join(tq_id('a'), 1);
	ck_assert_int_eq(tq_stat().lease_ms, 6000);
}
END_TEST

START_TEST(attaching_and_looking_makes_no_key)
{
	ranq_queue_jobs_cmd(&tq.q, &tq.cmd, 0, 10);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ck_assert(!tq_stat().exists);
	ranq_queue_info_cmd(&tq.q, &tq.cmd, 0);
	ck_assert_int_eq(tq_code(), RANQ_ERR_NOTFOUND);
	ranq_queue_cancel_cmd(&tq.q, &tq.cmd, 1, "x");
	ck_assert_int_eq(tq_code(), RANQ_ERR_NOTFOUND);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {submit_is_atomic_and_repeatable, one_task_runs_from_end_to_end,
		commits_may_take_any_part_in_any_order, a_repeated_commit_counts_once,
		priority_first_then_order_of_submission, what_is_left_of_the_last_job,
		drained_ranges_come_back_first_and_grow_together,
		idle_bridges_are_rung, who_gets_less_than_its_idle_lanes_take_is_rung,
		the_end_of_a_job_rings_no_idle_bridge, a_submit_names_the_reader, beat_names_jobs_that_are_over, late_commits_of_a_cancelled_job_do_not_count,
		leave_gives_everything_back_without_blame, pause_and_resume, drain_reaches_the_bridges_meant, drain_reaches_every_bridge,
		nothing_stays_behind, destroy_removes_a_queue_and_its_bridges_find_out, jobs_and_bridges_are_listed,
		what_a_bridge_said_may_change,
		the_lease_belongs_to_the_queue, attaching_and_looking_makes_no_key};

	return test_queue_main("protocol", tests, sizeof tests / sizeof *tests);
}

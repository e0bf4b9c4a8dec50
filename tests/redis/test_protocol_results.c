/* Results and their readers, the consumer, back-pressure, streamed jobs, dependencies, retry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/input.h"
#include "tests/support/queue_driver.h"

#define A tq_id('a')
#define B tq_id('b')

START_TEST(readers_in_order_get_what_covers_the_index)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r;
	struct ranq_fetch_reply *f;

	tq_join(A, 1);
	r = tq_lease1(A, 100);
	tq_commit(A, &r, 0, 10, 20);
	f = tq_fetch(job, false, 0, "");
	ck_assert_uint_eq(f->n, 0);
	ck_assert(!f->finished);
	tq_commit(A, &r, 0, 0, 10);
	tq_commit(A, &r, 20, 30, 40);
	f = tq_fetch(job, false, 5, "");
	ck_assert_uint_eq(f->n, 2);
	ck_assert_uint_eq(f->items[0].start, 0);
	ck_assert_uint_eq(f->items[1].end, 20);
	ck_assert_int_eq(f->state, RANQ_JOB_RUNNING);
	tq_commit(A, &r, 20, 20, 30);
	tq_commit(A, &r, 40, 40, 100);
	f = tq_fetch(job, false, 20, "");
	ck_assert_uint_eq(f->n, 3);
	ck_assert(f->finished);
	f = tq_fetch(job, false, 100, "");
	ck_assert_uint_eq(f->n, 0);
	ck_assert(f->finished);
}
END_TEST

START_TEST(readers_as_they_come_follow_the_arrivals)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r;
	struct ranq_fetch_reply *f;

	tq_join(A, 1);
	r = tq_lease1(A, 100);
	tq_commit(A, &r, 0, 50, 60);
	tq_commit(A, &r, 0, 0, 10);
	f = tq_fetch(job, true, 0, "");
	ck_assert_uint_eq(f->n, 2);
	ck_assert_uint_eq(f->items[0].start, 50);
	ck_assert_uint_eq(f->items[1].start, 0);
	ck_assert_uint_eq(f->cursor, 2);
	ck_assert_uint_eq(tq_fetch(job, true, 2, "")->n, 0);
	ck_assert_uint_eq(tq_fetch(job, true, 77, "")->n, 2); /* a cursor from before a roll-back */
	tq_commit(A, &r, 10, 10, 50);
	tq_commit(A, &r, 60, 60, 100);
	f = tq_fetch(job, true, 2, "");
	ck_assert_uint_eq(f->n, 2);
	ck_assert(f->finished);
}
END_TEST

START_TEST(a_large_fetch_comes_in_slices)
{
	enum { EACH = 300000 };
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range r;
	struct ranq_fetch_reply *f;
	char *bytes = calloc(1, EACH);

	tq_join(A, 1);
	r = tq_lease1(A, 10);
	for (uint64_t i = 0; i < 10; i++)
		ck_assert(tq_commit_bytes(A, &r, i, i, i + 1, bytes, EACH));
	free(bytes);
	f = tq_fetch(job, false, 0, "");
	ck_assert_uint_eq(f->n, 3);
	ck_assert(!f->finished);
	f = tq_fetch(job, true, 3, "");
	ck_assert_uint_eq(f->n, 3);
	ck_assert_uint_eq(f->cursor, 6);
	ck_assert_uint_eq(tq_info(job).result_bytes, 10 * EACH);
	ck_assert_uint_eq(tq_stat().memory_bytes, 10 * EACH);
}
END_TEST

START_TEST(waiters_are_rung_for_what_they_wait_for)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r;
	struct ranq_lease_reply l;

	tq_join(A, 1);
	r = tq_lease1(A, 50);
	tq_fetch(job, false, 20, tq_id('d'));
	ranq_queue_watch_cmd(&tq.q, &tq.cmd, job, tq_id('e'));
	tq_call();
	l = tq_lease(A, 10);
	ck_assert(l.ranges[0].waited);
	tq_commit(A, &r, 0, 0, 20);
	ck_assert_str_eq(tq_bell(tq_id('d')), "");
	ck_assert_str_eq(tq_bell(tq_id('e')), "look");
	tq_commit(A, &r, 20, 20, 21);
	ck_assert_str_eq(tq_bell(tq_id('d')), "look");
	ck_assert_str_eq(tq_bell(tq_id('e')), "");
	tq_fetch(job, false, 99, tq_id('d'));
	tq_cancel(job);
	ck_assert_str_eq(tq_bell(tq_id('d')), "look");
}
END_TEST

START_TEST(gaps_of_a_cancelled_job_are_passed)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r;
	struct ranq_fetch_reply *f;

	tq_join(A, 1);
	r = tq_lease1(A, 100);
	tq_commit(A, &r, 0, 10, 20);
	tq_cancel(job);
	f = tq_fetch(job, false, 0, "");
	ck_assert_uint_eq(f->n, 1);
	ck_assert_uint_eq(f->items[0].start, 10);
	ck_assert(f->finished);
}
END_TEST

START_TEST(acknowledged_results_are_freed_and_named)
{
	uint64_t job = TQ_JOB(.tasks = 100), epoch, acked;
	struct ranq_range r;
	struct ranq_fetch_reply *f;
	struct ranq_bytes state = {"sum=7", 5}, stored;
	bool more;

	tq_join(A, 1);
	r = tq_lease1(A, 100);
	for (uint64_t i = 0; i < 100; i += 10)
		ck_assert(tq_commit(A, &r, i, i, i + 10));
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('d'));
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &stored, &tq.err), 0);
	ck_assert_uint_eq(epoch, 1);
	ranq_queue_ack_cmd(
		&tq.q, &tq.cmd, job, epoch, &state, (const uint64_t[][2]){{0, 15}, {40, 50}, {60, 80}, {50, 60}}, 4);
	tq_call();
	ck_assert_int_eq(ranq_queue_ack_parse(tq.reply, &more, &tq.err), 0);
	ck_assert(!more);
	ck_assert_uint_eq(tq_info(job).freed, 50);
	ck_assert_uint_eq(tq_info(job).result_items, 5);
	ck_assert_int_eq(tq_command("ZCARD %sj:1:ak", tq.q.base), 1); /* three intervals became one */
	f = tq_fetch(job, false, 0, "");
	ck_assert_uint_eq(f->freed_to, 15);
	ck_assert(f->items[0].freed && f->items[0].start == 0 && f->items[0].end == 10);
	ck_assert(!f->items[1].freed && f->items[1].start == 10);
	ck_assert_uint_eq(f->n, 7);
	ck_assert(f->items[4].freed && f->items[4].start == 40 && f->items[4].end == 80);
	ck_assert(f->finished);
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, epoch, NULL, (const uint64_t[][2]){{15, 40}}, 1);
	tq_call();
	ck_assert_int_eq(ranq_queue_ack_parse(tq.reply, &more, &tq.err), 0);
	ck_assert_uint_eq(tq_fetch(job, false, 0, "")->freed_to, 80);
	ck_assert_int_eq(tq_command("ZCARD %sj:1:ak", tq.q.base), 0);
	/* who only looks sees the same, and takes nothing over */
	ranq_queue_consumer_cmd(&tq.q, &tq.cmd, job);
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &stored, &tq.err), 0);
	ck_assert(epoch == 1 && acked == 80 && stored.len == 5);
	/* another consumer takes over: it gets the state, the first one is refused */
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('e'));
	tq_call();
	ck_assert_int_eq(ranq_queue_attach_consumer_parse(tq.reply, &epoch, &acked, &stored, &tq.err), 0);
	ck_assert_uint_eq(epoch, 2);
	ck_assert_uint_eq(acked, 80);
	ck_assert_uint_eq(stored.len, 5);
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, 1, &state, (const uint64_t[][2]){{80, 90}}, 1);
	tq_call();
	ck_assert_int_eq(ranq_queue_ack_parse(tq.reply, &more, &tq.err), -1);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_STATE);
	ck_assert_uint_eq(tq_info(job).result_bytes, strlen("80-90") + strlen("90-100"));
}
END_TEST

/* Bytes stored stay within the backlog; what was returned is given all the same; freeing lets the job go on and rings.
 */
START_TEST(unread_results_hold_new_tasks_only)
{
	enum { EACH = 10000, BACKLOG = 1000000 };
	uint64_t job = TQ_JOB(.tasks = 1000, .backlog = BACKLOG, .max_output = EACH), done = 0;
	char *bytes = calloc(1, EACH);
	struct ranq_lease_reply r;
	struct ranq_bytes none = {"", 0};

	tq_join(A, 1);
	for (;;) {
		r = tq_lease(A, 7);
		if (!r.n)
			break;
		for (uint64_t i = r.ranges[0].start; i < r.ranges[0].end; i++, done++)
			ck_assert(tq_commit_bytes(A, &r.ranges[0], i, i, i + 1, bytes, EACH));
		ck_assert_uint_le(tq_info(job).result_bytes, BACKLOG);
	}
	ck_assert(r.idle);
	ck_assert_uint_ge(done, 80);
	ck_assert(tq_info(job).held);
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, tq_id('d'));
	tq_call();
	while (tq_bell(A)[0])
		continue;
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, 1, &none, (const uint64_t[][2]){{0, 60}}, 1);
	tq_call();
	ck_assert(!tq_info(job).held);
	ck_assert_str_eq(tq_bell(A), "work 1");
	r = tq_lease(A, 500);
	ck_assert_uint_eq(r.n, 1);
	ck_assert_uint_le(r.ranges[0].end - r.ranges[0].start, 60);
	tq_release(A, &r.ranges[0], r.ranges[0].start, r.ranges[0].start, r.ranges[0].end, RANQ_RELEASE_DRAINED);
	tq_counter(1, "bytes", "99999999");
	ck_assert_uint_eq(tq_lease(A, 5).n, 1); /* it came back: given whatever lies there */
	free(bytes);
}
END_TEST

START_TEST(the_first_results_are_awaited_with_caution)
{
	uint64_t big = TQ_JOB(.tasks = 100000, .backlog = 64000000, .max_output = 16 << 20);
	uint64_t free_running = TQ_JOB(.tasks = 100000, .results = RANQ_RESULTS_NONE);
	struct ranq_lease_reply r;

	tq_join(A, 1);
	r = tq_lease(A, 100000);
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(r.ranges[0].job, big);
	ck_assert_uint_le(r.ranges[0].end, 61); /* were each a mebibyte, they would fit */
	ck_assert_uint_eq(r.ranges[1].job, free_running);
	ck_assert_uint_ge(r.ranges[1].end, 99939);
	ck_assert(!tq_info(big).held);
	r = tq_lease(A, 10); /* all that may be unknown is under way */
	ck_assert_uint_eq(r.n, 1);
	ck_assert_uint_eq(r.ranges[0].job, free_running);
	r.ranges[0] = (struct ranq_range){.job = big, .seq = 1};
	ck_assert(tq_commit_bytes(A, &r.ranges[0], 0, 0, 50, "u", 1));
	r = tq_lease(A, 700000);
	ck_assert_uint_eq(r.ranges[0].job, big);
	ck_assert_uint_ge(r.ranges[0].end - r.ranges[0].start, 600); /* they are small: more and more at a time */
}
END_TEST

START_TEST(all_results_together_are_limited_too)
{
	uint64_t a = TQ_JOB(.tasks = 10);
	struct ranq_range r;

	tq.q.result_limit = 5000;
	tq_join(A, 1);
	r = tq_lease1(A, 1);
	ck_assert(tq_commit_bytes(A, &r, 0, 0, 1, (char[6000]){0}, 6000));
	ck_assert_uint_eq(tq_lease(A, 10).n, 0);
	ck_assert(TQ_JOB(.tasks = 10));
	ck_assert_uint_eq(tq_lease(A, 10).n, 0);
	while (tq_bell(A)[0])
		continue;
	ck_assert_uint_eq(tq_remove(a), 1);
	ck_assert_str_eq(tq_bell(A), "work 2");
	ck_assert_uint_eq(tq_lease(A, 10).n, 1);
	ck_assert_uint_eq(tq_stat().memory_bytes, 0);
}
END_TEST

static void make_block(uint64_t lines, struct ranq_buf *out)
{
	struct ranq_input_writer w;

	ranq_input_writer_init(&w);
	for (uint64_t i = 0; i < lines; i++)
		ck_assert_int_eq(ranq_input_writer_add(&w, "x", 1, NULL), 1);
	ranq_buf_init(out, 0);
	ck_assert_int_eq(ranq_input_writer_finish(&w, out), 0);
	ranq_input_writer_clear(&w);
}

static enum ranq_err_code stage(const char *uuid, uint64_t first, uint64_t lines)
{
	struct ranq_buf block;
	enum ranq_err_code code;

	make_block(lines, &block);
	ranq_queue_stage_cmd(&tq.q, &tq.cmd, uuid, first, block.data, block.len);
	ranq_buf_clear(&block);
	tq_call();
	code = ranq_queue_stage_parse(tq.reply, &tq.err) ? tq.err.code : RANQ_ERR_OK;
	return code;
}

/* The first line of the range is in the block that comes with it. */
static void leased_with_block(uint64_t want, uint64_t first)
{
	struct ranq_lease_reply r = tq_lease_opt(A, want, 64, RANQ_LEASE_RECORD | RANQ_LEASE_LEFT, -1, NULL);
	struct ranq_bytes line;

	ck_assert_uint_eq(r.n, 1);
	ck_assert_uint_eq(r.input_first, first);
	ck_assert_int_eq(ranq_input_get(r.input.data, r.input.len, r.ranges[0].start - first, &line, &tq.err), 0);
	ck_assert_uint_eq(line.len, 1);
}

START_TEST(staged_input_is_taken_over_whole_or_not)
{
	const char *uuid = tq_id('c');
	struct ranq_input_reply *in = malloc(sizeof *in);
	struct ranq_bytes line;

	ck_assert_int_eq(stage(uuid, 300, 200), RANQ_ERR_OK);
	ck_assert_int_eq(stage(uuid, 300, 200), RANQ_ERR_OK);
	ck_assert_int_eq(stage(uuid, 299, 2), RANQ_ERR_INPUT);
	ck_assert_int_eq(stage(uuid, 499, 1), RANQ_ERR_INPUT);
	ck_assert_uint_eq(TQ_JOB(.tasks = 500, .uuid = uuid, .staged = true), 0);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_INPUT);
	ck_assert_int_eq(tq_command("EXISTS %sq", tq.q.base), 0);
	ck_assert_int_gt(tq_command("TTL %ss:%s", tq.q.base, uuid), 3000);
	ck_assert_int_eq(stage(uuid, 0, 300), RANQ_ERR_OK);
	ck_assert_uint_eq(TQ_JOB(.tasks = 500, .uuid = uuid, .staged = true), 1);
	ck_assert_int_eq(tq_command("TTL %sj:1:in", tq.q.base), -1);
	ck_assert_int_eq(tq_command("TTL %sj:1:inx", tq.q.base), -1);
	ranq_queue_input_cmd(&tq.q, &tq.cmd, 1, 299, 301, 1 << 20);
	tq_call();
	ck_assert_int_eq(ranq_queue_input_parse(tq.reply, in, &tq.err), 0);
	ck_assert_uint_eq(in->n, 2);
	ck_assert_uint_eq(in->blocks[1].first, 300);
	ck_assert_int_eq(ranq_input_get(in->blocks[0].block.data, in->blocks[0].block.len, 299, &line, &tq.err), 0);
	ranq_queue_input_cmd(&tq.q, &tq.cmd, 1, 299, 301, 1);
	tq_call();
	ck_assert_int_eq(ranq_queue_input_parse(tq.reply, in, &tq.err), 0);
	ck_assert_uint_eq(in->n, 1);
	free(in);
	tq_join(A, 1);
	leased_with_block(301, 0);
	leased_with_block(100, 300);
	ck_assert_uint_eq(tq_lease(A, 99).n, 1); /* nobody asked for it */
	ck_assert_uint_eq(tq_remove(1), 1);
	tq_leave(A);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

static int append(uint64_t job, const char *uuid, uint64_t batch, uint64_t lines, uint64_t *tasks)
{
	struct ranq_buf block;
	struct ranq_bytes b;
	bool held;

	if (lines)
		make_block(lines, &block);
	else
		ranq_buf_init(&block, 0);
	b = (struct ranq_bytes){block.data, block.len};
	ranq_queue_append_cmd(&tq.q, &tq.cmd, job, uuid, batch, lines, &b, &lines, lines ? 1 : 0);
	ranq_buf_clear(&block);
	tq_call();
	return ranq_queue_append_parse(tq.reply, tasks, &held, &tq.err);
}

START_TEST(a_streamed_job_grows_by_batches_once_each)
{
	const char *uuid = tq_id('c');
	uint64_t job = TQ_JOB(.open = true, .uuid = uuid), tasks;
	struct ranq_range r;

	tq_join(A, 1);
	ck_assert(tq_lease(A, 5).idle);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_OPEN);
	ck_assert_int_eq(append(job, uuid, 0, 10, &tasks), 0);
	ck_assert_int_eq(append(job, uuid, 0, 10, &tasks), 0);
	ck_assert_uint_eq(tasks, 10);
	ck_assert_str_eq(tq_bell(A), "work 1"); /* the job that has some */
	ck_assert_int_eq(append(job, uuid, 2, 10, &tasks), -1);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_STATE);
	ck_assert_int_eq(append(job, tq_id('d'), 1, 10, &tasks), -1);
	r = tq_lease1(A, 100);
	ck_assert_uint_eq(r.end, 10);
	ck_assert(tq_commit(A, &r, 0, 0, 10));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_OPEN); /* all done, but more may come */
	ck_assert_int_eq(append(job, uuid, 1, 5, &tasks), 0);
	ck_assert_uint_eq(tasks, 15);
	ranq_queue_close_cmd(&tq.q, &tq.cmd, job, uuid, 3, NULL);
	ck_assert_int_eq(tq_code(), RANQ_ERR_STATE); /* it has two: it must have lost one */
	ck_assert(tq_info(job).open);
	ranq_queue_close_cmd(&tq.q, &tq.cmd, job, uuid, 2, NULL);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ck_assert_int_eq(append(job, uuid, 1, 5, &tasks), 0); /* late repetition */
	ck_assert_int_eq(append(job, uuid, 2, 5, &tasks), -1);
	r = tq_lease1(A, 100);
	ck_assert(tq_commit(A, &r, 10, 10, 15));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
}
END_TEST

START_TEST(a_lost_producer_ends_the_input)
{
	const char *uuid = tq_id('c');
	uint64_t job = TQ_JOB(.open = true, .uuid = uuid), tasks;
	struct ranq_range r;

	tq_join(A, 1);
	ck_assert_int_eq(append(job, uuid, 0, 10, &tasks), 0);
	r = tq_lease1(A, 100);
	for (int i = 0; i < 10; i++) {
		tq_pass(9000);
		tq_beat(A);
		ck_assert_int_eq(append(job, uuid, 1, 0, &tasks), 0); /* a sign of life */
	}
	ck_assert(tq_info(job).open);
	for (int i = 0; i < 10; i++) {
		tq_pass(9000);
		tq_beat(A);
	}
	ck_assert(!tq_info(job).open);
	ck_assert(tq_commit(A, &r, 0, 0, 10));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
	ck_assert_str_eq(tq_info(job).reason, "input ended at task 10: nothing more was heard of its submitter");
}
END_TEST

START_TEST(dependencies)
{
	uint64_t first = TQ_JOB(.tasks = 1), second = TQ_JOB(.tasks = 1);
	uint64_t both = TQ_JOB(.tasks = 2, .after = {first, second}, .nafter = 2);
	uint64_t last = TQ_JOB(.tasks = 1, .after = {both}, .nafter = 1);
	struct ranq_lease_reply r;

	ck_assert_uint_eq(TQ_JOB(.tasks = 1, .after = {99}, .nafter = 1), 0);
	ck_assert_int_eq(tq.err.code, RANQ_ERR_NOTFOUND);
	tq_join(A, 1);
	ck_assert_int_eq(tq_info(both).state, RANQ_JOB_DEFERRED);
	r = tq_lease(A, 10);
	ck_assert_uint_eq(r.n, 2);
	ck_assert(tq_commit(A, &r.ranges[0], 0, 0, 1));
	ck_assert_int_eq(tq_info(both).state, RANQ_JOB_DEFERRED);
	ck_assert(tq_commit_failed(A, &r.ranges[1], 0, 0, 1, "r"));
	ck_assert_int_eq(tq_info(both).state, RANQ_JOB_IMPOSSIBLE);
	ck_assert_int_eq(tq_info(last).state, RANQ_JOB_IMPOSSIBLE);
	ck_assert_str_eq(tq_info(both).reason, "job 2 ended ERROR");
	ck_assert_uint_eq(tq_retry(second, true), 1);
	ck_assert_int_eq(tq_info(both).state, RANQ_JOB_DEFERRED);
	ck_assert_int_eq(tq_info(last).state, RANQ_JOB_DEFERRED);
	ck_assert(tq_lease(A, 0 + 1).n == 1);
	r.ranges[0] = (struct ranq_range){.job = second, .seq = tq.seq};
	ck_assert(tq_commit(A, &r.ranges[0], 0, 0, 1));
	ck_assert_int_eq(tq_info(both).state, RANQ_JOB_PENDING);
	r = tq_lease(A, 10);
	ck_assert_uint_eq(r.n, 1);
	ck_assert(tq_commit(A, &r.ranges[0], 0, 0, 2));
	ck_assert_int_eq(tq_info(last).state, RANQ_JOB_PENDING);
	ck_assert_int_eq(tq_info(TQ_JOB(.tasks = 1, .after = {both}, .nafter = 1)).state, RANQ_JOB_PENDING);
}
END_TEST

START_TEST(failed_tasks_run_again_in_a_later_round)
{
	uint64_t job = TQ_JOB(.tasks = 10), s, e;
	struct ranq_range r;
	struct ranq_bytes item;

	tq_join(A, 1);
	r = tq_lease1(A, 10);
	ck_assert(tq_commit_failed(A, &r, 0, 0, 4, "rec"));
	ck_assert(tq_commit(A, &r, 4, 4, 10));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
	ck_assert_str_eq(tq_info(job).reason, "4 of 10 tasks failed");
	ck_assert_uint_eq(tq_retry(job, true), 4);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_RUNNING);
	tq_audit(job);
	r = tq_lease1(A, 10);
	ck_assert_uint_eq(r.end, 4);
	ck_assert(tq_commit(A, &r, 0, 0, 3));
	ck_assert(tq_commit_failed(A, &r, 3, 3, 4, "rec"));
	ck_assert_str_eq(tq_info(job).reason, "1 of 10 tasks failed");
	ck_assert_uint_eq(tq_info(job).round, 1);
	ck_assert_uint_eq(tq_retry(job, false), 1);
	r = tq_lease1(A, 10);
	ck_assert(tq_commit(A, &r, 3, 3, 4));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
	ck_assert_uint_eq(tq_retry(job, true), 0);
	ranq_queue_overlay_cmd(&tq.q, &tq.cmd, job, 2, 10);
	tq_call();
	ck_assert_uint_eq(ranq_reply_count(tq.reply), 9);
	ck_assert_int_eq(ranq_queue_overlay_parse(tq.reply, 2, &s, &e, &item, &tq.err), 0);
	ck_assert(s == 3 && e == 4 && item.len == 3 && !memcmp(item.data, "3-4", 3));
	ck_assert_uint_eq(tq_remove(job), 1);
	tq_leave(A);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

START_TEST(many_failures_are_retried_in_bounded_calls)
{
	uint64_t job = TQ_JOB(.tasks = 3000, .results = RANQ_RESULTS_COUNT), n;
	struct ranq_range r;
	bool more;

	tq_join(A, 1);
	r = tq_lease1(A, 3000);
	for (uint64_t i = 0; i < 3000; i += 50)
		ck_assert(tq_commit_failed(A, &r, i, i, i + 50, "rec"));
	ranq_queue_retry_cmd(&tq.q, &tq.cmd, job, true, NULL, 0);
	tq_call();
	ck_assert_int_eq(ranq_queue_control_parse(tq.reply, &n, &more, &tq.err), 0);
	ck_assert_uint_eq(n, 1000);
	ck_assert(more);
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
	tq_audit(job);
	ck_assert_uint_eq(tq_lease(A, 10).n, 0);
	ck_assert_uint_eq(tq_retry(job, true), 2000);
	ck_assert_uint_eq(tq_audit(job).returned, 3000);
	ck_assert_uint_eq(tq_info(job).round, 1);
}
END_TEST

START_TEST(a_retry_in_several_calls_counts_each_task_once)
{
	uint64_t job = TQ_JOB(.tasks = 4000, .results = RANQ_RESULTS_COUNT);
	struct ranq_range r;

	tq_join(A, 1);
	r = tq_lease1(A, 3000);
	for (uint64_t i = 0; i < 3000; i += 50)
		ck_assert(tq_commit_failed(A, &r, i, i, i + 50, "rec"));
	tq_cancel(job);
	ck_assert_uint_eq(tq_retry(job, false), 4000);
	tq_audit(job);
}
END_TEST

/* Results that nobody can read are made again; what failed goes with them, what runs or was acknowledged does not count twice. */
START_TEST(results_that_are_given_up)
{
	static const uint64_t tasks[] = {0, 5, 6, 9, 77, 5};
	uint64_t job = TQ_JOB(.tasks = 10), n;
	struct ranq_range r;
	bool more;

	tq_join(A, 1);
	r = tq_lease1(A, 10);
	ck_assert(tq_commit(A, &r, 0, 0, 6));
	ranq_queue_retry_cmd(&tq.q, &tq.cmd, job, true, tasks, 6);
	ck_assert_int_eq(tq_code(), RANQ_ERR_STATE); /* it runs */
	ck_assert(tq_commit_failed(A, &r, 6, 6, 7, "rec"));
	ck_assert(tq_commit(A, &r, 7, 7, 10));
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job, A);
	tq_call();
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job, 1, NULL, (const uint64_t[][2]){{0, 2}, {9, 10}}, 2);
	tq_call();
	ranq_queue_retry_cmd(&tq.q, &tq.cmd, job, true, tasks, 6);
	tq_call();
	ck_assert_int_eq(ranq_queue_control_parse(tq.reply, &n, &more, &tq.err), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(tq_audit(job).returned, 2);
	ck_assert_uint_eq(tq_info(job).counts[1], 0);
	r = tq_lease1(A, 10);
	ck_assert(r.start == 5 && r.end == 7);
	ck_assert(tq_commit(A, &r, 5, 5, 7));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
	tq_audit(job);
}
END_TEST

/* A bridge has it still: whether it is done is not known. */
START_TEST(nothing_is_given_up_while_a_bridge_holds_tasks)
{
	uint64_t job = TQ_JOB(.tasks = 10);
	struct ranq_range r;

	tq_join(A, 1);
	r = tq_lease1(A, 10);
	tq_cancel(job);
	ranq_queue_retry_cmd(&tq.q, &tq.cmd, job, true, &r.start, 1);
	ck_assert_int_eq(tq_code(), RANQ_ERR_STATE);
	tq_audit(job);
}
END_TEST

START_TEST(a_cancelled_job_goes_on_after_retry)
{
	uint64_t job = TQ_JOB(.tasks = 100);
	struct ranq_range r, late;

	tq_join(A, 1);
	r = tq_lease1(A, 20);
	ck_assert(tq_commit_failed(A, &r, 0, 0, 1, "rec"));
	ck_assert(tq_commit(A, &r, 1, 1, 5));
	tq_cancel(job);
	tq_release(A, &r, 5, 10, 20, RANQ_RELEASE_DRAINED);
	/* the failed one only: what never ran is left out, and what a bridge still holds may still come */
	ck_assert_uint_eq(tq_retry(job, true), 1);
	tq_audit(job);
	late = tq_lease1(A, 100);
	ck_assert(late.start == 0 && late.end == 1);
	ck_assert_uint_eq(tq_lease(A, 100).n, 0);
	ck_assert(tq_commit(A, &late, 0, 0, 1));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_RUNNING);
	ck_assert(tq_commit(A, &r, 5, 5, 10));
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_ERROR);
	ck_assert_str_eq(tq_info(job).reason, "90 of 100 tasks never ran");
	tq_audit(job);
	ck_assert_uint_eq(tq_retry(job, false), 90);
	tq_audit(job);
	for (int i = 0; i < 2; i++) {
		late = tq_lease1(A, i ? 100 : 10);
		ck_assert(tq_commit(A, &late, late.start, late.start, late.end));
	}
	ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
}
END_TEST

START_TEST(requirements_and_time_are_respected)
{
	uint64_t job = TQ_JOB(.tasks = 10, .require = "gpu"), slow = TQ_JOB(.tasks = 10, .time_request_ms = 60000);
	struct ranq_lease_reply r;

	tq_join(A, 1);
	ck_assert_uint_eq(tq_lease_opt(A, 20, 5, 0, 59999, "fat,gpus").n, 0);
	r = tq_lease_opt(A, 20, 5, 0, 60000, "fat");
	ck_assert_uint_eq(r.n, 1);
	ck_assert_uint_eq(r.ranges[0].job, slow);
	r = tq_lease_opt(A, 20, 5, 0, 1, "fat,gpu");
	ck_assert_uint_eq(r.n, 1);
	ck_assert_uint_eq(r.ranges[0].job, job);
}
END_TEST

START_TEST(jobs_expire_and_blobs_with_them)
{
	enum { MORE = 3 };
	char hash[65];
	struct ranq_spec spec;
	struct ranq_submit s = {.uuid = tq_id('c'), .spec = &spec, .tasks = 1};
	char *part = calloc(1, RANQ_BLOB_PART_BYTES);
	struct ranq_bytes data;
	bool all;

	memset(hash, 'e', 64);
	hash[64] = '\0';
	ranq_queue_blob_put_cmd(&tq.q, &tq.cmd, hash, 0, RANQ_BLOB_PART_BYTES + MORE, part, RANQ_BLOB_PART_BYTES);
	tq_call();
	ck_assert_int_eq(ranq_queue_blob_put_parse(tq.reply, &all, &tq.err), 0);
	ck_assert(!all);
	ranq_queue_blob_put_cmd(&tq.q, &tq.cmd, hash, 1, RANQ_BLOB_PART_BYTES + MORE, "xyz", MORE);
	tq_call();
	ck_assert_int_eq(ranq_queue_blob_put_parse(tq.reply, &all, &tq.err), 0);
	ck_assert(all);
	free(part);
	ranq_queue_blob_put_cmd(&tq.q, &tq.cmd, hash, 0, RANQ_BLOB_PART_BYTES + MORE, "", 0);
	tq_call();
	ck_assert_int_eq(ranq_queue_blob_put_parse(tq.reply, &all, &tq.err), 0);
	ck_assert(all);
	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_FUNCTION;
	spec.function = strdup("f");
	spec.module_hash = strdup(hash);
	spec.ttl_ms = 30000;
	ck_assert_int_eq(ranq_queue_submit_cmd(&tq.q, &tq.cmd, &s, &tq.err), 0);
	ranq_spec_clear(&spec);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ranq_queue_blob_get_cmd(&tq.q, &tq.cmd, hash, 1);
	tq_call();
	ck_assert_int_eq(ranq_queue_blob_get_parse(tq.reply, &data, &tq.err), 0);
	ck_assert_uint_eq(data.len, MORE);
	ck_assert_int_eq(tq_command("TTL %sblob:%s", tq.q.base, hash), -1);
	tq_cancel(1);
	tq_join(A, 1);
	for (int i = 0; i < 15 && tq_stat().jobs; i++) {
		tq_pass(3000);
		tq_beat(A);
	}
	ck_assert_uint_eq(tq_stat().jobs, 0);
	tq_leave(A);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {readers_in_order_get_what_covers_the_index,
		readers_as_they_come_follow_the_arrivals, a_large_fetch_comes_in_slices,
		waiters_are_rung_for_what_they_wait_for, gaps_of_a_cancelled_job_are_passed,
		acknowledged_results_are_freed_and_named, unread_results_hold_new_tasks_only,
		the_first_results_are_awaited_with_caution, all_results_together_are_limited_too,
		staged_input_is_taken_over_whole_or_not, a_streamed_job_grows_by_batches_once_each,
		a_lost_producer_ends_the_input, dependencies, failed_tasks_run_again_in_a_later_round,
		many_failures_are_retried_in_bounded_calls, a_retry_in_several_calls_counts_each_task_once,
		results_that_are_given_up, nothing_is_given_up_while_a_bridge_holds_tasks,
		a_cancelled_job_goes_on_after_retry,
		requirements_and_time_are_respected, jobs_expire_and_blobs_with_them};

	return test_queue_main("protocol results", tests, sizeof tests / sizeof *tests);
}

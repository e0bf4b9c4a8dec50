/* The queue floor without a server: names, ids, the mirror of held ranges, SHA-1, replies that mean nothing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/held.h"
#include "queue/queue.h"
#include "queue/sha1.h"
#include "store/resp.h"
#include "tests/support/check_loop.h"

START_TEST(queue_names)
{
	static const char *const good[] = {"a", "default", "A.b_c-9", "_x", "0"}, *const bad[] = {"", "{x}", "a b",
											  "a\nb", "../x", "-x", ".x",
											  "a*", "a:b", "\xc3\xa9",
											  "a%s"};
	char text[80];
	struct ranq_queue q;
	struct ranq_err err;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert_int_eq(ranq_queue_init(&q, good[i], &err), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(ranq_queue_name_check(bad[i], &err), -1);
		ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	}
	ck_assert_int_eq(ranq_queue_name_check(NULL, NULL), -1);
	memset(text, 'x', 65);
	text[65] = '\0';
	ck_assert_int_eq(ranq_queue_name_check(text, &err), -1);
	text[64] = '\0';
	ck_assert_int_eq(ranq_queue_init(&q, text, &err), 0);
	ck_assert_uint_eq(strlen(q.base), 64 + 8);
}
END_TEST

START_TEST(ids_are_random_hex)
{
	char a[RANQ_ID_LEN + 1], b[RANQ_ID_LEN + 1];

	ranq_id_new(a);
	ranq_id_new(b);
	ck_assert_uint_eq(strspn(a, "0123456789abcdef"), RANQ_ID_LEN);
	ck_assert_uint_eq(strlen(a), RANQ_ID_LEN);
	ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(states)
{
	int final = 0;

	for (int s = 0; s < RANQ_JOB_STATE_COUNT; s++)
		final += ranq_job_state_is_final((enum ranq_job_state)s);
	ck_assert_int_eq(final, 4);
	ck_assert_str_eq(ranq_job_state_name(RANQ_JOB_DEFERRED), "DEFERRED");
	ck_assert_str_eq(ranq_job_state_name((enum ranq_job_state)77), "?");
}
END_TEST

/* Vectors of FIPS 180. */
START_TEST(sha1)
{
	char hex[41], *million = malloc(1000000);

	ranq_sha1_hex("", 0, hex);
	ck_assert_str_eq(hex, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	ranq_sha1_hex("abc", 3, hex);
	ck_assert_str_eq(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
	ranq_sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
	ck_assert_str_eq(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	memset(million, 'a', 1000000);
	ranq_sha1_hex(million, 1000000, hex);
	ck_assert_str_eq(hex, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	free(million);
}
END_TEST

/* ---- held
 * ------------------------------------------------------------------------------------------------------------- */

enum { SPAN = 200, TOKENS = 3 };

struct model {
	unsigned char piece[TOKENS][SPAN]; /* 0: not held; else number of the fragment, changing at its bounds */
};

static void check_mirror(const struct ranq_held *held, const struct model *m)
{
	static struct ranq_fragment list[TOKENS * SPAN];
	uint64_t tasks = 0;
	size_t n = 0;

	for (int t = 0; t < TOKENS; t++)
		for (int k = 0; k < SPAN; k++) {
			tasks += m->piece[t][k] != 0;
			n += m->piece[t][k] && (!k || m->piece[t][k - 1] != m->piece[t][k]);
		}
	MUST(ranq_held_tasks(held) == tasks);
	MUST(ranq_held_count(held) == n);
	ranq_held_list(held, list);
	for (size_t i = 0; i < n; i++)
		for (uint64_t k = list[i].start; k < list[i].end; k++) {
			MUST(list[i].at == list[i].start);
			MUST(m->piece[list[i].seq][k] != 0);
			MUST(m->piece[list[i].seq][k] == m->piece[list[i].seq][list[i].start]);
		}
}

/* Takes [s, e) of token t in the model: whether it lies in one piece, and where that begins. */
static bool model_take(struct model *m, int t, uint64_t s, uint64_t e, uint64_t *at, unsigned char *fresh)
{
	unsigned char id = m->piece[t][s];
	uint64_t end = e;

	for (uint64_t k = s; k < e; k++)
		if (!id || m->piece[t][k] != id)
			return false;
	*at = s;
	while (*at > 0 && m->piece[t][*at - 1] == id)
		--*at;
	while (end < SPAN && m->piece[t][end] == id)
		m->piece[t][end++] = *fresh;
	++*fresh;
	memset(&m->piece[t][s], 0, e - s);
	return true;
}

START_TEST(the_mirror_behaves_as_a_table)
{
	srand(7);
	for (int round = 0; round < 200; round++) {
		struct ranq_held *held = ranq_held_create();
		struct model m = {0};
		unsigned char fresh = 10;

		for (int t = 0; t < TOKENS; t++) {
			uint64_t s = (uint64_t)rand() % 50, e = s + 1 + (uint64_t)rand() % 140;

			MUST(ranq_held_add(held,
				     &(struct ranq_range){.job = 5, .seq = (uint64_t)t, .start = s, .end = e}) == 0);
			memset(&m.piece[t][s], t + 1, e - s);
		}
		for (int step = 0; step < 100; step++) {
			int t = rand() % TOKENS;
			uint64_t s = (uint64_t)rand() % (SPAN - 1), e = s + 1 + (uint64_t)rand() % 12, at = 0, want = 0;
			bool has;

			if (e > SPAN)
				continue;
			has = model_take(&m, t, s, e, &want, &fresh);
			MUST(ranq_held_take(held, 5, (uint64_t)t, s, e, &at) == (has ? 0 : -1));
			MUST(at == want);
			check_mirror(held, &m);
		}
		ranq_held_destroy(held);
	}
}
END_TEST

/* Each part is in one page, windows join, and no part reaches into the next one while there is a place to cut. */
START_TEST(pages_of_a_list)
{
	static const struct {
		struct ranq_fragment list[6]; /* sorted */
		size_t max, n[6];
	} table[] = {{{{.job = 0}}, 2, {0}}, {{{.job = 1, .start = 5, .end = 6}}, 1, {1}},
		{{{.job = 1, .end = 6}, {.job = 1, .start = 6, .end = 9}, {.job = 1, .start = 9, .end = 10}}, 2,
			{2, 1}},
		{{{.job = 1, .end = 6}, {.job = 1, .start = 6, .end = 90}, {.job = 1, .start = 9, .end = 10}}, 2,
			{1, 2}},
		{{{.job = 1, .end = 6}, {.job = 1, .start = 4, .end = 90}, {.job = 1, .start = 9, .end = 10}}, 2,
			{2, 1}},
		{{{.job = 1, .end = 99}, {.job = 2, .end = 1}, {.job = 2, .start = 1, .end = 2}, {.job = 3, .end = 1}},
			1, {1, 1, 1, 1}},
		{{{.job = 1, .end = 9}, {.job = 1, .end = 9}, {.job = 1, .end = 9}, {.job = 2, .end = 1}}, 3, {3, 1}}};

	for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
		struct ranq_resync_page page = {0};
		size_t n = 0, k = 0, from = 0;
		uint64_t job = 0, start = 0;

		while (n < 6 && table[t].list[n].job)
			n++;
		for (; ranq_held_page(table[t].list, n, table[t].max, &page); k++) {
			ck_assert_uint_eq(page.first, from);
			ck_assert_uint_eq(page.n, table[t].n[k]);
			ck_assert(page.from_job == job && page.from == start);
			from += page.n;
			job = page.to_job;
			start = page.to;
			ck_assert(page.last || (job == table[t].list[from].job && start == table[t].list[from].start));
		}
		ck_assert_uint_eq(from, n);
		ck_assert_uint_eq(job, RANQ_TASKS_MAX);
		ck_assert(k > 0 && (k == 6 || table[t].n[k] == 0));
	}
}
END_TEST

START_TEST(the_mirror_drops_fragments_and_jobs)
{
	struct ranq_held *held = ranq_held_create();
	struct ranq_fragment out[2];
	uint64_t jobs[4], at;
	size_t n;

	for (uint64_t j = 1; j <= 3; j++)
		for (uint64_t s = 0; s < 3; s++)
			ranq_held_add(
				held, &(struct ranq_range){.job = j, .seq = 9, .start = 10 * s, .end = 10 * s + 5});
	ck_assert_uint_eq(ranq_held_jobs(held, 0, jobs, 4), 3);
	ck_assert_uint_eq(jobs[2], 3);
	ck_assert_uint_eq(ranq_held_jobs(held, 0, jobs, 2), 2);
	ck_assert_uint_eq(ranq_held_jobs(held, jobs[1], jobs, 2), 1);
	ck_assert_uint_eq(jobs[0], 3);
	ck_assert(ranq_held_job(held, 1) && ranq_held_job(held, 3));
	ck_assert(!ranq_held_job(held, 0) && !ranq_held_job(held, 4));
	ranq_held_drop(held, 2, 9, 10);
	ranq_held_drop(held, 2, 9, 11);
	ranq_held_drop(held, 2, 8, 0);
	ck_assert_uint_eq(ranq_held_count(held), 8);
	ck_assert_int_eq(ranq_held_take(held, 2, 9, 10, 12, &at), -1);
	ck_assert_int_eq(ranq_held_take(held, 2, 9, 20, 20, &at), -1);
	ranq_held_drop_job(held, 1, out, &n, 2);
	ck_assert_uint_eq(n, 2);
	ranq_held_drop_job(held, 1, out, &n, 2);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(out[0].start, 20);
	ck_assert_uint_eq(ranq_held_tasks(held), 25);
	ck_assert_int_eq(ranq_held_add(held, &(struct ranq_range){.job = 1, .start = 5, .end = 5}), -1);
	/* a fragment of which something was taken meanwhile: job 3, [10, 15) */
	ck_assert_int_eq(ranq_held_take(held, 3, 9, 11, 13, &at), 0);
	ranq_held_drop_range(held, 3, 9, 10, 15);
	ck_assert_uint_eq(ranq_held_tasks(held), 20);
	ck_assert_int_eq(ranq_held_take(held, 3, 9, 10, 11, &at), -1);
	ck_assert_int_eq(ranq_held_take(held, 3, 9, 13, 15, &at), -1);
	ck_assert_int_eq(ranq_held_take(held, 3, 9, 0, 5, &at), 0);
	ck_assert_int_eq(ranq_held_take(held, 3, 9, 20, 25, &at), 0);
	ranq_held_destroy(held);
	ranq_held_destroy(NULL);
}
END_TEST

/* ---- replies
 * ----------------------------------------------------------------------------------------------------------- */

static struct ranq_reply *decode(const char *text)
{
	struct ranq_resp resp;
	struct ranq_reply *reply = NULL;

	ck_assert_int_eq(ranq_resp_init(&resp, NULL), 0);
	ck_assert_int_eq(ranq_resp_feed(&resp, text, strlen(text), NULL), 0);
	ck_assert_int_eq(ranq_resp_next(&resp, &reply, NULL), 0);
	ck_assert_ptr_nonnull(reply);
	ranq_resp_clear(&resp);
	return reply;
}

/* Every parser on one reply; returns how many took it. */
static int parse_all(const struct ranq_reply *r)
{
	static struct ranq_lease_reply lease;
	static struct ranq_commit_reply commit;
	static struct ranq_beat_reply beat;
	static struct ranq_fetch_reply fetch;
	static struct ranq_input_reply input;
	static size_t gone[RANQ_CALL_ITEMS_MAX];
	static struct ranq_job_info info;
	struct ranq_queue q;
	const struct ranq_queue *queues[] = {&q};
	struct ranq_queue_info stat;
	struct ranq_bridge_info bridge;
	struct ranq_audit audit;
	struct ranq_place place;
	struct ranq_bytes bytes;
	enum ranq_job_state state;
	uint64_t a, b;
	size_t n;
	int64_t ms;
	int which, ok = 0;
	bool flag;
	struct ranq_err err;

	ranq_queue_init(&q, "t", NULL);
	ok += !ranq_queue_stage_parse(r, &err);
	ok += !ranq_queue_blob_put_parse(r, &flag, &err);
	ok += !ranq_queue_blob_get_parse(r, &bytes, &err);
	ok += !ranq_queue_submit_parse(r, &a, &flag, &err);
	ok += !ranq_queue_append_parse(r, &a, &flag, &err);
	ok += !ranq_queue_close_parse(r, &err);
	ok += !ranq_queue_join_parse(r, &ms, &err);
	ok += !ranq_queue_lease_parse(r, &lease, &err);
	ok += !ranq_queue_spec_parse(r, &bytes, &state, &err);
	ok += !ranq_queue_input_parse(r, &input, &err);
	ok += !ranq_queue_commit_parse(r, &commit, &err);
	ok += !ranq_queue_release_parse(r, &err);
	ok += !ranq_queue_beat_parse(r, &beat, &err);
	ok += !ranq_queue_resync_parse(r, &n, gone, &err);
	ok += !ranq_queue_leave_parse(r, &flag, &err);
	ok += !ranq_queue_bell_parse(r, queues, 1, &which, &bytes, &err);
	ok += !ranq_queue_info_parse(r, &info, &err);
	ok += !ranq_queue_jobs_parse(r, 0, &info, &err);
	ok += !ranq_queue_stat_parse(r, &stat, &err);
	ok += !ranq_queue_bridges_parse(r, 0, &bridge, &err);
	ok += !ranq_queue_failures_parse(r, 0, &a, &bytes, &err);
	ok += !ranq_queue_audit_parse(r, &audit, &err);
	ok += !ranq_queue_places_parse(r, 0, &place, &err);
	ok += !ranq_queue_fetch_parse(r, &fetch, &err);
	ok += !ranq_queue_overlay_parse(r, 0, &a, &b, &bytes, &err);
	ok += !ranq_queue_attach_consumer_parse(r, &a, &b, &bytes, &err);
	ok += !ranq_queue_ack_parse(r, &flag, &err);
	ok += !ranq_queue_control_parse(r, &a, &flag, &err);
	return ok;
}

START_TEST(no_parser_takes_what_means_nothing)
{
	static const char *const replies[] = {"-ERR x\r\n", "-\r\n", "+OK\r\n", ":-1\r\n", "*0\r\n", "*1\r\n*0\r\n",
		"*2\r\n$1\r\nx\r\n$-1\r\n", "*5\r\n:0\r\n:0\r\n:0\r\n:1\r\n:65\r\n",
		"*5\r\n:0\r\n:0\r\n:0\r\n:1\r\n:-1\r\n", "*5\r\n:0\r\n:0\r\n:0\r\n:1\r\n:9223372036854775807\r\n"};
	int taken = 0;

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		struct ranq_reply *r = decode(replies[i]);

		taken = parse_all(r);
		/* the last three are lists of numbers, which some replies are */
		ck_assert_msg(i >= 7 ? taken <= 4 : taken == 0 || i == 4, "%zu taken by %d", i, taken);
		ranq_reply_destroy(r);
	}
	ck_assert_int_eq(parse_all(NULL), 0);
}
END_TEST

/* Random trees: nothing may be read outside of a reply (this is what the sanitizers watch). */
static void random_reply(struct ranq_buf *out, int depth)
{
	static const char *const texts[] = {
		"", "PENDING", "RUNNING", "0101", "ranq:{t}:bell:x", "9007199254740993", "-5", "x"};
	int what = rand() % (depth ? 3 : 2), n;

	if (depth == 2)
		what = rand() % 10 ? 2 : what;
	if (what == 0) {
		ranq_buf_printf(out, ":%d\r\n", rand() % 4 ? rand() % 5 : rand() - RAND_MAX / 2);
	} else if (what == 1) {
		const char *text = texts[rand() % 8];

		ranq_buf_printf(out, "$%zu\r\n%s\r\n", strlen(text), text);
	} else {
		n = rand() % 45;
		ranq_buf_printf(out, "*%d\r\n", n);
		for (int i = 0; i < n; i++)
			random_reply(out, rand() % 8 ? 0 : depth - 1);
	}
}

START_TEST(random_replies_are_survived)
{
	long taken = 0;

	srand(11);
	for (int i = 0; i < 20000; i++) {
		struct ranq_buf text;
		struct ranq_reply *r;

		ranq_buf_init(&text, 0);
		random_reply(&text, 2);
		r = decode(ranq_buf_cstr(&text));
		taken += parse_all(r);
		ranq_reply_destroy(r);
		ranq_buf_clear(&text);
	}
	ck_assert_int_gt(taken, 0);
}
END_TEST

START_TEST(errors_have_their_codes)
{
	static const struct {
		const char *reply;
		enum ranq_err_code code;
	} rows[] = {{"-RANQ_GONE x\r\n", RANQ_ERR_GONE}, {"-RANQ_NOTFOUND no such job\r\n", RANQ_ERR_NOTFOUND},
		{"-RANQ_SCHEMA x\r\n", RANQ_ERR_SCHEMA}, {"-OOM command not allowed\r\n", RANQ_ERR_FULL},
		{"-MISCONF Redis is\r\n", RANQ_ERR_FULL}, {"-READONLY You\r\n", RANQ_ERR_SERVER},
		{"-LOADING Redis\r\n", RANQ_ERR_SERVER}, {"-BUSY Redis\r\n", RANQ_ERR_SERVER},
		{"-NOPERM this user\r\n", RANQ_ERR_AUTH}, {"-WRONGTYPE Operation\r\n", RANQ_ERR_REPLY},
		{"-NOSCRIPT No\r\n", RANQ_ERR_SERVER}, {"-ERR Function not found\r\n", RANQ_ERR_SERVER},
		{"-RANQ_EPOCH x\r\n", RANQ_ERR_STATE}, {"-RANQ_LOST x\r\n", RANQ_ERR_INPUT},
		{"-ERR whatever\r\n", RANQ_ERR_REPLY},
		{"-ERR Error running script (call to f_1): @user_script: 7: -OOM command not allowed\r\n",
			RANQ_ERR_FULL},
		{"-OOMPH x\r\n", RANQ_ERR_REPLY}, {":-1\r\n", RANQ_ERR_REPLY}};
	struct ranq_err err;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ranq_reply *r = decode(rows[i].reply);

		ck_assert_int_eq(ranq_queue_release_parse(r, &err), -1);
		ck_assert_msg(err.code == rows[i].code, "%s: %s", rows[i].reply, ranq_err_name(err.code));
		ranq_reply_destroy(r);
	}
	ck_assert_int_eq(ranq_queue_release_parse(NULL, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_UNKNOWN);
}
END_TEST

START_TEST(requests_are_checked_before_they_are_built)
{
	struct ranq_cmd cmd;
	struct ranq_commit_item item = {.job = 1, .start = 5, .end = 5};
	struct ranq_err err;
	struct ranq_spec spec;
	struct ranq_submit s = {.uuid = "x", .spec = &spec};
	struct ranq_queue q;

	ranq_queue_init(&q, "t", NULL);
	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_commit_add(&cmd, &item), -1);
	item.end = 7;
	item.counts[1] = 3;
	ck_assert_int_eq(ranq_queue_commit_add(&cmd, &item), -1);
	item.counts[1] = 2;
	ck_assert_int_eq(ranq_queue_commit_add(&cmd, &item), 0);
	ranq_spec_init(&spec);
	ck_assert_int_eq(ranq_queue_submit_cmd(&q, &cmd, &s, &err), -1);
	s.tasks = RANQ_TASKS_MAX;
	ck_assert_int_eq(ranq_queue_submit_cmd(&q, &cmd, &s, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	s.tasks = 1;
	spec.priority = 1001;
	ck_assert_int_eq(ranq_queue_submit_cmd(&q, &cmd, &s, &err), -1);
	ranq_spec_clear(&spec);
	ranq_cmd_clear(&cmd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("queue");
	TCase *c = tcase_create("queue");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_test(c, queue_names);
	tcase_add_test(c, ids_are_random_hex);
	tcase_add_test(c, states);
	tcase_add_test(c, sha1);
	tcase_add_test(c, the_mirror_behaves_as_a_table);
	tcase_add_test(c, the_mirror_drops_fragments_and_jobs);
	tcase_add_test(c, pages_of_a_list);
	tcase_add_test(c, no_parser_takes_what_means_nothing);
	tcase_add_test(c, random_replies_are_survived);
	tcase_add_test(c, errors_have_their_codes);
	tcase_add_test(c, requests_are_checked_before_they_are_built);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

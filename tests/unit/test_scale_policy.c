/* How many allocations: tables for the policy, and what the state makes of lists and bridges. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scale/engine.h"

#define NOW INT64_C(1000000000000)
#define MINUTE 60000
#define HOUR 3600000

static const struct ranq_scale_limits usual = {.max = 4,
	.nodes = 1,
	.ranks = 10,
	.walltime_ms = HOUR,
	.worth_ms = 30000,
	.task_ms = MINUTE,
	.idle_ms = MINUTE,
	.can_shrink = true};

static struct ranq_scale_state state;
static struct ranq_scale_plan plan;

static void setup(void)
{
	ranq_scale_state_init(&state);
}

static void teardown(void)
{
	ranq_scale_state_clear(&state);
}

static struct ranq_scale_alloc *alloc(const char *id, enum ranq_scale_phase phase)
{
	struct ranq_err err;
	ck_assert_int_eq(ranq_scale_state_submitted(&state, "", id, NOW - MINUTE, &err), 0);
	struct ranq_scale_alloc *a = &state.allocs[state.n - 1];
	a->phase = phase;
	a->job.nodes = 1;
	if (phase != RANQ_SCALE_PENDING) {
		a->job.state = RANQ_SCHED_RUNNING;
		a->started_ms = NOW - MINUTE;
		a->job.end_ms = NOW + HOUR;
	}
	if (phase == RANQ_SCALE_RUNNING) {
		a->joined = a->busy = true;
		a->ranks = state.ranks = 10;
	}
	return a;
}

static void idle(struct ranq_scale_alloc *a, int64_t for_ms)
{
	a->busy = false;
	a->idle_since_ms = NOW - for_ms;
}

static void decide_with(const struct ranq_scale_limits *limits, int want, uint64_t tasks, int64_t each_ms)
{
	struct ranq_scale_work work = {.tasks = tasks, .work_ms = (int64_t)tasks * each_ms};
	ranq_scale_decide(limits, RANQ_SCALE_AUTO, want, &work, &state, NOW, &plan);
}

static void decide(uint64_t tasks, int64_t each_ms)
{
	decide_with(&usual, -1, tasks, each_ms);
}

static size_t count(enum ranq_scale_kind kind)
{
	size_t n = 0;
	for (size_t i = 0; i < plan.n; i++)
		n += plan.actions[i].kind == kind;
	return n;
}

START_TEST(needs_follow_the_work)
{
	static const struct {
		uint64_t tasks;
		int64_t each_ms;
		unsigned need;
	} rows[] = {
		{0, 0, 0},
		{1, 1, 1},       /* little work is work */
		{1, HOUR, 1},    /* one task, one rank */
		{11, HOUR, 2},   /* more than ten ranks can do at once */
		{1000, 1, 1},    /* a second of work */
		{1000, 1000, 4}, /* a thousand seconds: 34 ranks would have half a minute each */
		{400, 1000, 2},  /* 14 ranks */
		{1000000000, 60000, 4},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		decide(rows[i].tasks, rows[i].each_ms);
		ck_assert_msg(plan.need == rows[i].need, "row %zu: %u", i, plan.need);
		ck_assert_uint_eq(count(RANQ_SCALE_SUBMIT), rows[i].need);
		ck_assert_uint_eq(plan.n, rows[i].need);
		ck_assert_uint_ge(plan.keep, plan.need);
	}
}
END_TEST

START_TEST(everything_that_was_asked_for_counts)
{
	char token[RANQ_SCHED_TOKEN_MAX + 1];
	alloc("1", RANQ_SCALE_PENDING);
	alloc("2", RANQ_SCALE_STARTING);
	alloc("3", RANQ_SCALE_RUNNING);
	decide(1000, 60000);
	ck_assert_uint_eq(count(RANQ_SCALE_SUBMIT), 1);
	ck_assert(ranq_scale_state_submitting(&state, 1, NOW, token)); /* in doubt */
	decide(1000, 60000);
	ck_assert_uint_eq(plan.n, 0);
}
END_TEST

/* One that leaves gives no work any more, but its nodes are still taken: never more than max at the scheduler. */
START_TEST(leaving_ones_count_for_the_maximum)
{
	alloc("1", RANQ_SCALE_LEAVING);
	alloc("2", RANQ_SCALE_LEAVING);
	decide(1000, 60000);
	ck_assert_uint_eq(plan.have, 0);
	ck_assert_uint_eq(count(RANQ_SCALE_SUBMIT), 2);
}
END_TEST

START_TEST(other_workers_of_the_queue_count)
{
	state.foreign_ranks = 25;
	decide(30, HOUR);
	ck_assert_uint_eq(plan.need, 1);
	state.foreign_ranks = 30;
	decide(30, HOUR);
	ck_assert_uint_eq(plan.need, 0);
}
END_TEST

START_TEST(pending_ones_go_first_and_the_latest_of_them)
{
	alloc("1", RANQ_SCALE_RUNNING);
	alloc("2", RANQ_SCALE_PENDING)->submitted_ms = NOW - 3000;
	alloc("3", RANQ_SCALE_PENDING)->submitted_ms = NOW - 1000;
	alloc("4", RANQ_SCALE_PENDING)->submitted_ms = NOW - 2000;
	decide(20, 10000); /* 7 ranks of a worth, 14 of half of it: one is enough, two may stay */
	ck_assert_uint_eq(plan.n, 2);
	ck_assert_int_eq(plan.actions[0].kind, RANQ_SCALE_CANCEL);
	ck_assert(plan.actions[0].pending);
	ck_assert_uint_eq(plan.actions[0].alloc, 2);
	ck_assert_uint_eq(plan.actions[1].alloc, 3);
}
END_TEST

START_TEST(idle_ones_leave_after_their_time_only)
{
	idle(alloc("1", RANQ_SCALE_RUNNING), MINUTE - 1);
	idle(alloc("2", RANQ_SCALE_RUNNING), MINUTE);
	alloc("3", RANQ_SCALE_RUNNING);
	decide(0, 0);
	ck_assert_uint_eq(plan.n, 1);
	ck_assert_int_eq(plan.actions[0].kind, RANQ_SCALE_DRAIN);
	ck_assert_uint_eq(plan.actions[0].alloc, 1);
	struct ranq_scale_limits limits = usual; /* the smallest number stays, idle or not */
	limits.min = 3;
	decide_with(&limits, -1, 0, 0);
	ck_assert_uint_eq(plan.n, 0);
}
END_TEST

START_TEST(who_ends_first_is_drained_first)
{
	idle(alloc("1", RANQ_SCALE_RUNNING), HOUR);
	idle(alloc("2", RANQ_SCALE_RUNNING), HOUR);
	state.allocs[1].job.end_ms = NOW + MINUTE;
	struct ranq_scale_limits limits = usual;
	limits.min = 1;
	decide_with(&limits, -1, 0, 0);
	ck_assert_uint_eq(plan.n, 1);
	ck_assert_uint_eq(plan.actions[0].alloc, 1);
}
END_TEST

START_TEST(a_wish_is_a_wish)
{
	alloc("1", RANQ_SCALE_RUNNING);
	alloc("2", RANQ_SCALE_RUNNING);
	decide_with(&usual, 1, 1000, HOUR); /* work or not, busy or not */
	ck_assert_uint_eq(count(RANQ_SCALE_DRAIN), 1);
	decide_with(&usual, 3, 0, 0);
	ck_assert_uint_eq(count(RANQ_SCALE_SUBMIT), 1);
	decide_with(&usual, 100, 0, 0); /* never above the maximum */
	ck_assert_uint_eq(count(RANQ_SCALE_SUBMIT), 2);
}
END_TEST

START_TEST(what_cannot_start_is_taken_back)
{
	struct ranq_scale_alloc *a = alloc("1", RANQ_SCALE_PENDING);
	a->job.wait = RANQ_SCHED_NEVER;
	strcpy(a->job.reason, "PartitionTimeLimit");
	decide(1000, HOUR);
	ck_assert_int_eq(plan.actions[0].kind, RANQ_SCALE_CANCEL);
	ck_assert(plan.actions[0].failure && strstr(plan.actions[0].reason, "PartitionTimeLimit"));
	ck_assert_uint_eq(count(RANQ_SCALE_SUBMIT), 0);
}
END_TEST

START_TEST(behind_a_limit_nothing_more_is_submitted)
{
	struct ranq_scale_alloc *a = alloc("1", RANQ_SCALE_PENDING);
	a->job.wait = RANQ_SCHED_LIMIT;
	strcpy(a->job.reason, "QOSMaxJobsPerUserLimit");
	decide(1000, HOUR);
	ck_assert_uint_eq(plan.n, 0);
	ck_assert_ptr_nonnull(strstr(plan.verdict, "QOSMaxJobsPerUserLimit"));
}
END_TEST

START_TEST(an_allocation_that_never_joins_is_ended)
{
	alloc("1", RANQ_SCALE_STARTING)->started_ms = NOW - RANQ_SCALE_JOIN_LIMIT_MS - 1;
	decide(10, HOUR);
	ck_assert_int_eq(plan.actions[0].kind, RANQ_SCALE_CANCEL);
	ck_assert(plan.actions[0].failure && !plan.actions[0].pending);
}
END_TEST

START_TEST(limits_bar)
{
	char token[RANQ_SCHED_TOKEN_MAX + 1];
	struct ranq_scale_limits limits = usual;
	ranq_scale_state_failed(&state, NOW, "invalid account");
	decide(1000, HOUR);
	ck_assert_uint_eq(plan.n, 0);
	ck_assert_ptr_nonnull(strstr(plan.verdict, "invalid account"));
	state.backoff_until_ms = NOW;
	limits.max_pending = 2;
	decide_with(&limits, -1, 1000, HOUR);
	ck_assert_uint_eq(plan.n, 2);
	limits = usual;
	limits.submits_per_hour = 3;
	for (int i = 0; i < 2; i++) {
		ck_assert(ranq_scale_state_submitting(&state, 1, NOW - HOUR + 1 + i, token));
		ranq_scale_state_forget(&state, token);
	}
	decide_with(&limits, -1, 1000, HOUR);
	ck_assert_uint_eq(plan.n, 1);
	limits = usual; /* an hour and a half of a node: one allocation */
	limits.budget_ms = HOUR * 3 / 2;
	decide_with(&limits, -1, 1000, HOUR);
	ck_assert_uint_eq(plan.n, 1);
	state.spent_ms = HOUR;
	decide_with(&limits, -1, 1000, HOUR);
	ck_assert_uint_eq(plan.n, 0);
	ck_assert_ptr_nonnull(strstr(plan.verdict, "budget"));
}
END_TEST

START_TEST(modes)
{
	struct ranq_scale_work work = {.tasks = 1000, .work_ms = HOUR};
	alloc("1", RANQ_SCALE_RUNNING);
	alloc("2", RANQ_SCALE_PENDING);
	alloc("3", RANQ_SCALE_STARTING);
	ranq_scale_decide(&usual, RANQ_SCALE_PAUSED, -1, &work, &state, NOW, &plan);
	ck_assert_uint_eq(plan.n, 0);
	ranq_scale_decide(&usual, RANQ_SCALE_STOP, -1, &work, &state, NOW, &plan);
	ck_assert(plan.n == 3 && count(RANQ_SCALE_CANCEL) == 2 && count(RANQ_SCALE_DRAIN) == 1);
	ranq_scale_decide(&usual, RANQ_SCALE_STOP_NOW, -1, &work, &state, NOW, &plan);
	ck_assert(plan.n == 3 && count(RANQ_SCALE_CANCEL) == 3);
	work.paused = true; /* the queue: nothing new, nothing taken away but what is idle */
	ranq_scale_decide(&usual, RANQ_SCALE_AUTO, -1, &work, &state, NOW, &plan);
	ck_assert_uint_eq(plan.n, 0);
}
END_TEST

START_TEST(a_large_pending_one_is_made_smaller)
{
	struct ranq_scale_limits limits = usual;
	limits.nodes = 8;
	limits.ranks = 80;
	state.ranks = 80;
	alloc("1", RANQ_SCALE_PENDING)->job.nodes = 8;
	decide_with(&limits, -1, 15, HOUR);
	ck_assert_uint_eq(plan.n, 1);
	ck_assert_int_eq(plan.actions[0].kind, RANQ_SCALE_SHRINK);
	ck_assert_uint_eq(plan.actions[0].nodes, 2);
	limits.can_shrink = false;
	decide_with(&limits, -1, 15, HOUR);
	ck_assert_uint_eq(plan.n, 0);
}
END_TEST

START_TEST(work_is_what_our_allocations_may_run)
{
	struct ranq_demand demand = {.exists = true, .n = 4};
	struct ranq_scale_limits limits = usual;
	struct ranq_scale_work work;
	demand.jobs[0] = (struct ranq_demand_job){.waiting = 10, .leased = 5, .done = 4, .elapsed_us = 8000000};
	demand.jobs[1] = (struct ranq_demand_job){.waiting = 3}; /* nothing known yet */
	demand.jobs[2] = (struct ranq_demand_job){.waiting = 100, .tags = "gpu,big"};
	demand.jobs[3] = (struct ranq_demand_job){.waiting = 100, .time_request_ms = 2 * HOUR};
	ranq_scale_work(&demand, &limits, &work);
	ck_assert_uint_eq(work.tasks, 18);
	ck_assert_int_eq(work.work_ms, 15 * 2000 + 3 * MINUTE);
	ck_assert_uint_eq(work.unfit, 2);
	limits.tags = "big,gpu";
	limits.walltime_ms = 2 * HOUR;
	ranq_scale_work(&demand, &limits, &work);
	ck_assert_uint_eq(work.tasks, 218);
	demand.jobs[0] = (struct ranq_demand_job){.waiting = UINT64_MAX / 4, .done = 1, .elapsed_us = UINT64_MAX / 2};
	ranq_scale_work(&demand, &limits, &work);
	ck_assert_int_gt(work.work_ms, 0);
}
END_TEST

/* ---- the state ---- */

static char notes[4096];

static void note(void *user, const char *line)
{
	(void)user;
	strncat(notes, line, sizeof notes - strlen(notes) - 2);
	strcat(notes, "\n");
}

static void listed(int64_t now_ms, const struct ranq_sched_job *jobs, size_t n)
{
	struct ranq_sched_list list = {.jobs = (struct ranq_sched_job *)(uintptr_t)jobs, .n = n};
	struct ranq_err err;
	*notes = '\0';
	ck_assert_int_eq(ranq_scale_state_listed(&state, &list, now_ms, now_ms, note, NULL, &err), 0);
}

static void bridges(int64_t now_ms, const struct ranq_bridge_info *infos, size_t n)
{
	*notes = '\0';
	ranq_scale_state_bridges(&state, "slurm", infos, n, now_ms, note, NULL);
}

START_TEST(the_life_of_an_allocation)
{
	char token[RANQ_SCHED_TOKEN_MAX + 1];
	struct ranq_err err;
	ck_assert(ranq_scale_state_submitting(&state, 2, NOW, token));
	ck_assert_int_eq(ranq_scale_state_submitted(&state, token, "12", NOW, &err), 0);
	ck_assert(state.ndoubts == 0 && state.n == 1 && state.allocs[0].phase == RANQ_SCALE_PENDING);
	struct ranq_sched_job job = {.id = "12", .state = RANQ_SCHED_PENDING, .nodes = 2, .reason = "Priority"};
	listed(NOW + 1000, &job, 1);
	ck_assert_str_eq(state.allocs[0].job.reason, "Priority");
	ck_assert_str_eq(state.allocs[0].job.token, token); /* kept where the list does not tell it */
	job.state = RANQ_SCHED_RUNNING;
	job.start_ms = NOW + 2000;
	job.end_ms = NOW + HOUR;
	listed(NOW + 3000, &job, 1);
	ck_assert_int_eq(state.allocs[0].phase, RANQ_SCALE_STARTING);
	struct ranq_bridge_info bridge[2] = {
		{.allocation = "slurm:12", .ranks = 8, .idle = true}, {.allocation = "slurm:123", .ranks = 5}};
	bridges(NOW + 4000, bridge, 2);
	ck_assert_int_eq(state.allocs[0].phase, RANQ_SCALE_RUNNING);
	ck_assert(state.ranks == 8 && state.foreign_ranks == 5 && state.allocs[0].idle_since_ms == NOW + 4000);
	bridge[0].idle = false;
	bridges(NOW + 5000, bridge, 2);
	ck_assert_int_eq(state.allocs[0].idle_since_ms, 0);
	bridge[0].draining = true;
	bridges(NOW + 6000, bridge, 2);
	ck_assert_int_eq(state.allocs[0].phase, RANQ_SCALE_LEAVING);
	bridges(NOW + 7000, NULL, 0);
	ck_assert_int_eq(state.allocs[0].phase, RANQ_SCALE_LEAVING);
	listed(NOW + 12000, NULL, 0);
	ck_assert_uint_eq(state.n, 0);
	ck_assert_int_eq(state.spent_ms, 2 * 10000); /* two nodes for ten seconds */
	ck_assert_uint_eq(state.failures, 0);
}
END_TEST

/* The same id comes back: another run. The bridge of the run before may be seen until its lease is over. */
START_TEST(a_requeued_allocation_starts_anew)
{
	struct ranq_sched_job job = {.id = "7", .state = RANQ_SCHED_RUNNING, .nodes = 1};
	struct ranq_bridge_info bridge = {.allocation = "slurm:7", .ranks = 4};
	listed(NOW, &job, 1);
	bridges(NOW, &bridge, 1);
	ck_assert_int_eq(state.allocs[0].phase, RANQ_SCALE_RUNNING);
	job.state = RANQ_SCHED_PENDING;
	listed(NOW + 1000, &job, 1);
	bridges(NOW + 1000, &bridge, 1);
	ck_assert_int_eq(state.allocs[0].phase, RANQ_SCALE_PENDING);
	ck_assert_str_eq(notes, "");
	job.state = RANQ_SCHED_RUNNING;
	listed(NOW + 2000, &job, 1);
	strcpy(bridge.allocation, "slurm:7.1");
	bridges(NOW + 3000, &bridge, 1);
	ck_assert_int_eq(state.allocs[0].phase, RANQ_SCALE_RUNNING);
	ck_assert_uint_eq(state.failures, 0);
}
END_TEST

START_TEST(a_doubt_is_resolved_by_the_list)
{
	char first[RANQ_SCHED_TOKEN_MAX + 1], second[RANQ_SCHED_TOKEN_MAX + 1];
	ck_assert(ranq_scale_state_submitting(&state, 1, NOW, first));
	ck_assert(ranq_scale_state_submitting(&state, 1, NOW, second));
	struct ranq_sched_job job = {.id = "9", .state = RANQ_SCHED_PENDING, .nodes = 1};
	strcpy(job.token, first);
	listed(NOW + 1000, &job, 1);
	ck_assert(state.n == 1 && state.ndoubts == 1);
	ck_assert_str_eq(state.doubts[0].token, second);
	listed(NOW + RANQ_SCALE_DOUBT_MS - 1, &job, 1);
	ck_assert_uint_eq(state.ndoubts, 1);
	listed(NOW + RANQ_SCALE_DOUBT_MS, &job, 1);
	ck_assert_uint_eq(state.ndoubts, 0);
	ck_assert_uint_eq(state.n, 1);
}
END_TEST

START_TEST(ending_without_joining_is_a_failure)
{
	struct ranq_sched_job job = {.id = "9", .state = RANQ_SCHED_RUNNING, .nodes = 1};
	for (unsigned i = 1; i <= 12; i++) {
		int64_t now_ms = NOW + i * INT64_C(10000000), wait_ms;
		job.state = RANQ_SCHED_RUNNING;
		listed(now_ms, &job, 1);
		job.state = RANQ_SCHED_FAILED;
		strcpy(job.reason, "NonZeroExitCode");
		listed(now_ms + 1000, &job, 1);
		ck_assert_uint_eq(state.failures, i);
		ck_assert_uint_eq(state.n, 0);
		wait_ms = state.backoff_until_ms - now_ms - 1000;
		ck_assert_int_eq(wait_ms, i <= 8 ? RANQ_SCALE_BACKOFF_FIRST_MS << (i - 1) : RANQ_SCALE_BACKOFF_MAX_MS);
		ck_assert_ptr_nonnull(strstr(state.trouble, "NonZeroExitCode"));
	}
	job.state = RANQ_SCHED_RUNNING; /* one that joins makes it good */
	listed(NOW + INT64_C(1000000000), &job, 1);
	struct ranq_bridge_info bridge = {.allocation = "slurm:9", .ranks = 4};
	bridges(NOW + INT64_C(1000000000), &bridge, 1);
	ck_assert(state.failures == 0 && state.backoff_until_ms == 0 && !*state.trouble);
}
END_TEST

static bool same(const struct ranq_scale_state *a, const struct ranq_scale_state *b)
{
	struct ranq_buf x, y;
	ranq_buf_init(&x, 0);
	ranq_buf_init(&y, 0);
	ranq_scale_state_pack(a, &x);
	ranq_scale_state_pack(b, &y);
	bool equal = x.len == y.len && memcmp(x.data, y.data, x.len) == 0;
	ranq_buf_clear(&x);
	ranq_buf_clear(&y);
	return equal;
}

START_TEST(the_record_keeps_all_and_believes_nothing)
{
	char token[RANQ_SCHED_TOKEN_MAX + 1];
	struct ranq_scale_state copy;
	struct ranq_buf text;
	alloc("12[3].pbs0", RANQ_SCALE_RUNNING);
	strcpy(state.allocs[0].job.reason, "Nodes required, are | DOWN");
	alloc("13", RANQ_SCALE_PENDING)->cancelled = true;
	ck_assert(ranq_scale_state_submitting(&state, 3, NOW, token));
	ranq_scale_state_failed(&state, NOW, "no such account");
	state.spent_ms = 123456789;
	ranq_buf_init(&text, 0);
	ranq_scale_state_pack(&state, &text);
	ranq_scale_state_init(&copy);
	ranq_scale_state_unpack(&copy, ranq_buf_cstr(&text));
	ck_assert(same(&state, &copy));
	ck_assert_str_eq(copy.allocs[0].job.reason, "Nodes required, are | DOWN");
	ck_assert(copy.allocs[1].cancelled && copy.doubts[0].nodes == 3);
	/* any byte of it may be another one */
	char *bytes = (char *)text.data;
	for (size_t i = 0; i < text.len; i++) {
		char was = bytes[i];
		for (int k = 0; k < 4; k++) {
			bytes[i] = "-9\n\xff"[k];
			ranq_scale_state_unpack(&copy, ranq_buf_cstr(&text));
			ck_assert(copy.n <= 3 && copy.ndoubts <= 2);
			for (size_t a = 0; a < copy.n; a++)
				ck_assert(ranq_sched_id_ok(copy.allocs[a].job.id) && copy.allocs[a].job.nodes >= 1);
		}
		bytes[i] = was;
	}
	ranq_scale_state_unpack(&copy, "something else\nalloc 1 - 0 0 0 1 1 0 0 0 0 0 \n");
	ck_assert_uint_eq(copy.n, 0);
	ranq_scale_state_clear(&copy);
	ranq_buf_clear(&text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy of scaling");
	TCase *tcase = tcase_create("policy");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, needs_follow_the_work);
	tcase_add_test(tcase, everything_that_was_asked_for_counts);
	tcase_add_test(tcase, leaving_ones_count_for_the_maximum);
	tcase_add_test(tcase, other_workers_of_the_queue_count);
	tcase_add_test(tcase, pending_ones_go_first_and_the_latest_of_them);
	tcase_add_test(tcase, idle_ones_leave_after_their_time_only);
	tcase_add_test(tcase, who_ends_first_is_drained_first);
	tcase_add_test(tcase, a_wish_is_a_wish);
	tcase_add_test(tcase, what_cannot_start_is_taken_back);
	tcase_add_test(tcase, behind_a_limit_nothing_more_is_submitted);
	tcase_add_test(tcase, an_allocation_that_never_joins_is_ended);
	tcase_add_test(tcase, limits_bar);
	tcase_add_test(tcase, modes);
	tcase_add_test(tcase, a_large_pending_one_is_made_smaller);
	tcase_add_test(tcase, work_is_what_our_allocations_may_run);
	tcase_add_test(tcase, the_life_of_an_allocation);
	tcase_add_test(tcase, a_requeued_allocation_starts_anew);
	tcase_add_test(tcase, a_doubt_is_resolved_by_the_list);
	tcase_add_test(tcase, ending_without_joining_is_a_failure);
	tcase_add_test(tcase, the_record_keeps_all_and_believes_nothing);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

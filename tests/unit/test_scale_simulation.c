/* Scaling in a simulated cluster: queue waits, walltimes, failures, preemption, outages, scalers that die, many seeds.
 * What must hold at every instant is checked at every instant. RANQ_SIM_SEED=N repeats one seed and tells its story. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/sim_cluster.h"

#define SECOND 1000
#define MINUTE 60000
#define HOUR 3600000
#define TURN_MS 2000

static const struct ranq_scale_limits usual = {.max = 4,
	.nodes = 1,
	.ranks = 4,
	.walltime_ms = HOUR,
	.worth_ms = 30 * SECOND,
	.task_ms = MINUTE,
	.idle_ms = MINUTE,
	.submits_per_hour = 60,
	.can_shrink = true};

static struct sim_cluster *c;
static struct ranq_scale_engine engine;
static struct ranq_scale_limits limits;
static uint64_t seed;

static void begin(uint64_t with)
{
	seed = with;
	limits = usual;
	c = malloc(sizeof *c);
	ck_assert_ptr_nonnull(c);
	sim_cluster_init(c, seed);
	c->verbose = getenv("RANQ_SIM_SEED") != NULL;
}

static void start_scaler(void)
{
	sim_cluster_engine(c, &engine, &limits);
}

static void end(void)
{
	ranq_scale_engine_clear(&engine);
	sim_cluster_clear(c);
	free(c);
}

static unsigned submits_within_an_hour(void)
{
	unsigned n = 0;
	for (size_t i = c->njobs; i-- > 0 && c->submit_times[i] > c->now_ms - HOUR;)
		n++;
	return n;
}

static int64_t node_ms_now(void)
{
	int64_t total = c->node_ms;
	for (size_t i = 0; i < c->njobs; i++)
		if (c->jobs[i].state == SIM_RUNS)
			total += (int64_t)c->jobs[i].nodes * (c->now_ms - c->jobs[i].started_ms);
	return total;
}

static void check_bounds(void)
{
	unsigned alive = sim_cluster_alive(c);
	ck_assert_msg(alive <= limits.max, "seed %llu: %u allocations", (unsigned long long)seed, alive);
	if (limits.submits_per_hour)
		ck_assert_msg(submits_within_an_hour() <= limits.submits_per_hour, "seed %llu: %u submissions",
			(unsigned long long)seed, submits_within_an_hour());
	if (limits.budget_ms)
		ck_assert_msg(
			node_ms_now() <= limits.budget_ms, "seed %llu: over the budget", (unsigned long long)seed);
}

/* Lets so much time pass, a turn each two seconds; a scaler that died starts again half a minute later. */
static void run(int64_t for_ms)
{
	int64_t end_ms = c->now_ms + for_ms;
	while (c->now_ms < end_ms) {
		struct ranq_err err;
		sim_cluster_pass(c, TURN_MS);
		ranq_scale_engine_turn(&engine, c->now_ms, &err);
		if (c->crashed) {
			ranq_scale_engine_clear(&engine);
			for (int i = 0; i < 15; i++)
				sim_cluster_pass(c, TURN_MS);
			start_scaler();
		}
		check_bounds();
	}
}

static bool run_until_done(int64_t limit_ms)
{
	int64_t end_ms = c->now_ms + limit_ms;
	while (c->tasks > 0 && c->now_ms < end_ms)
		run(10 * SECOND);
	return c->tasks == 0;
}

START_TEST(grows_works_and_shrinks_to_nothing)
{
	begin(1);
	start_scaler();
	run(5 * MINUTE);
	ck_assert_uint_eq(c->submits, 0); /* an empty queue: nothing */
	c->tasks = 400;
	ck_assert(run_until_done(2 * HOUR));
	ck_assert_uint_eq(c->most, 4);
	ck_assert_uint_eq(c->submits, 4); /* not one too many */
	run(5 * MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 0);
	ck_assert_uint_eq(engine.state.n, 0);
	ck_assert_uint_eq(c->submits, 4);
	end();
}
END_TEST

START_TEST(asks_the_scheduler_seldom)
{
	begin(2);
	start_scaler();
	c->tasks = 4000;
	run(HOUR);
	ck_assert_uint_le(c->lists, HOUR / 30000 + 10);
	end();
}
END_TEST

/* Jobs of all sizes come and go: no swinging. */
START_TEST(does_not_swing)
{
	begin(3);
	limits.idle_ms = 5 * MINUTE + 10 * SECOND; /* as the default: longer than the usual pause */
	start_scaler();
	for (int i = 0; i < 30; i++) {
		c->tasks += 40 + (uint64_t)i % 7 * 20;
		run(5 * MINUTE);
	}
	ck_assert(run_until_done(HOUR));
	run(10 * MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 0);
	/* four run for their hour, some again: 2.5 h of work in allocations of an hour, idle ones leave */
	ck_assert_msg(c->submits <= 40, "%u submissions", c->submits);
	ck_assert_msg(c->cancels <= 10, "%u cancelled", c->cancels);
	end();
}
END_TEST

START_TEST(pending_ones_are_taken_back_when_the_work_is_done)
{
	begin(4);
	c->wait_ms = HOUR;
	start_scaler();
	c->tasks = 400;
	run(MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 4);
	c->tasks = 0; /* somebody else did it, or cancelled it */
	run(MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 0);
	ck_assert_uint_eq(c->cancels, 4);
	end();
}
END_TEST

START_TEST(a_scheduler_that_is_away_stops_scaling_only)
{
	begin(5);
	start_scaler();
	c->tasks = 2000;
	run(3 * MINUTE);
	unsigned submits = c->submits;
	ck_assert_uint_eq(submits, 4);
	c->down = true;
	uint64_t done = c->done;
	run(20 * MINUTE);
	ck_assert_uint_gt(c->done, done + 100); /* work went on */
	c->down = false;
	ck_assert(run_until_done(3 * HOUR));
	run(5 * MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 0);
	ck_assert_uint_le(c->submits, submits + 4);
	end();
}
END_TEST

START_TEST(refusals_are_no_storm)
{
	begin(6);
	c->refuse = 1000;
	start_scaler();
	c->tasks = 1000;
	run(4 * HOUR);
	ck_assert_uint_eq(c->submits, 0);
	/* 15 s, 30 s ... an hour: about a dozen attempts */
	ck_assert_msg(engine.state.failures >= 5 && engine.state.failures <= 16, "%u attempts", engine.state.failures);
	ck_assert_ptr_nonnull(strstr(engine.state.trouble, "invalid partition"));
	end();
}
END_TEST

START_TEST(what_can_never_start_is_no_storm)
{
	begin(7);
	c->never = true;
	start_scaler();
	c->tasks = 1000;
	run(4 * HOUR);
	/* the first time four, until the list tells; then one after the other would do, four at once are not more harm
	 */
	ck_assert_msg(c->submits <= 48, "%u submissions", c->submits);
	ck_assert_uint_ge(engine.state.failures, 5);
	end();
}
END_TEST

START_TEST(starts_that_fail_are_no_storm)
{
	begin(8);
	c->fail_start = 1000;
	start_scaler();
	c->tasks = 1000;
	run(6 * HOUR);
	ck_assert_msg(c->submits <= 48, "%u submissions", c->submits);
	end();
}
END_TEST

START_TEST(a_budget_is_kept)
{
	begin(9);
	limits.budget_ms = 5 * HOUR;
	limits.max = 8;
	start_scaler();
	c->tasks = 100000;
	run(12 * HOUR);
	ck_assert_int_gt(node_ms_now(), 4 * (int64_t)HOUR); /* and used */
	ck_assert_ptr_nonnull(strstr(engine.plan.verdict, "budget"));
	ck_assert_uint_eq(sim_cluster_alive(c), 0);
	end();
}
END_TEST

START_TEST(a_paused_queue_and_a_paused_scaler)
{
	begin(10);
	c->paused = true;
	start_scaler();
	c->tasks = 1000;
	run(10 * MINUTE);
	ck_assert_uint_eq(c->submits, 0);
	c->paused = false;
	c->mode = RANQ_SCALE_PAUSED;
	run(10 * MINUTE);
	ck_assert_uint_eq(c->submits, 0);
	c->mode = RANQ_SCALE_AUTO;
	run(MINUTE);
	ck_assert_uint_eq(c->submits, 4);
	c->want = 2;
	run(5 * MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 2);
	c->want = 0;
	run(5 * MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 0);
	ck_assert_uint_gt(c->tasks, 0);
	end();
}
END_TEST

START_TEST(stopping_ends)
{
	static const enum ranq_scale_mode modes[] = {RANQ_SCALE_STOP, RANQ_SCALE_STOP_NOW};
	for (size_t i = 0; i < 2; i++) {
		int turn = 0;
		begin(11 + i);
		start_scaler();
		c->tasks = 1000;
		run(30 * SECOND);
		c->mode = modes[i];
		for (int k = 0; k < 300 && turn == 0; k++) {
			struct ranq_err err;
			sim_cluster_pass(c, TURN_MS);
			turn = ranq_scale_engine_turn(&engine, c->now_ms, &err);
		}
		ck_assert_int_eq(turn, 1);
		ck_assert_uint_eq(sim_cluster_alive(c), 0);
		end();
	}
}
END_TEST

START_TEST(large_allocations_become_smaller_while_they_wait)
{
	begin(13);
	limits.nodes = 8;
	limits.ranks = 32;
	c->wait_ms = 10 * MINUTE;
	start_scaler();
	c->tasks = 1000;
	run(20 * SECOND);
	ck_assert_uint_ge(sim_cluster_alive(c), 1);
	c->tasks = 6;
	run(MINUTE);
	ck_assert_uint_eq(sim_cluster_alive(c), 1);
	for (size_t i = 0; i < engine.state.n; i++)
		ck_assert_uint_le(engine.state.allocs[i].job.nodes, 2);
	end();
}
END_TEST

/* Everything at once, by chance. */
static void one_seed(uint64_t with)
{
	begin(with);
	c->refuse = (unsigned)(with % 5) * 30;
	c->lose = (unsigned)(with % 3) * 50;
	c->phantom = (unsigned)(with % 4) * 60;
	c->fail_start = (unsigned)(with % 6) * 40;
	c->preempt = (unsigned)(with % 7) * 3;
	c->list_fails = (unsigned)(with % 2) * 150;
	c->crash = (unsigned)(with % 8) * 40;
	c->wait_ms = (int64_t)(with % 9) * 40 * SECOND;
	c->walltime_ms = limits.walltime_ms = with % 3 == 0 ? 20 * MINUTE : HOUR;
	limits.max = 1 + (unsigned)(with % 6);
	limits.min = with % 10 == 0 ? 1 : 0;
	if (with % 5 == 1)
		limits.submits_per_hour = 10;
	start_scaler();
	c->tasks = 200 + with % 13 * 100;
	for (int i = 0; i < 4; i++) {
		run(10 * MINUTE);
		c->tasks += with % 4 * 100;
		c->down = with % 4 == 3 && i == 1;
	}
	c->down = false;
	bool finished = run_until_done(24 * HOUR);
	ck_assert_msg(finished, "seed %llu: %llu tasks are left: %s", (unsigned long long)with,
		(unsigned long long)c->tasks, engine.plan.verdict);
	run(30 * MINUTE);
	unsigned alive = sim_cluster_alive(c);
	ck_assert_msg(alive <= limits.min, "seed %llu: %u allocations are left", (unsigned long long)with, alive);
	ck_assert_msg(engine.state.n <= limits.min + 1, "seed %llu: %zu allocations are remembered",
		(unsigned long long)with, engine.state.n);
	end();
}

START_TEST(whatever_happens)
{
	const char *one = getenv("RANQ_SIM_SEED");
	if (one) {
		one_seed(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t i = 1; i <= 100; i++)
		one_seed(i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scaling, simulated");
	TCase *tcase = tcase_create("simulation");
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, grows_works_and_shrinks_to_nothing);
	tcase_add_test(tcase, asks_the_scheduler_seldom);
	tcase_add_test(tcase, does_not_swing);
	tcase_add_test(tcase, pending_ones_are_taken_back_when_the_work_is_done);
	tcase_add_test(tcase, a_scheduler_that_is_away_stops_scaling_only);
	tcase_add_test(tcase, refusals_are_no_storm);
	tcase_add_test(tcase, what_can_never_start_is_no_storm);
	tcase_add_test(tcase, starts_that_fail_are_no_storm);
	tcase_add_test(tcase, a_budget_is_kept);
	tcase_add_test(tcase, a_paused_queue_and_a_paused_scaler);
	tcase_add_test(tcase, stopping_ends);
	tcase_add_test(tcase, large_allocations_become_smaller_while_they_wait);
	tcase_add_test(tcase, whatever_happens);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

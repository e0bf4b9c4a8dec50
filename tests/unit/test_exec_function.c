/* Functions of modules in executors. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/rng.h"
#include "support/exec_rig.h"

static struct exec_rig rig;
static struct ranq_spec spec;

static void run_all(uint64_t tasks, const char *data)
{
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, tasks);
	exec_rig_add_job(&rig, 7, &spec, "exec_bodies.so", data, data ? strlen(data) : 0);
	exec_rig_run(&rig, 0, 7, 1, 0, tasks);
	exec_rig_until_done(&rig, 1);
	ranq_spec_clear(&spec);
}

static void check_reported_once(uint64_t tasks)
{
	uint64_t i;

	ck_assert_uint_eq(rig.reported, tasks);
	for (i = 0; i < tasks; i++)
		ck_assert_uint_eq(rig.tasks[i].seen, 1);
}

static int64_t number(uint64_t index)
{
	int64_t value = -1;

	ck_assert_uint_eq(rig.tasks[index].len, sizeof value);
	memcpy(&value, rig.tasks[index].data, sizeof value);
	return value;
}

START_TEST(values)
{
	uint64_t i;

	exec_rig_function(&spec, "index8");
	run_all(100000, NULL);
	check_reported_once(100000);
	for (i = 0; i < 100000; i++)
		ck_assert_int_eq(number(i), (int64_t)i);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(arguments)
{
	double x;

	exec_rig_function(&spec, "twice");
	spec.range_first = 100;
	spec.range_step = 10;
	run_all(4, NULL);
	memcpy(&x, rig.tasks[3].data, sizeof x);
	ck_assert_double_eq(x, 260);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(job_data)
{
	exec_rig_function(&spec, "sum_data");
	run_all(2, "\1\2\3");
	ck_assert_int_eq(number(1), 6);
	exec_rig_close(&rig);
}
END_TEST

/* The numbers depend on seed and index only: chunks, order and other tasks have no part in them. */
START_TEST(random_streams)
{
	struct ranq_rng rng;
	uint64_t i;
	double x[2];

	exec_rig_function(&spec, "draw");
	spec.seed = 42;
	run_all(50, NULL);
	for (i = 0; i < 50; i += 7) {
		ranq_rng_task(&rng, 42, i);
		memcpy(x, rig.tasks[i].data, sizeof x);
		ck_assert_double_eq(x[0], ranq_rng_unif(&rng));
		ck_assert_double_eq(x[1], ranq_rng_norm(&rng));
	}
	exec_rig_close(&rig);
}
END_TEST

START_TEST(failures)
{
	exec_rig_function(&spec, "fail_odd");
	run_all(20, NULL);
	check_reported_once(20);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 10);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 10);
	ck_assert_str_eq(rig.tasks[7].failure.reason, "an odd one");
	ck_assert_int_eq(rig.tasks[7].failure.exit_code, 1);
	ck_assert_str_eq(rig.tasks[7].tail, "complaint of 7\n");
	exec_rig_close(&rig);
}
END_TEST

/* Short tasks run one behind the other without much between them: nothing of one reaches the next. */
START_TEST(traces)
{
	uint64_t i;

	exec_rig_function(&spec, "leave_traces");
	spec.seed = 42;
	spec.max_output = 3000;
	run_all(70, NULL);
	check_reported_once(70);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 20);
	for (i = 0; i < 70; i += 7) {
		struct ranq_rng rng;
		double x;

		ck_assert_int_eq(number(i), (int64_t)i);
		ck_assert_int_eq(number(i + 1), (int64_t)i + 1);
		ck_assert_str_eq(rig.tasks[i + 2].failure.reason, "the function returned 3");
		ck_assert_uint_eq(rig.tasks[i + 2].len, 0);
		ck_assert_ptr_nonnull(strstr(rig.tasks[i + 3].failure.reason, "result exceeds"));
		ck_assert_uint_eq(rig.tasks[i + 4].len, 0);
		ck_assert_uint_eq(rig.tasks[i + 5].len, 2000);
		ranq_rng_task(&rng, 42, i + 6);
		memcpy(&x, rig.tasks[i + 6].data, sizeof x);
		ck_assert_double_eq(x, ranq_rng_unif(&rng));
	}
	exec_rig_close(&rig);
}
END_TEST

START_TEST(retries)
{
	exec_rig_function(&spec, "fail_first");
	spec.retries = 2;
	run_all(5, NULL);
	check_reported_once(5);
	ck_assert_int_eq(number(4), 3);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 5);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(printing)
{
	exec_rig_function(&spec, "noisy");
	run_all(40, NULL);
	ck_assert_int_eq(number(0), 0);
	ck_assert_int_eq(rig.tasks[39].status, RANQ_TASK_ERROR);
	ck_assert_ptr_nonnull(strstr(rig.tasks[39].tail, "err of 39\n"));
	ck_assert_ptr_nonnull(strstr(rig.tasks[39].tail, "out of 39\n"));
	/* from the first find on, a task's log is its own */
	ck_assert_ptr_null(strstr(rig.tasks[39].tail, "of 38"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(log_flood)
{
	exec_rig_function(&spec, "flood_log");
	run_all(3, NULL);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 3);
	ck_assert_str_eq(rig.tasks[2].failure.reason, "flooded");
	ck_assert_uint_eq(strlen(rig.tasks[2].tail), 6144);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(large_results)
{
	exec_rig_function(&spec, "big");
	spec.range_first = 3000000;
	spec.range_step = 1000000;
	spec.max_output = 5000000;
	run_all(4, NULL);
	check_reported_once(4);
	ck_assert_uint_eq(rig.tasks[0].len, 3000000);
	ck_assert_uint_eq(rig.tasks[2].len, 5000000);
	ck_assert_int_eq(rig.tasks[2].status, RANQ_TASK_OK);
	ck_assert_int_eq(rig.tasks[3].status, RANQ_TASK_ERROR);
	ck_assert_ptr_nonnull(strstr(rig.tasks[3].failure.reason, "result exceeds"));
	exec_rig_close(&rig);
}
END_TEST

START_TEST(children_of_functions)
{
	exec_rig_function(&spec, "tool");
	run_all(3, NULL);
	ck_assert_str_eq(exec_rig_text(&rig, 2), "from a shell\n");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(standard_descriptors)
{
	exec_rig_function(&spec, "write_standard");
	run_all(20, NULL);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 20);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(surroundings)
{
	exec_rig_function(&spec, "environment");
	ranq_strings_add(&spec.env, "MINE=a b", 8);
	run_all(1, NULL);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "q/7 q a b -");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(function_missing)
{
	exec_rig_function(&spec, "no_such_function");
	run_all(5, NULL);
	check_reported_once(5);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 5);
	ck_assert_str_eq(rig.tasks[4].failure.reason, "the module has no function 'no_such_function'");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(module_path)
{
	char path[512];

	snprintf(path, sizeof path, "%s/tests/modules/exec_bodies.so", RANQ_TEST_BUILDDIR);
	exec_rig_function(&spec, "index8");
	free(spec.module_hash);
	spec.module_hash = NULL;
	spec.module_path = strdup(path);
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 10);
	exec_rig_add_job(&rig, 7, &spec, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, 10);
	exec_rig_until_done(&rig, 1);
	ck_assert_int_eq(number(9), 9);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(module_path_missing)
{
	exec_rig_function(&spec, "index8");
	free(spec.module_hash);
	spec.module_hash = NULL;
	spec.module_path = strdup("/no/such/module.so");
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 2);
	exec_rig_add_job(&rig, 7, &spec, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, 2);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 2);
	ck_assert_ptr_nonnull(strstr(rig.tasks[1].failure.reason, "/no/such/module.so"));
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(module_not_ours)
{
	exec_rig_function(&spec, "noop");
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 2);
	exec_rig_add_job(&rig, 7, &spec, "no_abi.so", NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, 2);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 2);
	ck_assert_ptr_nonnull(strstr(rig.tasks[1].failure.reason, "RANQ_MODULE"));
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

/* Two modules and a command on one slot: each in an executor of its own, nothing is mixed up. */
static void run_module(const char *module, const char *function, uint64_t tasks)
{
	exec_rig_function(&spec, function);
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, tasks);
	exec_rig_add_job(&rig, 7, &spec, module, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, tasks);
	exec_rig_until_done(&rig, 1);
	ranq_spec_clear(&spec);
}

START_TEST(init_once)
{
	run_module("see.so", "see_calls", 30);
	check_reported_once(30);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "1 1");
	ck_assert_str_eq(exec_rig_text(&rig, 29), "1 30");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(init_fails)
{
	run_module("no_init.so", "noop", 5);
	check_reported_once(5);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_ERROR], 5);
	ck_assert_str_eq(rig.tasks[4].failure.reason, "this module never starts");
	exec_rig_close(&rig);
}
END_TEST

/* Found out once for the job, not once for each of its tasks. */
START_TEST(load_dies)
{
	run_module("exec_bad_load.so", "index8", 1000);
	check_reported_once(1000);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_DIED], 1000);
	ck_assert_ptr_nonnull(strstr(rig.tasks[999].failure.reason, "while the module was loaded"));
	ck_assert_uint_lt(rig.died_events, 100);
	exec_rig_close(&rig);
}
END_TEST

/* Each of six tasks takes its executor with it, and then the next one dies while it loads the module, as of somebody's
 * kill: what was loaded in between is not a module that cannot be. */
START_TEST(load_dies_now_and_then)
{
	char entry[80];
	uint64_t k;
	int n = snprintf(entry, sizeof entry, "FLAG=/tmp/ranq-test-load-%d", (int)getpid());

	exec_rig_function(&spec, "index8_second");
	ck_assert_int_eq(ranq_strings_add(&spec.env, entry, (size_t)n), 0);
	spec.max_deaths = 3;
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 6);
	exec_rig_add_job(&rig, 7, &spec, "exec_late_load.so", NULL, 0);
	for (k = 0; k < 6; k++) {
		exec_rig_run(&rig, 0, 7, k + 1, k, k + 1);
		exec_rig_until_done(&rig, (unsigned)k + 1);
	}
	ck_assert_msg(rig.counts[RANQ_TASK_OK] == 6, "%s", rig.tasks[5].failure.reason);
	check_reported_once(6);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(scratch_is_zero)
{
	run_module("see.so", "see_scratch", 50);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 50);
	exec_rig_close(&rig);
}
END_TEST

START_TEST(jobs_in_turn)
{
	static const char *const argv[] = {"echo", "{}", NULL};
	uint64_t round;

	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 300);
	exec_rig_function(&spec, "index8");
	exec_rig_add_job(&rig, 1, &spec, "exec_bodies.so", NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_function(&spec, "square");
	spec.module_hash[0] = 'f';
	exec_rig_add_job(&rig, 2, &spec, "noop.so", NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_command(&spec, argv);
	exec_rig_add_job(&rig, 3, &spec, NULL, NULL, 0);
	ranq_spec_clear(&spec);
	for (round = 0; round < 10; round++) {
		exec_rig_run(&rig, 0, 1, 10 * round + 1, round * 30, round * 30 + 10);
		exec_rig_run(&rig, 0, 2, 10 * round + 2, round * 30 + 10, round * 30 + 20);
		exec_rig_until_done(&rig, (unsigned)round * 3 + 1);
		exec_rig_run(&rig, 0, 3, 10 * round + 3, round * 30 + 20, round * 30 + 30);
		exec_rig_until_done(&rig, (unsigned)round * 3 + 3);
	}
	check_reported_once(300);
	ck_assert_int_eq(number(275), 275);
	ck_assert_int_eq(number(281), 281 * 281);
	ck_assert_str_eq(exec_rig_text(&rig, 299), "299\n");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(drop_runs_fini)
{
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, 20);
	exec_rig_function(&spec, "index8");
	exec_rig_add_job(&rig, 1, &spec, "exec_bodies.so", NULL, 0);
	exec_rig_run(&rig, 0, 1, 1, 0, 10);
	exec_rig_until_done(&rig, 1);
	ranq_slot_drop_job(rig.slots[0], 1);
	/* the same module again, as another job */
	exec_rig_add_job(&rig, 2, &spec, "exec_bodies.so", NULL, 0);
	exec_rig_run(&rig, 0, 2, 2, 10, 20);
	exec_rig_until_done(&rig, 2);
	check_reported_once(20);
	ranq_spec_clear(&spec);
	exec_rig_close(&rig);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_function");
	TCase *t = tcase_create("functions");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, values);
	tcase_add_test(t, arguments);
	tcase_add_test(t, job_data);
	tcase_add_test(t, random_streams);
	tcase_add_test(t, failures);
	tcase_add_test(t, traces);
	tcase_add_test(t, retries);
	tcase_add_test(t, printing);
	tcase_add_test(t, log_flood);
	tcase_add_test(t, large_results);
	tcase_add_test(t, children_of_functions);
	tcase_add_test(t, standard_descriptors);
	tcase_add_test(t, surroundings);
	tcase_add_test(t, function_missing);
	tcase_add_test(t, module_path);
	tcase_add_test(t, module_path_missing);
	tcase_add_test(t, module_not_ours);
	tcase_add_test(t, init_once);
	tcase_add_test(t, init_fails);
	tcase_add_test(t, load_dies);
	tcase_add_test(t, load_dies_now_and_then);
	tcase_add_test(t, scratch_is_zero);
	tcase_add_test(t, jobs_in_turn);
	tcase_add_test(t, drop_runs_fini);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

/* --memory: who takes more fails with the reason, whoever comes next has all of it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "exec/memory.h"
#include "support/exec_rig.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define LIMIT 100000000

/* The shadow memory of the sanitizer counts, too. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAVE_FUNCTIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAVE_FUNCTIONS 0
#endif
#endif
#ifndef HAVE_FUNCTIONS
#define HAVE_FUNCTIONS 1
#endif

static struct exec_rig rig;
static struct ranq_spec spec;

static void run_all(uint64_t tasks, const char *module)
{
	spec.memory = LIMIT;
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, tasks);
	exec_rig_add_job(&rig, 1, &spec, module, NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_run(&rig, 0, 1, 1, 0, tasks);
	exec_rig_until_done(&rig, 1);
}

static void check_reason(uint64_t index, const char *text)
{
	ck_assert_msg(strstr(rig.tasks[index].failure.reason, text) != NULL, "%s", rig.tasks[index].failure.reason);
}

START_TEST(commands)
{
	/* 200 MB without an end of line, of which tail keeps all */
	exec_rig_command(&spec, ARGV("sh", "-c", "test {} -ne 1 || head -c 200000000 /dev/zero | tail -n 1"));
	run_all(3, NULL);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 2);
	ck_assert_int_eq(rig.tasks[1].status, RANQ_TASK_ERROR);
	check_reason(1, "(memory limit 100 MB, peak ");
	exec_rig_close(&rig);
}
END_TEST

/* What one task has left behind is not taken from the next one. */
START_TEST(functions_after_a_leak)
{
	uint64_t i;

	exec_rig_function(&spec, "takes_much");
	run_all(12, "bodies.so");
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 9);
	for (i = 1; i < 12; i += 4) {
		ck_assert_int_eq(rig.tasks[i].status, RANQ_TASK_ERROR);
		check_reason(i, "no memory (memory limit 100 MB, in use ");
	}
	for (i = 0; i < 12; i++)
		ck_assert_uint_eq(rig.tasks[i].seen, 1);
	exec_rig_close(&rig);
}
END_TEST

/* Nor from its own next try. */
START_TEST(retry_after_a_leak)
{
	exec_rig_function(&spec, "takes_much");
	spec.retries = 1;
	spec.max_deaths = 1;
	run_all(12, "bodies.so");
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 12);
	ck_assert_uint_eq(rig.died_events, 0);
	exec_rig_close(&rig);
}
END_TEST

static void one_argument(const char *text)
{
	spec.args = RANQ_ARGS_LISTS;
	spec.lists = calloc(1, sizeof *spec.lists);
	spec.nlists = 1;
	ck_assert_int_eq(ranq_strings_add(&spec.lists[0].values, text, strlen(text)), 0);
}

START_TEST(function_crashes)
{
	exec_rig_function(&spec, "misbehave");
	one_argument("leak-crash");
	spec.max_deaths = 1;
	run_all(1, "bodies.so");
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_DIED);
	check_reason(0, "killed by signal 11");
	check_reason(0, "(memory limit 100 MB, peak ");
	exec_rig_close(&rig);
}
END_TEST

/* Where the stack has no limit of its own, recursion without end has this one. */
START_TEST(stack_without_limit)
{
	struct rlimit stack;

	ck_assert_int_eq(getrlimit(RLIMIT_STACK, &stack), 0);
	stack.rlim_cur = stack.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_STACK, &stack), 0);
	exec_rig_function(&spec, "misbehave");
	one_argument("overflow");
	spec.max_deaths = 1;
	run_all(1, "bodies.so");
	ck_assert_int_eq(rig.tasks[0].status, RANQ_TASK_DIED);
	check_reason(0, "killed by signal 11");
	exec_rig_close(&rig);
}
END_TEST

START_TEST(explain)
{
	char reason[160] = "gone", longest[160];

	ranq_memory_explain(reason, 0, "peak", 1);
	ck_assert_str_eq(reason, "gone");
	ranq_memory_explain(reason, 2000000, "peak", 1900000);
	ck_assert_str_eq(reason, "gone (memory limit 2.0 MB, peak 1.9 MB)");
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	ranq_memory_explain(longest, 2000000, "peak", 1);
	ck_assert_uint_eq(strlen(longest), sizeof longest - 1);
	ck_assert_uint_gt(ranq_memory_used(), 10000);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_memory");
	TCase *t = tcase_create("memory");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, commands);
	tcase_add_test(t, explain);
	if (HAVE_FUNCTIONS) {
		tcase_add_test(t, functions_after_a_leak);
		tcase_add_test(t, retry_after_a_leak);
		tcase_add_test(t, function_crashes);
		tcase_add_test(t, stack_without_limit);
	}
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

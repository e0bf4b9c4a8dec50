/* What is behind a task that takes long comes back while that goes on, and nobody has begun it. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/slot.h"
#include "support/exec_rig.h"
#include "util/clock.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define RACE_TASKS 60

static struct exec_rig rig;
static struct ranq_spec spec;
static char flag[64];

static void make_flag(void)
{
	char entry[80];
	int n;

	snprintf(flag, sizeof flag, "/tmp/ranq-test-behind-%d", (int)getpid());
	unlink(flag);
	n = snprintf(entry, sizeof entry, "FLAG=%s", flag);
	ck_assert_int_eq(ranq_strings_add(&spec.env, entry, (size_t)n), 0);
}

static void start(uint64_t tasks, const char *module)
{
	make_flag();
	exec_rig_open(&rig, 1, NULL);
	exec_rig_expect_tasks(&rig, tasks);
	exec_rig_add_job(&rig, 7, &spec, module, NULL, 0);
	exec_rig_run(&rig, 0, 7, 1, 0, tasks);
}

static void end(void)
{
	ranq_spec_clear(&spec);
	unlink(flag);
	exec_rig_close(&rig);
}

static bool is_shortened(void *user)
{
	return rig.shortened >= *(unsigned *)user;
}

/* Task 3 never ends. The rest of its chunk comes back, and so do whole chunks behind it. */
static void behind(const char *module)
{
	unsigned i, n = 4;

	start(100, module);
	for (i = 2; i < 5; i++)
		exec_rig_run(&rig, 0, 7, i, 100 * i, 100 * i + 50);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	for (i = 4; i > 0; i--)
		ranq_slot_truncate(rig.slots[0], i, i == 1 ? 0 : 100 * i);
	exec_rig_until(&rig, is_shortened, &n);
	ck_assert_uint_eq(rig.done, 0);
	ranq_slot_truncate(rig.slots[0], 1, 0); /* again: there is nothing more to say */
	exec_rig_run(&rig, 0, 7, 5, 500, 510);
	exec_rig_turn(&rig, 0); /* on its way to the executor */
	ranq_slot_truncate(rig.slots[0], 5, 500);
	n = 5;
	exec_rig_until(&rig, is_shortened, &n);
	ck_assert_uint_eq(rig.shortened_chunk, 5);
	ck_assert_uint_eq(rig.shortened_upto, 500);
	ranq_slot_cancel(rig.slots[0], 7, 0);
	exec_rig_until_done(&rig, 5);
	ck_assert_uint_le(rig.reported, 3);
	ck_assert_uint_eq(rig.shortened, 5);
	end();
}

START_TEST(command)
{
	exec_rig_command(&spec, ARGV("sh", "-c", "[ {} != 3 ] || { touch $FLAG; exec sleep 1000; }"));
	behind(NULL);
}
END_TEST

START_TEST(function)
{
	exec_rig_function(&spec, "touch_and_spin3");
	behind("exec_bodies.so");
}
END_TEST

/* With --memory functions take another way to their bodies. */
START_TEST(function_with_memory)
{
	exec_rig_function(&spec, "touch_and_spin3");
	spec.memory = (uint64_t)1 << 30;
	behind("exec_bodies.so");
}
END_TEST

/* Its executor is killed afterwards: the long task is tried again here, and what was given back is not. */
START_TEST(death)
{
	unsigned n = 1;
	char text[32] = "";
	FILE *file;

	exec_rig_command(&spec,
		ARGV("sh", "-c", "[ {} != 1 ] || { [ $RANQ_ATTEMPT = 1 ] && echo $PPID >$FLAG.new && mv $FLAG.new $FLAG && "
				 "exec sleep 1000; }; :"));
	start(100, NULL);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	while (rig.reported < 1)
		exec_rig_turn(&rig, 100);
	ranq_slot_truncate(rig.slots[0], 1, 1);
	exec_rig_until(&rig, is_shortened, &n);
	ck_assert_uint_eq(rig.shortened_upto, 2);
	ck_assert_uint_eq(rig.done, 0);
	file = fopen(flag, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
	fclose(file);
	ck_assert_int_eq(kill((pid_t)atoi(text), SIGKILL), 0);
	exec_rig_until_done(&rig, 1);
	ck_assert_uint_eq(rig.reported, 2);
	ck_assert_uint_eq(rig.last_upto, 2);
	ck_assert_uint_eq(rig.counts[RANQ_TASK_OK], 2);
	end();
}
END_TEST

/* A job of which nothing is begun is dropped: the task of another job before it is left alone. */
START_TEST(dropped_job)
{
	struct ranq_spec other;
	unsigned n = 1;

	exec_rig_command(&spec, ARGV("sh", "-c", "touch $FLAG; while [ -e $FLAG ]; do sleep 0.05; done; echo done"));
	exec_rig_command(&other, ARGV("echo", "{}"));
	start(1, NULL);
	exec_rig_add_job(&rig, 8, &other, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 8, 2, 10, 20);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ranq_slot_truncate(rig.slots[0], 2, 10);
	exec_rig_until(&rig, is_shortened, &n);
	ranq_slot_drop_job(rig.slots[0], 8);
	exec_rig_turn(&rig, 50);
	ck_assert_int_eq(unlink(flag), 0);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.reported, 1);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "done\n");
	ranq_spec_clear(&other);
	end();
}
END_TEST

/* Nothing of the cancelled job has begun either, but nobody asked for it back: it waits in the executor behind the task of another job, which
 * has begun once. */
START_TEST(cancelled_job)
{
	struct ranq_spec other;

	exec_rig_command(&spec, ARGV("sh", "-c",
		"echo >>$FLAG.begun; touch $FLAG; while [ -e $FLAG ]; do sleep 0.05; done; grep -c '' $FLAG.begun; rm $FLAG.begun"));
	exec_rig_command(&other, ARGV("echo", "{}"));
	start(1, NULL);
	exec_rig_add_job(&rig, 8, &other, NULL, NULL, 0);
	exec_rig_run(&rig, 0, 8, 2, 10, 20);
	exec_rig_until(&rig, exec_rig_file_exists, flag);
	ck_assert_uint_eq(rig.slots[0]->nruns, 2);
	ranq_slot_cancel(rig.slots[0], 8, _i);
	while (rig.slots[0]->stop_kill_ms != RANQ_NEVER)
		exec_rig_turn(&rig, 10);
	ck_assert_int_eq(unlink(flag), 0);
	exec_rig_until_done(&rig, 2);
	ck_assert_uint_eq(rig.reported, 1);
	ck_assert_str_eq(exec_rig_text(&rig, 0), "1\n");
	ranq_spec_clear(&other);
	end();
}
END_TEST

static void check_begun(void)
{
	unsigned char begun[RACE_TASKS] = {0};
	FILE *file = fopen(flag, "rb");
	unsigned i;

	ck_assert_ptr_nonnull(file);
	fread(begun, 1, sizeof begun, file);
	fclose(file);
	for (i = 0; i < RACE_TASKS; i++) {
		ck_assert_msg(begun[i] < 2, "task %u was begun %u times", i, begun[i]);
		ck_assert_uint_eq(begun[i], rig.tasks[i].seen);
	}
	ck_assert_uint_ge(rig.reported, RACE_TASKS / 2);
}

/* Two executors; what one gives back the other goes on with, while the first still has its long task. Each task is begun
 * once, wherever the cut comes. (A task that was about to begin at the cut is nobody's in this test, for some rounds.) */
START_TEST(each_task_once)
{
	uint64_t at = 0;
	unsigned chunk = 1;

	exec_rig_function(&spec, "count_in_file");
	make_flag();
	exec_rig_open(&rig, 2, NULL);
	exec_rig_expect_tasks(&rig, RACE_TASKS);
	exec_rig_add_job(&rig, 7, &spec, "exec_bodies.so", NULL, 0);
	for (; at < RACE_TASKS; chunk++) {
		unsigned shortened = rig.shortened;
		int64_t cut_ms;

		exec_rig_run(&rig, chunk % 2, 7, chunk, at, RACE_TASKS);
		exec_rig_until_done(&rig, chunk - 1);
		cut_ms = ranq_clock_ms() + chunk % 17;
		while (ranq_clock_ms() < cut_ms)
			exec_rig_turn(&rig, 1);
		ranq_slot_truncate(rig.slots[chunk % 2], chunk, at);
		while (rig.done < chunk && rig.shortened == shortened)
			exec_rig_turn(&rig, 100);
		at = rig.shortened > shortened ? rig.shortened_upto : rig.last_upto;
	}
	exec_rig_until_done(&rig, chunk - 1);
	check_begun();
	end();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_behind");
	TCase *t = tcase_create("behind");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, command);
	tcase_add_test(t, function);
	tcase_add_test(t, function_with_memory);
	tcase_add_test(t, death);
	tcase_add_test(t, dropped_job);
	tcase_add_loop_test(t, cancelled_job, 0, 2); /* at once, and with a grace time of a millisecond */
	tcase_add_test(t, each_task_once);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

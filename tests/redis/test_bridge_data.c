/* Job data on its way to another node, and ranks there that die or stand still meanwhile. A whole bridge in one process, as
 * in test_bridge.c. */
#include "tests/support/bridge_rig.h" /* first: check.h has a macro `fail`, which is a name in ranq.h */

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bridge/proxy_impl.h"
#include "util/clock.h"

#define DATA_BYTES (30u << 20)
#define TASKS 40

static struct bridge_rig rig;
static unsigned char *data;

static void setup(void)
{
	rig_start(&rig, 0);
	data = malloc(DATA_BYTES);
	ck_assert_ptr_nonnull(data);
	memset(data, 3, DATA_BYTES);
}

static void teardown(void)
{
	rig_stop(&rig);
	free(data);
}

static uint64_t submit(void)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;

	options.module = RANQ_TEST_BUILDDIR "/tests/modules/exec_bodies.so";
	options.function = "sum_data";
	options.tasks = TASKS;
	options.chunk = 1;
	options.data = data;
	options.data_bytes = DATA_BYTES;
	return rig_submit(&rig, NULL, &options);
}

/* Job data is being sent to this rank (the module is small: it is there at once). */
static bool under_way(struct bridge_rig *r, uint64_t rank)
{
	const struct proxy_transfer *transfer;

	TAILQ_FOREACH(transfer, &r->ranks[0].proxy->transfers, next)
	if (transfer->rank == (int)rank && transfer->offset)
		return true;
	return false;
}

/* Large arguments, equal ones: two texts of 30 MiB. */
static uint64_t submit_arguments(void)
{
	const char *args[] = {(const char *)data, (const char *)data};
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;

	data[DATA_BYTES - 1] = '\0';
	options.module = RANQ_TEST_BUILDDIR "/tests/modules/bodies.so";
	options.function = "same";
	options.args = args;
	options.tasks = 2;
	options.max_output_bytes = DATA_BYTES;
	return rig_submit(&rig, NULL, &options);
}

static void finish_tasks(uint64_t job, uint64_t tasks)
{
	struct ranq_job_info info;

	rig_until(&rig, rig_job_ended, job);
	info = rig_info(&rig, job);
	ck_assert_msg(info.state == RANQ_JOB_COMPLETE, "%s: %s", ranq_job_state_name(info.state), info.reason);
	ck_assert_uint_eq(info.counts[RANQ_TASK_OK], tasks);
}

static void finish(uint64_t job)
{
	finish_tasks(job, TASKS);
}

static void lose(int rank)
{
	rig_stop_rank(&rig, rank);
	proxy_worker_lost(rig.ranks[0].proxy, rank, "the test says so");
}

static bool has_task(struct bridge_rig *r, uint64_t rank)
{
	return r->ranks[0].proxy->workers[rank].lanes[0].n > 0;
}

/* The first rank of the node is dead already, the second one dies over it: the third one gets it. */
START_TEST(receivers_die)
{
	const int node[] = {0, 1, 1, 1};
	uint64_t job;

	rig_bridge(&rig, 4, node, 1);
	job = submit();
	rig_until(&rig, under_way, 1);
	lose(1);
	rig_until(&rig, under_way, 2);
	lose(2);
	finish(job);
}
END_TEST

/* Nobody is left on the node; then its rank speaks again, with half of the data. */
START_TEST(receiver_comes_back)
{
	const int node[] = {0, 0, 1};
	uint64_t job;

	rig_bridge(&rig, 3, node, 1);
	job = submit();
	rig_until(&rig, under_way, 2);
	lose(2);
	rig_start_rank(&rig, 2);
	rig_until(&rig, has_task, 2);
	finish(job);
}
END_TEST

/* The receiver has all of it when it is taken for lost; the next one gets it from rank 0 or from its neighbour. */
START_TEST(lost_with_all_of_it)
{
	const int node[] = {0, 1, 1};
	uint64_t job;

	rig_bridge(&rig, 3, node, 1);
	job = submit();
	rig_until(&rig, rig_job_begun, job);
	lose(1);
	rig_start_rank(&rig, 1);
	finish(job);
}
END_TEST

static void (*take_file)(void *arg, int src, int fd, const void *note, size_t len);
static unsigned lost_files;

static void lose_file(void *arg, int src, int fd, const void *note, size_t len)
{
	(void)arg;
	(void)src;
	(void)note;
	(void)len;
	close(fd);
	if (++lost_files == 2) /* module and data */
		rig.links[2]->handler.file = take_file;
}

/* What is shared within a node is lost once, as with too many open files: the rank asks for it. */
START_TEST(lost_on_its_way)
{
	const int here[] = {0, 0, 0}, there[] = {0, 1, 1};
	uint64_t job;

	rig_bridge(&rig, 3, _i ? there : here, 1);
	take_file = rig.links[2]->handler.file;
	rig.links[2]->handler.file = lose_file;
	lost_files = 0;
	job = submit();
	finish(job);
	ck_assert_uint_eq(lost_files, 2);
}
END_TEST

/* The rank that is being sent its argument dies: its task gets another rank, which gets the argument anew. */
START_TEST(receiver_of_an_argument_dies)
{
	const int node[] = {0, 1, 1};
	uint64_t job;

	rig_bridge(&rig, 3, node, 1);
	job = submit_arguments();
	rig_until(&rig, under_way, 1);
	lose(1);
	finish_tasks(job, 2);
	ck_assert_uint_eq(proxy_blobs_arguments(rig.ranks[0].proxy), 0);
}
END_TEST

START_TEST(an_argument_is_lost_on_its_way)
{
	const int node[] = {0, 0, 0};
	uint64_t job;

	rig_bridge(&rig, 3, node, 1);
	take_file = rig.links[2]->handler.file;
	rig.links[2]->handler.file = lose_file;
	lost_files = 0;
	job = submit_arguments();
	finish_tasks(job, 2);
	ck_assert_uint_eq(lost_files, 2);
	ck_assert_uint_eq(proxy_blobs_arguments(rig.ranks[0].proxy), 0);
}
END_TEST

static bool time_is_over(struct bridge_rig *r, uint64_t end_ms)
{
	(void)r;
	return ranq_clock_ms() >= (int64_t)end_ms;
}

/* For longer than several tries of other ranks would take. */
START_TEST(no_descriptor_to_spare)
{
	struct rlimit limit, none;
	struct ranq_job_info info;
	uint64_t job;
	int next;

	rig_bridge(&rig, 2, NULL, 1);
	finish(submit());
	job = submit();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	next = dup(0);
	close(next);
	none.rlim_cur = (rlim_t)next;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	rig_until(&rig, has_task, 1);
	rig_until(&rig, time_is_over, (uint64_t)ranq_clock_ms() + 400);
	info = rig_info(&rig, job);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_msg(!ranq_job_state_is_final(info.state), "%s", info.reason);
	ck_assert_uint_eq(info.done, 0);
	finish(job);
	ck_assert_uint_eq(rig_info(&rig, job).deaths, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bridge_data");
	TCase *tcase = tcase_create("bridge_data");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 90);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, receivers_die);
	tcase_add_test(tcase, receiver_comes_back);
	tcase_add_test(tcase, lost_with_all_of_it);
	tcase_add_test(tcase, no_descriptor_to_spare);
	tcase_add_loop_test(tcase, lost_on_its_way, 0, 2);
	tcase_add_test(tcase, receiver_of_an_argument_dies);
	tcase_add_test(tcase, an_argument_is_lost_on_its_way);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

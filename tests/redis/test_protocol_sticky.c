/* Homes of the tasks of sticky jobs: each bridge gets its own part, every time the same, and an idle one anything. */
#include "tests/support/queue_driver.h"

#define A tq_id('a')
#define B tq_id('b')
#define C tq_id('c')

static struct ranq_lease_reply lease(const char *bridge, uint64_t want, unsigned flags)
{
	return tq_lease_opt(bridge, want, 64, flags, -1, NULL);
}

static struct ranq_range lease1(const char *bridge, uint64_t want)
{
	struct ranq_lease_reply reply = lease(bridge, want, 0);

	ck_assert_uint_eq(reply.n, 1);
	return reply.ranges[0];
}

static void expect(const struct ranq_range *range, uint64_t start, uint64_t end)
{
	ck_assert_uint_eq(range->start, start);
	ck_assert_uint_eq(range->end, end);
}

static void two_bridges(void)
{
	tq_attach(15000);
	tq_join(A, 1);
	tq_join(B, 3);
}

START_TEST(homes_follow_ranks_and_come_again)
{
	two_bridges();
	for (int round = 0; round < 2; round++) {
		uint64_t job = TQ_JOB(.tasks = 100, .sticky = true);
		struct ranq_range b = lease1(B, 10), a = lease1(A, 100), b2 = lease1(B, 100);

		expect(&b, 25, 35);
		expect(&a, 0, 25);
		expect(&b2, 35, 100);
		tq_audit(job);
		ck_assert(tq_commit(B, &b, 25, 25, 35) && tq_commit(B, &b2, 35, 35, 100) && tq_commit(A, &a, 0, 0, 25));
		ck_assert_int_eq(tq_info(job).state, RANQ_JOB_COMPLETE);
	}
}
END_TEST

START_TEST(a_busy_bridge_leaves_the_others_their_tasks)
{
	struct ranq_lease_reply reply;
	uint64_t job;

	two_bridges();
	job = TQ_JOB(.tasks = 100, .sticky = true);
	lease1(A, 100);
	reply = lease(A, 100, RANQ_LEASE_BUSY);
	ck_assert_uint_eq(reply.n, 0);
	ck_assert(reply.idle && reply.elsewhere);
	reply = lease(A, 100, 0);
	ck_assert_uint_eq(reply.n, 1);
	expect(&reply.ranges[0], 82, 100); /* 75 tasks, 2 bridges: a fourth of it, from the end */
	ck_assert(!reply.idle);
	tq_audit(job);
}
END_TEST

START_TEST(idle_bridges_do_all_of_an_absent_one)
{
	struct ranq_lease_reply reply;
	uint64_t job, sum = 0;

	two_bridges();
	job = TQ_JOB(.tasks = 100, .sticky = true);
	tq_join(C, 1);
	lease1(A, 1);
	tq_leave(B);
	while ((reply = lease(sum % 2 ? A : C, 100, 0)).n > 0)
		for (size_t i = 0; i < reply.n; i++)
			sum += reply.ranges[i].end - reply.ranges[i].start;
	ck_assert(reply.idle && !reply.elsewhere);
	ck_assert_uint_eq(sum, 99);
	tq_audit(job);
}
END_TEST

START_TEST(what_came_back_goes_home)
{
	struct ranq_range all, again;
	uint64_t job;

	two_bridges();
	job = TQ_JOB(.tasks = 100, .sticky = true);
	all = lease1(A, 100);
	tq_release(A, &all, 0, 20, 25, RANQ_RELEASE_DRAINED); /* and grows together with the home of B */
	again = lease1(B, 100);
	expect(&again, 25, 100);
	again = lease1(A, 100);
	expect(&again, 20, 25);
	tq_release(A, &all, 0, 3, 4, RANQ_RELEASE_SUSPECT);
	again = lease1(B, 100);
	expect(&again, 3, 4);
	ck_assert(again.suspect);
	tq_audit(job);
}
END_TEST

START_TEST(results_without_room_have_no_homes)
{
	struct ranq_range range;
	uint64_t job;

	two_bridges();
	job = TQ_JOB(.tasks = 100, .backlog = 10000, .max_output = 1000, .sticky = true);
	range = lease1(B, 5);
	expect(&range, 0, 5);
	tq_audit(job);
	job = TQ_JOB(.tasks = 100, .open = true, .priority = 5, .sticky = true);
	range = lease1(B, 5);
	expect(&range, 0, 5);
	tq_audit(job);
}
END_TEST

START_TEST(fewer_tasks_than_bridges)
{
	struct ranq_range range;

	two_bridges();
	TQ_JOB(.tasks = 1, .sticky = true);
	ck_assert_uint_eq(lease(A, 5, RANQ_LEASE_BUSY).n, 0);
	range = lease1(A, 5);
	expect(&range, 0, 1);
	ck_assert(lease(B, 5, 0).idle);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {homes_follow_ranks_and_come_again, a_busy_bridge_leaves_the_others_their_tasks,
		idle_bridges_do_all_of_an_absent_one, what_came_back_goes_home, results_without_room_have_no_homes,
		fewer_tasks_than_bridges};

	return test_queue_main("protocol of sticky jobs", tests, sizeof tests / sizeof *tests);
}

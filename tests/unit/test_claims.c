/* Processors that other bridges of this user have: claims of several processes, and what the placing makes of them. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/claims.h"
#include "bridge/link_local.h"
#include "bridge/placing.h"

static char realm[32];
static struct ranq_claims *claims;

static void setup(void)
{
	snprintf(realm, sizeof realm, "test-%ld", (long)getpid());
	claims = ranq_claims_create(realm);
	ck_assert_ptr_nonnull(claims);
}

static void teardown(void)
{
	ranq_claims_destroy(claims);
}

/* Another process that has these. */
static pid_t other(const char *cpus)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct ranq_claims *theirs = ranq_claims_create(realm);

		if (!theirs || !ranq_claims_take(theirs, cpus, NULL, 0) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(one_process_has_a_processor)
{
	pid_t pid = other("0-1,7");

	ck_assert(!ranq_claims_take(claims, "1", NULL, 0));
	ck_assert(!ranq_claims_take(claims, "0", NULL, 0));
	ck_assert(ranq_claims_take(claims, "2,4-5", NULL, 0));
	/* all or nothing: what was had for a moment is free again */
	ck_assert(!ranq_claims_take(claims, "6-7", NULL, 0));
	end(other("6"));
	/* nobody who lives */
	end(pid);
	ck_assert(ranq_claims_take(claims, "0-1,7", NULL, 0));
}
END_TEST

START_TEST(friends_share)
{
	pid_t pid = other("0-1"), both[2] = {getpid(), pid};

	ck_assert(!ranq_claims_take(claims, "0-1", both, 1));
	ck_assert(ranq_claims_take(claims, "0-2", both, 2));
	ck_assert(!ranq_claims_take(claims, "2", NULL, 0));
	ck_assert(!ranq_claims_take(claims, "2", &pid, 1));
	ck_assert(ranq_claims_take(claims, "2", both, 2));
	end(pid);
}
END_TEST

START_TEST(strange_lists)
{
	static const char *const lists[] = {"", "x", "5-3", "99999", "1-", "-", "4095", "0-99999999999999999999"};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		ck_assert_msg(ranq_claims_take(claims, lists[i], NULL, 0), "%s", lists[i]);
}
END_TEST

/* One compute rank with `slots` executors on this machine. */
static struct ranq_placement *place(unsigned slots, const char *bind)
{
	struct ranq_rank_facts facts;
	struct ranq_placing placing = {.facts = &facts, .slots = slots, .bind = bind, .claims = claims};
	struct ranq_placement *placements;
	struct ranq_link *link;
	struct ranq_err err;

	ranq_rank_facts_init(&facts);
	ranq_placing_facts(&facts);
	ck_assert_int_eq(ranq_link_local_open(1, NULL, &link, &err), 0);
	ck_assert_msg(ranq_placing_plan(&placing, link, &placements, &err) == 0, "%s", err.text);
	ranq_link_close(link, 0);
	return placements;
}

static void placements_free(struct ranq_placement *placements, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ranq_placement_clear(&placements[i]);
	free(placements);
}

static unsigned count_places(void)
{
	struct ranq_topology *topology = ranq_topology_open(NULL, NULL);
	char *allowed = ranq_topology_allowed(topology, NULL);
	int n = ranq_topology_places(topology, allowed, RANQ_BIND_CORE, NULL);

	free(allowed);
	ranq_topology_close(topology);
	ck_assert_int_gt(n, 0);
	return (unsigned)n;
}

/* Another bridge has the first place: all others are used, and no place twice. */
START_TEST(places_that_are_taken)
{
	unsigned n = count_places(), bound = 0;
	struct ranq_placement *first = place(1, "core"), *rest;
	pid_t pid;

	ck_assert_ptr_nonnull(first[0].cpus);
	ranq_claims_destroy(claims);
	claims = ranq_claims_create(realm);
	pid = other(first[0].cpus);
	rest = place(n, "core");
	for (unsigned i = 0; i < n; i++) {
		if (!rest[i].cpus) {
			ck_assert_msg(strstr(rest[i].text, "other bridges"), "%s", rest[i].text);
			continue;
		}
		bound++;
		ck_assert_str_ne(rest[i].cpus, first[0].cpus);
		for (unsigned k = 0; k < i; k++)
			ck_assert(!rest[k].cpus || strcmp(rest[k].cpus, rest[i].cpus) != 0);
	}
	ck_assert_uint_eq(bound, n - 1);
	placements_free(first, 1);
	placements_free(rest, n);
	end(pid);
}
END_TEST

START_TEST(one_bridge_after_the_other)
{
	unsigned n = count_places();
	struct ranq_placement *first = place(1, "core"), *next;
	pid_t pid;

	ranq_claims_destroy(claims);
	claims = ranq_claims_create(realm);
	pid = other(first[0].cpus);
	next = place(1, "core");
	if (n == 1)
		ck_assert_ptr_null(next[0].cpus);
	else
		ck_assert_str_ne(next[0].cpus, first[0].cpus);
	placements_free(first, 1);
	placements_free(next, 1);
	end(pid);
}
END_TEST

/* More executors than places: one bridge shares with itself as before. */
START_TEST(more_executors_than_places)
{
	unsigned n = count_places();
	struct ranq_placement *all = place(2 * n + 1, "core");

	for (unsigned i = 0; i <= 2 * n; i++) {
		ck_assert_ptr_nonnull(all[i].cpus);
		ck_assert_str_eq(all[i].cpus, all[i % n].cpus);
	}
	placements_free(all, 2 * n + 1);
}
END_TEST

START_TEST(no_binding)
{
	struct ranq_placement *all = place(2, "none");

	ck_assert_ptr_null(all[0].cpus);
	ck_assert_ptr_null(all[1].cpus);
	end(other("0"));
	placements_free(all, 2);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {one_process_has_a_processor, friends_share, strange_lists, places_that_are_taken,
		one_bridge_after_the_other, more_executors_than_places, no_binding};
	Suite *suite = suite_create("claims");
	TCase *tcase = tcase_create("claims");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

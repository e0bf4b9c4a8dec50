/* Plans over synthetic machines: pure functions of topology, allowed cpus, binding and number of ranks. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "exec/topology.h"

#define RANKS_MAX 8

/* Two packages, each one NUMA node, 4 cores of 2 threads: cpus 0-7 and 8-15, threads of a core side by side. */
#define MACHINE "package:2 numa:1 core:4 pu:2"

static const struct plan_row {
	const char *topology, *allowed, *bind;
	unsigned ranks;
	const char *cpus[RANKS_MAX]; /* NULL: not bound */
	int node0;                   /* of the first rank */
} plan_rows[] = {
	{MACHINE, "0-15", "core", 3, {"0-1", "2-3", "4-5"}, 0},
	{MACHINE, "0-15", "core:compact", 5, {"0-1", "2-3", "4-5", "6-7", "8-9"}, 0},
	{MACHINE, "0-15", "core:scatter", 4, {"0-1", "8-9", "2-3", "10-11"}, 0},
	{MACHINE, "0-15", "pu", 3, {"0", "1", "2"}, 0},
	/* every core once, alternating between packages, before a second thread is used */
	{MACHINE, "0-15", "pu:scatter", 4, {"0", "8", "2", "10"}, 0},
	{MACHINE, "0-3", "pu:scatter", 4, {"0", "2", "1", "3"}, 0},
	{MACHINE, "0-15", "numa", 3, {"0-7", "8-15", "0-7"}, 0},
	/* two kinds of memory beside the same cores: one place, and neither memory is preferred */
	{"package:2 [numa] [numa] core:4 pu:1", "0-7", "numa", 3, {"0-3", "4-7", "0-3"}, -1},
	{MACHINE, "0-15", "package", 2, {"0-7", "8-15"}, 0},
	/* no L3 in this machine: the package instead */
	{MACHINE, "0-15", "l3", 2, {"0-7", "8-15"}, 0},
	{"package:2 l3:2 core:2 pu:1", "0-7", "l3", 4, {"0-1", "2-3", "4-5", "6-7"}, -2},
	{MACHINE, "0-15", "none", 2, {NULL, NULL}, -1},
	/* only what was given is used */
	{MACHINE, "8-11", "core", 2, {"8-9", "10-11"}, 1},
	{MACHINE, "1,3", "core", 2, {"1", "3"}, 0},
	{MACHINE, "6-9", "package", 2, {"6-7", "8-9"}, 0},
	/* more ranks than places: they share */
	{MACHINE, "0-3", "core", 5, {"0-1", "2-3", "0-1", "2-3", "0-1"}, 0},
	{"pu:4", "0-3", "core", 2, {"0", "1"}, -2},
};

START_TEST(plans)
{
	const struct plan_row *row = &plan_rows[_i];
	struct ranq_placement placements[RANKS_MAX];
	struct ranq_err err = {0};
	struct ranq_topology *topology = ranq_topology_open(row->topology, &err);
	enum ranq_bind bind;
	bool scatter;
	unsigned i;

	ck_assert_msg(topology != NULL, "%s", err.text);
	ck_assert_int_eq(ranq_bind_parse(row->bind, &bind, &scatter, &err), 0);
	ck_assert_msg(ranq_topology_plan(topology, row->allowed, bind, scatter, row->ranks, placements, &err) == 0,
		"%s", err.text);
	for (i = 0; i < row->ranks; i++) {
		if (row->cpus[i])
			ck_assert_str_eq(placements[i].cpus, row->cpus[i]);
		else
			ck_assert_ptr_null(placements[i].cpus);
		ck_assert_uint_gt(strlen(placements[i].text), 0);
	}
	if (row->node0 != -2)
		ck_assert_int_eq(placements[0].numa_node, row->node0);
	for (i = 0; i < row->ranks; i++)
		ranq_placement_clear(&placements[i]);
	ranq_topology_close(topology);
}
END_TEST

START_TEST(counts)
{
	struct ranq_placement placement;
	struct ranq_err err = {0};
	struct ranq_topology *topology = ranq_topology_open(MACHINE, &err);

	ck_assert_int_eq(ranq_topology_plan(topology, "0-15", RANQ_BIND_PACKAGE, false, 1, &placement, &err), 0);
	ck_assert_uint_eq(placement.ncpus, 8);
	ck_assert_uint_eq(placement.ncores, 4);
	ck_assert_str_eq(placement.text, "package 0");
	ranq_placement_clear(&placement);
	ck_assert_int_eq(ranq_topology_count_cores(topology, "0-15"), 8);
	ck_assert_int_eq(ranq_topology_count_cores(topology, "0,2-3"), 2);
	ck_assert_int_eq(ranq_topology_count_cores(topology, "x"), -1);
	ranq_topology_close(topology);
}
END_TEST

START_TEST(allowed)
{
	struct ranq_err err = {0};
	struct ranq_topology *topology = ranq_topology_open(MACHINE, &err);
	char *list = ranq_topology_allowed(topology, &err);

	ck_assert_str_eq(list, "0-15");
	free(list);
	ranq_topology_close(topology);
}
END_TEST

START_TEST(this_machine)
{
	struct ranq_placement placements[2];
	struct ranq_err err = {0};
	struct ranq_topology *topology = ranq_topology_open(NULL, &err);
	char *list;

	ck_assert_msg(topology != NULL, "%s", err.text);
	list = ranq_topology_allowed(topology, &err);
	ck_assert_ptr_nonnull(list);
	ck_assert_int_ge(ranq_topology_count_cores(topology, list), 1);
	ck_assert_msg(
		ranq_topology_plan(topology, list, RANQ_BIND_CORE, false, 2, placements, &err) == 0, "%s", err.text);
	ck_assert_ptr_nonnull(placements[1].cpus);
	ranq_placement_clear(&placements[0]);
	ranq_placement_clear(&placements[1]);
	free(list);
	ranq_topology_close(topology);
}
END_TEST

static const char *const bad_binds[] = {"", "cores", "core:", "core:wide", "CORE", ":scatter", "core:scatter "};

START_TEST(bind_refused)
{
	struct ranq_err err = {0};
	enum ranq_bind bind = RANQ_BIND_COUNT;
	bool scatter;

	ck_assert_int_eq(ranq_bind_parse(bad_binds[_i], &bind, &scatter, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_USAGE);
	ck_assert_int_eq(bind, RANQ_BIND_COUNT);
}
END_TEST

static const char *const bad_lists[] = {"", "all", "0-", "x", "0;1", "-", "0 1"};

START_TEST(lists_refused)
{
	struct ranq_placement placement;
	struct ranq_err err = {0};
	struct ranq_topology *topology = ranq_topology_open(MACHINE, NULL);

	ck_assert_ptr_null(ranq_cpus_union(bad_lists[_i], "0", &err));
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_int_eq(ranq_topology_plan(topology, bad_lists[_i], RANQ_BIND_CORE, false, 1, &placement, NULL), -1);
	ranq_topology_close(topology);
}
END_TEST

START_TEST(nothing_of_this_machine)
{
	struct ranq_placement placement;
	struct ranq_err err = {0};
	struct ranq_topology *topology = ranq_topology_open(MACHINE, NULL);

	ck_assert_int_eq(ranq_topology_plan(topology, "64", RANQ_BIND_CORE, false, 1, &placement, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ranq_topology_close(topology);
}
END_TEST

START_TEST(unions)
{
	char *list = ranq_cpus_union("0,4-5", "1,5-6", NULL);

	ck_assert_str_eq(list, "0-1,4-6");
	free(list);
}
END_TEST

START_TEST(bad_synthetic)
{
	struct ranq_err err = {0};

	ck_assert_ptr_null(ranq_topology_open("core:x", &err));
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof *(rows))

static Suite *suite(void)
{
	Suite *s = suite_create("topology");
	TCase *t = tcase_create("plans");

	tcase_add_loop_test(t, plans, 0, COUNT(plan_rows));
	tcase_add_test(t, counts);
	tcase_add_test(t, allowed);
	tcase_add_test(t, this_machine);
	tcase_add_loop_test(t, bind_refused, 0, COUNT(bad_binds));
	tcase_add_loop_test(t, lists_refused, 0, COUNT(bad_lists));
	tcase_add_test(t, nothing_of_this_machine);
	tcase_add_test(t, unions);
	tcase_add_test(t, bad_synthetic);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

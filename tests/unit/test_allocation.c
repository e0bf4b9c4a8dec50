/* What schedulers say, read from their recorded output; and the command lines made of it. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/allocation.h"
#include "common/give_back.h"
#include "common/mpi_launch.h"

static int64_t local_time(int year, int month, int day, int hour, int minute, int second)
{
	struct tm when = {.tm_year = year - 1900,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_sec = second,
		.tm_isdst = -1};
	return (int64_t)mktime(&when);
}

START_TEST(squeue_line)
{
	struct ranq_allocation a = {0};
	ck_assert_int_eq(ranq_allocation_parse_squeue("2026-11-20T06:31:18|h[1-3]|3|12\n", &a), 0);
	ck_assert_str_eq(a.nodes, "h[1-3]");
	ck_assert_uint_eq(a.nnodes, 3);
	ck_assert_uint_eq(a.cpus, 12);
	ck_assert_int_eq(a.end_s, local_time(2026, 11, 20, 6, 31, 18));
	/* nodes shrink, no limit */
	ck_assert_int_eq(ranq_allocation_parse_squeue("N/A|h[1,3]|2|8\n", &a), 0);
	ck_assert_str_eq(a.nodes, "h[1,3]");
	ck_assert_int_eq(a.end_s, 0);
	ranq_allocation_clear(&a);
}
END_TEST

START_TEST(squeue_rubbish)
{
	static const char *const bad[] = {"", "\n", "slurm_load_jobs error: Invalid job id specified\n",
		"2026-11-20T06:31:18|h1|1\n", "2026-11-20T06:31:18|h1|0|4\n", "2026-11-20T06:31:18|h1|1|4|5\n",
		"2026-11-20T06:31:18|h1;rm -rf x|1|4\n", "2026-11-20T06:31:18|-oProxyCommand=x|1|4\n",
		"2026-11-20T06:31:18|h1|-1|4\n", "2026-11-20T06:31:18|h1|1|99999999999\n",
		"2026-11-20T06:31:18||1|4\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ranq_allocation a = {.nnodes = 7, .cpus = 9, .end_s = 11};
		ck_assert_msg(ranq_allocation_parse_squeue(bad[i], &a) == -1, "accepted: %s", bad[i]);
		ck_assert_uint_eq(a.nnodes, 7);
		ck_assert_int_eq(a.end_s, 11);
		ranq_allocation_clear(&a);
	}
}
END_TEST

#define START "\"Fri Nov 20 07:44:31 2026\""
#define QSTAT_RUN(stime, walltime, run_count) \
	"{\"timestamp\":1795160673,\"Jobs\":{\"3.pbs0\":{\"job_state\":\"R\",\"stime\":" stime \
	",\"Resource_List\":{\"ncpus\":1,\"walltime\":" walltime "},\"run_count\":" run_count "}}}"
#define QSTAT(stime, walltime) QSTAT_RUN(stime, walltime, "1")

START_TEST(qstat_end)
{
	unsigned restarts = 7;
	ck_assert_int_eq(ranq_allocation_parse_qstat(QSTAT(START, "\"00:10:00\""), &restarts),
		local_time(2026, 11, 20, 7, 54, 31));
	ck_assert_uint_eq(restarts, 0);
	ck_assert_int_eq(ranq_allocation_parse_qstat(QSTAT_RUN(START, "\"100:00:00\"", "3"), &restarts),
		local_time(2026, 11, 20, 7, 44, 31) + 360000);
	ck_assert_uint_eq(restarts, 2);
	static const char *const counts[] = {"0", "-3", "\"2\"", "1e30", "9999999999", "null"};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		char text[300];
		snprintf(text, sizeof text, QSTAT_RUN(START, "\"00:10:00\"", "%s"), counts[i]);
		ranq_allocation_parse_qstat(text, &restarts);
		ck_assert_uint_eq(restarts, 0);
	}
	static const char *const unknown[] = {"", "{", "[]", "{\"Jobs\":{}}", "{\"Jobs\":[1]}",
		QSTAT("12", "\"00:10:00\""), QSTAT("\"Fri Nov 20 07:44:31 2026\"", "600"),
		QSTAT("\"soon\"", "\"00:10:00\""), QSTAT("\"Fri Nov 20 07:44:31 2026\"", "\"-1:10:00\""),
		"Unknown Job Id 999.pbs0"};
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		ck_assert_msg(ranq_allocation_parse_qstat(unknown[i], &restarts) == 0, "an end in: %s", unknown[i]);
}
END_TEST

START_TEST(nodefile)
{
	struct ranq_allocation a = {0};
	ck_assert_int_eq(ranq_allocation_parse_nodefile("m1\nm1\nm11\nm2\n", 0, &a), 0);
	ck_assert_str_eq(a.nodes, "m1,m11,m2");
	ck_assert_uint_eq(a.nnodes, 3);
	ck_assert_uint_eq(a.cpus, 4);
	/* ncpus=4:mpiprocs=1 lists a host once */
	ck_assert_int_eq(ranq_allocation_parse_nodefile("m1\nm2", 4, &a), 0);
	ck_assert_uint_eq(a.cpus, 8);
	ck_assert_int_eq(ranq_allocation_parse_nodefile("", 4, &a), -1);
	ck_assert_int_eq(ranq_allocation_parse_nodefile("$(x)\n", 4, &a), -1);
	ck_assert_str_eq(a.nodes, "m1,m2");
	ranq_allocation_clear(&a);
}
END_TEST

/* A file that looks as if it were linked with the library named, and a launcher that prints `version`. */
static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0755), 0);
}

static void join_arguments(const struct ranq_mpi_launch *launch, char *text, size_t size)
{
	size_t len = 0;
	*text = '\0';
	for (size_t i = 1; i < launch->argc; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s", i > 1 ? " " : "", launch->argv[i]);
	ck_assert_uint_lt(len, size);
	ck_assert_ptr_null(launch->argv[launch->argc]);
}

struct world {
	char dir[64], bridge[96], launcher[96], path[4096];
};

static void make_world(struct world *world, const char *library, const char *launcher, const char *version)
{
	char script[512];
	snprintf(world->dir, sizeof world->dir, "/tmp/ranq-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(world->dir));
	snprintf(world->bridge, sizeof world->bridge, "%s/bridge", world->dir);
	snprintf(world->launcher, sizeof world->launcher, "%s/%s", world->dir, launcher);
	write_file(world->bridge, library);
	snprintf(script, sizeof script, "#!/bin/sh\necho '%s'\n", version);
	write_file(world->launcher, script);
	snprintf(world->path, sizeof world->path, "%s", getenv("PATH"));
	setenv("PATH", world->dir, 1);
	setenv("TMPDIR", world->dir, 1);
}

static void end_world(struct world *world)
{
	setenv("PATH", world->path, 1);
	unsetenv("TMPDIR");
	unlink(world->bridge);
	unlink(world->launcher);
	ck_assert_msg(rmdir(world->dir) == 0, "something was left in %s", world->dir);
}

START_TEST(nodes_to_give_back)
{
	static const struct {
		const char *nodes, *hosts, *here, *gone, *left; /* NULL: refused, or nothing */
	} rows[] = {
		{"h1,h2,h3", "h2", "h1", "h2", "h1,h3"},
		{"h1,h2,h3", "h3,h2", "h1.site", "h2,h3", "h1"},
		{"h1.site,h2.site", "h2", "h1", "h2.site", "h1.site"},
		{"h1,h2,h22", "h22.site", "h1", "h22", "h1,h2"},
		{"h1,h2", "h1", "h1", NULL, NULL},    /* our own */
		{"h1,h2", "h3", "h1", NULL, NULL},    /* none of ours */
		{"h1,h2", "h2,h3", "h1", NULL, NULL}, /* in part */
		{"h1,h2", "", "h1", NULL, NULL},
		{"h1,h2", ",", "h1", NULL, NULL},
		{"h1,h2", "h2,,", "h1", NULL, NULL},
		{"h1,h2", "h", "h1", NULL, NULL},
		{"", "h1", "h2", NULL, NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *gone = ranq_give_back_select(rows[i].nodes, rows[i].hosts, rows[i].here, false);
		char *left = ranq_give_back_select(rows[i].nodes, rows[i].hosts, rows[i].here, true);
		ck_assert_msg(rows[i].gone ? gone && strcmp(gone, rows[i].gone) == 0 : !gone, "row %zu: %s", i, gone);
		ck_assert_msg(rows[i].left ? left && strcmp(left, rows[i].left) == 0 : !left, "row %zu: %s", i, left);
		free(gone);
		free(left);
	}
}
END_TEST

START_TEST(nodes_that_are_gone)
{
	struct ranq_give_back give = {.gone = strdup("m2,m9")};
	struct ranq_allocation a = {.nodes = strdup("m1,m2,m3,m4"), .nnodes = 4, .cpus = 16};
	ranq_give_back_leave_out(&give, &a);
	ck_assert_str_eq(a.nodes, "m1,m3,m4");
	ck_assert_uint_eq(a.nnodes, 3);
	ck_assert_uint_eq(a.cpus, 12);
	ranq_give_back_leave_out(&give, &a); /* once is enough */
	ck_assert_str_eq(a.nodes, "m1,m3,m4");
	ck_assert_uint_eq(a.cpus, 12);
	ranq_allocation_clear(&a);
	ranq_give_back_clear(&give);
}
END_TEST

START_TEST(plan_one_machine)
{
	struct world world;
	struct ranq_mpi_launch launch;
	struct ranq_allocation here = {.nnodes = 1, .cpus = 4};
	static const char *const arguments[] = {"--queue", "a b", NULL};
	char text[1024], want[1024];
	struct ranq_err err = {0};
	make_world(&world, "ELF libmpi.so.40 ", "mpirun", "mpirun (Open MPI) 4.1.4");
	struct ranq_mpi_request request = {
		.bridge = world.bridge, .arguments = arguments, .ranks = 2, .allocation = &here};
	ck_assert_msg(ranq_mpi_plan(&request, &launch, &err) == 0, "%s", err.text);
	ck_assert_int_eq(launch.mpi, RANQ_MPI_OPEN);
	ck_assert_int_eq(launch.drain_signal, SIGUSR1);
	ck_assert_int_eq(launch.death_signal, SIGUSR1);
	ck_assert_str_eq(launch.argv[0], world.launcher);
	join_arguments(&launch, text, sizeof text);
	snprintf(want, sizeof want, "--oversubscribe --bind-to none -n 3 %s --queue a b", world.bridge);
	ck_assert_str_eq(text, want);
	ranq_mpi_launch_clear(&launch);
	end_world(&world);
}
END_TEST

START_TEST(plan_mpich_and_none)
{
	struct world world;
	struct ranq_mpi_launch launch;
	struct ranq_allocation here = {.nnodes = 1, .cpus = 4};
	static const char *const arguments[] = {NULL};
	char text[1024], want[1024];
	struct ranq_err err = {0};
	make_world(&world, "ELF libmpich.so.12 ", "mpiexec", "HYDRA build details:");
	struct ranq_mpi_request request = {
		.bridge = world.bridge, .arguments = arguments, .ranks = 1, .allocation = &here};
	ck_assert_int_eq(ranq_mpi_plan(&request, &launch, &err), 0);
	ck_assert_int_eq(launch.drain_signal, SIGTERM);
	join_arguments(&launch, text, sizeof text);
	snprintf(want, sizeof want, "-n 2 %s", world.bridge);
	ck_assert_str_eq(text, want);
	ranq_mpi_launch_clear(&launch);
	/* the launcher of another MPI would start worlds of one */
	write_file(world.bridge, "ELF libmpi.so.40 ");
	ck_assert_int_eq(ranq_mpi_plan(&request, &launch, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_ptr_nonnull(strstr(err.text, "RANQ_MPIRUN"));
	end_world(&world);
}
END_TEST

START_TEST(plan_nodes)
{
	struct world world;
	struct ranq_mpi_launch launch;
	struct ranq_allocation pbs = {
		.scheduler = RANQ_SCHEDULER_PBS, .nodes = strdup("m1,m2"), .nnodes = 2, .cpus = 4};
	static const char *const arguments[] = {NULL};
	char text[1024], hosts[256];
	struct ranq_err err = {0};
	make_world(&world, "ELF libmpi.so.40 ", "mpirun", "mpirun (Open MPI) 4.1.4");
	struct ranq_mpi_request request = {
		.bridge = world.bridge, .arguments = arguments, .ranks = 4, .allocation = &pbs};
	ck_assert_msg(ranq_mpi_plan(&request, &launch, &err) == 0, "%s", err.text);
	join_arguments(&launch, text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "--hostfile"));
	ck_assert_ptr_nonnull(strstr(text, "-n 5 "));
	ck_assert_ptr_null(strstr(text, "sigkill_timeout"));
	ck_assert_int_eq(launch.drain_signal, SIGUSR1);
	ck_assert_int_eq(launch.death_signal, SIGTERM);
	FILE *file = fopen(launch.hosts, "r");
	ck_assert_ptr_nonnull(file);
	size_t got = fread(hosts, 1, sizeof hosts - 1, file);
	hosts[got] = '\0';
	fclose(file);
	ck_assert_str_eq(hosts, "m1 slots=3\nm2 slots=3\n");
	ranq_mpi_launch_clear(&launch);
	end_world(&world);
	ranq_allocation_clear(&pbs);
}
END_TEST

START_TEST(plan_srun)
{
	struct world world;
	struct ranq_mpi_launch launch;
	struct ranq_allocation slurm = {
		.scheduler = RANQ_SCHEDULER_SLURM, .nodes = strdup("h1,h3"), .nnodes = 2, .cpus = 8};
	static const char *const arguments[] = {NULL};
	char text[1024];
	struct ranq_err err = {0};
	make_world(&world, "ELF libmpi.so.40 ", "srun", "MPI plugin types are... pmix_v4 pmix pmi2 none");
	struct ranq_mpi_request request = {
		.bridge = world.bridge, .arguments = arguments, .ranks = 8, .allocation = &slurm};
	ck_assert_msg(ranq_mpi_plan(&request, &launch, &err) == 0, "%s", err.text);
	ck_assert_int_eq(launch.srun, true);
	join_arguments(&launch, text, sizeof text);
	static const char *const wanted[] = {"--mpi=pmix", "--no-kill", "--kill-on-bad-exit=0", "--cpu-bind=none",
		"--ntasks=9", "--nodelist=h1,h3", "--overcommit"};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		ck_assert_msg(strstr(text, wanted[i]), "no %s in: %s", wanted[i], text);
	ranq_mpi_launch_clear(&launch);
	end_world(&world);
	/* a heterogeneous job: one world over its components, ranks by their cpus, never none */
	make_world(&world, "ELF libmpi.so.40 ", "srun", "MPI plugin types are... pmix_v4 pmix pmi2 none");
	slurm.ncomponents = 3;
	slurm.component_cpus[0] = 1;
	slurm.component_cpus[1] = 6;
	slurm.component_cpus[2] = 1;
	request.ranks = 4;
	ck_assert_msg(ranq_mpi_plan(&request, &launch, &err) == 0, "%s", err.text);
	join_arguments(&launch, text, sizeof text);
	static const char *const parts[] = {"--ntasks=1 --het-group=0 ", "--ntasks=3 --het-group=1 ", "--ntasks=1 --het-group=2 "};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		ck_assert_msg(strstr(text, parts[i]), "no %s in: %s", parts[i], text);
	ranq_mpi_launch_clear(&launch);
	end_world(&world);
	/* without the plug-in that fits: not srun */
	make_world(&world, "ELF libmpi.so.40 ", "srun", "none pmi2");
	ck_assert_int_eq(ranq_mpi_plan(&request, &launch, &err), -1);
	end_world(&world);
	ranq_allocation_clear(&slurm);
}
END_TEST

START_TEST(preemption)
{
	ck_assert(ranq_allocation_parse_preempted(
		"JobId=1 EndTime=2026-11-20T12:39:50 PreemptEligibleTime=2026-11-20T12:39:39 PreemptTime=2026-11-20T12:39:40 X=1"));
	ck_assert(!ranq_allocation_parse_preempted(
		"JobId=1 EndTime=2026-11-20T12:49:39 PreemptEligibleTime=2026-11-20T12:39:39 PreemptTime=None X=1"));
	ck_assert(!ranq_allocation_parse_preempted("slurm_load_jobs error: Invalid job id specified"));
	ck_assert(!ranq_allocation_parse_preempted("JobId=1 PreemptTime="));
}
END_TEST

START_TEST(cpus_of_nodes)
{
	static const struct {
		const char *text;
		unsigned want;
	} rows[] = {{"2(x3),1", 7}, {"4", 4}, {"1,1,1", 3}, {"", 0}, {"x", 0}, {"2(x", 0}, {"2(x3", 0}, {"-1", 0}, {"1;2", 0},
		{"999999999(x999999999)", 0}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(ranq_allocation_parse_cpus(rows[i].text) == rows[i].want, "%s", rows[i].text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("allocation");
	TCase *tests = tcase_create("all");
	tcase_add_test(tests, squeue_line);
	tcase_add_test(tests, squeue_rubbish);
	tcase_add_test(tests, qstat_end);
	tcase_add_test(tests, nodefile);
	tcase_add_test(tests, cpus_of_nodes);
	tcase_add_test(tests, preemption);
	tcase_add_test(tests, nodes_to_give_back);
	tcase_add_test(tests, nodes_that_are_gone);
	tcase_add_test(tests, plan_one_machine);
	tcase_add_test(tests, plan_mpich_and_none);
	tcase_add_test(tests, plan_nodes);
	tcase_add_test(tests, plan_srun);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

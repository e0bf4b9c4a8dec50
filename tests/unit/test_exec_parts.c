/* The small parts of src/exec: environments, cpu lists, program search, wire helpers, sweeping, processes. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/cpus.h"
#include "exec/environment.h"
#include "exec/oom.h"
#include "exec/path.h"
#include "exec/process.h"
#include "exec/sweep.h"
#include "exec/wire.h"
#include "support/exec_rig.h"

/* ---- environment ------------------------------------------------------------------------------------------------- */

static const struct scrub_row {
	const char *entry;
	bool hidden;
} scrub_rows[] = {
	{"OMPI_COMM_WORLD_RANK=1", true},
	{"OMPI_MCA_ess=pmi", true},
	{"PMIX_RANK=0", true},
	{"PMI_FD=9", true},
	{"PMI2_RANK=9", true},
	{"HYDI_CONTROL_FD=3", true},
	{"MPIR_CVAR_X=1", true},
	{"MPI_LOCALRANKID=0", true},
	{"PRTE_X=1", true},
	{"SLURM_PMIX_MAPPING_SERV=x", true},
	{"RANQ_PASSWORD=secret", true},
	{"RANQ_PASSWORD_FILE=/x", true},
	{"REDISCLI_AUTH=secret", true},
	{"RANQ_MARK=outer", true},
	{"RANQ_TASK=3", true},
	{"OMPI_ALLOW_RUN_AS_ROOT=1", false},
	{"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", false},
	{"SLURM_JOB_ID=7", false},
	{"PBS_JOBID=7", false},
	{"RANQ_SERVER=unix:///x", false},
	{"PATH=/bin", false},
	{"OMP_NUM_THREADS=4", false},
	{"PMIRROR=1", false},
	{"EMPTY=", false},
};

START_TEST(scrub)
{
	const struct scrub_row *row = &scrub_rows[_i];
	char entry[64];
	char *base[] = {entry, NULL};
	struct ranq_environment env = {0};

	snprintf(entry, sizeof entry, "%s", row->entry);
	ck_assert_int_eq(ranq_environment_scrubbed(&env, base, NULL), 0);
	ck_assert_uint_eq(env.n, row->hidden ? 0 : 1);
	ranq_environment_clear(&env);
}
END_TEST

START_TEST(environment_replaces)
{
	struct ranq_environment env = {0};
	char name[32];
	int i;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "V%d", i);
		ck_assert_int_eq(ranq_environment_printf(&env, NULL, "%s=%d", name, i), 0);
	}
	ck_assert_int_eq(ranq_environment_put(&env, "V7=new=er", NULL), 0);
	ck_assert_uint_eq(env.n, 200);
	ck_assert_ptr_null(env.at[200]);
	ck_assert_str_eq(ranq_environment_get(&env, "V7"), "new=er");
	ck_assert_str_eq(ranq_environment_get(&env, "V70"), "70");
	ck_assert_ptr_null(ranq_environment_get(&env, "V"));
	ranq_environment_clear(&env);
}
END_TEST

/* ---- cpus -------------------------------------------------------------------------------------------------------- */

static const struct cpus_row {
	const char *list;
	int count;
} cpus_rows[] = {
	{"0", 1},
	{"0-3", 4},
	{"0,2-3,8", 4},
	{"8191", 1},
	{"8192", -1},
	{"", -1},
	{"0-", -1},
	{"3-2", -1},
	{"0,", -1},
	{",0", -1},
	{"a", -1},
	{"0 1", -1},
	{"99999999999999999999", -1},
	{"-1", -1},
};

START_TEST(cpu_lists)
{
	struct ranq_err err = {0};

	ck_assert_int_eq(ranq_cpus_count(cpus_rows[_i].list, &err), cpus_rows[_i].count);
	if (cpus_rows[_i].count < 0)
		ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
}
END_TEST

START_TEST(cpu_bind)
{
	char list[256] = "", first[16], tiny[1];

	ck_assert_int_eq(ranq_cpus_current(list, sizeof list, NULL), 0);
	snprintf(first, sizeof first, "%d", atoi(list));
	ck_assert_int_eq(ranq_cpus_bind(first, NULL), 0);
	ck_assert_int_eq(ranq_cpus_current(list, sizeof list, NULL), 0);
	ck_assert_str_eq(list, first);
	ck_assert_int_eq(ranq_cpus_current(tiny, sizeof tiny, NULL), -1);
	ck_assert_int_eq(ranq_cpus_bind("8000", NULL), -1);
}
END_TEST

/* ---- programs ---------------------------------------------------------------------------------------------------- */

START_TEST(search)
{
	char directory[] = "/tmp/ranq-test-XXXXXX", path[64], both[128], *found;
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/tool", directory);
	file = fopen(path, "w");
	fclose(file);
	snprintf(both, sizeof both, "/nowhere:%s:/bin", directory);
	ck_assert_ptr_null(ranq_path_find("tool", both));
	ck_assert_int_eq(errno, EACCES);
	chmod(path, 0755);
	found = ranq_path_find("tool", both);
	ck_assert_str_eq(found, path);
	free(found);
	found = ranq_path_find("sh", both);
	ck_assert_str_eq(found, "/bin/sh");
	free(found);
	found = ranq_path_find("./x/y", both);
	ck_assert_str_eq(found, "./x/y");
	free(found);
	ck_assert_ptr_null(ranq_path_find("no-such-tool", both));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_null(ranq_path_find("", both));
	ck_assert_ptr_null(ranq_path_find("tmp", "/")); /* a directory */
	unlink(path);
	rmdir(directory);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void put(const char *directory, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static const struct oom_row {
	const char *cgroup, *file, *text;
	int64_t count;
} oom_rows[] = {
	{"0::/job/step\n", "job/step/memory.events", "low 0\noom 3\noom_kill 2\n", 2},
	{"0::/not/visible\n", "memory.events", "oom_kill 5\n", 5},
	{"5:cpu:/\n4:memory:/job/step\n0::/\n", "memory/job/step/memory.oom_control", "under_oom 0\noom_kill 1\n", 1},
	{"4:memory:/hidden\n", "memory/memory.oom_control", "oom_kill 7\n", 7},
	{"4:memory:/\n", "memory/memory.oom_control", "under_oom 0\n", -1}, /* before Linux 4.13 */
	{"nonsense\n", "memory.events", "oom_kill 5\n", -1},
};

START_TEST(oom_kills)
{
	const struct oom_row *row = &oom_rows[_i];
	char directory[] = "/tmp/ranq-test-XXXXXX", command[256], cgroup[64];

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(command, sizeof command, "mkdir -p %s/job/step %s/memory/job/step", directory, directory);
	ck_assert_int_eq(system(command), 0);
	put(directory, "cgroup", row->cgroup);
	put(directory, row->file, row->text);
	snprintf(cgroup, sizeof cgroup, "%s/cgroup", directory);
	ck_assert_int_eq(ranq_oom_kills_of(cgroup, directory), row->count);
	ck_assert_int_eq(ranq_oom_kills_of("/no/such/file", directory), -1);
	snprintf(command, sizeof command, "rm -r %s", directory);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ---- wire -------------------------------------------------------------------------------------------------------- */

static const int64_t signed_values[] = {0, 1, -1, 63, -64, 1000000007, -1000000007, INT64_MAX, INT64_MIN};

START_TEST(signed_numbers)
{
	struct ranq_buf buf;
	struct ranq_reader in;

	ranq_buf_init(&buf, 0);
	ranq_wire_add_signed(&buf, signed_values[_i]);
	ranq_reader_init(&in, buf.data, buf.len);
	ck_assert_int_eq(ranq_wire_signed(&in), signed_values[_i]);
	ck_assert(!in.failed);
	ranq_buf_clear(&buf);
}
END_TEST

START_TEST(descriptors_travel)
{
	int pair[2], given[2], fds[RANQ_WIRE_FDS];
	char data[8];
	unsigned nfds;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(pipe(given), 0);
	ck_assert_int_eq(ranq_wire_send(pair[0], "ab", 2, given, 2, 0), 2);
	ck_assert_int_eq(ranq_wire_send(pair[0], "cd", 2, NULL, 0, 0), 2);
	ck_assert_int_eq(
		ranq_wire_receive(pair[1], data, sizeof data, fds, &nfds, 0), 2); /* not joined with what follows */
	ck_assert_uint_eq(nfds, 2);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert_int_eq(read(given[0], data, 1), 1);
	ck_assert_int_eq(ranq_wire_receive(pair[1], data, sizeof data, fds, &nfds, 0), 2);
	ck_assert_uint_eq(nfds, 0);
}
END_TEST

/* ---- sweep ------------------------------------------------------------------------------------------------------- */

static pid_t marked_sleep(const char *mark)
{
	int ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(ready, 0), 0);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		setenv("RANQ_MARK", mark, 1);
		dup2(ready[1], 1);
		execl("/bin/sh", "sh", "-c", "echo; exec sleep 1000 >/dev/null", (char *)NULL);
		_exit(127);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static bool is_alive(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

START_TEST(sweep_by_mark)
{
	char mark[64], text[80];
	pid_t exact, below, other, longer;

	snprintf(mark, sizeof mark, "sweep%d.1", (int)getpid());
	exact = marked_sleep(mark);
	snprintf(text, sizeof text, "%s.0", mark);
	below = marked_sleep(text);
	snprintf(text, sizeof text, "%s2", mark);
	longer = marked_sleep(text);
	other = marked_sleep("another");
	ck_assert_uint_eq(ranq_sweep_pass(mark, 0), 2);
	ck_assert_uint_eq(ranq_sweep(mark, 5000), 0);
	ck_assert_int_eq(waitpid(exact, NULL, 0), exact);
	ck_assert_int_eq(waitpid(below, NULL, 0), below);
	ck_assert(is_alive(longer));
	ck_assert(is_alive(other));
	kill(longer, SIGKILL);
	kill(other, SIGKILL);
}
END_TEST

/* A page can hold any number. */
START_TEST(sweep_group_refuses)
{
	pid_t pid = marked_sleep("group");

	ranq_sweep_group(0, getsid(0), SIGKILL);
	ranq_sweep_group(-1, getsid(0), SIGKILL);
	ranq_sweep_group(1, getsid(0), SIGKILL);
	ranq_sweep_group(getpgrp(), getsid(0), SIGKILL);
	ranq_sweep_group(pid, getsid(0) + 1, SIGKILL); /* of another session */
	ck_assert(is_alive(pid));
	ranq_sweep_group(pid, getsid(0), SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* ---- processes --------------------------------------------------------------------------------------------------- */

static void wait_for_state(pid_t pid, char state)
{
	struct ranq_process process;

	do { /* the limit is that of the test case */
		ck_assert(ranq_process_look(pid, &process));
		sched_yield();
	} while ((process.state == 'T') != (state == 'T'));
}

/* Us, a child and its child: what is above the last one? */
START_TEST(stopped_above)
{
	struct ranq_process process;
	int ready[2];
	pid_t above, pid = 0;

	ck_assert_int_eq(pipe(ready), 0);
	above = fork();
	if (!above) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "a) T 1 (b");
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		if (write(ready[1], &pid, sizeof pid) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &pid, sizeof pid), sizeof pid);
	ck_assert(ranq_process_look(pid, &process));
	ck_assert_int_eq(process.parent, above);
	ck_assert(ranq_process_look(above, &process));
	ck_assert_int_eq(process.parent, getpid());
	ck_assert(!ranq_process_stopped_above(pid));
	kill(pid, SIGSTOP); /* itself: no matter */
	wait_for_state(pid, 'T');
	ck_assert(!ranq_process_stopped_above(pid));
	kill(above, SIGSTOP);
	wait_for_state(above, 'T');
	ck_assert(ranq_process_stopped_above(pid));
	kill(above, SIGCONT);
	wait_for_state(above, 'S');
	ck_assert(!ranq_process_stopped_above(pid));
	kill(above, SIGKILL);
	ck_assert_int_eq(waitpid(above, NULL, 0), above);
	ck_assert(!ranq_process_look(above, &process));
	ck_assert(!ranq_process_stopped_above(above));
	close(ready[0]);
	close(ready[1]);
}
END_TEST

#define COUNT(rows) (int)(sizeof(rows) / sizeof *(rows))

static Suite *suite(void)
{
	Suite *s = suite_create("exec_parts");
	TCase *t = tcase_create("parts");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, scrub, 0, COUNT(scrub_rows));
	tcase_add_test(t, environment_replaces);
	tcase_add_loop_test(t, cpu_lists, 0, COUNT(cpus_rows));
	tcase_add_test(t, cpu_bind);
	tcase_add_test(t, search);
	tcase_add_loop_test(t, oom_kills, 0, COUNT(oom_rows));
	tcase_add_loop_test(t, signed_numbers, 0, COUNT(signed_values));
	tcase_add_test(t, descriptors_travel);
	tcase_add_test(t, sweep_by_mark);
	tcase_add_test(t, sweep_group_refuses);
	tcase_add_test(t, stopped_above);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

/* spawn.c - what running tasks costs beside the tasks: commands through a slot against a bare posix_spawn + pipe + wait
 * loop, in turns in the same run because machines are noisy, and empty functions a second. One JSON line a result.
 *
 * bench-spawn RANQ_EXEC [MODULE.so FUNCTION]        (numbers: RANQ_BENCH_TASKS, default 2000) */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/exec.h"
#include "util/clock.h"

#define ROUNDS 5

static void die(const char *what)
{
	fprintf(stderr, "bench-spawn: %s\n", what);
	exit(1);
}

static double bare_loop(unsigned tasks)
{
	char name[] = "/bin/true";
	char *argv[] = {name, NULL};
	int64_t start = ranq_clock_ns();
	unsigned i;

	for (i = 0; i < tasks; i++) {
		posix_spawn_file_actions_t actions;
		int pair[2], status;
		char data[4096];
		pid_t pid;

		if (pipe2(pair, O_CLOEXEC) < 0)
			die("no pipe");
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, pair[1], 1);
		if (posix_spawn(&pid, name, &actions, NULL, argv, environ))
			die("cannot run /bin/true");
		posix_spawn_file_actions_destroy(&actions);
		close(pair[1]);
		while (read(pair[0], data, sizeof data) > 0)
			;
		close(pair[0]);
		waitpid(pid, &status, 0);
	}
	return tasks / ((double)(ranq_clock_ns() - start) / 1e9);
}

static uint64_t pump(struct ranq_exec *exec, struct ranq_slot *slot)
{
	struct pollfd fds[2] = {{ranq_exec_fd(exec), POLLIN, 0},
		{ranq_slot_fd(slot), (short)(POLLIN | (ranq_slot_wants_write(slot) ? POLLOUT : 0)), 0}};
	struct ranq_slot_event event;
	struct ranq_err err = {0};
	int64_t deadline = ranq_slot_deadline_ms(slot), now = ranq_clock_ms();
	uint64_t done = 0;

	poll(fds, 2, deadline > now + 1000 ? 1000 : deadline > now ? (int)(deadline - now) : 0);
	if (ranq_exec_pump(exec, &err) < 0)
		die(err.text);
	do {
		if (ranq_slot_pump(slot, &event, &err) < 0)
			die(err.text);
		done += event.counts[RANQ_TASK_OK];
		if (event.nfailures)
			die("a task failed");
	} while (event.kind != RANQ_SLOT_NOTHING);
	return done;
}

static double slot_loop(
	struct ranq_exec *exec, struct ranq_slot *slot, uint64_t job, uint64_t tasks, uint64_t chunk_tasks)
{
	static uint64_t next_chunk;
	struct ranq_chunk chunk = {.job = job, .end_ms = RANQ_NEVER};
	int64_t start = ranq_clock_ns();
	uint64_t done = 0, given = 0;
	struct ranq_err err = {0};

	while (done < tasks) {
		while (given < tasks && ranq_slot_queued(slot) < 2) {
			chunk.id = ++next_chunk;
			chunk.start = given;
			chunk.end = given = given + chunk_tasks < tasks ? given + chunk_tasks : tasks;
			if (ranq_slot_run(slot, &chunk, &err) < 0)
				die(err.text);
		}
		done += pump(exec, slot);
	}
	return (double)tasks / ((double)(ranq_clock_ns() - start) / 1e9);
}

static void add_job(struct ranq_slot *slot, uint64_t job, const struct ranq_spec *spec, int module_fd)
{
	struct ranq_exec_job given = {.job = job, .id_text = "bench/1", .module_fd = module_fd, .data_fd = -1};
	struct ranq_buf packed;
	struct ranq_err err = {0};

	ranq_buf_init(&packed, 0);
	if (ranq_spec_pack(spec, &packed, &err) < 0)
		die(err.text);
	given.spec = (struct ranq_bytes){packed.data, packed.len};
	if (ranq_slot_add_job(slot, &given, &err) < 0)
		die(err.text);
	ranq_buf_clear(&packed);
}

static void bench_commands(struct ranq_exec *exec, struct ranq_slot *slot, unsigned tasks)
{
	double bare[ROUNDS], ours[ROUNDS], sum = 0;
	struct ranq_spec spec;
	unsigned i;

	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_COMMAND;
	ranq_strings_add(&spec.argv, "/bin/true", 9);
	add_job(slot, 1, &spec, -1);
	ranq_spec_clear(&spec);
	slot_loop(exec, slot, 1, 50, 50);
	for (i = 0; i < ROUNDS; i++) {
		bare[i] = bare_loop(tasks);
		ours[i] = slot_loop(exec, slot, 1, tasks, 50);
		sum += ours[i] / bare[i];
		printf("{\"bench\": \"commands\", \"round\": %u, \"bare_per_s\": %.0f, \"slot_per_s\": %.0f, "
		       "\"ratio\": %.3f}\n",
			i, bare[i], ours[i], ours[i] / bare[i]);
	}
	printf("{\"bench\": \"commands\", \"mean_ratio\": %.3f}\n", sum / ROUNDS);
}

static int load(const char *path)
{
	int fd = memfd_create("module", MFD_CLOEXEC), file = open(path, O_RDONLY | O_CLOEXEC);
	char data[65536];
	ssize_t n;

	if (fd < 0 || file < 0)
		die("cannot read the module");
	while ((n = read(file, data, sizeof data)) > 0)
		if (write(fd, data, (size_t)n) != n)
			die("cannot copy the module");
	close(file);
	return fd;
}

static void bench_functions(struct ranq_exec *exec, struct ranq_slot *slot, const char *module, const char *function)
{
	struct ranq_spec spec;
	unsigned i;
	int fd = load(module);

	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_FUNCTION;
	spec.function = strdup(function);
	spec.module_hash = strdup("00000000000000000000000000000000");
	add_job(slot, 2, &spec, fd);
	close(fd);
	ranq_spec_clear(&spec);
	slot_loop(exec, slot, 2, 1000, 1000);
	for (i = 0; i < ROUNDS; i++) {
		double rate = slot_loop(exec, slot, 2, 20000000, 500000);

		printf("{\"bench\": \"functions\", \"round\": %u, \"tasks_per_s\": %.0f, \"ns_per_task\": %.1f}\n", i,
			rate, 1e9 / rate);
	}
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* One task there and back: rank to executor to rank. */
static void bench_round_trip(struct ranq_exec *exec, struct ranq_slot *slot, uint64_t job, const char *what)
{
	double us[501];
	unsigned i;

	for (i = 0; i < 501; i++)
		us[i] = 1e6 / slot_loop(exec, slot, job, 1, 1);
	qsort(us, 501, sizeof *us, compare);
	printf("{\"bench\": \"round trip\", \"body\": \"%s\", \"median_us\": %.0f, \"p99_us\": %.0f}\n", what, us[250], us[496]);
}

int main(int argc, char **argv)
{
	struct ranq_exec_options options = {
		.program = argc > 1 ? argv[1] : NULL, .mark = "bench-spawn", .queue = "bench", .worker = "bench"};
	struct ranq_slot_options slot_options = {.numa_node = -1};
	const char *tasks = getenv("RANQ_BENCH_TASKS");
	struct ranq_err err = {0};
	struct ranq_exec *exec;
	struct ranq_slot *slot;

	if (argc != 2 && argc != 4)
		die("usage: bench-spawn RANQ_EXEC [MODULE.so FUNCTION]");
	exec = ranq_exec_open(&options, &err);
	slot = exec ? ranq_slot_create(exec, &slot_options, &err) : NULL;
	if (!slot)
		die(err.text);
	bench_commands(exec, slot, tasks ? (unsigned)atoi(tasks) : 2000);
	bench_round_trip(exec, slot, 1, "command");
	if (argc == 4) {
		bench_functions(exec, slot, argv[2], argv[3]);
		bench_round_trip(exec, slot, 2, "function");
	}
	ranq_slot_destroy(slot);
	ranq_exec_close(exec, 0);
	return 0;
}

/* spawn.c - what running tasks costs beside the tasks: commands through a slot against a bare loop of posix_spawn, pipe and
 * wait, in turns because machines are noisy; one task from rank to executor and back; empty functions.
 *   bench-spawn RANQ_EXEC MODULE.so FUNCTION */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "benchmarks/bare.h"
#include "exec/exec.h"
#include "util/clock.h"

#define ROUNDS 5

static _Noreturn void die(const char *what)
{
	bench_die(BENCH_FAILED, "bench-spawn: %s", what);
}

static double bare_loop(uint64_t tasks)
{
	double start = bench_now_s();

	bench_bare_commands(tasks);
	return (double)tasks / (bench_now_s() - start);
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

static void bench_commands(struct ranq_exec *exec, struct ranq_slot *slot, uint64_t tasks)
{
	double bare = 0, ours = 0;
	struct ranq_spec spec;
	unsigned i;

	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_COMMAND;
	ranq_strings_add(&spec.argv, "/bin/true", 9);
	add_job(slot, 1, &spec, -1);
	ranq_spec_clear(&spec);
	slot_loop(exec, slot, 1, 50, 50);
	for (i = 0; i < ROUNDS; i++) {
		bare += bare_loop(tasks) / ROUNDS;
		ours += slot_loop(exec, slot, 1, tasks, 50) / ROUNDS;
	}
	bench_print("executor", "commands, bare loop", bare, "tasks/s", "higher");
	bench_print("executor", "commands, slot", ours, "tasks/s", "higher");
	bench_print("executor", "commands, slot / bare loop", ours / bare, "", "higher");
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
	int fd = load(module);

	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_FUNCTION;
	spec.function = strdup(function);
	spec.module_hash = strdup("00000000000000000000000000000000");
	add_job(slot, 2, &spec, fd);
	close(fd);
	ranq_spec_clear(&spec);
	slot_loop(exec, slot, 2, 1000, 1000);
	bench_print("executor", "functions", slot_loop(exec, slot, 2, bench_times(20000000), 500000), "tasks/s", "higher");
}

/* One task there and back: rank to executor to rank. */
static void bench_round_trip(struct ranq_exec *exec, struct ranq_slot *slot, uint64_t job, const char *what)
{
	double us[501];
	char more[64];

	for (unsigned i = 0; i < 501; i++)
		us[i] = 1e6 / slot_loop(exec, slot, job, 1, 1);
	qsort(us, 501, sizeof *us, bench_compare_doubles);
	snprintf(more, sizeof more, "\"p99_us\": %.1f", us[496]);
	bench_print_more("executor", what, "", us[250], "us", "lower", more);
}

int main(int argc, char **argv)
{
	struct ranq_exec_options options = {
		.program = argc > 1 ? argv[1] : NULL, .mark = "bench-spawn", .queue = "bench", .worker = "bench"};
	struct ranq_slot_options slot_options = {.numa_node = -1};
	struct ranq_err err = {0};
	struct ranq_exec *exec;
	struct ranq_slot *slot;

	if (argc != 4)
		die("usage: bench-spawn RANQ_EXEC MODULE.so FUNCTION");
	exec = ranq_exec_open(&options, &err);
	slot = exec ? ranq_slot_create(exec, &slot_options, &err) : NULL;
	if (!slot)
		die(err.text);
	bench_commands(exec, slot, bench_times(500));
	bench_round_trip(exec, slot, 1, "round trip of a command");
	bench_functions(exec, slot, argv[2], argv[3]);
	bench_round_trip(exec, slot, 2, "round trip of a function");
	ranq_slot_destroy(slot);
	ranq_exec_close(exec, 0);
	return 0;
}

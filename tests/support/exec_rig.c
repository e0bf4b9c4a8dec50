#include "support/exec_rig.h"

#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exec/sweep.h"
#include "util/clock.h"

const char *exec_rig_program;
const struct rlimit *exec_rig_files;

static void must(int rc, const struct ranq_err *err)
{
	ck_assert_msg(rc >= 0, "%s", err->text);
}

void exec_rig_open(struct exec_rig *rig, unsigned nslots, const char *cpus)
{
	static unsigned count;
	struct ranq_exec_options options = {
		.program = RANQ_TEST_BINDIR "/ranq-exec", .queue = "q", .worker = "bridge/1", .rank = 1};
	struct ranq_slot_options slot = {.cpus = cpus, .numa_node = -1, .ncores = cpus ? 1 : 0};
	struct ranq_err err = {0};

	if (exec_rig_program)
		options.program = exec_rig_program;
	*rig = (struct exec_rig){.nslots = nslots};
	snprintf(rig->mark, sizeof rig->mark, "rig%d-%u", (int)getpid(), count++);
	options.mark = rig->mark;
	options.files = exec_rig_files;
	rig->exec = ranq_exec_open(&options, &err);
	ck_assert_msg(rig->exec != NULL, "%s", err.text);
	for (slot.slot = 0; slot.slot < nslots; slot.slot++) {
		rig->slots[slot.slot] = ranq_slot_create(rig->exec, &slot, &err);
		ck_assert_msg(rig->slots[slot.slot] != NULL, "%s", err.text);
	}
}

void exec_rig_check_no_process(const struct exec_rig *rig)
{
	int64_t end = ranq_clock_ms() + RIG_LIMIT_MS / 2;
	unsigned left;

	while ((left = ranq_sweep_pass(rig->mark, 0)) && ranq_clock_ms() < end)
		poll(NULL, 0, 10);
	ck_assert_msg(!left, "%u processes are left", left);
}

void exec_rig_close(struct exec_rig *rig)
{
	uint64_t i;
	unsigned s;

	for (s = 0; s < rig->nslots; s++)
		ranq_slot_destroy(rig->slots[s]);
	ranq_exec_close(rig->exec, rig->close_grace_ms);
	exec_rig_check_no_process(rig);
	for (i = 0; i < rig->ntasks; i++)
		free(rig->tasks[i].data);
	free(rig->tasks);
}

void exec_rig_expect_tasks(struct exec_rig *rig, uint64_t n)
{
	rig->tasks = calloc(n, sizeof *rig->tasks);
	ck_assert_ptr_nonnull(rig->tasks);
	rig->ntasks = n;
}

void exec_rig_command(struct ranq_spec *spec, const char *const *argv)
{
	ranq_spec_init(spec);
	spec->body = RANQ_BODY_COMMAND;
	spec->args = RANQ_ARGS_RANGE;
	spec->range_step = 1;
	for (; *argv; argv++)
		ck_assert_int_eq(ranq_strings_add(&spec->argv, *argv, strlen(*argv)), 0);
}

void exec_rig_function(struct ranq_spec *spec, const char *function)
{
	ranq_spec_init(spec);
	spec->body = RANQ_BODY_FUNCTION;
	spec->args = RANQ_ARGS_RANGE;
	spec->range_step = 1;
	spec->function = strdup(function);
	spec->module_hash = strdup("00000000000000000000000000000000");
}

static int memory_file(const void *data, size_t len)
{
	int fd = memfd_create("rig", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	return fd;
}

static int module_file(const char *name)
{
	char path[512];
	FILE *file;
	char *data;
	long len;
	int fd;

	snprintf(path, sizeof path, "%s/tests/modules/%s", RANQ_TEST_BUILDDIR, name);
	file = fopen(path, "rb");
	ck_assert_msg(file != NULL, "no %s", path);
	fseek(file, 0, SEEK_END);
	len = ftell(file);
	rewind(file);
	data = malloc((size_t)len);
	ck_assert_int_eq(fread(data, 1, (size_t)len, file), (size_t)len);
	fclose(file);
	fd = memory_file(data, (size_t)len);
	free(data);
	return fd;
}

void exec_rig_add_job(struct exec_rig *rig, uint64_t job, const struct ranq_spec *spec, const char *module,
	const void *data, size_t len)
{
	struct ranq_exec_job given = {.job = job, .id_text = "q/7", .module_fd = -1, .data_fd = -1};
	struct ranq_err err = {0};
	struct ranq_buf packed;
	unsigned s;

	ranq_buf_init(&packed, 0);
	must(ranq_spec_pack(spec, &packed, &err), &err);
	given.spec = (struct ranq_bytes){packed.data, packed.len};
	if (module)
		given.module_fd = module_file(module);
	if (data)
		given.data_fd = memory_file(data, len);
	for (s = 0; s < rig->nslots; s++)
		must(ranq_slot_add_job(rig->slots[s], &given, &err), &err);
	if (given.module_fd >= 0)
		close(given.module_fd);
	if (given.data_fd >= 0)
		close(given.data_fd);
	ranq_buf_clear(&packed);
}

void exec_rig_run(struct exec_rig *rig, unsigned slot, uint64_t job, uint64_t chunk, uint64_t start, uint64_t end)
{
	struct ranq_chunk given = {.job = job, .id = chunk, .start = start, .end = end, .end_ms = RANQ_NEVER};
	struct ranq_err err = {0};

	must(ranq_slot_run(rig->slots[slot], &given, &err), &err);
}

static void take_segment(struct exec_rig *rig, const struct ranq_slot_event *event)
{
	struct ranq_segment_reader reader;
	struct ranq_result result;
	struct ranq_err err = {0};
	uint64_t index = event->from;
	int rc;

	ranq_segment_reader_init(&reader, event->segment.data, event->segment.len);
	while ((rc = ranq_segment_reader_next(&reader, &result, &err)) > 0) {
		ck_assert_uint_lt(index, event->upto);
		if (index < rig->ntasks) {
			struct exec_rig_task *task = &rig->tasks[index];

			task->status = result.status;
			free(task->data);
			task->len = result.value.len;
			task->data = malloc(task->len + 1);
			if (task->len)
				memcpy(task->data, result.value.data, task->len);
			task->data[task->len] = '\0';
		}
		index++;
	}
	must(rc, &err);
	if (event->segment.len)
		ck_assert_uint_eq(index, event->upto);
}

static void take_failures(struct exec_rig *rig, const struct ranq_slot_event *event)
{
	struct ranq_err err = {0};
	size_t i;

	for (i = 0; i < event->nfailures; i++) {
		struct exec_rig_task *task;

		if (event->failure_index[i] >= rig->ntasks)
			continue;
		task = &rig->tasks[event->failure_index[i]];
		must(ranq_failure_unpack(event->failures[i].data, event->failures[i].len, &task->failure, &err), &err);
		snprintf(task->tail, sizeof task->tail, "%.*s", (int)task->failure.err_tail.len,
			(const char *)task->failure.err_tail.data);
		task->has_failure = true;
	}
}

static void take_event(struct exec_rig *rig, const struct ranq_slot_event *event)
{
	uint64_t index, sum = 0;
	unsigned i;

	if (event->kind == RANQ_SLOT_DIED) {
		rig->died_events++;
		return;
	}
	if (event->kind == RANQ_SLOT_SHORTENED) {
		rig->shortened++;
		rig->shortened_chunk = event->chunk;
		rig->shortened_upto = event->upto;
		return;
	}
	rig->results_events++;
	for (i = 0; i < RANQ_TASK_STATUS_COUNT; i++) {
		rig->counts[i] += event->counts[i];
		sum += event->counts[i];
	}
	ck_assert_uint_eq(sum, event->upto - event->from);
	rig->reported += sum;
	for (index = event->from; index < event->upto && index < rig->ntasks; index++)
		rig->tasks[index].seen++;
	take_segment(rig, event);
	take_failures(rig, event);
	if (event->chunk_done) {
		rig->done++;
		rig->last_upto = event->upto;
	}
}

static int64_t next_deadline(const struct exec_rig *rig, int64_t end)
{
	unsigned s;

	if (ranq_exec_deadline_ms(rig->exec) < end)
		end = ranq_exec_deadline_ms(rig->exec);
	for (s = 0; s < rig->nslots; s++)
		if (ranq_slot_deadline_ms(rig->slots[s]) < end)
			end = ranq_slot_deadline_ms(rig->slots[s]);
	return end;
}

void exec_rig_turn(struct exec_rig *rig, int ms)
{
	struct pollfd fds[1 + RIG_SLOTS];
	struct ranq_slot_event event;
	struct ranq_err err = {0};
	int64_t now = ranq_clock_ms(), left = next_deadline(rig, now + ms) - now;
	unsigned s;

	fds[0] = (struct pollfd){.fd = ranq_exec_fd(rig->exec), .events = POLLIN};
	for (s = 0; s < rig->nslots; s++)
		fds[1 + s] = (struct pollfd){.fd = ranq_slot_fd(rig->slots[s]),
			.events = (short)(POLLIN | (ranq_slot_wants_write(rig->slots[s]) ? POLLOUT : 0))};
	poll(fds, 1 + rig->nslots, left < 0 ? 0 : (int)left);
	must(ranq_exec_pump(rig->exec, &err), &err);
	for (s = 0; s < rig->nslots; s++)
		for (;;) {
			must(ranq_slot_pump(rig->slots[s], &event, &err), &err);
			if (event.kind == RANQ_SLOT_NOTHING)
				break;
			take_event(rig, &event);
		}
}

void exec_rig_until_done(struct exec_rig *rig, unsigned chunks)
{
	int64_t end = ranq_clock_ms() + RIG_LIMIT_MS;

	while (rig->done < chunks) {
		ck_assert_msg(ranq_clock_ms() < end, "%u of %u chunks done, %llu tasks reported", rig->done, chunks,
			(unsigned long long)rig->reported);
		exec_rig_turn(rig, 1000);
	}
}

void exec_rig_until(struct exec_rig *rig, bool (*condition)(void *), void *user)
{
	int64_t end = ranq_clock_ms() + RIG_LIMIT_MS;

	while (!condition(user)) {
		ck_assert_msg(ranq_clock_ms() < end, "a condition did not come true");
		exec_rig_turn(rig, 10);
	}
}

bool exec_rig_file_exists(void *path)
{
	return access(path, F_OK) == 0;
}

int exec_rig_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

const char *exec_rig_text(const struct exec_rig *rig, uint64_t index)
{
	ck_assert_uint_lt(index, rig->ntasks);
	return rig->tasks[index].data ? (const char *)rig->tasks[index].data : "";
}

/* Two slots under random orders and random kills. Whatever happens: results of a chunk come in order, each task once
 * and right; each chunk ends once; one that nobody cut short is complete; nothing is left. RANQ_TEST_SEED repeats a
 * run, RANQ_TEST_STEPS makes it longer. */
#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/segment.h"
#include "support/exec_rig.h"
#include "util/clock.h"

#define CHUNKS_MAX 4096
#define STEPS 1500
#define DEATHS 100000 /* a task, and a module while it is loaded, may meet more kills than one would think */

enum { JOB_FUNCTION = 1, JOB_DEADLY, JOB_COMMAND, JOB_COUNT = JOB_COMMAND };

struct chunk {
	uint64_t start, end, upto, job;
	unsigned slot;
	bool cut, done;
};

static struct exec_rig rig;
static struct chunk chunks[CHUNKS_MAX];
static unsigned nchunks, nkills;
static uint64_t state;

/* splitmix64 */
static uint64_t any(uint64_t below)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

static void add_jobs(void)
{
	static const char *const argv[] = {"echo", "{}", NULL};
	struct ranq_spec spec;

	exec_rig_function(&spec, "index8");
	spec.max_deaths = DEATHS;
	exec_rig_add_job(&rig, JOB_FUNCTION, &spec, "exec_bodies.so", NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_function(&spec, "abort_first");
	spec.max_deaths = DEATHS;
	exec_rig_add_job(&rig, JOB_DEADLY, &spec, "exec_bodies.so", NULL, 0);
	ranq_spec_clear(&spec);
	exec_rig_command(&spec, argv);
	spec.max_deaths = DEATHS;
	exec_rig_add_job(&rig, JOB_COMMAND, &spec, NULL, NULL, 0);
	ranq_spec_clear(&spec);
}

static void check_value(const struct chunk *chunk, uint64_t index, const struct ranq_result *result)
{
	char text[32];
	int64_t value;

	ck_assert_int_eq(result->status, RANQ_TASK_OK);
	if (chunk->job == JOB_COMMAND) {
		snprintf(text, sizeof text, "%llu\n", (unsigned long long)index);
		ck_assert_uint_eq(result->value.len, strlen(text));
		ck_assert_mem_eq(result->value.data, text, strlen(text));
		return;
	}
	ck_assert_uint_eq(result->value.len, sizeof value);
	memcpy(&value, result->value.data, sizeof value);
	if (chunk->job == JOB_FUNCTION)
		ck_assert_int_eq(value, (int64_t)index);
	else
		ck_assert_int_ge(value, index % 5 == 2 ? 2 : 1);
}

/* Kills from outside are no failures of tasks. */
static void check_failures(const struct ranq_slot_event *event)
{
	struct ranq_failure failure;

	if (!event->nfailures)
		return;
	ck_assert_int_eq(ranq_failure_unpack(event->failures[0].data, event->failures[0].len, &failure, NULL), 0);
	ck_abort_msg("task %llu failed: %s (job %u, attempt %u)", (unsigned long long)failure.index, failure.reason,
		(unsigned)event->job, failure.attempts);
}

static void on_event(const struct ranq_slot_event *event, unsigned slot)
{
	struct ranq_segment_reader reader;
	struct ranq_result result;
	struct chunk *chunk;
	uint64_t index;

	ck_assert_uint_lt(event->chunk, nchunks);
	chunk = &chunks[event->chunk];
	ck_assert_uint_eq(chunk->slot, slot);
	ck_assert_uint_eq(chunk->job, event->job);
	ck_assert(!chunk->done);
	ck_assert_uint_eq(event->from, chunk->upto);
	ck_assert_uint_le(event->upto, chunk->end);
	check_failures(event);
	ranq_segment_reader_init(&reader, event->segment.data, event->segment.len);
	for (index = event->from; index < event->upto; index++) {
		ck_assert_int_eq(ranq_segment_reader_next(&reader, &result, NULL), 1);
		check_value(chunk, index, &result);
	}
	ck_assert_int_eq(ranq_segment_reader_next(&reader, &result, NULL), 0);
	chunk->upto = event->upto;
	chunk->done = event->chunk_done;
	if (chunk->done && !chunk->cut)
		ck_assert_uint_eq(chunk->upto, chunk->end);
}

/* From now on it ends there at the latest. */
static void on_shortened(const struct ranq_slot_event *event, unsigned slot)
{
	struct chunk *chunk;

	ck_assert_uint_lt(event->chunk, nchunks);
	chunk = &chunks[event->chunk];
	ck_assert_uint_eq(chunk->slot, slot);
	ck_assert(chunk->cut && !chunk->done);
	ck_assert_uint_ge(event->upto, chunk->upto);
	ck_assert_uint_lt(event->upto, chunk->end);
	chunk->end = event->upto;
}

static void turn(int ms)
{
	struct pollfd fds[3] = {{ranq_exec_fd(rig.exec), POLLIN, 0}, {ranq_slot_fd(rig.slots[0]), POLLIN, 0},
		{ranq_slot_fd(rig.slots[1]), POLLIN, 0}};
	struct ranq_slot_event event;
	struct ranq_err err = {0};
	unsigned s;

	for (s = 0; s < 2; s++)
		if (ranq_slot_deadline_ms(rig.slots[s]) <= ranq_clock_ms() + ms)
			ms = 1;
	poll(fds, 3, ms);
	ck_assert_msg(ranq_exec_pump(rig.exec, &err) == 0, "%s", err.text);
	for (s = 0; s < 2; s++)
		do {
			ck_assert_msg(ranq_slot_pump(rig.slots[s], &event, &err) == 0, "%s", err.text);
			if (event.kind == RANQ_SLOT_RESULTS)
				on_event(&event, s);
			else if (event.kind == RANQ_SLOT_SHORTENED)
				on_shortened(&event, s);
		} while (event.kind != RANQ_SLOT_NOTHING);
}

static pid_t first_child(pid_t parent)
{
	char path[64], text[256] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
	file = fopen(path, "r");
	if (file && !fgets(text, sizeof text, file))
		text[0] = '\0';
	if (file)
		fclose(file);
	return (pid_t)atoi(text);
}

static void kill_something(bool server)
{
	pid_t guardian = first_child(getpid()), executor = guardian ? first_child(guardian) : 0;

	if (server ? guardian > 0 : executor > 0) {
		kill(server ? guardian : executor, SIGKILL);
		nkills++;
	}
}

static void give(unsigned slot)
{
	struct chunk *chunk = &chunks[nchunks];

	if (ranq_slot_queued(rig.slots[slot]) == 5 || nchunks == CHUNKS_MAX)
		return;
	chunk->slot = slot;
	chunk->job = 1 + any(JOB_COUNT);
	chunk->start = any(1000);
	chunk->end = chunk->start + 1 + any(chunk->job == JOB_FUNCTION ? 5000 : chunk->job == JOB_DEADLY ? 20 : 10);
	chunk->upto = chunk->start;
	exec_rig_run(&rig, slot, chunk->job, nchunks++, chunk->start, chunk->end);
}

static struct chunk *unfinished(unsigned *id)
{
	unsigned from = nchunks > 4 ? nchunks - 4 : 0;

	if (!nchunks)
		return NULL;
	*id = from + (unsigned)any(nchunks - from);
	return chunks[*id].done ? NULL : &chunks[*id];
}

static void cut(void)
{
	unsigned id;
	struct chunk *chunk = unfinished(&id);

	if (!chunk)
		return;
	chunk->cut = true;
	ranq_slot_truncate(rig.slots[chunk->slot], id, chunk->start + any(chunk->end - chunk->start + 1));
}

static void stop(bool warn)
{
	unsigned slot = (unsigned)any(2), i;
	uint64_t job = 1 + any(JOB_COUNT);

	for (i = 0; i < nchunks; i++)
		if (!chunks[i].done && chunks[i].slot == slot && (warn || chunks[i].job == job))
			chunks[i].cut = true;
	if (warn)
		ranq_slot_warn(rig.slots[slot], any(2) ? SIGUSR1 : 0, (int64_t)any(30));
	else
		ranq_slot_cancel(rig.slots[slot], job, (int)any(30));
}

static void step(void)
{
	uint64_t what = any(100);

	if (what < 60)
		give((unsigned)any(2));
	else if (what < 66)
		cut();
	else if (what < 69)
		stop(true);
	else if (what < 72)
		stop(false);
	else if (what < 76)
		kill_something(false);
	else if (what == 76 && any(4) == 0)
		kill_something(true);
	turn((int)any(5));
}

START_TEST(torture)
{
	const char *seed = getenv("RANQ_TEST_SEED"), *steps = getenv("RANQ_TEST_STEPS");
	int64_t end;
	unsigned i, n = steps ? (unsigned)atoi(steps) : STEPS;

	state = seed ? strtoull(seed, NULL, 10) : (uint64_t)ranq_wall_ms();
	fprintf(stderr, "RANQ_TEST_SEED=%llu\n", (unsigned long long)state);
	exec_rig_open(&rig, 2, NULL);
	add_jobs();
	for (i = 0; i < n; i++)
		step();
	end = ranq_clock_ms() + RIG_LIMIT_MS;
	for (i = 0; i < nchunks; i++)
		while (!chunks[i].done) {
			ck_assert_msg(ranq_clock_ms() < end, "chunk %u of slot %u, job %u: stands at %llu of %llu", i,
				chunks[i].slot, (unsigned)chunks[i].job, (unsigned long long)chunks[i].upto,
				(unsigned long long)chunks[i].end);
			turn(1000);
		}
	ck_assert_uint_gt(nchunks, n / 20);
	ck_assert_uint_gt(nkills, 0);
	exec_rig_close(&rig);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("exec_torture");
	TCase *t = tcase_create("torture");

	tcase_set_timeout(t, 170);
	tcase_add_test(t, torture);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

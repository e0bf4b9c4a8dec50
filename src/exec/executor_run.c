/* executor_run.c - works off one run: attempts, retries, results, in task order. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exec/executor.h"
#include "exec/memory.h"
#include "exec/task_log.h"
#include "util/clock.h"

#define LOOK_TASKS 4 /* between two looks at the clock */

/* No system call and no read of a hardware clock: a few ns, good to 1-4 ms. */
static int64_t coarse_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool ranq_run_stopped(const struct ranq_executor *x, const struct ranq_run *run)
{
	return atomic_load_explicit(&x->page->runs[run->number % RANQ_WIRE_RUNS].stop, memory_order_relaxed);
}

void ranq_outcome_error(struct ranq_outcome *out, int exit_code, const char *format, ...)
{
	va_list args;

	out->status = RANQ_TASK_ERROR;
	out->exit_code = exit_code;
	va_start(args, format);
	vsnprintf(out->reason, sizeof out->reason, format, args);
	va_end(args);
}

static int find_line(struct ranq_run *run, uint64_t index, struct ranq_err *err)
{
	while (run->next_index <= index) {
		int rc = run->reader.in.data ? ranq_input_reader_next(&run->reader, &run->line, err) : 0;

		if (rc < 0)
			return -1;
		if (!rc)
			return ranq_err_set(
				err, RANQ_ERR_INPUT, "the input has no line for task %llu", (unsigned long long)index);
		run->next_index++;
	}
	return 0;
}

int ranq_executor_arg(const struct ranq_executor_job *job, const struct ranq_attempt *attempt, struct ranq_arg *arg,
	struct ranq_err *err)
{
	bool input = job->spec.args == RANQ_ARGS_INPUT;

	if (input && find_line(attempt->run, attempt->index, err) < 0)
		return -1;
	return ranq_arg_make(&job->spec, attempt->index, input ? &attempt->run->line : NULL, arg, err);
}

/* ---- tasks ------------------------------------------------------------------------------------------------------- */

/* Opening a module runs code of its author: a crash there must be told from a crash of task `start`. */
static void open_job(struct ranq_executor *x, struct ranq_executor_job *job, const struct ranq_run *run)
{
	struct ranq_err err = {0};

	if (job->opened || job->broken)
		return;
	atomic_store_explicit(&x->page->phase, RANQ_PHASE_LOADING, memory_order_relaxed);
	ranq_executor_begin(x, run, run->start);
	job->merges = run->merge;
	job->opened = !job->ops->open(x, job, &err);
	ranq_executor_close_files(job); /* loaded and mapped: hundreds of jobs may follow before this one is dropped */
	ranq_executor_end_task(x);
	atomic_store_explicit(&x->page->phase, RANQ_PHASE_TASK, memory_order_relaxed);
	if (job->opened)
		return;
	job->broken = true;
	snprintf(job->broken_reason, sizeof job->broken_reason, "%.*s", (int)sizeof job->broken_reason - 1, err.text);
}

static RANQ_RARE void add_failure(
	struct ranq_executor *x, const struct ranq_attempt *attempt, const struct ranq_outcome *out, int64_t since_ms)
{
	int64_t elapsed_us = ranq_clock_ns() / 1000 - since_ms * 1000;
	struct ranq_failure failure = {
		.index = attempt->index,
		.status = out->status,
		.exit_code = out->exit_code,
		.signal = out->signal,
		.attempts = attempt->attempt,
		.elapsed_us = elapsed_us > 0 ? (uint64_t)elapsed_us : 0,
		.err_tail = out->err_tail,
	};

	memcpy(failure.host, x->host, sizeof failure.host);
	memcpy(failure.worker, x->worker, sizeof failure.worker);
	memcpy(failure.reason, out->reason, sizeof failure.reason);
	if (ranq_outbox_add_failure(&x->out, &failure) < 0)
		_exit(72);
}

static bool is_trouble(const struct ranq_run *run)
{
	return run->tries || run->deaths;
}

/* After a death each step is reported at once: what waits for the next run would be lost with it again and again. */
static bool next_is_safe(const struct ranq_executor *x)
{
	return x->nruns > 1 && x->runs[1].job == x->runs[0].job && !is_trouble(&x->runs[0]) && !is_trouble(&x->runs[1]);
}

static void flush(struct ranq_executor *x, bool done)
{
	if (x->log)
		ranq_task_log_check(x->log);
	if (ranq_outbox_pack(&x->out, done) < 0)
		_exit(72); /* a death: the tasks run again with fresh memory */
	if (done && next_is_safe(x) && ranq_outbox_may_hold(&x->out))
		return;
	if (ranq_outbox_send(&x->out, x->fd) < 0)
		ranq_executor_end(x, 0);
}

/* A result that cannot be reduced is no result. */
static RANQ_RARE void make_reducible(struct ranq_executor *x, const struct ranq_executor_job *job, struct ranq_outcome *out)
{
	struct ranq_bytes value = {out->data, out->len};
	struct ranq_err err;

	if (ranq_reduce_leaf(&job->reduce, &value, &x->numbers, &err) < 0) {
		out->err_tail.len = 0;
		out->signal = 0;
		ranq_outcome_error(out, 0, "%.150s", err.text);
	}
	out->data = value.data;
	out->len = value.len;
}

/* A module's reduce function is code of its author: a crash there is the task's, its time counts. */
static RANQ_RARE void add_result(struct ranq_executor *x, const struct ranq_executor_job *job, const struct ranq_outcome *out)
{
	if (!ranq_outbox_add(&x->out, &job->spec, out))
		return;
	flush(x, false);
	if (ranq_outbox_add(&x->out, &job->spec, out) < 0)
		_exit(72);
}

/* ---- results in files -------------------------------------------------------------------------------------------- */

static RANQ_RARE void drop_spill(struct ranq_executor *x)
{
	ranq_offload_discard(x->spill);
	x->spill = NULL;
}

int ranq_executor_spill(struct ranq_executor *x, struct ranq_executor_job *job, const void *data, size_t len)
{
	if (!x->spill)
		x->spill = ranq_offload_begin(&job->spec, &job->offload_made);
	if (!x->spill)
		return -1;
	if (!ranq_offload_add(x->spill, data, len))
		return 0;
	drop_spill(x);
	return -1;
}

void ranq_executor_no_file(const struct ranq_executor *x, const struct ranq_executor_job *job, struct ranq_outcome *out)
{
	ranq_outcome_error(out, 0, "cannot write the result into '%.60s' on %.40s: %s", job->spec.offload, x->host,
		strerror(errno));
	out->signal = 0;
	out->err_tail.len = 0;
}

/* A large result gets its file. One that cannot be written is no result; of a task that failed, its own reason is the
 * one to tell. */
static RANQ_RARE void keep_in_file(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_outcome *out)
{
	struct ranq_offload_file *file;

	if (out->in_file || (!x->spill && out->len <= RANQ_OFFLOAD_MIN))
		return;
	if (!ranq_executor_spill(x, job, out->data, out->len)) {
		file = x->spill;
		x->spill = NULL;
		out->in_file = !ranq_offload_finish(file, &out->file);
	}
	out->len = 0;
	if (!out->in_file && out->status == RANQ_TASK_OK)
		ranq_executor_no_file(x, job, out);
}

/* ---- results in slices ------------------------------------------------------------------------------------------- */

static bool is_split(const struct ranq_executor_job *job, const struct ranq_outcome *out)
{
	return out->len > RANQ_SPLIT_MIN && !out->in_file && job->spec.results == RANQ_RESULTS_KEEP && !job->reduce.kind;
}

/* The rank takes them one by one, as the queue stores them. */
static RANQ_RARE void send_slices(struct ranq_executor *x, uint64_t index, struct ranq_outcome *out)
{
	const unsigned char *data = out->data;
	uint64_t n, i;

	flush(x, false);
	if (ranq_split_make(&out->split, data, out->len) < 0)
		_exit(72);
	n = ranq_split_count(&out->split);
	for (i = 0; i < n; i++)
		if (ranq_outbox_send_slice(&x->out, x->fd, index, &out->split, i, data + i * RANQ_SLICE_BYTES) < 0)
			ranq_executor_end(x, 0);
	out->in_slices = true;
}

/* again: it was begun before, and what was begun goes on. A first attempt behind the end of the run is none. */
static bool attempt_task(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_attempt *attempt, bool again,
	struct ranq_outcome *out)
{
	out->interrupted = out->in_file = out->in_slices = false;
	if (again) {
		ranq_executor_begin(x, attempt->run, attempt->index);
	} else if (!ranq_executor_claim(x, attempt->run, attempt->index)) {
		out->status = RANQ_TASK_CANCELLED;
		out->interrupted = true;
		return false;
	}
	attempt->seq = x->seq;
	out->status = RANQ_TASK_OK;
	out->len = 0;
	if (x->spill)
		drop_spill(x);
	job->ops->run(x, job, attempt, out);
	if (job->offload && out->status == RANQ_TASK_OK)
		keep_in_file(x, job, out);
	ranq_executor_end_task(x);
	return out->status == RANQ_TASK_OK;
}

/* What the task has left behind would be in the way of its own next try. */
_Noreturn static void retry_elsewhere(struct ranq_executor *x, const struct ranq_run *run, uint64_t index)
{
	flush(x, false);
	ranq_executor_begin(x, run, index);
	ranq_executor_end(x, RANQ_EXECUTOR_WORN);
}

/* Its first attempt in this run. */
static struct ranq_attempt first_attempt(struct ranq_run *run, uint64_t index)
{
	return (struct ranq_attempt){
		.run = run, .index = index, .attempt = 1 + (index == run->start ? run->tries + run->deaths : 0)};
}

/* tried: *out is how the attempt ended. False: the task was stopped and counts as not started. A task that fails after it
 * was told to stop, and would be tried again, is left to others: its failure may come from being told. */
static bool run_task(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_attempt *attempt, bool tried,
	struct ranq_outcome *out, int64_t now_ms)
{
	struct ranq_run *run = attempt->run;
	unsigned tries = attempt->index == run->start ? run->tries : 0;
	bool again = false;

	for (;; attempt->attempt++, tried = false, again = true) {
		if (tried ? out->status == RANQ_TASK_OK : attempt_task(x, job, attempt, again, out))
			break;
		if (out->interrupted || (ranq_run_stopped(x, run) && tries < job->spec.retries))
			return false;
		if (tries++ >= job->spec.retries)
			break;
		if (x->worn)
			retry_elsewhere(x, run, attempt->index);
		now_ms = coarse_ms();
	}
	if (out->interrupted)
		return false;
	if (job->reduce.kind && out->status == RANQ_TASK_OK)
		make_reducible(x, job, out);
	if (job->offload)
		keep_in_file(x, job, out);
	if (out->status != RANQ_TASK_OK)
		add_failure(x, attempt, out, now_ms);
	if (is_split(job, out))
		send_slices(x, attempt->index, out);
	if (job->reduce.kind == RANQ_REDUCE_FUNCTION)
		ranq_executor_begin(x, run, attempt->index);
	add_result(x, job, out);
	if (job->reduce.kind == RANQ_REDUCE_FUNCTION)
		ranq_executor_end_task(x);
	return true;
}

static RANQ_RARE void fail_task(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_run *run, uint64_t index,
	const char *reason, int64_t now_ms)
{
	struct ranq_attempt attempt = {.run = run, .index = index, .attempt = 1};
	struct ranq_outcome out = {.status = RANQ_TASK_ERROR, .exit_code = 126};

	snprintf(out.reason, sizeof out.reason, "%.*s", (int)sizeof out.reason - 1, reason);
	add_failure(x, &attempt, &out, now_ms);
	add_result(x, job, &out);
}

/* Even a clock that costs some ns costs too much for an empty task of a reduction: as long as its time stands still, it
 * is looked at every few tasks only. So a few results may wait for a task that is suddenly long; nobody sees single
 * results of a reduction. */
bool ranq_look_now(struct ranq_look *look, const struct ranq_executor *x, const struct ranq_executor_job *job)
{
	int64_t before_ms = look->now_ms;

	look->now_ms = coarse_ms();
	if (look->now_ms == before_ms) {
		if (job->reduce.kind && look->step < LOOK_TASKS)
			look->step *= 2;
		look->skip = look->step;
		return x->out.writer.body.len >= RANQ_OUTBOX_FLUSH_BYTES;
	}
	look->skip = look->step = 1;
	return true;
}

/* Does what may be done in one go: a burst of tasks, or one of them the long way. False: it was stopped. */
static bool work_on(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_run *run, uint64_t *index,
	struct ranq_outcome *out, struct ranq_look *look)
{
	struct ranq_attempt attempt = first_attempt(run, *index);
	bool bursts = job->ops->burst && !job->offload && !job->spec.memory &&
		      job->reduce.kind != RANQ_REDUCE_FUNCTION && !ranq_task_log_is_noisy(x->log);
	bool tried = bursts && job->ops->burst(x, job, &attempt, out, look), stopped;

	*index = attempt.index;
	if (bursts && !tried)
		return true;
	stopped = !run_task(x, job, &attempt, tried, out, look->now_ms);
	look->now_ms = coarse_ms();
	*index += !stopped;
	return !stopped;
}

/* The module's reduce function joins what other executors have made: as long as it runs, the page says so, and the limits
 * of a task hold. What fails here leaves the results apart. */
static void merge(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_run *run)
{
	struct ranq_err err = {0};

	ranq_outbox_start(&x->out, run, &job->reduce);
	if (job->opened && job->reduce.function) {
		ranq_executor_begin(x, run, run->start);
		if (job->spec.memory)
			ranq_memory_enter(job->spec.memory);
		ranq_outbox_merge(&x->out, run, &err);
		if (job->spec.memory)
			ranq_memory_leave();
		ranq_executor_end_task(x);
	}
	flush(x, true);
}

void ranq_executor_work(struct ranq_executor *x, struct ranq_run *run)
{
	struct ranq_executor_job *job;
	struct ranq_outcome out = {0};
	struct ranq_err err = {0};
	const char *reason = NULL;
	uint64_t index = run->start;
	struct ranq_look look = {.skip = 1, .step = 1};

	LIST_FOREACH(job, &x->jobs, link)
		if (job->id == run->job)
			break;
	if (!job)
		_exit(71);
	x->interrupt = (struct ranq_interrupt){0};
	snprintf(x->page->job, sizeof x->page->job, "%s", job->id_text);
	if (ranq_executor_enter(x, job, &err) < 0)
		reason = err.text;
	else if (ranq_run_limit(x, run) > run->start)
		open_job(x, job, run);
	if (!reason && job->broken)
		reason = job->broken_reason;
	if (!reason && run->large && (job->spec.body != RANQ_BODY_FUNCTION || job->spec.colsep))
		reason = "a large argument is for a function, and not for --colsep";
	if (!reason && run->large && !run->argument) {
		ranq_err_set(&err, RANQ_ERR_SYSTEM, "cannot map the argument: %s", strerror(run->argument_errno));
		reason = err.text;
	}
	if (run->merge) {
		merge(x, job, run);
		return;
	}
	ranq_outbox_start(&x->out, run, &job->reduce);
	look.now_ms = coarse_ms();
	while (index < run->end && index < ranq_run_limit(x, run) && !x->worn) {
		if (reason)
			fail_task(x, job, run, index++, reason, look.now_ms);
		else if (!work_on(x, job, run, &index, &out, &look))
			break;
		if (ranq_outbox_due(&x->out, look.now_ms) && index < run->end)
			flush(x, false);
	}
	drop_spill(x);
	if (x->worn) {
		flush(x, false); /* the rest of the run is for the next executor */
		ranq_executor_end(x, 0);
	}
	flush(x, true);
}

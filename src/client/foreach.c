/* foreach.c - ranq_foreach: results into a combine function, in bounded memory, and exactly once also over deaths.
 *
 * What makes it exact: an acknowledgement stores in one call which results were combined and what they were combined
 * to, and frees them. So whatever instant the server comes back from, its ledger, its accumulator and its results
 * agree; a client that takes over loads the accumulator and gets exactly the rest. Results that wait in a batch are
 * combined before an acknowledgement, never after it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/api_impl.h"
#include "client/wait.h"

#define BATCH_BYTES (4u << 20) /* results that wait to be combined */
#define ALIGNMENT 16u          /* of each of them */
#define BAR_MS 250

struct ranq_each {
	struct ranq_job *job;
	const struct ranq_foreach_options *options;
	/* the batch: data and error of a value stand in bytes, one behind the other, until it is combined */
	struct ranq_value *values;
	size_t n;
	struct ranq_buf bytes;
	int64_t deadline_ms, look_ms, progress_ms;
	bool loaded; /* what an earlier client combined is in the accumulator */
	bool broken; /* combine or final failed: the job is of no more use to this program */
};

/* ---- combining ------------------------------------------------------------------------------------------------- */
static int combine(struct ranq_each *each, const struct ranq_value *values, size_t n, struct ranq_err *err)
{
	if (each->options->combine(each->options->user, values, n) == 0)
		return 0;
	each->broken = true;
	if (n == 1)
		return ranq_err_set(err, RANQ_ERR_FAILED, "job %s: the combine function failed at task %llu",
			each->job->text, (unsigned long long)values[0].index);
	return ranq_err_set(err, RANQ_ERR_FAILED, "job %s: the combine function failed at tasks %llu to %llu",
		each->job->text, (unsigned long long)values[0].index, (unsigned long long)values[n - 1].index);
}

static size_t aligned(size_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t error_bytes(const struct ranq_value *value)
{
	return value->error ? strlen(value->error) + 1 : 0;
}

static int flush(struct ranq_each *each, struct ranq_err *err)
{
	const unsigned char *at = each->bytes.data;
	size_t n = each->n;
	if (!n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct ranq_value *value = &each->values[i];
		value->data = at;
		at += value->len;
		if (value->error)
			value->error = (const char *)at;
		at = value->data;
		at += aligned(value->len + error_bytes(value));
	}
	each->n = 0;
	int rc = combine(each, each->values, n, err);
	ranq_buf_reset(&each->bytes);
	return rc;
}

/* Results are copied, since what the stream lends lives until its next step only. */
static int keep(struct ranq_each *each, const struct ranq_value *value, struct ranq_err *err)
{
	size_t error_len = error_bytes(value), len = aligned(value->len + error_len);
	unsigned char *to = ranq_buf_reserve(&each->bytes, len + ALIGNMENT);
	if (!to)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for results");
	if (value->len)
		memcpy(to, value->data, value->len);
	if (error_len)
		memcpy(to + value->len, value->error, error_len);
	each->bytes.len += len;
	each->values[each->n++] = *value;
	return each->n == each->options->batch || each->bytes.len >= BATCH_BYTES ? flush(each, err) : 0;
}

/* The rest of the job is of no use any more. */
static int stop_at(struct ranq_each *each, const struct ranq_value *value, struct ranq_err *err)
{
	char reason[200];
	snprintf(reason, sizeof reason, "%s", value->error);
	ranq_cancel(each->job); /* as well as it can be done: it may have ended */
	return ranq_err_set(err, RANQ_ERR_FAILED, "job %s: task %llu failed: %s", each->job->text,
		(unsigned long long)value->index, reason);
}

static int take(struct ranq_each *each, const struct ranq_stream_result *result, struct ranq_err *err)
{
	const struct ranq_foreach_options *options = each->options;
	struct ranq_value value;
	if (result->kind == RANQ_STREAM_FREED)
		return ranq_err_set(err, RANQ_ERR_STATE,
			"job %s: the results of tasks %llu to %llu were acknowledged by another reader",
			each->job->text, (unsigned long long)result->index, (unsigned long long)result->end - 1);
	if (result->kind == RANQ_STREAM_MISSING)
		return 0; /* what the job came to is judged at its end */
	if (result->status != RANQ_TASK_OK && options->on_failure == RANQ_FAILURE_REMOVE)
		return 0;
	if (ranq_api_value(each->job, result, &value))
		return -1;
	if (value.error && options->on_failure == RANQ_FAILURE_STOP)
		return stop_at(each, &value, err);
	return options->batch == 1 ? combine(each, &value, 1, err) : keep(each, &value, err);
}

/* ---- the accumulator ------------------------------------------------------------------------------------------- */
static int load_bytes(struct ranq_each *each, const struct ranq_buf *saved, struct ranq_err *err)
{
	const struct ranq_foreach_options *options = each->options;
	if (options->load && options->load(options->user, saved->data, saved->len) == 0)
		return 0;
	if (options->load)
		return ranq_err_set(err, RANQ_ERR_FAILED, "job %s: the load function refused the saved accumulator",
			each->job->text);
	if (!options->accumulator)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"job %s: an earlier client saved an accumulator; give accumulator or load", each->job->text);
	if (saved->len != options->accumulator_bytes)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"job %s: an earlier client saved an accumulator of %zu bytes, this one has %zu",
			each->job->text, saved->len, options->accumulator_bytes);
	if (saved->len)
		memcpy(options->accumulator, saved->data, saved->len);
	return 0;
}

/* Once, when the stream knows what an earlier client did, and before anything is combined or acknowledged. */
static int load(struct ranq_each *each, struct ranq_err *err)
{
	const struct ranq_consumer_state *state = ranq_stream_state(each->job->stream);
	if (each->loaded)
		return 0;
	uint64_t had = ranq_ledger_count(&state->delivered);
	if (had && !state->has_accumulator)
		return ranq_err_set(err, RANQ_ERR_STATE,
			"job %s: results of %llu tasks were acknowledged by a reader that saved no accumulator: they "
			"cannot be combined any more",
			each->job->text, (unsigned long long)had);
	if (state->has_accumulator && load_bytes(each, &state->accumulator, err))
		return -1;
	each->loaded = true;
	return 0;
}

static int save(struct ranq_each *each, struct ranq_consumer_state *state, struct ranq_err *err)
{
	const struct ranq_foreach_options *options = each->options;
	const void *data = options->accumulator;
	size_t len = options->accumulator_bytes;
	state->has_accumulator = false;
	if (!options->save && !options->accumulator)
		return 0;
	if (options->save && options->save(options->user, &data, &len))
		return ranq_err_set(err, RANQ_ERR_FAILED, "job %s: the save function failed", each->job->text);
	ranq_buf_reset(&state->accumulator);
	ranq_buf_add(&state->accumulator, data, len);
	if (ranq_buf_failed(&state->accumulator))
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"job %s: the accumulator is too large: %zu bytes; at most 64 MiB can be saved", each->job->text,
			len);
	state->has_accumulator = true;
	return 0;
}

int ranq_each_before_ack(struct ranq_each *each, struct ranq_consumer_state *state, struct ranq_err *err)
{
	return load(each, err) || flush(each, err) || save(each, state, err) ? -1 : 0;
}

int ranq_each_before_wait(struct ranq_each *each, struct ranq_err *err)
{
	return flush(each, err);
}

/* ---- progress -------------------------------------------------------------------------------------------------- */
static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int tell(struct ranq_each *each, const struct ranq_job_info *info, struct ranq_err *err)
{
	const struct ranq_foreach_options *options = each->options;
	struct ranq_progress progress;
	each->progress_ms = ranq_api_deadline(options->progress_s);
	ranq_progress_sample(&each->job->bar, info);
	ranq_progress_fill(&each->job->bar, info, &progress);
	return options->progress(options->user, &progress)
		       ? ranq_err_set(err, RANQ_ERR_INTERRUPTED, "interrupted: job %s goes on", each->job->text)
		       : 0;
}

static int look(struct ranq_each *each, struct ranq_err *err)
{
	struct ranq_job_info info;
	if (ranq_session_info(each->job->session, each->job->id, &info, err))
		return -1;
	if (each->options->bar)
		ranq_progress_show(&each->job->bar, &info);
	if (each->options->progress && ranq_clock_ms() >= each->progress_ms && tell(each, &info, err))
		return -1;
	int64_t bar_ms = each->options->bar && each->job->bar.on ? ranq_session_after(BAR_MS) : RANQ_NEVER;
	each->look_ms = sooner(bar_ms, each->options->progress ? each->progress_ms : RANQ_NEVER);
	return 0;
}

/* What is due between two results, or when there was none. */
static int attend(struct ranq_each *each, struct ranq_err *err)
{
	if (ranq_api_feed(each->job))
		return -1;
	if (each->look_ms == RANQ_NEVER && each->deadline_ms == RANQ_NEVER)
		return 0;
	int64_t now = ranq_clock_ms();
	if (now >= each->look_ms && look(each, err))
		return -1;
	if (now >= each->deadline_ms)
		return ranq_err_set(
			err, RANQ_ERR_UNFINISHED, "job %s is not finished: the time is over", each->job->text);
	return 0;
}

/* ---- from the first to the last -------------------------------------------------------------------------------- */
/* 1: one more step; 0: no more results; -1. */
static int step(struct ranq_each *each, struct ranq_err *err)
{
	struct ranq_stream_result result;
	struct ranq_stream *stream = each->job->stream;
	int rc = ranq_stream_next(stream, &result, sooner(each->deadline_ms, each->look_ms), err);
	if (rc < 0 && err->code != RANQ_ERR_UNFINISHED)
		return -1;
	if (rc < 0 && ranq_stream_facts(stream)->held && !ranq_stream_consumes(stream))
		return ranq_err_set(err, RANQ_ERR_STATE,
			"job %s is held: its backlog is full of results that from_start leaves unacknowledged",
			each->job->text);
	if (rc >= 0 && load(each, err))
		return -1;
	if (rc == 1 && take(each, &result, err))
		return -1;
	if (rc == 0)
		return flush(each, err);
	return attend(each, err) ? -1 : 1;
}

/* ERROR for no other reason than that tasks failed: all ran, and no input is missing. The reason is a fixed text of the
 * protocol. */
static bool only_failures(const struct ranq_job_info *info)
{
	char reason[sizeof info->reason];
	snprintf(reason, sizeof reason, "%llu of %llu tasks failed",
		(unsigned long long)(info->done - info->counts[RANQ_TASK_OK]), (unsigned long long)info->tasks);
	return info->state == RANQ_JOB_ERROR && info->done == info->tasks && strcmp(info->reason, reason) == 0;
}

/* The job has ended: did all of it come? */
static int judge(struct ranq_each *each, const struct ranq_job_info *info, struct ranq_err *err)
{
	if (info->state == RANQ_JOB_COMPLETE)
		return 1;
	if (only_failures(info))
		return 0;
	return ranq_err_set(err, RANQ_ERR_FAILED, "job %s ended %s: %s; %llu of %llu tasks never ran", each->job->text,
		ranq_job_state_name(info->state), info->reason, (unsigned long long)(info->tasks - info->done),
		(unsigned long long)info->tasks);
}

static int conclude(struct ranq_each *each, struct ranq_err *err)
{
	const struct ranq_foreach_options *options = each->options;
	struct ranq_job_info info;
	if (ranq_wait_job(each->job->session, each->job->id, 1000, each->deadline_ms, NULL, NULL, &info, err))
		return -1;
	if (options->progress && tell(each, &info, err))
		return -1;
	int rc = judge(each, &info, err);
	if (rc >= 0 && options->final && options->final(options->user)) {
		each->broken = true;
		return ranq_err_set(err, RANQ_ERR_FAILED, "job %s: the final function failed", each->job->text);
	}
	return rc;
}

static int check(const struct ranq_foreach_options *options, struct ranq_err *err)
{
	if (options->size != sizeof *options)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"the options were not begun with RANQ_FOREACH_INIT, or the program was built for another "
			"libranq than this one (%s)",
			RANQ_VERSION);
	if (!options->combine)
		return ranq_err_set(err, RANQ_ERR_INPUT, "foreach needs a combine function");
	if (options->batch < 1 || options->batch > 1u << 20)
		return ranq_err_set(err, RANQ_ERR_INPUT, "batch is 1 to 1048576 results");
	if ((unsigned)options->on_failure > RANQ_FAILURE_PASS)
		return ranq_err_set(err, RANQ_ERR_INPUT, "on_failure is none of stop, remove and pass");
	if (options->accumulator ? options->save || options->load : !options->save != !options->load)
		return ranq_err_set(err, RANQ_ERR_INPUT, "give an accumulator, or both save and load, or none of them");
	if (options->accumulator_bytes > RANQ_ACCUMULATOR_MAX_BYTES)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the accumulator is too large: at most 64 MiB can be saved");
	if (!(options->progress_s >= 0.01 && options->progress_s < 1e9))
		return ranq_err_set(err, RANQ_ERR_INPUT, "progress_s is out of range");
	return 0;
}

static int open_stream(struct ranq_each *each, struct ranq_err *err)
{
	const struct ranq_foreach_options *options = each->options;
	struct ranq_job *job = each->job;
	each->loaded = job->stream != NULL; /* this handle goes on where it was */
	if (job->stream && ranq_stream_consumes(job->stream) == !options->from_start)
		return 0;
	if (job->stream)
		return ranq_err_set(
			err, RANQ_ERR_STATE, "job %s is being read in another way by this handle", job->text);
	return ranq_api_open_stream(job, options->unordered != 0, !options->from_start);
}

static int run(struct ranq_each *each, struct ranq_err *err)
{
	if (open_stream(each, err))
		return -1;
	int rc;
	while ((rc = step(each, err)) == 1)
		;
	return rc ? -1 : conclude(each, err);
}

/* *broken: the job is of no more use. */
static int foreach (struct ranq_job *job, const struct ranq_foreach_options *options, bool *broken)
{
	struct ranq_err *err = ranq_api_err();
	struct ranq_each each = {.job = job, .options = options, .look_ms = RANQ_NEVER};
	*broken = false;
	if (job->each)
		return ranq_err_set(err, RANQ_ERR_STATE, "job %s: foreach within its own foreach", job->text);
	each.deadline_ms = ranq_api_deadline(options->timeout_s);
	if (options->progress || (options->bar && job->bar.on))
		each.look_ms = each.progress_ms = ranq_clock_ms();
	if (options->batch > 1 && !(each.values = calloc(options->batch, sizeof *each.values)))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	ranq_buf_init(&each.bytes, 0);
	job->each = &each;
	ranq_api_lend_hook(job);
	int rc = run(&each, err);
	job->session->hook = NULL;
	job->each = NULL;
	ranq_progress_hide(&job->bar);
	ranq_buf_clear(&each.bytes);
	free(each.values);
	*broken = each.broken;
	return rc;
}

RANQ_API int ranq_job_foreach(struct ranq_job *job, const struct ranq_foreach_options *options)
{
	bool broken;
	return check(options, ranq_api_err()) ? -1 : foreach (job, options, &broken);
}

/* A loop over nothing, as a number that the program has worked out may say: no job, but all the rest. */
static bool is_empty(const struct ranq_submit_options *job)
{
	return job->tasks == 0 && !job->generator && !job->arg_file && !job->command != !job->function;
}

static int end_empty(const struct ranq_foreach_options *options)
{
	if (!options->final || options->final(options->user) == 0)
		return 1;
	return ranq_err_set(ranq_api_err(), RANQ_ERR_FAILED, "the final function failed");
}

RANQ_API int ranq_foreach(struct ranq *ranq, const struct ranq_foreach_options *options)
{
	struct ranq_submit_options submit = options->job;
	bool broken;
	if (check(options, ranq_api_err()))
		return -1;
	submit.stop_on_error = options->on_failure == RANQ_FAILURE_STOP;
	if (submit.reduce)
		return ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT,
			"foreach combines the results of tasks, of which a job with a reduction has none: use "
			"ranq_reduced");
	if (!submit.keep_results)
		return ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT, "foreach needs results: keep_results is 0");
	if (is_empty(&submit))
		return end_empty(options);
	struct ranq_job *job = ranq_submit(ranq, &submit);
	if (!job)
		return -1;
	int rc = foreach (job, options, &broken);
	struct ranq_err why = *ranq_api_err();
	if (rc > 0)
		ranq_remove(job);
	else if (broken)
		ranq_cancel(job);
	ranq_job_close(job);
	*ranq_api_err() = why;
	return rc;
}

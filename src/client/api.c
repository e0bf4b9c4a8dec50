/* api.c - the functions of ranq.h for clients, on top of session, submit, stream and wait. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/api_impl.h"
#include "client/blob.h"
#include "client/jobid.h"
#include "client/module.h"
#include "client/remove.h"
#include "client/resolve.h"
#include "client/wait.h"
#include "record/input.h"
#include "record/offload.h"

#define PATIENCE_MS 60000
#define PROGRESS_MS 1000
#define GENERATE_MS 100
#define FEED_MS 20
#define MODULE_BYTES (1u << 20) /* a module up to here is kept to recognise it */

struct ranq_err *ranq_api_err(void)
{
	static _Thread_local struct ranq_err last;
	return &last;
}

RANQ_API const char *ranq_last_error(void)
{
	return ranq_api_err()->text;
}

RANQ_API int ranq_last_status(void)
{
	return ranq_err_status(ranq_api_err()->code);
}

/* ---- queue ----------------------------------------------------------------------------------------------------- */
RANQ_API struct ranq *ranq_open(const char *server, const char *queue)
{
	struct ranq_server_addr addr;
	char name[RANQ_QUEUE_NAME_MAX + 1];
	if (ranq_resolve_queue(queue, name, NULL, ranq_api_err()))
		return NULL;
	int rc = ranq_resolve_server(server, &addr, NULL, ranq_api_err());
	if (rc <= 0) {
		if (rc == 0)
			ranq_resolve_none(ranq_api_err());
		return NULL;
	}
	struct ranq *ranq = calloc(1, sizeof *ranq);
	struct ranq_session_options options = {
		.queue = name, .create = true, .patience_ms = PATIENCE_MS, .interrupt_fd = -1};
	if (ranq)
		ranq->session = ranq_session_open(&addr, &options, ranq_api_err());
	else
		ranq_err_set(ranq_api_err(), RANQ_ERR_MEMORY, "out of memory");
	ranq_server_addr_clear(&addr);
	if (!ranq || !ranq->session) {
		free(ranq);
		return NULL;
	}
	return ranq;
}

RANQ_API void ranq_close(struct ranq *ranq)
{
	if (!ranq)
		return;
	ranq_session_close(ranq->session);
	ranq_buf_clear(&ranq->module);
	free(ranq);
}

/* ---- submit ---------------------------------------------------------------------------------------------------- */
static int copy_text(char **to, const char *text)
{
	*to = text ? strdup(text) : NULL;
	return text && !*to ? ranq_err_set(ranq_api_err(), RANQ_ERR_MEMORY, "out of memory") : 0;
}

static int set_body(struct ranq_spec *spec, const struct ranq_submit_options *options)
{
	if (!options->command == !options->function)
		return ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT, "give exactly one of command and function");
	if (options->command && (options->module || options->module_path))
		return ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT, "a module is for a function, not for a command");
	if (!options->data && options->data_bytes)
		return ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT, "data_bytes without data");
	if (options->function) {
		spec->body = RANQ_BODY_FUNCTION;
		if (!options->module == !options->module_path)
			return ranq_err_set(
				ranq_api_err(), RANQ_ERR_INPUT, "give exactly one of module and module_path");
		return copy_text(&spec->function, options->function) ||
				       copy_text(&spec->module_path, options->module_path)
			       ? -1
			       : 0;
	}
	spec->body = RANQ_BODY_COMMAND;
	for (const char *const *word = options->command; *word; word++)
		if (ranq_strings_add(&spec->argv, *word, strlen(*word)))
			return ranq_err_set(ranq_api_err(), RANQ_ERR_MEMORY, "out of memory");
	if (!spec->argv.n)
		return ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT, "the command is empty");
	spec->append = spec->args == RANQ_ARGS_INPUT && !ranq_template_has_replacement(&spec->argv);
	return 0;
}

static int set_policy(struct ranq_spec *spec, const struct ranq_submit_options *options)
{
	spec->chunk = options->chunk;
	spec->seed = options->seed;
	spec->has_seed = options->has_seed != 0;
	spec->priority = options->priority;
	spec->retries = options->retries;
	spec->max_deaths = options->max_deaths;
	spec->results = options->keep_results ? RANQ_RESULTS_KEEP : RANQ_RESULTS_COUNT;
	spec->on_error = options->stop_on_error ? RANQ_ON_ERROR_STOP : RANQ_ON_ERROR_CONTINUE;
	spec->backlog = options->backlog_bytes;
	spec->max_output = options->max_output_bytes;
	spec->memory = options->memory_bytes;
	spec->reduce_ordered = options->reduce_ordered != 0;
	spec->sticky = options->sticky != 0;
	if (!(options->timeout_s >= 0 && options->timeout_s < 1e9))
		return ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT, "timeout_s is out of range");
	spec->timeout_ms = (uint64_t)llround(options->timeout_s * 1000);
	for (const char *const *word = options->env; word && *word; word++)
		if (ranq_strings_add(&spec->env, *word, strlen(*word)))
			return ranq_err_set(ranq_api_err(), RANQ_ERR_MEMORY, "out of memory");
	return copy_text(&spec->name, options->name) || copy_text(&spec->reduce, options->reduce) ||
			       copy_text(&spec->require, options->require) || copy_text(&spec->cwd, options->cwd) ||
			       copy_text(&spec->offload, options->offload)
		       ? -1
		       : 0;
}

/* The array of the caller as lines. */
struct array_lines {
	const char *const *args;
	uint64_t n, at;
};

static int check_line(const struct ranq_bytes *line, struct ranq_err *err)
{
	if (line->len && memchr(line->data, 0, line->len))
		return ranq_err_set(err, RANQ_ERR_INPUT, "an argument contains a NUL byte");
	return 1;
}

static int next_of_array(void *user, struct ranq_bytes *line, struct ranq_err *err)
{
	struct array_lines *lines = user;
	if (lines->at == lines->n)
		return 0;
	line->data = lines->args[lines->at++];
	line->len = strlen(line->data);
	return check_line(line, err);
}

/* What a slow generator has given by then goes to the workers before it is asked for more. */
static void begin_generator(void *user)
{
	struct ranq_job *job = user;
	job->generate_until_ms = ranq_session_after(GENERATE_MS);
}

static int next_of_generator(void *user, struct ranq_bytes *line, struct ranq_err *err)
{
	struct ranq_job *job = user;
	const char *arg = "";
	size_t len = 0;
	if (ranq_clock_ms() >= job->generate_until_ms)
		return RANQ_LINES_PAUSE;
	int rc = job->generator(job->generator_user, &arg, &len);
	if (rc < 0 || rc > 2)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the generator failed");
	line->data = arg;
	line->len = len;
	return rc == 1 ? check_line(line, err) : rc;
}

static bool all_done(void *user, uint64_t tasks)
{
	const struct ranq_job *job = user;
	return job->stream && ranq_stream_facts(job->stream)->done >= tasks;
}

static struct ranq_job *job_create(struct ranq *ranq)
{
	struct ranq_job *job = calloc(1, sizeof *job);
	if (!job) {
		ranq_err_set(ranq_api_err(), RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	job->session = ranq->session;
	ranq_progress_init(&job->bar);
	return job;
}

static void job_name(struct ranq_job *job)
{
	snprintf(job->text, sizeof job->text, "%s/%llu", job->session->queue.name, (unsigned long long)job->id);
}

static int set_lines(struct ranq_job *job, struct ranq_submission *submission,
	const struct ranq_submit_options *options, struct array_lines *array)
{
	struct stat st;
	int sources = !!options->args + !!options->arg_file + !!options->generator;
	if (sources > 1)
		return ranq_err_set(
			ranq_api_err(), RANQ_ERR_INPUT, "give one of args, arg_file and generator, not several");
	if (!sources)
		return 0;
	submission->spec->args = RANQ_ARGS_INPUT;
	submission->lines = &job->lines;
	if (options->args) {
		*array = (struct array_lines){options->args, options->tasks, 0};
		job->lines = (struct ranq_lines){.next = next_of_array, .user = array, .fd = -1, .name = "args"};
		return 0;
	}
	if (options->arg_file) {
		job->file = ranq_line_file_open(options->arg_file, &job->lines, ranq_api_err());
		if (!job->file)
			return -1;
		submission->may_stream = fstat(job->lines.fd, &st) != 0 || !S_ISREG(st.st_mode);
		return 0;
	}
	job->generator = options->generator;
	job->generator_user = options->generator_user;
	job->lines = (struct ranq_lines){
		.next = next_of_generator, .begin = begin_generator, .hurried = all_done, .user = job, .fd = -1,
		.name = "generator"};
	submission->may_stream = true;
	return 0;
}

static int submit(struct ranq_job *job, struct ranq_submission *submission, const struct ranq_submit_options *options)
{
	struct array_lines array;
	submission->tasks = options->tasks;
	submission->data = (struct ranq_bytes){options->data, options->data_bytes};
	if (set_lines(job, submission, options, &array) || set_body(submission->spec, options) ||
		set_policy(submission->spec, options) || ranq_submit_prepare(submission, ranq_api_err()) ||
		ranq_api_learn_reduction(job, submission->spec, options->module))
		return -1;
	if (submission->spec->results == RANQ_RESULTS_KEEP)
		job->backlog = submission->spec->backlog;
	submission->reads = job->backlog > 0 && !job->reduce.kind;
	job->no_files = !ranq_offload_wanted(submission->spec);
	return ranq_submit_send(job->session, submission, &job->id, &job->producer, ranq_api_err());
}

/* The same module is submitted again and again: to compare its bytes costs a fiftieth of hashing them. */
static const char *module_hash(struct ranq *ranq, const struct ranq_buf *module)
{
	struct ranq_buf *last = &ranq->module;
	if (module->len == last->len && memcmp(module->data, last->data, last->len) == 0)
		return ranq->module_hash;
	ranq_blob_hash(module->data, module->len, ranq->module_hash);
	ranq_buf_reset(last);
	if (module->len <= MODULE_BYTES)
		ranq_buf_add(last, module->data, module->len);
	if (ranq_buf_failed(last))
		ranq_buf_clear(last);
	return ranq->module_hash;
}

RANQ_API struct ranq_job *ranq_submit(struct ranq *ranq, const struct ranq_submit_options *options)
{
	struct ranq_spec spec;
	struct ranq_submission submission = {.spec = &spec};
	struct ranq_buf module;
	if (options->size != sizeof *options) {
		ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT,
			"the options were not begun with RANQ_SUBMIT_INIT, or the program was built for another "
			"libranq than this one (%s)",
			RANQ_VERSION);
		return NULL;
	}
	struct ranq_job *job = job_create(ranq);
	if (!job)
		return NULL;
	ranq_spec_init(&spec);
	ranq_buf_init(&module, 0);
	int rc = 0;
	if (options->module) {
		rc = ranq_blob_read(options->module, &module, ranq_api_err());
		if (rc == 0 && options->function)
			rc = ranq_module_check(
				module.data, module.len, options->module, options->function, ranq_api_err());
		if (rc == 0 && ranq_reduce_kind_of(options->reduce) == RANQ_REDUCE_FUNCTION)
			rc = ranq_module_check(
				module.data, module.len, options->module, options->reduce, ranq_api_err());
		submission.module = (struct ranq_bytes){module.data, module.len};
		submission.module_hash = rc == 0 ? module_hash(ranq, &module) : NULL;
	}
	if (rc == 0)
		rc = submit(job, &submission, options);
	ranq_buf_clear(&module);
	ranq_spec_clear(&spec);
	if (rc) {
		ranq_line_file_close(job->file);
		ranq_api_forget_reduction(job);
		free(job);
		return NULL;
	}
	job_name(job);
	return job;
}

RANQ_API struct ranq_job *ranq_job_attach(struct ranq *ranq, const char *job_id)
{
	char queue[RANQ_QUEUE_NAME_MAX + 1];
	struct ranq_job_info info;
	uint64_t id;
	if (ranq_jobid_parse(job_id, queue, &id, ranq_api_err()))
		return NULL;
	if (queue[0] && strcmp(queue, ranq->session->queue.name) != 0) {
		ranq_err_set(ranq_api_err(), RANQ_ERR_INPUT, "job '%s' is of another queue than '%s'", job_id,
			ranq->session->queue.name);
		return NULL;
	}
	struct ranq_spec spec;
	if (ranq_session_info(ranq->session, id, &info, ranq_api_err()) ||
		ranq_session_spec(ranq->session, info.job, &spec, ranq_api_err()))
		return NULL;
	struct ranq_job *job = job_create(ranq);
	if (job && ranq_api_learn_reduction(job, &spec, NULL)) {
		free(job);
		job = NULL;
	}
	if (job) {
		job->id = info.job;
		job_name(job);
	}
	ranq_spec_clear(&spec);
	return job;
}

RANQ_API void ranq_job_close(struct ranq_job *job)
{
	if (!job)
		return;
	ranq_stream_close(job->stream);
	ranq_api_forget_reduction(job);
	ranq_producer_close(job->producer, NULL);
	ranq_line_file_close(job->file);
	free(job);
}

RANQ_API const char *ranq_job_id(const struct ranq_job *job)
{
	return job->text;
}

/* ---- results --------------------------------------------------------------------------------------------------- */
_Static_assert((int)RANQ_STATUS_OK == (int)RANQ_TASK_OK && (int)RANQ_STATUS_CANCELLED == (int)RANQ_TASK_CANCELLED,
	"public and packed status agree");

int64_t ranq_api_deadline(double seconds)
{
	return seconds >= 0 && seconds < 1e9 ? ranq_session_after((int64_t)(seconds * 1000)) : RANQ_NEVER;
}

/* An accumulator that did not take part in what is acknowledged now means nothing any more. */
static int before_ack(void *user, struct ranq_consumer_state *state, struct ranq_err *err)
{
	struct ranq_job *job = user;
	if (job->each)
		return ranq_each_before_ack(job->each, state, err);
	state->has_accumulator = false;
	return 0;
}

static int before_wait(void *user, struct ranq_err *err)
{
	struct ranq_job *job = user;
	return job->each ? ranq_each_before_wait(job->each, err) : 0;
}

int ranq_api_open_stream(struct ranq_job *job, bool unordered, bool consume)
{
	struct ranq_stream_options options = {
		.unordered = unordered,
		.consume = consume,
		.fresh = job->backlog > 0,
		.backlog = job->backlog,
		.before_ack = before_ack,
		.before_wait = before_wait,
		.user = job,
	};
	if (job->reduce.kind)
		return ranq_err_set(ranq_api_err(), RANQ_ERR_STATE,
			"job %s has a reduction: its one value comes from ranq_reduced", job->text);
	job->stream = ranq_stream_open(job->session, job->id, &options, ranq_api_err());
	return job->stream ? 0 : -1;
}

void ranq_api_lend_hook(struct ranq_job *job)
{
	job->session->hook = job->producer ? ranq_producer_hook(job->producer) : NULL;
}

int ranq_api_feed(struct ranq_job *job)
{
	if (!job->producer || ranq_clock_ms() < job->feed_ms)
		return 0;
	int rc = ranq_session_run_hook(job->session, ranq_api_err());
	job->feed_ms = ranq_session_after(FEED_MS);
	return rc;
}

int ranq_api_value(struct ranq_job *job, const struct ranq_stream_result *result, struct ranq_value *value)
{
	value->index = result->index;
	value->status = (enum ranq_status)result->status;
	value->data = result->value.data;
	value->len = result->value.len;
	value->error = NULL;
	if (result->status == RANQ_TASK_OK)
		return 0;
	value->error = ranq_reasons_get(&job->reasons, job->session, job->id, result->index, ranq_api_err());
	if (value->error && !*value->error)
		value->error = ranq_task_status_name(result->status);
	return value->error ? 0 : -1;
}

/* Results are mostly at hand; then a look at the clock would cost more than all the rest. */
static int next_value(struct ranq_job *job, struct ranq_stream_result *result, double timeout_s)
{
	int64_t deadline_ms = RANQ_NEVER;
	bool timed = timeout_s < 0;
	int rc;
	do {
		if (!timed && !ranq_stream_at_hand(job->stream)) {
			deadline_ms = ranq_api_deadline(timeout_s);
			timed = true;
		}
		rc = ranq_stream_next(job->stream, result, deadline_ms, ranq_api_err());
	} while (rc == 1 && result->kind != RANQ_STREAM_VALUE);
	return rc;
}

RANQ_API int ranq_next(struct ranq_job *job, struct ranq_value *value, int unordered, double timeout_s)
{
	struct ranq_stream_result result;
	if (!job->stream && ranq_api_open_stream(job, unordered != 0, true))
		return -1;
	ranq_api_lend_hook(job);
	if (job->producer && !ranq_stream_at_hand(job->stream)) {
		ranq_producer_look(job->producer); /* the caller may have made a task of the last result */
		job->feed_ms = 0;
	}
	int rc = ranq_api_feed(job) ? -1 : next_value(job, &result, timeout_s);
	job->session->hook = NULL;
	if (rc != 1)
		return rc;
	return ranq_api_value(job, &result, value) ? -1 : 1;
}

RANQ_API int ranq_wait(struct ranq_job *job, double timeout_s)
{
	struct ranq_job_info info;
	ranq_api_lend_hook(job);
	int rc = ranq_wait_job(
		job->session, job->id, PROGRESS_MS, ranq_api_deadline(timeout_s), NULL, NULL, &info, ranq_api_err());
	job->session->hook = NULL;
	return rc ? -1 : info.state == RANQ_JOB_COMPLETE;
}

RANQ_API int ranq_progress_get(struct ranq_job *job, struct ranq_progress *progress)
{
	struct ranq_job_info info;
	if (ranq_session_info(job->session, job->id, &info, ranq_api_err()))
		return -1;
	ranq_progress_sample(&job->bar, &info);
	ranq_progress_fill(&job->bar, &info, progress);
	return 0;
}

RANQ_API int ranq_bar_show(struct ranq_job *job)
{
	struct ranq_job_info info;
	if (!ranq_progress_due(&job->bar))
		return 0;
	if (ranq_session_info(job->session, job->id, &info, ranq_api_err()))
		return -1;
	ranq_progress_show(&job->bar, &info);
	return 0;
}

RANQ_API void ranq_bar_hide(struct ranq_job *job)
{
	ranq_progress_hide(&job->bar);
}

/* ---- control --------------------------------------------------------------------------------------------------- */
static int build_cancel(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	return ranq_queue_cancel_cmd(q, cmd, *(const uint64_t *)user, "cancelled by the client");
}

RANQ_API int ranq_cancel(struct ranq_job *job)
{
	return ranq_session_control(job->session, build_cancel, &job->id, NULL, ranq_api_err());
}

RANQ_API int ranq_remove(struct ranq_job *job)
{
	return ranq_job_remove(job->session, job->id, !job->no_files, ranq_api_err());
}

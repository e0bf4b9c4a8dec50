/* cmd_run.c - `ranq run`: submit, show progress, print outputs in task order, name what failed.
 *
 * Worst moments: an interrupt leaves the job in the queue (it goes on), unless it is ours alone: on the private server,
 * or with
 * --cancel-on-interrupt, it is cancelled first. Outputs are acknowledged only after they were written. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/progress.h"
#include "client/resolve.h"
#include "client/wait.h"
#include "common/cli.h"
#include "client/failures.h"
#include "common/jobspec.h"
#include "common/jobview.h"
#include "common/local.h"
#include "common/output.h"
#include "common/reduced.h"
#include "common/table.h"
#include "common/waiting.h"
#include "record/offload.h"

#define LOCAL_PATIENCE_MS 1000 /* a private server that is gone does not come back */
#define LOCAL_SILENCE_MS 60000 /* one that is there may have to wait for a busy machine */
#define NO_WORKER_MS 2000
#define SHOWN_FAILURES 10
#define SHOWN_LINES 20

struct options {
	struct ranq_optional local;
	bool cancel_on_interrupt;
	int form;
	struct ranq_job_options job;
	struct ranq_cli_common common;
};

static const struct ranq_option run_options[] = {
	{"local", 0, "N", RANQ_OPTION_OPTIONAL, offsetof(struct options, local),
		"use a private server and N compute ranks here (default: one for each core)", NULL, 1, 4096},
	{"cancel-on-interrupt", 0, NULL, RANQ_OPTION_FLAG, offsetof(struct options, cancel_on_interrupt),
		"cancel the job on Ctrl-C; else it goes on", NULL, 0, 0},
	{"as", 0, "FORM", RANQ_OPTION_CHOICE, offsetof(struct options, form),
		"how results of functions are shown: auto, raw, text, hex, double, int64", RANQ_OUTPUT_FORMS, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", run_options, 0},
	{"job options", ranq_job_options_table, offsetof(struct options, job)},
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

struct run {
	const struct ranq_command *command;
	const struct options *options;
	struct ranq_jobspec jobspec;
	struct ranq_local *local;
	struct ranq_session *session;
	uint64_t job;
	bool submitted;
	struct ranq_producer *producer;
	struct ranq_stream *stream;
	struct ranq_reduce reduce;
	struct ranq_reducing *reducing;
	struct ranq_arguments arguments;
	bool has_arguments;
	struct ranq_output output;
	struct ranq_progress_bar bar;
	struct ranq_job_info info;
	int64_t started_ms, looked_ms;
	bool told_no_worker;
	struct ranq_stall stall;
};

/* ---- server ---------------------------------------------------------------------------------------------------- */
static int open_local(struct run *run, const char *queue, struct ranq_err *err)
{
	run->local = ranq_local_start((unsigned)run->options->local.value, queue, err);
	if (!run->local)
		return -1;
	run->session = ranq_cli_open_at(
		ranq_local_addr(run->local), RANQ_ORIGIN_NONE, queue, true, run->options->job.lease_ms, err);
	if (!run->session)
		return -1;
	run->session->options.patience_ms = LOCAL_PATIENCE_MS;
	run->session->options.silence_ms = LOCAL_SILENCE_MS;
	return 0;
}

static int open_server(struct run *run, struct ranq_err *err)
{
	char queue[RANQ_QUEUE_NAME_MAX + 1];
	struct ranq_server_addr addr;
	if (ranq_resolve_queue(run->options->common.queue, queue, NULL, err))
		return -1;
	if (run->options->local.given)
		return run->options->common.server
			       ? ranq_err_set(err, RANQ_ERR_USAGE, "give --local or --server, not both")
			       : open_local(run, queue, err);
	enum ranq_origin origin;
	int rc = ranq_resolve_server(run->options->common.server, &addr, &origin, err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return open_local(run, queue, err);
	run->session = ranq_cli_open_at(&addr, origin, queue, true, run->options->job.lease_ms, err);
	ranq_server_addr_clear(&addr);
	if (!run->session)
		return -1;
	run->session->options.patience_ms = RANQ_NEVER; /* a server that is away comes back */
	return 0;
}

static int submit(struct run *run, struct ranq_err *err)
{
	const struct ranq_spec *spec = &run->jobspec.spec;
	run->jobspec.submission.reads = spec->results == RANQ_RESULTS_KEEP && !spec->reduce;
	if (ranq_jobspec_after(&run->jobspec, &run->options->job, run->session, err) ||
		ranq_submit_send(run->session, &run->jobspec.submission, &run->job, &run->producer, err))
		return -1;
	run->submitted = true;
	if (run->producer)
		run->session->hook = ranq_producer_hook(run->producer);
	return 0;
}

/* ---- watching -------------------------------------------------------------------------------------------------- */
static void say(struct run *run, const char *text)
{
	ranq_progress_hide(&run->bar);
	ranq_cli_say(run->command, "%s", text);
}

static int64_t tick_ms(const struct run *run)
{
	if (run->bar.on)
		return 250;
	return run->local || !run->told_no_worker || !run->info.leased ? 500 : 5000;
}

static int seen(void *user, const struct ranq_job_info *info, struct ranq_err *err)
{
	struct run *run = user;
	run->info = *info;
	run->looked_ms = ranq_clock_ms();
	if (run->local && ranq_local_check(run->local, err))
		return -1;
	ranq_progress_show(&run->bar, info);
	bool idle = info->workers == 0 && !ranq_job_state_is_final(info->state);
	if (idle && !run->local && !run->told_no_worker && run->looked_ms - run->started_ms >= NO_WORKER_MS) {
		char text[RANQ_QUEUE_NAME_MAX + 200];
		snprintf(text, sizeof text,
			"no worker serves queue '%s'; start some with 'ranq join -q %s' (job %s waits)",
			run->session->queue.name, run->session->queue.name, ranq_cli_job_text(run->session, run->job));
		say(run, text);
		run->told_no_worker = true;
	}
	if (!info->workers)
		return 0;
	run->told_no_worker = true;
	int rc = ranq_waiting_stalled(&run->stall, run->session, info, NO_WORKER_MS, err);
	if (rc > 0) {
		char text[RANQ_WAITING_TEXT + RANQ_QUEUE_NAME_MAX + 64];
		snprintf(text, sizeof text, "job %s waits: %s", ranq_cli_job_text(run->session, run->job),
			run->stall.told);
		say(run, text);
	}
	return rc < 0 ? -1 : 0;
}

static int look(struct run *run, struct ranq_err *err)
{
	struct ranq_job_info info;
	return ranq_session_info(run->session, run->job, &info, err) ? -1 : seen(run, &info, err);
}

static void leave_line(void *user)
{
	struct run *run = user;
	ranq_progress_hide(&run->bar);
}

static int open_stream(struct run *run, struct ranq_err *err)
{
	struct ranq_stream_options options = {
		.consume = true,
		.fresh = true,
		.backlog = run->jobspec.spec.backlog,
		.slices = ranq_output_takes_slices(&run->output),
		.before_ack = ranq_output_before_ack,
		.before_wait = ranq_output_before_wait,
		.user = &run->output,
	};
	if (run->options->common.json) {
		if (ranq_arguments_open(&run->arguments, run->session, run->job, err))
			return -1;
		run->has_arguments = true;
		run->output.arguments = &run->arguments;
	}
	run->output.before_write = leave_line;
	run->output.user = run;
	run->stream = ranq_stream_open(run->session, run->job, &options, err);
	return run->stream ? 0 : -1;
}

static int print_results(struct run *run, struct ranq_err *err)
{
	struct ranq_stream_result result;
	unsigned since = 0;
	if (open_stream(run, err))
		return -1;
	for (;;) {
		int rc = ranq_stream_next(run->stream, &result, run->looked_ms + tick_ms(run), err);
		if (rc == 0)
			return ranq_output_flush(&run->output, err);
		if (rc < 0 && err->code != RANQ_ERR_UNFINISHED)
			return -1;
		if (rc == 1 && ranq_output_add(&run->output, &result, err))
			return -1;
		bool now = rc < 0 || (++since % 256 == 0 && ranq_clock_ms() >= run->looked_ms + tick_ms(run));
		if (now && look(run, err))
			return -1;
	}
}

static int print_value(struct run *run, struct ranq_err *err)
{
	struct ranq_reducing_options options = {.consume = true, .backlog = run->jobspec.spec.backlog};
	struct ranq_part total;
	run->output.before_write = leave_line;
	run->output.user = run;
	run->reducing = ranq_reducing_open(run->session, run->job, &run->reduce, &options, err);
	if (!run->reducing)
		return -1;
	while (ranq_reducing_total(run->reducing, run->looked_ms + tick_ms(run), &total, err))
		if (err->code != RANQ_ERR_UNFINISHED || look(run, err))
			return -1;
	return ranq_reduced_print(&run->output, &run->reduce, run->jobspec.spec.reduce,
		ranq_cli_job_text(run->session, run->job), &total, err);
}

static int print_outcome(struct run *run, struct ranq_err *err)
{
	if (run->jobspec.spec.results != RANQ_RESULTS_KEEP)
		return 0;
	return run->jobspec.spec.reduce ? print_value(run, err) : print_results(run, err);
}

/* ---- end ------------------------------------------------------------------------------------------------------- */
/* The last lines of what the task wrote to its standard error, indented. */
static void print_tail(const struct ranq_bytes *tail)
{
	const char *text = tail->data, *end = text + tail->len, *start = end;
	int lines = 0;
	if (!tail->len)
		return;
	while (start > text && lines < SHOWN_LINES) {
		start--;
		if (start > text && start[-1] == '\n')
			lines++;
	}
	while (start < end) {
		const char *newline = memchr(start, '\n', (size_t)(end - start));
		size_t len = newline ? (size_t)(newline - start) : (size_t)(end - start);
		fputs("    ", stderr);
		ranq_clean_print(stderr, start, len, false);
		putc('\n', stderr);
		start += len + 1;
	}
}

static int print_failure(void *user, const struct ranq_failure *failure, struct ranq_err *err)
{
	struct run *run = user;
	(void)err;
	const char *arg = run->has_arguments ? ranq_arguments_get(&run->arguments, failure->index) : NULL;
	fprintf(stderr, "ranq run: task %llu", (unsigned long long)failure->index);
	if (arg) {
		size_t len = strlen(arg);
		fputs(" (", stderr);
		ranq_clean_print(stderr, arg, len > 200 ? 200 : len, false);
		fputs(len > 200 ? "...)" : ")", stderr);
	}
	fprintf(stderr, " %s: ", ranq_task_status_name(failure->status));
	ranq_clean_print(stderr, failure->reason, strlen(failure->reason), false);
	if (failure->attempts > 1)
		fprintf(stderr, " (attempt %u)", failure->attempts);
	fputs(failure->err_tail.len ? "; its standard error ends:\n" : "\n", stderr);
	print_tail(&failure->err_tail);
	return 0;
}

static int report(struct run *run, struct ranq_err *err)
{
	uint64_t failed = ranq_jobview_failed(&run->info);
	if (run->info.state == RANQ_JOB_COMPLETE)
		return 0;
	if (failed && !run->has_arguments && ranq_arguments_open(&run->arguments, run->session, run->job, err) == 0)
		run->has_arguments = true;
	if (failed && ranq_failures_each(run->session, run->job, 0, SHOWN_FAILURES, print_failure, run, err))
		return -1;
	/* a private server is gone when the user could ask it */
	ranq_jobview_say_end(run->command, run->session, &run->info, failed > SHOWN_FAILURES && !run->local);
	return 0;
}

static int build_cancel(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	return ranq_queue_cancel_cmd(q, cmd, *(const uint64_t *)user, "interrupted");
}

/* Not everything could be done: what becomes of the job is said in the same breath. */
static int give_up(struct run *run, struct ranq_err *why)
{
	struct ranq_err err;
	bool interrupted = why->code == RANQ_ERR_INTERRUPTED,
	     ours = run->local || (interrupted && run->options->cancel_on_interrupt);
	if (run->local && !interrupted)
		ranq_local_check(
			run->local, why); /* a server that is gone is the cause, a refused connection its effect */
	ranq_progress_hide(&run->bar);
	ranq_cli_interrupt_handled();
	ranq_output_flush(&run->output, NULL);
	ranq_producer_close(run->producer, interrupted ? "interrupted" : why->text);
	run->producer = NULL;
	if (run->session)
		run->session->hook = NULL;
	if (!run->submitted)
		return ranq_cli_fail(run->command, why);
	const char *id = ranq_cli_job_text(run->session, run->job);
	if (ours && interrupted)
		ranq_session_control(run->session, build_cancel, &run->job, NULL, &err);
	if (interrupted && ours)
		ranq_err_set(why, RANQ_ERR_INTERRUPTED, "interrupted: job %s is cancelled", id);
	else if (interrupted)
		ranq_err_set(why, RANQ_ERR_INTERRUPTED,
			"interrupted: job %s goes on; 'ranq results --follow %s' shows the rest, 'ranq cancel %s' "
			"ends it",
			id, id, id);
	return ranq_cli_fail(run->command, why);
}

static int perform(struct run *run, struct ranq_err *err)
{
	/* before anything is started: the function of a module may not be there */
	if (run->jobspec.spec.reduce &&
		ranq_reduced_how(&run->reduce, &run->jobspec.spec, run->options->job.module, err))
		return -1;
	if (open_server(run, err))
		return -1;
	run->started_ms = run->looked_ms = ranq_clock_ms();
	if (submit(run, err))
		return -1;
	if (print_outcome(run, err))
		return -1;
	if (ranq_wait_job(run->session, run->job, 250, RANQ_NEVER, seen, run, &run->info, err))
		return -1;
	ranq_progress_hide(&run->bar);
	if (ranq_output_flush(&run->output, err))
		return -1;
	ranq_output_misfits(&run->output, run->command);
	return report(run, err);
}

static void clear(struct run *run)
{
	struct ranq_err err;
	ranq_stream_close(run->stream);
	ranq_reducing_close(run->reducing);
	if (run->session)
		run->session->hook = NULL;
	ranq_producer_close(run->producer, NULL);
	if (run->has_arguments)
		ranq_arguments_close(&run->arguments);
	ranq_session_close(run->session);
	ranq_local_stop(run->local);
	/* the job went with its server */
	if (run->local && run->submitted && ranq_offload_remove(&run->jobspec.spec, RANQ_NEVER, &err))
		ranq_cli_say(run->command, "%s", err.text);
	ranq_jobspec_clear(&run->jobspec);
	ranq_output_clear(&run->output);
}

static int execute(const struct ranq_command *command, struct options *options, const struct ranq_operands *operands)
{
	struct ranq_err err = {0};
	struct run run = {.command = command, .options = options};
	ranq_progress_init(&run.bar);
	ranq_output_init(
		&run.output, (enum ranq_output_form)options->form, options->common.json, options->job.function != NULL);
	int status;
	if (ranq_jobspec_build(&run.jobspec, &options->job, operands, &err) || ranq_cli_catch_signals(&err) ||
		perform(&run, &err))
		status = give_up(&run, &err);
	else
		status = ranq_jobview_status(&run.info);
	clear(&run);
	return status;
}

static int run_command(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	ranq_job_options_init(&options.job);
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	int status = rc < 0 ? ranq_cli_fail(command, &err) : 0;
	if (rc == 0)
		status = execute(command, &options, &operands);
	ranq_job_options_clear(&options.job);
	return status;
}

const struct ranq_command ranq_command_run = {
	.name = "run",
	.summary = "run a command or function for each argument and print the outputs in order",
	.synopsis = "[OPTION]... [--] CMD [ARG]... [::: VALUE...]...\n"
		    "[OPTION]... --module FILE.so --function NAME [::: VALUE...]...",
	.details =
		"Without a server (--server, RANQ_SERVER, config, 'ranq server') a private one and local ranks are "
		"started and\n"
		"torn down at the end.\n\n"
		"Replacement strings: {} the argument, {.} without extension, {/} its last part, {//} its directory,\n"
		"{/.} last part without extension, {#} number of the task from 1, {1} {2} ... columns, {seed}.\n"
		"Without any of them the argument is appended; with --range nothing is appended.\n"
		"':::' starts a list of values, several make all combinations; ':::+' goes along with the list before "
		"it.\n\n"
		"Results of functions are printed one line a task: text as it is, other bytes in hex, or --as "
		"double|int64;\n"
		"the line of a failed one is empty.",
	.groups = groups,
	.operands_end_options = true,
	.max_operands = UINT_MAX,
	.run = run_command,
};

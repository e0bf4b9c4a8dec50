/* cmd_results.c - `ranq results JOB`: prints results in task order or as they come.
 *
 * It is a plain reader, which changes nothing, until the job is held because its results are unread: then it becomes
 * the job's consumer, which frees what was written. */
#include <stdio.h>
#include <string.h>

#include "client/wait.h"
#include "common/cli.h"
#include "common/jobview.h"
#include "common/output.h"
#include "common/reduced.h"
#include "util/plural.h"

#define TICK_MS 5000

struct options {
	bool follow, unordered, consume;
	int form;
	const char *module;
	struct ranq_cli_common common;
};

static const struct ranq_option results_options[] = {
	{"follow", 'f', NULL, RANQ_OPTION_FLAG, offsetof(struct options, follow), "go on until the job has ended", NULL,
		0, 0},
	{"unordered", 'u', NULL, RANQ_OPTION_FLAG, offsetof(struct options, unordered),
		"as they come, not in task order", NULL, 0, 0},
	{"consume", 0, NULL, RANQ_OPTION_FLAG, offsetof(struct options, consume),
		"free what was written; into the same regular file (>>) goes on exactly where an earlier one ended",
		NULL, 0, 0},
	{"as", 0, "FORM", RANQ_OPTION_CHOICE, offsetof(struct options, form),
		"auto, raw, text, hex, double, int64 (auto: commands raw, functions text or hex)", RANQ_OUTPUT_FORMS, 0,
		0},
	{"module", 0, "FILE.so", RANQ_OPTION_TEXT, offsetof(struct options, module),
		"module with the reduce function of the job; its code runs here", NULL, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", results_options, 0},
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

struct reading {
	const struct ranq_command *command;
	const struct options *options;
	struct ranq_session *session;
	uint64_t job;
	struct ranq_arguments arguments;
	struct ranq_output output;
	struct ranq_stream *stream;
	struct ranq_reducing *reducing;
	bool follow;
};

/* A job that runs again after `retry`: what the failed tasks will give is not known before it ends. */
static int settle(struct reading *reading, struct ranq_err *err)
{
	struct ranq_job_info info;
	if (ranq_session_info(reading->session, reading->job, &info, err))
		return -1;
	if (!info.round || ranq_job_state_is_final(info.state))
		return 0;
	if (!reading->follow)
		return ranq_err_set(err, RANQ_ERR_UNFINISHED, "job %s is being retried; --follow waits for it",
			ranq_cli_job_text(reading->session, reading->job));
	return ranq_wait_job(reading->session, reading->job, TICK_MS, RANQ_NEVER, NULL, NULL, &info, err);
}

/* What the job is decides how it is read. */
static int open_job(struct reading *reading, struct ranq_err *err)
{
	if (reading->follow)
		reading->session->options.patience_ms = RANQ_NEVER; /* a server that is away comes back */
	if (settle(reading, err) || ranq_arguments_open(&reading->arguments, reading->session, reading->job, err))
		return -1;
	reading->output.function = reading->arguments.spec.body == RANQ_BODY_FUNCTION;
	reading->output.arguments = &reading->arguments;
	return 0;
}

static int open_stream(struct reading *reading, struct ranq_err *err)
{
	struct ranq_stream_options options = {
		.unordered = reading->options->unordered,
		.consume = reading->options->consume,
		.slices = ranq_output_takes_slices(&reading->output),
		.before_ack = ranq_output_before_ack,
		.before_wait = ranq_output_before_wait,
		.user = &reading->output,
	};
	reading->stream = ranq_stream_open(reading->session, reading->job, &options, err);
	if (!reading->stream)
		return -1;
	if (!options.consume)
		return 0;
	int resumed = ranq_output_resume(&reading->output, ranq_stream_state(reading->stream), err);
	uint64_t before = ranq_ledger_count(&ranq_stream_state(reading->stream)->delivered);
	if (resumed >= 0 && before)
		ranq_cli_say(reading->command, "%s %llu result%s that an earlier reader has",
			resumed ? "going on behind" : "leaving out", (unsigned long long)before, ranq_plural(before));
	if (resumed == 0)
		return ranq_stream_store_state(reading->stream, err);
	return resumed < 0 ? -1 : 0;
}

/* The job is held and nobody else reads it away. */
static void say_held(struct reading *reading)
{
	ranq_cli_say(reading->command,
		"job %s is held because its results are unread: reading and freeing them until its end",
		ranq_cli_job_text(reading->session, reading->job));
	reading->follow = true;
	reading->session->options.patience_ms = RANQ_NEVER;
}

static int not_finished(struct reading *reading, uint64_t done, uint64_t tasks, struct ranq_err *err)
{
	if (ranq_output_flush(&reading->output, err))
		return -1;
	return ranq_err_set(err, RANQ_ERR_UNFINISHED,
		"job %s is not finished: %llu of %llu tasks done (--follow goes on until its end)",
		ranq_cli_job_text(reading->session, reading->job), (unsigned long long)done,
		(unsigned long long)tasks);
}

static int print_all(struct reading *reading, struct ranq_err *err)
{
	struct ranq_stream_result result;
	for (;;) {
		int64_t deadline = reading->follow ? ranq_session_after(TICK_MS) : 0;
		int rc = ranq_stream_next(reading->stream, &result, deadline, err);
		if (rc == 0)
			return ranq_output_flush(&reading->output, err);
		if (rc == 1 && ranq_output_add(&reading->output, &result, err))
			return -1;
		if (rc == 1)
			continue;
		if (err->code != RANQ_ERR_UNFINISHED)
			return -1;
		bool held = ranq_stream_facts(reading->stream)->held && !ranq_stream_consumes(reading->stream);
		if (held)
			say_held(reading);
		if (held && ranq_stream_consume(reading->stream, err))
			return -1;
		if (!reading->follow)
			return not_finished(reading, ranq_stream_facts(reading->stream)->done,
				ranq_stream_facts(reading->stream)->tasks, err);
	}
}

static int print_value(struct reading *reading, struct ranq_err *err)
{
	const struct ranq_spec *spec = &reading->arguments.spec;
	struct ranq_reducing_options options = {.consume = reading->options->consume, .backlog = spec->backlog};
	struct ranq_reduce how;
	struct ranq_part total;
	if (ranq_reduced_how(&how, spec, reading->options->module, err))
		return -1;
	reading->reducing = ranq_reducing_open(reading->session, reading->job, &how, &options, err);
	if (!reading->reducing)
		return -1;
	const struct ranq_reducing_facts *facts = ranq_reducing_facts(reading->reducing);
	while (ranq_reducing_total(
		reading->reducing, reading->follow ? ranq_session_after(TICK_MS) : 0, &total, err)) {
		if (err->code != RANQ_ERR_UNFINISHED)
			return -1;
		if (facts->held && !reading->follow)
			say_held(reading);
		if (facts->held)
			ranq_reducing_consume(reading->reducing);
		if (!reading->follow)
			return not_finished(reading, facts->done, facts->tasks, err);
	}
	return ranq_reduced_print(
		&reading->output, &how, spec->reduce, ranq_cli_job_text(reading->session, reading->job), &total, err);
}

static int print_results(struct reading *reading, struct ranq_err *err)
{
	if (open_job(reading, err))
		return -1;
	if (reading->arguments.spec.reduce)
		return print_value(reading, err);
	return open_stream(reading, err) ? -1 : print_all(reading, err);
}

/* Exit status of a job that was read to its end. */
static int conclude(struct reading *reading, struct ranq_err *err)
{
	struct ranq_job_info info;
	const struct ranq_output *output = &reading->output;
	if (ranq_wait_job(reading->session, reading->job, TICK_MS, RANQ_NEVER, NULL, NULL, &info, err))
		return -1;
	int status = ranq_jobview_status(&info);
	ranq_output_misfits(output, reading->command);
	if (output->freed) {
		ranq_cli_say(reading->command,
			"results of %llu task%s were freed by the job's consumer, first those of %llu to %llu",
			(unsigned long long)output->freed, ranq_plural(output->freed),
			(unsigned long long)output->freed_from, (unsigned long long)output->freed_to - 1);
		status = 1;
	}
	ranq_jobview_say_end(reading->command, reading->session, &info, true);
	return status;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	if (rc < 0 || ranq_cli_catch_signals(&err))
		return ranq_cli_fail(command, &err);
	struct reading reading = {.command = command, .options = &options, .follow = options.follow || options.consume};
	ranq_output_init(&reading.output, (enum ranq_output_form)options.form, options.common.json, false);
	reading.session = ranq_cli_open_job(&options.common, operands.at[0], &reading.job, &err);
	int status = reading.session ? 0 : -1;
	if (status == 0 && print_results(&reading, &err))
		status = -1;
	if (status == 0)
		status = conclude(&reading, &err);
	if (status < 0) {
		ranq_cli_interrupt_handled();
		ranq_output_flush(&reading.output, NULL);
		status = ranq_cli_fail(command, &err);
	}
	ranq_stream_close(reading.stream);
	ranq_reducing_close(reading.reducing);
	if (reading.output.arguments)
		ranq_arguments_close(&reading.arguments);
	ranq_output_clear(&reading.output);
	ranq_session_close(reading.session);
	return status;
}

const struct ranq_command ranq_command_results = {
	.name = "results",
	.summary = "print the results of a job",
	.synopsis = "[OPTION]... JOB",
	.details = "Prints the standard output of commands as it was, and values of functions one line a task. A job "
		   "that is not\n"
		   "finished gives what is there in order and status 5, or is followed to its end with --follow. A job "
		   "that is held\n"
		   "because its results are unread is read and freed. Results that were freed are named on standard "
		   "error and give\n"
		   "status 1. Of a job with a reduction its value is printed, once the job is over.\n"
		   "--json prints one object a line: index, arg, status, output (or output_base64).",
	.groups = groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

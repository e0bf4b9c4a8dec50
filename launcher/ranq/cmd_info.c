/* cmd_info.c - `ranq info JOB`: everything about one job. */
#include <stdio.h>

#include "common/cli.h"
#include "common/jobview.h"
#include "common/table.h"
#include "common/waiting.h"
#include "record/segment.h"
#include "util/clock.h"
#include "util/plural.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

static void line(const char *name, const char *value)
{
	printf("%-12s ", name);
	for (const char *p = value; *p; p++)
		putchar((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
	putchar('\n');
}

static void print_counts(const struct ranq_job_info *info)
{
	char a[32], b[32], c[32], text[512];
	snprintf(text, sizeof text, "%s%s, %s done, %s leased", ranq_count_text(info->tasks, a),
		info->open ? " so far" : "", ranq_count_text(info->done, b), ranq_count_text(info->leased, c));
	line("tasks", text);
	snprintf(text, sizeof text, "%s (error %llu, died %llu, timeout %llu)",
		ranq_count_text(ranq_jobview_failed(info), a), (unsigned long long)info->counts[RANQ_TASK_ERROR],
		(unsigned long long)info->counts[RANQ_TASK_DIED], (unsigned long long)info->counts[RANQ_TASK_TIMEOUT]);
	line("failed", text);
	snprintf(text, sizeof text, "%llu task%s, %llu late or repeated result%s dropped, %llu death%s",
		(unsigned long long)info->requeued, ranq_plural(info->requeued), (unsigned long long)info->stale,
		ranq_plural(info->stale), (unsigned long long)info->deaths, ranq_plural(info->deaths));
	line("requeued", text);
}

static void print_results_line(const struct ranq_job_info *info)
{
	static const char *const modes[] = {"keep", "count", "none"};
	char bytes[32], backlog[32], text[256];
	if (info->results != RANQ_RESULTS_KEEP)
		snprintf(text, sizeof text, "%s", (unsigned)info->results < 3 ? modes[info->results] : "?");
	else
		snprintf(text, sizeof text, "keep, %s of %s stored, %llu freed",
			ranq_size_format(info->result_bytes, bytes), ranq_size_format(info->backlog, backlog),
			(unsigned long long)info->freed);
	line("results", text);
}

static void print(const struct ranq_session *session, const struct ranq_job_info *info, const char *why)
{
	char text[600], when[32];
	line("job", ranq_cli_job_text(session, info->job));
	if (info->name[0])
		line("name", info->name);
	line("owner", info->owner);
	snprintf(text, sizeof text, "%s%s%s%s", ranq_job_state_name(info->state), info->reason[0] ? " (" : "",
		info->reason, info->reason[0] ? ")" : "");
	line("state", text);
	if (why[0])
		line("waiting", why);
	if (info->held) {
		ranq_jobview_held(session->queue.name, info, text, sizeof text);
		line("held", text);
	}
	print_counts(info);
	print_results_line(info);
	snprintf(text, sizeof text, "%d", info->priority);
	line("priority", text);
	snprintf(text, sizeof text, "%u", info->workers);
	line("workers", text);
	line("submitted", ranq_time_text(info->created_ms, when));
	line("started", ranq_time_text(info->started_ms, when));
	line("ended", ranq_time_text(info->ended_ms, when));
	line("task time", ranq_duration_format((int64_t)(info->elapsed_us / 1000), when));
	if (info->round) {
		snprintf(text, sizeof text, "%llu", (unsigned long long)info->round);
		line("retried", text);
	}
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	struct ranq_job_info info;
	struct ranq_waiting waiting = {0};
	char why[RANQ_WAITING_TEXT];
	uint64_t job;
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	struct ranq_session *session = rc == 0 ? ranq_cli_open_job(&options.common, operands.at[0], &job, &err) : NULL;
	rc = session ? ranq_session_info(session, job, &info, &err) : -1;
	if (rc == 0)
		rc = ranq_waiting_reason(&waiting, session, &info, why, &err);
	if (rc == 0 && options.common.json)
		rc = ranq_json_print(ranq_jobview_json("ranq.job/1", session->queue.name, &info, why), stdout, &err);
	else if (rc == 0)
		print(session, &info, why);
	ranq_waiting_clear(&waiting);
	if (rc == 0)
		rc = ranq_cli_close_stdout(&err);
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_info = {
	.name = "info",
	.summary = "show everything about a job",
	.synopsis = "[OPTION]... JOB",
	.groups = groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

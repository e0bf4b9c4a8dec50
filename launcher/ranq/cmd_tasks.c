/* cmd_tasks.c - `ranq tasks JOB`: where the tasks of a job are. Ranges, so that a job of 10^9 tasks has a short list;
 * failed ones singly. */
#include <stdio.h>
#include <string.h>

#include "common/arguments.h"
#include "common/cli.h"
#include "client/failures.h"
#include "common/jobview.h"
#include "common/table.h"
#include "util/plural.h"

enum shown { SHOW_ALL, SHOW_LEASED, SHOW_PENDING, SHOW_FAILED };

struct options {
	int state;
	struct ranq_cli_common common;
};

static const struct ranq_option tasks_options[] = {
	{"state", 0, "STATE", RANQ_OPTION_CHOICE, offsetof(struct options, state),
		"only these: all, leased (by a worker), pending or failed", "all|leased|pending|failed", 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", tasks_options, 0},
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

struct listing {
	struct ranq_session *session;
	struct ranq_job_info info;
	struct ranq_arguments arguments;
	struct ranq_json *json; /* NULL: table */
	struct ranq_table table;
	enum shown shown;
};

static void add_range(
	struct listing *listing, const char *state, uint64_t start, uint64_t end, const char *worker, const char *note)
{
	char tasks[64], count[32], id[16];
	if (listing->json) {
		struct ranq_json *range = ranq_json_object(NULL);
		ranq_json_str(range, "state", state);
		ranq_json_uint(range, "start", start);
		ranq_json_uint(range, "end", end);
		ranq_json_str(range, "worker", *worker ? worker : NULL);
		ranq_json_append(listing->json, "ranges", range);
		return;
	}
	if (end - start == 1)
		snprintf(tasks, sizeof tasks, "%llu", (unsigned long long)start);
	else
		snprintf(tasks, sizeof tasks, "%llu-%llu", (unsigned long long)start, (unsigned long long)end - 1);
	snprintf(id, sizeof id, "%.12s", worker);
	ranq_table_row(&listing->table, tasks, ranq_count_text(end - start, count), state, id, NULL, note);
}

static void add_place(struct listing *listing, const struct ranq_place *place)
{
	bool leased = place->bridge[0];
	char note[96] = "";
	if (place->deaths)
		snprintf(note, sizeof note, "killed its worker %u time%s", place->deaths,
			ranq_plural(place->deaths));
	else if (place->expiries)
		snprintf(note, sizeof note, "its worker was lost %u time%s", place->expiries,
			ranq_plural(place->expiries));
	else if (!leased)
		snprintf(note, sizeof note, "came back");
	if (listing->shown == SHOW_ALL || listing->shown == (leased ? SHOW_LEASED : SHOW_PENDING))
		add_range(listing, leased ? "LEASED" : "PENDING", place->start, place->end, place->bridge, note);
}

static int add_places(struct listing *listing, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	struct ranq_place place;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_places_cmd(&listing->session->queue, &cmd, listing->info.job);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(listing->session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0 && ranq_reply_type(reply) == RANQ_REPLY_ERROR)
		rc = ranq_queue_places_parse(reply, 0, &place, err);
	for (size_t i = 0; rc == 0 && i < ranq_reply_count(reply) / 5; i++) {
		rc = ranq_queue_places_parse(reply, i, &place, err);
		if (rc == 0)
			add_place(listing, &place);
	}
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static void add_failure_json(struct listing *listing, const struct ranq_failure *failure, const char *arg)
{
	struct ranq_json *json = ranq_json_object(NULL);
	ranq_json_uint(json, "index", failure->index);
	ranq_json_str(json, "arg", arg);
	ranq_json_str(json, "status", ranq_task_status_name(failure->status));
	ranq_json_int(json, "exit_code", failure->exit_code);
	ranq_json_int(json, "signal", failure->signal);
	ranq_json_str(json, "reason", failure->reason);
	ranq_json_uint(json, "attempts", failure->attempts);
	ranq_json_real(json, "seconds", (double)failure->elapsed_us / 1e6);
	ranq_json_str(json, "host", failure->host);
	ranq_json_str(json, "worker", failure->worker);
	ranq_json_append(listing->json, "failed", json);
}

static int add_failure(void *user, const struct ranq_failure *failure, struct ranq_err *err)
{
	struct listing *listing = user;
	const char *arg = ranq_arguments_get(&listing->arguments, failure->index);
	char index[32], id[16];
	(void)err;
	if (listing->json) {
		add_failure_json(listing, failure, arg);
		return 0;
	}
	snprintf(index, sizeof index, "%llu", (unsigned long long)failure->index);
	snprintf(id, sizeof id, "%.12s", failure->worker);
	ranq_table_row(&listing->table, index, "1", ranq_task_status_name(failure->status), id, arg, failure->reason);
	return 0;
}

static int collect(struct listing *listing, struct ranq_err *err)
{
	const struct ranq_job_info *info = &listing->info;
	bool pending = listing->shown == SHOW_ALL || listing->shown == SHOW_PENDING;
	if (listing->shown != SHOW_FAILED && add_places(listing, err))
		return -1;
	if (pending && info->next < info->tasks)
		add_range(listing, ranq_job_state_is_final(info->state) ? "NEVER RAN" : "PENDING", info->next,
			info->tasks, "", "");
	if (listing->shown != SHOW_ALL && listing->shown != SHOW_FAILED)
		return 0;
	return ranq_failures_each(listing->session, info->job, 0, UINT64_MAX, add_failure, listing, err);
}

static void print_summary(const struct listing *listing)
{
	const struct ranq_job_info *info = &listing->info;
	char ok[32], failed[32], leased[32], tasks[32];
	printf("job %s: %s of %s tasks succeeded, %s failed, %s leased\n",
		ranq_cli_job_text(listing->session, info->job), ranq_count_text(info->counts[RANQ_TASK_OK], ok),
		ranq_count_text(info->tasks, tasks), ranq_count_text(ranq_jobview_failed(info), failed),
		ranq_count_text(info->leased, leased));
}

static int show(struct listing *listing, bool as_json, struct ranq_err *err)
{
	static const char *const titles[] = {">TASKS", ">COUNT", "STATE", "WORKER", "ARGUMENT", "REASON", NULL};
	if (as_json) {
		listing->json = ranq_json_object("ranq.tasks/1");
		ranq_json_str(listing->json, "job", ranq_cli_job_text(listing->session, listing->info.job));
		ranq_json_uint(listing->json, "tasks", listing->info.tasks);
		ranq_json_uint(listing->json, "ok", listing->info.counts[RANQ_TASK_OK]);
		ranq_json_append(listing->json, "ranges", NULL);
		ranq_json_append(listing->json, "failed", NULL);
	}
	ranq_table_init(&listing->table, titles);
	int rc = collect(listing, err);
	if (rc == 0 && as_json) {
		ranq_table_print(&listing->table, NULL);
		return ranq_json_print(listing->json, stdout, err);
	}
	if (rc == 0)
		print_summary(listing);
	ranq_table_print(&listing->table, rc == 0 && listing->table.rows > 1 ? stdout : NULL);
	ranq_json_destroy(listing->json);
	return rc;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	struct listing listing = {0};
	uint64_t job;
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	listing.shown = (enum shown)options.state;
	listing.session = rc == 0 ? ranq_cli_open_job(&options.common, operands.at[0], &job, &err) : NULL;
	rc = listing.session ? ranq_session_info(listing.session, job, &listing.info, &err) : -1;
	if (rc == 0)
		rc = ranq_arguments_open(&listing.arguments, listing.session, job, &err);
	if (rc == 0) {
		rc = show(&listing, options.common.json, &err);
		ranq_arguments_close(&listing.arguments);
	}
	if (rc == 0)
		rc = ranq_cli_close_stdout(&err);
	ranq_session_close(listing.session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_tasks = {
	.name = "tasks",
	.summary = "show where the tasks of a job are, and which failed",
	.synopsis = "[OPTION]... JOB",
	.groups = groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

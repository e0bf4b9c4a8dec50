/* cmd_jobs.c - `ranq jobs`: the jobs of a queue. */
#include <stdio.h>

#include "common/cli.h"
#include "common/commands.h"
#include "common/jobview.h"
#include "common/table.h"
#include "common/waiting.h"

#define PIECE 100

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_common_options, 0},
	{0},
};

struct listing {
	struct ranq_session *session;
	struct ranq_json *json; /* NULL: table */
	struct ranq_table table;
	struct ranq_waiting waiting;
};

static void add_row(struct ranq_table *table, const struct ranq_job_info *info, const char *why)
{
	char id[32], tasks[32], done[32], failed[32], state[48], created[32], percent[16];
	snprintf(id, sizeof id, "%llu", (unsigned long long)info->job);
	snprintf(state, sizeof state, "%s%s", ranq_job_state_name(info->state), info->held ? " (held)" : "");
	snprintf(percent, sizeof percent, "%d%%",
		info->tasks ? (int)((double)info->done / (double)info->tasks * 100) : 0);
	ranq_table_row(table, id, info->name, state, ranq_count_text(info->tasks, tasks),
		ranq_count_text(info->done, done), percent, ranq_count_text(ranq_jobview_failed(info), failed),
		ranq_time_text(info->created_ms, created), info->owner, info->reason[0] ? info->reason : why);
}

/* One piece of the list; *n jobs, *next: where the following one starts. */
static int add_piece(struct listing *listing, uint64_t *next, size_t *n, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	struct ranq_job_info info;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_jobs_cmd(&listing->session->queue, &cmd, *next, PIECE);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(listing->session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0 && ranq_reply_type(reply) == RANQ_REPLY_ERROR)
		rc = ranq_queue_jobs_parse(reply, 0, &info, err);
	*n = rc == 0 ? ranq_reply_count(reply) : 0;
	for (size_t i = 0; i < *n && rc == 0; i++) {
		char why[RANQ_WAITING_TEXT];
		rc = ranq_queue_jobs_parse(reply, i, &info, err);
		if (rc == 0)
			rc = ranq_waiting_reason(&listing->waiting, listing->session, &info, why, err);
		if (rc && err->code == RANQ_ERR_NOTFOUND) /* removed since */
			rc = 0;
		if (rc)
			break;
		*next = info.job + 1;
		if (listing->json)
			ranq_json_append(listing->json, "jobs",
				ranq_jobview_json(NULL, listing->session->queue.name, &info, why));
		else
			add_row(&listing->table, &info, why);
	}
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int list(struct ranq_session *session, bool as_json, struct ranq_err *err)
{
	static const char *const titles[] = {
		">JOB", "NAME", "STATE", ">TASKS", ">DONE", ">%", ">FAILED", "SUBMITTED", "OWNER", "REASON", NULL};
	struct listing listing = {.session = session};
	uint64_t next = 1;
	size_t n = PIECE;
	ranq_table_init(&listing.table, titles);
	if (as_json) {
		listing.json = ranq_json_object("ranq.jobs/1");
		ranq_json_str(listing.json, "queue", session->queue.name);
		ranq_json_append(listing.json, "jobs", NULL);
	}
	int rc = 0;
	while (rc == 0 && n == PIECE)
		rc = add_piece(&listing, &next, &n, err);
	ranq_waiting_clear(&listing.waiting);
	if (rc == 0 && next == 1 && !as_json)
		ranq_cli_say(&ranq_command_jobs, "queue '%s' has no jobs ('ranq queues' lists the queues)",
			session->queue.name);
	ranq_table_print(&listing.table, rc == 0 && !as_json ? stdout : NULL);
	if (rc == 0 && as_json)
		return ranq_json_print(listing.json, stdout, err);
	ranq_json_destroy(listing.json);
	return rc;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	return ranq_cli_list(command, argc, argv, list);
}

const struct ranq_command ranq_command_jobs = {
	.name = "jobs",
	.summary = "list the jobs of a queue",
	.synopsis = "[OPTION]...",
	.groups = groups,
	.run = run,
};

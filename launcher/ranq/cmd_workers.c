/* cmd_workers.c - `ranq workers`: the bridges that serve a queue. */
#include <stdio.h>

#include "common/cli.h"
#include "common/commands.h"
#include "common/table.h"
#include "util/clock.h"
#include "util/json.h"

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_common_options, 0},
	{0},
};

static const char *state(const struct ranq_bridge_info *info)
{
	return info->draining ? "draining" : info->idle ? "idle" : "busy";
}

/* The count comes with the heartbeat, seconds late; who holds nothing of the queue runs nothing. */
static uint64_t running(const struct ranq_bridge_info *info)
{
	return info->idle || !info->fragments ? 0 : info->running;
}

static struct ranq_json *view(const struct ranq_bridge_info *info)
{
	struct ranq_json *json = ranq_json_object(NULL);
	ranq_json_str(json, "worker", info->id);
	ranq_json_str(json, "host", info->host);
	ranq_json_str(json, "allocation", info->allocation);
	ranq_json_str(json, "user", info->user);
	ranq_json_str(json, "version", info->version);
	ranq_json_str(json, "tags", info->tags);
	ranq_json_str(json, "binding", info->binding);
	ranq_json_str(json, "state", state(info));
	ranq_json_uint(json, "ranks", info->ranks);
	ranq_json_uint(json, "running", running(info));
	ranq_json_uint(json, "done", info->done);
	ranq_json_uint(json, "ranges", info->fragments);
	ranq_json_int(json, "joined_ms", info->joined_ms);
	if (info->end_ms)
		ranq_json_int(json, "end_ms", info->end_ms);
	ranq_json_int(json, "lease_left_ms", info->left_ms);
	return json;
}

static void add_row(struct ranq_table *table, const struct ranq_bridge_info *info)
{
	char id[16], ranks[32], runs[32], done[32], joined[32], end[32];
	snprintf(id, sizeof id, "%.12s", info->id);
	ranq_table_row(table, id, info->host, info->allocation, state(info), ranq_count_text(info->ranks, ranks),
		ranq_count_text(running(info), runs), ranq_count_text(info->done, done),
		ranq_time_text(info->joined_ms, joined), ranq_time_text(info->end_ms, end), info->user, info->tags,
		info->binding);
}

static int show(const struct ranq_session *session, const struct ranq_reply *reply, bool as_json, struct ranq_err *err)
{
	static const char *const titles[] = {"WORKER", "HOST", "ALLOCATION", "STATE", ">RANKS", ">RUNNING", ">DONE",
		"JOINED", "ENDS", "USER", "TAGS", "BINDING", NULL};
	struct ranq_bridge_info info;
	struct ranq_table table;
	struct ranq_json *json = as_json ? ranq_json_object("ranq.workers/1") : NULL;
	int rc = 0;
	if (ranq_reply_type(reply) == RANQ_REPLY_ERROR)
		rc = ranq_queue_bridges_parse(reply, 0, &info, err);
	ranq_table_init(&table, titles);
	ranq_json_str(json, "queue", session->queue.name);
	ranq_json_append(json, "workers", NULL);
	for (size_t i = 0; i < ranq_reply_count(reply) && rc == 0; i++) {
		rc = ranq_queue_bridges_parse(reply, i, &info, err);
		if (rc == 0 && as_json)
			ranq_json_append(json, "workers", view(&info));
		else if (rc == 0)
			add_row(&table, &info);
	}
	if (rc == 0 && !ranq_reply_count(reply) && !as_json)
		ranq_cli_say(&ranq_command_workers, "no worker serves queue '%s': ranq join -q %s", session->queue.name,
			session->queue.name);
	ranq_table_print(&table, rc == 0 && !as_json ? stdout : NULL);
	if (rc == 0 && as_json)
		return ranq_json_print(json, stdout, err);
	ranq_json_destroy(json);
	return rc;
}

static int list(struct ranq_session *session, bool as_json, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_bridges_cmd(&session->queue, &cmd);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = show(session, reply, as_json, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	return ranq_cli_list(command, argc, argv, list);
}

const struct ranq_command ranq_command_workers = {
	.name = "workers",
	.summary = "list the workers of a queue",
	.synopsis = "[OPTION]...",
	.groups = groups,
	.run = run,
};

/* cmd_queues.c - `ranq queues`: the queues of a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/table.h"
#include "record/spec.h"
#include "util/clock.h"
#include "util/json.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

/* Takes the names out of keys "ranq:{NAME}:q"; what does not look like ours is left alone. SCAN may give a key twice.
 */
static int add_names(const struct ranq_reply *keys, struct ranq_strings *names, struct ranq_err *err)
{
	static const char head[] = "ranq:{", tail[] = "}:q";
	for (size_t i = 0; i < ranq_reply_count(keys); i++) {
		struct ranq_bytes key = ranq_reply_bytes(ranq_reply_at(keys, i));
		char name[RANQ_QUEUE_NAME_MAX + 1];
		size_t around = sizeof head - 1 + sizeof tail - 1;
		if (key.len <= around || key.len - around > RANQ_QUEUE_NAME_MAX)
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(key.len - around), (const char *)key.data + sizeof head - 1);
		bool known = ranq_queue_name_check(name, NULL) != 0;
		for (size_t k = 0; k < names->n && !known; k++)
			known = strcmp(names->at[k], name) == 0;
		if (!known && ranq_strings_add(names, name, strlen(name)))
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	return 0;
}

/* One SCAN; cursor as text, "0" at the end. */
static int scan(struct ranq_session *session, char cursor[24], struct ranq_strings *names, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "SCAN");
	ranq_cmd_str(&cmd, cursor);
	ranq_cmd_str(&cmd, "MATCH");
	ranq_cmd_str(&cmd, "ranq:{*}:q");
	ranq_cmd_str(&cmd, "COUNT");
	ranq_cmd_int(&cmd, 1000);
	int rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	struct ranq_bytes next = rc == 0 ? ranq_reply_bytes(ranq_reply_at(reply, 0)) : (struct ranq_bytes){NULL, 0};
	if (rc == 0 && ranq_reply_type(reply) == RANQ_REPLY_ERROR) {
		struct ranq_bytes text = ranq_reply_bytes(reply);
		rc = ranq_err_set(err, RANQ_ERR_AUTH, "cannot list the queues: %.*s",
			(int)(text.len < 200 ? text.len : 200), (const char *)text.data);
	} else if (rc == 0 && (next.len == 0 || next.len >= 24)) {
		rc = ranq_err_set(err, RANQ_ERR_REPLY, "the server's answer to SCAN makes no sense");
	} else if (rc == 0) {
		snprintf(cursor, 24, "%.*s", (int)next.len, (const char *)next.data);
		rc = add_names(ranq_reply_at(reply, 1), names, err);
	}
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int get_info(struct ranq_session *session, const char *name, struct ranq_queue_info *info, struct ranq_err *err)
{
	struct ranq_queue queue;
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	if (ranq_queue_init(&queue, name, err))
		return -1;
	queue.mode = session->queue.mode;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_stat_cmd(&queue, &cmd);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_stat_parse(reply, info, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static struct ranq_json *view(const char *name, const struct ranq_queue_info *info)
{
	struct ranq_json *json = ranq_json_object(NULL);
	ranq_json_str(json, "queue", name);
	ranq_json_bool(json, "paused", info->paused);
	ranq_json_uint(json, "jobs", info->jobs);
	ranq_json_uint(json, "ready", info->ready);
	ranq_json_uint(json, "workers", info->bridges);
	ranq_json_uint(json, "ranks", info->ranks);
	ranq_json_uint(json, "idle", info->idle);
	ranq_json_int(json, "lease_ms", info->lease_ms);
	ranq_json_uint(json, "memory_bytes", info->memory_bytes);
	return json;
}

static void add_row(struct ranq_table *table, const char *name, const struct ranq_queue_info *info)
{
	char jobs[32], ready[32], workers[32], ranks[32], lease[32], memory[32];
	ranq_table_row(table, name, info->paused ? "paused" : "open", ranq_count_text(info->jobs, jobs),
		ranq_count_text(info->ready, ready), ranq_count_text(info->bridges, workers),
		ranq_count_text(info->ranks, ranks), ranq_duration_format(info->lease_ms, lease),
		ranq_size_format(info->memory_bytes, memory));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int show(struct ranq_session *session, const struct ranq_strings *names, bool as_json, struct ranq_err *err)
{
	static const char *const titles[] = {
		"QUEUE", "STATE", ">JOBS", ">READY", ">WORKERS", ">RANKS", ">LEASE", ">MEMORY", NULL};
	struct ranq_table table;
	struct ranq_json *json = as_json ? ranq_json_object("ranq.queues/1") : NULL;
	int rc = 0;
	ranq_table_init(&table, titles);
	ranq_json_append(json, "queues", NULL);
	for (size_t i = 0; i < names->n && rc == 0; i++) {
		struct ranq_queue_info info;
		rc = get_info(session, names->at[i], &info, err);
		if (rc || !info.exists)
			continue;
		if (as_json)
			ranq_json_append(json, "queues", view(names->at[i], &info));
		else
			add_row(&table, names->at[i], &info);
	}
	ranq_table_print(&table, rc == 0 && !as_json ? stdout : NULL);
	if (rc == 0 && as_json)
		return ranq_json_print(json, stdout, err);
	ranq_json_destroy(json);
	return rc;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	struct ranq_strings names = {0};
	char cursor[24] = "0";
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	struct ranq_session *session = rc == 0 ? ranq_cli_open(&options.common, false, 0, &err) : NULL;
	rc = session ? 0 : -1;
	do
		rc = rc ? rc : scan(session, cursor, &names, &err);
	while (rc == 0 && strcmp(cursor, "0") != 0);
	if (rc == 0 && names.n)
		qsort(names.at, names.n, sizeof *names.at, by_name);
	if (rc == 0)
		rc = show(session, &names, options.common.json, &err);
	if (rc == 0)
		rc = ranq_cli_close_stdout(&err);
	ranq_strings_clear(&names);
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_queues = {
	.name = "queues",
	.summary = "list the queues of the server",
	.synopsis = "[OPTION]...",
	.groups = groups,
	.run = run,
};

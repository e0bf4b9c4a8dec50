/* cmd_queues.c - `ranq queues`: the queues of a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/queues.h"
#include "common/table.h"
#include "util/clock.h"
#include "util/json.h"

struct options {
	struct ranq_cli_common common;
};

static const struct ranq_option_group groups[] = {
	{"common options", ranq_cli_common_options, offsetof(struct options, common)},
	{0},
};

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
		rc = ranq_queues_info(session, names->at[i], RANQ_NEVER, &info, err);
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
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	struct ranq_session *session = rc == 0 ? ranq_cli_open(&options.common, false, 0, &err) : NULL;
	rc = session ? ranq_queues_names(session, RANQ_NEVER, &names, &err) : -1;
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

/* cmd_drain.c - `ranq drain WORKER|ALLOCATION|all`: workers finish what runs, give back the rest and leave. */
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "util/plural.h"

#define LOOK_MS 200
#define AGAIN_MS 2000

struct options {
	bool wait;
	int64_t timeout_ms;
	struct ranq_cli_common common;
};

static const struct ranq_option drain_options[] = {
	{"wait", 'w', NULL, RANQ_OPTION_FLAG, offsetof(struct options, wait), "wait until they have left", NULL, 0, 0},
	{"timeout", 't', "D", RANQ_OPTION_DURATION, offsetof(struct options, timeout_ms),
		"with --wait: give up after this time with status 5: 90, 90s, 5m, 2h, 1-12:00:00", NULL, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {
	{"options", drain_options, 0},
	{"common options", ranq_cli_server_options, offsetof(struct options, common)},
	{0},
};

static int build(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	return ranq_queue_drain_cmd(q, cmd, user);
}

/* ---- waiting ---- */

struct leaving {
	char (*ids)[RANQ_ID_LEN + 1]; /* of those that were told to leave and are still there */
	size_t n;
};

static int list_bridges(
	struct ranq_session *session, int64_t deadline_ms, struct ranq_reply **reply, struct ranq_err *err)
{
	struct ranq_bridge_info info;
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_bridges_cmd(&session->queue, &cmd);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, deadline_ms, reply, err);
	ranq_cmd_clear(&cmd);
	if (rc == 0 && ranq_reply_type(*reply) == RANQ_REPLY_ERROR)
		rc = ranq_queue_bridges_parse(*reply, 0, &info, err);
	return rc;
}

static bool is_meant(const char *who, const struct ranq_bridge_info *info)
{
	size_t len = strlen(who);
	return strcmp(who, "all") == 0 || strcmp(who, info->allocation) == 0 ||
	       (len >= 8 && strncmp(who, info->id, len) == 0);
}

/* Who was told; workers that join from now on are none of ours. */
static int find_leaving(struct ranq_session *session, const char *who, struct leaving *leaving, struct ranq_err *err)
{
	struct ranq_reply *reply = NULL;
	struct ranq_bridge_info info;
	int rc = list_bridges(session, RANQ_NEVER, &reply, err);
	size_t count = rc == 0 ? ranq_reply_count(reply) : 0;
	leaving->ids = calloc(count + 1, sizeof *leaving->ids);
	if (!leaving->ids)
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = ranq_queue_bridges_parse(reply, i, &info, err);
		if (rc == 0 && info.draining && is_meant(who, &info))
			memcpy(leaving->ids[leaving->n++], info.id, sizeof info.id);
	}
	ranq_reply_destroy(reply);
	return rc;
}

/* Drops those that have left. */
static int look_again(struct ranq_session *session, int64_t deadline_ms, struct leaving *leaving, struct ranq_err *err)
{
	struct ranq_reply *reply = NULL;
	struct ranq_bridge_info info;
	int rc = list_bridges(session, deadline_ms, &reply, err);
	size_t count = rc == 0 ? ranq_reply_count(reply) : 0, still = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = ranq_queue_bridges_parse(reply, i, &info, err);
		for (size_t k = still; k < leaving->n && rc == 0; k++) {
			if (strcmp(leaving->ids[k], info.id) != 0)
				continue;
			memcpy(leaving->ids[k], leaving->ids[still], sizeof info.id);
			memcpy(leaving->ids[still++], info.id, sizeof info.id);
			break;
		}
	}
	ranq_reply_destroy(reply);
	if (rc == 0)
		leaving->n = still;
	return rc;
}

/* A worker that died without a word leaves when its lease is over, which the server sees in calls that change something
 * only: telling the first one again is such a call. */
static int await_leaving(
	struct ranq_session *session, struct leaving *leaving, int64_t deadline_ms, struct ranq_err *err)
{
	int64_t again_ms = ranq_clock_ms() + AGAIN_MS;
	int rc = 0;
	while (rc == 0 && leaving->n) {
		int64_t now_ms = ranq_clock_ms();
		if (now_ms >= deadline_ms)
			return ranq_err_set(err, RANQ_ERR_UNFINISHED, "the time is over: %zu worker%s %s not left yet",
				leaving->n, ranq_plural(leaving->n), ranq_number(leaving->n, "has", "have"));
		if (now_ms >= again_ms) {
			rc = ranq_session_control(session, build, leaving->ids[0], NULL, err);
			if (rc && err->code == RANQ_ERR_NOTFOUND)
				rc = 0;
			again_ms = now_ms + AGAIN_MS;
		}
		int64_t until_ms = now_ms + LOOK_MS < deadline_ms ? now_ms + LOOK_MS : deadline_ms;
		rc = rc ? rc : ranq_session_turn(session, until_ms, err);
		rc = rc < 0 ? -1 : look_again(session, ranq_session_after(5000), leaving, err);
	}
	return rc;
}

static int wait_for(struct ranq_session *session, const char *who, int64_t deadline_ms, struct ranq_err *err)
{
	struct leaving leaving = {0};
	int rc = find_leaving(session, who, &leaving, err);
	if (rc == 0)
		rc = await_leaving(session, &leaving, deadline_ms, err);
	free(leaving.ids);
	return rc;
}

/* ---- */

static int drain(struct ranq_session *session, const char *who, uint64_t *n, struct ranq_err *err)
{
	int rc = ranq_session_control(session, build, who, n, err);
	bool none = rc == 0 ? *n == 0 : err->code == RANQ_ERR_NOTFOUND;
	if (none && strcmp(who, "all") == 0)
		return ranq_err_set(err, RANQ_ERR_NOTFOUND, "no worker serves queue '%s'", session->queue.name);
	if (none)
		return ranq_err_set(err, RANQ_ERR_NOTFOUND,
			"no such worker or allocation in queue '%s': '%.100s'; see 'ranq workers'", session->queue.name,
			who);
	return rc;
}

static int run(const struct ranq_command *command, int argc, char **argv)
{
	struct options options = {.timeout_ms = RANQ_NEVER};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	uint64_t n = 0;
	int rc = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (rc > 0)
		return 0;
	if (rc == 0 && !options.wait && options.timeout_ms != RANQ_NEVER)
		rc = ranq_err_set(&err, RANQ_ERR_USAGE, "--timeout is about --wait");
	if (rc == 0 && options.wait)
		rc = ranq_cli_catch_signals(&err);
	int64_t deadline_ms = ranq_session_after(options.timeout_ms);
	struct ranq_session *session = rc == 0 ? ranq_cli_open(&options.common, false, 0, &err) : NULL;
	rc = session ? drain(session, operands.at[0], &n, &err) : -1;
	if (rc == 0)
		ranq_cli_say(command, "%llu worker%s will leave queue '%s'", (unsigned long long)n, ranq_plural(n),
			session->queue.name);
	if (rc == 0 && options.wait)
		rc = wait_for(session, operands.at[0], deadline_ms, &err);
	if (rc == 0 && options.wait)
		ranq_cli_say(command, "%s", ranq_number(n, "it has left", "they have left"));
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

const struct ranq_command ranq_command_drain = {
	.name = "drain",
	.summary = "let workers finish what runs and leave",
	.synopsis = "[OPTION]... WORKER|ALLOCATION|all",
	.details = "WORKER is an id or its first 8 digits or more, as 'ranq workers' shows it. Exit status with "
		   "--wait: 5\n"
		   "the time-out is over; the workers leave all the same.",
	.groups = groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run,
};

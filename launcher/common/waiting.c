/* waiting.c - see waiting.h. */
#include "common/waiting.h"

#include <stdio.h>
#include <string.h>

#define SPECS_MAX 100  /* of one list: each costs a round trip */
#define AGAIN_MS 10000 /* between two looks at a job that stands still */

typedef int build_fn(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job);

static int build_stat(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	(void)job;
	return ranq_queue_stat_cmd(q, cmd);
}

static int build_bridges(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job)
{
	(void)job;
	return ranq_queue_bridges_cmd(q, cmd);
}

static int ask(struct ranq_session *session, build_fn *build, uint64_t job, struct ranq_reply **reply,
	struct ranq_err *err)
{
	struct ranq_cmd cmd;
	*reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = build(&session->queue, &cmd, job) ? ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory")
						   : ranq_session_call(session, &cmd, RANQ_NEVER, reply, err);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int ask_queue(struct ranq_waiting *waiting, struct ranq_session *session, struct ranq_err *err)
{
	struct ranq_reply *reply;
	if (waiting->has_queue)
		return 0;
	int rc = ask(session, build_stat, 0, &reply, err);
	if (rc == 0)
		rc = ranq_queue_stat_parse(reply, &waiting->queue, err);
	ranq_reply_destroy(reply);
	waiting->has_queue = rc == 0;
	return rc;
}

/* ---- tags ------------------------------------------------------------------------------------------------------ */
static bool has_tag(const char *tags, const char *tag, size_t len)
{
	while (*tags) {
		size_t n = strcspn(tags, ",");
		if (n == len && memcmp(tags, tag, len) == 0)
			return true;
		tags += n + (tags[n] == ',');
	}
	return false;
}

/* The first of the wanted tags that the worker lacks; "" when it has all. */
static const char *lacking(const char *tags, const char *wanted)
{
	while (*wanted) {
		size_t n = strcspn(wanted, ",");
		if (n && !has_tag(tags, wanted, n))
			return wanted;
		wanted += n + (wanted[n] == ',');
	}
	return wanted;
}

static int compare_tags(const struct ranq_waiting *waiting, const char *wanted, char text[RANQ_WAITING_TEXT],
	struct ranq_err *err)
{
	struct ranq_bridge_info info;
	char all[4096] = "";
	size_t used = 0;
	for (size_t i = 0; i < ranq_reply_count(waiting->bridges); i++) {
		if (ranq_queue_bridges_parse(waiting->bridges, i, &info, err))
			return -1;
		if (!*lacking(info.tags, wanted))
			return 0;
		if (used + strlen(info.tags) + 2 < sizeof all)
			used += (size_t)snprintf(all + used, sizeof all - used, "%s,", info.tags);
	}
	const char *tag = lacking(all, wanted);
	if (*tag)
		snprintf(text, RANQ_WAITING_TEXT, "needs tag '%.*s', which no worker has", (int)strcspn(tag, ","), tag);
	else
		snprintf(text, RANQ_WAITING_TEXT, "needs tags '%.200s', which no worker has together", wanted);
	return 0;
}

static int check_tags(struct ranq_waiting *waiting, struct ranq_session *session, uint64_t job,
	char text[RANQ_WAITING_TEXT], struct ranq_err *err)
{
	struct ranq_reply *reply;
	struct ranq_bytes bytes;
	struct ranq_spec spec;
	enum ranq_job_state state;
	if (waiting->specs++ >= SPECS_MAX)
		return 0;
	int rc = ask(session, ranq_queue_spec_cmd, job, &reply, err);
	if (rc == 0)
		rc = ranq_queue_spec_parse(reply, &bytes, &state, err);
	if (rc == 0)
		rc = ranq_spec_unpack(bytes.data, bytes.len, &spec, err);
	ranq_reply_destroy(reply);
	if (rc)
		return -1;
	if (spec.require && !waiting->bridges)
		rc = ask(session, build_bridges, 0, &waiting->bridges, err);
	if (rc == 0 && spec.require)
		rc = compare_tags(waiting, spec.require, text, err);
	ranq_spec_clear(&spec);
	return rc;
}

/* An open job whose input has not come yet. */
static bool wants_input(const struct ranq_job_info *info)
{
	return info->next >= info->tasks && !info->returned;
}

/* ---- reasons --------------------------------------------------------------------------------------------------- */
int ranq_waiting_reason(struct ranq_waiting *waiting, struct ranq_session *session, const struct ranq_job_info *info,
	char text[RANQ_WAITING_TEXT], struct ranq_err *err)
{
	const char *queue = session->queue.name;
	text[0] = 0;
	if (ranq_job_state_is_final(info->state) || info->leased || info->held)
		return 0;
	if (info->state == RANQ_JOB_DEFERRED) {
		snprintf(text, RANQ_WAITING_TEXT, "waits for other jobs (--after)");
		return 0;
	}
	if (wants_input(info)) {
		snprintf(text, RANQ_WAITING_TEXT,
			"its submitter has sent no more input yet; if that was killed, the job ends with the tasks so far in a minute or two");
		return 0;
	}
	if (ask_queue(waiting, session, err))
		return -1;
	if (waiting->queue.paused)
		snprintf(text, RANQ_WAITING_TEXT, "queue '%s' is paused: ranq resume %s", queue, queue);
	else if (!waiting->queue.bridges)
		snprintf(text, RANQ_WAITING_TEXT, "no worker serves queue '%s': ranq join -q %s", queue, queue);
	else
		return check_tags(waiting, session, info->job, text, err);
	return 0;
}

void ranq_waiting_clear(struct ranq_waiting *waiting)
{
	ranq_reply_destroy(waiting->bridges);
	memset(waiting, 0, sizeof *waiting);
}

int ranq_waiting_stalled(struct ranq_stall *stall, struct ranq_session *session, const struct ranq_job_info *info,
	int64_t patience_ms, struct ranq_err *err)
{
	struct ranq_waiting waiting = {0};
	char text[RANQ_WAITING_TEXT];
	int64_t now = ranq_clock_ms();
	if (!stall->since_ms || info->done != stall->done || info->leased != stall->leased) {
		stall->since_ms = now;
		stall->done = info->done;
		stall->leased = info->leased;
	}
	if (now - stall->since_ms < patience_ms || now < stall->next_ms || wants_input(info))
		return 0; /* whoever streams the input may be this very program */
	stall->next_ms = now + AGAIN_MS;
	int rc = ranq_waiting_reason(&waiting, session, info, text, err);
	ranq_waiting_clear(&waiting);
	if (rc || !text[0] || strcmp(text, stall->told) == 0)
		return rc;
	memcpy(stall->told, text, sizeof text);
	return 1;
}

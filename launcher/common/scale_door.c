/* scale_door.c - see scale_door.h. */
#include "common/scale_door.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/marked.h"

/* Which numbering of processes this is: containers may share a hostname. 0: unknown. */
static unsigned long long pid_world(void)
{
	struct stat status;
	return stat("/proc/self/ns/pid", &status) == 0 ? (unsigned long long)status.st_ino : 0;
}

void ranq_scale_queue_init(struct ranq_scale_queue *queue, struct ranq_session *session)
{
	char host[HOST_NAME_MAX + 1] = "localhost";
	*queue = (struct ranq_scale_queue){.session = session};
	ranq_id_new(queue->holder);
	gethostname(host, sizeof host - 1);
	snprintf(queue->who, sizeof queue->who, "%s:%d %llu %llu", host, (int)getpid(),
		ranq_marked_start_time(getpid()), pid_world());
}

void ranq_scale_queue_clear(struct ranq_scale_queue *queue)
{
	free(queue->bridges);
	queue->bridges = NULL;
}

/* ---- calls ---- */

static int call(struct ranq_scale_queue *queue, struct ranq_cmd *cmd, struct ranq_reply **reply, struct ranq_err *err)
{
	*reply = NULL;
	int rc = ranq_session_call(queue->session, cmd, RANQ_NEVER, reply, err);
	ranq_cmd_clear(cmd);
	return rc;
}

int ranq_scale_queue_get(struct ranq_scale_queue *queue, unsigned lines, struct ranq_scale_record *record,
	struct ranq_reply **reply, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_queue_scale_get_cmd(&queue->session->queue, &cmd, lines);
	if (call(queue, &cmd, reply, err))
		return -1;
	return ranq_queue_scale_get_parse(*reply, record, err);
}

char *ranq_scale_queue_field(const struct ranq_reply *reply, const struct ranq_scale_record *record, const char *name)
{
	for (size_t i = 0; i < record->nfields; i++) {
		struct ranq_bytes key, value;
		ranq_queue_scale_field(reply, i, &key, &value);
		if (key.len == strlen(name) && memcmp(key.data, name, key.len) == 0)
			return strndup(value.data, value.len);
	}
	return NULL;
}

static int hold_as(struct ranq_scale_queue *queue, const char *holder, int64_t ms, struct ranq_scale_record *other,
	struct ranq_err *err)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	bool held;
	ranq_cmd_init(&cmd);
	ranq_queue_scale_hold_cmd(&queue->session->queue, &cmd, holder, ms, queue->who);
	int rc = call(queue, &cmd, &reply, err);
	if (rc == 0)
		rc = ranq_queue_scale_hold_parse(reply, &held, other, err);
	ranq_reply_destroy(reply);
	return rc ? -1 : held;
}

int ranq_scale_queue_hold(
	struct ranq_scale_queue *queue, int64_t ms, struct ranq_scale_record *other, struct ranq_err *err)
{
	return hold_as(queue, queue->holder, ms, other, err);
}

/* A process of this host, in our numbering, that is gone. */
static bool is_dead(const struct ranq_scale_queue *queue, const char *who)
{
	size_t host = strcspn(queue->who, ":");
	int pid;
	unsigned long long start, world;
	char rest;
	if (strncmp(who, queue->who, host + 1) != 0 ||
		sscanf(who + host + 1, "%d %llu %llu%c", &pid, &start, &world, &rest) != 3)
		return false;
	return pid > 0 && world != 0 && world == pid_world() && ranq_marked_start_time(pid) != start;
}

int ranq_scale_queue_bury(struct ranq_scale_queue *queue, struct ranq_err *err)
{
	struct ranq_scale_record record, other;
	struct ranq_reply *reply;
	int rc = ranq_scale_queue_get(queue, 0, &record, &reply, err);
	char *holder = rc == 0 ? ranq_scale_queue_field(reply, &record, "holder") : NULL;
	if (holder && strlen(holder) == RANQ_ID_LEN && is_dead(queue, record.who))
		rc = hold_as(queue, holder, 0, &other, err) < 0 ? -1 : 1;
	free(holder);
	ranq_reply_destroy(reply);
	return rc;
}

static int control(struct ranq_scale_queue *queue, struct ranq_cmd *cmd, struct ranq_err *err)
{
	struct ranq_reply *reply;
	uint64_t n;
	bool more;
	int rc = call(queue, cmd, &reply, err);
	if (rc == 0)
		rc = ranq_queue_control_parse(reply, &n, &more, err);
	ranq_reply_destroy(reply);
	return rc;
}

int ranq_scale_queue_set(
	struct ranq_scale_queue *queue, bool wish, const char *const (*pairs)[2], size_t n, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_queue_scale_set_cmd(&queue->session->queue, &cmd, wish ? "" : queue->holder, n);
	for (size_t i = 0; i < n; i++)
		ranq_queue_scale_set_field(&cmd, pairs[i][0], pairs[i][1]);
	return control(queue, &cmd, err);
}

int ranq_scale_queue_end(struct ranq_scale_queue *queue, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_queue_scale_end_cmd(&queue->session->queue, &cmd, queue->holder);
	return control(queue, &cmd, err);
}

/* ---- words ---- */

enum ranq_scale_mode ranq_scale_mode_of(const char *word)
{
	static const char *const names[] = RANQ_SCALE_MODES;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (word && strcmp(word, names[i]) == 0)
			return (enum ranq_scale_mode)i;
	return RANQ_SCALE_AUTO;
}

int ranq_scale_want_of(const char *word)
{
	if (!word || !*word || strlen(word) > 6 || strspn(word, "0123456789") != strlen(word))
		return -1;
	return atoi(word);
}

/* ---- the door ---- */

static int look_at_bridges(struct ranq_scale_queue *queue, size_t *n, struct ranq_err *err)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	struct ranq_bridge_info first;
	ranq_cmd_init(&cmd);
	ranq_queue_bridges_cmd(&queue->session->queue, &cmd);
	int rc = call(queue, &cmd, &reply, err);
	if (rc == 0 && ranq_reply_type(reply) != RANQ_REPLY_ARRAY)
		rc = ranq_queue_bridges_parse(reply, 0, &first, err);
	*n = rc == 0 ? ranq_reply_count(reply) : 0;
	if (*n > queue->cap) {
		struct ranq_bridge_info *bridges = realloc(queue->bridges, *n * sizeof *bridges);
		if (!bridges)
			rc = ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		else {
			queue->bridges = bridges;
			queue->cap = *n;
		}
	}
	for (size_t i = 0; i < *n && rc == 0; i++)
		rc = ranq_queue_bridges_parse(reply, i, &queue->bridges[i], err);
	ranq_reply_destroy(reply);
	return rc;
}

static int look_at_demand(struct ranq_scale_queue *queue, struct ranq_demand *demand, struct ranq_err *err)
{
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_queue_demand_cmd(&queue->session->queue, &cmd);
	int rc = call(queue, &cmd, &reply, err);
	if (rc == 0)
		rc = ranq_queue_demand_parse(reply, demand, err);
	ranq_reply_destroy(reply);
	return rc;
}

static int look(void *user, struct ranq_demand *demand, const struct ranq_bridge_info **bridges, size_t *n,
	enum ranq_scale_mode *mode, int *want, struct ranq_err *err)
{
	struct ranq_scale_queue *queue = user;
	struct ranq_scale_record record;
	struct ranq_reply *reply;
	if (look_at_demand(queue, demand, err) || look_at_bridges(queue, n, err))
		return -1;
	*bridges = queue->bridges;
	int rc = ranq_scale_queue_get(queue, 0, &record, &reply, err);
	if (rc == 0) {
		char *text = ranq_scale_queue_field(reply, &record, "mode");
		*mode = ranq_scale_mode_of(text);
		free(text);
		text = ranq_scale_queue_field(reply, &record, "want");
		*want = ranq_scale_want_of(text);
		free(text);
	}
	ranq_reply_destroy(reply);
	return rc;
}

static int build_drain(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user)
{
	return ranq_queue_drain_cmd(q, cmd, user);
}

static int drain(void *user, const char *allocation, struct ranq_err *err)
{
	struct ranq_scale_queue *queue = user;
	return ranq_session_control(queue->session, build_drain, allocation, NULL, err);
}

static int hold(void *user, int64_t ms, struct ranq_err *err)
{
	struct ranq_scale_record other;
	int held = ranq_scale_queue_hold(user, ms, &other, err);
	if (held == 0)
		return ranq_err_set(
			err, RANQ_ERR_STATE, "another scaler took over: %.*s", (int)strcspn(other.who, " "), other.who);
	return held < 0 ? -1 : 0;
}

static int save(void *user, const char *state, const char *const *lines, size_t nlines, struct ranq_err *err)
{
	struct ranq_scale_queue *queue = user;
	struct ranq_cmd cmd;
	char line[500];
	ranq_cmd_init(&cmd);
	ranq_queue_scale_set_cmd(&queue->session->queue, &cmd, queue->holder, 1);
	ranq_queue_scale_set_field(&cmd, "state", state);
	for (size_t i = 0; i < nlines; i++) {
		snprintf(line, sizeof line, "%lld %s", (long long)ranq_wall_ms(), lines[i]);
		ranq_cmd_str(&cmd, line);
	}
	return control(queue, &cmd, err);
}

struct ranq_scale_door ranq_scale_queue_door(struct ranq_scale_queue *queue)
{
	return (struct ranq_scale_door){.look = look, .drain = drain, .hold = hold, .save = save, .user = queue};
}

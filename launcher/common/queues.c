/* queues.c - see queues.h. */
#include "common/queues.h"

#include <stdio.h>
#include <string.h>

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
static int scan(struct ranq_session *session, int64_t deadline_ms, char cursor[24], struct ranq_strings *names,
	struct ranq_err *err)
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
	int rc = ranq_session_call(session, &cmd, deadline_ms, &reply, err);
	struct ranq_bytes next = rc == 0 ? ranq_reply_bytes(ranq_reply_at(reply, 0)) : (struct ranq_bytes){NULL, 0};
	if (rc == 0 && ranq_reply_type(reply) == RANQ_REPLY_ERROR) {
		char words[200];
		rc = ranq_err_set(err, RANQ_ERR_AUTH, "cannot list the queues: %s",
			ranq_reply_words(reply, words, sizeof words));
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

int ranq_queues_names(
	struct ranq_session *session, int64_t deadline_ms, struct ranq_strings *names, struct ranq_err *err)
{
	char cursor[24] = "0";
	int rc = 0;
	do
		rc = scan(session, deadline_ms, cursor, names, err);
	while (rc == 0 && strcmp(cursor, "0") != 0);
	return rc;
}

int ranq_queues_info(struct ranq_session *session, const char *name, int64_t deadline_ms, struct ranq_queue_info *info,
	struct ranq_err *err)
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
		rc = ranq_session_call(session, &cmd, deadline_ms, &reply, err);
	if (rc == 0)
		rc = ranq_queue_stat_parse(reply, info, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

uint64_t ranq_queues_workers(const struct ranq_server_addr *addr, int64_t deadline_ms)
{
	struct ranq_session_options options = {
		.queue = "default", .patience_ms = 1000, .connect_ms = 2000, .interrupt_fd = -1};
	struct ranq_strings names = {0};
	struct ranq_queue_info info;
	uint64_t n = 0;
	struct ranq_conn *probe = ranq_conn_open(addr, deadline_ms, NULL);
	struct ranq_session *session = probe ? ranq_session_open(addr, &options, NULL) : NULL;
	ranq_conn_close(probe);
	if (session && ranq_queues_names(session, deadline_ms, &names, NULL) == 0)
		for (size_t i = 0; i < names.n; i++)
			if (ranq_queues_info(session, names.at[i], deadline_ms, &info, NULL) == 0)
				n += info.bridges;
	ranq_strings_clear(&names);
	ranq_session_close(session);
	return n;
}

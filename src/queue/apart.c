/* Large items past the functions: put ahead of the commit that takes them, got behind the fetch that names them. Why this is safe: PROTOCOL.md. */
#include <inttypes.h>
#include <stdio.h>

#include "queue/call.h"

#define EXPIRES_MS 60000 /* unless the commit comes, which is in the same write */

void ranq_queue_apart_put_cmd(
	const struct ranq_queue *q, struct ranq_cmd *cmd, const char *bridge, uint64_t number, struct ranq_bytes item)
{
	char key[sizeof q->base + RANQ_ID_LEN + 32];

	snprintf(key, sizeof key, "%sup:%s:%" PRIu64, q->base, bridge, number);
	ranq_cmd_reset(cmd);
	ranq_cmd_str(cmd, "SET");
	ranq_cmd_str(cmd, key);
	ranq_cmd_bytes(cmd, item.data, item.len);
	ranq_cmd_str(cmd, "PX");
	ranq_cmd_int(cmd, EXPIRES_MS);
}

void ranq_queue_apart_get_cmd(const struct ranq_queue *q, struct ranq_cmd *cmd, uint64_t job, uint64_t start)
{
	char key[sizeof q->base + 64];

	snprintf(key, sizeof key, "%sj:%" PRIu64 ":rx:%" PRIu64, q->base, job, start);
	ranq_cmd_reset(cmd);
	ranq_cmd_str(cmd, "GET");
	ranq_cmd_str(cmd, key);
}

int ranq_queue_apart_get_parse(
	const struct ranq_reply *r, bool *there, struct ranq_bytes *item, struct ranq_err *err)
{
	*there = r && ranq_reply_type(r) == RANQ_REPLY_STRING;
	if (*there)
		*item = ranq_reply_bytes(r);
	else if (!r || ranq_reply_type(r) != RANQ_REPLY_NIL)
		return ranq_call_error(r, err);
	return 0;
}

/* Names: of queues, job states, ids. */
#include "queue/queue.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
#define X(name) #name,
	RANQ_JOB_STATES(X)
#undef X
};
_Static_assert(sizeof state_names / sizeof *state_names == RANQ_JOB_STATE_COUNT, "one name a state");

const char *ranq_job_state_name(enum ranq_job_state state)
{
	return (unsigned)state < RANQ_JOB_STATE_COUNT ? state_names[state] : "?";
}

bool ranq_job_state_is_final(enum ranq_job_state state)
{
	return state == RANQ_JOB_COMPLETE || state == RANQ_JOB_ERROR || state == RANQ_JOB_CANCELLED ||
	       state == RANQ_JOB_IMPOSSIBLE;
}

int ranq_queue_name_check(const char *name, struct ranq_err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = name ? strlen(name) : 0;

	if (!len)
		return ranq_err_set(err, RANQ_ERR_INPUT, "a queue needs a name");
	if (len > RANQ_QUEUE_NAME_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "queue name '%.20s...' is longer than %d characters", name,
			RANQ_QUEUE_NAME_MAX);
	if (strspn(name, allowed) != len || name[0] == '.' || name[0] == '-')
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"queue name '%s' may only have letters, digits, '.', '_' and '-', and must begin with a "
			"letter, digit or '_'",
			name);
	return 0;
}

int ranq_queue_init(struct ranq_queue *queue, const char *name, struct ranq_err *err)
{
	memset(queue, 0, sizeof *queue);
	if (ranq_queue_name_check(name, err))
		return -1;
	snprintf(queue->name, sizeof queue->name, "%s", name);
	snprintf(queue->base, sizeof queue->base, "ranq:{%s}:", name);
	return 0;
}

void ranq_id_new(char id[RANQ_ID_LEN + 1])
{
	unsigned char bytes[RANQ_ID_LEN / 2];

	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(id, RANQ_ID_LEN + 1, bytes, sizeof bytes);
}

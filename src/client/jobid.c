/* jobid.c - see jobid.h. */
#include "client/jobid.h"

#include <stdio.h>
#include <string.h>

static int bad(const char *text, struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_INPUT, "'%.80s' is not a job id; write '7', 'QUEUE/7' or 'last'", text);
}

int ranq_jobid_parse(const char *text, char queue[RANQ_QUEUE_NAME_MAX + 1], uint64_t *job, struct ranq_err *err)
{
	const char *slash = strrchr(text, '/'), *number = slash ? slash + 1 : text;
	queue[0] = 0;
	if (slash) {
		char name[RANQ_QUEUE_NAME_MAX + 2];
		int n = snprintf(name, sizeof name, "%.*s", (int)(slash - text < 1000 ? slash - text : 1000), text);
		if (n < 0 || (size_t)n >= sizeof name || ranq_queue_name_check(name, err))
			return bad(text, err);
		snprintf(queue, RANQ_QUEUE_NAME_MAX + 1, "%.*s", RANQ_QUEUE_NAME_MAX, name);
	}
	*job = 0;
	if (strcmp(number, "last") == 0)
		return 0;
	for (const char *p = number; *p; p++) {
		if (*p < '0' || *p > '9' || *job >= RANQ_TASKS_MAX / 10)
			return bad(text, err);
		*job = *job * 10 + (uint64_t)(*p - '0');
	}
	return *job ? 0 : bad(text, err);
}

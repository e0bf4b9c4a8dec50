/* values.c - see values.h. */
#include "common/values.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int ranq_time_parse(const char *text, int64_t *ms, struct ranq_err *err)
{
	struct tm tm = {.tm_isdst = -1};
	char *end;
	long long seconds = strtoll(text, &end, 10);
	const char *rest;
	time_t t;

	if (end != text && !*end && seconds > 0 && seconds < INT64_C(1) << 40) {
		*ms = seconds * 1000;
		return 0;
	}
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	if (!rest || (*rest && strcmp(rest, "Z") != 0))
		return ranq_err_set(err, RANQ_ERR_USAGE,
			"'%.60s' is not a time; write seconds since 1970 or 2026-11-20T08:00:00", text);
	t = *rest ? timegm(&tm) : mktime(&tm);
	if (t <= 0)
		return ranq_err_set(err, RANQ_ERR_USAGE, "'%.60s' is not a time of this century", text);
	*ms = (int64_t)t * 1000;
	return 0;
}

int ranq_signal_parse(const char *text, int *number, struct ranq_err *err)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	*number = strcmp(text, "none") == 0 ? 0 : -1;
	if (*text && !*end && n >= 0 && n <= 64)
		*number = (int)n;
	for (int sig = 1; *number < 0 && sig < NSIG; sig++) {
		const char *name = sigabbrev_np(sig);

		if (name && strcmp(name, text) == 0)
			*number = sig;
	}
	return *number >= 0 ? 0
			    : ranq_err_set(err, RANQ_ERR_USAGE,
				      "'%.40s' is not a signal; write TERM, USR1, ... or none", text);
}

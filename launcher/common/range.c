/* range.c - "A-B[:STEP]". */
#include <errno.h>
#include <stdlib.h>

#include "common/jobspec.h"

static int bad(const char *text, const char *why, struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_INPUT, "range '%.80s' %s", text, why);
}

static int number(const char **at, int64_t *value)
{
	char *end;
	const char *digits = *at + (**at == '-');
	if (*digits < '0' || *digits > '9')
		return -1;
	errno = 0;
	*value = strtoll(*at, &end, 10);
	*at = end;
	return errno ? -1 : 0;
}

int ranq_range_parse(const char *text, int64_t *first, int64_t *step, uint64_t *count, struct ranq_err *err)
{
	static const char form[] = "is not of the form A-B or A-B:STEP";
	const char *at = text;
	int64_t last;
	*step = 1;
	if (number(&at, first) || *at++ != '-' || number(&at, &last))
		return bad(text, form, err);
	if (*at == ':') {
		at++;
		if (number(&at, step))
			return bad(text, form, err);
	}
	if (*at)
		return bad(text, form, err);
	if (*step == 0)
		return bad(text, "has a step of 0", err);
	if (*step > 0 ? *first > last : *first < last)
		return bad(text, "is empty", err);
	/* distances as unsigned numbers: right for all 64-bit ends */
	uint64_t span = *step > 0 ? (uint64_t)last - (uint64_t)*first : (uint64_t)*first - (uint64_t)last;
	uint64_t stride = *step > 0 ? (uint64_t)*step : (uint64_t)0 - (uint64_t)*step;
	uint64_t steps = span / stride;
	if (steps >= RANQ_TASKS_MAX - 1)
		return bad(text, "has too many values: at most 2^53 - 1 tasks", err);
	*count = steps + 1;
	return 0;
}

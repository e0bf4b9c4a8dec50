/* The argument of task k, computed from k: nothing is ever expanded to a list of tasks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/colsep.h"
#include "record/input.h"

/* Length of the group that begins with list i (itself and the lists linked to it: the shortest ends it); *next is the
 * group behind. */
static uint64_t group_length(const struct ranq_spec *spec, size_t i, size_t *next)
{
	uint64_t n = spec->lists[i].values.n;

	for (i++; i < spec->nlists && spec->lists[i].linked; i++)
		if (spec->lists[i].values.n < n)
			n = spec->lists[i].values.n;
	*next = i;
	return n;
}

static int64_t range_count(const struct ranq_spec *spec, struct ranq_err *err)
{
	uint64_t room, step;

	if (!spec->range_step)
		return ranq_err_set(err, RANQ_ERR_INPUT, "bad job: the step of the range is 0");
	room = spec->range_step > 0 ? (uint64_t)INT64_MAX - (uint64_t)spec->range_first
				    : (uint64_t)spec->range_first - (uint64_t)INT64_MIN;
	step = spec->range_step > 0 ? (uint64_t)spec->range_step : -(uint64_t)spec->range_step;
	return room / step >= RANQ_TASKS_MAX - 1 ? (int64_t)(RANQ_TASKS_MAX - 1) : (int64_t)(room / step + 1);
}

int64_t ranq_spec_lists_count(const struct ranq_spec *spec, struct ranq_err *err)
{
	uint64_t count = 1;
	size_t i, next;

	if (spec->args == RANQ_ARGS_RANGE)
		return range_count(spec, err);
	if (spec->args != RANQ_ARGS_LISTS)
		return spec->args == RANQ_ARGS_NONE ? 1 : (int64_t)(RANQ_TASKS_MAX - 1);
	if (!spec->nlists || spec->nlists > RANQ_SPEC_MAX_LISTS)
		return ranq_err_set(err, RANQ_ERR_INPUT, "bad job: %zu lists of values, expected 1 to %d", spec->nlists,
			RANQ_SPEC_MAX_LISTS);
	if (spec->lists[0].linked)
		return ranq_err_set(
			err, RANQ_ERR_INPUT, "bad job: ':::+' has no list of values before it to run along with");
	for (i = 0; i < spec->nlists; i++)
		if (!spec->lists[i].values.n)
			return ranq_err_set(err, RANQ_ERR_INPUT, "bad job: list of values %zu is empty", i + 1);
	for (i = 0; i < spec->nlists; i = next) {
		uint64_t n = group_length(spec, i, &next);

		if (count > (RANQ_TASKS_MAX - 1) / n)
			return ranq_err_set(
				err, RANQ_ERR_INPUT, "bad job: the lists of values make more than 2^53 - 1 tasks");
		count *= n;
	}
	return (int64_t)count;
}

static int add(const struct ranq_spec *spec, struct ranq_arg *arg, const char *text, size_t len, struct ranq_err *err)
{
	struct ranq_colsep *colsep = spec->compiled;
	char *line;
	int status;

	if (!spec->colsep) {
		if (len && memchr(text, '\0', len))
			return ranq_err_set(err, RANQ_ERR_INPUT, "an argument contains a NUL byte");
		if (ranq_strings_add(&arg->columns, text, len) < 0)
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for an argument");
		return 0;
	}
	if (!colsep && !(colsep = ranq_colsep_create(spec->colsep, err)))
		return -1;
	line = strndup(len ? text : "", len);
	status = line ? ranq_colsep_split(colsep, line, &arg->columns, err)
		      : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for an argument");
	free(line);
	if (colsep != spec->compiled)
		ranq_colsep_destroy(colsep);
	return status;
}

static int add_range(const struct ranq_spec *spec, uint64_t index, struct ranq_arg *arg, struct ranq_err *err)
{
	char text[24];
	int64_t value;
	int n;

	if (index > INT64_MAX || __builtin_mul_overflow((int64_t)index, spec->range_step, &value) ||
		__builtin_add_overflow(value, spec->range_first, &value))
		return ranq_err_set(
			err, RANQ_ERR_INPUT, "the value of task %" PRIu64 " of the range does not fit 64 bits", index);
	n = snprintf(text, sizeof text, "%" PRId64, value);
	return add(spec, arg, text, (size_t)n, err);
}

/* The place of the task in each group is a digit of its index, in a number system whose digits have the lengths of the
 * groups; the last group is the lowest digit. `weight` is the number of tasks that share what the groups so far say. */
static int add_lists(const struct ranq_spec *spec, uint64_t index, struct ranq_arg *arg, struct ranq_err *err)
{
	int64_t count = ranq_spec_lists_count(spec, err);
	uint64_t weight = (uint64_t)count;
	size_t i, next;

	if (count < 0)
		return -1;
	if (index >= weight)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"the lists of values have %" PRId64 " tasks, not a task %" PRIu64, count, index);
	for (i = 0; i < spec->nlists; i = next) {
		uint64_t n = group_length(spec, i, &next), k;

		weight /= n;
		k = index / weight % n;
		for (; i < next; i++)
			if (add(spec, arg, spec->lists[i].values.at[k], strlen(spec->lists[i].values.at[k]), err) < 0)
				return -1;
	}
	return 0;
}

static char *join(const struct ranq_strings *columns)
{
	size_t i, len = 1;
	char *whole, *at;

	for (i = 0; i < columns->n; i++)
		len += strlen(columns->at[i]) + 1;
	whole = at = malloc(len);
	if (!whole)
		return NULL;
	for (i = 0; i < columns->n; i++) {
		if (i)
			*at++ = ' ';
		at = stpcpy(at, columns->at[i]);
	}
	*at = '\0';
	return whole;
}

static int add_columns(const struct ranq_spec *spec, uint64_t index, const struct ranq_bytes *line,
	struct ranq_arg *arg, struct ranq_err *err)
{
	switch (spec->args) {
	case RANQ_ARGS_NONE:
		return 0;
	case RANQ_ARGS_RANGE:
		return add_range(spec, index, arg, err);
	case RANQ_ARGS_LISTS:
		return add_lists(spec, index, arg, err);
	case RANQ_ARGS_INPUT:
		if (!line)
			return ranq_err_set(err, RANQ_ERR_REPLY, "no input line for task %" PRIu64, index);
		return add(spec, arg, line->data, line->len, err);
	}
	return ranq_err_set(err, RANQ_ERR_REPLY, "unknown source of arguments %d", (int)spec->args);
}

int ranq_arg_make(const struct ranq_spec *spec, uint64_t index, const struct ranq_bytes *line, struct ranq_arg *arg,
	struct ranq_err *err)
{
	*arg = (struct ranq_arg){0};
	if (add_columns(spec, index, line, arg, err) < 0) {
		ranq_arg_clear(arg);
		return -1;
	}
	arg->whole = join(&arg->columns);
	if (arg->whole)
		return 0;
	ranq_arg_clear(arg);
	return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for an argument");
}

void ranq_arg_clear(struct ranq_arg *arg)
{
	ranq_strings_clear(&arg->columns);
	free(arg->whole);
	arg->whole = NULL;
}

/* Limits of every field of a job record: a ladder of small checks, each with the one line that the user reads. */
#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "record/colsep.h"
#include "record/offload.h"
#include "record/reduce.h"

static int bad(struct ranq_err *err, const char *what, const char *why)
{
	return ranq_err_set(err, RANQ_ERR_INPUT, "bad job: %s %s", what, why);
}

/* NULL is fine; else 1..max bytes. */
static int check_text(const char *what, const char *text, size_t max, struct ranq_err *err)
{
	if (!text)
		return 0;
	if (!*text)
		return bad(err, what, "is empty");
	if (strnlen(text, max + 1) > max)
		return ranq_err_set(err, RANQ_ERR_INPUT, "bad job: %s is longer than %zu bytes", what, max);
	return 0;
}

/* Text that is shown in tables: no control characters. */
static int check_label(const char *what, const char *text, size_t max, struct ranq_err *err)
{
	if (check_text(what, text, max, err) < 0)
		return -1;
	for (; text && *text; text++)
		if (iscntrl((unsigned char)*text))
			return bad(err, what, "has a control character");
	return 0;
}

static int check_hash(const char *what, const char *hash, struct ranq_err *err)
{
	size_t n;

	if (!hash)
		return 0;
	n = strspn(hash, "0123456789abcdef");
	return hash[n] || n < 32 || n > 128 || n % 2 ? bad(err, what, "is not a hash in lower-case hex") : 0;
}

static int check_max(const char *what, uint64_t value, uint64_t max, struct ranq_err *err)
{
	if (value > max)
		return ranq_err_set(
			err, RANQ_ERR_INPUT, "bad job: %s is more than %llu", what, (unsigned long long)max);
	return 0;
}

static int check_enum(const char *what, int value, int min, int max, struct ranq_err *err)
{
	return value < min || value > max ? bad(err, what, "has an unknown value") : 0;
}

static int check_symbol(const char *what, const char *name, struct ranq_err *err)
{
	const char *c;

	if (check_text(what, name, 255, err) < 0)
		return -1;
	for (c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.' && *c != '$')
			return bad(err, what, "is no symbol name");
	return 0;
}

static int check_command(const struct ranq_spec *spec, struct ranq_err *err)
{
	if (!spec->argv.n || !*spec->argv.at[0])
		return bad(err, "the command", "is empty");
	if (spec->function || spec->module_hash || spec->module_path)
		return bad(err, "it", "has both a command and a function");
	if (spec->shell && spec->argv.n != 1)
		return bad(err, "a shell command", "must be one word");
	return 0;
}

static int check_function(const struct ranq_spec *spec, struct ranq_err *err)
{
	if (!spec->function)
		return bad(err, "the function", "is missing");
	if (check_symbol("the function name", spec->function, err) < 0)
		return -1;
	if (!spec->module_hash == !spec->module_path)
		return bad(err, "a function", "needs one module, by content or by path");
	if (spec->argv.n || spec->shell || spec->append)
		return bad(err, "it", "has both a command and a function");
	return check_text("the module path", spec->module_path, PATH_MAX - 1, err);
}

static int check_body(const struct ranq_spec *spec, struct ranq_err *err)
{
	if (spec->body == RANQ_BODY_COMMAND)
		return check_command(spec, err);
	if (spec->body == RANQ_BODY_FUNCTION)
		return check_function(spec, err);
	return bad(err, "it", "has neither a command nor a function");
}

static int check_colsep(const struct ranq_spec *spec, bool compile, struct ranq_err *err)
{
	struct ranq_colsep *colsep;

	if (!spec->colsep)
		return 0;
	if (check_text("the column separator", spec->colsep, RANQ_COLSEP_MAX, err) < 0)
		return -1;
	if (!compile)
		return 0;
	colsep = ranq_colsep_create(spec->colsep, err);
	ranq_colsep_destroy(colsep);
	return colsep ? 0 : -1;
}

static int check_args(const struct ranq_spec *spec, bool compile, struct ranq_err *err)
{
	if (check_enum("the kind of arguments", (int)spec->args, RANQ_ARGS_NONE, RANQ_ARGS_INPUT, err) < 0)
		return -1;
	if (spec->args == RANQ_ARGS_RANGE && !spec->range_step)
		return bad(err, "the step of the range", "is 0");
	if (spec->args != RANQ_ARGS_LISTS && spec->nlists)
		return bad(err, "it", "has lists of values and another source of arguments");
	if (spec->args == RANQ_ARGS_LISTS && ranq_spec_lists_count(spec, err) < 0)
		return -1;
	return check_colsep(spec, compile, err);
}

static int check_env(const struct ranq_spec *spec, struct ranq_err *err)
{
	size_t i;

	for (i = 0; i < spec->env.n; i++) {
		const char *equals = strchr(spec->env.at[i], '=');

		if (!equals || equals == spec->env.at[i])
			return bad(err, "a variable of the environment", "is not NAME=VALUE");
	}
	return 0;
}

static int check_surroundings(const struct ranq_spec *spec, struct ranq_err *err)
{
	if (check_label("the name", spec->name, 200, err) < 0 || check_label("the owner", spec->owner, 400, err) < 0 ||
		check_hash("the module", spec->module_hash, err) < 0 ||
		check_hash("the job data", spec->data_hash, err) < 0 ||
		check_text("the working directory", spec->cwd, PATH_MAX - 1, err) < 0 ||
		check_text("the standard input", spec->stdin_path, PATH_MAX - 1, err) < 0 ||
		check_text("the offload directory", spec->offload, PATH_MAX - 1, err) < 0 ||
		check_label("the required tag", spec->require, 200, err) < 0 ||
		check_label("the warning signal", spec->warn_signal, 16, err) < 0)
		return -1;
	if (spec->cwd && spec->cwd[0] != '/')
		return bad(err, "the working directory", "is not an absolute path");
	if (spec->offload && spec->offload[0] != '/')
		return bad(err, "the offload directory", "is not an absolute path");
	if (!spec->data_hash && spec->data_bytes)
		return bad(err, "the job data", "has a size but no hash");
	return check_env(spec, err);
}

static int check_reduce(const struct ranq_spec *spec, struct ranq_err *err)
{
	if (!spec->reduce)
		return spec->reduce_ordered ? bad(err, "an ordered reduction", "has no name") : 0;
	if (check_symbol("the reduction", spec->reduce, err) < 0)
		return -1;
	if (spec->body != RANQ_BODY_FUNCTION && ranq_reduce_kind_of(spec->reduce) == RANQ_REDUCE_FUNCTION)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"bad job: no reduction is called '%s'; there are %s, and the functions of a module", spec->reduce,
			RANQ_REDUCTION_NAMES);
	if (spec->results != RANQ_RESULTS_KEEP)
		return bad(err, "a reduction", "needs the results: leave out --results");
	return 0;
}

static uint64_t most_output(const struct ranq_spec *spec)
{
	if (spec->reduce)
		return RANQ_SPEC_MAX_REDUCED;
	return ranq_offload_wanted(spec) ? RANQ_SPEC_MAX_OFFLOADED : RANQ_SPEC_MAX_OUTPUT;
}

static int check_policy(const struct ranq_spec *spec, struct ranq_err *err)
{
	if (check_enum("--results", (int)spec->results, RANQ_RESULTS_KEEP, RANQ_RESULTS_NONE, err) < 0 ||
		check_enum("--on-error", (int)spec->on_error, RANQ_ON_ERROR_CONTINUE, RANQ_ON_ERROR_STOP, err) < 0 ||
		check_max("--max-output", spec->max_output, most_output(spec), err) < 0 ||
		check_max("--memory", spec->memory, RANQ_TASKS_MAX, err) < 0 ||
		check_max("--backlog", spec->backlog, RANQ_TASKS_MAX, err) < 0 ||
		check_max("the job data", spec->data_bytes, RANQ_TASKS_MAX, err) < 0 ||
		check_max("--chunk", spec->chunk, RANQ_TASKS_MAX, err) < 0 ||
		check_max("--seed", spec->seed, UINT32_MAX, err) < 0 ||
		check_max("--timeout in ms", spec->timeout_ms, RANQ_SPEC_MAX_MS, err) < 0 ||
		check_max("--time-request in ms", spec->time_request_ms, RANQ_SPEC_MAX_MS, err) < 0 ||
		check_max("--grace in ms", spec->grace_ms, RANQ_SPEC_MAX_MS, err) < 0 ||
		check_max("--ttl in ms", spec->ttl_ms, RANQ_SPEC_MAX_MS, err) < 0 ||
		check_max("the signature", spec->signature.len, 4096, err) < 0)
		return -1;
	if (spec->memory && spec->memory < RANQ_SPEC_MIN_MEMORY)
		return bad(err, "--memory", "is less than 1 MB");
	if (!spec->max_deaths)
		return bad(err, "--max-deaths", "is 0");
	if (spec->created_ms < 0 || spec->expires_ms < 0)
		return bad(err, "its time", "is before 1970");
	return 0;
}

int ranq_spec_check_fields(const struct ranq_spec *spec, bool compile, struct ranq_err *err)
{
	if (check_body(spec, err) < 0 || check_args(spec, compile, err) < 0 || check_surroundings(spec, err) < 0 ||
		check_reduce(spec, err) < 0)
		return -1;
	return check_policy(spec, err);
}

int ranq_spec_check(const struct ranq_spec *spec, struct ranq_err *err)
{
	return ranq_spec_check_fields(spec, true, err);
}

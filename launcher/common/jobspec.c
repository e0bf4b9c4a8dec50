/* jobspec.c - see jobspec.h. */
#include "common/jobspec.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/blob.h"
#include "client/jobid.h"
#include "client/module.h"
#include "record/input.h"
#include "record/reduce.h"

#define AT(field) offsetof(struct ranq_job_options, field)
#define ROW(name, letter, arg, kind, field, help) \
	{ \
		name, letter, arg, RANQ_OPTION_##kind, AT(field), help, NULL, 0, 0 \
	}
#define LIMITED(name, arg, kind, field, help, min, max) \
	{ \
		name, 0, arg, RANQ_OPTION_##kind, AT(field), help, NULL, min, max \
	}

const struct ranq_option ranq_job_options_table[] = {
	ROW("name", 0, "TEXT", TEXT, name, "a name to be shown"),
	ROW("range", 0, "A-B[:STEP]", TEXT, range, "a task for each number, ends included; {} is the number"),
	ROW("arg-file", 'a', "FILE", WORDS, arg_files,
		"a task for each line; '-' is standard input, streamed; several: all combinations"),
	ROW("colsep", 0, "REGEX", TEXT, colsep, "split lines into columns {1} {2} ..."),
	ROW("shell", 0, NULL, FLAG, shell, "give the command to /bin/sh, values quoted"),
	ROW("module", 0, "FILE.so", TEXT, module, "shared object with the task function; sent with the job"),
	ROW("module-path", 0, "PATH", TEXT, module_path, "the same by its path on the compute nodes"),
	ROW("function", 0, "NAME", TEXT, function, "function of the module to call for each task"),
	ROW("data", 0, "FILE", TEXT, data, "job data: sent once to each allocation, read by module functions"),
	ROW("env", 0, "NAME[=VALUE]", WORDS, env, "set a variable for the tasks (without value: as it is here)"),
	ROW("cwd", 0, "DIR", TEXT, cwd, "working directory of the tasks (default: the present one)"),
	ROW("stdin", 0, "FILE", TEXT, stdin_path, "standard input of each task (default: /dev/null)"),
	{"results", 0, "keep|count|none", RANQ_OPTION_CHOICE, AT(results),
		"what is stored of the outputs (default: keep)", "keep|count|none", 0, 0},
	LIMITED("backlog", "SIZE", SIZE, backlog, "unread results at which no new tasks start (default: 256MB)", 0, 0),
	LIMITED("max-output", "SIZE", SIZE, max_output, "largest output of one task (default: 16MiB)", 0, 0),
	LIMITED("memory", "SIZE", SIZE, memory, "memory that a task may take, at least 1MB (default: no limit)", 0, 0),
	LIMITED("max-fails", "N", UINT, max_fails, "stop the job after N failed tasks (default: 10000)", 1, 10000),
	ROW("chunk", 0, "N|auto", TEXT, chunk, "most tasks that a worker gets at once (default: auto)"),
	LIMITED("priority", "N", INT, priority, "higher goes first (default: 0)", 0, 1000),
	ROW("after", 0, "JOB[,JOB...]", WORDS, after, "start when these jobs are complete"),
	LIMITED("retries", "N", UINT, retries, "run a failed task again up to N times (default: 0)", 0, 1000000),
	LIMITED("max-deaths", "N", UINT, max_deaths, "give a task up after it killed its worker N times (default: 5)",
		1, 1000),
	LIMITED("timeout", "D", DURATION, timeout_ms, "end a task that runs longer: 90, 90s, 5m, 2h, 1-12:00:00", 1, 0),
	LIMITED("seed", "N", UINT, seed, "seed of the tasks' random streams and of {seed}", 0, UINT32_MAX),
	{"on-error", 0, "continue|stop", RANQ_OPTION_CHOICE, AT(on_error),
		"what a failed task does to the job (default: continue)", "continue|stop", 0, 0},
	ROW("require", 0, "TAG", TEXT, require, "run only on workers with this tag"),
	ROW("sticky", 0, NULL, FLAG, sticky, "prefer for each task the worker that had it in the last such job"),
	LIMITED("time-request", "D", DURATION, time_request_ms, "start a task only where this much time is left", 1, 0),
	ROW("warn-signal", 0, "SIGNAL", TEXT, warn_signal,
		"signal to running tasks before their worker leaves: TERM, USR1, ..."),
	LIMITED("grace", "D", DURATION, grace_ms, "time between that signal and the end", 0, 0),
	LIMITED("ttl", "D", DURATION, ttl_ms, "remove the finished job after this time (default: 7 days)", 1000, 0),
	LIMITED("lease", "D", DURATION, lease_ms, "lease of the queue, set when it is new or empty (default: 15s)",
		RANQ_LEASE_MS_MIN, 0),
	ROW("reduce", 0, "NAME", TEXT, reduce,
		"join the results into one value on their way: sum_int64, sum_double, min_int64, min_double, "
		"max_int64, max_double, count, or a reduce function of the module"),
	ROW("reduce-ordered", 0, NULL, FLAG, reduce_ordered,
		"reduce in an order that gives the same bits whatever workers and chunks"),
	ROW("offload", 0, "DIR", TEXT, offload, "keep results above 1 MiB in files of this directory"),
	{0},
};

void ranq_job_options_init(struct ranq_job_options *options)
{
	struct ranq_spec spec;
	ranq_spec_init(&spec);
	*options = (struct ranq_job_options){
		.results = (int)spec.results,
		.on_error = (int)spec.on_error,
		.backlog = spec.backlog,
		.max_output = spec.max_output,
		.max_fails = spec.max_fails,
		.retries = spec.retries,
		.max_deaths = spec.max_deaths,
		.seed = UINT64_MAX,
		.grace_ms = (int64_t)spec.grace_ms,
		.ttl_ms = (int64_t)spec.ttl_ms,
	};
	ranq_spec_clear(&spec);
}

void ranq_job_options_clear(struct ranq_job_options *options)
{
	ranq_words_clear(&options->arg_files);
	ranq_words_clear(&options->env);
	ranq_words_clear(&options->after);
}

static int no_memory(struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
}

static int usage(struct ranq_err *err, const char *text)
{
	return ranq_err_set(err, RANQ_ERR_USAGE, "%s", text);
}

static int copy(char **to, const char *text, struct ranq_err *err)
{
	*to = text ? strdup(text) : NULL;
	return text && !*to ? no_memory(err) : 0;
}

/* ---- body ------------------------------------------------------------------------------------------------------ */
bool ranq_command_needs_shell(const char *word)
{
	for (const char *p = word; *p; p++) {
		size_t name = *p == '{' ? strspn(p + 1, "0123456789./#sed") : 0;
		if (*p == '{' && p[name + 1] == '}')
			p += name + 1;
		else if (strchr(" \t\n|&;<>()$`\\\"'*?[]#~", *p))
			return true;
	}
	return false;
}

static int add_words(struct ranq_strings *to, char *const *words, int n, bool join, struct ranq_err *err)
{
	struct ranq_buf joined;
	ranq_buf_init(&joined, 0);
	int rc = 0;
	for (int i = 0; i < n && rc == 0; i++) {
		if (join) {
			ranq_buf_add_str(&joined, i ? " " : "");
			ranq_buf_add_str(&joined, words[i]);
		} else {
			rc = ranq_strings_add(to, words[i], strlen(words[i]));
		}
	}
	if (join)
		rc = ranq_buf_failed(&joined) ? -1 : ranq_strings_add(to, ranq_buf_cstr(&joined), joined.len);
	ranq_buf_clear(&joined);
	return rc ? no_memory(err) : 0;
}

static int build_command(
	struct ranq_spec *spec, const struct ranq_job_options *options, char *const *words, int n, struct ranq_err *err)
{
	if (n == 0)
		return usage(err, "nothing to run: give a command, or --module and --function");
	if (options->module || options->module_path)
		return usage(err, "a module needs --function");
	if (!words[0][0])
		return ranq_err_set(err, RANQ_ERR_INPUT, "the command is an empty word");
	spec->body = RANQ_BODY_COMMAND;
	spec->shell = options->shell || (n == 1 && ranq_command_needs_shell(words[0]));
	return add_words(&spec->argv, words, n, spec->shell, err);
}

static int build_function(
	struct ranq_jobspec *jobspec, const struct ranq_job_options *options, int nwords, struct ranq_err *err)
{
	struct ranq_spec *spec = &jobspec->spec;
	if (nwords)
		return usage(err, "give a command or --function, not both");
	if (!options->module == !options->module_path)
		return usage(err, "--function needs --module or --module-path (one of them)");
	if (options->module_path && options->module_path[0] != '/')
		return ranq_err_set(err, RANQ_ERR_INPUT, "module path '%s' is not absolute", options->module_path);
	spec->body = RANQ_BODY_FUNCTION;
	if (copy(&spec->function, options->function, err) || copy(&spec->module_path, options->module_path, err))
		return -1;
	if (!options->module)
		return 0;
	if (ranq_blob_read(options->module, &jobspec->module, err))
		return ranq_err_wrap(err, "module");
	jobspec->submission.module = (struct ranq_bytes){jobspec->module.data, jobspec->module.len};
	if (ranq_reduce_kind_of(options->reduce) == RANQ_REDUCE_FUNCTION &&
		ranq_module_check(jobspec->module.data, jobspec->module.len, options->module, options->reduce, err))
		return ranq_err_wrap(err, "--reduce");
	return ranq_module_check(jobspec->module.data, jobspec->module.len, options->module, options->function, err);
}

/* ---- arguments ------------------------------------------------------------------------------------------------- */
static struct ranq_list *add_list(struct ranq_spec *spec, bool linked, struct ranq_err *err)
{
	struct ranq_list *lists = realloc(spec->lists, (spec->nlists + 1) * sizeof *lists);
	if (!lists) {
		no_memory(err);
		return NULL;
	}
	spec->lists = lists;
	lists += spec->nlists++;
	memset(lists, 0, sizeof *lists);
	lists->linked = linked;
	return lists;
}

static int add_value(struct ranq_list *list, const void *data, size_t len, struct ranq_err *err)
{
	if (len > RANQ_ARG_MAX_BYTES)
		return ranq_err_set(err, RANQ_ERR_INPUT, "an argument is longer than %u bytes", RANQ_ARG_MAX_BYTES);
	return ranq_strings_add(&list->values, data, len) ? no_memory(err) : 0;
}

static int lists_of_words(struct ranq_spec *spec, char *const *words, int n, struct ranq_err *err)
{
	struct ranq_list *list = NULL;
	for (int i = 0; i < n; i++) {
		bool linked = strcmp(words[i], ":::+") == 0;
		if (linked && spec->nlists == 0)
			return usage(err, "':::+' needs a list before it");
		if (linked || strcmp(words[i], ":::") == 0)
			list = add_list(spec, linked, err);
		else if (list && add_value(list, words[i], strlen(words[i]), err))
			return -1;
		if (!list)
			return -1;
	}
	return 0;
}

static int list_of_file(struct ranq_spec *spec, const char *path, struct ranq_err *err)
{
	struct ranq_lines lines;
	struct ranq_bytes line;
	struct ranq_list *list = add_list(spec, false, err);
	struct ranq_line_file *file = list ? ranq_line_file_open(path, &lines, err) : NULL;
	int rc = file ? 1 : -1;
	uint64_t bytes = 0;
	while (rc == 1 || rc == 2) {
		rc = lines.next(lines.user, &line, err);
		if (rc == 2) {
			rc = ranq_session_wait_fd(NULL, lines.fd, RANQ_NEVER, err) ? -1 : 2;
			continue;
		}
		bytes += rc == 1 ? line.len + 1 : 0;
		if (bytes > RANQ_SPEC_MAX_BYTES)
			rc = ranq_err_set(
				err, RANQ_ERR_INPUT, "'%s' is too large to be combined with other inputs", path);
		else if (rc == 1 && add_value(list, line.data, line.len, err))
			rc = -1;
	}
	ranq_line_file_close(file);
	return rc;
}

static int build_lists(struct ranq_jobspec *jobspec, const struct ranq_job_options *options, char *const *words, int n,
	struct ranq_err *err)
{
	struct ranq_spec *spec = &jobspec->spec;
	spec->args = RANQ_ARGS_LISTS;
	for (size_t i = 0; i < options->arg_files.n; i++)
		if (list_of_file(spec, options->arg_files.at[i], err))
			return -1;
	if (lists_of_words(spec, words, n, err))
		return -1;
	for (size_t i = 0; i < spec->nlists; i++)
		if (!spec->lists[i].values.n)
			return ranq_err_set(err, RANQ_ERR_INPUT, "no tasks: input list %zu is empty", i + 1);
	return 0;
}

static int build_range(struct ranq_jobspec *jobspec, const struct ranq_job_options *options, struct ranq_err *err)
{
	struct ranq_spec *spec = &jobspec->spec;
	spec->args = RANQ_ARGS_RANGE;
	return ranq_range_parse(options->range, &spec->range_first, &spec->range_step, &jobspec->submission.tasks, err);
}

static int build_input(struct ranq_jobspec *jobspec, const char *path, struct ranq_err *err)
{
	jobspec->file = ranq_line_file_open(path, &jobspec->lines, err);
	if (!jobspec->file)
		return -1;
	jobspec->spec.args = RANQ_ARGS_INPUT;
	jobspec->submission.lines = &jobspec->lines;
	/* a regular file is submitted whole; what comes from a pipe may take its time */
	struct stat st;
	jobspec->submission.may_stream = fstat(jobspec->lines.fd, &st) != 0 || !S_ISREG(st.st_mode);
	return 0;
}

/* words: from the first ":::" on. */
static int build_arguments(struct ranq_jobspec *jobspec, const struct ranq_job_options *options, char *const *words,
	int n, struct ranq_err *err)
{
	struct ranq_spec *spec = &jobspec->spec;
	bool listed = n > 0 || options->arg_files.n > 0;
	if (options->range && listed)
		return usage(err, "--range cannot be combined with other inputs");
	if (copy(&spec->colsep, options->colsep, err))
		return -1;
	spec->append = spec->body == RANQ_BODY_COMMAND && listed && !ranq_template_has_replacement(&spec->argv);
	if (options->range)
		return build_range(jobspec, options, err);
	if (n == 0 && options->arg_files.n == 1)
		return build_input(jobspec, options->arg_files.at[0], err);
	if (listed)
		return build_lists(jobspec, options, words, n, err);
	jobspec->submission.tasks = 1;
	return 0;
}

/* ---- surroundings and policy ----------------------------------------------------------------------------------- */
static int add_env(struct ranq_spec *spec, const char *word, struct ranq_err *err)
{
	struct ranq_buf text;
	const char *equals = strchr(word, '='), *value = getenv(word);
	if (!*word || *word == '=')
		return ranq_err_set(err, RANQ_ERR_USAGE, "option '--env': '%.100s' is not NAME or NAME=VALUE", word);
	if (!equals && !value)
		return ranq_err_set(err, RANQ_ERR_INPUT, "option '--env': variable '%.100s' is not set here", word);
	ranq_buf_init(&text, 0);
	ranq_buf_add_str(&text, word);
	if (!equals) {
		ranq_buf_add_byte(&text, '=');
		ranq_buf_add_str(&text, value);
	}
	int rc = ranq_buf_failed(&text) || ranq_strings_add(&spec->env, ranq_buf_cstr(&text), text.len) ? no_memory(err)
													: 0;
	ranq_buf_clear(&text);
	return rc;
}

static int absolute(char **to, const char *path, struct ranq_err *err)
{
	char here[PATH_MAX], whole[2 * PATH_MAX];
	if (path && path[0] == '/')
		return copy(to, path, err);
	if (!getcwd(here, sizeof here))
		return ranq_err_sys(err, "cannot tell the working directory");
	if (!path)
		return copy(to, here, err);
	if (strlen(path) >= PATH_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "a path is too long");
	snprintf(whole, sizeof whole, "%s/%s", here, path);
	return copy(to, whole, err);
}

/* The nodes may have what this machine has not, so it is a warning only. */
static void warn_missing(const char *option, const char *path)
{
	if (access(path, F_OK) != 0)
		fprintf(stderr, "ranq: %s: there is no '%s' on this machine; tasks fail where it is missing\n", option,
			path);
}

static void warn_read_only(const char *dir)
{
	if (access(dir, W_OK | X_OK) != 0)
		fprintf(stderr,
			"ranq: --offload: cannot write into '%s' on this machine: %s; results above 1 MiB fail where that "
			"is so\n",
			dir, strerror(errno));
}

static int build_surroundings(
	struct ranq_jobspec *jobspec, const struct ranq_job_options *options, struct ranq_err *err)
{
	struct ranq_spec *spec = &jobspec->spec;
	for (size_t i = 0; i < options->env.n; i++)
		if (add_env(spec, options->env.at[i], err))
			return -1;
	if (absolute(&spec->cwd, options->cwd, err))
		return -1;
	if (options->stdin_path && absolute(&spec->stdin_path, options->stdin_path, err))
		return -1;
	if (options->offload && absolute(&spec->offload, options->offload, err))
		return -1;
	if (options->cwd)
		warn_missing("--cwd", spec->cwd);
	if (options->stdin_path)
		warn_missing("--stdin", spec->stdin_path);
	if (options->offload)
		warn_read_only(spec->offload);
	if (!options->data)
		return 0;
	if (ranq_blob_open(options->data, &jobspec->data, err))
		return ranq_err_wrap(err, "job data");
	jobspec->submission.data_file = &jobspec->data;
	return 0;
}

static int build_chunk(struct ranq_spec *spec, const char *text, struct ranq_err *err)
{
	char *end;
	if (!text || strcmp(text, "auto") == 0)
		return 0;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n == 0 || n >= RANQ_TASKS_MAX)
		return ranq_err_set(err, RANQ_ERR_USAGE,
			"option '--chunk': '%.100s' is neither a positive number nor 'auto'", text);
	spec->chunk = n;
	return 0;
}

static int build_policy(struct ranq_spec *spec, const struct ranq_job_options *options, struct ranq_err *err)
{
	if (options->offload && (options->reduce || options->results != RANQ_RESULTS_KEEP))
		return usage(err, "--offload keeps results in files: give no --reduce or --results with it");
	if (options->reduce_ordered && !options->reduce)
		return usage(err, "--reduce-ordered needs --reduce NAME");
	spec->reduce_ordered = options->reduce_ordered;
	spec->sticky = options->sticky;
	spec->results = (enum ranq_results_mode)options->results;
	spec->on_error = (enum ranq_on_error)options->on_error;
	spec->backlog = options->backlog;
	spec->max_output = options->max_output;
	spec->memory = options->memory;
	spec->max_fails = (uint32_t)options->max_fails;
	spec->retries = (uint32_t)options->retries;
	spec->max_deaths = (uint32_t)options->max_deaths;
	spec->priority = (int32_t)options->priority;
	spec->timeout_ms = (uint64_t)options->timeout_ms;
	spec->time_request_ms = (uint64_t)options->time_request_ms;
	spec->grace_ms = (uint64_t)options->grace_ms;
	spec->ttl_ms = (uint64_t)options->ttl_ms;
	spec->has_seed = options->seed != UINT64_MAX;
	spec->seed = spec->has_seed ? options->seed : 0;
	if (build_chunk(spec, options->chunk, err) || copy(&spec->reduce, options->reduce, err) ||
		copy(&spec->name, options->name, err) || copy(&spec->require, options->require, err))
		return -1;
	return copy(&spec->warn_signal, options->warn_signal, err);
}

int ranq_jobspec_build(struct ranq_jobspec *jobspec, const struct ranq_job_options *options,
	const struct ranq_operands *operands, struct ranq_err *err)
{
	int words = 0;
	memset(jobspec, 0, sizeof *jobspec);
	ranq_spec_init(&jobspec->spec);
	ranq_buf_init(&jobspec->module, 0);
	jobspec->data.fd = -1;
	jobspec->submission.spec = &jobspec->spec;
	while (words < operands->n && strcmp(operands->at[words], ":::") != 0 &&
		strcmp(operands->at[words], ":::+") != 0)
		words++;
	int rc = options->function ? build_function(jobspec, options, words, err)
				   : build_command(&jobspec->spec, options, operands->at, words, err);
	if (rc == 0)
		rc = build_arguments(jobspec, options, operands->at + words, operands->n - words, err);
	if (rc == 0 && (build_surroundings(jobspec, options, err) || build_policy(&jobspec->spec, options, err)))
		rc = -1;
	return rc ? -1 : ranq_submit_prepare(&jobspec->submission, err);
}

/* ---- after ----------------------------------------------------------------------------------------------------- */
static int after_one(struct ranq_jobspec *jobspec, const char *id, struct ranq_session *session, struct ranq_err *err)
{
	char queue[RANQ_QUEUE_NAME_MAX + 1];
	struct ranq_job_info info;
	uint64_t job;
	if (ranq_jobid_parse(id, queue, &job, err))
		return ranq_err_wrap(err, "option '--after'");
	if (queue[0] && strcmp(queue, session->queue.name) != 0)
		return ranq_err_set(err, RANQ_ERR_INPUT, "option '--after': job '%s' is of another queue than '%s'", id,
			session->queue.name);
	if (ranq_session_info(session, job, &info, err))
		return ranq_err_wrap(err, "option '--after'");
	uint64_t *after = realloc(jobspec->after, (jobspec->submission.nafter + 1) * sizeof *after);
	if (!after)
		return no_memory(err);
	after[jobspec->submission.nafter++] = info.job;
	jobspec->after = after;
	jobspec->submission.after = after;
	return 0;
}

int ranq_jobspec_after(struct ranq_jobspec *jobspec, const struct ranq_job_options *options,
	struct ranq_session *session, struct ranq_err *err)
{
	for (size_t i = 0; i < options->after.n; i++) {
		char *words = strdup(options->after.at[i]), *rest = words, *id;
		int rc = words ? 0 : no_memory(err);
		while (rc == 0 && (id = strsep(&rest, ",")))
			rc = after_one(jobspec, id, session, err);
		free(words);
		if (rc)
			return -1;
	}
	return 0;
}

void ranq_jobspec_clear(struct ranq_jobspec *jobspec)
{
	ranq_spec_clear(&jobspec->spec);
	ranq_buf_clear(&jobspec->module);
	ranq_blob_close(&jobspec->data);
	ranq_line_file_close(jobspec->file);
	free(jobspec->after);
	memset(jobspec, 0, sizeof *jobspec);
}

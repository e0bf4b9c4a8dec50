/* pbs.c - see pbs.h. The JSON of qstat guesses types (a job called "1e3" would come back as a number in a variable
 * list), so only attributes are read that PBS itself writes; our token travels in the name of the output file. */
#include "pbs/pbs.h"

#include <ctype.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UNKNOWN_JOB 153
#define FINISHED_JOB 35
#define NO_SERVER 162

/* ---- parsers ---- */

static const char *text_of(const json_t *job, const char *key)
{
	const char *text = json_string_value(json_object_get(job, key));
	return text ? text : "";
}

/* "Fri Nov 20 07:44:31 2026", local time. */
static int64_t time_of(const char *text)
{
	struct tm when = {.tm_isdst = -1};
	const char *rest = strptime(text, "%a %b %d %H:%M:%S %Y", &when);
	time_t at = rest && *rest == '\0' ? mktime(&when) : (time_t)-1;
	return at == (time_t)-1 ? 0 : (int64_t)at * 1000;
}

/* "01:30:00" */
static int64_t duration_of(const char *text)
{
	unsigned hours, minutes, seconds;
	char rest;
	if (strspn(text, "0123456789:") != strlen(text) ||
		sscanf(text, "%6u:%2u:%2u%c", &hours, &minutes, &seconds, &rest) != 3)
		return 0;
	return ((int64_t)hours * 3600 + minutes * 60 + seconds) * 1000;
}

/* Ends that are none of the job's doing: success, deleted (256 + signal), walltime, rerun. */
static enum ranq_sched_state end_of(const json_t *job)
{
	json_int_t status = json_integer_value(json_object_get(job, "Exit_status"));
	return status == 0 || status > 256 || status == -29 || status == -11 ? RANQ_SCHED_ENDED : RANQ_SCHED_FAILED;
}

static void read_state(const json_t *from, struct ranq_sched_job *job)
{
	const char *comment = text_of(from, "comment");
	switch (*text_of(from, "job_state")) {
	case 'Q':
	case 'T':
	case 'W':
		job->state = RANQ_SCHED_PENDING;
		job->wait = strncmp(comment, "Can Never Run", 13) == 0 ? RANQ_SCHED_NEVER : RANQ_SCHED_WAITS;
		break;
	case 'H':
		job->state = RANQ_SCHED_PENDING;
		job->wait = RANQ_SCHED_LIMIT;
		if (!*comment)
			comment = "held";
		break;
	case 'E':
		job->state = RANQ_SCHED_ENDING;
		break;
	case 'F':
	case 'X':
		job->state = end_of(from);
		break;
	default: /* R, S, U, B, moved: it is there */
		job->state = RANQ_SCHED_RUNNING;
		break;
	}
	if (job->state == RANQ_SCHED_PENDING || job->state == RANQ_SCHED_FAILED)
		ranq_sched_text(job->reason, sizeof job->reason, comment, strlen(comment));
}

static bool read_job(const char *id, const json_t *from, struct ranq_sched_job *job)
{
	const json_t *resources = json_object_get(from, "Resource_List"),
		     *estimated = json_object_get(from, "estimated");
	json_int_t nodes = json_integer_value(json_object_get(resources, "nodect"));
	if (!ranq_sched_id_ok(id) || !*text_of(from, "job_state"))
		return false;
	snprintf(job->id, sizeof job->id, "%s", id);
	job->nodes = nodes >= 1 && nodes <= 1000000 ? (unsigned)nodes : 1;
	ranq_sched_token_of_log(text_of(from, "Output_Path"), job->token);
	read_state(from, job);
	job->start_ms = time_of(text_of(from, "stime"));
	int64_t length_ms = duration_of(text_of(resources, "walltime"));
	if (job->state != RANQ_SCHED_PENDING && job->start_ms && length_ms)
		job->end_ms = job->start_ms + length_ms;
	if (job->state == RANQ_SCHED_PENDING)
		job->start_ms = time_of(text_of(estimated, "start_time"));
	return true;
}

int ranq_pbs_parse_qstat(
	const char *text, size_t len, const char *name, struct ranq_sched_list *list, struct ranq_err *err)
{
	json_error_t where;
	json_t *root = json_loadb(text, len, 0, &where), *jobs = json_object_get(root, "Jobs"), *job;
	const char *id;
	int rc = 0;
	if (!json_is_object(root) || (jobs && !json_is_object(jobs))) {
		json_decref(root);
		return ranq_err_set(err, RANQ_ERR_SERVER, "qstat gave what is no list of jobs (line %d)", where.line);
	}
	json_object_foreach(jobs, id, job)
	{
		if (strcmp(text_of(job, "Job_Name"), name) != 0)
			continue;
		struct ranq_sched_job *into = ranq_sched_list_add(list);
		if (into && read_job(id, job, into))
			continue;
		rc = ranq_err_set(err, RANQ_ERR_SERVER, "qstat gave a job that cannot be read: '%.60s'", id);
		break;
	}
	json_decref(root);
	return rc;
}

bool ranq_pbs_parse_id(const char *text, char id[RANQ_SCHED_ID_MAX + 1])
{
	size_t n = strcspn(text, "\r\n \t");
	if (n == 0 || n > RANQ_SCHED_ID_MAX || !isdigit((unsigned char)*text))
		return false;
	memcpy(id, text, n);
	id[n] = '\0';
	return ranq_sched_id_ok(id);
}

/* ---- calls ---- */

static int run(
	const struct ranq_pbs *pbs, const char *const *argv, struct ranq_tool_result *result, struct ranq_err *err)
{
	return pbs->tools.run(pbs->tools.user, argv, RANQ_SCHED_CALL_MS, result, err);
}

static int fail(struct ranq_tool_result *result, const char *program, struct ranq_err *err)
{
	char words[300];
	const char *text = ranq_buf_cstr(&result->err);
	bool away = result->status == NO_SERVER || strstr(text, "cannot connect") || strstr(text, "timed out") ||
		    strstr(text, "End of File") || strstr(text, "No Permission") == text;
	ranq_tool_words(result, words, sizeof words);
	return ranq_err_set(err, away ? RANQ_ERR_SERVER : RANQ_ERR_INPUT, "%s: %s", program, words);
}

static int submit_with(
	const struct ranq_pbs *pbs, const char *const *argv, char id[RANQ_SCHED_ID_MAX + 1], struct ranq_err *err)
{
	struct ranq_tool_result result = {0};
	int rc = run(pbs, argv, &result, err);
	if (rc) {
		if (err->code == RANQ_ERR_SERVER)
			err->code = RANQ_ERR_UNKNOWN;
	} else if (result.status != 0) {
		rc = fail(&result, "qsub", err);
		if (err->code == RANQ_ERR_SERVER && result.status != NO_SERVER)
			err->code = RANQ_ERR_UNKNOWN;
	} else if (!ranq_pbs_parse_id(ranq_buf_cstr(&result.out), id)) {
		rc = ranq_err_set(err, RANQ_ERR_UNKNOWN, "qsub gave no job id");
	}
	ranq_tool_result_clear(&result);
	return rc;
}

static int pbs_submit(
	void *self, const struct ranq_sched_request *request, char id[RANQ_SCHED_ID_MAX + 1], struct ranq_err *err)
{
	/* -f: without it qsub leaves a process behind, for minutes */
	const char *fixed[] = {"qsub", "-f", "-N", request->name, "-o", request->log, "-j", "oe"};
	size_t nfixed = sizeof fixed / sizeof *fixed;
	const char **argv = calloc(nfixed + request->noptions + 2, sizeof *argv);
	if (!argv)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	memcpy(argv, fixed, sizeof fixed);
	for (size_t i = 0; i < request->noptions; i++)
		argv[nfixed + i] = request->options[i];
	argv[nfixed + request->noptions] = request->script;
	int rc = submit_with(self, argv, id, err);
	free(argv);
	return rc;
}

/* The ids that qselect printed as words behind the fixed ones; owned. Ends with NULL; *n: how many ids. */
static char **ids_of(char *text, const char *const *fixed, size_t nfixed, size_t *n)
{
	size_t cap = nfixed + 2;
	for (const char *c = text; *c; c++)
		cap += *c == '\n';
	char **words = calloc(cap, sizeof *words), *state = NULL;
	if (!words)
		return NULL;
	for (size_t i = 0; i < nfixed; i++)
		words[i] = (char *)(uintptr_t)fixed[i];
	*n = 0;
	for (char *id = strtok_r(text, "\r\n \t", &state); id; id = strtok_r(NULL, "\r\n \t", &state)) {
		if (!ranq_sched_id_ok(id) || *n >= RANQ_SCHED_JOBS_MAX || nfixed + *n + 1 >= cap) {
			free(words);
			return NULL;
		}
		words[nfixed + (*n)++] = id;
	}
	return words;
}

static int ask_about(
	const struct ranq_pbs *pbs, char *ids, const char *name, struct ranq_sched_list *list, struct ranq_err *err)
{
	/* -E: all ids in one question. Without it OpenPBS 23.06 puts only the first of several jobs into its JSON */
	static const char *const fixed[] = {"qstat", "-E", "-f", "-F", "json"};
	size_t nfixed = sizeof fixed / sizeof *fixed;
	struct ranq_tool_result result = {0};
	size_t n;
	char **argv = ids_of(ids, fixed, nfixed, &n);
	if (!argv)
		return ranq_err_set(err, RANQ_ERR_SERVER, "qselect gave what is no list of job ids");
	int rc = n ? run(pbs, (const char *const *)argv, &result, err) : 0;
	/* all of them may have ended since; of some nothing is said */
	if (rc == 0 && n && result.status != 0 && result.status != UNKNOWN_JOB && result.status != FINISHED_JOB) {
		rc = fail(&result, "qstat", err);
		err->code = RANQ_ERR_SERVER;
	}
	if (rc == 0 && n)
		rc = ranq_pbs_parse_qstat((const char *)result.out.data, result.out.len, name, list, err);
	ranq_tool_result_clear(&result);
	free(argv);
	return rc;
}

static int pbs_list(void *self, const char *name, struct ranq_sched_list *list, struct ranq_err *err)
{
	const struct ranq_pbs *pbs = self;
	const char *const argv[] = {"qselect", "-N", name, "-u", pbs->user, NULL};
	struct ranq_tool_result result = {0};
	int rc = run(pbs, argv, &result, err);
	if (rc == 0 && result.status != 0) {
		rc = fail(&result, "qselect", err);
		err->code = RANQ_ERR_SERVER;
	}
	if (rc == 0)
		rc = ask_about(pbs, (char *)(uintptr_t)ranq_buf_cstr(&result.out), name, list, err);
	ranq_tool_result_clear(&result);
	return rc;
}

/* qdel knows no "only if it waits": a job that has just started gets TERM, which drains it. */
static int pbs_cancel(void *self, const char *id, bool pending, struct ranq_err *err)
{
	const char *const argv[] = {"qdel", id, NULL};
	struct ranq_tool_result result = {0};
	(void)pending;
	if (!ranq_sched_id_ok(id))
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%.40s' is no job id", id);
	int rc = run(self, argv, &result, err);
	if (rc == 0 && result.status != 0 && result.status != UNKNOWN_JOB && result.status != FINISHED_JOB)
		rc = fail(&result, "qdel", err);
	ranq_tool_result_clear(&result);
	return rc;
}

static int pbs_describe(void *self, struct ranq_buf *text, struct ranq_err *err)
{
	const char *const argv[] = {"qstat", "-B", "-f", "-F", "json", NULL};
	struct ranq_tool_result result = {0};
	int rc = run(self, argv, &result, err);
	if (rc == 0 && result.status != 0) {
		rc = fail(&result, "qstat", err);
		err->code = RANQ_ERR_SERVER;
	}
	json_t *root = rc == 0 ? json_loadb((const char *)result.out.data, result.out.len, 0, NULL) : NULL;
	if (rc == 0 && !*text_of(root, "pbs_server"))
		rc = ranq_err_set(err, RANQ_ERR_SERVER, "qstat does not tell about its server");
	if (rc == 0)
		ranq_buf_printf(text, "pbs: server %.60s, version %.40s", text_of(root, "pbs_server"),
			text_of(root, "pbs_version"));
	json_decref(root);
	ranq_tool_result_clear(&result);
	return rc;
}

const struct ranq_sched_driver ranq_pbs_driver = {
	.name = "pbs", .submit = pbs_submit, .list = pbs_list, .cancel = pbs_cancel, .describe = pbs_describe};

struct ranq_scheduler ranq_pbs_scheduler(struct ranq_pbs *pbs, const struct ranq_tools *tools)
{
	const struct passwd *entry = getpwuid(getuid());
	pbs->tools = *tools;
	snprintf(pbs->user, sizeof pbs->user, "%s", entry ? entry->pw_name : "nobody");
	return (struct ranq_scheduler){&ranq_pbs_driver, pbs};
}

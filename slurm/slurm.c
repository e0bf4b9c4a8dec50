/* slurm.c - see slurm.h. What is relied on here was seen on a real Slurm: rc 1 of sbatch does not mean "not submitted";
 * scancel of a job that is over says nothing; squeue may be told lies by SQUEUE_* variables, which the runner removes.
 */
#include "slurm/slurm.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- parsers ---- */

struct word {
	const char *name;
	int value;
};

/* Everything else that waits is a matter of time. */
static const struct word waits[] = {
	{"PartitionConfig", RANQ_SCHED_NEVER},
	{"PartitionTimeLimit", RANQ_SCHED_NEVER},
	{"PartitionNodeLimit", RANQ_SCHED_NEVER},
	{"BadConstraints", RANQ_SCHED_NEVER},
	{"InvalidAccount", RANQ_SCHED_NEVER},
	{"InvalidQOS", RANQ_SCHED_NEVER},
	{"AccountNotAllowed", RANQ_SCHED_NEVER},
	{"QOSNotAllowed", RANQ_SCHED_NEVER},
	{"DependencyNeverSatisfied", RANQ_SCHED_NEVER},
	{"JobHoldMaxRequeue", RANQ_SCHED_NEVER},
	{"launch failed requeued held", RANQ_SCHED_NEVER},
	{"JobHeldUser", RANQ_SCHED_LIMIT},
	{"JobHeldAdmin", RANQ_SCHED_LIMIT},
	{"PartitionDown", RANQ_SCHED_LIMIT},
	{"PartitionInactive", RANQ_SCHED_LIMIT},
	{"Reservation", RANQ_SCHED_WAITS},
};

enum ranq_sched_wait ranq_slurm_wait(const char *reason)
{
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
		if (strcmp(waits[i].name, reason) == 0)
			return (enum ranq_sched_wait)waits[i].value;
	/* QOSMaxJobsPerUserLimit, AssocGrpCpuLimit, MaxJobsPerAccount ... */
	if (strncmp(reason, "QOS", 3) == 0 || strncmp(reason, "Assoc", 5) == 0 || strncmp(reason, "MaxJobs", 7) == 0)
		return RANQ_SCHED_LIMIT;
	return RANQ_SCHED_WAITS;
}

static const struct word states[] = {
	{"PENDING", RANQ_SCHED_PENDING},
	{"CONFIGURING", RANQ_SCHED_PENDING}, /* its nodes are still being booted */
	{"REQUEUED", RANQ_SCHED_PENDING},
	{"REQUEUE_HOLD", RANQ_SCHED_PENDING},
	{"REQUEUE_FED", RANQ_SCHED_PENDING},
	{"SPECIAL_EXIT", RANQ_SCHED_PENDING},
	{"RESV_DEL_HOLD", RANQ_SCHED_PENDING},
	{"COMPLETING", RANQ_SCHED_ENDING},
	{"STAGE_OUT", RANQ_SCHED_ENDING},
	{"COMPLETED", RANQ_SCHED_ENDED},
	{"CANCELLED", RANQ_SCHED_ENDED},
	{"TIMEOUT", RANQ_SCHED_ENDED},
	{"PREEMPTED", RANQ_SCHED_ENDED},
	{"DEADLINE", RANQ_SCHED_ENDED},
	{"REVOKED", RANQ_SCHED_ENDED},
	{"FAILED", RANQ_SCHED_FAILED},
	{"NODE_FAIL", RANQ_SCHED_FAILED},
	{"BOOT_FAIL", RANQ_SCHED_FAILED},
	{"OUT_OF_MEMORY", RANQ_SCHED_FAILED},
};

/* RUNNING, SUSPENDED, STOPPED, RESIZING, and what later versions may call it: it is there. */
static enum ranq_sched_state state_of(const char *name)
{
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(states[i].name, name) == 0)
			return (enum ranq_sched_state)states[i].value;
	return RANQ_SCHED_RUNNING;
}

static bool is_state(const char *name)
{
	return *name && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(name);
}

enum { ID, STATE, NODES, START, END, COMMENT, REASON, COLUMNS };

/* Cuts at the first bars; the last column may hold any. */
static size_t split(char *line, char *fields[COLUMNS])
{
	size_t n = 0;
	while (n < COLUMNS - 1) {
		fields[n++] = line;
		line = strchr(line, '|');
		if (!line)
			return n;
		*line++ = '\0';
	}
	fields[n++] = line;
	return n;
}

static bool parse_line(char *line, struct ranq_sched_job *job)
{
	static const char mark[] = "ranq:";
	char *fields[COLUMNS], *end;
	if (split(line, fields) != COLUMNS || !ranq_sched_id_ok(fields[ID]) || !isdigit((unsigned char)*fields[ID]) ||
		!is_state(fields[STATE]))
		return false;
	unsigned long nodes = strtoul(fields[NODES], &end, 10);
	if (!isdigit((unsigned char)*fields[NODES]) || *end || nodes > 1000000)
		return false;
	snprintf(job->id, sizeof job->id, "%.*s", (int)sizeof job->id - 1, fields[ID]);
	job->state = state_of(fields[STATE]);
	job->nodes = nodes ? (unsigned)nodes : 1;
	job->start_ms = ranq_sched_time_iso(fields[START]);
	job->end_ms = ranq_sched_time_iso(fields[END]);
	const char *token = fields[COMMENT] + sizeof mark - 1;
	if (strncmp(fields[COMMENT], mark, sizeof mark - 1) == 0 && strlen(token) <= RANQ_SCHED_TOKEN_MAX)
		snprintf(job->token, sizeof job->token, "%s", token);
	if (strcmp(fields[REASON], "None") != 0)
		ranq_sched_text(job->reason, sizeof job->reason, fields[REASON], strlen(fields[REASON]));
	if (job->state == RANQ_SCHED_PENDING)
		job->wait = ranq_slurm_wait(fields[REASON]);
	return true;
}

int ranq_slurm_parse_squeue(const char *text, struct ranq_sched_list *list, struct ranq_err *err)
{
	while (*text) {
		char line[4096], shown[80];
		size_t len = strcspn(text, "\n");
		ranq_sched_text(line, sizeof line, text, len);
		ranq_sched_text(shown, sizeof shown, text, len);
		text += len + (text[len] == '\n');
		if (!*line)
			continue;
		struct ranq_sched_job *job = len < sizeof line ? ranq_sched_list_add(list) : NULL;
		if (!job || !parse_line(line, job))
			return ranq_err_set(
				err, RANQ_ERR_SERVER, "squeue gave a line that cannot be read: '%s'", shown);
	}
	return 0;
}

bool ranq_slurm_parse_id(const char *text, char id[RANQ_SCHED_ID_MAX + 1])
{
	size_t n = strspn(text, "0123456789");
	if (n == 0 || n > 20 || (text[n] != '\n' && text[n] != ';' && text[n] != '\0'))
		return false;
	memcpy(id, text, n);
	id[n] = '\0';
	return true;
}

/* ---- calls ---- */

static bool says(struct ranq_tool_result *result, const char *text)
{
	return strstr(ranq_buf_cstr(&result->err), text) != NULL;
}

/* A failure that Slurm told: is it about the request or about Slurm? */
static int fail(struct ranq_tool_result *result, const char *program, struct ranq_err *err)
{
	static const char *const away[] = {"Unable to contact", "Socket timed out", "Zero Bytes", "Connection re",
		"Transport", "authentication", "Unable to establish", "Slurm temporarily unable"};
	char words[300];
	enum ranq_err_code code = RANQ_ERR_INPUT;
	for (size_t i = 0; i < sizeof away / sizeof *away; i++)
		if (says(result, away[i]))
			code = RANQ_ERR_SERVER;
	ranq_tool_words(result, words, sizeof words);
	return ranq_err_set(err, code, "%s: %s", program, words);
}

static int run(
	const struct ranq_slurm *slurm, const char *const *argv, struct ranq_tool_result *result, struct ranq_err *err)
{
	return slurm->tools.run(slurm->tools.user, argv, RANQ_SCHED_CALL_MS, result, err);
}

static int submit_with(
	const struct ranq_slurm *slurm, const char *const *argv, char id[RANQ_SCHED_ID_MAX + 1], struct ranq_err *err)
{
	struct ranq_tool_result result = {0};
	int rc = run(slurm, argv, &result, err);
	if (rc) {
		if (err->code == RANQ_ERR_SERVER) /* it was killed in the middle of it */
			err->code = RANQ_ERR_UNKNOWN;
	} else if (result.status != 0) {
		rc = fail(&result, "sbatch", err);
		/* only a controller that was never reached has surely not taken it */
		if (err->code == RANQ_ERR_SERVER && !says(&result, "Unable to contact"))
			err->code = RANQ_ERR_UNKNOWN;
	} else if (!ranq_slurm_parse_id(ranq_buf_cstr(&result.out), id)) {
		rc = ranq_err_set(err, RANQ_ERR_UNKNOWN, "sbatch gave no job id");
	}
	ranq_tool_result_clear(&result);
	return rc;
}

static int slurm_submit(
	void *self, const struct ranq_sched_request *request, char id[RANQ_SCHED_ID_MAX + 1], struct ranq_err *err)
{
	char comment[64];
	const char *fixed[] = {"sbatch", "--parsable", "-J", request->name, "--comment", comment, "-o", request->log};
	size_t nfixed = sizeof fixed / sizeof *fixed;
	const char **argv = calloc(nfixed + request->noptions + 2, sizeof *argv);
	if (!argv)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	snprintf(comment, sizeof comment, "ranq:%s", request->token);
	memcpy(argv, fixed, sizeof fixed);
	for (size_t i = 0; i < request->noptions; i++)
		argv[nfixed + i] = request->options[i];
	argv[nfixed + request->noptions] = request->script;
	int rc = submit_with(self, argv, id, err);
	free(argv);
	return rc;
}

static int slurm_list(void *self, const char *name, struct ranq_sched_list *list, struct ranq_err *err)
{
	const struct ranq_slurm *slurm = self;
	const char *const argv[] = {
		"squeue", "-h", "-t", "all", "-u", slurm->user, "-n", name, "-o", RANQ_SLURM_COLUMNS, NULL};
	struct ranq_tool_result result = {0};
	int rc = run(slurm, argv, &result, err);
	if (rc == 0 && result.status != 0) {
		rc = fail(&result, "squeue", err);
		err->code = RANQ_ERR_SERVER;
	}
	if (rc == 0)
		rc = ranq_slurm_parse_squeue(ranq_buf_cstr(&result.out), list, err);
	ranq_tool_result_clear(&result);
	return rc;
}

static int command(const struct ranq_slurm *slurm, const char *const *argv, struct ranq_err *err)
{
	struct ranq_tool_result result = {0};
	int rc = run(slurm, argv, &result, err);
	if (rc == 0 && result.status != 0 && !says(&result, "Invalid job id"))
		rc = fail(&result, argv[0], err);
	ranq_tool_result_clear(&result);
	return rc;
}

static int slurm_cancel(void *self, const char *id, bool pending, struct ranq_err *err)
{
	const char *const waiting[] = {"scancel", "--state=PENDING", id, NULL}, *const all[] = {"scancel", id, NULL};
	if (!ranq_sched_id_ok(id))
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%.40s' is no job id", id);
	return command(self, pending ? waiting : all, err);
}

static int slurm_shrink(void *self, const char *id, unsigned nodes, struct ranq_err *err)
{
	char job[RANQ_SCHED_ID_MAX + 8], number[32];
	const char *const argv[] = {"scontrol", "update", job, number, NULL};
	if (!ranq_sched_id_ok(id))
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%.40s' is no job id", id);
	snprintf(job, sizeof job, "JobId=%s", id);
	snprintf(number, sizeof number, "NumNodes=%u", nodes);
	return command(self, argv, err);
}

static int slurm_describe(void *self, struct ranq_buf *text, struct ranq_err *err)
{
	const char *const argv[] = {"scontrol", "ping", NULL};
	struct ranq_tool_result result = {0};
	char words[200];
	int rc = run(self, argv, &result, err);
	ranq_tool_words(&result, words, sizeof words);
	if (rc == 0 && result.status != 0)
		rc = ranq_err_set(err, RANQ_ERR_SERVER, "scontrol: %s", words);
	if (rc == 0)
		ranq_buf_printf(text, "slurm: %s", words);
	ranq_tool_result_clear(&result);
	return rc;
}

const struct ranq_sched_driver ranq_slurm_driver = {.name = "slurm",
	.submit = slurm_submit,
	.list = slurm_list,
	.cancel = slurm_cancel,
	.shrink = slurm_shrink,
	.describe = slurm_describe};

struct ranq_scheduler ranq_slurm_scheduler(struct ranq_slurm *slurm, const struct ranq_tools *tools)
{
	slurm->tools = *tools;
	snprintf(slurm->user, sizeof slurm->user, "%u", (unsigned)getuid());
	return (struct ranq_scheduler){&ranq_slurm_driver, slurm};
}

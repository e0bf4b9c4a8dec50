/* The Slurm and PBS drivers against recorded output, and against output that no scheduler should give. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/common/tools.h"
#include "pbs/pbs.h"
#include "scale/template.h"
#include "slurm/slurm.h"
#include "util/clock.h"

/* ---- recorded output ---- */

struct sample {
	char *text; /* what was printed */
	int status;
};

static struct sample load(const char *name)
{
	char path[512];
	struct sample sample = {.text = calloc(1, 1 << 16), .status = -1};
	snprintf(path, sizeof path, RANQ_TEST_SOURCEDIR "/tests/data/schedulers/%s.txt", name);
	FILE *file = fopen(path, "re");
	ck_assert_msg(file && sample.text, "no sample %s", path);
	size_t len = fread(sample.text, 1, (1 << 16) - 1, file);
	fclose(file);
	ck_assert_uint_lt(len, (1 << 16) - 1);
	char *end = strstr(sample.text, "[rc="), *start = strchr(sample.text, '\n');
	ck_assert(sample.text[0] == '$' && end && start);
	sample.status = atoi(end + 4);
	*end = '\0';
	memmove(sample.text, start + 1, strlen(start + 1) + 1);
	return sample;
}

/* Tools that answer what the test says, one call after the other. */
static struct {
	const char *out, *err;
	int status;
	enum ranq_err_code fails; /* no answer at all */
} answers[8];
static size_t nanswers, asked;
static char command_line[4096];

static int answer(
	void *user, const char *const *argv, int timeout_ms, struct ranq_tool_result *result, struct ranq_err *err)
{
	(void)user;
	ck_assert_int_gt(timeout_ms, 0);
	ck_assert_uint_lt(asked, nanswers);
	*command_line = '\0';
	for (; *argv; argv++) {
		strncat(command_line, *argv, sizeof command_line - strlen(command_line) - 2);
		strcat(command_line, argv[1] ? " " : "");
	}
	ranq_buf_init(&result->out, 0);
	ranq_buf_init(&result->err, 0);
	if (answers[asked].fails)
		return ranq_err_set(err, answers[asked++].fails, "no answer");
	if (answers[asked].out)
		ranq_buf_add_str(&result->out, answers[asked].out);
	if (answers[asked].err)
		ranq_buf_add_str(&result->err, answers[asked].err);
	result->status = answers[asked++].status;
	return 0;
}
static const struct ranq_tools tools = {.run = answer};

static void will_answer(const char *out, const char *errors, int status)
{
	ck_assert_uint_lt(nanswers, sizeof answers / sizeof *answers);
	answers[nanswers].fails = RANQ_ERR_OK;
	answers[nanswers].out = out;
	answers[nanswers].err = errors;
	answers[nanswers++].status = status;
}

static struct ranq_scheduler slurm(void)
{
	static struct ranq_slurm self;
	nanswers = asked = 0;
	return ranq_slurm_scheduler(&self, &tools);
}

static struct ranq_scheduler pbs(void)
{
	static struct ranq_pbs self;
	nanswers = asked = 0;
	return ranq_pbs_scheduler(&self, &tools);
}

static struct ranq_err err;
static struct ranq_sched_list list;

static void setup(void)
{
	setenv("TZ", "UTC", 1);
}

static void teardown(void)
{
	ranq_sched_list_clear(&list);
}

static const struct ranq_sched_job *job_of(const char *id)
{
	for (size_t i = 0; i < list.n; i++)
		if (strcmp(list.jobs[i].id, id) == 0)
			return &list.jobs[i];
	ck_abort_msg("no job %s", id);
	return NULL;
}

/* ---- slurm ---- */

START_TEST(squeue_as_recorded)
{
	struct sample sample = load("slurm-squeue-scale");
	static const struct {
		const char *id, *token, *reason;
		enum ranq_sched_state state;
		enum ranq_sched_wait wait;
		unsigned nodes;
	} want[] = {
		{"1", "rone-1", "", RANQ_SCHED_RUNNING, RANQ_SCHED_WAITS, 1},
		{"2", "rtwo-2", "Resources", RANQ_SCHED_PENDING, RANQ_SCHED_WAITS, 2},
		{"3", "rthree-3", "JobHeldUser", RANQ_SCHED_PENDING, RANQ_SCHED_LIMIT, 1},
		{"4", "rfour-4", "PartitionConfig", RANQ_SCHED_PENDING, RANQ_SCHED_NEVER, 99},
		{"5", "rfive-5", "PartitionTimeLimit", RANQ_SCHED_PENDING, RANQ_SCHED_NEVER, 1},
		{"6", "rsix-6", "PartitionDown", RANQ_SCHED_PENDING, RANQ_SCHED_LIMIT, 1},
		{"7", "", "Priority", RANQ_SCHED_PENDING, RANQ_SCHED_WAITS, 1},
		{"9", "rnine-9", "Priority", RANQ_SCHED_ENDED, RANQ_SCHED_WAITS, 1},
	};
	ck_assert_int_eq(ranq_slurm_parse_squeue(sample.text, &list, &err), 0);
	ck_assert_uint_eq(list.n, 9);
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		const struct ranq_sched_job *job = job_of(want[i].id);
		ck_assert_str_eq(job->token, want[i].token);
		ck_assert_str_eq(job->reason, want[i].reason);
		ck_assert_int_eq(job->state, want[i].state);
		ck_assert_int_eq(job->wait, want[i].wait);
		ck_assert_uint_eq(job->nodes, want[i].nodes);
	}
	ck_assert_int_eq(job_of("1")->end_ms - job_of("1")->start_ms, 300000);
	ck_assert_int_eq(job_of("2")->start_ms, INT64_C(1795178085000)); /* the scheduler's estimate */
	ck_assert_int_eq(job_of("4")->start_ms, 0);
	free(sample.text);
}
END_TEST

START_TEST(squeue_is_one_call_for_all)
{
	struct ranq_scheduler s = slurm();
	will_answer("", NULL, 0);
	ck_assert_int_eq(s.driver->list(s.self, "ranq-1", &list, &err), 0);
	ck_assert(list.n == 0 && asked == 1);
	ck_assert_ptr_nonnull(strstr(command_line, "squeue -h -t all -u "));
	ck_assert_ptr_nonnull(strstr(command_line, "-n ranq-1 -o "));
}
END_TEST

START_TEST(squeue_that_cannot_be_read)
{
	static const char *const texts[] = {"garbage\n", "1|RUNNING|1|N/A|N/A|x\n", "1|RUNNING|x|N/A|N/A|x|None\n",
		"-1|RUNNING|1|N/A|N/A|x|None\n", "1|r\303\274nning|1|N/A|N/A|x|None\n",
		"1|RUNNING|1|N/A|N/A|x|None\nslurm_load_jobs error: Invalid job id specified\n",
		"\x1b[31m1|RUNNING|1|N/A|N/A|x|None\n", "99999999999999999999999999999999999999|", "<html>\n",
		"1; rm -rf /|RUNNING|1|N/A|N/A|x|None\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct ranq_scheduler s = slurm();
		will_answer(texts[i], NULL, 0);
		ck_assert_msg(
			s.driver->list(s.self, "n", &list, &err) == -1 && err.code == RANQ_ERR_SERVER, "text %zu", i);
		ck_assert(strlen(err.text) < 300 && !strchr(err.text, '\x1b'));
		ranq_sched_list_clear(&list);
	}
	struct sample down = load("slurm-squeue-down");
	struct ranq_scheduler s = slurm();
	will_answer("", down.text, down.status);
	ck_assert_int_eq(s.driver->list(s.self, "n", &list, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	ck_assert_ptr_nonnull(strstr(err.text, "Unable to contact slurm controller"));
	free(down.text);
}
END_TEST

static int submit(struct ranq_scheduler s, char id[RANQ_SCHED_ID_MAX + 1])
{
	static const char *const words[] = {"-p", "main"};
	struct ranq_sched_request request = {.name = "ranq-1",
		.token = "rtoken-1",
		.script = "/s.sh",
		.log = "/d/rtoken-1.log",
		.options = words,
		.noptions = 2};
	*err.text = '\0';
	return s.driver->submit(s.self, &request, id, &err);
}

START_TEST(sbatch_as_recorded)
{
	static const struct {
		const char *name;
		enum ranq_err_code code;
		const char *words;
	} rows[] = {
		{"slurm-sbatch-badpart", RANQ_ERR_INPUT,
			"invalid partition specified: nosuch; Batch job submission failed: Invalid partition"},
		{"slurm-sbatch-mem", RANQ_ERR_INPUT, "Requested node configuration is not available"},
		{"slurm-sbatch-noscript", RANQ_ERR_INPUT, "Unable to open file nosuch.sh"},
		{"slurm-sbatch-badtime", RANQ_ERR_INPUT, "Invalid --time specification"},
		{"slurm-sbatch-down", RANQ_ERR_SERVER, "Unable to contact slurm controller"},
		{"slurm-sbatch-hung", RANQ_ERR_UNKNOWN, "Socket timed out"}, /* the job may be there */
	};
	char id[RANQ_SCHED_ID_MAX + 1];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sample sample = load(rows[i].name);
		struct ranq_scheduler s = slurm();
		will_answer("", sample.text, sample.status);
		ck_assert_int_eq(submit(s, id), -1);
		ck_assert_msg(err.code == rows[i].code, "%s: %s", rows[i].name, ranq_err_name(err.code));
		ck_assert_msg(strstr(err.text, rows[i].words) != NULL, "%s: %s", rows[i].name, err.text);
		free(sample.text);
	}
	struct ranq_scheduler s = slurm();
	/* the words of Slurm's own table of errors: it takes an accounting database to hear them */
	will_answer("",
		"sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n", 1);
	ck_assert_int_eq(submit(s, id), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_msg(strstr(err.text, "Invalid account or account/partition combination specified") != NULL, "%s", err.text);
	struct sample good = load("slurm-sbatch-parsable");
	will_answer(good.text, NULL, good.status);
	ck_assert_int_eq(submit(s, id), 0);
	ck_assert_str_eq(id, "2");
	ck_assert_str_eq(
		command_line, "sbatch --parsable -J ranq-1 --comment ranq:rtoken-1 -o /d/rtoken-1.log -p main /s.sh");
	will_answer("17;cluster2\n", NULL, 0);
	ck_assert(submit(s, id) == 0 && strcmp(id, "17") == 0);
	will_answer("Submitted batch job 5\n", NULL, 0); /* not --parsable: somebody's wrapper */
	ck_assert(submit(s, id) == -1 && err.code == RANQ_ERR_UNKNOWN);
	answers[nanswers++].fails = RANQ_ERR_SERVER; /* killed at its time limit */
	ck_assert(submit(s, id) == -1 && err.code == RANQ_ERR_UNKNOWN);
	free(good.text);
}
END_TEST

START_TEST(scancel_as_recorded)
{
	static const char *const fine[] = {"slurm-scancel-finished", "slurm-scancel-unknown", "slurm-scancel-bad"};
	for (size_t i = 0; i < 3; i++) {
		struct sample sample = load(fine[i]);
		struct ranq_scheduler s = slurm();
		will_answer("", sample.text, sample.status);
		ck_assert_int_eq(s.driver->cancel(s.self, "1", true, &err), 0);
		ck_assert_str_eq(command_line, "scancel --state=PENDING 1");
		free(sample.text);
	}
	struct ranq_scheduler s = slurm();
	ck_assert_int_eq(s.driver->cancel(s.self, "1 --user=root", false, &err), -1);
	ck_assert_int_eq(s.driver->cancel(s.self, "-u", false, &err), -1);
	ck_assert_uint_eq(asked, 0);
	will_answer("",
		"scancel: error: Kill job error on job id 1: Unable to contact slurm controller (connect failure)\n",
		8);
	ck_assert(s.driver->cancel(s.self, "1", false, &err) == -1 && err.code == RANQ_ERR_SERVER);
}
END_TEST

START_TEST(reasons_that_pass_and_that_do_not)
{
	static const struct {
		const char *reason;
		enum ranq_sched_wait wait;
	} rows[] = {{"None", RANQ_SCHED_WAITS}, {"Priority", RANQ_SCHED_WAITS}, {"Resources", RANQ_SCHED_WAITS},
		{"BeginTime", RANQ_SCHED_WAITS}, {"ReqNodeNotAvail, UnavailableNodes:h2", RANQ_SCHED_WAITS},
		{"Nodes required for job are DOWN, DRAINED or reserved", RANQ_SCHED_WAITS},
		{"QOSMaxSubmitJobPerUserLimit", RANQ_SCHED_LIMIT}, {"AssocGrpCPUMinutesLimit", RANQ_SCHED_LIMIT},
		{"JobHeldAdmin", RANQ_SCHED_LIMIT}, {"launch failed requeued held", RANQ_SCHED_NEVER},
		{"BadConstraints", RANQ_SCHED_NEVER}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(ranq_slurm_wait(rows[i].reason) == rows[i].wait, "%s", rows[i].reason);
}
END_TEST

/* ---- pbs ---- */

START_TEST(qstat_as_recorded)
{
	struct sample sample = load("pbs-qstat-json");
	ck_assert_int_eq(ranq_pbs_parse_qstat(sample.text, strlen(sample.text), "eq-abc123", &list, &err), 0);
	ck_assert_uint_eq(list.n, 1);
	const struct ranq_sched_job *job = job_of("3.pbs0");
	ck_assert(job->state == RANQ_SCHED_RUNNING && job->nodes == 1);
	ck_assert_int_eq(job->end_ms - job->start_ms, 600000);
	ck_assert_int_eq(job->start_ms, INT64_C(1795160671000));
	ranq_sched_list_clear(&list);
	ck_assert_int_eq(ranq_pbs_parse_qstat(sample.text, strlen(sample.text), "eq-held", &list, &err), 0);
	ck_assert(list.n == 1 && list.jobs[0].state == RANQ_SCHED_PENDING && list.jobs[0].wait == RANQ_SCHED_LIMIT);
	ranq_sched_list_clear(&list);
	ck_assert_int_eq(ranq_pbs_parse_qstat(sample.text, strlen(sample.text), "eq-big", &list, &err), 0);
	ck_assert(list.n == 1 && list.jobs[0].wait == RANQ_SCHED_NEVER && strstr(list.jobs[0].reason, "Can Never Run"));
	free(sample.text);
	sample = load("pbs-qstat-x-json-finished");
	ranq_sched_list_clear(&list);
	ck_assert_int_eq(ranq_pbs_parse_qstat(sample.text, strlen(sample.text), "eq-abc123", &list, &err), 0);
	ck_assert(list.n == 1 && list.jobs[0].state == RANQ_SCHED_ENDED);
	free(sample.text);
	sample = load("pbs-qstat-json-empty");
	ranq_sched_list_clear(&list);
	ck_assert_int_eq(ranq_pbs_parse_qstat(sample.text, strlen(sample.text), "x", &list, &err), 0);
	ck_assert_uint_eq(list.n, 0);
	free(sample.text);
}
END_TEST

START_TEST(the_token_is_in_the_name_of_the_output)
{
	static const char text[] =
		"{\"Jobs\":{\"8.h\":{\"Job_Name\":\"n\",\"job_state\":\"Q\",\"Output_Path\":"
		"\"login1:/home/u/.local/state/ranq/scale/r0badcafe-7.log\",\"Resource_List\":{\"nodect\":4}}}}";
	ck_assert_int_eq(ranq_pbs_parse_qstat(text, sizeof text - 1, "n", &list, &err), 0);
	ck_assert_str_eq(job_of("8.h")->token, "r0badcafe-7");
	ck_assert_uint_eq(job_of("8.h")->nodes, 4);
}
END_TEST

START_TEST(a_list_of_pbs_is_two_calls)
{
	struct sample mixed = load("pbs-qstat-json-mixed"), select = load("pbs-qselect");
	char *json = strchr(mixed.text, '{'), words[64];
	struct ranq_scheduler s = pbs();
	snprintf(words, sizeof words, "qstat: Unknown Job Id 999.pbs0\n");
	will_answer(select.text, NULL, select.status);
	will_answer(json, words, mixed.status); /* one ended between the two calls */
	ck_assert_int_eq(mixed.status, 153);
	ck_assert_int_eq(s.driver->list(s.self, "eq-abc123", &list, &err), 0);
	ck_assert_uint_eq(list.n, 1);
	ck_assert_str_eq(command_line, "qstat -E -f -F json 3.pbs0");
	s = pbs();
	will_answer("", NULL, 0);
	ranq_sched_list_clear(&list);
	ck_assert(s.driver->list(s.self, "n", &list, &err) == 0 && list.n == 0 && asked == 1);
	free(mixed.text);
	free(select.text);
}
END_TEST

START_TEST(pbs_that_cannot_be_read)
{
	static const char *const texts[] = {"", "garbage", "{", "[1]", "{\"Jobs\":[]}",
		"{\"Jobs\":{\"x y\":{\"Job_Name\":\"n\"}}}", "{\"Jobs\":{\"1.h\":{\"Job_Name\":\"n\"}}}",
		"{\"Jobs\":{\"1.h\":{\"Job_Name\":\"n\",\"job_state\":7}}}"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct ranq_scheduler s = pbs();
		will_answer("1.h\n", NULL, 0);
		will_answer(texts[i], NULL, 0);
		ck_assert_msg(
			s.driver->list(s.self, "n", &list, &err) == -1 && err.code == RANQ_ERR_SERVER, "text %zu", i);
		ranq_sched_list_clear(&list);
	}
	struct ranq_scheduler s = pbs();
	will_answer("1.h\n; reboot\n", NULL, 0);
	ck_assert(s.driver->list(s.self, "n", &list, &err) == -1 && asked == 1);
	s = pbs();
	will_answer("", "Connection refused\nqselect: cannot connect to server pbs0 (errno=15010)\n", 162);
	ck_assert(s.driver->list(s.self, "n", &list, &err) == -1 && err.code == RANQ_ERR_SERVER);
}
END_TEST

START_TEST(qsub_and_qdel_as_recorded)
{
	char id[RANQ_SCHED_ID_MAX + 1];
	struct sample sample = load("pbs-qsub-badqueue");
	struct ranq_scheduler s = pbs();
	will_answer("", sample.text, sample.status);
	ck_assert(submit(s, id) == -1 && err.code == RANQ_ERR_INPUT);
	ck_assert_str_eq(err.text, "qsub: Unknown queue");
	free(sample.text);
	sample = load("pbs-qsub-ok");
	s = pbs();
	will_answer(sample.text, NULL, 0);
	ck_assert(submit(s, id) == 0 && strcmp(id, "7.pbs0") == 0);
	ck_assert_str_eq(command_line, "qsub -f -N ranq-1 -o /d/rtoken-1.log -j oe -p main /s.sh");
	free(sample.text);
	s = pbs();
	will_answer("", "Connection refused\nqsub: cannot connect to server pbs0 (errno=15010)\n", 162);
	ck_assert(submit(s, id) == -1 && err.code == RANQ_ERR_SERVER);
	answers[nanswers++].fails = RANQ_ERR_SERVER;
	ck_assert(submit(s, id) == -1 && err.code == RANQ_ERR_UNKNOWN);
	sample = load("pbs-qdel-again");
	s = pbs();
	will_answer("", sample.text, sample.status);
	ck_assert_int_eq(s.driver->cancel(s.self, "4.pbs0", false, &err), 0);
	free(sample.text);
}
END_TEST

START_TEST(ends_of_pbs_jobs)
{
	static const struct {
		int status;
		enum ranq_sched_state state;
	} rows[] = {{0, RANQ_SCHED_ENDED}, {271, RANQ_SCHED_ENDED}, {-29, RANQ_SCHED_ENDED}, {-11, RANQ_SCHED_ENDED},
		{2, RANQ_SCHED_FAILED}, {-20, RANQ_SCHED_FAILED}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[256];
		snprintf(text, sizeof text,
			"{\"Jobs\":{\"1.h\":{\"Job_Name\":\"n\",\"job_state\":\"F\",\"Exit_status\":%d}}}",
			rows[i].status);
		ranq_sched_list_clear(&list);
		ck_assert_int_eq(ranq_pbs_parse_qstat(text, strlen(text), "n", &list, &err), 0);
		ck_assert_int_eq(list.jobs[0].state, rows[i].state);
	}
}
END_TEST

/* ---- running programs ---- */

static int run_shell(const char *script, int timeout_ms, struct ranq_tool_result *result)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	memset(result, 0, sizeof *result);
	return ranq_tools.run(NULL, argv, timeout_ms, result, &err);
}

START_TEST(programs_are_bounded)
{
	struct ranq_tool_result result;
	char words[200];
	ck_assert_int_eq(run_shell("echo out; echo 'x: error: bad' >&2; exit 7", 10000, &result), 0);
	ck_assert_int_eq(result.status, 7);
	ck_assert_str_eq(ranq_buf_cstr(&result.out), "out\n");
	ranq_tool_words(&result, words, sizeof words);
	ck_assert_str_eq(words, "bad");
	ranq_tool_result_clear(&result);
	int64_t before_ms = ranq_clock_ms();
	ck_assert_int_eq(run_shell("sleep 60 & sleep 60", 200, &result), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	ck_assert_int_lt(ranq_clock_ms() - before_ms, 5000);
	ranq_tool_result_clear(&result);
	ck_assert_int_eq(run_shell("exec cat /dev/zero", 20000, &result), -1);
	ck_assert(err.code == RANQ_ERR_SERVER && strstr(err.text, "MiB"));
	ranq_tool_result_clear(&result);
	ck_assert_int_eq(run_shell("head -c 10000000 /dev/zero >&2; echo out", 20000, &result), 0); /* dropped */
	ck_assert_str_eq(ranq_buf_cstr(&result.out), "out\n");
	ranq_tool_result_clear(&result);
	const char *const nothing[] = {"/nonexistent/squeue", NULL};
	ck_assert_int_eq(ranq_tools.run(NULL, nothing, 1000, &result, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ranq_tool_result_clear(&result);
}
END_TEST

START_TEST(the_environment_is_clean)
{
	struct ranq_tool_result result;
	setenv("SQUEUE_STATES", "PENDING", 1);
	setenv("SLURM_JOB_ID", "7", 1);
	setenv("SLURM_CONF", "/c", 1);
	setenv("LC_ALL", "de_DE.UTF-8", 1);
	ck_assert_int_eq(run_shell("echo $SQUEUE_STATES-$SLURM_JOB_ID-$SLURM_CONF-$LC_ALL", 10000, &result), 0);
	ck_assert_str_eq(ranq_buf_cstr(&result.out), "--/c-C\n");
	ranq_tool_result_clear(&result);
}
END_TEST

/* ---- job scripts ---- */

START_TEST(templates)
{
	static const struct ranq_template_value values[] = {{"nodes", "4"}, {"join", "ranq join"}, {NULL}};
	static const struct {
		const char *text, *want;
	} rows[] = {{"n=@nodes@\n@join@", "n=4\nranq join"}, {"mail me@host.org and @@ @", "mail me@host.org and @ @"},
		{"--signal=B:USR1@120\n@nodes@", "--signal=B:USR1@120\n4"},
		{"${x} {nodes} $nodes", "${x} {nodes} $nodes"}, {"", ""}};
	struct ranq_buf out;
	ranq_buf_init(&out, 1000);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ranq_buf_reset(&out);
		ck_assert_int_eq(ranq_template_fill(rows[i].text, values, &out, &err), 0);
		ck_assert_str_eq(ranq_buf_cstr(&out), rows[i].want);
	}
	ranq_buf_reset(&out);
	ck_assert_int_eq(ranq_template_fill("a\nb\n@node@", values, &out, &err), -1);
	ck_assert_str_eq(err.text, "line 3 of the template: there is no variable '@node@'; there are @nodes@ @join@");
	ranq_buf_reset(&out);
	ranq_template_quote(&out, "it's $HOME");
	ck_assert_str_eq(ranq_buf_cstr(&out), "'it'\\''s $HOME'");
	ranq_buf_reset(&out);
	ranq_template_quote(&out, "");
	ranq_template_quote(&out, "plain-1.2");
	ck_assert_str_eq(ranq_buf_cstr(&out), "''plain-1.2");
	ranq_buf_clear(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drivers of scaling");
	TCase *tcase = tcase_create("drivers");
	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, squeue_as_recorded);
	tcase_add_test(tcase, squeue_is_one_call_for_all);
	tcase_add_test(tcase, squeue_that_cannot_be_read);
	tcase_add_test(tcase, sbatch_as_recorded);
	tcase_add_test(tcase, scancel_as_recorded);
	tcase_add_test(tcase, reasons_that_pass_and_that_do_not);
	tcase_add_test(tcase, qstat_as_recorded);
	tcase_add_test(tcase, the_token_is_in_the_name_of_the_output);
	tcase_add_test(tcase, a_list_of_pbs_is_two_calls);
	tcase_add_test(tcase, pbs_that_cannot_be_read);
	tcase_add_test(tcase, qsub_and_qdel_as_recorded);
	tcase_add_test(tcase, ends_of_pbs_jobs);
	tcase_add_test(tcase, programs_are_bounded);
	tcase_add_test(tcase, the_environment_is_clean);
	tcase_add_test(tcase, templates);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

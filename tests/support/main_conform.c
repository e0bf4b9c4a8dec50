/* main_conform.c - `main_conform fake|local|slurm|pbs`: one conformance test for all drivers of scaling, TAP on stdout.
 * slurm and pbs are whatever sbatch and qsub in PATH belong to. CONFORM_OPTIONS: words for every submission (a queue,
 * an account). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/common/scale_local.h"
#include "launcher/common/spawn.h"
#include "launcher/common/tools.h"
#include "pbs/pbs.h"
#include "slurm/slurm.h"
#include "tests/support/sim_cluster.h"
#include "util/clock.h"

#define LIMIT_MS 60000

static struct ranq_scheduler scheduler;
static struct sim_cluster *sim; /* of the fake one: time passes by our word */
static char dir[] = "/tmp/ranq-conform-XXXXXX", script[64];
static unsigned checks, failed;
static struct ranq_err err;

static bool check(bool good, const char *what)
{
	checks++;
	failed += !good;
	printf("%s %u - %s: %s\n", good ? "ok" : "not ok", checks, scheduler.driver->name, what);
	if (!good && *err.text)
		printf("# %s\n", err.text);
	*err.text = '\0';
	return good;
}

static void pass_time(void)
{
	if (sim)
		sim_cluster_pass(sim, 1000);
	else
		ranq_spawn_nap(100);
}

/* ---- asking ---- */

static struct ranq_sched_list list;

static bool ask(const char *name)
{
	ranq_sched_list_clear(&list);
	return scheduler.driver->list(scheduler.self, name, &list, &err) == 0;
}

static const struct ranq_sched_job *find(const char *name, const char *id)
{
	if (!ask(name))
		return NULL;
	for (size_t i = 0; i < list.n; i++)
		if (strcmp(list.jobs[i].id, id) == 0)
			return &list.jobs[i];
	return NULL;
}

static bool is_over(const char *name, const char *id)
{
	const struct ranq_sched_job *job = find(name, id);
	return !*err.text && (!job || job->state == RANQ_SCHED_ENDED || job->state == RANQ_SCHED_FAILED);
}

static bool is_running(const char *name, const char *id)
{
	const struct ranq_sched_job *job = find(name, id);
	return job && job->state == RANQ_SCHED_RUNNING;
}

static bool await(bool (*condition)(const char *, const char *), const char *name, const char *id)
{
	int64_t end_ms = ranq_clock_ms() + LIMIT_MS;
	while (!condition(name, id)) {
		if (ranq_clock_ms() > end_ms)
			return false;
		pass_time();
	}
	return true;
}

static int submit(const char *name, const char *token, const char *path, const char *const *options, size_t noptions,
	char id[RANQ_SCHED_ID_MAX + 1])
{
	char log[128];
	const char *words[16];
	size_t n = 0;
	static char given[256];
	snprintf(given, sizeof given, "%s", getenv("CONFORM_OPTIONS") ? getenv("CONFORM_OPTIONS") : "");
	for (char *word = strtok(given, " "); word && n < 8; word = strtok(NULL, " "))
		words[n++] = word;
	for (size_t i = 0; i < noptions; i++)
		words[n++] = options[i];
	snprintf(log, sizeof log, "%s/%s.log", dir, token);
	struct ranq_sched_request request = {
		.name = name, .token = token, .script = path, .log = log, .options = words, .noptions = n};
	return scheduler.driver->submit(scheduler.self, &request, id, &err);
}

/* ---- the test ---- */

static void test_two_jobs(const char *name, const char *other)
{
	char a[RANQ_SCHED_ID_MAX + 1] = "", b[RANQ_SCHED_ID_MAX + 1] = "", unknown[RANQ_SCHED_ID_MAX + 16];
	if (!check(submit(name, "rconform-1", script, NULL, 0, a) == 0, "a job is taken"))
		return;
	check(ranq_sched_id_ok(a), "its id is one");
	const struct ranq_sched_job *job = find(name, a);
	check(job && strcmp(job->token, "rconform-1") == 0 && job->nodes >= 1, "it is listed with our token");
	check(job && list.n == 1 && (job->state == RANQ_SCHED_PENDING || job->state == RANQ_SCHED_RUNNING),
		"alone, and alive");
	check(await(is_running, name, a), "it runs");
	check(submit(name, "rconform-2", script, NULL, 0, b) == 0 && strcmp(a, b) != 0, "a second one gets another id");
	check(find(name, b) && list.n == 2, "both are listed");
	check(ask(other) && list.n == 0, "but not under another name");
	check(scheduler.driver->cancel(scheduler.self, a, false, &err) == 0, "the first is cancelled");
	check(await(is_over, name, a), "and ends");
	check(!is_over(name, b), "the second does not");
	check(scheduler.driver->cancel(scheduler.self, a, false, &err) == 0, "cancelling what is over is no error");
	snprintf(unknown, sizeof unknown, "999999%s", a + strspn(a, "0123456789"));
	check(scheduler.driver->cancel(scheduler.self, unknown, true, &err) == 0, "nor what never was");
	check(scheduler.driver->cancel(scheduler.self, b, false, &err) == 0 && await(is_over, name, b),
		"the second ends");
}

static void test_refusals(const char *name)
{
	char id[RANQ_SCHED_ID_MAX + 1];
	check(submit(name, "rconform-3", "/nonexistent/script", NULL, 0, id) == -1 && err.code == RANQ_ERR_INPUT &&
			*err.text,
		"a refusal is one, with words");
	check(ask(name), "and can be followed by a list");
	for (size_t i = 0; i < list.n; i++)
		check(strcmp(list.jobs[i].token, "rconform-3") != 0, "without it");
}

static void test_pending(const char *name)
{
	static const char *const held[] = {"--hold", "-N", "2"}, *const fake[] = {"2"};
	char id[RANQ_SCHED_ID_MAX + 1];
	if (!scheduler.driver->shrink)
		return;
	if (sim)
		sim->wait_ms = 1000000000;
	if (!check((sim ? submit(name, "rconform-4", script, fake, 1, id)
			: submit(name, "rconform-4", script, held, 3, id)) == 0,
		    "a job that will wait"))
		return;
	const struct ranq_sched_job *job = find(name, id);
	check(job && job->state == RANQ_SCHED_PENDING && job->nodes == 2, "waits, with two nodes");
	check(sim || (job && job->wait == RANQ_SCHED_LIMIT && *job->reason), "and says why");
	check(scheduler.driver->shrink(scheduler.self, id, 1, &err) == 0, "it can be made smaller");
	job = find(name, id);
	check(job && job->nodes == 1, "and is");
	check(scheduler.driver->cancel(scheduler.self, id, true, &err) == 0 && await(is_over, name, id),
		"and taken back");
}

static void choose(const char *which)
{
	static struct ranq_slurm slurm;
	static struct ranq_pbs pbs;
	static struct ranq_scale_local local;
	if (strcmp(which, "slurm") == 0) {
		scheduler = ranq_slurm_scheduler(&slurm, &ranq_tools);
	} else if (strcmp(which, "pbs") == 0) {
		scheduler = ranq_pbs_scheduler(&pbs, &ranq_tools);
	} else if (strcmp(which, "local") == 0) {
		scheduler = ranq_scale_local_scheduler(&local);
	} else if (strcmp(which, "fake") == 0) {
		sim = malloc(sizeof *sim);
		if (sim)
			sim_cluster_init(sim, 1);
		scheduler = (struct ranq_scheduler){&sim_cluster_driver, sim};
	}
}

static int make_script(void)
{
	FILE *file;
	if (!mkdtemp(dir))
		return -1;
	chmod(dir, 0755);
	snprintf(script, sizeof script, "%s/job.sh", dir);
	file = fopen(script, "we");
	if (!file)
		return -1;
	fputs("#!/bin/sh\nsleep 300\n", file);
	chmod(script, 0755);
	return fclose(file);
}

static void remove_files(void)
{
	static const char *const names[] = {"job.sh", "rconform-1.log", "rconform-2.log", "rconform-4.log"};
	char path[128];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

int main(int argc, char **argv)
{
	char name[RANQ_SCHED_NAME_MAX + 1];
	struct ranq_buf text;
	if (argc == 2)
		choose(argv[1]);
	if (!scheduler.driver || make_script()) {
		fprintf(stderr, "usage: main_conform fake|local|slurm|pbs\n");
		return 2;
	}
	snprintf(name, sizeof name, "rqc%d", (int)getpid());
	ranq_buf_init(&text, 1000);
	check(scheduler.driver->describe(scheduler.self, &text, &err) == 0 && text.len > 0, "describes itself");
	printf("# %s\n", ranq_buf_cstr(&text));
	ranq_buf_clear(&text);
	check(ask(name) && list.n == 0, "nothing of this name is there");
	test_two_jobs(name, "rqother");
	test_refusals(name);
	test_pending(name);
	ranq_sched_list_clear(&list);
	if (sim)
		sim_cluster_clear(sim);
	free(sim);
	remove_files();
	printf("1..%u\n", checks);
	return failed ? 1 : 0;
}

/* allocation.c - environment first, then one question to the scheduler for what the environment does not tell (both
 * leave out the end). Slurm: %e moves at once when a job is preempted or its limit changed, %L does not, hence %e. */
#include "common/allocation.h"

#include <ctype.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/local.h"
#include "common/spawn.h"
#include "util/buf.h"

#define ASK_LIMIT_MS 10000
#define ANSWER_MAX (4 << 20)

const char *ranq_scheduler_name(enum ranq_scheduler_kind scheduler)
{
	static const char *const names[] = {"none", "slurm", "pbs"};
	return names[scheduler];
}

/* "2026-11-20T06:31:18" (local time); 0: unknown. */
static int64_t parse_iso(const char *text)
{
	struct tm when = {.tm_isdst = -1};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);
	time_t at = end && *end == '\0' ? mktime(&when) : (time_t)-1;
	return at == (time_t)-1 ? 0 : (int64_t)at;
}

static bool is_node_text(const char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("-_.,[]", *text))
			return false;
	return true;
}

int ranq_allocation_parse_squeue(const char *text, struct ranq_allocation *allocation)
{
	char line[8192], *fields[5], *state = NULL;
	size_t n = 0, len = strcspn(text, "\n");
	if (len == 0 || len >= sizeof line)
		return -1;
	memcpy(line, text, len);
	line[len] = '\0';
	for (char *field = strtok_r(line, "|", &state); field && n < 5; field = strtok_r(NULL, "|", &state))
		fields[n++] = field;
	if (n != 4 || !is_node_text(fields[1]) || *fields[1] == '-')
		return -1;
	char *end_nodes, *end_cpus;
	unsigned long nnodes = strtoul(fields[2], &end_nodes, 10), cpus = strtoul(fields[3], &end_cpus, 10);
	if (*end_nodes || *end_cpus || nnodes < 1 || nnodes > 1000000 || cpus < 1 || cpus > 100000000)
		return -1;
	char *nodes = strdup(fields[1]);
	if (!nodes)
		return -1;
	free(allocation->nodes);
	allocation->nodes = nodes;
	allocation->nnodes = (unsigned)nnodes;
	allocation->cpus = (unsigned)cpus;
	allocation->end_s = parse_iso(fields[0]);
	return 0;
}

static unsigned env_number(const char *name)
{
	const char *text = getenv(name);
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;
	return value <= 100000000 ? (unsigned)value : 0;
}

/* "h[1-3]" -> "h1,h2,h3", by Slurm itself, whose grammar this is; kept as it is when that does not work. */
static void expand_slurm_nodes(struct ranq_allocation *allocation)
{
	const char *const argv[] = {"scontrol", "show", "hostnames", allocation->nodes, NULL};
	struct ranq_buf out;
	if (!allocation->nodes || !strchr(allocation->nodes, '['))
		return;
	ranq_buf_init(&out, ANSWER_MAX);
	if (ranq_spawn_capture(argv, ASK_LIMIT_MS, &out, NULL) == 0 && out.len) {
		char *names = strdup(ranq_buf_cstr(&out));
		for (char *c = names; c && *c; c++)
			if (*c == '\n')
				*c = c[1] ? ',' : '\0';
		if (names && is_node_text(names)) {
			free(allocation->nodes);
			allocation->nodes = names;
			names = NULL;
		}
		free(names);
	}
	ranq_buf_clear(&out);
}

unsigned ranq_allocation_parse_cpus(const char *text)
{
	uint64_t sum = 0;
	while (*text) {
		unsigned cpus, times = 1;
		int at = 0;
		if (!isdigit((unsigned char)*text) || sscanf(text, "%9u%n", &cpus, &at) != 1)
			return 0;
		text += at;
		if (*text == '(') {
			at = 0;
			if (sscanf(text, "(x%9u)%n", &times, &at) != 1 || at == 0)
				return 0;
			text += at;
		}
		sum += (uint64_t)cpus * times;
		if (sum > 100000000 || (*text && *text != ','))
			return 0;
		text += *text == ',';
	}
	return (unsigned)sum;
}

/* NAME_HET_GROUP_K of the environment, "" if there is none. */
static const char *of_component(const char *name, unsigned component)
{
	char variable[80];
	snprintf(variable, sizeof variable, "%s_HET_GROUP_%u", name, component);
	const char *value = getenv(variable);
	return value ? value : "";
}

/* A heterogeneous job: all components are one allocation. Their nodes stand in the environment only, since squeue tells those of
 * one component; a node that is gone stays in the list. */
static void find_components(struct ranq_allocation *allocation)
{
	unsigned size = env_number("SLURM_HET_SIZE"), cpus = 0, nnodes = 0;
	struct ranq_buf nodes;
	if (size < 2 || size > RANQ_COMPONENTS_MAX)
		return;
	ranq_buf_init(&nodes, ANSWER_MAX);
	for (unsigned k = 0; k < size; k++) {
		unsigned here = ranq_allocation_parse_cpus(of_component("SLURM_JOB_CPUS_PER_NODE", k));
		ranq_buf_printf(&nodes, "%s%s", nodes.len ? "," : "", of_component("SLURM_JOB_NODELIST", k));
		nnodes += (unsigned)strtoul(of_component("SLURM_JOB_NUM_NODES", k), NULL, 10);
		allocation->component_cpus[k] = here ? here : 1;
		cpus += allocation->component_cpus[k];
	}
	char *list = !ranq_buf_failed(&nodes) && is_node_text(ranq_buf_cstr(&nodes)) ? strdup(ranq_buf_cstr(&nodes)) : NULL;
	ranq_buf_clear(&nodes);
	if (!list || nnodes < size || nnodes > 1000000) {
		free(list);
		return;
	}
	free(allocation->nodes);
	allocation->nodes = list;
	allocation->nnodes = nnodes;
	allocation->cpus = cpus;
	allocation->ncomponents = size;
}

/* The line of squeue about the job, into *allocation; what squeue does not tell stays as it is. */
static void ask_slurm(const char *job, struct ranq_allocation *allocation)
{
	const char *const argv[] = {"squeue", "-h", "-j", job, "-o", "%e|%N|%D|%C", NULL};
	struct ranq_buf out;
	ranq_buf_init(&out, ANSWER_MAX);
	if (ranq_spawn_capture(argv, ASK_LIMIT_MS, &out, NULL) == 0)
		ranq_allocation_parse_squeue(ranq_buf_cstr(&out), allocation);
	ranq_buf_clear(&out);
}

static void find_slurm(struct ranq_allocation *allocation)
{
	const char *job = getenv("SLURM_JOB_ID"), *nodes = getenv("SLURM_JOB_NODELIST");
	unsigned restarts = env_number("SLURM_RESTART_COUNT");
	allocation->scheduler = RANQ_SCHEDULER_SLURM;
	snprintf(allocation->job_id, sizeof allocation->job_id, "%s", job);
	snprintf(allocation->id, sizeof allocation->id, restarts ? "slurm:%.90s.%u" : "slurm:%.90s", job, restarts);
	allocation->nodes = nodes && is_node_text(nodes) ? strdup(nodes) : NULL;
	allocation->nnodes = env_number("SLURM_NNODES");
	allocation->cpus = env_number("SLURM_CPUS_ON_NODE") * (allocation->nnodes ? allocation->nnodes : 1);
	ask_slurm(job, allocation);
	find_components(allocation);
	expand_slurm_nodes(allocation);
}

bool ranq_allocation_parse_preempted(const char *text)
{
	static const char name[] = " PreemptTime=";
	const char *at = strstr(text, name);
	return at && isdigit((unsigned char)at[sizeof name - 1]);
}

bool ranq_allocation_preempted(const struct ranq_allocation *allocation)
{
	const char *const argv[] = {"scontrol", "-o", "show", "job", allocation->job_id, NULL};
	struct ranq_buf out;
	bool preempted = false;
	if (allocation->scheduler != RANQ_SCHEDULER_SLURM)
		return false;
	ranq_buf_init(&out, ANSWER_MAX);
	if (ranq_spawn_capture(argv, ASK_LIMIT_MS, &out, NULL) == 0)
		preempted = ranq_allocation_parse_preempted(ranq_buf_cstr(&out));
	ranq_buf_clear(&out);
	return preempted;
}

static int64_t parse_hms(const char *text)
{
	unsigned hours, minutes, seconds;
	char rest;
	if (strspn(text, "0123456789:") != strlen(text) ||
		sscanf(text, "%6u:%2u:%2u%c", &hours, &minutes, &seconds, &rest) != 3)
		return 0;
	return (int64_t)hours * 3600 + minutes * 60 + seconds;
}

int64_t ranq_allocation_parse_qstat(const char *text, unsigned *restarts)
{
	json_t *root = json_loads(text, 0, NULL), *jobs = json_object_get(root, "Jobs"), *job;
	const char *id;
	int64_t end_s = 0;
	*restarts = 0;
	json_object_foreach(jobs, id, job)
	{
		json_int_t runs = json_integer_value(json_object_get(job, "run_count"));
		const char *start = json_string_value(json_object_get(job, "stime"));
		const char *limit =
			json_string_value(json_object_get(json_object_get(job, "Resource_List"), "walltime"));
		struct tm when = {.tm_isdst = -1};
		const char *rest = start ? strptime(start, "%a %b %d %H:%M:%S %Y", &when) : NULL;
		time_t at = rest && *rest == '\0' ? mktime(&when) : (time_t)-1;
		int64_t length = limit ? parse_hms(limit) : 0;
		if (at != (time_t)-1 && length > 0)
			end_s = (int64_t)at + length;
		*restarts = runs > 1 && runs <= 1000000 ? (unsigned)runs - 1 : 0;
		break;
	}
	json_decref(root);
	return end_s;
}

static bool has_node(const char *nodes, const char *name, size_t len)
{
	for (const char *at = nodes; (at = strstr(at, name)) != NULL; at += len)
		if ((at == nodes || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

int ranq_allocation_parse_nodefile(const char *text, unsigned cpus_here, struct ranq_allocation *allocation)
{
	struct ranq_buf nodes;
	unsigned lines = 0, nnodes = 0;
	ranq_buf_init(&nodes, ANSWER_MAX);
	while (*text) {
		char name[256];
		size_t len = strcspn(text, "\n");
		if (len > 0 && len < sizeof name) {
			memcpy(name, text, len);
			name[len] = '\0';
			lines++;
			if (is_node_text(name) && !has_node(ranq_buf_cstr(&nodes), name, len)) {
				ranq_buf_printf(&nodes, "%s%s", nnodes ? "," : "", name);
				nnodes++;
			}
		}
		text += len + (text[len] == '\n');
	}
	char *list = nnodes && !ranq_buf_failed(&nodes) ? strdup(ranq_buf_cstr(&nodes)) : NULL;
	ranq_buf_clear(&nodes);
	if (!list)
		return -1;
	free(allocation->nodes);
	allocation->nodes = list;
	allocation->nnodes = nnodes;
	/* mpiprocs=1 with ncpus=4 gives one line for four cpus */
	allocation->cpus = cpus_here * nnodes > lines ? cpus_here * nnodes : lines;
	return 0;
}

static void read_nodefile(struct ranq_allocation *allocation)
{
	const char *path = getenv("PBS_NODEFILE");
	FILE *file = path ? fopen(path, "re") : NULL;
	struct ranq_buf text;
	char bytes[4096];
	size_t got;
	ranq_buf_init(&text, ANSWER_MAX);
	while (file && (got = fread(bytes, 1, sizeof bytes, file)) > 0)
		ranq_buf_add(&text, bytes, got);
	if (file)
		fclose(file);
	ranq_allocation_parse_nodefile(ranq_buf_cstr(&text), env_number("NCPUS"), allocation);
	ranq_buf_clear(&text);
}

static int64_t ask_pbs(const char *job, unsigned *restarts)
{
	static const char *const names[] = {"qstat", NULL};
	char *qstat = ranq_spawn_find_path(names);
	const char *const argv[] = {qstat ? qstat : "/opt/pbs/bin/qstat", "-f", "-F", "json", job, NULL};
	struct ranq_buf out;
	int64_t end_s = 0;
	*restarts = 0;
	ranq_buf_init(&out, ANSWER_MAX);
	if (ranq_spawn_capture(argv, ASK_LIMIT_MS, &out, NULL) >= 0)
		end_s = ranq_allocation_parse_qstat(ranq_buf_cstr(&out), restarts);
	ranq_buf_clear(&out);
	free(qstat);
	return end_s;
}

static void find_pbs(struct ranq_allocation *allocation)
{
	const char *job = getenv("PBS_JOBID");
	unsigned restarts;
	allocation->scheduler = RANQ_SCHEDULER_PBS;
	snprintf(allocation->job_id, sizeof allocation->job_id, "%s", job);
	read_nodefile(allocation);
	allocation->end_s = ask_pbs(job, &restarts);
	snprintf(allocation->id, sizeof allocation->id, restarts ? "pbs:%.100s.%u" : "pbs:%.100s", job, restarts);
}

int64_t ranq_allocation_ask_end(const struct ranq_allocation *allocation)
{
	struct ranq_allocation now = {0};
	unsigned restarts;
	if (allocation->scheduler == RANQ_SCHEDULER_PBS)
		return ask_pbs(allocation->job_id, &restarts);
	if (allocation->scheduler == RANQ_SCHEDULER_SLURM)
		ask_slurm(allocation->job_id, &now);
	free(now.nodes);
	return now.end_s;
}

static bool set_in_env(const char *name)
{
	const char *value = getenv(name);
	return value && *value;
}

void ranq_allocation_find(struct ranq_allocation *allocation)
{
	char host[HOST_NAME_MAX + 1] = "localhost";
	*allocation = (struct ranq_allocation){.nnodes = 1};
	if (set_in_env("SLURM_JOB_ID"))
		find_slurm(allocation);
	else if (set_in_env("PBS_JOBID") && set_in_env("PBS_NODEFILE"))
		find_pbs(allocation);
	if (allocation->nnodes == 0)
		allocation->nnodes = 1;
	if (allocation->cpus == 0)
		allocation->cpus = ranq_local_default_ranks();
	if (*allocation->id)
		return;
	/* `ranq scale` on a machine without a scheduler tells its processes apart */
	const char *given = getenv("RANQ_ALLOCATION");
	if (given && strncmp(given, "local:", 6) == 0 && given[6] && is_node_text(given + 6) && strlen(given) < 64) {
		snprintf(allocation->id, sizeof allocation->id, "%s", given);
		return;
	}
	gethostname(host, sizeof host - 1);
	snprintf(allocation->id, sizeof allocation->id, "host:%.100s", host);
}

void ranq_allocation_clear(struct ranq_allocation *allocation)
{
	free(allocation->nodes);
	*allocation = (struct ranq_allocation){0};
}

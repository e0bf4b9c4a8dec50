/* give_back.c - see the header. */
#include "common/give_back.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"

#define OFFER_MAX (1 << 20)

/* ---- lists of names ---- */

static bool same_host(const char *a, const char *b)
{
	size_t len = strcspn(a, ".,");
	return len > 0 && len == strcspn(b, ".,") && strncmp(a, b, len) == 0;
}

static const char *next_name(const char *at)
{
	at += strcspn(at, ",");
	return at + (*at == ',');
}

static bool has_host(const char *list, const char *name)
{
	for (const char *at = list; *at; at = next_name(at))
		if (same_host(at, name))
			return true;
	return false;
}

static bool all_known(const char *nodes, const char *hosts, const char *here)
{
	for (const char *at = hosts; *at; at = next_name(at))
		if (!has_host(nodes, at) || same_host(at, here))
			return false;
	return *hosts != '\0';
}

static char *select_names(const char *nodes, const char *hosts, bool others, unsigned *n)
{
	struct ranq_buf out;
	char *text = NULL;
	*n = 0;
	ranq_buf_init(&out, strlen(nodes) + 1);
	for (const char *at = nodes; *at; at = next_name(at)) {
		if (has_host(hosts, at) == others)
			continue;
		ranq_buf_printf(&out, "%s%.*s", out.len ? "," : "", (int)strcspn(at, ","), at);
		++*n;
	}
	if (out.len && !ranq_buf_failed(&out))
		text = strdup(ranq_buf_cstr(&out));
	ranq_buf_clear(&out);
	return text;
}

char *ranq_give_back_select(const char *nodes, const char *hosts, const char *here, bool others)
{
	unsigned n;
	return all_known(nodes, hosts, here) ? select_names(nodes, hosts, others, &n) : NULL;
}

void ranq_give_back_leave_out(const struct ranq_give_back *give, struct ranq_allocation *allocation)
{
	unsigned n;
	char *left = give->gone && allocation->nodes ? select_names(allocation->nodes, give->gone, true, &n) : NULL;
	if (!left)
		return;
	allocation->cpus = (unsigned)((uint64_t)allocation->cpus * n / allocation->nnodes);
	allocation->cpus += allocation->cpus == 0;
	allocation->nnodes = n;
	free(allocation->nodes);
	allocation->nodes = left;
}

/* ---- the scheduler ---- */

static int call(const char *const *argv, const struct ranq_tools *tools, struct ranq_err *err)
{
	struct ranq_tool_result result = {0};
	int rc = tools->run(tools->user, argv, RANQ_SCHED_CALL_MS, &result, err);
	if (rc == 0 && result.status != 0) {
		char words[300];
		ranq_tool_words(&result, words, sizeof words);
		rc = ranq_err_set(err, RANQ_ERR_INPUT, "%s: %s", argv[0], words);
	}
	ranq_tool_result_clear(&result);
	return rc;
}

static int shrink_slurm(const char *job, const char *left, const struct ranq_tools *tools, struct ranq_err *err)
{
	char *id, *list = NULL;
	int rc = -1;
	if (asprintf(&id, "JobId=%s", job) < 0)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (asprintf(&list, "NodeList=%s", left) < 0)
		list = NULL;
	const char *const argv[] = {"scontrol", "update", id, list, NULL};
	rc = list ? call(argv, tools, err) : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	free(list);
	free(id);
	return rc;
}

static int shrink_pbs(const char *job, char *gone, unsigned most, const struct ranq_tools *tools, struct ranq_err *err)
{
	const char **argv = calloc((size_t)most + 4, sizeof *argv);
	char *state = NULL;
	size_t n = 0;
	if (!argv)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	argv[n++] = "pbs_release_nodes";
	argv[n++] = "-j";
	argv[n++] = job;
	for (char *name = strtok_r(gone, ",", &state); name && n < most + 3; name = strtok_r(NULL, ",", &state))
		argv[n++] = name;
	int rc = call(argv, tools, err);
	free(argv);
	return rc;
}

static int release(struct ranq_give_back *give, const struct ranq_allocation *allocation, const char *hosts,
	const struct ranq_tools *tools, struct ranq_err *err)
{
	char host[HOST_NAME_MAX + 1] = "";
	gethostname(host, sizeof host - 1);
	char *left = ranq_give_back_select(allocation->nodes, hosts, host, true);
	char *gone = ranq_give_back_select(allocation->nodes, hosts, host, false), *all = NULL;
	int rc = -1;
	if (!left || !gone)
		ranq_err_set(err, RANQ_ERR_INPUT, "the scheduler's names of the nodes are not those of the hosts");
	else if (asprintf(&all, "%s%s%s", give->gone ? give->gone : "", give->gone ? "," : "", gone) < 0)
		all = NULL, ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else if (allocation->scheduler == RANQ_SCHEDULER_SLURM)
		rc = shrink_slurm(allocation->job_id, left, tools, err);
	else
		rc = shrink_pbs(allocation->job_id, gone, allocation->nnodes, tools, err);
	if (rc == 0) {
		free(give->gone);
		give->gone = all;
		all = NULL;
	}
	free(all);
	free(left);
	free(gone);
	return rc;
}

/* ---- offers ---- */

void ranq_give_back_start(struct ranq_give_back *give, const struct ranq_allocation *allocation)
{
	const char *tmp = getenv("TMPDIR");
	free(give->offered);
	give->offered = NULL;
	give->number = 0;
	*give->path = '\0';
	if (allocation->scheduler == RANQ_SCHEDULER_NONE || !allocation->nodes || allocation->nnodes < 2 ||
		allocation->ncomponents)
		return;
	int len = snprintf(give->path, sizeof give->path, "%s/ranq-give-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	int fd = len < (int)sizeof give->path - 16 ? mkstemp(give->path) : -1;
	if (fd >= 0)
		close(fd);
	else
		*give->path = '\0';
}

/* Hosts of a new offer, owned; NULL: none. */
static char *read_offer(struct ranq_give_back *give)
{
	char path[sizeof give->path + 8], *hosts = NULL;
	unsigned number = 0;
	snprintf(path, sizeof path, "%s.offer", give->path);
	FILE *file = fopen(path, "re");
	char *line = file ? calloc(1, OFFER_MAX) : NULL, *end = NULL;
	if (line && fgets(line, OFFER_MAX, file))
		number = (unsigned)strtoul(line, &end, 10);
	if (number > 0 && number != give->number && *end == ' ' && strchr(end, '\n')) {
		end[strcspn(end, "\n")] = '\0';
		give->number = number;
		hosts = strdup(end + 1);
	}
	free(line);
	if (file)
		fclose(file);
	return hosts;
}

/* Whole or not at all: rank 0 may be reading. */
static void write_answer(const struct ranq_give_back *give, const char *word)
{
	char other[sizeof give->path + 8];
	snprintf(other, sizeof other, "%s.new", give->path);
	FILE *file = fopen(other, "we");
	if (!file)
		return;
	fprintf(file, "%u %s\n", give->number, word);
	if (fclose(file) != 0 || rename(other, give->path) != 0)
		unlink(other);
}

enum ranq_give_back_event ranq_give_back_look(struct ranq_give_back *give, const struct ranq_allocation *allocation,
	const struct ranq_tools *tools, struct ranq_err *err)
{
	char *hosts = *give->path && !give->offered ? read_offer(give) : NULL;
	if (!hosts)
		return RANQ_GIVE_BACK_NOTHING;
	if (!give->at_once) {
		give->offered = hosts;
		return RANQ_GIVE_BACK_DRAIN;
	}
	int rc = release(give, allocation, hosts, tools, err);
	write_answer(give, rc == 0 ? "taken" : "kept");
	free(hosts);
	return rc == 0 ? RANQ_GIVE_BACK_DONE : RANQ_GIVE_BACK_REFUSED;
}

int ranq_give_back_finish(struct ranq_give_back *give, const struct ranq_allocation *allocation,
	const struct ranq_tools *tools, struct ranq_err *err)
{
	int rc = release(give, allocation, give->offered, tools, err);
	free(give->offered);
	give->offered = NULL;
	return rc;
}

void ranq_give_back_stop(struct ranq_give_back *give)
{
	char offer[sizeof give->path + 8];
	if (!*give->path)
		return;
	snprintf(offer, sizeof offer, "%s.offer", give->path);
	unlink(offer);
	unlink(give->path);
	*give->path = '\0';
}

void ranq_give_back_clear(struct ranq_give_back *give)
{
	ranq_give_back_stop(give);
	free(give->offered);
	free(give->gone);
	*give = (struct ranq_give_back){0};
}

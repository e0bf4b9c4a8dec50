/* survivors.c - see the header. The questions run in parallel, at most BATCH at a time: dead nodes, the only slow ones,
 * are few. */
#include "common/survivors.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn.h"
#include "util/clock.h"

#define ASK_MS 5000
#define BATCH 128

struct node {
	char *name;
	pid_t pid; /* of the question; 0: none */
	bool here, answers;
};
struct nodes {
	struct node *at;
	size_t n;
};

static bool is_here(const char *name)
{
	char host[HOST_NAME_MAX + 1] = "";
	size_t len = strcspn(name, ".");
	gethostname(host, sizeof host - 1);
	return len == strcspn(host, ".") && strncmp(name, host, len) == 0;
}

static void clear(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->n; i++)
		free(nodes->at[i].name);
	free(nodes->at);
}

static int split(const char *list, unsigned most, struct nodes *nodes)
{
	nodes->at = calloc(most, sizeof *nodes->at);
	nodes->n = 0;
	while (nodes->at && *list && nodes->n < most) {
		size_t len = strcspn(list, ",");
		struct node *node = &nodes->at[nodes->n];
		node->name = strndup(list, len);
		if (!node->name)
			return -1;
		node->here = is_here(node->name);
		nodes->n++;
		list += len + (list[len] == ',');
	}
	return nodes->at ? 0 : -1;
}

static void ask(struct node *node, const char *agent, int null_fd)
{
	const char *const by_srun[] = {"srun", "--overlap", "--nodes=1", "--ntasks=1", "--nodelist", node->name, "true", NULL};
	const char *const by_agent[] = {agent, node->name, "true", NULL};
	struct ranq_spawn spawn = RANQ_SPAWN_INIT;
	spawn.argv = agent ? by_agent : by_srun;
	spawn.out_fd = spawn.err_fd = null_fd;
	spawn.session = true;
	pid_t pid = ranq_spawn_start(&spawn, NULL);
	node->pid = pid > 0 ? pid : 0;
}

static void hear(struct node *node, int64_t deadline_ms)
{
	int status;
	if (!node->pid)
		return;
	if (ranq_spawn_wait(node->pid, deadline_ms, &status))
		node->answers = status == 0;
	else
		ranq_spawn_stop(node->pid, 0);
	node->pid = 0;
}

static void ask_all(struct nodes *nodes, const char *agent)
{
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	for (size_t from = 0; from < nodes->n; from += BATCH) {
		size_t till = from + BATCH < nodes->n ? from + BATCH : nodes->n;
		for (size_t i = from; i < till; i++)
			ask(&nodes->at[i], agent, null_fd);
		int64_t deadline_ms = ranq_clock_ms() + ASK_MS;
		for (size_t i = from; i < till; i++)
			hear(&nodes->at[i], deadline_ms);
	}
	if (null_fd >= 0)
		close(null_fd);
}

/* Names of those that stay (or of the others), separated by commas; NULL: none, or no memory. */
static char *join_names(const struct nodes *nodes, bool alive)
{
	struct ranq_buf out;
	char *text = NULL;
	ranq_buf_init(&out, (size_t)nodes->n * 300 + 1);
	for (size_t i = 0; i < nodes->n; i++) {
		const struct node *node = &nodes->at[i];
		if ((node->here || node->answers) == alive)
			ranq_buf_printf(&out, "%s%s", out.len ? "," : "", node->name);
	}
	if (out.len && !ranq_buf_failed(&out))
		text = strdup(ranq_buf_cstr(&out));
	ranq_buf_clear(&out);
	return text;
}

static char *keep(struct ranq_allocation *allocation, const struct nodes *nodes, bool desperate)
{
	unsigned stay = 0, answered = 0;
	for (size_t i = 0; i < nodes->n; i++) {
		stay += nodes->at[i].here || nodes->at[i].answers;
		answered += nodes->at[i].answers;
	}
	if (stay == 0 || stay == nodes->n || (answered == 0 && !desperate))
		return NULL;
	char *left = join_names(nodes, true), *gone = join_names(nodes, false);
	if (!left || !gone) {
		free(left);
		free(gone);
		return NULL;
	}
	free(allocation->nodes);
	allocation->nodes = left;
	allocation->cpus = (unsigned)((uint64_t)allocation->cpus * stay / allocation->nnodes);
	allocation->cpus += allocation->cpus == 0;
	allocation->nnodes = stay;
	return gone;
}

char *ranq_survivors_keep(struct ranq_allocation *allocation, bool desperate)
{
	struct nodes nodes = {0};
	char *agent = NULL, *gone = NULL;
	if (!allocation->nodes || allocation->nnodes < 2 || allocation->ncomponents)
		return NULL;
	if (allocation->scheduler == RANQ_SCHEDULER_PBS && !(agent = ranq_spawn_find_own("ranq-pbs-rsh", "RANQ_PBS_RSH", NULL)))
		return NULL;
	if (split(allocation->nodes, allocation->nnodes, &nodes) == 0) {
		ask_all(&nodes, agent);
		gone = keep(allocation, &nodes, desperate);
	}
	clear(&nodes);
	free(agent);
	return gone;
}

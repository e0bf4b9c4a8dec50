/* scale_local.c - see scale_local.h. The id of an allocation is its token; it stands in the environment of its
 * processes, which is how a list, also of a later scaler, finds them: there is no state but the processes themselves.
 */
#include "common/scale_local.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/marked.h"
#include "common/spawn.h"

#define MARK "RANQ_SCALE="
#define SCRIPT_MAX 100000

/* "NAME/TOKEN" -> TOKEN, when the name is ours. */
static const char *token_of(const char *value, const char *name)
{
	size_t len = strlen(name);
	return strncmp(value, name, len) == 0 && value[len] == '/' ? value + len + 1 : NULL;
}

static char *read_script(const char *path, struct ranq_err *err)
{
	struct ranq_buf text;
	char bytes[4096];
	size_t got;
	FILE *file = fopen(path, "re");
	if (!file) {
		ranq_err_set(err, RANQ_ERR_INPUT, "cannot open '%s': %s", path, strerror(errno));
		return NULL;
	}
	ranq_buf_init(&text, SCRIPT_MAX);
	while ((got = fread(bytes, 1, sizeof bytes, file)) > 0)
		ranq_buf_add(&text, bytes, got);
	fclose(file);
	char *copy = ranq_buf_failed(&text) ? NULL : strdup(ranq_buf_cstr(&text));
	ranq_buf_clear(&text);
	if (!copy)
		ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is too long", path);
	return copy;
}

static int local_submit(
	void *self, const struct ranq_sched_request *request, char id[RANQ_SCHED_ID_MAX + 1], struct ranq_err *err)
{
	(void)self;
	char mark[128], allocation[HOST_NAME_MAX + 64];
	snprintf(mark, sizeof mark, MARK "%s/%s", request->name, request->token);
	snprintf(allocation, sizeof allocation, "RANQ_ALLOCATION=local:%s", request->token);
	const char *const env[] = {mark, allocation, NULL};
	/* the text, since the file is gone soon */
	char *script = read_script(request->script, err);
	if (!script)
		return -1;
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	int log = open(request->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0) {
		free(script);
		return ranq_err_sys(err, "cannot open '%s'", request->log);
	}
	struct ranq_spawn spawn = {
		.argv = argv, .env = env, .out_fd = log, .err_fd = log, .keep_fd = -1, .session = true};
	pid_t pid = ranq_spawn_start(&spawn, err);
	close(log);
	free(script);
	if (pid < 0)
		return -1;
	snprintf(id, RANQ_SCHED_ID_MAX + 1, "%s", request->token);
	return 0;
}

/* ---- list ---- */

struct search {
	const char *name;
	struct ranq_sched_list *list;
	bool failed;
};

static bool visit(pid_t pid, const char *value, void *arg)
{
	struct search *search = arg;
	const char *token = token_of(value, search->name);
	(void)pid;
	if (!token || !ranq_sched_id_ok(token) || strlen(token) > RANQ_SCHED_TOKEN_MAX)
		return true;
	for (size_t i = 0; i < search->list->n; i++)
		if (strcmp(search->list->jobs[i].id, token) == 0)
			return true;
	struct ranq_sched_job *job = ranq_sched_list_add(search->list);
	if (!job) {
		search->failed = true;
		return false;
	}
	snprintf(job->id, sizeof job->id, "%s", token);
	snprintf(job->token, sizeof job->token, "%s", token);
	job->state = RANQ_SCHED_RUNNING;
	job->nodes = 1;
	return true;
}

static int local_list(void *self, const char *name, struct ranq_sched_list *list, struct ranq_err *err)
{
	struct search search = {.name = name, .list = list};
	(void)self;
	while (waitpid(-1, NULL, WNOHANG) > 0) /* children that were started here and are over */
		;
	ranq_marked_each(MARK, visit, &search);
	return search.failed ? ranq_err_set(err, RANQ_ERR_SERVER, "too many processes") : 0;
}

/* ---- cancel ---- */

struct target {
	const char *token;
	pid_t leader;
	unsigned long long started;
};

/* The first leader of a session: the shell, or the `ranq join` that it became. mpirun leads another one. */
static bool find_leader(pid_t pid, const char *value, void *arg)
{
	struct target *target = arg;
	const char *slash = strchr(value, '/');
	unsigned long long started = ranq_marked_start_time(pid);
	if (!slash || strcmp(slash + 1, target->token) != 0 || getsid(pid) != pid)
		return true;
	if (target->leader == 0 || started < target->started) {
		target->leader = pid;
		target->started = started;
	}
	return true;
}

static int local_cancel(void *self, const char *id, bool pending, struct ranq_err *err)
{
	struct target target = {.token = id};
	(void)self, (void)pending, (void)err;
	ranq_marked_each(MARK, find_leader, &target);
	if (target.leader > 0) /* with a shell that waits for it, but not mpirun: TERM drains */
		kill(-target.leader, SIGTERM);
	return 0;
}

static int local_describe(void *self, struct ranq_buf *text, struct ranq_err *err)
{
	const struct ranq_scale_local *local = self;
	(void)err;
	ranq_buf_printf(text, "local: processes on %s", local->host);
	return 0;
}

const struct ranq_sched_driver ranq_scale_local_driver = {.name = "local",
	.submit = local_submit,
	.list = local_list,
	.cancel = local_cancel,
	.describe = local_describe};

struct ranq_scheduler ranq_scale_local_scheduler(struct ranq_scale_local *local)
{
	if (gethostname(local->host, sizeof local->host) < 0)
		snprintf(local->host, sizeof local->host, "localhost");
	local->host[sizeof local->host - 1] = '\0';
	return (struct ranq_scheduler){&ranq_scale_local_driver, local};
}

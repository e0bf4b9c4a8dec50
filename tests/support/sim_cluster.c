/* sim_cluster.c - see sim_cluster.h. */
#include "tests/support/sim_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sim_cluster_init(struct sim_cluster *c, uint64_t seed)
{
	memset(c, 0, sizeof *c);
	c->now_ms = 1000000000000;
	c->nodes = 16;
	c->ranks_per_node = 4;
	c->wait_ms = 20000;
	c->join_ms = 3000;
	c->walltime_ms = 3600000;
	c->idle_timeout_ms = 600000;
	c->task_ms = 10000;
	c->seed = seed * 2654435761 + 88172645463325252;
	c->want = -1;
}

void sim_cluster_clear(struct sim_cluster *c)
{
	free(c->saved);
	c->saved = NULL;
}

static uint64_t random_below(struct sim_cluster *c, uint64_t n)
{
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 7;
	c->seed ^= c->seed << 17;
	return (c->seed >> 11) % n;
}

static bool chance(struct sim_cluster *c, unsigned in_1000)
{
	return in_1000 > 0 && random_below(c, 1000) < in_1000;
}

unsigned sim_cluster_alive(const struct sim_cluster *c)
{
	unsigned n = 0;
	for (size_t i = 0; i < c->njobs; i++)
		n += c->jobs[i].state != SIM_OVER;
	return n;
}

/* ---- the driver ---- */

static struct sim_cluster_job *create(struct sim_cluster *c, const struct ranq_sched_request *request)
{
	if (c->njobs == SIM_CLUSTER_JOBS)
		abort();
	struct sim_cluster_job *job = &c->jobs[c->njobs];
	c->submit_times[c->njobs++] = c->now_ms;
	memset(job, 0, sizeof *job);
	snprintf(job->id, sizeof job->id, "%zu", c->njobs);
	snprintf(job->token, sizeof job->token, "%s", request->token);
	snprintf(job->name, sizeof job->name, "%s", request->name);
	job->nodes = request->noptions ? (unsigned)atoi(request->options[0]) : 1;
	job->submitted_ms = c->now_ms;
	job->eligible_ms = c->now_ms + (int64_t)random_below(c, 2 * (uint64_t)c->wait_ms + 1);
	job->never = c->never;
	job->fate = chance(c, c->fail_start) ? (chance(c, 500) ? SIM_FAILS : SIM_NEVER_JOINS) : SIM_HEALTHY;
	c->submits++;
	unsigned alive = sim_cluster_alive(c);
	c->most = alive > c->most ? alive : c->most;
	return job;
}

static int sim_submit(
	void *self, const struct ranq_sched_request *request, char id[RANQ_SCHED_ID_MAX + 1], struct ranq_err *err)
{
	struct sim_cluster *c = self;
	if (chance(c, c->crash)) {
		c->crashed = true;
		if (chance(c, 500))
			create(c, request);
		return ranq_err_set(err, RANQ_ERR_UNKNOWN, "nobody is there to read this");
	}
	if (c->down)
		return ranq_err_set(err, RANQ_ERR_SERVER, "unable to contact the controller");
	if (*request->script && access(request->script, R_OK) != 0)
		return ranq_err_set(err, RANQ_ERR_INPUT, "cannot read the script");
	if (chance(c, c->refuse))
		return ranq_err_set(err, RANQ_ERR_INPUT, "invalid partition");
	if (chance(c, c->lose))
		return ranq_err_set(err, RANQ_ERR_UNKNOWN, "socket timed out");
	struct sim_cluster_job *job = create(c, request);
	if (chance(c, c->phantom))
		return ranq_err_set(err, RANQ_ERR_UNKNOWN, "socket timed out");
	snprintf(id, RANQ_SCHED_ID_MAX + 1, "%s", job->id);
	return 0;
}

static int sim_list(void *self, const char *name, struct ranq_sched_list *list, struct ranq_err *err)
{
	struct sim_cluster *c = self;
	c->lists++;
	if (c->down || chance(c, c->list_fails))
		return ranq_err_set(err, RANQ_ERR_SERVER, "unable to contact the controller");
	for (size_t i = 0; i < c->njobs; i++) {
		const struct sim_cluster_job *from = &c->jobs[i];
		/* forgotten after a while, as a scheduler does */
		if (strcmp(from->name, name) != 0 || (from->state == SIM_OVER && c->now_ms - from->ended_ms > 60000))
			continue;
		struct ranq_sched_job *job = ranq_sched_list_add(list);
		if (!job)
			abort();
		snprintf(job->id, sizeof job->id, "%s", from->id);
		memcpy(job->token, from->token, sizeof job->token);
		job->nodes = from->nodes;
		job->start_ms = from->started_ms;
		job->end_ms = from->started_ms ? from->started_ms + c->walltime_ms : 0;
		job->state = from->state == SIM_WAITS  ? RANQ_SCHED_PENDING
			     : from->state == SIM_RUNS ? RANQ_SCHED_RUNNING
			     : from->failed            ? RANQ_SCHED_FAILED
						       : RANQ_SCHED_ENDED;
		if (from->never && from->state == SIM_WAITS) {
			job->wait = RANQ_SCHED_NEVER;
			snprintf(job->reason, sizeof job->reason, "PartitionTimeLimit");
		}
	}
	return 0;
}

static struct sim_cluster_job *find(struct sim_cluster *c, const char *id)
{
	size_t number = (size_t)atoi(id);
	return number >= 1 && number <= c->njobs ? &c->jobs[number - 1] : NULL;
}

static void end_job(struct sim_cluster *c, struct sim_cluster_job *job, bool failed)
{
	if (job->state == SIM_RUNS)
		c->node_ms += (int64_t)job->nodes * (c->now_ms - job->started_ms);
	job->state = SIM_OVER;
	job->failed = failed;
	job->ended_ms = c->now_ms;
}

static int sim_cancel(void *self, const char *id, bool pending, struct ranq_err *err)
{
	struct sim_cluster *c = self;
	struct sim_cluster_job *job = find(c, id);
	if (c->down)
		return ranq_err_set(err, RANQ_ERR_SERVER, "unable to contact the controller");
	if (job && job->state != SIM_OVER && !(pending && job->state == SIM_RUNS)) {
		c->cancels++;
		end_job(c, job, false);
	}
	return 0;
}

static int sim_shrink(void *self, const char *id, unsigned nodes, struct ranq_err *err)
{
	struct sim_cluster_job *job = find(self, id);
	if (!job || job->state != SIM_WAITS)
		return ranq_err_set(err, RANQ_ERR_INPUT, "it is not pending");
	job->nodes = nodes;
	return 0;
}

static int sim_describe(void *self, struct ranq_buf *text, struct ranq_err *err)
{
	(void)self, (void)err;
	ranq_buf_add_str(text, "a simulated cluster");
	return 0;
}

const struct ranq_sched_driver sim_cluster_driver = {.name = "fake",
	.submit = sim_submit,
	.list = sim_list,
	.cancel = sim_cancel,
	.shrink = sim_shrink,
	.describe = sim_describe};

/* ---- the queue ---- */

static int look(void *user, struct ranq_demand *demand, const struct ranq_bridge_info **bridges, size_t *n,
	enum ranq_scale_mode *mode, int *want, struct ranq_err *err)
{
	struct sim_cluster *c = user;
	(void)err;
	memset(demand, 0, sizeof *demand);
	demand->exists = true;
	demand->paused = c->paused;
	if (c->tasks > 0) {
		demand->ready = demand->n = 1;
		demand->jobs[0] = (struct ranq_demand_job){.job = 1,
			.tasks = c->tasks + c->done,
			.done = c->done,
			.leased = c->leased,
			.waiting = c->tasks - c->leased,
			.elapsed_us = c->done * (uint64_t)c->task_ms * 1000};
	}
	c->nbridges = 0;
	for (size_t i = 0; i < c->njobs && c->nbridges < 256; i++) {
		struct sim_cluster_job *job = &c->jobs[i];
		if (job->state != SIM_RUNS || c->now_ms < job->joins_ms || job->fate != SIM_HEALTHY)
			continue;
		struct ranq_bridge_info *bridge = &c->bridges[c->nbridges++];
		memset(bridge, 0, sizeof *bridge);
		snprintf(bridge->allocation, sizeof bridge->allocation, job->restarts ? "fake:%s.%u" : "fake:%s",
			job->id, job->restarts);
		bridge->ranks = job->nodes * c->ranks_per_node;
		bridge->idle = !job->busy;
		bridge->fragments = job->busy;
		bridge->draining = job->draining;
	}
	*bridges = c->bridges;
	*n = c->nbridges;
	*mode = c->mode;
	*want = c->want;
	return 0;
}

static int drain(void *user, const char *allocation, struct ranq_err *err)
{
	struct sim_cluster *c = user;
	struct sim_cluster_job *job = find(c, allocation + 5);
	if (!job || job->state != SIM_RUNS)
		return ranq_err_set(err, RANQ_ERR_NOTFOUND, "no such worker");
	c->drains += !job->draining;
	job->draining = true;
	return 0;
}

static int hold(void *user, int64_t ms, struct ranq_err *err)
{
	(void)user, (void)ms, (void)err;
	return 0;
}

static int save(void *user, const char *state, const char *const *lines, size_t nlines, struct ranq_err *err)
{
	struct sim_cluster *c = user;
	if (c->crashed)
		return ranq_err_set(err, RANQ_ERR_SERVER, "dead");
	free(c->saved);
	c->saved = strdup(state);
	for (size_t i = 0; i < nlines && c->verbose; i++)
		printf("# %7.1f s: %s\n", (double)(c->now_ms % 100000000) / 1000, lines[i]);
	return 0;
}

static int make_script(void *user, const char *token, struct ranq_sched_request *request, struct ranq_err *err)
{
	(void)token, (void)err;
	request->script = request->log = "";
	request->options = ((const struct sim_cluster *)user)->node_words;
	request->noptions = 1;
	return 0;
}

static void done(void *user, struct ranq_sched_request *request)
{
	(void)user, (void)request;
}

void sim_cluster_engine(struct sim_cluster *c, struct ranq_scale_engine *engine, const struct ranq_scale_limits *limits)
{
	*engine = (struct ranq_scale_engine){.limits = *limits,
		.scheduler = {&sim_cluster_driver, c},
		.door = {.look = look, .drain = drain, .hold = hold, .save = save, .user = c},
		.scripts = {.make = make_script, .done = done, .user = c},
		.name = "ranq-sim",
		.poll_ms = 30000};
	snprintf(c->node_text, sizeof c->node_text, "%u", limits->nodes);
	c->node_words[0] = c->node_text;
	ranq_scale_state_init(&engine->state);
	if (c->saved)
		ranq_scale_state_unpack(&engine->state, c->saved);
	ranq_scale_engine_init(engine);
	c->crashed = false;
}

/* ---- time ---- */

static unsigned nodes_used(const struct sim_cluster *c)
{
	unsigned n = 0;
	for (size_t i = 0; i < c->njobs; i++)
		n += c->jobs[i].state == SIM_RUNS ? c->jobs[i].nodes : 0;
	return n;
}

static void start_jobs(struct sim_cluster *c)
{
	unsigned used = nodes_used(c);
	for (size_t i = 0; i < c->njobs; i++) {
		struct sim_cluster_job *job = &c->jobs[i];
		if (job->state != SIM_WAITS || job->never || c->now_ms < job->eligible_ms ||
			used + job->nodes > c->nodes)
			continue;
		used += job->nodes;
		job->state = SIM_RUNS;
		job->started_ms = job->idle_since_ms = c->now_ms;
		job->joins_ms = c->now_ms + c->join_ms;
		job->draining = job->busy = false;
	}
}

/* One rank does one task at a time; an allocation takes as many as it has ranks. */
static void work(struct sim_cluster *c, struct sim_cluster_job *job)
{
	uint64_t ranks = (uint64_t)job->nodes * c->ranks_per_node;
	if (job->busy && c->now_ms >= job->busy_until_ms) {
		uint64_t n = c->leased < ranks ? c->leased : ranks;
		c->leased -= n;
		c->tasks -= n;
		c->done += n;
		job->busy = false;
		job->idle_since_ms = c->now_ms;
	}
	bool ends_first = c->now_ms + c->task_ms > job->started_ms + c->walltime_ms;
	if (!job->busy && !job->draining && !ends_first && !c->paused && c->tasks > c->leased) {
		uint64_t n = c->tasks - c->leased < ranks ? c->tasks - c->leased : ranks;
		c->leased += n;
		job->busy = true;
		job->busy_until_ms = c->now_ms + c->task_ms;
	}
}

static void give_back(struct sim_cluster *c, struct sim_cluster_job *job)
{
	uint64_t ranks = (uint64_t)job->nodes * c->ranks_per_node;
	if (job->busy)
		c->leased -= c->leased < ranks ? c->leased : ranks;
	job->busy = false;
}

static void live(struct sim_cluster *c, struct sim_cluster_job *job, int64_t dt_ms)
{
	bool joined = c->now_ms >= job->joins_ms && job->fate == SIM_HEALTHY;
	if (joined)
		work(c, job);
	if (c->now_ms >= job->started_ms + c->walltime_ms) {
		give_back(c, job);
		end_job(c, job, false);
	} else if (job->fate == SIM_FAILS && c->now_ms >= job->joins_ms) {
		c->failures++;
		end_job(c, job, true);
	} else if (joined && !job->busy && (job->draining || c->now_ms - job->idle_since_ms >= c->idle_timeout_ms)) {
		end_job(c, job, false);
	} else if (joined && chance(c, (unsigned)(c->preempt * (uint64_t)dt_ms / 60000))) {
		c->node_ms += (int64_t)job->nodes * (c->now_ms - job->started_ms);
		give_back(c, job);
		job->state = SIM_WAITS; /* requeued under the same id */
		job->restarts++;
		job->started_ms = 0;
		job->eligible_ms = c->now_ms + 120000;
	}
}

void sim_cluster_pass(struct sim_cluster *c, int64_t dt_ms)
{
	c->now_ms += dt_ms;
	start_jobs(c);
	for (size_t i = 0; i < c->njobs; i++)
		if (c->jobs[i].state == SIM_RUNS)
			live(c, &c->jobs[i], dt_ms);
}

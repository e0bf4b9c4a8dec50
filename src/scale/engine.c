/* engine.c - see engine.h. */
#include "scale/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/sha1.h"
#include "util/plural.h"

#define HOLD_MS 10000 /* beyond the longest that a turn without the scheduler, or a call of it, takes */
#define STATE_BYTES_MAX RANQ_SCALE_VALUE_MAX

void ranq_scale_engine_init(struct ranq_scale_engine *engine)
{
	engine->want = -1;
	engine->state.listed_ms = 0;
	engine->next_list_ms = 0;
}

static void drop_lines(struct ranq_scale_engine *engine)
{
	for (size_t i = 0; i < engine->nlines; i++)
		free(engine->lines[i]);
	engine->nlines = 0;
}

void ranq_scale_engine_clear(struct ranq_scale_engine *engine)
{
	drop_lines(engine);
	ranq_scale_state_clear(&engine->state);
}

static void note(void *user, const char *line)
{
	struct ranq_scale_engine *engine = user;
	if (engine->log)
		engine->log(engine->log_user, line);
	if (engine->nlines < RANQ_SCALE_LINES_MAX) {
		engine->lines[engine->nlines] = strdup(line);
		engine->nlines += engine->lines[engine->nlines] != NULL;
	}
}

static void tell(struct ranq_scale_engine *engine, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct ranq_scale_engine *engine, const char *format, ...)
{
	char line[500];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	note(engine, line);
}

/* ---- remembering ---- */

/* Writes the state when it has changed, and the lines. */
static int save(struct ranq_scale_engine *engine, struct ranq_err *err)
{
	struct ranq_buf text;
	char digest[sizeof engine->saved] = "";
	int rc = 0;
	if (engine->dry)
		return 0;
	ranq_buf_init(&text, STATE_BYTES_MAX);
	ranq_scale_state_pack(&engine->state, &text);
	if (ranq_buf_failed(&text))
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "too many allocations to remember");
	else
		ranq_sha1_hex(text.data, text.len, digest);
	if (rc == 0 && (engine->nlines || strcmp(digest, engine->saved) != 0)) {
		rc = engine->door.save(engine->door.user, ranq_buf_cstr(&text), (const char *const *)engine->lines,
			engine->nlines, err);
		if (rc == 0) {
			memcpy(engine->saved, digest, sizeof digest);
			drop_lines(engine);
		}
	}
	ranq_buf_clear(&text);
	return rc;
}

/* Before each call of the scheduler: nobody takes over while it may take effect. */
static int hold(struct ranq_scale_engine *engine, struct ranq_err *err)
{
	engine->held_long = true;
	return engine->dry ? 0 : engine->door.hold(engine->door.user, RANQ_SCHED_CALL_MS + HOLD_MS, err);
}

/* Whoever comes after us when we are killed shall not wait for longer than need be. */
static void hold_shorter(struct ranq_scale_engine *engine)
{
	struct ranq_err ignored;
	if (engine->held_long && !engine->dry)
		engine->door.hold(engine->door.user, HOLD_MS, &ignored);
	engine->held_long = false;
}

/* ---- looking ---- */

static int list(struct ranq_scale_engine *engine, int64_t now_ms, struct ranq_err *err)
{
	struct ranq_sched_list jobs = {0};
	const struct ranq_scheduler *scheduler = &engine->scheduler;
	if (now_ms < engine->next_list_ms && !engine->outage)
		return 0;
	if (now_ms < engine->next_list_ms)
		return 1; /* the outage goes on */
	if (hold(engine, err))
		return -1;
	engine->next_list_ms = now_ms + engine->poll_ms;
	int rc = scheduler->driver->list(scheduler->self, engine->name, &jobs, err);
	if (rc == 0)
		rc = ranq_scale_state_listed(&engine->state, &jobs, now_ms, now_ms, note, engine, err);
	ranq_sched_list_clear(&jobs);
	if (rc && !engine->outage)
		tell(engine, "cannot ask the scheduler: %.300s; work goes on, scaling waits", err->text);
	else if (rc == 0 && engine->outage)
		tell(engine, "the scheduler answers again");
	engine->outage = rc != 0;
	return rc ? 1 : 0;
}

/* ---- acting ---- */

static int submit(
	struct ranq_scale_engine *engine, const struct ranq_scale_action *action, int64_t now_ms, struct ranq_err *err)
{
	const struct ranq_scheduler *scheduler = &engine->scheduler;
	struct ranq_sched_request request = {.name = engine->name};
	char token[RANQ_SCHED_TOKEN_MAX + 1], id[RANQ_SCHED_ID_MAX + 1];
	if (!ranq_scale_state_submitting(&engine->state, action->nodes, now_ms, token))
		return ranq_err_set(err, RANQ_ERR_SERVER, "too many submissions without an answer");
	int rc = save(engine, err);
	rc = rc ? rc : hold(engine, err);
	if (rc) { /* not asked yet */
		ranq_scale_state_forget(&engine->state, token);
		return rc;
	}
	request.token = token;
	rc = engine->scripts.make(engine->scripts.user, token, &request, err);
	if (rc == 0) {
		rc = scheduler->driver->submit(scheduler->self, &request, id, err);
		engine->scripts.done(engine->scripts.user, &request);
	}
	if (rc == 0)
		rc = ranq_scale_state_submitted(&engine->state, token, id, now_ms, err);
	else if (err->code != RANQ_ERR_UNKNOWN)
		ranq_scale_state_forget(&engine->state, token);
	if (rc == 0)
		tell(engine, "submitted allocation %s (%u node%s): %s", id, action->nodes,
			ranq_plural(action->nodes), action->reason);
	return rc;
}

/* The scheduler refused, or could not be asked: told once, then patience. */
static void regret(struct ranq_scale_engine *engine, const char *what, int64_t now_ms, const struct ranq_err *err)
{
	char why[400];
	snprintf(why, sizeof why, "%s: %.300s", what, err->text);
	ranq_scale_state_failed(&engine->state, now_ms, why);
	tell(engine, "%s%s", why,
		err->code == RANQ_ERR_UNKNOWN ? "; it may have arrived all the same: that will show" : "");
}

static int cancel(
	struct ranq_scale_engine *engine, const struct ranq_scale_action *action, int64_t now_ms, struct ranq_err *err)
{
	const struct ranq_scheduler *scheduler = &engine->scheduler;
	struct ranq_scale_alloc *alloc = &engine->state.allocs[action->alloc];
	if (hold(engine, err))
		return -1;
	if (scheduler->driver->cancel(scheduler->self, alloc->job.id, action->pending, err))
		return -1;
	alloc->cancelled = true;
	tell(engine, "cancelled allocation %s: %s", alloc->job.id, action->reason);
	if (action->failure) {
		char why[400];
		snprintf(why, sizeof why, "allocation %.95s: %s", alloc->job.id, action->reason);
		ranq_scale_state_failed(&engine->state, now_ms, why);
	}
	return 0;
}

static int drain(struct ranq_scale_engine *engine, const struct ranq_scale_action *action, struct ranq_err *err)
{
	struct ranq_scale_alloc *alloc = &engine->state.allocs[action->alloc];
	int rc = engine->door.drain(engine->door.user, alloc->allocation, err);
	if (rc && err->code == RANQ_ERR_NOTFOUND) /* it has left by itself */
		rc = 0;
	if (rc)
		return rc;
	alloc->drained = true;
	alloc->phase = RANQ_SCALE_LEAVING;
	tell(engine, "draining allocation %s: %s", alloc->job.id, action->reason);
	return 0;
}

static int shrink(struct ranq_scale_engine *engine, const struct ranq_scale_action *action, struct ranq_err *err)
{
	const struct ranq_scheduler *scheduler = &engine->scheduler;
	struct ranq_scale_alloc *alloc = &engine->state.allocs[action->alloc];
	if (hold(engine, err))
		return -1;
	int rc = scheduler->driver->shrink(scheduler->self, alloc->job.id, action->nodes, err);
	if (rc) { /* some sites do not allow it: then it stays as large as it is */
		engine->limits.can_shrink = false;
		return err->code == RANQ_ERR_INPUT ? 0 : -1;
	}
	alloc->job.nodes = action->nodes;
	tell(engine, "made allocation %s smaller: %s", alloc->job.id, action->reason);
	return 0;
}

static int perform(
	struct ranq_scale_engine *engine, const struct ranq_scale_action *action, int64_t now_ms, struct ranq_err *err)
{
	switch (action->kind) {
	case RANQ_SCALE_SUBMIT:
		return submit(engine, action, now_ms, err);
	case RANQ_SCALE_CANCEL:
		return cancel(engine, action, now_ms, err);
	case RANQ_SCALE_DRAIN:
		return drain(engine, action, err);
	case RANQ_SCALE_SHRINK:
		return shrink(engine, action, err);
	}
	return 0;
}

static const char *const failing[] = {"cannot submit an allocation", "cannot cancel an allocation",
	"cannot drain an allocation", "cannot shrink an allocation"};

/* All of the plan, until something fails. */
static int act(struct ranq_scale_engine *engine, int64_t now_ms, struct ranq_err *err)
{
	const struct ranq_scale_plan *plan = &engine->plan;
	for (size_t i = 0; i < plan->n && !engine->dry; i++) {
		if (perform(engine, &plan->actions[i], now_ms, err) == 0)
			continue;
		if (err->code == RANQ_ERR_STATE || plan->actions[i].kind == RANQ_SCALE_DRAIN)
			return -1;
		regret(engine, failing[plan->actions[i].kind], now_ms, err);
		engine->next_list_ms = 0; /* what does the scheduler think? */
		break;
	}
	return 0;
}

/* A verdict that is a reason for doing nothing is told when it is another one. Numbers in it change all the time. */
static void tell_verdict(struct ranq_scale_engine *engine)
{
	const struct ranq_scale_plan *plan = &engine->plan;
	char words[sizeof engine->verdict];
	size_t n = 0;
	for (const char *c = plan->verdict; *c && n + 1 < sizeof words; c++)
		if (*c < '0' || *c > '9')
			words[n++] = *c;
	words[n] = '\0';
	if (strcmp(words, engine->verdict) != 0)
		tell(engine, "%s", plan->verdict);
	memcpy(engine->verdict, words, sizeof words);
}

int ranq_scale_engine_turn(struct ranq_scale_engine *engine, int64_t now_ms, struct ranq_err *err)
{
	const struct ranq_bridge_info *bridges;
	struct ranq_demand demand;
	struct ranq_scale_work work;
	size_t n;
	if (!engine->dry && engine->door.hold(engine->door.user, HOLD_MS, err))
		return -1;
	int rc = engine->door.look(engine->door.user, &demand, &bridges, &n, &engine->mode, &engine->want, err);
	if (rc)
		return -1;
	int asked = list(engine, now_ms, err);
	if (asked < 0)
		return -1;
	ranq_scale_state_bridges(&engine->state, engine->scheduler.driver->name, bridges, n, now_ms, note, engine);
	ranq_scale_work(&demand, &engine->limits, &work);
	if (asked == 0) {
		ranq_scale_decide(
			&engine->limits, engine->mode, engine->want, &work, &engine->state, now_ms, &engine->plan);
		engine->state.need = engine->plan.need;
		rc = act(engine, now_ms, err);
		if (rc == 0 && engine->plan.n == 0)
			tell_verdict(engine);
	}
	if (rc == 0 || err->code != RANQ_ERR_STATE) {
		struct ranq_err saving;
		if (save(engine, &saving) && rc == 0) {
			*err = saving;
			rc = -1;
		}
	}
	hold_shorter(engine);
	bool stopping = engine->mode == RANQ_SCALE_STOP || engine->mode == RANQ_SCALE_STOP_NOW;
	return rc ? -1 : stopping && asked == 0 && engine->state.n + engine->state.ndoubts == 0;
}

/* cmd_scale_status.c - `ranq scale status`: what the scaler wrote into the queue last. The scheduler is not asked. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/table.h"
#include "launcher/ranq/scale.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/plural.h"

#define LINES 10

struct view {
	const char *queue;
	struct ranq_scale_record record;
	struct ranq_scale_state state;
	char *mode, *want, *name, *scheduler;
	struct ranq_reply *reply;
};

static size_t count(const struct view *view, enum ranq_scale_phase phase)
{
	return ranq_scale_state_count(&view->state, phase);
}

/* "1795160673000 text" */
static const char *split_line(const struct view *view, size_t i, char text[600], int64_t *at_ms)
{
	struct ranq_bytes line = ranq_queue_scale_line(view->reply, &view->record, i);
	char *end;
	snprintf(text, 600, "%.*s", (int)(line.len < 599 ? line.len : 599), (const char *)line.data);
	*at_ms = strtoll(text, &end, 10);
	return *end == ' ' ? end + 1 : text;
}

/* ---- JSON ---- */

static struct ranq_json *alloc_json(const struct ranq_scale_alloc *alloc)
{
	struct ranq_json *json = ranq_json_object(NULL);
	ranq_json_str(json, "id", alloc->job.id);
	ranq_json_str(json, "state", ranq_scale_phase_name(alloc->phase));
	ranq_json_uint(json, "nodes", alloc->job.nodes);
	ranq_json_uint(json, "ranks", alloc->ranks);
	ranq_json_str(json, "reason", *alloc->job.reason ? alloc->job.reason : NULL);
	ranq_json_int(json, "submitted_ms", alloc->submitted_ms);
	ranq_json_int(json, "start_ms", alloc->started_ms ? alloc->started_ms : alloc->job.start_ms);
	ranq_json_int(json, "end_ms", alloc->job.end_ms);
	ranq_json_str(json, "output", *alloc->job.token ? alloc->job.token : NULL);
	return json;
}

static int print_json(const struct view *view, struct ranq_err *err)
{
	struct ranq_json *json = ranq_json_object("ranq.scale/1");
	const struct ranq_scale_state *state = &view->state;
	size_t pending = count(view, RANQ_SCALE_PENDING) + state->ndoubts, starting = count(view, RANQ_SCALE_STARTING);
	int want = ranq_scale_want_of(view->want);
	ranq_json_str(json, "queue", view->queue);
	ranq_json_str(json, "scheduler", view->scheduler);
	ranq_json_str(json, "name", view->name);
	ranq_json_str(json, "scaler", view->record.left_ms > 0 ? view->record.who : NULL);
	ranq_json_str(json, "mode", view->mode ? view->mode : "auto");
	ranq_json_int(json, "want", want);
	ranq_json_uint(json, "expected", state->need);
	ranq_json_uint(json, "initializing", pending + starting);
	ranq_json_uint(json, "pending", pending);
	ranq_json_uint(json, "starting", starting);
	ranq_json_uint(json, "running", count(view, RANQ_SCALE_RUNNING));
	ranq_json_uint(json, "leaving", count(view, RANQ_SCALE_LEAVING));
	ranq_json_str(json, "trouble", *state->trouble ? state->trouble : NULL);
	ranq_json_int(json, "backoff_until_ms", state->backoff_until_ms);
	ranq_json_real(json, "spent_node_hours", (double)state->spent_ms / 3.6e6);
	ranq_json_int(json, "listed_ms", state->listed_ms);
	ranq_json_append(json, "allocations", NULL);
	for (size_t i = 0; i < state->n; i++)
		ranq_json_append(json, "allocations", alloc_json(&state->allocs[i]));
	ranq_json_append(json, "log", NULL);
	for (size_t i = 0; i < view->record.nlines; i++) {
		struct ranq_json *line = ranq_json_object(NULL);
		char text[600];
		int64_t at_ms;
		const char *words = split_line(view, i, text, &at_ms);
		ranq_json_int(line, "at_ms", at_ms);
		ranq_json_str(line, "text", words);
		ranq_json_append(json, "log", line);
	}
	return ranq_json_print(json, stdout, err);
}

/* ---- for people ---- */

static void print_allocations(const struct view *view)
{
	static const char *const titles[] = {
		"ALLOCATION", "STATE", ">NODES", ">RANKS", "SUBMITTED", "STARTED", "ENDS", "REASON", NULL};
	struct ranq_table table;
	ranq_table_init(&table, titles);
	for (size_t i = 0; i < view->state.n; i++) {
		const struct ranq_scale_alloc *alloc = &view->state.allocs[i];
		char nodes[32], ranks[32], submitted[32], started[40] = "-", ends[32], estimate[32];
		if (alloc->started_ms)
			ranq_time_text(alloc->started_ms, started);
		else if (alloc->job.start_ms)
			snprintf(started, sizeof started, "~%s", ranq_time_text(alloc->job.start_ms, estimate));
		ranq_table_row(&table, alloc->job.id, ranq_scale_phase_name(alloc->phase),
			ranq_count_text(alloc->job.nodes, nodes), ranq_count_text(alloc->ranks, ranks),
			ranq_time_text(alloc->submitted_ms, submitted), started,
			ranq_time_text(alloc->started_ms ? alloc->job.end_ms : 0, ends), alloc->job.reason);
	}
	ranq_table_print(&table, view->state.n ? stdout : NULL);
}

static void print_text(const struct view *view)
{
	const struct ranq_scale_state *state = &view->state;
	char since[32];
	int64_t now_ms = ranq_wall_ms();
	size_t initializing = count(view, RANQ_SCALE_PENDING) + state->ndoubts + count(view, RANQ_SCALE_STARTING);
	printf("queue %s, %s, allocations named ", view->queue, view->scheduler ? view->scheduler : "?");
	ranq_clean_print(stdout, view->name ? view->name : "?", strlen(view->name ? view->name : "?"), false);
	printf("\nscaler: ");
	if (view->record.left_ms > 0)
		ranq_clean_print(stdout, view->record.who, strlen(view->record.who), false);
	else
		printf("none runs (ranq scale reconnect -q %s)", view->queue);
	if (view->mode && strcmp(view->mode, "auto") != 0)
		printf(", %s", ranq_scale_mode_of(view->mode) == RANQ_SCALE_PAUSED ? "paused" : "stopping");
	if (ranq_scale_want_of(view->want) >= 0)
		printf(", %d allocation%s asked for", ranq_scale_want_of(view->want),
			ranq_plural((uint64_t)ranq_scale_want_of(view->want)));
	if (state->listed_ms)
		printf("; the scheduler was asked %s ago",
			ranq_duration_format((now_ms - state->listed_ms) / 1000 * 1000, since));
	printf("\nexpected %u, initializing %zu, running %zu, leaving %zu; %.4g node-hours spent\n", state->need,
		initializing, count(view, RANQ_SCALE_RUNNING), count(view, RANQ_SCALE_LEAVING),
		(double)state->spent_ms / 3.6e6);
	if (*state->trouble)
		printf("trouble: %s\n", state->trouble);
	print_allocations(view);
	for (size_t i = 0; i < view->record.nlines; i++) {
		char text[600], when[32];
		int64_t at_ms;
		const char *words = split_line(view, i, text, &at_ms);
		printf("%s ", ranq_time_text(at_ms, when));
		ranq_clean_print(stdout, words, strlen(words), false);
		putchar('\n');
	}
}

/* ---- */

static int load(struct view *view, struct ranq_scale_queue *queue, bool json, struct ranq_err *err)
{
	if (ranq_scale_queue_get(queue, json ? 200 : LINES, &view->record, &view->reply, err))
		return -1;
	if (!view->record.exists)
		return ranq_err_set(err, RANQ_ERR_NOTFOUND,
			"queue '%s' is not scaled; start with: ranq scale -q %s --max N", view->queue, view->queue);
	char *state = ranq_scale_queue_field(view->reply, &view->record, "state");
	ranq_scale_state_unpack(&view->state, state ? state : "");
	free(state);
	view->mode = ranq_scale_queue_field(view->reply, &view->record, "mode");
	view->want = ranq_scale_queue_field(view->reply, &view->record, "want");
	view->name = ranq_scale_queue_field(view->reply, &view->record, "name");
	view->record.who[strcspn(view->record.who, " ")] = '\0';
	view->scheduler = ranq_scale_queue_field(view->reply, &view->record, "scheduler");
	return 0;
}

static void clear(struct view *view)
{
	ranq_scale_state_clear(&view->state);
	ranq_reply_destroy(view->reply);
	free(view->mode);
	free(view->want);
	free(view->name);
	free(view->scheduler);
}

int ranq_scale_status(const struct ranq_command *command, const struct ranq_scale_options *options)
{
	struct ranq_err err = {0};
	struct ranq_scale_queue queue;
	struct view view = {0};
	struct ranq_session *session = ranq_cli_open(&options->common, false, 0, &err);
	if (!session)
		return ranq_cli_fail(command, &err);
	ranq_scale_queue_init(&queue, session);
	view.queue = session->queue.name;
	int rc = load(&view, &queue, options->common.json, &err);
	if (rc == 0 && options->common.json)
		rc = print_json(&view, &err);
	else if (rc == 0)
		print_text(&view);
	if (rc == 0)
		rc = ranq_cli_close_stdout(&err);
	clear(&view);
	ranq_scale_queue_clear(&queue);
	ranq_session_close(session);
	return rc ? ranq_cli_fail(command, &err) : 0;
}

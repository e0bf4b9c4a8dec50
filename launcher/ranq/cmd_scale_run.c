/* cmd_scale_run.c - the scaler itself: from options or from the record to an engine, and its loop. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/local.h"
#include "common/spawn.h"
#include "common/tools.h"
#include "launcher/ranq/scale.h"
#include "scale/template.h"
#include "util/clock.h"
#include "util/plural.h"

#define TURN_MS 2000
#define FIRST_HOLD_MS 15000
#define RENEWED_MS 1000 /* more than a slow answer makes of the same moment */

/* ---- options ---- */

static int read_budget(const char *text, int64_t *budget_ms, struct ranq_err *err)
{
	char *end;
	*budget_ms = 0;
	if (!text)
		return 0;
	double hours = strtod(text, &end);
	if (end == text || *end || !(hours > 0 && hours < 1e9))
		return ranq_err_set(err, RANQ_ERR_USAGE, "--budget needs node-hours, not '%.40s'", text);
	*budget_ms = (int64_t)(hours * 3.6e6);
	return 0;
}

static char *read_template(const char *path, struct ranq_err *err)
{
	char *text = calloc(1, RANQ_TEMPLATE_MAX + 2);
	FILE *file = fopen(path, "re");
	if (!file || !text) {
		ranq_err_sys(err, "cannot read template '%s'", path);
		if (file)
			fclose(file);
		free(text);
		return NULL;
	}
	size_t len = fread(text, 1, RANQ_TEMPLATE_MAX + 1, file);
	fclose(file);
	if (len > RANQ_TEMPLATE_MAX || strlen(text) != len) {
		ranq_err_set(
			err, RANQ_ERR_INPUT, "template '%s' is no text of at most %d bytes", path, RANQ_TEMPLATE_MAX);
		free(text);
		return NULL;
	}
	return text;
}

static bool have(const char *program)
{
	const char *const names[] = {program, NULL};
	char *path = ranq_spawn_find_path(names);
	free(path);
	return path != NULL;
}

static int choose_scheduler(struct ranq_scaler *s, struct ranq_err *err)
{
	if (s->options.scheduler == RANQ_SCALE_ANY && have("sbatch"))
		s->options.scheduler = RANQ_SCALE_SLURM;
	else if (s->options.scheduler == RANQ_SCALE_ANY && have("qsub"))
		s->options.scheduler = RANQ_SCALE_PBS;
	switch (s->options.scheduler) {
	case RANQ_SCALE_SLURM:
		s->engine.scheduler = ranq_slurm_scheduler(&s->slurm, &ranq_tools);
		return 0;
	case RANQ_SCALE_PBS:
		s->engine.scheduler = ranq_pbs_scheduler(&s->pbs, &ranq_tools);
		return 0;
	case RANQ_SCALE_LOCAL:
		s->engine.scheduler = ranq_scale_local_scheduler(&s->local);
		return 0;
	default:
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"there is neither sbatch nor qsub here; name one with --scheduler, or use --scheduler local");
	}
}

static int set_limits(struct ranq_scaler *s, struct ranq_err *err)
{
	const struct ranq_scale_options *options = &s->options;
	unsigned guess =
		options->ranks ? (unsigned)options->ranks : ranq_local_default_ranks() * (unsigned)options->nodes;
	s->engine.limits = (struct ranq_scale_limits){.min = (unsigned)options->min,
		.max = (unsigned)options->max,
		.nodes = (unsigned)options->nodes,
		.ranks = guess,
		.max_pending = (unsigned)options->max_pending,
		.submits_per_hour = (unsigned)options->submits_per_hour,
		.walltime_ms = options->walltime_ms,
		.worth_ms = options->worth_ms,
		.task_ms = options->task_ms,
		.idle_ms = options->idle_ms,
		.tags = options->tags,
		.can_shrink = s->engine.scheduler.driver->shrink != NULL};
	if (options->min > options->max)
		return ranq_err_set(err, RANQ_ERR_USAGE, "--min is above --max");
	return read_budget(options->budget, &s->engine.limits.budget_ms, err);
}

/* Batch jobs start elsewhere: an absolute path, of a file that is there, or one clear line now instead of one in each log. */
static int find_file(const char *given, const char *option, char **path, struct ranq_err *err)
{
	if (!given || *path) /* the record had it */
		return 0;
	*path = realpath(given, NULL);
	return *path && access(*path, R_OK) == 0 ? 0 : ranq_err_sys(err, "cannot read '%s' (%s)", given, option);
}

static int set_script(struct ranq_scaler *s, struct ranq_err *err)
{
	const struct ranq_scale_options *options = &s->options;
	bool given = options->common.server || getenv("RANQ_SERVER");
	int64_t idle_ms = options->idle_ms * 2 > 30000 ? options->idle_ms * 2 : 30000;
	if (find_file(options->env_setup, "--env-setup", &s->env_setup, err) || find_file(options->image, "--image", &s->image, err))
		return -1;
	s->script = (struct ranq_scale_script){.scheduler = s->engine.scheduler.driver->name,
		.template = s->template,
		.queue = s->session->queue.name,
		.name = s->name,
		.server = given ? ranq_server_addr_text(&s->session->addr) : NULL,
		.tags = options->tags,
		.env_setup = s->env_setup,
		.image = s->image,
		.join = (const char *const *)s->operands.at,
		.njoin = (size_t)s->operands.n,
		.options = options->submit_options.at,
		.noptions = options->submit_options.n,
		.nodes = (unsigned)options->nodes,
		.cpus = (unsigned)options->cpus,
		.ranks = (unsigned)options->ranks,
		.walltime_ms = options->walltime_ms,
		.idle_ms = options->min ? 0 : idle_ms, /* nobody leaves an empty queue but by our word */
		.fit = options->fit};
	if (given && (s->script.server = strdup(s->script.server)) == NULL)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	return ranq_scale_script_dir(&s->script, options->log_dir, err);
}

/* ---- the record ---- */

/* Options as one text, a line each; a word with a newline is none that we take. */
static int pack_words(char *const *words, struct ranq_buf *out, struct ranq_err *err)
{
	for (; *words; words++) {
		if (strchr(*words, '\n'))
			return ranq_err_set(err, RANQ_ERR_USAGE, "options must not hold line ends");
		ranq_buf_printf(out, "%s\n", *words);
	}
	return ranq_buf_failed(out) ? ranq_err_set(err, RANQ_ERR_INPUT, "the options are too long") : 0;
}

/* The words of a command line as the record has them; owned array over text. */
static char **unpack_words(char *text, int *n)
{
	size_t lines = 1;
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	char **words = calloc(lines + 1, sizeof *words), *state = NULL;
	*n = 0;
	for (char *word = words ? strtok_r(text, "\n", &state) : NULL; word; word = strtok_r(NULL, "\n", &state))
		words[(*n)++] = word;
	return words;
}

static int write_record(struct ranq_scaler *s, struct ranq_err *err)
{
	struct ranq_buf words;
	ranq_buf_init(&words, RANQ_SCALE_VALUE_MAX);
	int rc = pack_words(s->words, &words, err);
	const char *const pairs[][2] = {{"argv", ranq_buf_cstr(&words)}, {"template", s->template ? s->template : ""},
		{"env-setup", s->env_setup ? s->env_setup : ""}, {"image", s->image ? s->image : ""}, {"name", s->name},
		{"scheduler", s->engine.scheduler.driver->name}, {"mode", "auto"}};
	/* a pause outlives its scaler; a new one, if it is not cron's, begins anew after a stop that was not finished
	 */
	size_t n = sizeof pairs / sizeof *pairs - (s->was_stopping && !s->options.once ? 0 : 1);
	if (rc == 0)
		rc = ranq_scale_queue_set(&s->queue, false, pairs, n, err);
	ranq_buf_clear(&words);
	return rc;
}

static int read_record(struct ranq_scaler *s, struct ranq_err *err)
{
	struct ranq_scale_record record;
	struct ranq_reply *reply;
	int rc = ranq_scale_queue_get(&s->queue, 0, &record, &reply, err);
	if (rc == 0) {
		char *state = ranq_scale_queue_field(reply, &record, "state");
		char *mode = ranq_scale_queue_field(reply, &record, "mode");
		s->was_stopping =
			ranq_scale_mode_of(mode) == RANQ_SCALE_STOP || ranq_scale_mode_of(mode) == RANQ_SCALE_STOP_NOW;
		free(mode);
		free(s->name);
		s->name = ranq_scale_queue_field(reply, &record, "name");
		if (s->name && (!ranq_sched_id_ok(s->name) || strlen(s->name) > RANQ_SCHED_NAME_MAX)) {
			free(s->name);
			s->name = NULL;
		}
		ranq_scale_state_unpack(&s->engine.state, state ? state : "");
		free(state);
	}
	ranq_reply_destroy(reply);
	if (rc == 0 && !s->name) {
		char id[RANQ_ID_LEN + 1];
		ranq_id_new(id);
		rc = asprintf(&s->name, "ranq-%.8s", id) < 0 ? ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory") : 0;
	}
	return rc;
}

/* ---- the holder ---- */

/* One that was killed holds on for some seconds; one that lives renews, which moves the end of its hold. */
static int take_over(struct ranq_scaler *s, struct ranq_err *err)
{
	struct ranq_scale_record other;
	int64_t until_ms = 0;
	if (ranq_scale_queue_bury(&s->queue, err) < 0)
		return -1;
	for (;;) {
		int held = ranq_scale_queue_hold(&s->queue, FIRST_HOLD_MS, &other, err);
		if (held != 0)
			return held < 0 ? -1 : 0;
		int64_t now_until_ms = ranq_clock_ms() + other.left_ms;
		if (until_ms == 0)
			ranq_cli_say(s->command, "waiting for %.*s: it holds the queue for %.0f s more",
				(int)strcspn(other.who, " "), other.who, (double)other.left_ms / 1000);
		else if (llabs(now_until_ms - until_ms) > RENEWED_MS)
			return ranq_err_set(err, RANQ_ERR_STATE,
				"queue '%s' is scaled by %.*s already; see 'ranq scale status'", s->session->queue.name,
				(int)strcspn(other.who, " "), other.who);
		until_ms = until_ms ? until_ms : now_until_ms;
		if (ranq_session_turn(s->session, ranq_clock_ms() + 500, err) < 0)
			return -1;
	}
}

static void let_go(struct ranq_scaler *s)
{
	struct ranq_scale_record other;
	struct ranq_err ignored;
	if (s->session && !s->options.dry_run)
		ranq_scale_queue_hold(&s->queue, 0, &other, &ignored);
}

/* ---- start ---- */

static void log_line(void *user, const char *line)
{
	const struct ranq_scaler *s = user;
	char when[32];
	time_t now = time(NULL);
	struct tm local;
	strftime(when, sizeof when, "%T", localtime_r(&now, &local));
	fprintf(stderr, "%s ranq %s: %s\n", when, s->command->name, line);
}

static int prepare(struct ranq_scaler *s, bool record, struct ranq_err *err)
{
	if (choose_scheduler(s, err) || set_limits(s, err))
		return -1;
	if (s->options.template && !s->template && (s->template = read_template(s->options.template, err)) == NULL)
		return -1;
	if (set_script(s, err))
		return -1;
	struct ranq_buf text;
	ranq_buf_init(&text, 4 * RANQ_TEMPLATE_MAX);
	int rc = ranq_scale_script_fill(&s->script, "TOKEN", &text, err); /* a template that is wrong is wrong now */
	ranq_buf_clear(&text);
	if (rc == 0 && record)
		rc = write_record(s, err);
	struct ranq_scale_engine *engine = &s->engine;
	engine->door = ranq_scale_queue_door(&s->queue);
	engine->scripts = ranq_scale_script_door(&s->script);
	engine->name = s->name;
	engine->poll_ms = s->options.poll_ms;
	engine->dry = s->options.dry_run;
	engine->log = log_line;
	engine->log_user = s;
	ranq_scale_engine_init(engine);
	return rc;
}

/* A scheduler that is away is waited for; one that is not there is an error now. */
static int greet(struct ranq_scaler *s, struct ranq_err *err)
{
	struct ranq_buf text;
	ranq_buf_init(&text, 1000);
	int rc = s->engine.scheduler.driver->describe(s->engine.scheduler.self, &text, err);
	if (rc == 0)
		ranq_cli_say(s->command, "%s; queue '%s', allocations are named %s", ranq_buf_cstr(&text),
			s->session->queue.name, s->name);
	else if (err->code == RANQ_ERR_SERVER && !s->options.once && !s->options.dry_run) {
		ranq_cli_say(s->command, "%s; trying again", err->text);
		rc = 0;
	}
	ranq_buf_clear(&text);
	return rc;
}

/* ---- the loop ---- */

static int show_plan(struct ranq_scaler *s, struct ranq_err *err)
{
	const struct ranq_scale_plan *plan = &s->engine.plan;
	struct ranq_buf text;
	ranq_buf_init(&text, 4 * RANQ_TEMPLATE_MAX);
	int rc = ranq_scale_script_fill(&s->script, "TOKEN", &text, err);
	if (rc == 0)
		fputs(ranq_buf_cstr(&text), stdout);
	ranq_buf_clear(&text);
	printf("# %s\n", plan->verdict);
	for (size_t i = 0; i < plan->n; i++) {
		const struct ranq_scale_action *action = &plan->actions[i];
		printf("# would %s %s: %s\n", ranq_scale_kind_name(action->kind),
			action->kind == RANQ_SCALE_SUBMIT ? "an allocation"
							  : s->engine.state.allocs[action->alloc].job.id,
			action->reason);
	}
	return rc;
}

static int once(struct ranq_scaler *s, struct ranq_err *err)
{
	int rc = ranq_scale_engine_turn(&s->engine, ranq_wall_ms(), err);
	if (rc >= 0 && s->engine.outage) /* told already */
		return 3;
	if (rc >= 0 && s->options.dry_run)
		return show_plan(s, err);
	return rc < 0 ? -1 : 0;
}

static int loop(struct ranq_scaler *s, struct ranq_err *err)
{
	int64_t pause_ms = s->options.poll_ms < TURN_MS ? s->options.poll_ms : TURN_MS;
	bool away = false;
	for (;;) {
		int rc = ranq_scale_engine_turn(&s->engine, ranq_wall_ms(), err);
		if (rc > 0) {
			ranq_cli_say(s->command, "no allocation is left");
			return ranq_scale_queue_end(&s->queue, err);
		}
		if (rc < 0 && (err->code == RANQ_ERR_STATE || err->code == RANQ_ERR_INTERRUPTED))
			return -1;
		if (rc < 0 && !away)
			log_line(s, err->text);
		away = rc < 0;
		if (ranq_session_turn(s->session, ranq_clock_ms() + pause_ms, err) < 0)
			return -1;
	}
}

static int work(struct ranq_scaler *s, struct ranq_err *err)
{
	if (greet(s, err))
		return -1;
	if (s->options.once || s->options.dry_run)
		return once(s, err);
	int rc = loop(s, err);
	if (rc && err->code == RANQ_ERR_INTERRUPTED)
		ranq_cli_say(s->command, "leaving; %zu allocation%s stay%s: ranq scale reconnect -q %s", s->engine.state.n,
			ranq_plural(s->engine.state.n), ranq_number(s->engine.state.n, "s", ""), s->session->queue.name);
	return rc;
}

static int finish(struct ranq_scaler *s, int rc, struct ranq_err *err)
{
	if (s->options.dry_run && rc == 0)
		rc = ranq_cli_close_stdout(err);
	if (err->code == RANQ_ERR_INTERRUPTED)
		ranq_cli_interrupt_handled();
	let_go(s);
	if (rc < 0)
		rc = err->code == RANQ_ERR_INTERRUPTED ? 130 : ranq_cli_fail(s->command, err);
	ranq_scale_engine_clear(&s->engine);
	ranq_scale_queue_clear(&s->queue);
	ranq_session_close(s->session);
	free((char *)(uintptr_t)s->script.server);
	free(s->template);
	free(s->name);
	free(s->env_setup);
	free(s->image);
	return rc;
}

int ranq_scaler_run(const struct ranq_command *command, const struct ranq_scale_options *options,
	const struct ranq_operands *operands, int argc, char **argv)
{
	struct ranq_scaler s = {.command = command, .options = *options, .operands = *operands, .words = argv};
	struct ranq_err err = {0};
	(void)argc;
	s.session = ranq_cli_open(&options->common, false, 0, &err);
	int rc = s.session ? 0 : -1;
	if (rc == 0) {
		ranq_scale_queue_init(&s.queue, s.session);
		if (!options->dry_run)
			rc = take_over(&s, &err);
	}
	if (rc == 0)
		rc = read_record(&s, &err);
	if (rc == 0)
		rc = prepare(&s, !options->dry_run, &err);
	if (rc == 0)
		rc = work(&s, &err);
	return finish(&s, rc, &err);
}

/* ---- reconnecting ---- */

/* Options as they were given to the first one; where the queue is, and what is to be done now, is said today. */
static int parse_again(
	struct ranq_scaler *s, const struct ranq_scale_options *today, int argc, char **argv, struct ranq_err *err)
{
	ranq_scale_options_init(&s->options);
	int rc = ranq_options_parse(s->command, argc, argv, &s->options, &s->operands, err);
	if (rc > 0 || (rc == 0 && s->operands.n > 0 && !s->operands.dashes))
		rc = ranq_err_set(err, RANQ_ERR_INPUT, "the queue's record of its scaler cannot be used");
	s->options.common = today->common;
	s->options.once = today->once;
	s->options.dry_run = today->dry_run;
	if (today->log_dir)
		s->options.log_dir = today->log_dir;
	return rc;
}

static int restore(
	struct ranq_scaler *s, const struct ranq_scale_options *today, char **text, char ***words, struct ranq_err *err)
{
	struct ranq_scale_record record;
	struct ranq_reply *reply;
	int n = 0, rc = ranq_scale_queue_get(&s->queue, 0, &record, &reply, err);
	if (rc == 0) {
		*text = ranq_scale_queue_field(reply, &record, "argv");
		s->template = ranq_scale_queue_field(reply, &record, "template");
		s->env_setup = ranq_scale_queue_field(reply, &record, "env-setup");
		s->image = ranq_scale_queue_field(reply, &record, "image");
	}
	ranq_reply_destroy(reply);
	if (rc == 0 && !*text)
		rc = ranq_err_set(err, RANQ_ERR_NOTFOUND, "queue '%s' is not scaled", s->session->queue.name);
	*words = rc == 0 ? unpack_words(*text, &n) : NULL;
	if (rc == 0 && (!*words || n == 0))
		rc = ranq_err_set(err, RANQ_ERR_INPUT, "the queue's record of its scaler cannot be used");
	if (rc == 0)
		rc = parse_again(s, today, n, *words, err);
	return rc;
}

int ranq_scaler_reconnect(const struct ranq_command *command, const struct ranq_scale_options *options)
{
	struct ranq_scaler s = {.command = command, .options = *options};
	struct ranq_err err = {0};
	char *text = NULL, **words = NULL;
	s.session = ranq_cli_open(&options->common, false, 0, &err);
	int rc = s.session ? 0 : -1;
	if (rc == 0) {
		ranq_scale_queue_init(&s.queue, s.session);
		rc = restore(&s, options, &text, &words, &err);
	}
	if (rc == 0 && !s.options.dry_run)
		rc = take_over(&s, &err);
	if (rc == 0)
		rc = read_record(&s, &err);
	if (rc == 0)
		rc = prepare(&s, false, &err);
	if (rc == 0)
		rc = work(&s, &err);
	rc = finish(&s, rc, &err);
	ranq_words_clear(&s.options.submit_options);
	free(words);
	free(text);
	return rc;
}

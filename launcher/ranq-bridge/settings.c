/* settings.c - see settings.h. */
#include "settings.h"

#include <string.h>

#include "client/resolve.h"
#include "common/values.h"
#include "exec/bind.h"
#include "util/clock.h"

#define FIELD(f) offsetof(struct settings, f)
static const struct ranq_option table[] = {
	{"server", 0, "URL", RANQ_OPTION_TEXT, FIELD(server),
		"the Redis server (default: RANQ_SERVER, config, 'ranq server')", NULL, 0, 0},
	{"queue", 'q', "QUEUE,...", RANQ_OPTION_TEXT, FIELD(queue), "queues to serve, the first one first", NULL, 0, 0},
	{"name", 0, "NAME", RANQ_OPTION_TEXT, FIELD(name), "shown by 'ranq workers' instead of the allocation", NULL, 0,
		0},
	{"tags", 0, "TAG,...", RANQ_OPTION_TEXT, FIELD(tags), "what jobs may --require", NULL, 0, 0},
	{"allocation", 0, "ID", RANQ_OPTION_TEXT, FIELD(allocation), "name of the allocation in 'ranq workers'", NULL,
		0, 0},
	{"bind", 0, "UNIT", RANQ_OPTION_TEXT, FIELD(bind),
		"pin executors to core, pu, l3, numa, package or none; UNIT:scatter spreads them", NULL, 0, 0},
	{"report-bindings", 0, NULL, RANQ_OPTION_FLAG, FIELD(report_bindings), "print where executors are pinned", NULL,
		0, 0},
	{"slots", 0, "N", RANQ_OPTION_UINT, FIELD(slots), "executors of each compute rank (default: 1)", NULL, 1, 1024},
	{"proxy-computes", 0, NULL, RANQ_OPTION_FLAG, FIELD(proxy_computes),
		"rank 0 computes as well (always so when it is the only rank)", NULL, 0, 0},
	{"lease", 0, "D", RANQ_OPTION_DURATION, FIELD(lease_ms), "lease of the queue, set at its first use", NULL,
		RANQ_LEASE_MS_MIN, 0},
	{"idle-timeout", 0, "D", RANQ_OPTION_DURATION, FIELD(idle_timeout_ms),
		"leave when there was no work for so long", NULL, 0, 0},
	{"give-back", 0, "D", RANQ_OPTION_DURATION, FIELD(give_back_ms),
		"offer nodes without a task for so long to the scheduler", NULL, 1, 0},
	{"give-back-file", 0, "FILE", RANQ_OPTION_TEXT, FIELD(give_back_file), "where 'ranq join' finds the offer", NULL,
		0, 0},
	{"end-time", 0, "TIME", RANQ_OPTION_TEXT, FIELD(end_time),
		"leave before this time (seconds since 1970 or ISO 8601)", NULL, 0, 0},
	{"end-file", 0, "FILE", RANQ_OPTION_TEXT, FIELD(end_file), "where that time stands when it changes", NULL, 0, 0},
	{"walltime", 0, "D", RANQ_OPTION_DURATION, FIELD(walltime_ms), "leave before so much time is over", NULL, 1, 0},
	{"warn-signal", 0, "SIG", RANQ_OPTION_TEXT, FIELD(warn_signal),
		"signal for tasks that run when the bridge must leave (default: none)", NULL, 0, 0},
	{"grace", 0, "D", RANQ_OPTION_DURATION, FIELD(grace_ms), "time that they have then (default: 10s)", NULL, 0, 0},
	{"on-server-lost", 0, "WHAT", RANQ_OPTION_CHOICE, FIELD(on_server_lost),
		"finish or stop running tasks when Redis is away", "finish|stop", 0, 0},
	{"version", 0, NULL, RANQ_OPTION_FLAG, FIELD(version), "print the version and the MPI it was built with", NULL,
		0, 0},
	{"help", 'h', NULL, RANQ_OPTION_FLAG, 0, "show this help", NULL, 0, 0},
	{0},
};
static const struct ranq_option_group groups[] = {{"options", table, 0}, {0}};
static const struct ranq_command command = {.name = "bridge",
	.program = "ranq-bridge",
	.summary = "serve queues with the ranks of an MPI program",
	.synopsis = "[OPTION]...",
	.details = "Started by 'ranq join' under mpirun or srun as ranq-bridge. Rank 0 talks to Redis, the others "
		   "compute.\n",
	.groups = groups};

static int parse_queues(struct settings *settings, struct ranq_err *err)
{
	const char *list = settings->queue, *at;

	if (!list || !strchr(list, ',')) {
		settings->nqueues = 1;
		settings->queue_list[0] = settings->queues[0];
		return ranq_resolve_queue(list, settings->queues[0], NULL, err);
	}
	for (at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
		size_t len = strcspn(at, ","), n = settings->nqueues;

		if (n == SETTINGS_QUEUES_MAX || len > RANQ_QUEUE_NAME_MAX)
			return ranq_err_set(
				err, RANQ_ERR_USAGE, "option '--queue': too many queues or too long a name");
		memcpy(settings->queues[n], at, len);
		settings->queues[n][len] = 0;
		if (ranq_queue_name_check(settings->queues[n], err) != 0)
			return -1;
		for (size_t i = 0; i < n; i++)
			if (strcmp(settings->queues[i], settings->queues[n]) == 0)
				return ranq_err_set(err, RANQ_ERR_USAGE, "option '--queue': '%s' is named twice",
					settings->queues[n]);
		settings->queue_list[n] = settings->queues[n];
		settings->nqueues++;
	}
	return 0;
}

static int check(struct settings *settings, struct ranq_err *err)
{
	enum ranq_bind bind;
	bool scatter;

	if (parse_queues(settings, err) != 0)
		return -1;
	if (ranq_bind_parse(settings->bind, &bind, &scatter, err) != 0)
		return ranq_err_wrap(err, "option '--bind'");
	if (settings->end_time && ranq_time_parse(settings->end_time, &settings->end_ms, err) != 0)
		return ranq_err_wrap(err, "option '--end-time'");
	if (settings->walltime_ms > 0) {
		int64_t end = settings->walltime_end_ms = ranq_wall_ms() + settings->walltime_ms;

		if (settings->end_ms == 0 || end < settings->end_ms)
			settings->end_ms = end;
	}
	if (settings->warn_signal && ranq_signal_parse(settings->warn_signal, &settings->warn_number, err) != 0)
		return ranq_err_wrap(err, "option '--warn-signal'");
	return 0;
}

int settings_parse(struct settings *settings, int argc, char **argv, struct ranq_err *err)
{
	struct ranq_operands operands;
	int rc;

	*settings = (struct settings){.bind = "core", .idle_timeout_ms = -1, .grace_ms = 10000, .slots = 1};
	rc = ranq_options_parse(&command, argc, argv, settings, &operands, err);
	if (rc != 0)
		return rc;
	return settings->version ? 0 : check(settings, err);
}

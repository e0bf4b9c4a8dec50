/* cmd_doctor.c - `ranq doctor`: what works here and what is missing, each finding with its cure. It changes nothing
 * anywhere. */
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/allocation.h"
#include "common/certificate.h"
#include "common/cli.h"
#include "common/commands.h"
#include "common/config.h"
#include "common/local.h"
#include "common/mpi_launch.h"
#include "common/private_server.h"
#include "common/redis_server.h"
#include "common/spawn.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/plural.h"

struct doctor_options {
	const char *server;
	bool json;
};

#define FIELD(f) offsetof(struct doctor_options, f)
static const struct ranq_option doctor_option_table[] = {
	{"server", 0, "URL", RANQ_OPTION_TEXT, FIELD(server), "look at this Redis server"},
	{"json", 0, NULL, RANQ_OPTION_FLAG, FIELD(json), "print JSON"},
	{"help", 'h', NULL, RANQ_OPTION_FLAG, 0, "show this help"},
	{NULL},
};
static const struct ranq_option_group doctor_groups[] = {
	{"options", doctor_option_table, 0},
	{NULL},
};

enum level { LEVEL_OK, LEVEL_WARN, LEVEL_FAIL };
static const char *const level_names[] = {"ok", "warn", "fail"};

/* Where findings go: a line each, or an array in JSON. */
struct report {
	struct ranq_json *json; /* NULL: lines */
	unsigned count[3];
};

static void find(struct report *report, enum level level, const char *name, const char *cure, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void find(struct report *report, enum level level, const char *name, const char *cure, const char *format, ...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	report->count[level]++;
	if (!report->json) {
		printf("%-5s %-12s %s%s%s\n", level_names[level], name, text, cure ? "; cure: " : "", cure ? cure : "");
		return;
	}
	struct ranq_json *item = ranq_json_object(NULL);
	ranq_json_str(item, "name", name);
	ranq_json_str(item, "level", level_names[level]);
	ranq_json_str(item, "text", text);
	if (cure)
		ranq_json_str(item, "cure", cure);
	ranq_json_append(report->json, "checks", item);
}

/* ---- the server ---- */

static void check_facts(struct report *report, const struct ranq_server_facts *facts)
{
	const char *program = facts->valkey ? "Valkey" : "Redis";
	char size[32];
	if (facts->major < 6)
		find(report, LEVEL_FAIL, "version", "use Redis 6 or later, or Valkey", "%s %u.%u.%u is too old",
			program, facts->major, facts->minor, facts->patch);
	else
		find(report, LEVEL_OK, "version", NULL, "%s %u.%u.%u, %s", program, facts->major, facts->minor,
			facts->patch, facts->has_functions ? "functions" : "scripts (no functions before 7.0)");
	if (facts->aof && facts->aof_broken)
		find(report, LEVEL_FAIL, "persistence", "make room where its append-only file is",
			"the server cannot write its disk and takes nothing new");
	else if (facts->aof)
		find(report, LEVEL_OK, "persistence", NULL, "append-only file");
	else
		find(report, LEVEL_WARN, "persistence",
			"'appendonly yes' in its configuration, or a server by 'ranq server start'",
			"no append-only file: a restart of the server loses the queue");
	if (strcmp(facts->maxmemory_policy, "noeviction") == 0)
		find(report, LEVEL_OK, "eviction", NULL, "policy noeviction");
	else
		find(report, LEVEL_FAIL, "eviction", "'maxmemory-policy noeviction' in its configuration",
			"policy '%s': the server may throw away parts of a queue", facts->maxmemory_policy);
	if (facts->maxmemory)
		find(report, LEVEL_OK, "memory", NULL, "limit %s", ranq_size_format(facts->maxmemory, size));
	else
		find(report, LEVEL_WARN, "memory", "set 'maxmemory'",
			"no limit: a flood of results ends in the server being killed");
}

/* Half the round trip is the error of the comparison. */
static void check_clock(struct report *report, struct ranq_conn *conn)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	int64_t sent_ns = ranq_clock_ns();
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "TIME");
	int called = ranq_conn_call(conn, &cmd, ranq_clock_ms() + 5000, &reply, NULL);
	double trip_ms = (double)(ranq_clock_ns() - sent_ns) / 1e6;
	if (called == 0 && ranq_reply_count(reply) == 2) {
		double there = (double)ranq_reply_int(ranq_reply_at(reply, 0)), here = (double)ranq_wall_ms() / 1000;
		find(report, trip_ms > 50 ? LEVEL_WARN : LEVEL_OK, "latency",
			trip_ms > 50 ? "a server nearer to the workers" : NULL, "%.2f ms to the server and back",
			trip_ms);
		if (here - there > 30 || there - here > 30)
			find(report, LEVEL_WARN, "clock",
				"set both clocks (ranq itself does not mind, people reading times do)",
				"this machine and the server differ by %.0f s", here - there);
		else
			find(report, LEVEL_OK, "clock", NULL, "agrees with the server's");
	}
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

static void check_server(struct report *report, const char *url)
{
	struct ranq_server_addr addr;
	struct ranq_err err = {0};
	enum ranq_origin origin;
	int found = ranq_resolve_server(url, &addr, &origin, &err);
	if (found < 0)
		find(report, LEVEL_FAIL, "server", NULL, "%s", err.text);
	else if (found == 0)
		find(report, LEVEL_WARN, "server", "'ranq server start', or RANQ_SERVER=URL",
			"none is configured; 'ranq run' starts a private one each time");
	struct ranq_conn *conn = found > 0 ? ranq_conn_open(&addr, ranq_clock_ms() + 5000, &err) : NULL;
	if (conn) {
		find(report, LEVEL_OK, "server", NULL, "%s answers", ranq_server_addr_text(&addr));
		check_facts(report, ranq_conn_facts(conn));
		check_clock(report, conn);
		if (!addr.tls && !addr.unix_path && strcmp(addr.host, "localhost") != 0 &&
			strncmp(addr.host, "127.", 4) != 0)
			find(report, LEVEL_WARN, "encryption", "'ranq server start --listen' has TLS",
				"no TLS: password and data cross the network readable");
	} else if (found > 0) {
		find(report, LEVEL_FAIL, "server",
			origin == RANQ_ORIGIN_CONNECTION ? "'ranq server start'" : "start that server, or another URL",
			"%s", err.text);
	}
	ranq_conn_close(conn);
	ranq_server_addr_clear(&addr);
}

/* ---- programs ---- */

static void check_redis(struct report *report)
{
	struct ranq_err err = {0};
	char *program = ranq_redis_program(&err);
	if (!program)
		find(report, LEVEL_WARN, "redis-server", NULL, "%s", err.text);
	else
		find(report, LEVEL_OK, "redis-server", NULL, "%s (for 'ranq server' and 'ranq run --local')", program);
	free(program);
	if (ranq_certificate_supported())
		find(report, LEVEL_OK, "tls", NULL, "built in");
	else
		find(report, LEVEL_WARN, "tls", "build with OpenSSL",
			"not built in: no rediss:// and no 'ranq server start --listen' but with --plain");
}

static void check_launcher(struct report *report, const char *bridge, const struct ranq_allocation *allocation)
{
	static const char *const none[] = {NULL};
	const char *given = getenv("RANQ_MPIRUN");
	struct ranq_mpi_request request = {.bridge = bridge,
		.arguments = none,
		.ranks = 1,
		.allocation = allocation,
		.launcher = given && *given ? given : NULL};
	struct ranq_mpi_launch launch;
	struct ranq_err err = {0};
	if (ranq_mpi_plan(&request, &launch, &err) < 0) {
		find(report, LEVEL_FAIL, "mpi", NULL, "%s", err.text);
		return;
	}
	enum ranq_mpi of_launcher = launch.srun ? launch.mpi : ranq_mpi_of_launcher(launch.launcher);
	if (launch.mpi != RANQ_MPI_UNKNOWN && of_launcher != RANQ_MPI_UNKNOWN && of_launcher != launch.mpi)
		find(report, LEVEL_FAIL, "mpi", "the mpirun of the same MPI in RANQ_MPIRUN",
			"ranq-bridge is linked with %s, but %s is of %s", ranq_mpi_name(launch.mpi), launch.launcher,
			ranq_mpi_name(of_launcher));
	else
		find(report, LEVEL_OK, "mpi", NULL, "%s, started by %s", ranq_mpi_name(launch.mpi), launch.launcher);
	ranq_mpi_launch_clear(&launch);
}

static void check_programs(struct report *report, const struct ranq_allocation *allocation)
{
	struct ranq_err err = {0};
	char *bridge = ranq_spawn_find_own("ranq-bridge", "RANQ_BRIDGE", &err);
	if (bridge) {
		find(report, LEVEL_OK, "ranq-bridge", NULL, "%s", bridge);
		check_launcher(report, bridge, allocation);
	} else {
		find(report, LEVEL_WARN, "ranq-bridge",
			"build with MPI and hwloc (RANQ_BUILD_BRIDGE=ON); a login node does without", "%s", err.text);
	}
	char *exec = ranq_spawn_find_own("ranq-exec", NULL, &err);
	if (exec)
		find(report, LEVEL_OK, "ranq-exec", NULL, "%s", exec);
	else
		find(report, bridge ? LEVEL_FAIL : LEVEL_WARN, "ranq-exec", "install it beside ranq-bridge", "%s",
			err.text);
	free(exec);
	free(bridge);
}

/* ---- this machine ---- */

static void check_scheduler(struct report *report, const struct ranq_allocation *allocation)
{
	static const char *const slurm[] = {"sbatch", NULL}, *const pbs[] = {"qsub", NULL};
	char until[64] = "no end time known";
	time_t end = (time_t)allocation->end_s;
	struct tm local;
	if (allocation->scheduler == RANQ_SCHEDULER_NONE) {
		char *sbatch = ranq_spawn_find_path(slurm), *qsub = ranq_spawn_find_path(pbs);
		find(report, LEVEL_OK, "scheduler", NULL, "not inside an allocation; %s",
			sbatch ? "Slurm is here (sbatch)"
			: qsub ? "PBS is here (qsub)"
			       : "neither Slurm nor PBS is here");
		free(sbatch);
		free(qsub);
		return;
	}
	if (end > 0 && localtime_r(&end, &local))
		strftime(until, sizeof until, "until %F %T", &local);
	find(report, end > 0 ? LEVEL_OK : LEVEL_WARN, "scheduler",
		end > 0 ? NULL : "'ranq join --walltime D' or --end-time", "%s: %u node%s, %u cpu%s, %s", allocation->id,
		allocation->nnodes, ranq_plural(allocation->nnodes), allocation->cpus, ranq_plural(allocation->cpus),
		until);
}

static void check_cpus(struct report *report)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned usable = ranq_local_default_ranks();
	if (online > 0 && usable < (unsigned)online)
		find(report, LEVEL_OK, "cpus", NULL, "%u of %ld (the others are not for this process)", usable, online);
	else
		find(report, LEVEL_OK, "cpus", NULL, "%u", usable);
}

static void check_limit(struct report *report, const char *name, int resource, unsigned long least, const char *cure)
{
	struct rlimit limit;
	if (getrlimit(resource, &limit) < 0)
		return;
	if (resource == RLIMIT_NOFILE)
		limit.rlim_cur = limit.rlim_max; /* a bridge takes what it may have */
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < least)
		find(report, LEVEL_WARN, name, cure, "limit %lu, %lu are better", (unsigned long)limit.rlim_cur, least);
	else if (limit.rlim_cur == RLIM_INFINITY)
		find(report, LEVEL_OK, name, NULL, "no limit");
	else
		find(report, LEVEL_OK, name, NULL, "limit %lu", (unsigned long)limit.rlim_cur);
}

static void check_space(struct report *report, const char *name, const char *path, unsigned long long least)
{
	struct statvfs status;
	char size[32];
	if (statvfs(path, &status) < 0)
		return;
	unsigned long long free_bytes = (unsigned long long)status.f_bavail * status.f_frsize;
	if (access(path, W_OK | X_OK) < 0)
		find(report, LEVEL_FAIL, name, "a directory that you may write to", "'%s' cannot be written to", path);
	else if (free_bytes < least)
		find(report, LEVEL_WARN, name, "make room", "only %s free in %s", ranq_size_format(free_bytes, size),
			path);
	else
		find(report, LEVEL_OK, name, NULL, "%s free in %s", ranq_size_format(free_bytes, size), path);
}

static void check_directories(struct report *report)
{
	const char *tmp = getenv("TMPDIR"), *home = getenv("HOME");
	const char *fs = home ? ranq_private_network_fs(home) : NULL;
	check_space(report, "tmp", tmp && *tmp ? tmp : "/tmp", 64ULL << 20);
	check_space(report, "shm", "/dev/shm", 64ULL << 20);
	if (!home || !*home)
		find(report, LEVEL_WARN, "home", "set HOME",
			"HOME is not set: no configuration and no connection file");
	else if (fs)
		find(report, LEVEL_OK, "home", NULL,
			"%s is on %s: good for the connection file; give 'ranq server start --dir' a local disk", home,
			fs);
	else
		find(report, LEVEL_OK, "home", NULL, "%s is on a local file system: other hosts need RANQ_SERVER",
			home);
}

/* ---- */

static void show_config(struct report *report)
{
	struct ranq_config_value values[16];
	size_t n = ranq_config_explain(values, sizeof values / sizeof *values);
	for (size_t i = 0; i < n; i++) {
		if (!report->json) {
			printf("set   %-12s %s%s(%s)\n", values[i].name, values[i].value, *values[i].value ? " " : "",
				values[i].source);
			continue;
		}
		struct ranq_json *item = ranq_json_object(NULL);
		ranq_json_str(item, "name", values[i].name);
		ranq_json_str(item, "value", *values[i].value ? values[i].value : NULL);
		ranq_json_str(item, "source", values[i].source);
		ranq_json_append(report->json, "config", item);
	}
}

static void examine(struct report *report, const struct doctor_options *options)
{
	struct ranq_allocation allocation;
	ranq_allocation_find(&allocation);
	show_config(report);
	check_server(report, options->server);
	check_redis(report);
	check_programs(report, &allocation);
	check_scheduler(report, &allocation);
	check_cpus(report);
	check_limit(report, "open files", RLIMIT_NOFILE, 4096, "'ulimit -Hn', or ask the administrator");
	check_limit(report, "processes", RLIMIT_NPROC, 256, "'ulimit -u', or ask the administrator");
	check_directories(report);
	ranq_allocation_clear(&allocation);
}

static int run_doctor(const struct ranq_command *command, int argc, char **argv)
{
	struct doctor_options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int parsed = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (parsed != 0)
		return parsed > 0 ? 0 : ranq_cli_fail(command, &err);
	struct report report = {.json = options.json ? ranq_json_object("ranq.doctor/1") : NULL};
	examine(&report, &options);
	int failed = report.count[LEVEL_FAIL] > 0;
	if (!options.json) {
		printf("%u ok, %u to think about, %u to mend\n", report.count[LEVEL_OK], report.count[LEVEL_WARN],
			report.count[LEVEL_FAIL]);
		return failed;
	}
	ranq_json_bool(report.json, "healthy", !failed);
	return ranq_json_print(report.json, stdout, &err) < 0 ? ranq_cli_fail(command, &err) : failed;
}

const struct ranq_command ranq_command_doctor = {
	.name = "doctor",
	.summary = "say what works here and what is missing, with cures",
	.synopsis = "[--server URL] [--json]",
	.details = "A line each: 'set' tells a setting and who set it; 'ok', 'warn' and 'fail' tell a finding and its cure.\n"
		   "Exit status 1 when something fails. Nothing is changed.",
	.groups = doctor_groups,
	.max_operands = 0,
	.run = run_doctor,
};

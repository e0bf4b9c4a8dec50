/* cmd_server.c - `ranq server start|stop|status`. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cli.h"
#include "common/commands.h"
#include "common/private_server.h"
#include "common/queues.h"
#include "util/clock.h"
#include "util/json.h"

struct server_options {
	const char *dir, *listen;
	bool plain, take_over, json;
	uint64_t maxmemory;
};

#define FIELD(f) offsetof(struct server_options, f)
static const struct ranq_option server_option_table[] = {
	{"dir", 0, "DIR", RANQ_OPTION_TEXT, FIELD(dir),
		"data directory, on a local disk (default: as before, or ~/.local/state/ranq/server)"},
	{"listen", 0, "ADDR[:PORT]", RANQ_OPTION_TEXT, FIELD(listen),
		"serve other hosts too, with a random password and TLS; 0.0.0.0: on all networks"},
	{"plain", 0, NULL, RANQ_OPTION_FLAG, FIELD(plain),
		"with --listen: no TLS; whoever sees the network can read all and take over"},
	{"take-over", 0, NULL, RANQ_OPTION_FLAG, FIELD(take_over),
		"start although a server on another host did not say that it ended: that host is gone"},
	{"maxmemory", 0, "SIZE", RANQ_OPTION_SIZE, FIELD(maxmemory), "memory limit (default: 60 % of the machine)"},
	{"json", 0, NULL, RANQ_OPTION_FLAG, FIELD(json), "print JSON (status)"},
	{"help", 'h', NULL, RANQ_OPTION_FLAG, 0, "show this help"},
	{NULL},
};
static const struct ranq_option_group server_groups[] = {
	{"options", server_option_table, 0},
	{NULL},
};

/* ---- start and stop ---- */

static void say_started(const struct ranq_command *command, const struct ranq_private_options *options,
	const struct ranq_private_start *start)
{
	const struct ranq_server_addr *addr = &start->file.addr;
	if (start->was_running) {
		ranq_cli_say(command, "running already (process %ld)", start->file.pid);
		return;
	}
	ranq_cli_say(
		command, "started (process %ld), data in %s", start->file.pid, start->file.dir ? start->file.dir : "?");
	if (start->network_fs)
		ranq_cli_say(command,
			"warning: %s is on %s: appending there is slow and may lose data; use --dir on a local disk",
			start->file.dir, start->fs);
	if (addr->unix_path)
		ranq_cli_say(command, "it serves this host only; for compute nodes: ranq server stop; ranq server "
				      "start --listen 0.0.0.0");
	else if (options->plain)
		ranq_cli_say(command, "warning: without TLS the password and all data cross the network readable, and "
				      "whoever can read them can run "
				      "commands as you");
}

static int start(const struct ranq_command *command, const struct server_options *given)
{
	struct ranq_private_options options = {
		.dir = given->dir, .listen = given->listen, .plain = given->plain, .take_over = given->take_over,
		.maxmemory = given->maxmemory};
	struct ranq_private_start started;
	struct ranq_err err = {0};
	if (given->maxmemory && given->maxmemory < 16 << 20) {
		ranq_err_set(&err, RANQ_ERR_INPUT, "--maxmemory must be 16 MiB at least");
		return ranq_cli_fail(command, &err);
	}
	int done = ranq_private_start(&options, &started, &err);
	if (done == 0) {
		say_started(command, &options, &started);
		printf("%s\n", ranq_server_addr_text(&started.file.addr));
	}
	ranq_private_start_clear(&started);
	return done == 0 ? 0 : ranq_cli_fail(command, &err);
}

/* Workers whose server goes away wait for it to come back: no harm, but seldom what is meant. */
static void warn_of_workers(const struct ranq_command *command)
{
	char path[4096];
	struct ranq_connection_file file;
	if (ranq_connection_file_path(NULL, path, sizeof path, NULL) < 0)
		return;
	uint64_t n = 0;
	ranq_connection_file_init(&file);
	if (ranq_connection_file_read(path, &file, NULL) == 0 && ranq_connection_file_usable(&file, NULL) == 0)
		n = ranq_queues_workers(&file.addr, ranq_clock_ms() + 3000);
	ranq_connection_file_clear(&file);
	if (n)
		ranq_cli_say(command,
			"warning: %llu worker%s still there and will wait for the server to come back; 'ranq drain "
			"--wait all' lets them leave first",
			(unsigned long long)n, n == 1 ? " is" : "s are");
}

static int stop(const struct ranq_command *command)
{
	struct ranq_err err = {0};
	warn_of_workers(command);
	int stopped = ranq_private_stop(&err);
	if (stopped < 0)
		return ranq_cli_fail(command, &err);
	ranq_cli_say(command, stopped ? "stopped; its data stays, a later start carries on" : "no server is running");
	return 0;
}

/* ---- status ---- */

struct status {
	struct ranq_connection_file file;
	bool known, running; /* a connection file is there; the server answers */
	struct ranq_err why; /* when not running */
	struct ranq_server_facts facts;
	int64_t uptime_s, memory, clients, aof_bytes;
};

/* Value of "key:123\r\n" in INFO; 0 when it is not there. */
static int64_t info_number(struct ranq_bytes info, const char *key)
{
	const char *at = info.data, *end = at + info.len;
	size_t len = strlen(key);
	while (at < end) {
		size_t line = strcspn(at, "\r\n");
		if (line > len && strncmp(at, key, len) == 0 && at[len] == ':')
			return strtoll(at + len + 1, NULL, 10);
		at += line;
		at += strspn(at, "\r\n");
	}
	return 0;
}

static void read_info(struct ranq_conn *conn, struct status *status)
{
	struct ranq_reply *reply = NULL;
	struct ranq_cmd cmd;
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "INFO");
	if (ranq_conn_call(conn, &cmd, ranq_clock_ms() + 5000, &reply, NULL) == 0 &&
		ranq_reply_type(reply) == RANQ_REPLY_STRING) {
		struct ranq_bytes bytes = ranq_reply_bytes(reply);
		char *text = strndup(bytes.data, bytes.len); /* ends with a NUL, which the scan relies upon */
		struct ranq_bytes info = {text, text ? strlen(text) : 0};
		status->uptime_s = text ? info_number(info, "uptime_in_seconds") : 0;
		status->memory = text ? info_number(info, "used_memory") : 0;
		status->clients = text ? info_number(info, "connected_clients") : 0;
		status->aof_bytes = text ? info_number(info, "aof_current_size") : 0;
		free(text);
	}
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
}

static void look(struct status *status)
{
	char path[4096];
	memset(status, 0, sizeof *status);
	ranq_connection_file_init(&status->file);
	if (ranq_connection_file_path(NULL, path, sizeof path, &status->why) < 0)
		return;
	if (ranq_connection_file_read(path, &status->file, &status->why) < 0) {
		if (status->why.code == RANQ_ERR_NOTFOUND)
			ranq_err_set(&status->why, RANQ_ERR_SERVER,
				"no server is running (start one with 'ranq server start')");
		return;
	}
	status->known = true;
	if (ranq_connection_file_usable(&status->file, &status->why) < 0)
		return;
	struct ranq_conn *conn = ranq_conn_open(&status->file.addr, ranq_clock_ms() + 5000, &status->why);
	if (!conn) {
		struct ranq_err why = status->why;
		ranq_err_set(&status->why, why.code, "%s; start it again with 'ranq server start'", why.text);
		return;
	}
	status->running = true;
	status->facts = *ranq_conn_facts(conn);
	read_info(conn, status);
	ranq_conn_close(conn);
}

static void print_text(const struct status *status)
{
	const struct ranq_server_facts *facts = &status->facts;
	char uptime[32], memory[32], limit[32], aof[32];
	printf("server    %s\n", ranq_server_addr_text(&status->file.addr));
	printf("host      %s, process %ld\n", status->file.host ? status->file.host : "?", status->file.pid);
	printf("data      %s\n", status->file.dir ? status->file.dir : "?");
	printf("version   %s %u.%u.%u%s\n", facts->valkey ? "Valkey" : "Redis", facts->major, facts->minor,
		facts->patch, facts->tls ? ", TLS" : "");
	printf("up        %s\n", ranq_duration_format(status->uptime_s * 1000, uptime));
	printf("memory    %s of %s, eviction policy %s\n", ranq_size_format((uint64_t)status->memory, memory),
		facts->maxmemory ? ranq_size_format(facts->maxmemory, limit) : "no limit", facts->maxmemory_policy);
	printf("on disk   %s%s\n",
		facts->aof ? ranq_size_format((uint64_t)status->aof_bytes, aof)
			   : "nothing: the append-only file is off",
		facts->aof_broken ? "; it cannot write any more and takes nothing new: make room there" : "");
	printf("clients   %lld\n", (long long)status->clients);
}

static int print_json(const struct status *status, struct ranq_err *err)
{
	const struct ranq_server_facts *facts = &status->facts;
	char version[48];
	struct ranq_json *json = ranq_json_object("ranq.server/1");
	ranq_json_bool(json, "running", status->running);
	if (!status->running)
		ranq_json_str(json, "reason", status->why.text);
	if (status->known) {
		ranq_json_str(json, "url", ranq_server_addr_text(&status->file.addr));
		ranq_json_str(json, "host", status->file.host);
		ranq_json_int(json, "pid", status->file.pid);
		ranq_json_str(json, "dir", status->file.dir);
	}
	if (status->running) {
		snprintf(version, sizeof version, "%u.%u.%u", facts->major, facts->minor, facts->patch);
		ranq_json_str(json, "program", facts->valkey ? "valkey" : "redis");
		ranq_json_str(json, "version", version);
		ranq_json_bool(json, "tls", facts->tls);
		ranq_json_bool(json, "aof", facts->aof);
		ranq_json_str(json, "maxmemory_policy", facts->maxmemory_policy);
		ranq_json_uint(json, "maxmemory_bytes", facts->maxmemory);
		ranq_json_int(json, "memory_bytes", status->memory);
		ranq_json_int(json, "aof_bytes", status->aof_bytes);
		ranq_json_int(json, "clients", status->clients);
		ranq_json_int(json, "uptime_s", status->uptime_s);
	}
	return ranq_json_print(json, stdout, err);
}

static int show(const struct ranq_command *command, const struct server_options *given)
{
	struct status status;
	struct ranq_err err = {0};
	int result = 0;
	look(&status);
	if (given->json && print_json(&status, &err) < 0)
		result = ranq_cli_fail(command, &err);
	else if (!status.running)
		result = given->json ? 3 : ranq_cli_fail(command, &status.why);
	else if (!given->json)
		print_text(&status);
	ranq_connection_file_clear(&status.file);
	return result;
}

/* ---- */

static int run_server(const struct ranq_command *command, int argc, char **argv)
{
	struct server_options options = {0};
	struct ranq_operands operands;
	struct ranq_err err = {0};
	int parsed = ranq_options_parse(command, argc, argv, &options, &operands, &err);
	if (parsed != 0)
		return parsed > 0 ? 0 : ranq_cli_fail(command, &err);
	const char *action = operands.at[0];
	bool starting = strcmp(action, "start") == 0;
	if (!starting && (options.dir || options.listen || options.plain || options.maxmemory))
		ranq_err_set(
			&err, RANQ_ERR_USAGE, "--dir, --listen, --plain and --maxmemory belong to 'ranq server start'");
	else if (starting)
		return start(command, &options);
	else if (strcmp(action, "stop") == 0)
		return stop(command);
	else if (strcmp(action, "status") == 0)
		return show(command, &options);
	else
		ranq_err_set(&err, RANQ_ERR_USAGE, "'%.100s' is none of start, stop and status", action);
	return ranq_cli_fail(command, &err);
}

const struct ranq_command ranq_command_server = {
	.name = "server",
	.summary = "a private Redis server of your own",
	.synopsis = "start [--dir DIR] [--listen ADDR[:PORT] [--plain]] [--maxmemory SIZE] [--take-over]\nstop\nstatus [--json]",
	.details = "start   starts it unless it runs already and leaves a connection file that every ranq of yours "
		   "reads, on\n"
		   "        each host that shares your home directory; without --listen it serves this host only\n"
		   "stop    ends it; the data stays and a later start carries on with it\n"
		   "status  says where it is and how it does; exit status 3 when none is running",
	.groups = server_groups,
	.min_operands = 1,
	.max_operands = 1,
	.run = run_server,
};

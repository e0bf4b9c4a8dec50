/* server.c - a connection of our own to the server: submits, counts, verifies. Everything here is synchronous and rare.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "benchmarks/simulation/simulation.h"
#include "record/segment.h"
#include "util/clock.h"

#define CALL_MS 60000

static struct ranq_cmd cmd;

static struct ranq_reply *call(const char *what)
{
	struct ranq_reply *reply;
	struct ranq_err err;
	char words[200];

	if (ranq_conn_call(sim.conn, &cmd, ranq_clock_ms() + CALL_MS, &reply, &err) != 0)
		sim_die(what, &err);
	if (ranq_reply_type(reply) != RANQ_REPLY_ERROR)
		return reply;
	ranq_err_set(&err, RANQ_ERR_REPLY, "%s", ranq_reply_words(reply, words, sizeof words));
	sim_die(what, &err);
}

void sim_server_open(const char *url)
{
	struct ranq_err err;

	ranq_cmd_init(&cmd);
	ranq_server_addr_init(&sim.addr);
	if (ranq_server_addr_parse(url, &sim.addr, &err) != 0)
		sim_die("server", &err);
	sim.conn = ranq_conn_open(&sim.addr, ranq_clock_ms() + CALL_MS, &err);
	if (!sim.conn || ranq_queue_init(&sim.queue, sim.set.queue, &err) != 0 ||
		ranq_queue_attach(&sim.queue, sim.conn, RANQ_CALL_AUTO, 0, true, ranq_clock_ms() + CALL_MS, &err) != 0)
		sim_die("server", &err);
}

void sim_server_close(void)
{
	ranq_conn_close(sim.conn);
	ranq_server_addr_clear(&sim.addr);
	ranq_cmd_clear(&cmd);
}

/* ---- jobs ---- */

uint64_t sim_submit(void)
{
	struct ranq_spec spec;
	char uuid[RANQ_ID_LEN + 1];
	struct ranq_submit submit = {.uuid = uuid, .spec = &spec, .tasks = sim.set.tasks};
	struct ranq_reply *reply;
	struct ranq_err err;
	uint64_t job;
	bool existed;

	if (submit.tasks == 0)
		submit.tasks = (uint64_t)1 << 50;
	ranq_id_new(uuid);
	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_COMMAND;
	ranq_strings_add(&spec.argv, "true", 4);
	spec.args = RANQ_ARGS_RANGE;
	spec.range_step = 1;
	spec.results = sim.set.results;
	spec.backlog = (uint64_t)1 << 40;
	spec.chunk = sim.set.chunk;
	if (ranq_queue_submit_cmd(&sim.queue, &cmd, &submit, &err) != 0)
		sim_die("submit", &err);
	ranq_spec_clear(&spec);
	reply = call("submit");
	if (ranq_queue_submit_parse(reply, &job, &existed, &err) != 0)
		sim_die("submit", &err);
	ranq_reply_destroy(reply);
	return job;
}

struct ranq_job_info sim_info(uint64_t job)
{
	struct ranq_job_info info;
	struct ranq_reply *reply;
	struct ranq_err err;

	ranq_queue_info_cmd(&sim.queue, &cmd, job);
	reply = call("info");
	if (ranq_queue_info_parse(reply, &info, &err) != 0)
		sim_die("info", &err);
	ranq_reply_destroy(reply);
	return info;
}

static bool control(const char *what)
{
	struct ranq_reply *reply = call(what);
	struct ranq_err err;
	uint64_t n;
	bool more;

	if (ranq_queue_control_parse(reply, &n, &more, &err) != 0)
		sim_die(what, &err);
	ranq_reply_destroy(reply);
	return more;
}

void sim_drain(void)
{
	do
		ranq_queue_drain_cmd(&sim.queue, &cmd, "all");
	while (control("drain"));
}

void sim_remove(uint64_t job)
{
	do
		ranq_queue_remove_cmd(&sim.queue, &cmd, job);
	while (control("remove"));
}

/* ---- counters ---- */

static double number_after(struct ranq_bytes text, const char *name)
{
	const char *at = memmem(text.data, text.len, name, strlen(name));

	return at ? strtod(at + strlen(name), NULL) : 0;
}

/* Calls of functions by clients; what they call inside counts as commands. */
static void add_calls(struct sim_counters *c, struct ranq_bytes text, const char *name)
{
	const char *at = memmem(text.data, text.len, name, strlen(name));
	uint64_t calls, us;

	if (!at || sscanf(at + strlen(name), "calls=%" SCNu64 ",usec=%" SCNu64, &calls, &us) != 2)
		return;
	c->calls += calls;
	c->calls_us += us;
}

struct sim_counters sim_count(void)
{
	struct sim_counters c = {.at_ns = ranq_clock_ns(),
		.proxy_s = sim.proxy_s,
		.late_s = sim.late_s,
		.timers = sim.timers,
		.sums = sim_sums()};
	struct ranq_reply *reply;
	struct ranq_bytes text;
	struct rusage usage;

	ranq_cmd_reset(&cmd);
	ranq_cmd_str(&cmd, "INFO");
	ranq_cmd_str(&cmd, "all");
	reply = call("info");
	text = ranq_reply_bytes(reply);
	c.server_s = number_after(text, "\nused_cpu_sys:") + number_after(text, "\nused_cpu_user:");
	c.commands = (uint64_t)number_after(text, "\ntotal_commands_processed:");
	c.bytes_in = (uint64_t)number_after(text, "\ntotal_net_input_bytes:");
	c.bytes_out = (uint64_t)number_after(text, "\ntotal_net_output_bytes:");
	c.memory_bytes = (uint64_t)number_after(text, "\nused_memory:");
	add_calls(&c, text, "\ncmdstat_fcall:");
	add_calls(&c, text, "\ncmdstat_fcall_ro:");
	add_calls(&c, text, "\ncmdstat_evalsha:");
	ranq_reply_destroy(reply);
	getrusage(RUSAGE_SELF, &usage);
	c.process_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	return c;
}

/* ---- verification ---- */

static int wrong(const char *format, uint64_t a, uint64_t b)
{
	fprintf(stderr, "bench-simulation: ");
	fprintf(stderr, format, a, b);
	fprintf(stderr, "\n");
	return -1;
}

static int verify_audit(uint64_t job, const struct ranq_job_info *info)
{
	struct ranq_audit audit;
	struct ranq_reply *reply;
	struct ranq_err err;

	ranq_queue_audit_cmd(&sim.queue, &cmd, job);
	reply = call("audit");
	if (ranq_queue_audit_parse(reply, &audit, &err) != 0)
		sim_die("audit", &err);
	ranq_reply_destroy(reply);
	if (audit.overlaps)
		return wrong("%" PRIu64 " ranges overlap", audit.overlaps, 0);
	if (audit.leased)
		return wrong("%" PRIu64 " tasks are leased although nobody is there", audit.leased, 0);
	if (audit.done + audit.returned + audit.remaining != audit.tasks || audit.done != info->done)
		return wrong("%" PRIu64 " of %" PRIu64 " tasks are accounted for",
			audit.done + audit.returned + audit.remaining, audit.tasks);
	return 0;
}

/* Every result is that of its task. Counts them. */
static int verify_item(uint64_t start, uint64_t end, struct ranq_bytes item, uint64_t *count)
{
	size_t len = sizeof start < sim.set.bytes ? sizeof start : sim.set.bytes;
	struct ranq_segment_reader reader;
	struct ranq_result result;
	struct ranq_err err;

	ranq_segment_reader_init(&reader, item.data, item.len);
	for (uint64_t k = start; k < end; k++) {
		if (ranq_segment_reader_next(&reader, &result, &err) != 1)
			return wrong("the item of tasks %" PRIu64 " to %" PRIu64 " is too short", start, end - 1);
		if (result.value.len != sim.set.bytes || memcmp(result.value.data, &k, len) != 0)
			return wrong("task %" PRIu64 " has the result of another one", k, 0);
	}
	*count += end - start;
	return 0;
}

/* An item that lies apart is read past the functions. */
static int verify_fetched(uint64_t job, const struct ranq_fetch_item *fetched, uint64_t *count)
{
	struct ranq_bytes item = fetched->item;
	struct ranq_reply *reply = NULL;
	struct ranq_err err;
	bool there = true;
	int rc;

	if (fetched->apart) {
		ranq_queue_apart_get_cmd(&sim.queue, &cmd, job, fetched->start);
		reply = call("GET");
		if (ranq_queue_apart_get_parse(reply, &there, &item, &err) != 0)
			sim_die("GET", &err);
	}
	rc = there ? verify_item(fetched->start, fetched->end, item, count)
		   : wrong("the item of tasks %" PRIu64 " to %" PRIu64 " is not there", fetched->start, fetched->end - 1);
	ranq_reply_destroy(reply);
	return rc;
}

static int verify_results(uint64_t job, const struct ranq_job_info *info)
{
	static struct ranq_fetch_reply fetched;
	struct ranq_fetch fetch = {
		.job = job, .unordered = true, .max_bytes = (size_t)4 << 20, .max_items = 256, .waiter = ""};
	uint64_t count = 0;
	int rc = 0;

	do {
		struct ranq_reply *reply;
		struct ranq_err err;

		ranq_queue_fetch_cmd(&sim.queue, &cmd, &fetch);
		reply = call("fetch");
		if (ranq_queue_fetch_parse(reply, &fetched, &err) != 0)
			sim_die("fetch", &err);
		for (size_t i = 0; i < fetched.n && rc == 0; i++)
			rc = verify_fetched(job, &fetched.items[i], &count);
		fetch.from = fetched.cursor;
		ranq_reply_destroy(reply);
	} while (rc == 0 && fetched.n > 0);
	if (rc == 0 && count != info->done)
		return wrong("%" PRIu64 " results of %" PRIu64 " tasks are stored", count, info->done);
	return rc;
}

int sim_verify(uint64_t job)
{
	struct ranq_job_info info = sim_info(job);

	if (info.done != sim.executed)
		return wrong("%" PRIu64 " tasks are done, and ranks ran %" PRIu64, info.done, sim.executed);
	if (info.counts[RANQ_TASK_OK] != info.done)
		return wrong("%" PRIu64 " of %" PRIu64 " tasks are OK", info.counts[RANQ_TASK_OK], info.done);
	if (info.stale)
		return wrong("%" PRIu64 " commits were stale", info.stale, 0);
	if (sim.set.tasks && info.done != sim.set.tasks)
		return wrong("%" PRIu64 " of %" PRIu64 " tasks are done", info.done, sim.set.tasks);
	if (verify_audit(job, &info) != 0)
		return -1;
	return sim.set.results == RANQ_RESULTS_KEEP ? verify_results(job, &info) : 0;
}

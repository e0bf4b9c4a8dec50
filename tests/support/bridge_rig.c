#include "tests/support/bridge_rig.h" /* first: check.h has a macro `fail`, which is a name in ranq.h */

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/link_local.h"
#include "util/clock.h"

#define LEASE_MS 3000

void rig_start(struct bridge_rig *rig, int appendonly)
{
	struct ranq_err err;

	memset(rig, 0, sizeof *rig);
	setenv("HOME", "/nonexistent", 1);
	test_redis_start(&rig->server, appendonly, NULL);
	snprintf(rig->url, sizeof rig->url, "unix://%s", rig->server.socket);
	ranq_server_addr_init(&rig->addr);
	ck_assert_msg(ranq_server_addr_parse(rig->url, &rig->addr, &err) == 0, "%s", err.text);
	rig->conn = test_redis_connect(&rig->server);
	ck_assert_int_eq(ranq_queue_init(&rig->queue, "t", &err), 0);
	ck_assert_msg(ranq_queue_attach(&rig->queue, rig->conn, RANQ_CALL_AUTO, LEASE_MS, true, ranq_clock_ms() + 60000,
			      &err) == 0,
		"%s", err.text);
	rig->queues[0] = "t";
	rig->options = (struct ranq_proxy_options){.addr = &rig->addr,
		.queues = rig->queues,
		.nqueues = 1,
		.lease_ms = LEASE_MS,
		.allocation = "test",
		.idle_timeout_ms = -1,
		.grace_ms = 2000};
}

static void make_worker(struct bridge_rig *rig, int r, unsigned slots)
{
	struct ranq_exec_options exec = {
		.program = rig->exec_program ? rig->exec_program : RANQ_TEST_BINDIR "/ranq-exec",
		.mark = rig->mark[r],
		.queue = "t",
		.worker = "test",
		.rank = (unsigned)r};
	struct ranq_worker_options options = {.base = rig->ranks[r].base,
		.link = rig->links[r],
		.slots = slots,
		.placements = rig->placements,
		.compute_from = rig->options.computes ? 0 : 1,
		.lease_ms = 60000};
	struct ranq_err err;

	snprintf(rig->mark[r], sizeof rig->mark[r], "rig-%ld.%d", (long)getpid(), r);
	rig->execs[r] = options.exec = ranq_exec_open(&exec, &err);
	ck_assert_msg(options.exec, "%s", err.text);
	rig->ranks[r].worker = ranq_worker_create(&options, &err);
	ck_assert_msg(rig->ranks[r].worker, "%s", err.text);
}

void rig_bridge(struct bridge_rig *rig, int size, const int *node, unsigned slots)
{
	struct ranq_err err;

	rig->size = size;
	rig->runs = true;
	memset(rig->cut, 0, sizeof rig->cut);
	ck_assert_int_eq(ranq_link_local_open(size, node, rig->links, &err), 0);
	rig->options.computes = size == 1;
	for (int r = 0; r < size; r++) {
		ranq_rank_facts_init(&rig->facts[r]);
		rig->ranks[r] =
			(struct ranq_bridge){.base = ranq_watch_base(&err), .link = rig->links[r], .signal_fd = -1};
		ck_assert_ptr_nonnull(rig->ranks[r].base);
		ck_assert_int_eq(ranq_bridge_init(&rig->ranks[r], &err), 0);
		if (r > 0 || rig->options.computes)
			make_worker(rig, r, slots);
	}
	rig->options.base = rig->ranks[0].base;
	rig->options.link = rig->links[0];
	rig->options.facts = rig->facts;
	rig->ranks[0].proxy = ranq_proxy_create(&rig->options, &err);
	ck_assert_msg(rig->ranks[0].proxy, "%s", err.text);
}

/* A worker that was told to end says goodbye, as the program does. */
static void say_goodbye(struct bridge_rig *rig, int r)
{
	struct ranq_buf buf;
	int status;

	if (r == 0 || !rig->ranks[r].worker || ranq_worker_state(rig->ranks[r].worker, &status) == RANQ_WORKER_RUNS)
		return;
	ranq_worker_destroy(rig->ranks[r].worker);
	rig->ranks[r].worker = NULL;
	ranq_buf_init(&buf, 0);
	ranq_message_number_encode(&buf, RANQ_MESSAGE_GOODBYE, 0);
	ranq_link_send(rig->links[r], 0, &buf, NULL);
}

void rig_until(struct bridge_rig *rig, bool (*condition)(struct bridge_rig *rig, uint64_t arg), uint64_t arg)
{
	int64_t limit = ranq_clock_ms() + BRIDGE_RIG_LIMIT_MS, next_look = 0;

	for (;;) {
		ck_assert_msg(ranq_clock_ms() < limit, "the condition does not come true");
		for (int r = 0; r < rig->size && rig->runs; r++) {
			if (rig->cut[r])
				continue;
			ranq_bridge_turn(&rig->ranks[r], ranq_clock_ms() + (r == rig->size - 1));
			say_goodbye(rig, r);
		}
		if (ranq_clock_ms() >= next_look) {
			if (condition(rig, arg))
				return;
			next_look = ranq_clock_ms() + 3;
		}
	}
}

static struct ranq_reply *call(struct bridge_rig *rig, struct ranq_cmd *cmd)
{
	struct ranq_reply *reply;
	struct ranq_err err;

	for (int tries = 0; tries < 2; tries++) {
		if (!ranq_conn_alive(rig->conn)) {
			ranq_conn_close(rig->conn);
			rig->conn = test_redis_connect(&rig->server);
		}
		if (ranq_conn_call(rig->conn, cmd, ranq_clock_ms() + 60000, &reply, &err) == 0)
			return reply;
	}
	ck_abort_msg("%s", err.text);
	return NULL;
}

struct ranq_job_info rig_info(struct bridge_rig *rig, uint64_t job)
{
	struct ranq_job_info info;
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	struct ranq_err err;

	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_info_cmd(&rig->queue, &cmd, job), 0);
	reply = call(rig, &cmd);
	ck_assert_msg(ranq_queue_info_parse(reply, &info, &err) == 0, "%s", err.text);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return info;
}

uint64_t rig_bridges(struct bridge_rig *rig)
{
	struct ranq_queue_info info;
	struct ranq_cmd cmd;
	struct ranq_reply *reply;
	struct ranq_err err;

	ranq_cmd_init(&cmd);
	ck_assert_int_eq(ranq_queue_stat_cmd(&rig->queue, &cmd), 0);
	reply = call(rig, &cmd);
	ck_assert_msg(ranq_queue_stat_parse(reply, &info, &err) == 0, "%s", err.text);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return info.bridges;
}

bool rig_job_ended(struct bridge_rig *rig, uint64_t job)
{
	return ranq_job_state_is_final(rig_info(rig, job).state);
}

bool rig_job_begun(struct bridge_rig *rig, uint64_t job)
{
	return rig_info(rig, job).done > 0;
}

bool rig_job_leased(struct bridge_rig *rig, uint64_t job)
{
	return rig_info(rig, job).leased > 0;
}

bool rig_over(struct bridge_rig *rig, uint64_t unused)
{
	int status;

	(void)unused;
	return ranq_proxy_done(rig->ranks[0].proxy, &status);
}

int rig_status(struct bridge_rig *rig)
{
	int status;

	ck_assert(ranq_proxy_done(rig->ranks[0].proxy, &status));
	return status;
}

void rig_stop_rank(struct bridge_rig *rig, int rank)
{
	ranq_link_local_cut(rig->links[rank], true);
	rig->cut[rank] = true;
}

void rig_start_rank(struct bridge_rig *rig, int rank)
{
	ranq_link_local_cut(rig->links[rank], false);
	rig->cut[rank] = false;
}

void rig_end_bridge(struct bridge_rig *rig)
{
	for (int r = 0; r < rig->size && rig->runs; r++) {
		ranq_worker_destroy(rig->ranks[r].worker);
		ranq_exec_close(rig->execs[r], 0);
		ranq_proxy_destroy(rig->ranks[r].proxy);
		rig->execs[r] = NULL;
	}
	for (int r = 0; r < rig->size && rig->runs; r++) {
		ranq_bridge_clear(&rig->ranks[r]);
		ranq_link_close(rig->links[r], 0);
		event_base_free(rig->ranks[r].base);
	}
	rig->runs = false;
}

void rig_stop(struct bridge_rig *rig)
{
	rig_end_bridge(rig);
	ranq_conn_close(rig->conn);
	ranq_server_addr_clear(&rig->addr);
	test_redis_stop(&rig->server);
}

static void set_lease(struct bridge_rig *rig, const char *queue, int64_t ms)
{
	struct ranq_cmd cmd;
	char key[128];

	snprintf(key, sizeof key, "ranq:{%s}:q", queue);
	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "HSET");
	ranq_cmd_str(&cmd, key);
	ranq_cmd_str(&cmd, "lease");
	ranq_cmd_int(&cmd, ms);
	ranq_reply_destroy(call(rig, &cmd));
	ranq_cmd_clear(&cmd);
}

void rig_lease(struct bridge_rig *rig, int64_t ms)
{
	set_lease(rig, "t", ms);
	rig->options.lease_ms = ms;
}

/* ---- jobs ---- */

uint64_t rig_submit(struct bridge_rig *rig, const char *queue, const struct ranq_submit_options *options)
{
	struct ranq *ranq = ranq_open(rig->url, queue ? queue : "t");
	struct ranq_job *job;
	uint64_t number;

	ck_assert_msg(ranq, "%s", ranq_last_error());
	job = ranq_submit(ranq, options);
	ck_assert_msg(job, "%s", ranq_last_error());
	number = strtoull(strrchr(ranq_job_id(job), '/') + 1, NULL, 10);
	ranq_job_close(job);
	ranq_close(ranq);
	/* The submission made the queue, with the default lease: too long for tests that wait for its end. */
	set_lease(rig, queue ? queue : "t", LEASE_MS);
	return number;
}

uint64_t rig_command(struct bridge_rig *rig, uint64_t tasks, const char *const *argv)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;

	options.command = argv;
	options.tasks = tasks;
	return rig_submit(rig, NULL, &options);
}

uint64_t rig_function(struct bridge_rig *rig, uint64_t tasks, const char *module, const char *function)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	char path[512];

	snprintf(path, sizeof path, "%s/tests/modules/%s", RANQ_TEST_BUILDDIR, module);
	options.module = path;
	options.function = function;
	options.tasks = tasks;
	return rig_submit(rig, NULL, &options);
}

static void read_all(struct bridge_rig *rig, const char *queue, uint64_t job, uint64_t tasks, bool lines)
{
	struct ranq *ranq = ranq_open(rig->url, queue ? queue : "t");
	struct ranq_value value;
	struct ranq_job *handle;
	char id[32], want[32];
	uint64_t n = 0;
	int rc;

	ck_assert_msg(ranq, "%s", ranq_last_error());
	snprintf(id, sizeof id, "%llu", (unsigned long long)job);
	handle = ranq_job_attach(ranq, id);
	ck_assert_msg(handle, "%s", ranq_last_error());
	while ((rc = ranq_next(handle, &value, 0, 60)) == 1) {
		int64_t number = (int64_t)n;

		ck_assert_uint_eq(value.index, n);
		ck_assert_int_eq(value.status, RANQ_STATUS_OK);
		snprintf(want, sizeof want, "%llu\n", (unsigned long long)n++);
		if (lines)
			ck_assert_msg(value.len == strlen(want) && memcmp(value.data, want, value.len) == 0,
				"task %lld", (long long)number);
		else
			ck_assert(value.len == sizeof number && memcmp(value.data, &number, sizeof number) == 0);
	}
	ck_assert_msg(rc == 0, "%s", ranq_last_error());
	ck_assert_uint_eq(n, tasks);
	ranq_job_close(handle);
	ranq_close(ranq);
}

void rig_expect_lines(struct bridge_rig *rig, const char *queue, uint64_t job, uint64_t tasks)
{
	read_all(rig, queue, job, tasks, true);
}

void rig_expect_int64(struct bridge_rig *rig, uint64_t job, uint64_t tasks)
{
	read_all(rig, NULL, job, tasks, false);
}

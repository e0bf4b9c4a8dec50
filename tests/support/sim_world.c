/* The world of a simulation: chance, the network between the parties, the server with its clock and its roll-backs. */
#include "tests/support/simulation.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

enum { KEYS_MAX = 4096 };

struct snapshot {
	size_t n;
	char *key[KEYS_MAX];
	struct ranq_buf value[KEYS_MAX];
	int64_t ttl[KEYS_MAX];
	bool counted[JOBS_MAX][TASKS_MAX];
};

static struct snapshot snapshot;
uint64_t sim_seed, sim_state;
bool sim_trace, sim_calm;
struct sim_job sim_jobs[JOBS_MAX];
size_t sim_njobs;
struct sim_bridge sim_bridges[BRIDGES_MAX];
size_t sim_nbridges;
struct sim_total sim_total;

uint64_t sim_draw(void)
{
	uint64_t z = (sim_state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t sim_below(uint64_t n)
{
	return sim_draw() % n;
}

bool sim_chance(unsigned per_mille)
{
	return sim_below(1000) < per_mille;
}

void sim_note(const char *format, ...)
{
	va_list args;

	if (!sim_trace)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

uint64_t sim_value(const struct sim_job *job, uint64_t index)
{
	uint64_t z = job->key ^ (index * 0xd6e8feb86659fd93u);

	return (z ^ z >> 32) * 0xd6e8feb86659fd93u;
}

struct sim_job *sim_job_of(uint64_t id)
{
	for (size_t i = 0; i < sim_njobs; i++)
		if (sim_jobs[i].id == id)
			return &sim_jobs[i];
	return NULL;
}

/* ---- the network: one call, with what can happen to it
 * ------------------------------------------------------------------- */

/* Sends tq.cmd. LOST: the caller must not look at the reply, but tq.reply tells the truth to the model when executed is
 * set. */
enum sim_outcome sim_network(bool *executed)
{
	struct ranq_cmd copy;

	*executed = true;
	sim_total.calls++;
	if (!sim_calm && sim_chance(30)) {
		*executed = false;
		sim_total.lost_requests++;
		return LOST;
	}
	if (!sim_calm && sim_chance(20)) { /* arrives twice, the second answer is never read */
		struct ranq_reply *first;

		ranq_cmd_init(&copy);
		ranq_buf_add(&copy.args, tq.cmd.args.data, tq.cmd.args.len);
		copy.argc = tq.cmd.argc;
		tq_call();
		first = tq.reply;
		tq.reply = NULL;
		if (ranq_conn_call(tq.conn, &copy, ranq_clock_ms() + 60000, &tq.reply, &tq.err))
			ck_abort_msg("call: %s", tq.err.text);
		ranq_reply_destroy(tq.reply);
		tq.reply = first;
		ranq_cmd_clear(&copy);
		sim_total.repeats++;
	} else {
		tq_call();
	}
	if (!sim_calm && sim_chance(30)) {
		sim_total.lost_replies++;
		return LOST;
	}
	return ANSWERED;
}

/* ---- the server
 * ---------------------------------------------------------------------------------------------------------- */

static struct ranq_reply *plain(const char *a, const char *b, const char *c)
{
	ranq_cmd_reset(&tq.cmd);
	ranq_cmd_str(&tq.cmd, a);
	ranq_cmd_str(&tq.cmd, b);
	if (c)
		ranq_cmd_str(&tq.cmd, c);
	tq_call();
	return tq.reply;
}

void sim_forget_snapshot(void)
{
	for (size_t i = 0; i < snapshot.n; i++) {
		free(snapshot.key[i]);
		ranq_buf_clear(&snapshot.value[i]);
	}
	snapshot.n = 0;
}

void sim_take_snapshot(void)
{
	struct ranq_reply *keys = plain("KEYS", "ranq:*", NULL);
	size_t n = ranq_reply_count(keys);

	tq.reply = NULL;
	sim_forget_snapshot();
	SIM_MUST(n <= KEYS_MAX, "%zu keys", n);
	for (size_t i = 0; i < n; i++) {
		struct ranq_bytes key = ranq_reply_bytes(ranq_reply_at(keys, i)), value;

		snapshot.key[i] = strndup(key.data, key.len);
		snapshot.ttl[i] = ranq_reply_int(plain("PTTL", snapshot.key[i], NULL));
		value = ranq_reply_bytes(plain("DUMP", snapshot.key[i], NULL));
		ranq_buf_init(&snapshot.value[i], 0);
		ranq_buf_add(&snapshot.value[i], value.data, value.len);
		snapshot.n++;
	}
	ranq_reply_destroy(keys);
	for (size_t i = 0; i < sim_njobs; i++)
		memcpy(snapshot.counted[i], sim_jobs[i].counted, sizeof sim_jobs[i].counted);
}

/* The server loses everything since the snapshot; all connections break. */
static void roll_back(void)
{
	tq_command("FLUSHALL");
	for (size_t i = 0; i < snapshot.n; i++) {
		ranq_cmd_reset(&tq.cmd);
		ranq_cmd_str(&tq.cmd, "RESTORE");
		ranq_cmd_str(&tq.cmd, snapshot.key[i]);
		ranq_cmd_int(&tq.cmd, snapshot.ttl[i] > 0 ? snapshot.ttl[i] : 0);
		ranq_cmd_bytes(&tq.cmd, snapshot.value[i].data, snapshot.value[i].len);
		tq_call();
		SIM_MUST(ranq_reply_type(tq.reply) == RANQ_REPLY_STATUS, "RESTORE");
	}
	for (size_t i = 0; i < sim_njobs; i++)
		memcpy(sim_jobs[i].counted, snapshot.counted[i], sizeof sim_jobs[i].counted);
	for (size_t i = 0; i < sim_nbridges; i++)
		sim_bridges[i].broken = true;
	for (size_t i = 0; i < sim_njobs; i++) {
		sim_jobs[i].open = sim_jobs[i].open || sim_jobs[i].batch; /* its close may be lost, too */
		sim_jobs[i].epoch = sim_jobs[i].cursor = 0;
	}
	sim_total.rollbacks++;
	sim_note("roll-back");
}

void sim_pass(int64_t ms)
{
	tq_command("HINCRBY %sq last %lld", tq.q.base, -(long long)ms);
}

void sim_server_step(void)
{
	uint64_t what = sim_below(100);

	if (what < 70)
		sim_pass((int64_t)sim_below(LEASE_MS / 5));
	else if (what < 80)
		sim_pass((int64_t)sim_below(LEASE_MS * 100u));
	else if (what < 86)
		sim_pass(-(int64_t)sim_below(LEASE_MS * 100u));
	else if (what < 94 || !snapshot.n)
		sim_take_snapshot();
	else if (what < 98)
		roll_back();
}

void sim_check(void)
{
	for (size_t i = 0; i < sim_njobs; i++) {
		struct ranq_audit a;
		uint64_t counted = 0;

		ranq_queue_audit_cmd(&tq.q, &tq.cmd, sim_jobs[i].id);
		tq_call();
		SIM_MUST(!ranq_queue_audit_parse(tq.reply, &a, &tq.err), "audit: %s", tq.err.text);
		SIM_MUST(a.leased + a.returned + a.done + a.remaining == a.tasks,
			"I12: %llu + %llu + %llu + %llu != %llu", (unsigned long long)a.leased,
			(unsigned long long)a.returned, (unsigned long long)a.done, (unsigned long long)a.remaining,
			(unsigned long long)a.tasks);
		SIM_MUST(!a.overlaps, "I12: ranges overlap or a counter is wrong");
		for (uint64_t k = 0; k < sim_jobs[i].n; k++)
			counted += sim_jobs[i].counted[k];
		SIM_MUST(counted == a.done, "I6: %llu tasks were counted, %llu are done", (unsigned long long)counted,
			(unsigned long long)a.done);
	}
}

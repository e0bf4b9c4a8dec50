/* Seeded histories of the queue protocol against a real server: virtual bridges and a client, in one process, with lost
 * requests, lost replies, repeated requests, dead and frozen bridges, zombie commits, steps of the clock, roll-backs of
 * the server, cancel and retry.
 *
 * What must hold (names as in the test plan): I1 all tasks delivered, I2 none twice, I3 every value is its task's, I6 a
 * task is counted once and only under a current token, I7 no key stays, I12 leased + returned + done + remaining = N
 * whenever somebody looks; and nothing gets stuck.
 *
 *   RANQ_SIM_SEEDS=n   that many histories (default: as many as 5 s for each way of calling allow)
 *   RANQ_SIM_SEED=s    begin with this one;  RANQ_SIM_TRACE=1  print every call */
#include <stdlib.h>
#include <string.h>

#include "tests/support/simulation.h"
#include "util/clock.h"

static void begin(void)
{
	sim_state = sim_seed * 0x2545f4914f6cdd1du + 1;
	memset(sim_jobs, 0, sizeof sim_jobs);
	sim_forget_snapshot();
	sim_calm = false;
	tq_command("FLUSHALL");
	tq_attach(0);
	tq.q.lease_asked = LEASE_MS;
	sim_njobs = 1 + sim_below(JOBS_MAX);
	sim_nbridges = 1 + sim_below(BRIDGES_MAX);
	for (size_t i = 0; i < sim_njobs; i++) {
		struct sim_job *job = &sim_jobs[i];
		uint64_t n = 1 + sim_below(sim_chance(300) ? 20 : TASKS_MAX);

		job->open = sim_chance(300);
		job->n = job->open ? (n + 49) / 50 * 50 : n;
		job->n = job->n > TASKS_MAX ? TASKS_MAX : job->n;
		job->key = sim_draw();
		job->unordered = sim_chance(400);
		ranq_id_new(job->uuid);
		ranq_id_new(job->client);
		job->id = tq_submit(&(struct tq_job){.tasks = job->open ? 0 : job->n,
			.open = job->open,
			.uuid = job->uuid,
			.max_deaths = 1000,
			.backlog = sim_chance(500) ? 500 + sim_below(3000) : 0,
			.priority = (int32_t)sim_below(5) - 2,
			.sticky = sim_chance(400)});
		SIM_MUST(job->id, "submit: %s", tq.err.text);
	}
	for (size_t i = 0; i < sim_nbridges; i++)
		sim_bridge_start(&sim_bridges[i]);
	sim_take_snapshot();
}

/* Over, and all of it delivered? A producer that was silent for too long has fewer tasks than it meant to. */
static bool is_over(struct sim_job *job)
{
	struct ranq_job_info info = tq_info(job->id);

	if (info.state == RANQ_JOB_ERROR && !strncmp(info.reason, "input ended at task", 19)) {
		job->open = false;
		for (uint64_t k = 0; k < info.tasks; k++)
			if (!job->ledger[k])
				return false;
		return true;
	}
	return job->delivered == job->n && info.state == RANQ_JOB_COMPLETE;
}

/* Without faults everything ends: dead bridges expire, the living finish, the client reads the rest. */
static void finish(void)
{
	sim_calm = true;
	for (size_t i = 0; i < sim_nbridges; i++) {
		sim_bridges[i].frozen = 0;
		if (i && sim_bridges[i].alive && sim_chance(500))
			sim_bridge_die(&sim_bridges[i]);
	}
	if (!sim_bridges[0].alive)
		sim_bridge_start(&sim_bridges[0]);
	for (int round = 0; round < 4000; round++) {
		bool all = true;

		for (size_t i = 0; i < sim_nbridges; i++) {
			struct sim_bridge *b = &sim_bridges[i];

			if (!b->alive)
				continue;
			if (!b->joined)
				sim_bridge_join(b);
			while (b->broken && b->joined)
				sim_bridge_resync(b);
			if (!b->joined || (!ranq_held_count(b->held) && !sim_bridge_lease(b, 200)))
				continue;
			while (b->joined && ranq_held_count(b->held))
				sim_bridge_commit(b, true);
		}
		for (size_t i = 0; i < sim_njobs; i++) {
			if (sim_jobs[i].open)
				sim_client_produce(&sim_jobs[i], sim_jobs[i].n);
			if (!sim_jobs[i].epoch)
				sim_client_attach(&sim_jobs[i]);
			while (sim_client_fetch(&sim_jobs[i]))
				continue;
			all = is_over(&sim_jobs[i]) && all;
		}
		if (all)
			return;
		sim_pass(LEASE_MS / 10);
	}
	for (size_t i = 0; i < sim_njobs; i++) {
		struct ranq_job_info info = tq_info(sim_jobs[i].id);

		SIM_MUST(is_over(&sim_jobs[i]),
			"stuck: job %llu is %s (%s), %llu of %llu delivered, %llu done, %llu leased, %llu returned, "
			"held %d",
			(unsigned long long)sim_jobs[i].id, ranq_job_state_name(info.state), info.reason,
			(unsigned long long)sim_jobs[i].delivered, (unsigned long long)sim_jobs[i].n,
			(unsigned long long)info.done, (unsigned long long)info.leased,
			(unsigned long long)info.returned, info.held);
	}
}

/* What went ahead of a commit that never came goes by itself, in a minute. */
static void drop_unclaimed(void)
{
	char pattern[96];
	struct ranq_reply *keys;

	snprintf(pattern, sizeof pattern, "KEYS %sup:*", tq.q.base);
	tq_command("%s", pattern);
	keys = tq.reply;
	tq.reply = NULL;
	for (size_t i = 0; i < ranq_reply_count(keys); i++) {
		struct ranq_bytes key = ranq_reply_bytes(ranq_reply_at(keys, i));

		SIM_MUST(tq_command("PTTL %.*s", (int)key.len, (const char *)key.data) != -1, "I7: bytes without a commit stay");
		tq_command("DEL %.*s", (int)key.len, (const char *)key.data);
	}
	ranq_reply_destroy(keys);
}

static void clean_up(void)
{
	for (size_t i = 0; i < sim_njobs; i++)
		SIM_MUST(tq_remove(sim_jobs[i].id) == 1, "remove");
	for (size_t i = 0; i < sim_nbridges; i++)
		if (sim_bridges[i].alive)
			sim_bridge_leave(&sim_bridges[i]);
	for (int round = 0; round < 200 && tq_stat().bridges; round++) {
		sim_pass(LEASE_MS / 5);
		ranq_queue_watch_cmd(&tq.q, &tq.cmd, 999999, tq_id('f')); /* whoever calls moves the clock */
		tq_call();
	}
	for (size_t i = 0; i < BRIDGES_MAX; i++) {
		ranq_queue_bell_drop_cmd(&tq.cmd, &tq.q, sim_bridges[i].id);
		tq_call();
	}
	drop_unclaimed();
	SIM_MUST(tq_command("DBSIZE") == 0, "I7: keys stay behind");
}

static void cancel_and_retry(struct sim_job *job)
{
	if (job->open)
		return;
	sim_note("cancel and retry %llu", (unsigned long long)job->id);
	tq_cancel(job->id);
	for (uint64_t i = sim_below(4); i > 0; i--)
		sim_bridge_step(&sim_bridges[sim_below(sim_nbridges)]);
	if (tq_info(job->id).state == RANQ_JOB_CANCELLED)
		tq_retry(job->id, false);
}

static void history(void)
{
	uint64_t steps = 200 + sim_below(600);

	begin();
	for (uint64_t i = 0; i < steps; i++) {
		uint64_t who = sim_below(100);

		if (who < 70)
			sim_bridge_step(&sim_bridges[sim_below(sim_nbridges)]);
		else if (who < 88)
			sim_client_step(&sim_jobs[sim_below(sim_njobs)]);
		else if (who < 99)
			sim_server_step();
		else if (sim_chance(200))
			cancel_and_retry(&sim_jobs[sim_below(sim_njobs)]);
		if (i % 8 == 0)
			sim_check();
	}
	sim_check();
	finish();
	sim_check();
	clean_up();
}

START_TEST(histories)
{
	const char *count = getenv("RANQ_SIM_SEEDS"), *first = getenv("RANQ_SIM_SEED");
	uint64_t n = count ? strtoull(count, NULL, 10) : UINT64_MAX, begun = 0;
	int64_t end = ranq_clock_ms() + 5000; /* without a count: as many as time allows */

	sim_trace = getenv("RANQ_SIM_TRACE") != NULL;
	sim_seed = first                              ? strtoull(first, NULL, 10)
		   : tq.q.mode == RANQ_CALL_FUNCTIONS ? 1
		   : tq.q.legacy                      ? 2000001
						      : 1000001;
	for (; begun < n && (count || ranq_clock_ms() < end); begun++, sim_seed++)
		history();
	sim_forget_snapshot();
	printf("%llu histories, %llu calls, %llu commits counted, %llu refused, %llu requests lost, %llu replies lost, "
	       "%llu repeated, %llu "
	       "bridges died, %llu gone, %llu roll-backs, %llu pages of resyncs, %llu items sent ahead\n",
		(unsigned long long)begun, (unsigned long long)sim_total.calls, (unsigned long long)sim_total.accepted,
		(unsigned long long)sim_total.stale, (unsigned long long)sim_total.lost_requests,
		(unsigned long long)sim_total.lost_replies, (unsigned long long)sim_total.repeats,
		(unsigned long long)sim_total.deaths, (unsigned long long)sim_total.gone,
		(unsigned long long)sim_total.rollbacks, (unsigned long long)sim_total.pages,
		(unsigned long long)sim_total.apart);
	ck_assert_uint_gt(begun, 0);
	ck_assert_uint_gt(sim_total.accepted, 0);
	ck_assert_uint_gt(sim_total.apart, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {histories};

	return test_queue_main("simulation", tests, 1);
}

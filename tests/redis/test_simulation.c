/* Seeded histories of the queue protocol against a real server: virtual bridges and a client, in one process, with lost requests, lost
 * replies, repeated requests, dead and frozen bridges, zombie commits, steps of the clock, roll-backs of the server, cancel and retry.
 *
 * What must hold (names as in the test plan): I1 all tasks delivered, I2 none twice, I3 every value is its task's, I6 a task is counted
 * once and only under a current token, I7 no key stays, I12 leased + returned + done + remaining = N whenever somebody looks; and
 * nothing gets stuck.
 *
 *   RANQ_SIM_SEEDS=n   that many histories (default: as many as 25 s allow)
 *   RANQ_SIM_SEED=s    begin with this one;  RANQ_SIM_TRACE=1  print every call */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/held.h"
#include "tests/support/queue_driver.h"
#include "util/clock.h"

enum { JOBS_MAX = 3, BRIDGES_MAX = 4, TASKS_MAX = 1500, PENDING_MAX = 64, KEYS_MAX = 256, LEASE_MS = 1000000 };

static uint64_t seed, state;
static bool trace;

static uint64_t draw(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t n)
{
	return draw() % n;
}

static bool chance(unsigned per_mille)
{
	return below(1000) < per_mille;
}

#define MUST(condition, ...)                                                                     \
	do {                                                                                     \
		if (!(condition)) {                                                              \
			fprintf(stderr, "seed %llu: ", (unsigned long long)seed);                \
			fprintf(stderr, __VA_ARGS__);                                            \
			fprintf(stderr, " (RANQ_SIM_SEED=%llu RANQ_SIM_SEEDS=1 repeats it)\n", (unsigned long long)seed); \
			ck_abort_msg("history of seed %llu: %s", (unsigned long long)seed, #condition); \
		}                                                                                \
	} while (0)

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	va_list args;

	if (!trace)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ---- the world --------------------------------------------------------------------------------------------------------- */

struct sim_job {
	uint64_t id, n, key; /* key: of the values of its tasks */
	char uuid[RANQ_ID_LEN + 1];
	bool open, counted[TASKS_MAX];
	/* the client's */
	bool ledger[TASKS_MAX]; /* delivered; survives the client's death */
	bool unordered;
	uint64_t from, cursor, epoch, batch, delivered;
	char client[RANQ_ID_LEN + 1];
};
struct part { /* a commit or release whose reply has not come */
	struct ranq_fragment f;
	bool release;
};
struct sim_bridge {
	bool alive, joined, broken /* must reconnect and resync */;
	int frozen; /* steps left */
	char id[RANQ_ID_LEN + 1];
	uint64_t seq;
	struct ranq_held *held;
	struct part pending[PENDING_MAX];
	size_t npending;
};
struct snapshot {
	size_t n;
	char *key[KEYS_MAX];
	struct ranq_buf value[KEYS_MAX];
	int64_t ttl[KEYS_MAX];
	bool counted[JOBS_MAX][TASKS_MAX];
};

static struct sim_job jobs[JOBS_MAX];
static size_t njobs;
static struct sim_bridge bridges[BRIDGES_MAX];
static size_t nbridges;
static struct snapshot snapshot;
static bool calm; /* no faults any more */
static struct {
	uint64_t calls, lost_requests, lost_replies, repeats, rollbacks, deaths, stale, accepted, gone;
} total;

static uint64_t value_of(const struct sim_job *job, uint64_t index)
{
	uint64_t z = job->key ^ (index * 0xd6e8feb86659fd93u);

	return (z ^ z >> 32) * 0xd6e8feb86659fd93u;
}

static struct sim_job *job_of(uint64_t id)
{
	for (size_t i = 0; i < njobs; i++)
		if (jobs[i].id == id)
			return &jobs[i];
	return NULL;
}

/* ---- the network: one call, with what can happen to it ------------------------------------------------------------------- */

enum outcome { ANSWERED, LOST };

/* Sends tq.cmd. LOST: the caller must not look at the reply, but tq.reply tells the truth to the model when executed is set. */
static enum outcome network(bool *executed)
{
	struct ranq_cmd copy;

	*executed = true;
	total.calls++;
	if (!calm && chance(30)) {
		*executed = false;
		total.lost_requests++;
		return LOST;
	}
	if (!calm && chance(20)) { /* arrives twice, the second answer is never read */
		struct ranq_reply *first;

		ranq_cmd_init(&copy);
		ranq_buf_add(&copy.args, tq.cmd.args.data, tq.cmd.args.len);
		copy.argc = tq.cmd.argc;
		tq_call();
		first = tq.reply;
		tq.reply = NULL;
		if (ranq_conn_call(tq.conn, &copy, ranq_clock_ms() + 10000, &tq.reply, &tq.err))
			ck_abort_msg("call: %s", tq.err.text);
		ranq_reply_destroy(tq.reply);
		tq.reply = first;
		ranq_cmd_clear(&copy);
		total.repeats++;
	} else {
		tq_call();
	}
	if (!calm && chance(30)) {
		total.lost_replies++;
		return LOST;
	}
	return ANSWERED;
}

/* ---- bridges ------------------------------------------------------------------------------------------------------------- */

static void forget_work(struct sim_bridge *b)
{
	ranq_held_destroy(b->held);
	b->held = ranq_held_create();
	b->npending = 0;
}

static void join(struct sim_bridge *b)
{
	struct ranq_bridge_meta meta = {.host = "sim", .allocation = "sim", .ranks = 2};
	int64_t lease_ms;
	bool executed;

	forget_work(b);
	ranq_queue_join_cmd(&tq.q, &tq.cmd, b->id, &meta);
	if (network(&executed) == LOST)
		return;
	MUST(!ranq_queue_join_parse(tq.reply, &lease_ms, &tq.err), "join: %s", tq.err.text);
	b->joined = true;
	b->broken = false;
	note("%.4s join", b->id);
}

static void start(struct sim_bridge *b)
{
	memset(b, 0, sizeof *b);
	ranq_id_new(b->id);
	b->alive = true;
	b->held = ranq_held_create();
	join(b);
}

static void die(struct sim_bridge *b)
{
	note("%.4s dies", b->id);
	ranq_held_destroy(b->held);
	b->held = NULL;
	b->alive = false;
	total.deaths++;
}

/* True when the reply says that the bridge is gone: it drops everything and will join again. */
static bool is_gone(struct sim_bridge *b)
{
	if (tq.err.code != RANQ_ERR_GONE)
		return false;
	note("%.4s gone", b->id);
	total.gone++;
	b->joined = false;
	forget_work(b);
	return true;
}

/* In the truth of the model: the items of the commit that was just executed. */
static void model_commit(const struct part *parts, size_t n, const struct ranq_commit_reply *out)
{
	for (size_t i = 0; i < n; i++) {
		struct sim_job *job = job_of(parts[i].f.job);

		total.accepted += out->accepted[i];
		total.stale += !out->accepted[i];
		if (!out->accepted[i])
			continue;
		MUST(job, "a commit of an unknown job was counted");
		for (uint64_t k = parts[i].f.start; k < parts[i].f.end; k++) {
			MUST(!job->counted[k], "I6: task %llu of job %llu was counted twice", (unsigned long long)k,
				(unsigned long long)job->id);
			job->counted[k] = true;
		}
	}
}

static void add_item(const struct part *p)
{
	static uint64_t values[TASKS_MAX];
	const struct sim_job *job = job_of(p->f.job);
	struct ranq_commit_item item = {.job = p->f.job, .at = p->f.at, .seq = p->f.seq, .start = p->f.start, .end = p->f.end,
		.counts = {p->f.end - p->f.start}, .elapsed_us = 1};

	for (uint64_t k = p->f.start; k < p->f.end; k++)
		values[k - p->f.start] = value_of(job, k);
	item.item = (struct ranq_bytes){values, (p->f.end - p->f.start) * sizeof *values};
	MUST(!ranq_queue_commit_add(&tq.cmd, &item), "commit_add");
}

/* Sends these commits; true: answered, false: the outcome is unknown to the bridge. */
static bool send_commits(struct sim_bridge *b, const struct part *parts, size_t n)
{
	static struct ranq_commit_reply out;
	enum outcome outcome;
	bool executed;

	ranq_queue_commit_begin(&tq.q, &tq.cmd, b->id);
	for (size_t i = 0; i < n; i++) {
		add_item(&parts[i]);
		note("%.4s commit %llu [%llu, %llu) at %llu seq %llu", b->id, (unsigned long long)parts[i].f.job,
			(unsigned long long)parts[i].f.start, (unsigned long long)parts[i].f.end, (unsigned long long)parts[i].f.at,
			(unsigned long long)parts[i].f.seq);
	}
	outcome = network(&executed);
	if (executed) {
		if (ranq_queue_commit_parse(tq.reply, &out, &tq.err)) {
			MUST(tq.err.code == RANQ_ERR_GONE, "commit: %s", tq.err.text);
			return outcome == ANSWERED && is_gone(b);
		}
		MUST(out.n == n, "commit: %zu answers for %zu items", out.n, n);
		model_commit(parts, n, &out);
	}
	b->broken = outcome == LOST;
	return outcome == ANSWERED;
}

static bool send_release(struct sim_bridge *b, const struct part *p)
{
	enum outcome outcome;
	bool executed;

	ranq_queue_release_cmd(&tq.q, &tq.cmd, b->id, &p->f, 1);
	note("%.4s release %llu [%llu, %llu) at %llu", b->id, (unsigned long long)p->f.job, (unsigned long long)p->f.start,
		(unsigned long long)p->f.end, (unsigned long long)p->f.at);
	outcome = network(&executed);
	b->broken = outcome == LOST;
	if (outcome == LOST)
		return false;
	if (ranq_queue_release_parse(tq.reply, &tq.err))
		MUST(is_gone(b), "release: %s", tq.err.text);
	return true;
}

/* After a reconnect: tell everything held and under way, believe the answer, send again what is still ours. */
static void resync(struct sim_bridge *b)
{
	static struct ranq_fragment list[RANQ_CALL_ITEMS_MAX];
	static size_t gone[RANQ_CALL_ITEMS_MAX];
	size_t nheld = ranq_held_count(b->held), n = nheld, ngone, kept = 0;
	bool executed, lost[PENDING_MAX] = {false};

	MUST(nheld + b->npending <= RANQ_CALL_ITEMS_MAX, "too many fragments");
	ranq_held_list(b->held, list);
	for (size_t i = 0; i < b->npending; i++)
		list[n++] = b->pending[i].f;
	ranq_queue_resync_cmd(&tq.q, &tq.cmd, b->id, list, n);
	note("%.4s resync %zu + %zu", b->id, nheld, b->npending);
	if (network(&executed) == LOST)
		return;
	if (ranq_queue_resync_parse(tq.reply, &ngone, gone, &tq.err)) {
		MUST(is_gone(b), "resync: %s", tq.err.text);
		return;
	}
	for (size_t i = 0; i < ngone; i++) {
		MUST(gone[i] < n, "resync: position %zu of %zu", gone[i], n);
		if (gone[i] < nheld)
			ranq_held_drop(b->held, list[gone[i]].job, list[gone[i]].seq, list[gone[i]].start);
		else
			lost[gone[i] - nheld] = true;
	}
	for (size_t i = 0; i < b->npending; i++) {
		if (lost[i])
			continue;
		b->pending[kept] = b->pending[i];
		b->pending[kept++].f.at = b->pending[i].f.start;
	}
	b->npending = kept;
	b->broken = false;
	while (b->npending && !b->broken && b->joined) {
		struct part p = b->pending[b->npending - 1];

		if (p.release ? send_release(b, &p) : send_commits(b, &p, 1))
			b->npending -= b->npending > 0;
	}
}

static bool lease(struct sim_bridge *b, uint64_t want)
{
	struct ranq_lease_reply out;
	bool executed;

	ranq_queue_lease_cmd(&tq.q, &tq.cmd, b->id, ++b->seq, want, 1 + (unsigned)below(4), 0, -1, NULL);
	if (network(&executed) == LOST) {
		b->broken = true;
		return false;
	}
	if (ranq_queue_lease_parse(tq.reply, &out, &tq.err)) {
		MUST(is_gone(b), "lease: %s", tq.err.text);
		return false;
	}
	for (size_t i = 0; i < out.n; i++) {
		MUST(job_of(out.ranges[i].job), "a range of an unknown job");
		MUST(out.ranges[i].seq == b->seq, "a range under another token");
		MUST(!out.ranges[i].suspect || out.ranges[i].end == out.ranges[i].start + 1, "a suspect in company");
		note("%.4s lease %llu [%llu, %llu) seq %llu", b->id, (unsigned long long)out.ranges[i].job,
			(unsigned long long)out.ranges[i].start, (unsigned long long)out.ranges[i].end, (unsigned long long)b->seq);
		MUST(!ranq_held_add(b->held, &out.ranges[i]), "memory");
	}
	return out.n > 0;
}

/* Takes a random part of a random fragment out of the mirror. whole: all of it. */
static bool take_part(struct sim_bridge *b, bool whole, struct part *p)
{
	static struct ranq_fragment list[RANQ_CALL_ITEMS_MAX];
	size_t n = ranq_held_count(b->held);
	struct ranq_fragment *f;

	if (!n || n > RANQ_CALL_ITEMS_MAX)
		return false;
	ranq_held_list(b->held, list);
	f = &list[below(n)];
	if (!whole && chance(600))
		f->end = f->start + 1 + below(f->end - f->start);
	if (!whole && chance(300))
		f->start += below(f->end - f->start);
	*p = (struct part){.f = *f};
	MUST(!ranq_held_take(b->held, f->job, f->seq, f->start, f->end, &p->f.at), "the mirror lost a fragment");
	return true;
}

static void commit_some(struct sim_bridge *b, bool whole)
{
	struct part parts[5];
	size_t n = 0, most = 1 + below(4);

	while (n < most && b->npending < PENDING_MAX && take_part(b, whole, &parts[n]))
		n++;
	if (!n)
		return;
	memcpy(b->pending + b->npending, parts, n * sizeof *parts);
	b->npending += n;
	if (send_commits(b, parts, n))
		b->npending -= b->npending >= n ? n : b->npending;
}

static void release_some(struct sim_bridge *b)
{
	struct part p;

	if (b->npending == PENDING_MAX || !take_part(b, false, &p))
		return;
	p.release = true;
	p.f.kind = chance(200) ? RANQ_RELEASE_SUSPECT : RANQ_RELEASE_DRAINED;
	b->pending[b->npending++] = p;
	if (send_release(b, &p))
		b->npending -= b->npending > 0;
}

/* A commit that has no right to be counted: of work done long ago or never leased. Nobody waits for the answer. */
static void forge(struct sim_bridge *b)
{
	struct sim_job *job = &jobs[below(njobs)];
	struct part p = {.f = {.job = job->id, .seq = b->seq > 2 ? 1 + below(b->seq - 1) : 1}};
	static struct ranq_fragment list[RANQ_CALL_ITEMS_MAX];
	size_t n = ranq_held_count(b->held);

	if (!job->n || n > RANQ_CALL_ITEMS_MAX)
		return;
	p.f.start = below(job->n);
	p.f.end = p.f.start + 1 + below(job->n - p.f.start);
	p.f.at = chance(500) ? p.f.start : below(p.f.start + 1);
	ranq_held_list(b->held, list);
	for (size_t i = 0; i < n; i++) /* what it holds it may commit; that would not be a forgery */
		if (list[i].job == p.f.job && list[i].seq == p.f.seq)
			return;
	for (size_t i = 0; i < b->npending; i++)
		if (b->pending[i].f.job == p.f.job && b->pending[i].f.seq == p.f.seq)
			return;
	{
		bool broken = b->broken;
		uint64_t accepted = total.accepted;

		send_commits(b, &p, 1);
		b->broken = broken || b->broken;
		if (b->joined && !broken)
			MUST(accepted == total.accepted, "a forged commit was counted");
	}
}

static void beat(struct sim_bridge *b)
{
	struct ranq_beat_reply *out = malloc(sizeof *out);
	uint64_t list[16];
	size_t n = ranq_held_jobs(b->held, list, 16);
	bool executed;

	ranq_queue_beat_cmd(&tq.q, &tq.cmd, b->id, list, n, 0, 0);
	if (network(&executed) == LOST)
		b->broken = true;
	else if (ranq_queue_beat_parse(tq.reply, out, &tq.err))
		MUST(is_gone(b), "beat: %s", tq.err.text);
	free(out);
}

static void leave(struct sim_bridge *b)
{
	bool more = true, executed;

	while (more) {
		ranq_queue_leave_cmd(&tq.q, &tq.cmd, b->id);
		if (network(&executed) == ANSWERED)
			MUST(!ranq_queue_leave_parse(tq.reply, &more, &tq.err), "leave: %s", tq.err.text);
	}
	note("%.4s leaves", b->id);
	ranq_held_destroy(b->held);
	b->held = NULL;
	b->alive = false;
}

static void bridge_step(struct sim_bridge *b)
{
	uint64_t what = below(100);

	if (!b->alive) {
		if (chance(100))
			start(b);
	} else if (b->frozen) {
		b->frozen--;
	} else if (!b->joined) {
		join(b);
	} else if (b->broken) {
		resync(b);
	} else if (what < 35) {
		lease(b, 1 + below(chance(500) ? 10 : 300));
	} else if (what < 80) {
		commit_some(b, chance(400));
	} else if (what < 87) {
		release_some(b);
	} else if (what < 91) {
		beat(b);
	} else if (what < 94) {
		forge(b);
	} else if (what == 94) {
		die(b);
	} else if (what == 95) {
		b->frozen = 20 + (int)below(60);
	} else if (what == 96) {
		leave(b);
	} else if (what == 97) {
		b->broken = true; /* the connection drops between two calls */
	}
}

/* ---- the client ---------------------------------------------------------------------------------------------------------- */

static void acknowledge(struct sim_job *job, const uint64_t (*ranges)[2], size_t n)
{
	bool executed, more;

	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job->id, job->epoch, NULL, ranges, n);
	/* Unknown, taken over, or rolled back to before the attach: attach again and acknowledge everything. */
	if (network(&executed) == LOST)
		job->epoch = 0;
	else if (ranq_queue_ack_parse(tq.reply, &more, &tq.err)) {
		MUST(tq.err.code == RANQ_ERR_STATE, "ack: %s", tq.err.text);
		job->epoch = 0;
	}
}

/* Attaches and acknowledges what the ledger has: an earlier acknowledgement may be lost. */
static void attach(struct sim_job *job)
{
	static uint64_t ranges[RANQ_CALL_ITEMS_MAX][2];
	uint64_t acked;
	struct ranq_bytes stored;
	bool executed;
	size_t n = 0;

	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job->id, job->client);
	if (network(&executed) == LOST)
		return;
	MUST(!ranq_queue_attach_consumer_parse(tq.reply, &job->epoch, &acked, &stored, &tq.err), "attach: %s", tq.err.text);
	for (uint64_t k = 0; k < job->n && n < RANQ_CALL_ITEMS_MAX; k++) {
		if (!job->ledger[k])
			continue;
		ranges[n][0] = k;
		while (k < job->n && job->ledger[k])
			k++;
		ranges[n++][1] = k;
	}
	if (n)
		acknowledge(job, (const uint64_t(*)[2])ranges, n);
}

/* The client's process starts anew: it keeps its ledger only. */
static void client_restart(struct sim_job *job)
{
	ranq_id_new(job->client);
	job->epoch = job->cursor = 0;
}

/* I2, I3: what the ledger has not seen is delivered, after its value was checked. */
static void deliver(struct sim_job *job, uint64_t start, uint64_t end, bool freed, struct ranq_bytes item)
{
	uint64_t value;

	MUST(freed || item.len == (end - start) * sizeof value, "I3: item [%llu, %llu) has %zu bytes", (unsigned long long)start,
		(unsigned long long)end, item.len);
	for (uint64_t k = start; k < end; k++) {
		MUST(!freed || job->ledger[k], "I1: task %llu was freed before it was delivered", (unsigned long long)k);
		if (job->ledger[k])
			continue;
		memcpy(&value, (const char *)item.data + (k - start) * sizeof value, sizeof value);
		MUST(value == value_of(job, k), "I3: task %llu has another one's value", (unsigned long long)k);
		job->ledger[k] = true;
		job->delivered++;
	}
}

static bool fetch(struct sim_job *job)
{
	static struct ranq_fetch_reply out;
	struct ranq_fetch f = {job->id, job->unordered, 0, 1 + below(4000), 1 + (unsigned)below(20), ""};
	uint64_t ranges[64][2];
	size_t nranges = 0;
	bool executed;

	while (job->from < job->n && job->ledger[job->from])
		job->from++;
	f.from = job->unordered ? job->cursor : job->from;
	ranq_queue_fetch_cmd(&tq.q, &tq.cmd, &f);
	if (network(&executed) == LOST)
		return false;
	MUST(!ranq_queue_fetch_parse(tq.reply, &out, &tq.err), "fetch: %s", tq.err.text);
	for (size_t i = 0; i < out.n; i++) {
		deliver(job, out.items[i].start, out.items[i].end, out.items[i].freed, out.items[i].item);
		if (nranges < 64) {
			ranges[nranges][0] = out.items[i].start;
			ranges[nranges++][1] = out.items[i].end;
		}
	}
	if (job->unordered)
		job->cursor = out.cursor;
	if (!calm && chance(100)) { /* dies after delivering, before acknowledging */
		client_restart(job);
		return out.n > 0;
	}
	if (!job->epoch || !nranges)
		return out.n > 0;
	acknowledge(job, (const uint64_t(*)[2])ranges, nranges);
	return out.n > 0;
}

static void produce(struct sim_job *job, uint64_t most)
{
	uint64_t tasks;
	bool executed, held;
	const uint64_t each = 50;

	if (!job->open)
		return;
	if (job->batch * each >= most) {
		ranq_queue_close_cmd(&tq.q, &tq.cmd, job->id, job->uuid, job->batch, NULL);
		if (network(&executed) == LOST)
			return;
		if (ranq_queue_close_parse(tq.reply, &tq.err)) {
			MUST(tq.err.code == RANQ_ERR_STATE, "close: %s", tq.err.text);
			job->batch = 0; /* the server lost batches: all of them again, those that it has change nothing */
		} else {
			job->open = false;
		}
		return;
	}
	ranq_queue_append_cmd(&tq.q, &tq.cmd, job->id, job->uuid, job->batch, each, NULL, NULL, 0);
	if (network(&executed) == LOST)
		return;
	if (ranq_queue_append_parse(tq.reply, &tasks, &held, &tq.err)) {
		MUST(tq.err.code == RANQ_ERR_STATE, "append: %s", tq.err.text);
		job->batch = 0; /* likewise */
	} else {
		job->batch++;
	}
}

static void client_step(struct sim_job *job)
{
	uint64_t what = below(100);

	if (job->open && what < 50)
		produce(job, job->n);
	else if (!job->epoch)
		attach(job);
	else if (what < 95)
		fetch(job);
	else if (what < 97)
		client_restart(job);
}

/* ---- the server ---------------------------------------------------------------------------------------------------------- */

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

static void forget_snapshot(void)
{
	for (size_t i = 0; i < snapshot.n; i++) {
		free(snapshot.key[i]);
		ranq_buf_clear(&snapshot.value[i]);
	}
	snapshot.n = 0;
}

static void take_snapshot(void)
{
	struct ranq_reply *keys = plain("KEYS", "ranq:*", NULL);
	size_t n = ranq_reply_count(keys);

	tq.reply = NULL;
	forget_snapshot();
	MUST(n <= KEYS_MAX, "%zu keys", n);
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
	for (size_t i = 0; i < njobs; i++)
		memcpy(snapshot.counted[i], jobs[i].counted, sizeof jobs[i].counted);
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
		MUST(ranq_reply_type(tq.reply) == RANQ_REPLY_STATUS, "RESTORE");
	}
	for (size_t i = 0; i < njobs; i++)
		memcpy(jobs[i].counted, snapshot.counted[i], sizeof jobs[i].counted);
	for (size_t i = 0; i < nbridges; i++)
		bridges[i].broken = true;
	for (size_t i = 0; i < njobs; i++) {
		jobs[i].open = jobs[i].open || jobs[i].batch; /* its close may be lost, too */
		jobs[i].epoch = jobs[i].cursor = 0;
	}
	total.rollbacks++;
	note("roll-back");
}

static void pass(int64_t ms)
{
	tq_command("HINCRBY %sq last %lld", tq.q.base, -(long long)ms);
}

static void server_step(void)
{
	uint64_t what = below(100);

	if (what < 70)
		pass((int64_t)below(LEASE_MS / 5));
	else if (what < 80)
		pass((int64_t)below(LEASE_MS * 100u));
	else if (what < 86)
		pass(-(int64_t)below(LEASE_MS * 100u));
	else if (what < 94 || !snapshot.n)
		take_snapshot();
	else if (what < 98)
		roll_back();
}

static void cancel_and_retry(struct sim_job *job)
{
	if (job->open)
		return;
	note("cancel and retry %llu", (unsigned long long)job->id);
	tq_cancel(job->id);
	for (uint64_t i = below(4); i > 0; i--)
		bridge_step(&bridges[below(nbridges)]);
	if (tq_info(job->id).state == RANQ_JOB_CANCELLED)
		tq_retry(job->id, false);
}

/* ---- a history ----------------------------------------------------------------------------------------------------------- */

static void check_all(void)
{
	for (size_t i = 0; i < njobs; i++) {
		struct ranq_audit a;
		uint64_t counted = 0;

		ranq_queue_audit_cmd(&tq.q, &tq.cmd, jobs[i].id);
		tq_call();
		MUST(!ranq_queue_audit_parse(tq.reply, &a, &tq.err), "audit: %s", tq.err.text);
		MUST(a.leased + a.returned + a.done + a.remaining == a.tasks, "I12: %llu + %llu + %llu + %llu != %llu",
			(unsigned long long)a.leased, (unsigned long long)a.returned, (unsigned long long)a.done,
			(unsigned long long)a.remaining, (unsigned long long)a.tasks);
		MUST(!a.overlaps, "I12: ranges overlap or a counter is wrong");
		for (uint64_t k = 0; k < jobs[i].n; k++)
			counted += jobs[i].counted[k];
		MUST(counted == a.done, "I6: %llu tasks were counted, %llu are done", (unsigned long long)counted, (unsigned long long)a.done);
	}
}

static void begin(void)
{
	state = seed * 0x2545f4914f6cdd1du + 1;
	memset(jobs, 0, sizeof jobs);
	forget_snapshot();
	calm = false;
	tq_command("FLUSHALL");
	tq_attach(0);
	tq.q.lease_asked = LEASE_MS;
	njobs = 1 + below(JOBS_MAX);
	nbridges = 1 + below(BRIDGES_MAX);
	for (size_t i = 0; i < njobs; i++) {
		struct sim_job *job = &jobs[i];
		uint64_t n = 1 + below(chance(300) ? 20 : TASKS_MAX);

		job->open = chance(300);
		job->n = job->open ? (n + 49) / 50 * 50 : n;
		job->n = job->n > TASKS_MAX ? TASKS_MAX : job->n;
		job->key = draw();
		job->unordered = chance(400);
		ranq_id_new(job->uuid);
		ranq_id_new(job->client);
		job->id = tq_submit(&(struct tq_job){.tasks = job->open ? 0 : job->n, .open = job->open, .uuid = job->uuid, .max_deaths = 1000,
			.backlog = chance(500) ? 500 + below(3000) : 0, .priority = (int32_t)below(5) - 2});
		MUST(job->id, "submit: %s", tq.err.text);
	}
	for (size_t i = 0; i < nbridges; i++)
		start(&bridges[i]);
	take_snapshot();
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
	calm = true;
	for (size_t i = 0; i < nbridges; i++) {
		bridges[i].frozen = 0;
		if (i && bridges[i].alive && chance(500))
			die(&bridges[i]);
	}
	if (!bridges[0].alive)
		start(&bridges[0]);
	for (int round = 0; round < 4000; round++) {
		bool all = true;

		for (size_t i = 0; i < nbridges; i++) {
			struct sim_bridge *b = &bridges[i];

			if (!b->alive)
				continue;
			if (!b->joined)
				join(b);
			while (b->broken && b->joined)
				resync(b);
			if (!b->joined || (!ranq_held_count(b->held) && !lease(b, 200)))
				continue;
			while (b->joined && ranq_held_count(b->held))
				commit_some(b, true);
		}
		for (size_t i = 0; i < njobs; i++) {
			if (jobs[i].open)
				produce(&jobs[i], jobs[i].n);
			if (!jobs[i].epoch)
				attach(&jobs[i]);
			while (fetch(&jobs[i]))
				continue;
			all = is_over(&jobs[i]) && all;
		}
		if (all)
			return;
		pass(LEASE_MS / 10);
	}
	for (size_t i = 0; i < njobs; i++) {
		struct ranq_job_info info = tq_info(jobs[i].id);

		MUST(is_over(&jobs[i]),
			"stuck: job %llu is %s (%s), %llu of %llu delivered, %llu done, %llu leased, %llu returned, held %d",
			(unsigned long long)jobs[i].id, ranq_job_state_name(info.state), info.reason, (unsigned long long)jobs[i].delivered,
			(unsigned long long)jobs[i].n, (unsigned long long)info.done, (unsigned long long)info.leased,
			(unsigned long long)info.returned, info.held);
	}
}

static void clean_up(void)
{
	for (size_t i = 0; i < njobs; i++)
		MUST(tq_remove(jobs[i].id) == 1, "remove");
	for (size_t i = 0; i < nbridges; i++)
		if (bridges[i].alive)
			leave(&bridges[i]);
	for (int round = 0; round < 200 && tq_stat().bridges; round++) {
		pass(LEASE_MS / 5);
		ranq_queue_watch_cmd(&tq.q, &tq.cmd, 999999, tq_id('f')); /* whoever calls moves the clock */
		tq_call();
	}
	for (size_t i = 0; i < BRIDGES_MAX; i++) {
		ranq_queue_bell_drop_cmd(&tq.cmd, &tq.q, bridges[i].id);
		tq_call();
	}
	MUST(tq_command("DBSIZE") == 0, "I7: keys stay behind");
}

static void history(void)
{
	uint64_t steps = 200 + below(600);

	begin();
	for (uint64_t i = 0; i < steps; i++) {
		uint64_t who = below(100);

		if (who < 70)
			bridge_step(&bridges[below(nbridges)]);
		else if (who < 88)
			client_step(&jobs[below(njobs)]);
		else if (who < 99)
			server_step();
		else if (chance(200))
			cancel_and_retry(&jobs[below(njobs)]);
		if (i % 8 == 0)
			check_all();
	}
	check_all();
	finish();
	check_all();
	clean_up();
}

START_TEST(histories)
{
	const char *count = getenv("RANQ_SIM_SEEDS"), *first = getenv("RANQ_SIM_SEED");
	uint64_t n = count ? strtoull(count, NULL, 10) : UINT64_MAX, begun = 0;
	int64_t end = ranq_clock_ms() + 12000;

	trace = getenv("RANQ_SIM_TRACE") != NULL;
	seed = first ? strtoull(first, NULL, 10) : tq.q.mode == RANQ_CALL_FUNCTIONS ? 1 : 1000001;
	for (; begun < n && (count || ranq_clock_ms() < end); begun++, seed++)
		history();
	forget_snapshot();
	printf("%llu histories, %llu calls, %llu commits counted, %llu refused, %llu requests lost, %llu replies lost, %llu repeated, %llu "
	       "bridges died, %llu gone, %llu roll-backs\n",
		(unsigned long long)begun, (unsigned long long)total.calls, (unsigned long long)total.accepted, (unsigned long long)total.stale,
		(unsigned long long)total.lost_requests, (unsigned long long)total.lost_replies, (unsigned long long)total.repeats,
		(unsigned long long)total.deaths, (unsigned long long)total.gone, (unsigned long long)total.rollbacks);
	ck_assert_uint_gt(begun, 0);
	ck_assert_uint_gt(total.accepted, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {histories};

	return test_queue_main("simulation", tests, 1);
}

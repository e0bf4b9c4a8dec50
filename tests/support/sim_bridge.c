/* Virtual bridges: they lease, commit and release parts of what they hold, lose connections, freeze, die, and commit
 * what they must not. */
#include "tests/support/simulation.h"

#include <stdlib.h>
#include <string.h>

static void forget_work(struct sim_bridge *b)
{
	ranq_held_destroy(b->held);
	b->held = ranq_held_create();
	b->npending = 0;
}

void sim_bridge_join(struct sim_bridge *b)
{
	struct ranq_bridge_meta meta = {.host = "sim", .allocation = "sim", .ranks = 2};
	int64_t lease_ms;
	bool executed;

	forget_work(b);
	ranq_queue_join_cmd(&tq.q, &tq.cmd, b->id, &meta);
	if (sim_network(&executed) == LOST)
		return;
	SIM_MUST(!ranq_queue_join_parse(tq.reply, &lease_ms, &tq.err), "join: %s", tq.err.text);
	b->joined = true;
	b->broken = false;
	sim_note("%.4s join", b->id);
}

void sim_bridge_start(struct sim_bridge *b)
{
	memset(b, 0, sizeof *b);
	ranq_id_new(b->id);
	b->alive = true;
	b->held = ranq_held_create();
	sim_bridge_join(b);
}

/* Somebody says that it is dead, and may name any of its tasks; once, repeated, or unheard. */
static void report_dead(const struct sim_bridge *b)
{
	struct ranq_task_name blamed[4];
	size_t n = sim_below(5);
	bool executed;

	for (size_t i = 0; i < n; i++)
		blamed[i] = (struct ranq_task_name){.job = 1 + sim_below(sim_njobs + 1), .index = sim_below(300)};
	ranq_queue_dead_cmd(&tq.q, &tq.cmd, b->id, blamed, n);
	sim_network(&executed);
	sim_note("%.4s is said to be dead", b->id);
}

void sim_bridge_die(struct sim_bridge *b)
{
	sim_note("%.4s dies", b->id);
	ranq_held_destroy(b->held);
	b->held = NULL;
	b->alive = false;
	sim_total.deaths++;
	if (sim_chance(300))
		report_dead(b);
}

/* True when the reply says that the bridge is gone: it drops everything and will join again. */
static bool is_gone(struct sim_bridge *b)
{
	if (tq.err.code != RANQ_ERR_GONE)
		return false;
	sim_note("%.4s gone", b->id);
	sim_total.gone++;
	b->joined = false;
	forget_work(b);
	return true;
}

/* In the truth of the model: the items of the commit that was just executed. */
static void model_commit(const struct part *parts, size_t n, const struct ranq_commit_reply *out)
{
	for (size_t i = 0; i < n; i++) {
		struct sim_job *job = sim_job_of(parts[i].f.job);

		sim_total.accepted += out->accepted[i];
		sim_total.stale += !out->accepted[i];
		if (!out->accepted[i])
			continue;
		SIM_MUST(job, "a commit of an unknown job was counted");
		for (uint64_t k = parts[i].f.start; k < parts[i].f.end; k++) {
			SIM_MUST(!job->counted[k], "I6: task %llu of job %llu was counted twice", (unsigned long long)k,
				(unsigned long long)job->id);
			job->counted[k] = true;
		}
	}
}

/* The results of a part; until the next call. */
static struct ranq_bytes values_of(const struct part *p)
{
	static uint64_t values[TASKS_MAX];
	const struct sim_job *job = sim_job_of(p->f.job);

	for (uint64_t k = p->f.start; k < p->f.end; k++)
		values[k - p->f.start] = sim_value(job, k);
	return (struct ranq_bytes){values, (p->f.end - p->f.start) * sizeof *values};
}

/* Sends some of the results ahead of their commit; number: under which, 0: with it. LOST: so is the connection.
 * Now and then the server has no memory for one, of which the bridge hears by the commit. */
static enum sim_outcome send_apart(struct sim_bridge *b, const struct part *parts, size_t n, uint64_t *number)
{
	bool executed;

	for (size_t i = 0; i < n; i++) {
		number[i] = b->together || sim_chance(500) ? 0 : ++b->apart;
		if (!number[i] || (!sim_calm && sim_chance(30)))
			continue;
		ranq_queue_apart_put_cmd(&tq.q, &tq.cmd, b->id, number[i], values_of(&parts[i]));
		if (sim_network(&executed) == LOST)
			return LOST;
		sim_total.apart++;
	}
	b->together = false;
	return ANSWERED;
}

static void add_item(const struct part *p, uint64_t number)
{
	struct ranq_commit_item item = {.job = p->f.job,
		.at = p->f.at,
		.seq = p->f.seq,
		.start = p->f.start,
		.end = p->f.end,
		.counts = {p->f.end - p->f.start},
		.item = values_of(p),
		.apart = number,
		.elapsed_us = 1};

	SIM_MUST(!ranq_queue_commit_add(&tq.cmd, &item), "commit_add");
}

/* Sends these commits; true: answered, false: the outcome is unknown to the bridge. */
static bool send_commits(struct sim_bridge *b, const struct part *parts, size_t n)
{
	static struct ranq_commit_reply out;
	uint64_t number[5];
	enum sim_outcome outcome;
	bool executed;

	if (send_apart(b, parts, n, number) == LOST) {
		b->broken = true;
		return false;
	}
	ranq_queue_commit_begin(&tq.q, &tq.cmd, b->id);
	for (size_t i = 0; i < n; i++) {
		add_item(&parts[i], number[i]);
		sim_note("%.4s commit %llu [%llu, %llu) at %llu seq %llu", b->id, (unsigned long long)parts[i].f.job,
			(unsigned long long)parts[i].f.start, (unsigned long long)parts[i].f.end,
			(unsigned long long)parts[i].f.at, (unsigned long long)parts[i].f.seq);
	}
	outcome = sim_network(&executed);
	if (executed) {
		if (ranq_queue_commit_parse(tq.reply, &out, &tq.err)) {
			if (tq.err.code == RANQ_ERR_SERVER) { /* something is not there: again after a reconnect */
				b->broken = b->together = true;
				return false;
			}
			SIM_MUST(tq.err.code == RANQ_ERR_GONE, "commit: %s", tq.err.text);
			return outcome == ANSWERED && is_gone(b);
		}
		SIM_MUST(out.n == n, "commit: %zu answers for %zu items", out.n, n);
		model_commit(parts, n, &out);
	}
	b->broken = outcome == LOST;
	return outcome == ANSWERED;
}

static bool send_release(struct sim_bridge *b, const struct part *p)
{
	enum sim_outcome outcome;
	bool executed;

	ranq_queue_release_cmd(&tq.q, &tq.cmd, b->id, &p->f, 1);
	sim_note("%.4s release %llu [%llu, %llu) at %llu", b->id, (unsigned long long)p->f.job,
		(unsigned long long)p->f.start, (unsigned long long)p->f.end, (unsigned long long)p->f.at);
	outcome = sim_network(&executed);
	b->broken = outcome == LOST;
	if (outcome == LOST)
		return false;
	if (ranq_queue_release_parse(tq.reply, &tq.err))
		SIM_MUST(is_gone(b), "release: %s", tq.err.text);
	return true;
}

/* A part that the server says is not ours. It may be one under way: that has its answer. */
static void disown(struct sim_bridge *b, const struct ranq_fragment *f)
{
	for (size_t i = 0; i < b->npending; i++) {
		const struct ranq_fragment *p = &b->pending[i].f;

		if (p->job == f->job && p->seq == f->seq && p->start == f->start && p->end == f->end) {
			b->npending--;
			memmove(b->pending + i, b->pending + i + 1, (b->npending - i) * sizeof *b->pending);
			return;
		}
	}
	ranq_held_drop(b->held, f->job, f->seq, f->start);
}

/* Which parts of the sorted list lie in a fragment that the server has under the bridge's id, and touch no other part:
 * none of them may be lost, wherever the borders of the pages fall. */
static void note_ours(const struct sim_bridge *b, const struct ranq_fragment *list, size_t n, bool *ours)
{
	uint64_t reach = 0;

	memset(ours, 0, n * sizeof *ours);
	tq_command("HGETALL %sb:%s", tq.q.base, b->id);
	for (size_t i = 0; i < n; i++) {
		const struct ranq_fragment *f = &list[i];
		bool alone = i + 1 == n || list[i + 1].job != f->job || list[i + 1].start >= f->end;

		if (i == 0 || list[i - 1].job != f->job)
			reach = 0;
		alone = alone && f->start >= reach;
		reach = f->end > reach ? f->end : reach;
		for (size_t k = 0; alone && k + 1 < ranq_reply_count(tq.reply); k += 2) {
			unsigned long long job, start, end, seq;

			ours[i] |= sscanf(ranq_reply_bytes(ranq_reply_at(tq.reply, k)).data, "%llu:%llu", &job,
					   &start) == 2 &&
				   sscanf(ranq_reply_bytes(ranq_reply_at(tq.reply, k + 1)).data, "%llu:%llu", &end,
					   &seq) == 2 &&
				   job == f->job && seq == f->seq && start <= f->start && f->end <= end;
		}
	}
}

/* Tells one page and believes the answer. */
static bool send_page(
	struct sim_bridge *b, const struct ranq_fragment *list, const struct ranq_resync_page *page, const bool *ours)
{
	static size_t gone[RANQ_CALL_ITEMS_MAX];
	size_t ngone;
	bool executed;

	ranq_queue_resync_cmd(&tq.q, &tq.cmd, b->id, list, page);
	sim_note("%.4s resync of %zu parts, %llu:%llu to %llu:%llu", b->id, page->n, (unsigned long long)page->from_job,
		(unsigned long long)page->from, (unsigned long long)page->to_job, (unsigned long long)page->to);
	if (sim_network(&executed) == LOST)
		return false;
	if (ranq_queue_resync_parse(tq.reply, &ngone, gone, &tq.err)) {
		SIM_MUST(is_gone(b), "resync: %s", tq.err.text);
		return false;
	}
	for (size_t i = 0; i < ngone; i++) {
		SIM_MUST(gone[i] < page->n, "resync: position %zu of %zu", gone[i], page->n);
		SIM_MUST(!ours[page->first + gone[i]], "resync: task %llu of job %llu was ours and is lost",
			(unsigned long long)list[page->first + gone[i]].start,
			(unsigned long long)list[page->first + gone[i]].job);
		disown(b, &list[page->first + gone[i]]);
	}
	return true;
}

/* How many fragments the server has under the bridge's id. */
static uint64_t fragments_there(const struct sim_bridge *b)
{
	return (uint64_t)tq_command("HLEN %sb:%s", tq.q.base, b->id);
}

/* After a reconnect: tell everything held and under way, believe the answer, send again what is still ours. One or some
 * pages: of two parts each, or more. */
void sim_bridge_resync(struct sim_bridge *b)
{
	static struct ranq_fragment list[RANQ_CALL_ITEMS_MAX];
	static bool ours[RANQ_CALL_ITEMS_MAX];
	size_t nheld = ranq_held_count(b->held), n = nheld;
	size_t max = sim_chance(500) ? 1 + sim_below(4) : RANQ_CALL_ITEMS_MAX;
	struct ranq_resync_page page = {0};

	SIM_MUST(nheld + b->npending <= RANQ_CALL_ITEMS_MAX, "too many fragments");
	ranq_held_list(b->held, list);
	for (size_t i = 0; i < b->npending; i++)
		list[n++] = b->pending[i].f;
	ranq_held_sort(list, n);
	note_ours(b, list, n, ours);
	while (ranq_held_page(list, n, max, &page)) {
		if (!send_page(b, list, &page, ours))
			return;
		sim_total.pages++;
	}
	SIM_MUST(fragments_there(b) == ranq_held_count(b->held) + b->npending,
		"resync: %llu fragments there, %zu + %zu here", (unsigned long long)fragments_there(b),
		ranq_held_count(b->held), b->npending);
	for (size_t i = 0; i < b->npending; i++)
		b->pending[i].f.at = b->pending[i].f.start;
	b->broken = false;
	while (b->npending && !b->broken && b->joined) {
		struct part p = b->pending[b->npending - 1];

		if (p.release ? send_release(b, &p) : send_commits(b, &p, 1))
			b->npending -= b->npending > 0;
	}
}

bool sim_bridge_lease(struct sim_bridge *b, uint64_t want)
{
	struct ranq_lease_reply out;
	bool executed;

	ranq_queue_lease_cmd(&tq.q, &tq.cmd, b->id, ++b->seq, want, 1 + (unsigned)sim_below(4),
		sim_chance(300) ? RANQ_LEASE_BUSY : 0, -1, NULL);
	if (sim_network(&executed) == LOST) {
		b->broken = true;
		return false;
	}
	if (ranq_queue_lease_parse(tq.reply, &out, &tq.err)) {
		SIM_MUST(is_gone(b), "lease: %s", tq.err.text);
		return false;
	}
	for (size_t i = 0; i < out.n; i++) {
		SIM_MUST(sim_job_of(out.ranges[i].job), "a range of an unknown job");
		SIM_MUST(out.ranges[i].seq == b->seq, "a range under another token");
		SIM_MUST(
			!out.ranges[i].suspect || out.ranges[i].end == out.ranges[i].start + 1, "a suspect in company");
		sim_note("%.4s lease %llu [%llu, %llu) seq %llu", b->id, (unsigned long long)out.ranges[i].job,
			(unsigned long long)out.ranges[i].start, (unsigned long long)out.ranges[i].end,
			(unsigned long long)b->seq);
		SIM_MUST(!ranq_held_add(b->held, &out.ranges[i]), "memory");
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
	f = &list[sim_below(n)];
	if (!whole && sim_chance(600))
		f->end = f->start + 1 + sim_below(f->end - f->start);
	if (!whole && sim_chance(300))
		f->start += sim_below(f->end - f->start);
	*p = (struct part){.f = *f};
	SIM_MUST(!ranq_held_take(b->held, f->job, f->seq, f->start, f->end, &p->f.at), "the mirror lost a fragment");
	return true;
}

void sim_bridge_commit(struct sim_bridge *b, bool whole)
{
	struct part parts[5];
	size_t n = 0, most = 1 + sim_below(4);

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
	p.f.kind = sim_chance(200) ? RANQ_RELEASE_SUSPECT : RANQ_RELEASE_DRAINED;
	b->pending[b->npending++] = p;
	if (send_release(b, &p))
		b->npending -= b->npending > 0;
}

/* A commit that has no right to be counted: of work done long ago or never leased. Nobody waits for the answer. */
static void forge(struct sim_bridge *b)
{
	struct sim_job *job = &sim_jobs[sim_below(sim_njobs)];
	struct part p = {.f = {.job = job->id, .seq = b->seq > 2 ? 1 + sim_below(b->seq - 1) : 1}};
	static struct ranq_fragment list[RANQ_CALL_ITEMS_MAX];
	size_t n = ranq_held_count(b->held);

	if (!job->n || n > RANQ_CALL_ITEMS_MAX)
		return;
	p.f.start = sim_below(job->n);
	p.f.end = p.f.start + 1 + sim_below(job->n - p.f.start);
	p.f.at = sim_chance(500) ? p.f.start : sim_below(p.f.start + 1);
	ranq_held_list(b->held, list);
	for (size_t i = 0; i < n; i++) /* what it holds it may commit; that would not be a forgery */
		if (list[i].job == p.f.job && list[i].seq == p.f.seq)
			return;
	for (size_t i = 0; i < b->npending; i++)
		if (b->pending[i].f.job == p.f.job && b->pending[i].f.seq == p.f.seq)
			return;
	{
		bool broken = b->broken;
		uint64_t accepted = sim_total.accepted;

		send_commits(b, &p, 1);
		b->broken = broken || b->broken;
		if (b->joined && !broken)
			SIM_MUST(accepted == sim_total.accepted, "a forged commit was counted");
	}
}

static void beat(struct sim_bridge *b)
{
	struct ranq_beat_reply *out = malloc(sizeof *out);
	uint64_t list[16];
	size_t n = ranq_held_jobs(b->held, 0, list, 16);
	bool executed;

	ranq_queue_beat_cmd(&tq.q, &tq.cmd, b->id, list, n, 0, 0);
	if (sim_network(&executed) == LOST)
		b->broken = true;
	else if (ranq_queue_beat_parse(tq.reply, out, &tq.err))
		SIM_MUST(is_gone(b), "beat: %s", tq.err.text);
	free(out);
}

void sim_bridge_leave(struct sim_bridge *b)
{
	bool more = true, executed;

	while (more) {
		ranq_queue_leave_cmd(&tq.q, &tq.cmd, b->id);
		if (sim_network(&executed) == ANSWERED)
			SIM_MUST(!ranq_queue_leave_parse(tq.reply, &more, &tq.err), "leave: %s", tq.err.text);
	}
	sim_note("%.4s leaves", b->id);
	ranq_held_destroy(b->held);
	b->held = NULL;
	b->alive = false;
}

void sim_bridge_step(struct sim_bridge *b)
{
	uint64_t what = sim_below(100);

	if (!b->alive) {
		if (sim_chance(100))
			sim_bridge_start(b);
	} else if (b->frozen) {
		b->frozen--;
		if (sim_chance(20))
			report_dead(b);
	} else if (!b->joined) {
		sim_bridge_join(b);
	} else if (b->broken) {
		sim_bridge_resync(b);
	} else if (what < 35) {
		sim_bridge_lease(b, 1 + sim_below(sim_chance(500) ? 10 : 300));
	} else if (what < 80) {
		sim_bridge_commit(b, sim_chance(400));
	} else if (what < 87) {
		release_some(b);
	} else if (what < 91) {
		beat(b);
	} else if (what < 94) {
		forge(b);
	} else if (what == 94) {
		sim_bridge_die(b);
	} else if (what == 95) {
		b->frozen = 20 + (int)sim_below(60);
	} else if (what == 96) {
		sim_bridge_leave(b);
	} else if (what == 97) {
		b->broken = true; /* the connection drops between two calls */
	}
}

/* proxy_end.c - how a bridge ends, and what it does about ranks that died.
 *
 * Drain: no new leases, unstarted work goes back at once, chunks end behind their running task; by `ranq drain` without
 * limit (polite), else the tasks are warned and have a grace time. Then everything is committed, the bridge leaves and
 * says BYE to its workers.
 *
 * mpirun (Open MPI 4.1) ends all ranks when one has died: SIGCONT at once, SIGTERM a second later, SIGKILL after that,
 * at times only 20 ms later. So SIGCONT is the time to act: all ranks are asked for a sign of life; the processes of
 * our own node are looked at, too. If one is dead, its first unreported chunk goes back as suspect, everything else as
 * drained, and we leave, all within that second. If all answer, it was an ordinary stop and continue, or mpirun was
 * told to end: then SIGTERM follows and everything goes back at once. Slurm sends SIGCONT and SIGTERM together and
 * leaves KillWait between TERM and KILL: that is a drain with grace. */
#include "bridge/proxy_impl.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bridge/fault.h"
#include "util/clock.h"

#define SILENCE_CHECK_MS 100
#define LIFE_MS 300 /* for a sign of life after SIGCONT */
#define LIFE_CHECK_MS 20
#define CONT_TERM_MIN_MS 300 /* TERM so long after CONT is mpirun's */
#define CONT_TERM_MAX_MS 30000
#define SECOND_SIGNAL_MS 2000
#define HOLD_MS 1500 /* no new leases after CONT: TERM may follow */
#define HURRY_MS 700 /* for the last words to the server */
#define GOODBYE_MS 5000
#define GOODBYE_HURRY_MS 300
#define BEHIND_MS 3000     /* grace is over and tasks still run */
#define END_MARGIN_MS 2000 /* between the end of the drain and the end of the allocation */

/* ---- dead ranks ---- */

/* Gives back what the lane holds. The first chunk that is not fully reported held the task that ran; where chunks are so
 * short that their reports travel together, it may have been any. */
static void give_back(struct ranq_proxy *proxy, struct proxy_lane *lane, enum ranq_release_kind kind)
{
	struct proxy_chunk *chunk;

	while ((chunk = TAILQ_FIRST(&lane->chunks))) {
		if (chunk->job && chunk->upto < chunk->end) {
			proxy_outbox_release_one(
				chunk->job->pq, chunk->job->id, chunk->seq, chunk->upto, chunk->end, kind);
			if (ranq_chunking_depth(&chunk->job->pace, chunk->end - chunk->start) <= 2)
				kind = RANQ_RELEASE_DRAINED;
		}
		proxy_chunk_end(proxy, lane, chunk);
	}
}

static void retire(struct ranq_proxy *proxy, int rank, enum ranq_release_kind kind)
{
	struct proxy_worker *worker = &proxy->workers[rank];

	worker->lost = true;
	proxy->ranks--;
	for (unsigned s = 0; s < worker->nlanes; s++) {
		give_back(proxy, &worker->lanes[s], kind);
		proxy_lane_leave(proxy, &worker->lanes[s]);
	}
	for (size_t i = 0; i < proxy->options.nqueues; i++)
		proxy_merge_recall(&proxy->queues[i], rank);
	proxy_blobs_lost(proxy, rank);
	proxy_slices_lost(proxy, rank);
}

void proxy_worker_retire(struct ranq_proxy *proxy, int rank)
{
	if (!proxy->workers[rank].lost)
		retire(proxy, rank, RANQ_RELEASE_DRAINED);
}

static void lose(struct ranq_proxy *proxy, int rank, const char *why, enum ranq_release_kind kind)
{
	if (proxy->workers[rank].lost)
		return;
	proxy_log(proxy, "rank %d on %s is lost: %s", rank, proxy->options.facts[rank].host, why);
	retire(proxy, rank, kind);
}

void proxy_worker_lost(struct ranq_proxy *proxy, int rank, const char *why)
{
	lose(proxy, rank, why, RANQ_RELEASE_SUSPECT);
}

/* GOODBYE: expected when we are leaving; else the worker could not start, or has given us up while we stood still. It
 * has ended its executors itself: no task is to blame. */
void proxy_worker_left(struct ranq_proxy *proxy, int rank)
{
	struct proxy_worker *worker = &proxy->workers[rank];

	worker->goodbye = true;
	if (proxy->phase >= PROXY_LEAVE)
		return;
	worker->broken = true;
	lose(proxy, rank, "it has ended", RANQ_RELEASE_DRAINED);
}

/* A rank that was silent for longer than the lease and speaks again (it was stopped, or its node cut off). What it did
 * meanwhile is void: its chunks are unknown by now, and their results are not taken. */
void proxy_worker_back(struct ranq_proxy *proxy, int rank)
{
	struct proxy_worker *worker = &proxy->workers[rank];
	struct proxy_job *job;

	if (proxy->phase != PROXY_RUN)
		return;
	proxy_log(proxy, "rank %d on %s is back", rank, proxy->options.facts[rank].host);
	worker->lost = false;
	proxy->ranks++;
	TAILQ_FOREACH(job, &proxy->jobs, next)
	{
		struct ranq_buf buf;

		if (!job->introduced[rank])
			continue;
		job->introduced[rank] = 0;
		ranq_buf_init(&buf, 0);
		ranq_message_drop_encode(&buf, &(struct ranq_message_drop){.key = job->key, .kill = true});
		proxy_send(proxy, rank, &buf);
	}
	for (unsigned s = 0; s < worker->nlanes; s++)
		proxy_lane_join(proxy, &worker->lanes[s]);
}

static bool here(const struct ranq_proxy *proxy, int rank)
{
	const struct ranq_link *link = proxy->options.link;

	return link->node[rank] == link->node[link->rank];
}

static void check_silence_of(struct ranq_proxy *proxy, int rank)
{
	const struct proxy_worker *worker = &proxy->workers[rank];
	int64_t silent = proxy->now_ms - worker->heard_ms;

	if (rank == 0 || worker->goodbye)
		return;
	if (silent > proxy->lease_ms)
		proxy_worker_lost(proxy, rank, "silent for longer than the lease");
	else if (silent > proxy->lease_ms / 4 && here(proxy, rank) && worker->pid > 0 &&
		 !ranq_nodes_pid_alive(worker->pid))
		proxy_worker_lost(proxy, rank, "its process is dead");
}

static void check_silence(struct ranq_proxy *proxy)
{
	bool any = false;

	/* stopped ourselves: nobody could be heard */
	if (proxy->now_ms - proxy->last_tick_ms > proxy->lease_ms / 4)
		for (int r = 0; r < proxy->options.link->size; r++)
			proxy->workers[r].heard_ms = proxy->now_ms;
	if (proxy->now_ms < proxy->silence_ms)
		return;
	proxy->silence_ms = proxy->now_ms + SILENCE_CHECK_MS;
	for (int r = 0; r < proxy->options.link->size; r++) {
		if (!proxy_computes(proxy, r))
			continue;
		check_silence_of(proxy, r);
		any = true;
	}
	if (!any && proxy->phase < PROXY_LEAVE)
		proxy_fatal(proxy, 1, "no compute rank is left");
}

/* ---- signs of life ---- */

static void ping_all(struct ranq_proxy *proxy)
{
	proxy->nonce++;
	for (int r = 0; r < proxy->options.link->size; r++) {
		struct ranq_buf buf;

		/* a rank that does not take messages any more is not sent heaps of them */
		if (!proxy_reachable(proxy, r) ||
			ranq_link_unsent(proxy->options.link, r) > (proxy->workers[r].lost ? 4096 : 64u << 20))
			continue;
		ranq_buf_init(&buf, 0);
		ranq_message_ping_encode(
			&buf, &(struct ranq_message_ping){.nonce = proxy->nonce, .lease_ms = proxy->lease_ms});
		proxy_send(proxy, r, &buf);
	}
	proxy->ping_ms = proxy->now_ms + proxy->lease_ms / 5;
}

/* After SIGCONT: who is dead? true: the answer is complete. */
static bool check_life(struct ranq_proxy *proxy, bool *died)
{
	bool over = proxy->now_ms >= proxy->life_ms, waiting = false;

	for (int r = 1; r < proxy->options.link->size; r++) {
		struct proxy_worker *worker = &proxy->workers[r];

		if (!proxy_computes(proxy, r) || worker->goodbye || worker->pong >= proxy->life_nonce)
			continue;
		if (here(proxy, r) ? worker->pid > 0 && !ranq_nodes_pid_alive(worker->pid) : over) {
			proxy_worker_lost(proxy, r, here(proxy, r) ? "its process is dead" : "no sign of life");
			*died = true;
		} else {
			waiting = true;
		}
	}
	return over || !waiting;
}

static void life_tick(struct ranq_proxy *proxy)
{
	bool died = false, complete;

	if (proxy->life_ms == 0)
		return;
	complete = check_life(proxy, &died);
	if (complete)
		proxy->life_ms = 0;
	if (died)
		proxy_hurry(proxy, "a rank has died and mpirun ends all ranks");
}

static void on_cont(struct ranq_proxy *proxy)
{
	proxy->cont_ms = proxy->now_ms;
	if (!proxy->options.mpirun || proxy->phase >= PROXY_LEAVE)
		return;
	proxy->hold_ms = proxy->now_ms + HOLD_MS;
	ping_all(proxy);
	proxy->life_nonce = proxy->nonce;
	proxy->life_ms = proxy->now_ms + LIFE_MS;
	for (size_t i = 0; i < proxy->options.nqueues; i++)
		proxy_outbox_flush(&proxy->queues[i], true);
	life_tick(proxy);
}

/* ---- drain ---- */

static int64_t grace_ms(const struct ranq_proxy *proxy)
{
	int64_t grace = proxy->options.grace_ms, left;

	if (proxy->options.end_ms > 0) {
		left = proxy->options.end_ms - ranq_wall_ms() - END_MARGIN_MS;
		if (left < grace)
			grace = left > 0 ? left : 0;
	}
	return grace;
}

static void end_chunks(struct ranq_proxy *proxy, struct proxy_lane *lane)
{
	struct proxy_chunk *chunk;
	struct ranq_buf buf;

	TAILQ_FOREACH(chunk, &lane->chunks, next)
	{
		ranq_buf_init(&buf, 0);
		ranq_message_truncate_encode(&buf, RANQ_MESSAGE_TRUNCATE,
			&(struct ranq_message_truncate){
				.slot = lane->slot, .chunk = chunk->id, .new_end = chunk->upto});
		proxy_send(proxy, lane->rank, &buf);
		chunk->truncated = true;
	}
	if (proxy->polite)
		return;
	ranq_buf_init(&buf, 0);
	ranq_message_warn_encode(
		&buf, &(struct ranq_message_warn){
			      .slot = lane->slot, .sig = proxy->options.warn_signal, .grace_ms = grace_ms(proxy)});
	proxy_send(proxy, lane->rank, &buf);
}

void proxy_drain(struct ranq_proxy *proxy, bool polite, const char *why)
{
	if (proxy->phase > PROXY_DRAIN || (proxy->phase == PROXY_DRAIN && (polite || !proxy->polite)))
		return;
	proxy_log(proxy, "leaving: %s", why);
	proxy->phase = PROXY_DRAIN;
	proxy->polite = polite;
	proxy->phase_ms = proxy->now_ms;
	proxy->drain_limit_ms = polite ? RANQ_NEVER : proxy->now_ms + grace_ms(proxy) + BEHIND_MS;
	for (size_t i = 0; i < proxy->options.nqueues; i++)
		proxy_pieces_release(&proxy->queues[i], NULL, 0);
	for (int r = 0; r < proxy->options.link->size; r++)
		for (unsigned s = 0; proxy_computes(proxy, r) && s < proxy->workers[r].nlanes; s++)
			if (proxy->workers[r].lanes[s].n > 0)
				end_chunks(proxy, &proxy->workers[r].lanes[s]);
}

static void set_phase(struct ranq_proxy *proxy, enum proxy_phase phase)
{
	proxy->phase = phase;
	proxy->phase_ms = ranq_clock_ms();
}

void proxy_hurry(struct ranq_proxy *proxy, const char *why)
{
	if (proxy->phase >= PROXY_LEAVE)
		return;
	proxy_log(proxy, "leaving at once: %s", why);
	proxy->hurry = true;
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		proxy_pieces_release(&proxy->queues[i], NULL, 0);
		proxy_outbox_flush(&proxy->queues[i], true);
	}
	for (int r = 0; r < proxy->options.link->size; r++)
		for (unsigned s = 0; s < proxy->workers[r].nlanes; s++)
			give_back(proxy, &proxy->workers[r].lanes[s], RANQ_RELEASE_DRAINED);
	set_phase(proxy, PROXY_LEAVE);
	for (size_t i = 0; i < proxy->options.nqueues; i++)
		proxy_queue_leave(&proxy->queues[i]);
}

void proxy_fatal(struct ranq_proxy *proxy, int status, const char *format, ...)
{
	char why[600];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	if (proxy->status == 0)
		proxy->status = status;
	proxy_hurry(proxy, why);
}

/* One signal may come several times: the launcher sends it to us, to each worker, which tells us, and the user's shell
 * to the whole group. Only one that comes to ourselves a while after the first one is a second one. */
static bool is_second(struct ranq_proxy *proxy, bool own)
{
	if (proxy->signal_ms == 0)
		proxy->signal_ms = proxy->now_ms;
	return own && proxy->now_ms - proxy->signal_ms >= SECOND_SIGNAL_MS;
}

void proxy_signal(struct ranq_proxy *proxy, int sig, bool own)
{
	int64_t since_cont;
	char why[64];

	proxy->now_ms = ranq_clock_ms();
	since_cont = proxy->now_ms - proxy->cont_ms;
	if (sig == SIGCONT) {
		on_cont(proxy);
		return;
	}
	snprintf(why, sizeof why, "signal %d (%s)", sig, strsignal(sig));
	if (sig == SIGTERM && proxy->options.mpirun && proxy->cont_ms > 0 && since_cont >= CONT_TERM_MIN_MS &&
		since_cont < CONT_TERM_MAX_MS)
		proxy_hurry(proxy, "mpirun ends all ranks");
	else if (is_second(proxy, own) && (sig == SIGTERM || sig == SIGINT))
		proxy_hurry(proxy, why);
	else
		proxy_drain(proxy, false, why);
}

void ranq_proxy_signal(struct ranq_proxy *proxy, int sig)
{
	proxy_signal(proxy, sig, true);
}

/* ---- no work ---- */

static void have_stat(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct ranq_proxy *proxy = request->proxy;
	struct ranq_queue_info info;
	struct ranq_err err;

	if (!proxy->idle_asked)
		return;
	proxy->idle_answers++;
	if (!reply || ranq_queue_stat_parse(reply, &info, &err) != 0)
		proxy->idle_others = true; /* not known */
	else
		proxy->idle_others |= info.bridges > 1 && info.jobs > 0;
	if (proxy->idle_answers < proxy->options.nqueues)
		return;
	proxy->idle_asked = false;
	/* what others hold comes back by expiry when they die: somebody must be there then */
	if (!proxy->idle_others || proxy->now_ms - proxy->idle_since_ms >= proxy->lease_ms * 3 / 2)
		proxy_drain(proxy, true, "no work for the time of --idle-timeout");
	else
		proxy->idle_ask_ms = proxy->now_ms + proxy->lease_ms / 2;
}

bool proxy_idle(const struct ranq_proxy *proxy)
{
	if (!TAILQ_EMPTY(&proxy->pieces) || proxy->running > 0 || !proxy->conn)
		return false;
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		const struct proxy_queue *pq = &proxy->queues[i];

		if (pq->state != PROXY_IN || !pq->idle || pq->lease_asked || !proxy_outbox_empty(pq))
			return false;
	}
	return true;
}

static void idle_tick(struct ranq_proxy *proxy)
{
	bool now_idle = proxy_idle(proxy);

	/* an idle queue that is asked again stays idle in this sense */
	if (!now_idle && (!TAILQ_EMPTY(&proxy->pieces) || proxy->running > 0 || !proxy->conn))
		proxy->idle_since_ms = proxy->now_ms;
	if (proxy->options.idle_timeout_ms < 0 || !now_idle || proxy->idle_asked ||
		proxy->now_ms < proxy->idle_ask_ms ||
		proxy->now_ms - proxy->idle_since_ms < proxy->options.idle_timeout_ms)
		return;
	proxy->idle_asked = true;
	proxy->idle_others = false;
	proxy->idle_answers = 0;
	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		struct ranq_cmd cmd;

		ranq_cmd_init(&cmd);
		if (ranq_queue_stat_cmd(&proxy->queues[i].q, &cmd) != 0 ||
			!proxy_request(&proxy->queues[i], &cmd, have_stat))
			proxy->idle_asked = false;
		ranq_cmd_clear(&cmd);
	}
}

/* ---- loop ---- */

void ranq_proxy_set_end(struct ranq_proxy *proxy, int64_t end_ms)
{
	char text[32] = "?";
	time_t end = (time_t)(end_ms / 1000);
	struct tm local;

	if (proxy->options.end_ms == end_ms)
		return;
	proxy->options.end_ms = end_ms;
	if (localtime_r(&end, &local))
		strftime(text, sizeof text, "%F %T", &local);
	proxy_log(proxy, "the allocation ends at %s now", text);
}

int64_t proxy_left_ms(const struct ranq_proxy *proxy)
{
	int64_t left;

	if (proxy->options.end_ms <= 0)
		return RANQ_NEVER;
	left = proxy->options.end_ms - ranq_wall_ms() - proxy->options.grace_ms - END_MARGIN_MS;
	return left > 0 ? left : 0;
}

static void drain_tick(struct ranq_proxy *proxy)
{
	bool empty = TAILQ_EMPTY(&proxy->pieces) && proxy->running == 0;

	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		struct proxy_queue *pq = &proxy->queues[i];

		proxy_pieces_release(pq, NULL, 0);
		proxy_outbox_flush(pq, empty);
		empty &= proxy_outbox_empty(pq) && !pq->lease_asked;
	}
	if (empty && proxy->conn) {
		set_phase(proxy, PROXY_LEAVE);
		return;
	}
	/* a polite drain has no limit, and waits for the server, too */
	if (proxy->drain_limit_ms != RANQ_NEVER &&
		proxy->now_ms > proxy->drain_limit_ms + (proxy->conn ? 0 : proxy->lease_ms)) {
		if (!proxy->conn)
			proxy->status = 3;
		proxy_hurry(proxy, proxy->conn ? "the grace time is over" : "the server is away");
	}
}

static void say_bye(struct ranq_proxy *proxy)
{
	for (int r = 0; r < proxy->options.link->size; r++) {
		struct ranq_buf buf;

		if (!proxy_reachable(proxy, r))
			continue;
		ranq_buf_init(&buf, 0);
		ranq_message_number_encode(&buf, RANQ_MESSAGE_BYE, (uint64_t)proxy->status);
		proxy_send(proxy, r, &buf);
	}
	set_phase(proxy, PROXY_END);
}

static void leave_tick(struct ranq_proxy *proxy)
{
	int64_t limit = proxy->hurry ? HURRY_MS : proxy->lease_ms;
	bool left = true;

	for (size_t i = 0; i < proxy->options.nqueues; i++) {
		struct proxy_queue *pq = &proxy->queues[i];

		if (pq->state != PROXY_LEFT && pq->state != PROXY_OUT)
			proxy_queue_leave(pq);
		left &= pq->state == PROXY_LEFT || (pq->state == PROXY_OUT && proxy->conn);
	}
	if (left || proxy->now_ms - proxy->phase_ms > limit)
		say_bye(proxy);
}

static void end_tick(struct ranq_proxy *proxy)
{
	int64_t limit = proxy->hurry ? GOODBYE_HURRY_MS : GOODBYE_MS;
	bool all = true;

	for (int r = 0; r < proxy->options.link->size; r++)
		all &= r == 0 || !proxy_computes(proxy, r) || proxy->workers[r].goodbye;
	if (all || proxy->now_ms - proxy->phase_ms > limit)
		set_phase(proxy, PROXY_DONE);
}

void proxy_end_tick(struct ranq_proxy *proxy)
{
	check_silence(proxy);
	if (proxy->phase < PROXY_LEAVE && proxy->now_ms >= proxy->ping_ms)
		ping_all(proxy);
	life_tick(proxy);
	if (proxy->phase == PROXY_RUN) {
		idle_tick(proxy);
		proxy_give_tick(proxy);
		if (proxy_left_ms(proxy) == 0)
			proxy_drain(proxy, false, "the end of the allocation is near");
	}
	if (proxy->phase == PROXY_DRAIN)
		drain_tick(proxy);
	if (proxy->phase == PROXY_LEAVE)
		leave_tick(proxy);
	if (proxy->phase == PROXY_END)
		end_tick(proxy);
}

int64_t proxy_end_due(const struct ranq_proxy *proxy)
{
	int64_t due = proxy->ping_ms, left = proxy_left_ms(proxy);

	if (proxy->life_ms > 0)
		due = proxy_min(due, proxy->now_ms + LIFE_CHECK_MS);
	if (proxy->phase == PROXY_RUN) {
		due = proxy_min(due, proxy_give_due(proxy));
		if (left != RANQ_NEVER)
			due = proxy_min(due, proxy->now_ms + left);
		if (proxy->hold_ms > proxy->now_ms)
			due = proxy_min(due, proxy->hold_ms);
		if (proxy->options.idle_timeout_ms >= 0 && !proxy->idle_asked && proxy_idle(proxy))
			due = proxy_min(due, proxy->idle_since_ms + proxy->options.idle_timeout_ms > proxy->idle_ask_ms
						     ? proxy->idle_since_ms + proxy->options.idle_timeout_ms
						     : proxy->idle_ask_ms);
		return due;
	}
	if (proxy->phase == PROXY_DRAIN)
		return proxy_min(due, proxy_min(proxy->drain_limit_ms, proxy->now_ms + 100));
	return proxy->phase == PROXY_DONE ? RANQ_NEVER : proxy->now_ms + 10;
}

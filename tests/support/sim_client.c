/* The virtual client: it streams input, fetches, checks and acknowledges results; its ledger outlives it. */
#include "tests/support/simulation.h"

#include <string.h>

static void acknowledge(struct sim_job *job, const uint64_t (*ranges)[2], size_t n)
{
	bool executed, more;

	ranq_queue_ack_cmd(&tq.q, &tq.cmd, job->id, job->epoch, NULL, ranges, n);
	/* Unknown, taken over, or rolled back to before the attach: attach again and acknowledge everything. */
	if (sim_network(&executed) == LOST)
		job->epoch = 0;
	else if (ranq_queue_ack_parse(tq.reply, &more, &tq.err)) {
		SIM_MUST(tq.err.code == RANQ_ERR_STATE, "ack: %s", tq.err.text);
		job->epoch = 0;
	}
}

/* Attaches and acknowledges what the ledger has: an earlier acknowledgement may be lost. */
void sim_client_attach(struct sim_job *job)
{
	static uint64_t ranges[RANQ_CALL_ITEMS_MAX][2];
	uint64_t acked;
	struct ranq_bytes stored;
	bool executed;
	size_t n = 0;

	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, job->id, job->client);
	if (sim_network(&executed) == LOST)
		return;
	SIM_MUST(!ranq_queue_attach_consumer_parse(tq.reply, &job->epoch, &acked, &stored, &tq.err), "attach: %s",
		tq.err.text);
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

	SIM_MUST(freed || item.len == (end - start) * sizeof value, "I3: item [%llu, %llu) has %zu bytes",
		(unsigned long long)start, (unsigned long long)end, item.len);
	for (uint64_t k = start; k < end; k++) {
		SIM_MUST(!freed || job->ledger[k], "I1: task %llu was freed before it was delivered",
			(unsigned long long)k);
		if (job->ledger[k])
			continue;
		memcpy(&value, (const char *)item.data + (k - start) * sizeof value, sizeof value);
		SIM_MUST(value == sim_value(job, k), "I3: task %llu has another one's value", (unsigned long long)k);
		job->ledger[k] = true;
		job->delivered++;
	}
}

/* Reads what lies apart into bytes; false: it was not there, or there is no reply. */
static bool get_apart(const struct sim_job *job, uint64_t start, struct ranq_bytes *bytes)
{
	bool executed, there;

	ranq_queue_apart_get_cmd(&tq.q, &tq.cmd, job->id, start);
	if (sim_network(&executed) == LOST)
		return false;
	SIM_MUST(!ranq_queue_apart_get_parse(tq.reply, &there, bytes, &tq.err), "get: %s", tq.err.text);
	return there;
}

/* Delivers what is here, then what lies apart, and notes which ranges were; returns how many. */
static size_t deliver_all(struct sim_job *job, const struct ranq_fetch_reply *out, uint64_t (*ranges)[2])
{
	size_t n = 0;

	for (int apart = 0; apart < 2; apart++) { /* the items point into the reply, which the first get replaces */
		for (size_t i = 0; i < out->n && n < 64; i++) {
			struct ranq_bytes item = out->items[i].item;

			if (out->items[i].apart != apart || (apart && !get_apart(job, out->items[i].start, &item)))
				continue;
			deliver(job, out->items[i].start, out->items[i].end, out->items[i].freed, item);
			ranges[n][0] = out->items[i].start;
			ranges[n++][1] = out->items[i].end;
		}
	}
	return n;
}

bool sim_client_fetch(struct sim_job *job)
{
	static struct ranq_fetch_reply out;
	struct ranq_fetch f = {job->id, job->unordered, 0, 1 + sim_below(4000), 1 + (unsigned)sim_below(20), ""};
	uint64_t ranges[64][2];
	size_t nranges;
	bool executed;

	while (job->from < job->n && job->ledger[job->from])
		job->from++;
	f.from = job->unordered ? job->cursor : job->from;
	ranq_queue_fetch_cmd(&tq.q, &tq.cmd, &f);
	if (sim_network(&executed) == LOST)
		return false;
	SIM_MUST(!ranq_queue_fetch_parse(tq.reply, &out, &tq.err), "fetch: %s", tq.err.text);
	nranges = deliver_all(job, &out, ranges);
	if (job->unordered && nranges == out.n) /* else it looks again */
		job->cursor = out.cursor;
	if (!sim_calm && sim_chance(100)) { /* dies after delivering, before acknowledging */
		client_restart(job);
		return out.n > 0;
	}
	if (!job->epoch || !nranges)
		return out.n > 0;
	acknowledge(job, (const uint64_t(*)[2])ranges, nranges);
	return out.n > 0;
}

void sim_client_produce(struct sim_job *job, uint64_t most)
{
	uint64_t tasks;
	bool executed, held;
	const uint64_t each = 50;

	if (!job->open)
		return;
	if (job->batch * each >= most) {
		ranq_queue_close_cmd(&tq.q, &tq.cmd, job->id, job->uuid, job->batch, NULL);
		if (sim_network(&executed) == LOST)
			return;
		if (ranq_queue_close_parse(tq.reply, &tq.err)) {
			SIM_MUST(tq.err.code == RANQ_ERR_STATE, "close: %s", tq.err.text);
			job->batch =
				0; /* the server lost batches: all of them again, those that it has change nothing */
		} else {
			job->open = false;
		}
		return;
	}
	ranq_queue_append_cmd(&tq.q, &tq.cmd, job->id, job->uuid, job->batch, each, NULL, NULL, 0);
	if (sim_network(&executed) == LOST)
		return;
	if (ranq_queue_append_parse(tq.reply, &tasks, &held, &tq.err)) {
		SIM_MUST(tq.err.code == RANQ_ERR_STATE, "append: %s", tq.err.text);
		job->batch = 0; /* likewise */
	} else {
		job->batch++;
	}
}

void sim_client_step(struct sim_job *job)
{
	uint64_t what = sim_below(100);

	if (job->open && what < 50)
		sim_client_produce(job, job->n);
	else if (!job->epoch)
		sim_client_attach(job);
	else if (what < 95)
		sim_client_fetch(job);
	else if (what < 97)
		client_restart(job);
}

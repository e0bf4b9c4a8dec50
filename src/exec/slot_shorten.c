/* slot_shorten.c - a chunk is cut short while a task runs that may go on for hours: what is behind that task is free for
 * others at once.
 *
 * Executor and slot share a page and no lock. For each task the executor (1) names it in the page and (2) reads the limit
 * of its run; a task at or behind the limit is not begun. The slot (1) lowers the limit and (2), later, reads what the
 * page names. Were both in order everywhere, one of the two would see the other: either the executor the new limit, or
 * the slot the task. But a processor lets loads pass its own stores, as long as these wait in its store buffer; a fence
 * for each task would cost more than an empty task does. So the slot waits (RANQ_SLOT_DRAIN_MS) between its two steps, which is more
 * than ten thousand times as long as a buffer needs to drain, and an executor that is stopped or preempted between its two steps
 * went through the kernel, which drains it, too. So what is read after that time is the last task that was asked for with the old
 * limit, or a later one, and
 *   - every task behind it that is not below the new limit will be asked for with the new limit, and not be begun;
 *   - the named task itself may be at or behind the limit: it was begun with the old one, or is about to be refused. It
 *     counts as begun; when it was refused, the end of its run says so in a moment.
 * Between two tasks (an even seq) nothing is concluded, as the last named task may be one that was refused: the end of the
 * run comes soon, or another task, and the slot looks again.
 *
 * A job that is cancelled while the task of another one runs before its own is let go by the same argument: its limits are 0, so what is
 * named that much later and is not of that job has nothing of it behind it that will be begun, and need not be killed. */
#include "exec/slot.h"

#include "util/clock.h"

#define AGAIN_MS 50

/* From the last run to the first: a later run must see its lowered limit when an earlier one was cut short by it. */
void ranq_slot_lower_limits(struct ranq_slot *slot, uint64_t chunk, uint64_t end, bool stop)
{
	unsigned i;

	for (i = slot->nruns; i-- > 0;) {
		unsigned place = slot->runs[i].number % RANQ_WIRE_RUNS;

		if (slot->runs[i].chunk != chunk)
			continue;
		if (atomic_load(&slot->end.page->runs[place].limit) > end)
			atomic_store(&slot->end.page->runs[place].limit, end);
		if (stop)
			atomic_store(&slot->end.page->runs[place].stop, 1);
	}
}

void ranq_slot_truncate(struct ranq_slot *slot, uint64_t id, uint64_t new_end)
{
	struct ranq_slot_chunk *chunk = ranq_slot_find_chunk(slot, id);

	if (!chunk || new_end >= chunk->end)
		return;
	ranq_slot_lower_limits(slot, id, new_end, false);
	atomic_thread_fence(memory_order_seq_cst);
	/* a run in flight may be past it already: its report, or a look at what it does, says where the chunk ends */
	chunk->end = new_end > chunk->upto ? new_end : chunk->upto;
	chunk->look_ms = ranq_clock_ms() + RANQ_SLOT_DRAIN_MS;
}

bool ranq_slot_chunk_is_void(const struct ranq_slot_chunk *chunk)
{
	return chunk->told <= chunk->upto;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static const struct ranq_slot_run *first_run(const struct ranq_slot *slot, const struct ranq_slot_chunk *chunk)
{
	unsigned i;

	for (i = 0; i < slot->nruns; i++)
		if (slot->runs[i].chunk == chunk->given.id)
			return &slot->runs[i];
	return NULL;
}

struct ranq_slot_chunk *ranq_slot_named_task(struct ranq_slot *slot, uint64_t *index, uint64_t *number)
{
	const struct ranq_page *page = slot->end.page;
	uint64_t seq = atomic_load(&page->seq);
	struct ranq_slot_chunk *running;

	*number = atomic_load(&page->run);
	running = ranq_slot_running_task(slot, index);
	if (seq % 2 == 0 || !running || atomic_load(&page->run) != *number || atomic_load(&page->seq) != seq)
		return NULL;
	return running;
}

/* Where the chunk will end at the latest, if that can be known now. */
static bool find_end(struct ranq_slot *slot, const struct ranq_slot_chunk *chunk, uint64_t *end)
{
	const struct ranq_slot_run *first = first_run(slot, chunk);
	const struct ranq_slot_chunk *running;
	uint64_t index, number;

	*end = later(chunk->end, chunk->upto);
	if (!first)
		return true; /* no executor has anything of it */
	if (slot->state != RANQ_SLOT_LIVE)
		return false;
	running = ranq_slot_named_task(slot, &index, &number);
	if (!running)
		return false;
	if (running == chunk)
		*end = later(*end, index + 1);
	else if (number > first->number)
		return false; /* it is done, and its results are on their way */
	return true;
}

int ranq_slot_report_shortened(struct ranq_slot *slot, int64_t now, struct ranq_slot_event *event)
{
	unsigned i;

	for (i = 0; i < slot->nchunks; i++) {
		struct ranq_slot_chunk *chunk = &slot->chunks[i];
		uint64_t end;

		if (now < chunk->look_ms)
			continue;
		if (!find_end(slot, chunk, &end)) {
			chunk->look_ms = now + AGAIN_MS;
			continue;
		}
		chunk->look_ms = RANQ_NEVER;
		chunk->end = end < chunk->told ? end : chunk->told;
		if (chunk->end == chunk->told)
			continue;
		chunk->told = chunk->end;
		event->kind = RANQ_SLOT_SHORTENED;
		event->job = chunk->given.job;
		event->chunk = chunk->given.id;
		event->from = chunk->upto;
		event->upto = end;
		return 1;
	}
	return 0;
}

int64_t ranq_slot_shorten_deadline(const struct ranq_slot *slot)
{
	int64_t deadline = RANQ_NEVER;
	unsigned i;

	for (i = 0; i < slot->nchunks; i++)
		if (slot->chunks[i].look_ms < deadline)
			deadline = slot->chunks[i].look_ms;
	return deadline;
}

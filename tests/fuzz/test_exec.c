/* Frames that an executor could send when user code has overwritten its memory: mutated RESULTS against a slot.
 * Whatever comes in, what goes out as an event is consistent, and nothing is read outside the frame (run it with the
 * address sanitizer). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "exec/slot.h"
#include "support/exec_rig.h"

#define ROUNDS 100000

static uint64_t state = 4711;

static uint64_t any(uint64_t below)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

static void add_failures(struct ranq_buf *frame, uint64_t from, uint64_t n)
{
	struct ranq_failure failure = {
		.status = RANQ_TASK_ERROR, .reason = "exit status 1", .exit_code = 1, .attempts = 1};
	struct ranq_buf record;
	uint64_t i;

	ranq_buf_init(&record, 0);
	ranq_buf_add_varint(frame, n);
	for (i = 0; i < n; i++) {
		ranq_buf_reset(&record);
		failure.index = from + i;
		ck_assert_int_eq(ranq_failure_pack(&failure, &record), 0);
		ranq_buf_add_varint(frame, failure.index);
		ranq_buf_add_sized(frame, record.data, record.len);
	}
	ranq_buf_clear(&record);
}

/* A frame as a healthy executor sends it: the first n tasks of run 5, which starts at 10. */
static void make_frame(struct ranq_buf *frame, uint64_t n, uint64_t failed, bool done)
{
	struct ranq_segment_writer writer;
	uint64_t i;
	size_t at;

	ranq_buf_reset(frame);
	at = ranq_wire_begin(frame, RANQ_FRAME_RESULTS);
	ranq_buf_add_varint(frame, 5);
	ranq_buf_add_varint(frame, 10);
	ranq_buf_add_varint(frame, n);
	ranq_buf_add_byte(frame, done);
	ranq_buf_add_varint(frame, 1234);
	for (i = 0; i < RANQ_TASK_STATUS_COUNT; i++)
		ranq_buf_add_varint(frame, i == RANQ_TASK_OK ? n - failed : i == RANQ_TASK_ERROR ? failed : 0);
	add_failures(frame, 10, failed);
	ranq_segment_writer_init(&writer, 0);
	for (i = 0; i < n; i++)
		ranq_segment_writer_add(&writer, i < failed ? RANQ_TASK_ERROR : RANQ_TASK_OK, &i, sizeof i);
	ranq_segment_writer_finish(&writer, frame);
	ranq_segment_writer_clear(&writer);
	ranq_wire_end(frame, at);
}

static void mutate(struct ranq_buf *frame)
{
	const size_t head = sizeof(struct ranq_wire_head);
	uint64_t n = 1 + any(3), len;

	while (n-- > 0 && frame->len > head) {
		size_t at = head + any(frame->len - head);

		switch (any(4)) {
		case 0:
			frame->data[at] = (unsigned char)any(256);
			break;
		case 1:
			frame->data[at] ^= (unsigned char)(1u << any(8));
			break;
		case 2:
			frame->len = at;
			break;
		default:
			len = 1 + any(8);
			while (len-- > 0)
				ranq_buf_add_byte(frame, (unsigned char)any(256));
			break;
		}
	}
	ranq_wire_end(frame, 0);
}

/* The slot as if run 5 of chunk 1, tasks [10, 40), were in flight. */
static void prepare(struct ranq_slot *slot)
{
	while (slot->nchunks)
		ranq_slot_finish_chunk(slot, &slot->chunks[0]);
	slot->chunks[0] = (struct ranq_slot_chunk){
		.given = {.job = 7, .id = 1, .start = 10, .end = 40}, .upto = 10, .sent = 40, .end = 40, .told = 40, .runs = 1};
	ranq_buf_init(&slot->chunks[0].input, 0);
	slot->nchunks = 1;
	slot->runs[0] = (struct ranq_slot_run){.number = 5, .chunk = 1, .from = 10, .to = 40};
	slot->nruns = 1;
}

static void check_event(const struct ranq_slot_event *event)
{
	uint64_t sum = 0;
	size_t i;

	ck_assert_uint_eq(event->job, 7);
	ck_assert_uint_eq(event->chunk, 1);
	ck_assert_uint_eq(event->from, 10);
	ck_assert_uint_le(event->upto, 40);
	ck_assert_uint_ge(event->upto, event->from);
	for (i = 0; i < RANQ_TASK_STATUS_COUNT; i++)
		sum += event->counts[i];
	ck_assert_uint_eq(sum, event->upto - event->from);
	ck_assert_uint_le(event->nfailures, sum);
	for (i = 0; i < event->nfailures; i++) {
		ck_assert_uint_ge(event->failure_index[i], event->from);
		ck_assert_uint_lt(event->failure_index[i], event->upto);
	}
	if (sum)
		ck_assert_int_eq(ranq_segment_check(event->segment.data, event->segment.len, NULL), (int64_t)sum);
}

/* Into memory of its exact size, so that a read behind it is found. */
static int take(struct ranq_slot *slot, const struct ranq_buf *frame, struct ranq_slot_event *event)
{
	struct ranq_wire_head head;

	memcpy(&head, frame->data, sizeof head);
	slot->in.data = malloc(frame->len);
	memcpy(slot->in.data, frame->data, frame->len);
	slot->in.len = slot->in.cap = frame->len;
	*event = (struct ranq_slot_event){.kind = RANQ_SLOT_NOTHING};
	return ranq_slot_take_results(slot, &head, event);
}

static void put_back(struct ranq_slot *slot)
{
	ranq_buf_clear(&slot->in);
	slot->frame = 0;
}

START_TEST(mutated_results)
{
	struct ranq_slot_event event;
	struct exec_rig rig;
	struct ranq_spec spec;
	struct ranq_buf frame;
	unsigned i, taken = 0, refused = 0;

	exec_rig_open(&rig, 1, NULL);
	exec_rig_function(&spec, "f");
	exec_rig_add_job(&rig, 7, &spec, NULL, NULL, 0);
	ranq_spec_clear(&spec);
	ranq_buf_init(&frame, 0);
	for (i = 0; i < ROUNDS; i++) {
		uint64_t n = any(31);

		prepare(rig.slots[0]);
		make_frame(&frame, n, any(n + 1) / 4, any(2));
		if (i % 10)
			mutate(&frame);
		if (take(rig.slots[0], &frame, &event) > 0) {
			check_event(&event);
			taken++;
		} else {
			refused++;
		}
		put_back(rig.slots[0]);
	}
	ck_assert_uint_gt(taken, ROUNDS / 20);
	ck_assert_uint_gt(refused, ROUNDS / 20);
	prepare(rig.slots[0]);
	ranq_slot_finish_chunk(rig.slots[0], &rig.slots[0]->chunks[0]);
	rig.slots[0]->nruns = 0;
	ranq_buf_clear(&frame);
	exec_rig_close(&rig);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("fuzz_exec");
	TCase *t = tcase_create("frames");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, mutated_results);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return exec_rig_main(suite());
}

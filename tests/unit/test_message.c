/* Messages between ranks: what is encoded is decoded again; whatever else comes is refused and never read beyond its
 * end. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/message.h"
#include "record/spec.h"
#include "util/clock.h"

static struct ranq_buf buf;

static void setup(void)
{
	ranq_buf_init(&buf, 0);
}

static void teardown(void)
{
	ranq_buf_clear(&buf);
}

static void open_as(enum ranq_message_type want, struct ranq_reader *body)
{
	enum ranq_message_type type;
	struct ranq_err err;

	ck_assert_msg(!ranq_buf_failed(&buf), "encoding failed");
	ck_assert_msg(ranq_message_open(buf.data, buf.len, &type, body, &err) == 0, "%s", err.text);
	ck_assert_int_eq(type, want);
}

static void results_example(struct ranq_message_results *m, uint64_t index[2], struct ranq_bytes failures[2])
{
	index[0] = 101;
	index[1] = 107;
	failures[0] = (struct ranq_bytes){"first", 5};
	failures[1] = (struct ranq_bytes){"second", 6};
	*m = (struct ranq_message_results){.key = 7,
		.chunk = 99,
		.slot = 3,
		.from = 100,
		.upto = 110,
		.done = true,
		.counts = {8, 1, 1, 0, 0},
		.elapsed_us = 12345,
		.nfailures = 2,
		.failure_index = index,
		.failures = failures,
		.segment = {"segment", 7}};
}

START_TEST(results_round_trip)
{
	struct ranq_message_results m, got;
	struct ranq_bytes failures[2];
	struct ranq_reader body;
	struct ranq_err err;
	uint64_t index[2];

	results_example(&m, index, failures);
	ranq_message_results_encode(&buf, &m);
	open_as(RANQ_MESSAGE_RESULTS, &body);
	ck_assert_msg(ranq_message_results_decode(&body, &got, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(got.key, 7);
	ck_assert_uint_eq(got.chunk, 99);
	ck_assert_uint_eq(got.slot, 3);
	ck_assert_uint_eq(got.from, 100);
	ck_assert_uint_eq(got.upto, 110);
	ck_assert(got.done && !got.broken);
	ck_assert_uint_eq(got.counts[0], 8);
	ck_assert_uint_eq(got.counts[2], 1);
	ck_assert_uint_eq(got.elapsed_us, 12345);
	ck_assert_uint_eq(got.nfailures, 2);
	ck_assert_uint_eq(got.failure_index[1], 107);
	ck_assert_mem_eq(got.failures[1].data, "second", 6);
	ck_assert_uint_eq(got.segment.len, 7);
	ck_assert_mem_eq(got.segment.data, "segment", 7);
	ranq_message_results_clear(&got);
}
END_TEST

START_TEST(chunk_round_trip)
{
	struct ranq_message_chunk m = {.key = 1,
					  .chunk = UINT64_MAX,
					  .slot = 2,
					  .start = 5,
					  .end = RANQ_TASKS_MAX,
					  .deaths = 4,
					  .left_ms = RANQ_NEVER,
					  .input = {"in", 2}},
				  got;
	struct ranq_reader body;
	struct ranq_err err;

	ranq_message_chunk_encode(&buf, &m);
	open_as(RANQ_MESSAGE_CHUNK, &body);
	ck_assert_int_eq(ranq_message_chunk_decode(&body, &got, &err), 0);
	ck_assert_uint_eq(got.chunk, UINT64_MAX);
	ck_assert_uint_eq(got.end, RANQ_TASKS_MAX);
	ck_assert_int_eq(got.left_ms, RANQ_NEVER);
	ck_assert(!got.merge);
	ck_assert_mem_eq(got.input.data, "in", 2);
	ranq_buf_reset(&buf);
	m.left_ms = 0;
	m.merge = true;
	ranq_message_chunk_encode(&buf, &m);
	open_as(RANQ_MESSAGE_CHUNK, &body);
	ck_assert_int_eq(ranq_message_chunk_decode(&body, &got, &err), 0);
	ck_assert_int_eq(got.left_ms, 0);
	ck_assert(got.merge && !got.blob);
	ranq_buf_reset(&buf);
	m.merge = false;
	m.blob = 7;
	ranq_message_chunk_encode(&buf, &m); /* the argument of many tasks */
	open_as(RANQ_MESSAGE_CHUNK, &body);
	ck_assert_int_eq(ranq_message_chunk_decode(&body, &got, &err), -1);
	ranq_buf_reset(&buf);
	m.end = m.start + 1;
	ranq_message_chunk_encode(&buf, &m);
	open_as(RANQ_MESSAGE_CHUNK, &body);
	ck_assert_int_eq(ranq_message_chunk_decode(&body, &got, &err), 0);
	ck_assert_uint_eq(got.blob, 7);
}
END_TEST

START_TEST(small_ones_round_trip)
{
	struct ranq_message_job job = {.key = 3,
					.id_text = {"default/3", 9},
					.module = 1,
					.data = 2,
					.spec = {"spec", 4}},
				job2;
	struct ranq_message_drop drop = {.key = 3, .kill = true, .grace_ms = 500}, drop2;
	struct ranq_message_blob blob = {.blob = 2, .total = 10, .offset = 6, .piece = {"tail", 4}}, blob2;
	struct ranq_message_warn warn = {.slot = 1, .sig = 15, .grace_ms = 9}, warn2;
	struct ranq_message_hello hello = {.pid = 123, .slots = 4}, hello2;
	struct ranq_message_slice slice = {.key = 4, .slot = 1, .task = 9, .slice = 1, .split.size = RANQ_SLICE_BYTES + 3},
				  slice2;
	struct ranq_reader body;
	struct ranq_err err;
	uint64_t number;

	ranq_message_job_encode(&buf, &job);
	open_as(RANQ_MESSAGE_JOB, &body);
	ck_assert_int_eq(ranq_message_job_decode(&body, &job2, &err), 0);
	ck_assert_mem_eq(job2.id_text.data, "default/3", 9);
	ck_assert_uint_eq(job2.data, 2);
	ranq_buf_reset(&buf);
	ranq_message_drop_encode(&buf, &drop);
	open_as(RANQ_MESSAGE_DROP, &body);
	ck_assert_int_eq(ranq_message_drop_decode(&body, &drop2, &err), 0);
	ck_assert(drop2.kill && drop2.grace_ms == 500);
	ranq_buf_reset(&buf);
	ranq_message_blob_encode(&buf, &blob);
	open_as(RANQ_MESSAGE_BLOB, &body);
	ck_assert_int_eq(ranq_message_blob_decode(&body, &blob2, &err), 0);
	ck_assert_uint_eq(blob2.offset, 6);
	ranq_buf_reset(&buf);
	ranq_message_warn_encode(&buf, &warn);
	open_as(RANQ_MESSAGE_WARN, &body);
	ck_assert_int_eq(ranq_message_warn_decode(&body, &warn2, &err), 0);
	ck_assert_int_eq(warn2.sig, 15);
	ranq_buf_reset(&buf);
	ranq_message_hello_encode(&buf, &hello);
	open_as(RANQ_MESSAGE_HELLO, &body);
	ck_assert_int_eq(ranq_message_hello_decode(&body, &hello2, &err), 0);
	ck_assert_uint_eq(hello2.slots, 4);
	ranq_buf_reset(&buf);
	slice.bytes = (struct ranq_bytes){"end", 3};
	slice.split.name[31] = 'n';
	slice.split.salt[15] = 's';
	ranq_message_slice_encode(&buf, &slice);
	open_as(RANQ_MESSAGE_SLICE, &body);
	ck_assert_int_eq(ranq_message_slice_decode(&body, &slice2, &err), 0);
	ck_assert_mem_eq(&slice2.split, &slice.split, sizeof slice.split);
	ck_assert_mem_eq(slice2.bytes.data, "end", 3);
	ck_assert(slice2.key == 4 && slice2.slot == 1 && slice2.task == 9 && slice2.slice == 1);
	ranq_buf_reset(&buf);
	slice.slice = 2; /* there are two */
	ranq_message_slice_encode(&buf, &slice);
	open_as(RANQ_MESSAGE_SLICE, &body);
	ck_assert_int_eq(ranq_message_slice_decode(&body, &slice2, &err), -1);
	ranq_buf_reset(&buf);
	slice.slice = 1;
	slice.bytes.len = 2;
	ranq_message_slice_encode(&buf, &slice);
	open_as(RANQ_MESSAGE_SLICE, &body);
	ck_assert_int_eq(ranq_message_slice_decode(&body, &slice2, &err), -1);
	ranq_buf_reset(&buf);
	ranq_message_number_encode(&buf, RANQ_MESSAGE_PONG, 77);
	open_as(RANQ_MESSAGE_PONG, &body);
	ck_assert_int_eq(ranq_message_number_decode(&body, &number, &err), 0);
	ck_assert_uint_eq(number, 77);
}
END_TEST

START_TEST(heads_that_are_refused)
{
	static const struct {
		const char *what;
		unsigned char head[12];
		size_t len;
	} rows[] = {
		{"empty", {0}, 0},
		{"short", {'r', 'n', 'q', 'm', RANQ_MESSAGE_VERSION, 1, 0, 0, 0, 0, 0}, 11},
		{"magic", {'r', 'n', 'q', 'x', RANQ_MESSAGE_VERSION, 1, 0, 0, 0, 0, 0, 0}, 12},
		{"version", {'r', 'n', 'q', 'm', RANQ_MESSAGE_VERSION + 1, 1, 0, 0, 0, 0, 0, 0}, 12},
		{"type 0", {'r', 'n', 'q', 'm', RANQ_MESSAGE_VERSION, 0, 0, 0, 0, 0, 0, 0}, 12},
		{"type unknown", {'r', 'n', 'q', 'm', RANQ_MESSAGE_VERSION, RANQ_MESSAGE_COUNT, 0, 0, 0, 0, 0, 0}, 12},
		{"reserved", {'r', 'n', 'q', 'm', RANQ_MESSAGE_VERSION, 1, 0, 1, 0, 0, 0, 0}, 12},
		{"length", {'r', 'n', 'q', 'm', RANQ_MESSAGE_VERSION, 1, 0, 0, 1, 0, 0, 0}, 12},
		{"huge length", {'r', 'n', 'q', 'm', RANQ_MESSAGE_VERSION, 1, 0, 0, 255, 255, 255, 255}, 12},
	};
	enum ranq_message_type type;
	struct ranq_reader body;
	struct ranq_err err;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(
			ranq_message_open(rows[i].head, rows[i].len, &type, &body, &err) == -1, "%s", rows[i].what);
}
END_TEST

/* Rows that would make the proxy count wrongly or a worker write where it must not. */
START_TEST(bodies_that_are_refused)
{
	struct ranq_message_results m, got;
	struct ranq_message_chunk chunk = {.key = 1, .start = 5, .end = 5}, chunk2;
	struct ranq_message_blob blob = {.blob = 1, .total = 4, .offset = 2, .piece = {"abc", 3}}, blob2;
	struct ranq_bytes failures[2];
	struct ranq_reader body;
	struct ranq_err err;
	uint64_t index[2];

	results_example(&m, index, failures);
	m.counts[0] = 9; /* sum is not upto - from */
	ranq_message_results_encode(&buf, &m);
	open_as(RANQ_MESSAGE_RESULTS, &body);
	ck_assert_int_eq(ranq_message_results_decode(&body, &got, &err), -1);
	ranq_buf_reset(&buf);
	results_example(&m, index, failures);
	index[1] = 110; /* outside */
	ranq_message_results_encode(&buf, &m);
	open_as(RANQ_MESSAGE_RESULTS, &body);
	ck_assert_int_eq(ranq_message_results_decode(&body, &got, &err), -1);
	ranq_buf_reset(&buf);
	results_example(&m, index, failures);
	m.upto = RANQ_TASKS_MAX + 1;
	m.counts[0] = m.upto - m.from - 2;
	ranq_message_results_encode(&buf, &m);
	open_as(RANQ_MESSAGE_RESULTS, &body);
	ck_assert_int_eq(ranq_message_results_decode(&body, &got, &err), -1);
	ranq_buf_reset(&buf);
	ranq_message_chunk_encode(&buf, &chunk); /* no task */
	open_as(RANQ_MESSAGE_CHUNK, &body);
	ck_assert_int_eq(ranq_message_chunk_decode(&body, &chunk2, &err), -1);
	ranq_buf_reset(&buf);
	ranq_message_blob_encode(&buf, &blob); /* beyond its end */
	open_as(RANQ_MESSAGE_BLOB, &body);
	ck_assert_int_eq(ranq_message_blob_decode(&body, &blob2, &err), -1);
}
END_TEST

static int decode_any(const void *data, size_t len)
{
	struct ranq_message_results results;
	union {
		struct ranq_message_job job;
		struct ranq_message_drop drop;
		struct ranq_message_blob blob;
		struct ranq_message_chunk chunk;
		struct ranq_message_truncate truncate;
		struct ranq_message_warn warn;
		struct ranq_message_ping ping;
		struct ranq_message_hello hello;
		struct ranq_message_notice notice;
		struct ranq_message_slice slice;
		uint64_t number;
	} m;
	enum ranq_message_type type;
	struct ranq_reader body;
	struct ranq_err err;

	if (ranq_message_open(data, len, &type, &body, &err) != 0)
		return -1;
	switch (type) {
	case RANQ_MESSAGE_JOB:
		return ranq_message_job_decode(&body, &m.job, &err);
	case RANQ_MESSAGE_DROP:
		return ranq_message_drop_decode(&body, &m.drop, &err);
	case RANQ_MESSAGE_BLOB:
		return ranq_message_blob_decode(&body, &m.blob, &err);
	case RANQ_MESSAGE_CHUNK:
		return ranq_message_chunk_decode(&body, &m.chunk, &err);
	case RANQ_MESSAGE_TRUNCATE:
	case RANQ_MESSAGE_SHORTENED:
		return ranq_message_truncate_decode(&body, &m.truncate, &err);
	case RANQ_MESSAGE_WARN:
		return ranq_message_warn_decode(&body, &m.warn, &err);
	case RANQ_MESSAGE_PING:
		return ranq_message_ping_decode(&body, &m.ping, &err);
	case RANQ_MESSAGE_HELLO:
		return ranq_message_hello_decode(&body, &m.hello, &err);
	case RANQ_MESSAGE_SLICE:
		return ranq_message_slice_decode(&body, &m.slice, &err);
	case RANQ_MESSAGE_NOTICE:
		return ranq_message_notice_decode(&body, &m.notice, &err);
	case RANQ_MESSAGE_RESULTS:
		if (ranq_message_results_decode(&body, &results, &err) != 0)
			return -1;
		for (size_t i = 0; i < results.nfailures; i++)
			ck_assert(results.failure_index[i] >= results.from && results.failure_index[i] < results.upto);
		ranq_message_results_clear(&results);
		return 0;
	default:
		return ranq_message_number_decode(&body, &m.number, &err);
	}
}

/* Changed and shortened messages of each type: refused or decoded to something in range; the sanitizers watch the
 * reads. */
START_TEST(mutated)
{
	struct ranq_message_results m;
	struct ranq_bytes failures[2];
	uint64_t index[2];
	unsigned seed = 20261120, refused = 0, rounds = 100000;

	results_example(&m, index, failures);
	ranq_message_results_encode(&buf, &m);
	ck_assert_int_eq(decode_any(buf.data, buf.len), 0);
	for (unsigned i = 0; i < rounds; i++) {
		size_t len = buf.len - (rand_r(&seed) % 4 == 0 ? (size_t)rand_r(&seed) % (buf.len + 1) : 0);
		unsigned char *copy = malloc(len ? len : 1);

		memcpy(copy, buf.data, len);
		for (int k = rand_r(&seed) % 4; k > 0 && len > 0; k--)
			copy[(size_t)rand_r(&seed) % len] = (unsigned char)rand_r(&seed);
		if (len > 5 && rand_r(&seed) % 2)
			copy[5] = (unsigned char)(1 + rand_r(&seed) % (RANQ_MESSAGE_COUNT - 1));
		if (len >= 12 && len != buf.len) {
			uint32_t n = (uint32_t)(len - 12);

			memcpy(copy + 8, &n, sizeof n);
		}
		refused += decode_any(copy, len) != 0;
		free(copy);
	}
	ck_assert_uint_gt(refused, rounds / 4);
}
END_TEST

START_TEST(readers)
{
	ck_assert(ranq_message_is_for_proxy(RANQ_MESSAGE_RESULTS));
	ck_assert(!ranq_message_is_for_proxy(RANQ_MESSAGE_CHUNK));
	ck_assert_str_eq(ranq_message_name(RANQ_MESSAGE_BYE), "BYE");
	ck_assert_str_eq(ranq_message_name((enum ranq_message_type)99), "INVALID");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("message");
	TCase *tcase = tcase_create("message");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, results_round_trip);
	tcase_add_test(tcase, chunk_round_trip);
	tcase_add_test(tcase, small_ones_round_trip);
	tcase_add_test(tcase, heads_that_are_refused);
	tcase_add_test(tcase, bodies_that_are_refused);
	tcase_add_test(tcase, mutated);
	tcase_add_test(tcase, readers);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

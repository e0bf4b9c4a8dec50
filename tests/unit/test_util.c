/* Errors, buffers, varints, durations, sizes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"

START_TEST(err_is_one_bounded_line)
{
	struct ranq_err err;
	char big[2000];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	ck_assert_int_eq(ranq_err_set(&err, RANQ_ERR_INPUT, "a\nb\x1b[31m %s", big), -1);
	ck_assert_ptr_null(strpbrk(err.text, "\n\x1b"));
	ck_assert_str_eq(err.text + strlen(err.text) - 3, "...");
	ranq_err_set(&err, RANQ_ERR_SERVER, "refused");
	ranq_err_wrap(&err, "cannot connect to '%s'", "x");
	ck_assert_str_eq(err.text, "cannot connect to 'x': refused");
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	ck_assert_int_eq(ranq_err_status(RANQ_ERR_SERVER), 3);
	ck_assert_int_eq(ranq_err_set(NULL, RANQ_ERR_INPUT, "x"), -1);
}
END_TEST

START_TEST(buf_stops_at_its_maximum)
{
	struct ranq_buf b;

	ranq_buf_init(&b, 10);
	ranq_buf_add(&b, "0123456789", 10);
	ck_assert(!ranq_buf_failed(&b));
	ck_assert_str_eq(ranq_buf_cstr(&b), "0123456789");
	ranq_buf_add_byte(&b, 'x');
	ck_assert(ranq_buf_failed(&b));
	ck_assert_uint_eq(b.len, 10);
	ranq_buf_reset(&b);
	ranq_buf_printf(&b, "%d", 1234567890);
	ck_assert(!ranq_buf_failed(&b));
	ck_assert_str_eq(ranq_buf_cstr(&b), "1234567890");
	ranq_buf_drop(&b, 4);
	ck_assert_str_eq(ranq_buf_cstr(&b), "567890");
	ranq_buf_clear(&b);
}
END_TEST

START_TEST(varints_come_back)
{
	static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, (uint64_t)1 << 53, UINT64_MAX};
	struct ranq_buf b;
	struct ranq_reader r;
	size_t i;

	ranq_buf_init(&b, 0);
	for (i = 0; i < sizeof values / sizeof *values; i++)
		ranq_buf_add_varint(&b, values[i]);
	ranq_buf_add_sized(&b, "abc", 3);
	ranq_reader_init(&r, b.data, b.len);
	for (i = 0; i < sizeof values / sizeof *values; i++)
		ck_assert_uint_eq(ranq_reader_varint(&r), values[i]);
	ck_assert_mem_eq(ranq_reader_sized(&r).data, "abc", 3);
	ck_assert_uint_eq(ranq_reader_left(&r), 0);
	ck_assert(!r.failed);
	ranq_reader_byte(&r);
	ck_assert(r.failed);
	ranq_buf_clear(&b);
}
END_TEST

START_TEST(bad_varints_are_refused)
{
	static const unsigned char over[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
	static const unsigned char cut[] = {0x80}, huge[] = {0xff, 0xff, 0xff, 0x7f, 'a'};
	struct ranq_reader r;

	ranq_reader_init(&r, over, sizeof over);
	ranq_reader_varint(&r);
	ck_assert(r.failed);
	ranq_reader_init(&r, cut, sizeof cut);
	ranq_reader_varint(&r);
	ck_assert(r.failed);
	ranq_reader_init(&r, huge, sizeof huge);
	ck_assert_ptr_null(ranq_reader_sized(&r).data);
	ck_assert(r.failed);
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} rows[] = {{"90", 90000}, {"90s", 90000}, {"250ms", 250}, {"5m", 300000}, {"2h", 7200000}, {"1d", 86400000},
		{"1h30m", 5400000}, {"0.5s", 500}, {"1-12:00:00", 129600000}, {"10:00", 600000}, {"1:00:00", 3600000},
		{"2-3", 183600000}, {"", -1}, {"-5", -1}, {"5x", -1}, {"1e3", -1}, {"s", -1}, {"5m3", -1}, {"1:2:3:4", -1},
		{"nan", -1}, {"0x10", -1}, {" 5", -1}, {"5 ", -1}, {"1--2", -1}, {":", -1}, {"99999999999999999999", -1}};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ranq_err err;
		int64_t ms = -1;

		ck_assert_msg((ranq_duration_parse(rows[i].text, &ms, &err) == 0) == (rows[i].ms >= 0), "'%s'", rows[i].text);
		ck_assert_msg(ms == rows[i].ms, "'%s' gave %lld", rows[i].text, (long long)ms);
	}
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {{"0", 0}, {"1000", 1000}, {"64k", 64000}, {"64MB", 64000000}, {"64MiB", 67108864}, {"1.5G", 1500000000},
		{"1KiB", 1024}, {"", -1}, {"-1", -1}, {"1X", -1}, {"1MBx", -1}, {"1e3", -1}, {"99999999999P", -1}};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ranq_err err;
		uint64_t bytes = (uint64_t)-1;

		ck_assert_msg((ranq_size_parse(rows[i].text, &bytes, &err) == 0) == (rows[i].bytes >= 0), "'%s'", rows[i].text);
		ck_assert_msg((int64_t)bytes == rows[i].bytes, "'%s' gave %lld", rows[i].text, (long long)bytes);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("util");
	TCase *tc = tcase_create("util");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, err_is_one_bounded_line);
	tcase_add_test(tc, buf_stops_at_its_maximum);
	tcase_add_test(tc, varints_come_back);
	tcase_add_test(tc, bad_varints_are_refused);
	tcase_add_test(tc, durations);
	tcase_add_test(tc, sizes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

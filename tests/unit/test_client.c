/* test_client.c - the pure parts of the client: ledger, consumer state, module check, lines, blocks; JSON and the
 * progress line. */
#include <check.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/blob.h"
#include "client/ledger.h"
#include "client/lines.h"
#include "client/module.h"
#include "client/producer.h"
#include "client/progress.h"
#include "common/table.h"
#include "record/input.h"
#include "util/json.h"

/* ---- ledger ---------------------------------------------------------------------------------------------------- */
#define SPACE 200

static void compare(const struct ranq_ledger *ledger, const bool *model)
{
	uint64_t count = 0;
	for (uint64_t i = 0; i < SPACE; i++) {
		ck_assert_int_eq(ranq_ledger_has(ledger, i), model[i]);
		count += model[i];
	}
	ck_assert_uint_eq(ranq_ledger_count(ledger), count);
	for (size_t i = 1; i < ledger->n; i++)
		ck_assert_uint_lt(ledger->at[i - 1][1], ledger->at[i][0]); /* disjoint and not touching */
}

static void compare_gaps(const struct ranq_ledger *ledger, const bool *model)
{
	for (uint64_t from = 0; from < SPACE; from += 7) {
		uint64_t start, stop, first = from;
		while (first < SPACE && model[first])
			first++;
		bool found = ranq_ledger_gap(ledger, from, SPACE, &start, &stop);
		ck_assert_int_eq(found, first < SPACE);
		if (!found)
			continue;
		ck_assert_uint_eq(start, first);
		while (first < SPACE && !model[first])
			first++;
		ck_assert_uint_eq(stop, first);
	}
}

START_TEST(ledger_is_a_set)
{
	struct ranq_ledger ledger;
	bool model[SPACE] = {0};
	unsigned seed = (unsigned)_i + 1;
	ranq_ledger_init(&ledger);
	for (int step = 0; step < 60; step++) {
		uint64_t start = (uint64_t)rand_r(&seed) % SPACE, len = (uint64_t)rand_r(&seed) % 12;
		uint64_t end = start + len > SPACE ? SPACE : start + len;
		ck_assert_int_eq(ranq_ledger_add(&ledger, start, end, NULL), 0);
		for (uint64_t i = start; i < end; i++)
			model[i] = true;
		compare(&ledger, model);
		compare_gaps(&ledger, model);
	}
	ranq_ledger_clear(&ledger);
}
END_TEST

START_TEST(state_round_trip)
{
	struct ranq_consumer_state state = {.has_file = true,
					   .device = 7,
					   .inode = 123456789,
					   .offset = (uint64_t)1 << 40},
				   back;
	struct ranq_buf packed;
	state.has_accumulator = true;
	ranq_buf_add_str(&state.accumulator, "what was combined");
	ranq_ledger_add(&state.delivered, 0, 5, NULL);
	ranq_ledger_add(&state.delivered, 100, 101, NULL);
	ranq_ledger_add(&state.delivered, ((uint64_t)1 << 53) - 1, (uint64_t)1 << 53, NULL);
	ranq_buf_init(&packed, 0);
	ck_assert_int_eq(ranq_consumer_state_pack(&state, &packed, NULL), 0);
	ck_assert_int_eq(ranq_consumer_state_unpack(packed.data, packed.len, &back, NULL), 0);
	ck_assert_uint_eq(back.delivered.n, 3);
	ck_assert(back.has_file && back.offset == state.offset && back.inode == state.inode && back.device == 7);
	ck_assert(ranq_ledger_has(&back.delivered, 100) && !ranq_ledger_has(&back.delivered, 99));
	ck_assert(back.has_accumulator && back.accumulator.len == state.accumulator.len);
	ck_assert_mem_eq(back.accumulator.data, "what was combined", back.accumulator.len);
	ranq_consumer_state_clear(&back);
	/* every prefix and a byte too many are refused, and leave nothing */
	for (size_t len = 1; len < packed.len; len++) {
		ck_assert_int_eq(ranq_consumer_state_unpack(packed.data, len, &back, NULL), -1);
		ck_assert_ptr_null(back.delivered.at);
	}
	ranq_buf_add_byte(&packed, 0);
	ck_assert_int_eq(ranq_consumer_state_unpack(packed.data, packed.len, &back, NULL), -1);
	ck_assert_int_eq(ranq_consumer_state_unpack(NULL, 0, &back, NULL), 0);
	ranq_buf_clear(&packed);
	ranq_consumer_state_clear(&state);
}
END_TEST

START_TEST(state_from_anybody)
{
	unsigned seed = 42;
	int accepted = 0;
	for (int round = 0; round < 100000; round++) {
		unsigned char bytes[24] = {2};
		struct ranq_consumer_state state;
		size_t len = 1 + (size_t)rand_r(&seed) % (sizeof bytes - 1);
		for (size_t i = 1; i < len; i++)
			bytes[i] = (unsigned char)(rand_r(&seed) % 3 ? rand_r(&seed) % 4 : rand_r(&seed));
		if (ranq_consumer_state_unpack(bytes, len, &state, NULL))
			continue;
		accepted++;
		for (size_t i = 0; i < state.delivered.n; i++)
			ck_assert_uint_le(state.delivered.at[i][1], (uint64_t)1 << 53);
		ranq_consumer_state_clear(&state);
	}
	ck_assert_int_gt(accepted, 0);
}
END_TEST

/* ---- modules --------------------------------------------------------------------------------------------------- */
static int check_file(const struct ranq_buf *file, const char *function, struct ranq_err *err)
{
	return ranq_module_check(file->data, file->len, "m.so", function, err);
}

START_TEST(module)
{
	struct ranq_buf file;
	struct ranq_err err = {0};
	ck_assert_msg(ranq_blob_read(RANQ_TEST_BUILDDIR "/tests/modules/noop.so", &file, &err) == 0, "%s", err.text);
	ck_assert_msg(check_file(&file, "noop", &err) == 0, "%s", err.text);
	ck_assert_int_eq(check_file(&file, "nosuch", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "exports no function 'nosuch'"));
	ck_assert_int_eq(check_file(&file, "ranq_module_abi", &err), -1); /* data is no function */
	ck_assert_int_eq(check_file(&file, "", &err), -1);
	/* a file cut anywhere is refused and never read past its end (sanitizers watch) */
	for (size_t len = 0; len < file.len; len += 61) {
		unsigned char *cut = malloc(len ? len : 1);
		memcpy(cut, file.data, len);
		ck_assert_int_eq(ranq_module_check(cut, len, "m.so", "noop", &err), -1);
		free(cut);
	}
	/* damaged headers: any answer, no crash */
	unsigned seed = 7;
	for (int round = 0; round < 20000; round++) {
		size_t at = (size_t)rand_r(&seed) % sizeof(Elf64_Ehdr);
		unsigned char old = file.data[at];
		file.data[at] = (unsigned char)rand_r(&seed);
		(void)check_file(&file, "noop", &err);
		file.data[at] = old;
	}
	ck_assert_int_eq(check_file(&file, "noop", &err), 0);
	ranq_buf_clear(&file);
}
END_TEST

START_TEST(no_module)
{
	struct ranq_buf file;
	struct ranq_err err;
	ck_assert_int_eq(ranq_module_check("hello", 5, "m.so", "f", &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "not a shared object"));
	/* a program has no module ABI */
	ck_assert_int_eq(ranq_blob_read("/proc/self/exe", &file, &err), 0);
	ck_assert_int_eq(check_file(&file, "main", &err), -1);
	ranq_buf_clear(&file);
	ck_assert_int_eq(ranq_blob_read("/dev/null", &file, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
}
END_TEST

START_TEST(blob_hash)
{
	char hash[RANQ_BLOB_HASH_LEN + 1];
	ranq_blob_hash("abc", 3, hash); /* FIPS 180-2, example B.1 */
	ck_assert_str_eq(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ranq_blob_hash(NULL, 0, hash);
	ck_assert_str_eq(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

/* Large files are read part by part, and must stay what they were. */
START_TEST(blob_file)
{
	const size_t len = (17u << 20) + 5;
	unsigned char *data = malloc(len);
	char path[] = "/tmp/ranq-test-XXXXXX", hash[RANQ_BLOB_HASH_LEN + 1], want[RANQ_BLOB_HASH_LEN + 1];
	struct ranq_blob_file file;
	struct ranq_err err = {0};
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)(i * 2654435761u >> 13);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	ranq_blob_hash(data, len, want);
	free(data);
	ck_assert_int_eq(ranq_blob_open(path, &file, &err), 0);
	ck_assert_uint_eq(file.len, len);
	ck_assert_msg(ranq_blob_file_hash(&file, hash, &err) == 0, "%s", err.text);
	ck_assert_str_eq(hash, want);
	ck_assert_int_eq(ftruncate(fd, (off_t)len - 1), 0);
	ck_assert_int_eq(ranq_blob_file_hash(&file, hash, &err), -1);
	ck_assert_str_eq(err.text, "the file was changed while it was read");
	ranq_blob_close(&file);
	close(fd);
	unlink(path);
	ck_assert_int_eq(ranq_blob_open(path, &file, &err), -1);
	ck_assert_int_eq(ranq_blob_open("/dev/zero", &file, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
	ranq_blob_close(&file);
}
END_TEST

/* ---- lines ----------------------------------------------------------------------------------------------------- */
START_TEST(lines_of_a_pipe)
{
	int fds[2], saved = dup(STDIN_FILENO);
	struct ranq_lines lines;
	struct ranq_bytes line;
	struct ranq_err err;
	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[0], STDIN_FILENO);
	struct ranq_line_file *file = ranq_line_file_open("-", &lines, &err);
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(lines.next(lines.user, &line, &err), 2);
	ck_assert_int_eq(write(fds[1], "one\n\ntw", 7), 7);
	ck_assert_int_eq(lines.next(lines.user, &line, &err), 1);
	ck_assert_mem_eq(line.data, "one", 3);
	ck_assert_int_eq(lines.next(lines.user, &line, &err), 1);
	ck_assert_uint_eq(line.len, 0);
	ck_assert_int_eq(lines.next(lines.user, &line, &err), 2); /* half a line is none */
	ck_assert_int_eq(write(fds[1], "o", 1), 1);
	close(fds[1]);
	ck_assert_int_eq(lines.next(lines.user, &line, &err), 1); /* the last one may lack its newline */
	ck_assert_uint_eq(line.len, 3);
	ck_assert_mem_eq(line.data, "two", 3);
	ck_assert_int_eq(lines.next(lines.user, &line, &err), 0);
	ck_assert_int_eq(lines.next(lines.user, &line, &err), 0);
	ranq_line_file_close(file);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(fds[0]);
}
END_TEST

/* Lines "0".."n-1" from a counter. */
struct counter {
	uint64_t at, n;
	char text[32];
};

static int count_up(void *user, struct ranq_bytes *line, struct ranq_err *err)
{
	struct counter *counter = user;
	(void)err;
	if (counter->at == counter->n)
		return 0;
	line->data = counter->text;
	line->len = (size_t)snprintf(counter->text, sizeof counter->text, "%llu", (unsigned long long)counter->at++);
	return 1;
}

START_TEST(blocks_hold_every_line_once)
{
	struct counter counter = {.n = 300000};
	struct ranq_lines lines = {.next = count_up, .user = &counter, .fd = -1, .name = "counter"};
	struct ranq_blocks blocks;
	struct ranq_err err = {0};
	uint64_t next = 0;
	int rc;
	ranq_blocks_init(&blocks, 256 << 10);
	do {
		rc = ranq_blocks_read(&blocks, &lines, &err);
		ck_assert_int_ge(rc, 0);
		for (size_t i = 0; i < blocks.n; i++) {
			struct ranq_bytes block = ranq_blocks_get(&blocks, i), line;
			ck_assert_int_eq(ranq_input_check(block.data, block.len, &err), (int64_t)blocks.counts[i]);
			for (uint64_t k = 0; k < blocks.counts[i]; k += 997) {
				char text[32];
				int n = snprintf(text, sizeof text, "%llu", (unsigned long long)(next + k));
				ck_assert_int_eq(ranq_input_get(block.data, block.len, k, &line, &err), 0);
				ck_assert_uint_eq(line.len, (size_t)n);
				ck_assert_mem_eq(line.data, text, line.len);
			}
			next += blocks.counts[i];
		}
		ranq_blocks_reset(&blocks);
	} while (rc == RANQ_BLOCKS_FULL);
	ck_assert_int_eq(rc, RANQ_BLOCKS_END);
	ck_assert_uint_eq(next, counter.n);
	ranq_blocks_clear(&blocks);
}
END_TEST

/* ---- what people and programs read ----------------------------------------------------------------------------- */
START_TEST(json_lines)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct ranq_json *json = ranq_json_object("ranq.test/1"), *item = ranq_json_object(NULL);
	ranq_json_str(json, "text", "a\"b\nü");
	ranq_json_bytes(json, "output", "\xff\xfe", 2);
	ranq_json_str(json, "none", NULL);
	ranq_json_real(json, "nan", 0.0 / 0.0);
	ranq_json_uint(json, "big", 9007199254740991);
	ranq_json_bool(item, "yes", true);
	ranq_json_append(json, "list", item);
	ranq_json_append(json, "empty", NULL);
	ck_assert_int_eq(ranq_json_print(json, out, NULL), 0);
	fclose(out);
	ck_assert_str_eq(text, "{\"schema\":\"ranq.test/1\",\"text\":\"a\\\"b\\nü\",\"output_base64\":\"//"
			       "4=\",\"none\":null,\"nan\":null,"
			       "\"big\":9007199254740991,\"list\":[{\"yes\":true}],\"empty\":[]}\n");
	free(text);
}
END_TEST

START_TEST(utf8)
{
	static const char *const good[] = {"", "abc", "ü", "€", "\xf0\x9f\x98\x80"};
	static const char *const bad[] = {
		"\x80", "\xc0\x80", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "a\xff"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ck_assert(ranq_utf8_check(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert(!ranq_utf8_check(bad[i], strlen(bad[i])));
}
END_TEST

START_TEST(progress_line)
{
	struct ranq_progress_bar bar = {.rate = 1000};
	struct ranq_job_info info = {.tasks = 10000, .done = 2500, .workers = 2};
	char text[512];
	info.counts[0] = 2499;
	ranq_progress_line(&bar, &info, 500, text, sizeof text);
	ck_assert_ptr_nonnull(strstr(text, "[######.................."));
	ck_assert_ptr_nonnull(strstr(text, "25%  2,500/10,000  1,000/s"));
	ck_assert_ptr_nonnull(strstr(text, "ETA 7"));
	ck_assert_ptr_nonnull(strstr(text, "workers 2  failed 1"));
	ranq_progress_line(&bar, &info, 40, text, sizeof text);
	ck_assert_uint_lt(strlen(text), 40);
}
END_TEST

START_TEST(table)
{
	static const char *const titles[] = {"NAME", ">N", "END", NULL};
	struct ranq_table t;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	ranq_table_init(&t, titles);
	ranq_table_row(&t, "ü", "1", "x");
	ranq_table_row(&t, "b\033[2J", "1,000", NULL);
	ranq_table_print(&t, out);
	fclose(out);
	ck_assert_str_eq(text, "NAME       N  END\nü          1  x\nb?[2J  1,000  -\n");
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tests = tcase_create("client");
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, ledger_is_a_set, 0, 50);
	tcase_add_test(tests, state_round_trip);
	tcase_add_test(tests, state_from_anybody);
	tcase_add_test(tests, module);
	tcase_add_test(tests, no_module);
	tcase_add_test(tests, blob_hash);
	tcase_add_test(tests, blob_file);
	tcase_add_test(tests, lines_of_a_pipe);
	tcase_add_test(tests, blocks_hold_every_line_once);
	tcase_add_test(tests, json_lines);
	tcase_add_test(tests, utf8);
	tcase_add_test(tests, progress_line);
	tcase_add_test(tests, table);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* The decoder fed with what no honest server sends, in pieces of every size; commands as bytes; INFO. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "store/chain.h"
#include "store/facts.h"
#include "store/resp.h"
#include "tests/support/check_loop.h"

/* ---- replies -------------------------------------------------------------------------------------------------- */

static void open_decoder(struct ranq_resp *resp)
{
	ck_assert_int_eq(ranq_resp_init(resp, NULL), 0);
}

/* Feeds in pieces; returns the first reply, or NULL, or sets *failed. */
static struct ranq_reply *decode(struct ranq_resp *resp, const char *data, size_t len, size_t piece, int *failed)
{
	struct ranq_reply *reply = NULL;

	*failed = 0;
	while (len && !reply && !*failed) {
		size_t n = len < piece ? len : piece;

		*failed = ranq_resp_feed(resp, data, n, NULL) || ranq_resp_next(resp, &reply, NULL);
		data += n;
		len -= n;
	}
	return reply;
}

static void describe(const struct ranq_reply *reply, struct ranq_buf *text)
{
	static const char *const names[] = {"nil", "int", "string", "status", "error", "array"};
	enum ranq_reply_type type = ranq_reply_type(reply);
	struct ranq_bytes bytes = ranq_reply_bytes(reply);

	ranq_buf_printf(text, "%s", names[type]);
	if (type == RANQ_REPLY_INT)
		ranq_buf_printf(text, " %lld", (long long)ranq_reply_int(reply));
	if (bytes.data)
		ranq_buf_printf(text, " '%.*s'", (int)bytes.len, (const char *)bytes.data);
	if (type == RANQ_REPLY_ARRAY) {
		ranq_buf_add_str(text, " [");
		for (size_t i = 0; i < ranq_reply_count(reply); i++) {
			ranq_buf_add_str(text, i ? ", " : "");
			describe(ranq_reply_at(reply, i), text);
		}
		ranq_buf_add_str(text, "]");
	}
}

#define NEST7 "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
static const struct {
	const char *wire, *meaning;
} good[] = {
	{"+OK\r\n", "status 'OK'"},
	{"+\r\n", "status ''"},
	{"-ERR no\r\n", "error 'ERR no'"},
	{":0\r\n", "int 0"},
	{":-1\r\n", "int -1"},
	{":9223372036854775807\r\n", "int 9223372036854775807"},
	{":-9223372036854775808\r\n", "int -9223372036854775808"},
	{"$0\r\n\r\n", "string ''"},
	{"$-1\r\n", "nil"},
	{"*-1\r\n", "nil"},
	{"*0\r\n", "array []"},
	{"$4\r\n\r\n\r\n\r\n", "string '\r\n\r\n'"},
	{"*3\r\n:1\r\n$1\r\na\r\n*2\r\n+b\r\n$-1\r\n", "array [int 1, string 'a', array [status 'b', nil]]"},
	{"*2\r\n*0\r\n*-1\r\n", "array [array [], nil]"},
	{NEST7 ":1\r\n", "array [array [array [array [array [array [array [int 1]]]]]]]"},
};

START_TEST(good_replies_in_pieces_of_any_size)
{
	for (size_t piece = 1; piece <= 64; piece++) {
		struct ranq_resp resp;
		struct ranq_reply *reply;
		struct ranq_buf text;
		int failed;

		open_decoder(&resp);
		ranq_buf_init(&text, 0);
		reply = decode(&resp, good[_i].wire, strlen(good[_i].wire), piece, &failed);
		ck_assert_int_eq(failed, 0);
		ck_assert_ptr_nonnull(reply);
		describe(reply, &text);
		ck_assert_str_eq(ranq_buf_cstr(&text), good[_i].meaning);
		ck_assert_uint_eq(resp.frame.state, RANQ_FRAME_TYPE);
		ck_assert_uint_eq(resp.frame.depth, 0);
		ranq_reply_destroy(reply);
		ranq_buf_clear(&text);
		ranq_resp_clear(&resp);
	}
}
END_TEST

#define W(text) \
	{ \
		text, sizeof text - 1 \
	}
static const struct {
	const char *data;
	size_t len;
} bad[] = {
	W("\0"),
	W("\r\n"),
	W("HTTP/1.1 400 Bad Request\r\n"),
	W("\x15\x03\x03\x00\x02\x02\x28"),
	W("%1\r\n:1\r\n:2\r\n"),
	W("~1\r\n:1\r\n"),
	W(",1.5\r\n"),
	W("#t\r\n"),
	W("_\r\n"),
	W("(1\r\n"),
	W(">1\r\n:1\r\n"),
	W("$-2\r\n"),
	W("*-2\r\n"),
	W("$536870913\r\n"),
	W("$4294967295\r\n"),
	W("$9223372036854775807\r\n"),
	W("$18446744073709551615\r\n"),
	W("*4294967295\r\n"),
	W("*2147483647\r\n"),
	W("*1073741825\r\n"),
	W("*4194305\r\n"),
	W("*2\r\n*4194303\r\n"),
	W("*9223372036854775808\r\n"),
	W(":9223372036854775808\r\n"),
	W(":\r\n"),
	W(":-\r\n"),
	W(":+1\r\n"),
	W(": 1\r\n"),
	W(":1 \r\n"),
	W(":01\r\n"),
	W(":-0\r\n"),
	W("$-0\r\n"),
	W("$1x\r\n"),
	W("$\r\n"),
	W("*\r\n"),
	W(":1\n"),
	W(":1\r\r"),
	W("+OK\rx"),
	W("$1\r\nab\r"),
	W("$1\r\na\n"),
	W("$1\r\na\rx"),
	W(NEST7 "*1\r\n"),
	W(":11111111111111111111111111"),
	W("+OK\r\n\r\n"),
	W("*1\r\n?"),
};

START_TEST(bad_replies_end_the_stream)
{
	for (size_t piece = 1; piece <= 64; piece++) {
		struct ranq_resp resp;
		struct ranq_reply *reply;
		size_t left = bad[_i].len;
		const char *data = bad[_i].data;
		int failed = 0;

		open_decoder(&resp);
		while (left && !failed) {
			size_t n = left < piece ? left : piece;
			struct ranq_err err = {0};

			failed = ranq_resp_feed(&resp, data, n, &err);
			if (failed)
				ck_assert_int_eq(err.code, RANQ_ERR_REPLY);
			else if (!(failed = ranq_resp_next(&resp, &reply, NULL)))
				ranq_reply_destroy(reply);
			data += n;
			left -= n;
		}
		ck_assert_int_eq(failed, -1);
		ranq_resp_clear(&resp);
	}
}
END_TEST

START_TEST(truncated_replies_are_waited_for)
{
	for (size_t len = 0; len < strlen(good[_i].wire); len++) {
		struct ranq_resp resp;
		int failed;

		open_decoder(&resp);
		ck_assert_ptr_null(decode(&resp, good[_i].wire, len, 1, &failed));
		ck_assert_int_eq(failed, 0);
		ranq_resp_clear(&resp); /* with half a reply inside */
	}
}
END_TEST

START_TEST(endless_line_is_refused)
{
	char block[4096];
	struct ranq_resp resp;
	size_t fed = 0;

	memset(block, 'x', sizeof block);
	open_decoder(&resp);
	ck_assert_int_eq(ranq_resp_feed(&resp, "-", 1, NULL), 0);
	while (!ranq_resp_feed(&resp, block, sizeof block, NULL))
		ck_assert_uint_le(fed += sizeof block, RANQ_FRAME_LINE_MAX);
	ranq_resp_clear(&resp);
}
END_TEST

/* Many arrays may not announce together what one may not. */
START_TEST(announced_elements_are_added_up)
{
	struct ranq_resp resp;

	open_decoder(&resp);
	ck_assert_int_eq(ranq_resp_feed(&resp, "*4000000\r\n", 10, NULL), 0);
	ck_assert_int_eq(ranq_resp_feed(&resp, "*100000\r\n", 9, NULL), 0);
	ck_assert_int_eq(ranq_resp_feed(&resp, "*100000\r\n", 9, NULL), -1);
	ranq_resp_clear(&resp);
}
END_TEST

START_TEST(numbers_in_strings)
{
	static const struct {
		const char *wire;
		int64_t value;
	} table[] = {
		{"$2\r\n42\r\n", 42},
		{"$2\r\n-7\r\n", -7},
		{"$1\r\n0\r\n", 0},
		{"$19\r\n9223372036854775807\r\n", INT64_MAX},
		{"$20\r\n-9223372036854775808\r\n", INT64_MIN},
		{"$19\r\n9223372036854775808\r\n", 0},
		{"$2\r\n 1\r\n", 0},
		{"$2\r\n1 \r\n", 0},
		{"$2\r\n+1\r\n", 0},
		{"$3\r\n1e3\r\n", 0},
		{"$1\r\n-\r\n", 0},
		{"$0\r\n\r\n", 0},
		{"$3\r\n0x1\r\n", 0},
		{"+42\r\n", 0},
		{"$-1\r\n", 0},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct ranq_resp resp;
		struct ranq_reply *reply;
		int failed;

		open_decoder(&resp);
		reply = decode(&resp, table[i].wire, strlen(table[i].wire), 99, &failed);
		ck_assert_ptr_nonnull(reply);
		ck_assert_msg(ranq_reply_int(reply) == table[i].value, "%s", table[i].wire);
		ranq_reply_destroy(reply);
		ranq_resp_clear(&resp);
	}
	ck_assert_int_eq(ranq_reply_type(NULL), RANQ_REPLY_NIL);
	ck_assert_int_eq(ranq_reply_int(NULL), 0);
	ck_assert_uint_eq(ranq_reply_count(NULL), 0);
	ck_assert_ptr_null(ranq_reply_at(NULL, 0));
}
END_TEST

START_TEST(words_of_a_server_are_printable)
{
	struct ranq_resp resp;
	struct ranq_reply *reply;
	static const char wire[] = "-ERR \x1b[31m\t\xff and more\r\n";
	char text[16];
	int failed;

	open_decoder(&resp);
	reply = decode(&resp, wire, sizeof wire - 1, 99, &failed);
	ck_assert_ptr_nonnull(reply);
	ck_assert_str_eq(ranq_reply_words(reply, text, sizeof text), "ERR ?[31m?? and");
	ranq_reply_destroy(reply);
	ranq_resp_clear(&resp);
}
END_TEST

/* ---- commands ------------------------------------------------------------------------------------------------- */

START_TEST(commands_as_bytes)
{
	static const char expected[] = "$3\r\nSET\r\n$0\r\n\r\n$20\r\n-9223372036854775808\r\n$3\r\na\0b\r\n";
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "SET");
	ranq_cmd_bytes(&cmd, NULL, 0);
	ranq_cmd_int(&cmd, INT64_MIN);
	ranq_cmd_bytes(&cmd, "a\0b", 3);
	ck_assert_uint_eq(cmd.argc, 4);
	ck_assert_uint_eq(cmd.args.len, sizeof expected - 1);
	ck_assert_mem_eq(cmd.args.data, expected, sizeof expected - 1);
	ranq_cmd_reset(&cmd);
	ck_assert_uint_eq(cmd.argc, 0);
	ck_assert_uint_eq(cmd.args.len, 0);
	ranq_cmd_clear(&cmd);
}
END_TEST

START_TEST(argument_above_512_mib_is_refused)
{
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ranq_cmd_bytes(&cmd, "", (512u << 20) + 1);
	ck_assert(ranq_buf_failed(&cmd.args));
	ranq_cmd_str(&cmd, "x");
	ck_assert(ranq_buf_failed(&cmd.args));
	ck_assert_uint_eq(cmd.argc, 0);
	ranq_cmd_reset(&cmd);
	ck_assert(!ranq_buf_failed(&cmd.args));
	ranq_cmd_clear(&cmd);
}
END_TEST

/* ---- the chain ------------------------------------------------------------------------------------------------ */

static void put(struct ranq_chain *chain, size_t n, unsigned *next)
{
	unsigned char *data = malloc(n + 1);

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < n; i++)
		data[i] = (unsigned char)(*next)++;
	ck_assert(ranq_chain_add(chain, data, n));
	free(data);
}

/* Takes at most n bytes and checks that they go on where the last ended. */
static void get(struct ranq_chain *chain, size_t n, unsigned *expected)
{
	struct iovec vector[3];
	int count = ranq_chain_vector(chain, vector, 3);
	size_t taken = 0;

	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < vector[i].iov_len && taken < n; k++, taken++)
			MUST(((unsigned char *)vector[i].iov_base)[k] == (unsigned char)(*expected)++);
	ranq_chain_drop(chain, taken);
}

START_TEST(chain_keeps_order_through_all_sizes)
{
	struct ranq_chain chain;
	unsigned next = 0, expected = 0, seed = 1;

	ranq_chain_init(&chain);
	for (int i = 0; i < 400; i++) {
		seed = seed * 1103515245 + 12345;
		put(&chain, seed >> 16 & (i % 10 ? 0xfff : 0x1ffff), &next);
		seed = seed * 1103515245 + 12345;
		get(&chain, seed >> 15 & 0x1ffff, &expected);
	}
	while (chain.len)
		get(&chain, 50000, &expected);
	ck_assert_uint_eq(next, expected);
	ck_assert_ptr_null(chain.head);
	ck_assert_ptr_null(chain.tail);
	put(&chain, 100000, &next);
	ranq_chain_clear(&chain);
	ck_assert_uint_eq(chain.len, 0);
}
END_TEST

/* ---- INFO ----------------------------------------------------------------------------------------------------- */

static struct ranq_server_facts facts_of(const char *text)
{
	struct ranq_server_facts facts = {0};

	ranq_facts_parse(&facts, (struct ranq_bytes){text, strlen(text)});
	return facts;
}

START_TEST(facts_from_info)
{
	struct ranq_server_facts facts = facts_of(
		"# Server\r\nredis_version:6.0.16\r\nrun_id:0123456789012345678901234567890123456789\r\n"
		"maxmemory:18446744073709551615\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:1\r\nloading:1\r\n");

	ck_assert_uint_eq(facts.major, 6);
	ck_assert_uint_eq(facts.patch, 16);
	ck_assert(!facts.has_functions && !facts.valkey && facts.aof && facts.loading);
	ck_assert_str_eq(facts.maxmemory_policy, "allkeys-lru");
	ck_assert(!facts.aof_broken);
	facts = facts_of("aof_enabled:1\r\naof_last_write_status:ok\r\n");
	ck_assert(facts.aof && !facts.aof_broken);
	facts = facts_of("aof_enabled:1\r\naof_last_write_status:err\r\n");
	ck_assert(facts.aof && facts.aof_broken);
	facts = facts_of("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n");
	ck_assert(facts.valkey && facts.has_functions);
	ck_assert_uint_eq(facts.major, 8);
	ck_assert_uint_eq(facts.patch, 1);
	facts = facts_of("valkey_version:8.0.1\r\nredis_version:7.2.4\r\nmaxmemory:1024");
	ck_assert_uint_eq(facts.major, 8);
	ck_assert_uint_eq(facts.maxmemory, 1024);
}
END_TEST

START_TEST(hostile_info_changes_nothing)
{
	char text[4096];
	struct ranq_server_facts facts;

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	facts = facts_of(text);
	ck_assert_uint_eq(facts.major, 0);
	memcpy(text, "run_id:", 7);
	facts = facts_of(text);
	ck_assert_str_eq(facts.run_id, "");
	text[200] = '\0';
	facts = facts_of(text);
	ck_assert_uint_eq(strlen(facts.run_id), sizeof facts.run_id - 1);
	facts = facts_of(
		"redis_version:-1.x.99999999999999999999\r\nmaxmemory:-5\r\n\r\n:\r\n:::\r\nloading:\r\naof_enabled");
	ck_assert_uint_eq(facts.major, 0);
	ck_assert_uint_eq(facts.maxmemory, 0);
	ck_assert(!facts.loading && !facts.aof);
	ranq_facts_parse(&facts, (struct ranq_bytes){NULL, 0});
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
	Suite *suite = suite_create("resp");
	TCase *tcase = tcase_create("resp");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, good_replies_in_pieces_of_any_size, 0, COUNT(good));
	tcase_add_loop_test(tcase, truncated_replies_are_waited_for, 0, COUNT(good));
	tcase_add_loop_test(tcase, bad_replies_end_the_stream, 0, COUNT(bad));
	tcase_add_test(tcase, endless_line_is_refused);
	tcase_add_test(tcase, announced_elements_are_added_up);
	tcase_add_test(tcase, numbers_in_strings);
	tcase_add_test(tcase, words_of_a_server_are_printable);
	tcase_add_test(tcase, commands_as_bytes);
	tcase_add_test(tcase, argument_above_512_mib_is_refused);
	tcase_add_test(tcase, chain_keeps_order_through_all_sizes);
	tcase_add_test(tcase, facts_from_info);
	tcase_add_test(tcase, hostile_info_changes_nothing);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

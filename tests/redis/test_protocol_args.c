/* Bad arguments for every function: an error, and nothing changed. And PROTOCOL.md names what the code has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/lua_files.h"
#include "tests/support/queue_driver.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH ID ID
#define BLOCK "\1\1x"

/* function, code, arguments; a blank between arguments, "" for an empty one */
static const struct {
	const char *function, *code, *args;
} bad[] = {
	{"stage", "ARG", ID " 0"},
	{"stage", "ARG", "short 0 " BLOCK},
	{"stage", "ARG", ID " -1 " BLOCK},
	{"stage", "ARG", ID " 9007199254740992 " BLOCK},
	{"stage", "ARG", ID " 0 \"\""},
	{"argument_put", "ARG", ID " 0 " HASH " 0 3"},
	{"argument_put", "ARG", "short 0 " HASH " 0 3 abc"},
	{"argument_put", "ARG", ID " x " HASH " 0 3 abc"},
	{"argument_put", "ARG", ID " 0 xyz 0 3 abc"},
	{"argument_put", "ARG", ID " 0 " HASH " 1 3 abc"},
	{"argument_put", "ARG", ID " 0 " HASH " 0 3 ab"},
	{"argument_put", "ARG", ID " 0 " HASH " 0 0 \"\""},
	{"argument_put", "ARG", ID " 0 " HASH " 0 4294967297 abc"},
	{"argument_put", "NOTFOUND", ID " 99 " HASH " 0 3 abc"},
	{"argument_put", "NOTFOUND", ID " 1 " HASH " 0 3 abc"},
	{"argument_get", "ARG", "1 xyz 0"},
	{"argument_get", "ARG", "1 " HASH " -1"},
	{"argument_get", "INPUT", "1 " HASH " 0"},
	{"argument_get", "NOTFOUND", "99 " HASH " 0"},
	{"blob_put", "ARG", "xyz 0 3 abc"},
	{"blob_put", "ARG", HASH " 1 3 abc"},
	{"blob_put", "ARG", HASH " 0 3 ab"},
	{"blob_put", "ARG", HASH " x 3 abc"},
	{"blob_get", "ARG", HASH " -1"},
	{"blob_get", "BLOB", HASH " 0"},
	{"slice_put", "ARG", "1 0 " HASH " 0 3"},
	{"slice_put", "ARG", "1 0 xyz 0 3 abc"},
	{"slice_put", "ARG", "1 0 " HASH " 1 3 abc"},
	{"slice_put", "ARG", "1 0 " HASH " 0 3 ab"},
	{"slice_put", "ARG", "1 0 " HASH " 0 0 \"\""},
	{"slice_put", "ARG", "1 0 " HASH " 0 68719476737 abc"},
	{"slice_put", "ARG", "1 -1 " HASH " 0 3 abc"},
	{"slice_put", "NOTFOUND", "99 0 " HASH " 0 3 abc"},
	{"slice_get", "ARG", "1 " HASH " -1"},
	{"slice_get", "ARG", "1 xyz 0"},
	{"slice_get", "NOTFOUND", "1 " HASH " 0"},
	{"submit", "ARG", "0 0"},
	{"submit", "ARG", "0 0 " ID " 0 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 9007199254740992 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 3 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 1001 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 5 0 0 \"\" n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 5 0 0 SPEC n o nothash \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 4 0 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\" relative"},
	{"submit", "ARG", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\" 1 /tmp"},
	{"submit", "AFTER", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\" /tmp 99"},
	{"submit", "ARG", "0 0 ../../x 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "ARG", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\" x"},
	{"submit", "AFTER", "0 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\" 99"},
	{"submit", "BLOB", "0 0 " ID " 5 0 0 SPEC n o " HASH " \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "INPUT", "0 0 " ID " 5 0 1 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"submit", "LEASE", "5000 0 " ID " 5 0 0 SPEC n o \"\" \"\" 0 1 1 1 1 0 0 0 0 \"\""},
	{"append", "ARG", "1 " ID " 0 2 " BLOCK " 2"},
	{"append", "ARG", "1 " ID " 0 2 " BLOCK " 1"},
	{"append", "ARG", "1 " ID " 0 1 " BLOCK},
	{"append", "NOTFOUND", "99 " ID " 0 1 " BLOCK " 1"},
	{"append", "NOTFOUND", "1 " ID " 0 1 " BLOCK " 1"},
	{"close", "ARG", "1 " ID},
	{"close", "NOTFOUND", "1 " ID " 0 \"\""},
	{"join", "ARG", "0 0 " ID " 1 0 h a u v t"},
	{"join", "ARG", "0 0 short 1 0 h a u v t b"},
	{"join", "LEASE", "5000 0 " ID " 1 0 h a u v t b"},
	{"lease", "ARG", ID " 0 1 1 0 -1 ,"},
	{"lease", "ARG", ID " 1 0 1 0 -1 ,"},
	{"lease", "ARG", ID " 1 1 65 0 -1 ,"},
	{"lease", "ARG", ID " 1 1 0 0 -1 ,"},
	{"lease", "ARG", ID " 1 9007199254740992 1 0 -1 ,"},
	{"lease", "ARG", ID " 1 1 1 0 -1"},
	{"lease", "GONE", "cccccccccccccccccccccccccccccccc 1 1 1 0 -1 ,"},
	{"lease_returned", "GONE", "cccccccccccccccccccccccccccccccc 1 1 1 0 -1 ,"},
	{"lease", "ARG", "* 1 1 1 0 -1 ,"},
	{"scale_get", "ARG", "201"},
	{"scale_hold", "ARG", "short 1000 me"},
	{"scale_hold", "ARG", ID " 3600001 me"},
	{"scale_hold", "ARG", ID " 1000"},
	{"scale_set", "ARG", ID " 1 max"},
	{"scale_set", "ARG", ID " 1 MAX 4"},
	{"scale_set", "ARG", ID " 1 holder 4"},
	{"scale_set", "ARG", "\"\" 1 max 4"},
	{"scale_set", "ARG", "short 1 max 4"},
	{"scale_set", "NOTFOUND", "\"\" 1 mode pause"},
	{"scale_set", "STATE", ID " 1 max 4"},
	{"scale_end", "ARG", "short"},
	{"files", "ARG", "0"},
	{"files", "ARG", "0 101"},
	{"files", "ARG", "-1 10"},
	{"files_gone", "ARG", ""},
	{"spec", "ARG", "x"},
	{"spec", "NOTFOUND", "99"},
	{"input", "ARG", "1 5 5 100"},
	{"input", "ARG", "1 5 9007199254740992 100"},
	{"input", "NOTFOUND", "1 0 5 100"},
	{"commit", "ARG", ID},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item"},
	{"commit", "ARG", ID " 1 0 1 5 5 \"\" 1 item 0"},
	{"commit", "ARG", ID " 1 0 1 nan 5 \"\" 1 item 0"},
	{"commit", "ARG", ID " 1 0 1 0 inf \"\" 1 item 0"},
	{"commit", "ARG", ID " 1 0 1 0.5 5 \"\" 1 item 0"},
	{"commit", "ARG", ID " 1 0 1 0 5 1 1 item 0"},
	{"commit", "ARG", ID " 1 0 1 0 5 bad 1 item 0"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" -1 item 0"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 1 7 rec"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 0:1"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 0:0"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 0:1 5 " HASH " 3"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 0:1 4 xyz 3"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 0:1 4 " HASH " -3"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 1001:1 4 " HASH " 3"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 0:9999999999999999999 4 " HASH " 3"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 1 2"},
	{"commit", "ARG", ID " 1 0 1 0 5 \"\" 1 item 0 1 0 1 0 5"},
	{"commit", "GONE", "cccccccccccccccccccccccccccccccc 1 0 1 0 5 \"\" 1 item 0"},
	{"release", "ARG", ID},
	{"release", "ARG", ID " 1 0 1 0 5"},
	{"release", "ARG", ID " 1 0 1 0 5 2"},
	{"release", "ARG", ID " 1 0 1 5 5 0"},
	{"release", "GONE", "cccccccccccccccccccccccccccccccc 1 0 1 0 5 0"},
	{"beat", "ARG", ID " x 0"},
	{"beat", "ARG", ID " 0 0 x"},
	{"beat", "GONE", "cccccccccccccccccccccccccccccccc 0 0"},
	{"amend", "ARG", ID " 2"},
	{"amend", "ARG", ID " x 0"},
	{"amend", "ARG", ID " 2 -1"},
	{"amend", "GONE", "cccccccccccccccccccccccccccccccc 2 0"},
	{"resync", "ARG", ID " 1 0 5"},
	{"resync", "ARG", ID " 1 5 5 1"},
	{"resync", "ARG", ID " 1:0:2"},
	{"resync", "ARG", ID " 1 4 5 1 1:0:2:-1"},
	{"resync", "ARG", ID " 1 4 5 1 1:0:2:11111111111111111111111111111111111111111111111111111111111111"},
	{"resync", "GONE", "cccccccccccccccccccccccccccccccc"},
	{"leave", "ARG", "x"},
	{"dead", "ARG", "x"},
	{"dead", "ARG", ID " 1"},
	{"dead", "ARG", ID " 1 -1"},
	{"dead", "ARG", ID " x 1"},
	{"info", "ARG", "-1"},
	{"info", "NOTFOUND", "99"},
	{"jobs", "ARG", "0 0"},
	{"jobs", "ARG", "0 101"},
	{"failures", "ARG", "1 0 1001"},
	{"failures", "NOTFOUND", "99 0 10"},
	{"audit", "NOTFOUND", "99"},
	{"places", "NOTFOUND", "99"},
	{"fetch", "ARG", "1 0 0 100 0 \"\""},
	{"fetch", "ARG", "1 0 0 100 257 \"\""},
	{"fetch", "ARG", "1 0 0 100 1 %%%"},
	{"fetch", "NOTFOUND", "99 0 0 100 1 \"\""},
	{"overlay", "ARG", "1 5 5"},
	{"consumer", "ARG", "x"},
	{"consumer", "NOTFOUND", "99"},
	{"attach_consumer", "ARG", "1 x"},
	{"attach_consumer", "NOTFOUND", "99 " ID},
	{"ack", "ARG", "1 1 0"},
	{"ack", "ARG", "1 1 0 \"\" 5"},
	{"ack", "ARG", "1 1 0 \"\" 5 5"},
	{"ack", "EPOCH", "1 1 0 \"\" 0 5"},
	{"watch", "ARG", "1 x"},
	{"watch", "NOTFOUND", "99 " ID},
	{"cancel", "ARG", "1"},
	{"cancel", "NOTFOUND", "99 \"\""},
	{"retry", "ARG", "1 2"},
	{"retry", "ARG", "1 1 x"},
	{"retry", "ARG", "1 1 -1"},
	{"retry", "STATE", "1 1"},
	{"retry", "NOTFOUND", "99 1"},
	{"remove", "NOTFOUND", "99"},
	{"remove", "ARG", "1:ret"},
	{"pause", "ARG", "2"},
	{"drain", "ARG", "\"\""},
};

static void call_text(const char *function, const char *args)
{
	char *text = strdup(args), *rest = *text ? text : NULL, *word;
	char name[64];

	/* The way of calling is the business of ranq_call_begin; here the arguments are raw, so take its beginning from
	 * a real request. */
	if (tq.q.mode == RANQ_CALL_FUNCTIONS) {
		snprintf(name, sizeof name, "ranq1_%s", function);
		ranq_cmd_reset(&tq.cmd);
		ranq_cmd_str(&tq.cmd, "FCALL");
		ranq_cmd_str(&tq.cmd, name);
		ranq_cmd_str(&tq.cmd, "1");
		ranq_cmd_str(&tq.cmd, "ranq:{t}:q");
	}
	while ((word = strsep(&rest, " ")))
		ranq_cmd_str(&tq.cmd, !strcmp(word, "\"\"") ? "" : word);
	free(text);
	tq_call();
}

/* Digest of all keys, without the clock. */
static void digest(char out[64])
{
	struct ranq_bytes b;

	tq_command("HDEL %sq vt last", tq.q.base);
	tq_command("DEBUG DIGEST");
	b = ranq_reply_bytes(tq.reply);
	snprintf(out, 64, "%.*s", (int)b.len, (const char *)b.data);
}

START_TEST(bad_arguments_change_nothing)
{
	char before[64], after[64], want[32];
	struct ranq_range r;

	if (tq.q.mode != RANQ_CALL_FUNCTIONS)
		return; /* the same sources */
	TQ_JOB(.tasks = 100);
	tq_join(tq_id('b'), 1);
	tq_join(tq_id('a'), 1);
	r = tq_lease1(tq_id('a'), 50);
	tq_commit(tq_id('a'), &r, 0, 0, 10);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ranq_bytes b;

		tq_beat(tq_id('a'));
		digest(before);
		call_text(bad[i].function, bad[i].args);
		b = ranq_reply_bytes(tq.reply);
		snprintf(want, sizeof want, "RANQ_%s ", bad[i].code);
		ck_assert_msg(ranq_reply_type(tq.reply) == RANQ_REPLY_ERROR && b.len > strlen(want) &&
				      !memcmp(b.data, want, strlen(want)),
			"%s %s: '%.*s' instead of %s", bad[i].function, bad[i].args, (int)b.len,
			b.data ? (const char *)b.data : "", want);
		digest(after);
		ck_assert_msg(!strcmp(before, after), "%s %s changed something", bad[i].function, bad[i].args);
	}
}
END_TEST

START_TEST(every_function_has_a_row_of_bad_arguments)
{
	static const char *const without[] = {"version", "stat", "bridges", "destroy", "demand"}; /* they take none */

	for (size_t i = 0; i < ranq_lua_nfiles; i++) {
		bool found = ranq_lua_files[i].name[0] == '_';

		for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
			found = found || !strcmp(bad[k].function, ranq_lua_files[i].name);
		for (size_t k = 0; k < sizeof without / sizeof *without; k++)
			found = found || !strcmp(without[k], ranq_lua_files[i].name);
		ck_assert_msg(found, "no bad arguments for '%s'", ranq_lua_files[i].name);
	}
}
END_TEST

START_TEST(foreign_keys_are_refused)
{
	static const char *const keys[] = {
		"ranq:{}:q", "ranq:{a b}:q", "ranq:t:q", "x", "ranq:{t}:", "ranq:{t}:j:1", "ranq:{a}{b}:q", ""};

	for (size_t i = 0; i < sizeof keys / sizeof *keys && tq.q.mode == RANQ_CALL_FUNCTIONS; i++) {
		ranq_cmd_reset(&tq.cmd);
		ranq_cmd_str(&tq.cmd, "FCALL");
		ranq_cmd_str(&tq.cmd, "ranq1_stat");
		ranq_cmd_str(&tq.cmd, "1");
		ranq_cmd_str(&tq.cmd, keys[i]);
		ck_assert_int_eq(tq_code(), RANQ_ERR_INPUT);
	}
}
END_TEST

static char *read_protocol(void)
{
	FILE *file = fopen(RANQ_TEST_SOURCEDIR "/src/queue/PROTOCOL.md", "r");
	char *text = calloc(1, 1 << 17);

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_gt(fread(text, 1, (1 << 17) - 1, file), 1000);
	fclose(file);
	return text;
}

/* Each function has its row with the flags it is loaded with; the table has no other rows; each state and error is
 * named. */
START_TEST(protocol_md_agrees_with_the_code)
{
	char *text = read_protocol(), row[96];
	const char *table = strstr(text, "| function | flags |"), *end = strstr(text, "\n## Errors");
	size_t rows = 0, functions = 0;

	ck_assert(table && end && table < end);
	for (const char *p = table; p < end; p++)
		rows += p[0] == '\n' && p[1] == '|';
	for (size_t i = 0; i < ranq_lua_nfiles; i++) {
		const struct ranq_lua_file *f = &ranq_lua_files[i];
		const char *flag = !strncmp(f->text, "-- flags: allow-oom\n", 20)   ? "+"
				   : !strncmp(f->text, "-- flags: no-writes\n", 20) ? "r"
										    : "";

		if (f->name[0] == '_')
			continue;
		functions++;
		snprintf(row, sizeof row, "\n| %s | %s%s|", f->name, flag, *flag ? " " : "");
		ck_assert_msg(strstr(table, row) != NULL, "PROTOCOL.md has no row '%s'", row + 1);
	}
	ck_assert_uint_eq(rows, functions + 1);
	for (int s = 0; s < RANQ_JOB_STATE_COUNT; s++)
		ck_assert_ptr_nonnull(strstr(text, ranq_job_state_name((enum ranq_job_state)s)));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_ptr_nonnull(strstr(end, bad[i].code));
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {bad_arguments_change_nothing, every_function_has_a_row_of_bad_arguments,
		foreign_keys_are_refused, protocol_md_agrees_with_the_code};

	return test_queue_main("protocol arguments", tests, sizeof tests / sizeof *tests);
}

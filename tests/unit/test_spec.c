#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/spec.h"

static struct ranq_spec spec, again;
static struct ranq_buf out, other;
static struct ranq_err err;

static void add(struct ranq_strings *list, const char *text)
{
	ck_assert_int_eq(ranq_strings_add(list, text, strlen(text)), 0);
}

static void setup(void)
{
	ranq_spec_init(&spec);
	ranq_spec_init(&again);
	ranq_buf_init(&out, 0);
	ranq_buf_init(&other, 0);
	err = (struct ranq_err){0};
	spec.body = RANQ_BODY_COMMAND;
	add(&spec.argv, "true");
}

static void teardown(void)
{
	ranq_spec_clear(&spec);
	ranq_spec_clear(&again);
	ranq_buf_clear(&out);
	ranq_buf_clear(&other);
}

static struct ranq_list *add_list(struct ranq_spec *s, bool linked)
{
	s->lists = realloc(s->lists, (s->nlists + 1) * sizeof *s->lists);
	s->lists[s->nlists] = (struct ranq_list){.linked = linked};
	return &s->lists[s->nlists++];
}

/* Every field away from its default. */
static void fill(struct ranq_spec *s)
{
	memset(s->uuid, 0xab, sizeof s->uuid);
	s->name = strdup("näme");
	s->owner = strdup("ann@node1");
	add(&s->argv, "{1}");
	add(&s->argv, "");
	s->append = true;
	s->args = RANQ_ARGS_LISTS;
	s->range_first = -5;
	s->range_step = INT64_MIN;
	add(&add_list(s, false)->values, "a");
	add(&s->lists[0].values, "\xff\xfe");
	add(&add_list(s, true)->values, "");
	s->colsep = strdup("[,;]");
	s->data_hash = strdup("0123456789abcdef0123456789abcdef");
	s->data_bytes = 70000;
	add(&s->env, "A=b=c");
	add(&s->env, "B=");
	s->cwd = strdup("/home/ann");
	s->stdin_path = strdup("in.txt");
	s->results = RANQ_RESULTS_NONE;
	s->on_error = RANQ_ON_ERROR_STOP;
	s->max_output = 0;
	s->memory = 1000000;
	s->backlog = 1;
	s->chunk = 127;
	s->seed = UINT32_MAX;
	s->has_seed = true;
	s->retries = 128;
	s->max_deaths = 1;
	s->max_fails = 65536;
	s->priority = INT32_MIN;
	s->timeout_ms = 5000;
	s->time_request_ms = RANQ_SPEC_MAX_MS;
	s->warn_signal = strdup("USR1");
	s->grace_ms = 32;
	s->require = strdup("gpu");
	s->offload = strdup("/scratch");
	s->ttl_ms = 0;
	s->created_ms = 1700000000000;
	s->expires_ms = INT64_MAX;
	ranq_buf_add(&s->signature, "\0\1\2", 3);
}

static void expect_same(const char *a, const char *b)
{
	ck_assert_int_eq(!a, !b);
	if (a)
		ck_assert_str_eq(a, b);
}

START_TEST(test_defaults)
{
	ck_assert_uint_eq(spec.retries, 0);
	ck_assert_uint_eq(spec.max_deaths, 5);
	ck_assert_uint_eq(spec.max_fails, 10000);
	ck_assert_int_eq(spec.on_error, RANQ_ON_ERROR_CONTINUE);
	ck_assert_int_eq(spec.results, RANQ_RESULTS_KEEP);
	ck_assert_uint_eq(spec.max_output, 16777216);
	ck_assert_uint_eq(spec.backlog, 256000000);
	ck_assert_uint_eq(spec.ttl_ms, 604800000);
	ck_assert_int_eq(spec.priority, 0);
}
END_TEST

/* The bytes themselves: other languages and signatures rely on them. */
START_TEST(test_bytes)
{
	static const unsigned char want[] = "\x85\xa7version\x01\xa4" "body\x01\xa4" "argv\x91\xa4true\xa7"
		"retries\xcc\x80\xa8priority\xff";

	spec.retries = 128;
	spec.priority = -1;
	ck_assert_int_eq(ranq_spec_pack(&spec, &out, &err), 0);
	ck_assert_uint_eq(out.len, sizeof want - 1);
	ck_assert_mem_eq(out.data, want, out.len);
}
END_TEST

START_TEST(test_round_trip)
{
	fill(&spec);
	ck_assert_msg(ranq_spec_pack(&spec, &out, &err) == 0, "%s", err.text);
	ck_assert_msg(ranq_spec_unpack(out.data, out.len, &again, &err) == 0, "%s", err.text);
	ck_assert_mem_eq(spec.uuid, again.uuid, sizeof spec.uuid);
	expect_same(spec.name, again.name);
	expect_same(spec.owner, again.owner);
	ck_assert_uint_eq(again.argv.n, 3);
	ck_assert_str_eq(again.argv.at[1], "{1}");
	ck_assert_ptr_null(again.argv.at[3]);
	ck_assert(again.append && !again.shell && again.has_seed);
	ck_assert_int_eq(again.args, RANQ_ARGS_LISTS);
	ck_assert_int_eq(again.range_first, -5);
	ck_assert_int_eq(again.range_step, INT64_MIN);
	ck_assert_uint_eq(again.nlists, 2);
	ck_assert(!again.lists[0].linked && again.lists[1].linked);
	ck_assert_str_eq(again.lists[0].values.at[1], "\xff\xfe");
	ck_assert_str_eq(again.lists[1].values.at[0], "");
	expect_same(spec.colsep, again.colsep);
	ck_assert_uint_eq(again.env.n, 2);
	expect_same(spec.cwd, again.cwd);
	expect_same(spec.stdin_path, again.stdin_path);
	ck_assert_int_eq(again.results, RANQ_RESULTS_NONE);
	ck_assert_int_eq(again.on_error, RANQ_ON_ERROR_STOP);
	ck_assert_uint_eq(again.max_output, 0);
	ck_assert_uint_eq(again.memory, 1000000);
	ck_assert_uint_eq(again.seed, UINT32_MAX);
	ck_assert_uint_eq(again.max_fails, 65536);
	ck_assert_int_eq(again.priority, INT32_MIN);
	ck_assert_uint_eq(again.time_request_ms, RANQ_SPEC_MAX_MS);
	expect_same(spec.offload, again.offload);
	ck_assert_uint_eq(again.ttl_ms, 0);
	ck_assert_int_eq(again.expires_ms, INT64_MAX);
	ck_assert_uint_eq(again.signature.len, 3);
	ck_assert_int_eq(ranq_spec_pack(&again, &other, &err), 0); /* and so for every field not named above */
	ck_assert_uint_eq(out.len, other.len);
	ck_assert_mem_eq(out.data, other.data, out.len);
}
END_TEST

START_TEST(test_function_round_trip)
{
	ranq_strings_clear(&spec.argv);
	spec.body = RANQ_BODY_FUNCTION;
	spec.function = strdup("f");
	spec.module_path = strdup("/opt/m.so");
	spec.reduce = strdup("join_words");
	spec.reduce_ordered = true;
	spec.sticky = true;
	ck_assert_int_eq(ranq_spec_pack(&spec, &out, &err), 0);
	ck_assert_int_eq(ranq_spec_unpack(out.data, out.len, &again, &err), 0);
	expect_same(again.reduce, "join_words");
	ck_assert(again.reduce_ordered);
	ck_assert(again.sticky);
	expect_same(again.function, "f");
	expect_same(again.module_path, "/opt/m.so");
}
END_TEST

/* Cutting it anywhere, or one byte more, is refused; the spec is empty then. */
START_TEST(test_cut_off)
{
	size_t n;

	fill(&spec);
	ck_assert_int_eq(ranq_spec_pack(&spec, &out, &err), 0);
	for (n = 0; n < out.len; n++) {
		unsigned char *copy = malloc(n ? n : 1);

		memcpy(copy, out.data, n);
		ck_assert_int_eq(ranq_spec_unpack(copy, n, &again, &err), -1);
		ck_assert_int_eq(err.code, RANQ_ERR_REPLY);
		ck_assert_ptr_null(again.argv.at);
		free(copy);
	}
	ranq_buf_add_byte(&out, 0xc2);
	ck_assert_int_eq(ranq_spec_unpack(out.data, out.len, &again, &err), -1);
}
END_TEST

#define VERSION "\xa7version\x01"
#define BODY "\xa4" "body\x01"
#define ARGV "\xa4" "argv\x91\xa4true"
#define ROW(text) {text, sizeof(text) - 1}
static const struct {
	const char *bytes;
	size_t len;
} hostile[] = {
	ROW(""),
	ROW("\x80"),
	ROW("\xc0"),
	ROW("\x93\x01\x02\x03"),
	ROW("\x82" BODY ARGV),                                           /* no version */
	ROW("\x83" BODY VERSION ARGV),                                   /* version not first */
	ROW("\x83" VERSION ARGV BODY),                                   /* other order */
	ROW("\x84" VERSION BODY BODY ARGV),                              /* twice */
	ROW("\x84" VERSION BODY ARGV ARGV),
	ROW("\x84" VERSION BODY ARGV "\xa5" "shell\xc2"),                /* default is present */
	ROW("\x84" VERSION BODY ARGV "\xa7retries\x00"),
	ROW("\x84" VERSION BODY ARGV "\xa7retries\xcc\x01"),             /* long form of a number */
	ROW("\xde\x00\x03" VERSION BODY ARGV),                           /* long form of a map */
	ROW("\x84" VERSION BODY ARGV "\xa7retries\xff"),                 /* negative */
	ROW("\x84" VERSION BODY ARGV "\xa7retries\xcf\0\0\0\1\0\0\0\0"), /* 2^32 */
	ROW("\x84" VERSION BODY ARGV "\xa7retries\xca\x3f\x80\0\0"),     /* float */
	ROW("\x84" VERSION BODY ARGV "\xa7retries\xa1" "1"),             /* text */
	ROW("\x84" VERSION BODY ARGV "\xa7retries\xc0"),                 /* nil */
	ROW("\x84" VERSION BODY ARGV "\xa7nothing\x01"),                 /* unknown */
	ROW("\x84" VERSION BODY ARGV "\x01\x01"),                        /* key is no text */
	ROW("\x83" VERSION BODY "\xa4" "argv\x90"),                      /* empty */
	ROW("\x83" VERSION BODY "\xa4" "argv\x91\xa2t\0"),               /* NUL */
	ROW("\x83" VERSION BODY "\xa4" "argv\x91\x91\xa1t"),             /* deeper */
	ROW("\x83" VERSION BODY "\xa4" "argv\xdd\xff\xff\xff\xff\xa1t"), /* 2^32 - 1 words announced */
	ROW("\x83" VERSION BODY "\xa4" "argv\x91\xdb\xff\xff\xff\xff" "t"),
	ROW("\xdf\xff\xff\xff\xff" VERSION),
	ROW("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
	    "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90"),
	ROW("\x84" VERSION "\xa4uuid\xc4\x0f" "123456789012345" BODY ARGV), /* 15 bytes */
	ROW("\x84" VERSION "\xa4uuid\xc4\x10" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" BODY ARGV),
	ROW("\x84" VERSION BODY ARGV "\xc7\x01\x01\x01\x01"),            /* extension type */
	ROW("\x84" VERSION BODY ARGV "\xa4" "args\x09"),                 /* unknown enum */
	ROW("\x84" VERSION BODY ARGV "\xa4" "args\x02"),                 /* lists without lists */
	ROW("\x85" VERSION BODY ARGV "\xa4" "args\x02\xa5lists\x90"),
	ROW("\x85" VERSION BODY ARGV "\xa4" "args\x02\xa5lists\x91\x91\xc2"),
	ROW("\x85" VERSION BODY ARGV "\xa4" "args\x02\xa5lists\x91\x92\x01\x91\xa1" "a"),
	ROW("\x85" VERSION BODY ARGV "\xa4" "args\x02\xa5lists\x91\x92\xc3\x91\xa1" "a"), /* first is linked */
};

START_TEST(test_hostile)
{
	unsigned char *bytes = malloc(hostile[_i].len + 1);

	memcpy(bytes, hostile[_i].bytes, hostile[_i].len);
	ck_assert_int_eq(ranq_spec_unpack(bytes, hostile[_i].len, &again, &err), -1);
	ck_assert_msg(err.code == RANQ_ERR_REPLY || err.code == RANQ_ERR_INPUT, "%d %s", err.code, err.text);
	ck_assert_ptr_null(again.argv.at);
	free(bytes);
}
END_TEST

/* The same frame as in the hostile rows, but good: so that those fail for their own reason. */
START_TEST(test_good_frames)
{
	static const char plain[] = "\x83" VERSION BODY ARGV;
	static const char lists[] = "\x85" VERSION BODY ARGV "\xa4" "args\x02\xa5lists\x91\x92\xc2\x91\xa1" "a";
	static const char newer[] = "\x83\xa7version\x02" BODY ARGV;

	ck_assert_msg(ranq_spec_unpack(plain, sizeof plain - 1, &again, &err) == 0, "%s", err.text);
	ranq_spec_clear(&again);
	ck_assert_msg(ranq_spec_unpack(lists, sizeof lists - 1, &again, &err) == 0, "%s", err.text);
	ranq_spec_clear(&again);
	ck_assert_int_eq(ranq_spec_unpack(newer, sizeof newer - 1, &again, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_SCHEMA);
}
END_TEST

static char *long_text(size_t n)
{
	char *text = malloc(n + 1);

	memset(text, 'a', n);
	text[n] = '\0';
	return text;
}

/* One wrong thing each, and a word of the message. */
static void break_body(struct ranq_spec *s)
{
	s->body = (enum ranq_body_kind)0;
}

static void break_argv(struct ranq_spec *s)
{
	ranq_strings_clear(&s->argv);
}

static void break_word(struct ranq_spec *s)
{
	ranq_strings_clear(&s->argv);
	add(&s->argv, "");
}

static void break_shell(struct ranq_spec *s)
{
	s->shell = true;
	add(&s->argv, "x");
}

static void break_both(struct ranq_spec *s)
{
	s->function = strdup("f");
}

static void be_function(struct ranq_spec *s)
{
	ranq_strings_clear(&s->argv);
	s->body = RANQ_BODY_FUNCTION;
	s->function = strdup("f");
}

static void break_module(struct ranq_spec *s)
{
	be_function(s);
}

static void break_modules(struct ranq_spec *s)
{
	be_function(s);
	s->module_path = strdup("/m");
	s->module_hash = long_text(64);
}

static void break_hash(struct ranq_spec *s)
{
	be_function(s);
	s->module_hash = strdup("0123456789ABCDEF0123456789ABCDEF");
}

static void break_function(struct ranq_spec *s)
{
	be_function(s);
	s->module_path = strdup("/m");
	s->function[0] = ' ';
}

static void break_function_argv(struct ranq_spec *s)
{
	be_function(s);
	s->module_path = strdup("/m");
	add(&s->argv, "x");
}

static void break_step(struct ranq_spec *s)
{
	s->args = RANQ_ARGS_RANGE;
	s->range_step = 0;
}

static void break_colsep(struct ranq_spec *s)
{
	s->colsep = strdup("[");
}

static void break_colsep_length(struct ranq_spec *s)
{
	s->colsep = long_text(201);
}

static void break_name(struct ranq_spec *s)
{
	s->name = strdup("a\nb");
}

static void break_name_length(struct ranq_spec *s)
{
	s->name = long_text(201);
}

static void break_name_empty(struct ranq_spec *s)
{
	s->name = strdup("");
}

static void break_env(struct ranq_spec *s)
{
	add(&s->env, "HOME");
}

static void break_env_name(struct ranq_spec *s)
{
	add(&s->env, "=x");
}

static void break_cwd(struct ranq_spec *s)
{
	s->cwd = strdup("tmp");
}

static void break_data(struct ranq_spec *s)
{
	s->data_bytes = 1;
}

static void break_seed(struct ranq_spec *s)
{
	s->seed = (uint64_t)1 << 32;
}

static void break_output(struct ranq_spec *s)
{
	s->max_output = RANQ_SPEC_MAX_OUTPUT + 1;
}

static void break_memory(struct ranq_spec *s)
{
	s->memory = RANQ_SPEC_MIN_MEMORY - 1;
}

static void break_deaths(struct ranq_spec *s)
{
	s->max_deaths = 0;
}

static void break_timeout(struct ranq_spec *s)
{
	s->timeout_ms = UINT64_MAX;
}

static void break_reduce_name(struct ranq_spec *s)
{
	s->reduce = strdup("sum");
}

static void break_reduce_symbol(struct ranq_spec *s)
{
	s->reduce = strdup("a b");
}

static void break_reduce_order(struct ranq_spec *s)
{
	s->reduce_ordered = true;
}

static void break_reduce_results(struct ranq_spec *s)
{
	s->reduce = strdup("count");
	s->results = RANQ_RESULTS_COUNT;
}

static void break_results(struct ranq_spec *s)
{
	s->results = (enum ranq_results_mode)3;
}

static void break_lists(struct ranq_spec *s)
{
	add(&add_list(s, false)->values, "a");
}

static void break_size(struct ranq_spec *s)
{
	char *t = long_text(RANQ_SPEC_MAX_BYTES);
	add(&s->argv, t);
	free(t);
}

static const struct {
	void (*change)(struct ranq_spec *);
	const char *word;
} wrong[] = {
	{break_body, "neither"}, {break_argv, "empty"}, {break_word, "empty"},
	{break_shell, "one word"}, {break_both, "both"}, {break_module, "one module"},
	{break_modules, "one module"}, {break_hash, "hex"}, {break_function, "symbol"},
	{break_function_argv, "both"}, {break_step, "step"}, {break_colsep, "regular expression"},
	{break_colsep_length, "longer"}, {break_name, "control"}, {break_name_length, "longer"},
	{break_name_empty, "empty"}, {break_env, "NAME=VALUE"}, {break_env_name, "NAME=VALUE"},
	{break_cwd, "absolute"}, {break_data, "hash"}, {break_seed, "--seed"},
	{break_output, "--max-output"}, {break_memory, "--memory"}, {break_deaths, "--max-deaths"}, {break_timeout, "--timeout"},
	{break_reduce_name, "no reduction is called 'sum'"}, {break_reduce_symbol, "no symbol name"},
	{break_reduce_order, "has no name"}, {break_reduce_results, "leave out --results"},
	{break_results, "--results"}, {break_lists, "lists"}, {break_size, "--arg-file"},
};

START_TEST(test_refused)
{
	wrong[_i].change(&spec);
	ck_assert_int_eq(ranq_spec_pack(&spec, &out, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_msg(strstr(err.text, wrong[_i].word) != NULL, "%s", err.text);
	ck_assert_ptr_null(strchr(err.text, '\n'));
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(test_strings)
{
	struct ranq_strings list = {0};
	char text[16];
	int i;

	ck_assert_int_eq(ranq_strings_add(&list, "a\0b", 3), -1);
	ck_assert_uint_eq(list.n, 0);
	for (i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "%d", i);
		add(&list, text);
		ck_assert_ptr_null(list.at[list.n]);
	}
	ck_assert_str_eq(list.at[0], "0");
	ck_assert_str_eq(list.at[999], "999");
	ranq_strings_clear(&list);
	ck_assert_ptr_null(list.at);
	ranq_strings_clear(&list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spec");
	TCase *c = tcase_create("spec");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_defaults);
	tcase_add_test(c, test_bytes);
	tcase_add_test(c, test_round_trip);
	tcase_add_test(c, test_function_round_trip);
	tcase_add_test(c, test_cut_off);
	tcase_add_loop_test(c, test_hostile, 0, (int)(sizeof hostile / sizeof hostile[0]));
	tcase_add_test(c, test_good_frames);
	tcase_add_loop_test(c, test_refused, 0, (int)(sizeof wrong / sizeof wrong[0]));
	tcase_add_test(c, test_strings);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

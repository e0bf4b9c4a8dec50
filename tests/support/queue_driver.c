#include "tests/support/queue_driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

struct test_queue tq;
static struct test_redis server;
static enum ranq_call_mode mode;
static bool legacy;

void test_queue_server_functions(void)
{
	mode = RANQ_CALL_FUNCTIONS;
	test_redis_start(&server, 0, NULL);
}

void test_queue_server_evalsha(void)
{
	mode = RANQ_CALL_EVALSHA;
	test_redis_start(&server, 0, NULL);
}

void test_queue_server_legacy(void)
{
	test_queue_server_evalsha();
	legacy = true;
}

void test_queue_server_stop(void)
{
	legacy = false;
	test_redis_stop(&server);
}

const struct test_redis *test_queue_server(void)
{
	return &server;
}

void tq_attach(int64_t lease_ms)
{
	if (ranq_queue_attach(&tq.q, tq.conn, mode, lease_ms, true, ranq_clock_ms() + 60000, &tq.err))
		ck_abort_msg("attach: %s", tq.err.text);
}

void test_queue_open(void)
{
	memset(&tq, 0, sizeof tq);
	tq.conn = test_redis_connect(&server);
	ranq_cmd_init(&tq.cmd);
	ck_assert_int_eq(ranq_queue_init(&tq.q, "t", &tq.err), 0);
	tq.q.legacy = legacy;
	tq_command("FLUSHALL");
	tq_command("CONFIG SET maxmemory 0");
	tq_attach(0);
}

void test_queue_close(void)
{
	ranq_reply_destroy(tq.reply);
	ranq_cmd_clear(&tq.cmd);
	ranq_conn_close(tq.conn);
}

Suite *test_queue_suite(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *functions = tcase_create("functions"), *evalsha = tcase_create("evalsha"), *old = tcase_create("legacy");
	TCase *cases[] = {functions, evalsha, old}; /* an old server has no functions */

	tcase_add_unchecked_fixture(functions, test_queue_server_functions, test_queue_server_stop);
	tcase_add_unchecked_fixture(evalsha, test_queue_server_evalsha, test_queue_server_stop);
	tcase_add_unchecked_fixture(old, test_queue_server_legacy, test_queue_server_stop);
	for (size_t c = test_redis_major() >= 7 ? 0 : 1; c < sizeof cases / sizeof *cases; c++) {
		tcase_add_checked_fixture(cases[c], test_queue_open, test_queue_close);
		tcase_set_timeout(cases[c], 60);
		for (size_t i = 0; i < n; i++)
			tcase_add_test(cases[c], tests[i]);
		suite_add_tcase(suite, cases[c]);
	}
	return suite;
}

int test_queue_main(const char *name, const TTest *const *tests, size_t n)
{
	SRunner *runner = srunner_create(test_queue_suite(name, tests, n));
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void tq_call(void)
{
	ranq_reply_destroy(tq.reply);
	tq.reply = NULL;
	if (ranq_conn_call(tq.conn, &tq.cmd, ranq_clock_ms() + 60000, &tq.reply, &tq.err))
		ck_abort_msg("call: %s", tq.err.text);
}

int64_t tq_command(const char *format, ...)
{
	char text[512], *word, *rest = text;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ranq_cmd_reset(&tq.cmd);
	while ((word = strsep(&rest, " ")))
		ranq_cmd_str(&tq.cmd, word);
	tq_call();
	return ranq_reply_int(tq.reply);
}

void tq_counter(uint64_t job, const char *name, const char *expression)
{
	static const char names[] = "state n next done leased retn arr bytes tb el w held open parked c1 c2 c3 c4 fto nak";
	char script[1024], key[128];

	snprintf(script, sizeof script,
		"local counts = redis.pcall('HGET', KEYS[1], 'counts') "
		"if type(counts) ~= 'string' then return 0 end "
		"local ok, v = pcall(function() return {cmsgpack.unpack(counts)} end) "
		"if not ok then return 0 end "
		"local i = 0 "
		"for name in string.gmatch('%s', '%%a%%w*') do "
		"i = i + 1 "
		"local value = v[i] "
		"if name == ARGV[1] and type(value) == 'number' then v[i] = %s end "
		"end "
		"return redis.call('HSET', KEYS[1], 'counts', cmsgpack.pack(unpack(v)))",
		names, expression);
	snprintf(key, sizeof key, "%sj:%llu", tq.q.base, (unsigned long long)job);
	ranq_cmd_reset(&tq.cmd);
	ranq_cmd_str(&tq.cmd, "EVAL");
	ranq_cmd_str(&tq.cmd, script);
	ranq_cmd_str(&tq.cmd, "1");
	ranq_cmd_str(&tq.cmd, key);
	ranq_cmd_str(&tq.cmd, name);
	tq_call();
	ck_assert_int_eq(ranq_reply_type(tq.reply), RANQ_REPLY_INT);
}

const char *tq_id(char letter)
{
	static char ids[6][RANQ_ID_LEN + 1];
	char *id = ids[letter - 'a'];

	memset(id, letter, RANQ_ID_LEN);
	return id;
}

/* Setting `last` back is the same as waiting: the next call sees a step of the clock, cut to a fifth of the lease. */
void tq_pass(int64_t ms)
{
	int64_t cap = tq_stat().lease_ms / 5;

	for (; ms > 0; ms -= cap) {
		tq_command("HINCRBY %sq last -%lld", tq.q.base, (long long)(ms < cap ? ms : cap));
		ranq_queue_watch_cmd(&tq.q, &tq.cmd, 999999, tq_id('f'));
		tq_call();
	}
}

#define PARSED(call) \
	do { \
		if (call) \
			ck_abort_msg("%s: %s", #call, tq.err.text); \
	} while (0)

uint64_t tq_submit(const struct tq_job *job)
{
	struct ranq_spec spec;
	struct ranq_submit s = {.spec = &spec,
		.tasks = job->tasks,
		.open = job->open,
		.staged = job->staged,
		.after = job->after,
		.nafter = job->nafter,
		.reader = job->reader};
	char id[RANQ_ID_LEN + 1];
	uint64_t number = 0;
	bool existed;

	ranq_id_new(id);
	s.uuid = job->uuid ? job->uuid : id;
	ranq_spec_init(&spec);
	spec.body = RANQ_BODY_COMMAND;
	ranq_strings_add(&spec.argv, "true", 4);
	spec.results = job->results;
	spec.on_error = job->stop ? RANQ_ON_ERROR_STOP : RANQ_ON_ERROR_CONTINUE;
	spec.priority = job->priority;
	spec.backlog = job->backlog ? job->backlog : spec.backlog;
	spec.max_output = job->max_output ? job->max_output : 1000;
	spec.max_deaths = job->max_deaths ? job->max_deaths : spec.max_deaths;
	spec.max_fails = job->max_fails ? job->max_fails : spec.max_fails;
	spec.time_request_ms = job->time_request_ms;
	spec.ttl_ms = job->ttl_ms ? job->ttl_ms : spec.ttl_ms;
	spec.require = job->require ? strdup(job->require) : NULL;
	spec.sticky = job->sticky;
	spec.offload = job->offload ? strdup(job->offload) : NULL;
	for (size_t i = 0; i < sizeof spec.uuid; i++)
		ck_assert_int_eq(sscanf(s.uuid + 2 * i, "%2hhx", &spec.uuid[i]), 1);
	spec.name = strdup("test");
	PARSED(ranq_queue_submit_cmd(&tq.q, &tq.cmd, &s, &tq.err));
	ranq_spec_clear(&spec);
	tq_call();
	return ranq_queue_submit_parse(tq.reply, &number, &existed, &tq.err) ? 0 : number;
}

void tq_join(const char *bridge, unsigned ranks)
{
	struct ranq_bridge_meta meta = {
		.host = "node1", .allocation = "job-17", .user = "me", .version = "1", .ranks = ranks};
	int64_t lease_ms;

	ranq_queue_join_cmd(&tq.q, &tq.cmd, bridge, &meta);
	tq_call();
	PARSED(ranq_queue_join_parse(tq.reply, &lease_ms, &tq.err));
}

struct ranq_lease_reply tq_lease_opt(
	const char *bridge, uint64_t want, unsigned max, unsigned flags, int64_t left_ms, const char *tags)
{
	struct ranq_lease_reply out;

	ranq_queue_lease_cmd(&tq.q, &tq.cmd, bridge, ++tq.seq, want, max, flags, left_ms, tags);
	tq_call();
	PARSED(ranq_queue_lease_parse(tq.reply, &out, &tq.err));
	return out;
}

struct ranq_lease_reply tq_lease(const char *bridge, uint64_t want)
{
	return tq_lease_opt(bridge, want, 64, 0, -1, NULL);
}

struct ranq_range tq_lease1(const char *bridge, uint64_t want)
{
	struct ranq_lease_reply r = tq_lease(bridge, want);

	ck_assert_uint_eq(r.n, 1);
	return r.ranges[0];
}

static bool commit(const char *bridge, const struct ranq_commit_item *item)
{
	struct ranq_commit_reply out;

	ranq_queue_commit_begin(&tq.q, &tq.cmd, bridge);
	ck_assert_int_eq(ranq_queue_commit_add(&tq.cmd, item), 0);
	tq_call();
	PARSED(ranq_queue_commit_parse(tq.reply, &out, &tq.err));
	ck_assert_uint_eq(out.n, 1);
	return out.accepted[0];
}

bool tq_commit_bytes(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end,
	const void *item, size_t len)
{
	return commit(bridge, &(struct ranq_commit_item){.job = range->job,
				      .at = at,
				      .seq = range->seq,
				      .start = start,
				      .end = end,
				      .counts = {end - start},
				      .item = {item, len},
				      .elapsed_us = 10});
}

bool tq_commit(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end)
{
	char item[64];

	snprintf(item, sizeof item, "%llu-%llu", (unsigned long long)start, (unsigned long long)end);
	return tq_commit_bytes(bridge, range, at, start, end, item, strlen(item));
}

bool tq_commit_failed(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end,
	const char *record)
{
	uint64_t index[64];
	struct ranq_bytes records[64];

	ck_assert_uint_le(end - start, 64);
	for (uint64_t i = 0; i < end - start; i++) {
		index[i] = start + i;
		records[i] = (struct ranq_bytes){record, strlen(record)};
	}
	return commit(bridge, &(struct ranq_commit_item){.job = range->job,
				      .at = at,
				      .seq = range->seq,
				      .start = start,
				      .end = end,
				      .counts = {0, end - start},
				      .item = {"failed", 6},
				      .nfailures = end - start,
				      .failure_index = index,
				      .failures = records});
}

void tq_release(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end,
	enum ranq_release_kind kind)
{
	struct ranq_fragment f = {range->job, at, range->seq, start, end, kind};

	ranq_queue_release_cmd(&tq.q, &tq.cmd, bridge, &f, 1);
	tq_call();
	PARSED(ranq_queue_release_parse(tq.reply, &tq.err));
}

struct ranq_beat_reply tq_beat(const char *bridge)
{
	struct ranq_beat_reply out;

	ranq_queue_beat_cmd(&tq.q, &tq.cmd, bridge, NULL, 0, 0, 0);
	tq_call();
	PARSED(ranq_queue_beat_parse(tq.reply, &out, &tq.err));
	return out;
}

size_t tq_resync(const char *bridge, const struct ranq_fragment *list, size_t n, size_t *gone)
{
	return tq_resync_page(bridge, list, &(struct ranq_resync_page){.n = n, .last = true}, gone);
}

size_t tq_resync_page(
	const char *bridge, const struct ranq_fragment *list, const struct ranq_resync_page *page, size_t *gone)
{
	size_t ngone;

	PARSED(ranq_queue_resync_cmd(&tq.q, &tq.cmd, bridge, list, page));
	tq_call();
	PARSED(ranq_queue_resync_parse(tq.reply, &ngone, gone, &tq.err));
	return ngone;
}

void tq_leave(const char *bridge)
{
	bool more;

	do {
		ranq_queue_leave_cmd(&tq.q, &tq.cmd, bridge);
		tq_call();
		PARSED(ranq_queue_leave_parse(tq.reply, &more, &tq.err));
	} while (more);
}

void tq_dead(const char *bridge, const struct ranq_task_name *blamed, size_t n)
{
	bool more;

	do {
		PARSED(ranq_queue_dead_cmd(&tq.q, &tq.cmd, bridge, blamed, n));
		tq_call();
		PARSED(ranq_queue_leave_parse(tq.reply, &more, &tq.err));
	} while (more);
}

struct ranq_job_info tq_info(uint64_t job)
{
	struct ranq_job_info info;

	ranq_queue_info_cmd(&tq.q, &tq.cmd, job);
	tq_call();
	PARSED(ranq_queue_info_parse(tq.reply, &info, &tq.err));
	return info;
}

struct ranq_audit tq_audit(uint64_t job)
{
	struct ranq_audit a;

	ranq_queue_audit_cmd(&tq.q, &tq.cmd, job);
	tq_call();
	PARSED(ranq_queue_audit_parse(tq.reply, &a, &tq.err));
	ck_assert_uint_eq(a.leased + a.returned + a.done + a.remaining, a.tasks);
	ck_assert_uint_eq(a.overlaps, 0);
	return a;
}

struct ranq_queue_info tq_stat(void)
{
	struct ranq_queue_info info;

	ranq_queue_stat_cmd(&tq.q, &tq.cmd);
	tq_call();
	PARSED(ranq_queue_stat_parse(tq.reply, &info, &tq.err));
	return info;
}

uint64_t tq_control(void)
{
	uint64_t sum = 0, n;
	bool more;

	do {
		tq_call();
		PARSED(ranq_queue_control_parse(tq.reply, &n, &more, &tq.err));
		sum += n;
	} while (more);
	return sum;
}

uint64_t tq_cancel(uint64_t job)
{
	ranq_queue_cancel_cmd(&tq.q, &tq.cmd, job, NULL);
	return tq_control();
}

uint64_t tq_remove(uint64_t job)
{
	ranq_queue_remove_cmd(&tq.q, &tq.cmd, job);
	return tq_control();
}

uint64_t tq_retry(uint64_t job, bool failed_only)
{
	ranq_queue_retry_cmd(&tq.q, &tq.cmd, job, failed_only, NULL, 0);
	return tq_control();
}

struct ranq_fetch_reply *tq_fetch(uint64_t job, bool unordered, uint64_t from, const char *waiter)
{
	static struct ranq_fetch_reply out;
	struct ranq_fetch f = {job, unordered, from, 1 << 20, 256, waiter};

	ranq_queue_fetch_cmd(&tq.q, &tq.cmd, &f);
	tq_call();
	PARSED(ranq_queue_fetch_parse(tq.reply, &out, &tq.err));
	return &out;
}

const char *tq_bell(const char *id)
{
	static char text[64];
	struct ranq_bytes b;

	tq_command("LPOP %sbell:%s", tq.q.base, id);
	b = ranq_reply_bytes(tq.reply);
	snprintf(text, sizeof text, "%.*s", (int)b.len, b.len ? (const char *)b.data : "");
	return text;
}

enum ranq_err_code tq_code(void)
{
	uint64_t n;
	bool more;

	tq_call();
	if (ranq_reply_type(tq.reply) != RANQ_REPLY_ERROR)
		return RANQ_ERR_OK;
	ranq_queue_control_parse(tq.reply, &n, &more, &tq.err);
	return tq.err.code;
}

uint64_t tq_begin_pair(uint64_t tasks)
{
	tq_join(tq_id('a'), 1);
	tq_join(tq_id('b'), 1);
	return TQ_JOB(.tasks = tasks);
}

void tq_end_pair(uint64_t job)
{
	tq_audit(job);
	tq_remove(job);
	for (char bridge = 'a'; bridge <= 'b'; bridge++) {
		tq_leave(tq_id(bridge));
		tq_command("DEL %sbell:%s", tq.q.base, tq_id(bridge));
	}
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}

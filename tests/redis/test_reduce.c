/* The reader of a reduced job against a real server: what is joined and freed belongs together, whoever dies or takes
 * over, and however old the server is that comes back; damaged items are an error, not a sum. */
#include "client/reduce.h" /* first: ranq.h comes before check.h, which defines a macro `fail` */

#include <stdio.h>
#include <string.h>

#include "tests/support/queue_driver.h"

static struct ranq_err err;
static const struct ranq_spec spec = {.reduce = (char[]){"sum_int64"}, .body = RANQ_BODY_FUNCTION};

static struct ranq_session *open_session(void)
{
	struct ranq_session_options options = {.queue = "t", .patience_ms = 10000, .interrupt_fd = -1};
	struct ranq_server_addr addr;
	struct ranq_session *session;
	char text[128];

	snprintf(text, sizeof text, "unix://%s", test_queue_server()->socket);
	ranq_server_addr_init(&addr);
	ck_assert_int_eq(ranq_server_addr_parse(text, &addr, NULL), 0);
	session = ranq_session_open(&addr, &options, &err);
	ck_assert_ptr_nonnull(session);
	ranq_server_addr_clear(&addr);
	return session;
}

static struct ranq_reducing *open_reader(struct ranq_session *session, uint64_t job, bool consume)
{
	struct ranq_reduce how = ranq_reduce_of(&spec);
	struct ranq_reducing_options options = {.consume = consume};
	struct ranq_reducing *reader = ranq_reducing_open(session, job, &how, &options, &err);

	ck_assert_ptr_nonnull(reader);
	return reader;
}

static struct ranq_range leased;

static uint64_t job_of(uint64_t tasks)
{
	uint64_t job = TQ_JOB(.tasks = tasks);

	tq_join(tq_id('a'), 1);
	leased = tq_lease1(tq_id('a'), tasks);
	ck_assert(leased.start == 0 && leased.end == tasks);
	return job;
}

/* Tasks [start, end) of the fragment at `at`, each of which gave 1. */
static void commit_ones_at(uint64_t at, uint64_t start, uint64_t end)
{
	struct ranq_buf item;
	int64_t sum = (int64_t)(end - start);

	ranq_buf_init(&item, 0);
	ranq_part_add(&item, &(struct ranq_part){end - start, end - start, {&sum, sizeof sum}});
	ck_assert(tq_commit_bytes(tq_id('a'), &leased, at, start, end, item.data, item.len));
	ranq_buf_clear(&item);
}

static void commit_ones(uint64_t start, uint64_t end)
{
	commit_ones_at(start, start, end);
}

static void not_finished(struct ranq_reducing *reader)
{
	struct ranq_part total;

	ck_assert_int_eq(ranq_reducing_total(reader, 0, &total, &err), -1);
	ck_assert_msg(err.code == RANQ_ERR_UNFINISHED, "%s", err.text);
}

static void is_total(struct ranq_reducing *reader, uint64_t tasks, int64_t want)
{
	struct ranq_part total;
	int64_t sum;

	ck_assert_msg(ranq_reducing_total(reader, ranq_clock_ms() + 60000, &total, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(total.count, tasks);
	ck_assert_uint_eq(total.ok, (uint64_t)want);
	memcpy(&sum, total.value.data, sizeof sum);
	ck_assert_int_eq(sum, want);
}

/* Until what was joined is acknowledged, which happens a few times a second. */
static void until_freed(struct ranq_reducing *reader, uint64_t job, uint64_t tasks)
{
	int64_t limit_ms = ranq_clock_ms() + 60000;

	while (tq_info(job).freed < tasks && ranq_clock_ms() < limit_ms)
		not_finished(reader);
	ck_assert_uint_eq(tq_info(job).freed, tasks);
}

START_TEST(a_reader_that_dies_is_followed_by_another)
{
	struct ranq_session *session = open_session(), *other = open_session();
	uint64_t job = job_of(100);
	struct ranq_reducing *first = open_reader(session, job, true), *second, *looker;

	commit_ones(0, 20);
	until_freed(first, job, 20);
	commit_ones(20, 50);
	not_finished(first); /* joined, and not acknowledged when it dies */
	second = open_reader(other, job, true);
	not_finished(second);
	ck_assert_uint_eq(ranq_reducing_facts(second)->joined, 50);
	commit_ones(50, 100);
	is_total(second, 100, 100);
	is_total(second, 100, 100); /* again, from what it has */
	ck_assert_uint_eq(tq_info(job).freed, 100);
	/* who was not dead after all is told so, and a late looker sees the value */
	ck_assert_int_eq(ranq_reducing_total(first, 0, &(struct ranq_part){0}, &err), -1);
	ck_assert_str_eq(err.text, "another client took over the results of job 't/1'");
	looker = open_reader(session, job, false);
	is_total(looker, 100, 100);
	ranq_reducing_close(first);
	ranq_reducing_close(second);
	ranq_reducing_close(looker);
	ranq_session_close(session);
	ranq_session_close(other);
}
END_TEST

START_TEST(who_only_looks_follows_the_consumer)
{
	struct ranq_session *session = open_session(), *other = open_session();
	uint64_t job = job_of(100);
	struct ranq_reducing *consumer = open_reader(session, job, true), *looker = open_reader(other, job, false);

	commit_ones(0, 20);
	not_finished(looker);
	commit_ones(20, 50);
	until_freed(consumer, job, 50); /* 20 to 50 are gone before the looker had them */
	commit_ones(50, 100);
	is_total(looker, 100, 100);
	is_total(consumer, 100, 100);
	ranq_reducing_close(consumer);
	ranq_reducing_close(looker);
	ranq_session_close(session);
	ranq_session_close(other);
}
END_TEST

/* The server forgot the last acknowledgement and what was committed since: as if it had been stopped with an older file. */
START_TEST(a_server_that_comes_back_older)
{
	struct ranq_session *session = open_session();
	uint64_t job = job_of(100);
	struct ranq_reducing *reader = open_reader(session, job, true);

	commit_ones(0, 20);
	until_freed(reader, job, 20);
	commit_ones(20, 30);
	not_finished(reader);
	ck_assert_uint_eq(ranq_reducing_facts(reader)->joined, 30);
	/* the reader has 20 to 30 from a server that is gone; this one got them as 20 to 60 */
	tq_command("HDEL ranq:{t}:j:1:r 20");
	tq_command("ZREMRANGEBYSCORE ranq:{t}:j:1:i 20 20");
	tq_command("ZREMRANGEBYSCORE ranq:{t}:j:1:a 2 2");
	tq_counter(1, "done", "value - 10");
	tq_counter(1, "leased", "value + 10");
	tq_command("HDEL ranq:{t}:b:%s 1:30", tq_id('a'));
	tq_command("HSET ranq:{t}:b:%s 1:20 100:%llu:0:0:n", tq_id('a'), (unsigned long long)leased.seq);
	session->restarts++;
	commit_ones(20, 60);
	commit_ones(60, 100);
	is_total(reader, 100, 100);
	ranq_reducing_close(reader);
	ranq_session_close(session);
}
END_TEST

START_TEST(damage_is_no_sum)
{
	static const struct {
		const char *item;
		size_t len;
		const char *error;
	} bad[] = {
		{"r\12\12\1", 4, "malformed"},                           /* cut off */
		{"r\11\11\10abcdefgh", 12, "an item of another length"}, /* of nine tasks */
		{"u\12\1abcdefghij", 13, "unknown kind"},
		{"r\5\5\10abcdefghr\5\5\3abc", 19, "do not go together"},
	};
	struct ranq_session *session = open_session();
	struct ranq_part total;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint64_t job = TQ_JOB(.tasks = 10);
		struct ranq_reducing *reader;

		tq_join(tq_id('a'), 1);
		leased = tq_lease1(tq_id('a'), 10);
		ck_assert(tq_commit_bytes(tq_id('a'), &leased, 0, 0, 10, bad[i].item, bad[i].len));
		reader = open_reader(session, job, false);
		ck_assert_int_eq(ranq_reducing_total(reader, ranq_clock_ms() + 60000, &total, &err), -1);
		ck_assert_msg(strstr(err.text, bad[i].error) != NULL, "%s", err.text);
		ranq_reducing_close(reader);
	}
	ranq_session_close(session);
}
END_TEST

START_TEST(tasks_that_never_ran)
{
	struct ranq_session *session = open_session();
	uint64_t job = job_of(100);
	struct ranq_reducing *reader = open_reader(session, job, true);

	commit_ones_at(0, 10, 30);
	not_finished(reader);
	ck_assert_uint_eq(ranq_reducing_facts(reader)->joined, 0);
	tq_cancel(job);
	is_total(reader, 100, 20);
	ranq_reducing_close(reader);
	ranq_session_close(session);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_reader_that_dies_is_followed_by_another, who_only_looks_follows_the_consumer,
		a_server_that_comes_back_older, damage_is_no_sum, tasks_that_never_ran};

	return test_queue_main("reduce", tests, sizeof tests / sizeof *tests);
}

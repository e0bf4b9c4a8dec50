/* The queue's part in scaling: demand, and the record with its one holder. */
#include <stdio.h>
#include <string.h>

#include "queue/scale.h"
#include "tests/support/queue_driver.h"

#define A tq_id('a')
#define B tq_id('b')

static struct ranq_demand demand(void)
{
	struct ranq_demand d;

	ck_assert_int_eq(ranq_queue_demand_cmd(&tq.q, &tq.cmd), 0);
	tq_call();
	ck_assert_int_eq(ranq_queue_demand_parse(tq.reply, &d, &tq.err), 0);
	return d;
}

static bool hold(const char *who, int64_t ms, struct ranq_scale_record *other)
{
	struct ranq_scale_record ignored;
	bool held;

	ranq_queue_scale_hold_cmd(&tq.q, &tq.cmd, who, ms, "host:7");
	tq_call();
	ck_assert_int_eq(ranq_queue_scale_hold_parse(tq.reply, &held, other ? other : &ignored, &tq.err), 0);
	return held;
}

static enum ranq_err_code set(const char *holder, const char *name, const char *value, const char *line)
{
	ranq_queue_scale_set_cmd(&tq.q, &tq.cmd, holder, 1);
	ranq_queue_scale_set_field(&tq.cmd, name, value);
	if (line)
		ranq_cmd_str(&tq.cmd, line);
	return tq_code();
}

static struct ranq_scale_record get(unsigned lines)
{
	struct ranq_scale_record record;

	ranq_queue_scale_get_cmd(&tq.q, &tq.cmd, lines);
	tq_call();
	ck_assert_int_eq(ranq_queue_scale_get_parse(tq.reply, &record, &tq.err), 0);
	return record;
}

/* Value of a field of the last get. */
static const char *field(const struct ranq_scale_record *record, const char *name)
{
	static char text[256];
	struct ranq_bytes key, value;

	for (size_t i = 0; i < record->nfields; i++) {
		ranq_queue_scale_field(tq.reply, i, &key, &value);
		if (key.len == strlen(name) && !memcmp(key.data, name, key.len)) {
			snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.data);
			return text;
		}
	}
	return NULL;
}

START_TEST(demand_counts_what_could_run)
{
	uint64_t first, second;
	struct ranq_demand d = demand();

	ck_assert(!d.exists && !d.paused && d.n == 0);
	first = TQ_JOB(.tasks = 100);
	second = TQ_JOB(.tasks = 7, .require = "gpu", .time_request_ms = 60000);
	TQ_JOB(.tasks = 50, .after = {first}, .nafter = 1); /* waits: not counted */
	tq_join(A, 4);
	struct ranq_range r = tq_lease_opt(A, 30, 1, 0, -1, NULL).ranges[0];
	ck_assert(tq_commit(A, &r, 0, 0, 10));
	d = demand();
	ck_assert(d.exists && d.ready == 2 && d.n == 2 && d.lease_ms == RANQ_LEASE_MS_DEFAULT);
	ck_assert_uint_eq(d.jobs[0].job, first);
	ck_assert_uint_eq(d.jobs[0].tasks, 100);
	ck_assert_uint_eq(d.jobs[0].done, 10);
	ck_assert_uint_eq(d.jobs[0].leased, 20);
	ck_assert_uint_eq(d.jobs[0].waiting, 70);
	ck_assert_str_eq(d.jobs[0].tags, "");
	ck_assert_uint_eq(d.jobs[1].job, second);
	ck_assert_int_eq(d.jobs[1].time_request_ms, 60000);
	ck_assert_str_eq(d.jobs[1].tags, "gpu");
	tq_leave(A); /* what it held waits again */
	ck_assert_uint_eq(demand().jobs[0].waiting, 90);
	tq_cancel(first);
	ck_assert_uint_eq(demand().n, 1);
	/* a job that is leased as a whole is work as well, of which more may come back */
	tq_join(B, 4);
	first = TQ_JOB(.tasks = 6);
	r = tq_lease_opt(B, 30, 1, 0, -1, NULL).ranges[0];
	ck_assert_uint_eq(r.end - r.start, 6);
	d = demand();
	ck_assert(d.n == 2 && d.ready == 1);
	ck_assert_uint_eq(d.jobs[1].job, first);
	ck_assert(d.jobs[1].leased == 6 && d.jobs[1].waiting == 0);
	ck_assert(tq_commit(B, &r, 0, 0, 6));
	ck_assert_uint_eq(demand().n, 1);
	ranq_queue_pause_cmd(&tq.q, &tq.cmd, true);
	tq_control();
	ck_assert(demand().paused);
}
END_TEST

START_TEST(one_holds_the_record)
{
	struct ranq_scale_record record = get(10), other;

	ck_assert(!record.exists && record.nfields == 0 && record.left_ms == 0);
	ck_assert_int_eq(set("", "mode", "pause", NULL), RANQ_ERR_NOTFOUND);
	ck_assert_int_eq(set(A, "o:max", "4", NULL), RANQ_ERR_STATE); /* holds nothing */
	ck_assert(hold(A, 60000, NULL));
	ck_assert(!hold(B, 60000, &other));
	ck_assert_str_eq(other.who, "host:7");
	ck_assert(other.left_ms > 50000 && other.left_ms <= 60000);
	ck_assert_int_eq(set(A, "o:max", "4", "grew to 4"), RANQ_ERR_OK);
	ck_assert_int_eq(set(B, "o:max", "5", "stolen"), RANQ_ERR_STATE);
	ck_assert_int_eq(set("", "mode", "pause", NULL), RANQ_ERR_OK);
	ck_assert_int_eq(set("", "o:max", "6", NULL), RANQ_ERR_INPUT); /* the holder's business */
	record = get(10);
	ck_assert(record.exists && record.nlines == 1 && record.left_ms > 0);
	ck_assert_str_eq(field(&record, "o:max"), "4");
	ck_assert_str_eq(field(&record, "mode"), "pause");
	struct ranq_bytes line = ranq_queue_scale_line(tq.reply, &record, 0);
	ck_assert(line.len == 9 && !memcmp(line.data, "grew to 4", 9));
	/* it lets go, the other one takes over and finds all */
	ck_assert(!hold(A, 0, NULL));
	ck_assert(hold(B, 60000, NULL));
	ck_assert_int_eq(set(A, "o:max", "7", NULL), RANQ_ERR_STATE);
	ck_assert_int_eq(set(B, "mode", "", NULL), RANQ_ERR_OK);
	record = get(0);
	ck_assert_ptr_null(field(&record, "mode"));
	ck_assert_str_eq(field(&record, "o:max"), "4");
}
END_TEST

/* A scaler that was killed holds nothing for longer than it asked. */
START_TEST(a_hold_ends_by_itself)
{
	ck_assert(hold(A, 60000, NULL));
	tq_command("HINCRBY %sscale until -60001", tq.q.base);
	ck_assert_int_eq(set(A, "mode", "pause", NULL), RANQ_ERR_STATE);
	ck_assert(hold(B, 1000, NULL));
}
END_TEST

START_TEST(the_record_is_bounded_and_goes)
{
	char line[8];
	struct ranq_scale_record record;

	ck_assert(hold(A, 60000, NULL));
	for (int i = 0; i < 300; i++) {
		snprintf(line, sizeof line, "%d", i);
		ck_assert_int_eq(set(A, "serial", line, line), RANQ_ERR_OK);
	}
	record = get(200);
	ck_assert_uint_eq(record.nlines, 200);
	ck_assert_int_gt(tq_command("TTL %sscale", tq.q.base), 86400);
	/* the queue's end does not end it, its removal does, and so does its holder */
	TQ_JOB(.tasks = 1);
	ranq_queue_destroy_cmd(&tq.q, &tq.cmd);
	tq_control();
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
	ck_assert(hold(A, 60000, NULL));
	ck_assert_int_eq(set(A, "serial", "1", "line"), RANQ_ERR_OK);
	ranq_queue_scale_end_cmd(&tq.q, &tq.cmd, B);
	ck_assert_int_eq(tq_code(), RANQ_ERR_STATE);
	ranq_queue_scale_end_cmd(&tq.q, &tq.cmd, A);
	ck_assert_int_eq(tq_code(), RANQ_ERR_OK);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {demand_counts_what_could_run, one_holds_the_record, a_hold_ends_by_itself,
		the_record_is_bounded_and_goes};

	return test_queue_main("protocol of scaling", tests, sizeof tests / sizeof *tests);
}

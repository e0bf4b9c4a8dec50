/* Keys that somebody else wrote into: whatever stands there, calls end, no other job is harmed, and the victim can be
 * removed. Seeded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/queue_driver.h"

static const char *const values[] = {"", "nan", "inf", "-inf", "-0", "1e3", "0x10", " 12", "12\n", "9007199254740991",
	"9007199254740992", "9007199254740993", "18446744073709551616", "-1", "007", "a:b", "%-.[", "*?[", "\xff\xfe",
	"5:1:0:0:n", "0:0:0:0:n", "9:3:x:0:n", "5:0:1:1:s", "COMPLETE", "NONSENSE", "0 0 0 0 0 0 0 0 0 "};
enum { VALUES = sizeof values / sizeof *values };

static uint64_t state;

static unsigned draw(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static void command(const char *const *words, size_t n)
{
	ranq_cmd_reset(&tq.cmd);
	for (size_t i = 0; i < n; i++)
		ranq_cmd_str(&tq.cmd, words[i]);
	tq_call();
}

/* Does something bad to one key of job 1. */
static void corrupt(void)
{
	static const char *const suffixes[] = {"", ":spec", ":ret", ":nr", ":r", ":i", ":a", ":f", ":in", ":inx", ":w",
		":c", ":ak", ":rr", ":ri", ":deps", ":rdeps"};
	static const char *const fields[] = {"counts", "policy", "round", "uuid", "started", "creason", "pr"};
	static const char *const counters[] = {"state", "n", "next", "done", "leased", "retn", "arr", "bytes", "tb", "el",
		"w", "held", "open", "parked", "c1", "c2", "c3", "c4", "fto", "nak"};
	static const char *const numbers[] = {"-1", "1.5", "0/0", "1/0", "9007199254740993", "true", "'7'", "{1}", "value + 1"};
	char key[64];
	const char *value = values[draw(VALUES)];

	snprintf(key, sizeof key, "ranq:{t}:j:1%s", suffixes[draw(sizeof suffixes / sizeof *suffixes)]);
	switch (draw(6)) {
	case 0:
		command((const char *[]){"DEL", key}, 2);
		break;
	case 1: /* another type */
		command((const char *[]){"DEL", key}, 2);
		command((const char *[]){draw(2) ? "RPUSH" : "SADD", key, value}, 3);
		break;
	case 2:
		command((const char *[]){"ZADD", key, draw(2) ? "inf" : "3", value}, 4);
		break;
	case 3:
		tq_counter(1, counters[draw(sizeof counters / sizeof *counters)],
			numbers[draw(sizeof numbers / sizeof *numbers)]);
		break;
	default:
		command((const char *[]){"HSET", "ranq:{t}:j:1", fields[draw(sizeof fields / sizeof *fields)], value},
			4);
	}
}

/* Calls everything that takes a job on the victim; any answer will do, an answer there must be. */
static void call_all(void)
{
	struct ranq_fetch f = {1, draw(2), draw(5), 1000, 10, tq_id('d')};
	struct ranq_bytes none = {"", 0};

	ranq_queue_info_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	ranq_queue_jobs_cmd(&tq.q, &tq.cmd, 0, 100);
	tq_call();
	ranq_queue_fetch_cmd(&tq.q, &tq.cmd, &f);
	tq_call();
	ranq_queue_overlay_cmd(&tq.q, &tq.cmd, 1, 0, 100);
	tq_call();
	ranq_queue_failures_cmd(&tq.q, &tq.cmd, 1, 0, 100);
	tq_call();
	ranq_queue_audit_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	ranq_queue_places_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	ranq_queue_input_cmd(&tq.q, &tq.cmd, 1, 0, 5, 100);
	tq_call();
	ranq_queue_spec_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	ranq_queue_watch_cmd(&tq.q, &tq.cmd, 1, tq_id('e'));
	tq_call();
	ranq_queue_attach_consumer_cmd(&tq.q, &tq.cmd, 1, tq_id('d'));
	tq_call();
	ranq_queue_ack_cmd(&tq.q, &tq.cmd, 1, 1, &none, (const uint64_t[][2]){{0, 3}, {5, 7}}, 2);
	tq_call();
	if (draw(3) == 0) {
		ranq_queue_cancel_cmd(&tq.q, &tq.cmd, 1, "x");
		tq_call();
	}
	ranq_queue_retry_cmd(&tq.q, &tq.cmd, 1, draw(2), &(uint64_t){draw(100)}, draw(2));
	tq_call();
}

/* A bridge does what it gets: every range of every job, as well as the server lets it. */
static void work(const char *bridge)
{
	static struct ranq_lease_reply r;

	for (int i = 0; i < 50; i++) {
		ranq_queue_lease_cmd(&tq.q, &tq.cmd, bridge, ++tq.seq, 7, 4, 0, -1, NULL);
		tq_call();
		if (ranq_queue_lease_parse(tq.reply, &r, &tq.err) || !r.n)
			break;
		ranq_queue_commit_begin(&tq.q, &tq.cmd, bridge);
		for (size_t k = 0; k < r.n; k++) { /* the victim's and the other's in one call */
			struct ranq_commit_item item = {.job = r.ranges[k].job,
				.at = r.ranges[k].start,
				.seq = r.ranges[k].seq,
				.start = r.ranges[k].start,
				.end = r.ranges[k].end,
				.counts = {r.ranges[k].end - r.ranges[k].start},
				.item = {"x", 1}};

			ranq_queue_commit_add(&tq.cmd, &item);
		}
		tq_call();
	}
}

static void history(uint64_t seed)
{
	struct ranq_range r;
	struct ranq_job_info info;
	const char *a = tq_id('a'), *b = tq_id('b');

	state = seed;
	tq_command("FLUSHALL");
	tq.seq = 0;
	TQ_JOB(.tasks = 60, .priority = 1);
	tq_join(a, 1);
	tq_join(b, 1);
	r = tq_lease1(a, 30);
	tq_commit(a, &r, 0, 0, 3);
	tq_commit_failed(a, &r, 3, 3, 5, "r");
	tq_release(a, &r, 5, 10, 20, draw(2) ? RANQ_RELEASE_SUSPECT : RANQ_RELEASE_DRAINED);
	TQ_JOB(.tasks = 40);
	for (unsigned i = 1 + draw(3); i > 0; i--)
		corrupt();
	call_all();
	work(b);
	call_all();
	work(b);
	info = tq_info(2);
	ck_assert_msg(info.state == RANQ_JOB_COMPLETE, "seed %llu: the other job is %s, %llu of 40 done",
		(unsigned long long)seed, ranq_job_state_name(info.state), (unsigned long long)info.done);
	for (int i = 0; i < 8; i++) { /* a dies holding parts of the victim */
		tq_pass(3000);
		ranq_queue_beat_cmd(&tq.q, &tq.cmd, b, NULL, 0, 0, 0);
		tq_call();
	}
	ck_assert_msg(tq_stat().bridges == 1, "seed %llu: the dead bridge is still there", (unsigned long long)seed);
	ranq_queue_remove_cmd(&tq.q, &tq.cmd, 1);
	tq_call();
	/* a policy that somebody wrote may let it live for 0 ms; that nothing of it stays is looked at below */
	ck_assert_msg(ranq_reply_type(tq.reply) == RANQ_REPLY_ARRAY ||
			      !strncmp(ranq_reply_bytes(tq.reply).data, "RANQ_NOTFOUND", 13),
		"seed %llu: remove: %.*s", (unsigned long long)seed, (int)ranq_reply_bytes(tq.reply).len,
		(const char *)ranq_reply_bytes(tq.reply).data);
	tq_remove(2);
	tq_leave(b);
	for (char c = 'a'; c <= 'f'; c++) {
		ranq_queue_bell_drop_cmd(&tq.cmd, &tq.q, tq_id(c));
		tq_call();
	}
	tq_command("KEYS *");
	for (size_t i = 0; i < ranq_reply_count(tq.reply); i++) {
		struct ranq_bytes key = ranq_reply_bytes(ranq_reply_at(tq.reply, i));

		ck_abort_msg("seed %llu: '%.*s' stays", (unsigned long long)seed, (int)key.len, (const char *)key.data);
	}
}

START_TEST(whatever_stands_in_the_keys_of_a_job)
{
	const char *first = getenv("RANQ_HOSTILE_SEED"), *count = getenv("RANQ_HOSTILE_SEEDS");
	uint64_t from = first ? strtoull(first, NULL, 10) : 1, n = count ? strtoull(count, NULL, 10) : 150;

	for (uint64_t seed = from; seed < from + n; seed++)
		history(seed);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {whatever_stands_in_the_keys_of_a_job};

	return test_queue_main("protocol hostile", tests, 1);
}

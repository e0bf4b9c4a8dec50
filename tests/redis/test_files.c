/* Files of jobs that are gone from the queue: whoever sees them removes them, and nothing else. */
#include "client/remove.h" /* first: ranq.h comes before check.h, which defines a macro `fail` */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/offload.h"
#include "tests/support/queue_driver.h"

#define LATE "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define FILES_MAX 10000

static char top[96];
static struct ranq_session *session;
static struct ranq_err err;

static struct ranq_session *open_session(void)
{
	struct ranq_session_options options = {.queue = "t", .patience_ms = 10000, .interrupt_fd = -1};
	struct ranq_server_addr addr;
	char text[128];

	snprintf(text, sizeof text, "unix://%s", test_queue_server()->socket);
	ranq_server_addr_init(&addr);
	ck_assert_int_eq(ranq_server_addr_parse(text, &addr, NULL), 0);
	struct ranq_session *opened = ranq_session_open(&addr, &options, &err);
	ck_assert_ptr_nonnull(opened);
	ranq_server_addr_clear(&addr);
	return opened;
}

static void begin(void)
{
	snprintf(top, sizeof top, "%s/XXXXXX", test_queue_server()->dir);
	ck_assert_ptr_nonnull(mkdtemp(top));
	session = open_session();
}

static void end(void)
{
	ranq_session_close(session);
}

/* n results of the job with that uuid. */
static void write_files(const char *uuid, int n)
{
	struct ranq_spec spec;
	struct ranq_file_ref ref;
	bool made = false;

	ranq_spec_init(&spec);
	spec.offload = strdup(top);
	for (size_t i = 0; i < sizeof spec.uuid; i++)
		ck_assert_int_eq(sscanf(uuid + 2 * i, "%2hhx", &spec.uuid[i]), 1);
	for (int i = 0; i < n; i++) {
		struct ranq_offload_file *file = ranq_offload_begin(&spec, &made);
		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(ranq_offload_add(file, &i, sizeof i), 0);
		ck_assert_int_eq(ranq_offload_finish(file, &ref), 0);
	}
	ranq_spec_clear(&spec);
}

static bool there(const char *uuid)
{
	char path[160];
	snprintf(path, sizeof path, "%s/ranq-%s", top, uuid);
	return access(path, F_OK) == 0;
}

static int64_t entries(void)
{
	return tq_command("ZCARD %sfiles", tq.q.base);
}

/* A job of which nothing but its files is left. */
static void leave(const char *uuid, int n)
{
	uint64_t job = TQ_JOB(.tasks = 1, .uuid = uuid, .offload = top);
	write_files(uuid, n);
	ck_assert_uint_eq(tq_remove(job), 1);
	ck_assert(there(uuid));
}

START_TEST(an_expired_job_leaves_them_to_the_next_client)
{
	begin();
	uint64_t late = TQ_JOB(.tasks = 1, .uuid = LATE, .offload = top, .ttl_ms = 1000);
	uint64_t plain = TQ_JOB(.tasks = 1, .ttl_ms = 1000);
	ck_assert(TQ_JOB(.tasks = 1, .uuid = OTHER, .offload = top));
	write_files(LATE, 3);
	write_files(OTHER, 1);
	tq_cancel(late);
	tq_cancel(plain);
	ranq_files_sweep(session, 10000);
	ck_assert(there(LATE)); /* over, and not expired */
	tq_pass(60000);
	ck_assert_uint_eq(tq_stat().jobs, 1);
	ck_assert_int_eq(entries(), 1);
	ck_assert(there(LATE)); /* whoever took it dies here */
	ranq_files_sweep(session, 10000);
	ck_assert(!there(LATE));
	ck_assert(there(OTHER));
	ck_assert_int_eq(entries(), 0);
	end();
}
END_TEST

START_TEST(a_job_removed_where_nobody_sees_them)
{
	char away[120];
	begin();
	snprintf(away, sizeof away, "%s.away", top);
	uint64_t job = TQ_JOB(.tasks = 1, .uuid = LATE, .offload = top);
	write_files(LATE, 1);
	ck_assert_int_eq(rename(top, away), 0);
	ck_assert_int_eq(ranq_job_remove(session, job, true, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "is removed, but: results may be left in"));
	ck_assert(!tq_stat().exists);
	ck_assert_int_eq(entries(), 1);
	ck_assert_int_gt(tq_command("TTL %sfiles", tq.q.base), 86400);
	ck_assert_int_eq(rename(away, top), 0);
	/* the queue is gone; a client of the same name finds them all the same */
	uint64_t jobs;
	ck_assert_int_eq(ranq_queue_remove(session, &jobs, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_NOTFOUND);
	ck_assert(!there(LATE));
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
	end();
}
END_TEST

START_TEST(removing_a_job_takes_what_others_left)
{
	begin();
	uint64_t job = TQ_JOB(.tasks = 1, .uuid = OTHER, .offload = top);
	write_files(OTHER, 1);
	leave(LATE, 1);
	leave("dddddddddddddddddddddddddddddddd", 1);
	write_files("cccccccccccccccccccccccccccccccc", 1); /* of somebody else's queue */
	ck_assert_int_eq(ranq_job_remove(session, job, true, &err), 0);
	ck_assert(!there(OTHER) && !there(LATE) && !there("dddddddddddddddddddddddddddddddd"));
	ck_assert(there("cccccccccccccccccccccccccccccccc"));
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
	end();
}
END_TEST

START_TEST(a_queue_of_many_jobs)
{
	enum { JOBS = 120 };
	char uuid[RANQ_ID_LEN + 1];
	uint64_t jobs;

	begin();
	for (int i = 0; i < JOBS; i++) {
		ranq_id_new(uuid);
		TQ_JOB(.tasks = 1, .uuid = uuid, .offload = top);
		if (i % 50 == 0)
			write_files(uuid, 1);
	}
	ck_assert_int_eq(ranq_queue_remove(session, &jobs, &err), 0);
	ck_assert_uint_eq(jobs, JOBS);
	ck_assert_int_eq(rmdir(top), 0);
	ck_assert_int_eq(tq_command("DBSIZE"), 0);
	end();
}
END_TEST

/* No reply came, the job expired, its submitter asks again: it runs anew. */
START_TEST(a_job_that_is_sent_again_keeps_its_files)
{
	begin();
	leave(LATE, 1);
	ck_assert(TQ_JOB(.tasks = 1, .uuid = LATE, .offload = top));
	ck_assert_int_eq(entries(), 0);
	ranq_files_sweep(session, 10000);
	ck_assert(there(LATE));
	end();
}
END_TEST

static void sweep_in_child(void)
{
	struct ranq_session *own = open_session();
	ranq_files_sweep(own, 10000);
	ranq_session_close(own);
	_exit(0);
}

/* One of two at once is killed in the middle. */
START_TEST(sweepers_die_and_meet)
{
	int status, rounds = 0;
	pid_t child[2];

	begin();
	leave(LATE, 100);
	for (int i = 0; i < 2; i++) {
		child[i] = fork();
		if (child[i] == 0)
			sweep_in_child();
		ck_assert_int_gt(child[i], 0);
	}
	while (kill(child[0], SIGKILL) == 0 && waitpid(child[0], &status, 0) != child[0])
		ck_assert_int_lt(rounds++, 100);
	ck_assert_int_eq(waitpid(child[1], &status, 0), child[1]);
	for (rounds = 0; entries() && rounds < 60; rounds++)
		ranq_files_sweep(session, 10000);
	ck_assert_int_eq(entries(), 0);
	ck_assert(!there(LATE));
	end();
}
END_TEST

/* What somebody else wrote there is thrown away and leads nowhere. */
START_TEST(hostile_entries)
{
	static const char *const bad[] = {"x", LATE, LATE "relative", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaX/tmp", LATE "\n/", "/"};
	char target[160];

	begin();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		tq_command("ZADD %sfiles 1 %s", tq.q.base, bad[i]);
	ranq_cmd_reset(&tq.cmd);
	ranq_cmd_str(&tq.cmd, "ZADD");
	ranq_cmd_str(&tq.cmd, "ranq:{t}:files");
	ranq_cmd_str(&tq.cmd, "1");
	ranq_cmd_bytes(&tq.cmd, LATE "/tmp\0x", sizeof LATE "/tmp\0x" - 1);
	tq_call();
	ranq_files_sweep(session, 10000);
	ck_assert_int_eq(entries(), 0);
	write_files(OTHER, 1);
	snprintf(target, sizeof target, "%s/ranq-%s", top, LATE);
	ck_assert_int_eq(symlink("ranq-" OTHER, target), 0);
	tq_command("ZADD %sfiles 1 %s%s", tq.q.base, LATE, top);
	ranq_files_sweep(session, 10000);
	ck_assert(there(OTHER));
	ck_assert_int_eq(entries(), 1);
	tq_command("DEL %sfiles", tq.q.base);
	tq_command("SET %sfiles hello", tq.q.base);
	uint64_t job = TQ_JOB(.tasks = 1, .uuid = OTHER, .offload = top);
	ck_assert_uint_eq(tq_remove(job), 1);
	ranq_files_sweep(session, 10000);
	end();
}
END_TEST

START_TEST(the_oldest_give_way)
{
	char count[16];

	begin();
	snprintf(count, sizeof count, "%d", FILES_MAX);
	ranq_cmd_reset(&tq.cmd);
	for (const char *const *word = (const char *const[]){"EVAL", "for i = 1, ARGV[1] do redis.call('ZADD', KEYS[1], i, i) end", "1",
		     "ranq:{t}:files", count, NULL}; *word; word++)
		ranq_cmd_str(&tq.cmd, *word);
	tq_call();
	ck_assert_int_eq(entries(), FILES_MAX);
	leave(LATE, 1);
	ck_assert_int_eq(entries(), FILES_MAX);
	ck_assert_int_eq(tq_command("ZRANK %sfiles 2", tq.q.base), 0);
	ck_assert_int_eq(tq_command("ZRANK %sfiles %s%s", tq.q.base, LATE, top), FILES_MAX - 1);
	end();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {an_expired_job_leaves_them_to_the_next_client, a_job_removed_where_nobody_sees_them,
		removing_a_job_takes_what_others_left, a_queue_of_many_jobs, a_job_that_is_sent_again_keeps_its_files,
		sweepers_die_and_meet, hostile_entries, the_oldest_give_way};

	return test_queue_main("files", tests, sizeof tests / sizeof *tests);
}

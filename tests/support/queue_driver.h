/* queue_driver.h - drives the queue protocol from a test: one private server for a test case, one connection for a
 * test, and the calls as plain functions that fail the test when the call fails. */
#ifndef RANQ_TESTS_QUEUE_DRIVER_H
#define RANQ_TESTS_QUEUE_DRIVER_H

#include <check.h>

#include "queue/queue.h"
#include "tests/support/redis_server.h"

struct test_queue {
	struct ranq_conn *conn;
	struct ranq_queue q;
	struct ranq_cmd cmd;
	struct ranq_reply *reply; /* of the last call; replaced by the next one */
	struct ranq_err err;      /* of the last call that failed */
	uint64_t seq;             /* last lease sequence used */
};

/* One server for all tests of a case, with the given way of calling functions: for tcase_add_unchecked_fixture. */
void test_queue_server_functions(void);
void test_queue_server_evalsha(void);
void test_queue_server_legacy(void); /* scripts as servers before 7.0 get them */
void test_queue_server_stop(void);
const struct test_redis *test_queue_server(void);
/* A connection to an empty server, queue "t" attached: for tcase_add_checked_fixture. Everything works on `tq`. */
void test_queue_open(void);
void test_queue_close(void);
extern struct test_queue tq;
/* All tests of a file three times: through functions, through EVALSHA, and through scripts without flags. */
Suite *test_queue_suite(const char *name, const TTest *const *tests, size_t n);
int test_queue_main(const char *name, const TTest *const *tests, size_t n);

/* Sends tq.cmd; the reply is tq.reply. */
void tq_call(void);
/* Sends a plain command; returns its reply (an int, or 0). */
int64_t tq_command(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Somebody else changes a counter of a job: `value` of it becomes the Lua expression. A job without a readable one stays as it is. */
void tq_counter(uint64_t job, const char *name, const char *expression);
const char *tq_id(char letter); /* 32 times the letter: a bridge, client or waiter (a to f) */
void tq_pass(int64_t ms);       /* lets virtual time pass: as many calls as it takes, each at most a fifth of a lease */
void tq_attach(int64_t lease_ms);

struct tq_job {
	uint64_t tasks, backlog, max_output;
	enum ranq_results_mode results;
	uint32_t max_deaths, max_fails;
	int32_t priority;
	bool stop, open, staged, sticky;
	const char *require, *uuid, *offload, *reader;
	uint64_t after[4];
	size_t nafter;
	uint64_t time_request_ms, ttl_ms;
};
#define TQ_JOB(...) tq_submit(&(struct tq_job){__VA_ARGS__})
uint64_t tq_submit(const struct tq_job *job); /* 0 and tq.err when refused */
void tq_join(const char *bridge, unsigned ranks);
struct ranq_lease_reply tq_lease_opt(
	const char *bridge, uint64_t want, unsigned max, unsigned flags, int64_t left_ms, const char *tags);
struct ranq_lease_reply tq_lease(const char *bridge, uint64_t want);
struct ranq_range tq_lease1(const char *bridge, uint64_t want); /* exactly one range */
/* Commits [start, end) with the item "START-END" (as text); returns whether it was counted. */
bool tq_commit(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end);
bool tq_commit_failed(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end,
	const char *record);
bool tq_commit_bytes(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end,
	const void *item, size_t len);
void tq_release(const char *bridge, const struct ranq_range *range, uint64_t at, uint64_t start, uint64_t end,
	enum ranq_release_kind kind);
struct ranq_beat_reply tq_beat(const char *bridge);
size_t tq_resync(const char *bridge, const struct ranq_fragment *list, size_t n, size_t *gone);
size_t tq_resync_page(
	const char *bridge, const struct ranq_fragment *list, const struct ranq_resync_page *page, size_t *gone);
void tq_leave(const char *bridge);
void tq_dead(const char *bridge, const struct ranq_task_name *blamed, size_t n);
/* Two bridges and a job; and the job removed, the bridges gone, no key left. */
uint64_t tq_begin_pair(uint64_t tasks);
void tq_end_pair(uint64_t job);
struct ranq_job_info tq_info(uint64_t job);
struct ranq_audit tq_audit(uint64_t job); /* asserts the accounting of I12, too */
struct ranq_queue_info tq_stat(void);
uint64_t tq_control(void); /* sends tq.cmd, repeats while there is more, returns the sum */
uint64_t tq_cancel(uint64_t job);
uint64_t tq_remove(uint64_t job);
uint64_t tq_retry(uint64_t job, bool failed_only);
struct ranq_fetch_reply *tq_fetch(uint64_t job, bool unordered, uint64_t from, const char *waiter);
/* Text of one bell, "" when none is there. */
const char *tq_bell(const char *id);
/* Sends tq.cmd and returns the code of the error that the reply stands for; OK when it is no error. */
enum ranq_err_code tq_code(void);

#endif

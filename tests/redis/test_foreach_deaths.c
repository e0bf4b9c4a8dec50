/* test_foreach_deaths.c - ranq_foreach over deaths of clients and servers, and after other readers: each result is
 * combined exactly once, or the client is told that it cannot be. */
#include "tests/support/foreach_sum.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 5000

static const struct {
	size_t batch;
	int unordered;
} ways[] = {{1, 0}, {100, 1}};

static int add_and_die(void *user, const struct ranq_value *values, size_t n)
{
	static uint64_t taken; /* by this process */
	int rc = sum_add(user, values, n);
	taken += n;
	if (taken > 700)
		kill(getpid(), SIGKILL);
	return rc;
}

static struct ranq_foreach_options resuming(struct sum *sum, int way)
{
	struct ranq_foreach_options each = sum_each(0, sum);
	each.accumulator = sum;
	each.accumulator_bytes = sizeof *sum;
	each.batch = ways[way].batch;
	each.unordered = ways[way].unordered;
	return each;
}

/* One client after the other takes over and is killed in the middle of it; what the last one has is what a single one
 * would have had: nothing is lost or combined twice, in its order. */
START_TEST(clients_die)
{
	struct sum sum, want = sum_expected(N);
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options submit = client_rig_echo(N);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	client_rig_bridge("index8", "7", "1");
	for (int round = 0; round < 4; round++) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			struct ranq *own = ranq_open(rig.url, NULL);
			struct ranq_foreach_options each = resuming(&sum, _i);
			struct ranq_job *heir = own ? ranq_job_attach(own, ranq_job_id(job)) : NULL;
			each.combine = add_and_die;
			_exit(heir && ranq_job_foreach(heir, &each) == 1 ? 0 : 1);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGKILL);
	}
	struct ranq_job *last = ranq_job_attach(ranq, ranq_job_id(job));
	struct ranq_foreach_options each = resuming(&sum, _i);
	ck_assert_msg(ranq_job_foreach(last, &each) == 1, "%s", ranq_last_error());
	ck_assert_uint_eq(sum.n, N);
	ck_assert_uint_eq(sum.total, want.total);
	if (!each.unordered)
		ck_assert_uint_eq(sum.hash, want.hash);
	ranq_job_close(last);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

static int add_and_kill_server(void *user, const struct ranq_value *values, size_t n)
{
	struct sum *sum = user;
	if (sum->n / 1500 != (sum->n + n) / 1500) {
		test_redis_kill(&rig.server);
		test_redis_restart(&rig.server);
	}
	return sum_add(user, values, n);
}

START_TEST(server_dies)
{
	struct sum sum, want = sum_expected(N);
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = resuming(&sum, _i);
	each.job = client_rig_echo(N);
	each.combine = add_and_kill_server;
	client_rig_bridge("index8", "37", "1");
	ck_assert_msg(ranq_foreach(ranq, &each) == 1, "%s", ranq_last_error());
	ck_assert_uint_eq(sum.n, N);
	ck_assert_uint_eq(sum.total, want.total);
	ranq_close(ranq);
}
END_TEST

/* Functions of the program's own keep what is no plain memory. */
struct text {
	char *text;
	size_t len;
};

static int append_letter(void *user, const struct ranq_value *values, size_t n)
{
	struct text *text = user;
	text->text = realloc(text->text, text->len + n + 1);
	for (size_t i = 0; i < n; i++)
		text->text[text->len++] = (char)('a' + values[i].index);
	text->text[text->len] = 0;
	return 0;
}

static int save_text(void *user, const void **data, size_t *len)
{
	struct text *text = user;
	*data = text->text;
	*len = text->len;
	return 0;
}

static int load_text(void *user, const void *data, size_t len)
{
	struct text *text = user;
	free(text->text);
	text->text = strndup(data, len);
	text->len = len;
	return text->text ? 0 : -1;
}

static int stop_after_4(void *user, const struct ranq_progress *progress)
{
	(void)progress;
	return ((struct text *)user)->len >= 4;
}

START_TEST(save_and_load)
{
	struct text first = {0}, second = {0};
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options submit = client_rig_echo(10);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	each.combine = append_letter;
	each.save = save_text;
	each.load = load_text;
	each.user = &first;
	each.progress = stop_after_4;
	each.progress_s = 0.01;
	client_rig_short_bridge("index8", "1", "7");
	ck_assert_int_eq(ranq_job_foreach(job, &each), -1);
	ck_assert_uint_lt(first.len, 10);
	client_rig_end_bridge(SIGTERM);
	client_rig_bridge("index8", "1", "0");
	struct ranq_job *heir = ranq_job_attach(ranq, ranq_job_id(job));
	each.user = &second;
	each.progress = NULL;
	ck_assert_msg(ranq_job_foreach(heir, &each) == 1, "%s", ranq_last_error());
	ck_assert_str_eq(second.text, "abcdefghij");
	free(first.text);
	free(second.text);
	ranq_job_close(heir);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* A large accumulator is not saved before each wait; what a client that leaves had not saved yet comes again. */
struct large {
	struct sum sum;
	char rest[1 << 20];
};

static int stop_after_half(void *user, const struct ranq_progress *progress)
{
	(void)progress;
	return ((struct sum *)user)->n >= 30;
}

START_TEST(large_accumulator)
{
	static struct large first, second;
	struct ranq *ranq = client_rig_open();
	struct ranq_foreach_options each = sum_each(0, &first.sum);
	struct ranq_submit_options submit = client_rig_echo(60);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	memset(first.rest, 'x', sizeof first.rest);
	each.accumulator = &first;
	each.accumulator_bytes = sizeof first;
	each.progress = stop_after_half;
	each.progress_s = 0.02;
	client_rig_short_bridge("index8", "1", "40");
	ck_assert_int_eq(ranq_job_foreach(job, &each), -1);
	ck_assert_uint_lt(first.sum.n, 60);
	client_rig_end_bridge(SIGTERM);
	client_rig_bridge("index8", "1", "0");
	struct ranq_job *heir = ranq_job_attach(ranq, ranq_job_id(job));
	each.user = each.accumulator = &second;
	each.progress = NULL;
	ck_assert_msg(ranq_job_foreach(heir, &each) == 1, "%s", ranq_last_error());
	ck_assert_uint_eq(second.sum.hash, sum_expected(60).hash);
	ck_assert_uint_lt(second.sum.calls, 61); /* those of the first one, as far as saved, and its own */
	ck_assert_mem_eq(second.rest, first.rest, sizeof first.rest);
	ranq_job_close(heir);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* What an earlier client took and did not leave behind is missed, not passed over. */
START_TEST(earlier_readers)
{
	struct sum sum;
	char small[3];
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options submit = client_rig_echo(100);
	struct ranq_foreach_options each = resuming(&sum, 0), other = each;
	struct ranq_job *job = client_rig_submit(ranq, &submit), *second;
	struct ranq_value value;
	client_rig_bridge("index8", "1", "0");
	ck_assert_int_eq(ranq_job_foreach(job, &each), 1);
	/* without an accumulator, or with another one */
	other.accumulator = NULL;
	second = ranq_job_attach(ranq, "1");
	ck_assert_int_eq(ranq_job_foreach(second, &other), -1);
	ck_assert_msg(strstr(ranq_last_error(), "give accumulator or load"), "%s", ranq_last_error());
	ranq_job_close(second);
	other.accumulator = small;
	other.accumulator_bytes = sizeof small;
	second = ranq_job_attach(ranq, "1");
	ck_assert_int_eq(ranq_job_foreach(second, &other), -1);
	ck_assert_msg(strstr(ranq_last_error(), "this one has 3"), "%s", ranq_last_error());
	ranq_job_close(second);
	/* from the start: they are freed */
	other = sum_each(0, &sum);
	other.from_start = 1;
	second = ranq_job_attach(ranq, "1");
	ck_assert_int_eq(ranq_job_foreach(second, &other), -1);
	ck_assert_msg(strstr(ranq_last_error(), "tasks 0 to 99 were acknowledged"), "%s", ranq_last_error());
	ranq_job_close(second);
	/* the right one: all of it is there at once */
	each = resuming(&sum, 0);
	second = ranq_job_attach(ranq, "1");
	ck_assert_msg(ranq_job_foreach(second, &each) == 1, "%s", ranq_last_error());
	ck_assert_uint_eq(sum.n, 100);
	ranq_job_close(second);
	ranq_job_close(job);
	/* somebody read with ranq_next */
	job = client_rig_submit(ranq, &submit);
	while (ranq_next(job, &value, 0, 30) == 1)
		;
	second = ranq_job_attach(ranq, "2");
	ck_assert_int_eq(ranq_job_foreach(second, &each), -1);
	ck_assert_msg(strstr(ranq_last_error(), "saved no accumulator"), "%s", ranq_last_error());
	ranq_job_close(second);
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

/* From the start: any number of readers, each gets all, and nothing is freed. */
START_TEST(from_start)
{
	struct sum sum;
	struct ranq *ranq = client_rig_open();
	struct ranq_submit_options submit = client_rig_echo(N);
	struct ranq_job *job = client_rig_submit(ranq, &submit);
	client_rig_bridge("index8", "37", "0");
	for (int reader = 0; reader < 3; reader++) {
		struct ranq_job *own = ranq_job_attach(ranq, "1");
		struct ranq_foreach_options each = sum_each(0, &sum);
		each.from_start = reader < 2;
		each.batch = 10;
		ck_assert_msg(ranq_job_foreach(own, &each) == 1, "%s", ranq_last_error());
		ck_assert_uint_eq(sum.n, N);
		ck_assert_uint_eq(sum.hash, sum_expected(N).hash);
		ranq_job_close(own);
	}
	ranq_job_close(job);
	ranq_close(ranq);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("foreach_deaths");
	TCase *tests = tcase_create("foreach_deaths");
	tcase_set_timeout(tests, 100);
	tcase_add_checked_fixture(tests, client_rig_start, client_rig_stop);
	tcase_add_loop_test(tests, clients_die, 0, 2);
	tcase_add_loop_test(tests, server_dies, 0, 2);
	tcase_add_test(tests, save_and_load);
	tcase_add_test(tests, large_accumulator);
	tcase_add_test(tests, earlier_readers);
	tcase_add_test(tests, from_start);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

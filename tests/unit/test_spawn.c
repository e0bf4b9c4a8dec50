/* Programs beside us: errors of exec come back, output has a limit, ends are seen, marks find strays. */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/marked.h"
#include "common/spawn.h"
#include "util/clock.h"

static pid_t start(const char *const *argv, const char *const *env)
{
	struct ranq_spawn spawn = RANQ_SPAWN_INIT;
	struct ranq_err err = {0};
	spawn.argv = argv;
	spawn.env = env;
	spawn.session = true;
	pid_t pid = ranq_spawn_start(&spawn, &err);
	ck_assert_msg(pid > 0, "%s", err.text);
	return pid;
}

START_TEST(exec_fails)
{
	static const char *const argv[] = {"/nowhere/program", NULL}, *const directory[] = {"/tmp", NULL};
	struct ranq_spawn spawn = RANQ_SPAWN_INIT;
	struct ranq_err err = {0};
	spawn.argv = argv;
	ck_assert_int_eq(ranq_spawn_start(&spawn, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_str_eq(err.text, "cannot run '/nowhere/program': No such file or directory");
	spawn.argv = directory;
	ck_assert_int_eq(ranq_spawn_start(&spawn, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "Permission denied"));
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
}
END_TEST

START_TEST(capture)
{
	static const char *const hello[] = {"sh", "-c", "echo hello; echo no >&2; exit 3", NULL};
	static const char *const hangs[] = {"sh", "-c", "sleep 100 & sleep 100", NULL};
	static const char *const flood[] = {"sh", "-c", "head -c 100000 /dev/zero", NULL};
	static const char *const dies[] = {"sh", "-c", "kill -9 $$", NULL};
	struct ranq_buf out;
	struct ranq_err err = {0};
	ranq_buf_init(&out, 1000);
	ck_assert_int_eq(ranq_spawn_capture(hello, 60000, &out, &err), 3);
	ck_assert_str_eq(ranq_buf_cstr(&out), "hello\n");
	ranq_buf_reset(&out);
	ck_assert_int_eq(ranq_spawn_capture(flood, 60000, &out, &err), 0);
	ck_assert(ranq_buf_failed(&out));
	ranq_buf_reset(&out);
	ck_assert_int_eq(ranq_spawn_capture(dies, 60000, &out, &err), 137);
	int64_t from_ms = ranq_clock_ms();
	ck_assert_int_eq(ranq_spawn_capture(hangs, 100, &out, &err), -1);
	ck_assert_int_lt(ranq_clock_ms() - from_ms, 60000);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	ranq_buf_clear(&out);
}
END_TEST

/* Descriptors, signals and directory of the child are as promised. */
START_TEST(surroundings)
{
	static const char *const argv[] = {"sh", "-c",
		"echo $(readlink /proc/$$/fd/0) $A ${B-unset} $(grep SigBlk /proc/self/status); exec ls /proc/self/fd",
		NULL};
	sigset_t all, old;
	int open_fd = open("/dev/null", O_RDONLY); /* without close-on-exec */
	setenv("B", "1", 1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	int ends[2], status;
	char text[256];
	ck_assert_int_eq(pipe(ends), 0);
	static const char *const env[] = {"A=x", "B", NULL};
	struct ranq_spawn spawn = {.argv = argv, .env = env, .out_fd = ends[1], .err_fd = -1, .keep_fd = -1};
	pid_t pid = ranq_spawn_start(&spawn, NULL);
	ck_assert_int_gt(pid, 0);
	close(ends[1]);
	ck_assert_int_eq(ranq_spawn_wait(pid, ranq_clock_ms() + 60000, &status), 1);
	ssize_t got = read(ends[0], text, sizeof text - 1);
	text[got > 0 ? got : 0] = '\0';
	/* 3 is the directory that ls reads */
	ck_assert_str_eq(text, "/dev/null x unset SigBlk: 0000000000000000\n0\n1\n2\n3\n");
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(open_fd);
	close(ends[0]);
}
END_TEST

START_TEST(stop_and_wait)
{
	static const char *const stubborn[] = {"sh", "-c", "trap '' TERM; sleep 100 & while :; do wait; done", NULL};
	static const char *const polite[] = {"sleep", "100", NULL};
	int status;
	pid_t pid = start(polite, NULL);
	ck_assert_int_eq(ranq_spawn_wait(pid, ranq_clock_ms() + 20, &status), 0);
	int64_t from_ms = ranq_clock_ms();
	ranq_spawn_stop(pid, 60000);
	ck_assert_int_lt(ranq_clock_ms() - from_ms, 50000);
	pid = start(stubborn, NULL);
	ranq_spawn_stop(pid, 50);
	/* its sleep went with it, and somebody reaps it */
	int64_t deadline_ms = ranq_clock_ms() + 60000;
	while (kill(-pid, 0) == 0 && ranq_clock_ms() < deadline_ms)
		ranq_spawn_nap(5);
	ck_assert_int_eq(kill(-pid, 0), -1);
}
END_TEST

/* keep_fd: a lock that the child holds on; death_signal: it ends with its parent. */
START_TEST(death_of_parent)
{
	int ends[2];
	char byte;
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid_t middle = fork();
	if (middle == 0) {
		static const char *const argv[] = {"sleep", "100", NULL};
		struct ranq_spawn spawn = {.argv = argv,
			.out_fd = -1,
			.err_fd = -1,
			.keep_fd = ends[1],
			.session = true,
			.death_signal = SIGKILL};
		_exit(ranq_spawn_start(&spawn, NULL) > 0 ? 0 : 1);
	}
	close(ends[1]);
	int status;
	ck_assert_int_eq(waitpid(middle, &status, 0), middle);
	ck_assert_int_eq(status, 0);
	/* the end of the pipe: the grandchild, which held it as descriptor 3, is gone */
	ck_assert_int_eq(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}
END_TEST

START_TEST(marks)
{
	static const char *const argv[] = {"sh", "-c", "setsid sleep 100 & setsid sleep 100 & exec sleep 100", NULL};
	char mark[64], other[64];
	snprintf(mark, sizeof mark, "RANQ_TEST_X=a%d", (int)getpid());
	snprintf(other, sizeof other, "RANQ_TEST_X=a%d0", (int)getpid());
	const char *const env[] = {mark, NULL}, *const other_env[] = {other, NULL};
	static const char *const alone[] = {"sleep", "100", NULL};
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t marked = start(argv, env), stranger = start(alone, other_env);
	ck_assert_uint_gt(ranq_marked_start_time(stranger), 0);
	ck_assert_uint_eq(ranq_marked_kill(mark, 60000), 0);
	int status;
	ck_assert_int_eq(ranq_spawn_wait(marked, ranq_clock_ms() + 60000, &status), 1);
	ck_assert_int_eq(WTERMSIG(status), SIGKILL);
	/* a longer value is another mark */
	ck_assert_int_eq(ranq_spawn_wait(stranger, 0, &status), 0);
	ranq_spawn_stop(stranger, 1000);
	ck_assert_uint_eq(ranq_marked_start_time(stranger), 0);
}
END_TEST

START_TEST(remove_tree)
{
	char dir[] = "/tmp/ranq-test-XXXXXX", path[64], keep[64];
	snprintf(keep, sizeof keep, "/tmp/ranq-test-keep-%d", (int)getpid());
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mkdir(keep, 0700), 0);
	snprintf(path, sizeof path, "%s/a", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/a/link", dir);
	ck_assert_int_eq(symlink(keep, path), 0);
	ranq_marked_remove_tree(dir);
	ck_assert_int_eq(access(dir, F_OK), -1);
	ck_assert_int_eq(rmdir(keep), 0); /* links are not followed */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spawn");
	TCase *tests = tcase_create("all");
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, exec_fails);
	tcase_add_test(tests, capture);
	tcase_add_test(tests, surroundings);
	tcase_add_test(tests, stop_and_wait);
	tcase_add_test(tests, death_of_parent);
	tcase_add_test(tests, marks);
	tcase_add_test(tests, remove_tree);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

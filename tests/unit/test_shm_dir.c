/* Directories for the shared memory of MPI: what a dead rank leaves is removed, what a living one has is not. */
#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/shm_dir.h"

static char parent[] = "/tmp/ranq-shm-XXXXXX";

static void put_file(const char *dir)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/vader_segment", dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Of a rank that was killed. */
static void leave_one(char path[64])
{
	struct ranq_shm_dir dir;
	int pipe_fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	pid = fork();
	if (!pid) {
		ranq_shm_dir_create(&dir, parent, 60);
		put_file(dir.path);
		_exit(write(pipe_fds[1], dir.path, sizeof dir.path) != (ssize_t)sizeof dir.path);
	}
	ck_assert_int_eq(read(pipe_fds[0], path, 64), 64);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

START_TEST(left_ones_are_removed)
{
	struct ranq_shm_dir living, dir;
	char left[64], other[128];

	ck_assert_ptr_nonnull(mkdtemp(parent));
	snprintf(other, sizeof other, "%s/other", parent);
	ck_assert_int_eq(mkdir(other, 0700), 0);
	leave_one(left);
	ck_assert(is_there(left));
	ranq_shm_dir_create(&living, parent, 60);
	put_file(living.path);
	ck_assert_msg(is_there(left), "it is young");
	ranq_shm_dir_create(&dir, parent, 0);
	ck_assert(!is_there(left));
	ck_assert_msg(is_there(living.path), "it is locked");
	ck_assert(is_there(other));
	ck_assert(is_there(dir.path));
	ranq_shm_dir_remove(&dir);
	ranq_shm_dir_remove(&living);
	ck_assert_str_eq(dir.path, "");
	ck_assert_int_eq(rmdir(other), 0);
	ck_assert_int_eq(rmdir(parent), 0);
}
END_TEST

START_TEST(no_place_for_one)
{
	struct ranq_shm_dir dir;

	ranq_shm_dir_create(&dir, "/no/such/directory", 60);
	ck_assert_str_eq(dir.path, "");
	ranq_shm_dir_remove(&dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shm_dir");
	TCase *tcase = tcase_create("shm_dir");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, left_ones_are_removed);
	tcase_add_test(tcase, no_place_for_one);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

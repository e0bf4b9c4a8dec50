/* The black box of a bridge: what is written can be read, in the order of the deaths, and what does not mean anything
 * is left out. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/black_box.h"

static const char id[] = "0123456789abcdef0123456789abcdef";

static int make(const char *name)
{
	static char variable[64]; /* stands in the environment */
	int fd = ranq_black_box_create(name, variable);

	ck_assert_int_gt(fd, 0);
	putenv(variable);
	return fd;
}

static void put(int fd, const char *text)
{
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

START_TEST(what_is_noted_is_read)
{
	static struct ranq_black_box_line line;
	static struct ranq_black_box box;
	int fd = make("host:1:2"), out = ranq_black_box_open("host:1:2");

	ck_assert_int_gt(out, 0);
	ranq_black_box_bridge(out, "default", id);
	ranq_black_box_bridge(out, "default", id);
	ranq_black_box_bridge(out, "other", id);
	ranq_black_box_line_begin(&line, 5);
	ranq_black_box_line_task(&line, "default/7", 12345678901);
	ranq_black_box_line_task(&line, "other/8", 0);
	ranq_black_box_line_write(&line, out);
	ranq_black_box_read(fd, &box);
	ck_assert_uint_eq(box.nbridges, 2);
	ck_assert_str_eq(box.bridges[1].queue, "other");
	ck_assert_str_eq(box.bridges[1].id, id);
	ck_assert_uint_eq(box.ntasks, 2);
	ck_assert_str_eq(box.tasks[0].queue, "default");
	ck_assert_uint_eq(box.tasks[0].job, 7);
	ck_assert_uint_eq(box.tasks[0].index, 12345678901);
	ranq_black_box_empty(fd);
	ranq_black_box_bridge(out, "again", id);
	ranq_black_box_read(fd, &box);
	ck_assert_uint_eq(box.nbridges, 1);
	ck_assert_uint_eq(box.ntasks, 0);
	close(out);
	close(fd);
}
END_TEST

/* On another host the same path may be a descriptor of somebody else. */
START_TEST(only_a_file_of_that_name_is_opened)
{
	int fd = make("here:1:2");

	ck_assert_int_eq(ranq_black_box_open("there:1:2"), -1);
	ck_assert_int_eq(ranq_black_box_open(NULL), -1);
	setenv("RANQ_BLACK_BOX", "/dev/null", 1);
	ck_assert_int_eq(ranq_black_box_open("here:1:2"), -1);
	unsetenv("RANQ_BLACK_BOX");
	ck_assert_int_eq(ranq_black_box_open("here:1:2"), -1);
	close(fd);
	ranq_black_box_bridge(-1, "nowhere", id);
	ranq_black_box_bridge(0, "nowhere", id);
}
END_TEST

START_TEST(the_first_to_die_are_named)
{
	static struct ranq_black_box box;
	int fd = make("x");

	put(fd, "dead 500 q/1:5\ndead 300 q/1:3\ndead 100\ndead 400 q/1:4\ndead 200 q/1:2 q/1:22\n");
	ranq_black_box_read(fd, &box);
	ck_assert_uint_eq(box.ntasks, 3);
	ck_assert_uint_eq(box.tasks[0].index, 2);
	ck_assert_uint_eq(box.tasks[1].index, 22);
	ck_assert_uint_eq(box.tasks[2].index, 3);
	close(fd);
}
END_TEST

START_TEST(what_means_nothing_is_left_out)
{
	static struct ranq_black_box box;
	char flood[4000];
	int fd = make("x");

	put(fd, "\nbridge\nbridge \nbridge q\nbridge q short\nbridge  "
		"0123456789abcdef0123456789abcdef\nnonsense\ndead\n"
		"dead x q/1:1\ndead -5 q/1:1\n");
	memset(flood, 'q', sizeof flood);
	memcpy(flood, "bridge ", 7);
	memcpy(flood + 2000, " 0123456789abcdef0123456789abcdef\ndead 7 ", 41);
	memcpy(flood + sizeof flood - 20, "/1:1 q/1:2:3 /1:1 q\n", 20);
	ck_assert_int_eq(write(fd, flood, sizeof flood), sizeof flood);
	ranq_black_box_read(fd, &box);
	ck_assert_uint_eq(box.nbridges, 0);
	ck_assert_uint_eq(box.ntasks, 0);
	for (int i = 0; i < 200; i++)
		put(fd, "dead 1 a/1:1 a/1:2 a/1:3 a/1:4 a/1:5 a/1:6 a/1:7 a/1:8 a/1:9 a/1:10 a/1:11 a/1:12 a/1:13 "
			"a/1:14 "
			"a/1:15 a/1:16 a/1:17 a/1:18 a/1:19 a/1:20 a/1:21 a/1:22 a/1:23 a/1:24 a/1:25 a/1:26 a/1:27\n");
	ranq_black_box_read(fd, &box);
	ck_assert_uint_eq(box.ntasks, RANQ_BLACK_BOX_MAX);
	ranq_black_box_read(-1, &box);
	ck_assert_uint_eq(box.nbridges + box.ntasks, 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("black box");
	TCase *tcase = tcase_create("black box");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, what_is_noted_is_read);
	tcase_add_test(tcase, only_a_file_of_that_name_is_opened);
	tcase_add_test(tcase, the_first_to_die_are_named);
	tcase_add_test(tcase, what_means_nothing_is_left_out);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

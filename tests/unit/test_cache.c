/* The cache of functions: what goes, what stays, and when destructors run. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec/cache.h"

static struct ranq_cache *cache;
static char gone[64]; /* names of destroyed values */

static void set_up(void)
{
	cache = ranq_cache_create();
	ck_assert_ptr_nonnull(cache);
	gone[0] = '\0';
}

static void tear_down(void)
{
	ranq_cache_destroy(cache);
	cache = NULL;
}

static void destroy(void *value)
{
	strcat(gone, value);
}

/* A value that is its own name. */
static int put(const char *name, size_t bytes)
{
	return ranq_cache_put(cache, name, (void *)(size_t)name, bytes, destroy);
}

static const char *get(const char *name)
{
	return ranq_cache_get(cache, name, NULL);
}

START_TEST(get_and_put)
{
	size_t bytes = 7;

	ck_assert_ptr_null(ranq_cache_get(cache, "a", &bytes));
	ck_assert_uint_eq(bytes, 0);
	ck_assert_int_eq(put("a", 10), 0);
	ck_assert_str_eq(ranq_cache_get(cache, "a", &bytes), "a");
	ck_assert_uint_eq(bytes, 10);
	ck_assert_ptr_null(get("b"));
	ck_assert_ptr_null(get(""));
	ck_assert_int_eq(ranq_cache_copy(cache, "copy", "1234", 4), 0);
	ck_assert_mem_eq(ranq_cache_get(cache, "copy", &bytes), "1234", 4);
	ck_assert_uint_eq(bytes, 4);
	ck_assert_int_eq(ranq_cache_copy(cache, "empty", NULL, 0), 0);
	ck_assert_ptr_nonnull(ranq_cache_get(cache, "empty", NULL));
}
END_TEST

START_TEST(replace)
{
	ck_assert_int_eq(put("a", 10), 0);
	ck_assert_int_eq(ranq_cache_put(cache, "a", (void *)(size_t)"A", 20, destroy), 0);
	ck_assert_str_eq(gone, "a");
	ck_assert_str_eq(get("a"), "A");
}
END_TEST

START_TEST(oldest_goes_first)
{
	ranq_cache_limit(cache, 10000);
	put("a", 3000);
	put("b", 3000);
	put("c", 3000);
	ranq_cache_begin(cache);
	ck_assert_str_eq(get("a"), "a");
	ranq_cache_begin(cache);
	ck_assert_int_eq(put("d", 3000), 0);
	ck_assert_str_eq(gone, "b");
	ck_assert_int_eq(put("e", 6500), 0);
	ck_assert_str_eq(gone, "bca");
	ck_assert_str_eq(get("d"), "d");
}
END_TEST

/* What a task holds in its hands is not taken away; then there is no room. */
START_TEST(in_use_stays)
{
	ranq_cache_limit(cache, 10000);
	put("old", 1000);
	ranq_cache_begin(cache);
	put("a", 4000);
	put("b", 4000);
	ck_assert_int_eq(put("c", 4000), -1);
	ck_assert_str_eq(gone, "");
	ck_assert_str_eq(get("old"), "old");
	ck_assert_int_eq(put("a", 8000), -1);
	ck_assert_str_eq(get("a"), "a");
	ranq_cache_begin(cache);
	ck_assert_int_eq(put("c", 4000), 0);
	ck_assert_str_eq(gone, "b");
}
END_TEST

START_TEST(too_large)
{
	ranq_cache_limit(cache, 1000);
	put("a", 100);
	ranq_cache_begin(cache);
	ck_assert_int_eq(put("b", 1000), -1);
	ck_assert_int_eq(put("b", (size_t)-1), -1);
	ck_assert_int_eq(ranq_cache_copy(cache, "b", gone, (size_t)-1), -1);
	ck_assert_str_eq(gone, "");
	ck_assert_str_eq(get("a"), "a");
}
END_TEST

START_TEST(lower_limit)
{
	put("a", 1000);
	put("b", 1000);
	ranq_cache_begin(cache);
	ranq_cache_limit(cache, 1500);
	ck_assert_str_eq(gone, "a");
	ranq_cache_limit(cache, 0);
	ck_assert_str_eq(gone, "ab");
	ck_assert_int_eq(put("c", 0), -1);
}
END_TEST

/* Names take room, too. */
START_TEST(many_names)
{
	char name[32];
	int i, left = 0;

	ranq_cache_limit(cache, 100000);
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "name %d", i);
		ranq_cache_begin(cache);
		ck_assert_int_eq(ranq_cache_copy(cache, name, "", 0), 0);
	}
	ranq_cache_begin(cache);
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "name %d", i);
		left += ranq_cache_get(cache, name, NULL) != NULL;
	}
	ck_assert_int_gt(left, 500);
	ck_assert_int_lt(left, 2000);
}
END_TEST

START_TEST(destroyed_at_the_end)
{
	put("a", 1);
	put("b", 1);
	ck_assert_int_eq(ranq_cache_put(cache, "c", gone, 1, NULL), 0);
	ranq_cache_destroy(cache);
	ck_assert_str_eq(gone, "ab");
	ranq_cache_destroy(NULL);
	cache = NULL;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cache");
	TCase *t = tcase_create("cache");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, get_and_put);
	tcase_add_test(t, replace);
	tcase_add_test(t, oldest_goes_first);
	tcase_add_test(t, in_use_stays);
	tcase_add_test(t, too_large);
	tcase_add_test(t, lower_limit);
	tcase_add_test(t, many_names);
	tcase_add_test(t, destroyed_at_the_end);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

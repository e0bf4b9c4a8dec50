#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/offload.h"
#include "util/clock.h"

#define CONTENT "a large result"

static char top[] = "/tmp/ranq-offload-XXXXXX";
static char text[600];
static struct ranq_spec spec;
static struct ranq_bytes value;
static bool made;

static void setup(void)
{
	memcpy(strchr(top, 'X'), "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(top));
	ranq_spec_init(&spec);
	spec.offload = strdup(top);
	memset(spec.uuid, 0xab, sizeof spec.uuid);
	made = false;
}

static void shell(const char *format)
{
	snprintf(text, sizeof text, format, top);
	ck_assert_int_eq(system(text), 0);
}

static void teardown(void)
{
	ranq_offload_close(&value);
	ranq_spec_clear(&spec);
	shell("rm -rf %1$s");
}

static struct ranq_file_ref write_one(void)
{
	struct ranq_offload_file *file = ranq_offload_begin(&spec, &made);
	struct ranq_file_ref ref;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ranq_offload_add(file, CONTENT, 2), 0);
	ck_assert_int_eq(ranq_offload_add(file, &CONTENT[2], strlen(CONTENT) - 2), 0);
	ck_assert_int_eq(ranq_offload_finish(file, &ref), 0);
	return ref;
}

static const char *path_of(const struct ranq_file_ref *ref)
{
	static char path[300];
	size_t i, n = (size_t)snprintf(path, sizeof path,
		"%s/ranq-abababababababababababababababab/%02x/", top, ref->hash[0]);

	for (i = 0; i < sizeof ref->hash; i++)
		snprintf(path + n + 2 * i, 3, "%02x", ref->hash[i]);
	return path;
}

static void refused(const struct ranq_file_ref *ref, const char *why)
{
	struct ranq_err err = {0};

	ck_assert_int_eq(ranq_offload_open(&spec, ref, &value, &err), -1);
	ck_assert_msg(strstr(err.text, why), "'%s' says nothing of '%s'", err.text, why);
	ck_assert_msg(strstr(err.text, path_of(ref)), "'%s' does not name '%s'", err.text, path_of(ref));
	ck_assert_uint_eq(value.len, 0);
}

START_TEST(test_round_trip)
{
	struct ranq_file_ref ref = write_one(), again = write_one();

	ck_assert_uint_eq(ref.size, strlen(CONTENT));
	ck_assert_mem_eq(ref.hash, again.hash, sizeof ref.hash);
	ck_assert_int_eq(access(path_of(&ref), R_OK), 0);
	ck_assert_int_eq(ranq_offload_open(&spec, &ref, &value, NULL), 0);
	ck_assert_uint_eq(value.len, strlen(CONTENT));
	ck_assert_mem_eq(value.data, CONTENT, value.len);
	shell("test $(find %1$s -type f | wc -l) = 1");
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, NULL), 0);
	shell("rmdir %1$s && mkdir %1$s");
	ck_assert_mem_eq(value.data, CONTENT, value.len); /* what is open stays */
}
END_TEST

START_TEST(test_no_file_before_its_end)
{
	struct ranq_offload_file *file = ranq_offload_begin(&spec, &made);

	ck_assert_int_eq(ranq_offload_add(file, CONTENT, 5), 0);
	shell("test $(find %1$s -type f ! -name 'tmp.*' | wc -l) = 0");
	ranq_offload_discard(file);
	shell("test $(find %1$s -type f | wc -l) = 0");
}
END_TEST

START_TEST(test_damaged)
{
	struct ranq_file_ref ref = write_one(), other = ref;

	other.size--; /* a hostile reference, or a file that grew */
	refused(&other, "damaged");
	other = ref;
	other.size = (uint64_t)1 << 62;
	refused(&other, "damaged");
	other = ref;
	other.hash[31] ^= 1;
	refused(&other, "cannot be read here");
	ck_assert_int_eq(truncate(path_of(&ref), 3), 0);
	refused(&ref, "damaged");
	ck_assert_int_eq(truncate(path_of(&ref), (off_t)strlen(CONTENT)), 0); /* zeros */
	refused(&ref, "damaged");
	write_one();
	ck_assert_int_eq(ranq_offload_open(&spec, &ref, &value, NULL), 0); /* mended by the next that has this result */
}
END_TEST

START_TEST(test_not_a_file)
{
	struct ranq_file_ref ref = write_one();
	char from[300];

	snprintf(from, sizeof from, "%s/elsewhere", top);
	ck_assert_int_eq(rename(path_of(&ref), from), 0);
	refused(&ref, "No such file");
	ck_assert_int_eq(symlink(from, path_of(&ref)), 0);
	refused(&ref, "cannot be read here");
	ck_assert_int_eq(unlink(path_of(&ref)), 0);
	ck_assert_int_eq(mkfifo(path_of(&ref), 0600), 0);
	refused(&ref, "damaged"); /* and nobody waits for a writer */
}
END_TEST

START_TEST(test_directory)
{
	struct ranq_file_ref ref = write_one();

	free(spec.offload);
	spec.offload = strdup("/nonexistent/directory");
	ck_assert_ptr_null(ranq_offload_begin(&spec, &made));
	made = false;
	ck_assert_ptr_null(ranq_offload_begin(&spec, &made));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert(!made);
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, NULL), -1);
	spec.reduce = strdup("count"); /* a job without files */
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, NULL), 0);
	ck_assert_int_eq(ranq_offload_open(&spec, &ref, &value, NULL), -1);
}
END_TEST

START_TEST(test_a_late_task_does_not_bring_it_back)
{
	struct ranq_offload_file *file;
	struct ranq_file_ref ref;

	write_one();
	file = ranq_offload_begin(&spec, &made);
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, NULL), 0);
	ck_assert_int_eq(ranq_offload_add(file, CONTENT, 5), 0);
	ck_assert_int_eq(ranq_offload_finish(file, &ref), -1);
	ck_assert_ptr_null(ranq_offload_begin(&spec, &made));
	shell("test -z \"$(ls %1$s)\"");
}
END_TEST

START_TEST(test_remove_leaves_what_is_not_ours)
{
	struct ranq_err err = {0};

	write_one();
	shell("echo precious >%1$s/ranq-abababababababababababababababab/notes");
	shell("mkdir %1$s/other && ln -s %1$s/other %1$s/ranq-abababababababababababababababab/li && touch %1$s/other/tmp.x");
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "ranq-abababab"));
	shell("test $(find %1$s -type f | wc -l) = 2");
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, &err), -1);
	shell("rm %1$s/ranq-*/notes %1$s/ranq-*/li");
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, &err), 0);
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, &err), 0); /* nothing there */
}
END_TEST

/* A link in the place of a directory leads nowhere, whatever lies behind it. */
START_TEST(test_remove_follows_no_link)
{
	struct ranq_err err = {0};

	write_one();
	shell("mkdir %1$s/other && mv %1$s/ranq-* %1$s/other/job && touch %1$s/other/job/tmp.x");
	shell("ln -s other/job %1$s/ranq-abababababababababababababababab");
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, &err), -1);
	shell("test $(find %1$s/other -type f | wc -l) = 2");
	shell("rm %1$s/ranq-* && mkdir %1$s/ranq-abababababababababababababababab && ln -s ../other/job %1$s/ranq-abababababababababababababababab/ab");
	shell("mv %1$s/other/job/*/* %1$s/other/job");
	ck_assert_int_eq(ranq_offload_remove(&spec, RANQ_NEVER, &err), -1);
	shell("test $(find %1$s/other -type f | wc -l) = 2");
}
END_TEST

START_TEST(test_remove_in_limited_time)
{
	struct ranq_err err = {0};

	write_one();
	ck_assert_int_eq(ranq_offload_remove(&spec, ranq_clock_ms(), &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "results are left"));
	shell("test $(find %1$s -type f | wc -l) = 1");
	ck_assert_int_eq(ranq_offload_remove(&spec, ranq_clock_ms() + 60000, &err), 0);
}
END_TEST

/* Root sees all; others must not be told that results are there when they cannot know. */
START_TEST(test_remove_in_a_closed_directory)
{
	struct ranq_err err = {0};

	shell("chmod 0 %1$s");
	int rc = ranq_offload_remove(&spec, RANQ_NEVER, &err);
	shell("chmod 700 %1$s");
	ck_assert_int_eq(rc, geteuid() ? -1 : 0);
	ck_assert(rc == 0 || strstr(err.text, "may be left"));
}
END_TEST

START_TEST(test_what_stays_in_memory)
{
	spec.max_output = RANQ_SPEC_MAX_OFFLOADED;
	ck_assert_uint_eq(ranq_offload_kept(&spec), RANQ_OFFLOAD_MIN);
	spec.results = RANQ_RESULTS_COUNT;
	ck_assert(!ranq_offload_wanted(&spec));
	ck_assert_uint_eq(ranq_offload_kept(&spec), RANQ_SPEC_MAX_OFFLOADED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("offload");
	TCase *c = tcase_create("offload");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_round_trip);
	tcase_add_test(c, test_no_file_before_its_end);
	tcase_add_test(c, test_damaged);
	tcase_add_test(c, test_not_a_file);
	tcase_add_test(c, test_directory);
	tcase_add_test(c, test_a_late_task_does_not_bring_it_back);
	tcase_add_test(c, test_remove_leaves_what_is_not_ours);
	tcase_add_test(c, test_remove_follows_no_link);
	tcase_add_test(c, test_remove_in_limited_time);
	tcase_add_test(c, test_remove_in_a_closed_directory);
	tcase_add_test(c, test_what_stays_in_memory);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

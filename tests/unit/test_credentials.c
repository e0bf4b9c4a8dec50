/* Files with secrets: what is taken, what is refused, and that a refusal shows nothing of the secret. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/credentials.h"
#include "util/clock.h"

#define CANARY "canary-7f3a"

static char dir[64], path[128];

static void setup(void)
{
	snprintf(dir, sizeof dir, "/tmp/ranq-credentials-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/secret", dir);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static void put(const char *file, const void *data, size_t len, mode_t mode)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void refused(const char *file, const char *why)
{
	struct ranq_err err = {0};
	char *secret = ranq_credentials_read(file, &err);

	ck_assert_ptr_null(secret);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_msg(strstr(err.text, why), "'%s' does not say '%s'", err.text, why);
	ck_assert_msg(!strstr(err.text, CANARY), "the message shows the secret: %s", err.text);
}

/* ---- password files ------------------------------------------------------------------------------------------- */

static const struct {
	const char *text, *secret;
} good[] = {
	{"abc\n", "abc"},
	{"abc", "abc"},
	{"abc\r\n", "abc"},
	{" a b ", " a b "},
	{"\xc3\xa4\n", "\xc3\xa4"},
};

START_TEST(one_line_is_read)
{
	char *secret;

	put(path, good[_i].text, strlen(good[_i].text), 0600);
	secret = ranq_credentials_read(path, NULL);
	ck_assert_ptr_nonnull(secret);
	ck_assert_str_eq(secret, good[_i].secret);
	ranq_credentials_free(secret);
	ck_assert_int_eq(chmod(path, 0400), 0);
	secret = ranq_credentials_read(path, NULL);
	ck_assert_ptr_nonnull(secret);
	ranq_credentials_free(secret);
}
END_TEST

#define TEXT(text, why) \
	{ \
		text, sizeof text - 1, why \
	}
static const struct {
	const char *text;
	size_t len;
	const char *why;
} bad[] = {
	TEXT("", "is empty"),
	TEXT("\n", "is empty"),
	TEXT("\r\n", "is empty"),
	TEXT(CANARY "\nmore\n", "more than one line"),
	TEXT(CANARY "\n\n", "more than one line"),
	TEXT(CANARY "\0x\n", "NUL"),
	TEXT(CANARY "\x01", "control"),
};

START_TEST(other_contents_are_refused)
{
	put(path, bad[_i].text, bad[_i].len, 0600);
	refused(path, bad[_i].why);
}
END_TEST

START_TEST(longest_secret)
{
	char text[RANQ_SECRET_MAX + 1], *secret;

	memset(text, 'x', sizeof text);
	put(path, text, RANQ_SECRET_MAX, 0600);
	secret = ranq_credentials_read(path, NULL);
	ck_assert_ptr_nonnull(secret);
	ck_assert_uint_eq(strlen(secret), RANQ_SECRET_MAX);
	ranq_credentials_free(secret);
	put(path, text, sizeof text, 0600);
	refused(path, "longer than 4096 bytes");
}
END_TEST

static const mode_t open_modes[] = {0644, 0640, 0604, 0620, 0602, 0610, 0666, 0777};

START_TEST(files_open_to_others_are_refused)
{
	put(path, CANARY, strlen(CANARY), open_modes[_i]);
	refused(path, "chmod 600");
}
END_TEST

START_TEST(only_regular_files_are_read)
{
	char other[160];
	int64_t begin;

	put(path, CANARY, strlen(CANARY), 0600);
	snprintf(other, sizeof other, "%s/link", dir);
	ck_assert_int_eq(symlink(path, other), 0);
	refused(other, "symbolic link");
	snprintf(other, sizeof other, "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(other, 0600), 0);
	begin = ranq_clock_ms();
	refused(other, "regular file");
	ck_assert_int_lt(ranq_clock_ms() - begin, 2000);
	refused(dir, "regular file");
	refused("/dev/null", "regular file");
	snprintf(other, sizeof other, "%s/none", dir);
	refused(other, "no password file");
	snprintf(other, sizeof other, "%s/secret/below", dir);
	refused(other, "cannot read");
}
END_TEST

START_TEST(a_file_of_another_user_is_refused)
{
	if (geteuid() != 0) {
		/* any file of root that is closed to others cannot be opened at all then */
		refused("/etc/shadow", "'/etc/shadow'");
		return;
	}
	put(path, CANARY, strlen(CANARY), 0600);
	ck_assert_int_eq(chown(path, 65534, (gid_t)-1), 0);
	refused(path, "belongs to user 65534");
}
END_TEST

/* ---- connection files ----------------------------------------------------------------------------------------- */

static const char pem[] = "-----BEGIN CERTIFICATE-----\nMIIB\nAAAA\n-----END CERTIFICATE-----\n";

static void sample(struct ranq_connection_file *file, const char *url, bool secrets)
{
	ranq_connection_file_init(file);
	ck_assert_int_eq(ranq_server_addr_parse(url, &file->addr, NULL), 0);
	file->host = strdup("login1.site");
	if (!secrets)
		return;
	file->dir = strdup("/scratch/a b/data");
	file->pid = 4711;
	file->addr.password = strdup(CANARY " with blanks ");
	file->addr.ca_pem = strdup(pem);
}

static void same(const char *a, const char *b)
{
	ck_assert_int_eq(!a, !b);
	if (a)
		ck_assert_str_eq(a, b);
}

static const char *const urls[] = {
	"unix:///run/user/1000/ranq/redis.sock",
	"unix:///a%20b/%25/%3f%23%40?db=7",
	"redis://host:7777",
	"rediss://us%40er%3A@host:1/3",
	"rediss://[fe80::1%eth0]:65535/15",
};

START_TEST(connection_file_there_and_back)
{
	struct ranq_connection_file in, out;
	struct ranq_err err = {0};
	struct stat st;
	char deep[160];

	for (int secrets = 0; secrets < 2; secrets++) {
		sample(&in, urls[_i], secrets);
		snprintf(deep, sizeof deep, "%s/x/y/default", dir);
		ck_assert_msg(!ranq_connection_file_write(deep, &in, &err), "%s", err.text);
		ck_assert_int_eq(stat(deep, &st), 0);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
		ck_assert_msg(!ranq_connection_file_read(deep, &out, &err), "%s", err.text);
		same(in.addr.unix_path, out.addr.unix_path);
		same(in.addr.host, out.addr.host);
		same(in.addr.user, out.addr.user);
		same(in.addr.password, out.addr.password);
		same(in.addr.ca_pem, out.addr.ca_pem);
		same(in.host, out.host);
		same(in.dir, out.dir);
		ck_assert_int_eq(in.pid, out.pid);
		ck_assert_uint_eq(in.addr.port, out.addr.port);
		ck_assert_uint_eq(in.addr.db, out.addr.db);
		ck_assert_int_eq(in.addr.tls, out.addr.tls);
		ranq_connection_file_clear(&in);
		ranq_connection_file_clear(&out);
	}
	snprintf(deep, sizeof deep, "%s/x", dir);
	ck_assert_int_eq(stat(deep, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0700);
	snprintf(deep, sizeof deep, "test \"$(ls '%s/x/y')\" = default", dir);
	ck_assert_int_eq(system(deep), 0); /* no temporary file is left */
}
END_TEST

START_TEST(connection_file_needs_the_same_care)
{
	struct ranq_connection_file file;
	struct ranq_err err = {0};

	ck_assert_int_eq(ranq_connection_file_read(path, &file, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_NOTFOUND);
	sample(&file, urls[0], true);
	ck_assert_int_eq(ranq_connection_file_write(path, &file, &err), 0);
	ranq_connection_file_clear(&file);
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(ranq_connection_file_read(path, &file, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_ptr_nonnull(strstr(err.text, "chmod 600"));
}
END_TEST

#define HEAD "ranq-connection 1\nurl redis://h:1\n"
static const char *const damaged[] = {
	"",
	"\n",
	"ranq-connection 2\nurl redis://h\nhost a\n",
	"ranq-connection 1\n",
	"ranq-connection 1\nhost a\nurl redis://h\n",
	HEAD,
	HEAD "host a",
	HEAD "host a\nhost b\n",
	HEAD "host a\npid x\n",
	HEAD "host a\npid -1\n",
	HEAD "host a\npid 99999999999999999999\n",
	HEAD "host\n",
	HEAD "host a\n\n",
	HEAD "host a\npassword x\npassword " CANARY "\n",
	"ranq-connection 1\nurl redis://:" CANARY "@h\nhost a\n",
	HEAD "host a\x01\n",
	"ranq-connection 1\nurl http://h\nhost a\n",
};

START_TEST(damaged_connection_files_are_refused)
{
	struct ranq_connection_file file;
	struct ranq_err err = {0};

	put(path, damaged[_i], strlen(damaged[_i]), 0600);
	ck_assert_int_eq(ranq_connection_file_read(path, &file, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert(!strstr(err.text, CANARY));
	ck_assert_ptr_null(file.addr.password);
}
END_TEST

START_TEST(keys_of_a_newer_version_are_passed_over)
{
	static const char text[] = HEAD "host a\ncolour green\n";
	struct ranq_connection_file file;

	put(path, text, sizeof text - 1, 0600);
	ck_assert_int_eq(ranq_connection_file_read(path, &file, NULL), 0);
	ck_assert_str_eq(file.host, "a");
	ranq_connection_file_clear(&file);
}
END_TEST

START_TEST(values_of_two_lines_are_not_written)
{
	struct ranq_connection_file file;
	struct ranq_err err = {0};

	sample(&file, "redis://h", false);
	file.addr.password = strdup(CANARY "\nhost evil");
	ck_assert_int_eq(ranq_connection_file_write(path, &file, &err), -1);
	ck_assert(!strstr(err.text, CANARY));
	ck_assert_int_eq(access(path, F_OK), -1);
	ranq_connection_file_clear(&file);
}
END_TEST

START_TEST(path_of_the_file)
{
	char text[PATH_MAX];

	setenv("HOME", "/h", 1);
	unsetenv("XDG_CONFIG_HOME");
	ck_assert_int_eq(ranq_connection_file_path(NULL, text, sizeof text, NULL), 0);
	ck_assert_str_eq(text, "/h/.config/ranq/servers/default");
	setenv("XDG_CONFIG_HOME", "/c", 1);
	ck_assert_int_eq(ranq_connection_file_path("two", text, sizeof text, NULL), 0);
	ck_assert_str_eq(text, "/c/ranq/servers/two");
	setenv("XDG_CONFIG_HOME", "relative", 1);
	ck_assert_int_eq(ranq_connection_file_path(NULL, text, sizeof text, NULL), 0);
	ck_assert_str_eq(text, "/h/.config/ranq/servers/default");
	ck_assert_int_eq(ranq_connection_file_path("../x", text, sizeof text, NULL), -1);
	ck_assert_int_eq(ranq_connection_file_path("", text, sizeof text, NULL), -1);
	ck_assert_int_eq(ranq_connection_file_path(NULL, text, 10, NULL), -1);
}
END_TEST

START_TEST(a_local_socket_of_another_host)
{
	struct ranq_connection_file file;
	struct ranq_err err = {0};
	char here[HOST_NAME_MAX + 1] = "";

	sample(&file, urls[0], false);
	ck_assert_int_eq(ranq_connection_file_usable(&file, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
	ck_assert_ptr_nonnull(strstr(err.text, "local socket of login1.site"));
	ck_assert_ptr_nonnull(strstr(err.text, "'ranq server stop; ranq server start --listen 0.0.0.0'"));
	ck_assert_int_eq(gethostname(here, sizeof here - 1), 0);
	free(file.host);
	file.host = strdup(here);
	ck_assert_int_eq(ranq_connection_file_usable(&file, NULL), 0);
	ranq_connection_file_clear(&file);
	sample(&file, "redis://h", false);
	ck_assert_int_eq(ranq_connection_file_usable(&file, NULL), 0);
	ranq_connection_file_clear(&file);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
	Suite *suite = suite_create("credentials");
	TCase *tcase = tcase_create("credentials");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, one_line_is_read, 0, COUNT(good));
	tcase_add_loop_test(tcase, other_contents_are_refused, 0, COUNT(bad));
	tcase_add_test(tcase, longest_secret);
	tcase_add_loop_test(tcase, files_open_to_others_are_refused, 0, COUNT(open_modes));
	tcase_add_test(tcase, only_regular_files_are_read);
	tcase_add_test(tcase, a_file_of_another_user_is_refused);
	tcase_add_loop_test(tcase, connection_file_there_and_back, 0, COUNT(urls));
	tcase_add_test(tcase, connection_file_needs_the_same_care);
	tcase_add_loop_test(tcase, damaged_connection_files_are_refused, 0, COUNT(damaged));
	tcase_add_test(tcase, keys_of_a_newer_version_are_passed_over);
	tcase_add_test(tcase, values_of_two_lines_are_not_written);
	tcase_add_test(tcase, path_of_the_file);
	tcase_add_test(tcase, a_local_socket_of_another_host);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* test_resolve.c - which server and queue are meant, and who said so; config files that make no sense. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/resolve.h"
#include "store/credentials.h"

static char home[64], config[128];

static void begin(void)
{
	snprintf(home, sizeof home, "/tmp/ranq-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(home));
	snprintf(config, sizeof config, "%s/ranq", home);
	ck_assert_int_eq(mkdir(config, 0700), 0);
	snprintf(config, sizeof config, "%s/ranq/config", home);
	setenv("XDG_CONFIG_HOME", home, 1);
	unsetenv("RANQ_SERVER");
	unsetenv("RANQ_QUEUE");
	unsetenv("RANQ_PASSWORD_FILE");
}

static void end(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf '%s'", home);
	ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	ck_assert_int_eq(chmod(path, mode), 0);
}

static void write_connection(const char *host)
{
	struct ranq_connection_file file;
	char path[256];
	ranq_connection_file_init(&file);
	ck_assert_int_eq(ranq_server_addr_parse("unix:///tmp/private.sock", &file.addr, NULL), 0);
	file.addr.password = strdup("canary");
	file.host = strdup(host);
	ck_assert_int_eq(ranq_connection_file_path(NULL, path, sizeof path, NULL), 0);
	ck_assert_int_eq(ranq_connection_file_write(path, &file, NULL), 0);
	ranq_connection_file_clear(&file);
}

/* The configuration file and the connection file lie in one directory, whatever the environment says. */
START_TEST(one_directory)
{
	static const char *const configs[] = {"/x", "relative", "", NULL}, *const homes[] = {"/home/x", "", NULL};
	for (int i = 0; i < 4 * 3; i++) {
		char config_path[512], connection[512];
		const char *base = configs[i % 4], *own = homes[i / 4];
		base ? setenv("XDG_CONFIG_HOME", base, 1) : unsetenv("XDG_CONFIG_HOME");
		own ? setenv("HOME", own, 1) : unsetenv("HOME");
		ck_assert_int_eq(ranq_resolve_config_path(config_path, sizeof config_path, NULL), 0);
		ck_assert_int_eq(ranq_connection_file_path(NULL, connection, sizeof connection, NULL), 0);
		ck_assert_int_eq(config_path[0], '/');
		*strrchr(config_path, '/') = 0;
		ck_assert_int_eq(strncmp(config_path, connection, strlen(config_path)), 0);
		ck_assert_str_eq(connection + strlen(config_path), "/servers/default");
	}
}
END_TEST

static int resolve(const char *option, struct ranq_server_addr *addr, enum ranq_origin *origin, struct ranq_err *err)
{
	memset(err, 0, sizeof *err);
	return ranq_resolve_server(option, addr, origin, err);
}

START_TEST(precedence)
{
	struct ranq_server_addr addr;
	enum ranq_origin origin;
	struct ranq_err err;
	char host[65] = "";
	gethostname(host, sizeof host - 1);
	ck_assert_int_eq(resolve(NULL, &addr, &origin, &err), 0);
	ck_assert_int_eq(origin, RANQ_ORIGIN_NONE);
	write_connection(host);
	ck_assert_int_eq(resolve(NULL, &addr, &origin, &err), 1);
	ck_assert_int_eq(origin, RANQ_ORIGIN_CONNECTION);
	ck_assert_str_eq(addr.unix_path, "/tmp/private.sock");
	ck_assert_str_eq(addr.password, "canary");
	ranq_server_addr_clear(&addr);
	write_file(config, "# mine\n\n  server = redis://configured:7000/2  \nqueue=night\n", 0644);
	ck_assert_int_eq(resolve(NULL, &addr, &origin, &err), 1);
	ck_assert_int_eq(origin, RANQ_ORIGIN_CONFIG);
	ck_assert_str_eq(addr.host, "configured");
	ck_assert_uint_eq(addr.db, 2);
	ck_assert_ptr_null(addr.password);
	ranq_server_addr_clear(&addr);
	setenv("RANQ_SERVER", "redis://environment", 1);
	ck_assert_int_eq(resolve(NULL, &addr, &origin, &err), 1);
	ck_assert_int_eq(origin, RANQ_ORIGIN_ENVIRONMENT);
	ck_assert_str_eq(addr.host, "environment");
	ranq_server_addr_clear(&addr);
	ck_assert_int_eq(resolve("unix:///tmp/option", &addr, &origin, &err), 1);
	ck_assert_int_eq(origin, RANQ_ORIGIN_OPTION);
	ck_assert_str_eq(addr.unix_path, "/tmp/option");
	ranq_server_addr_clear(&addr);
}
END_TEST

START_TEST(private_server_by_its_url)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	char host[65] = "";
	gethostname(host, sizeof host - 1);
	write_connection(host);
	ck_assert_int_eq(resolve("unix:///tmp/private.sock", &addr, NULL, &err), 1);
	ck_assert_str_eq(addr.password, "canary");
	ranq_server_addr_clear(&addr);
	ck_assert_int_eq(resolve("unix:///tmp/another.sock", &addr, NULL, &err), 1);
	ck_assert_ptr_null(addr.password);
	ranq_server_addr_clear(&addr);
}
END_TEST

static void write_listening(void)
{
	struct ranq_connection_file file;
	char path[256];
	ranq_connection_file_init(&file);
	ck_assert_int_eq(ranq_server_addr_parse("rediss://ranq@127.0.0.1:7001", &file.addr, NULL), 0);
	file.addr.password = strdup("canary");
	file.addr.ca_pem = strdup("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
	file.host = strdup("elsewhere");
	ck_assert_int_eq(ranq_connection_file_path(NULL, path, sizeof path, NULL), 0);
	ck_assert_int_eq(ranq_connection_file_write(path, &file, NULL), 0);
	ranq_connection_file_clear(&file);
}

static void check_listening(const char *option, const char *password)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	ck_assert_msg(resolve(option, &addr, NULL, &err) == 1, "%s", err.text);
	ck_assert_str_eq(addr.user, "ranq");
	ck_assert_str_eq(addr.password, password);
	ck_assert_ptr_nonnull(addr.ca_pem);
	ranq_server_addr_clear(&addr);
}

START_TEST(listening_server_by_its_url)
{
	static const char url[] = "rediss://ranq@127.0.0.1:7001";
	struct ranq_server_addr addr;
	struct ranq_err err;
	char path[128], line[256];
	write_listening();
	check_listening(url, "canary");
	check_listening("rediss://127.0.0.1:7001", "canary");
	setenv("RANQ_SERVER", url, 1);
	check_listening(NULL, "canary");
	unsetenv("RANQ_SERVER");
	snprintf(path, sizeof path, "%s/pw", home);
	write_file(path, "another\n", 0600);
	snprintf(line, sizeof line, "server = %s\npassword-file = %s\n", url, path);
	write_file(config, line, 0600);
	check_listening(NULL, "canary");
	setenv("RANQ_PASSWORD_FILE", path, 1);
	check_listening(NULL, "another");
	check_listening(url, "another");
	unsetenv("RANQ_PASSWORD_FILE");
	unlink(config);
	ck_assert_int_eq(resolve("rediss://other@127.0.0.1:7001", &addr, NULL, &err), 1);
	ck_assert_ptr_null(addr.password);
	ranq_server_addr_clear(&addr);
	ck_assert_int_eq(resolve("redis://ranq@127.0.0.1:7001", &addr, NULL, &err), 1);
	ck_assert_ptr_null(addr.password);
	ranq_server_addr_clear(&addr);
}
END_TEST

START_TEST(private_server_of_another_host)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	write_connection("elsewhere");
	ck_assert_int_eq(resolve(NULL, &addr, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "elsewhere"));
	ck_assert_ptr_null(strstr(err.text, "canary"));
}
END_TEST

START_TEST(passwords)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	char path[128], line[256];
	snprintf(path, sizeof path, "%s/pw", home);
	write_file(path, "canary\n", 0644);
	setenv("RANQ_PASSWORD_FILE", path, 1);
	ck_assert_int_eq(resolve("redis://h", &addr, NULL, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_ptr_null(strstr(err.text, "canary"));
	ck_assert_ptr_nonnull(strstr(err.text, "RANQ_PASSWORD_FILE"));
	setenv("RANQ_SERVER", "redis://h", 1);
	ck_assert_int_eq(resolve(NULL, &addr, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "RANQ_PASSWORD_FILE"));
	ck_assert_ptr_null(strstr(err.text, "RANQ_SERVER"));
	unsetenv("RANQ_SERVER");
	chmod(path, 0600);
	ck_assert_int_eq(resolve("redis://h", &addr, NULL, &err), 1);
	ck_assert_str_eq(addr.password, "canary");
	ranq_server_addr_clear(&addr);
	unsetenv("RANQ_PASSWORD_FILE");
	snprintf(line, sizeof line, "password-file = %s\n", path);
	write_file(config, line, 0644);
	ck_assert_int_eq(resolve("redis://h", &addr, NULL, &err), 1);
	ck_assert_str_eq(addr.password, "canary");
	ranq_server_addr_clear(&addr);
	ck_assert_int_eq(resolve("redis://:canary@h", &addr, NULL, &err), -1);
	ck_assert_ptr_null(strstr(err.text, "canary"));
}
END_TEST

START_TEST(bad_config)
{
	static const char *const texts[] = {"server\n", "queue=b\njust words\n"};
	struct ranq_server_addr addr;
	struct ranq_err err;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_file(config, texts[i], 0644);
		ck_assert_int_eq(resolve(NULL, &addr, NULL, &err), -1);
		ck_assert_ptr_nonnull(strstr(err.text, "expected 'key = value'"));
	}
	unlink(config);
	ck_assert_int_eq(mkdir(config, 0700), 0);
	ck_assert_int_eq(resolve(NULL, &addr, NULL, &err), -1);
	rmdir(config);
	write_file(config, "server = ftp://x\n", 0644);
	ck_assert_int_eq(resolve(NULL, &addr, NULL, &err), -1);
}
END_TEST

START_TEST(unknown_key)
{
	struct ranq_server_addr addr;
	struct ranq_err err;
	char name[RANQ_QUEUE_NAME_MAX + 1];
	write_file(config, "queue = a\nserver = redis://h\nqueu = b\n", 0600);
	ck_assert_int_eq(resolve(NULL, &addr, NULL, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
	ck_assert_ptr_nonnull(strstr(err.text, "line 3: unknown key 'queu'; did you mean 'queue'?"));
	ck_assert_int_eq(resolve("redis://option", &addr, NULL, &err), -1);
	ck_assert_int_eq(ranq_resolve_queue(NULL, name, NULL, &err), -1);
	write_file(config, "colour = blue\n", 0600);
	ck_assert_int_eq(resolve(NULL, &addr, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "unknown key 'colour'; there are server"));
}
END_TEST

START_TEST(queue)
{
	char name[RANQ_QUEUE_NAME_MAX + 1];
	enum ranq_origin origin;
	struct ranq_err err;
	ck_assert_int_eq(ranq_resolve_queue(NULL, name, &origin, &err), 0);
	ck_assert_str_eq(name, "default");
	ck_assert_int_eq(origin, RANQ_ORIGIN_DEFAULT);
	write_file(config, "queue = night\n", 0644);
	ck_assert_int_eq(ranq_resolve_queue(NULL, name, &origin, &err), 0);
	ck_assert_str_eq(name, "night");
	setenv("RANQ_QUEUE", "day", 1);
	ck_assert_int_eq(ranq_resolve_queue(NULL, name, &origin, &err), 0);
	ck_assert_str_eq(name, "day");
	ck_assert_int_eq(ranq_resolve_queue("noon", name, &origin, &err), 0);
	ck_assert_str_eq(name, "noon");
	ck_assert_int_eq(ranq_resolve_queue("no on", name, &origin, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_INPUT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("resolve");
	TCase *tests = tcase_create("resolve");
	tcase_add_checked_fixture(tests, begin, end);
	tcase_add_test(tests, one_directory);
	tcase_add_test(tests, precedence);
	tcase_add_test(tests, private_server_by_its_url);
	tcase_add_test(tests, private_server_of_another_host);
	tcase_add_test(tests, passwords);
	tcase_add_test(tests, listening_server_by_its_url);
	tcase_add_test(tests, bad_config);
	tcase_add_test(tests, unknown_key);
	tcase_add_test(tests, queue);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* URLs of servers: what they mean, which are refused, and that no message shows a password. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "store/conn.h"

#define SECRET "s3cret"

static const struct {
	const char *url, *path, *host, *user;
	unsigned port, db;
	bool tls;
	const char *text;
} good[] = {
	{"redis://localhost", NULL, "localhost", NULL, 6379, 0, false, "redis://localhost:6379"},
	{"redis://localhost/", NULL, "localhost", NULL, 6379, 0, false, "redis://localhost:6379"},
	{"REDIS://h:1/2", NULL, "h", NULL, 1, 2, false, "redis://h:1/2"},
	{"redis://10.1.2.3:65535/65535", NULL, "10.1.2.3", NULL, 65535, 65535, false, "redis://10.1.2.3:65535/65535"},
	{"redis://[::1]", NULL, "::1", NULL, 6379, 0, false, "redis://[::1]:6379"},
	{"redis://[::1]:7/1", NULL, "::1", NULL, 7, 1, false, "redis://[::1]:7/1"},
	{"redis://[fe80::1%eth0]", NULL, "fe80::1%eth0", NULL, 6379, 0, false, "redis://[fe80::1%25eth0]:6379"},
	{"rediss://me@login1.site:7777", NULL, "login1.site", "me", 7777, 0, true, "rediss://me@login1.site:7777"},
	{"redis://a%40b%3ac@h", NULL, "h", "a@b:c", 6379, 0, false, "redis://a%40b%3Ac@h:6379"},
	{"unix:///run/redis.sock", "/run/redis.sock", NULL, NULL, 0, 0, false, "unix:/run/redis.sock"},
	{"unix:/run/redis.sock", "/run/redis.sock", NULL, NULL, 0, 0, false, "unix:/run/redis.sock"},
	{"unix:///a%20b%25?db=3", "/a b%", NULL, NULL, 0, 3, false, "unix:/a%20b%25?db=3"},
};

static void same(const char *a, const char *b)
{
	ck_assert_int_eq(!a, !b);
	if (a)
		ck_assert_str_eq(a, b);
}

static void expect(const struct ranq_server_addr *addr, int i)
{
	same(addr->unix_path, good[i].path);
	same(addr->host, good[i].host);
	same(addr->user, good[i].user);
	ck_assert_uint_eq(addr->port, good[i].port);
	ck_assert_uint_eq(addr->db, good[i].db);
	ck_assert_int_eq(addr->tls, good[i].tls);
	ck_assert_ptr_null(addr->password);
}

START_TEST(good_urls_and_back)
{
	struct ranq_server_addr addr;
	struct ranq_err err = {0};
	char text[512];

	ranq_server_addr_init(&addr);
	ck_assert_msg(!ranq_server_addr_parse(good[_i].url, &addr, &err), "%s", err.text);
	expect(&addr, _i);
	strcpy(text, ranq_server_addr_text(&addr));
	ck_assert_str_eq(text, good[_i].text);
	ck_assert_msg(!ranq_server_addr_parse(text, &addr, &err), "%s", err.text);
	expect(&addr, _i);
	ranq_server_addr_clear(&addr);
}
END_TEST

static const struct {
	const char *url, *why;
} bad[] = {
	{"", "redis://HOST"},
	{"localhost:6379", "redis://HOST"},
	{"/run/redis.sock", "redis://HOST"},
	{"http://h", "redis://HOST"},
	{"redis:/h", "redis://HOST"},
	{"redis://", "host is missing"},
	{"redis://:6379", "host is missing"},
	{"redis:///1", "host is missing"},
	{"redis://h:", "bad port"},
	{"redis://h:0", "bad port"},
	{"redis://h:65536", "bad port"},
	{"redis://h:+1", "bad port"},
	{"redis://h:1x", "bad port"},
	{"redis://h:99999999999999999999", "bad port"},
	{"redis://::1", "host is missing"},
	{"redis://fe80::1", "brackets"},
	{"redis://[::1", "']' is missing"},
	{"redis://[host]", "bad host"},
	{"redis://[::1%a%25b]", "bad host"},
	{"redis://[]", "host is missing"},
	{"redis://[::1]x", "bad port"},
	{"redis://h h", "%XX"},
	{"redis://h\n", "%XX"},
	{"redis://h;rm", "bad host"},
	{"redis://h/x", "database"},
	{"redis://h/-1", "database"},
	{"redis://h/65536", "database"},
	{"redis://h/1/2", "database"},
	{"redis://h?db=1", "nothing may follow"},
	{"redis://h?password=" SECRET, "nothing may follow"},
	{"redis://h#x", "nothing may follow"},
	{"redis://@h", "user before '@' is missing"},
	{"redis://a%zz@h", "not readable"},
	{"redis://a%0a@h", "not readable"},
	{"redis://a%00@h", "not readable"},
	{"redis://a%4@h", "not readable"},
	{"redis://me:" SECRET "@h", "password in a URL"},
	{"redis://:" SECRET "@h", "password in a URL"},
	{"rediss://me:" SECRET "/x@h:1/2", "password in a URL"},
	{"redis://me:" SECRET "?x@h", "password in a URL"},
	{"redis://me:" SECRET "@x@h", "password in a URL"},
	{"redis:me:" SECRET "@h", "redis://HOST"},
	{"redis://me:" SECRET " @h", "%XX"},
	{"unix://", "unix:///absolute/path"},
	{"unix://run/redis.sock", "unix:///absolute/path"},
	{"unix:run/redis.sock", "redis://HOST"},
	{"unix:////x", "unix:///absolute/path"},
	{"unix:///%2fx", "unix:///absolute/path"},
	{"unix:///x%2f", "directory"},
	{"unix:///", "directory"},
	{"unix:///run/", "directory"},
	{"unix:///x?", "?db=NUMBER"},
	{"unix:///x?db=", "?db=NUMBER"},
	{"unix:///x?db=65536", "?db=NUMBER"},
	{"unix:///x?db=1&y=2", "?db=NUMBER"},
	{"unix:///x?password=" SECRET, "?db=NUMBER"},
	{"unix:///x%", "not readable"},
	{"unix:///x%1", "not readable"},
	{"unix:///x%0", "not readable"},
	{"unix:///x%00y", "not readable"},
};

START_TEST(bad_urls)
{
	struct ranq_server_addr addr;
	struct ranq_err err = {0};

	ranq_server_addr_init(&addr);
	ck_assert_int_eq(ranq_server_addr_parse("redis://kept:1/2", &addr, NULL), 0);
	ck_assert_int_eq(ranq_server_addr_parse(bad[_i].url, &addr, &err), -1);
	ck_assert_int_eq(ranq_err_status(err.code), 2);
	ck_assert_msg(strstr(err.text, bad[_i].why), "'%s' does not say '%s'", err.text, bad[_i].why);
	ck_assert_msg(!strstr(err.text, SECRET), "shows the password: %s", err.text);
	ck_assert_str_eq(ranq_server_addr_text(&addr), "redis://kept:1/2"); /* unchanged */
	ranq_server_addr_clear(&addr);
}
END_TEST

START_TEST(very_long_url)
{
	struct ranq_server_addr addr;
	struct ranq_err err = {0};
	char *url = calloc(1, 100001);

	ck_assert_ptr_nonnull(url);
	ranq_server_addr_init(&addr);
	memset(url, 'a', 100000);
	memcpy(url, "redis://", 8);
	ck_assert_int_eq(ranq_server_addr_parse(url, &addr, &err), -1);
	memcpy(url, "unix:///", 8);
	ck_assert_int_eq(ranq_server_addr_parse(url, &addr, &err), -1);
	ck_assert_uint_lt(strlen(err.text), 200);
	url[4000] = '\0'; /* parses; the text is cut, not overrun */
	ck_assert_int_eq(ranq_server_addr_parse(url, &addr, &err), 0);
	ck_assert_uint_lt(strlen(ranq_server_addr_text(&addr)), 512);
	ranq_server_addr_clear(&addr);
	free(url);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
	Suite *suite = suite_create("addr");
	TCase *tcase = tcase_create("addr");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tcase, good_urls_and_back, 0, COUNT(good));
	tcase_add_loop_test(tcase, bad_urls, 0, COUNT(bad));
	tcase_add_test(tcase, very_long_url);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

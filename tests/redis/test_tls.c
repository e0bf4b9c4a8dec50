/* TLS against a real server: what is trusted, what is refused and in which words. Certificates are made here. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/listener.h"
#include "support/redis_server.h"
#include "util/clock.h"

#define OPEN_MS 60000

static void expect_refusal(const struct ranq_server_addr *addr, int64_t limit_ms, const char *text)
{
	struct ranq_err err = {0};
	struct ranq_conn *conn = ranq_conn_open(addr, ranq_clock_ms() + limit_ms, &err);

	ck_assert_ptr_null(conn);
	ck_assert_msg(strstr(err.text, text), "'%s' does not say '%s'", err.text, text);
	ck_assert_int_eq(err.code, RANQ_ERR_SERVER);
}

#ifndef RANQ_HAVE_OPENSSL

START_TEST(a_build_without_tls_says_so)
{
	struct ranq_server_addr addr = {.host = strdup("127.0.0.1"), .tls = true};
	struct fake_listener listener;

	fake_listener_open(&listener, NULL);
	addr.port = listener.port;
	expect_refusal(&addr, OPEN_MS, "built without TLS");
	fake_listener_close(&listener);
	ranq_server_addr_clear(&addr);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_build_without_tls_says_so);
}

#else

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static struct test_redis server;
static struct ranq_conn *admin;
static struct ranq_server_addr addr;
static char certificate[128], key[128];

/* ---- certificates --------------------------------------------------------------------------------------------- */

static void write_pem(EVP_PKEY *pkey, X509 *x)
{
	FILE *f = fopen(certificate, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(PEM_write_X509(f, x), 1);
	fclose(f);
	f = fopen(key, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

static EVP_PKEY *new_key(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *pkey = NULL;

	ck_assert_int_eq(EVP_PKEY_keygen_init(context), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1), 1);
	ck_assert_int_eq(EVP_PKEY_keygen(context, &pkey), 1);
	EVP_PKEY_CTX_free(context);
	return pkey;
}

/* Self-signed, valid from yesterday until `seconds` from now. Its PEM text is returned, files are written. */
static char *make_certificate(const char *names, long seconds)
{
	EVP_PKEY *pkey = new_key();
	X509 *x = X509_new();
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *pem;
	long n;

	ck_assert(pkey && x && san && bio);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), seconds);
	X509_set_pubkey(x, pkey);
	X509_NAME_add_entry_by_txt(
		X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"ranq test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_add_ext(x, san, -1);
	ck_assert_int_gt(X509_sign(x, pkey, EVP_sha256()), 0);
	write_pem(pkey, x);
	ck_assert_int_eq(PEM_write_bio_X509(bio, x), 1);
	n = BIO_get_mem_data(bio, &data);
	pem = strndup(data, (size_t)n);
	BIO_free(bio);
	X509_EXTENSION_free(san);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return pem;
}

/* ---- the server ----------------------------------------------------------------------------------------------- */

static struct ranq_reply *call(struct ranq_conn *to, struct ranq_cmd *cmd)
{
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};

	ck_assert_msg(!ranq_conn_call(to, cmd, ranq_clock_ms() + OPEN_MS, &reply, &err), "%s", err.text);
	ranq_cmd_clear(cmd);
	return reply;
}

static struct ranq_cmd *words(struct ranq_cmd *cmd, const char *const *list)
{
	ranq_cmd_init(cmd);
	for (; *list; list++)
		ranq_cmd_str(cmd, *list);
	return cmd;
}
#define WORDS(cmd, ...) words(cmd, (const char *const[]){__VA_ARGS__, NULL})

/* A server that was built without TLS does not know the setting: false. */
static bool listen_on(const char *setting)
{
	char port[16], text[160];

	for (int tries = 0; tries < 20; tries++) {
		struct ranq_cmd cmd;
		struct ranq_reply *reply;
		bool ok, unknown;

		addr.port = fake_free_port();
		snprintf(port, sizeof port, "%u", addr.port);
		reply = call(admin, strcmp(setting, "port")
					    ? WORDS(&cmd, "CONFIG", "SET", "tls-cert-file", certificate, "tls-key-file",
						      key, "tls-auth-clients", "no", setting, port)
					    : WORDS(&cmd, "CONFIG", "SET", setting, port));
		ok = ranq_reply_type(reply) == RANQ_REPLY_STATUS;
		ranq_reply_words(reply, text, sizeof text);
		unknown = strstr(text, "Unknown option") != NULL;
		ranq_reply_destroy(reply);
		if (ok || unknown)
			return ok;
	}
	ck_abort_msg("cannot listen: %s", text);
	return false;
}

static void serve(const char *names, long seconds)
{
	addr.ca_pem = make_certificate(names, seconds);
	ck_assert_msg(listen_on("tls-port"), "this redis-server was built without TLS");
}

static void setup(void)
{
	static const char *const extra[] = {"--bind", "127.0.0.1", "-::1", NULL};

	test_redis_start(&server, 0, extra);
	admin = test_redis_connect(&server);
	snprintf(certificate, sizeof certificate, "%s/server.crt", server.dir);
	snprintf(key, sizeof key, "%s/server.key", server.dir);
	ranq_server_addr_init(&addr);
	addr.host = strdup("127.0.0.1");
	addr.tls = true;
}

static void teardown(void)
{
	ranq_server_addr_clear(&addr);
	ranq_conn_close(admin);
	test_redis_stop(&server);
}

static struct ranq_conn *open_tls(void)
{
	struct ranq_err err = {0};
	struct ranq_conn *conn = ranq_conn_open(&addr, ranq_clock_ms() + OPEN_MS, &err);

	ck_assert_msg(conn, "%s", err.text);
	ck_assert(ranq_conn_facts(conn)->tls);
	return conn;
}

/* ---- what works ----------------------------------------------------------------------------------------------- */

static void count(const struct ranq_reply *reply, void *arg)
{
	*(int64_t *)arg += reply && ranq_reply_int(reply) == *(int64_t *)arg + 1;
}

START_TEST(many_and_large_over_tls)
{
	const size_t big = (size_t)16 << 20;
	char *data = calloc(1, big);
	struct ranq_conn *conn;
	struct ranq_reply *reply;
	struct ranq_cmd cmd;
	int64_t counted = 0;

	serve("IP:127.0.0.1", 3600);
	conn = open_tls();
	for (int i = 0; i < 10000; i++) {
		ranq_conn_send(conn, WORDS(&cmd, "INCR", "counter"), count, &counted);
		ranq_cmd_clear(&cmd);
	}
	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < big; i++)
		data[i] = (char)(i * 2654435761u >> 11);
	WORDS(&cmd, "SET", "big");
	ranq_cmd_bytes(&cmd, data, big);
	ranq_reply_destroy(call(conn, &cmd));
	ck_assert_int_eq(counted, 10000);
	reply = call(conn, WORDS(&cmd, "GET", "big"));
	ck_assert_uint_eq(ranq_reply_bytes(reply).len, big);
	ck_assert_mem_eq(ranq_reply_bytes(reply).data, data, big);
	ranq_reply_destroy(reply);
	free(data);
	ranq_conn_close(conn);
}
END_TEST

START_TEST(names_are_accepted)
{
	serve("DNS:localhost,IP:127.0.0.1,IP:::1", 3600);
	ranq_conn_close(open_tls());
	free(addr.host);
	addr.host = strdup("localhost");
	ranq_conn_close(open_tls());
}
END_TEST

START_TEST(several_certificates_may_be_pinned)
{
	char *old = make_certificate("IP:127.0.0.1", 3600), *both;

	serve("IP:127.0.0.1", 3600);
	both = malloc(strlen(old) + strlen(addr.ca_pem) + 1);
	ck_assert_ptr_nonnull(both);
	strcpy(both, old);
	strcat(both, addr.ca_pem);
	free(old);
	free(addr.ca_pem);
	addr.ca_pem = both;
	ranq_conn_close(open_tls());
}
END_TEST

START_TEST(killed_server_is_noticed)
{
	struct ranq_conn *conn;
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;

	serve("IP:127.0.0.1", 3600);
	conn = open_tls();
	test_redis_kill(&server);
	ck_assert_int_eq(ranq_conn_call(conn, WORDS(&cmd, "PING"), ranq_clock_ms() + OPEN_MS, &reply, &err), -1);
	ck_assert(err.code == RANQ_ERR_UNKNOWN || err.code == RANQ_ERR_SERVER);
	ck_assert_ptr_nonnull(strstr(err.text, "lost the connection to 'rediss://127.0.0.1:"));
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
}
END_TEST

START_TEST(stopped_server_ends_a_call_at_its_deadline)
{
	struct ranq_conn *conn;
	struct ranq_reply *reply = NULL;
	struct ranq_err err = {0};
	struct ranq_cmd cmd;

	serve("IP:127.0.0.1", 3600);
	conn = open_tls();
	kill(server.pid, SIGSTOP);
	ck_assert_int_eq(ranq_conn_call(conn, WORDS(&cmd, "PING"), ranq_clock_ms() + 300, &reply, &err), -1);
	ck_assert_int_eq(err.code, RANQ_ERR_UNKNOWN);
	ranq_cmd_clear(&cmd);
	ranq_conn_close(conn);
	expect_refusal(&addr, 300, "TLS: no answer in time");
	kill(server.pid, SIGCONT);
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------------------------ */

START_TEST(expired_certificate)
{
	serve("IP:127.0.0.1", -10);
	expect_refusal(&addr, OPEN_MS, "certificate has expired");
}
END_TEST

START_TEST(certificate_of_another_host)
{
	serve("DNS:other.site,IP:127.0.0.2", 3600);
	expect_refusal(&addr, OPEN_MS, "IP address mismatch");
	free(addr.host);
	addr.host = strdup("localhost");
	expect_refusal(&addr, OPEN_MS, "hostname mismatch");
}
END_TEST

START_TEST(certificate_that_is_not_pinned)
{
	serve("IP:127.0.0.1", 3600);
	free(addr.ca_pem);
	addr.ca_pem = make_certificate("IP:127.0.0.1", 3600); /* same name, other key */
	expect_refusal(&addr, OPEN_MS, "certificate");
	free(addr.ca_pem);
	addr.ca_pem = NULL; /* the system does not know it either */
	expect_refusal(&addr, OPEN_MS, "self-signed certificate");
	addr.ca_pem = strdup("no certificate");
	expect_refusal(&addr, OPEN_MS, "pinned certificate is not readable");
}
END_TEST

START_TEST(plain_client_on_a_tls_port)
{
	serve("IP:127.0.0.1", 3600);
	addr.tls = false;
	expect_refusal(&addr, OPEN_MS, "use rediss://");
}
END_TEST

START_TEST(tls_client_on_a_plain_port)
{
	addr.ca_pem = make_certificate("IP:127.0.0.1", 3600);
	ck_assert(listen_on("port"));
	expect_refusal(&addr, 1000, "use redis://");
}
END_TEST

static const struct {
	const char *bytes, *text;
} cuts[] = {
	{"", "closed in the handshake"},
	{"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS; use redis://"},
	{"-ERR unknown command\r\n", "does not speak TLS; use redis://"},
	{"\x16\x03\x03\x00\x40\x02", "closed in the handshake"},
	{"\x15\x03\x03\x00\x02\x02\x28", "alert handshake failure"},
};

START_TEST(handshake_cut_or_answered_by_others)
{
	struct fake_listener listener;

	addr.ca_pem = make_certificate("IP:127.0.0.1", 3600);
	fake_listener_open(&listener, NULL);
	/* bytes up to the first NUL would do for none of the records, so lengths are counted by hand */
	fake_listener_answer(&listener, cuts[_i].bytes,
		cuts[_i].bytes[0] == 0x16   ? 6
		: cuts[_i].bytes[0] == 0x15 ? 7
					    : strlen(cuts[_i].bytes));
	addr.port = listener.port;
	expect_refusal(&addr, OPEN_MS, cuts[_i].text);
	fake_listener_close(&listener);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, many_and_large_over_tls);
	tcase_add_test(tcase, names_are_accepted);
	tcase_add_test(tcase, several_certificates_may_be_pinned);
	tcase_add_test(tcase, killed_server_is_noticed);
	tcase_add_test(tcase, stopped_server_ends_a_call_at_its_deadline);
	tcase_add_test(tcase, expired_certificate);
	tcase_add_test(tcase, certificate_of_another_host);
	tcase_add_test(tcase, certificate_that_is_not_pinned);
	tcase_add_test(tcase, plain_client_on_a_tls_port);
	tcase_add_test(tcase, tls_client_on_a_plain_port);
	tcase_add_loop_test(tcase, handshake_cut_or_answered_by_others, 0, sizeof cuts / sizeof *cuts);
}

#endif

int main(void)
{
	Suite *suite = suite_create("tls");
	TCase *tcase = tcase_create("tls");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

/* certificate.c - P-256, SHA-256, names as subjectAltName; the only user of OpenSSL outside store/tls.c. */
#include "common/certificate.h"

#ifdef RANQ_HAVE_OPENSSL

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"

#define LIFETIME_S (10L * 365 * 86400)
#define CLOCK_SKEW_S 86400L

bool ranq_certificate_supported(void)
{
	return true;
}

static bool is_address(const char *name)
{
	unsigned char bytes[16];
	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* A name goes into a configuration language of OpenSSL, so nothing but the letters of names and addresses may pass. */
static bool is_plain(const char *name)
{
	return *name &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:") == strlen(name);
}

static int add_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	int added = extension && X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
	return added ? 0 : -1;
}

static int add_names(X509 *cert, const char *const *names)
{
	struct ranq_buf list;
	ranq_buf_init(&list, 1 << 16);
	for (; *names; names++)
		if (is_plain(*names))
			ranq_buf_printf(
				&list, "%s%s:%s", list.len ? "," : "", is_address(*names) ? "IP" : "DNS", *names);
	int added = list.len && !ranq_buf_failed(&list)
			    ? add_extension(cert, NID_subject_alt_name, ranq_buf_cstr(&list))
			    : -1;
	ranq_buf_clear(&list);
	return added;
}

static int set_serial(X509 *cert)
{
	unsigned char bytes[8];
	uint64_t serial = 0;
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return -1;
	memcpy(&serial, bytes, sizeof serial);
	return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) ? 0 : -1;
}

static X509 *make_certificate(EVP_PKEY *key, const char *const *names)
{
	X509 *cert = X509_new();
	if (!cert)
		return NULL;
	X509_NAME *subject = X509_get_subject_name(cert);
	if (X509_set_version(cert, 2) && set_serial(cert) == 0 &&
		X509_gmtime_adj(X509_getm_notBefore(cert), -CLOCK_SKEW_S) &&
		X509_gmtime_adj(X509_getm_notAfter(cert), LIFETIME_S) && X509_set_pubkey(cert, key) &&
		X509_NAME_add_entry_by_txt(
			subject, "CN", MBSTRING_ASC, (const unsigned char *)"ranq server", -1, -1, 0) &&
		X509_set_issuer_name(cert, subject) &&
		add_extension(cert, NID_basic_constraints, "critical,CA:TRUE") == 0 && add_names(cert, names) == 0 &&
		X509_sign(cert, key, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

/* Opens PATH.new with mode 0600; renamed by finish. */
static FILE *open_new(const char *path, char **temporary)
{
	if (asprintf(temporary, "%s.new", path) < 0) {
		*temporary = NULL;
		return NULL;
	}
	unlink(*temporary);
	int fd = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static int write_pem(const char *path, EVP_PKEY *key, X509 *cert, struct ranq_err *err)
{
	char *temporary;
	FILE *file = open_new(path, &temporary);
	int done = -1;
	if (file) {
		int written =
			key ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) : PEM_write_X509(file, cert);
		if (fclose(file) == 0 && written)
			done = rename(temporary, path);
	}
	if (done < 0)
		ranq_err_sys(err, "cannot write '%s'", path);
	free(temporary);
	return done;
}

static EVP_PKEY *make_key(void)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	if (!context || EVP_PKEY_keygen_init(context) <= 0 ||
		EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) <= 0 ||
		EVP_PKEY_keygen(context, &key) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	return key;
}

int ranq_certificate_make(const char *key_path, const char *cert_path, const char *const *names, struct ranq_err *err)
{
	EVP_PKEY *key = make_key();
	X509 *cert = key ? make_certificate(key, names) : NULL;
	int made;
	if (!cert)
		made = ranq_err_set(err, RANQ_ERR_SYSTEM, "cannot make a certificate");
	else
		made = write_pem(key_path, key, NULL, err) < 0 || write_pem(cert_path, NULL, cert, err) < 0 ? -1 : 0;
	X509_free(cert);
	EVP_PKEY_free(key);
	return made;
}

int ranq_certificate_check(const char *cert_path, const char *name, unsigned days)
{
	FILE *file = fopen(cert_path, "re");
	X509 *cert = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	time_t then = time(NULL) + (time_t)days * 86400;
	int good = cert && X509_cmp_time(X509_get0_notAfter(cert), &then) > 0 &&
		   (is_address(name) ? X509_check_ip_asc(cert, name, 0) : X509_check_host(cert, name, 0, 0, NULL)) == 1;
	X509_free(cert);
	if (file)
		fclose(file);
	return good ? 0 : -1;
}

#else

bool ranq_certificate_supported(void)
{
	return false;
}

int ranq_certificate_make(const char *key_path, const char *cert_path, const char *const *names, struct ranq_err *err)
{
	(void)key_path, (void)cert_path, (void)names;
	return ranq_err_set(
		err, RANQ_ERR_INPUT, "this ranq was built without OpenSSL, so it cannot make a certificate");
}

int ranq_certificate_check(const char *cert_path, const char *name, unsigned days)
{
	(void)cert_path, (void)name, (void)days;
	return -1;
}

#endif

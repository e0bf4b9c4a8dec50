#include "store/tls.h"

#ifndef RANQ_HAVE_OPENSSL

#include <errno.h>

struct ranq_tls *ranq_tls_open(int fd, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	(void)fd;
	(void)deadline_ms;
	ranq_err_set(err, RANQ_ERR_SERVER, "cannot connect to '%s': this ranq was built without TLS",
		ranq_server_addr_text(addr));
	return NULL;
}

void ranq_tls_close(struct ranq_tls *tls)
{
	(void)tls;
}

ssize_t ranq_tls_read(struct ranq_tls *tls, void *data, size_t n)
{
	(void)tls, (void)data, (void)n;
	errno = ENOTCONN;
	return -1;
}

ssize_t ranq_tls_write(struct ranq_tls *tls, const void *data, size_t n)
{
	(void)tls, (void)data, (void)n;
	errno = ENOTCONN;
	return -1;
}

bool ranq_tls_pending(const struct ranq_tls *tls)
{
	(void)tls;
	return false;
}

bool ranq_tls_wants_write(const struct ranq_tls *tls)
{
	(void)tls;
	return false;
}

const char *ranq_tls_reason(const struct ranq_tls *tls)
{
	(void)tls;
	return "";
}

#else

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "store/transport.h"

struct ranq_tls {
	SSL_CTX *context;
	SSL *ssl;
	BIO_METHOD *method;
	int fd;
	bool wants_write;
	char reason[160];
};

/* ---- the socket as a BIO: OpenSSL's own writes with write(2), which can raise SIGPIPE ------------------------- */

static int bio_write(BIO *bio, const char *data, int n)
{
	struct ranq_tls *tls = BIO_get_data(bio);
	ssize_t sent = send(tls->fd, data, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)sent;
}

static int bio_read(BIO *bio, char *data, int n)
{
	struct ranq_tls *tls = BIO_get_data(bio);
	ssize_t got = recv(tls->fd, data, (size_t)n, MSG_DONTWAIT);

	BIO_clear_retry_flags(bio);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	return (int)got;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static bool attach(struct ranq_tls *tls)
{
	BIO *bio;

	tls->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ranq socket");
	if (!tls->method)
		return false;
	BIO_meth_set_write(tls->method, bio_write);
	BIO_meth_set_read(tls->method, bio_read);
	BIO_meth_set_ctrl(tls->method, bio_ctrl);
	BIO_meth_set_create(tls->method, bio_create);
	bio = BIO_new(tls->method);
	if (!bio)
		return false;
	BIO_set_data(bio, tls);
	SSL_set_bio(tls->ssl, bio, bio);
	return true;
}

/* ---- trust ---------------------------------------------------------------------------------------------------- */

/* A pinned certificate is an anchor by itself, be it a CA or the server's own. Returns how many were taken. */
static int trust_pem(SSL_CTX *context, const char *pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate;
	int n = 0;

	while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		n += X509_STORE_add_cert(store, certificate) == 1;
		X509_free(certificate);
	}
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

static SSL_CTX *make_context(const struct ranq_server_addr *addr, struct ranq_err *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (addr->ca_pem ? trust_pem(context, addr->ca_pem) > 0 : SSL_CTX_set_default_verify_paths(context) == 1)
		return context;
	ranq_err_set(err, RANQ_ERR_SERVER, "cannot connect to '%s': TLS: %s", ranq_server_addr_text(addr),
		addr->ca_pem ? "the pinned certificate is not readable" : "the system's certificates are not readable");
	SSL_CTX_free(context);
	return NULL;
}

/* The name that the certificate must have; also sent to the server (SNI) unless it is an address. */
static bool expect_host(SSL *ssl, const char *host)
{
	unsigned char binary[16];

	if (inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* ---- life ----------------------------------------------------------------------------------------------------- */

static void note_reason(struct ranq_tls *tls, const char *otherwise)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	snprintf(tls->reason, sizeof tls->reason, "%s", text ? text : otherwise);
	ERR_clear_error();
}

/* What a failed handshake means for the user. */
static int handshake_failed(struct ranq_tls *tls, const struct ranq_server_addr *addr, int kind, struct ranq_err *err)
{
	unsigned long code = ERR_peek_error();
	long verdict = SSL_get_verify_result(tls->ssl);
	const char *where = ranq_server_addr_text(addr), *text;

	if (verdict != X509_V_OK)
		text = X509_verify_cert_error_string(verdict);
	else if (ERR_GET_LIB(code) == ERR_LIB_SSL && (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ||
							     ERR_GET_REASON(code) == SSL_R_PACKET_LENGTH_TOO_LONG))
		text = "the server does not speak TLS; use redis://";
	else if (kind == SSL_ERROR_SYSCALL || !code)
		text = "the connection was closed in the handshake (if the server does not speak TLS, use redis://)";
	else
		text = ERR_reason_error_string(code);
	ERR_clear_error();
	return ranq_err_set(
		err, RANQ_ERR_SERVER, "cannot connect to '%s': TLS: %s", where, text ? text : "handshake failed");
}

static int handshake(
	struct ranq_tls *tls, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	for (;;) {
		int n, kind;

		ERR_clear_error();
		n = SSL_connect(tls->ssl);
		if (n == 1)
			return 0;
		kind = SSL_get_error(tls->ssl, n);
		if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
			return handshake_failed(tls, addr, kind, err);
		n = ranq_fd_wait(tls->fd, kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ms);
		if (n < 1)
			return ranq_err_set(err, RANQ_ERR_SERVER,
				"cannot connect to '%s': TLS: no answer in time (if the server does not speak TLS, use "
				"redis://)",
				ranq_server_addr_text(addr));
	}
}

static int prepare(struct ranq_tls *tls, const struct ranq_server_addr *addr, struct ranq_err *err)
{
	if (!addr->host)
		return ranq_err_set(
			err, RANQ_ERR_INPUT, "TLS to '%s': a local socket has no TLS", ranq_server_addr_text(addr));
	tls->context = make_context(addr, err);
	if (!tls->context)
		return -1;
	tls->ssl = SSL_new(tls->context);
	if (!tls->ssl || !attach(tls) || !expect_host(tls->ssl, addr->host))
		return ranq_err_set(err, RANQ_ERR_SERVER, "cannot connect to '%s': TLS cannot be set up",
			ranq_server_addr_text(addr));
	return 0;
}

struct ranq_tls *ranq_tls_open(int fd, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err)
{
	struct ranq_tls *tls = calloc(1, sizeof *tls);

	if (!tls) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	tls->fd = fd;
	if (!prepare(tls, addr, err) && !handshake(tls, addr, deadline_ms, err))
		return tls;
	ranq_tls_close(tls);
	return NULL;
}

void ranq_tls_close(struct ranq_tls *tls)
{
	int saved = errno;

	if (!tls)
		return;
	SSL_free(tls->ssl); /* with its BIO */
	BIO_meth_free(tls->method);
	SSL_CTX_free(tls->context);
	free(tls);
	ERR_clear_error();
	errno = saved;
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

/* 0 only at the end of the stream. An end without the closing alert is an end too: every reply states its length. */
static ssize_t not_now(struct ranq_tls *tls, int n, bool reading)
{
	int saved = errno, kind = SSL_get_error(tls->ssl, n);

	if (reading)
		tls->wants_write = kind == SSL_ERROR_WANT_WRITE;
	errno = EAGAIN;
	if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
		return -1;
	if (kind == SSL_ERROR_ZERO_RETURN && reading)
		return 0;
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
	if (kind == SSL_ERROR_SSL && reading && ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return 0;
#endif
	if (kind == SSL_ERROR_SYSCALL && reading && !saved)
		return 0;
	note_reason(tls, "the connection was closed");
	errno = kind == SSL_ERROR_SYSCALL && saved ? saved : EPROTO;
	return -1;
}

ssize_t ranq_tls_read(struct ranq_tls *tls, void *data, size_t n)
{
	int got;

	ERR_clear_error();
	errno = 0;
	got = SSL_read(tls->ssl, data, n > 1 << 30 ? 1 << 30 : (int)n);
	if (got <= 0)
		return not_now(tls, got, true);
	tls->wants_write = false;
	return got;
}

ssize_t ranq_tls_write(struct ranq_tls *tls, const void *data, size_t n)
{
	int sent;

	ERR_clear_error();
	errno = 0;
	sent = SSL_write(tls->ssl, data, n > 1 << 30 ? 1 << 30 : (int)n);
	return sent > 0 ? sent : not_now(tls, sent, false);
}

bool ranq_tls_pending(const struct ranq_tls *tls)
{
	return SSL_pending(tls->ssl) > 0;
}

bool ranq_tls_wants_write(const struct ranq_tls *tls)
{
	return tls->wants_write;
}

const char *ranq_tls_reason(const struct ranq_tls *tls)
{
	return tls->reason;
}

#endif

/* tls.h - TLS 1.2 or newer over a connected socket; the server must prove its name or IP address, by the pinned
 * certificates of the address or else by the system's. The only door to OpenSSL. A build without OpenSSL refuses to
 * open. */
#ifndef RANQ_STORE_TLS_H
#define RANQ_STORE_TLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/conn.h"

struct ranq_tls;
/* Handshake on fd (non-blocking, stays the caller's). NULL: SERVER, with what is wrong with the certificate or the
 * port. */
struct ranq_tls *ranq_tls_open(int fd, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err);
void ranq_tls_close(struct ranq_tls *tls); /* takes NULL */
ssize_t ranq_tls_read(struct ranq_tls *tls, void *data, size_t n);
ssize_t ranq_tls_write(struct ranq_tls *tls, const void *data, size_t n);
bool ranq_tls_pending(const struct ranq_tls *tls);
bool ranq_tls_wants_write(const struct ranq_tls *tls);
const char *ranq_tls_reason(const struct ranq_tls *tls); /* of the last EPROTO */

#endif

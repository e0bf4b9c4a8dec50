/* certificate.h - the self-signed certificate of a private server; clients pin it, so no authority is needed. */
#ifndef RANQ_LAUNCHER_CERTIFICATE_H
#define RANQ_LAUNCHER_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

bool ranq_certificate_supported(void); /* built with OpenSSL */

/* Writes key and certificate (PEM, mode 0600, put in place in one step each), good for ten years, for `names`: host
 * names and IP addresses, NULL-terminated. Errors: SYSTEM, INPUT (built without OpenSSL). */
int ranq_certificate_make(const char *key_path, const char *cert_path, const char *const *names, struct ranq_err *err);

/* 0: the file holds a certificate that is valid for at least `days` more and for `name`; -1 otherwise. */
int ranq_certificate_check(const char *cert_path, const char *name, unsigned days);

#endif

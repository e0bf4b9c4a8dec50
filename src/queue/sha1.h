/* sha1.h - SHA-1, for one purpose: the names under which EVALSHA finds scripts. Not for security. */
#ifndef RANQ_QUEUE_SHA1_H
#define RANQ_QUEUE_SHA1_H

#include <stddef.h>

/* Writes 40 lower-case hex digits and a NUL. */
void ranq_sha1_hex(const void *data, size_t len, char hex[41]);

#endif

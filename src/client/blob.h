/* blob.h - files that travel with a job: modules and job data, named by the SHA-256 of their bytes. */
#ifndef RANQ_CLIENT_BLOB_H
#define RANQ_CLIENT_BLOB_H

#include "client/session.h"

#define RANQ_BLOB_HASH_LEN 64 /* lower-case hex */
#define RANQ_BLOB_MAX_BYTES ((size_t)1 << 30)

void ranq_blob_hash(const void *data, size_t len, char hash[RANQ_BLOB_HASH_LEN + 1]);
/* A whole regular file; the caller clears out. Errors: INPUT with what is wrong with it. */
int ranq_blob_read(const char *path, struct ranq_buf *out, struct ranq_err *err);
/* Puts the bytes into the queue unless they are there. */
int ranq_blob_send(struct ranq_session *session, const char *hash, const void *data, size_t len, struct ranq_err *err);

#endif

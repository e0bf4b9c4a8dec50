/* blob.h - files that travel with a job: modules and job data, named by the SHA-256 of their bytes. */
#ifndef RANQ_CLIENT_BLOB_H
#define RANQ_CLIENT_BLOB_H

#include <time.h>

#include "client/session.h"

#define RANQ_BLOB_HASH_LEN 64 /* lower-case hex */
#define RANQ_BLOB_MAX_BYTES ((size_t)1 << 30)     /* that are kept in memory */
#define RANQ_BLOB_MAX_FILE_BYTES ((uint64_t)1 << 36)

void ranq_blob_hash(const void *data, size_t len, char hash[RANQ_BLOB_HASH_LEN + 1]);
/* A whole regular file; the caller clears out. Errors: INPUT with what is wrong with it. */
int ranq_blob_read(const char *path, struct ranq_buf *out, struct ranq_err *err);
/* Puts the bytes into the queue unless they are there. */
int ranq_blob_send(struct ranq_session *session, const char *hash, const void *data, size_t len, struct ranq_err *err);

/* The same for a file that need not fit into memory: it is read twice, 8 MiB at a time. */
struct ranq_blob_file {
	int fd;
	uint64_t len;
	struct timespec changed; /* last, when it was opened */
};
int ranq_blob_open(const char *path, struct ranq_blob_file *file, struct ranq_err *err);
void ranq_blob_close(struct ranq_blob_file *file);
int ranq_blob_file_hash(const struct ranq_blob_file *file, char hash[RANQ_BLOB_HASH_LEN + 1], struct ranq_err *err);
/* Refuses a file that was changed since it was opened: what the queue has under a hash must be what it names. */
int ranq_blob_file_send(
	struct ranq_session *session, const char *hash, const struct ranq_blob_file *file, struct ranq_err *err);

#endif

/* blobs.h - modules and job data at a rank: memory files by number, filled piece by piece or received as descriptors.
 */
#ifndef RANQ_BRIDGE_BLOBS_H
#define RANQ_BRIDGE_BLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct ranq_blobs;
struct ranq_blobs *ranq_blobs_create(void);
void ranq_blobs_destroy(struct ranq_blobs *blobs); /* closes all; takes NULL */
/* Adds a piece; pieces come in order, the first one with offset 0 (which begins anew). *whole: that was the last one, of a
 * blob that was whole before, too. */
int ranq_blobs_piece(struct ranq_blobs *blobs, uint64_t number, uint64_t total, uint64_t offset, const void *data,
	size_t len, bool *whole, struct ranq_err *err);
/* Takes over a descriptor that holds the whole blob; closes it when it does not have that size or is known already. */
int ranq_blobs_adopt(struct ranq_blobs *blobs, uint64_t number, uint64_t total, int fd, struct ranq_err *err);
/* Borrowed descriptor of a complete blob; -1: not here (yet). */
int ranq_blobs_fd(const struct ranq_blobs *blobs, uint64_t number);
void ranq_blobs_forget(struct ranq_blobs *blobs, uint64_t number);

/* A sealed-on-completion memory file; -1 with err. */
int ranq_blob_file_create(struct ranq_err *err);
int ranq_blob_file_append(int fd, uint64_t offset, const void *data, size_t len, struct ranq_err *err);
void ranq_blob_file_seal(int fd);

#endif

/* split.h - results that are too large to travel whole: stored in the server in slices of RANQ_SLICE_BYTES.
 *
 * The slices come before the result that names them, and are worth nothing without it: so they lie under a name of their
 * own for each attempt, the SHA-256 of random salt and content. Two attempts of a task never share slices, and a reader
 * knows whether it has seen the content whole and unchanged. */
#ifndef RANQ_RECORD_SPLIT_H
#define RANQ_RECORD_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

#define RANQ_SLICE_BYTES ((size_t)8 << 20)
#define RANQ_SPLIT_MIN ((size_t)16 << 20) /* results of more bytes are split */
#define RANQ_SPLIT_NAME_BYTES 32
#define RANQ_SPLIT_SALT_BYTES 16

struct ranq_split {
	uint64_t size; /* above RANQ_SLICE_BYTES, at most RANQ_SPEC_MAX_OUTPUT */
	unsigned char name[RANQ_SPLIT_NAME_BYTES], salt[RANQ_SPLIT_SALT_BYTES];
};
#define RANQ_SPLIT_NAME_LEN (2 * RANQ_SPLIT_NAME_BYTES)

/* Names a content with a new salt. -1: no random numbers (errno). */
int ranq_split_make(struct ranq_split *split, const void *data, uint64_t size);
void ranq_split_name(const struct ranq_split *split, char name[RANQ_SPLIT_NAME_LEN + 1]); /* hex */
uint64_t ranq_split_count(const struct ranq_split *split);
size_t ranq_split_len(const struct ranq_split *split, uint64_t slice); /* of slice number `slice`, below the count */

/* Is what was read slice after slice what the name says? */
struct ranq_split_check;
struct ranq_split_check *ranq_split_check_begin(const struct ranq_split *split); /* NULL: out of memory */
void ranq_split_check_add(struct ranq_split_check *check, const void *data, size_t len);
bool ranq_split_check_end(struct ranq_split_check *check, const struct ranq_split *split); /* frees */
void ranq_split_check_discard(struct ranq_split_check *check); /* takes NULL */

#endif

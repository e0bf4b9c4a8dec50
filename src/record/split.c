#include "record/split.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

_Static_assert(crypto_hash_sha256_BYTES == RANQ_SPLIT_NAME_BYTES, "hash length");

struct ranq_split_check {
	crypto_hash_sha256_state digest;
};

int ranq_split_make(struct ranq_split *split, const void *data, uint64_t size)
{
	crypto_hash_sha256_state digest;

	split->size = size;
	if (getrandom(split->salt, sizeof split->salt, 0) != (ssize_t)sizeof split->salt)
		return -1;
	crypto_hash_sha256_init(&digest);
	crypto_hash_sha256_update(&digest, split->salt, sizeof split->salt);
	crypto_hash_sha256_update(&digest, data, size);
	crypto_hash_sha256_final(&digest, split->name);
	return 0;
}

void ranq_split_name(const struct ranq_split *split, char name[RANQ_SPLIT_NAME_LEN + 1])
{
	sodium_bin2hex(name, RANQ_SPLIT_NAME_LEN + 1, split->name, sizeof split->name);
}

uint64_t ranq_split_count(const struct ranq_split *split)
{
	return split->size / RANQ_SLICE_BYTES + (split->size % RANQ_SLICE_BYTES != 0);
}

size_t ranq_split_len(const struct ranq_split *split, uint64_t slice)
{
	uint64_t left = split->size - slice * RANQ_SLICE_BYTES;

	return left < RANQ_SLICE_BYTES ? (size_t)left : RANQ_SLICE_BYTES;
}

struct ranq_split_check *ranq_split_check_begin(const struct ranq_split *split)
{
	struct ranq_split_check *check = malloc(sizeof *check);

	if (!check)
		return NULL;
	crypto_hash_sha256_init(&check->digest);
	crypto_hash_sha256_update(&check->digest, split->salt, sizeof split->salt);
	return check;
}

void ranq_split_check_add(struct ranq_split_check *check, const void *data, size_t len)
{
	crypto_hash_sha256_update(&check->digest, data, len);
}

bool ranq_split_check_end(struct ranq_split_check *check, const struct ranq_split *split)
{
	unsigned char name[RANQ_SPLIT_NAME_BYTES];

	crypto_hash_sha256_final(&check->digest, name);
	free(check);
	return memcmp(name, split->name, sizeof name) == 0;
}

void ranq_split_check_discard(struct ranq_split_check *check)
{
	free(check);
}

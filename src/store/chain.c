#include "store/chain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 << 10)

struct ranq_block {
	struct ranq_block *next;
	size_t begin, end, cap; /* [begin, end) waits */
	unsigned char data[];
};

void ranq_chain_init(struct ranq_chain *chain)
{
	*chain = (struct ranq_chain){0};
}

/* One block of the usual size is kept: in steady state nothing is allocated. */
static void release(struct ranq_chain *chain, struct ranq_block *block)
{
	if (chain->wipe)
		explicit_bzero(block->data, block->end);
	if (chain->spare || block->cap != BLOCK_BYTES) {
		free(block);
		return;
	}
	block->begin = block->end = 0;
	block->next = NULL;
	chain->spare = block;
}

void ranq_chain_clear(struct ranq_chain *chain)
{
	struct ranq_block *block;

	while ((block = chain->head)) {
		chain->head = block->next;
		release(chain, block);
	}
	free(chain->spare);
	ranq_chain_init(chain);
}

static struct ranq_block *block_get(struct ranq_chain *chain, size_t n)
{
	size_t cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
	struct ranq_block *block = chain->spare;

	if (block && cap == BLOCK_BYTES) {
		chain->spare = NULL;
		return block;
	}
	block = malloc(sizeof *block + cap);
	if (block)
		*block = (struct ranq_block){.cap = cap};
	return block;
}

bool ranq_chain_reserve(struct ranq_chain *chain, size_t n)
{
	struct ranq_block *block;

	if (chain->tail && chain->tail->cap - chain->tail->end >= n)
		return true;
	block = block_get(chain, n);
	if (!block)
		return false;
	if (chain->tail)
		chain->tail->next = block;
	else
		chain->head = block;
	chain->tail = block;
	return true;
}

void ranq_chain_add(struct ranq_chain *chain, const void *data, size_t n)
{
	struct ranq_block *block = chain->tail;

	assert(block && block->cap - block->end >= n);
	if (n)
		memcpy(block->data + block->end, data, n);
	block->end += n;
	chain->len += n;
}

int ranq_chain_vector(const struct ranq_chain *chain, struct iovec *vector, int max)
{
	const struct ranq_block *block;
	int n = 0;

	for (block = chain->head; block && n < max; block = block->next)
		if (block->end > block->begin)
			vector[n++] = (struct iovec){(void *)(block->data + block->begin), block->end - block->begin};
	return n;
}

void ranq_chain_drop(struct ranq_chain *chain, size_t n)
{
	assert(n <= chain->len);
	chain->len -= n;
	while (chain->head) {
		struct ranq_block *block = chain->head;
		size_t here = block->end - block->begin;

		if (n < here) {
			block->begin += n;
			return;
		}
		n -= here;
		chain->head = block->next;
		if (!chain->head)
			chain->tail = NULL;
		release(chain, block);
	}
}

#include "store/chain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 << 10)
#define SPARES_MAX 32

struct ranq_block {
	struct ranq_block *next;
	size_t begin, end; /* [begin, end) waits */
	unsigned char data[BLOCK_BYTES];
};

void ranq_chain_init(struct ranq_chain *chain)
{
	*chain = (struct ranq_chain){0};
}

static void release(struct ranq_chain *chain, struct ranq_block *block)
{
	if (chain->wipe)
		explicit_bzero(block->data, block->end);
	if (chain->spares == SPARES_MAX) {
		free(block);
		return;
	}
	block->next = chain->spare;
	chain->spare = block;
	chain->spares++;
}

static void free_list(struct ranq_block *block)
{
	while (block) {
		struct ranq_block *next = block->next;

		free(block);
		block = next;
	}
}

void ranq_chain_clear(struct ranq_chain *chain)
{
	ranq_chain_drop(chain, chain->len);
	free_list(chain->spare);
	ranq_chain_init(chain);
}

static struct ranq_block *add_block(struct ranq_chain *chain)
{
	struct ranq_block *block = chain->spare;

	if (block) {
		chain->spare = block->next;
		chain->spares--;
	} else {
		block = malloc(sizeof *block);
		if (!block)
			return NULL;
	}
	block->next = NULL;
	block->begin = block->end = 0;
	if (chain->tail)
		chain->tail->next = block;
	else
		chain->head = block;
	chain->tail = block;
	return block;
}

bool ranq_chain_add(struct ranq_chain *chain, const void *data, size_t n)
{
	const unsigned char *from = data;

	while (n) {
		struct ranq_block *block = chain->tail;
		size_t room = block ? BLOCK_BYTES - block->end : 0, part = n < room ? n : room;

		if (!room) {
			if (!add_block(chain))
				return false;
			continue;
		}
		memcpy(block->data + block->end, from, part);
		block->end += part;
		chain->len += part;
		from += part;
		n -= part;
	}
	return true;
}

int ranq_chain_vector(const struct ranq_chain *chain, struct iovec *vector, int max)
{
	const struct ranq_block *block;
	int n = 0;

	for (block = chain->head; block && n < max; block = block->next)
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

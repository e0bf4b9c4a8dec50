/* chain.h - bytes on their way out: a list of blocks that are filled once and never moved, so that queueing costs one
 * copy whatever is waiting already. Some empty blocks are kept, so that in steady state no memory is asked for, which
 * costs more than the copy. */
#ifndef RANQ_STORE_CHAIN_H
#define RANQ_STORE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct ranq_block;
struct ranq_chain {
	struct ranq_block *head, *tail, *spare;
	size_t len, spares;
	bool wipe; /* secrets pass through: blocks are wiped before they are reused or freed */
};

void ranq_chain_init(struct ranq_chain *chain);
void ranq_chain_clear(struct ranq_chain *chain);
/* false: out of memory; part of it may have been appended. */
bool ranq_chain_add(struct ranq_chain *chain, const void *data, size_t n);
/* The first bytes as a vector; returns the number of entries used. */
int ranq_chain_vector(const struct ranq_chain *chain, struct iovec *vector, int max);
void ranq_chain_drop(struct ranq_chain *chain, size_t n);

#endif

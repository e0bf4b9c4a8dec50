/* ledger.h - which task indices were delivered: a sorted set of disjoint ranges. With it neither a takeover, nor a
 * retry, nor a server that rolled back delivers an index twice. Packed, it is the state that an acknowledgement stores.
 */
#ifndef RANQ_CLIENT_LEDGER_H
#define RANQ_CLIENT_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

struct ranq_ledger {
	uint64_t (*at)[2]; /* n ranges [start, end), ascending, never touching each other */
	size_t n, cap;
};
void ranq_ledger_init(struct ranq_ledger *ledger);
void ranq_ledger_clear(struct ranq_ledger *ledger);
/* Adds [start, end); what is there already is fine. */
int ranq_ledger_add(struct ranq_ledger *ledger, uint64_t start, uint64_t end, struct ranq_err *err);
bool ranq_ledger_has(const struct ranq_ledger *ledger, uint64_t index);
/* First part of [from, end) that is not in the ledger: sets *start, *stop; false when there is none. */
bool ranq_ledger_gap(const struct ranq_ledger *ledger, uint64_t from, uint64_t end, uint64_t *start, uint64_t *stop);
/* Number of indices. */
uint64_t ranq_ledger_count(const struct ranq_ledger *ledger);
int ranq_ledger_copy(struct ranq_ledger *to, const struct ranq_ledger *from, struct ranq_err *err);

/* What an acknowledgement stores: the ledger, and what became of the results: how far the output file was written by
 * then, or what they were combined to. */
struct ranq_consumer_state {
	struct ranq_ledger delivered;
	bool has_file, has_accumulator;
	uint64_t device, inode, offset;
	struct ranq_buf accumulator; /* of a program's own format */
};
#define RANQ_ACCUMULATOR_MAX_BYTES (64u << 20)
void ranq_consumer_state_init(struct ranq_consumer_state *state);
void ranq_consumer_state_clear(struct ranq_consumer_state *state);
int ranq_consumer_state_pack(const struct ranq_consumer_state *state, struct ranq_buf *out, struct ranq_err *err);
/* state is initialised by it and empty on failure. No bytes: an empty state. */
int ranq_consumer_state_unpack(const void *data, size_t len, struct ranq_consumer_state *state, struct ranq_err *err);

#endif

/* foreach_sum.h - something to combine results into: counts, sums, and a hash that depends on the order. */
#ifndef RANQ_TESTS_FOREACH_SUM_H
#define RANQ_TESTS_FOREACH_SUM_H

#include "tests/support/client_rig.h"

/* Plain memory, so that it can be the accumulator. */
struct sum {
	uint64_t n, calls, largest, last; /* results, calls of combine, most at once, last index */
	uint64_t hash, total;             /* of the indices: depends on the order; does not */
	int ordered;
};

/* A combine function: user is a struct sum, results are the indices of their tasks as 8 bytes. */
int sum_add(void *user, const struct ranq_value *values, size_t n);
/* What n tasks in order must come to. */
struct sum sum_expected(uint64_t n);
/* Options that combine into *sum, which is begun anew. */
struct ranq_foreach_options sum_each(uint64_t tasks, struct sum *sum);

#endif

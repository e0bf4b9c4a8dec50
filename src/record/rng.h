/* rng.h - L'Ecuyer's MRG32k3a with streams, bit for bit R's "L'Ecuyer-CMRG".
 * Sources: P. L'Ecuyer, R. Simard, E. J. Chen, W. D. Kelton, Operations Research 50 (2002) 1073; R sources are not
 * copied. Task k draws from the state that set.seed(seed) gives after k + 1 calls of parallel::nextRNGStream. */
#ifndef RANQ_RECORD_RNG_H
#define RANQ_RECORD_RNG_H

#include <stdint.h>

struct ranq_rng {
	uint32_t s[6];
};
void ranq_rng_seed(struct ranq_rng *rng, uint32_t seed);                 /* as R's set.seed(seed) */
void ranq_rng_task(struct ranq_rng *rng, uint32_t seed, uint64_t index); /* stream of a task, O(log index) */
void ranq_rng_next_stream(struct ranq_rng *rng);                         /* jump by 2^127 */
void ranq_rng_next_substream(struct ranq_rng *rng);                      /* jump by 2^76, as nextRNGSubStream */
double ranq_rng_unif(struct ranq_rng *rng);                              /* in (0, 1), as runif(1) */
double ranq_rng_norm(struct ranq_rng *rng);                              /* as rnorm(1), inversion */
uint64_t ranq_rng_seed_number(uint32_t seed, uint64_t index); /* {seed}: a 31-bit positive integer of the stream */

#endif

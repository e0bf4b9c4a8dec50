/* MRG32k3a. The two recurrences are matrices A1, A2 over the last three values; a jump of n steps is A^n modulo m. A
 * stream is 2^127 steps long, so a task's stream is reached by the (index + 1)-th power of the jump matrices. */
#include "record/rng.h"

#include <stddef.h>

#include "record/normal.h"

#define M1 4294967087u
#define M2 4294944443u
#define A12 1403580u
#define A13 810728u /* subtracted */
#define A21 527612u
#define A23 1370589u                  /* subtracted */
#define NORM 2.328306549295727688e-10 /* 1 / (M1 + 1) */
#define SCRAMBLE 69069u

/* A1 and A2 to the power 2^127; a unit test derives them again by squaring. */
static const uint32_t jump1[9] = {2427906178u, 3580155704u, 949770784u, 226153695u, 1230515664u, 3580155704u,
	1988835001u, 986791581u, 1230515664u};
static const uint32_t jump2[9] = {
	1464411153u, 277697599u, 1610723613u, 32183930u, 1464411153u, 1022607788u, 2824425944u, 32183930u, 2093834863u};

/* The same to the power 2^76: substreams. */
static const uint32_t step1[9] = {
	82758667u, 1871391091u, 4127413238u, 3672831523u, 69195019u, 1871391091u, 3672091415u, 3528743235u, 69195019u};
static const uint32_t step2[9] = {1511326704u, 3759209742u, 1610795712u, 4292754251u, 1511326704u, 3889917532u,
	3859662829u, 4292754251u, 3708466080u};

/* As R does: scrambled fifty times, then six values, each below the smaller modulus. */
void ranq_rng_seed(struct ranq_rng *rng, uint32_t seed)
{
	unsigned i;

	for (i = 0; i < 50; i++)
		seed = SCRAMBLE * seed + 1;
	for (i = 0; i < 6; i++) {
		do
			seed = SCRAMBLE * seed + 1;
		while (seed >= M2);
		rng->s[i] = seed;
	}
}

/* out = a * v mod m. m is a constant in every call, so that no division is left: keep this inline. Reducing after each
 * product keeps the sums below 2^64. */
static inline void times_vector(const uint32_t a[9], const uint32_t v[3], size_t stride, uint32_t out[3], uint64_t m)
{
	unsigned i;

	for (i = 0; i < 3; i++) {
		uint64_t sum = (uint64_t)a[3 * i] * v[0] % m;

		sum = (sum + (uint64_t)a[3 * i + 1] * v[stride]) % m;
		out[i] = (uint32_t)((sum + (uint64_t)a[3 * i + 2] * v[2 * stride]) % m);
	}
}

static inline void square(uint32_t a[9], uint64_t m)
{
	uint32_t column[3], result[9];
	unsigned i, j;

	for (j = 0; j < 3; j++) {
		times_vector(a, a + j, 3, column, m);
		for (i = 0; i < 3; i++)
			result[3 * i + j] = column[i];
	}
	for (i = 0; i < 9; i++)
		a[i] = result[i];
}

static void jump(struct ranq_rng *rng, const uint32_t a1[9], const uint32_t a2[9])
{
	uint32_t next[6];
	unsigned i;

	times_vector(a1, rng->s, 1, next, M1);
	times_vector(a2, rng->s + 3, 1, next + 3, M2);
	for (i = 0; i < 6; i++)
		rng->s[i] = next[i];
}

void ranq_rng_next_stream(struct ranq_rng *rng)
{
	jump(rng, jump1, jump2);
}

void ranq_rng_next_substream(struct ranq_rng *rng)
{
	jump(rng, step1, step2);
}

/* Powers of one matrix commute, so the bits of the exponent may be applied to the state one by one. */
void ranq_rng_task(struct ranq_rng *rng, uint32_t seed, uint64_t index)
{
	uint32_t a1[9], a2[9];
	uint64_t bits = index;
	unsigned i;

	ranq_rng_seed(rng, seed);
	/* stream 0 of the tasks is one jump behind the seed; done apart, so that index + 1 cannot overflow */
	ranq_rng_next_stream(rng);
	for (i = 0; i < 9; i++) {
		a1[i] = jump1[i];
		a2[i] = jump2[i];
	}
	for (; bits; bits >>= 1) {
		if (bits & 1)
			jump(rng, a1, a2);
		if (bits > 1) {
			square(a1, M1);
			square(a2, M2);
		}
	}
}

double ranq_rng_unif(struct ranq_rng *rng)
{
	/* m - s instead of -s: positive and the same remainder; the sums are below 2^53 */
	uint32_t *s = rng->s;
	uint32_t p1 = (uint32_t)(((uint64_t)A12 * s[1] + (uint64_t)A13 * (M1 - s[0])) % M1);
	uint32_t p2 = (uint32_t)(((uint64_t)A21 * s[5] + (uint64_t)A23 * (M2 - s[3])) % M2);
	int64_t difference;

	s[0] = s[1];
	s[1] = s[2];
	s[2] = p1;
	s[3] = s[4];
	s[4] = s[5];
	s[5] = p2;
	difference = (int64_t)p1 - p2;
	/* + M1 unless positive, by a mask: a branch here is mispredicted every other time */
	return (double)(difference + ((difference - 1) >> 63 & (int64_t)M1)) * NORM;
}

/* R's inversion: two draws make one number with 59 bits, which keeps the tails fine. */
double ranq_rng_norm(struct ranq_rng *rng)
{
	const double big = 134217728; /* 2^27 */
	double u = (double)(int)(big * ranq_rng_unif(rng));

	u += ranq_rng_unif(rng);
	return ranq_normal_quantile(u / big);
}

/* The first draw of the task's stream, as 1 .. 2^31 - 1. */
uint64_t ranq_rng_seed_number(uint32_t seed, uint64_t index)
{
	struct ranq_rng rng;

	ranq_rng_task(&rng, seed, index);
	return (uint64_t)(ranq_rng_unif(&rng) * 2147483647.0) + 1;
}

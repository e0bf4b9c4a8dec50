/* work.h - what the functions of work.c do, for the client that checks their results. */
#ifndef RANQ_BENCHMARKS_WORK_H
#define RANQ_BENCHMARKS_WORK_H

#include <math.h>
#include <stdint.h>

#define WORK_BYTES 1000000 /* result of `megabyte`: the index of the task, in each of its 8-byte words */

/* A uniform number in (0, 1) that depends on k alone (finaliser of MurmurHash3, public domain). */
static inline double work_uniform(uint64_t k)
{
	k += 0x9e3779b97f4a7c15u;
	k = (k ^ k >> 33) * 0xff51afd7ed558ccdu;
	k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53u;
	k ^= k >> 33;
	return ((double)(k >> 11) + 0.5) / 9007199254740992.0;
}

/* Length of task k of `uneven` in nanoseconds: log-normal, median 10 ms, sigma 1 (Box-Muller), cut to 1..100 ms. */
static inline int64_t work_uneven_ns(uint64_t k)
{
	double z = sqrt(-2 * log(work_uniform(2 * k))) * cos(6.283185307179586 * work_uniform(2 * k + 1));
	double ms = 10 * exp(z);

	return (int64_t)((ms < 1 ? 1 : ms > 100 ? 100 : ms) * 1e6);
}

#endif

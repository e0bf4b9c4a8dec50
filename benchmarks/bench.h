/* bench.h - what the programs that measure have in common: a clock, the size of a run, and the lines that they print.
 *
 * A program checks the results of what it measured before it prints; a wrong one ends it with status BENCH_WRONG, and the
 * harness then has no figure. RANQ_BENCH_QUICK in the environment asks for a look instead of a figure. */
#ifndef RANQ_BENCHMARKS_BENCH_H
#define RANQ_BENCHMARKS_BENCH_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_FAILED 1
#define BENCH_WRONG 3

static inline double bench_now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* How often to do what a full run does n times. */
static inline uint64_t bench_times(uint64_t n)
{
	return getenv("RANQ_BENCH_QUICK") ? n / 50 + 1 : n;
}

__attribute__((format(printf, 2, 3))) static inline _Noreturn void bench_die(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

/* One measurement. parameters and more: the inside of JSON objects, "" for none. `which`: the case, "" for none. */
static inline void bench_print_more(const char *benchmark, const char *which, const char *parameters, double value,
	const char *unit, const char *better, const char *more)
{
	printf("{\"benchmark\": \"%s\", \"case\": \"%s\", \"parameters\": {%s}, \"value\": %.6g, \"unit\": \"%s\", "
	       "\"better\": \"%s\", \"verified\": true, \"more\": {%s}}\n",
		benchmark, which, parameters, value, unit, better, more);
	fflush(stdout);
}
static inline void bench_print(const char *benchmark, const char *which, double value, const char *unit, const char *better)
{
	bench_print_more(benchmark, which, "", value, unit, better, "");
}

static inline int bench_compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#endif

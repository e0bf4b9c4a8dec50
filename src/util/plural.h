/* plural.h - "1 worker has left", "2 workers have left". */
#ifndef RANQ_UTIL_PLURAL_H
#define RANQ_UTIL_PLURAL_H

#include <stdint.h>

/* The ending of a noun that is counted. */
static inline const char *ranq_plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Of a word that changes otherwise: has, have. */
static inline const char *ranq_number(uint64_t n, const char *one, const char *more)
{
	return n == 1 ? one : more;
}

#endif

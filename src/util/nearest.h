/* nearest.h - "did you mean": the known word that a misspelt one is nearest to. */
#ifndef RANQ_UTIL_NEAREST_H
#define RANQ_UTIL_NEAREST_H

#include <stddef.h>

/* The candidate nearest to word (at most 2 edits), or NULL. */
const char *ranq_nearest(const char *word, const char *const *candidates, size_t n);

#endif

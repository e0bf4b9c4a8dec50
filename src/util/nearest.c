/* nearest.c - see nearest.h. */
#include "util/nearest.h"

#include <stdint.h>
#include <string.h>

#define WORD_MAX 64 /* longer ones have no neighbours */

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], n = strlen(b);
	if (strlen(a) > WORD_MAX || n > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t here = smallest(row[j + 1] + 1, row[j] + 1, diagonal + (a[i] != b[j]));
			diagonal = row[j + 1];
			row[j + 1] = here;
		}
	}
	return row[n];
}

const char *ranq_nearest(const char *word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	size_t least = 3;
	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, candidates[i]);
		if (d < least && d < strlen(word)) {
			least = d;
			best = candidates[i];
		}
	}
	return best;
}

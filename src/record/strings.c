#include <stdlib.h>
#include <string.h>

#include "record/spec.h"

/* Room grows when n + 1 (the strings and the NULL behind them) is a power of two, so no capacity need be kept. */
int ranq_strings_add(struct ranq_strings *list, const char *text, size_t len)
{
	size_t used = list->n + 1;
	char **at, *copy;

	if (len == SIZE_MAX || (len && memchr(text, '\0', len)))
		return -1;
	if (!(used & (used - 1))) {
		at = realloc(list->at, 2 * used * sizeof *at);
		if (!at)
			return -1;
		list->at = at;
		list->at[list->n] = NULL;
	}
	copy = malloc(len + 1);
	if (!copy)
		return -1;
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	list->at[list->n++] = copy;
	list->at[list->n] = NULL;
	return 0;
}

void ranq_strings_clear(struct ranq_strings *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->at[i]);
	free(list->at);
	*list = (struct ranq_strings){0};
}

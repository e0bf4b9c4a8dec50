#include "record/colsep.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct ranq_colsep {
	regex_t regex;
};

struct ranq_colsep *ranq_colsep_create(const char *expression, struct ranq_err *err)
{
	struct ranq_colsep *colsep = calloc(1, sizeof *colsep);
	char why[128];
	int status;

	if (!colsep) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a column separator");
		return NULL;
	}
	status = regcomp(&colsep->regex, expression, REG_EXTENDED);
	if (!status)
		return colsep;
	regerror(status, &colsep->regex, why, sizeof why);
	free(colsep);
	ranq_err_set(err, RANQ_ERR_INPUT, "column separator '%s' is not a regular expression: %s", expression, why);
	return NULL;
}

void ranq_colsep_destroy(struct ranq_colsep *colsep)
{
	if (!colsep)
		return;
	regfree(&colsep->regex);
	free(colsep);
}

static int add_column(struct ranq_strings *columns, const char *begin, const char *end, struct ranq_err *err)
{
	while (begin < end && isspace((unsigned char)*begin))
		begin++;
	while (end > begin && isspace((unsigned char)end[-1]))
		end--;
	if (columns->n >= RANQ_COLUMNS_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "an argument has more than %d columns", RANQ_COLUMNS_MAX);
	if (ranq_strings_add(columns, begin, (size_t)(end - begin)) < 0)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for the columns of an argument");
	return 0;
}

int ranq_colsep_split(
	const struct ranq_colsep *colsep, const char *text, struct ranq_strings *columns, struct ranq_err *err)
{
	const char *begin = text, *from = text;
	regmatch_t match;

	while (*from && !regexec(&colsep->regex, from, 1, &match, from == text ? 0 : REG_NOTBOL)) {
		if (match.rm_eo == match.rm_so) {
			from += match.rm_so + 1;
			if (from > text && !from[-1])
				break;
			continue;
		}
		if (add_column(columns, begin, from + match.rm_so, err) < 0)
			return -1;
		begin = from += match.rm_eo;
	}
	return add_column(columns, begin, begin + strlen(begin), err);
}

/* colsep.h - splitting an argument into columns by a POSIX extended regular expression; shared by the files of this
 * floor.
 *
 * As GNU parallel's --colsep: blanks around a column are dropped. An empty match separates nothing. */
#ifndef RANQ_RECORD_COLSEP_H
#define RANQ_RECORD_COLSEP_H

#include "record/spec.h"

#define RANQ_COLSEP_MAX 200
#define RANQ_COLUMNS_MAX 100000

struct ranq_colsep *ranq_colsep_create(const char *expression, struct ranq_err *err);
void ranq_colsep_destroy(struct ranq_colsep *colsep); /* takes NULL */
/* Appends the columns of text. */
int ranq_colsep_split(
	const struct ranq_colsep *colsep, const char *text, struct ranq_strings *columns, struct ranq_err *err);

/* ranq_spec_check; compile: whether the separator is compiled to see if it is one. */
int ranq_spec_check_fields(const struct ranq_spec *spec, bool compile, struct ranq_err *err);

#endif

/* table.h - aligned columns for people. Cells are cleaned: control characters of foreign text become '?'. */
#ifndef RANQ_COMMON_TABLE_H
#define RANQ_COMMON_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define RANQ_TABLE_COLUMNS 16

struct ranq_table {
	char **cells; /* rows * columns */
	size_t columns, rows, cap;
	size_t width[RANQ_TABLE_COLUMNS];
	bool failed;
};
/* titles: NULL-terminated; one that starts with '>' stands for a column aligned to the right. */
void ranq_table_init(struct ranq_table *table, const char *const *titles);
void ranq_table_row(struct ranq_table *table, ...);         /* one const char * for each column */
void ranq_table_print(struct ranq_table *table, FILE *out); /* prints (out NULL: does not) and clears */

/* Copies text, control characters and invalid UTF-8 replaced; for messages that quote what tasks or other users wrote.
 */
void ranq_clean_print(FILE *out, const char *text, size_t len, bool keep_newlines);
/* "2026-11-20 08:38:15" in local time, or "-" for 0 */
const char *ranq_time_text(int64_t wall_ms, char text[32]);

#endif

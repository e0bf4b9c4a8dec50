/* table.c - see table.h. */
#include "common/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/json.h"

/* Characters as a terminal shows them: bytes that do not continue one. */
static size_t text_width(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static void clean(char *text, bool valid)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c < 0x20 || c == 0x7f || (c >= 0x80 && !valid))
			*text = '?';
	}
}

static void add_cell(struct ranq_table *table, size_t column, const char *text)
{
	size_t at = table->rows * table->columns + column;
	if (at >= table->cap) {
		size_t cap = table->cap ? 2 * table->cap : 64;
		char **cells = realloc(table->cells, cap * sizeof *cells);
		if (!cells) {
			table->failed = true;
			return;
		}
		memset(cells + table->cap, 0, (cap - table->cap) * sizeof *cells);
		table->cells = cells;
		table->cap = cap;
	}
	table->cells[at] = strdup(text && *text ? text : "-");
	if (!table->cells[at]) {
		table->failed = true;
		return;
	}
	clean(table->cells[at], ranq_utf8_check(table->cells[at], strlen(table->cells[at])));
	size_t width = text_width(table->cells[at]) - (table->rows == 0 && table->cells[at][0] == '>');
	if (width > table->width[column])
		table->width[column] = width;
}

void ranq_table_init(struct ranq_table *table, const char *const *titles)
{
	memset(table, 0, sizeof *table);
	while (titles[table->columns] && table->columns < RANQ_TABLE_COLUMNS)
		table->columns++;
	for (size_t i = 0; i < table->columns; i++)
		add_cell(table, i, titles[i]);
	table->rows = 1;
}

void ranq_table_row(struct ranq_table *table, ...)
{
	va_list args;
	va_start(args, table);
	for (size_t i = 0; i < table->columns; i++)
		add_cell(table, i, va_arg(args, const char *));
	va_end(args);
	table->rows++;
}

static void print_cell(const struct ranq_table *table, size_t row, size_t column, FILE *out)
{
	const char *title = table->cells[column], *text = table->cells[row * table->columns + column];
	bool right = title[0] == '>';
	if (row == 0 && right)
		text++;
	size_t width = text_width(text);
	int pad = width < table->width[column] ? (int)(table->width[column] - width) : 0;
	bool is_last = column + 1 == table->columns;
	fprintf(out, "%*s%s%*s%s", right ? pad : 0, "", text, right || is_last ? 0 : pad, "", is_last ? "\n" : "  ");
}

void ranq_table_print(struct ranq_table *table, FILE *out)
{
	for (size_t row = 0; out && row < table->rows && !table->failed; row++)
		for (size_t column = 0; column < table->columns; column++)
			print_cell(table, row, column, out);
	for (size_t i = 0; i < table->cap; i++)
		free(table->cells[i]);
	free(table->cells);
	memset(table, 0, sizeof *table);
}

void ranq_clean_print(FILE *out, const char *text, size_t len, bool keep_newlines)
{
	bool valid = ranq_utf8_check(text, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool plain =
			c == '\t' || (c == '\n' && keep_newlines) || (c >= 0x20 && c != 0x7f && (c < 0x80 || valid));
		putc(plain ? c : '?', out);
	}
}

const char *ranq_time_text(int64_t wall_ms, char text[32])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	if (wall_ms <= 0 || !localtime_r(&seconds, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(text, 32, "-");
	return text;
}

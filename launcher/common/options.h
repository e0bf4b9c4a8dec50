/* options.h - one table per command. From it come parsing, checks, `--help`, the words of the completion, and the list
 * that a test compares with the man pages (`ranq help --dump-tables`).
 *
 * A table fills a plain struct: each option names the offset of its field. Options stand in groups, so that `run` and
 * `submit` share the job options and all commands share the common ones; a group has the offset of its own struct
 * within the command's. */
#ifndef RANQ_COMMON_OPTIONS_H
#define RANQ_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

/* kind, C type of the field, what it takes */
enum ranq_option_kind {
	RANQ_OPTION_FLAG,     /* bool; no argument */
	RANQ_OPTION_TEXT,     /* const char *; borrowed from argv */
	RANQ_OPTION_UINT,     /* uint64_t */
	RANQ_OPTION_INT,      /* int64_t */
	RANQ_OPTION_DURATION, /* int64_t, ms */
	RANQ_OPTION_SIZE,     /* uint64_t, bytes */
	RANQ_OPTION_CHOICE,   /* int; position in `choices`, words separated by '|' */
	RANQ_OPTION_WORDS,    /* struct ranq_words; may be given several times */
	RANQ_OPTION_OPTIONAL, /* struct ranq_optional; `--name` or `--name=N` */
};
struct ranq_words {
	const char **at; /* n words, borrowed from argv; the array is freed by ranq_words_clear */
	size_t n;
};
struct ranq_optional {
	bool given;
	uint64_t value; /* 0: given without a value */
};
void ranq_words_clear(struct ranq_words *words);

struct ranq_option {
	const char *name;     /* long name without dashes; NULL ends a table */
	char letter;          /* short name, or 0 */
	const char *argument; /* as shown by --help: "FILE"; NULL for flags */
	enum ranq_option_kind kind;
	size_t offset;
	const char *help;    /* one line, lower case, no full stop */
	const char *choices; /* of CHOICE */
	uint64_t min, max;   /* of UINT (max 0: no limit) and of DURATION (min, ms) */
};
struct ranq_option_group {
	const char *title; /* NULL ends the list */
	const struct ranq_option *options;
	size_t base;
};

struct ranq_command {
	const char *name, *summary; /* summary: one line, lower case */
	const char *synopsis;       /* behind "ranq NAME ", newline between forms */
	const char *details;        /* paragraphs of --help behind the options, or NULL */
	const char *program;        /* of a name of its own; NULL: "ranq NAME" */
	const struct ranq_option_group *groups;
	bool operands_end_options;           /* run, submit: the first operand belongs to the command of the tasks */
	unsigned min_operands, max_operands; /* max UINT_MAX: any number */
	int (*run)(const struct ranq_command *command, int argc,
		char **argv); /* argv[0] is the command's name; returns the exit status */
};

struct ranq_operands {
	char **at; /* borrowed part of argv (permuted) */
	int n;
	bool dashes; /* a "--" ended the options */
};
/* Fills `into` (whose fields hold the defaults). 0: go on; 1: --help was given and printed; -1: USAGE. Permutes argv.
 */
int ranq_options_parse(const struct ranq_command *command, int argc, char **argv, void *into,
	struct ranq_operands *operands, struct ranq_err *err);
void ranq_options_help(const struct ranq_command *command, FILE *out);
/* Lines "COMMAND<TAB>--name<TAB>-x<TAB>ARG<TAB>choices<TAB>help" for tests and the completion. */
void ranq_options_dump(const struct ranq_command *command, FILE *out);

#endif

/* input.h - input blocks: many argument lines packed into one value; block := count:varint count*(len:varint bytes).
 * A block has at most RANQ_INPUT_BLOCK_LINES lines and, unless it holds one line, RANQ_INPUT_BLOCK_BYTES bytes.
 * An argument of more than RANQ_ARG_MAX_BYTES is not in its block: that has one line, NUL SHA-256 ':' bytes, which no other line
 * can be. */
#ifndef RANQ_RECORD_INPUT_H
#define RANQ_RECORD_INPUT_H

#include "record/spec.h"

#define RANQ_INPUT_BLOCK_LINES 4096
#define RANQ_INPUT_BLOCK_BYTES (64u << 10)

#define RANQ_ARG_LARGE_MAX_BYTES ((uint64_t)4 << 30)
#define RANQ_ARG_SLICE_BYTES ((size_t)8 << 20)
#define RANQ_ARG_HASH_LEN 64 /* lower-case hex */

/* What a block has instead of a large argument. */
struct ranq_input_large {
	char hash[RANQ_ARG_HASH_LEN + 1];
	uint64_t bytes;
};
/* Appends a whole block. */
void ranq_input_large_pack(struct ranq_buf *out, const struct ranq_input_large *large);
/* Is the line that of a large argument? */
bool ranq_input_large_of(const struct ranq_bytes *line, struct ranq_input_large *large);
/* Does the block stand for one? */
bool ranq_input_large_block(const void *block, size_t len, struct ranq_input_large *large);

struct ranq_input_writer {
	struct ranq_buf body;
	uint64_t count;
};
void ranq_input_writer_init(struct ranq_input_writer *w);
void ranq_input_writer_clear(struct ranq_input_writer *w);
/* 1: taken; 0: block is full, finish it and add again; -1: the line is too long or has a NUL byte. */
int ranq_input_writer_add(struct ranq_input_writer *w, const void *line, size_t len, struct ranq_err *err);
int ranq_input_writer_finish(struct ranq_input_writer *w, struct ranq_buf *out); /* resets the writer */

/* Walks over the lines of a block, for readers of all of them. next: 1: *line (borrowed from the block); 0: clean end;
 * -1: malformed. */
struct ranq_input_reader {
	struct ranq_reader in;
	uint64_t left;
};
int ranq_input_reader_init(struct ranq_input_reader *r, const void *block, size_t len, struct ranq_err *err);
int ranq_input_reader_next(struct ranq_input_reader *r, struct ranq_bytes *line, struct ranq_err *err);
/* Gives line k (0-based) of a block; borrowed. Walks over the k before it. */
int ranq_input_get(const void *block, size_t len, uint64_t k, struct ranq_bytes *line, struct ranq_err *err);
/* Checks a whole block; number of lines or -1. */
int64_t ranq_input_check(const void *block, size_t len, struct ranq_err *err);
/* Copies lines [from, to) of a block into a new block. */
int ranq_input_slice(
	const void *block, size_t len, uint64_t from, uint64_t to, struct ranq_buf *out, struct ranq_err *err);

/* The columns of the argument of one task: what {1} {2} ... stand for, and {} (columns joined by a blank).
 * line: the input line of the task for RANQ_ARGS_INPUT, else NULL. */
struct ranq_arg {
	struct ranq_strings columns;
	char *whole;
};
int ranq_arg_make(const struct ranq_spec *spec, uint64_t index, const struct ranq_bytes *line, struct ranq_arg *arg,
	struct ranq_err *err);
void ranq_arg_clear(struct ranq_arg *arg);

/* The argv to execute for a task: replacement strings {} {.} {/} {//} {/.} {#} {1} {2.} ... {seed}; one shell word is
 * expanded with values quoted for sh. seq = index + 1. argv is NULL-terminated by ranq_strings convention (at[n] ==
 * NULL). */
int ranq_template_expand(const struct ranq_spec *spec, const struct ranq_arg *arg, uint64_t index, uint64_t seed,
	struct ranq_strings *argv, struct ranq_err *err);
/* Does any word hold a replacement string? (decides `append` at submit) */
bool ranq_template_has_replacement(const struct ranq_strings *argv);

#endif

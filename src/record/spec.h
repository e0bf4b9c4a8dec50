/* spec.h - the job record: everything that does not change after submit, as canonical bytes (msgpack map, keys in the
 * order of this struct, version first, absent when default) so that it can be hashed and signed.
 *
 * Strings are UTF-8 or raw bytes without NUL. Times are in milliseconds, sizes in bytes. */
#ifndef RANQ_RECORD_SPEC_H
#define RANQ_RECORD_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

#define RANQ_SPEC_VERSION 1
#define RANQ_SPEC_MAX_BYTES (8u << 20)
#define RANQ_ARG_MAX_BYTES (1u << 20)              /* one argument of one task */
#define RANQ_TASKS_MAX ((uint64_t)1 << 53)         /* exclusive: indices stay exact in Lua */
#define RANQ_SPEC_MAX_OUTPUT ((uint64_t)64 << 30)   /* in slices (record/split.h) */
#define RANQ_SPEC_MAX_REDUCED ((uint64_t)256 << 20) /* a value of a reduction travels whole: half of what a Redis value may have */
#define RANQ_SPEC_MAX_OFFLOADED ((uint64_t)1 << 40) /* in a file (record/offload.h) */
#define RANQ_SPEC_MIN_MEMORY 1000000               /* less is no room for any program */
#define RANQ_SPEC_MAX_MS ((uint64_t)3155760000000) /* a hundred years: nanoseconds still fit 63 bits */
#define RANQ_SPEC_MAX_LISTS 1000

enum ranq_body_kind { RANQ_BODY_COMMAND = 1, RANQ_BODY_FUNCTION = 2 };
/* where the argument of task k comes from */
enum ranq_args_kind {
	RANQ_ARGS_NONE = 0,  /* no argument (one task, or function tasks by index) */
	RANQ_ARGS_RANGE = 1, /* first + k * step */
	RANQ_ARGS_LISTS = 2, /* ::: lists in the spec; all combinations, linked columns; last list runs fastest */
	RANQ_ARGS_INPUT = 3, /* lines in input blocks in Redis */
};
enum ranq_results_mode { RANQ_RESULTS_KEEP = 0, RANQ_RESULTS_COUNT = 1, RANQ_RESULTS_NONE = 2 };
enum ranq_on_error { RANQ_ON_ERROR_CONTINUE = 0, RANQ_ON_ERROR_STOP = 1 };

struct ranq_strings {
	char **at; /* n NUL-terminated strings, each owned */
	size_t n;
};
struct ranq_list {
	struct ranq_strings values;
	bool linked; /* :::+ runs along with the list before it */
};

struct ranq_colsep; /* a compiled column separator */

struct ranq_spec {
	uint8_t uuid[16];
	char *name;  /* NULL: none */
	char *owner; /* user@host that submitted */
	enum ranq_body_kind body;
	/* command */
	struct ranq_strings argv; /* with replacement strings */
	bool shell;               /* one word for /bin/sh -c, values quoted */
	bool append;              /* no replacement string: append the argument */
	/* function */
	char *function;
	char *module_hash; /* hex of the content hash, blob in the queue; or */
	char *module_path; /* path on the nodes */
	/* arguments */
	enum ranq_args_kind args;
	int64_t range_first, range_step;
	struct ranq_list *lists;
	size_t nlists;
	char *colsep; /* NULL: a line is one column; else a POSIX extended regular expression between columns */
	/* surroundings */
	char *data_hash; /* job data blob, or NULL */
	uint64_t data_bytes;
	struct ranq_strings env; /* NAME=VALUE */
	char *cwd;
	char *stdin_path; /* NULL: /dev/null */
	/* policy */
	enum ranq_results_mode results;
	enum ranq_on_error on_error;
	uint64_t max_output, memory /* of a task, 0 = no limit */, backlog, chunk /* 0 = auto */, seed;
	bool has_seed;
	uint32_t retries, max_deaths, max_fails;
	int32_t priority;
	uint64_t timeout_ms, time_request_ms; /* 0 = none */
	char *warn_signal;                    /* NULL: none */
	uint64_t grace_ms;
	char *reduce;                         /* NULL: none; else see record/reduce.h */
	bool reduce_ordered;                  /* the same bits whatever chunks and workers */
	char *require;                        /* NULL: none */
	bool sticky;                          /* tasks go where the same task of an earlier job went */
	char *offload;                        /* NULL: none */
	uint64_t ttl_ms;
	int64_t created_ms, expires_ms; /* wall clock, informative */
	struct ranq_buf signature;      /* empty: unsigned */
	struct ranq_colsep *compiled;   /* made by ranq_spec_prepare; not part of the record */
};

void ranq_spec_init(struct ranq_spec *spec); /* all defaults of DESIGN 4.1 */
void ranq_spec_clear(struct ranq_spec *spec);
/* Checks every field against its limits (called by pack and unpack too; unpack leaves out the compiling of colsep,
 * because a hostile expression costs memory). */
int ranq_spec_check(const struct ranq_spec *spec, struct ranq_err *err);
int ranq_spec_pack(const struct ranq_spec *spec, struct ranq_buf *out, struct ranq_err *err);
/* Never trusts a byte: lengths, types, ranges are checked. spec is initialised by it and empty on failure. */
int ranq_spec_unpack(const void *data, size_t len, struct ranq_spec *spec, struct ranq_err *err);
/* Compiles colsep, so that ranq_arg_make need not do it for each task. Optional; freed by clear. */
int ranq_spec_prepare(struct ranq_spec *spec, struct ranq_err *err);
/* Number of tasks that the lists make: the product over groups (a list and those linked to it) of the length of the
 * shortest list in the group. NONE: 1. RANGE: the most tasks that are possible before its values overflow. INPUT:
 * RANQ_TASKS_MAX - 1. -1 with err on overflow or bad links. */
int64_t ranq_spec_lists_count(const struct ranq_spec *spec, struct ranq_err *err);
/* Copies; at[n] == NULL afterwards. -1: out of memory or a NUL byte in text; nothing was added. */
int ranq_strings_add(struct ranq_strings *list, const char *text, size_t len);
void ranq_strings_clear(struct ranq_strings *list);

#endif

/* arguments.h - the argument of a task as people know it, for messages and JSON: from the job record, and for lines
 * from the queue. */
#ifndef RANQ_COMMON_ARGUMENTS_H
#define RANQ_COMMON_ARGUMENTS_H

#include "client/session.h"
#include "record/input.h"
#include "record/spec.h"

struct ranq_arguments {
	struct ranq_session *session;
	uint64_t job;
	struct ranq_spec spec;
	struct ranq_reply *reply; /* of the last input call; blocks point into it */
	struct ranq_input_reply *input;
	uint64_t counts[256]; /* lines of each block; 0: malformed */
	size_t at_block;      /* the cursor: line at_line of that block comes next */
	uint64_t at_line;
	struct ranq_reader at;
	struct ranq_arg arg;
};
/* Fetches the job record. */
int ranq_arguments_open(
	struct ranq_arguments *arguments, struct ranq_session *session, uint64_t job, struct ranq_err *err);
void ranq_arguments_close(struct ranq_arguments *arguments);
/* The argument of a task, or NULL when it has none or it cannot be had; valid until the next call. */
const char *ranq_arguments_get(struct ranq_arguments *arguments, uint64_t index);

#endif

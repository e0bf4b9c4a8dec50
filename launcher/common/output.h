/* output.h - results on their way to standard output: raw bytes, one line a task, or JSON lines; buffered, and exact
 * about how far a file was written, so that an interrupted reader can go on there. */
#ifndef RANQ_COMMON_OUTPUT_H
#define RANQ_COMMON_OUTPUT_H

#include "client/stream.h"
#include "common/arguments.h"
#include "common/cli.h"

#define RANQ_OUTPUT_FORMS "auto|raw|text|hex|double|int64"
enum ranq_output_form {
	RANQ_OUTPUT_AUTO, /* commands: raw; functions: text when it is printable, else hex */
	RANQ_OUTPUT_RAW,  /* bytes as they are */
	RANQ_OUTPUT_TEXT, /* the others: one line a task */
	RANQ_OUTPUT_HEX,
	RANQ_OUTPUT_DOUBLE, /* native doubles, blanks between several */
	RANQ_OUTPUT_INT64,
};

struct ranq_output {
	int fd;
	struct ranq_buf buf;
	enum ranq_output_form form;
	bool json, function;
	struct ranq_arguments *arguments; /* of JSON */
	/* called before bytes go out: the progress bar leaves its line; may be NULL */
	void (*before_write)(void *user);
	void *user;
	uint64_t freed, missing, failed, delivered;
	uint64_t freed_from, freed_to; /* first freed range */
	uint64_t misfits, misfit;      /* results that are no numbers of 8 bytes, though the form is; the first of them */
};
void ranq_output_init(struct ranq_output *output, enum ranq_output_form form, bool json, bool function);
void ranq_output_clear(struct ranq_output *output);
/* Bytes go out as they are, so that a value may come in slices. */
bool ranq_output_takes_slices(const struct ranq_output *output);
int ranq_output_add(struct ranq_output *output, const struct ranq_stream_result *result, struct ranq_err *err);
void ranq_output_value(struct ranq_output *output, const struct ranq_bytes *value); /* into the buffer, in its form */
int ranq_output_flush(struct ranq_output *output, struct ranq_err *err);
/* Says on standard error what is not in the form that was asked for. */
void ranq_output_misfits(const struct ranq_output *output, const struct ranq_command *command);
/* For ranq_stream_options: flush, make it durable when it is a file, and note how far it is. user is the output. */
int ranq_output_before_ack(void *user, struct ranq_consumer_state *state, struct ranq_err *err);
int ranq_output_before_wait(void *user, struct ranq_err *err);
/* Standard output is the file that the last consumer wrote: cut it to what that one acknowledged. 1: resumed; 0:
 * another file; -1. */
int ranq_output_resume(struct ranq_output *output, const struct ranq_consumer_state *state, struct ranq_err *err);

#endif

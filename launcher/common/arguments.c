/* arguments.c - see arguments.h. Tasks are mostly asked for in order, so one reply serves many of them. */
#include "common/arguments.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 4096 /* lines asked for at once */
#define AHEAD_BYTES (256u << 10)

int ranq_arguments_open(
	struct ranq_arguments *arguments, struct ranq_session *session, uint64_t job, struct ranq_err *err)
{
	memset(arguments, 0, sizeof *arguments);
	ranq_spec_init(&arguments->spec);
	arguments->session = session;
	arguments->job = job;
	arguments->input = calloc(1, sizeof *arguments->input);
	if (!arguments->input)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (ranq_session_spec(session, job, &arguments->spec, err) == 0)
		return 0;
	ranq_arguments_close(arguments);
	return -1;
}

void ranq_arguments_close(struct ranq_arguments *arguments)
{
	ranq_arg_clear(&arguments->arg);
	ranq_reply_destroy(arguments->reply);
	free(arguments->input);
	ranq_spec_clear(&arguments->spec);
	memset(arguments, 0, sizeof *arguments);
}

/* block := count:varint count*(len:varint bytes), checked when it came */
static bool read_line(struct ranq_arguments *arguments, size_t block, uint64_t k, struct ranq_bytes *line)
{
	const struct ranq_bytes *bytes = &arguments->input->blocks[block].block;
	if (arguments->at_block != block || arguments->at_line > k || !arguments->at.data) {
		ranq_reader_init(&arguments->at, bytes->data, bytes->len);
		ranq_reader_varint(&arguments->at);
		arguments->at_block = block;
		arguments->at_line = 0;
	}
	do
		*line = ranq_reader_sized(&arguments->at);
	while (arguments->at_line++ < k);
	return !arguments->at.failed;
}

static bool find_line(struct ranq_arguments *arguments, uint64_t index, struct ranq_bytes *line)
{
	const struct ranq_input_reply *input = arguments->input;
	for (size_t i = 0; i < input->n; i++) {
		uint64_t first = input->blocks[i].first;
		if (index >= first && index - first < arguments->counts[i])
			return read_line(arguments, i, index - first, line);
	}
	return false;
}

static void check_blocks(struct ranq_arguments *arguments)
{
	const struct ranq_input_reply *input = arguments->input;
	for (size_t i = 0; i < input->n; i++) {
		int64_t count = ranq_input_check(input->blocks[i].block.data, input->blocks[i].block.len, NULL);
		arguments->counts[i] = count > 0 ? (uint64_t)count : 0;
	}
	arguments->at.data = NULL;
}

static bool fetch_line(struct ranq_arguments *arguments, uint64_t index, struct ranq_bytes *line)
{
	if (find_line(arguments, index, line))
		return true;
	struct ranq_cmd cmd;
	ranq_reply_destroy(arguments->reply);
	arguments->reply = NULL;
	arguments->input->n = 0;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_input_cmd(
		&arguments->session->queue, &cmd, arguments->job, index, index + AHEAD, AHEAD_BYTES);
	if (rc == 0)
		rc = ranq_session_call(arguments->session, &cmd, RANQ_NEVER, &arguments->reply, NULL);
	if (rc == 0)
		rc = ranq_queue_input_parse(arguments->reply, arguments->input, NULL);
	ranq_cmd_clear(&cmd);
	if (rc)
		arguments->input->n = 0;
	check_blocks(arguments);
	return rc == 0 && find_line(arguments, index, line);
}

const char *ranq_arguments_get(struct ranq_arguments *arguments, uint64_t index)
{
	struct ranq_bytes line = {NULL, 0};
	bool by_line = arguments->spec.args == RANQ_ARGS_INPUT;
	if (arguments->spec.args == RANQ_ARGS_NONE || (by_line && !fetch_line(arguments, index, &line)))
		return NULL;
	ranq_arg_clear(&arguments->arg);
	memset(&arguments->arg, 0, sizeof arguments->arg);
	if (ranq_arg_make(&arguments->spec, index, by_line ? &line : NULL, &arguments->arg, NULL))
		return NULL;
	return arguments->arg.whole;
}

/* output.c - see output.h. */
#include "common/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cli.h"
#include "util/json.h"
#include "util/plural.h"

#define FLUSH_BYTES (256u << 10)

void ranq_output_init(struct ranq_output *output, enum ranq_output_form form, bool json, bool function)
{
	memset(output, 0, sizeof *output);
	ranq_buf_init(&output->buf, 0);
	output->fd = STDOUT_FILENO;
	output->form = form;
	output->json = json;
	output->function = function;
}

void ranq_output_clear(struct ranq_output *output)
{
	ranq_buf_clear(&output->buf);
}

/* Writes all of data; *written counts. A pipe or terminal that somebody made non-blocking is waited for. */
static int write_all(int fd, const unsigned char *data, size_t len, size_t *written)
{
	for (*written = 0; *written < len;) {
		struct pollfd room = {.fd = fd, .events = POLLOUT};
		ssize_t n = write(fd, data + *written, len - *written);
		if (n >= 0)
			*written += (size_t)n;
		else if (errno == EAGAIN)
			poll(&room, 1, 1000);
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

/* What was written is out of the buffer also when the rest could not be: a second try must not repeat it. */
int ranq_output_flush(struct ranq_output *output, struct ranq_err *err)
{
	size_t written;
	if (ranq_buf_failed(&output->buf))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for output");
	if (!output->buf.len)
		return 0;
	if (output->before_write)
		output->before_write(output->user);
	int failed = write_all(output->fd, output->buf.data, output->buf.len, &written), error = errno;
	ranq_buf_drop(&output->buf, written);
	if (!failed)
		return 0;
	errno = error;
	ranq_cli_note_write_error(error);
	return ranq_err_sys(err, "cannot write to standard output");
}

/* ---- forms ----------------------------------------------------------------------------------------------------- */
static bool printable(const struct ranq_bytes *value)
{
	const unsigned char *p = value->data;
	for (size_t i = 0; i < value->len; i++)
		if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
			return false;
	return ranq_utf8_check(value->data, value->len);
}

static void add_hex(struct ranq_buf *buf, const struct ranq_bytes *value)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *p = value->data;
	for (size_t i = 0; i < value->len; i++) {
		ranq_buf_add_byte(buf, (unsigned char)digits[p[i] >> 4]);
		ranq_buf_add_byte(buf, (unsigned char)digits[p[i] & 15]);
	}
}

static void add_numbers(struct ranq_buf *buf, const struct ranq_bytes *value, bool real)
{
	const unsigned char *p = value->data;
	if (value->len % 8) {
		add_hex(buf, value);
		return;
	}
	for (size_t i = 0; i < value->len; i += 8) {
		double x;
		int64_t k;
		memcpy(&x, p + i, 8);
		memcpy(&k, p + i, 8);
		if (i)
			ranq_buf_add_byte(buf, ' ');
		if (real)
			ranq_buf_printf(buf, "%.17g", x);
		else
			ranq_buf_printf(buf, "%" PRId64, k);
	}
}

void ranq_output_value(struct ranq_output *output, const struct ranq_bytes *value)
{
	enum ranq_output_form form = output->form;
	if (form == RANQ_OUTPUT_AUTO)
		form = !output->function ? RANQ_OUTPUT_RAW : printable(value) ? RANQ_OUTPUT_TEXT : RANQ_OUTPUT_HEX;
	if (form == RANQ_OUTPUT_HEX)
		add_hex(&output->buf, value);
	else if (form == RANQ_OUTPUT_DOUBLE || form == RANQ_OUTPUT_INT64)
		add_numbers(&output->buf, value, form == RANQ_OUTPUT_DOUBLE);
	else
		ranq_buf_add(&output->buf, value->data, value->len);
	if (form != RANQ_OUTPUT_RAW)
		ranq_buf_add_byte(&output->buf, '\n');
}

static bool fits(const struct ranq_output *output, const struct ranq_bytes *value)
{
	return (output->form != RANQ_OUTPUT_DOUBLE && output->form != RANQ_OUTPUT_INT64) || value->len % 8 == 0;
}

void ranq_output_misfits(const struct ranq_output *output, const struct ranq_command *command)
{
	if (output->misfits)
		ranq_cli_say(command, "%llu result%s, first that of task %llu, %s no numbers of 8 bytes: shown in hex (see --as)",
			(unsigned long long)output->misfits, ranq_plural(output->misfits),
			(unsigned long long)output->misfit, output->misfits == 1 ? "is" : "are");
}

static int add_json(struct ranq_output *output, const struct ranq_stream_result *result, struct ranq_err *err)
{
	char *line = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&line, &len);
	struct ranq_json *json = to ? ranq_json_object("ranq.result/1") : NULL;
	if (!json) {
		if (to)
			fclose(to);
		free(line);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	ranq_json_uint(json, "index", result->index);
	ranq_json_str(json, "arg", output->arguments ? ranq_arguments_get(output->arguments, result->index) : NULL);
	ranq_json_str(json, "status", ranq_task_status_name(result->status));
	ranq_json_bytes(json, "output", result->value.data, result->value.len);
	int rc = ranq_json_print(json, to, err);
	if (fclose(to) && rc == 0)
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (rc == 0)
		ranq_buf_add(&output->buf, line, len);
	free(line);
	return rc;
}

bool ranq_output_takes_slices(const struct ranq_output *output)
{
	bool raw = output->form == RANQ_OUTPUT_RAW || output->form == RANQ_OUTPUT_TEXT ||
		   (output->form == RANQ_OUTPUT_AUTO && !output->function);
	return raw && !output->json;
}

int ranq_output_add(struct ranq_output *output, const struct ranq_stream_result *result, struct ranq_err *err)
{
	if (result->kind == RANQ_STREAM_FREED) {
		if (!output->freed) {
			output->freed_from = result->index;
			output->freed_to = result->end;
		}
		output->freed += result->end - result->index;
		return 0;
	}
	if (result->kind == RANQ_STREAM_MISSING) {
		output->missing += result->end - result->index;
		return 0;
	}
	if (result->kind == RANQ_STREAM_SLICE) {
		ranq_buf_add(&output->buf, result->value.data, result->value.len);
		return ranq_output_flush(output, err);
	}
	output->delivered++;
	output->failed += result->status != RANQ_TASK_OK;
	if (output->json && add_json(output, result, err))
		return -1;
	if (!output->json && result->status == RANQ_TASK_OK && !fits(output, &result->value) && !output->misfits++)
		output->misfit = result->index;
	if (!output->json)
		ranq_output_value(output, &result->value);
	return output->buf.len >= FLUSH_BYTES ? ranq_output_flush(output, err) : 0;
}

/* ---- acknowledging --------------------------------------------------------------------------------------------- */
int ranq_output_before_wait(void *user, struct ranq_err *err)
{
	return ranq_output_flush(user, err);
}

int ranq_output_before_ack(void *user, struct ranq_consumer_state *state, struct ranq_err *err)
{
	struct ranq_output *output = user;
	struct stat st;
	state->has_file = false;
	state->has_accumulator = false; /* of a program that combined results before us */
	if (ranq_output_flush(output, err))
		return -1;
	if (fstat(output->fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	/* Freed in the server means safe here: a file system that is full or gone may say so only now. */
	if (fdatasync(output->fd) && errno != EINVAL && errno != EROFS)
		return ranq_err_sys(err, "cannot write to standard output");
	/* of a file that is appended to (>>) the position says nothing before the first write */
	int flags = fcntl(output->fd, F_GETFL);
	off_t offset = flags >= 0 && flags & O_APPEND ? st.st_size : lseek(output->fd, 0, SEEK_CUR);
	if (offset < 0)
		return ranq_err_sys(err, "cannot tell the position in standard output");
	state->has_file = true;
	state->device = (uint64_t)st.st_dev;
	state->inode = (uint64_t)st.st_ino;
	state->offset = (uint64_t)offset;
	return 0;
}

int ranq_output_resume(struct ranq_output *output, const struct ranq_consumer_state *state, struct ranq_err *err)
{
	struct stat st;
	if (!state->has_file || fstat(output->fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	bool same = (uint64_t)st.st_dev == state->device && (uint64_t)st.st_ino == state->inode;
	if (!same || (uint64_t)st.st_size < state->offset)
		return 0;
	if (ftruncate(output->fd, (off_t)state->offset) || lseek(output->fd, (off_t)state->offset, SEEK_SET) < 0)
		return ranq_err_sys(err, "cannot go on in standard output");
	return 1;
}

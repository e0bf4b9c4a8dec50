/* The only file that knows hiredis. Used of it: the reader and the reply tree, whose names are stable from 0.13 to 1.4;
 * a reply is a redisReply behind our opaque name. Only RESP2 reaches the reader (frame.c), so newer reply types cannot
 * appear. */
#include "store/resp.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEED_BYTES ((size_t)8 << 10)
#define READER_KEEPS_BYTES ((size_t)4 << 20)
#define CMD_BYTES_MAX ((size_t)1000 << 20) /* client-query-buffer-limit of Redis is 1 GiB */
#define CMD_ARGS_MAX (1u << 20)            /* Redis refuses more */

static const redisReply *tree(const struct ranq_reply *reply)
{
	return (const void *)reply;
}

enum ranq_reply_type ranq_reply_type(const struct ranq_reply *reply)
{
	switch (reply ? tree(reply)->type : REDIS_REPLY_NIL) {
	case REDIS_REPLY_INTEGER:
		return RANQ_REPLY_INT;
	case REDIS_REPLY_STRING:
		return RANQ_REPLY_STRING;
	case REDIS_REPLY_STATUS:
		return RANQ_REPLY_STATUS;
	case REDIS_REPLY_ERROR:
		return RANQ_REPLY_ERROR;
	case REDIS_REPLY_ARRAY:
		return RANQ_REPLY_ARRAY;
	default:
		return RANQ_REPLY_NIL;
	}
}

/* All of the string must be one number; anything else is 0, as the header says. */
static int64_t decimal(const char *text, size_t len)
{
	char copy[24], *end;
	int64_t value;

	if (!len || len >= sizeof copy || !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')))
		return 0;
	memcpy(copy, text, len);
	copy[len] = '\0';
	errno = 0;
	value = strtoll(copy, &end, 10);
	return errno || end != copy + len ? 0 : value;
}

int64_t ranq_reply_int(const struct ranq_reply *reply)
{
	switch (ranq_reply_type(reply)) {
	case RANQ_REPLY_INT:
		return tree(reply)->integer;
	case RANQ_REPLY_STRING:
		return decimal(tree(reply)->str, (size_t)tree(reply)->len);
	default:
		return 0;
	}
}

struct ranq_bytes ranq_reply_bytes(const struct ranq_reply *reply)
{
	switch (ranq_reply_type(reply)) {
	case RANQ_REPLY_STRING:
	case RANQ_REPLY_STATUS:
	case RANQ_REPLY_ERROR:
		return (struct ranq_bytes){tree(reply)->str, (size_t)tree(reply)->len};
	default:
		return (struct ranq_bytes){NULL, 0};
	}
}

size_t ranq_reply_count(const struct ranq_reply *reply)
{
	return ranq_reply_type(reply) == RANQ_REPLY_ARRAY ? (size_t)tree(reply)->elements : 0;
}

const struct ranq_reply *ranq_reply_at(const struct ranq_reply *reply, size_t i)
{
	return i < ranq_reply_count(reply) ? (const void *)tree(reply)->element[i] : NULL;
}

const char *ranq_reply_words(const struct ranq_reply *reply, char *text, size_t size)
{
	struct ranq_bytes bytes = ranq_reply_bytes(reply);
	const char *from = bytes.data;
	size_t n = bytes.len < size - 1 ? bytes.len : size - 1;

	for (size_t i = 0; i < n; i++)
		text[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	text[n] = '\0';
	return text;
}

void ranq_reply_destroy(struct ranq_reply *reply)
{
	int saved = errno;

	if (reply)
		freeReplyObject(reply);
	errno = saved;
}

int ranq_resp_init(struct ranq_resp *resp, struct ranq_err *err)
{
	redisReader *reader = redisReaderCreate();

	if (!reader)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	/* Keeps its buffer between replies of ordinary size, gives back that of a giant. */
	reader->maxbuf = READER_KEEPS_BYTES;
	resp->reader = reader;
	ranq_frame_init(&resp->frame);
	return 0;
}

void ranq_resp_clear(struct ranq_resp *resp)
{
	if (resp->reader)
		redisReaderFree(resp->reader);
	resp->reader = NULL;
}

/* The reader moves what is left in its buffer to the front after each KiB that it has parsed, so a buffer full of small
 * replies would be moved again and again. */
size_t ranq_resp_appetite(const struct ranq_resp *resp, size_t n)
{
	size_t wanted = resp->frame.bulk_left > FEED_BYTES ? resp->frame.bulk_left : FEED_BYTES;

	return n < wanted ? n : wanted;
}

static int reader_error(const redisReader *reader, struct ranq_err *err)
{
	enum ranq_err_code code = reader->err == REDIS_ERR_OOM ? RANQ_ERR_MEMORY : RANQ_ERR_REPLY;

	return ranq_err_set(err, code, "%s", reader->errstr);
}

int ranq_resp_feed(struct ranq_resp *resp, const void *data, size_t n, struct ranq_err *err)
{
	if (ranq_frame_check(&resp->frame, data, n, err))
		return -1;
	if (redisReaderFeed(resp->reader, data, n) != REDIS_OK)
		return reader_error(resp->reader, err);
	return 0;
}

int ranq_resp_next(struct ranq_resp *resp, struct ranq_reply **reply, struct ranq_err *err)
{
	void *found = NULL;

	if (redisReaderGetReply(resp->reader, &found) != REDIS_OK)
		return reader_error(resp->reader, err);
	*reply = found;
	return 0;
}

/* ---- commands ------------------------------------------------------------------------------------------------- */

void ranq_cmd_init(struct ranq_cmd *cmd)
{
	ranq_buf_init(&cmd->args, CMD_BYTES_MAX);
	cmd->argc = 0;
}

void ranq_cmd_clear(struct ranq_cmd *cmd)
{
	ranq_buf_clear(&cmd->args);
	ranq_cmd_reset(cmd);
}

void ranq_cmd_reset(struct ranq_cmd *cmd)
{
	ranq_buf_reset(&cmd->args);
	cmd->argc = 0;
}

/* "$LEN\r\n" backwards from end; returns its begin. */
static char *length_line(char *end, size_t len)
{
	*--end = '\n';
	*--end = '\r';
	do {
		*--end = (char)('0' + len % 10);
		len /= 10;
	} while (len);
	*--end = '$';
	return end;
}

void ranq_cmd_bytes(struct ranq_cmd *cmd, const void *data, size_t len)
{
	char line[24], *begin = length_line(line + sizeof line, len);
	size_t n = (size_t)(line + sizeof line - begin);
	unsigned char *at;

	if (len > RANQ_FRAME_BULK_MAX || cmd->argc >= CMD_ARGS_MAX)
		cmd->args.failed = true;
	at = ranq_buf_reserve(&cmd->args, n + len + 2);
	if (!at)
		return;
	memcpy(at, begin, n);
	if (len)
		memcpy(at + n, data, len);
	memcpy(at + n + len, "\r\n", 2);
	cmd->args.len += n + len + 2;
	cmd->argc++;
}

void ranq_cmd_str(struct ranq_cmd *cmd, const char *arg)
{
	ranq_cmd_bytes(cmd, arg, strlen(arg));
}

void ranq_cmd_int(struct ranq_cmd *cmd, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%" PRId64, value);

	ranq_cmd_bytes(cmd, text, (size_t)n);
}

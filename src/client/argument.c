/* argument.c - see argument.h. */
#include "client/argument.h"

#include <string.h>

#include "client/blob.h"

_Static_assert(RANQ_ARG_HASH_LEN == RANQ_BLOB_HASH_LEN, "one kind of hash");

static int send_slice(struct ranq_session *session, const char *uuid, uint64_t job, const struct ranq_input_large *large,
	uint64_t slice, const unsigned char *data, struct ranq_err *err)
{
	uint64_t left = large->bytes - slice * RANQ_ARG_SLICE_BYTES;
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_argument_put_cmd(&session->queue, &cmd, uuid, job, large->hash, slice, large->bytes,
		data + slice * RANQ_ARG_SLICE_BYTES, left < RANQ_ARG_SLICE_BYTES ? (size_t)left : RANQ_ARG_SLICE_BYTES);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_argument_put_parse(reply, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

int ranq_argument_send(struct ranq_session *session, const char *uuid, uint64_t job, const struct ranq_bytes *argument,
	struct ranq_input_large *large, struct ranq_err *err)
{
	if (argument->len > RANQ_ARG_LARGE_MAX_BYTES)
		return ranq_err_set(err, RANQ_ERR_INPUT, "an argument of %zu bytes is longer than %llu: pass a file name instead",
			argument->len, (unsigned long long)RANQ_ARG_LARGE_MAX_BYTES);
	if (argument->len && memchr(argument->data, '\0', argument->len))
		return ranq_err_set(err, RANQ_ERR_INPUT, "an argument contains a NUL byte");
	large->bytes = argument->len;
	ranq_blob_hash(argument->data, argument->len, large->hash);
	for (uint64_t slice = 0; slice * RANQ_ARG_SLICE_BYTES < large->bytes; slice++)
		if (send_slice(session, uuid, job, large, slice, argument->data, err))
			return ranq_err_wrap(err, "cannot send an argument of %zu bytes", argument->len);
	return 0;
}

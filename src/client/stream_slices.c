/* stream_slices.c - values that are stored in slices (record/split.h): given slice by slice, or put together. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "client/stream_impl.h"

static int gone(const struct ranq_stream *stream, const struct ranq_err *why, struct ranq_err *err)
{
	unsigned long long task = stream->at;
	if (why->code != RANQ_ERR_NOTFOUND)
		return ranq_err_set(err, why->code, "task %llu: %s", task, why->text);
	return ranq_err_set(err, RANQ_ERR_STATE,
		"task %llu: the server has its value no more: it was freed, or the task ran again; read again", task);
}

/* The next slice; *bytes until the one after it is asked for. */
static int next_slice(struct ranq_stream *stream, const struct ranq_split *split, struct ranq_bytes *bytes,
	struct ranq_err *err)
{
	char name[RANQ_SPLIT_NAME_LEN + 1];
	struct ranq_err why = {0};
	struct ranq_cmd cmd;
	ranq_reply_destroy(stream->slice_reply);
	stream->slice_reply = NULL;
	ranq_split_name(split, name);
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_slice_get_cmd(&stream->session->queue, &cmd, stream->job, name, stream->slice);
	rc = rc ? ranq_err_set(&why, RANQ_ERR_MEMORY, "out of memory")
		: ranq_session_call(stream->session, &cmd, RANQ_NEVER, &stream->slice_reply, &why);
	ranq_cmd_clear(&cmd);
	if (rc == 0)
		rc = ranq_queue_slice_get_parse(stream->slice_reply, bytes, &why);
	if (rc)
		return gone(stream, &why, err);
	if (bytes->len != ranq_split_len(split, stream->slice))
		return ranq_err_set(err, RANQ_ERR_STATE, "task %llu: its value is damaged in the server",
			(unsigned long long)stream->at);
	return 0;
}

/* Takes the next slice and looks at the whole with the last one. 1: that was the last; 0: more follow; -1. */
static int take_slice(struct ranq_stream *stream, const struct ranq_split *split, struct ranq_bytes *bytes,
	struct ranq_err *err)
{
	if (!stream->slice_check && !(stream->slice_check = ranq_split_check_begin(split)))
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (next_slice(stream, split, bytes, err))
		return -1;
	ranq_split_check_add(stream->slice_check, bytes->data, bytes->len);
	if (++stream->slice < ranq_split_count(split))
		return 0;
	bool good = ranq_split_check_end(stream->slice_check, split);
	stream->slice_check = NULL;
	stream->slice = 0;
	return good ? 1 : ranq_err_set(err, RANQ_ERR_STATE, "task %llu: its value is damaged in the server",
				  (unsigned long long)stream->at);
}

static int map_whole(struct ranq_stream *stream, const struct ranq_split *split, struct ranq_err *err)
{
	void *data = mmap(NULL, (size_t)split->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "task %llu: no memory for a value of %llu bytes",
			(unsigned long long)stream->at, (unsigned long long)split->size);
	ranq_split_check_discard(stream->slice_check); /* of an attempt that failed in its middle */
	stream->slice_check = NULL;
	stream->slice = 0;
	stream->file = (struct ranq_bytes){data, (size_t)split->size};
	return 0;
}

static int fetch_whole(struct ranq_stream *stream, const struct ranq_split *split, struct ranq_bytes *value,
	struct ranq_err *err)
{
	struct ranq_bytes bytes;
	int rc = 0;
	if (map_whole(stream, split, err))
		return -1;
	while (rc == 0) {
		unsigned char *to = (unsigned char *)(uintptr_t)stream->file.data + stream->slice * RANQ_SLICE_BYTES;
		rc = take_slice(stream, split, &bytes, err);
		if (rc >= 0)
			memcpy(to, bytes.data, bytes.len);
	}
	ranq_reply_destroy(stream->slice_reply);
	stream->slice_reply = NULL;
	*value = stream->file;
	return rc;
}

int ranq_stream_slices(struct ranq_stream *stream, const struct ranq_result *found, struct ranq_bytes *value,
	struct ranq_err *err)
{
	struct ranq_split split = ranq_split_of(found);
	if (!stream->options.slices)
		return fetch_whole(stream, &split, value, err);
	return take_slice(stream, &split, value, err);
}

void ranq_stream_slices_clear(struct ranq_stream *stream)
{
	ranq_split_check_discard(stream->slice_check);
	ranq_reply_destroy(stream->slice_reply);
}

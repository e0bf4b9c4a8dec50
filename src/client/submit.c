/* submit.c - see submit.h.
 *
 * Worst moments: death while staging leaves keys with a time to live and no job; death after the submit call was sent
 * leaves either no job or all of it. A lost reply is repeated with the same uuid and finds the job. */
#include "client/submit.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/blob.h"
#include "client/producer.h"
#include "client/remove.h"
#include "record/input.h"
#include "record/offload.h"

#define STREAM_BYTES (1u << 20) /* input up to here is submitted whole */
#define STREAM_MS 200           /* when it comes by then */
#define ALONG_BYTES (64u << 10) /* a module up to here is sent without asking whether it is there */

/* ---- preparation ----------------------------------------------------------------------------------------------- */
static int count_tasks(struct ranq_submission *submission, struct ranq_err *err)
{
	const struct ranq_spec *spec = submission->spec;
	if (spec->args == RANQ_ARGS_INPUT)
		return 0;
	if (spec->args == RANQ_ARGS_LISTS) {
		int64_t n = ranq_spec_lists_count(spec, err);
		if (n < 0)
			return -1;
		submission->tasks = (uint64_t)n;
	}
	if (submission->tasks == 0)
		return ranq_err_set(err, RANQ_ERR_INPUT, "no tasks: the input is empty");
	if (submission->tasks >= RANQ_TASKS_MAX)
		return ranq_err_set(err, RANQ_ERR_INPUT, "too many tasks: at most 2^53 - 1");
	return 0;
}

static int set_text(char **to, const char *text, struct ranq_err *err)
{
	free(*to);
	*to = strdup(text);
	return *to ? 0 : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
}

/* Looked up once in a thread's life: it costs more than all the rest of a small submit. */
static int set_owner(struct ranq_spec *spec, struct ranq_err *err)
{
	static _Thread_local char text[160];
	static _Thread_local uid_t whose;
	char host[65] = "";
	const struct passwd *user;
	if (text[0] && whose == geteuid())
		return set_text(&spec->owner, text, err);
	whose = geteuid();
	user = getpwuid(whose);
	gethostname(host, sizeof host - 1);
	if (user)
		snprintf(text, sizeof text, "%.64s@%s", user->pw_name, host);
	else
		snprintf(text, sizeof text, "%ld@%s", (long)whose, host);
	return set_text(&spec->owner, text, err);
}

static void set_uuid(struct ranq_spec *spec)
{
	char id[RANQ_ID_LEN + 1];
	ranq_id_new(id);
	for (size_t i = 0; i < sizeof spec->uuid; i++) {
		char pair[3] = {id[2 * i], id[2 * i + 1], 0};
		spec->uuid[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
}

static void get_uuid(const struct ranq_spec *spec, char id[RANQ_ID_LEN + 1])
{
	for (size_t i = 0; i < sizeof spec->uuid; i++)
		snprintf(id + 2 * i, 3, "%02x", spec->uuid[i]);
}

int ranq_submit_prepare(struct ranq_submission *submission, struct ranq_err *err)
{
	struct ranq_spec *spec = submission->spec;
	char hash[RANQ_BLOB_HASH_LEN + 1];
	if (count_tasks(submission, err))
		return -1;
	set_uuid(spec);
	spec->created_ms = ranq_wall_ms();
	if (!spec->owner && set_owner(spec, err))
		return -1;
	if (submission->module.len) {
		if (!submission->module_hash)
			ranq_blob_hash(submission->module.data, submission->module.len, hash);
		if (set_text(&spec->module_hash, submission->module_hash ? submission->module_hash : hash, err))
			return -1;
	}
	spec->data_bytes = submission->data_file ? submission->data_file->len : submission->data.len;
	if (spec->data_bytes) {
		if (!submission->data_file)
			ranq_blob_hash(submission->data.data, submission->data.len, hash);
		else if (ranq_blob_file_hash(submission->data_file, hash, err))
			return ranq_err_wrap(err, "job data");
		if (set_text(&spec->data_hash, hash, err))
			return -1;
	}
	struct ranq_buf packed;
	ranq_buf_init(&packed, 0);
	int rc = ranq_spec_pack(spec, &packed, err);
	ranq_buf_clear(&packed);
	return rc;
}

/* ---- sending --------------------------------------------------------------------------------------------------- */
static int send_blobs(struct ranq_session *session, const struct ranq_submission *submission, struct ranq_err *err)
{
	const struct ranq_spec *spec = submission->spec;
	if (submission->module.len &&
		ranq_blob_send(session, spec->module_hash, submission->module.data, submission->module.len, err))
		return ranq_err_wrap(err, "cannot send the module");
	if (!spec->data_bytes)
		return 0;
	if (submission->data_file
			? ranq_blob_file_send(session, spec->data_hash, submission->data_file, err)
			: ranq_blob_send(session, spec->data_hash, submission->data.data, submission->data.len, err))
		return ranq_err_wrap(err, "cannot send the job data");
	return 0;
}

/* Whoever submits the same body again and again need not send it again; nor ask, as the submit is refused without it. */
static void remember_blobs(struct ranq_session *session, const struct ranq_spec *spec)
{
	const char *hash[2] = {spec->module_hash, spec->data_hash};
	for (int i = 0; i < 2; i++)
		snprintf(session->blobs[i], sizeof session->blobs[i], "%s", hash[i] ? hash[i] : "");
}

static bool has_blobs(const struct ranq_session *session, const struct ranq_spec *spec)
{
	return (spec->module_hash || spec->data_hash) &&
	       (!spec->module_hash || strcmp(spec->module_hash, session->blobs[0]) == 0) &&
	       (!spec->data_hash || strcmp(spec->data_hash, session->blobs[1]) == 0);
}

/* A small module leaves together with the submit that needs it. False: nothing was sent. */
static bool send_along(struct ranq_session *session, const struct ranq_submission *submission)
{
	const struct ranq_bytes *module = &submission->module;
	struct ranq_cmd cmd;
	if (!session->conn || !module->len || module->len > ALONG_BYTES || submission->spec->data_bytes)
		return false;
	ranq_cmd_init(&cmd);
	bool built = ranq_queue_blob_put_cmd(&session->queue, &cmd, submission->spec->module_hash, 0, module->len,
			     module->data, module->len) == 0;
	if (built)
		ranq_conn_send(session->conn, &cmd, NULL, NULL);
	ranq_cmd_clear(&cmd);
	return built;
}

static int stage(struct ranq_session *session, const char *uuid, uint64_t first, const struct ranq_bytes *block,
	struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_stage_cmd(&session->queue, &cmd, uuid, first, block->data, block->len);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_stage_parse(reply, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

static int submit_call(struct ranq_session *session, const struct ranq_submission *submission, const char *uuid,
	bool open, uint64_t *job, struct ranq_err *err)
{
	struct ranq_submit submit = {
		.uuid = uuid,
		.spec = submission->spec,
		.tasks = open ? 0 : submission->tasks,
		.open = open,
		.staged = !open && submission->spec->args == RANQ_ARGS_INPUT,
		.after = submission->after,
		.nafter = submission->nafter,
		.reader = submission->reads ? session->client : NULL,
	};
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	bool existed;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_submit_cmd(&session->queue, &cmd, &submit, err);
	if (rc == 0)
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_submit_parse(reply, job, &existed, err);
	if (rc == 0) {
		remember_blobs(session, submission->spec);
		session->reads_job = submission->reads && !existed ? *job : 0;
		session->reads_connects = session->connects;
	}
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

/* Everything that is in the blocks now goes to the staging key. */
static int stage_blocks(struct ranq_session *session, const char *uuid, struct ranq_blocks *blocks, uint64_t *tasks,
	struct ranq_err *err)
{
	for (size_t i = 0; i < blocks->n; i++) {
		struct ranq_bytes block = ranq_blocks_get(blocks, i);
		if (stage(session, uuid, *tasks, &block, err))
			return -1;
		*tasks += blocks->counts[i];
	}
	ranq_blocks_reset(blocks);
	return 0;
}

/* Reads until the end, or until the input turns out to be one for streaming. 1: all was read; 0: more follows; -1. */
static int read_first(struct ranq_session *session, const struct ranq_submission *submission,
	struct ranq_blocks *blocks, struct ranq_err *err)
{
	int64_t until = ranq_session_after(STREAM_MS);
	for (;;) {
		int rc = ranq_blocks_read(blocks, submission->lines, err);
		if (rc <= 0)
			return rc < 0 ? -1 : 1;
		if (rc == RANQ_BLOCKS_FULL)
			return 0;
		if (submission->may_stream && ranq_clock_ms() >= until)
			return 0;
		if (rc == RANQ_BLOCKS_PAUSE)
			continue;
		if (ranq_session_wait_fd(
			    session, submission->lines->fd, submission->may_stream ? until : RANQ_NEVER, err))
			return -1;
	}
}

/* Whole input: stage block by block, then one submit. */
static int send_whole(struct ranq_session *session, struct ranq_submission *submission, const char *uuid,
	struct ranq_blocks *blocks, bool all_read, uint64_t *job, struct ranq_err *err)
{
	submission->tasks = 0;
	ranq_blocks_store(blocks, session, uuid, 0);
	while (stage_blocks(session, uuid, blocks, &submission->tasks, err) == 0) {
		if (submission->tasks >= RANQ_TASKS_MAX)
			return ranq_err_set(err, RANQ_ERR_INPUT, "too many tasks: at most 2^53 - 1");
		if (all_read && submission->tasks == 0)
			return ranq_err_set(err, RANQ_ERR_INPUT, "no tasks: '%s' is empty", submission->lines->name);
		if (all_read)
			return submit_call(session, submission, uuid, false, job, err);
		int rc = read_first(session, submission, blocks, err);
		if (rc < 0)
			return -1;
		all_read = rc == 1;
	}
	return -1;
}

/* The job is opened, its input follows. */
static int send_open(struct ranq_session *session, const struct ranq_submission *submission, const char *uuid,
	struct ranq_blocks *blocks, uint64_t *job, struct ranq_producer **producer, struct ranq_err *err)
{
	struct ranq_producer *made = ranq_producer_create(session, uuid, submission->lines, blocks, err);
	if (!made)
		return -1;
	if (send_blobs(session, submission, err) || submit_call(session, submission, uuid, true, job, err)) {
		ranq_producer_close(made, NULL);
		return -1;
	}
	ranq_producer_start(made, *job);
	*producer = made;
	return 0;
}

static int send_lines(struct ranq_session *session, struct ranq_submission *submission, const char *uuid, uint64_t *job,
	struct ranq_producer **producer, struct ranq_err *err)
{
	struct ranq_blocks blocks;
	ranq_blocks_init(&blocks, STREAM_BYTES);
	/* what a command gets in its argv, or is split into columns, cannot be large */
	blocks.takes_large = submission->spec->body == RANQ_BODY_FUNCTION && !submission->spec->colsep;
	if (blocks.takes_large && submission->lines->allow_large)
		submission->lines->allow_large(submission->lines->user);
	int rc = read_first(session, submission, &blocks, err);
	if (rc == 0 && submission->may_stream) {
		rc = send_open(session, submission, uuid, &blocks, job, producer, err);
	} else if (rc >= 0) {
		/* Nothing reaches the server before the first megabyte of the input was found good. */
		bool all_read = rc == 1;
		if (all_read && ranq_blocks_count(&blocks) == 0)
			rc = ranq_err_set(err, RANQ_ERR_INPUT, "no tasks: '%s' is empty", submission->lines->name);
		else
			rc = send_blobs(session, submission, err);
		if (rc == 0)
			rc = send_whole(session, submission, uuid, &blocks, all_read, job, err);
	}
	ranq_blocks_clear(&blocks);
	return rc;
}

/* 1: refused by a server that has not kept the blobs. */
static int submit_now(struct ranq_session *session, const struct ranq_submission *submission, const char *uuid,
	uint64_t *job, struct ranq_err *err)
{
	struct ranq_err now = {0};
	int rc = submit_call(session, submission, uuid, false, job, &now);
	if (rc && now.code == RANQ_ERR_INPUT)
		return 1;
	if (rc && err)
		*err = now;
	return rc;
}

static int send_job(struct ranq_session *session, struct ranq_submission *submission, uint64_t *job,
	struct ranq_producer **producer, struct ranq_err *err)
{
	char uuid[RANQ_ID_LEN + 1];
	int rc;
	get_uuid(submission->spec, uuid);
	if (submission->spec->args == RANQ_ARGS_INPUT)
		return send_lines(session, submission, uuid, job, producer, err);
	if (has_blobs(session, submission->spec) && (rc = submit_now(session, submission, uuid, job, err)) <= 0)
		return rc;
	if (send_along(session, submission) && (rc = submit_now(session, submission, uuid, job, err)) <= 0)
		return rc;
	/* step by step, to say why */
	if (send_blobs(session, submission, err))
		return -1;
	return submit_call(session, submission, uuid, false, job, err);
}

int ranq_submit_send(struct ranq_session *session, struct ranq_submission *submission, uint64_t *job,
	struct ranq_producer **producer, struct ranq_err *err)
{
	*producer = NULL;
	if (send_job(session, submission, job, producer, err))
		return -1;
	if (ranq_offload_wanted(submission->spec))
		ranq_files_sweep(session, RANQ_FILES_SWEEP_MS);
	return 0;
}

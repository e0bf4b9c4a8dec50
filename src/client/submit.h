/* submit.h - putting a job into the queue: all of it in one step, or OPEN with its input streamed behind it. */
#ifndef RANQ_CLIENT_SUBMIT_H
#define RANQ_CLIENT_SUBMIT_H

#include "client/blob.h"
#include "client/lines.h"
#include "client/session.h"

struct ranq_submission {
	struct ranq_spec *spec; /* everything but uuid, creation time, owner and hashes, which submit fills in */
	uint64_t tasks;         /* N, when args is NONE; else it is found out */
	struct ranq_bytes module, data; /* bytes to send with the job; empty: none */
	const char *module_hash; /* when it is known already, else NULL */
	const struct ranq_blob_file *data_file; /* or job data from a file, NULL: none */
	struct ranq_lines *lines;       /* for RANQ_ARGS_INPUT */
	bool reads;                     /* the submitter will read the results, over the same connection */
	bool may_stream;                /* input that is large or slow may follow after the job was opened */
	const uint64_t *after;
	size_t nafter;
};

/* The rest of the input of an OPEN job; its hook belongs to the session that waits for the job (session->hook). */
struct ranq_producer;

/* Fills in what the caller left out and checks everything that can be checked without a server; counts the tasks unless
 * they come as lines. Nothing is sent. */
int ranq_submit_prepare(struct ranq_submission *submission, struct ranq_err *err);
/* *producer: NULL when all of the input is in; else the caller drives it until done, and closes it. The lines stay the
 * caller's. */
int ranq_submit_send(struct ranq_session *session, struct ranq_submission *submission, uint64_t *job,
	struct ranq_producer **producer, struct ranq_err *err);

struct ranq_session_hook *ranq_producer_hook(struct ranq_producer *producer);
/* There may be input now though there was none a moment ago. */
void ranq_producer_look(struct ranq_producer *producer);
bool ranq_producer_done(const struct ranq_producer *producer);
/* Feeds until the end of the input. Errors of the input close the job with them as its reason. */
int ranq_producer_finish(struct ranq_producer *producer, struct ranq_err *err);
/* Not done: the job is closed with `reason`, and becomes ERROR after the tasks that it has. Takes NULL. */
void ranq_producer_close(struct ranq_producer *producer, const char *reason);

#endif

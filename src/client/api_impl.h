/* api_impl.h - what the files behind ranq.h share (api.c, api_reduce.c, foreach.c). */
#ifndef RANQ_CLIENT_API_IMPL_H
#define RANQ_CLIENT_API_IMPL_H

#include "client/failures.h"
#include "client/lines.h"
#include "client/progress.h"
#include "client/ranq.h"
#include "client/reduce.h"
#include "client/stream.h"
#include "client/submit.h"

#define RANQ_API __attribute__((visibility("default")))

struct ranq {
	struct ranq_session *session;
	struct ranq_buf module; /* that was submitted last, if it is small, and its hash */
	char module_hash[RANQ_BLOB_HASH_LEN + 1];
};

struct ranq_each; /* a foreach that is going on */

struct ranq_job {
	struct ranq_session *session;
	uint64_t id;
	char text[RANQ_QUEUE_NAME_MAX + 32];
	struct ranq_stream *stream;     /* from the first ranq_next or foreach on */
	uint64_t backlog;               /* of a job submitted here that keeps its results; else 0 */
	bool no_files;                  /* known to have no results in files */
	struct ranq_reduce reduce;
	char *module; /* that has the reduce function, as far as we know */
	struct ranq_reducing *reducing; /* from the first ranq_reduced on */
	struct ranq_producer *producer; /* of a streamed job */
	struct ranq_lines lines;
	struct ranq_line_file *file; /* behind lines, or NULL */
	ranq_generator *generator;
	void *generator_user;
	int64_t generate_until_ms, feed_ms;
	struct ranq_each *each; /* NULL: none */
	struct ranq_reasons reasons;
	struct ranq_progress_bar bar;
};

/* Where ranq_last_error looks; of this thread. */
struct ranq_err *ranq_api_err(void);
/* Seconds of the caller as a deadline; less than 0: never. */
int64_t ranq_api_deadline(double seconds);
/* While something waits for this job, its producer goes on. */
void ranq_api_lend_hook(struct ranq_job *job);
/* A reader that is slow with what it has must not let the input wait until its job counts as left by its producer. */
int ranq_api_feed(struct ranq_job *job);
/* How the job is reduced; module: file with its function, or NULL. */
int ranq_api_learn_reduction(struct ranq_job *job, const struct ranq_spec *spec, const char *module);
void ranq_api_forget_reduction(struct ranq_job *job);
/* consume false: the results stay in the server. */
int ranq_api_open_stream(struct ranq_job *job, bool unordered, bool consume);
/* Fills *value from a result of kind VALUE. */
int ranq_api_value(struct ranq_job *job, const struct ranq_stream_result *result, struct ranq_value *value);
/* Takes part in each acknowledgement while a foreach goes on (foreach.c): results that wait to be combined are, and the
 * accumulator is saved. */
int ranq_each_before_ack(struct ranq_each *each, struct ranq_consumer_state *state, struct ranq_err *err);
int ranq_each_before_wait(struct ranq_each *each, struct ranq_err *err);

#endif

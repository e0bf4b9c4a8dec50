/* jobview.h - a job as people and programs see it. */
#ifndef RANQ_COMMON_JOBVIEW_H
#define RANQ_COMMON_JOBVIEW_H

#include "common/cli.h"
#include "queue/queue.h"
#include "util/json.h"

/* Object of a job; schema NULL: an element of a list; waiting: why nothing of it runs (waiting.h), or NULL or "". */
struct ranq_json *ranq_jobview_json(
	const char *schema, const char *queue, const struct ranq_job_info *info, const char *waiting);
uint64_t ranq_jobview_failed(const struct ranq_job_info *info);
/* Exit status that tells how the job ended: 0, 1; 5 when it did not end yet. */
int ranq_jobview_status(const struct ranq_job_info *info);
/* "held: results unread (64 MB backlog full); read them with 'ranq results ...' or submit with --results none|count" */
void ranq_jobview_held(const char *queue, const struct ranq_job_info *info, char *text, size_t size);
/* Why the job ended the way it did, in a few words: "2 of 4 tasks failed". */
void ranq_jobview_outcome(const struct ranq_job_info *info, char *text, size_t size);
/* Says on stderr how a job ended that is not COMPLETE; hint: with the command that lists its failed tasks, if any. */
void ranq_jobview_say_end(const struct ranq_command *command, const struct ranq_session *session,
	const struct ranq_job_info *info, bool hint);

#endif

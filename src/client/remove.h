/* remove.h - removes a job, or a queue, with everything that belongs to it: also its files (record/offload.h), as far as they are seen
 * from here. */
#ifndef RANQ_CLIENT_REMOVE_H
#define RANQ_CLIENT_REMOVE_H

#include "client/session.h"

/* files: it may have some; costs a round trip. -1: also when the job is gone from the server and its files are left; the message says where. */
int ranq_job_remove(struct ranq_session *session, uint64_t job, bool files, struct ranq_err *err);

/* A queue with all of its jobs and their files; *jobs: how many there were. -1: also when files are left; the
 * message says where the first ones are. */
int ranq_queue_remove(struct ranq_session *session, uint64_t *jobs, struct ranq_err *err);

#define RANQ_FILES_SWEEP_MS 1000 /* what a user waits for the files of other jobs */
/* Removes the files of jobs that are gone from the queue, expired ones say, as far as they are seen from here and in about that time. */
void ranq_files_sweep(struct ranq_session *session, int64_t ms);

#endif

/* jobid.h - names of jobs as people write them: "7", "QUEUE/7", "last". */
#ifndef RANQ_CLIENT_JOBID_H
#define RANQ_CLIENT_JOBID_H

#include "queue/queue.h"

/* queue: "" when the id names none; job: 0 for "last". */
int ranq_jobid_parse(const char *text, char queue[RANQ_QUEUE_NAME_MAX + 1], uint64_t *job, struct ranq_err *err);

#endif

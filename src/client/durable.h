/* durable.h - waiting until what was written is on the server's disk. */
#ifndef RANQ_CLIENT_DURABLE_H
#define RANQ_CLIENT_DURABLE_H

#include "client/session.h"

/* -1 (STATE): the server keeps no append-only file, so nothing on it is durable. Ask before submitting. */
int ranq_durable_check(const struct ranq_session *session, struct ranq_err *err);
/* Waits until the server has written the job to its disk; restarts: of the session before the job was sent. Redis 7.2
 * and later say so (WAITAOF); older ones fsync at least every second, so two seconds later it is there unless the disk
 * is behind, which they say as well. UNKNOWN: not within 30 s, or the server went down and came back without the job.
 */
int ranq_durable_wait(struct ranq_session *session, uint64_t job, uint64_t restarts, struct ranq_err *err);

#endif

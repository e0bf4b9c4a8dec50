/* session.h - a client's connection to one queue that survives a server that goes away: calls are repeated over
 * reconnects until there is a definite answer or the patience is over. That is sound because every request of a client
 * is idempotent (submit by uuid, append by batch number, ack by epoch, the rest by nature).
 *
 * One connection, no threads. A blocking pop on the session's bell is the only thing that waits in the server. */
#ifndef RANQ_CLIENT_SESSION_H
#define RANQ_CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "queue/queue.h"
#include "record/spec.h"
#include "util/clock.h"

struct ranq_session_options {
	const char *queue;
	bool create;         /* the queue may be made */
	int64_t lease_ms;    /* 0: as the queue has it */
	int64_t patience_ms; /* how long a call outlives an absent server once it was connected; RANQ_NEVER: for ever */
	int64_t connect_ms;  /* for the first connection; 0: 5 s */
	int64_t silence_ms;  /* a connection on which nothing moves for so long while a reply is due is dead; 0: 15 s, or the patience if that is shorter */
	int interrupt_fd;    /* readable: waiting ends with INTERRUPTED; -1: none */
	/* Told once per outage ("cannot connect ...; trying again"), or when the server refuses a call for more than a
	 * second (full disk, read-only replica), and when it is over; may be NULL. */
	void (*notice)(void *user, const char *text);
	void *notice_user;
};

/* Work to be done while the session waits (a producer that reads its input). */
struct ranq_session_hook {
	int fd;          /* run when readable; -1: none */
	int64_t next_ms; /* run at this time of ranq_clock_ms(); RANQ_NEVER */
	int (*run)(void *user, struct ranq_err *err);
	void *user;
};

struct ranq_session {
	struct ranq_server_addr addr;
	struct ranq_session_options options;
	struct ranq_queue queue;
	struct ranq_conn *conn;         /* NULL while disconnected */
	char client[RANQ_ID_LEN + 1];   /* our id: bell and consumer */
	char run_id[48];                /* of the server that we were connected to */
	uint64_t connects, restarts;    /* restarts: connections that met another run of the server */
	struct ranq_session_hook *hook; /* NULL: none */
	bool in_hook;
	int64_t refused_ms; /* since when the server says "not now" to the present call; 0: it does not */
	bool refusal_told;
	uint64_t reads_job, reads_connects; /* this job's submit, over that connection, made us its reader; 0: none */
	char blobs[2][65]; /* hashes of module and data of the last submit: the queue had them then; "": none */
};

/* addr is copied. Errors: AUTH, SERVER, SCHEMA, STATE (lease differs), INPUT (queue name). */
struct ranq_session *ranq_session_open(
	const struct ranq_server_addr *addr, const struct ranq_session_options *options, struct ranq_err *err);
void ranq_session_close(struct ranq_session *session); /* takes NULL */
/* A session of its own to the same queue, for a producer. */
struct ranq_session *ranq_session_clone(const struct ranq_session *session, struct ranq_err *err);
/* Drops the connection; the next call makes another. */
void ranq_session_disconnect(struct ranq_session *session);

/* now + ms without overflow; RANQ_NEVER stays. */
int64_t ranq_session_after(int64_t ms);

/* Sends cmd until there is a definite reply; deadline_ms of ranq_clock_ms() or RANQ_NEVER; the patience counts as well,
 * but does not end a call whose bytes are moving. The reply may be an error of the protocol (the parse function says).
 * Failure: SERVER, UNKNOWN, AUTH, INTERRUPTED. The caller destroys *reply. */
int ranq_session_call(struct ranq_session *session, const struct ranq_cmd *cmd, int64_t deadline_ms,
	struct ranq_reply **reply, struct ranq_err *err);
/* Connects if there is no connection, with back-off. */
int ranq_session_connect(struct ranq_session *session, int64_t deadline_ms, struct ranq_err *err);
/* Waits until the connection, the hook or the interrupt asks for attention, or until_ms; pumps. The connection may be
 * gone afterwards. -1: interrupted, or the hook failed. */
int ranq_session_turn(struct ranq_session *session, int64_t until_ms, struct ranq_err *err);
/* Waits on our bell until it rings or until_ms. 1: rang, or the connection was lost (look again); 0: time is over; -1.
 * then (NULL: none) is called when the wait has begun: what it sends, the server carries out the moment it is over. */
int ranq_session_bell(struct ranq_session *session, int64_t until_ms, void (*then)(void *user), void *user,
	struct ranq_err *err);
/* Waits until fd (-1: none) is readable or until_ms; -1: interrupted. session may be NULL: nothing interrupts. */
int ranq_session_wait_fd(struct ranq_session *session, int fd, int64_t until_ms, struct ranq_err *err);
/* How long nothing may move on the connection while a reply is due. */
int64_t ranq_session_silence_ms(const struct ranq_session *session);
/* Runs the hook if it is due (between batches of a busy reader). */
int ranq_session_run_hook(struct ranq_session *session, struct ranq_err *err);

/* One call and its control reply, repeated while the server says that there is more; n: sum of what was changed. */
typedef int ranq_session_build(const struct ranq_queue *q, struct ranq_cmd *cmd, const void *user);
int ranq_session_control(
	struct ranq_session *session, ranq_session_build *build, const void *user, uint64_t *n, struct ranq_err *err);
/* One such call; adds to *n. */
int ranq_session_control_step(struct ranq_session *session, ranq_session_build *build, const void *user, uint64_t *n,
	bool *more, struct ranq_err *err);
/* The job record; spec is initialised by it and empty on failure. */
int ranq_session_spec(struct ranq_session *session, uint64_t job, struct ranq_spec *spec, struct ranq_err *err);
int ranq_session_info(struct ranq_session *session, uint64_t job, struct ranq_job_info *info, struct ranq_err *err);

#endif

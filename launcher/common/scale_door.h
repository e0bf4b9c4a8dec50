/* scale_door.h - the queue as `ranq scale` sees it, over a session: demand, bridges, the record and who holds it. */
#ifndef RANQ_LAUNCHER_SCALE_DOOR_H
#define RANQ_LAUNCHER_SCALE_DOOR_H

#include "client/session.h"
#include "scale/engine.h"

struct ranq_scale_queue {
	struct ranq_session *session;
	char holder[RANQ_ID_LEN + 1], who[201]; /* "HOST:PID START WORLD": people are shown the first word */
	struct ranq_bridge_info *bridges;       /* of the last look */
	size_t cap;
};
void ranq_scale_queue_init(struct ranq_scale_queue *queue, struct ranq_session *session);
void ranq_scale_queue_clear(struct ranq_scale_queue *queue);
struct ranq_scale_door ranq_scale_queue_door(struct ranq_scale_queue *queue);

/* The record. *reply is the caller's; fields are found in it by ranq_scale_queue_field. */
int ranq_scale_queue_get(struct ranq_scale_queue *queue, unsigned lines, struct ranq_scale_record *record,
	struct ranq_reply **reply, struct ranq_err *err);
/* Value of a field, owned; NULL: not there. */
char *ranq_scale_queue_field(const struct ranq_reply *reply, const struct ranq_scale_record *record, const char *name);
/* Becomes the holder (or lets go, ms 0). 1: held; 0: another one holds it, *other tells; -1. */
int ranq_scale_queue_hold(
	struct ranq_scale_queue *queue, int64_t ms, struct ranq_scale_record *other, struct ranq_err *err);
/* Ends the hold of a scaler of this host that is dead. 1: so it was; 0: none; -1. */
int ranq_scale_queue_bury(struct ranq_scale_queue *queue, struct ranq_err *err);
/* Writes n pairs of name and value; wish: of `mode` and `want`, by anybody. */
int ranq_scale_queue_set(
	struct ranq_scale_queue *queue, bool wish, const char *const (*pairs)[2], size_t n, struct ranq_err *err);
int ranq_scale_queue_end(struct ranq_scale_queue *queue, struct ranq_err *err);

/* "auto" and so on; unknown words are AUTO. */
enum ranq_scale_mode ranq_scale_mode_of(const char *word);
/* A number of allocations, or -1. */
int ranq_scale_want_of(const char *word);

#endif

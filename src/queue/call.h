/* call.h - inside of the queue floor: how a request begins and how the pieces of a reply are read. */
#ifndef RANQ_QUEUE_CALL_H
#define RANQ_QUEUE_CALL_H

#include "queue/queue.h"

/* Empties cmd and begins the call of a function: FCALL or EVALSHA, its name, the queue's key. Arguments follow. */
void ranq_call_begin(const struct ranq_queue *q, struct ranq_cmd *cmd, const char *function);
void ranq_call_u64(struct ranq_cmd *cmd, uint64_t value);

/* The error that an error reply (or no reply) stands for. Always returns -1. */
int ranq_call_error(const struct ranq_reply *r, struct ranq_err *err);
/* 0 when r is an array of at least `least` elements; else -1 with the error it stands for. */
int ranq_call_array(const struct ranq_reply *r, size_t least, struct ranq_err *err);
/* A non-negative integer reply. */
int ranq_call_number(const struct ranq_reply *r, uint64_t *value, struct ranq_err *err);
int ranq_call_malformed(struct ranq_err *err);

/* Reads the elements of an array one after the other; failed stays set, so one check at the end is enough. */
struct ranq_call_reader {
	const struct ranq_reply *array;
	size_t next;
	bool failed;
};
uint64_t ranq_call_next(struct ranq_call_reader *in); /* non-negative integer */
int64_t ranq_call_next_signed(struct ranq_call_reader *in);
bool ranq_call_next_flag(struct ranq_call_reader *in);
struct ranq_bytes ranq_call_next_bytes(struct ranq_call_reader *in);
void ranq_call_next_text(struct ranq_call_reader *in, char *text, size_t size); /* cut to fit, up to the first NUL */
enum ranq_job_state ranq_call_next_state(struct ranq_call_reader *in);

/* Name under which EVALSHA finds a function; loader.c. */
const char *ranq_loader_sha(const struct ranq_queue *q, const char *function);

#endif

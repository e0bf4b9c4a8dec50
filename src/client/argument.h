/* argument.h - arguments that are too large to travel whole (record/input.h): their slices go to the queue before the block that
 * stands for them. The bytes are the caller's all the time; no more than a slice is copied. */
#ifndef RANQ_CLIENT_ARGUMENT_H
#define RANQ_CLIENT_ARGUMENT_H

#include "client/session.h"
#include "record/input.h"

/* job 0: of input that is staged under the uuid. Repeating changes nothing. */
int ranq_argument_send(struct ranq_session *session, const char *uuid, uint64_t job, const struct ranq_bytes *argument,
	struct ranq_input_large *large, struct ranq_err *err);

#endif

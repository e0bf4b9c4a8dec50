/* resp.h - the decoder of a connection: bytes in, replies out. Commands and replies themselves: conn.h. */
#ifndef RANQ_STORE_RESP_H
#define RANQ_STORE_RESP_H

#include "store/conn.h"
#include "store/frame.h"

struct ranq_resp {
	struct ranq_frame frame;
	void *reader; /* hiredis */
};

int ranq_resp_init(struct ranq_resp *resp, struct ranq_err *err);
void ranq_resp_clear(struct ranq_resp *resp);
/* How many of the `n` bytes that wait should be fed next: small replies are best decoded in small pieces, large strings
 * whole. */
size_t ranq_resp_appetite(const struct ranq_resp *resp, size_t n);
int ranq_resp_feed(struct ranq_resp *resp, const void *data, size_t n, struct ranq_err *err);
/* The next complete reply, owned by the caller, or NULL: more bytes are needed. -1: the stream is lost (REPLY, MEMORY).
 */
int ranq_resp_next(struct ranq_resp *resp, struct ranq_reply **reply, struct ranq_err *err);

#endif

/* producer.h - feeds an OPEN job: numbered batches of input blocks, back-pressure, keep-alive, close. */
#ifndef RANQ_CLIENT_PRODUCER_H
#define RANQ_CLIENT_PRODUCER_H

#include "client/submit.h"

/* Input lines packed into blocks, up to a stated number of bytes. */
struct ranq_blocks {
	struct ranq_buf bytes;
	size_t n, max_bytes;
	size_t *ends; /* block i is [ends[i - 1], ends[i]) of bytes */
	uint64_t *counts;
	size_t cap;
	struct ranq_input_writer *writer;
	struct ranq_bytes spare; /* a line that did not fit into the last block; borrowed from its source */
	bool has_spare;
	/* Where large lines go, if the job takes any; each is the only line of what was read. Not known yet (session NULL): reading ends
	 * before one. */
	bool takes_large;
	struct ranq_session *session;
	char uuid[RANQ_ID_LEN + 1];
	uint64_t job;
	struct ranq_bytes large; /* the large line that is the only block; borrowed, until the next line is asked for */
};
enum { RANQ_BLOCKS_END = 0, RANQ_BLOCKS_FULL = 1, RANQ_BLOCKS_NOTHING_NOW = 2, RANQ_BLOCKS_PAUSE = 3 };
void ranq_blocks_init(struct ranq_blocks *blocks, size_t max_bytes);
void ranq_blocks_clear(struct ranq_blocks *blocks);
void ranq_blocks_reset(struct ranq_blocks *blocks); /* forgets the finished blocks; a started one stays */
/* Exchanges the finished blocks; a started one and the spare line stay where they are. */
void ranq_blocks_swap(struct ranq_blocks *a, struct ranq_blocks *b);
/* Reads lines until END, FULL, NOTHING_NOW or PAUSE (of END and FULL the last block is finished); -1. */
int ranq_blocks_read(struct ranq_blocks *blocks, struct ranq_lines *lines, struct ranq_err *err);
/* Sends the large line again. */
int ranq_blocks_send_large(struct ranq_blocks *blocks, struct ranq_err *err);
/* Finishes a started block. */
int ranq_blocks_flush(struct ranq_blocks *blocks, struct ranq_err *err);
/* From now on large lines are taken. job 0: they are staged. */
void ranq_blocks_store(struct ranq_blocks *blocks, struct ranq_session *session, const char *uuid, uint64_t job);
struct ranq_bytes ranq_blocks_get(const struct ranq_blocks *blocks, size_t i);
uint64_t ranq_blocks_count(const struct ranq_blocks *blocks); /* lines in finished blocks */

/* Takes over what is in blocks (which is empty afterwards). Makes a connection of its own, before there is a job that
 * would be left without a producer if that failed. */
struct ranq_producer *ranq_producer_create(struct ranq_session *session, const char *uuid, struct ranq_lines *lines,
	struct ranq_blocks *blocks, struct ranq_err *err);
void ranq_producer_start(struct ranq_producer *producer, uint64_t job);

#endif

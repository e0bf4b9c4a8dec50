/* frame.h - the limits of what a server may send: walks a RESP2 byte stream in front of the parser, in pieces of any
 * size.
 *
 * Versions of hiredis differ in what they check (0.13 takes "$-2" for nil and allocates whatever "*N" announces), so
 * nothing reaches the parser that has not passed here. Costs a few operations per item and none per byte of bulk
 * strings. */
#ifndef RANQ_STORE_FRAME_H
#define RANQ_STORE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define RANQ_FRAME_BULK_MAX (512u << 20)   /* proto-max-bulk-len of Redis */
#define RANQ_FRAME_LINE_MAX (64u << 10)    /* status and error lines */
#define RANQ_FRAME_DEPTH_MAX 7             /* nested arrays; what hiredis 0.13 can */
#define RANQ_FRAME_ELEMENTS_MAX (4u << 20) /* announced by all arrays of one reply together */

enum ranq_frame_state {
	RANQ_FRAME_TYPE,
	RANQ_FRAME_NUMBER,
	RANQ_FRAME_NUMBER_LF,
	RANQ_FRAME_TEXT,
	RANQ_FRAME_TEXT_LF,
	RANQ_FRAME_BULK,
	RANQ_FRAME_BULK_CR,
	RANQ_FRAME_BULK_LF
};

struct ranq_frame {
	enum ranq_frame_state state;
	char type;       /* of the item being read: + - : $ * */
	char digits[24]; /* its number so far */
	unsigned ndigits, depth;
	uint32_t left[RANQ_FRAME_DEPTH_MAX]; /* items missing in each open array, outermost first */
	uint32_t elements;                   /* announced in this reply */
	size_t line;                         /* length of the text line so far */
	size_t bulk_left;                    /* bytes missing of the bulk string being read */
};

void ranq_frame_init(struct ranq_frame *frame);
/* Checks the next n bytes. -1: not RESP2 or above a limit (REPLY); the stream is lost then. */
int ranq_frame_check(struct ranq_frame *frame, const void *data, size_t n, struct ranq_err *err);

#endif

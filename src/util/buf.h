/* buf.h - a growing byte buffer with a stated maximum, and the varints that the packed formats use.
 *
 * Appending past `max` or out of memory puts the buffer into a sticky failed state (data unchanged from then on), so that a
 * series of appends needs one check at its end: `if (ranq_buf_failed(&b)) ...`. */
#ifndef RANQ_UTIL_BUF_H
#define RANQ_UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ranq_buf {
	unsigned char *data; /* len bytes, owned; not NUL-terminated unless ranq_buf_cstr was called */
	size_t len, cap, max;
	bool failed;
};

/* Borrowed bytes. */
struct ranq_bytes {
	const void *data;
	size_t len;
};

void ranq_buf_init(struct ranq_buf *buf, size_t max); /* max 0: no limit but memory */
void ranq_buf_clear(struct ranq_buf *buf);            /* frees; the buffer is empty and usable again */
void ranq_buf_reset(struct ranq_buf *buf);            /* len = 0, failed = false; keeps the memory */
bool ranq_buf_failed(const struct ranq_buf *buf);
/* Room for n more bytes at data + len, or NULL (then failed). Does not change len. */
unsigned char *ranq_buf_reserve(struct ranq_buf *buf, size_t n);
void ranq_buf_add(struct ranq_buf *buf, const void *data, size_t n);
void ranq_buf_add_byte(struct ranq_buf *buf, unsigned char byte);
void ranq_buf_add_str(struct ranq_buf *buf, const char *text);
void ranq_buf_printf(struct ranq_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ranq_buf_add_varint(struct ranq_buf *buf, uint64_t value); /* LEB128, at most 10 bytes */
void ranq_buf_add_sized(struct ranq_buf *buf, const void *data, size_t n); /* varint length, bytes */
void ranq_buf_drop(struct ranq_buf *buf, size_t n); /* removes the first n bytes */
const char *ranq_buf_cstr(struct ranq_buf *buf);    /* data with a NUL behind it (not counted); "" when failed or empty */
unsigned char *ranq_buf_take(struct ranq_buf *buf, size_t *len); /* ownership moves; free() it */

/* A reader over borrowed bytes; a read past the end sets failed and gives zeros. */
struct ranq_reader {
	const unsigned char *data;
	size_t len, pos;
	bool failed;
};
void ranq_reader_init(struct ranq_reader *r, const void *data, size_t len);
uint64_t ranq_reader_varint(struct ranq_reader *r); /* fails on more than 10 bytes or overflow */
unsigned char ranq_reader_byte(struct ranq_reader *r);
const unsigned char *ranq_reader_bytes(struct ranq_reader *r, size_t n); /* borrowed, NULL when failed */
struct ranq_bytes ranq_reader_sized(struct ranq_reader *r);
size_t ranq_reader_left(const struct ranq_reader *r);

#endif

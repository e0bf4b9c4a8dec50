#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ranq_buf_init(struct ranq_buf *buf, size_t max)
{
	*buf = (struct ranq_buf){.max = max};
}

void ranq_buf_clear(struct ranq_buf *buf)
{
	free(buf->data);
	ranq_buf_init(buf, buf->max);
}

void ranq_buf_reset(struct ranq_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

bool ranq_buf_failed(const struct ranq_buf *buf)
{
	return buf->failed;
}

static unsigned char *fail(struct ranq_buf *buf)
{
	buf->failed = true;
	return NULL;
}

/* Grows by half at least, so that n appends cost O(n). */
static unsigned char *grow(struct ranq_buf *buf, size_t need)
{
	size_t cap = buf->cap + buf->cap / 2;
	unsigned char *data;

	if (cap < need)
		cap = need;
	if (cap < 64)
		cap = 64;
	if (buf->max && cap > buf->max)
		cap = need > buf->max + 1 ? need : buf->max + 1; /* + 1: the NUL of cstr */
	data = realloc(buf->data, cap);
	if (!data)
		return fail(buf);
	buf->data = data;
	buf->cap = cap;
	return data + buf->len;
}

unsigned char *ranq_buf_reserve(struct ranq_buf *buf, size_t n)
{
	if (buf->failed)
		return NULL;
	if (n > SIZE_MAX - buf->len || (buf->max && buf->len + n > buf->max))
		return fail(buf);
	if (buf->len + n <= buf->cap && buf->data)
		return buf->data + buf->len;
	return grow(buf, buf->len + n);
}

void ranq_buf_add(struct ranq_buf *buf, const void *data, size_t n)
{
	unsigned char *at = ranq_buf_reserve(buf, n);

	if (!at || !n)
		return;
	memcpy(at, data, n);
	buf->len += n;
}

void ranq_buf_add_byte(struct ranq_buf *buf, unsigned char byte)
{
	ranq_buf_add(buf, &byte, 1);
}

void ranq_buf_add_str(struct ranq_buf *buf, const char *text)
{
	ranq_buf_add(buf, text, strlen(text));
}

void ranq_buf_printf(struct ranq_buf *buf, const char *format, ...)
{
	va_list args, again;
	unsigned char *at;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	at = n < 0 ? fail(buf) : ranq_buf_reserve(buf, (size_t)n);
	if (at && buf->cap - buf->len < (size_t)n + 1)
		at = grow(buf, buf->len + (size_t)n + 1);
	if (at) {
		vsnprintf((char *)at, (size_t)n + 1, format, again);
		buf->len += (size_t)n;
	}
	va_end(again);
}

void ranq_buf_add_varint(struct ranq_buf *buf, uint64_t value)
{
	unsigned char bytes[10];
	size_t n = 0;

	while (value >= 0x80) {
		bytes[n++] = (unsigned char)(value | 0x80);
		value >>= 7;
	}
	bytes[n++] = (unsigned char)value;
	ranq_buf_add(buf, bytes, n);
}

void ranq_buf_add_sized(struct ranq_buf *buf, const void *data, size_t n)
{
	ranq_buf_add_varint(buf, n);
	ranq_buf_add(buf, data, n);
}

void ranq_buf_drop(struct ranq_buf *buf, size_t n)
{
	if (n >= buf->len) {
		buf->len = 0;
		return;
	}
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
}

const char *ranq_buf_cstr(struct ranq_buf *buf)
{
	if (buf->failed || !buf->len)
		return "";
	if (buf->cap == buf->len && !grow(buf, buf->len + 1))
		return "";
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

unsigned char *ranq_buf_take(struct ranq_buf *buf, size_t *len)
{
	unsigned char *data = buf->data;

	if (len)
		*len = buf->len;
	ranq_buf_init(buf, buf->max);
	return data;
}

void ranq_reader_init(struct ranq_reader *r, const void *data, size_t len)
{
	*r = (struct ranq_reader){.data = data, .len = len};
}

size_t ranq_reader_left(const struct ranq_reader *r)
{
	return r->failed ? 0 : r->len - r->pos;
}

unsigned char ranq_reader_byte(struct ranq_reader *r)
{
	if (r->failed || r->pos >= r->len) {
		r->failed = true;
		return 0;
	}
	return r->data[r->pos++];
}

uint64_t ranq_reader_varint(struct ranq_reader *r)
{
	uint64_t value = 0;
	unsigned shift;

	for (shift = 0; shift < 64; shift += 7) {
		unsigned char byte = ranq_reader_byte(r);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return r->failed ? 0 : value;
	}
	r->failed = true;
	return 0;
}

const unsigned char *ranq_reader_bytes(struct ranq_reader *r, size_t n)
{
	const unsigned char *at;

	if (r->failed || n > r->len - r->pos) {
		r->failed = true;
		return NULL;
	}
	at = r->data + r->pos;
	r->pos += n;
	return at;
}

struct ranq_bytes ranq_reader_sized(struct ranq_reader *r)
{
	uint64_t n = ranq_reader_varint(r);
	const unsigned char *at = n > SIZE_MAX ? NULL : ranq_reader_bytes(r, (size_t)n);

	return at ? (struct ranq_bytes){at, (size_t)n} : (struct ranq_bytes){NULL, 0};
}

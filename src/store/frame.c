#include "store/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void ranq_frame_init(struct ranq_frame *frame)
{
	*frame = (struct ranq_frame){.state = RANQ_FRAME_TYPE};
}

static int refuse(struct ranq_err *err, const char *what)
{
	return ranq_err_set(err, RANQ_ERR_REPLY, "not the Redis protocol (%s)", what);
}

/* One item is complete: closes every array that it completes. */
static void item_done(struct ranq_frame *f)
{
	f->state = RANQ_FRAME_TYPE;
	while (f->depth && --f->left[f->depth - 1] == 0)
		f->depth--;
	if (!f->depth)
		f->elements = 0;
}

static int array_begins(struct ranq_frame *f, int64_t n, struct ranq_err *err)
{
	if (n > (int64_t)(RANQ_FRAME_ELEMENTS_MAX - f->elements))
		return refuse(err, "an array of too many elements");
	if (n <= 0) {
		item_done(f);
		return 0;
	}
	if (f->depth == RANQ_FRAME_DEPTH_MAX)
		return refuse(err, "arrays nested too deeply");
	f->elements += (uint32_t)n;
	f->left[f->depth++] = (uint32_t)n;
	f->state = RANQ_FRAME_TYPE;
	return 0;
}

/* Canonical decimal only, so that every parser behind reads the same number. */
static int parse_number(const struct ranq_frame *f, int64_t *value, struct ranq_err *err)
{
	const char *digits = f->digits[0] == '-' ? f->digits + 1 : f->digits;
	size_t n = strspn(digits, "0123456789");

	if (!n || digits[n] || (digits[0] == '0' && (n > 1 || digits != f->digits)))
		return refuse(err, "a bad number");
	errno = 0;
	*value = strtoll(f->digits, NULL, 10);
	if (errno == ERANGE)
		return refuse(err, "a number out of range");
	return 0;
}

static int number_done(struct ranq_frame *f, struct ranq_err *err)
{
	int64_t value = 0;

	if (parse_number(f, &value, err))
		return -1;
	if (f->type == ':') {
		item_done(f);
		return 0;
	}
	if (value < -1)
		return refuse(err, "a negative length");
	if (f->type == '*')
		return array_begins(f, value, err);
	if (value > (int64_t)RANQ_FRAME_BULK_MAX)
		return refuse(err, "a string above 512 MiB");
	f->bulk_left = value > 0 ? (size_t)value : 0;
	if (value < 0)
		item_done(f);
	else
		f->state = value ? RANQ_FRAME_BULK : RANQ_FRAME_BULK_CR;
	return 0;
}

static int type_byte(struct ranq_frame *f, char c, struct ranq_err *err)
{
	f->type = c;
	f->ndigits = 0;
	f->line = 0;
	switch (c) {
	case '+':
	case '-':
		f->state = RANQ_FRAME_TEXT;
		return 0;
	case ':':
	case '$':
	case '*':
		f->state = RANQ_FRAME_NUMBER;
		return 0;
	default:
		return refuse(err, "an unknown type of reply");
	}
}

static int number_byte(struct ranq_frame *f, char c, struct ranq_err *err)
{
	if (c == '\r') {
		f->digits[f->ndigits] = '\0';
		f->state = RANQ_FRAME_NUMBER_LF;
		return 0;
	}
	if ((c < '0' || c > '9') && c != '-')
		return refuse(err, "a bad number");
	if (f->ndigits + 1 >= sizeof f->digits)
		return refuse(err, "a number too long");
	f->digits[f->ndigits++] = c;
	return 0;
}

/* Bytes of a line or bulk string that can be passed over at once; 0: the byte needs a look. */
static size_t skip(struct ranq_frame *f, const char *p, size_t n)
{
	const char *end;
	size_t length;

	if (f->state == RANQ_FRAME_BULK) {
		length = n < f->bulk_left ? n : f->bulk_left;
		f->bulk_left -= length;
		if (!f->bulk_left)
			f->state = RANQ_FRAME_BULK_CR;
		return length;
	}
	if (f->state != RANQ_FRAME_TEXT)
		return 0;
	end = memchr(p, '\r', n);
	length = end ? (size_t)(end - p) : n;
	f->line += length;
	return length;
}

static int line_end(struct ranq_frame *f, char c, char expected, struct ranq_err *err)
{
	if (c != expected)
		return refuse(err, "a line without its end");
	if (f->state == RANQ_FRAME_NUMBER_LF)
		return number_done(f, err);
	if (f->state == RANQ_FRAME_BULK_CR)
		f->state = RANQ_FRAME_BULK_LF;
	else if (f->state == RANQ_FRAME_TEXT)
		f->state = RANQ_FRAME_TEXT_LF;
	else
		item_done(f);
	return 0;
}

static int one_byte(struct ranq_frame *f, char c, struct ranq_err *err)
{
	switch (f->state) {
	case RANQ_FRAME_TYPE:
		return type_byte(f, c, err);
	case RANQ_FRAME_NUMBER:
		return number_byte(f, c, err);
	case RANQ_FRAME_TEXT:
	case RANQ_FRAME_BULK_CR:
		return line_end(f, c, '\r', err);
	default:
		return line_end(f, c, '\n', err);
	}
}

int ranq_frame_check(struct ranq_frame *f, const void *data, size_t n, struct ranq_err *err)
{
	const char *p = data, *end = p + n;

	while (p < end) {
		size_t length = skip(f, p, (size_t)(end - p));

		if (f->line > RANQ_FRAME_LINE_MAX)
			return refuse(err, "a line too long");
		if (length)
			p += length;
		else if (one_byte(f, *p++, err))
			return -1;
	}
	return 0;
}

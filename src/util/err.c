#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void mark_truncation(struct ranq_err *err, int written)
{
	if (written >= (int)sizeof err->text)
		memcpy(err->text + sizeof err->text - 4, "...", 4);
}

/* One message is one line, whatever it quotes. */
static void flatten(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

int ranq_err_set(struct ranq_err *err, enum ranq_err_code code, const char *format, ...)
{
	va_list args;
	int saved = errno;

	if (!err)
		return -1;
	err->code = code;
	va_start(args, format);
	mark_truncation(err, vsnprintf(err->text, sizeof err->text, format, args));
	va_end(args);
	flatten(err->text);
	errno = saved;
	return -1;
}

int ranq_err_wrap(struct ranq_err *err, const char *format, ...)
{
	char old[sizeof err->text];
	va_list args;
	int saved = errno, n;

	if (!err)
		return -1;
	memcpy(old, err->text, sizeof old);
	va_start(args, format);
	n = vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	if (n >= 0 && n < (int)sizeof err->text)
		n += snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", old);
	mark_truncation(err, n);
	flatten(err->text);
	errno = saved;
	return -1;
}

int ranq_err_sys(struct ranq_err *err, const char *format, ...)
{
	va_list args;
	int saved = errno, n;

	if (!err)
		return -1;
	err->code = saved == ENOMEM ? RANQ_ERR_MEMORY : RANQ_ERR_SYSTEM;
	va_start(args, format);
	n = vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	if (n >= 0 && n < (int)sizeof err->text)
		n += snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(saved));
	mark_truncation(err, n);
	flatten(err->text);
	errno = saved;
	return -1;
}

static const struct {
	const char *name;
	int status;
} codes[RANQ_ERR_COUNT] = {
#define X(name, status, text) {#name, status},
	RANQ_ERR_CODES(X)
#undef X
};

int ranq_err_status(enum ranq_err_code code)
{
	return (unsigned)code < RANQ_ERR_COUNT ? codes[code].status : 2;
}

const char *ranq_err_name(enum ranq_err_code code)
{
	return (unsigned)code < RANQ_ERR_COUNT ? codes[code].name : "?";
}

/* err.h - how every fallible function of ranq reports.
 *
 * A function returns 0 or a pointer on success, -1 or NULL on failure, and takes `struct ranq_err *err` last (may be NULL).
 * The message is one line: lower case, no full stop, the subject in single quotes, says what, why and what to do.
 * errno is kept. A function that fails changes nothing that its caller can see, unless its comment says so. */
#ifndef RANQ_UTIL_ERR_H
#define RANQ_UTIL_ERR_H

#include <stddef.h>

/* name, exit status of a program that ends because of it, text */
#define RANQ_ERR_CODES(X)                                                                         \
	X(OK, 0, "success")                                                                       \
	X(FAILED, 1, "a task failed, or the job was cancelled or impossible")                     \
	X(USAGE, 2, "wrong usage")                                                                \
	X(INPUT, 2, "bad input")                                                                  \
	X(MEMORY, 2, "out of memory")                                                             \
	X(SYSTEM, 2, "a system call failed")                                                      \
	X(SCHEMA, 2, "the queue was made by another version of ranq")                             \
	X(AUTH, 3, "the server refused the user or password")                                     \
	X(SERVER, 3, "the server cannot be reached or cannot serve")                              \
	X(UNKNOWN, 3, "the outcome is unknown: the connection was lost before the reply")         \
	X(FULL, 3, "the server is out of memory or disk")                                         \
	X(REPLY, 3, "the server sent what does not belong to the protocol")                       \
	X(GONE, 4, "no such bridge, or its lease has expired")                                    \
	X(NOTFOUND, 4, "no such job, queue or worker")                                            \
	X(STATE, 2, "not possible in the present state")                                          \
	X(UNFINISHED, 5, "not finished")                                                          \
	X(INTERRUPTED, 130, "interrupted")

enum ranq_err_code {
#define X(name, status, text) RANQ_ERR_##name,
	RANQ_ERR_CODES(X)
#undef X
		RANQ_ERR_COUNT
};

struct ranq_err {
	enum ranq_err_code code;
	char text[512]; /* NUL-terminated, one line; truncation is marked by "..." */
};

/* Sets code and message; returns -1, so that `return ranq_err_set(...)` is the whole error path. err may be NULL. */
int ranq_err_set(struct ranq_err *err, enum ranq_err_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts "context: " before the message that is there; keeps the code; returns -1. */
int ranq_err_wrap(struct ranq_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* ranq_err_set with ": strerror(errno)" appended. */
int ranq_err_sys(struct ranq_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Exit status of the class of this code. */
int ranq_err_status(enum ranq_err_code code);
const char *ranq_err_name(enum ranq_err_code code);

#endif

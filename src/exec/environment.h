/* environment.h - lists of NAME=VALUE, and which variables of a bridge its tasks must not see. */
#ifndef RANQ_EXEC_ENVIRONMENT_H
#define RANQ_EXEC_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/* NULL-terminated at all times (once something was added). */
struct ranq_environment {
	char **at;
	size_t n, cap;
};
void ranq_environment_clear(struct ranq_environment *env);
/* Copies "NAME=VALUE" in; replaces the entry of the same name. */
int ranq_environment_put(struct ranq_environment *env, const char *entry, struct ranq_err *err);
int ranq_environment_printf(struct ranq_environment *env, struct ranq_err *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *ranq_environment_get(const struct ranq_environment *env, const char *name);
/* Adds `base` without what belongs to the MPI launcher (a task may itself call mpirun), secrets, and the RANQ_
 * variables of a task around us. */
int ranq_environment_scrubbed(struct ranq_environment *env, char *const *base, struct ranq_err *err);
bool ranq_environment_is_private(const char *entry);

#endif

/* module.h - checks of a module before it is submitted, without running any of its code. */
#ifndef RANQ_CLIENT_MODULE_H
#define RANQ_CLIENT_MODULE_H

#include "util/err.h"

/* Is this a shared object of ranq's module ABI that exports the function? name: for messages. Errors: INPUT. */
int ranq_module_check(const void *data, size_t len, const char *name, const char *function, struct ranq_err *err);

#endif

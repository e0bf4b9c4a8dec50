/* module.h - checks of a module before it is submitted, without running any of its code; and its reduce function for
 * who reads the results. */
#ifndef RANQ_CLIENT_MODULE_H
#define RANQ_CLIENT_MODULE_H

#include "client/ranq.h"
#include "util/err.h"

/* Is this a shared object of ranq's module ABI that exports the function? name: for messages. Errors: INPUT. */
int ranq_module_check(const void *data, size_t len, const char *name, const char *function, struct ranq_err *err);
/* The module is loaded, for the life of the process: its code runs here, so it must be one that the user has named.
 * NULL with err. */
ranq_reducer *ranq_module_reducer(const char *path, const char *function, struct ranq_err *err);

#endif

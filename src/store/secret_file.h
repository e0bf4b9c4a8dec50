/* secret_file.h - reading and replacing one file that holds a secret. */
#ifndef RANQ_STORE_SECRET_FILE_H
#define RANQ_STORE_SECRET_FILE_H

#include <stddef.h>

#include "util/err.h"

/* All of the file with a NUL behind it, owned by the caller, who frees it with ranq_secret_wipe. NOTFOUND: no such
 * file; INPUT: a file that must not be trusted, with the cure. */
char *ranq_secret_file_read(const char *path, size_t max, size_t *len, struct ranq_err *err);
/* Writes a new file of mode 0600 beside it and renames. */
int ranq_secret_file_write(const char *path, const void *data, size_t len, struct ranq_err *err);
void ranq_secret_wipe(char *data, size_t len); /* wipes and frees; takes NULL */

#endif

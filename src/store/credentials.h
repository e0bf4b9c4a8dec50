/* credentials.h - secrets in files: password files, and the connection file that a private server leaves for its user.
 *
 * A file with a secret must be a regular file (no link) of the caller that nobody else can read or write: mode 0600 or
 * less. Anything else is refused with the cure in the message (INPUT) and without a byte of what it holds. */
#ifndef RANQ_STORE_CREDENTIALS_H
#define RANQ_STORE_CREDENTIALS_H

#include <stddef.h>

#include "store/conn.h"

#define RANQ_SECRET_MAX 4096

/* The one line of the file, without its end, owned by the caller: give it to ranq_credentials_free or into a
 * ranq_server_addr. */
char *ranq_credentials_read(const char *path, struct ranq_err *err);
void ranq_credentials_free(char *secret); /* wipes; takes NULL */

/* What `ranq server start` writes and every program of this user reads. */
struct ranq_connection_file {
	struct ranq_server_addr addr; /* with user, password and certificate */
	char *host;                   /* where the server runs: a Unix socket means something only there */
	char *dir;                    /* its data directory, or NULL */
	long pid;                     /* of the server on that host, or 0 */
};
void ranq_connection_file_init(struct ranq_connection_file *file);
void ranq_connection_file_clear(struct ranq_connection_file *file); /* wipes the password */
/* "$XDG_CONFIG_HOME/ranq/", or "~/.config/ranq/", and name behind it. */
int ranq_config_file_path(const char *name, char *path, size_t size, struct ranq_err *err);
/* The configuration file servers/NAME; name NULL: "default". */
int ranq_connection_file_path(const char *name, char *path, size_t size, struct ranq_err *err);
/* Puts the file in place in one step (missing directories are made, mode 0700); a reader sees the old one or the new
 * one. */
int ranq_connection_file_write(const char *path, const struct ranq_connection_file *file, struct ranq_err *err);
/* Fills *file (initialised by it). NOTFOUND: there is none. */
int ranq_connection_file_read(const char *path, struct ranq_connection_file *file, struct ranq_err *err);
/* Checks that the file means something on this host: a Unix socket of another one gives SERVER with the cure. */
int ranq_connection_file_usable(const struct ranq_connection_file *file, struct ranq_err *err);

#endif

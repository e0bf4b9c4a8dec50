/* private_dir.h - directories and small files of the private server; internal to private_server.c. */
#ifndef RANQ_LAUNCHER_PRIVATE_DIR_H
#define RANQ_LAUNCHER_PRIVATE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/* What a data directory remembers from start to start; "" and 0: not known yet. */
struct ranq_identity {
	char listen[256]; /* "" : Unix socket */
	unsigned port;
	bool plain;
	char socket[108];
	char password[128];
};

/* $XDG_STATE_HOME/ranq or ~/.local/state/ranq, made when missing (0700). */
int ranq_private_state_dir(char *path, size_t size, struct ranq_err *err);
/* Data directory: `given`, else the one of the last start, else the default; made when missing; must be ours alone. */
int ranq_private_data_dir(const char *given, char *path, size_t size, struct ranq_err *err);
void ranq_private_remember_dir(const char *path);

/* Takes DIR/NAME as a lock; waits up to limit_ms. Returns the descriptor, -1: held by another (err: STATE) or a
 * failure. */
int ranq_private_lock(const char *dir, const char *name, int limit_ms, struct ranq_err *err);

void ranq_identity_read(const char *dir, struct ranq_identity *identity);
int ranq_identity_write(const char *dir, const struct ranq_identity *identity, struct ranq_err *err);

#endif

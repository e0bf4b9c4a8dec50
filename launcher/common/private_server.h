/* private_server.h - the Redis server that `ranq server` keeps for one user: where it lives, who may start it, how it
 * ends.
 *
 * - connection file, ~/.config/ranq/servers/default: what clients and bridges read (store/credentials.h)
 * - last directory, ~/.local/state/ranq/server-dir: link to the data directory of the last start; a later start carries
 * on
 * - data directory, ~/.local/state/ranq/server or --dir, 0700:
 *   - lock: held by the server itself as long as it lives: one server a directory, whatever was killed
 *   - identity: port, address, socket and password of the last start: kept, so that running bridges find the next one
 *   - redis.conf, redis.log, redis.sock, cert.pem, key.pem, appendonlydir/ */
#ifndef RANQ_LAUNCHER_PRIVATE_SERVER_H
#define RANQ_LAUNCHER_PRIVATE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/credentials.h"
#include "util/err.h"

struct ranq_private_options {
	const char *dir;    /* NULL: as before, or the default */
	const char *listen; /* ADDR, ADDR:PORT, [V6]:PORT; NULL: Unix socket */
	bool plain;         /* no TLS */
	bool take_over;     /* the one that was started on another host and does not answer is gone for good */
	uint64_t maxmemory; /* 0: 60 % of the machine */
};

struct ranq_private_start {
	bool was_running; /* nothing was started */
	bool network_fs;  /* the data directory is on a network file system */
	char fs[32];      /* its name */
	struct ranq_connection_file file;
};

/* Starts the server unless one runs; safe to call from several processes at once. Errors: INPUT, STATE (one runs
 * elsewhere or otherwise), SYSTEM, SERVER. *start is initialised by it; the caller clears it, also after an error. */
int ranq_private_start(
	const struct ranq_private_options *options, struct ranq_private_start *start, struct ranq_err *err);
void ranq_private_start_clear(struct ranq_private_start *start);

/* SHUTDOWN (the append-only file is synced), waits for the end, removes the connection file. 1: it ran, 0: there was
 * none. Errors: STATE (it runs on another host), SERVER (it does not end). */
int ranq_private_stop(struct ranq_err *err);

/* Name of the network file system that holds path, or NULL when it is a local one. */
const char *ranq_private_network_fs(const char *path);

/* Splits "ADDR", "ADDR:PORT", "[V6]", "[V6]:PORT"; port 0: none given. Error: INPUT. */
int ranq_private_parse_listen(const char *text, char host[256], unsigned *port, struct ranq_err *err);

#endif

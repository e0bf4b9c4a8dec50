/* resolve.h - which server and which queue are meant, and who said so: option > environment > config file > connection
 * file of `ranq server` > default. */
#ifndef RANQ_CLIENT_RESOLVE_H
#define RANQ_CLIENT_RESOLVE_H

#include "queue/queue.h"

enum ranq_origin {
	RANQ_ORIGIN_NONE,
	RANQ_ORIGIN_OPTION,
	RANQ_ORIGIN_ENVIRONMENT,
	RANQ_ORIGIN_CONFIG,
	RANQ_ORIGIN_CONNECTION, /* file written by `ranq server start` */
	RANQ_ORIGIN_DEFAULT,
};
const char *ranq_origin_text(enum ranq_origin origin); /* "option", "environment", ... */

/* Fills *addr (initialised by it; the caller clears it) with URL, user, password and certificate. 1: found; 0: no
 * server is configured anywhere; -1: something is configured and wrong. The password comes from RANQ_PASSWORD_FILE or
 * `password-file` of the config file, or with the connection file. origin may be NULL. */
int ranq_resolve_server(
	const char *url_option, struct ranq_server_addr *addr, enum ranq_origin *origin, struct ranq_err *err);
/* Before another connection: where the server of a connection file is now (addr->moves; others do not change). What cannot be read
 * leaves addr as it is: the file is away for a moment while a server moves. */
void ranq_resolve_again(struct ranq_server_addr *addr);
/* The queue: option, RANQ_QUEUE, `queue` of the config file, "default". Checked. origin may be NULL. */
int ranq_resolve_queue(
	const char *option, char name[RANQ_QUEUE_NAME_MAX + 1], enum ranq_origin *origin, struct ranq_err *err);

/* $XDG_CONFIG_HOME/ranq/config or ~/.config/ranq/config; -1 when there is no home directory. */
int ranq_resolve_config_path(char *path, size_t size, struct ranq_err *err);
/* Value of `key` ("key = value" lines, '#' comments); malloced. 1: there; 0: not; -1: the file cannot be read or is
 * malformed. */
int ranq_resolve_config(const char *key, char **value, struct ranq_err *err);
/* Message for "no server is configured anywhere". */
int ranq_resolve_none(struct ranq_err *err);

#endif

/* local.h - a private Redis and local ranks for the time of one command: `run --local`, quickstart, tests.
 *
 * A keeper process (a child in a session of its own) owns everything: the directory (0700, under XDG_RUNTIME_DIR or
 * TMPDIR), redis-server and the bridge. It ends all of it when ranq_local_stop is called or when the process that
 * started it is gone, however it went. Nothing survives: no process, no socket, no file. */
#ifndef RANQ_LAUNCHER_LOCAL_H
#define RANQ_LAUNCHER_LOCAL_H

#include "store/conn.h"
#include "util/err.h"

struct ranq_local;

/* One compute rank per core that this process may use. */
unsigned ranq_local_default_ranks(void);
/* A slip of the finger must not take the machine down: 0, or USAGE for far more ranks than its cores can run. */
int ranq_local_ranks_check(unsigned ranks, struct ranq_err *err);

/* Starts both and returns when the server answers; the ranks may still be starting. ranks: compute ranks, 0: one per
 * core. queue: the one that the ranks serve, NULL: RANQ_QUEUE or "default". Errors: SYSTEM, SERVER, INPUT (a program is
 * missing). */
struct ranq_local *ranq_local_start(unsigned ranks, const char *queue, struct ranq_err *err);

/* Address of the private server; borrowed, lives as long as local. */
const struct ranq_server_addr *ranq_local_addr(const struct ranq_local *local);

/* 0: all is alive; -1: server or bridge is gone, err says which and gives the end of its log. Does not block. */
int ranq_local_check(struct ranq_local *local, struct ranq_err *err);

/* Ends everything and waits until nothing is left. Takes NULL. */
void ranq_local_stop(struct ranq_local *local);

#endif

/* redis_server.h - a private redis-server (or valkey-server): its configuration, its start, its end.
 *
 * The configuration is made for a queue: append-only file with fsync each second, never any eviction, no debug or
 * module commands. It is a 0600 file in a 0700 directory and the only place that knows the (hashed) password; nothing
 * secret is in argv, environment or log. */
#ifndef RANQ_LAUNCHER_REDIS_SERVER_H
#define RANQ_LAUNCHER_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/conn.h"
#include "util/err.h"

/* Files in the directory of a server. */
#define RANQ_REDIS_CONF "redis.conf"
#define RANQ_REDIS_LOG "redis.log"
#define RANQ_REDIS_SOCKET "redis.sock"
#define RANQ_REDIS_CERT "cert.pem"
#define RANQ_REDIS_KEY "key.pem"

struct ranq_redis_options {
	const char *program; /* as found by ranq_redis_program */
	const char *dir;     /* exists, 0700: configuration, log, data; certificate and key when tls */
	const char *socket;  /* Unix socket, or NULL */
	const char *listen;  /* or address to listen on, with port */
	unsigned port;
	bool tls;
	const char *user, *password; /* NULL: whoever reaches the socket may do everything */
	bool persistent;             /* append-only file; else nothing is ever written */
	bool ends_with_us;           /* killed by the kernel when its parent ends; else in a session of its own */
	int keep_fd;                 /* a lock that lives as long as the server; -1: none */
	uint64_t maxmemory;          /* 0: 60 % of the memory of the machine */
};

/* $RANQ_REDIS_SERVER, redis-server or valkey-server; owned. NULL: none (err: INPUT, names the cure). */
char *ranq_redis_program(struct ranq_err *err);

/* Major version that `program --version` tells, 0: unknown. */
unsigned ranq_redis_major(const char *program);

/* Memory of the machine or of our cgroup, whichever is less. */
uint64_t ranq_redis_memory(void);

/* Writes the configuration and starts the server. -1: err INPUT or SYSTEM. */
pid_t ranq_redis_start(const struct ranq_redis_options *options, struct ranq_err *err);

/* Waits until the server at addr answers. `pid` is watched: its end is an error that quotes the end of the log in dir.
 * While it loads its data the wait goes on up to ten minutes, else until deadline_ms. Errors: SERVER, AUTH; STATE: it
 * dropped commands of its append-only file while loading (the caller ends it). */
int ranq_redis_await(
	pid_t pid, const char *dir, const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err);

/* The last line of a log that says something, for messages ("" when there is none). Bounded by size. */
void ranq_redis_log_end(const char *path, char *text, size_t size);

#endif

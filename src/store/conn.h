/* conn.h - one non-blocking connection to Redis: our socket (CLOEXEC, no SIGPIPE, TCP_USER_TIMEOUT, optional TLS),
 * hiredis as codec.
 *
 * Works in an event loop (fd + wants + pump, callbacks in order of sending) and synchronously (call = send + pump until
 * the reply or the deadline). No threads. After any failure the connection is dead: every outstanding callback is
 * called once with reply NULL (outcome unknown), and the owner makes a new one. Nothing reconnects by itself. */
#ifndef RANQ_STORE_CONN_H
#define RANQ_STORE_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/err.h"

enum ranq_reply_type {
	RANQ_REPLY_NIL,
	RANQ_REPLY_INT,
	RANQ_REPLY_STRING,
	RANQ_REPLY_STATUS,
	RANQ_REPLY_ERROR,
	RANQ_REPLY_ARRAY
};

/* A reply as a tree; borrowed inside a callback, owned after ranq_conn_call until ranq_reply_destroy. */
struct ranq_reply;
enum ranq_reply_type ranq_reply_type(const struct ranq_reply *reply);
int64_t ranq_reply_int(const struct ranq_reply *reply); /* of INT; of STRING that is a decimal integer; else 0 */
struct ranq_bytes ranq_reply_bytes(const struct ranq_reply *reply); /* of STRING, STATUS, ERROR; else {NULL, 0} */
size_t ranq_reply_count(const struct ranq_reply *reply);            /* of ARRAY, else 0 */
const struct ranq_reply *ranq_reply_at(const struct ranq_reply *reply, size_t i); /* NULL outside */
/* What a STRING, STATUS or ERROR says, fit for a message: printable ASCII, cut to size. Returns text. */
const char *ranq_reply_words(const struct ranq_reply *reply, char *text, size_t size);
void ranq_reply_destroy(struct ranq_reply *reply);

/* A command being built: flat argument vector in RESP. An argument above 512 MiB, a command above 1000 MiB or no memory
 * put args into its failed state; ranq_conn_call then refuses the command (INPUT, nothing sent), ranq_conn_send gives
 * the connection up. */
struct ranq_cmd {
	struct ranq_buf args; /* encoded $len..CRLF arguments */
	size_t argc;
};
void ranq_cmd_init(struct ranq_cmd *cmd);
void ranq_cmd_clear(struct ranq_cmd *cmd);
void ranq_cmd_reset(struct ranq_cmd *cmd);
void ranq_cmd_str(struct ranq_cmd *cmd, const char *arg);
void ranq_cmd_bytes(struct ranq_cmd *cmd, const void *data, size_t len);
void ranq_cmd_int(struct ranq_cmd *cmd, int64_t value);

/* Where a server is and how to log in. Strings are borrowed by open. */
struct ranq_server_addr {
	char *unix_path; /* or host + port */
	char *host;
	unsigned port, db;
	bool tls;
	char *ca_pem;   /* pinned certificate(s), PEM text; NULL: the system's */
	char *user;     /* NULL: default user */
	char *password; /* NULL: none; wiped by clear */
	bool moves;     /* from a connection file, which may name another host by the next connection: look again before it */
};
void ranq_server_addr_init(struct ranq_server_addr *addr);
void ranq_server_addr_clear(struct ranq_server_addr *addr);
/* redis://[user@]host[:port][/db], rediss://..., unix:///path[?db=N] (also unix:/path, as in messages). A password
 * inside a URL is refused and never repeated in the message (USAGE). On success all that addr held before is cleared;
 * it must be initialised. */
int ranq_server_addr_parse(const char *url, struct ranq_server_addr *addr, struct ranq_err *err);
/* The URL without secrets, for messages (unix:/path, redis://user@host:6379/1); parses back. Valid until the next call
 * of this thread. */
const char *ranq_server_addr_text(const struct ranq_server_addr *addr);

struct ranq_conn;
/* Connects and logs in (AUTH, SELECT, and reads INFO server/memory/persistence once), all before deadline_ms of
 * ranq_clock_ms(); only the resolver of host names keeps its own time. Errors: AUTH (wrong, missing or superfluous
 * password, INFO not allowed), SERVER (also a server that is loading its data), REPLY (not a Redis), INPUT (no such
 * database, path too long). */
struct ranq_conn *ranq_conn_open(const struct ranq_server_addr *addr, int64_t deadline_ms, struct ranq_err *err);
/* Did opening fail only because the server is still reading its data after a start? Then it soon answers. */
bool ranq_conn_error_is_loading(const struct ranq_err *err);
void ranq_conn_close(struct ranq_conn *conn); /* outstanding callbacks get NULL; takes NULL */

struct ranq_server_facts {
	unsigned major, minor, patch; /* of Valkey its own, which starts at 7.2 */
	bool valkey, has_functions, aof, loading, tls;
	bool aof_broken; /* its last write to the append-only file failed: it takes nothing new */
	char maxmemory_policy[32], run_id[48];
	uint64_t maxmemory;
};
const struct ranq_server_facts *ranq_conn_facts(const struct ranq_conn *conn);

/* A callback may send more commands on its connection; it must not close, pump or call it. */
typedef void ranq_conn_cb(const struct ranq_reply *reply, void *arg);
/* Inside of a callback: its reply (not NULL) is the caller's from now on, until ranq_reply_destroy. */
struct ranq_reply *ranq_conn_keep(struct ranq_conn *conn, const struct ranq_reply *reply);
/* Queues a copy of the command, which leaves at the next pump; cb may be NULL. A dead connection calls cb with NULL at
 * once. What waits is bounded (2000 MiB, 4 Mi commands): above, or out of memory, the connection dies, so owners watch
 * unsent and inflight. */
void ranq_conn_send(struct ranq_conn *conn, const struct ranq_cmd *cmd, ranq_conn_cb *cb, void *arg);
int ranq_conn_fd(const struct ranq_conn *conn);
bool ranq_conn_wants_write(const struct ranq_conn *conn);
size_t ranq_conn_unsent(const struct ranq_conn *conn); /* bytes not yet in the kernel */
/* Changes whenever the other side has taken or sent anything: to tell a slow network from a dead one. */
uint64_t ranq_conn_moved(const struct ranq_conn *conn);
size_t ranq_conn_inflight(const struct ranq_conn *conn); /* commands without reply */
/* Writes and reads what it can without blocking and calls callbacks; for a level-triggered loop: reads at most some MiB
 * a call. -1: the connection is dead (err says why). */
int ranq_conn_pump(struct ranq_conn *conn, struct ranq_err *err);
/* Synchronous: sends cmd and waits for its reply (replies of earlier sends are handled on the way). The caller owns
 * *reply. An error reply of the server is a reply, not a failure. Failure: UNKNOWN when the command may have been
 * executed, SERVER when surely not. */
int ranq_conn_call(struct ranq_conn *conn, const struct ranq_cmd *cmd, int64_t deadline_ms, struct ranq_reply **reply,
	struct ranq_err *err);
/* The same, but a connection on which nothing moved for silence_ms counts as dead before the deadline: a large command
 * or reply on a slow link takes its time, a server that is gone does not. */
int ranq_conn_call_moving(struct ranq_conn *conn, const struct ranq_cmd *cmd, int64_t silence_ms, int64_t deadline_ms,
	struct ranq_reply **reply, struct ranq_err *err);
bool ranq_conn_alive(const struct ranq_conn *conn);

#endif

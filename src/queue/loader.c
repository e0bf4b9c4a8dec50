/* Brings the Lua functions into the server.
 *
 * Redis 7 and Valkey: one Functions library, ranq1. It is persistent and replicated, carries a revision, and is
 * replaced by a newer revision only, so that clients of different builds do not push each other's out for ever;
 * functions of one library name stay compatible. Elsewhere each function is a script of its own (all helpers + the
 * function + a call of it), known by its SHA-1; the server may forget scripts at any restart, then
 * ranq_queue_reply_is_noscript says so and attach loads them again. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "queue/call.h"
#include "queue/lua_files.h"
#include "queue/sha1.h"
#include "util/clock.h"

/* Goes up with every change of the Lua sources that is released. */
#define RANQ_LUA_REVISION 22
#define SCRIPTS_MAX 64

static bool is_helper(const struct ranq_lua_file *file)
{
	return file->name[0] == '_';
}

/* "-- flags: X" on the first line gives X; else "". */
static void read_flags(const struct ranq_lua_file *file, char flags[32])
{
	static const char mark[] = "-- flags: ";
	size_t n;

	flags[0] = '\0';
	if (strncmp(file->text, mark, sizeof mark - 1))
		return;
	n = strcspn(file->text + sizeof mark - 1, "\n");
	if (n < 32) {
		memcpy(flags, file->text + sizeof mark - 1, n);
		flags[n] = '\0';
	}
}

static void sources_hash(char hex[41])
{
	struct ranq_buf all;

	ranq_buf_init(&all, 0);
	for (size_t i = 0; i < ranq_lua_nfiles; i++)
		ranq_buf_add_str(&all, ranq_lua_files[i].text);
	ranq_sha1_hex(all.data, all.len, hex);
	ranq_buf_clear(&all);
}

static void add_head(struct ranq_buf *out)
{
	char hash[41];

	sources_hash(hash);
	ranq_buf_printf(out, "local RANQ_REVISION, RANQ_HASH = %d, '%s'\n", RANQ_LUA_REVISION, hash);
	for (size_t i = 0; i < ranq_lua_nfiles; i++)
		if (is_helper(&ranq_lua_files[i]))
			ranq_buf_add_str(out, ranq_lua_files[i].text);
}

/* Each function in a block of its own: Lua has room for 200 local names in one. */
static void compose_library(struct ranq_buf *out)
{
	ranq_buf_add_str(out, "#!lua name=ranq1\n");
	add_head(out);
	for (size_t i = 0; i < ranq_lua_nfiles; i++) {
		const struct ranq_lua_file *file = &ranq_lua_files[i];
		char flags[32];

		if (is_helper(file))
			continue;
		read_flags(file, flags);
		ranq_buf_add_str(out, "do\n");
		ranq_buf_add_str(out, file->text);
		ranq_buf_printf(out, "redis.register_function{function_name='ranq1_%s', callback=%s, flags={%s%s%s}}\nend\n",
			file->name, file->name, flags[0] ? "'" : "", flags, flags[0] ? "'" : "");
	}
}

/* legacy: servers before 7.0 know no flags. They run a script to its end, whatever the memory, when its first write
 * needs none: hence the DEL of a key that does not exist. */
static void compose_script(const struct ranq_lua_file *file, bool legacy, struct ranq_buf *out)
{
	char flags[32];

	read_flags(file, flags);
	if (!legacy)
		ranq_buf_printf(out, "#!lua%s%s\n", flags[0] ? " flags=" : "", flags);
	else if (!strcmp(flags, "allow-oom"))
		ranq_buf_add_str(out, "redis.call('DEL', KEYS[1] .. ':none')\n");
	add_head(out);
	ranq_buf_add_str(out, file->text);
	ranq_buf_printf(out, "return %s(KEYS, ARGV)\n", file->name);
}

static struct {
	pthread_once_t once;
	char sha[SCRIPTS_MAX][41];
} scripts[2] = {{.once = PTHREAD_ONCE_INIT}, {.once = PTHREAD_ONCE_INIT}};

static void hash_scripts(bool legacy)
{
	struct ranq_buf source;

	ranq_buf_init(&source, 0);
	for (size_t i = 0; i < ranq_lua_nfiles && i < SCRIPTS_MAX; i++) {
		ranq_buf_reset(&source);
		compose_script(&ranq_lua_files[i], legacy, &source);
		ranq_sha1_hex(source.data, source.len, scripts[legacy].sha[i]);
	}
	ranq_buf_clear(&source);
}

static void hash_modern(void)
{
	hash_scripts(false);
}

static void hash_legacy(void)
{
	hash_scripts(true);
}

const char *ranq_loader_sha(const struct ranq_queue *q, const char *function)
{
	pthread_once(&scripts[q->legacy].once, q->legacy ? hash_legacy : hash_modern);
	for (size_t i = 0; i < ranq_lua_nfiles && i < SCRIPTS_MAX; i++)
		if (!strcmp(ranq_lua_files[i].name, function))
			return scripts[q->legacy].sha[i];
	return "";
}

static bool contains(struct ranq_bytes b, const char *text)
{
	return memmem(b.data, b.len, text, strlen(text)) != NULL;
}

bool ranq_queue_reply_is_noscript(const struct ranq_reply *reply)
{
	struct ranq_bytes b;

	if (!reply || ranq_reply_type(reply) != RANQ_REPLY_ERROR)
		return false;
	b = ranq_reply_bytes(reply);
	return (b.len >= 8 && !memcmp(b.data, "NOSCRIPT", 8)) || contains(b, "Function not found");
}

/* ---- loading
 * ---------------------------------------------------------------------------------------------------------- */

struct attach {
	struct ranq_queue *q;
	struct ranq_conn *conn;
	struct ranq_cmd cmd;
	int64_t deadline_ms;
};

static int send(struct attach *a, struct ranq_reply **reply, struct ranq_err *err)
{
	return ranq_conn_call(a->conn, &a->cmd, a->deadline_ms, reply, err);
}

/* Revision of the library in the server; 0: there is none. */
static int library_revision(struct attach *a, uint64_t *revision, struct ranq_err *err)
{
	struct ranq_reply *r;
	struct ranq_call_reader in = {0};
	int rc = 0;

	ranq_call_begin(a->q, &a->cmd, "version");
	if (send(a, &r, err))
		return -1;
	*revision = 0;
	if (!ranq_queue_reply_is_noscript(r)) {
		rc = ranq_call_array(r, 2, err);
		in.array = r;
		if (!rc)
			*revision = ranq_call_next(&in);
		if (!rc && in.failed)
			rc = ranq_call_malformed(err);
	}
	ranq_reply_destroy(r);
	return rc;
}

static int load_library(struct attach *a, bool replace, struct ranq_err *err)
{
	struct ranq_buf source;
	struct ranq_reply *r;
	int rc;

	ranq_buf_init(&source, 0);
	compose_library(&source);
	ranq_cmd_reset(&a->cmd);
	ranq_cmd_str(&a->cmd, "FUNCTION");
	ranq_cmd_str(&a->cmd, "LOAD");
	if (replace)
		ranq_cmd_str(&a->cmd, "REPLACE");
	ranq_cmd_bytes(&a->cmd, source.data, source.len);
	ranq_buf_clear(&source);
	if (send(a, &r, err))
		return -1;
	rc = ranq_reply_type(r) == RANQ_REPLY_ERROR && !contains(ranq_reply_bytes(r), "already exists")
		     ? ranq_call_error(r, err)
		     : 0;
	ranq_reply_destroy(r);
	return rc;
}

/* Without REPLACE when there was none, so that of two that load at once the second sees the first one's and looks at
 * its revision again. */
static int ensure_library(struct attach *a, struct ranq_err *err)
{
	uint64_t revision;

	for (int attempt = 0; attempt < 3; attempt++) {
		if (library_revision(a, &revision, err))
			return -1;
		if (revision >= RANQ_LUA_REVISION)
			return 0;
		if (load_library(a, revision > 0, err))
			return -1;
	}
	return ranq_err_set(
		err, RANQ_ERR_SERVER, "another version of ranq keeps loading its functions into the server");
}

static int load_script(struct attach *a, const struct ranq_lua_file *file, struct ranq_err *err)
{
	struct ranq_buf source;
	struct ranq_reply *r;
	int rc = 0;

	ranq_buf_init(&source, 0);
	compose_script(file, a->q->legacy, &source);
	ranq_cmd_reset(&a->cmd);
	ranq_cmd_str(&a->cmd, "SCRIPT");
	ranq_cmd_str(&a->cmd, "LOAD");
	ranq_cmd_bytes(&a->cmd, source.data, source.len);
	ranq_buf_clear(&source);
	if (send(a, &r, err))
		return -1;
	if (ranq_reply_type(r) == RANQ_REPLY_ERROR)
		rc = ranq_call_error(r, err);
	ranq_reply_destroy(r);
	return rc;
}

static int ensure_scripts(struct attach *a, struct ranq_err *err)
{
	struct ranq_reply *r;
	int rc = 0;

	ranq_cmd_reset(&a->cmd);
	ranq_cmd_str(&a->cmd, "SCRIPT");
	ranq_cmd_str(&a->cmd, "EXISTS");
	for (size_t i = 0; i < ranq_lua_nfiles; i++)
		ranq_cmd_str(&a->cmd, ranq_loader_sha(a->q, ranq_lua_files[i].name));
	if (send(a, &r, err))
		return -1;
	if (ranq_call_array(r, ranq_lua_nfiles, err))
		rc = -1;
	for (size_t i = 0; i < ranq_lua_nfiles && !rc; i++)
		if (!is_helper(&ranq_lua_files[i]) && ranq_reply_int(ranq_reply_at(r, i)) != 1)
			rc = load_script(a, &ranq_lua_files[i], err);
	ranq_reply_destroy(r);
	return rc;
}

/* ---- attach
 * ----------------------------------------------------------------------------------------------------------- */

static int check_policy(const struct ranq_server_facts *facts, struct ranq_err *err)
{
	if (!facts->maxmemory_policy[0] || !strcmp(facts->maxmemory_policy, "noeviction"))
		return 0;
	return ranq_err_set(err, RANQ_ERR_SERVER,
		"the server would delete jobs when its memory is full (maxmemory-policy is '%s'); cure: redis-cli "
		"config set maxmemory-policy noeviction",
		facts->maxmemory_policy);
}

/* The lease belongs to the queue; a wish counts when the queue is new or unused, and is refused when it differs. The
 * wish is carried out by the first join or submit, so that attaching alone leaves no key behind. */
static int settle_lease(struct attach *a, int64_t wish_ms, struct ranq_err *err)
{
	struct ranq_call_reader in = {0};
	struct ranq_reply *r;
	bool exists, unused;
	uint64_t lease;
	int rc;

	ranq_call_begin(a->q, &a->cmd, "stat");
	if (send(a, &r, err))
		return -1;
	rc = ranq_call_array(r, 11, err);
	in.array = r;
	exists = ranq_call_next_flag(&in);
	in.next = 2;
	lease = ranq_call_next(&in);
	in.next = 10;
	unused = ranq_call_next_flag(&in);
	if (!rc && in.failed)
		rc = ranq_call_malformed(err);
	ranq_reply_destroy(r);
	if (rc)
		return -1;
	if (wish_ms && exists && !unused && (uint64_t)wish_ms != lease)
		return ranq_err_set(err, RANQ_ERR_STATE, "queue '%s' is in use with a lease of %g s, not %g s",
			a->q->name, (double)lease / 1e3, (double)wish_ms / 1e3);
	a->q->lease_asked = wish_ms;
	a->q->lease_ms = wish_ms ? wish_ms : exists ? (int64_t)lease : RANQ_LEASE_MS_DEFAULT;
	return 0;
}

static int attach(struct attach *a, int64_t lease_ms, struct ranq_err *err)
{
	if (a->q->mode == RANQ_CALL_FUNCTIONS ? ensure_library(a, err) : ensure_scripts(a, err))
		return ranq_err_wrap(err, "cannot load the functions of ranq into the server");
	return settle_lease(a, lease_ms, err);
}

int ranq_queue_attach(struct ranq_queue *queue, struct ranq_conn *conn, enum ranq_call_mode mode, int64_t lease_ms,
	bool create, int64_t deadline_ms, struct ranq_err *err)
{
	const struct ranq_server_facts *facts = ranq_conn_facts(conn);
	struct attach a = {.q = queue, .conn = conn, .deadline_ms = deadline_ms};
	int rc;

	if (lease_ms && lease_ms < RANQ_LEASE_MS_MIN)
		return ranq_err_set(err, RANQ_ERR_USAGE, "a lease of %g s is too short: at least %d s",
			(double)lease_ms / 1e3, RANQ_LEASE_MS_MIN / 1000);
	if (check_policy(facts, err))
		return -1;
	if (mode == RANQ_CALL_FUNCTIONS && !facts->has_functions)
		return ranq_err_set(err, RANQ_ERR_SERVER, "the server is too old for functions (%u.%u)", facts->major,
			facts->minor);
	queue->mode = mode != RANQ_CALL_AUTO ? mode : facts->has_functions ? RANQ_CALL_FUNCTIONS : RANQ_CALL_EVALSHA;
	queue->legacy = queue->legacy || !facts->has_functions;
	queue->result_limit = facts->maxmemory / 2;
	ranq_cmd_init(&a.cmd);
	rc = attach(&a, create ? lease_ms : 0, err);
	ranq_cmd_clear(&a.cmd);
	return rc;
}

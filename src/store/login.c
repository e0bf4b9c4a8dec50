#include "store/login.h"

#include <string.h>

#include "store/facts.h"

struct login {
	const struct ranq_server_addr *addr;
	struct ranq_server_facts *facts;
	struct ranq_err err; /* of the first command that was refused */
};

/* ---- refusals ------------------------------------------------------------------------------------------------- */

static bool starts(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static const char loading_words[] = "is loading its data, try again";

bool ranq_conn_error_is_loading(const struct ranq_err *err)
{
	return err->code == RANQ_ERR_SERVER && strstr(err->text, loading_words);
}

/* The words of Redis 5 to 7 and Valkey. */
static int refused(const struct ranq_server_addr *addr, const char *words, struct ranq_err *err)
{
	const char *where = ranq_server_addr_text(addr);

	if (starts(words, "LOADING"))
		return ranq_err_set(err, RANQ_ERR_SERVER, "the server '%s' %s", where, loading_words);
	if (starts(words, "NOAUTH"))
		return ranq_err_set(err, RANQ_ERR_AUTH,
			"the server '%s' wants a password: write it into a file of mode 0600 and name that in "
			"RANQ_PASSWORD_FILE",
			where);
	if (starts(words, "WRONGPASS") || starts(words, "ERR invalid password"))
		return ranq_err_set(
			err, RANQ_ERR_AUTH, "the server '%s' refused the user or password (%s)", where, words);
	if (starts(words, "NOPERM"))
		return ranq_err_set(err, RANQ_ERR_AUTH,
			"the server '%s' does not let this user log in for ranq, which needs +info and +select (%s)",
			where, words);
	if (strstr(words, "no password is set") || strstr(words, "without any password"))
		return ranq_err_set(err, RANQ_ERR_AUTH,
			"a password was given, but the server '%s' has none for this user (%s)", where, words);
	return ranq_err_set(err, RANQ_ERR_SERVER, "the server '%s' refused the connection (%s)", where, words);
}

/* True when the login goes on. */
static bool accepted(struct login *login, const struct ranq_reply *reply)
{
	char words[200];

	if (!reply || login->err.code != RANQ_ERR_OK)
		return false;
	if (ranq_reply_type(reply) != RANQ_REPLY_ERROR)
		return true;
	refused(login->addr, ranq_reply_words(reply, words, sizeof words), &login->err);
	return false;
}

/* ---- the commands --------------------------------------------------------------------------------------------- */

static void on_auth(const struct ranq_reply *reply, void *arg)
{
	accepted(arg, reply);
}

static void on_select(const struct ranq_reply *reply, void *arg)
{
	struct login *login = arg;
	char words[200];

	if (reply && ranq_reply_type(reply) == RANQ_REPLY_ERROR && login->err.code == RANQ_ERR_OK &&
		starts(ranq_reply_words(reply, words, sizeof words), "ERR"))
		ranq_err_set(&login->err, RANQ_ERR_INPUT, "the server '%s' does not have this database (%s)",
			ranq_server_addr_text(login->addr), words);
	else
		accepted(login, reply);
}

static void on_info(const struct ranq_reply *reply, void *arg)
{
	struct login *login = arg;

	if (accepted(login, reply))
		ranq_facts_parse(login->facts, ranq_reply_bytes(reply));
}

/* The buffer must not move while it grows: a moved one would leave the password in freed memory. */
static void send_auth(struct ranq_conn *conn, const struct ranq_server_addr *addr, struct login *login)
{
	const char *password = addr->password ? addr->password : "";
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ranq_buf_reserve(&cmd.args, strlen(password) + (addr->user ? strlen(addr->user) : 0) + 128);
	ranq_cmd_str(&cmd, "AUTH");
	if (addr->user)
		ranq_cmd_str(&cmd, addr->user);
	ranq_cmd_str(&cmd, password);
	ranq_conn_send(conn, &cmd, on_auth, login);
	if (cmd.args.data)
		explicit_bzero(cmd.args.data, cmd.args.cap);
	ranq_cmd_clear(&cmd);
}

static void send_select(struct ranq_conn *conn, unsigned db, struct login *login)
{
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	ranq_cmd_str(&cmd, "SELECT");
	ranq_cmd_int(&cmd, db);
	ranq_conn_send(conn, &cmd, on_select, login);
	ranq_cmd_clear(&cmd);
}

static void info_cmd(struct ranq_cmd *cmd, const char *section)
{
	ranq_cmd_reset(cmd);
	ranq_cmd_str(cmd, "INFO");
	ranq_cmd_str(cmd, section);
}

/* Sends all and waits for the last. */
static int converse(struct ranq_conn *conn, struct login *login, int64_t deadline_ms)
{
	struct ranq_reply *reply = NULL;
	struct ranq_cmd cmd;
	int status;

	if (login->addr->password || login->addr->user)
		send_auth(conn, login->addr, login);
	if (login->addr->db)
		send_select(conn, login->addr->db, login);
	ranq_cmd_init(&cmd);
	info_cmd(&cmd, "server");
	ranq_conn_send(conn, &cmd, on_info, login);
	info_cmd(&cmd, "memory");
	ranq_conn_send(conn, &cmd, on_info, login);
	info_cmd(&cmd, "persistence");
	status = ranq_conn_call(conn, &cmd, deadline_ms, &reply, NULL);
	if (!status)
		on_info(reply, login);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return status;
}

int ranq_login(struct ranq_conn *conn, const struct ranq_server_addr *addr, int64_t deadline_ms,
	struct ranq_server_facts *facts, struct ranq_err *err)
{
	struct login login = {.addr = addr, .facts = facts};
	int status = converse(conn, &login, deadline_ms);

	/* The server's own words are better than that it closed behind them. */
	if (login.err.code != RANQ_ERR_OK)
		return ranq_err_set(err, login.err.code, "%s", login.err.text);
	/* What died is told by the connection itself: that the outcome of a login is unknown matters to nobody. */
	if (status)
		return ranq_conn_pump(conn, err);
	if (facts->loading)
		return refused(addr, "LOADING", err);
	if (!facts->major)
		return ranq_err_set(err, RANQ_ERR_REPLY, "the server '%s' does not say its version: is it a Redis?",
			ranq_server_addr_text(addr));
	facts->tls = addr->tls;
	return 0;
}

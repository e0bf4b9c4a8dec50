/* resolve.c - see resolve.h. What is configured and wrong is an error: falling back to another server would surprise.
 */
#include "client/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/credentials.h"
#include "util/nearest.h"

#define CONFIG_MAX_BYTES (64u << 10)

const char *ranq_origin_text(enum ranq_origin origin)
{
	static const char *const texts[] = {
		[RANQ_ORIGIN_NONE] = "not set",
		[RANQ_ORIGIN_OPTION] = "option",
		[RANQ_ORIGIN_ENVIRONMENT] = "environment",
		[RANQ_ORIGIN_CONFIG] = "config file",
		[RANQ_ORIGIN_CONNECTION] = "connection file of 'ranq server'",
		[RANQ_ORIGIN_DEFAULT] = "default",
	};
	return (size_t)origin < sizeof texts / sizeof *texts ? texts[origin] : "?";
}

static const char *set_env(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

int ranq_resolve_config_path(char *path, size_t size, struct ranq_err *err)
{
	return ranq_config_file_path("config", path, size, err);
}

/* 1: read; 0: there is none. */
static int read_config(const char *path, struct ranq_buf *text, struct ranq_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': %s", path, strerror(errno));
	int rc = 1;
	struct stat st;
	ranq_buf_init(text, CONFIG_MAX_BYTES);
	unsigned char *to = ranq_buf_reserve(text, CONFIG_MAX_BYTES);
	ssize_t n = to && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 1 : -1;
	while (n > 0 && text->len < CONFIG_MAX_BYTES) {
		n = read(fd, to + text->len, CONFIG_MAX_BYTES - text->len);
		text->len += n > 0 ? (size_t)n : 0;
	}
	if (n != 0)
		rc = ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': not a small regular file", path);
	close(fd);
	if (rc < 0)
		ranq_buf_clear(text);
	return rc;
}

static char *trim(char *text)
{
	text += strspn(text, " \t\r");
	size_t n = strlen(text);
	while (n && strchr(" \t\r", text[n - 1]))
		text[--n] = 0;
	return text;
}

/* The keys there are. A misspelt one must not be passed over: its user believes that it counts. */
static const char *const config_keys[] = {"server", "password-file", "queue"};
#define CONFIG_KEYS (sizeof config_keys / sizeof *config_keys)

static int unknown_key(const char *path, unsigned number, const char *key, struct ranq_err *err)
{
	const char *near = ranq_nearest(key, config_keys, CONFIG_KEYS);
	if (near)
		return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' line %u: unknown key '%.60s'; did you mean '%s'?", path,
			number, key, near);
	return ranq_err_set(err, RANQ_ERR_INPUT,
		"'%s' line %u: unknown key '%.60s'; there are server, password-file and queue", path, number, key);
}

/* 1: the line sets a key; 0: a comment or nothing; -1: no sense. */
static int split_line(char *line, char **key, char **value)
{
	line = trim(line);
	if (!*line || *line == '#')
		return 0;
	char *equals = strchr(line, '=');
	if (!equals)
		return -1;
	*equals = 0;
	*key = trim(line);
	*value = trim(equals + 1);
	return 1;
}

static bool known_key(const char *key)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		if (strcmp(config_keys[i], key) == 0)
			return true;
	return false;
}

/* All lines are looked at: what is wrong is told whichever key is asked for. The first one counts. */
static int find_key(char *text, const char *path, const char *wanted, char **value, struct ranq_err *err)
{
	unsigned number = 0;
	const char *found = NULL;
	for (char *line = text, *end; line; line = end) {
		char *key, *here;
		end = strchr(line, '\n');
		if (end)
			*end++ = 0;
		number++;
		int rc = split_line(line, &key, &here);
		if (rc < 0)
			return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' line %u: expected 'key = value'", path, number);
		if (rc && !known_key(key))
			return unknown_key(path, number, key, err);
		if (rc && !found && *here && strcmp(key, wanted) == 0)
			found = here;
	}
	if (!found)
		return 0;
	*value = strdup(found);
	return *value ? 1 : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
}

int ranq_resolve_config(const char *key, char **value, struct ranq_err *err)
{
	char path[4096];
	struct ranq_buf text;
	*value = NULL;
	if (ranq_resolve_config_path(path, sizeof path, NULL))
		return 0;
	int rc = read_config(path, &text, err);
	if (rc <= 0)
		return rc;
	ranq_buf_add_byte(&text, 0);
	if (strlen((char *)text.data) + 1 != text.len)
		rc = ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is not a text file", path);
	else
		rc = find_key((char *)text.data, path, key, value, err);
	ranq_buf_clear(&text);
	return rc;
}

/* The password for a server that was named by a URL: 0 also when there is none. */
static int add_password(struct ranq_server_addr *addr, struct ranq_err *err)
{
	const char *path = set_env("RANQ_PASSWORD_FILE");
	char *configured = NULL;
	if (!path && ranq_resolve_config("password-file", &configured, err) < 0)
		return -1;
	int rc = 0;
	if (path || configured) {
		addr->password = ranq_credentials_read(path ? path : configured, err);
		if (!addr->password)
			rc = ranq_err_wrap(err, "%s", path ? "RANQ_PASSWORD_FILE" : "password-file of the config file");
	}
	free(configured);
	return rc;
}

/* The private server of this user. */
static int take_connection(struct ranq_server_addr *addr, struct ranq_err *err)
{
	char path[4096];
	struct ranq_connection_file file;
	struct ranq_err why = {0};
	if (ranq_connection_file_path(NULL, path, sizeof path, NULL))
		return 0;
	if (ranq_connection_file_read(path, &file, &why))
		return why.code == RANQ_ERR_NOTFOUND ? 0 : ranq_err_set(err, why.code, "%s", why.text);
	if (ranq_connection_file_usable(&file, err)) {
		ranq_connection_file_clear(&file);
		return -1;
	}
	*addr = file.addr;
	ranq_server_addr_init(&file.addr);
	ranq_connection_file_clear(&file);
	return 1;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The private server may be named by its URL as well: user, password and certificate are in the connection file. A
 * password of the environment wins over the one in there. */
static void add_connection(struct ranq_server_addr *addr)
{
	struct ranq_server_addr mine;
	ranq_server_addr_init(&mine);
	if (take_connection(&mine, NULL) != 1)
		return;
	if (same_text(addr->unix_path, mine.unix_path) && same_text(addr->host, mine.host) && addr->port == mine.port &&
		addr->tls == mine.tls && (!addr->user || same_text(addr->user, mine.user))) {
		if (addr->password && (set_env("RANQ_PASSWORD_FILE") || !mine.password)) {
			ranq_credentials_free(mine.password);
			mine.password = addr->password;
			addr->password = NULL;
		}
		mine.db = addr->db;
		ranq_server_addr_clear(addr);
		*addr = mine;
		return;
	}
	ranq_server_addr_clear(&mine);
}

/* name: who gave the URL, for messages about it; NULL: an option. */
static int take_url(const char *name, const char *url, struct ranq_server_addr *addr, struct ranq_err *err)
{
	if (ranq_server_addr_parse(url, addr, err))
		return name ? ranq_err_wrap(err, "%s", name) : -1;
	if (add_password(addr, err)) {
		ranq_server_addr_clear(addr);
		return -1;
	}
	add_connection(addr);
	return 1;
}

static int resolve(
	const char *url_option, struct ranq_server_addr *addr, enum ranq_origin *origin, struct ranq_err *err)
{
	char *url;
	int rc = ranq_resolve_config("server", &url, err); /* first: a bad file is refused whoever names the server */
	if (rc < 0)
		return -1;
	if (url_option || set_env("RANQ_SERVER"))
		free(url);
	if (url_option) {
		*origin = RANQ_ORIGIN_OPTION;
		return take_url(NULL, url_option, addr, err);
	}
	if (set_env("RANQ_SERVER")) {
		*origin = RANQ_ORIGIN_ENVIRONMENT;
		return take_url("RANQ_SERVER", set_env("RANQ_SERVER"), addr, err);
	}
	if (rc > 0) {
		*origin = RANQ_ORIGIN_CONFIG;
		rc = take_url("config file", url, addr, err);
		free(url);
		return rc;
	}
	if (rc == 0) {
		*origin = RANQ_ORIGIN_CONNECTION;
		rc = take_connection(addr, err);
	}
	if (rc == 0)
		*origin = RANQ_ORIGIN_NONE;
	return rc;
}

int ranq_resolve_server(
	const char *url_option, struct ranq_server_addr *addr, enum ranq_origin *origin, struct ranq_err *err)
{
	enum ranq_origin from = RANQ_ORIGIN_NONE;
	ranq_server_addr_init(addr);
	int found = resolve(url_option, addr, &from, err);
	addr->moves = found > 0 && from == RANQ_ORIGIN_CONNECTION;
	if (origin)
		*origin = from;
	return found;
}

void ranq_resolve_again(struct ranq_server_addr *addr)
{
	struct ranq_server_addr now;
	if (!addr->moves)
		return;
	if (ranq_resolve_server(NULL, &now, NULL, NULL) <= 0 || !now.moves) {
		ranq_server_addr_clear(&now);
		return;
	}
	ranq_server_addr_clear(addr);
	*addr = now;
}

int ranq_resolve_none(struct ranq_err *err)
{
	return ranq_err_set(err, RANQ_ERR_SERVER,
		"no server: start one with 'ranq server start', or name one with --server or RANQ_SERVER");
}

int ranq_resolve_queue(
	const char *option, char name[RANQ_QUEUE_NAME_MAX + 1], enum ranq_origin *origin, struct ranq_err *err)
{
	char *configured = NULL;
	enum ranq_origin from = RANQ_ORIGIN_OPTION;
	const char *found = option;
	if (!found) {
		found = set_env("RANQ_QUEUE");
		from = RANQ_ORIGIN_ENVIRONMENT;
	}
	if (!found) {
		if (ranq_resolve_config("queue", &configured, err) < 0)
			return -1;
		found = configured;
		from = RANQ_ORIGIN_CONFIG;
	}
	if (!found) {
		found = "default";
		from = RANQ_ORIGIN_DEFAULT;
	}
	int rc = ranq_queue_name_check(found, err);
	if (rc == 0)
		snprintf(name, RANQ_QUEUE_NAME_MAX + 1, "%s", found);
	if (origin)
		*origin = from;
	free(configured);
	return rc;
}

#include "store/credentials.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/secret_file.h"

#define FIRST_LINE "ranq-connection 1"
#define FILE_MAX ((size_t)256 << 10)

/* ---- password files ------------------------------------------------------------------------------------------- */

void ranq_credentials_free(char *secret)
{
	if (secret)
		ranq_secret_wipe(secret, strlen(secret));
}

/* Cuts the end of the one line; returns what is wrong with the rest, or NULL. */
static const char *one_line(char *text, size_t len)
{
	if (strlen(text) != len)
		return "holds a NUL byte";
	if (len && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len && text[len - 1] == '\r')
		text[--len] = '\0';
	if (!len)
		return "is empty";
	if (strchr(text, '\n'))
		return "has more than one line";
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return "holds a control character";
	return NULL;
}

char *ranq_credentials_read(const char *path, struct ranq_err *err)
{
	size_t len;
	char *text = ranq_secret_file_read(path, RANQ_SECRET_MAX, &len, err), *secret;
	const char *wrong;

	if (!text) {
		if (err && err->code == RANQ_ERR_NOTFOUND)
			ranq_err_set(err, RANQ_ERR_INPUT, "no password file '%s'", path);
		return NULL;
	}
	wrong = one_line(text, len);
	secret = wrong ? NULL : strdup(text);
	if (!secret)
		ranq_err_set(err, wrong ? RANQ_ERR_INPUT : RANQ_ERR_MEMORY, "the password file '%s' %s", path,
			wrong ? wrong : "does not fit into memory");
	ranq_secret_wipe(text, len);
	return secret;
}

/* ---- connection files ----------------------------------------------------------------------------------------- */

void ranq_connection_file_init(struct ranq_connection_file *file)
{
	*file = (struct ranq_connection_file){0};
	ranq_server_addr_init(&file->addr);
}

void ranq_connection_file_clear(struct ranq_connection_file *file)
{
	ranq_server_addr_clear(&file->addr);
	free(file->host);
	free(file->dir);
	ranq_connection_file_init(file);
}

static const char *home_directory(void)
{
	const char *home = getenv("HOME");
	const struct passwd *entry;

	if (home && home[0] == '/')
		return home;
	entry = getpwuid(geteuid());
	return entry ? entry->pw_dir : NULL;
}

int ranq_config_file_path(const char *name, char *path, size_t size, struct ranq_err *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = home_directory();
	int n;

	if (config && config[0] == '/')
		n = snprintf(path, size, "%s/ranq/%s", config, name);
	else if (home)
		n = snprintf(path, size, "%s/.config/ranq/%s", home, name);
	else
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "there is no home directory: set HOME");
	if (n < 0 || (size_t)n >= size)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the path of the configuration directory is too long");
	return 0;
}

int ranq_connection_file_path(const char *name, char *path, size_t size, struct ranq_err *err)
{
	char file[300];

	name = name ? name : "default";
	if (!*name || *name == '.' || strchr(name, '/') || strlen(name) > 255)
		return ranq_err_set(err, RANQ_ERR_USAGE, "bad name of a server: '%.255s'", name);
	snprintf(file, sizeof file, "servers/%s", name);
	return ranq_config_file_path(file, path, size, err);
}

/* A value ends with its line, so it must not hold one. */
static bool plain(const char *value)
{
	for (; value && *value; value++)
		if ((unsigned char)*value < ' ' || *value == 0x7f)
			return false;
	return true;
}

static void add_line(struct ranq_buf *text, const char *key, const char *value)
{
	if (!value)
		return;
	ranq_buf_add_str(text, key);
	ranq_buf_add_byte(text, ' ');
	ranq_buf_add_str(text, value);
	ranq_buf_add_byte(text, '\n');
}

int ranq_connection_file_write(const char *path, const struct ranq_connection_file *file, struct ranq_err *err)
{
	const struct ranq_server_addr *addr = &file->addr;
	struct ranq_buf text;
	int status;

	if (!file->host || !plain(file->host) || !plain(file->dir) || !plain(addr->user) || !plain(addr->password))
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"cannot write '%s': host, directory, user or password is missing or not one line", path);
	ranq_buf_init(&text, FILE_MAX);
	ranq_buf_reserve(&text, FILE_MAX); /* never moved: a moved one would leave the password in freed memory */
	ranq_buf_add_str(&text, FIRST_LINE "\n");
	add_line(&text, "url", ranq_server_addr_text(addr));
	add_line(&text, "host", file->host);
	add_line(&text, "dir", file->dir);
	if (file->pid > 0)
		ranq_buf_printf(&text, "pid %ld\n", file->pid);
	add_line(&text, "password", addr->password);
	if (addr->ca_pem) {
		ranq_buf_add_str(&text, "certificate\n"); /* last: all that follows */
		ranq_buf_add_str(&text, addr->ca_pem);
	}
	if (ranq_buf_failed(&text))
		status = ranq_err_set(err, RANQ_ERR_INPUT, "cannot write '%s': longer than %zu bytes", path, FILE_MAX);
	else
		status = ranq_secret_file_write(path, text.data, text.len, err);
	if (text.data)
		explicit_bzero(text.data, text.cap);
	ranq_buf_clear(&text);
	return status;
}

/* Every key at most once. */
static int take(char **slot, const char *value)
{
	if (*slot)
		return -1;
	*slot = strdup(value);
	return *slot ? 0 : -1;
}

static int take_pid(long *pid, const char *value)
{
	char *end;

	errno = 0;
	*pid = strtol(value, &end, 10);
	return errno || end == value || *end || *pid <= 0 ? -1 : 0;
}

/* The URL is parsed first of all: it sets the address anew. Unknown keys are of a newer ranq and mean nothing to us. */
static int key_value(struct ranq_connection_file *file, const char *key, const char *value)
{
	if (!strcmp(key, "host"))
		return take(&file->host, value);
	if (!strcmp(key, "dir"))
		return take(&file->dir, value);
	if (!strcmp(key, "pid"))
		return take_pid(&file->pid, value);
	if (!strcmp(key, "password"))
		return take(&file->addr.password, value);
	return 0;
}

/* The next line of *at, cut off; NULL: none. */
static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

static int parse(char *text, struct ranq_connection_file *file)
{
	char *line = next_line(&text);

	if (!line || strcmp(line, FIRST_LINE))
		return -1;
	line = next_line(&text);
	if (!line || strncmp(line, "url ", 4) || ranq_server_addr_parse(line + 4, &file->addr, NULL))
		return -1;
	while ((line = next_line(&text))) {
		char *value = strchr(line, ' ');

		if (!strcmp(line, "certificate"))
			return take(&file->addr.ca_pem, text);
		if (!value)
			return -1;
		*value++ = '\0';
		if (!plain(value) || key_value(file, line, value))
			return -1;
	}
	return *text ? -1 : 0;
}

int ranq_connection_file_read(const char *path, struct ranq_connection_file *file, struct ranq_err *err)
{
	size_t len;
	char *text;
	int status = -1;

	ranq_connection_file_init(file);
	text = ranq_secret_file_read(path, FILE_MAX, &len, err);
	if (!text)
		return -1;
	if (strlen(text) == len)
		status = parse(text, file);
	if (!file->host)
		status = -1;
	ranq_secret_wipe(text, len);
	if (!status)
		return 0;
	ranq_connection_file_clear(file);
	return ranq_err_set(err, RANQ_ERR_INPUT,
		"'%s' is not a connection file of this ranq: remove it, then ranq server start", path);
}

int ranq_connection_file_usable(const struct ranq_connection_file *file, struct ranq_err *err)
{
	char here[HOST_NAME_MAX + 1] = "";

	if (!file->addr.unix_path)
		return 0;
	if (gethostname(here, sizeof here - 1))
		return ranq_err_sys(err, "cannot read the name of this host");
	if (!strcmp(here, file->host))
		return 0;
	return ranq_err_set(err, RANQ_ERR_SERVER,
		"the server listens on a local socket of %s: there 'ranq server stop; ranq server start --listen 0.0.0.0' "
		"makes it serve other hosts",
		file->host);
}

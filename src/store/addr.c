/* Where a server is: the URL parser. A refused URL may hold a password, so no message shows what stands before an '@'
 * or behind a '?'. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/conn.h"

#define PORT_DEFAULT 6379
#define DB_MAX 65535
#define HOST_MAX 253
#define URL_MAX 4096

void ranq_server_addr_init(struct ranq_server_addr *addr)
{
	*addr = (struct ranq_server_addr){0};
}

void ranq_server_addr_clear(struct ranq_server_addr *addr)
{
	if (addr->password)
		explicit_bzero(addr->password, strlen(addr->password));
	free(addr->unix_path);
	free(addr->host);
	free(addr->ca_pem);
	free(addr->user);
	free(addr->password);
	ranq_server_addr_init(addr);
}

/* ---- refusals ------------------------------------------------------------------------------------------------- */

static int refuse(struct ranq_err *err, const char *url, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct ranq_err *err, const char *url, const char *format, ...)
{
	const char *at = strrchr(url, '@'), *slashes = strstr(url, "://"), *from = at ? at : url;
	int scheme = slashes && slashes < from ? (int)(slashes + 3 - url) : 0, shown = (int)strcspn(from, "?#");
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	return ranq_err_set(err, RANQ_ERR_USAGE, "bad server '%.*s%s%.*s': %s", at && scheme < 32 ? scheme : 0, url,
		at ? "***" : "", shown < 150 ? shown : 150, from, why);
}

static int refuse_password(struct ranq_err *err, const char *url)
{
	return refuse(err, url,
		"a password in a URL can be read by others; write it into a file of mode 0600 and name that in "
		"RANQ_PASSWORD_FILE");
}

/* ---- pieces --------------------------------------------------------------------------------------------------- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* [begin, end) with %XX decoded; NULL: a bad escape, a control character or no memory. */
static char *decode(const char *begin, const char *end)
{
	char *text = malloc((size_t)(end - begin) + 1), *to = text;

	if (!text)
		return NULL;
	while (begin < end) {
		int c = (unsigned char)*begin++;

		if (c == '%') {
			c = end - begin >= 2 && hex(begin[0]) >= 0 && hex(begin[1]) >= 0
				    ? hex(begin[0]) * 16 + hex(begin[1])
				    : -1;
			begin += 2;
		}
		if (c < ' ' || c == 0x7f) {
			free(text);
			return NULL;
		}
		*to++ = (char)c;
	}
	*to = '\0';
	return text;
}

/* All of [begin, end) as a decimal number of at most max. */
static int number(const char *begin, const char *end, unsigned max, unsigned *value)
{
	unsigned n = 0;

	if (begin == end)
		return -1;
	for (; begin < end; begin++) {
		if (*begin < '0' || *begin > '9')
			return -1;
		n = n * 10 + (unsigned)(*begin - '0');
		if (n > max)
			return -1;
	}
	*value = n;
	return 0;
}

static int parse_user(
	const char *url, const char *begin, const char *end, struct ranq_server_addr *addr, struct ranq_err *err)
{
	if (begin == end)
		return refuse(err, url, "the user before '@' is missing");
	addr->user = decode(begin, end);
	return addr->user ? 0 : refuse(err, url, "the user is not readable");
}

static bool host_ok(const char *begin, const char *end, bool bracketed)
{
	const char *zone = memchr(begin, '%', (size_t)(end - begin));

	if (zone && memchr(zone + 1, '%', (size_t)(end - zone - 1)))
		return false;
	if (begin == end || end - begin > HOST_MAX || (bracketed && !memchr(begin, ':', (size_t)(end - begin))))
		return false;
	for (; begin < end; begin++)
		if (!isalnum((unsigned char)*begin) && !strchr(bracketed ? ":.%_-" : "._-", *begin))
			return false;
	return true;
}

/* The zone of a link-local address follows a '%', which RFC 6874 wants written as %25 and everybody writes as it is. */
static void decode_zone(char *host)
{
	char *percent = strstr(host, "%25");

	if (percent)
		memmove(percent + 1, percent + 3, strlen(percent + 3) + 1);
}

static int parse_host(
	const char *url, const char *begin, const char *end, struct ranq_server_addr *addr, struct ranq_err *err)
{
	bool bracketed = begin < end && *begin == '[';
	const char *stop = memchr(begin, bracketed ? ']' : ':', (size_t)(end - begin)), *port;

	if (bracketed && !stop)
		return refuse(err, url, "']' is missing");
	begin += bracketed;
	stop = stop ? stop : end;
	if (!host_ok(begin, stop, bracketed))
		return refuse(err, url, begin == stop ? "the host is missing" : "bad host");
	port = stop + bracketed;
	addr->port = PORT_DEFAULT;
	if (port < end && (*port != ':' || number(port + 1, end, 65535, &addr->port) || !addr->port))
		return refuse(err, url,
			!bracketed && memchr(port + 1, ':', (size_t)(end - port - 1))
				? "bad port (an IPv6 address stands in brackets: [::1]:6379)"
				: "bad port");
	addr->host = strndup(begin, (size_t)(stop - begin));
	if (!addr->host)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	decode_zone(addr->host);
	return 0;
}

/* ---- schemes -------------------------------------------------------------------------------------------------- */

static int parse_tcp(const char *url, const char *rest, struct ranq_server_addr *addr, struct ranq_err *err)
{
	const char *slash = strchr(rest, '/'), *end = rest + strlen(rest), *at = strrchr(rest, '@');

	/* A '/', '?' or '#' inside a password would cut the authority in the middle of it, so '@' is looked for in all
	 * of the URL. */
	if (at && memchr(rest, ':', (size_t)(at - rest)))
		return refuse_password(err, url);
	if (at && slash && slash < at)
		return refuse(err, url, "'/' before '@'");
	if (strpbrk(rest, "?#"))
		return refuse(err, url, "nothing may follow the database number");
	if (at && parse_user(url, rest, at, addr, err))
		return -1;
	if (parse_host(url, at ? at + 1 : rest, slash ? slash : end, addr, err))
		return -1;
	if (slash && slash[1] && number(slash + 1, end, DB_MAX, &addr->db))
		return refuse(err, url, "the database is a number from 0 to %d", DB_MAX);
	return 0;
}

static int parse_unix(const char *url, const char *path, struct ranq_server_addr *addr, struct ranq_err *err)
{
	const char *query = strchr(path, '?'), *end = query ? query : path + strlen(path);
	size_t len;

	addr->unix_path = decode(path, end);
	if (!addr->unix_path)
		return refuse(err, url, "the path is not readable");
	len = strlen(addr->unix_path);
	if (addr->unix_path[0] != '/' || addr->unix_path[1] == '/')
		return refuse(err, url, "a socket is written unix:///absolute/path");
	if (addr->unix_path[len - 1] == '/')
		return refuse(err, url, "the path names a directory");
	if (query && (strncmp(query, "?db=", 4) || number(query + 4, query + strlen(query), DB_MAX, &addr->db)))
		return refuse(err, url, "only '?db=NUMBER' (0 to %d) may follow the path", DB_MAX);
	return 0;
}

static int parse(const char *url, struct ranq_server_addr *addr, struct ranq_err *err)
{
	static const char cure[] = "a server is written redis://HOST[:PORT][/DB], rediss://... (TLS) or unix:///PATH";

	for (const char *c = url; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return refuse(err, url, "blanks and control characters must be written as %%XX");
	if (strlen(url) > URL_MAX)
		return ranq_err_set(err, RANQ_ERR_USAGE, "bad server: longer than %d bytes", URL_MAX);
	if (!strncasecmp(url, "redis://", 8))
		return parse_tcp(url, url + 8, addr, err);
	if (!strncasecmp(url, "rediss://", 9)) {
		addr->tls = true;
		return parse_tcp(url, url + 9, addr, err);
	}
	if (!strncasecmp(url, "unix://", 7))
		return parse_unix(url, url + 7, addr, err);
	if (!strncasecmp(url, "unix:/", 6))
		return parse_unix(url, url + 5, addr, err);
	return refuse(err, url, "%s", cure);
}

int ranq_server_addr_parse(const char *url, struct ranq_server_addr *addr, struct ranq_err *err)
{
	struct ranq_server_addr parsed;

	ranq_server_addr_init(&parsed);
	if (parse(url, &parsed, err)) {
		ranq_server_addr_clear(&parsed);
		return -1;
	}
	ranq_server_addr_clear(addr);
	*addr = parsed;
	return 0;
}

/* Escapes what the parser does not take as it is, so that the text is a URL that parses back. */
static void put(char *text, size_t size, const char *part, const char *escaped)
{
	size_t at = strlen(text);

	for (; *part && at + 4 < size; part++)
		if ((unsigned char)*part <= ' ' || *part == 0x7f || strchr(escaped, *part))
			at += (size_t)snprintf(text + at, size - at, "%%%02X", (unsigned char)*part);
		else
			text[at++] = *part;
	text[at] = '\0';
}

static void put_number(char *text, size_t size, const char *before, unsigned value)
{
	size_t at = strlen(text);

	snprintf(text + at, size - at, "%s%u", before, value);
}

const char *ranq_server_addr_text(const struct ranq_server_addr *addr)
{
	static _Thread_local char text[512];
	const size_t room = sizeof text - 32; /* for port and database */
	bool v6 = addr->host && strchr(addr->host, ':');

	snprintf(text, sizeof text, "%s", addr->unix_path ? "unix:" : addr->tls ? "rediss://" : "redis://");
	if (addr->unix_path) {
		put(text, room, addr->unix_path, "%?#@");
		if (addr->db)
			put_number(text, sizeof text, "?db=", addr->db);
		return text;
	}
	if (addr->user) {
		put(text, room, addr->user, "%?#@:/");
		put(text, room, "@", "");
	}
	put(text, room, v6 ? "[" : "", "");
	put(text, room, addr->host ? addr->host : "", "%");
	put_number(text, sizeof text, v6 ? "]:" : ":", addr->port);
	if (addr->db)
		put_number(text, sizeof text, "/", addr->db);
	return text;
}

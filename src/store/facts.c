#include "store/facts.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

/* Numbers of a server are bounded here: strtoul would take a sign and blanks. */
static const char *digits(const char *text, uint64_t *value)
{
	uint64_t n = 0;

	for (; *text >= '0' && *text <= '9' && n < UINT64_MAX / 10 - 1; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	*value = n;
	return text;
}

static void version(struct ranq_server_facts *facts, const char *text)
{
	unsigned *parts[] = {&facts->major, &facts->minor, &facts->patch};

	for (size_t i = 0; i < 3; i++) {
		uint64_t n;

		text = digits(text, &n);
		*parts[i] = n < 100000 ? (unsigned)n : 0;
		text += *text == '.';
	}
}

static void copy(char *to, size_t size, const char *value)
{
	size_t len = strnlen(value, size - 1);

	memcpy(to, value, len);
	to[len] = '\0';
}

static void fact(struct ranq_server_facts *facts, const char *name, const char *value)
{
	if (!strcmp(name, "redis_version") && !facts->valkey) {
		version(facts, value);
	} else if (!strcmp(name, "valkey_version")) {
		facts->valkey = true;
		version(facts, value);
	} else if (!strcmp(name, "run_id")) {
		copy(facts->run_id, sizeof facts->run_id, value);
	} else if (!strcmp(name, "maxmemory_policy")) {
		copy(facts->maxmemory_policy, sizeof facts->maxmemory_policy, value);
	} else if (!strcmp(name, "maxmemory")) {
		digits(value, &facts->maxmemory);
	} else if (!strcmp(name, "aof_enabled")) {
		facts->aof = !strcmp(value, "1");
	} else if (!strcmp(name, "aof_last_write_status")) {
		facts->aof_broken = strcmp(value, "ok") != 0;
	} else if (!strcmp(name, "loading")) {
		facts->loading = !strcmp(value, "1");
	}
}

/* A line too long for the copy is none of ours. */
static void line(struct ranq_server_facts *facts, const char *begin, size_t len)
{
	char text[256], *colon;

	if (len && begin[len - 1] == '\r')
		len--;
	if (len >= sizeof text || memchr(begin, '\0', len))
		return;
	memcpy(text, begin, len);
	text[len] = '\0';
	colon = strchr(text, ':');
	if (!colon)
		return;
	*colon = '\0';
	fact(facts, text, colon + 1);
}

void ranq_facts_parse(struct ranq_server_facts *facts, struct ranq_bytes info)
{
	const char *p = info.data, *end = p + info.len;

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		line(facts, p, (size_t)((stop ? stop : end) - p));
		p = stop ? stop + 1 : end;
	}
	facts->has_functions = facts->major >= 7;
}

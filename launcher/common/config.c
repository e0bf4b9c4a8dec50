/* config.c - see the header. */
#include "common/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ranq_config_server(const char *url_option, struct ranq_server_addr *addr, struct ranq_err *err)
{
	int found = ranq_resolve_server(url_option, addr, NULL, err);
	if (found > 0)
		return 0;
	if (found == 0)
		ranq_resolve_none(err);
	ranq_server_addr_clear(addr);
	return -1;
}

static void set_source(struct ranq_config_value *into, enum ranq_origin origin, const char *variable)
{
	char path[256];
	if (origin == RANQ_ORIGIN_ENVIRONMENT)
		snprintf(into->source, sizeof into->source, "environment %s", variable);
	else if (origin == RANQ_ORIGIN_CONFIG && ranq_resolve_config_path(path, sizeof path, NULL) == 0)
		snprintf(into->source, sizeof into->source, "config file %s", path);
	else if (origin == RANQ_ORIGIN_CONNECTION)
		snprintf(into->source, sizeof into->source, "connection file of 'ranq server start'");
	else
		snprintf(into->source, sizeof into->source, "%s",
			origin == RANQ_ORIGIN_NONE ? "not set" : ranq_origin_text(origin));
}

static void set_error(struct ranq_config_value *into, const struct ranq_err *err)
{
	snprintf(into->source, sizeof into->source, "error: %.280s", err->text);
}

static void explain_server(struct ranq_config_value *server, struct ranq_config_value *user)
{
	struct ranq_server_addr addr;
	struct ranq_err err = {0};
	enum ranq_origin origin = RANQ_ORIGIN_NONE;
	int found = ranq_resolve_server(NULL, &addr, &origin, &err);
	server->name = "server";
	user->name = "user";
	set_source(user, RANQ_ORIGIN_NONE, "");
	if (found < 0) {
		set_error(server, &err);
	} else {
		set_source(server, found ? origin : RANQ_ORIGIN_NONE, "RANQ_SERVER");
		if (found)
			snprintf(server->value, sizeof server->value, "%s", ranq_server_addr_text(&addr));
	}
	if (found > 0 && (addr.user || addr.password)) {
		snprintf(user->value, sizeof user->value, "%s%s", addr.user ? addr.user : "default",
			addr.password ? ", with a password" : "");
		set_source(user, origin, "RANQ_SERVER, RANQ_PASSWORD_FILE");
	}
	ranq_server_addr_clear(&addr);
}

static void explain_queue(struct ranq_config_value *queue)
{
	char name[RANQ_QUEUE_NAME_MAX + 1];
	struct ranq_err err = {0};
	enum ranq_origin origin = RANQ_ORIGIN_NONE;
	queue->name = "queue";
	if (ranq_resolve_queue(NULL, name, &origin, &err) < 0) {
		set_error(queue, &err);
		return;
	}
	snprintf(queue->value, sizeof queue->value, "%s", name);
	set_source(queue, origin, "RANQ_QUEUE");
}

/* Settings that are variables only. */
static size_t explain_variables(struct ranq_config_value *values, size_t max)
{
	static const char *const names[][2] = {{"password-file", "RANQ_PASSWORD_FILE"}, {"mpirun", "RANQ_MPIRUN"},
		{"bridge", "RANQ_BRIDGE"}, {"redis-server", "RANQ_REDIS_SERVER"}};
	size_t n = 0;
	for (; n < sizeof names / sizeof *names && n < max; n++) {
		const char *value = getenv(names[n][1]);
		values[n] = (struct ranq_config_value){.name = names[n][0]};
		if (value && *value)
			snprintf(values[n].value, sizeof values[n].value, "%s", value);
		set_source(&values[n], value && *value ? RANQ_ORIGIN_ENVIRONMENT : RANQ_ORIGIN_DEFAULT, names[n][1]);
	}
	return n;
}

size_t ranq_config_explain(struct ranq_config_value *values, size_t max)
{
	if (max < 3)
		return 0;
	memset(values, 0, 3 * sizeof *values);
	explain_server(&values[0], &values[1]);
	explain_queue(&values[2]);
	return 3 + explain_variables(values + 3, max - 3);
}

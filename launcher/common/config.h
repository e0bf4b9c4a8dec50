/* config.h - what the programs are configured to do: option > environment > ~/.config/ranq/config > connection file >
 * default.
 *
 * The reading is done by client/resolve.h, which libranq uses too; this adds what programs need: an error when nothing
 * is configured, and the list of all values with their sources for `ranq doctor`. */
#ifndef RANQ_LAUNCHER_CONFIG_H
#define RANQ_LAUNCHER_CONFIG_H

#include "client/resolve.h"

/* Fills *addr (the caller clears it). No server configured anywhere is an error here (SERVER). url_option may be NULL.
 * On failure *addr is cleared. */
int ranq_config_server(const char *url_option, struct ranq_server_addr *addr, struct ranq_err *err);

/* One setting as it holds now. */
struct ranq_config_value {
	const char *name; /* key in the config file */
	char value[256];  /* "" when not set; never a secret */
	char source[300]; /* "environment RANQ_SERVER", "config file PATH", "default", "not set", or "error: ..." */
};
/* Fills at most max values, returns how many. */
size_t ranq_config_explain(struct ranq_config_value *values, size_t max);

#endif

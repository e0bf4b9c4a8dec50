/* settings.h - options of ranq-bridge; people give them to `ranq join`, which hands them on. */
#ifndef RANQ_BRIDGE_SETTINGS_H
#define RANQ_BRIDGE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/options.h"
#include "queue/queue.h"

#define SETTINGS_QUEUES_MAX 64

struct settings {
	const char *server, *queue, *name, *tags, *bind, *allocation, *end_time, *end_file, *warn_signal, *give_back_file;
	int64_t lease_ms, idle_timeout_ms /* -1: stay */, walltime_ms, grace_ms, give_back_ms /* 0: never */;
	uint64_t slots;
	int on_server_lost; /* 0 finish, 1 stop */
	bool proxy_computes, report_bindings, version;
	/* worked out by settings_parse */
	char queues[SETTINGS_QUEUES_MAX][RANQ_QUEUE_NAME_MAX + 1];
	const char *queue_list[SETTINGS_QUEUES_MAX];
	size_t nqueues;
	int64_t end_ms, walltime_end_ms; /* wall clock, 0: unknown */
	int warn_number;
};
/* 0: go on; 1: --help was printed; -1: err. */
int settings_parse(struct settings *settings, int argc, char **argv, struct ranq_err *err);

#endif

/* values.h - values of options that `ranq join` checks before it starts anything, and the bridge reads. */
#ifndef RANQ_LAUNCHER_VALUES_H
#define RANQ_LAUNCHER_VALUES_H

#include <stdint.h>

#include "util/err.h"

/* "1700000000", "2026-11-20T08:00:00", with a blank instead of the T, "Z" behind it for UTC: wall clock in ms. */
int ranq_time_parse(const char *text, int64_t *ms, struct ranq_err *err);
/* "TERM", "SIGTERM", "15", "none" (0). */
int ranq_signal_parse(const char *text, int *number, struct ranq_err *err);

#endif

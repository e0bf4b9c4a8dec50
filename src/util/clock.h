/* clock.h - monotonic time for deadlines, wall time for people; durations, sizes and counts as people write them. */
#ifndef RANQ_UTIL_CLOCK_H
#define RANQ_UTIL_CLOCK_H

#include <stdint.h>

#include "util/err.h"

#define RANQ_NEVER INT64_MAX

int64_t ranq_clock_ms(void);   /* CLOCK_MONOTONIC */
int64_t ranq_clock_ns(void);   /* CLOCK_MONOTONIC */
int64_t ranq_wall_ms(void);    /* CLOCK_REALTIME */
/* "90", "90s", "250ms", "5m", "2h", "1d", "1h30m", Slurm's "1-12:00:00", "HH:MM:SS", "MM:SS". Result in ms. */
int ranq_duration_parse(const char *text, int64_t *ms, struct ranq_err *err);
/* "1.5 s", "2 min 3 s", "1 d 12 h"; writes into and returns text. */
const char *ranq_duration_format(int64_t ms, char text[32]);
/* "64MB" = 64e6, "64MiB", "64k", plain bytes. */
int ranq_size_parse(const char *text, uint64_t *bytes, struct ranq_err *err);
const char *ranq_size_format(uint64_t bytes, char text[32]);
/* "1,234,567" */
const char *ranq_count_text(uint64_t n, char text[32]);

#endif

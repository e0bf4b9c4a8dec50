/* end_watch.c - see the header. */
#include "common/end_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

#define POLL_MOST_MS 300000
#define POLL_LEAST_MS 30000

static int64_t until_next(const struct ranq_end_watch *watch)
{
	int64_t wait_ms = (watch->end_s * 1000 - ranq_wall_ms()) / 2;
	if (watch->poll_ms > 0)
		return watch->poll_ms;
	if (wait_ms < POLL_LEAST_MS)
		return POLL_LEAST_MS;
	return wait_ms < POLL_MOST_MS ? wait_ms : POLL_MOST_MS;
}

void ranq_end_watch_start(struct ranq_end_watch *watch, const struct ranq_allocation *allocation)
{
	const char *tmp = getenv("TMPDIR"), *poll = getenv("RANQ_END_POLL");
	*watch = (struct ranq_end_watch){0};
	if (allocation->scheduler == RANQ_SCHEDULER_NONE || allocation->end_s <= 0)
		return;
	if (poll && *poll && ranq_duration_parse(poll, &watch->poll_ms, NULL) < 0)
		watch->poll_ms = 0;
	int len = snprintf(watch->path, sizeof watch->path, "%s/ranq-end-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	int fd = len < (int)sizeof watch->path ? mkstemp(watch->path) : -1;
	if (fd < 0) {
		*watch->path = '\0';
		return;
	}
	close(fd);
	watch->end_s = allocation->end_s;
	watch->next_ms = ranq_clock_ms() + until_next(watch);
}

/* Whole or not at all. */
static void write_end(const struct ranq_end_watch *watch)
{
	char other[sizeof watch->path + 8];
	snprintf(other, sizeof other, "%s.new", watch->path);
	FILE *file = fopen(other, "we");
	if (!file)
		return;
	fprintf(file, "%lld", (long long)watch->end_s);
	if (fclose(file) != 0 || rename(other, watch->path) != 0)
		unlink(other);
}

void ranq_end_watch_look(struct ranq_end_watch *watch, const struct ranq_allocation *allocation)
{
	if (!*watch->path || ranq_clock_ms() < watch->next_ms)
		return;
	int64_t end_s = ranq_allocation_ask_end(allocation);
	if (end_s > 0 && end_s != watch->end_s) {
		watch->end_s = end_s;
		write_end(watch);
	}
	watch->next_ms = ranq_clock_ms() + until_next(watch);
}

void ranq_end_watch_stop(struct ranq_end_watch *watch)
{
	if (*watch->path)
		unlink(watch->path);
	*watch->path = '\0';
}

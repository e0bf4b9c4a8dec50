/* slow.c - slow time: bridges and ranks whose seconds last --slow real ones, so that one machine can be many.
 *
 * All that a proxy knows of time is ranq_clock_*, and the linker puts those of this file in their place. The server
 * keeps real time. So the two spans that a bridge and the server share are translated where they cross: the lease that
 * a join replies, and the patience of a bell. What the server does then is what it does for bridges in real time, only
 * less often: each call finds it a little colder. */
#include <time.h>

#include "benchmarks/simulation/simulation.h"
#include "util/clock.h"

int64_t __wrap_ranq_clock_ns(void);
int64_t __wrap_ranq_clock_ms(void);
int __wrap_ranq_queue_join_parse(const struct ranq_reply *r, int64_t *lease_ms, struct ranq_err *err);
int __real_ranq_queue_join_parse(const struct ranq_reply *r, int64_t *lease_ms, struct ranq_err *err);
void __wrap_ranq_queue_bell_cmd(
	struct ranq_cmd *cmd, const struct ranq_queue *const *queues, size_t n, const char *id, double timeout_s);
void __real_ranq_queue_bell_cmd(
	struct ranq_cmd *cmd, const struct ranq_queue *const *queues, size_t n, const char *id, double timeout_s);

static int64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t __wrap_ranq_clock_ns(void)
{
	return (int64_t)((double)real_ns() / sim.set.slow);
}

int64_t __wrap_ranq_clock_ms(void)
{
	return __wrap_ranq_clock_ns() / 1000000;
}

int __wrap_ranq_queue_join_parse(const struct ranq_reply *r, int64_t *lease_ms, struct ranq_err *err)
{
	int rc = __real_ranq_queue_join_parse(r, lease_ms, err);

	if (rc == 0)
		*lease_ms = (int64_t)((double)*lease_ms / sim.set.slow);
	return rc;
}

void __wrap_ranq_queue_bell_cmd(
	struct ranq_cmd *cmd, const struct ranq_queue *const *queues, size_t n, const char *id, double timeout_s)
{
	__real_ranq_queue_bell_cmd(cmd, queues, n, id, timeout_s * sim.set.slow);
}

struct timeval sim_real_time(double ns)
{
	double us = ns > 0 ? ns / 1e3 * sim.set.slow : 0;

	return (struct timeval){
		.tv_sec = (time_t)(us / 1e6), .tv_usec = (suseconds_t)(us - (double)(time_t)(us / 1e6) * 1e6)};
}

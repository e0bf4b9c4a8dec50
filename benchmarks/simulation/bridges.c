/* bridges.c - the proxies of all bridges and their common loop. A bridge has its turn (messages of its ranks, tick)
 * when one of its connections can be read or written, when a letter of a rank waits, or when its proxy said that it is
 * due. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "benchmarks/simulation/simulation.h"
#include "util/clock.h"

struct simulation sim;

void sim_die(const char *what, const struct ranq_err *err)
{
	fprintf(stderr, "bench-simulation: %s: %s\n", what, err->text);
	exit(EXIT_FAILURE);
}

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014) */
double sim_uniform(void)
{
	uint64_t z = (sim.random += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

void sim_touch(struct sim_bridge *bridge)
{
	if (bridge->due || bridge->over)
		return;
	bridge->due = true;
	STAILQ_INSERT_TAIL(&sim.touched, bridge, touched);
}

static void on_event(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sim_touch(arg);
}

/* ---- one bridge ---- */

static void deliver(struct sim_bridge *bridge)
{
	struct sim_letter *letter;

	while ((letter = STAILQ_FIRST(&bridge->link.inbox))) {
		enum ranq_message_type type;
		struct ranq_reader body;
		struct ranq_err err;

		STAILQ_REMOVE_HEAD(&bridge->link.inbox, next);
		if (ranq_message_open(letter->message.data, letter->message.len, &type, &body, &err) != 0 ||
			ranq_proxy_message(bridge->proxy, letter->rank, type, &body, &err) != 0)
			sim_die("a message of a rank", &err);
		ranq_buf_clear(&letter->message);
		free(letter);
	}
}

/* A new connection may have the number of the old descriptor, which the kernel does not watch any more. */
static void watch_conn(
	struct sim_bridge *bridge, struct ranq_watch *watch, const struct ranq_conn *now, struct ranq_conn **before)
{
	if (now != *before)
		ranq_watch_clear(watch);
	*before = (struct ranq_conn *)(uintptr_t)now;
	ranq_watch_set(
		watch, sim.base, now ? ranq_conn_fd(now) : -1, now && ranq_conn_wants_write(now), on_event, bridge);
}

static void set_timer(struct sim_bridge *bridge, int64_t due_ms)
{
	int64_t left_ns = due_ms * 1000000 - ranq_clock_ns();
	struct timeval tv;

	if (left_ns <= 0) {
		sim_touch(bridge);
		return;
	}
	tv = sim_real_time((double)left_ns);
	event_add(bridge->timer, &tv);
}

static void close_bridge(struct sim_bridge *bridge)
{
	ranq_watch_clear(&bridge->conn_watch);
	ranq_watch_clear(&bridge->bell_watch);
	event_del(bridge->timer);
	bridge->over = true;
	sim.nover++;
}

static void turn_bridge(struct sim_bridge *bridge)
{
	int status;
	int64_t due_ms;

	deliver(bridge);
	ranq_proxy_tick(bridge->proxy);
	if (ranq_proxy_done(bridge->proxy, &status)) {
		close_bridge(bridge);
		return;
	}
	due_ms = ranq_proxy_prepare(bridge->proxy);
	watch_conn(bridge, &bridge->conn_watch, bridge->proxy->conn, &bridge->conn);
	watch_conn(bridge, &bridge->bell_watch, bridge->proxy->bell, &bridge->bell);
	set_timer(bridge, due_ms);
}

static void start_bridge(struct sim_bridge *bridge)
{
	struct ranq_proxy_options options = {.base = sim.unused,
		.link = &bridge->link.base,
		.facts = sim.facts,
		.addr = &sim.addr,
		.queues = (const char *const *)&sim.set.queue,
		.nqueues = 1,
		.allocation = "simulated",
		.idle_timeout_ms = -1,
		.lease_ms = (int64_t)(RANQ_LEASE_MS_DEFAULT * sim.set.slow),
		.grace_ms = 60000};
	struct ranq_err err;

	ranq_err_set(&err, RANQ_ERR_MEMORY, "out of memory");
	if (sim_link_init(&bridge->link, bridge) != 0)
		sim_die("a bridge", &err);
	bridge->timer = event_new(sim.base, -1, 0, on_event, bridge);
	bridge->proxy = ranq_proxy_create(&options, &err);
	if (!bridge->proxy)
		sim_die("a bridge", &err);
	sim_link_hello(&bridge->link);
}

/* ---- all of them ---- */

static double cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void turn_touched(void)
{
	STAILQ_HEAD(, sim_bridge) now = STAILQ_HEAD_INITIALIZER(now);
	struct sim_bridge *bridge;
	double before = cpu_s();

	STAILQ_CONCAT(&now, &sim.touched);
	while ((bridge = STAILQ_FIRST(&now))) {
		STAILQ_REMOVE_HEAD(&now, touched);
		bridge->due = false;
		turn_bridge(bridge);
	}
	sim.proxy_s += cpu_s() - before;
}

static void on_wait_over(int fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

void sim_turn(int64_t until_ns)
{
	int64_t now_ns = ranq_clock_ns(), left_ns = until_ns - now_ns;

	if (left_ns > 0)
		until_ns = now_ns + (int64_t)((double)left_ns * sim.set.slow);
	ranq_watch_wait(sim.base, sim.timer, STAILQ_EMPTY(&sim.touched) ? until_ns : 0);
	turn_touched();
}

/* Not that of a rank (bridge/watch.c): there are thousands of descriptors. */
static struct event_base *base_create(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	event_config_avoid_method(config, "select");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (!base) {
		fprintf(stderr, "bench-simulation: cannot make an event loop\n");
		exit(EXIT_FAILURE);
	}
	return base;
}

void sim_bridges_start(void)
{
	struct ranq_err err;

	STAILQ_INIT(&sim.touched);
	sim.base = base_create();
	sim.unused = base_create();
	sim.timer = event_new(sim.base, -1, 0, on_wait_over, NULL);
	sim.facts = calloc(sim.set.ranks + 1, sizeof *sim.facts);
	sim.bridges = calloc(sim.set.bridges, sizeof *sim.bridges);
	ranq_buf_init(&sim.result, 0);
	if (!sim.facts || !sim.bridges || !ranq_buf_reserve(&sim.result, sim.set.bytes + 1)) {
		ranq_err_set(&err, RANQ_ERR_MEMORY, "out of memory");
		sim_die("bridges", &err);
	}
	memset(sim.result.data, 0, sim.set.bytes);
	for (unsigned r = 0; r <= sim.set.ranks; r++)
		snprintf(sim.facts[r].host, sizeof sim.facts[r].host, "simulated");
	while (sim.nbridges < sim.set.bridges) {
		start_bridge(&sim.bridges[sim.nbridges]);
		sim.nbridges++;
		sim_turn(0);
	}
	while (sim_sums().joined < sim.nbridges)
		sim_turn(ranq_clock_ns() + 100000000);
}

struct sim_sums sim_sums(void)
{
	struct sim_sums sums = {0};

	for (unsigned i = 0; i < sim.nbridges; i++) {
		const struct ranq_proxy *proxy = sim.bridges[i].proxy;

		sums.joined += proxy->queues[0].state == PROXY_IN && proxy->lanes == sim.set.ranks;
		sums.ranges += proxy->next_grant;
		sums.chunks += proxy->next_chunk;
		sums.done += proxy->queues[0].done;
	}
	return sums;
}

void sim_bridges_stop(void)
{
	while (sim.nover < sim.nbridges)
		sim_turn(ranq_clock_ns() + 100000000);
	for (unsigned i = 0; i < sim.nbridges; i++) {
		ranq_proxy_destroy(sim.bridges[i].proxy);
		sim_link_clear(&sim.bridges[i].link);
		event_free(sim.bridges[i].timer);
	}
	free(sim.bridges);
	sim.bridges = NULL;
	sim.nbridges = 0;
	free(sim.facts);
	ranq_buf_clear(&sim.result);
	event_free(sim.timer);
	event_base_free(sim.base);
	event_base_free(sim.unused);
}

/* bridge.c - see bridge.h. */
#include "bridge/bridge.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util/clock.h"

static void on_message(void *arg, int src, const void *data, size_t len)
{
	struct ranq_bridge *bridge = arg;
	enum ranq_message_type type;
	struct ranq_reader body;
	struct ranq_err err;
	int rc;

	rc = ranq_message_open(data, len, &type, &body, &err);
	if (rc == 0 && ranq_message_is_for_proxy(type))
		rc = bridge->proxy ? ranq_proxy_message(bridge->proxy, src, type, &body, &err) : 0;
	else if (rc == 0)
		rc = bridge->worker ? ranq_worker_message(bridge->worker, src, type, &body, &err) : 0;
	if (rc != 0)
		fprintf(stderr, "ranq-bridge: rank %d: from rank %d: %s\n", bridge->link->rank, src, err.text);
}

static void on_file(void *arg, int src, int fd, const void *data, size_t len)
{
	struct ranq_bridge *bridge = arg;

	if (bridge->worker)
		ranq_worker_file(bridge->worker, src, fd, data, len);
	else
		close(fd);
}

static void pump_link(struct ranq_bridge *bridge)
{
	struct ranq_err err;

	if (bridge->link_broken || ranq_link_pump(bridge->link, &err) == 0)
		return;
	bridge->link_broken = true;
	fprintf(stderr, "ranq-bridge: rank %d: %s\n", bridge->link->rank, err.text);
}

static void on_link(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump_link(arg);
}

static void on_signal(int fd, short what, void *arg)
{
	struct ranq_bridge *bridge = arg;
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		int sig = (int)info.ssi_signo;

		if (bridge->proxy)
			ranq_proxy_signal(bridge->proxy, sig);
		else if (bridge->worker && sig != SIGCONT)
			ranq_worker_signal(bridge->worker, sig);
	}
}

static void on_timer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

int ranq_bridge_init(struct ranq_bridge *bridge, struct ranq_err *err)
{
	bridge->timer = event_new(bridge->base, -1, 0, on_timer, NULL);
	if (!bridge->timer)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	bridge->link->handler = (struct ranq_link_handler){on_message, on_file, bridge};
	return 0;
}

void ranq_bridge_clear(struct ranq_bridge *bridge)
{
	ranq_watch_clear(&bridge->link_watch);
	ranq_watch_clear(&bridge->signal_watch);
	if (bridge->timer)
		event_free(bridge->timer);
	bridge->timer = NULL;
}

void ranq_bridge_turn(struct ranq_bridge *bridge, int64_t until_ms)
{
	int64_t due_ns = until_ms == RANQ_NEVER ? RANQ_NEVER : until_ms * 1000000, t;

	if (bridge->proxy && (t = ranq_proxy_prepare(bridge->proxy)) < due_ns / 1000000)
		due_ns = t * 1000000;
	if (bridge->worker && (t = ranq_worker_prepare(bridge->worker)) < due_ns / 1000000)
		due_ns = t * 1000000;
	ranq_link_flush(bridge->link);
	if (!bridge->link_broken) {
		t = ranq_link_deadline_ns(bridge->link);
		if (t < due_ns)
			due_ns = t;
	}
	ranq_watch_set(&bridge->link_watch, bridge->base, bridge->link_broken ? -1 : ranq_link_fd(bridge->link), false,
		on_link, bridge);
	ranq_watch_set(&bridge->signal_watch, bridge->base, bridge->signal_fd, false, on_signal, bridge);
	ranq_watch_wait(bridge->base, bridge->timer, due_ns);
	if (ranq_clock_ns() >= ranq_link_deadline_ns(bridge->link))
		pump_link(bridge);
	if (bridge->worker)
		ranq_worker_tick(bridge->worker);
	if (bridge->proxy)
		ranq_proxy_tick(bridge->proxy);
}

static bool over(const struct ranq_bridge *bridge, int *status)
{
	if (bridge->link_broken) {
		*status = 1;
		return true;
	}
	if (bridge->proxy)
		return ranq_proxy_done(bridge->proxy, status);
	return !bridge->worker || ranq_worker_state(bridge->worker, status) != RANQ_WORKER_RUNS;
}

void ranq_bridge_run(struct ranq_bridge *bridge, int *status)
{
	*status = 0;
	while (!over(bridge, status))
		ranq_bridge_turn(bridge, RANQ_NEVER);
}

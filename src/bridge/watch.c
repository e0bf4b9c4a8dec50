/* watch.c - see watch.h. */
#include "bridge/watch.h"

#include <event2/util.h>
#include <stdlib.h>

#include "util/clock.h"

struct event_base *ranq_watch_base(struct ranq_err *err)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config) {
		event_config_avoid_method(config, "epoll");
		event_config_avoid_method(config, "poll");
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
		/* else libevent reads a clock that ticks every 4 ms and spins until it does */
		event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	}
	base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	if (!base)
		ranq_err_set(err, RANQ_ERR_SYSTEM, "cannot make an event loop");
	return base;
}

void ranq_watch_set(
	struct ranq_watch *watch, struct event_base *base, int fd, bool write, event_callback_fn call, void *arg)
{
	short what = (short)(EV_READ | EV_PERSIST | (write ? EV_WRITE : 0));

	if (watch->event && watch->fd == fd && watch->what == what)
		return;
	if (!watch->event && fd < 0)
		return;
	ranq_watch_clear(watch);
	if (fd < 0)
		return;
	watch->event = event_new(base, fd, what, call, arg);
	watch->fd = fd;
	watch->what = what;
	if (watch->event)
		event_add(watch->event, NULL);
}

void ranq_watch_clear(struct ranq_watch *watch)
{
	if (watch->event)
		event_free(watch->event);
	watch->event = NULL;
}

void ranq_watch_wait(struct event_base *base, struct event *timer, int64_t until_ns)
{
	int64_t left = until_ns == RANQ_NEVER ? RANQ_NEVER : until_ns - ranq_clock_ns();

	if (left <= 0) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		return;
	}
	if (left != RANQ_NEVER) {
		struct timeval tv = {.tv_sec = (time_t)(left / 1000000000),
			.tv_usec = (suseconds_t)((left % 1000000000 + 999) / 1000)};

		if (tv.tv_usec >= 1000000) {
			tv.tv_sec++;
			tv.tv_usec -= 1000000;
		}
		event_add(timer, &tv);
	}
	event_base_loop(base, EVLOOP_ONCE);
	if (left != RANQ_NEVER)
		event_del(timer);
}

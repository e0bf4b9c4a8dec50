/* end_file.c - see the header. */
#include "end_file.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/values.h"

#define LOOK_S 2

struct end_file {
	const char *path;
	int64_t other_ms, told_ms;
	struct ranq_proxy *proxy;
	struct event *timer;
};

static int64_t read_end(const char *path)
{
	char text[32];
	int64_t ms;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (got <= 0)
		return 0;
	text[got] = 0;
	return ranq_time_parse(text, &ms, NULL) == 0 ? ms : 0;
}

static void look(evutil_socket_t fd, short what, void *arg)
{
	struct end_file *file = arg;
	int64_t end_ms = read_end(file->path);

	(void)fd;
	(void)what;
	if (end_ms > 0 && file->other_ms > 0 && file->other_ms < end_ms)
		end_ms = file->other_ms;
	if (end_ms <= 0 || end_ms == file->told_ms)
		return;
	file->told_ms = end_ms;
	ranq_proxy_set_end(file->proxy, end_ms);
}

struct end_file *end_file_watch(struct event_base *base, const char *path, int64_t other_ms, struct ranq_proxy *proxy)
{
	struct end_file *file = calloc(1, sizeof *file);
	const struct timeval each = {.tv_sec = LOOK_S};

	if (!file)
		return NULL;
	*file = (struct end_file){.path = path, .other_ms = other_ms, .proxy = proxy};
	file->timer = event_new(base, -1, EV_PERSIST, look, file);
	if (!file->timer || event_add(file->timer, &each) != 0) {
		end_file_free(file);
		return NULL;
	}
	return file;
}

void end_file_free(struct end_file *file)
{
	if (file && file->timer)
		event_free(file->timer);
	free(file);
}

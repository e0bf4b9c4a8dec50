/* give_file.c - see the header. */
#include "give_file.h"

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 250

struct give_file {
	const char *path;
	char offer[PATH_MAX];
	unsigned number; /* of the last offer */
	bool open;       /* it has no answer yet */
	struct ranq_proxy *proxy;
	struct event *timer;
};

static void look(evutil_socket_t fd, short what, void *arg)
{
	struct give_file *file = arg;
	char text[32] = "", word[8] = "";
	unsigned number;
	int from = file->open ? open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	(void)fd;
	(void)what;
	if (from < 0)
		return;
	if (read(from, text, sizeof text - 1) > 0 && sscanf(text, "%9u %7s", &number, word) == 2 &&
		number == file->number) {
		file->open = false;
		ranq_proxy_given(file->proxy, strcmp(word, "taken") == 0);
	}
	close(from);
}

struct give_file *give_file_open(struct event_base *base, const char *path)
{
	struct give_file *file = access(path, R_OK) == 0 ? calloc(1, sizeof *file) : NULL;
	const struct timeval each = {.tv_usec = LOOK_MS * 1000};
	int len;

	if (!file)
		return NULL;
	file->path = path;
	len = snprintf(file->offer, sizeof file->offer, "%s.offer", path);
	file->timer = event_new(base, -1, EV_PERSIST, look, file);
	if (len < (int)sizeof file->offer && file->timer && event_add(file->timer, &each) == 0)
		return file;
	give_file_free(file);
	return NULL;
}

void give_file_answers_to(struct give_file *file, struct ranq_proxy *proxy)
{
	if (file)
		file->proxy = proxy;
}

bool give_file_offer(void *arg, const char *hosts)
{
	struct give_file *file = arg;
	char other[sizeof file->offer + 8];
	FILE *out;

	snprintf(other, sizeof other, "%s.new", file->offer);
	out = fopen(other, "we");
	if (!out)
		return false;
	fprintf(out, "%u %s\n", ++file->number, hosts);
	if (fclose(out) != 0 || rename(other, file->offer) != 0) {
		unlink(other);
		return false;
	}
	file->open = true;
	return true;
}

void give_file_free(struct give_file *file)
{
	if (file && file->timer)
		event_free(file->timer);
	free(file);
}

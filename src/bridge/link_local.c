/* link_local.c - see link_local.h. Each endpoint owns an inbox; its descriptor is an eventfd that is readable while the
 * inbox is not empty. A pump hands out only what was there when it began, so that two endpoints answering each other
 * cannot keep one pump busy for ever. */
#include "bridge/link_local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "util/clock.h"

struct letter {
	TAILQ_ENTRY(letter) next;
	int src, fd; /* fd -1: a message */
	unsigned char *data;
	size_t len;
};

struct world;
struct local {
	struct ranq_link base;
	struct world *world;
	TAILQ_HEAD(, letter) inbox;
	size_t waiting, bytes; /* in the inbox */
	bool cut;
};
struct world {
	int size, open;
	int *node;
	struct local **at;
};

static void letter_destroy(struct letter *letter)
{
	if (letter->fd >= 0)
		close(letter->fd);
	free(letter->data);
	free(letter);
}

static int deliver(struct local *from, int dst, struct letter *letter)
{
	struct world *world = from->world;
	struct local *to = dst >= 0 && dst < world->size ? world->at[dst] : NULL;
	uint64_t one = 1;

	letter->src = from->base.rank;
	if (!to || to->cut || from->cut) {
		letter_destroy(letter);
		return 0;
	}
	TAILQ_INSERT_TAIL(&to->inbox, letter, next);
	to->waiting++;
	to->bytes += letter->len;
	while (write(to->base.fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	return 0;
}

static int local_send(struct ranq_link *link, int dst, struct ranq_buf *message, struct ranq_err *err)
{
	struct letter *letter = calloc(1, sizeof *letter);

	if (!letter || ranq_buf_failed(message) || message->len > RANQ_LINK_MESSAGE_MAX) {
		free(letter);
		ranq_buf_clear(message);
		return ranq_err_set(
			err, RANQ_ERR_MEMORY, "cannot send a message to rank %d: out of memory or too long", dst);
	}
	letter->fd = -1;
	letter->data = ranq_buf_take(message, &letter->len);
	return deliver((struct local *)link, dst, letter);
}

static int local_send_file(struct ranq_link *link, int dst, int fd, const void *data, size_t len, struct ranq_err *err)
{
	struct letter *letter;

	if (dst < 0 || dst >= link->size || !ranq_link_same_node(link, link->rank, dst) || len > RANQ_LINK_NOTE_MAX)
		return ranq_err_set(err, RANQ_ERR_STATE, "rank %d is not on this node", dst);
	letter = calloc(1, sizeof *letter);
	if (letter)
		letter->data = malloc(len + 1);
	if (!letter || !letter->data) {
		free(letter);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	memcpy(letter->data, data, len);
	letter->len = len;
	letter->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (letter->fd < 0) {
		letter_destroy(letter);
		return ranq_err_sys(err, "cannot duplicate a descriptor");
	}
	return deliver((struct local *)link, dst, letter);
}

static void local_flush(struct ranq_link *link)
{
	(void)link;
}

static void hand_out(struct local *local, struct letter *letter)
{
	const struct ranq_link_handler *handler = &local->base.handler;

	if (letter->fd < 0) {
		handler->message(handler->arg, letter->src, letter->data, letter->len);
	} else {
		handler->file(handler->arg, letter->src, letter->fd, letter->data, letter->len);
		letter->fd = -1;
	}
	letter_destroy(letter);
}

static int local_pump(struct ranq_link *link, struct ranq_err *err)
{
	struct local *local = (struct local *)link;
	size_t n = local->waiting;
	uint64_t count;

	(void)err;
	while (read(link->fd, &count, sizeof count) < 0 && errno == EINTR)
		;
	for (; n > 0; n--) {
		struct letter *letter = TAILQ_FIRST(&local->inbox);

		TAILQ_REMOVE(&local->inbox, letter, next);
		local->waiting--;
		local->bytes -= letter->len;
		hand_out(local, letter);
	}
	return 0;
}

static int64_t local_deadline_ns(const struct ranq_link *link)
{
	return ((const struct local *)link)->waiting ? 0 : RANQ_NEVER;
}

static size_t local_unsent(const struct ranq_link *link, int dst)
{
	const struct local *to = ((const struct local *)link)->world->at[dst];

	return to ? to->bytes : 0;
}

static void world_leave(struct world *world, int rank)
{
	world->at[rank] = NULL;
	if (--world->open > 0)
		return;
	free(world->node);
	free(world->at);
	free(world);
}

static void local_close(struct ranq_link *link, int limit_ms)
{
	struct local *local = (struct local *)link;
	struct letter *letter;

	(void)limit_ms;
	while ((letter = TAILQ_FIRST(&local->inbox))) {
		TAILQ_REMOVE(&local->inbox, letter, next);
		letter_destroy(letter);
	}
	close(link->fd);
	world_leave(local->world, link->rank);
	free(local);
}

static const struct ranq_link_ops local_ops = {
	local_send, local_send_file, local_flush, local_pump, local_deadline_ns, local_unsent, local_close};

static struct local *endpoint_create(struct world *world, int rank, struct ranq_err *err)
{
	struct local *local = calloc(1, sizeof *local);
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (!local || fd < 0) {
		ranq_err_sys(err, "cannot open an endpoint");
		free(local);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	local->base =
		(struct ranq_link){.ops = &local_ops, .rank = rank, .size = world->size, .fd = fd, .node = world->node};
	local->world = world;
	TAILQ_INIT(&local->inbox);
	return local;
}

static struct world *world_create(int size, const int *node)
{
	struct world *world = calloc(1, sizeof *world);

	if (!world)
		return NULL;
	world->size = size;
	world->node = calloc((size_t)size, sizeof *world->node);
	world->at = calloc((size_t)size, sizeof *world->at);
	if (!world->node || !world->at) {
		free(world->node);
		free(world->at);
		free(world);
		return NULL;
	}
	if (node)
		memcpy(world->node, node, (size_t)size * sizeof *node);
	return world;
}

int ranq_link_local_open(int size, const int *node, struct ranq_link **links, struct ranq_err *err)
{
	struct world *world = world_create(size, node);

	if (!world)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	world->open = size;
	for (int r = 0; r < size; r++) {
		world->at[r] = endpoint_create(world, r, err);
		if (world->at[r]) {
			links[r] = &world->at[r]->base;
			continue;
		}
		world->open = r + 1; /* the rest never opened */
		for (int k = 0; k < r; k++)
			local_close(links[k], 0);
		world_leave(world, r);
		return -1;
	}
	return 0;
}

void ranq_link_local_cut(struct ranq_link *link, bool cut)
{
	((struct local *)link)->cut = cut;
}

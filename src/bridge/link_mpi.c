/* link_mpi.c - see link_mpi.h.
 *
 * Counting argument: `sent[d]` counts messages handed to MPI_Isend for d; the bell carries that number; d compares it
 * with the number it has received from us and polls while it is behind. A ring that finds the socket full is repeated:
 * the full socket itself keeps d awake. MPI may hold a message back in the sender although its request is complete (a
 * connection being made, a full queue in shared memory) until the sender calls MPI again: so a rank that has sent polls
 * on for a while, ever more slowly, and with several nodes it never stops altogether. */
#include "bridge/link_mpi.h"

#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "bridge/bell.h"
#include "util/clock.h"

enum { TAG_MESSAGE = 1, TAG_WAKE = 2, TAG_PACK = 3 /* messages, each behind its length */ };

#define POLL_MIN_NS INT64_C(100000)
#define POLL_MAX_NS INT64_C(1000000)
#define POLL_AGAIN_NS INT64_C(200000) /* between nodes, just after a message: an answer may be near */
#define TAIL_NS INT64_C(250000000)   /* polling after the last send on one node */
#define PACK_BYTES ((size_t)4000) /* small messages of one turn to one rank go together; MPI sends so much at once */
#define PROBES 2                     /* of MPI without a message, in one pump */
#define PROBES_BEHIND 4              /* when a message is known to be there */
#define TAKE_MAX 256                 /* messages of one pump */
#define STUCK_NS INT64_C(5000000000) /* what we wait for comes from a dead rank, presumably */
#define SLOW_NS INT64_C(50000000)    /* polling for ever of ranks that have other nodes to talk to */

struct outgoing {
	TAILQ_ENTRY(outgoing) next;
	MPI_Request request;
	unsigned char *data;
	size_t len;
	int dst;
	bool message; /* counted in unsent */
};
struct incoming {
	TAILQ_ENTRY(incoming) next;
	MPI_Request request;
	unsigned char *data;
	size_t len;
	int src, tag;
	bool arrived;
};
struct gift { /* a descriptor whose bell was full */
	TAILQ_ENTRY(gift) next;
	int dst, fd;
	size_t len;
	unsigned char data[RANQ_LINK_NOTE_MAX];
};
struct peer {
	uint64_t sent, received, announced; /* announced: what its bell said that it has sent */
	size_t unsent;
	struct ranq_buf pack; /* messages that have not been given to MPI */
	bool ring;            /* stands in `called`: must be told that we have sent */
};
struct wake { /* body of TAG_WAKE: ring `dst` of your node for me */
	int32_t dst;
	uint32_t zero;
	uint64_t count;
};

TAILQ_HEAD(outgoing_list, outgoing);
TAILQ_HEAD(incoming_list, incoming);
TAILQ_HEAD(gift_list, gift);

struct link_mpi {
	struct ranq_link base;
	MPI_Comm comm;
	int nodes;
	bool lowest; /* of its node */
	int *node;
	struct ranq_bell bell;
	struct peer *peers;
	struct outgoing_list outgoing;
	struct incoming_list incoming;
	struct incoming_list self; /* messages to ourselves */
	struct gift_list gifts;
	int64_t last_poll_ns, last_send_ns, last_any_ns, step_ns;
	uint64_t behind; /* messages that were announced and have not been received */
	int *called, ncalled; /* ranks with `ring` set */
	bool lost;      /* a message could not be sent, for lack of memory */
};

/* ---- sending ---- */

static void sent(struct link_mpi *link, struct outgoing *out)
{
	if (out->message)
		link->peers[out->dst].unsent -= out->len;
	free(out->data);
	free(out);
}

static int isend(
	struct link_mpi *link, int dst, int tag, unsigned char *data, size_t len, bool message, struct ranq_err *err)
{
	struct outgoing *out = calloc(1, sizeof *out);
	int done = 0;

	if (!out)
		goto failed;
	*out = (struct outgoing){.data = data, .len = len, .dst = dst, .message = message};
	if (MPI_Isend(data, (int)len, MPI_BYTE, dst, tag, link->comm, &out->request) != MPI_SUCCESS)
		goto failed;
	link->last_send_ns = ranq_clock_ns();
	link->step_ns = POLL_MIN_NS;
	if (MPI_Test(&out->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done)
		sent(link, out);
	else
		TAILQ_INSERT_TAIL(&link->outgoing, out, next);
	return 0;
failed:
	free(out);
	free(data);
	return ranq_err_set(err, RANQ_ERR_SYSTEM, "cannot send to rank %d", dst);
}

static int self_send(struct link_mpi *link, unsigned char *data, size_t len, struct ranq_err *err)
{
	struct incoming *in = calloc(1, sizeof *in);

	if (!in) {
		free(data);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	*in = (struct incoming){.data = data, .len = len, .src = link->base.rank, .arrived = true};
	TAILQ_INSERT_TAIL(&link->self, in, next);
	return 0;
}

static void call(struct link_mpi *link, int dst)
{
	if (!link->peers[dst].ring)
		link->called[link->ncalled++] = dst;
	link->peers[dst].ring = true;
}

static int send_pack(struct link_mpi *link, int dst, struct ranq_err *err)
{
	struct peer *peer = &link->peers[dst];
	unsigned char *data;
	size_t len;

	if (peer->pack.len == 0)
		return 0;
	data = ranq_buf_take(&peer->pack, &len);
	if (isend(link, dst, TAG_PACK, data, len, true, err) != 0)
		return -1;
	peer->sent++;
	return 0;
}

static int add_to_pack(struct link_mpi *link, int dst, struct ranq_buf *message, struct ranq_err *err)
{
	struct ranq_buf *pack = &link->peers[dst].pack;
	uint32_t len = (uint32_t)message->len;

	if (pack->len + sizeof len + len > PACK_BYTES && send_pack(link, dst, err) != 0)
		return -1;
	if (!ranq_buf_reserve(pack, sizeof len + len)) {
		pack->failed = false;
		return ranq_err_set(err, RANQ_ERR_MEMORY, "cannot send a message to rank %d: out of memory", dst);
	}
	ranq_buf_add(pack, &len, sizeof len);
	ranq_buf_add(pack, message->data, len);
	link->peers[dst].unsent += sizeof len + len;
	call(link, dst);
	return 0;
}

static int mpi_send(struct ranq_link *base, int dst, struct ranq_buf *message, struct ranq_err *err)
{
	struct link_mpi *link = (struct link_mpi *)base;
	unsigned char *data;
	size_t len;

	if (dst < 0 || dst >= base->size || ranq_buf_failed(message) || message->len == 0 ||
		message->len > RANQ_LINK_MESSAGE_MAX) {
		ranq_buf_clear(message);
		return ranq_err_set(
			err, RANQ_ERR_MEMORY, "cannot send a message to rank %d: out of memory or too long", dst);
	}
	if (dst != base->rank && message->len + sizeof(uint32_t) <= PACK_BYTES) {
		int rc = add_to_pack(link, dst, message, err);

		ranq_buf_clear(message);
		return rc;
	}
	data = ranq_buf_take(message, &len);
	if (dst == base->rank)
		return self_send(link, data, len, err);
	if (send_pack(link, dst, err) != 0) { /* order */
		free(data);
		return -1;
	}
	link->peers[dst].unsent += len;
	if (isend(link, dst, TAG_MESSAGE, data, len, true, err) != 0)
		return -1;
	link->peers[dst].sent++;
	call(link, dst);
	return 0;
}

static size_t mpi_unsent(const struct ranq_link *base, int dst)
{
	return dst >= 0 && dst < base->size ? ((const struct link_mpi *)base)->peers[dst].unsent : 0;
}

static int mpi_send_file(struct ranq_link *base, int dst, int fd, const void *data, size_t len, struct ranq_err *err)
{
	struct link_mpi *link = (struct link_mpi *)base;
	struct gift *gift;

	if (dst < 0 || dst >= base->size || !ranq_link_same_node(base, base->rank, dst) || len > RANQ_LINK_NOTE_MAX)
		return ranq_err_set(err, RANQ_ERR_STATE, "rank %d is not on this node", dst);
	if (TAILQ_EMPTY(&link->gifts) &&
		ranq_bell_ring(&link->bell, dst, base->rank, link->peers[dst].sent, fd, data, len) == 0)
		return 0;
	gift = calloc(1, sizeof *gift);
	if (!gift)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	gift->dst = dst;
	gift->len = len;
	memcpy(gift->data, data, len);
	gift->fd = dup(fd);
	if (gift->fd < 0) {
		free(gift);
		return ranq_err_sys(err, "cannot duplicate a descriptor");
	}
	TAILQ_INSERT_TAIL(&link->gifts, gift, next);
	return 0;
}

/* Tells the node of dst that a message is there. */
static bool ring(struct link_mpi *link, int dst)
{
	struct ranq_link *base = &link->base;
	int lowest;
	struct wake *wake;

	if (ranq_link_same_node(base, base->rank, dst))
		return ranq_bell_ring(&link->bell, dst, base->rank, link->peers[dst].sent, -1, NULL, 0) == 0;
	lowest = ranq_nodes_lowest(link->node, base->size, dst);
	if (lowest == dst)
		return true; /* it polls */
	wake = malloc(sizeof *wake);
	if (!wake)
		return false;
	*wake = (struct wake){.dst = dst, .count = link->peers[dst].sent};
	return isend(link, lowest, TAG_WAKE, (unsigned char *)wake, sizeof *wake, false, NULL) == 0;
}

static void mpi_flush(struct ranq_link *base)
{
	struct link_mpi *link = (struct link_mpi *)base;
	struct gift *gift;
	int n = link->ncalled;

	for (int i = 0; i < n; i++)
		link->lost |= send_pack(link, link->called[i], NULL) != 0;
	while ((gift = TAILQ_FIRST(&link->gifts)) &&
		ranq_bell_ring(&link->bell, gift->dst, base->rank, link->peers[gift->dst].sent, gift->fd, gift->data,
			gift->len) == 0) {
		TAILQ_REMOVE(&link->gifts, gift, next);
		close(gift->fd);
		free(gift);
	}
	link->ncalled = 0;
	for (int i = 0; i < n; i++) {
		int dst = link->called[i];

		link->peers[dst].ring = false;
		if (!ring(link, dst))
			call(link, dst); /* at or before its old place */
	}
}

static void progress_sends(struct link_mpi *link)
{
	struct outgoing *out, *next;

	for (out = TAILQ_FIRST(&link->outgoing); out; out = next) {
		int done = 0;

		next = TAILQ_NEXT(out, next);
		if (MPI_Test(&out->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done)
			continue;
		TAILQ_REMOVE(&link->outgoing, out, next);
		sent(link, out);
	}
}

/* ---- receiving ---- */

static void count_behind(struct link_mpi *link)
{
	link->behind = 0;
	for (const struct peer *peer = link->peers; peer < link->peers + link->base.size; peer++)
		link->behind += peer->announced > peer->received ? peer->announced - peer->received : 0;
}

static void read_bells(struct link_mpi *link)
{
	const struct ranq_link_handler *handler = &link->base.handler;
	struct ranq_bell_note note;

	while (ranq_bell_read(&link->bell, &note) == 1) {
		bool known = note.src >= 0 && note.src < link->base.size;

		if (known && note.count > link->peers[note.src].announced) {
			link->peers[note.src].announced = note.count;
			link->step_ns = POLL_MIN_NS;
		}
		if (note.fd < 0)
			continue;
		if (known && note.len > 0)
			handler->file(handler->arg, note.src, note.fd, note.data, note.len);
		else
			close(note.fd);
	}
}

/* Takes one message off MPI's queue. 1: one; 0: there is none; -1. */
static int accept_one(struct link_mpi *link, struct ranq_err *err)
{
	struct incoming *in;
	MPI_Message message;
	MPI_Status status;
	int flag = 0, len = 0;

	if (MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, link->comm, &flag, &message, &status) != MPI_SUCCESS)
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "MPI does not work any more");
	if (!flag)
		return 0;
	MPI_Get_count(&status, MPI_BYTE, &len);
	in = calloc(1, sizeof *in);
	if (in)
		in->data = malloc(len > 0 ? (size_t)len : 1);
	if (!in || !in->data) {
		free(in);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a message of %d bytes", len);
	}
	in->len = (size_t)len;
	in->src = status.MPI_SOURCE;
	in->tag = status.MPI_TAG;
	TAILQ_INSERT_TAIL(&link->incoming, in, next);
	if (MPI_Imrecv(in->data, len, MPI_BYTE, &message, &in->request) != MPI_SUCCESS)
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "MPI cannot receive");
	return 1;
}

static void incoming_destroy(struct incoming *in)
{
	free(in->data);
	free(in);
}

static void unpack(struct link_mpi *link, const struct incoming *in)
{
	const struct ranq_link_handler *handler = &link->base.handler;
	size_t at = 0;
	uint32_t len;

	while (in->len - at >= sizeof len) {
		memcpy(&len, in->data + at, sizeof len);
		at += sizeof len;
		if (len > in->len - at) /* damaged: whoever reads it says so */
			len = (uint32_t)(in->len - at);
		handler->message(handler->arg, in->src, in->data + at, len);
		at += len;
	}
}

static void hand_out(struct link_mpi *link, struct incoming *in)
{
	const struct ranq_link_handler *handler = &link->base.handler;

	if (in->tag == TAG_WAKE) {
		struct wake wake;

		if (in->len == sizeof wake) {
			memcpy(&wake, in->data, sizeof wake);
			if (wake.dst >= 0 && wake.dst < link->base.size &&
				ranq_link_same_node(&link->base, link->base.rank, wake.dst))
				/* a full socket keeps its owner awake, and it polls slowly anyway: not repeated */
				ranq_bell_ring(&link->bell, wake.dst, in->src, wake.count, -1, NULL, 0);
		}
	} else {
		link->peers[in->src].received++;
		if (in->tag == TAG_PACK)
			unpack(link, in);
		else
			handler->message(handler->arg, in->src, in->data, in->len);
	}
	incoming_destroy(in);
}

static bool earlier_from_same(const struct link_mpi *link, const struct incoming *in)
{
	const struct incoming *other;

	TAILQ_FOREACH(other, &link->incoming, next)
	{
		if (other == in)
			return false;
		if (other->src == in->src)
			return true;
	}
	return false;
}

/* Hands out what is complete, in order for each source (a large message may arrive after a small one that was sent
 * later). */
static bool deliver(struct link_mpi *link)
{
	struct incoming *in, *next;
	bool any = false;

	for (in = TAILQ_FIRST(&link->incoming); in; in = next) {
		int done = 0;

		next = TAILQ_NEXT(in, next);
		if (!in->arrived && (MPI_Test(&in->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done))
			in->arrived = true;
		if (!in->arrived || earlier_from_same(link, in))
			continue;
		TAILQ_REMOVE(&link->incoming, in, next);
		hand_out(link, in);
		any = true;
	}
	return any;
}

/* Only what was there at the beginning, so that rank 0 talking to itself cannot starve the others. */
static void deliver_self(struct link_mpi *link)
{
	const struct ranq_link_handler *handler = &link->base.handler;
	struct incoming_list list;
	struct incoming *in;

	TAILQ_INIT(&list);
	TAILQ_CONCAT(&list, &link->self, next);
	while ((in = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, in, next);
		handler->message(handler->arg, in->src, in->data, in->len);
		incoming_destroy(in);
	}
}

/* A probe that finds nothing lets MPI look at its transports, and only the next one sees what that brought: so more
 * than one. Each may give the processor away: on one node, where all is announced, none follows what was missing. */
static int accept_all(struct link_mpi *link, bool *any, struct ranq_err *err)
{
	int misses = 0, most = link->behind ? PROBES_BEHIND : PROBES;

	for (int taken = 0; taken < TAKE_MAX && misses < most;) {
		int r = accept_one(link, err);

		if (r < 0)
			return -1;
		taken += r;
		misses += r == 0;
		*any |= r == 1;
		most = link->nodes == 1 && r == 1 && (uint64_t)taken == link->behind ? 0 : most;
	}
	return 0;
}

static int mpi_pump(struct ranq_link *base, struct ranq_err *err)
{
	struct link_mpi *link = (struct link_mpi *)base;
	bool any = false;

	if (link->lost)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a message to another rank");
	read_bells(link);
	count_behind(link);
	if (accept_all(link, &any, err) != 0)
		return -1;
	any |= deliver(link);
	deliver_self(link);
	progress_sends(link);
	count_behind(link);
	link->last_poll_ns = ranq_clock_ns();
	if (any) {
		link->step_ns = POLL_MIN_NS;
		link->last_any_ns = link->last_poll_ns;
	} else if (link->last_poll_ns - link->last_any_ns > STUCK_NS) {
		link->step_ns = SLOW_NS;
	} else if (link->step_ns < POLL_MAX_NS) {
		link->step_ns *= 2;
	}
	return 0;
}

/* The rank of a node that polls for all of it: each ms, more often for some ms after a message. */
static int64_t poll_ns(const struct link_mpi *link)
{
	int64_t last = link->last_send_ns > link->last_any_ns ? link->last_send_ns : link->last_any_ns;
	int64_t step = (link->last_poll_ns - last) / 4;

	return step < POLL_AGAIN_NS ? POLL_AGAIN_NS : step < POLL_MAX_NS ? step : POLL_MAX_NS;
}

static int64_t mpi_deadline_ns(const struct ranq_link *base)
{
	const struct link_mpi *link = (const struct link_mpi *)base;
	int64_t quiet = link->last_poll_ns - link->last_send_ns;

	if (!TAILQ_EMPTY(&link->self))
		return 0;
	if (link->behind || !TAILQ_EMPTY(&link->outgoing) || !TAILQ_EMPTY(&link->incoming))
		return link->last_poll_ns + link->step_ns;
	if (link->nodes > 1 && link->lowest)
		return link->last_poll_ns + poll_ns(link);
	if (link->ncalled || !TAILQ_EMPTY(&link->gifts))
		return link->last_poll_ns + POLL_MAX_NS;
	if (quiet < TAIL_NS)
		return link->last_poll_ns + (quiet < POLL_MAX_NS ? POLL_MAX_NS : quiet);
	return link->nodes > 1 ? link->last_poll_ns + SLOW_NS : RANQ_NEVER;
}

/* ---- begin and end ---- */

static void release(struct link_mpi *link)
{
	struct incoming *in;
	struct gift *gift;

	while ((in = TAILQ_FIRST(&link->self))) {
		TAILQ_REMOVE(&link->self, in, next);
		incoming_destroy(in);
	}
	while ((gift = TAILQ_FIRST(&link->gifts))) {
		TAILQ_REMOVE(&link->gifts, gift, next);
		close(gift->fd);
		free(gift);
	}
	/* buffers of requests that are not complete stay: MPI may still use them, and the process ends soon */
	ranq_bell_close(&link->bell);
	for (int r = 0; link->peers && r < link->base.size; r++)
		ranq_buf_clear(&link->peers[r].pack);
	free(link->peers);
	free(link->called);
	free(link->node);
	free(link);
}

static void mpi_close(struct ranq_link *base, int limit_ms)
{
	struct link_mpi *link = (struct link_mpi *)base;
	int64_t until = ranq_clock_ms() + limit_ms;

	mpi_flush(base);
	progress_sends(link);
	while (!TAILQ_EMPTY(&link->outgoing) && ranq_clock_ms() < until) {
		struct timespec pause = {0, POLL_MIN_NS};
		int flag;

		nanosleep(&pause, NULL);
		MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, link->comm, &flag, MPI_STATUS_IGNORE);
		progress_sends(link);
	}
	release(link);
}

static const struct ranq_link_ops mpi_ops = {
	mpi_send, mpi_send_file, mpi_flush, mpi_pump, mpi_deadline_ns, mpi_unsent, mpi_close};

const char *ranq_link_mpi_version(void)
{
	static char text[MPI_MAX_LIBRARY_VERSION_STRING];
	int len;

	MPI_Get_library_version(text, &len);
	text[strcspn(text, "\n")] = 0;
	return text;
}

static int exchange(struct link_mpi *link, const struct ranq_rank_facts *mine, struct ranq_rank_facts *all, char id[33])
{
	unsigned char random[16];
	int node_count;

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return -1;
	if (MPI_Bcast(random, sizeof random, MPI_BYTE, 0, link->comm) != MPI_SUCCESS ||
		MPI_Allgather(mine, (int)sizeof *mine, MPI_BYTE, all, (int)sizeof *all, MPI_BYTE, link->comm) !=
			MPI_SUCCESS)
		return -1;
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	for (int r = 0; r < link->base.size; r++)
		ranq_rank_facts_check(&all[r]);
	node_count = ranq_nodes_number(all, link->base.size, link->node);
	link->nodes = node_count;
	link->lowest = ranq_nodes_lowest(link->node, link->base.size, link->base.rank) == link->base.rank;
	return 0;
}

/* What is sent to a bell that is not there yet is lost, a file for good: so no rank goes on before all have theirs. */
static int open_bells(struct link_mpi *link, const char *id, struct ranq_err *err)
{
	int rc = ranq_bell_open(&link->bell, id, link->base.rank, err);

	if (MPI_Barrier(link->comm) != MPI_SUCCESS && rc == 0)
		rc = ranq_err_set(err, RANQ_ERR_SYSTEM, "the ranks cannot talk to each other by MPI");
	return rc;
}

static struct link_mpi *link_create(void)
{
	struct link_mpi *link = calloc(1, sizeof *link);

	if (!link)
		return NULL;
	link->base.ops = &mpi_ops;
	link->bell.fd = -1;
	link->step_ns = POLL_MAX_NS;
	TAILQ_INIT(&link->outgoing);
	TAILQ_INIT(&link->incoming);
	TAILQ_INIT(&link->self);
	TAILQ_INIT(&link->gifts);
	MPI_Comm_dup(MPI_COMM_WORLD, &link->comm);
	MPI_Comm_set_name(link->comm, "ranq-bridge");
	MPI_Comm_set_errhandler(link->comm, MPI_ERRORS_RETURN);
	MPI_Comm_rank(link->comm, &link->base.rank);
	MPI_Comm_size(link->comm, &link->base.size);
	link->node = calloc((size_t)link->base.size, sizeof *link->node);
	link->peers = calloc((size_t)link->base.size, sizeof *link->peers);
	link->called = calloc((size_t)link->base.size, sizeof *link->called);
	link->base.node = link->node;
	return link;
}

struct ranq_link *ranq_link_mpi_open(
	const struct ranq_rank_facts *mine, struct ranq_rank_facts **all, struct ranq_err *err)
{
	struct link_mpi *link;
	char id[33];
	int provided;

	*all = NULL;
	if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS) {
		ranq_err_set(err, RANQ_ERR_SYSTEM, "MPI cannot start");
		return NULL;
	}
	MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
	link = link_create();
	if (link)
		*all = calloc((size_t)link->base.size, sizeof **all);
	if (!link || !link->node || !link->peers || !link->called || !*all) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	} else if (exchange(link, mine, *all, id) != 0) {
		ranq_err_set(err, RANQ_ERR_SYSTEM, "the ranks cannot talk to each other by MPI");
	} else if (open_bells(link, id, err) == 0) {
		link->base.fd = link->bell.fd;
		link->last_poll_ns = link->last_send_ns = link->last_any_ns = ranq_clock_ns();
		return &link->base;
	}
	if (link)
		release(link);
	free(*all);
	*all = NULL;
	return NULL;
}

static volatile sig_atomic_t watchdog_status;

static void watchdog(int sig)
{
	(void)sig;
	_exit(watchdog_status);
}

void ranq_link_mpi_finalize(int limit_ms, int status)
{
	struct sigaction action = {.sa_handler = watchdog};
	struct itimerval timer = {.it_value = {.tv_sec = limit_ms / 1000, .tv_usec = limit_ms % 1000 * 1000}};
	sigset_t set;

	watchdog_status = status;
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	MPI_Finalize();
	timer = (struct itimerval){0};
	setitimer(ITIMER_REAL, &timer, NULL);
}

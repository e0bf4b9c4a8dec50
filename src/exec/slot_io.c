#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exec/slot.h"
#include "record/offload.h"
#include "util/clock.h"

#define READ_BYTES (256u << 10)
#define START_PAUSE_MS 50
#define MESSAGE_BYTES (16u << 10) /* frames are sent together until they are so many bytes */
#define FRAME_SLACK ((size_t)4 << 20) /* beside the result: failures, heads, 2^20 empty results before it */

/* ---- executor ---------------------------------------------------------------------------------------------------- */

static int open_page(struct ranq_page **page)
{
	int fd = memfd_create("ranq-progress", MFD_CLOEXEC);
	unsigned i;

	if (fd < 0)
		return -1;
	*page = ftruncate(fd, sizeof **page) < 0 ? MAP_FAILED
						 : mmap(NULL, sizeof **page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*page == MAP_FAILED) {
		close(fd);
		return -1;
	}
	for (i = 0; i < RANQ_WIRE_RUNS; i++)
		atomic_init(&(*page)->runs[i].limit, 0);
	return fd;
}

static void retry_later(struct ranq_slot *slot, int error)
{
	int64_t now = ranq_clock_ms();

	slot->start_errno = error;
	slot->start_ms = now + START_PAUSE_MS;
	if (slot->starting_ms == RANQ_NEVER)
		slot->starting_ms = now;
}

int ranq_slot_start_executor(struct ranq_slot *slot, const char *key)
{
	struct ranq_page *page;
	int pair[2], page_fd, error;
	uint32_t id = 0;
	char *own_key = strdup(key);

	if (!own_key || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		retry_later(slot, own_key ? errno : ENOMEM);
		free(own_key);
		return -1;
	}
	page_fd = open_page(&page);
	error = errno;
	if (page_fd >= 0) {
		id = ranq_exec_spawn(slot->end.exec, &slot->options, pair[1], page_fd);
		error = EAGAIN;
		close(page_fd);
		if (!id)
			munmap(page, sizeof *page);
	}
	close(pair[1]);
	if (!id) {
		close(pair[0]);
		free(own_key);
		retry_later(slot, error);
		return -1;
	}
	slot->fd = pair[0];
	slot->key = own_key;
	slot->end.id = id;
	slot->end.page = page;
	slot->end.gone = slot->end.status_known = slot->ended = false;
	slot->end.peak = 0;
	slot->next_run = slot->nruns = 0;
	slot->seen_seq = slot->timed_out_seq = 0;
	slot->dropping = false;
	slot->seen_ms = slot->watched_ms = ranq_clock_ms();
	slot->timeout_kill_ms = slot->stop_kill_ms = RANQ_NEVER;
	slot->state = RANQ_SLOT_LIVE;
	return 0;
}

static void drop_messages(struct ranq_slot *slot)
{
	struct ranq_slot_message *message;

	while ((message = TAILQ_FIRST(&slot->out))) {
		TAILQ_REMOVE(&slot->out, message, link);
		ranq_buf_clear(&message->bytes);
		free(message);
	}
}

void ranq_slot_leave_executor(struct ranq_slot *slot, int grace_ms)
{
	struct ranq_slot_job *job;
	unsigned i;

	if (slot->state == RANQ_SLOT_EMPTY)
		return;
	if (slot->fd >= 0)
		close(slot->fd);
	slot->fd = -1;
	if (!slot->end.gone && slot->end.exec)
		ranq_exec_retire(slot->end.exec, slot->end.id, grace_ms);
	if (slot->end.page)
		munmap(slot->end.page, sizeof *slot->end.page);
	slot->end.page = NULL;
	slot->end.id = 0;
	free(slot->key);
	slot->key = NULL;
	drop_messages(slot);
	ranq_buf_reset(&slot->in);
	slot->frame = 0;
	slot->nruns = 0;
	for (i = 0; i < slot->nchunks; i++)
		slot->chunks[i].runs = 0;
	slot->own_kill = RANQ_KILL_NONE;
	LIST_FOREACH(job, &slot->jobs, link)
		job->sent = false;
	slot->state = RANQ_SLOT_EMPTY;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static struct ranq_slot_message *new_message(struct ranq_slot *slot)
{
	struct ranq_slot_message *message = calloc(1, sizeof *message);

	if (!message)
		return NULL;
	ranq_buf_init(&message->bytes, 0);
	TAILQ_INSERT_TAIL(&slot->out, message, link);
	return message;
}

/* Where the next frame goes: behind the one that waits, as long as that is short. */
struct ranq_slot_message *ranq_slot_message(struct ranq_slot *slot)
{
	struct ranq_slot_message *last = TAILQ_LAST(&slot->out, ranq_slot_messages);

	return last && last->bytes.len < MESSAGE_BYTES ? last : new_message(slot);
}

void ranq_slot_send_job(struct ranq_slot *slot, struct ranq_slot_job *job)
{
	struct ranq_slot_message *message = new_message(slot);
	size_t at;

	if (!message)
		return;
	if (job->module_fd >= 0)
		message->fds[message->nfds++] = job->module_fd;
	if (job->data_fd >= 0)
		message->fds[message->nfds++] = job->data_fd;
	at = ranq_wire_begin(&message->bytes, RANQ_FRAME_JOB);
	ranq_buf_add_varint(&message->bytes, job->id);
	ranq_buf_add_byte(&message->bytes, (unsigned char)((job->module_fd >= 0 ? RANQ_JOB_HAS_MODULE : 0) |
							   (job->data_fd >= 0 ? RANQ_JOB_HAS_DATA : 0)));
	ranq_buf_add_sized(&message->bytes, job->id_text, strlen(job->id_text));
	ranq_buf_add_sized(&message->bytes, job->packed.data, job->packed.len);
	ranq_wire_end(&message->bytes, at);
	job->sent = true;
}

/* The limit stands in the page before the executor can see the run. */
int ranq_slot_send_run(struct ranq_slot *slot, struct ranq_slot_chunk *chunk, uint64_t to)
{
	/* descriptors go with the first byte of a message */
	struct ranq_slot_message *message = chunk->argument_fd >= 0 ? new_message(slot) : ranq_slot_message(slot);
	const struct ranq_trouble *trouble = ranq_slot_trouble_at(chunk, chunk->sent);
	struct ranq_slot_run *run = &slot->runs[slot->nruns];
	struct ranq_buf *out;
	size_t at;

	if (!message)
		return -1;
	*run = (struct ranq_slot_run){
		.number = slot->next_run++, .chunk = chunk->given.id, .from = chunk->sent, .to = to};
	slot->nruns++;
	chunk->runs++;
	atomic_store(&slot->end.page->runs[run->number % RANQ_WIRE_RUNS].limit, to);
	atomic_store(&slot->end.page->runs[run->number % RANQ_WIRE_RUNS].stop, 0);
	if (chunk->argument_fd >= 0)
		message->fds[message->nfds++] = chunk->argument_fd;
	out = &message->bytes;
	at = ranq_wire_begin(out, RANQ_FRAME_RUN);
	ranq_buf_add_varint(out, run->number);
	ranq_buf_add_varint(out, chunk->given.job);
	ranq_buf_add_varint(out, run->from);
	ranq_buf_add_varint(out, run->to);
	ranq_wire_add_signed(out, chunk->given.end_ms);
	ranq_buf_add_varint(out, trouble ? trouble->tries : 0);
	ranq_buf_add_varint(out, trouble                                      ? trouble->deaths
				 : chunk->given.end - chunk->given.start == 1 ? chunk->given.deaths
									      : 0);
	ranq_buf_add_byte(out, (unsigned char)((chunk->given.merge ? RANQ_RUN_MERGES : 0) |
					       (chunk->argument_fd >= 0 ? RANQ_RUN_HAS_ARGUMENT : 0)));
	ranq_buf_add_varint(out, chunk->given.start);
	ranq_buf_add_sized(out, chunk->input.data, chunk->input.len);
	ranq_wire_end(out, at);
	chunk->sent = to;
	return 0;
}

void ranq_slot_flush(struct ranq_slot *slot)
{
	struct ranq_slot_message *message;
	long n;

	while ((message = TAILQ_FIRST(&slot->out)) && slot->fd >= 0) {
		if (ranq_buf_failed(&message->bytes)) {
			ranq_exec_kill(slot->end.exec, slot->end.id); /* out of memory: begin again */
			return;
		}
		n = ranq_wire_send(slot->fd, message->bytes.data + message->sent, message->bytes.len - message->sent,
			message->fds, message->sent ? 0 : message->nfds, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return; /* full, or gone: that is seen by reading */
		message->sent += (size_t)n;
		if (message->sent < message->bytes.len)
			continue;
		TAILQ_REMOVE(&slot->out, message, link);
		ranq_buf_clear(&message->bytes);
		free(message);
	}
}

/* ---- receiving --------------------------------------------------------------------------------------------------- */

static size_t frame_max(const struct ranq_slot *slot)
{
	const struct ranq_slot_job *job;
	size_t kept, max = slot->end.exec ? ranq_exec_max_buffer(slot->end.exec) : 0;

	LIST_FOREACH(job, &slot->jobs, link) {
		kept = ranq_offload_kept(&job->spec);
		if (!job->spec.reduce && kept > RANQ_SPLIT_MIN)
			kept = RANQ_SPLIT_MIN;
		if (kept + FRAME_SLACK > max)
			max = kept + FRAME_SLACK;
	}
	return max;
}

/* 1: whole; 0: more is needed; -1: nonsense. */
static int has_frame(const struct ranq_slot *slot, struct ranq_wire_head *head)
{
	if (slot->in.len < sizeof *head)
		return 0;
	memcpy(head, slot->in.data, sizeof *head);
	if ((head->type != RANQ_FRAME_RESULTS && head->type != RANQ_FRAME_SLICE) || head->len > frame_max(slot))
		return -1;
	return slot->in.len - sizeof *head >= head->len;
}

int ranq_slot_receive(struct ranq_slot *slot, struct ranq_wire_head *head)
{
	unsigned char *room;
	ssize_t n;
	int rc;

	while (!(rc = has_frame(slot, head))) {
		if (slot->ended || slot->fd < 0)
			return -1;
		room = ranq_buf_reserve(&slot->in, READ_BYTES);
		if (!room)
			return -1;
		n = recv(slot->fd, room, READ_BYTES, MSG_DONTWAIT);
		if (n > 0) {
			slot->in.len += (size_t)n;
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)) {
			slot->ended = true;
			return -1;
		} else if (errno != EINTR) {
			return slot->end.gone ? -1 : 0;
		}
	}
	return rc;
}

/* worker_send.c - what a worker says to rank 0. */
#include "bridge/worker_impl.h"

#include <unistd.h>

int ranq_worker_results(struct ranq_worker *worker, const struct ranq_message_results *m)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, RANQ_LINK_MESSAGE_MAX);
	ranq_message_results_encode(&buf, m);
	return ranq_link_send(worker->options.link, 0, &buf, NULL);
}

void ranq_worker_number(struct ranq_worker *worker, enum ranq_message_type type, uint64_t number)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_number_encode(&buf, type, number);
	ranq_link_send(worker->options.link, 0, &buf, NULL);
}

void ranq_worker_notice(struct ranq_worker *worker, enum ranq_notice kind, uint64_t value)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_notice_encode(&buf, &(struct ranq_message_notice){.kind = kind, .value = value});
	ranq_link_send(worker->options.link, 0, &buf, NULL);
}

void ranq_worker_signal(struct ranq_worker *worker, int sig)
{
	ranq_worker_notice(worker, RANQ_NOTICE_SIGNAL, (uint64_t)sig);
}

void ranq_worker_hello(struct ranq_worker *worker)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_hello_encode(
		&buf, &(struct ranq_message_hello){.pid = (uint64_t)getpid(), .slots = worker->options.slots});
	ranq_link_send(worker->options.link, 0, &buf, NULL);
}

void ranq_worker_shortened(struct ranq_worker *worker, unsigned slot, uint64_t chunk, uint64_t new_end)
{
	struct ranq_buf buf;

	ranq_buf_init(&buf, 0);
	ranq_message_truncate_encode(&buf, RANQ_MESSAGE_SHORTENED,
		&(struct ranq_message_truncate){.slot = slot, .chunk = chunk, .new_end = new_end});
	ranq_link_send(worker->options.link, 0, &buf, NULL);
}

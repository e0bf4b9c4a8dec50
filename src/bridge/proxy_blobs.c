/* proxy_blobs.c - modules, job data and large arguments: fetched once from the queue into a memory file, then sent once to each node. On
 * our own node the ranks get the file itself; the first worker of another node gets it in pieces and shares it there.
 * A blob is known by its content, so a module or job data stays for a while for jobs to come, of any queue.
 */
#include "bridge/proxy_impl.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bridge/blobs.h"
#include "bridge/worker.h"
#include "util/clock.h"

_Static_assert(RANQ_ARG_SLICE_BYTES == RANQ_BLOB_PART_BYTES, "arguments are fetched as blobs are");

#define PIECE_BYTES (1u << 20)
#define WINDOW_BYTES (8u << 20) /* of a transfer, unsent at a time */
#define KEEP_MS 60000
#define TELL_MS 5000
#define KEEP_BYTES ((uint64_t)256 << 20)

static struct proxy_blob *find(
	struct ranq_proxy *proxy, const struct proxy_queue *pq, uint64_t job, const char *hash)
{
	struct proxy_blob *blob;

	TAILQ_FOREACH(blob, &proxy->blobs, next)
	if (blob->job == job && strcmp(blob->hash, hash) == 0 && (blob->pq == pq || (blob->whole && !job)))
		return blob;
	return NULL;
}

/* What was put together has the name of its content, or something was lost or changed in the queue. */
static bool intact(struct proxy_blob *blob)
{
	unsigned char raw[crypto_hash_sha256_BYTES];
	char hash[2 * sizeof raw + 1];

	crypto_hash_sha256_final(blob->digest, raw);
	sodium_bin2hex(hash, sizeof hash, raw, sizeof raw);
	free(blob->digest);
	blob->digest = NULL;
	return strcmp(hash, blob->hash) == 0;
}

static void blob_free(struct proxy_blob *blob)
{
	if (!blob)
		return;
	free(blob->receiver);
	free(blob->digest);
	free(blob);
}

static void tell_progress(struct ranq_proxy *proxy, struct proxy_blob *blob)
{
	char have[32], total[32];

	if (!blob->total || proxy->now_ms - blob->told_ms < TELL_MS)
		return;
	blob->told_ms = proxy->now_ms;
	proxy_log(proxy, "%s %.12s: %s of %s are here", blob->job ? "argument" : "job data", blob->hash, ranq_size_format(blob->have, have),
		ranq_size_format(blob->total, total));
}

static void have_part(struct proxy_request *request, const struct ranq_reply *reply)
{
	struct ranq_proxy *proxy = request->proxy;
	struct proxy_blob *blob;
	struct ranq_bytes part;
	struct ranq_err err;

	TAILQ_FOREACH(blob, &proxy->blobs, next)
	if (blob->number == request->key)
		break;
	if (!blob)
		return;
	blob->asked = false;
	if (!reply)
		return;
	if (ranq_queue_blob_get_parse(reply, &part, &err) != 0) {
		if (!proxy_refused_alone(&err)) {
			proxy_refused(request, &err);
			return;
		}
		if (blob->job && err.code == RANQ_ERR_NOTFOUND) {
			proxy_queue_missing(request->pq, blob->job);
			return;
		}
		part = (struct ranq_bytes){NULL, 0};
		blob->missing = blob->have == 0;
	}
	if (part.len > 0 && ranq_blob_file_append(blob->fd, blob->have, part.data, part.len, &err) != 0) {
		proxy_log(proxy, "%s", err.text);
		blob->missing = true;
	}
	blob->have += part.len;
	if (blob->total && blob->have > blob->total)
		blob->missing = true; /* nobody knows how much more there is */
	tell_progress(proxy, blob);
	if (!blob->missing && part.len > 0)
		crypto_hash_sha256_update(blob->digest, part.data, part.len);
	if (!blob->missing && part.len < RANQ_BLOB_PART_BYTES) {
		blob->whole = intact(blob);
		blob->missing = !blob->whole;
		ranq_blob_file_seal(blob->fd);
	}
	if (blob->missing || blob->whole)
		proxy_job_blob_here(blob);
}

static void ask(struct proxy_blob *blob)
{
	uint64_t part = blob->have / RANQ_BLOB_PART_BYTES;
	struct proxy_request *request = NULL;
	struct ranq_cmd cmd;

	ranq_cmd_init(&cmd);
	if ((blob->job ? ranq_queue_argument_get_cmd(&blob->pq->q, &cmd, blob->job, blob->hash, part)
		       : ranq_queue_blob_get_cmd(&blob->pq->q, &cmd, blob->hash, part)) == 0)
		request = proxy_request(blob->pq, &cmd, have_part);
	ranq_cmd_clear(&cmd);
	if (!request)
		return;
	request->key = blob->number;
	blob->asked = true;
}

void proxy_blobs_ask(struct ranq_proxy *proxy)
{
	struct proxy_blob *blob;

	proxy_blobs_trim(proxy, KEEP_BYTES);
	TAILQ_FOREACH(blob, &proxy->blobs, next)
	if (!blob->whole && !blob->missing && !blob->asked)
		ask(blob);
}

uint64_t proxy_blobs_arguments(const struct ranq_proxy *proxy)
{
	const struct proxy_blob *blob;
	uint64_t bytes = 0;

	TAILQ_FOREACH(blob, &proxy->blobs, next)
	bytes += blob->job ? blob->total : 0;
	return bytes;
}

struct proxy_blob *proxy_blob_get(struct proxy_queue *pq, uint64_t job, const char *hash, uint64_t total)
{
	struct proxy_blob *blob = find(pq->proxy, pq, job, hash);

	if (blob && !blob->missing) {
		blob->users++;
		return blob;
	}
	if (strlen(hash) >= sizeof blob->hash)
		return NULL;
	blob = calloc(1, sizeof *blob);
	if (blob) {
		blob->receiver = calloc((size_t)pq->proxy->options.link->size, sizeof *blob->receiver);
		blob->digest = malloc(sizeof *blob->digest);
	}
	if (!blob || !blob->receiver || !blob->digest) {
		blob_free(blob);
		return NULL;
	}
	crypto_hash_sha256_init(blob->digest);
	snprintf(blob->hash, sizeof blob->hash, "%s", hash);
	blob->pq = pq;
	blob->job = job;
	blob->total = total;
	blob->told_ms = pq->proxy->now_ms;
	blob->users = 1;
	blob->number = ++pq->proxy->next_blob;
	blob->fd = ranq_blob_file_create(NULL);
	blob->missing = blob->fd < 0;
	TAILQ_INSERT_TAIL(&pq->proxy->blobs, blob, next);
	return blob;
}

static void transfer_end(struct ranq_proxy *proxy, struct proxy_transfer *transfer)
{
	TAILQ_REMOVE(&proxy->transfers, transfer, next);
	free(transfer);
}

static void forget(struct ranq_proxy *proxy, struct proxy_blob *blob)
{
	struct proxy_transfer *transfer, *next;

	for (transfer = TAILQ_FIRST(&proxy->transfers); transfer; transfer = next) {
		next = TAILQ_NEXT(transfer, next);
		if (transfer->blob == blob)
			transfer_end(proxy, transfer);
	}
	for (int r = 0; r < proxy->options.link->size; r++) {
		struct ranq_buf buf;

		if (!blob->receiver[proxy->options.link->node[r]] || !proxy_reachable(proxy, r))
			continue;
		ranq_buf_init(&buf, 0);
		ranq_message_number_encode(&buf, RANQ_MESSAGE_FORGET, blob->number);
		proxy_send(proxy, r, &buf);
	}
	TAILQ_REMOVE(&proxy->blobs, blob, next);
	if (blob->fd >= 0)
		close(blob->fd);
	blob_free(blob);
}

void proxy_blob_put(struct ranq_proxy *proxy, struct proxy_blob *blob)
{
	if (--blob->users > 0)
		return;
	blob->unused_ms = proxy->now_ms;
	if (!blob->whole || blob->job)
		forget(proxy, blob);
	else
		proxy_blobs_trim(proxy, KEEP_BYTES);
}

void proxy_blobs_trim(struct ranq_proxy *proxy, uint64_t bytes)
{
	struct proxy_blob *blob, *oldest;
	uint64_t unused;

	do {
		oldest = NULL;
		unused = 0;
		TAILQ_FOREACH(blob, &proxy->blobs, next)
		{
			if (blob->users > 0)
				continue;
			unused += blob->have;
			if (!oldest || blob->unused_ms < oldest->unused_ms)
				oldest = blob;
		}
		if (!oldest || (unused <= bytes && bytes > 0 && proxy->now_ms - oldest->unused_ms < KEEP_MS))
			return;
		forget(proxy, oldest);
	} while (true);
}

static void share_here(struct ranq_proxy *proxy, struct proxy_blob *blob, int node)
{
	struct ranq_link *link = proxy->options.link;
	unsigned char note[RANQ_LINK_NOTE_MAX];
	size_t len = ranq_blob_note_encode(note, blob->number, blob->have);

	for (int r = 0; r < link->size; r++)
		if (link->node[r] == node && proxy_reachable(proxy, r))
			ranq_link_send_file(link, r, blob->fd, note, len, NULL);
	blob->receiver[node] = link->rank + 1;
}

/* Leaves no receiver behind when there is none: the first rank that comes back asks again. */
static void share_there(struct ranq_proxy *proxy, struct proxy_blob *blob, int node)
{
	struct ranq_link *link = proxy->options.link;
	struct proxy_transfer *transfer = calloc(1, sizeof *transfer);
	int rank = 0;

	while (rank < link->size && !(link->node[rank] == node && proxy_computes(proxy, rank)))
		rank++;
	blob->receiver[node] = 0;
	if (!transfer || rank == link->size) {
		free(transfer);
		return;
	}
	blob->receiver[node] = rank + 1;
	transfer->blob = blob;
	transfer->rank = rank;
	TAILQ_INSERT_TAIL(&proxy->transfers, transfer, next);
	proxy_blobs_pump(proxy);
}

void proxy_blob_share(struct ranq_proxy *proxy, struct proxy_blob *blob, int rank)
{
	const struct ranq_link *link = proxy->options.link;
	int node = link->node[rank];

	if (blob->receiver[node])
		return;
	if (node == link->node[link->rank])
		share_here(proxy, blob, node);
	else
		share_there(proxy, blob, node);
}

/* The next piece of a transfer; false when it is over. */
static bool send_piece(struct ranq_proxy *proxy, struct proxy_transfer *transfer)
{
	static unsigned char piece[PIECE_BYTES];
	uint64_t left = transfer->blob->have - transfer->offset;
	size_t want = left < sizeof piece ? (size_t)left : sizeof piece;
	ssize_t n = want ? pread(transfer->blob->fd, piece, want, (off_t)transfer->offset) : 0;
	struct ranq_buf buf;

	if (n < 0 || (size_t)n != want)
		return false;
	ranq_buf_init(&buf, 0);
	ranq_message_blob_encode(&buf, &(struct ranq_message_blob){.blob = transfer->blob->number,
					       .total = transfer->blob->have,
					       .offset = transfer->offset,
					       .piece = {piece, want}});
	proxy_send(proxy, transfer->rank, &buf);
	transfer->offset += want;
	return transfer->offset < transfer->blob->have;
}

void proxy_blobs_pump(struct ranq_proxy *proxy)
{
	struct proxy_transfer *transfer, *next;

	for (transfer = TAILQ_FIRST(&proxy->transfers); transfer; transfer = next) {
		bool more = true;

		next = TAILQ_NEXT(transfer, next);
		while (more && ranq_link_unsent(proxy->options.link, transfer->rank) < WINDOW_BYTES)
			more = send_piece(proxy, transfer);
		if (!more)
			transfer_end(proxy, transfer);
	}
}

/* The receiver of a node may have died before it shared what it got: another one of that node gets everything anew.
 * Ranks that have the file already keep theirs. */
void proxy_blobs_lost(struct ranq_proxy *proxy, int rank)
{
	struct proxy_transfer *transfer, *next;
	struct proxy_blob *blob;
	int node = proxy->options.link->node[rank];

	for (transfer = TAILQ_FIRST(&proxy->transfers); transfer; transfer = next) {
		next = TAILQ_NEXT(transfer, next);
		if (transfer->rank == rank)
			transfer_end(proxy, transfer);
	}
	TAILQ_FOREACH(blob, &proxy->blobs, next)
	if (blob->receiver[node] == rank + 1)
		share_there(proxy, blob, node);
}

/* On another node all of it goes to the receiver again, which shares it again: without harm where it is already, and
 * not while it is on its way. */
void proxy_blob_missing(struct ranq_proxy *proxy, uint64_t number, int rank)
{
	struct ranq_link *link = proxy->options.link;
	unsigned char note[RANQ_LINK_NOTE_MAX];
	const struct proxy_transfer *transfer;
	struct proxy_blob *blob;
	int node = link->node[rank];

	TAILQ_FOREACH(blob, &proxy->blobs, next)
	if (blob->number == number)
		break;
	if (!blob || !blob->whole || !blob->receiver[node])
		return;
	if (node == link->node[link->rank]) {
		ranq_link_send_file(
			link, rank, blob->fd, note, ranq_blob_note_encode(note, blob->number, blob->have), NULL);
		return;
	}
	TAILQ_FOREACH(transfer, &proxy->transfers, next)
	if (transfer->blob == blob && link->node[transfer->rank] == node)
		return;
	share_there(proxy, blob, node);
}

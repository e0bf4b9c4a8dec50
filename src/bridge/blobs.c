/* blobs.c - see blobs.h. A complete file is sealed: executors map it, and nobody can change or shrink it under them. */
#include "bridge/blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

struct blob {
	TAILQ_ENTRY(blob) next;
	uint64_t number, total, have;
	int fd;
	bool whole;
};
struct ranq_blobs {
	TAILQ_HEAD(, blob) list;
};

int ranq_blob_file_create(struct ranq_err *err)
{
	int fd = memfd_create("ranq-blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		ranq_err_sys(err, "cannot make a memory file");
	return fd;
}

int ranq_blob_file_append(int fd, uint64_t offset, const void *data, size_t len, struct ranq_err *err)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ranq_err_sys(err, "cannot write to a memory file");
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

void ranq_blob_file_seal(int fd)
{
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

struct ranq_blobs *ranq_blobs_create(void)
{
	struct ranq_blobs *blobs = calloc(1, sizeof *blobs);

	if (blobs)
		TAILQ_INIT(&blobs->list);
	return blobs;
}

static void blob_remove(struct ranq_blobs *blobs, struct blob *blob)
{
	TAILQ_REMOVE(&blobs->list, blob, next);
	close(blob->fd);
	free(blob);
}

void ranq_blobs_destroy(struct ranq_blobs *blobs)
{
	if (!blobs)
		return;
	while (!TAILQ_EMPTY(&blobs->list))
		blob_remove(blobs, TAILQ_FIRST(&blobs->list));
	free(blobs);
}

static struct blob *find(const struct ranq_blobs *blobs, uint64_t number)
{
	struct blob *blob;

	TAILQ_FOREACH(blob, &blobs->list, next)
	if (blob->number == number)
		return blob;
	return NULL;
}

static struct blob *add(struct ranq_blobs *blobs, uint64_t number, uint64_t total, int fd, struct ranq_err *err)
{
	struct blob *blob = calloc(1, sizeof *blob);

	if (!blob) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		close(fd);
		return NULL;
	}
	*blob = (struct blob){.number = number, .total = total, .fd = fd};
	TAILQ_INSERT_TAIL(&blobs->list, blob, next);
	return blob;
}

int ranq_blobs_piece(struct ranq_blobs *blobs, uint64_t number, uint64_t total, uint64_t offset, const void *data,
	size_t len, bool *whole, struct ranq_err *err)
{
	struct blob *blob = find(blobs, number);

	*whole = false;
	if (blob && blob->whole && blob->total == total && offset <= total && len <= total - offset) {
		*whole = offset + len == total;
		return 0; /* sent again, because rank 0 took us for lost */
	}
	if (blob && !blob->whole && offset == 0) {
		blob_remove(blobs, blob);
		blob = NULL;
	}
	if (!blob && offset == 0) {
		int fd = ranq_blob_file_create(err);

		blob = fd < 0 ? NULL : add(blobs, number, total, fd, err);
		if (!blob)
			return -1;
	}
	if (!blob || blob->whole || blob->total != total || blob->have != offset || len > total - offset)
		return ranq_err_set(err, RANQ_ERR_REPLY, "a piece of a blob came out of order");
	if (ranq_blob_file_append(blob->fd, offset, data, len, err) != 0)
		return -1;
	blob->have += len;
	if (blob->have == total) {
		blob->whole = *whole = true;
		ranq_blob_file_seal(blob->fd);
	}
	return 0;
}

int ranq_blobs_adopt(struct ranq_blobs *blobs, uint64_t number, uint64_t total, int fd, struct ranq_err *err)
{
	struct blob *blob = find(blobs, number);
	struct stat st;

	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != total) {
		close(fd);
		return ranq_err_set(err, RANQ_ERR_REPLY, "a shared blob has the wrong size");
	}
	if (blob && blob->whole) {
		close(fd);
		return 0;
	}
	if (blob)
		blob_remove(blobs, blob);
	blob = add(blobs, number, total, fd, err);
	if (!blob)
		return -1;
	blob->whole = true;
	return 0;
}

int ranq_blobs_fd(const struct ranq_blobs *blobs, uint64_t number)
{
	const struct blob *blob = find(blobs, number);

	return blob && blob->whole ? blob->fd : -1;
}

void ranq_blobs_forget(struct ranq_blobs *blobs, uint64_t number)
{
	struct blob *blob = find(blobs, number);

	if (blob)
		blob_remove(blobs, blob);
}

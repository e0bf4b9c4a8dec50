/* blob.c - see blob.h. */
#include "client/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(crypto_hash_sha256_BYTES * 2 == RANQ_BLOB_HASH_LEN, "hash length");

void ranq_blob_hash(const void *data, size_t len, char hash[RANQ_BLOB_HASH_LEN + 1])
{
	unsigned char raw[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(raw, len ? data : (const void *)"", len);
	sodium_bin2hex(hash, RANQ_BLOB_HASH_LEN + 1, raw, sizeof raw);
}

static int read_all(int fd, const char *path, struct ranq_buf *out, struct ranq_err *err)
{
	for (;;) {
		unsigned char *to = ranq_buf_reserve(out, 1u << 20);
		if (!to)
			return ranq_err_set(
				err, RANQ_ERR_INPUT, "'%s' is too large: at most %zu bytes", path, RANQ_BLOB_MAX_BYTES);
		ssize_t n = read(fd, to, 1u << 20);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			ranq_err_sys(err, "cannot read '%s'", path);
			if (err)
				err->code = RANQ_ERR_INPUT;
			return -1;
		}
		if (n == 0)
			return 0;
		out->len += (size_t)n;
	}
}

static int open_regular(const char *path, struct stat *st, struct ranq_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, st))
		ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': %s", path, strerror(errno));
	else if (!S_ISREG(st->st_mode))
		ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': not a regular file", path);
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int ranq_blob_read(const char *path, struct ranq_buf *out, struct ranq_err *err)
{
	struct stat st;
	ranq_buf_init(out, RANQ_BLOB_MAX_BYTES + (1u << 20));
	int fd = open_regular(path, &st, err);
	if (fd < 0)
		return -1;
	int rc = read_all(fd, path, out, err);
	close(fd);
	if (rc)
		ranq_buf_clear(out);
	return rc;
}

static int send_part(struct ranq_session *session, const char *hash, uint64_t part, uint64_t total, const void *data,
	size_t len, bool *have_all, struct ranq_err *err)
{
	struct ranq_cmd cmd;
	struct ranq_reply *reply = NULL;
	ranq_cmd_init(&cmd);
	int rc = ranq_queue_blob_put_cmd(&session->queue, &cmd, hash, part, total, data, len);
	if (rc)
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	else
		rc = ranq_session_call(session, &cmd, RANQ_NEVER, &reply, err);
	if (rc == 0)
		rc = ranq_queue_blob_put_parse(reply, have_all, err);
	ranq_reply_destroy(reply);
	ranq_cmd_clear(&cmd);
	return rc;
}

/* Where the parts come from: gives n bytes at `at`, borrowed until the next call. */
typedef const unsigned char *part_fn(void *source, uint64_t at, size_t n, struct ranq_err *err);

static int send_parts(struct ranq_session *session, const char *hash, uint64_t len, part_fn *get, void *source,
	struct ranq_err *err)
{
	bool have_all = false;
	/* no bytes: asks whether all of it is there already */
	if (len && send_part(session, hash, 0, len, "", 0, &have_all, err))
		return -1;
	for (uint64_t part = 0; !have_all && part * RANQ_BLOB_PART_BYTES < len; part++) {
		uint64_t at = part * RANQ_BLOB_PART_BYTES;
		size_t n = len - at < RANQ_BLOB_PART_BYTES ? (size_t)(len - at) : RANQ_BLOB_PART_BYTES;
		const unsigned char *data = get(source, at, n, err);
		if (!data || send_part(session, hash, part, len, data, n, &have_all, err))
			return -1;
	}
	return have_all ? 0 : ranq_err_set(err, RANQ_ERR_REPLY, "the server did not keep all parts of a blob");
}

static const unsigned char *part_of_memory(void *source, uint64_t at, size_t n, struct ranq_err *err)
{
	(void)n;
	(void)err;
	return (const unsigned char *)source + at;
}

int ranq_blob_send(struct ranq_session *session, const char *hash, const void *data, size_t len, struct ranq_err *err)
{
	return send_parts(session, hash, len, part_of_memory, (void *)(uintptr_t)data, err);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */
int ranq_blob_open(const char *path, struct ranq_blob_file *file, struct ranq_err *err)
{
	struct stat st;
	*file = (struct ranq_blob_file){.fd = open_regular(path, &st, err)};
	if (file->fd < 0)
		return -1;
	file->len = (uint64_t)st.st_size;
	file->changed = st.st_mtim;
	if (file->len <= RANQ_BLOB_MAX_FILE_BYTES)
		return 0;
	ranq_blob_close(file);
	return ranq_err_set(err, RANQ_ERR_INPUT, "'%s' is too large: at most %llu bytes", path,
		(unsigned long long)RANQ_BLOB_MAX_FILE_BYTES);
}

void ranq_blob_close(struct ranq_blob_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

struct file_parts {
	const struct ranq_blob_file *file;
	unsigned char *room; /* RANQ_BLOB_PART_BYTES */
};

static bool is_changed(const struct ranq_blob_file *file)
{
	struct stat st;
	return fstat(file->fd, &st) || (uint64_t)st.st_size != file->len ||
	       st.st_mtim.tv_sec != file->changed.tv_sec || st.st_mtim.tv_nsec != file->changed.tv_nsec;
}

/* Looks at the file behind each read, so before the last part is sent: a blob that lacks it is never taken for whole. */
static const unsigned char *part_of_file(void *source, uint64_t at, size_t n, struct ranq_err *err)
{
	const struct file_parts *parts = source;
	for (size_t have = 0; have < n;) {
		ssize_t got = pread(parts->file->fd, parts->room + have, n - have, (off_t)(at + have));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			ranq_err_sys(err, "cannot read the file");
			return NULL;
		}
		if (got == 0)
			break; /* it is shorter now */
		have += (size_t)got;
	}
	if (!is_changed(parts->file))
		return parts->room;
	ranq_err_set(err, RANQ_ERR_INPUT, "the file was changed while it was read");
	return NULL;
}

static int file_parts_init(struct file_parts *parts, const struct ranq_blob_file *file, struct ranq_err *err)
{
	*parts = (struct file_parts){.file = file, .room = malloc(RANQ_BLOB_PART_BYTES)};
	return parts->room ? 0 : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
}

int ranq_blob_file_hash(const struct ranq_blob_file *file, char hash[RANQ_BLOB_HASH_LEN + 1], struct ranq_err *err)
{
	unsigned char raw[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	struct file_parts parts;
	const unsigned char *data = (const unsigned char *)"";
	if (file_parts_init(&parts, file, err))
		return -1;
	crypto_hash_sha256_init(&state);
	for (uint64_t at = 0; data && at < file->len; at += RANQ_BLOB_PART_BYTES) {
		uint64_t left = file->len - at;
		size_t n = left < RANQ_BLOB_PART_BYTES ? (size_t)left : RANQ_BLOB_PART_BYTES;
		data = part_of_file(&parts, at, n, err);
		if (data)
			crypto_hash_sha256_update(&state, data, n);
	}
	free(parts.room);
	if (!data)
		return -1;
	crypto_hash_sha256_final(&state, raw);
	sodium_bin2hex(hash, RANQ_BLOB_HASH_LEN + 1, raw, sizeof raw);
	return 0;
}

int ranq_blob_file_send(
	struct ranq_session *session, const char *hash, const struct ranq_blob_file *file, struct ranq_err *err)
{
	struct file_parts parts;
	if (file_parts_init(&parts, file, err))
		return -1;
	int rc = send_parts(session, hash, file->len, part_of_file, &parts, err);
	free(parts.room);
	return rc;
}

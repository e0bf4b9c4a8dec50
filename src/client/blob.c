/* blob.c - see blob.h. */
#include "client/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
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

int ranq_blob_read(const char *path, struct ranq_buf *out, struct ranq_err *err)
{
	struct stat st;
	ranq_buf_init(out, RANQ_BLOB_MAX_BYTES + (1u << 20));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': %s", path, strerror(errno));
	int rc = -1;
	if (fstat(fd, &st))
		ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ranq_err_set(err, RANQ_ERR_INPUT, "cannot read '%s': not a regular file", path);
	else
		rc = read_all(fd, path, out, err);
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

int ranq_blob_send(struct ranq_session *session, const char *hash, const void *data, size_t len, struct ranq_err *err)
{
	bool have_all = false;
	const unsigned char *from = data;
	/* no bytes: asks whether all of it is there already */
	if (len && send_part(session, hash, 0, len, "", 0, &have_all, err))
		return -1;
	for (uint64_t part = 0; !have_all && part * RANQ_BLOB_PART_BYTES < len; part++) {
		size_t at = (size_t)part * RANQ_BLOB_PART_BYTES;
		size_t n = len - at < RANQ_BLOB_PART_BYTES ? len - at : RANQ_BLOB_PART_BYTES;
		if (send_part(session, hash, part, len, from + at, n, &have_all, err))
			return -1;
	}
	return have_all ? 0 : ranq_err_set(err, RANQ_ERR_REPLY, "the server did not keep all parts of a blob");
}

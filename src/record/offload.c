#include "record/offload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"

#define READ_BYTES (256u << 10)
#define RANDOM_BYTES 16
#define HEX_BYTES (2 * RANQ_FILE_HASH_BYTES)
#define PATH_BYTES (PATH_MAX + 128)

_Static_assert(crypto_hash_sha256_BYTES == RANQ_FILE_HASH_BYTES, "hash length");

bool ranq_offload_wanted(const struct ranq_spec *spec)
{
	return spec->offload && spec->results == RANQ_RESULTS_KEEP && !spec->reduce;
}

uint64_t ranq_offload_kept(const struct ranq_spec *spec)
{
	return ranq_offload_wanted(spec) && spec->max_output > RANQ_OFFLOAD_MIN ? RANQ_OFFLOAD_MIN : spec->max_output;
}

static void job_path(const struct ranq_spec *spec, char path[PATH_BYTES])
{
	char uuid[2 * sizeof spec->uuid + 1];

	sodium_bin2hex(uuid, sizeof uuid, spec->uuid, sizeof spec->uuid);
	snprintf(path, PATH_BYTES, "%s/ranq-%s", spec->offload, uuid);
}

/* Below the job's directory: "ab/HASH". */
static void file_name(const unsigned char *hash, char name[HEX_BYTES + 4])
{
	char hex[HEX_BYTES + 1];

	sodium_bin2hex(hex, sizeof hex, hash, RANQ_FILE_HASH_BYTES);
	snprintf(name, HEX_BYTES + 4, "%.2s/%s", hex, hex);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct ranq_offload_file {
	int dir, fd;
	uint64_t size;
	crypto_hash_sha256_state digest;
	char temp[8 + 2 * RANDOM_BYTES];
};

static int open_job_dir(const struct ranq_spec *spec, bool *made)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	char path[PATH_BYTES];
	int fd;

	job_path(spec, path);
	fd = open(path, flags);
	if (fd < 0 && errno == ENOENT && !*made) {
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -1;
		fd = open(path, flags);
	}
	*made = *made || fd >= 0;
	return fd;
}

struct ranq_offload_file *ranq_offload_begin(const struct ranq_spec *spec, bool *made)
{
	unsigned char random[RANDOM_BYTES];
	struct ranq_offload_file *file = calloc(1, sizeof *file);

	if (!file)
		return NULL;
	file->fd = -1;
	file->dir = open_job_dir(spec, made);
	if (file->dir >= 0 && getrandom(random, sizeof random, 0) == (ssize_t)sizeof random) {
		memcpy(file->temp, "tmp.", 4);
		sodium_bin2hex(file->temp + 4, sizeof file->temp - 4, random, sizeof random);
		file->fd = openat(file->dir, file->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (file->fd >= 0) {
		crypto_hash_sha256_init(&file->digest);
		return file;
	}
	ranq_offload_discard(file);
	return NULL;
}

void ranq_offload_discard(struct ranq_offload_file *file)
{
	int error = errno;

	if (!file)
		return;
	if (file->fd >= 0) {
		close(file->fd);
		unlinkat(file->dir, file->temp, 0);
	}
	if (file->dir >= 0)
		close(file->dir);
	free(file);
	errno = error;
}

int ranq_offload_add(struct ranq_offload_file *file, const void *data, size_t len)
{
	const unsigned char *at = data;
	ssize_t n;

	crypto_hash_sha256_update(&file->digest, at, len);
	file->size += len;
	for (; len; at += n, len -= (size_t)n) {
		n = write(file->fd, at, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -1;
	}
	return 0;
}

/* A directory that cannot be synced (some file systems) is no reason to lose a result: its file is there. */
static void sync_names(const struct ranq_offload_file *file, const char *below, bool new_below)
{
	int fd = openat(file->dir, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	if (new_below)
		fsync(file->dir);
}

/* A file of this content that is there already is replaced: it may be damaged, and nobody who reads it notices. */
static int give_name(struct ranq_offload_file *file, const unsigned char *hash)
{
	char name[HEX_BYTES + 4], below[3];
	bool new_below;

	file_name(hash, name);
	memcpy(below, name, 2);
	below[2] = '\0';
	new_below = mkdirat(file->dir, below, 0700) == 0;
	if (!new_below && errno != EEXIST)
		return -1;
	if (renameat(file->dir, file->temp, file->dir, name) < 0)
		return -1;
	sync_names(file, below, new_below);
	return 0;
}

int ranq_offload_finish(struct ranq_offload_file *file, struct ranq_file_ref *ref)
{
	bool named;

	ref->size = file->size;
	crypto_hash_sha256_final(&file->digest, ref->hash);
	named = fsync(file->fd) == 0 && give_name(file, ref->hash) == 0;
	if (!named) {
		ranq_offload_discard(file);
		return -1;
	}
	close(file->fd);
	close(file->dir);
	free(file);
	return 0;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* By read, not through the mapping: an error of the file server is an error here and a SIGBUS there. */
static int compare(int fd, const struct ranq_file_ref *ref, bool *same)
{
	unsigned char hash[RANQ_FILE_HASH_BYTES], *data = malloc(READ_BYTES);
	crypto_hash_sha256_state digest;
	uint64_t size = 0;
	ssize_t n = -1;

	crypto_hash_sha256_init(&digest);
	while (data && size <= ref->size && (n = read(fd, data, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		crypto_hash_sha256_update(&digest, data, (size_t)n);
		size += (uint64_t)n;
	}
	free(data);
	crypto_hash_sha256_final(&digest, hash);
	*same = size == ref->size && memcmp(hash, ref->hash, sizeof hash) == 0;
	return n < 0 ? -1 : 0;
}

static int map(int fd, const struct ranq_file_ref *ref, struct ranq_bytes *value)
{
	struct stat st;
	void *data;
	bool same;

	if (fstat(fd, &st) < 0)
		return -1;
	errno = EBADMSG;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != ref->size || ref->size > SIZE_MAX)
		return -1;
	if (compare(fd, ref, &same) < 0)
		return -1;
	errno = EBADMSG;
	if (!same)
		return -1;
	data = mmap(NULL, (size_t)ref->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -1;
	*value = (struct ranq_bytes){data, (size_t)ref->size};
	return 0;
}

int ranq_offload_open(
	const struct ranq_spec *spec, const struct ranq_file_ref *ref, struct ranq_bytes *value, struct ranq_err *err)
{
	char path[PATH_BYTES + HEX_BYTES + 8], name[HEX_BYTES + 4];
	int fd, rc, error;

	if (!ranq_offload_wanted(spec))
		return ranq_err_set(err, RANQ_ERR_REPLY, "a result is in a file, but the job keeps none in files");
	file_name(ref->hash, name);
	job_path(spec, path);
	snprintf(path + strlen(path), sizeof name + 1, "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return ranq_err_sys(err, "the file '%s' of the result cannot be read here", path);
	rc = map(fd, ref, value);
	error = errno;
	close(fd);
	errno = error;
	if (rc < 0 && errno == EBADMSG)
		return ranq_err_set(err, RANQ_ERR_SYSTEM, "the file '%s' of the result is damaged", path);
	return rc < 0 ? ranq_err_sys(err, "the file '%s' of the result cannot be read here", path) : 0;
}

void ranq_offload_close(struct ranq_bytes *value)
{
	if (value->len)
		munmap((void *)(uintptr_t)value->data, value->len);
	*value = (struct ranq_bytes){0};
}

/* ---- removing ---------------------------------------------------------------------------------------------------- */

static bool is_hex(const char *name, size_t len)
{
	return strlen(name) == len && strspn(name, "0123456789abcdef") == len;
}

/* Only what a writer makes goes; anything else stays, and the directories that it is in. No name of a directory is
 * resolved twice and no symbolic link is followed, so nobody who may rename things in DIR leads this elsewhere. A
 * writer that is not stopped yet may rename or remove what is seen here. */
static void empty(int above, const char *name, bool is_job, int64_t until_ms)
{
	int fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && ranq_clock_ms() < until_ms && (entry = readdir(dir))) {
		if (is_job && is_hex(entry->d_name, 2)) {
			empty(fd, entry->d_name, false, until_ms);
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
		} else if (is_job ? strncmp(entry->d_name, "tmp.", 4) == 0 : is_hex(entry->d_name, HEX_BYTES)) {
			unlinkat(fd, entry->d_name, 0);
		}
	}
	if (dir)
		closedir(dir);
}

/* -1: errno says why it is there yet. */
static int remove_job(const struct ranq_spec *spec, const char *path, int64_t until_ms)
{
	const char *name = strrchr(path, '/') + 1;
	int fd = open(spec->offload, O_PATH | O_DIRECTORY | O_CLOEXEC), rc = -1, error;

	if (fd < 0)
		return -1;
	empty(fd, name, true, until_ms);
	rc = unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -1 : 0;
	error = errno;
	close(fd);
	errno = error;
	return rc;
}

int ranq_offload_remove(const struct ranq_spec *spec, int64_t until_ms, struct ranq_err *err)
{
	char path[PATH_BYTES];
	struct stat st;

	if (!ranq_offload_wanted(spec))
		return 0;
	job_path(spec, path);
	int unseen = lstat(path, &st) < 0 ? errno : 0;
	if (unseen && (unseen != ENOENT || stat(spec->offload, &st) < 0))
		return ranq_err_sys(err, "results may be left in '%s': cannot look for them from here", path);
	if (unseen)
		return 0;
	if (remove_job(spec, path, until_ms) < 0)
		return ranq_err_sys(err, "results are left in '%s'", path);
	return 0;
}

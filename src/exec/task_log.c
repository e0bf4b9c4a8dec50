#include "exec/task_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_BYTES (1u << 20)

struct ranq_task_log {
	int fd;
	const unsigned char *data;
	bool noisy; /* tasks of this executor print */
};

static int open_file(struct ranq_task_log *log)
{
	log->fd = memfd_create("ranq-task-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (log->fd < 0 || ftruncate(log->fd, LOG_BYTES) < 0)
		return -1;
	log->data = mmap(NULL, LOG_BYTES, PROT_READ, MAP_SHARED, log->fd, 0);
	if (log->data == MAP_FAILED)
		return -1;
	if (fcntl(log->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -1;
	return dup2(log->fd, 1) < 0 || dup2(log->fd, 2) < 0 ? -1 : 0;
}

struct ranq_task_log *ranq_task_log_open(struct ranq_err *err)
{
	struct ranq_task_log *log = calloc(1, sizeof *log);

	if (!log) {
		ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		return NULL;
	}
	if (open_file(log) < 0) {
		ranq_err_sys(err, "cannot make the log of functions");
		free(log);
		return NULL;
	}
	return log;
}

static size_t used(const struct ranq_task_log *log)
{
	off_t at = lseek(log->fd, 0, SEEK_CUR);

	return at < 0 ? 0 : (size_t)at < LOG_BYTES ? (size_t)at : LOG_BYTES;
}

bool ranq_task_log_is_noisy(const struct ranq_task_log *log)
{
	return log->noisy;
}

void ranq_task_log_start(struct ranq_task_log *log)
{
	if (!log->noisy)
		return;
	fflush(stdout);
	lseek(log->fd, 0, SEEK_SET);
}

struct ranq_bytes ranq_task_log_tail(struct ranq_task_log *log, size_t max)
{
	size_t len;

	fflush(stdout);
	len = used(log);
	if (len)
		log->noisy = true;
	return len > max ? (struct ranq_bytes){log->data + len - max, max} : (struct ranq_bytes){log->data, len};
}

void ranq_task_log_check(struct ranq_task_log *log)
{
	if (used(log)) {
		log->noisy = true;
		ranq_task_log_start(log);
	}
}

/* executor.c - an executor's life: set up, take in messages, hand runs to executor_run.c. */
#include "exec/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/cache.h"
#include "exec/cpus.h"
#include "exec/oom.h"
#include "util/clock.h"

#define SOCKET_BYTES (1 << 20)
#define READ_BYTES (64u << 10)
#define FRAME_MAX (1u << 30)

static struct ranq_executor_job *find_job(struct ranq_executor *x, uint64_t id)
{
	struct ranq_executor_job *job;

	LIST_FOREACH(job, &x->jobs, link)
		if (job->id == id)
			return job;
	return NULL;
}

void ranq_executor_close_files(struct ranq_executor_job *job)
{
	if (job->module_fd >= 0)
		close(job->module_fd);
	if (job->data_fd >= 0)
		close(job->data_fd);
	job->module_fd = job->data_fd = -1;
}

static void drop_job(struct ranq_executor *x, struct ranq_executor_job *job)
{
	if (!job)
		return;
	if (job->opened)
		job->ops->close(x, job);
	LIST_REMOVE(job, link);
	if (x->entered == job)
		x->entered = NULL;
	ranq_executor_close_files(job);
	ranq_environment_clear(&job->env);
	ranq_spec_clear(&job->spec);
	free(job->id_text);
	free(job);
}

void ranq_executor_end(struct ranq_executor *x, int status)
{
	while (!LIST_EMPTY(&x->jobs))
		drop_job(x, LIST_FIRST(&x->jobs));
	ranq_cache_destroy(x->cache);
	ranq_offload_discard(x->spill);
	_exit(status);
}

/* The rank is built with us: what it sends is right, or memory was overwritten. Ending is all that is left; the rank
 * sees a death. */
_Noreturn static void broken(void)
{
	_exit(71);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static int take_fd(struct ranq_executor *x)
{
	int fd;

	if (!x->nin_fds)
		broken();
	fd = x->in_fds[0];
	x->nin_fds--;
	memmove(x->in_fds, x->in_fds + 1, x->nin_fds * sizeof *x->in_fds);
	return fd;
}

static void on_job(struct ranq_executor *x, struct ranq_reader *in)
{
	struct ranq_executor_job *job = calloc(1, sizeof *job);
	struct ranq_bytes id_text, spec;
	unsigned files;

	if (!job)
		broken();
	job->id = ranq_reader_varint(in);
	files = ranq_reader_byte(in);
	job->module_fd = files & RANQ_JOB_HAS_MODULE ? take_fd(x) : -1;
	job->data_fd = files & RANQ_JOB_HAS_DATA ? take_fd(x) : -1;
	id_text = ranq_reader_sized(in);
	spec = ranq_reader_sized(in);
	if (in->failed)
		broken();
	job->id_text = strndup(id_text.data ? id_text.data : "", id_text.len);
	if (!job->id_text || ranq_spec_unpack(spec.data, spec.len, &job->spec, NULL) < 0)
		broken();
	job->reduce = ranq_reduce_of(&job->spec);
	job->offload = ranq_offload_wanted(&job->spec);
	job->ops = job->spec.body == RANQ_BODY_COMMAND ? &ranq_command_ops : &ranq_function_ops;
	drop_job(x, find_job(x, job->id));
	LIST_INSERT_HEAD(&x->jobs, job, link);
}

/* A page of zeros is behind a file that ends with its last page, so that its text has its NUL. */
static void map_argument(struct ranq_run *run, int fd)
{
	struct stat st;
	void *room, *at;

	run->large = true;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		run->argument_len = (size_t)st.st_size;
		room = mmap(NULL, run->argument_len + 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		at = room == MAP_FAILED ? room
					: mmap(room, run->argument_len, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
		run->argument_errno = errno;
		if (at != MAP_FAILED)
			run->argument = at;
		else if (room != MAP_FAILED)
			munmap(room, run->argument_len + 1);
	} else {
		run->argument_errno = EIO;
	}
	close(fd);
}

static void run_clear(struct ranq_run *run)
{
	if (run->argument)
		munmap(run->argument, run->argument_len + 1);
	ranq_buf_clear(&run->input);
}

static void on_run(struct ranq_executor *x, struct ranq_reader *in)
{
	struct ranq_run *run = &x->runs[x->nruns];
	struct ranq_bytes input;
	unsigned flags;

	if (x->nruns == RANQ_WIRE_RUNS)
		broken();
	*run = (struct ranq_run){.number = ranq_reader_varint(in)};
	run->job = ranq_reader_varint(in);
	run->start = ranq_reader_varint(in);
	run->end = ranq_reader_varint(in);
	run->end_ms = ranq_wire_signed(in);
	run->tries = (unsigned)ranq_reader_varint(in);
	run->deaths = (unsigned)ranq_reader_varint(in);
	flags = ranq_reader_byte(in);
	run->merge = flags & RANQ_RUN_MERGES;
	if (flags & RANQ_RUN_HAS_ARGUMENT)
		map_argument(run, take_fd(x));
	run->input_base = ranq_reader_varint(in);
	input = ranq_reader_sized(in);
	ranq_buf_init(&run->input, 0);
	ranq_buf_add(&run->input, input.data, input.len);
	if (in->failed || ranq_buf_failed(&run->input))
		broken();
	run->next_index = run->input_base;
	if (!run->merge && input.len && ranq_input_reader_init(&run->reader, run->input.data, run->input.len, NULL) < 0)
		run->reader.left = 0;
	x->nruns++;
}

static void on_interrupt(struct ranq_executor *x, int sig, int64_t grace_ms)
{
	x->interrupt = (struct ranq_interrupt){.wanted = true, .sig = sig, .kill_ms = ranq_clock_ms() + grace_ms};
}

static void on_frame(struct ranq_executor *x, uint32_t type, const void *data, size_t len)
{
	struct ranq_reader in;
	uint64_t job;
	int sig;

	ranq_reader_init(&in, data, len);
	switch (type) {
	case RANQ_FRAME_JOB:
		on_job(x, &in);
		return;
	case RANQ_FRAME_RUN:
		on_run(x, &in);
		return;
	case RANQ_FRAME_DROP:
		drop_job(x, find_job(x, ranq_reader_varint(&in)));
		return;
	case RANQ_FRAME_CANCEL:
		job = ranq_reader_varint(&in);
		if (x->nruns && x->runs[0].job == job)
			on_interrupt(x, SIGTERM, ranq_wire_signed(&in));
		return;
	case RANQ_FRAME_WARN:
		sig = (int)ranq_reader_varint(&in);
		on_interrupt(x, sig, ranq_wire_signed(&in));
		return;
	default:
		broken();
	}
}

static void parse(struct ranq_executor *x)
{
	struct ranq_wire_head head;
	size_t at = 0;

	while (x->in.len - at >= sizeof head) {
		memcpy(&head, x->in.data + at, sizeof head);
		if (head.len > FRAME_MAX)
			broken();
		if (x->in.len - at - sizeof head < head.len)
			break;
		on_frame(x, head.type, x->in.data + at + sizeof head, head.len);
		at += sizeof head + head.len;
	}
	ranq_buf_drop(&x->in, at);
	ranq_wire_trim(&x->in);
}

/* The kernel joins nothing to the end of a message with descriptors: at most one message's arrive with one call. The
 * frame before it may be incomplete until this call, and its descriptors still wait then. */
static void keep_fds(struct ranq_executor *x, const int *fds, unsigned nfds)
{
	if (x->nin_fds + nfds > sizeof x->in_fds / sizeof *x->in_fds)
		broken();
	memcpy(x->in_fds + x->nin_fds, fds, nfds * sizeof *fds);
	x->nin_fds += nfds;
}

void ranq_executor_pump(struct ranq_executor *x, bool wait)
{
	int fds[RANQ_WIRE_FDS], flags = wait ? 0 : MSG_DONTWAIT;
	unsigned nfds;
	unsigned char *room;
	long n;

	for (;;) {
		room = ranq_buf_reserve(&x->in, READ_BYTES);
		if (!room)
			broken();
		n = ranq_wire_receive(x->fd, room, READ_BYTES, fds, &nfds, flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0)
			ranq_executor_end(x, 0);
		keep_fds(x, fds, nfds);
		x->in.len += (size_t)n;
		parse(x);
		flags = MSG_DONTWAIT;
		if ((size_t)n < READ_BYTES && !nfds && !x->in.len)
			return;
	}
}

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

static int put_core_count(const struct ranq_executor *x, struct ranq_environment *env, struct ranq_err *err)
{
	if (!x->ncores || ranq_environment_get(env, "OMP_NUM_THREADS"))
		return 0;
	return ranq_environment_printf(env, err, "OMP_NUM_THREADS=%u", x->ncores);
}

int ranq_executor_environment(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_err *err)
{
	struct ranq_environment *env = &job->env;
	const char *slash = strrchr(job->id_text, '/');
	size_t i;

	ranq_environment_clear(env);
	for (i = 0; environ[i]; i++)
		if (ranq_environment_put(env, environ[i], err) < 0)
			return -1;
	for (i = 0; i < job->spec.env.n; i++)
		if (strchr(job->spec.env.at[i], '=') && ranq_environment_put(env, job->spec.env.at[i], err) < 0)
			return -1;
	if (put_core_count(x, env, err) < 0 || ranq_environment_printf(env, err, "RANQ_JOB=%s", job->id_text) < 0 ||
		ranq_environment_printf(env, err, "RANQ_CPUS=%s", x->cpus) < 0 ||
		ranq_environment_printf(env, err, "RANQ_MARK=%s.%u.%u", x->mark, x->slot, x->id) < 0)
		return -1;
	if (!slash)
		return 0;
	return ranq_environment_printf(env, err, "RANQ_QUEUE=%.*s", (int)(slash - job->id_text), job->id_text);
}

int ranq_executor_enter(struct ranq_executor *x, const struct ranq_executor_job *job, struct ranq_err *err)
{
	const char *to = job->spec.cwd ? job->spec.cwd : x->home;

	if (x->entered == job)
		return 0;
	x->entered = NULL;
	if (to && chdir(to) < 0)
		return ranq_err_sys(err, "cannot enter directory '%s' on %s", to, x->host);
	x->entered = job;
	return 0;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void place(struct ranq_executor *x, const struct ranq_executor_options *options)
{
	char list[RANQ_WIRE_CPUS] = "";

	if (options->cpus)
		ranq_cpus_bind(options->cpus, NULL); /* a core that went offline: run where we may */
	ranq_cpus_prefer_node(options->numa_node);
	if (!options->cpus && ranq_cpus_current(list, sizeof list, NULL) < 0)
		list[0] = '\0';
	x->cpus = strdup(options->cpus ? options->cpus : list);
	x->ncores = options->ncores;
	if (!x->cpus)
		broken();
}

/* The three standard descriptors lead nowhere; what a body prints is redirected when it is opened. */
static void close_standard(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		broken();
	if (null > 2)
		close(null);
}

static void name_host(struct ranq_executor *x)
{
	const char *worker = getenv("RANQ_WORKER");

	if (gethostname(x->host, sizeof x->host) < 0)
		snprintf(x->host, sizeof x->host, "unknown host");
	x->host[sizeof x->host - 1] = '\0';
	snprintf(x->worker, sizeof x->worker, "%s", worker ? worker : "");
}

void ranq_executor_main(const struct ranq_executor_options *options)
{
	struct ranq_executor *x = calloc(1, sizeof *x);
	const char *mark = getenv("RANQ_MARK");
	int bytes = SOCKET_BYTES;

	if (!x)
		broken();
	LIST_INIT(&x->jobs);
	x->fd = options->fd;
	x->slot = options->slot;
	x->id = options->id;
	setsockopt(x->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	x->page = mmap(NULL, sizeof *x->page, PROT_READ | PROT_WRITE, MAP_SHARED, options->page_fd, 0);
	if (x->page == MAP_FAILED)
		broken();
	close(options->page_fd);
	close_standard();
	place(x, options);
	name_host(x);
	x->mark = strdup(mark ? mark : "");
	x->home = getcwd(NULL, 0);
	x->oom_kills = ranq_oom_kills();
	ranq_buf_init(&x->in, 0);
	ranq_buf_init(&x->numbers, 0);
	ranq_outbox_init(&x->out);
	if (!x->mark)
		broken();
	for (;;) {
		if (x->nruns < 2)
			ranq_executor_pump(x, !x->nruns);
		if (!x->nruns)
			continue;
		ranq_executor_work(x, &x->runs[0]);
		run_clear(&x->runs[0]);
		x->nruns--; /* owned pointers move along; the reader points into heap memory */
		memmove(x->runs, x->runs + 1, x->nruns * sizeof *x->runs);
	}
}

/* executor_function.c - the body is a function of a module. Between two tasks there is no system call: an empty task
 * costs some tens of ns. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec/cache.h"
#include "exec/executor.h"
#include "exec/memory.h"
#include "exec/task_log.h"
#include "ranq.h"
#include "record/rng.h"
#include "util/clock.h"

#define SCRATCH_KEEP (1u << 20)

struct block {
	struct block *next;
	_Alignas(max_align_t) unsigned char data[];
};

struct ranq_task {
	struct ranq_task_head head;
	struct ranq_executor *x;
	struct ranq_executor_job *job;
	const struct ranq_attempt *attempt;
	uint64_t index;
	ranq_body *body;
	/* result */
	unsigned char *data;
	size_t len, cap, max;
	bool too_large, out_of_memory, told /* that it should stop */;
	bool marked; /* the call did more than to give a result: `settle` has something to do behind it */
	char message[160];
	/* lazily made */
	bool has_arg, has_rng, has_stream;
	struct ranq_arg arg;
	struct ranq_rng rng, substream; /* the task's generator; where its present substream begins */
	struct ranq_rng stream;         /* the first state of task stream_index */
	uint64_t stream_index;
	unsigned char *scratch; /* kept for the next task */
	size_t scratch_cap;
	bool scratch_used;
	struct block *blocks; /* what did not fit there */
	/* of the job */
	const void *job_data;
	size_t job_data_len;
	void *state;
	void (*fini)(struct ranq_task *);
};

/* The module of this executor. It stays: dlopen of a reused /proc/self/fd/N would silently give the one before. The
 * rank sends jobs of other modules, or in another environment, to another executor. */
static void *module;
static bool module_fits;
/* A body called fork, and this is the child: it must not return into our loop and speak with the rank. */
static bool is_fork;

static void note_fork(void)
{
	is_fork = true;
}

/* ---- accessors (struct ranq_task_ops) ---------------------------------------------------------------------------- */

static uint64_t op_index(const struct ranq_task *task)
{
	return task->index;
}

static const char *op_arg(const struct ranq_task *task, size_t *len)
{
	struct ranq_task *t = (struct ranq_task *)(uintptr_t)task; /* the cache behind a read-only view */
	const char *text = "";

	if (t->attempt && t->attempt->run->argument) {
		if (len)
			*len = t->attempt->run->argument_len;
		return t->attempt->run->argument;
	}
	if (!t->has_arg && t->attempt && !ranq_executor_arg(t->job, t->attempt, &t->arg, NULL))
		t->has_arg = t->marked = true;
	if (t->has_arg && t->arg.whole)
		text = t->arg.whole;
	if (len)
		*len = strlen(text);
	return text;
}

static const void *op_data(const struct ranq_task *task, size_t *len)
{
	if (len)
		*len = task->job_data_len;
	return task->job_data;
}

static unsigned op_attempt(const struct ranq_task *task)
{
	return task->attempt ? task->attempt->attempt : 1;
}

/* Tasks come in rising order: a jump of one stream from the last that was used is much cheaper than the power of a
 * matrix. */
static void find_stream(struct ranq_task *task)
{
	if (task->has_stream && task->stream_index + 1 == task->index)
		ranq_rng_next_stream(&task->stream);
	else if (!task->has_stream || task->stream_index != task->index)
		ranq_rng_task(&task->stream, (uint32_t)task->job->spec.seed, task->index);
	task->has_stream = true;
	task->stream_index = task->index;
	task->rng = task->substream = task->stream;
	task->has_rng = task->marked = true;
}

static uint64_t op_seed(const struct ranq_task *task)
{
	return ranq_rng_seed_number((uint32_t)task->job->spec.seed, task->index);
}

static void op_set_seed(struct ranq_task *task, uint32_t seed)
{
	ranq_rng_seed(&task->rng, seed);
	task->substream = task->rng;
	task->has_rng = task->marked = true;
}

static void op_next_substream(struct ranq_task *task)
{
	if (!task->has_rng)
		find_stream(task);
	ranq_rng_next_substream(&task->substream);
	task->rng = task->substream;
}

static void op_stream(const struct ranq_task *task, uint32_t state[6])
{
	struct ranq_rng rng;

	ranq_rng_task(&rng, (uint32_t)task->job->spec.seed, task->index);
	memcpy(state, rng.s, sizeof rng.s);
}

static double op_unif(struct ranq_task *task)
{
	if (!task->has_rng)
		find_stream(task);
	return ranq_rng_unif(&task->rng);
}

static double op_norm(struct ranq_task *task)
{
	if (!task->has_rng)
		find_stream(task);
	return ranq_rng_norm(&task->rng);
}

static void *scratch_block(struct ranq_task *task, size_t bytes)
{
	struct block *block = bytes > SIZE_MAX - sizeof *block ? NULL : calloc(1, sizeof *block + bytes);

	if (!block)
		return NULL;
	block->next = task->blocks;
	task->blocks = block;
	task->marked = true;
	return block->data;
}

static void *op_scratch(struct ranq_task *task, size_t bytes)
{
	if (task->scratch_used || bytes > SCRATCH_KEEP)
		return scratch_block(task, bytes);
	if (bytes > task->scratch_cap) {
		free(task->scratch);
		task->scratch = malloc(bytes);
		task->scratch_cap = task->scratch ? bytes : 0;
		if (!task->scratch)
			return NULL;
	}
	task->scratch_used = task->marked = true;
	return task->scratch ? memset(task->scratch, 0, bytes) : scratch_block(task, bytes);
}

static bool is_timed_out(const struct ranq_executor *x, const struct ranq_attempt *attempt)
{
	return atomic_load_explicit(&x->page->timed_out, memory_order_relaxed) == attempt->seq;
}

static int op_cancelled(const struct ranq_task *task)
{
	const struct ranq_attempt *attempt = task->attempt;

	if (!attempt)
		return 0;
	if (ranq_run_stopped(task->x, attempt->run)) {
		struct ranq_task *t = (struct ranq_task *)(uintptr_t)task;

		t->told = t->marked = true;
		return 1;
	}
	return is_timed_out(task->x, attempt);
}

static double op_time_left(const struct ranq_task *task)
{
	int64_t end_ms = task->attempt ? task->attempt->run->end_ms : RANQ_NEVER;

	return end_ms == RANQ_NEVER ? INFINITY : (double)(end_ms - ranq_clock_ms()) / 1000.0;
}

static int grow_result(struct ranq_task *task, size_t len)
{
	size_t cap = task->cap + task->cap / 2;
	unsigned char *data;

	task->marked = true;
	if (len > task->max) {
		task->too_large = true;
		return -1;
	}
	if (cap < len)
		cap = len;
	data = realloc(task->data, cap);
	if (!data) {
		task->out_of_memory = true;
		return -1;
	}
	task->data = data;
	task->cap = cap;
	return 0;
}

/* Apart, so that the common way through op_give saves no registers; likewise `explain`. */
static RANQ_RARE int give_any(struct ranq_task *task, const void *data, size_t len)
{
	if ((len > task->cap || len > task->max) && grow_result(task, len) < 0)
		return -1;
	if (len)
		memcpy(task->data, data, len);
	task->len = len;
	task->too_large = task->out_of_memory = false;
	return 0;
}

static int op_give(struct ranq_task *task, const void *data, size_t len)
{
	if (len != sizeof(double) || task->cap < sizeof(double) || task->max < sizeof(double))
		return give_any(task, data, len);
	memcpy(task->data, data, sizeof(double));
	task->len = sizeof(double);
	task->too_large = task->out_of_memory = false;
	return 0;
}

static int op_fail(struct ranq_task *task, const char *message)
{
	snprintf(task->message, sizeof task->message, "%s", message ? message : "");
	task->marked = true;
	return 1;
}

static void *op_state(const struct ranq_task *task)
{
	return task->state;
}

static void op_set_state(struct ranq_task *task, void *state)
{
	task->state = state;
}

static void *op_cache_get(struct ranq_task *task, const char *name, size_t *bytes)
{
	task->marked = true;
	return ranq_cache_get(task->x->cache, name, bytes);
}

static int op_cache_put(struct ranq_task *task, const char *name, void *value, size_t bytes, void (*destroy)(void *))
{
	task->marked = true;
	return ranq_cache_put(task->x->cache, name, value, bytes, destroy);
}

static int op_cache_copy(struct ranq_task *task, const char *name, const void *data, size_t len)
{
	task->marked = true;
	return ranq_cache_copy(task->x->cache, name, data, len);
}

static void op_cache_limit(struct ranq_task *task, size_t bytes)
{
	ranq_cache_limit(task->x->cache, bytes);
}

static const struct ranq_task_ops task_ops = {
	.abi = RANQ_MODULE_ABI,
	.size = sizeof(struct ranq_task_ops),
	.index = op_index,
	.arg = op_arg,
	.data = op_data,
	.attempt = op_attempt,
	.unif = op_unif,
	.norm = op_norm,
	.scratch = op_scratch,
	.cancelled = op_cancelled,
	.time_left = op_time_left,
	.give = op_give,
	.fail_with = op_fail,
	.state = op_state,
	.set_state = op_set_state,
	.seed = op_seed,
	.set_seed = op_set_seed,
	.next_substream = op_next_substream,
	.stream = op_stream,
	.cache_get = op_cache_get,
	.cache_put = op_cache_put,
	.cache_copy = op_cache_copy,
	.cache_limit = op_cache_limit,
};

/* ---- one call ---------------------------------------------------------------------------------------------------- */

/* Behind each call that left a mark: nothing of it reaches the next one. */
static RANQ_RARE void clean(struct ranq_task *task)
{
	struct block *block;

	if (task->has_arg)
		ranq_arg_clear(&task->arg);
	while ((block = task->blocks)) {
		task->blocks = block->next;
		free(block);
	}
	task->has_arg = task->has_rng = task->scratch_used = false;
	task->too_large = task->out_of_memory = task->told = task->marked = false;
	task->message[0] = '\0';
	ranq_cache_begin(task->x->cache);
}

static RANQ_RARE void explain(struct ranq_task *task, int rc, struct ranq_outcome *out)
{
	char text[32];

	out->exit_code = rc;
	out->signal = 0;
	out->err_tail = ranq_task_log_tail(task->x->log, RANQ_ERR_TAIL_BYTES);
	if (is_timed_out(task->x, task->attempt)) {
		out->status = RANQ_TASK_TIMEOUT;
		snprintf(out->reason, sizeof out->reason, "timed out after %s",
			ranq_duration_format((int64_t)task->job->spec.timeout_ms, text));
	} else if (rc && task->told) {
		out->status = RANQ_TASK_CANCELLED;
		out->interrupted = true;
	} else if (rc && task->message[0]) {
		ranq_outcome_error(out, rc, "%s", task->message);
	} else if (rc) {
		ranq_outcome_error(out, rc, "the function returned %d", rc);
	} else if (task->too_large) {
		ranq_outcome_error(out, 1, "result exceeds %s (--max-output)", ranq_size_format(task->max, text));
	} else {
		ranq_outcome_error(out, 1, "out of memory for the result");
	}
}

/* A function that failed may have left much behind: then the tasks after it get a fresh process. */
static RANQ_RARE void look_at_memory(struct ranq_executor *x, uint64_t limit, struct ranq_outcome *out)
{
	uint64_t used = ranq_memory_used();

	if (used <= limit / 2)
		return;
	ranq_memory_explain(out->reason, limit, "in use", used);
	x->worn = true;
}

static inline int call(struct ranq_task *task, const struct ranq_attempt *attempt)
{
	int rc;

	task->attempt = attempt;
	task->index = attempt->index;
	task->len = 0;
	rc = task->body(task);
	if (is_fork)
		_exit(rc);
	return rc;
}

/* Did the call nothing but give a result? */
static inline bool is_plain(const struct ranq_task *task, const struct ranq_attempt *attempt, int rc)
{
	return !rc && !task->marked && !is_timed_out(task->x, attempt);
}

static RANQ_RARE void settle(struct ranq_task *task, const struct ranq_attempt *attempt, int rc, struct ranq_outcome *out)
{
	uint64_t limit = task->job->spec.memory;

	if (rc || task->too_large || task->out_of_memory || is_timed_out(task->x, attempt))
		explain(task, rc, out);
	if (limit && out->status == RANQ_TASK_ERROR)
		look_at_memory(task->x, limit, out);
	clean(task);
}

static void function_run(struct ranq_executor *x, struct ranq_executor_job *job, const struct ranq_attempt *attempt,
	struct ranq_outcome *out)
{
	struct ranq_task *task = job->body;
	int rc;

	ranq_task_log_start(x->log);
	if (job->spec.memory)
		ranq_memory_enter(job->spec.memory);
	rc = call(task, attempt);
	if (job->spec.memory)
		ranq_memory_leave();
	out->data = task->data;
	out->len = task->len;
	if (!is_plain(task, attempt, rc))
		settle(task, attempt, rc, out);
	task->attempt = NULL;
}

/* What function_run and its caller do for a task of which only its result is left. */
static bool function_burst(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_attempt *attempt,
	struct ranq_outcome *out, struct ranq_look *look)
{
	struct ranq_task *task = job->body;
	struct ranq_run *run = attempt->run;
	int rc;

	out->status = RANQ_TASK_OK;
	out->interrupted = out->in_file = out->in_slices = false;
	while (attempt->index < run->end && ranq_executor_claim(x, run, attempt->index)) {
		attempt->seq = x->seq;
		rc = call(task, attempt);
		out->data = task->data;
		out->len = task->len;
		if (!is_plain(task, attempt, rc))
			settle(task, attempt, rc, out);
		ranq_executor_end_task(x);
		if (out->status != RANQ_TASK_OK || !ranq_outbox_add_small(&x->out, job, out->data, out->len))
			return true;
		attempt->index++;
		attempt->attempt = 1;
		if (ranq_look_due(look, x, job))
			break;
	}
	task->attempt = NULL;
	return false;
}

/* ---- job --------------------------------------------------------------------------------------------------------- */

static int load(const struct ranq_executor_job *job, struct ranq_err *err)
{
	char path[64];
	const char *name = job->spec.module_path;
	const uint32_t *abi;

	if (module_fits)
		return 0;
	if (pthread_atfork(NULL, NULL, note_fork) != 0)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (job->module_fd >= 0) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", job->module_fd);
		name = path;
	}
	if (!name)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the module of this job did not arrive");
	module = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return ranq_err_set(err, RANQ_ERR_INPUT, "cannot load the module: %.120s", dlerror());
	abi = dlsym(module, "ranq_module_abi");
	if (!abi)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the module does not say RANQ_MODULE: not built for ranq");
	if (*abi != RANQ_MODULE_ABI)
		return ranq_err_set(err, RANQ_ERR_INPUT, "the module has ABI %u, this ranq has %u: build it again",
			(unsigned)*abi, RANQ_MODULE_ABI);
	module_fits = true;
	return 0;
}

static int map_data(struct ranq_task *task, int fd, struct ranq_err *err)
{
	struct stat st;
	void *data;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return ranq_err_sys(err, "cannot look at the job data");
	if (!st.st_size)
		return 0;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return ranq_err_sys(err, "cannot map the job data");
	task->job_data = data;
	task->job_data_len = (size_t)st.st_size;
	return 0;
}

/* ISO C has no cast from object to function pointer; POSIX promises that the bytes are the same. */
static void take_symbol(const char *name, void *function)
{
	void *symbol = dlsym(module, name);

	memcpy(function, &symbol, sizeof symbol);
}

static int run_init(struct ranq_task *task, struct ranq_err *err)
{
	int (*init)(struct ranq_task *) = NULL;
	int rc;

	take_symbol("ranq_module_init", &init);
	take_symbol("ranq_module_fini", &task->fini);
	if (!init)
		return 0;
	if (task->job->spec.memory)
		ranq_memory_enter(task->job->spec.memory);
	rc = init(task);
	if (task->job->spec.memory)
		ranq_memory_leave();
	if (rc && task->message[0])
		ranq_err_set(err, RANQ_ERR_INPUT, "%s", task->message);
	else if (rc)
		ranq_err_set(err, RANQ_ERR_INPUT, "ranq_module_init returned %d", rc);
	clean(task);
	if (!rc)
		return 0;
	task->fini = NULL;
	return -1;
}

static void task_destroy(struct ranq_task *task)
{
	if (task->job_data)
		munmap((void *)(uintptr_t)task->job_data, task->job_data_len);
	free(task->data);
	free(task->scratch);
	free(task);
}

/* The first job's environment becomes that of the process for good: a module may keep pointers into it. */
static int use_environment(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_err *err)
{
	const char *queue;

	if (ranq_executor_environment(x, job, err) < 0)
		return -1;
	if (!module) {
		environ = job->env.at;
		job->env = (struct ranq_environment){0};
		return 0;
	}
	queue = ranq_environment_get(&job->env, "RANQ_QUEUE");
	setenv("RANQ_JOB", job->id_text, 1);
	return queue ? setenv("RANQ_QUEUE", queue, 1) : 0;
}

static int find_reducer(struct ranq_executor_job *job, struct ranq_err *err)
{
	take_symbol(job->spec.reduce, &job->reduce.function);
	if (job->reduce.function)
		return 0;
	return ranq_err_set(err, RANQ_ERR_INPUT, "the module has no reduce function '%s'", job->spec.reduce);
}

static int function_open(struct ranq_executor *x, struct ranq_executor_job *job, struct ranq_err *err)
{
	struct ranq_task *task;

	if (use_environment(x, job, err) < 0 || (!x->log && !(x->log = ranq_task_log_open(err))) || load(job, err) < 0)
		return -1;
	if (!x->cache)
		x->cache = ranq_cache_create();
	task = x->cache ? calloc(1, sizeof *task) : NULL;
	if (!task)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	task->head.ops = &task_ops;
	task->x = x;
	task->job = job;
	task->max = job->spec.max_output;
	take_symbol(job->spec.function, &task->body);
	if (!task->body)
		ranq_err_set(err, RANQ_ERR_INPUT, "the module has no function '%s'", job->spec.function);
	else if (job->reduce.kind == RANQ_REDUCE_FUNCTION && find_reducer(job, err) < 0)
		task->body = NULL;
	/* who only joins results runs no task: neither data nor init are for him */
	if (!task->body || (!job->merges && (map_data(task, job->data_fd, err) < 0 || run_init(task, err) < 0))) {
		task_destroy(task);
		return -1;
	}
	job->body = task;
	return 0;
}

static void function_close(struct ranq_executor *x, struct ranq_executor_job *job)
{
	struct ranq_task *task = job->body;

	(void)x;
	if (task->fini)
		task->fini(task);
	clean(task);
	task_destroy(task);
}

const struct ranq_body_kind_ops ranq_function_ops = {function_open, function_run, function_close, function_burst};

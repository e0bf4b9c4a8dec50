/* Functions that return what a task sees. */
#include <stdio.h>
#include <stdlib.h>

#include <ranq.h>

RANQ_MODULE;

struct calls {
	int inits, tasks;
};

int ranq_module_init(struct ranq_task *task)
{
	struct calls *calls = calloc(1, sizeof *calls);

	if (!calls)
		return ranq_task_fail(task, "out of memory");
	calls->inits++;
	ranq_task_set_state(task, calls);
	return 0;
}

void ranq_module_fini(struct ranq_task *task)
{
	free(ranq_task_state(task));
}

int see_arg(struct ranq_task *task)
{
	size_t len;
	const char *arg = ranq_task_arg(task, &len);

	return ranq_task_return(task, arg, len);
}

int see_data(struct ranq_task *task)
{
	size_t len = 0;
	const void *data = ranq_task_data(task, &len);

	return ranq_task_return(task, data, len);
}

/* Two uniform and two normal draws. */
int see_random(struct ranq_task *task)
{
	double x[4];

	x[0] = ranq_task_unif(task);
	x[1] = ranq_task_unif(task);
	x[2] = ranq_task_norm(task);
	x[3] = ranq_task_norm(task);
	return ranq_task_return_doubles(task, x, 4);
}

/* "1 12": init was called once, this is the twelfth task of this executor. */
int see_calls(struct ranq_task *task)
{
	struct calls *calls = ranq_task_state(task);
	char text[64];

	calls->tasks++;
	snprintf(text, sizeof text, "%d %d", calls->inits, calls->tasks);
	return ranq_task_return_string(task, text);
}

/* An environment variable, named by the argument. */
int see_env(struct ranq_task *task)
{
	const char *value = getenv(ranq_task_arg(task, NULL));

	return ranq_task_return_string(task, value ? value : "(unset)");
}

/* Scratch memory must be zero each time. */
int see_scratch(struct ranq_task *task)
{
	unsigned char *bytes = ranq_task_scratch(task, 4096);
	size_t i;

	if (!bytes)
		return ranq_task_fail(task, "no scratch memory");
	for (i = 0; i < 4096; i++) {
		if (bytes[i])
			return ranq_task_fail(task, "scratch memory is not zero");
		bytes[i] = 0xff;
	}
	return ranq_task_return_string(task, "zero");
}

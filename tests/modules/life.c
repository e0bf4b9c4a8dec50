/* What lives longer than a task: init and fini, children, directories. Where a file is needed, its name is the job
 * data. */
#include <ranq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int which_process(struct ranq_task *task);
int leaves_child(struct ranq_task *task);
int both_return(struct ranq_task *task);
int ranq_module_init(struct ranq_task *task);
void ranq_module_fini(struct ranq_task *task);

static void note(const struct ranq_task *task, const char *what)
{
	char path[256] = "";
	size_t len;
	const char *data = ranq_task_data(task, &len);
	FILE *file;

	if (!len || len >= sizeof path)
		return;
	memcpy(path, data, len);
	file = fopen(path, "a");
	if (!file)
		return;
	fprintf(file, "%s\n", what);
	fclose(file);
}

int ranq_module_init(struct ranq_task *task)
{
	ranq_task_set_state(task, strdup("state"));
	note(task, "init");
	return 0;
}

void ranq_module_fini(struct ranq_task *task)
{
	note(task, "fini");
	free(ranq_task_state(task));
}

int which_process(struct ranq_task *task)
{
	if (!ranq_task_state(task))
		return 1;
	return ranq_task_return_int64(task, getpid());
}

/* Its child would wait for ever; it ends as if nothing were wrong. */
int leaves_child(struct ranq_task *task)
{
	char text[32];
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	snprintf(text, sizeof text, "%ld", (long)pid);
	note(task, text);
	exit(0);
}

int both_return(struct ranq_task *task)
{
	fork();
	return ranq_task_return_int64(task, getpid());
}

RANQ_MODULE;

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
int cached(struct ranq_task *task);
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

/* By the file of the test, which begins with a line of its own then. */
static int says_endless(const struct ranq_task *task)
{
	char path[256] = "", text[16] = "";
	size_t len;
	const char *data = ranq_task_data(task, &len);
	FILE *file;

	if (len && len < sizeof path)
		memcpy(path, data, len);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (!fgets(text, sizeof text, file))
		text[0] = '\0';
	fclose(file);
	return !strcmp(text, "endless\n");
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
	while (says_endless(task))
		pause();
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

static char notes[256];

static void destroyed(void *value)
{
	FILE *file = fopen(notes, "a");

	if (!file)
		return;
	fprintf(file, "%s gone\n", (char *)value);
	fclose(file);
}

/* Makes "A" unless it is there, and a smaller thing for each task, more than there is room for. */
int cached(struct ranq_task *task)
{
	char name[32];
	size_t bytes;
	const char *a = ranq_task_cache_get(task, "A", &bytes);
	int64_t i = (int64_t)ranq_task_index(task), before = -1;

	if (!a) {
		note(task, "make A");
		snprintf(notes, sizeof notes, "%.*s", 255, (const char *)ranq_task_data(task, NULL));
		ranq_task_cache_limit(task, 2000000);
		if (ranq_task_cache_put(task, "A", "A", 1000000, destroyed) < 0)
			return 1;
	} else if (bytes != 1000000 || a[0] != 'A') {
		return 2;
	}
	snprintf(name, sizeof name, "%lld", (long long)i - 1);
	a = ranq_task_cache_get(task, name, &bytes);
	if (a)
		memcpy(&before, a, sizeof before);
	snprintf(name, sizeof name, "%lld", (long long)i);
	if (ranq_task_cache_copy(task, name, &i, sizeof i) < 0)
		return 3;
	if (i >= 5 && ranq_task_cache_put(task, "too much", "", 1500000, NULL) == 0)
		return 4;
	return ranq_task_return_int64(task, before);
}

RANQ_MODULE;

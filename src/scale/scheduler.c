/* scheduler.c - what the drivers share. */
#include "scale/scheduler.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *ranq_sched_state_name(enum ranq_sched_state state)
{
	static const char *const names[] = {"pending", "running", "ending", "ended", "failed"};
	return names[state];
}

void ranq_sched_list_clear(struct ranq_sched_list *list)
{
	free(list->jobs);
	*list = (struct ranq_sched_list){0};
}

struct ranq_sched_job *ranq_sched_list_add(struct ranq_sched_list *list)
{
	if (list->n >= RANQ_SCHED_JOBS_MAX)
		return NULL;
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		struct ranq_sched_job *jobs = realloc(list->jobs, cap * sizeof *jobs);
		if (!jobs)
			return NULL;
		list->jobs = jobs;
		list->cap = cap;
	}
	struct ranq_sched_job *job = &list->jobs[list->n++];
	memset(job, 0, sizeof *job);
	return job;
}

void ranq_tool_result_clear(struct ranq_tool_result *result)
{
	ranq_buf_clear(&result->out);
	ranq_buf_clear(&result->err);
}

void ranq_sched_text(char *into, size_t size, const char *text, size_t len)
{
	size_t n = len < size - 1 ? len : size - 1;
	for (size_t i = 0; i < n; i++)
		into[i] = (unsigned char)text[i] < 32 || text[i] == 127 ? ' ' : text[i];
	while (n > 0 && into[n - 1] == ' ')
		n--;
	into[n] = '\0';
}

/* "sbatch: error: Batch job submission failed: Invalid partition" -> "Batch job submission failed: ..." */
static const char *skip_program(const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	if (!colon || colon[1] != ' ' || memchr(line, ' ', (size_t)(colon - line)))
		return line;
	line = colon + 2;
	return (size_t)(end - line) > 7 && memcmp(line, "error: ", 7) == 0 ? line + 7 : line;
}

#define WORDS_LINES 3

static bool first_words(struct ranq_buf *from, char *text, size_t size)
{
	const char *at = ranq_buf_cstr(from);
	unsigned lines = 0;
	size_t used = 0;
	*text = '\0';
	for (size_t len; *at && lines < WORDS_LINES; at += len + (at[len] == '\n')) {
		len = strcspn(at, "\n");
		bool letters = false;
		for (size_t i = 0; i < len; i++)
			letters = letters || isalpha((unsigned char)at[i]);
		if (!letters || used + 3 >= size)
			continue;
		const char *words = skip_program(at, at + len);
		if (lines++) {
			memcpy(text + used, "; ", 2);
			used += 2;
		}
		ranq_sched_text(text + used, size - used, words, (size_t)(at + len - words));
		used += strlen(text + used);
	}
	return lines > 0;
}

void ranq_tool_words(struct ranq_tool_result *result, char *text, size_t size)
{
	if (!first_words(&result->err, text, size) && !first_words(&result->out, text, size))
		ranq_sched_text(text, size, "it says nothing", strlen("it says nothing"));
}

bool ranq_sched_id_ok(const char *id)
{
	size_t len = strlen(id);
	return len > 0 && len <= RANQ_SCHED_ID_MAX && isalnum((unsigned char)*id) &&
	       strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-+[]") == len;
}

int64_t ranq_sched_time_iso(const char *text)
{
	struct tm when = {.tm_isdst = -1};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &when);
	time_t at = end && *end == '\0' ? mktime(&when) : (time_t)-1;
	return at == (time_t)-1 ? 0 : (int64_t)at * 1000;
}

bool ranq_sched_token_of_log(const char *path, char token[RANQ_SCHED_TOKEN_MAX + 1])
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	size_t len = strlen(base);
	if (len < 5 || len - 4 > RANQ_SCHED_TOKEN_MAX || strcmp(base + len - 4, ".log") != 0)
		return false;
	memcpy(token, base, len - 4);
	token[len - 4] = '\0';
	return true;
}

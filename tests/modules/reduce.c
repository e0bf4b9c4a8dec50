/* Results that are reduced: doubles whose sum depends on the grouping, and reduce functions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ranq.h>

RANQ_MODULE;

static double term_of(uint64_t index)
{
	double x = (double)(index * 2654435761u % 1000003) / 7;

	return index % 3 ? x : -x * 1e-9;
}

int term(struct ranq_task *task)
{
	return ranq_task_return_double(task, term_of(ranq_task_index(task)));
}

/* The same, a millisecond each. */
int slow_term(struct ranq_task *task)
{
	struct timespec left = {0, 1000000};

	while (nanosleep(&left, &left) < 0)
		;
	return term(task);
}

/* One task in ten fails. */
int some_fail(struct ranq_task *task)
{
	if (ranq_task_index(task) % 10 == 3)
		return ranq_task_fail(task, "three");
	return ranq_task_return_int64(task, 1);
}

/* Its index as a text, and a reduce function that joins texts: it is not commutative. */
int word(struct ranq_task *task)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%llu ", (unsigned long long)ranq_task_index(task));

	return ranq_task_return(task, text, (size_t)n);
}

int join_words(struct ranq_partial *into, const void *value, size_t len)
{
	size_t at = into->len;

	if (into->resize(into, at + len))
		return 1;
	memcpy((char *)into->data + at, value, len);
	return 0;
}

/* A histogram of 1024 bins: a result that is larger than a number. */
int histogram(struct ranq_task *task)
{
	int64_t *bins = ranq_task_scratch(task, 1024 * sizeof *bins);

	if (!bins)
		return 1;
	bins[ranq_task_index(task) % 1024] = 1;
	return ranq_task_return(task, bins, 1024 * sizeof *bins);
}

/* Reduce functions that go wrong. */
int refuse(struct ranq_partial *into, const void *value, size_t len)
{
	(void)into;
	(void)value;
	(void)len;
	return 1;
}

int crash_at_505(struct ranq_partial *into, const void *value, size_t len)
{
	double x;

	memcpy(&x, value, sizeof x);
	if (x == term_of(505))
		abort();
	(void)into;
	return len == sizeof x ? 0 : 1;
}

/* Adds histograms. */
int add_bins(struct ranq_partial *into, const void *value, size_t len)
{
	int64_t *to = into->data;
	const int64_t *from = value;
	size_t i;

	if (len != into->len)
		return 1;
	for (i = 0; i < len / sizeof *to; i++)
		to[i] += from[i];
	return 0;
}

/* An executor that only joins what others have made runs no init, and a program that reads is no worker. */
static int has_tasks;

int ranq_module_init(struct ranq_task *task)
{
	(void)task;
	has_tasks = 1;
	return 0;
}

static int only_merges(void)
{
	return !has_tasks && getenv("RANQ_WORKER");
}

/* The same, where workers die of merges, or never come back from them; who reads is spared. */
int crash_in_merges(struct ranq_partial *into, const void *value, size_t len)
{
	if (only_merges())
		abort();
	return add_bins(into, value, len);
}

int hang_in_merges(struct ranq_partial *into, const void *value, size_t len)
{
	struct timespec hour = {3600, 0};

	if (only_merges())
		nanosleep(&hour, NULL);
	return add_bins(into, value, len);
}

/* A histogram, a millisecond each. */
int slow_histogram(struct ranq_task *task)
{
	struct timespec left = {0, 1000000};

	while (nanosleep(&left, &left) < 0)
		;
	return histogram(task);
}

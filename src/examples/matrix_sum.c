/* matrix_sum.c - the sum of one part of a matrix, in two ways.
 *
 *     ranq run --module matrix_sum.so --function matrix_sum --as double ::: "1 2 3" "4 5 6"
 *     ranq run --module matrix_sum.so --function matrix_part --as double --data matrix.txt --range 0-1
 *
 * matrix_sum: the argument is the part, so that a worker gets what it works on and nothing else (programs/matrix_sum.c).
 * matrix_part: the job data is all of the matrix; what a part was parsed to is kept for the next job that wants it, and
 * the result is its sum and whether it was there already (programs/matrix_cache.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ranq.h>

RANQ_MODULE;

int matrix_sum(struct ranq_task *task)
{
	const char *at = ranq_task_arg(task, NULL);
	double sum = 0;

	for (;;) {
		char *end;
		double x = strtod(at, &end);

		if (end == at)
			break;
		sum += x;
		at = end;
	}
	at += strspn(at, " ");
	return *at ? ranq_task_fail(task, "the argument holds something that is no number")
		   : ranq_task_return_double(task, sum);
}

#define PARTS 2
#define NUMBERS_MAX 1000000

/* Part k of the numbers in the job data, parsed into scratch memory; their number. */
static size_t parse_part(struct ranq_task *task, uint64_t k, double **numbers)
{
	size_t len = 0, n = 0;
	const char *data = ranq_task_data(task, &len);
	char *text = data ? strndup(data, len) : NULL, *at = text, *end = text;

	*numbers = text ? ranq_task_scratch(task, NUMBERS_MAX * sizeof **numbers) : NULL;
	while (*numbers && n < NUMBERS_MAX) {
		(*numbers)[n] = strtod(at, &end);
		if (end == at)
			break;
		at = end;
		n++;
	}
	free(text);
	if (!*numbers)
		return 0;
	*numbers += k * (n / PARTS);
	return n / PARTS;
}

int matrix_part(struct ranq_task *task)
{
	double result[2] = {0, 1}, *numbers;
	uint64_t k = ranq_task_index(task);
	size_t bytes;
	char name[16];

	if (k >= PARTS)
		return ranq_task_fail(task, "there are two parts");
	snprintf(name, sizeof name, "A%d", (int)k + 1);
	numbers = ranq_task_cache_get(task, name, &bytes);
	if (!numbers) {
		bytes = parse_part(task, k, &numbers) * sizeof *numbers;
		if (!bytes)
			return ranq_task_fail(task, "no memory, or no numbers in the job data (--data)");
		ranq_task_cache_copy(task, name, numbers, bytes);
		result[1] = 0;
	}
	for (size_t i = 0; i < bytes / sizeof *numbers; i++)
		result[0] += numbers[i];
	return ranq_task_return_doubles(task, result, 2);
}

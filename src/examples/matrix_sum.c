/* matrix_sum.c - the sum of one part of a matrix. Its argument is the part: numbers with blanks between them.
 *
 *     ranq run --module matrix_sum.so --function matrix_sum --as double ::: "1 2 3" "4 5 6"
 *
 * A worker gets the parts that it works on and nothing else; programs/matrix_sum.c sends them. */
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

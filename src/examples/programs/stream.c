/* stream.c - tasks from a file of any size, or from a pipe that is still being written (listing 6 of the vignette of
 * doRedis 1.2: streaming).
 *
 *     stream COMMAND [ARG]... <FILE
 *
 * Runs the command for each line of standard input ({} is the line, else it is appended) and prints the outputs in the
 * order of the lines. The first tasks run before the last line is there; the queue holds at most 64 MiB of lines that
 * nobody has begun. Unlike in doRedis, workers may die. */
#include <stdio.h>

#include <ranq.h>

#include "beside.h"

static int print(void *user, const struct ranq_value *values, size_t n)
{
	(void)user;
	for (size_t i = 0; i < n; i++)
		if (values[i].len && fwrite(values[i].data, values[i].len, 1, stdout) != 1)
			return -1;
	return fflush(stdout);
}

int main(int argc, char **argv)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	struct ranq *queue = ranq_open(NULL, NULL);

	if (!queue)
		return failed("stream");
	if (argc < 2) {
		fprintf(stderr, "usage: stream COMMAND [ARG]... <FILE\n");
		return 2;
	}
	each.job.command = (const char *const *)(argv + 1);
	each.job.arg_file = "-";
	each.combine = print;
	each.batch = 1000;
	each.bar = 1;
	if (ranq_foreach(queue, &each) != 1)
		return failed("stream");
	ranq_close(queue);
	return 0;
}

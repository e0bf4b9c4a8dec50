/* bench-bare TASKS - /bin/true with captured output by two bare loops at the same time: what the machine can do. */
#include "benchmarks/bare.h"

int main(int argc, char **argv)
{
	uint64_t tasks = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	double start = bench_now_s();
	pid_t other = tasks ? fork() : -1;
	int status = 0;

	if (other < 0)
		bench_die(2, "usage: bench-bare TASKS");
	bench_bare_commands(other ? tasks - tasks / 2 : tasks / 2);
	if (!other)
		return 0;
	if (waitpid(other, &status, 0) != other || status)
		return BENCH_WRONG;
	bench_print("commands", "", (double)tasks / (bench_now_s() - start), "tasks/s", "higher");
	return 0;
}

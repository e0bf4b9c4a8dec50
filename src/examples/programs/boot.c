/* boot.c - a parallel boot with a combine function of its own (listing 3 of the vignette of doRedis 1.2, listing 6 of
 * the older one): bootForEach(city, ratio, R = 999, stype = "w", chunks = 8).
 *
 *     boot [CHUNKS]
 *
 * The replicates are spread over the chunks; combine appends those of each chunk to the first one, which was computed
 * here, as they come. */
#include <stdio.h>
#include <stdlib.h>

#include <ranq.h>

#include "beside.h"

#define R 999
#define CHUNKS_MAX 998

struct boot {
	double t0, t[R]; /* of the data itself; of the replicates */
	size_t n;
};

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int combo(void *user, const struct ranq_value *values, size_t n)
{
	struct boot *out = user;

	for (size_t i = 0; i < n; i++)
		out->n += ranq_value_doubles(&values[i], out->t + out->n, R - out->n);
	return out->n > R;
}

static int print(void *user)
{
	struct boot *out = user;

	qsort(out->t, out->n, sizeof *out->t, by_size);
	printf("t0 %.7f, %zu replicates, 95%% of them from %.4f to %.4f\n", out->t0, out->n, out->t[24], out->t[974]);
	return 0;
}

/* The initial value: the statistic of the data itself is the first replicate. */
static void init(struct boot *out, const char *city)
{
	double u, x, us = 0, xs = 0;
	int used;

	for (; sscanf(city, "%lf %lf%n", &u, &x, &used) == 2; city += used) {
		us += u;
		xs += x;
	}
	out->t0 = out->t[out->n++] = xs / us;
}

int main(int argc, char **argv)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	static char city[65536], texts[CHUNKS_MAX][8];
	static const char *args[CHUNKS_MAX];
	static struct boot out;
	int chunks = argc > 1 ? atoi(argv[1]) : 8;
	FILE *file = fopen(beside("city.txt"), "r");
	struct ranq *queue = ranq_open(NULL, NULL);

	if (!queue)
		return failed("boot");
	if (!file || chunks < 1 || chunks > CHUNKS_MAX) {
		fprintf(stderr, "usage: boot [CHUNKS]\n");
		return 2;
	}
	each.job.data_bytes = fread(city, 1, sizeof city - 1, file);
	each.job.data = city;
	fclose(file);
	init(&out, city);
	for (int j = 0; j < chunks; j++) {
		int last = j == chunks - 1;

		snprintf(texts[j], sizeof texts[j], "%d", (R - 1) / chunks + (last ? (R - 1) % chunks : 0));
		args[j] = texts[j];
	}
	each.job.module = beside("boot.so");
	each.job.function = "boot";
	each.job.args = args;
	each.job.tasks = (uint64_t)chunks;
	each.job.seed = 1;
	each.job.has_seed = 1;
	each.combine = combo;
	each.batch = 100;
	each.unordered = 1;
	each.final = print;
	each.user = &out;
	if (ranq_foreach(queue, &each) != 1)
		return failed("boot");
	ranq_close(queue);
	return 0;
}

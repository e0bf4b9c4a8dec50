/* iris_bootstrap.c - bootstrap of a logistic regression on Fisher's iris data.
 *
 *     ranq run --module iris_bootstrap.so --function trial --data iris.csv --range 1-1000 --seed 2015
 *
 * The job data is iris.csv; the rows that are not setosa are used (100 of them). Model: logit P(virginica) = intercept
 * + slope * sepal length. `trial` draws as many rows with replacement from the task's own stream and fits the model to
 * them; `fit` fits it to all rows. Both return two doubles: intercept, slope.
 *
 * The fit is iteratively reweighted least squares, as glm of R does it: same start, same test of convergence, and after
 * 25 iterations what there is, converged or not: a resample that a threshold separates has no finite optimum. A
 * resample from which no slope can be estimated (one sepal length only) gives two NaN. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ranq.h>

#define ITERATIONS 25
#define TOLERANCE 1e-8
#define ROWS_MAX 1000000
#define LINE_MAX_BYTES 256

RANQ_MODULE;

struct rows {
	size_t n;
	double *x;       /* sepal length */
	int *y;          /* 1 virginica, 0 versicolor */
	unsigned *times; /* how often a row is in the present resample */
};

/* ---- data ------------------------------------------------------------------------------------------------ */

static void rows_destroy(struct rows *rows)
{
	if (!rows)
		return;
	free(rows->x);
	free(rows->y);
	free(rows->times);
	free(rows);
}

static struct rows *rows_create(size_t max)
{
	struct rows *rows = calloc(1, sizeof *rows);

	if (!rows)
		return NULL;
	rows->x = calloc(max, sizeof *rows->x);
	rows->y = calloc(max, sizeof *rows->y);
	rows->times = calloc(max, sizeof *rows->times);
	if (rows->x && rows->y && rows->times)
		return rows;
	rows_destroy(rows);
	return NULL;
}

/* One line "5.1,3.5,1.4,0.2,setosa", without its end. NULL, or what is wrong with it. */
static const char *add_line(struct rows *rows, char *line)
{
	char *end, *species = strrchr(line, ',');
	double x = strtod(line, &end);

	if (!species || end == line || *end != ',' || !isfinite(x))
		return "the job data is not iris.csv: a line does not begin with a sepal length";
	species++;
	if (strcmp(species, "setosa") == 0)
		return NULL;
	if (strcmp(species, "virginica") != 0 && strcmp(species, "versicolor") != 0)
		return "the job data is not iris.csv: unknown species";
	rows->x[rows->n] = x;
	rows->y[rows->n] = strcmp(species, "virginica") == 0;
	rows->n++;
	return NULL;
}

/* The first line holds the names. */
static const char *add_lines(struct rows *rows, const char *text, size_t len)
{
	const char *end = text + len, *why = NULL;
	char line[LINE_MAX_BYTES];
	size_t number;

	for (number = 0; text < end && !why; number++) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol ? eol : end) - text);

		if (n >= sizeof line)
			return "the job data is not iris.csv: a line is too long";
		memcpy(line, text, n);
		line[n] = '\0';
		line[strcspn(line, "\r")] = '\0';
		if (number && *line)
			why = add_line(rows, line);
		text += n + 1;
	}
	return why;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t i, n = 1;

	for (i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* Once per executor; every trial then finds the rows in the state. */
int ranq_module_init(struct ranq_task *task)
{
	size_t len = 0, lines;
	const char *text = ranq_task_data(task, &len), *why;
	struct rows *rows;

	lines = text ? count_lines(text, len) : 0;
	if (!lines || lines > ROWS_MAX)
		return ranq_task_fail(task, "needs iris.csv as job data (--data)");
	rows = rows_create(lines);
	if (!rows)
		return ranq_task_fail(task, "out of memory");
	ranq_task_set_state(task, rows);
	why = add_lines(rows, text, len);
	if (!why && rows->n < 2)
		why = "the job data is not iris.csv: fewer than two rows that are not setosa";
	return why ? ranq_task_fail(task, why) : 0;
}

void ranq_module_fini(struct ranq_task *task)
{
	rows_destroy(ranq_task_state(task));
}

/* ---- fit ------------------------------------------------------------------------------------------------- */

/* Sums of a weighted regression of z on x. */
struct sums {
	double w, wx, wxx, wz, wxz;
};

static void sums_add(struct sums *s, double w, double x, double z)
{
	s->w += w;
	s->wx += w * x;
	s->wxx += w * x * x;
	s->wz += w * z;
	s->wxz += w * x * z;
}

static int sums_solve(const struct sums *s, double b[2])
{
	double det = s->w * s->wxx - s->wx * s->wx;

	if (!(det > 1e-12 * s->w * s->wxx))
		return -1;
	b[1] = (s->w * s->wxz - s->wx * s->wz) / det;
	b[0] = (s->wz - b[1] * s->wx) / s->w;
	return 0;
}

/* The working response of the first step: mu = (y + 1/2) / 2. */
static void first_sums(const struct rows *rows, struct sums *s)
{
	size_t i;

	for (i = 0; i < rows->n; i++) {
		double mu = (rows->y[i] + 0.5) / 2, v = mu * (1 - mu);

		sums_add(s, rows->times[i] * v, rows->x[i], log(mu / (1 - mu)) + (rows->y[i] - mu) / v);
	}
}

/* The sums of the next step at coefficients b; returns the deviance there. */
static double next_sums(const struct rows *rows, const double b[2], struct sums *s)
{
	double deviance = 0;
	size_t i;

	for (i = 0; i < rows->n; i++) {
		double eta, mu, v;

		if (!rows->times[i])
			continue;
		eta = fmin(fmax(b[0] + b[1] * rows->x[i], -30), 30); /* keeps mu away from 0 and 1 */
		mu = 1 / (1 + exp(-eta));
		v = mu * (1 - mu);
		sums_add(s, rows->times[i] * v, rows->x[i], eta + (rows->y[i] - mu) / v);
		deviance -= 2 * rows->times[i] * log(rows->y[i] ? mu : 1 - mu);
	}
	return deviance;
}

static void fit_rows(const struct rows *rows, double b[2])
{
	struct sums s = {0};
	double deviance, before = INFINITY;
	int i;

	first_sums(rows, &s);
	for (i = 0; i < ITERATIONS; i++) {
		if (sums_solve(&s, b) < 0) {
			if (!i)
				b[0] = b[1] = NAN;
			return;
		}
		s = (struct sums){0};
		deviance = next_sums(rows, b, &s);
		if (fabs(deviance - before) / (fabs(deviance) + 0.1) < TOLERANCE)
			return;
		before = deviance;
	}
}

int trial(struct ranq_task *task)
{
	struct rows *rows = ranq_task_state(task);
	double b[2];
	size_t i;

	memset(rows->times, 0, rows->n * sizeof *rows->times);
	for (i = 0; i < rows->n; i++)
		rows->times[(size_t)(ranq_task_unif(task) * (double)rows->n)]++;
	fit_rows(rows, b);
	return ranq_task_return_doubles(task, b, 2);
}

int fit(struct ranq_task *task)
{
	struct rows *rows = ranq_task_state(task);
	double b[2];
	size_t i;

	for (i = 0; i < rows->n; i++)
		rows->times[i] = 1;
	fit_rows(rows, b);
	return ranq_task_return_doubles(task, b, 2);
}

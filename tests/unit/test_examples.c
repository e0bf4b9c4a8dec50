/* The example modules against R, through a task made here: no executor needed.
 *
 * The reference numbers were printed by R 4.2.2 with RNGkind("L'Ecuyer-CMRG", sample.kind = "Rounding"), the stream of
 * each task as in test_rng.c, seed 2015: x <- iris[iris$Species != "setosa", c(1, 5)]; ind <- sample(100, 100, replace
 * = TRUE) coef(glm(x[ind, 2] ~ x[ind, 1], family = binomial(logit))) */
#include <check.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef fail /* an old macro of Check, in the way of ranq.h */
#include "client/ranq.h"
#include "record/rng.h"

struct ranq_task {
	struct ranq_task_head head;
	struct ranq_rng rng;
	const void *data;
	size_t data_len;
	double result[4];
	size_t result_len;
	char message[200];
	void *state;
};

static const void *get_data(const struct ranq_task *task, size_t *len)
{
	*len = task->data_len;
	return task->data;
}

static double unif(struct ranq_task *task)
{
	return ranq_rng_unif(&task->rng);
}

static int cancelled(const struct ranq_task *task)
{
	(void)task;
	return 0;
}

static int give(struct ranq_task *task, const void *data, size_t len)
{
	ck_assert_uint_le(len, sizeof task->result);
	memcpy(task->result, data, len);
	task->result_len = len;
	return 0;
}

static int fail(struct ranq_task *task, const char *message)
{
	snprintf(task->message, sizeof task->message, "%s", message);
	return 1;
}

static void *get_state(const struct ranq_task *task)
{
	return task->state;
}

static void set_state(struct ranq_task *task, void *state)
{
	task->state = state;
}

static const struct ranq_task_ops ops = {.abi = RANQ_MODULE_ABI,
	.size = sizeof ops,
	.data = get_data,
	.unif = unif,
	.cancelled = cancelled,
	.give = give,
	.fail_with = fail,
	.state = get_state,
	.set_state = set_state};

static struct ranq_task task;
static void *module;
static void (*fini)(struct ranq_task *);

static void setup(void)
{
	memset(&task, 0, sizeof task);
	task.head.ops = &ops;
	module = NULL;
	fini = NULL;
}

static void teardown(void)
{
	if (fini)
		fini(&task);
	if (module)
		dlclose(module);
}

static ranq_body *symbol(const char *name)
{
	ranq_body *body;
	void *at = dlsym(module, name);

	ck_assert_msg(at != NULL, "no function '%s' in the module", name);
	memcpy(&body, &at, sizeof body);
	return body;
}

/* Returns what its init returned. */
static int open_module(const char *name, const void *data, size_t len)
{
	char path[1000];
	void *at;

	snprintf(path, sizeof path, "%s/examples/%s.so", RANQ_TEST_BUILDDIR, name);
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck_assert_msg(module != NULL, "%s", dlerror());
	ck_assert_ptr_nonnull(dlsym(module, "ranq_module_abi"));
	at = dlsym(module, "ranq_module_fini");
	memcpy(&fini, &at, sizeof fini);
	task.data = data;
	task.data_len = len;
	return symbol("ranq_module_init")(&task);
}

static int run(const char *name, uint64_t index)
{
	ranq_rng_task(&task.rng, 2015, index);
	return symbol(name)(&task);
}

static char iris[8192];
static size_t iris_len;
static void open_iris(void)
{
	FILE *file = fopen(RANQ_TEST_SOURCEDIR "/src/examples/iris.csv", "r");

	ck_assert_ptr_nonnull(file);
	iris_len = fread(iris, 1, sizeof iris, file);
	fclose(file);
	ck_assert_int_eq(open_module("iris_bootstrap", iris, iris_len), 0);
}

START_TEST(test_data)
{
	double sums[4] = {0}, x[4];
	const char *at;
	int rows = 0;

	open_iris();
	iris[iris_len] = '\0';
	for (at = strchr(iris, '\n') + 1; *at; at = strchr(at, '\n') + 1, rows++) {
		ck_assert_int_eq(sscanf(at, "%lf,%lf,%lf,%lf,", &x[0], &x[1], &x[2], &x[3]), 4);
		sums[0] += x[0];
		sums[1] += x[1];
		sums[2] += x[2];
		sums[3] += x[3];
	}
	ck_assert_int_eq(rows, 150);
	ck_assert_double_eq_tol(sums[0], 876.5, 1e-9);
	ck_assert_double_eq_tol(sums[1], 458.6, 1e-9);
	ck_assert_double_eq_tol(sums[2], 563.7, 1e-9);
	ck_assert_double_eq_tol(sums[3], 179.9, 1e-9);
}
END_TEST

START_TEST(test_fit)
{
	open_iris();
	ck_assert_int_eq(run("fit", 0), 0);
	ck_assert_uint_eq(task.result_len, 2 * sizeof(double));
	ck_assert_double_eq_tol(task.result[0], -12.5707833410652, 1e-9);
	ck_assert_double_eq_tol(task.result[1], 2.01292699973386, 1e-9);
}
END_TEST

static const struct {
	uint64_t index;
	double intercept, slope;
} trials[] = {
	{0, -17.0387365989669, 2.73690649459252},
	{1, -11.5570838824998, 1.87420348299475},
	{2, -15.1641993169888, 2.44898337961612},
	{3, -11.231949896999, 1.78090027768754},
	{4, -8.56459549374232, 1.41822323005562},
	{99, -10.7726703026051, 1.67358993056973},
	{1000, -16.0674943100621, 2.4631470749463},
};

START_TEST(test_trial)
{
	open_iris();
	ck_assert_int_eq(run("trial", trials[_i].index), 0);
	ck_assert_uint_eq(task.result_len, 2 * sizeof(double));
	ck_assert_double_eq_tol(task.result[0], trials[_i].intercept, 1e-9);
	ck_assert_double_eq_tol(task.result[1], trials[_i].slope, 1e-9);
}
END_TEST

/* A trial must not depend on the ones that the executor ran before. */
START_TEST(test_trials_are_independent)
{
	double first[2];

	open_iris();
	ck_assert_int_eq(run("trial", 7), 0);
	memcpy(first, task.result, sizeof first);
	ck_assert_int_eq(run("fit", 0), 0);
	ck_assert_int_eq(run("trial", 8), 0);
	ck_assert_double_ne(task.result[0], first[0]);
	ck_assert_int_eq(run("trial", 7), 0);
	ck_assert_mem_eq(task.result, first, sizeof first);
}
END_TEST

START_TEST(test_separable_ends)
{
	static const char data[] = "a,b,Species\n4,1,versicolor\n5,1,versicolor\n6,1,virginica\n7,1,virginica\n";

	ck_assert_int_eq(open_module("iris_bootstrap", data, sizeof data - 1), 0);
	ck_assert_int_eq(run("fit", 0), 0);
	ck_assert(isfinite(task.result[0]) && isfinite(task.result[1]));
	ck_assert_double_gt(task.result[1], 10);
}
END_TEST

START_TEST(test_no_slope)
{
	static const char data[] = "a,b,Species\r\n4,1,versicolor\r\n4,1,virginica"; /* and without a last newline */

	ck_assert_int_eq(open_module("iris_bootstrap", data, sizeof data - 1), 0);
	ck_assert_int_eq(run("fit", 0), 0);
	ck_assert(isnan(task.result[0]) && isnan(task.result[1]));
}
END_TEST

static const struct {
	const char *module, *data, *word;
} bad[] = {
	{"iris_bootstrap", NULL, "--data"},
	{"iris_bootstrap", "names\n", "fewer"},
	{"iris_bootstrap", "names\n5.1,3.5,1.4,0.2,setosa\n", "fewer"},
	{"iris_bootstrap", "names\n5.1,3.5,1.4,0.2,rosa\n", "species"},
	{"iris_bootstrap", "names\nrosa,virginica\n", "length"},
	{"iris_bootstrap", "names\nnan,virginica\n", "length"},
	{"iris_bootstrap", "names\n5.1\n", "length"},
	{"pi", "many", "number"},
	{"pi", "0", "number"},
	{"pi", "-5", "number"},
	{"pi", "10 20", "number"},
	{"pi", "99999999999999999999999", "number"},
};

START_TEST(test_bad_data)
{
	const char *data = bad[_i].data;

	ck_assert_int_ne(open_module(bad[_i].module, data, data ? strlen(data) : 0), 0);
	ck_assert_msg(strstr(task.message, bad[_i].word) != NULL, "%s", task.message);
}
END_TEST

/* 1,000 points: u <- runif(2000) of R's task, the odd ones x, the even ones y. */
START_TEST(test_pi)
{
	ck_assert_int_eq(open_module("pi", "1000\n", 5), 0);
	ck_assert_int_eq(run("pi", 0), 0);
	ck_assert_uint_eq(task.result_len, sizeof(double));
	ck_assert_double_eq(task.result[0], 3.1760000000000002);
	ck_assert_int_eq(run("pi", 1), 0);
	ck_assert_double_eq(task.result[0], 3.0800000000000001);
}
END_TEST

START_TEST(test_pi_default)
{
	ck_assert_int_eq(open_module("pi", NULL, 0), 0);
	ck_assert_int_eq(run("pi", 0), 0);
	ck_assert_double_eq_tol(task.result[0], 3.14159265, 0.01); /* 6 standard errors */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("examples");
	TCase *c = tcase_create("examples");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_data);
	tcase_add_test(c, test_fit);
	tcase_add_loop_test(c, test_trial, 0, (int)(sizeof trials / sizeof trials[0]));
	tcase_add_test(c, test_trials_are_independent);
	tcase_add_test(c, test_separable_ends);
	tcase_add_test(c, test_no_slope);
	tcase_add_loop_test(c, test_bad_data, 0, (int)(sizeof bad / sizeof bad[0]));
	tcase_add_test(c, test_pi);
	tcase_add_test(c, test_pi_default);
	suite_add_tcase(suite, c);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

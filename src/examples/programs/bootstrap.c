/* bootstrap.c - a client of libranq: pi by Monte Carlo, and the bootstrap of a logistic regression on the iris data.
 *
 *     bootstrap [--seconds N] [--join COMMAND]
 *
 * The server is the one that RANQ_SERVER or the connection file of `ranq server` names; workers are whoever joined the
 * queue. The modules and iris.csv lie beside the program.
 *
 * After the 100,000 trials it runs the same bootstrap once more with as many trials as take about N seconds (default
 * 10; 0: not at all) at the speed just seen, and reports the speed for each number of bridges that it saw: that is
 * where a second bridge may join. COMMAND is started for that purpose when a quarter is done, and ended (SIGTERM) with
 * the run. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ranq.h>

#define PI_TASKS 10
#define TRIALS 100000
#define SEED 2015
#define SAMPLE_S 0.1
#define BRIDGES_MAX 4096

static struct ranq *queue;
static char directory[PATH_MAX];
static double started_waiting;

static int usage(void)
{
	fprintf(stderr, "usage: bootstrap [--seconds N] [--join COMMAND]\n");
	return 2;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

_Noreturn static void die(const char *doing)
{
	int status = ranq_last_status();

	fprintf(stderr, "bootstrap: cannot %s: %s\n", doing, ranq_last_error());
	exit(status ? status : 1);
}

/* ---- speed ----------------------------------------------------------------------------------------------- */

/* What was done while so many bridges were there (progress counts an allocation's bridge as one worker); an interval
 * during which the number changed counts for none. */
struct rate {
	double seconds, tasks;
};
struct watch {
	struct rate rates[BRIDGES_MAX];
	double at;        /* of the last sample */
	uint64_t done;    /* there */
	unsigned bridges; /* there */
	bool running;     /* the last sample was between the first and the last task */
};
static struct watch watch;

static void report_progress(const struct ranq_progress *p, double speed)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%llu of %llu tasks, %u bridge%s, %.0f tasks/s%s", (unsigned long long)p->done,
		(unsigned long long)p->tasks, p->workers, p->workers == 1 ? "" : "s", speed,
		p->held ? ", held: results unread" : "");
	if (p->done == p->tasks)
		fputs("\r\033[K", stderr);
}

static void warn_without_workers(const struct ranq_progress *p, double at)
{
	if (p->workers || p->done) {
		started_waiting = HUGE_VAL;
	} else if (at - started_waiting > 5) {
		fprintf(stderr, "bootstrap: no worker has joined the queue yet; start some with 'ranq join -n 2'\n");
		started_waiting = HUGE_VAL;
	}
}

static void sample(struct ranq_job *job)
{
	struct ranq_progress p;
	double at = now(), speed = 0;

	if (at - watch.at < SAMPLE_S)
		return;
	if (ranq_progress_get(job, &p) < 0)
		die("look at the job");
	at = now();
	if (watch.running && p.done < p.tasks) {
		speed = (double)(p.done - watch.done) / (at - watch.at);
		if (p.workers == watch.bridges && p.workers < BRIDGES_MAX) {
			watch.rates[p.workers].seconds += at - watch.at;
			watch.rates[p.workers].tasks += (double)(p.done - watch.done);
		}
	}
	watch.running = p.done && p.done < p.tasks;
	watch.at = at;
	watch.done = p.done;
	watch.bridges = p.workers;
	report_progress(&p, speed);
	warn_without_workers(&p, at);
}

/* ---- a bridge that joins --------------------------------------------------------------------------------- */

static pid_t joiner;

/* Its own process group, so that it can be ended with everything that it started; it ends too if this program is
 * killed. */
static void start_joiner(const char *command)
{
	joiner = fork();
	if (joiner < 0) {
		perror("bootstrap: cannot start another bridge");
		exit(2);
	}
	if (joiner) {
		setpgid(joiner, joiner); /* here too: whoever is first, the group is there when it is needed */
		return;
	}
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static bool joiner_ended(double seconds)
{
	double until = now() + seconds;
	struct timespec pause = {0, 20000000};

	while (waitpid(joiner, NULL, WNOHANG) == 0) {
		if (now() > until)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static void stop_joiner(void)
{
	if (joiner <= 0)
		return;
	kill(-joiner, SIGTERM);
	if (!joiner_ended(30)) {
		kill(-joiner, SIGKILL);
		joiner_ended(5);
	}
	joiner = 0;
}

/* ---- jobs ------------------------------------------------------------------------------------------------ */

static struct ranq_job *submit(const char *module, const char *function, uint64_t tasks, const void *data, size_t len)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	char path[PATH_MAX + 64];
	struct ranq_job *job;

	snprintf(path, sizeof path, "%s/%s", directory, module);
	options.name = function;
	options.module = path;
	options.function = function;
	options.tasks = tasks;
	options.data = data;
	options.data_bytes = len;
	options.seed = SEED;
	options.has_seed = 1;
	options.stop_on_error = 1;
	watch.running = false;
	started_waiting = now();
	job = ranq_submit(queue, &options);
	if (!job)
		die("submit a job");
	return job;
}

/* Next result, which must be n doubles; false at the end. Keeps the samples going meanwhile. */
static bool next(struct ranq_job *job, double *x, size_t n)
{
	static unsigned calls;
	struct ranq_value value;
	int status;

	if (++calls % 1024 == 0)
		sample(job);
	while ((status = ranq_next(job, &value, 0, SAMPLE_S)) < 0) {
		if (ranq_last_status() != 5)
			die("read results");
		sample(job);
	}
	if (!status)
		return false;
	if (value.status != RANQ_STATUS_OK || value.len != n * sizeof *x) {
		fprintf(stderr, "bootstrap: task %llu of job %s failed: see 'ranq tasks %s'\n",
			(unsigned long long)value.index, ranq_job_id(job), ranq_job_id(job));
		exit(1);
	}
	memcpy(x, value.data, value.len);
	return true;
}

static void finish(struct ranq_job *job)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (ranq_remove(job) < 0)
		die("remove a finished job");
	ranq_job_close(job);
}

static void run_pi(void)
{
	struct ranq_job *job = submit("pi.so", "pi", PI_TASKS, NULL, 0);
	double x, sum = 0;
	int n = 0;

	for (; next(job, &x, 1); n++)
		sum += x;
	finish(job);
	printf("pi          %.6f                                  %d tasks of 1,000,000 points\n", sum / n, n);
}

static void run_fit(const char *iris, size_t len)
{
	struct ranq_job *job = submit("iris_bootstrap.so", "fit", 1, iris, len);
	double b[2] = {NAN, NAN}, more[2];

	next(job, b, 2);
	next(job, more, 2);
	finish(job);
	printf("fit         intercept %8.4f  slope %7.4f        all 100 rows, no resampling\n", b[0], b[1]);
}

/* Mean and sum of squares of deviations, updated value by value (Welford). */
struct moments {
	double n, mean[2], squares[2];
};

static void moments_add(struct moments *m, const double b[2])
{
	int i;

	if (!isfinite(b[0]) || !isfinite(b[1]))
		return;
	m->n++;
	for (i = 0; i < 2; i++) {
		double d = b[i] - m->mean[i];

		m->mean[i] += d / m->n;
		m->squares[i] += d * (b[i] - m->mean[i]);
	}
}

static double moments_error(const struct moments *m, int i)
{
	return sqrt(m->squares[i] / (m->n - 1));
}

/* Returns trials per second. */
static double run_trials(const char *iris, size_t len, struct moments *m)
{
	double from = now(), b[2], seconds;
	struct ranq_job *job = submit("iris_bootstrap.so", "trial", TRIALS, iris, len);

	while (next(job, b, 2))
		moments_add(m, b);
	seconds = now() - from;
	finish(job);
	printf("bootstrap   intercept %8.4f  slope %7.4f        means of %d trials\n", m->mean[0], m->mean[1], TRIALS);
	printf("            intercept %8.4f  slope %7.4f        their standard errors\n", moments_error(m, 0),
		moments_error(m, 1));
	printf("speed       %.0f trials/s                          from submit to the last result\n", TRIALS / seconds);
	return TRIALS / seconds;
}

/* The line of elasticity: speed with the fewest and with the most bridges that were seen for long enough to tell. */
static void report_rates(bool same)
{
	int low = 0, high, i;

	for (i = high = 0; i < BRIDGES_MAX; i++)
		if (watch.rates[i].seconds > 0.3) {
			low = low ? low : i;
			high = i;
		}
	if (high == low) {
		printf("elasticity  no bridge joined or left while it ran\n");
	} else {
		double before = watch.rates[low].tasks / watch.rates[low].seconds,
		       after = watch.rates[high].tasks / watch.rates[high].seconds;

		printf("elasticity  %d bridge%s: %.0f trials/s, %d bridges: %.0f trials/s, %.2f times as many\n", low,
			low == 1 ? "" : "s", before, high, after, after / before);
	}
	printf("repeated    the first %d trials again, by other workers in other chunks: %s\n", TRIALS,
		same ? "the same numbers, bit for bit" : "OTHER NUMBERS");
}

static void run_longer(
	const char *iris, size_t len, double speed, double seconds, const char *join, const struct moments *first)
{
	uint64_t tasks = (uint64_t)fmin(fmax(speed * seconds, 2.0 * TRIALS), 1e9), n;
	struct ranq_job *job = submit("iris_bootstrap.so", "trial", tasks, iris, len);
	struct moments m = {0};
	bool same = false;
	double b[2];

	for (n = 1; next(job, b, 2); n++) {
		if (n <= TRIALS)
			moments_add(&m, b);
		if (n == TRIALS)
			same = memcmp(&m, first, sizeof m) == 0;
		if (join && n == tasks / 4) {
			start_joiner(join);
			join = NULL;
		}
	}
	finish(job);
	stop_joiner();
	report_rates(same);
	if (!same)
		exit(1);
}

/* ---- main ------------------------------------------------------------------------------------------------ */

static void find_directory(void)
{
	ssize_t n = readlink("/proc/self/exe", directory, sizeof directory - 1);
	char *slash;

	directory[n < 0 ? 0 : n] = '\0';
	slash = strrchr(directory, '/');
	if (slash)
		*slash = '\0';
}

static char *read_iris(size_t *len)
{
	static char text[65536];
	char path[PATH_MAX + 64];
	FILE *file;

	snprintf(path, sizeof path, "%s/iris.csv", directory);
	file = fopen(path, "r");
	if (!file) {
		fprintf(stderr, "bootstrap: cannot read '%s': %s\n", path, strerror(errno));
		exit(2);
	}
	*len = fread(text, 1, sizeof text, file);
	fclose(file);
	return text;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'}, {"join", required_argument, NULL, 'j'}, {0}};
	const char *iris, *join = NULL;
	double seconds = 10, speed;
	struct moments m = {0};
	char *end = NULL;
	size_t len;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			seconds = strtod(optarg, &end);
		else if (c == 'j')
			join = optarg;
		if (c == '?' || (end && (*end || !(seconds >= 0))))
			return usage();
	}
	if (optind < argc)
		return usage();
	atexit(stop_joiner);
	setvbuf(stdout, NULL, _IOLBF, 0);
	find_directory();
	iris = read_iris(&len);
	queue = ranq_open(NULL, NULL);
	if (!queue)
		die("open the queue");
	run_pi();
	run_fit(iris, len);
	memset(&watch, 0, sizeof watch); /* rates are trials from here on */
	speed = run_trials(iris, len, &m);
	if (seconds > 0)
		run_longer(iris, len, speed, seconds, join, &m);
	ranq_close(queue);
	return 0;
}

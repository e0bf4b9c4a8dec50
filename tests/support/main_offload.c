/* main_offload.c - a client of large results:   main_offload MODULE DIR LENGTH...
 *
 * Reads them with ranq_next; when one cannot be read it says why, puts FILE back that the test had moved to FILE.away, and
 * asks again. Then the same with foreach. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ranq.h"

struct sum {
	uint64_t bytes, tasks;
};

static int fail(void)
{
	fprintf(stderr, "main_offload: %s\n", ranq_last_error());
	return 1;
}

/* In order, each with its own content. */
static int combine(void *user, const struct ranq_value *values, size_t n)
{
	struct sum *sum = user;
	for (size_t i = 0; i < n; i++) {
		const char *text = values[i].data;
		for (size_t k = 0; k < values[i].len; k++)
			if (text[k] != (char)('a' + (k + values[i].index) % 23))
				return -1;
		if (values[i].index != sum->tasks++)
			return -1;
		sum->bytes += values[i].len;
	}
	return 0;
}

static int damage(const char *dir)
{
	char text[1000];
	snprintf(text, sizeof text, "f=$(find '%s' -type f | head -1) && mv \"$f\" '%s.away' && echo \"$f\" >'%s.name'", dir, dir,
		dir);
	return system(text);
}

static int mend(const char *dir)
{
	char text[1000];
	snprintf(text, sizeof text, "mv '%s.away' \"$(cat '%s.name')\"", dir, dir);
	return system(text);
}

static int one_by_one(struct ranq *queue, const struct ranq_submit_options *options)
{
	struct sum sum = {0};
	struct ranq_value value;
	struct ranq_job *job = ranq_submit(queue, options);
	int rc, failures = 0;
	if (!job || ranq_wait(job, 60) != 1 || damage(options->offload))
		return fail();
	while ((rc = ranq_next(job, &value, 0, 60)) != 0) {
		if (rc < 0 && failures++)
			return fail();
		if (rc < 0 ? mend(options->offload) : combine(&sum, &value, 1))
			return fail();
	}
	printf("%llu tasks, %llu bytes, %d failure\n", (unsigned long long)sum.tasks, (unsigned long long)sum.bytes, failures);
	rc = ranq_remove(job);
	ranq_job_close(job);
	return rc ? fail() : 0;
}

static int in_batches(struct ranq *queue, const struct ranq_submit_options *options)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	struct sum sum = {0};
	each.job = *options;
	each.combine = combine;
	each.batch = 3;
	each.user = &sum;
	if (ranq_foreach(queue, &each) < 0)
		return fail();
	printf("%llu tasks, %llu bytes\n", (unsigned long long)sum.tasks, (unsigned long long)sum.bytes);
	return 0;
}

int main(int argc, char **argv)
{
	struct ranq_submit_options options = RANQ_SUBMIT_INIT;
	struct ranq *queue = ranq_open(NULL, NULL);
	int status;
	if (!queue || argc < 4)
		return fail();
	options.module = argv[1];
	options.function = "large";
	options.offload = argv[2];
	options.args = (const char *const *)(argv + 3);
	options.tasks = (uint64_t)argc - 3;
	status = one_by_one(queue, &options) || in_batches(queue, &options);
	ranq_close(queue);
	return status;
}

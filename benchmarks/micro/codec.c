/* codec.c - packing and unpacking: the job record, and segments of results as executors write and clients read them. */
#include <string.h>

#include "benchmarks/bench.h"
#include "record/segment.h"
#include "record/spec.h"

#define SEGMENT_TASKS 100000

static struct ranq_err err;

static _Noreturn void die(const char *what)
{
	bench_die(BENCH_FAILED, "bench-codec: %s: %s", what, err.text);
}

static void make_spec(struct ranq_spec *spec)
{
	ranq_spec_init(spec);
	spec->body = RANQ_BODY_COMMAND;
	spec->args = RANQ_ARGS_RANGE;
	spec->range_first = spec->range_step = 1;
	spec->cwd = strdup("/home/someone/project");
	ranq_strings_add(&spec->argv, "./simulate", 10);
	ranq_strings_add(&spec->argv, "--case={}", 9);
	ranq_strings_add(&spec->env, "LD_LIBRARY_PATH=/opt/lib", 24);
}

static void bench_spec(void)
{
	uint64_t times = bench_times(200000);
	struct ranq_spec spec, copy;
	struct ranq_buf buf;
	double start;

	make_spec(&spec);
	ranq_buf_init(&buf, 0);
	start = bench_now_s();
	for (uint64_t i = 0; i < times; i++) {
		ranq_buf_reset(&buf);
		if (ranq_spec_pack(&spec, &buf, &err))
			die("pack");
	}
	bench_print("codec", "pack a job record", 1e6 * (bench_now_s() - start) / (double)times, "us", "lower");
	start = bench_now_s();
	for (uint64_t i = 0; i < times; i++) {
		if (ranq_spec_unpack(buf.data, buf.len, &copy, &err))
			die("unpack");
		if (copy.argv.n != 2 || strcmp(copy.argv.at[1], "--case={}") != 0)
			bench_die(BENCH_WRONG, "bench-codec: the record changed");
		ranq_spec_clear(&copy);
	}
	bench_print("codec", "unpack a job record", 1e6 * (bench_now_s() - start) / (double)times, "us", "lower");
	ranq_spec_clear(&spec);
	ranq_buf_clear(&buf);
}

/* Results of 8 bytes (uniform), or of 0 to 15 bytes (varied). */
static size_t length(bool uniform, uint64_t k)
{
	return uniform ? sizeof k : k % 16;
}

static void write_segment(struct ranq_segment_writer *w, struct ranq_buf *out, bool uniform)
{
	for (uint64_t k = 0; k < SEGMENT_TASKS; k++) {
		uint64_t value[2] = {k, k};

		if (ranq_segment_writer_add(w, RANQ_TASK_OK, value, length(uniform, k)))
			die("add");
	}
	ranq_buf_reset(out);
	if (ranq_segment_writer_finish(w, out))
		die("finish");
}

static void read_segment(const struct ranq_buf *item, bool uniform)
{
	struct ranq_segment_reader r;
	struct ranq_result result;
	uint64_t k = 0;

	for (ranq_segment_reader_init(&r, item->data, item->len); ranq_segment_reader_next(&r, &result, &err) == 1; k++) {
		uint64_t value[2] = {k, k};

		if (result.value.len != length(uniform, k) || memcmp(result.value.data, value, result.value.len) != 0)
			bench_die(BENCH_WRONG, "bench-codec: wrong result %llu", (unsigned long long)k);
	}
	if (k != SEGMENT_TASKS)
		bench_die(BENCH_WRONG, "bench-codec: %llu results", (unsigned long long)k);
}

static void bench_segment(bool uniform, const char *write_case, const char *read_case)
{
	uint64_t times = bench_times(uniform ? 500 : 100);
	double start, results = (double)times * SEGMENT_TASKS;
	struct ranq_segment_writer w;
	struct ranq_buf out;

	ranq_segment_writer_init(&w, 0);
	ranq_buf_init(&out, 0);
	start = bench_now_s();
	for (uint64_t i = 0; i < times; i++)
		write_segment(&w, &out, uniform);
	bench_print("codec", write_case, results / (bench_now_s() - start), "results/s", "higher");
	start = bench_now_s();
	for (uint64_t i = 0; i < times; i++)
		read_segment(&out, uniform);
	bench_print("codec", read_case, results / (bench_now_s() - start), "results/s", "higher");
	ranq_segment_writer_clear(&w);
	ranq_buf_clear(&out);
}

int main(void)
{
	bench_spec();
	bench_segment(true, "write 8-byte results", "read 8-byte results");
	bench_segment(false, "write results of 0-15 bytes", "read results of 0-15 bytes");
	return 0;
}

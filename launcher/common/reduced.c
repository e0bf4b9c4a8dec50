#include "common/reduced.h"

#include <inttypes.h>
#include <stdlib.h>

#include "client/module.h"
#include "util/json.h"

int ranq_reduced_how(
	struct ranq_reduce *how, const struct ranq_spec *spec, const char *module, struct ranq_err *err)
{
	*how = ranq_reduce_of(spec);
	if (how->function)
		return 0;
	if (!module)
		module = spec->module_path;
	if (!module)
		return ranq_err_set(err, RANQ_ERR_INPUT,
			"the job is reduced by function '%s' of its module: name the module with --module FILE",
			spec->reduce);
	how->function = ranq_module_reducer(module, spec->reduce, err);
	return how->function ? 0 : -1;
}

static enum ranq_output_form form_of(const struct ranq_output *output, const struct ranq_reduce *how)
{
	switch (how->kind) {
	case RANQ_REDUCE_FUNCTION: return output->form;
	case RANQ_REDUCE_sum_double:
	case RANQ_REDUCE_min_double:
	case RANQ_REDUCE_max_double: return output->form == RANQ_OUTPUT_AUTO ? RANQ_OUTPUT_DOUBLE : output->form;
	default: return output->form == RANQ_OUTPUT_AUTO ? RANQ_OUTPUT_INT64 : output->form;
	}
}

/* A number is given as one too. */
static void add_number(struct ranq_json *json, enum ranq_output_form form, const struct ranq_part *total)
{
	double x;
	int64_t i;
	if (total->value.len != sizeof x)
		return;
	memcpy(&x, total->value.data, sizeof x);
	memcpy(&i, total->value.data, sizeof i);
	if (form == RANQ_OUTPUT_DOUBLE)
		ranq_json_real(json, "value", x);
	else if (form == RANQ_OUTPUT_INT64)
		ranq_json_int(json, "value", i);
}

static int print_json(struct ranq_output *output, enum ranq_output_form form, const char *name, const char *job,
	const struct ranq_part *total, const struct ranq_buf *text, struct ranq_err *err)
{
	char *line = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&line, &len);
	struct ranq_json *json = to ? ranq_json_object("ranq.value/1") : NULL;
	int rc = json ? 0 : ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (json) {
		ranq_json_str(json, "job", job);
		ranq_json_str(json, "reduce", name);
		ranq_json_uint(json, "tasks", total->count);
		ranq_json_uint(json, "succeeded", total->ok);
		add_number(json, form, total);
		ranq_json_bytes(json, "output", text->data, text->len);
		rc = ranq_json_print(json, to, err);
	}
	if (to && fclose(to) && rc == 0)
		rc = ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	if (rc == 0)
		ranq_buf_add(&output->buf, line, len);
	free(line);
	return rc;
}

int ranq_reduced_print(struct ranq_output *output, const struct ranq_reduce *how, const char *name, const char *job,
	const struct ranq_part *total, struct ranq_err *err)
{
	struct ranq_output value;
	enum ranq_output_form form = form_of(output, how);
	int rc = 0;
	ranq_output_init(&value, form, false, output->function);
	if (total->ok)
		ranq_output_value(&value, &total->value);
	if (output->json) {
		if (value.buf.len && form != RANQ_OUTPUT_RAW)
			value.buf.len--; /* the newline */
		rc = print_json(output, form, name, job, total, &value.buf, err);
	} else {
		ranq_buf_add(&output->buf, value.buf.data, value.buf.len);
	}
	ranq_output_clear(&value);
	return rc ? -1 : ranq_output_flush(output, err);
}

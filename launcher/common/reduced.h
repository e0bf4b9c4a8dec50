/* reduced.h - the one value of a job with a reduction, as `run` and `results` print it. */
#ifndef RANQ_COMMON_REDUCED_H
#define RANQ_COMMON_REDUCED_H

#include "client/reduce.h"
#include "common/output.h"

/* How the job reduces. module: file that has its function, where it is one (NULL: not known). */
int ranq_reduced_how(
	struct ranq_reduce *how, const struct ranq_spec *spec, const char *module, struct ranq_err *err);
/* The value in the form of the output, auto: numbers of the built-in reductions as decimal numbers; or a JSON object.
 * Nothing when no task succeeded. */
int ranq_reduced_print(struct ranq_output *output, const struct ranq_reduce *how, const char *name, const char *job,
	const struct ranq_part *total, struct ranq_err *err);

#endif

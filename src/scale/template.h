/* template.h - job scripts: text with variables between at signs, "@walltime@". */
#ifndef RANQ_SCALE_TEMPLATE_H
#define RANQ_SCALE_TEMPLATE_H

#include "util/buf.h"
#include "util/err.h"

#define RANQ_TEMPLATE_MAX 65536

struct ranq_template_value {
	const char *name, *value; /* name NULL ends a list */
};
/* Appends text with its variables replaced to out. INPUT: a variable that does not exist, naming it, the line, and what
 * exists. "@@" is an at sign. */
int ranq_template_fill(
	const char *text, const struct ranq_template_value *values, struct ranq_buf *out, struct ranq_err *err);

/* One word for a POSIX shell, quoted when it must be. */
void ranq_template_quote(struct ranq_buf *out, const char *word);

#endif

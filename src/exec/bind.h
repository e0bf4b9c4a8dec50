/* bind.h - what executors are pinned to, as people write it. Known without hwloc, so that a client can refuse it. */
#ifndef RANQ_EXEC_BIND_H
#define RANQ_EXEC_BIND_H

#include <stdbool.h>

#include "util/err.h"

#define RANQ_BINDS(X) X(CORE, "core") X(PU, "pu") X(L3, "l3") X(NUMA, "numa") X(PACKAGE, "package") X(NONE, "none")
enum ranq_bind {
#define X(name, text) RANQ_BIND_##name,
	RANQ_BINDS(X)
#undef X
		RANQ_BIND_COUNT
};
/* "core", "core:scatter", "numa:compact", "none" */
int ranq_bind_parse(const char *text, enum ranq_bind *bind, bool *scatter, struct ranq_err *err);

#endif

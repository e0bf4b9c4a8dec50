/* bind.c - see bind.h. */
#include "exec/bind.h"

#include <string.h>

static const char *const bind_names[] = {
#define X(name, text) text,
	RANQ_BINDS(X)
#undef X
};

int ranq_bind_parse(const char *text, enum ranq_bind *bind, bool *scatter, struct ranq_err *err)
{
	size_t len = strcspn(text, ":"), i;

	for (i = 0; i < RANQ_BIND_COUNT; i++)
		if (strlen(bind_names[i]) == len && !strncmp(text, bind_names[i], len))
			break;
	if (i == RANQ_BIND_COUNT)
		return ranq_err_set(err, RANQ_ERR_USAGE, "'%s' is not one of core, pu, l3, numa, package, none", text);
	if (text[len] && strcmp(text + len, ":scatter") != 0 && strcmp(text + len, ":compact") != 0)
		return ranq_err_set(err, RANQ_ERR_USAGE, "'%s': behind the colon stands compact or scatter", text);
	*bind = (enum ranq_bind)i;
	*scatter = !strcmp(text + len, ":scatter");
	return 0;
}

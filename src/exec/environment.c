#include "exec/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beginnings of names. Open MPI: OMPI_, PMIX_, PRTE_, ORTE_; MPICH and its kin: PMI*, HYD*, MPIR_, MPI_LOCAL*; Slurm's
 * PMI plug-ins. Scheduler variables such as SLURM_JOB_ID stay: a task that calls srun or mpirun needs them. */
static const char *const private_prefixes[] = {
	"OMPI_",       "PMIX_",      "PMI_",           "PMI2_",          "PRTE_",     "ORTE_",       "HYDI_",
	"HYDRA_",      "HYD_",       "MPIR_",          "MPIEXEC_",       "MPI_LOCAL", "MPIRUN_",     "SLURM_PMI",
	"SLURM_MPI_",  "PALS_",      "RANQ_PASSWORD",  "REDISCLI_AUTH=", "RANQ_MARK=", "RANQ_FAULT", "RANQ_QUEUE=",
	"RANQ_JOB=",   "RANQ_TASK=", "RANQ_SEQ=",      "RANQ_ARG=",      "RANQ_SEED=", "RANQ_CPUS=", "RANQ_ATTEMPT=",
	"RANQ_WORKER=", "RANQ_RANK=", "RANQ_BLACK_BOX=",
};

void ranq_environment_clear(struct ranq_environment *env)
{
	size_t i;

	for (i = 0; i < env->n; i++)
		free(env->at[i]);
	free(env->at);
	*env = (struct ranq_environment){0};
}

static size_t name_length(const char *entry)
{
	return strcspn(entry, "=");
}

static char **find(const struct ranq_environment *env, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < env->n; i++)
		if (!strncmp(env->at[i], name, len) && env->at[i][len] == '=')
			return &env->at[i];
	return NULL;
}

static int grow(struct ranq_environment *env)
{
	size_t cap = env->cap ? env->cap * 2 : 64;
	char **at = realloc(env->at, cap * sizeof *at);

	if (!at)
		return -1;
	env->at = at;
	env->cap = cap;
	return 0;
}

/* Takes `entry`. */
static int put_owned(struct ranq_environment *env, char *entry, struct ranq_err *err)
{
	char **old;

	if (!entry)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	old = find(env, entry, name_length(entry));
	if (old) {
		free(*old);
		*old = entry;
		return 0;
	}
	if (env->n + 2 > env->cap && grow(env) < 0) {
		free(entry);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	}
	env->at[env->n++] = entry;
	env->at[env->n] = NULL;
	return 0;
}

int ranq_environment_put(struct ranq_environment *env, const char *entry, struct ranq_err *err)
{
	return put_owned(env, strdup(entry), err);
}

int ranq_environment_printf(struct ranq_environment *env, struct ranq_err *err, const char *format, ...)
{
	char *entry = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&entry, format, args) < 0)
		entry = NULL;
	va_end(args);
	return put_owned(env, entry, err);
}

const char *ranq_environment_get(const struct ranq_environment *env, const char *name)
{
	size_t len = strlen(name);
	char **entry = find(env, name, len);

	return entry ? *entry + len + 1 : NULL;
}

bool ranq_environment_is_private(const char *entry)
{
	static const char permission[] = "OMPI_ALLOW_RUN_AS_ROOT"; /* given by the user: a task's own mpirun needs it too */
	size_t i;

	if (!strncmp(entry, permission, sizeof permission - 1))
		return false;
	for (i = 0; i < sizeof private_prefixes / sizeof *private_prefixes; i++)
		if (!strncmp(entry, private_prefixes[i], strlen(private_prefixes[i])))
			return true;
	return false;
}

int ranq_environment_scrubbed(struct ranq_environment *env, char *const *base, struct ranq_err *err)
{
	for (; base && *base; base++)
		if (!ranq_environment_is_private(*base) && ranq_environment_put(env, *base, err) < 0)
			return -1;
	return 0;
}

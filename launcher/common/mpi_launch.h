/* mpi_launch.h - the command line that starts the ranks of a bridge: srun, Open MPI's mpirun or MPICH's mpiexec.
 *
 * It must be the launcher of the MPI that ranq-bridge was linked with: under another one each rank would be a world of
 * its own. */
#ifndef RANQ_LAUNCHER_MPI_LAUNCH_H
#define RANQ_LAUNCHER_MPI_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/allocation.h"
#include "util/err.h"

enum ranq_mpi { RANQ_MPI_UNKNOWN, RANQ_MPI_OPEN, RANQ_MPI_MPICH };
const char *ranq_mpi_name(enum ranq_mpi mpi);

/* Which MPI a program was linked with, read from its dynamic strings. */
enum ranq_mpi ranq_mpi_of_program(const char *path);
/* Which MPI a launcher belongs to, by what `launcher --version` prints. */
enum ranq_mpi ranq_mpi_of_launcher(const char *path);

struct ranq_mpi_request {
	const char *bridge;           /* program */
	const char *const *arguments; /* of the bridge, NULL-terminated */
	unsigned ranks;               /* compute ranks; the proxy is one more */
	const char *env_setup;        /* absolute path of a file for bash, or NULL */
	const char *apptainer, *image; /* its program and the image to run in, or NULL */
	const struct ranq_allocation *allocation;
	const char *launcher; /* given by the user ($RANQ_MPIRUN), or NULL */
};

struct ranq_mpi_launch {
	enum ranq_mpi mpi;
	bool srun;
	char *launcher;
	const char **argv; /* NULL-terminated, owned with all its strings */
	size_t argc;
	char *hosts;      /* file of hosts, removed by clear; NULL: none */
	int drain_signal; /* what the launcher hands on to the ranks as the order to drain */
	int kill_signal;  /* what makes the launcher end its ranks at once */
	int death_signal; /* for the launcher when join is gone */
};

/* Fills *launch. Errors: INPUT (no launcher that fits; names the cure), SYSTEM. */
int ranq_mpi_plan(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch, struct ranq_err *err);
void ranq_mpi_launch_clear(struct ranq_mpi_launch *launch);

/* Variables for its environment ("NAME=VALUE", NULL-terminated; as struct ranq_spawn takes them): root is allowed, as
 * in containers. */
extern const char *const ranq_mpi_environment[];

#endif

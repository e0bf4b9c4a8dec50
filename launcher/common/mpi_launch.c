/* mpi_launch.c - see the header. Facts that shape the lines:
 *
 * - Open MPI under srun needs --mpi=pmix, MPICH --mpi=pmi2; with another plug-in MPICH silently makes N worlds of one.
 * srun is preferred since a bridge under `srun --no-kill --kill-on-bad-exit=0` outlives the death of a rank and of a
 * node; mpirun kills all ranks when one dies.
 * - mpirun and srun hand USR1 on to all ranks, and TERM makes mpirun kill. MPICH uses USR1 itself and its mpiexec dies
 * of USR2, but hands TERM on and waits for the ranks as long as they take.
 * - odls_base_sigkill_timeout: the pause between CONT, TERM and KILL of mpirun's killing sequence. Raising it delays
 * TERM, so it stays at one second on a workstation; in an allocation of Slurm, which has sent TERM to all ranks itself,
 * ten seconds let them use the scheduler's grace.
 * - The launcher has a session of its own, so that signals come to it by join alone. PBS without its cgroups hook knows
 * only sessions: its KILL ends join and nothing behind it, and the job is over for PBS then. So join's death ends the
 * ranks there; elsewhere nobody but join was killed, and the bridge drains. */
#include "common/mpi_launch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/spawn.h"
#include "util/buf.h"

#define ARGUMENTS_MAX 2048

const char *const ranq_mpi_environment[] = {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", NULL};

const char *ranq_mpi_name(enum ranq_mpi mpi)
{
	static const char *const names[] = {"unknown MPI", "Open MPI", "MPICH"};
	return names[mpi];
}

/* NEEDED entries are strings of the file: Open MPI is libmpi.so.20 or .40, MPICH libmpich.so.N or, where it is the only
 * one, libmpi.so.12. */
static enum ranq_mpi mpi_of_bytes(const void *bytes, size_t len)
{
	static const struct {
		const char *name;
		enum ranq_mpi mpi;
	} known[] = {{"libmpich.so", RANQ_MPI_MPICH}, {"libmpi.so.12", RANQ_MPI_MPICH}, {"libmpi.so.", RANQ_MPI_OPEN}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (memmem(bytes, len, known[i].name, strlen(known[i].name)))
			return known[i].mpi;
	return RANQ_MPI_UNKNOWN;
}

enum ranq_mpi ranq_mpi_of_program(const char *path)
{
	struct stat status;
	enum ranq_mpi mpi = RANQ_MPI_UNKNOWN;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return mpi;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
		void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (bytes != MAP_FAILED) {
			mpi = mpi_of_bytes(bytes, (size_t)status.st_size);
			munmap(bytes, (size_t)status.st_size);
		}
	}
	close(fd);
	return mpi;
}

enum ranq_mpi ranq_mpi_of_launcher(const char *path)
{
	const char *const argv[] = {path, "--version", NULL};
	enum ranq_mpi mpi = RANQ_MPI_UNKNOWN;
	struct ranq_buf out;
	ranq_buf_init(&out, 1 << 16);
	if (ranq_spawn_capture(argv, 10000, &out, NULL) == 0) {
		const char *text = ranq_buf_cstr(&out);
		if (strstr(text, "Open MPI") || strstr(text, "OpenRTE") || strstr(text, "PRRTE"))
			mpi = RANQ_MPI_OPEN;
		else if (strstr(text, "HYDRA") || strstr(text, "MPICH") || strstr(text, "Intel(R) MPI"))
			mpi = RANQ_MPI_MPICH;
	}
	ranq_buf_clear(&out);
	return mpi;
}

static char *find_launcher(enum ranq_mpi mpi, struct ranq_err *err)
{
	static const char *const open_mpi[] = {"mpirun", "mpirun.openmpi", "mpiexec", "orterun", NULL};
	static const char *const mpich[] = {"mpiexec.hydra", "mpirun.mpich", "mpiexec", "mpirun", NULL};
	for (const char *const *name = mpi == RANQ_MPI_MPICH ? mpich : open_mpi; *name; name++) {
		const char *const one[] = {*name, NULL};
		char *path = ranq_spawn_find_path(one);
		if (path && (mpi == RANQ_MPI_UNKNOWN || ranq_mpi_of_launcher(path) == mpi))
			return path;
		free(path);
	}
	ranq_err_set(err, RANQ_ERR_INPUT,
		"cannot find the mpirun of %s, which ranq-bridge was built with: install or load it, or name it in "
		"RANQ_MPIRUN",
		ranq_mpi_name(mpi));
	return NULL;
}

static int add(struct ranq_mpi_launch *launch, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int add(struct ranq_mpi_launch *launch, const char *format, ...)
{
	char *text;
	va_list args;
	if (launch->argc + 1 >= ARGUMENTS_MAX)
		return -1;
	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return -1;
	launch->argv[launch->argc++] = text;
	launch->argv[launch->argc] = NULL;
	return 0;
}

static void add_words(struct ranq_mpi_launch *launch, const char *const *words)
{
	for (; *words; words++)
		add(launch, "%s", *words);
}

/* srun with the plug-in that fits, when this Slurm has it. */
static char *find_srun(const struct ranq_mpi_request *request, enum ranq_mpi mpi)
{
	static const char *const names[] = {"srun", NULL};
	char *srun = request->allocation->scheduler == RANQ_SCHEDULER_SLURM ? ranq_spawn_find_path(names) : NULL;
	const char *plugin = mpi == RANQ_MPI_MPICH ? "pmi2" : "pmix";
	/* the list goes to stderr */
	const char *const argv[] = {"/bin/sh", "-c", "exec \"$0\" --mpi=list 2>&1", srun, NULL};
	struct ranq_buf out;
	if (!srun || mpi == RANQ_MPI_UNKNOWN)
		return srun ? (free(srun), NULL) : NULL;
	ranq_buf_init(&out, 1 << 16);
	if (ranq_spawn_capture(argv, 10000, &out, NULL) != 0 || !strstr(ranq_buf_cstr(&out), plugin)) {
		free(srun);
		srun = NULL;
	}
	ranq_buf_clear(&out);
	return srun;
}

/* The program of a rank. What stands before it is the same on all nodes and ends in exec, so that signals reach the rank. */
static void add_bridge(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch)
{
	if (request->env_setup) {
		add(launch, "/bin/bash");
		add(launch, "-c");
		add(launch, ". \"$0\" || { echo \"ranq join: '$0' (--env-setup) failed on $(hostname)\" >&2; exit 2; }; exec \"$@\"");
		add(launch, "%s", request->env_setup);
	}
	if (request->image) {
		add(launch, "%s", request->apptainer);
		add(launch, "exec");
		add(launch, "%s", request->image);
	}
	/* in an image its own, by PATH */
	add(launch, "%s", request->image ? "ranq-bridge" : request->bridge);
	add_words(launch, request->arguments);
}

static void add_srun_options(struct ranq_mpi_launch *launch, unsigned tasks)
{
	add(launch, "--mpi=%s", launch->mpi == RANQ_MPI_MPICH ? "pmi2" : "pmix");
	add(launch, "--no-kill");
	add(launch, "--kill-on-bad-exit=0");
	add(launch, "--cpu-bind=none");
	add(launch, "--overcommit");
	/* another bridge, or a task's own srun, may share the nodes */
	add(launch, "--overlap");
	add(launch, "--ntasks=%u", tasks);
}

/* One world over all components; each gets ranks by its share of the cpus, the last one what is left. */
static void plan_components(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch)
{
	const struct ranq_allocation *allocation = request->allocation;
	unsigned left = request->ranks, n = allocation->ncomponents;
	for (unsigned k = 0; k < n; k++) {
		unsigned share = (unsigned)((uint64_t)request->ranks * allocation->component_cpus[k] / allocation->cpus);
		share = k + 1 == n || share > left ? left : share;
		left -= share;
		/* a component without a task is an error of srun */
		unsigned tasks = k == 0 ? share + 1 : share ? share : 1;
		if (k > 0)
			add(launch, ":");
		add_srun_options(launch, tasks);
		add(launch, "--het-group=%u", k);
		add_bridge(request, launch);
	}
}

static void plan_srun(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch)
{
	const struct ranq_allocation *allocation = request->allocation;
	launch->srun = true;
	if (allocation->ncomponents) {
		plan_components(request, launch);
		return;
	}
	add_srun_options(launch, request->ranks + 1);
	if (allocation->nodes) {
		add(launch, "--nodes=%u", allocation->nnodes);
		add(launch, "--nodelist=%s", allocation->nodes);
	}
	add_bridge(request, launch);
}

/* A file "host" or "host<separator>slots" a line, so that each node gets its share of the ranks. */
static int write_hosts(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch, const char *separator,
	struct ranq_err *err)
{
	const struct ranq_allocation *allocation = request->allocation;
	unsigned share = (request->ranks + allocation->nnodes) / allocation->nnodes; /* of ranks + 1, rounded up */
	const char *tmp = getenv("TMPDIR");
	if (asprintf(&launch->hosts, "%s/ranq-hosts-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	int fd = mkostemp(launch->hosts, O_CLOEXEC);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!file)
		return ranq_err_sys(err, "cannot write '%s'", launch->hosts);
	for (const char *at = allocation->nodes; *at;) {
		size_t len = strcspn(at, ",");
		fprintf(file, "%.*s%s%u\n", (int)len, at, separator, share);
		at += len + (at[len] == ',');
	}
	return fclose(file) == 0 ? 0 : ranq_err_sys(err, "cannot write '%s'", launch->hosts);
}

static int plan_open_mpi(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch, struct ranq_err *err)
{
	static const char *const common[] = {"--oversubscribe", "--bind-to", "none", NULL};
	/* a cut link shows after 9 s and not after 8 min */
	static const char *const nodes[] = {"--mca", "oob_tcp_keepalive_time", "5", "--mca", "oob_tcp_keepalive_intvl",
		"2", "--mca", "oob_tcp_keepalive_probes", "3", NULL};
	static const char *const grace[] = {"--mca", "odls_base_sigkill_timeout", "10", NULL};
	const struct ranq_allocation *allocation = request->allocation;
	add_words(launch, common);
	if (allocation->scheduler == RANQ_SCHEDULER_SLURM)
		add_words(launch, grace);
	if (allocation->nnodes > 1 && allocation->nodes) {
		if (write_hosts(request, launch, " slots=", err) < 0)
			return -1;
		add_words(launch, nodes);
		add(launch, "--hostfile");
		add(launch, "%s", launch->hosts);
	}
	if (allocation->nnodes > 1 && allocation->scheduler == RANQ_SCHEDULER_PBS) {
		char *agent = ranq_spawn_find_own("ranq-pbs-rsh", "RANQ_PBS_RSH", NULL);
		if (agent) {
			add(launch, "--mca");
			add(launch, "plm_rsh_agent");
			add(launch, "%s", agent);
		}
		free(agent);
	}
	add(launch, "-n");
	add(launch, "%u", request->ranks + 1);
	add_bridge(request, launch);
	return 0;
}

static int plan_mpich(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch, struct ranq_err *err)
{
	const struct ranq_allocation *allocation = request->allocation;
	if (allocation->nnodes > 1 && allocation->nodes) {
		if (write_hosts(request, launch, ":", err) < 0)
			return -1;
		add(launch, "-f");
		add(launch, "%s", launch->hosts);
	}
	add(launch, "-n");
	add(launch, "%u", request->ranks + 1);
	add_bridge(request, launch);
	return 0;
}

static int plan(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch, struct ranq_err *err)
{
	launch->mpi = ranq_mpi_of_program(request->bridge);
	launch->launcher = request->launcher ? strdup(request->launcher) : find_srun(request, launch->mpi);
	bool srun = launch->launcher && strcmp(basename(launch->launcher), "srun") == 0;
	if (!launch->launcher)
		launch->launcher = find_launcher(launch->mpi, err);
	if (!launch->launcher)
		return -1;
	enum ranq_mpi dialect =
		launch->mpi == RANQ_MPI_UNKNOWN && !srun ? ranq_mpi_of_launcher(launch->launcher) : launch->mpi;
	launch->drain_signal = dialect != RANQ_MPI_MPICH ? SIGUSR1 : srun ? SIGUSR2 : SIGTERM;
	launch->kill_signal = dialect == RANQ_MPI_MPICH ? SIGKILL : SIGTERM;
	/* a second TERM ends MPICH's ranks, too */
	launch->death_signal = request->allocation->scheduler == RANQ_SCHEDULER_PBS ? SIGTERM : launch->drain_signal;
	launch->argv = calloc(ARGUMENTS_MAX + 1, sizeof *launch->argv);
	if (!launch->argv)
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
	add(launch, "%s", launch->launcher);
	if (srun)
		plan_srun(request, launch);
	else if ((dialect == RANQ_MPI_MPICH ? plan_mpich(request, launch, err) : plan_open_mpi(request, launch, err)) <
		 0)
		return -1;
	return launch->argc + 1 < ARGUMENTS_MAX ? 0
						: ranq_err_set(err, RANQ_ERR_INPUT, "too many options for the bridge");
}

int ranq_mpi_plan(const struct ranq_mpi_request *request, struct ranq_mpi_launch *launch, struct ranq_err *err)
{
	*launch = (struct ranq_mpi_launch){0};
	if (plan(request, launch, err) == 0)
		return 0;
	ranq_mpi_launch_clear(launch);
	return -1;
}

void ranq_mpi_launch_clear(struct ranq_mpi_launch *launch)
{
	for (size_t i = 0; i < launch->argc; i++)
		free((char *)(uintptr_t)launch->argv[i]);
	free(launch->argv);
	free(launch->launcher);
	if (launch->hosts)
		unlink(launch->hosts);
	free(launch->hosts);
	*launch = (struct ranq_mpi_launch){0};
}

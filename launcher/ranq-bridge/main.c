/* main.c - ranq-bridge: one rank of a bridge. The order of the start matters:
 *   signals are blocked (they arrive through a descriptor; threads that MPI starts must not take them),
 *   then ranq-exec is started, since a process that uses MPI must not fork,
 *   then MPI, unless no launcher started us: a world of one needs none,
 *   then rank 0 reads the secrets and opens the connection. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bridge/bridge.h"
#include "bridge/link_local.h"
#include "bridge/link_mpi.h"
#include "bridge/placing.h"
#include "bridge/shm_dir.h"
#include "client/resolve.h"
#include "common/config.h"
#include "end_file.h"
#include "exec/black_box.h"
#include "exec/descriptors.h"
#include "give_file.h"
#include "settings.h"
#include "util/clock.h"

#define FINALIZE_MS 5000
#define GOODBYE_MS 1000   /* for the last messages */
#define SHM_YOUNG_S 60
#define EXEC_GRACE_MS 2000 /* for the last functions of modules, when the bridge ends */

struct rank {
	struct settings settings;
	struct ranq_bridge bridge;
	struct ranq_exec *exec;
	struct ranq_rank_facts facts, *all;
	struct ranq_claims *claims;
	struct ranq_placement *placements;
	struct ranq_server_addr addr;
	struct end_file *end_file; /* of rank 0 */
	struct ranq_shm_dir shm;
	struct give_file *give_file; /* of rank 0 */
	bool mpi, mpirun;
	int black_box; /* -1: none */
	struct rlimit files; /* descriptors as tasks may have them */
	int known_rank, known_size; /* as the launcher says before MPI starts; -1: it says nothing */
	char mark[80], worker[128], allocation[96], binding[64];
};

/* ---- before MPI ---- */

static int number_of(const char *const *names)
{
	for (; *names; names++) {
		const char *text = getenv(*names);
		char *end;
		long n = text ? strtol(text, &end, 10) : -1;

		if (text && end != text && !*end && n >= 0 && n < 1 << 24)
			return (int)n;
	}
	return -1;
}

/* A rank under mpirun has it, its daemon or its proxy as parent; under srun it is slurmstepd. */
static bool parent_is_mpirun(void)
{
	static const char *const names[] = {
		"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted", "hydra_pmi_proxy", "hydra_bstrap_pr"};
	char path[64], comm[64] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%ld/comm", (long)getppid());
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(comm, sizeof comm, file))
		comm[0] = 0;
	fclose(file);
	comm[strcspn(comm, "\n")] = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(comm, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static void look_at_launcher(struct rank *rank)
{
	static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID", NULL};
	static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", NULL};

	rank->mpirun = parent_is_mpirun();
	rank->known_rank = rank->known_size = -1;
	/* a shell inside an allocation has Slurm's variables, too, so only a parent or MPI's own ones count */
	rank->mpi = rank->mpirun || getenv("OMPI_COMM_WORLD_RANK") || getenv("PMIX_RANK") || getenv("PMI_RANK") ||
		    getenv("PMI_FD") ||
		    (getenv("SLURM_PROCID") && getenv("SLURM_STEP_ID") && getenv("SLURM_TASK_PID") &&
			    strtol(getenv("SLURM_TASK_PID"), NULL, 10) == (long)getpid());
	if (rank->mpi) {
		rank->known_rank = number_of(ranks);
		rank->known_size = number_of(sizes);
	}
}

/* MPICH uses SIGUSR1 itself. */
static int catch_signals(bool mpich, struct ranq_err *err)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGUSR2);
	if (!mpich)
		sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 || (fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)) < 0)
		return ranq_err_sys(err, "cannot catch signals");
	return fd;
}

static int open_exec(struct rank *rank, int number, struct ranq_err *err)
{
	struct ranq_exec_options options = {.mark = rank->mark,
		.worker = rank->worker,
		.rank = (unsigned)(number < 0 ? 0 : number),
		.queue = rank->settings.queue_list[0],
		.files = &rank->files,
		.black_box = rank->black_box > 0 ? rank->black_box : 0};
	char id[RANQ_ID_LEN + 1];

	ranq_id_new(id);
	snprintf(rank->mark, sizeof rank->mark, "%s.%d", id, number < 0 ? 0 : number);
	snprintf(rank->worker, sizeof rank->worker, "%s/%d", rank->facts.host, number < 0 ? 0 : number);
	rank->exec = ranq_exec_open(&options, err);
	return rank->exec ? 0 : -1;
}

static bool computes(const struct rank *rank, int number, int size)
{
	return number != 0 || size == 1 || rank->settings.proxy_computes;
}

/* ---- link ---- */

/* MPICH leaves nothing behind: it unlinks its files when all have opened them. */
static void give_memory(struct rank *rank)
{
	if (strstr(ranq_link_mpi_version(), "MPICH"))
		return;
	ranq_shm_dir_create(&rank->shm, "/dev/shm", SHM_YOUNG_S);
	if (!rank->shm.path[0])
		return;
	setenv("OMPI_MCA_btl_vader_backing_directory", rank->shm.path, 0);
	setenv("OMPI_MCA_btl_sm_backing_directory", rank->shm.path, 0);
}

static int open_link(struct rank *rank, struct ranq_err *err)
{
	if (!rank->mpi) {
		rank->all = calloc(1, sizeof *rank->all);
		if (!rank->all)
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory");
		rank->all[0] = rank->facts;
		return ranq_link_local_open(1, NULL, &rank->bridge.link, err);
	}
	/* rank 0 cannot be read by its neighbours (see hide_secrets), so large messages must go through shared memory
	 */
	setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
	setenv("OMPI_MCA_btl_sm_single_copy_mechanism", "none", 0);
	give_memory(rank);
	rank->bridge.link = ranq_link_mpi_open(&rank->facts, &rank->all, err);
	if (!rank->bridge.link)
		return -1;
	if (rank->bridge.link->size == 1 && rank->known_size > 1)
		return ranq_err_set(err, RANQ_ERR_STATE,
			"%d ranks were started, but each is a world of its own: the launcher does not fit "
			"the MPI of ranq-bridge (%.60s); under srun try --mpi=pmix or --mpi=pmi2",
			rank->known_size, ranq_link_mpi_version());
	return 0;
}

/* No core file and no debugger of the same user may read the password. */
static void hide_secrets(void)
{
	struct rlimit none;

	getrlimit(RLIMIT_CORE, &none);
	none.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* ---- proxy and worker ---- */

static int compute_from(const struct rank *rank)
{
	return computes(rank, 0, rank->bridge.link->size) ? 0 : 1;
}

static void report_bindings(const struct rank *rank)
{
	for (uint64_t s = 0; s < rank->settings.slots; s++) {
		const struct ranq_placement *p = &rank->placements[s];

		fprintf(stderr, "ranq-bridge: rank %d slot %llu on %s: %s%s (%s)\n", rank->bridge.link->rank,
			(unsigned long long)s, rank->facts.host, p->cpus ? "processors " : "not bound",
			p->cpus ? p->cpus : "", p->text);
	}
}

static int make_worker(struct rank *rank, struct ranq_err *err)
{
	const struct ranq_link *link = rank->bridge.link;
	struct ranq_placing placing = {.facts = rank->all,
		.compute_from = compute_from(rank),
		.slots = (unsigned)rank->settings.slots,
		.bind = rank->settings.bind};
	struct ranq_worker_options options = {.base = rank->bridge.base,
		.link = rank->bridge.link,
		.slots = placing.slots,
		.compute_from = placing.compute_from,
		.lease_ms = 60000};

	if (!rank->exec && open_exec(rank, link->rank, err) != 0)
		return -1;
	placing.claims = rank->claims = ranq_claims_create("");
	if (ranq_placing_plan(&placing, link, &rank->placements, err) != 0)
		return -1;
	if (rank->settings.report_bindings)
		report_bindings(rank);
	options.exec = rank->exec;
	options.placements = rank->placements;
	rank->bridge.worker = ranq_worker_create(&options, err);
	return rank->bridge.worker ? 0 : -1;
}

static int make_proxy(struct rank *rank, struct ranq_err *err)
{
	const struct settings *s = &rank->settings;
	struct ranq_proxy_options options = {.base = rank->bridge.base,
		.link = rank->bridge.link,
		.facts = rank->all,
		.addr = &rank->addr,
		.find_again = ranq_resolve_again,
		.queues = s->queue_list,
		.nqueues = s->nqueues,
		.computes = compute_from(rank) == 0,
		.mpirun = rank->mpirun,
		.lease_ms = s->lease_ms,
		.allocation = rank->allocation,
		.tags = s->tags,
		.binding = rank->binding,
		.end_ms = s->end_ms,
		.idle_timeout_ms = s->idle_timeout_ms,
		.stop_on_server_lost = s->on_server_lost == 1,
		.warn_signal = s->warn_number,
		.black_box = rank->black_box,
		.grace_ms = s->grace_ms,
		.give_back_ms = s->give_back_ms};

	hide_secrets();
	if (s->name || s->allocation)
		snprintf(rank->allocation, sizeof rank->allocation, "%.95s", s->name ? s->name : s->allocation);
	else
		snprintf(rank->allocation, sizeof rank->allocation, "local-%ld", (long)getppid());
	snprintf(rank->binding, sizeof rank->binding, "%.63s", s->bind);
	if (ranq_config_server(s->server, &rank->addr, err) != 0)
		return -1;
	if (s->give_back_ms > 0 && s->give_back_file)
		rank->give_file = give_file_open(rank->bridge.base, s->give_back_file);
	if (rank->give_file) {
		options.offer = give_file_offer;
		options.offer_arg = rank->give_file;
	}
	rank->bridge.proxy = ranq_proxy_create(&options, err);
	give_file_answers_to(rank->give_file, rank->bridge.proxy);
	if (rank->bridge.proxy && s->end_file)
		rank->end_file = end_file_watch(rank->bridge.base, s->end_file, s->walltime_end_ms, rank->bridge.proxy);
	return rank->bridge.proxy ? 0 : -1;
}

/* For tests: RANQ_TEST_NODES=N spreads the ranks over N nodes that share nothing but MPI. */
static void pretend_nodes(struct rank *rank)
{
#ifdef RANQ_FAULTS
	const char *text = getenv("RANQ_TEST_NODES");
	int nodes = text ? atoi(text) : 0;

	if (nodes > 1 && rank->known_rank >= 0)
		snprintf(rank->facts.node, sizeof rank->facts.node, "pretended node %d", rank->known_rank % nodes);
#else
	(void)rank;
#endif
}

static int begin(struct rank *rank, struct ranq_err *err)
{
	struct ranq_link *link;

	rank->bridge.signal_fd = catch_signals(strstr(ranq_link_mpi_version(), "MPICH") != NULL, err);
	if (rank->bridge.signal_fd < 0)
		return -1;
	ranq_raise_descriptors(&rank->files);
	rank->black_box = ranq_black_box_open(getenv("RANQ_JOIN"));
	ranq_rank_facts_init(&rank->facts);
	pretend_nodes(rank);
	ranq_placing_facts(&rank->facts);
	if (computes(rank, rank->known_rank, rank->mpi ? rank->known_size : 1) &&
		open_exec(rank, rank->known_rank, err) != 0)
		return -1;
	if (open_link(rank, err) != 0)
		return -1;
	link = rank->bridge.link;
	rank->bridge.base = ranq_watch_base(err);
	if (!rank->bridge.base || ranq_bridge_init(&rank->bridge, err) != 0)
		return -1;
	if (computes(rank, link->rank, link->size) && make_worker(rank, err) != 0)
		return -1;
	return link->rank == 0 ? make_proxy(rank, err) : 0;
}

/* ---- end ---- */

static void tell_all(struct rank *rank, enum ranq_message_type type, int status)
{
	struct ranq_link *link = rank->bridge.link;

	for (int r = type == RANQ_MESSAGE_BYE ? 1 : 0; r < (type == RANQ_MESSAGE_BYE ? link->size : 1); r++) {
		struct ranq_buf buf;

		ranq_buf_init(&buf, 0);
		ranq_message_number_encode(&buf, type, (uint64_t)status);
		ranq_link_send(link, r, &buf, NULL);
	}
}

static void finish(struct rank *rank, int status)
{
	bool mpi = rank->mpi && rank->bridge.link;

	ranq_worker_destroy(rank->bridge.worker);
	ranq_exec_close(rank->exec, EXEC_GRACE_MS);
	end_file_free(rank->end_file);
	give_file_free(rank->give_file);
	ranq_proxy_destroy(rank->bridge.proxy);
	if (rank->bridge.link && rank->bridge.link->rank > 0)
		tell_all(rank, RANQ_MESSAGE_GOODBYE, status);
	ranq_bridge_clear(&rank->bridge);
	ranq_link_close(rank->bridge.link, GOODBYE_MS);
	if (rank->bridge.base)
		event_base_free(rank->bridge.base);
	if (rank->bridge.signal_fd >= 0)
		close(rank->bridge.signal_fd);
	for (uint64_t s = 0; rank->placements && s < rank->settings.slots; s++)
		ranq_placement_clear(&rank->placements[s]);
	free(rank->placements);
	ranq_claims_destroy(rank->claims);
	free(rank->all);
	ranq_server_addr_clear(&rank->addr);
	if (mpi)
		ranq_link_mpi_finalize(FINALIZE_MS, status);
	ranq_shm_dir_remove(&rank->shm);
}

static int fail(struct rank *rank, const struct ranq_err *err)
{
	int status = ranq_err_status(err->code);

	/* what is wrong with the options is wrong in all ranks: one of them says so */
	if (rank->known_rank <= 0 || rank->bridge.link)
		fprintf(stderr, "ranq-bridge: %s\n", err->text);
	return status;
}

int main(int argc, char **argv)
{
	static struct rank rank;
	struct ranq_err err = {0};
	int status = 0, rc;

	rank.bridge.signal_fd = -1;
	ranq_server_addr_init(&rank.addr);
	look_at_launcher(&rank);
	rc = settings_parse(&rank.settings, argc, argv, &err);
	if (rc > 0)
		return 0;
	if (rc < 0)
		return fail(&rank, &err);
	if (rank.settings.version) {
		printf("ranq-bridge %s\n%s\n", RANQ_VERSION, ranq_link_mpi_version());
		return 0;
	}
	if (begin(&rank, &err) == 0) {
		ranq_bridge_run(&rank.bridge, &status);
	} else {
		status = fail(&rank, &err);
		if (rank.bridge.link && rank.bridge.link->rank == 0)
			tell_all(&rank, RANQ_MESSAGE_BYE, status);
	}
	finish(&rank, status);
	return status;
}

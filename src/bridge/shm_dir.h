/* shm_dir.h - a directory in /dev/shm for the shared memory of MPI in this rank.
 *
 * Open MPI gives it 4 MiB there and removes them at its end; a rank that is killed together with its mpirun leaves them
 * for good, in memory. So each rank has a directory of its own, locked as long as it lives: what nobody holds is removed
 * by the next rank of the same user that starts on this node. */
#ifndef RANQ_BRIDGE_SHM_DIR_H
#define RANQ_BRIDGE_SHM_DIR_H

struct ranq_shm_dir {
	char path[64]; /* "": none */
	int fd;        /* holds the lock */
};
/* Before MPI_Init; `parent` is /dev/shm but for tests. Others that changed within young_s stay: their rank may be between
 * making and locking it. Without a directory MPI does as it likes. */
void ranq_shm_dir_create(struct ranq_shm_dir *dir, const char *parent, int young_s);
/* Behind MPI_Finalize. */
void ranq_shm_dir_remove(struct ranq_shm_dir *dir);

#endif

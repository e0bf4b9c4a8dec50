/* link_mpi.h - the link over MPI. The only user of mpi.h; any MPI-3 (Open MPI and MPICH are tested).
 *
 * Start-up may use collectives; afterwards there are point-to-point messages only, so the death of a rank blocks
 * nobody. Short messages that go to the same rank in one turn of the loop travel as one. MPI has no cheap blocking
 * wait: on a node the sender rings a bell (bell.h) that says how many messages it has sent so far, and a woken rank
 * polls MPI until it has got that many; between nodes the lowest rank of each node polls each millisecond and rings
 * its neighbours. */
#ifndef RANQ_BRIDGE_LINK_MPI_H
#define RANQ_BRIDGE_LINK_MPI_H

#include "bridge/link.h"
#include "bridge/nodes.h"

/* "Open MPI v4.1.4, ..." as the library says; may be called before open. */
const char *ranq_link_mpi_version(void);
/* Initialises MPI and exchanges the facts of all ranks: *all gets size entries, malloced. */
struct ranq_link *ranq_link_mpi_open(
	const struct ranq_rank_facts *mine, struct ranq_rank_facts **all, struct ranq_err *err);
/* After the link was closed: MPI_Finalize, but never longer than limit_ms: then the process ends at once with `status`.
 */
void ranq_link_mpi_finalize(int limit_ms, int status);

#endif

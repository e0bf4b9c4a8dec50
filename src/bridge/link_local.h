/* link_local.h - the in-process twin of the MPI link: a world of endpoints in one process, for a bridge of one rank and
 * for tests. */
#ifndef RANQ_BRIDGE_LINK_LOCAL_H
#define RANQ_BRIDGE_LINK_LOCAL_H

#include "bridge/link.h"

/* Makes the `size` endpoints of one world; links: size entries, each to be closed. node: number of the node of each
 * rank, or NULL (all on one). The world goes away with its last endpoint. */
int ranq_link_local_open(int size, const int *node, struct ranq_link **links, struct ranq_err *err);
/* For tests: messages to and from a cut rank vanish. */
void ranq_link_local_cut(struct ranq_link *link, bool cut);

#endif

/* nodes.h - which ranks share a node, and what each rank tells the others when the bridge starts. */
#ifndef RANQ_BRIDGE_NODES_H
#define RANQ_BRIDGE_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct ranq_rank_facts { /* plain bytes: sent as it is between ranks of one build */
	char host[64];
	char node[192];  /* equal for two ranks exactly when they can reach each other's abstract sockets */
	char cpus[1024]; /* list of the processors this rank may use; "" unknown */
	int64_t pid;
};
/* Facts of this process; cpus is left empty. */
void ranq_rank_facts_init(struct ranq_rank_facts *facts);
/* Terminates all strings, whatever was received. */
void ranq_rank_facts_check(struct ranq_rank_facts *facts);
/* node[r] = number of the node of rank r; nodes are numbered from 0 by their lowest rank. Returns how many nodes there
 * are. */
int ranq_nodes_number(const struct ranq_rank_facts *all, int size, int *node);
/* Lowest rank of the node of `rank`. */
int ranq_nodes_lowest(const int *node, int size, int rank);
/* Same, but among compute ranks: the one that receives blobs for its node. compute_from: first rank that computes. */
int ranq_nodes_leader(const int *node, int size, int rank, int compute_from);
/* Is this process of this node alive (a zombie is not)? */
bool ranq_nodes_pid_alive(int64_t pid);

#endif

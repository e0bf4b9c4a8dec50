/* facts.h - what INFO says about a server. */
#ifndef RANQ_STORE_FACTS_H
#define RANQ_STORE_FACTS_H

#include "store/conn.h"

/* Takes the lines of one INFO reply that matter; unknown and malformed lines are passed over. May be called for several
 * sections. */
void ranq_facts_parse(struct ranq_server_facts *facts, struct ranq_bytes info);

#endif

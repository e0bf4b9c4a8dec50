/* claims.h - which processors of this host bridges of this user use already, so that a second bridge is not bound to
 * the cores of the first one while others are free.
 *
 * A claim on a processor is an abstract Unix socket that bears its number: only one process can have it, it vanishes
 * with that process whatever happens, and it leaves no file behind. Claims are advice: nothing waits for one, and who
 * squats on the names of another user is not heeded. Processes without a common network namespace do not see each
 * other's. */
#ifndef RANQ_BRIDGE_CLAIMS_H
#define RANQ_BRIDGE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ranq_claims;
/* realm: claims of different realms do not meet (for tests); "" is the one of all bridges. NULL: no memory. */
struct ranq_claims *ranq_claims_create(const char *realm);
void ranq_claims_destroy(struct ranq_claims *claims); /* gives all up; takes NULL */

/* Claims all processors of a list like "0,2-3", or none of them. What one of the friends (processes of the same bridge;
 * also this one, if it is named) has already is shared with it. False: somebody else has some of them. */
bool ranq_claims_take(struct ranq_claims *claims, const char *cpus, const pid_t *friends, size_t nfriends);

#endif

/* end_file.h - the end of the allocation as `ranq join` hears it from the scheduler while the bridge runs: limits are
 * changed, preemptions announced. A file with the seconds since 1970, replaced whole by rename; rank 0 looks every few
 * seconds. No file (rank 0 on another host than join): what it knew at its start stays. */
#ifndef RANQ_BRIDGE_END_FILE_H
#define RANQ_BRIDGE_END_FILE_H

#include "bridge/proxy.h"
#include "util/err.h"

struct end_file;
/* other_ms: another end, by --walltime, that holds if it is earlier; 0: none. NULL: no memory. Paths and the proxy are borrowed. */
struct end_file *end_file_watch(struct event_base *base, const char *path, int64_t other_ms, struct ranq_proxy *proxy);
void end_file_free(struct end_file *file); /* takes NULL */

#endif

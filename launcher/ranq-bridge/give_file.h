/* give_file.h - rank 0 offers idle nodes to the scheduler by way of `ranq join`, which runs on the same host: it writes
 * "NUMBER h2,h3" into FILE.offer, and join answers in FILE with "NUMBER taken" or "NUMBER kept". All of it is replaced
 * whole, by rename. */
#ifndef RANQ_BRIDGE_GIVE_FILE_H
#define RANQ_BRIDGE_GIVE_FILE_H

#include "bridge/proxy.h"

struct give_file;
/* NULL: join is not on this host, so there is no such file, or no memory; nothing is offered then. The path is borrowed. */
struct give_file *give_file_open(struct event_base *base, const char *path);
void give_file_answers_to(struct give_file *file, struct ranq_proxy *proxy); /* takes NULL */
bool give_file_offer(void *arg, const char *hosts); /* arg: the struct give_file */
void give_file_free(struct give_file *file);        /* takes NULL */

#endif

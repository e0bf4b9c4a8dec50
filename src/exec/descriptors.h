/* descriptors.h - descriptors of a process: those that it inherits and must not keep, and how many it may have. */
#ifndef RANQ_EXEC_DESCRIPTORS_H
#define RANQ_EXEC_DESCRIPTORS_H

#include <sys/resource.h>

/* Closes every descriptor from `first` on. */
void ranq_close_from(int first);
/* As many as the hard limit allows. *before: what it was, for tasks: programs that use select() or close "all"
 * descriptors rely on a low limit. */
void ranq_raise_descriptors(struct rlimit *before);

#endif

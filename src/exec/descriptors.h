/* descriptors.h - what a process inherits and must not keep. */
#ifndef RANQ_EXEC_DESCRIPTORS_H
#define RANQ_EXEC_DESCRIPTORS_H

/* Closes every descriptor from `first` on. */
void ranq_close_from(int first);

#endif

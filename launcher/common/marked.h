/* marked.h - finding and killing processes by a variable in their environment, and removing directories: how nothing is
 * left behind even when those who should have tidied up were killed. Only processes of this user can be seen and are
 * touched. */
#ifndef RANQ_LAUNCHER_MARKED_H
#define RANQ_LAUNCHER_MARKED_H

#include <stdbool.h>
#include <sys/types.h>

/* Calls visit for each process (not this one, no zombies) whose environment holds a string that starts with `prefix`;
 * `value` is what follows, NUL-terminated and borrowed. visit returns false to stop. */
typedef bool ranq_marked_visit(pid_t pid, const char *value, void *arg);
void ranq_marked_each(const char *prefix, ranq_marked_visit *visit, void *arg);

/* Sends KILL to each process with this "NAME=value" until none is left or limit_ms are over. Returns how many are left.
 */
unsigned ranq_marked_kill(const char *assignment, int limit_ms);

/* Start time of a process in clock ticks since boot; 0: no such process. With the pid it names a process for ever. */
unsigned long long ranq_marked_start_time(pid_t pid);

/* Removes a directory with all that is in it; symbolic links are not followed. */
void ranq_marked_remove_tree(const char *path);

#endif

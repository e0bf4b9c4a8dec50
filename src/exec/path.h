/* path.h - finds programs as execvp does, but once for many tasks. */
#ifndef RANQ_EXEC_PATH_H
#define RANQ_EXEC_PATH_H

/* The file that executing `name` means; malloced. NULL with errno: ENOENT, EACCES when there is one that may not be
 * executed. search NULL: the system's default. */
char *ranq_path_find(const char *name, const char *search);

#endif

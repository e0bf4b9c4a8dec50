/* keeper.h - the process that owns a private server and its local ranks; forked by local.c, which holds the other end
 * of `channel`. */
#ifndef RANQ_LAUNCHER_KEEPER_H
#define RANQ_LAUNCHER_KEEPER_H

struct ranq_keeper {
	char dir[128];      /* of everything; removed at the end */
	char mark[160];     /* RANQ_LOCAL=dir: stands in the environment of everything that is started */
	char *redis, *ranq; /* programs */
	const char *queue;  /* or NULL */
	unsigned ranks;
	int channel, lock; /* socket to the caller (its end is the order to stop); lock of dir */
};

/* First byte of a message from the keeper, a text follows. */
#define RANQ_KEEPER_READY 'r'   /* the server answers; the ranks are starting */
#define RANQ_KEEPER_FAILED 'f'  /* server or ranks are gone */
#define RANQ_KEEPER_MISSING 'm' /* a program is missing or the like: trying again is no use */

/* In the forked child; never returns. */
void ranq_keeper_run(struct ranq_keeper *keeper) __attribute__((noreturn));

#endif

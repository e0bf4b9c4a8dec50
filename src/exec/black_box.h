/* black_box.h - what is known of a bridge when all of it was killed.
 *
 * A whole bridge may die without a word to the queue: MPICH's hydra kills all ranks at once when one has died, and so
 * does the kernel or an administrator. Then nobody knows which task was running, and what the bridge held would wait
 * for the end of its lease. So `ranq join`, which survives, hands a memory file to the processes of its own host. Rank
 * 0 notes under which id it registers in which queue; each ranq-exec, which outlives its rank for a moment, notes when
 * its rank died and which tasks ran then, out of the progress pages. join reads it when everything has ended.
 *
 * Lines are appended by one write each, so processes that die in the middle leave whole lines or none. What stands
 * there is checked when read: tasks of the same user could write to it. A blamed task is run alone, no more. */
#ifndef RANQ_EXEC_BLACK_BOX_H
#define RANQ_EXEC_BLACK_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define RANQ_BLACK_BOX_QUEUE 65
#define RANQ_BLACK_BOX_ID 33
#define RANQ_BLACK_BOX_MAX 64 /* queues, and tasks of the ranks that died first */

/* ---- join ---- */
/* A new memory file under this name (of at most 200 characters); variable: what its processes need in their
 * environment, RANQ_BLACK_BOX=... Returns the descriptor or -1: there is none then, and nothing depends on it. */
int ranq_black_box_create(const char *name, char variable[64]);
void ranq_black_box_empty(int fd);

struct ranq_black_box {
	size_t nbridges, ntasks;
	struct {
		char queue[RANQ_BLACK_BOX_QUEUE], id[RANQ_BLACK_BOX_ID];
	} bridges[RANQ_BLACK_BOX_MAX];
	struct { /* of the few ranks that died first */
		char queue[RANQ_BLACK_BOX_QUEUE];
		uint64_t job, index;
	} tasks[RANQ_BLACK_BOX_MAX];
};
/* What cannot be read is left out. */
void ranq_black_box_read(int fd, struct ranq_black_box *box);

/* ---- ranks and ranq-exec ---- */
/* The one that the environment names, when it is of this host; -1: none. name: as given to create. Notes into
 * descriptors of 0 and below go nowhere. */
int ranq_black_box_open(const char *name);
void ranq_black_box_bridge(int fd, const char *queue, const char *id);

/* A line about a rank that died at time_ns of ranq_clock_ns. */
struct ranq_black_box_line {
	size_t len;
	char text[4096];
};
void ranq_black_box_line_begin(struct ranq_black_box_line *line, int64_t time_ns);
void ranq_black_box_line_task(struct ranq_black_box_line *line, const char *job /* "QUEUE/7" */, uint64_t index);
void ranq_black_box_line_write(struct ranq_black_box_line *line, int fd);

#endif

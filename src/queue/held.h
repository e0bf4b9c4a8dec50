/* held.h - what a bridge holds: its mirror of the fragments that the server has under its id, and which parts of them are
 * unstarted, given to a worker, finished (waiting for commit) or under way to the server.
 *
 * The mirror applies commits and releases in the order in which they are *sent*; the server applies them in the same order,
 * so that `at` of each item is right without waiting for replies. After a reconnect, resync decides. Pure, no I/O. */
#ifndef RANQ_QUEUE_HELD_H
#define RANQ_QUEUE_HELD_H

#include "queue/queue.h"

struct ranq_held;
struct ranq_held *ranq_held_create(void);
void ranq_held_destroy(struct ranq_held *held);
int ranq_held_add(struct ranq_held *held, const struct ranq_range *range); /* a grant: one fragment more */
/* Start `at` of the fragment of (job, seq) that contains [start, end), which leaves it (commit or release): the rest is split.
 * -1: not held (fenced meanwhile): drop the work. */
int ranq_held_take(struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t start, uint64_t end, uint64_t *at);
size_t ranq_held_count(const struct ranq_held *held);  /* fragments */
uint64_t ranq_held_tasks(const struct ranq_held *held);
bool ranq_held_job(const struct ranq_held *held, uint64_t job);          /* is something of it held? */
/* Distinct jobs behind `after`, in their order. */
size_t ranq_held_jobs(const struct ranq_held *held, uint64_t after, uint64_t *jobs, size_t max);
/* All fragments for resync (start == at); array of ranq_held_count entries. */
void ranq_held_list(const struct ranq_held *held, struct ranq_fragment *out);
/* Pages of a resync: the list is sorted first, then each call gives the next page, of at most `max` parts, until it returns false. *page
 * is {0} at first. An empty list has one page: it says that nothing is held. */
void ranq_held_sort(struct ranq_fragment *list, size_t n);
bool ranq_held_page(const struct ranq_fragment *list, size_t n, size_t max, struct ranq_resync_page *page);
void ranq_held_drop(struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t at); /* resync said: no longer ours */
/* The same for whatever is left of [start, end) of (job, seq): parts of it may have been taken since resync was asked. */
void ranq_held_drop_range(struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t start, uint64_t end);
void ranq_held_drop_job(struct ranq_held *held, uint64_t job, struct ranq_fragment *out, size_t *n, size_t max); /* removed and listed, to be released */

#endif

/* progress.h - one line on a terminal: how far a job is, how fast, when it will be done. Nothing at all elsewhere. */
#ifndef RANQ_CLIENT_PROGRESS_H
#define RANQ_CLIENT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queue/queue.h"
#include "record/segment.h"

struct ranq_progress; /* ranq.h */
struct ranq_progress_bar {
	bool on; /* standard error is a terminal that can move its cursor */
	bool drawn;
	int64_t drawn_ms;
	int64_t sample_ms; /* the rate is a moving average over some seconds */
	uint64_t sample_done;
	double rate; /* tasks a second; < 0: not known yet */
};
void ranq_progress_init(struct ranq_progress_bar *bar);
bool ranq_progress_due(const struct ranq_progress_bar *bar);
/* Takes the facts in; draws at most some times a second. */
void ranq_progress_show(struct ranq_progress_bar *bar, const struct ranq_job_info *info);
/* Removes the line, so that other text can be written. */
void ranq_progress_hide(struct ranq_progress_bar *bar);
/* What the public interface tells. */
void ranq_progress_fill(
	const struct ranq_progress_bar *bar, const struct ranq_job_info *info, struct ranq_progress *progress);
/* Takes the facts in without drawing. */
void ranq_progress_sample(struct ranq_progress_bar *bar, const struct ranq_job_info *info);
/* The line itself, of at most `width` columns; for tests. */
void ranq_progress_line(
	const struct ranq_progress_bar *bar, const struct ranq_job_info *info, unsigned width, char *text, size_t size);

#endif

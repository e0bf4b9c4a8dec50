/* pbs.h - the PBS driver of scaling: qsub, qselect, qstat and qdel of OpenPBS and PBS Professional (18 and later: JSON)
 * behind scale/scheduler.h. */
#ifndef RANQ_PBS_PBS_H
#define RANQ_PBS_PBS_H

#include "scale/scheduler.h"

struct ranq_pbs {
	struct ranq_tools tools;
	char user[64];
};
extern const struct ranq_sched_driver ranq_pbs_driver; /* self: struct ranq_pbs */
struct ranq_scheduler ranq_pbs_scheduler(struct ranq_pbs *pbs, const struct ranq_tools *tools);

/* The parsers, pure. */
/* Output of `qstat -E -f -F json ID...`: jobs with this name. */
int ranq_pbs_parse_qstat(
	const char *text, size_t len, const char *name, struct ranq_sched_list *list, struct ranq_err *err);
/* First line of the output of qsub: "3.pbs0". */
bool ranq_pbs_parse_id(const char *text, char id[RANQ_SCHED_ID_MAX + 1]);

#endif

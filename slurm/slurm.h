/* slurm.h - the Slurm driver of scaling: sbatch, squeue, scancel and scontrol behind scale/scheduler.h. Works with
 * Slurm 20.02 and later; reads squeue's -o columns, which do not change, rather than its JSON, which does. */
#ifndef RANQ_SLURM_SLURM_H
#define RANQ_SLURM_SLURM_H

#include "scale/scheduler.h"

struct ranq_slurm {
	struct ranq_tools tools;
	char user[16]; /* numeric id */
};
extern const struct ranq_sched_driver ranq_slurm_driver; /* self: struct ranq_slurm */
struct ranq_scheduler ranq_slurm_scheduler(struct ranq_slurm *slurm, const struct ranq_tools *tools);

/* The parsers, pure. */
#define RANQ_SLURM_COLUMNS "%i|%T|%D|%S|%e|%k|%r"
/* Output of `squeue -h -o COLUMNS`. A line that is none is an error: a job that is overlooked would be submitted again.
 */
int ranq_slurm_parse_squeue(const char *text, struct ranq_sched_list *list, struct ranq_err *err);
/* Output of `sbatch --parsable`: "123" or "123;cluster". */
bool ranq_slurm_parse_id(const char *text, char id[RANQ_SCHED_ID_MAX + 1]);
enum ranq_sched_wait ranq_slurm_wait(const char *reason);

#endif

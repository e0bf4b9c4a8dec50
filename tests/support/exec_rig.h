/* exec_rig.h - a rank for tests of src/exec: a fork server, some slots and one poll loop; gathers what comes out.
 *
 * Everything has a limit of RIG_LIMIT_MS; a test that reaches it fails. */
#ifndef RANQ_TESTS_EXEC_RIG_H
#define RANQ_TESTS_EXEC_RIG_H

#include <stdbool.h>

#include "exec/exec.h"
#include "record/segment.h"
#include "record/spec.h"

#define RIG_LIMIT_MS 120000
#define RIG_SLOTS 2

struct exec_rig_task {
	unsigned seen; /* how often it was reported */
	enum ranq_task_status status;
	unsigned char *data;
	size_t len;
	struct ranq_failure failure; /* of a failed one; err_tail copied into tail */
	char tail[8192];
	bool has_failure;
};

struct exec_rig {
	struct ranq_exec *exec;
	struct ranq_slot *slots[RIG_SLOTS];
	unsigned nslots;
	char mark[64];
	struct exec_rig_task *tasks; /* by index, ntasks of them */
	uint64_t ntasks;
	uint64_t reported; /* tasks */
	uint64_t counts[RANQ_TASK_STATUS_COUNT];
	unsigned done, died_events, results_events; /* chunks done; events */
	uint64_t last_upto;                         /* of the last chunk_done */
	unsigned shortened;                         /* events; the last one: */
	uint64_t shortened_chunk, shortened_upto;
	int close_grace_ms;
};

/* Another ranq-exec for the next exec_rig_open. */
extern const char *exec_rig_program;
/* Descriptors that its tasks may have. */
extern const struct rlimit *exec_rig_files;
/* cpus may be NULL. */
void exec_rig_open(struct exec_rig *rig, unsigned nslots, const char *cpus);
void exec_rig_close(struct exec_rig *rig);
/* Fails the test when a process with the rig's mark is left. */
void exec_rig_check_no_process(const struct exec_rig *rig);
void exec_rig_expect_tasks(struct exec_rig *rig, uint64_t n);
/* A spec with everything at default; the caller fills in and clears it. */
void exec_rig_command(struct ranq_spec *spec, const char *const *argv);
void exec_rig_function(struct ranq_spec *spec, const char *function);
/* Makes the job known to all slots. module: file name in the build's tests/modules or NULL; data may be NULL. */
void exec_rig_add_job(struct exec_rig *rig, uint64_t job, const struct ranq_spec *spec, const char *module,
	const void *data, size_t len);
void exec_rig_run(struct exec_rig *rig, unsigned slot, uint64_t job, uint64_t chunk, uint64_t start, uint64_t end);
/* One turn of the loop, at most `ms` long. */
void exec_rig_turn(struct exec_rig *rig, int ms);
void exec_rig_until_done(struct exec_rig *rig, unsigned chunks);
/* Until the task of this slot has said (in the file) that it runs, or anything else becomes true. */
void exec_rig_until(struct exec_rig *rig, bool (*condition)(void *), void *user);
/* Result as text, NUL-terminated (static). */
const char *exec_rig_text(const struct exec_rig *rig, uint64_t index);
bool exec_rig_file_exists(void *path);
struct Suite;
int exec_rig_main(struct Suite *suite); /* runs it; the exit status */

#endif

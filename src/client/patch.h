/* patch.h - results of later rounds (`retry`) for a stretch of tasks; they take the place of what the first round left
 * there. */
#ifndef RANQ_CLIENT_PATCH_H
#define RANQ_CLIENT_PATCH_H

#include "client/session.h"
#include "record/segment.h"

struct ranq_patch_entry {
	uint64_t index;
	size_t order; /* the later one counts */
	struct ranq_result result;
};
struct ranq_patch {
	struct ranq_patch_entry *at; /* n entries by index, one each */
	size_t n, cap;
	struct ranq_reply *reply; /* the values lie here */
};
void ranq_patch_init(struct ranq_patch *patch);
void ranq_patch_clear(struct ranq_patch *patch);
void ranq_patch_reset(struct ranq_patch *patch);
int ranq_patch_load(struct ranq_patch *patch, struct ranq_session *session, uint64_t job, uint64_t start, uint64_t end,
	struct ranq_err *err);
/* Replaces *result when there is a later one. */
bool ranq_patch_find(const struct ranq_patch *patch, uint64_t index, struct ranq_result *result);
/* First patched index above `index`, or UINT64_MAX. */
uint64_t ranq_patch_next(const struct ranq_patch *patch, uint64_t index);

#endif

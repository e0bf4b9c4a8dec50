/* check_loop.h - assertions for loops.
 *
 * Each ck_assert leaves a note of its place for the parent process, passing or not: a write that costs more than what
 * most loops look at. MUST says nothing while it holds. */
#ifndef RANQ_TESTS_SUPPORT_CHECK_LOOP_H
#define RANQ_TESTS_SUPPORT_CHECK_LOOP_H

#include <check.h>

#define MUST(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("%s:%d: %s", __FILE__, __LINE__, #condition); \
	} while (0)

#endif

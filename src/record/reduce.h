/* reduce.h - joining the results of consecutive tasks into few values, on their way from executor to client.
 *
 * A *reduction* stands for tasks [start, end) as a list of *parts*, each a value for consecutive tasks. Order is kept
 * always: a part is joined with the part right behind it. Failed tasks are counted in a part and have no share in its
 * value.
 *
 * Any grouping (the default): all parts become one.
 *
 * Ordered: the grouping is that of a fixed tree, so that the value has the same bits whatever was computed where. A
 * *node* of level k stands for the 16^k tasks from a multiple of 16^k on, and is ((c0 c1) c2) ... c15 of its children; a
 * task is a node of level 0. A part is either one node, or the beginning of one: its first 1 to 15 children joined from
 * left to right. So what is cut at any place costs at most 15 parts a level in front, which wait for what comes before
 * them, and one a level at the end. The total closes the nodes that the end of the job cuts. Joins cost 1/15 more than
 * with any grouping. */
#ifndef RANQ_RECORD_REDUCE_H
#define RANQ_RECORD_REDUCE_H

#include <string.h>

#include "ranq.h"
#include "record/segment.h"
#include "record/spec.h"

/* Built in: numbers of 8 bytes in host order, one or an array of them, element by element. count: the tasks that
 * succeeded, as int64. */
#define RANQ_REDUCTIONS(X) \
	X(sum_int64) X(sum_double) X(min_int64) X(min_double) X(max_int64) X(max_double) X(count)
#define RANQ_REDUCTION_NAMES "sum_int64, sum_double, min_int64, min_double, max_int64, max_double, count"
enum ranq_reduce_kind {
	RANQ_REDUCE_NONE,
#define X(name) RANQ_REDUCE_##name,
	RANQ_REDUCTIONS(X)
#undef X
		RANQ_REDUCE_FUNCTION /* of the job's module */
};
struct ranq_reduce {
	enum ranq_reduce_kind kind;
	bool ordered;
	bool text;              /* results are decimal numbers: those of commands */
	ranq_reducer *function; /* NULL: of a module that is not loaded here; parts stay apart */
};
/* How the job reduces; the function of a module is for the caller to fill in. */
struct ranq_reduce ranq_reduce_of(const struct ranq_spec *spec);
enum ranq_reduce_kind ranq_reduce_kind_of(const char *name); /* FUNCTION when it is not built in; NULL: NONE */
/* Turns the result of one task into the value of a part, in `scratch` where it must change. -1: it is none, err says why
 * ("3 bytes are no ..."). */
int ranq_reduce_leaf(
	const struct ranq_reduce *how, struct ranq_bytes *value, struct ranq_buf *scratch, struct ranq_err *err);

struct ranq_reduction_part {
	struct ranq_partial value; /* first: resize finds the rest */
	size_t cap;
	uint64_t start, count, ok;
};
struct ranq_reduction {
	struct ranq_reduce how;
	uint64_t start, end;
	struct ranq_reduction_part *part; /* n in use; those behind keep their memory */
	size_t n, cap, bytes;
	uint64_t room; /* 8-byte results that may simply be joined to the last part */
};
void ranq_reduction_init(struct ranq_reduction *r, const struct ranq_reduce *how, uint64_t start);
void ranq_reduction_clear(struct ranq_reduction *r);
void ranq_reduction_restart(struct ranq_reduction *r, uint64_t start); /* empty again; keeps memory */
#define RANQ_REDUCTION_KEEP (1u << 20) /* of a value; larger memory is given back by restart */
/* The part of the tasks behind the end. -1: out of memory (nothing changed), or the part does not fit there. */
int ranq_reduction_add(struct ranq_reduction *r, const struct ranq_part *part);
/* Tasks up to there have no value: they failed or never ran. */
int ranq_reduction_skip(struct ranq_reduction *r, uint64_t upto);
/* Takes in an item that ends at `end`. -1: malformed, or out of memory; r has taken in a part of it then. */
int ranq_reduction_add_item(
	struct ranq_reduction *r, const void *item, size_t len, uint64_t end, struct ranq_err *err);
/* Number of tasks of an item of tasks from `start` on, checked in full; *ok: those that succeeded. Or -1 with err. */
int64_t ranq_reduction_check(const struct ranq_reduce *how, uint64_t start, const void *item, size_t len, uint64_t *ok,
	struct ranq_err *err);
/* How many parts an item (that check takes) has, and how many are left if all that may be joined is: without a look at
 * their values, or a call of the function. */
int ranq_reduction_foresee(const struct ranq_reduce *how, uint64_t start, const void *item, size_t len, size_t *parts,
	size_t *left);
size_t ranq_reduction_bytes(const struct ranq_reduction *r);            /* what write appends, at most */
int ranq_reduction_write(const struct ranq_reduction *r, struct ranq_buf *out); /* as segments; -1: out failed */
/* Joins everything; *total is borrowed from r, which takes no more parts. -1: values do not go together. */
int ranq_reduction_total(struct ranq_reduction *r, struct ranq_part *total, struct ranq_err *err);

static inline void ranq_reduce_join8(enum ranq_reduce_kind kind, void *into, const void *value)
{
	int64_t i, j;
	double x, y;

	memcpy(&i, into, sizeof i);
	memcpy(&j, value, sizeof j);
	memcpy(&x, into, sizeof x);
	memcpy(&y, value, sizeof y);
	switch (kind) {
	case RANQ_REDUCE_count:
	case RANQ_REDUCE_sum_int64: i = (int64_t)((uint64_t)i + (uint64_t)j); break;
	case RANQ_REDUCE_min_int64: i = j < i ? j : i; break;
	case RANQ_REDUCE_max_int64: i = j > i ? j : i; break;
	/* a NaN wins, the first of them; of equals the first: so grouping does not matter */
	case RANQ_REDUCE_min_double: i = x == x && !(x <= y) ? j : i; break;
	case RANQ_REDUCE_max_double: i = x == x && !(x >= y) ? j : i; break;
	default:
		x += y;
		memcpy(&i, &x, sizeof i);
		break;
	}
	memcpy(into, &i, sizeof i);
}

/* The result of one more task, for what is built in; false: take the long way. */
static inline bool ranq_reduction_add8(struct ranq_reduction *r, const void *value, size_t len)
{
	static const int64_t one = 1;
	struct ranq_reduction_part *part;

	if (len != sizeof one)
		return false;
	if (r->how.kind == RANQ_REDUCE_count)
		value = &one;
	if (!r->room)
		return !ranq_reduction_add(r, &(struct ranq_part){1, 1, {value, len}});
	part = &r->part[r->n - 1];
	ranq_reduce_join8(r->how.kind, part->value.data, value);
	part->count++;
	part->ok++;
	r->end++;
	r->room--;
	return true;
}

#endif

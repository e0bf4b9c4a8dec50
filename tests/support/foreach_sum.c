#include "tests/support/foreach_sum.h"

static void into(struct sum *sum, uint64_t index)
{
	sum->ordered = sum->ordered && (sum->n == 0 || index > sum->last);
	sum->last = index;
	sum->n++;
	sum->total += index;
	sum->hash = sum->hash * 6364136223846793005u + index + 1;
}

int sum_add(void *user, const struct ranq_value *values, size_t n)
{
	struct sum *sum = user;
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq((uint64_t)ranq_value_int64(&values[i]), values[i].index);
		ck_assert_ptr_null(values[i].error);
		into(sum, values[i].index);
	}
	sum->calls++;
	sum->largest = n > sum->largest ? n : sum->largest;
	return 0;
}

struct sum sum_expected(uint64_t n)
{
	struct sum sum = {.ordered = 1};
	for (uint64_t i = 0; i < n; i++)
		into(&sum, i);
	return sum;
}

struct ranq_foreach_options sum_each(uint64_t tasks, struct sum *sum)
{
	struct ranq_foreach_options each = RANQ_FOREACH_INIT;
	*sum = (struct sum){.ordered = 1};
	each.job = client_rig_echo(tasks);
	each.combine = sum_add;
	each.user = sum;
	return each;
}

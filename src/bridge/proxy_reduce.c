/* proxy_reduce.c - results of jobs with a reduction are joined before they are committed: of neighbouring chunks, also
 * of different ranks, one value goes to the queue.
 *
 * An item stays what it was, the results of a contiguous range under one token, committed whole or run again whole. The
 * function of a module is not run here, as this process runs no user code: its values go on side by side. */
#include "bridge/proxy_impl.h"

void proxy_item_reduce(struct proxy_item *item)
{
	struct ranq_reduction reduction;
	struct ranq_buf joined;
	struct ranq_err err;

	if (!item->reduce.function)
		return;
	ranq_reduction_init(&reduction, &item->reduce, item->start);
	ranq_buf_init(&joined, 0);
	/* what cannot be read or joined is for the reader to complain about */
	if (ranq_reduction_add_item(&reduction, item->segment.data, item->segment.len, item->end, &err) == 0 &&
		ranq_reduction_write(&reduction, &joined) == 0) {
		ranq_buf_clear(&item->segment);
		item->segment = joined;
	} else {
		ranq_buf_clear(&joined);
	}
	ranq_reduction_clear(&reduction);
}

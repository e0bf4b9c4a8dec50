/* proxy_sticky.c - sticky jobs inside of a bridge: which lane has which task.
 *
 * Tasks come in blocks of --chunk tasks, and block b has its home at lane b % lanes: nothing to remember, and the next job
 * of as many tasks finds each of them where it was. Which of them come to this bridge the server decides in the same
 * manner (queue/lua/_d_lease.lua). A home is a preference: an idle lane takes anything. */
#include "bridge/proxy_impl.h"

#include <stdlib.h>

bool proxy_sticky(const struct proxy_piece *piece)
{
	return piece->job->spec.sticky && !piece->suspect;
}

uint64_t proxy_sticky_part(const struct proxy_lane *lane, const struct proxy_piece *piece, bool any, uint64_t *at)
{
	uint64_t size = piece->job->spec.chunk ? piece->job->spec.chunk : 1, lanes = piece->job->pq->proxy->lanes;
	bool input = piece->job->spec.args == RANQ_ARGS_INPUT; /* lines come in order: the last ones may not be here */
	uint64_t last = (piece->end - 1) / size, block = any && !input ? last : piece->start / size, end;

	if (!any)
		block += (lane->number % lanes + lanes - block % lanes) % lanes;
	if (block > last)
		return 0;
	*at = block * size > piece->start ? block * size : piece->start;
	end = piece->end - block * size > size ? (block + 1) * size : piece->end;
	return input ? proxy_input_have(piece->job, *at, end) : end - *at;
}

struct proxy_piece *proxy_sticky_cut(struct proxy_piece *piece, uint64_t at)
{
	struct proxy_piece *rest;

	if (at == piece->start)
		return piece;
	rest = calloc(1, sizeof *rest);
	if (!rest)
		return NULL;
	*rest = *piece;
	rest->start = piece->end = at;
	TAILQ_INSERT_AFTER(&piece->job->pq->proxy->pieces, piece, rest, next);
	return rest;
}

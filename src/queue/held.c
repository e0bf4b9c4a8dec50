/* The mirror is an array sorted by job, token and start. Fragments of one token never overlap, so the one that contains
 * a range is the last that begins at or before it. Two tokens of one job may overlap: a range that was fenced and
 * leased again. */
#include "queue/held.h"

#include <stdlib.h>
#include <string.h>

struct fragment {
	uint64_t job, seq, start, end;
};
struct ranq_held {
	struct fragment *at;
	size_t n, cap;
	uint64_t tasks;
};

struct ranq_held *ranq_held_create(void)
{
	return calloc(1, sizeof(struct ranq_held));
}

void ranq_held_destroy(struct ranq_held *held)
{
	if (!held)
		return;
	free(held->at);
	free(held);
}

/* Number of fragments that sort before or are equal to (job, seq, start). */
static size_t position(const struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t start)
{
	size_t low = 0, high = held->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct fragment *f = &held->at[mid];

		if (f->job < job || (f->job == job && (f->seq < seq || (f->seq == seq && f->start <= start))))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int insert(struct ranq_held *held, struct fragment f)
{
	size_t i;

	if (held->n == held->cap) {
		size_t cap = held->cap ? 2 * held->cap : 64;
		struct fragment *at = realloc(held->at, cap * sizeof *at);

		if (!at)
			return -1;
		held->at = at;
		held->cap = cap;
	}
	i = position(held, f.job, f.seq, f.start);
	memmove(held->at + i + 1, held->at + i, (held->n - i) * sizeof *held->at);
	held->at[i] = f;
	held->n++;
	held->tasks += f.end - f.start;
	return 0;
}

static void erase(struct ranq_held *held, size_t i)
{
	held->tasks -= held->at[i].end - held->at[i].start;
	held->n--;
	memmove(held->at + i, held->at + i + 1, (held->n - i) * sizeof *held->at);
}

int ranq_held_add(struct ranq_held *held, const struct ranq_range *range)
{
	if (range->end <= range->start)
		return -1;
	return insert(held, (struct fragment){range->job, range->seq, range->start, range->end});
}

/* The fragment of (job, seq) that contains [start, end), or NULL. */
static struct fragment *find(const struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t start, uint64_t end)
{
	size_t i = position(held, job, seq, start);
	struct fragment *f = i ? &held->at[i - 1] : NULL;

	return f && f->job == job && f->seq == seq && f->start <= start && end <= f->end ? f : NULL;
}

int ranq_held_take(struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t start, uint64_t end, uint64_t *at)
{
	struct fragment *f = start < end ? find(held, job, seq, start, end) : NULL;
	struct fragment whole;

	if (!f)
		return -1;
	whole = *f;
	/* The right part needs memory; without it nothing changes. */
	if (end < whole.end && insert(held, (struct fragment){job, seq, end, whole.end}))
		return -1;
	f = find(held, job, seq, start, end);
	held->tasks -= whole.end - start;
	f->end = start;
	if (f->start == start)
		erase(held, (size_t)(f - held->at));
	*at = whole.start;
	return 0;
}

size_t ranq_held_count(const struct ranq_held *held)
{
	return held->n;
}

uint64_t ranq_held_tasks(const struct ranq_held *held)
{
	return held->tasks;
}

bool ranq_held_job(const struct ranq_held *held, uint64_t job)
{
	size_t i = position(held, job, 0, 0);

	return (i > 0 && held->at[i - 1].job == job) || (i < held->n && held->at[i].job == job);
}

size_t ranq_held_jobs(const struct ranq_held *held, uint64_t after, uint64_t *jobs, size_t max)
{
	size_t n = 0;

	for (size_t i = position(held, after, UINT64_MAX, UINT64_MAX); i < held->n && n < max; i++)
		if (!n || jobs[n - 1] != held->at[i].job)
			jobs[n++] = held->at[i].job;
	return n;
}

static struct ranq_fragment outside(const struct fragment *f)
{
	return (struct ranq_fragment){f->job, f->start, f->seq, f->start, f->end, RANQ_RELEASE_DRAINED};
}

void ranq_held_list(const struct ranq_held *held, struct ranq_fragment *out)
{
	for (size_t i = 0; i < held->n; i++)
		out[i] = outside(&held->at[i]);
}

/* ---- pages of a resync ---- */

static int by_place(const void *pa, const void *pb)
{
	const struct ranq_fragment *a = pa, *b = pb;

	if (a->job != b->job)
		return a->job < b->job ? -1 : 1;
	return a->start < b->start ? -1 : a->start > b->start;
}

void ranq_held_sort(struct ranq_fragment *list, size_t n)
{
	if (n > 0)
		qsort(list, n, sizeof *list, by_place);
}

/* How many of the n parts from list[0] on make a page: the most after which no part reaches behind the place where the
 * next one begins. Parts overlap only where a range was fenced and leased again; if all do, one may be cut by the
 * border and is not ours then, which costs its work and nothing else. */
static size_t page_parts(const struct ranq_fragment *list, size_t n, size_t max)
{
	uint64_t reach = list[0].end;
	size_t clean = 0;

	for (size_t i = 1; i < n && i <= max; i++) {
		if (list[i].job != list[i - 1].job || list[i].start >= reach) {
			clean = i;
			reach = 0;
		}
		if (list[i].end > reach)
			reach = list[i].end;
	}
	return clean ? clean : max;
}

bool ranq_held_page(const struct ranq_fragment *list, size_t n, size_t max, struct ranq_resync_page *page)
{
	size_t left;

	if (page->last)
		return false;
	page->first += page->n;
	page->from_job = page->to_job;
	page->from = page->to;
	left = n - page->first;
	page->last = left <= max;
	page->n = page->last ? left : page_parts(list + page->first, left, max);
	page->to_job = page->last ? RANQ_TASKS_MAX : list[page->first + page->n].job;
	page->to = page->last ? 0 : list[page->first + page->n].start;
	return true;
}

void ranq_held_drop(struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t at)
{
	size_t i = position(held, job, seq, at);

	if (i && held->at[i - 1].job == job && held->at[i - 1].seq == seq && held->at[i - 1].start == at)
		erase(held, i - 1);
}

void ranq_held_drop_range(struct ranq_held *held, uint64_t job, uint64_t seq, uint64_t start, uint64_t end)
{
	size_t i = position(held, job, seq, start);

	if (i > 0 && held->at[i - 1].job == job && held->at[i - 1].seq == seq && held->at[i - 1].end > start)
		i--;
	while (i < held->n && held->at[i].job == job && held->at[i].seq == seq && held->at[i].start < end)
		erase(held, i);
}

void ranq_held_drop_job(struct ranq_held *held, uint64_t job, struct ranq_fragment *out, size_t *n, size_t max)
{
	size_t kept = 0;

	*n = 0;
	for (size_t i = 0; i < held->n; i++) {
		if (held->at[i].job == job && *n < max) {
			out[(*n)++] = outside(&held->at[i]);
			held->tasks -= held->at[i].end - held->at[i].start;
		} else {
			held->at[kept++] = held->at[i];
		}
	}
	held->n = kept;
}

#include "record/reduce.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define ARITY 16
#define VALUE_MAX ((size_t)RANQ_SPEC_MAX_REDUCED)
#define PART_BYTES 40 /* of a part as a segment, without its value, at most */

/* ---- how --------------------------------------------------------------------------------------------------------- */

#define X(name) \
	static int name(struct ranq_partial *into, const void *value, size_t len) \
	{ \
		unsigned char *to = into->data; \
		const unsigned char *from = value; \
		size_t i; \
\
		if (len != into->len || len % 8) \
			return 1; \
		for (i = 0; i < len; i += 8) \
			ranq_reduce_join8(RANQ_REDUCE_##name, to + i, from + i); \
		return 0; \
	}
RANQ_REDUCTIONS(X)
#undef X

static const struct {
	const char *name;
	ranq_reducer *function;
} builtin[] = {
	{NULL, NULL},
#define X(name) {#name, name},
	RANQ_REDUCTIONS(X)
#undef X
};

enum ranq_reduce_kind ranq_reduce_kind_of(const char *name)
{
	unsigned kind;

	if (!name)
		return RANQ_REDUCE_NONE;
	for (kind = 1; kind < RANQ_REDUCE_FUNCTION; kind++)
		if (!strcmp(builtin[kind].name, name))
			return (enum ranq_reduce_kind)kind;
	return RANQ_REDUCE_FUNCTION;
}

struct ranq_reduce ranq_reduce_of(const struct ranq_spec *spec)
{
	struct ranq_reduce how = {.kind = ranq_reduce_kind_of(spec->reduce), .ordered = spec->reduce_ordered};

	if (how.kind < RANQ_REDUCE_FUNCTION)
		how.function = builtin[how.kind].function;
	how.text = spec->body == RANQ_BODY_COMMAND;
	return how;
}

/* ---- results of tasks -------------------------------------------------------------------------------------------- */

static bool is_real(enum ranq_reduce_kind kind)
{
	return kind == RANQ_REDUCE_sum_double || kind == RANQ_REDUCE_min_double || kind == RANQ_REDUCE_max_double;
}

/* One number at *text, which moves behind it; false: there is none. */
static bool read_number(bool real, const char **text, struct ranq_buf *numbers)
{
	char *end;
	double x;
	int64_t i;

	errno = 0;
	if (real) {
		x = strtod(*text, &end);
		memcpy(&i, &x, sizeof i);
	} else {
		i = strtoll(*text, &end, 10);
		if (errno)
			return false;
	}
	if (end == *text || (*end && !strchr(" \t\r\n", *end)))
		return false;
	ranq_buf_add(numbers, &i, sizeof i);
	*text = end;
	return true;
}

/* Numbers between blanks, as a command prints them; they are put behind the copy of the text. */
static int read_text(bool real, struct ranq_bytes *value, struct ranq_buf *scratch, struct ranq_err *err)
{
	const char *text;
	struct ranq_buf numbers;
	bool good = value->len && !memchr(value->data, 0, value->len);

	ranq_buf_reset(scratch);
	ranq_buf_init(&numbers, VALUE_MAX);
	ranq_buf_add(scratch, value->data, value->len);
	text = ranq_buf_cstr(scratch);
	text += strspn(text, " \t\r\n");
	good = good && *text;
	while (good && *text) {
		good = read_number(real, &text, &numbers);
		text += strspn(text, " \t\r\n");
	}
	if (good && (ranq_buf_failed(scratch) || ranq_buf_failed(&numbers))) {
		ranq_buf_clear(&numbers);
		return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for the numbers of its output");
	}
	ranq_buf_clear(scratch);
	*scratch = numbers;
	if (!good)
		return ranq_err_set(err, RANQ_ERR_INPUT, "its output is not %s numbers", real ? "only" : "only whole");
	*value = (struct ranq_bytes){scratch->data, scratch->len};
	return 0;
}

int ranq_reduce_leaf(
	const struct ranq_reduce *how, struct ranq_bytes *value, struct ranq_buf *scratch, struct ranq_err *err)
{
	static const int64_t one = 1;

	if (how->kind == RANQ_REDUCE_FUNCTION)
		return 0;
	if (how->kind == RANQ_REDUCE_count)
		*value = (struct ranq_bytes){&one, sizeof one};
	else if (how->text)
		return read_text(is_real(how->kind), value, scratch, err);
	if (!value->len || value->len % 8)
		return ranq_err_set(err, RANQ_ERR_INPUT, "its result of %zu bytes is not what %s takes: numbers of 8 bytes",
			value->len, builtin[how->kind].name);
	return 0;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static int resize(struct ranq_partial *value, size_t len)
{
	struct ranq_reduction_part *part = (struct ranq_reduction_part *)(void *)value;
	size_t cap = part->cap + part->cap / 2;
	void *data;

	if (len > VALUE_MAX)
		return -1;
	if (len > part->cap || !value->data) {
		if (cap < len)
			cap = len;
		if (cap < sizeof(int64_t))
			cap = sizeof(int64_t);
		data = realloc(value->data, cap);
		if (!data)
			return -1;
		value->data = data;
		part->cap = cap;
	}
	if (len > value->len)
		memset((char *)value->data + value->len, 0, len - value->len);
	value->len = len;
	return 0;
}
_Static_assert(offsetof(struct ranq_reduction_part, value) == 0, "resize finds the part by its value");

/* The size of the nodes that a part is made of: the largest power of the arity that fits into it. */
static uint64_t node_size(uint64_t count)
{
	uint64_t size = 1;

	while (count / size >= ARITY)
		size *= ARITY;
	return size;
}

static bool is_canonical(uint64_t start, uint64_t count)
{
	uint64_t size = node_size(count);

	return start % size == 0 && count % size == 0 && (count == size || start % (ARITY * size) == 0);
}

static bool may_join(const struct ranq_reduction *r, const struct ranq_reduction_part *a,
	const struct ranq_reduction_part *b)
{
	uint64_t size = node_size(b->count);

	if (!r->how.ordered)
		return true;
	/* b is a whole node, and a the beginning of the one that it belongs to */
	return b->count == size && a->start % (ARITY * size) == 0 && a->count < ARITY * size && a->count % size == 0;
}

/* b, right behind a, goes into a, its memory is left. False: they do not go together. */
static bool join(struct ranq_reduction *r, struct ranq_reduction_part *a, struct ranq_reduction_part *b)
{
	struct ranq_reduction_part old = *a;
	size_t before = a->value.len + b->value.len + PART_BYTES;

	if (b->ok && !a->ok) {
		a->value = b->value;
		a->cap = b->cap;
		b->value = old.value;
		b->cap = old.cap;
	} else if (b->ok && (!r->how.function || r->how.function(&a->value, b->value.data, b->value.len) != 0)) {
		return false;
	}
	a->count += b->count;
	a->ok += b->ok;
	r->bytes = r->bytes - before + a->value.len;
	return true;
}

/* After a change of the last part. */
static void find_room(struct ranq_reduction *r)
{
	const struct ranq_reduction_part *last = r->n ? &r->part[r->n - 1] : NULL;

	r->room = 0;
	if (!last || r->how.kind == RANQ_REDUCE_FUNCTION || !last->ok || last->value.len != sizeof(int64_t))
		return;
	if (!r->how.ordered)
		r->room = UINT64_MAX;
	else if (last->start % ARITY == 0 && last->count < ARITY - 1)
		r->room = ARITY - 1 - last->count;
}

static void close_nodes(struct ranq_reduction *r)
{
	while (r->n > 1 && may_join(r, &r->part[r->n - 2], &r->part[r->n - 1]) &&
		join(r, &r->part[r->n - 2], &r->part[r->n - 1]))
		r->n--;
	find_room(r);
}

static struct ranq_reduction_part *next_part(struct ranq_reduction *r)
{
	size_t cap = r->cap ? 2 * r->cap : 16;
	struct ranq_reduction_part *part;

	if (r->n < r->cap)
		return &r->part[r->n];
	part = realloc(r->part, cap * sizeof *part);
	if (!part)
		return NULL;
	memset(part + r->cap, 0, (cap - r->cap) * sizeof *part);
	r->part = part;
	r->cap = cap;
	return &r->part[r->n];
}

int ranq_reduction_add(struct ranq_reduction *r, const struct ranq_part *part)
{
	struct ranq_reduction_part *to;

	if (!part->count || part->count > RANQ_TASKS_MAX - r->end ||
		(r->how.ordered && !is_canonical(r->end, part->count)))
		return -1;
	to = next_part(r);
	if (!to)
		return -1;
	to->value.resize = resize;
	to->value.len = 0;
	if (resize(&to->value, part->value.len) != 0)
		return -1;
	if (part->value.len)
		memcpy(to->value.data, part->value.data, part->value.len);
	to->start = r->end;
	to->count = part->count;
	to->ok = part->ok;
	r->n++;
	r->end += part->count;
	r->bytes += part->value.len + PART_BYTES;
	close_nodes(r);
	return 0;
}

/* The largest piece of [start, upto) that may be a part. */
static uint64_t piece(const struct ranq_reduction *r, uint64_t start, uint64_t upto)
{
	uint64_t size = 1;

	if (!r->how.ordered)
		return upto - start;
	while (start % (ARITY * size) == 0 && upto - start >= ARITY * size)
		size *= ARITY;
	return size;
}

int ranq_reduction_skip(struct ranq_reduction *r, uint64_t upto)
{
	while (r->end < upto)
		if (ranq_reduction_add(r, &(struct ranq_part){.count = piece(r, r->end, upto)}) < 0)
			return -1;
	return 0;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

void ranq_reduction_init(struct ranq_reduction *r, const struct ranq_reduce *how, uint64_t start)
{
	*r = (struct ranq_reduction){.how = *how, .start = start, .end = start};
}

void ranq_reduction_clear(struct ranq_reduction *r)
{
	struct ranq_reduce how = r->how;
	size_t i;

	for (i = 0; i < r->cap; i++)
		free(r->part[i].value.data);
	free(r->part);
	ranq_reduction_init(r, &how, 0);
}

void ranq_reduction_restart(struct ranq_reduction *r, uint64_t start)
{
	size_t i;

	for (i = 0; i < r->cap; i++) {
		if (r->part[i].cap <= RANQ_REDUCTION_KEEP)
			continue;
		free(r->part[i].value.data);
		r->part[i] = (struct ranq_reduction_part){0};
	}
	r->start = r->end = start;
	r->n = r->bytes = 0;
	r->room = 0;
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

static int malformed(struct ranq_err *err, const char *what)
{
	return ranq_err_set(err, RANQ_ERR_REPLY, "stored results are malformed: %s", what);
}

int ranq_reduction_add_item(struct ranq_reduction *r, const void *item, size_t len, uint64_t end, struct ranq_err *err)
{
	struct ranq_segment_reader in;
	struct ranq_part part;
	uint64_t ok;
	int64_t count = ranq_reduction_check(&r->how, r->end, item, len, &ok, err);
	int status;

	if (count < 0)
		return -1;
	if (end < r->end || (uint64_t)count != end - r->end)
		return malformed(err, "an item of another length");
	ranq_segment_reader_init(&in, item, len);
	while ((status = ranq_segment_reader_next_part(&in, &part, err)) > 0)
		if (ranq_reduction_add(r, &part) < 0)
			return ranq_err_set(err, RANQ_ERR_MEMORY, "out of memory for a reduction");
	return status;
}

int64_t ranq_reduction_check(const struct ranq_reduce *how, uint64_t start, const void *item, size_t len, uint64_t *ok,
	struct ranq_err *err)
{
	struct ranq_segment_reader in;
	struct ranq_part part;
	uint64_t end = start;
	int status;

	*ok = 0;
	if (start > RANQ_TASKS_MAX)
		return malformed(err, "impossible number of tasks");
	ranq_segment_reader_init(&in, item, len);
	while ((status = ranq_segment_reader_next_part(&in, &part, err)) > 0) {
		if (part.count > RANQ_TASKS_MAX - end)
			return malformed(err, "impossible number of tasks");
		if (how->ordered && !is_canonical(end, part.count))
			return malformed(err, "an ordered reduction of other tasks than those of a node");
		end += part.count;
		*ok += part.ok;
	}
	return status < 0 ? -1 : (int64_t)(end - start);
}

static int join_nothing(struct ranq_partial *into, const void *value, size_t len)
{
	(void)into;
	(void)value;
	(void)len;
	return 0;
}

int ranq_reduction_foresee(const struct ranq_reduce *how, uint64_t start, const void *item, size_t len, size_t *parts,
	size_t *left)
{
	struct ranq_reduction r;
	struct ranq_segment_reader in;
	struct ranq_part part;
	int status;

	ranq_reduction_init(&r, how, start);
	r.how.function = join_nothing;
	ranq_segment_reader_init(&in, item, len);
	for (*parts = 0; (status = ranq_segment_reader_next_part(&in, &part, NULL)) > 0; ++*parts) {
		part.value.len = 0;
		if (ranq_reduction_add(&r, &part) < 0)
			break;
	}
	*left = r.n;
	ranq_reduction_clear(&r);
	return status ? -1 : 0;
}

size_t ranq_reduction_bytes(const struct ranq_reduction *r)
{
	return r->bytes;
}

int ranq_reduction_write(const struct ranq_reduction *r, struct ranq_buf *out)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		const struct ranq_reduction_part *p = &r->part[i];
		struct ranq_part part = {p->count, p->ok, {p->value.data, p->value.len}};

		if (ranq_part_add(out, &part) < 0)
			return -1;
	}
	return 0;
}

/* From the right: what stands behind is the last, unfinished child of the node in front of it. */
int ranq_reduction_total(struct ranq_reduction *r, struct ranq_part *total, struct ranq_err *err)
{
	*total = (struct ranq_part){0};
	r->room = 0;
	while (r->n > 1) {
		struct ranq_reduction_part *a = &r->part[r->n - 2], *b = &r->part[r->n - 1];

		if (!join(r, a, b))
			return ranq_err_set(err, RANQ_ERR_STATE,
				"the values of tasks %llu to %llu and of %llu to %llu do not go together",
				(unsigned long long)a->start, (unsigned long long)(b->start - 1),
				(unsigned long long)b->start, (unsigned long long)(b->start + b->count - 1));
		r->n--;
	}
	if (r->n)
		*total = (struct ranq_part){
			r->part->count, r->part->ok, {r->part->value.data, r->part->value.len}};
	return 0;
}

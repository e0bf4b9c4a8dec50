/* cache.c - see cache.h. A hash table of names; all entries also in one list, the latest used first. Those of the
 * present call are therefore at its front, and evicting from the end may stop at the first of them. */
#include "exec/cache.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 1024

struct entry {
	TAILQ_ENTRY(entry) link;
	struct entry *next; /* in its bucket */
	void *value;
	size_t bytes, cost; /* cost: with what the entry itself takes */
	void (*destroy)(void *value);
	uint64_t call; /* that used it last */
	char name[];
};

struct ranq_cache {
	struct entry *buckets[BUCKETS];
	TAILQ_HEAD(list, entry) list;
	size_t cost, limit;
	uint64_t call;
};

/* FNV-1a */
static struct entry **bucket(struct ranq_cache *cache, const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return &cache->buckets[hash % BUCKETS];
}

/* Where the pointer to the entry of this name stands, or would stand. */
static struct entry **find(struct ranq_cache *cache, const char *name)
{
	struct entry **at = bucket(cache, name);

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

struct ranq_cache *ranq_cache_create(void)
{
	struct ranq_cache *cache = calloc(1, sizeof *cache);

	if (!cache)
		return NULL;
	TAILQ_INIT(&cache->list);
	cache->limit = RANQ_CACHE_LIMIT;
	cache->call = 1;
	return cache;
}

/* Out of all lists before its destructor runs, for that is code of the user. */
static void drop(struct ranq_cache *cache, struct entry *entry)
{
	*find(cache, entry->name) = entry->next;
	TAILQ_REMOVE(&cache->list, entry, link);
	cache->cost -= entry->cost;
	if (entry->destroy)
		entry->destroy(entry->value);
	free(entry);
}

void ranq_cache_destroy(struct ranq_cache *cache)
{
	struct entry *entry;

	if (!cache)
		return;
	while ((entry = TAILQ_LAST(&cache->list, list)))
		drop(cache, entry);
	free(cache);
}

void ranq_cache_begin(struct ranq_cache *cache)
{
	cache->call++;
}

static void use(struct ranq_cache *cache, struct entry *entry)
{
	entry->call = cache->call;
	TAILQ_REMOVE(&cache->list, entry, link);
	TAILQ_INSERT_HEAD(&cache->list, entry, link);
}

void *ranq_cache_get(struct ranq_cache *cache, const char *name, size_t *bytes)
{
	struct entry *entry = *find(cache, name);

	if (bytes)
		*bytes = entry ? entry->bytes : 0;
	if (!entry)
		return NULL;
	use(cache, entry);
	return entry->value;
}

static size_t cost_in_use(const struct ranq_cache *cache, const struct entry *but)
{
	const struct entry *entry;
	size_t cost = 0;

	TAILQ_FOREACH(entry, &cache->list, link)
	{
		if (entry->call != cache->call)
			break;
		cost += entry == but ? 0 : entry->cost;
	}
	return cost;
}

static void evict(struct ranq_cache *cache, size_t room)
{
	struct entry *entry;

	while (cache->cost + room > cache->limit && (entry = TAILQ_LAST(&cache->list, list)) &&
		entry->call != cache->call)
		drop(cache, entry);
}

/* The new entry of `name`, in use, without a value; the one before it is gone. NULL: no room; nothing has changed. */
static struct entry *add(struct ranq_cache *cache, const char *name, size_t bytes)
{
	struct entry **at = find(cache, name), *entry;
	size_t size = sizeof *entry + strlen(name) + 1;

	if (bytes > cache->limit || size + bytes > cache->limit ||
		cost_in_use(cache, *at) > cache->limit - size - bytes)
		return NULL;
	entry = calloc(1, size);
	if (!entry)
		return NULL;
	memcpy(entry->name, name, size - sizeof *entry);
	entry->bytes = bytes;
	entry->cost = size + bytes;
	if (*at)
		drop(cache, *at);
	evict(cache, entry->cost);
	at = bucket(cache, name);
	entry->next = *at;
	*at = entry;
	TAILQ_INSERT_HEAD(&cache->list, entry, link);
	entry->call = cache->call;
	cache->cost += entry->cost;
	return entry;
}

int ranq_cache_put(
	struct ranq_cache *cache, const char *name, void *value, size_t bytes, void (*destroy)(void *value))
{
	struct entry *entry = add(cache, name, bytes);

	if (!entry)
		return -1;
	entry->value = value;
	entry->destroy = destroy;
	return 0;
}

int ranq_cache_copy(struct ranq_cache *cache, const char *name, const void *data, size_t len)
{
	void *copy = len < SIZE_MAX ? malloc(len + 1) : NULL;

	if (!copy)
		return -1;
	if (len)
		memcpy(copy, data, len);
	if (ranq_cache_put(cache, name, copy, len, free) == 0)
		return 0;
	free(copy);
	return -1;
}

void ranq_cache_limit(struct ranq_cache *cache, size_t bytes)
{
	cache->limit = bytes;
	evict(cache, 0);
}

/* cache.h - what functions keep from task to task and from job to job: named values, least recently used ones go first
 * when their sizes pass the limit. */
#ifndef RANQ_EXEC_CACHE_H
#define RANQ_EXEC_CACHE_H

#include <stddef.h>

#define RANQ_CACHE_LIMIT ((size_t)256 << 20) /* until somebody sets another one */

struct ranq_cache;
struct ranq_cache *ranq_cache_create(void); /* NULL: out of memory */
void ranq_cache_destroy(struct ranq_cache *cache); /* destroys its values; takes NULL */
/* Before each call of a function: what that call gets or puts stays until the next one. */
void ranq_cache_begin(struct ranq_cache *cache);
/* NULL: not there. bytes may be NULL. */
void *ranq_cache_get(struct ranq_cache *cache, const char *name, size_t *bytes);
/* Takes value, in the place of what has this name; destroy (may be NULL) is called at its end. -1: it does not fit
 * beside what is in use, or out of memory; then value stays the caller's, and what had the name stays, too. */
int ranq_cache_put(
	struct ranq_cache *cache, const char *name, void *value, size_t bytes, void (*destroy)(void *value));
int ranq_cache_copy(struct ranq_cache *cache, const char *name, const void *data, size_t len);
void ranq_cache_limit(struct ranq_cache *cache, size_t bytes);

#endif

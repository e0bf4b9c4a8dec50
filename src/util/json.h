/* json.h - JSON out, for `--json`: one object with "schema": "ranq.NOUN/1" first; keys only ever added. The only user
 * of jansson.
 *
 * A failed allocation or a bad value makes the whole object fail when it is printed, so that a series of adds needs one
 * check. */
#ifndef RANQ_UTIL_JSON_H
#define RANQ_UTIL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/buf.h"
#include "util/err.h"

struct ranq_json;

/* schema NULL: an object without one (to be put into an array). */
struct ranq_json *ranq_json_object(const char *schema);
void ranq_json_destroy(struct ranq_json *json); /* takes NULL */
/* text NULL: null. Text that is not UTF-8 is stored under KEY_base64 instead. */
void ranq_json_str(struct ranq_json *json, const char *key, const char *text);
void ranq_json_bytes(struct ranq_json *json, const char *key, const void *data, size_t len);
void ranq_json_int(struct ranq_json *json, const char *key, int64_t value);
void ranq_json_uint(struct ranq_json *json, const char *key, uint64_t value);
void ranq_json_real(struct ranq_json *json, const char *key, double value); /* not finite: null */
void ranq_json_bool(struct ranq_json *json, const char *key, bool value);
/* item moves into json: appended to the array `key` (made when it is not there; item NULL makes an empty one), or set
 * as member. */
void ranq_json_append(struct ranq_json *json, const char *key, struct ranq_json *item);
void ranq_json_append_str(struct ranq_json *json, const char *key, const char *text);
void ranq_json_member(struct ranq_json *json, const char *key, struct ranq_json *item);
/* One line and a newline; destroys json. */
int ranq_json_print(struct ranq_json *json, FILE *out, struct ranq_err *err);

bool ranq_utf8_check(const void *data, size_t len);

#endif

/* lua_files.h - the Lua sources of src/queue/lua, embedded by the build (embed_lua.cmake), sorted by name. */
#ifndef RANQ_QUEUE_LUA_FILES_H
#define RANQ_QUEUE_LUA_FILES_H

#include <stddef.h>

struct ranq_lua_file {
	const char *name, *text;
};
extern const struct ranq_lua_file ranq_lua_files[];
extern const size_t ranq_lua_nfiles;

#endif

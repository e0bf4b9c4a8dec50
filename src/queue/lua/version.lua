-- flags: no-writes
-- Revision and hash of the library that is loaded; both are filled in by loader.c.
local function version(keys, args)
	return { RANQ_REVISION, RANQ_HASH }
end

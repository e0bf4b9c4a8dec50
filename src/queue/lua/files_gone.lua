-- flags: allow-oom
-- args: up to 100 of what `files` gave, which are no more. reply: how many were known
local function files_gone(keys, args)
	if #args < 1 or #args > 100 then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local n = redis.pcall('ZREM', q.P .. 'files', unpack(args))
	return type(n) == 'number' and n or 0
end

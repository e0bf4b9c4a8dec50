-- flags: no-writes
-- args: job, hash, slice. reply: bytes
local function argument_get(keys, args)
	local slice = int(args[3])
	if #args ~= 3 or not int(args[1]) or not hex(args[2], 64) or not slice then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local k = q.P .. 'j:' .. args[1]
	local data = redis.call('HGET', k .. ':in', args[2] .. ':' .. S(slice))
	if data then return data end
	return fail(redis.call('EXISTS', k) == 1 and 'INPUT' or 'NOTFOUND')
end

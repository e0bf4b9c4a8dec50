-- flags: no-writes
-- args: job, name, slice. reply: bytes
local function slice_get(keys, args)
	if #args ~= 3 or not int(args[1]) or not hex(args[2], 64) or not int(args[3]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	return redis.call('HGET', q.P .. 'j:' .. args[1] .. ':v:' .. args[2], args[3]) or fail('NOTFOUND')
end

-- flags: no-writes
-- args: hash, part. reply: bytes
local function blob_get(keys, args)
	local part = int(args[2])
	if not hex(args[1], 64) or not part then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	return redis.call('HGET', q.P .. 'blob:' .. args[1], S(part)) or fail('BLOB')
end

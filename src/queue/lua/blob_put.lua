-- args: hash, part, bytes of the whole blob, data ("" asks only). reply: 1 when all parts are there
--
-- A blob that no job refers to yet expires like everything staged.
local function blob_put(keys, args)
	local part, total = int(args[2]), int(args[3])
	if #args ~= 4 or not hex(args[1], 64) or not part or not total then return fail('ARG') end
	local parts = math.max(1, math.ceil(total / 8388608))
	if part >= parts or (args[4] ~= '' and #args[4] ~= math.min(8388608, total - part * 8388608)) then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local k = q.P .. 'blob:' .. args[1]
	if args[4] ~= '' then redis.call('HSET', k, S(part), args[4]) end
	if total == 0 then redis.call('HSET', k, '0', '') end
	if redis.call('HEXISTS', q.P .. 'blobs', args[1]) == 0 then redis.call('EXPIRE', k, STAGE_TTL) end
	return redis.call('HLEN', k) >= parts and 1 or 0
end

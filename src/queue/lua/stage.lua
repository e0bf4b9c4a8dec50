-- args: uuid, first, block. reply: 1
local function stage(keys, args)
	local first, block = int(args[2]), args[3]
	local count = block and block_count(block)
	if #args ~= 3 or not hex(args[1], 32) or not first or not count then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local k = q.P .. 's:' .. args[1]
	local x = k .. ':x'
	local hash, total = block_argument(block)
	if hash and not has_argument(k, hash, total) then return fail('INPUT') end
	local member = S(first) .. ':' .. S(count) .. ':' .. #block
	local left = redis.call('ZREVRANGEBYSCORE', x, S(first), '-inf', 'LIMIT', 0, 1)[1]
	if left ~= member then
		local s, c = string.match(left or '', '^(%d+):(%d+):')
		if s and tonumber(s) + tonumber(c) > first then return fail('INPUT') end
		local right = redis.call('ZRANGEBYSCORE', x, '(' .. S(first), S(first + count - 1), 'LIMIT', 0, 1)[1]
		if right then return fail('INPUT') end
		redis.call('ZADD', x, S(first), member)
		redis.call('HINCRBY', k, 'sum', S(count))
		redis.call('HINCRBY', k, 'bytes', #block + (total or 0))
	end
	redis.call('HSET', k, S(first), block)
	redis.call('EXPIRE', k, STAGE_TTL)
	redis.call('EXPIRE', x, STAGE_TTL)
	return 1
end

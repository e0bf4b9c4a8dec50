-- flags: allow-oom
-- args: "all", the beginning of a bridge's id (8 digits at least) or an allocation. reply: number of bridges that will leave, 0
local function drain(keys, args)
	local who = args[1]
	if #args ~= 1 or #who < 1 or #who > 256 then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local count, marked = 0, 0
	for _, id in ipairs(redis.call('ZRANGE', q.P .. 'L', 0, BRIDGES - 1)) do
		local v = redis.call('HMGET', q.P .. 'bm:' .. id, 'allocation', 'drain')
		if who == 'all' or v[1] == who or (#who >= 8 and string.sub(id, 1, #who) == who) then
			count = count + 1
			if not v[2] then
				redis.call('HSET', q.P .. 'bm:' .. id, 'drain', 1)
				marked = marked + 1
			end
			ring_bridge(q, id, 'drain')
		end
	end
	if marked > 0 then redis.call('HINCRBY', q.key, 'drains', marked) end
	return done(q, { count, 0 })
end

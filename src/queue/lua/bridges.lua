-- flags: no-writes
-- reply: one list for each bridge: id, host, allocation, user, version, tags, binding, ranks, running, done, fragments, joined, end,
--        virtual ms left of its lease, idle, draining
local function bridge_deadline(q, id)
	local seen = string.match(redis.call('HGET', q.key, 'b:' .. id) or '', '^%d+')
	return seen and tonumber(seen) + q.lease or q.vt
end

local function bridges(keys, args)
	local q, err = open(keys[1])
	if not q then return err end
	local reply, list = {}, redis.call('ZRANGE', q.P .. 'L', 0, BRIDGES - 1)
	for _, id in ipairs(list) do
		local v = redis.call('HMGET', q.P .. 'bm:' .. id, 'host', 'allocation', 'user', 'version', 'tags', 'binding', 'ranks', 'running',
			'done', 'joined', 'end', 'drain')
		reply[#reply + 1] = { id, v[1] or '', v[2] or '', v[3] or '', v[4] or '', v[5] or '', v[6] or '', nat(v[7]), nat(v[8]), nat(v[9]),
			redis.call('HLEN', q.P .. 'b:' .. id), nat(v[10]), nat(v[11]), bridge_deadline(q, id) - q.vt,
			redis.call('SISMEMBER', q.P .. 'idle', id), v[12] and 1 or 0 }
	end
	return reply
end

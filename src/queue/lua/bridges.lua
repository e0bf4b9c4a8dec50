-- flags: no-writes
-- reply: one list for each bridge: id, host, allocation, user, version, tags, binding, ranks, running, done, fragments, joined, end,
--        virtual ms left of its lease, idle, draining
local function bridges(keys, args)
	local q, err = open(keys[1])
	if not q then return err end
	local reply, list = {}, redis.call('ZRANGE', q.P .. 'L', 0, MANY - 1, 'WITHSCORES')
	for i = 1, #list, 2 do
		local id = list[i]
		local v = redis.call('HMGET', q.P .. 'bm:' .. id, 'host', 'allocation', 'user', 'version', 'tags', 'binding', 'ranks', 'running',
			'done', 'joined', 'end', 'drain')
		reply[#reply + 1] = { id, v[1] or '', v[2] or '', v[3] or '', v[4] or '', v[5] or '', v[6] or '', nat(v[7]), nat(v[8]), nat(v[9]),
			math.max(0, redis.call('HLEN', q.P .. 'b:' .. id) - 1), nat(v[10]), nat(v[11]), tonumber(list[i + 1]) - q.vt,
			redis.call('SISMEMBER', q.P .. 'idle', id), v[12] and 1 or 0 }
	end
	return reply
end

-- flags: no-writes
-- reply: exists, paused, lease, virtual ms, jobs, ready, bridges, ranks, idle, bytes of results, 1 when unused (no job, no bridge)
local function stat(keys, args)
	local q, err = open(keys[1])
	if not q then return err end
	local P = q.P
	local jobs_there, bridges_there = redis.call('ZCARD', P .. 'all'), redis.call('ZCARD', P .. 'L')
	return { q.exists and 1 or 0, q.paused and 1 or 0, q.exists and q.lease or 0, q.vt, jobs_there, redis.call('ZCARD', P .. 'ready'),
		bridges_there, nat(redis.call('HGET', q.key, 'ranks')), redis.call('SCARD', P .. 'idle'), math.max(0, q.rbytes),
		jobs_there + bridges_there == 0 and 1 or 0 }
end

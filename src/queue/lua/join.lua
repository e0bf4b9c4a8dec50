-- flags: allow-oom
-- args: lease wish in ms or 0, limit of all results in bytes or 0, bridge, ranks, end in wall ms, host, allocation, user, version,
--       tags, binding
-- reply: lease in ms
--
-- A bridge that joins holds nothing: what stands under its id from before goes back. So a repeated join is harmless.
local function join(keys, args)
	local lease, rlimit, ranks, ends = int(args[1]), int(args[2]), int(args[4]), int(args[5])
	local bridge = args[3]
	if #args ~= 11 or not (lease and rlimit and ranks and ends) or not hex(bridge, 32) then return fail('ARG') end
	for i = 6, 11 do
		if #args[i] > 256 then return fail('ARG') end
	end
	local q, err = open(keys[1])
	if not q then return err end
	err = create(q, lease, rlimit)
	if err then return err end
	clock(q)
	local known = redis.call('ZSCORE', q.P .. 'L', bridge)
	if (known or redis.call('EXISTS', q.P .. 'b:' .. bridge) == 1) and not drop_bridge(q, bridge, 'drained') then return done(q, fail('STATE')) end
	redis.call('ZADD', q.P .. 'L', S(q.vt + q.lease), bridge)
	q_due(q, 'due', q.vt + q.lease)
	q_put(q, 'b:' .. bridge, S(q.vt) .. ' 0 0')
	redis.call('HSET', q.P .. 'bm:' .. bridge, 'host', args[6], 'allocation', args[7], 'user', args[8], 'version', args[9],
		'tags', args[10], 'binding', args[11], 'ranks', S(ranks), 'end', S(ends), 'joined', S(q.now))
	redis.call('HINCRBY', q.key, 'ranks', S(ranks))
	upkeep(q)
	return done(q, q.lease)
end

-- flags: allow-oom
-- args: bridge. reply: 1 when there is more to give back: call again. A bridge that is not there has left already.
local function leave(keys, args)
	if not hex(args[1], 32) then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	if not q.exists or not redis.call('ZSCORE', q.P .. 'L', args[1]) then return 0 end
	clock(q)
	local complete = drop_bridge(q, args[1], 'drained')
	upkeep(q)
	return done(q, complete and 0 or 1)
end

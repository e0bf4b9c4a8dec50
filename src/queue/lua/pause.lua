-- flags: allow-oom
-- args: 1 pause, 0 resume. reply: 1 when that was a change, 0
local function pause(keys, args)
	if args[1] ~= '0' and args[1] ~= '1' then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local want = args[1] == '1'
	if want == q.paused then return done(q, { 0, 0 }) end
	if want then
		redis.call('HSET', q.key, 'paused', 1)
		ring_bridges(q, 'look')
	else
		redis.call('HDEL', q.key, 'paused')
		ring_idle(q, MANY)
	end
	return done(q, { 1, 0 })
end

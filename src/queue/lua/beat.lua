-- flags: allow-oom
-- args: bridge, tasks running, tasks done, then the jobs of which the bridge holds something
-- reply: drain, paused, number of jobs that are over, these
local function beat(keys, args)
	local running, finished = int(args[2]), int(args[3])
	if not running or not finished or #args > MANY + 3 then return fail('ARG') end
	for i = 4, #args do
		if not int(args[i]) then return fail('ARG') end
	end
	local q, err = enter_bridge(keys[1], args[1])
	if not q then return err end
	redis.call('HSET', q.P .. 'bm:' .. args[1], 'running', args[2], 'done', args[3])
	local reply = { q.drain and 1 or 0, q.paused and 1 or 0, 0 }
	for i = 4, #args do
		local j = job(q, args[i])
		if not j or j.final then
			reply[3] = reply[3] + 1
			reply[#reply + 1] = int(args[i])
		end
	end
	return done(q, reply)
end

-- flags: allow-oom
-- args: job, client. reply: epoch, acknowledged to, state
--
-- The same client attaching again keeps its epoch; another one takes over.
local function attach_consumer(keys, args)
	if not int(args[1]) or not hex(args[2], 32) then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return done(q, fail('NOTFOUND')) end
	local c = j.k .. ':c'
	local v = redis.call('HMGET', c, 'epoch', 'client', 'state')
	local epoch = num(v[1])
	if v[2] ~= args[2] then
		epoch = redis.call('HINCRBY', c, 'epoch', 1)
		redis.call('HSET', c, 'client', args[2])
	end
	return done(q, { epoch, j.fto, v[3] or '' })
end

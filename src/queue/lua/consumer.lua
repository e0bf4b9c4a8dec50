-- flags: no-writes
-- args: job. reply: epoch, acknowledged to, state: as attach_consumer, without taking over
local function consumer(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local k = q.P .. 'j:' .. args[1]
	if redis.call('EXISTS', k) == 0 then return fail('NOTFOUND') end
	local v = redis.call('HMGET', k .. ':c', 'epoch', 'state')
	return { num(v[1]), num(redis.call('HGET', k, 'fto')), v[2] or '' }
end

-- flags: no-writes
-- args: job. reply: epoch, acknowledged to, state: as attach_consumer, without taking over
local function consumer(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return fail('NOTFOUND') end
	local v = redis.call('HMGET', j.k .. ':c', 'epoch', 'state')
	return { num(v[1]), j.fto, v[2] or '' }
end

-- flags: allow-oom
-- args: bridge, ranks, end in wall ms
-- reply: 1
--
-- What a bridge said of itself when it joined has changed: ranks are gone or here again, the end of its allocation has moved.
local function amend(keys, args)
	local ranks, ends = int(args[2]), int(args[3])
	if #args ~= 3 or not (ranks and ends) then return fail('ARG') end
	local q, err = enter_bridge(keys[1], args[1])
	if not q then return err end
	local meta = q.P .. 'bm:' .. args[1]
	redis.call('HINCRBY', q.key, 'ranks', S(ranks - num(redis.call('HGET', meta, 'ranks'))))
	redis.call('HSET', meta, 'ranks', S(ranks), 'end', S(ends))
	return done(q, 1)
end

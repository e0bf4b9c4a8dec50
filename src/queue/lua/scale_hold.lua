-- flags: allow-oom
-- args: holder, ms (0: let go), name. reply: 1 when the caller holds the record now, ms left of whoever does, its name
local function scale_hold(keys, args)
	local ttl = int(args[2])
	if not hex(args[1], 32) or not ttl or ttl > 3600000 or #args ~= 3 or #args[3] > 200 then return fail('ARG') end
	local q, err = open(keys[1])
	if not q then return err end
	local P = q.P
	local holder, who, left = scale_holder(P)
	if holder and holder ~= args[1] then return { 0, left, who } end
	if ttl == 0 then
		if holder then redis.call('HDEL', P .. 'scale', 'holder', 'who', 'until') end
		return { 0, 0, '' }
	end
	redis.call('HSET', P .. 'scale', 'holder', args[1], 'who', args[3], 'until', S(wall_ms() + ttl))
	scale_touch(P)
	return { 1, ttl, args[3] }
end

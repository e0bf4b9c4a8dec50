-- flags: allow-oom
-- args: bridge, then for each part: job, at, seq, start, end, kind (0 drained, 1 suspect)
-- reply: number of parts that were the bridge's
local function release(keys, args)
	local n = (#args - 1) / 6
	if n < 1 or n > MANY or n % 1 ~= 0 then return fail('ARG') end
	for p = 2, #args, 6 do
		local s, e = int(args[p + 3]), args[p + 4] == '9007199254740992' and LIMIT or int(args[p + 4])
		if not (int(args[p]) and int(args[p + 1]) and int(args[p + 2]) and s and e and e > s) then return fail('ARG') end
		if args[p + 5] ~= '0' and args[p + 5] ~= '1' then return fail('ARG') end
	end
	local q, err = enter_bridge(keys[1], args[1])
	if not q then return err end
	local count = 0
	for p = 2, #args, 6 do
		local id, at, s, e = args[p], int(args[p + 1]), int(args[p + 3]), tonumber(args[p + 4])
		local field = id .. ':' .. S(at)
		local f = fragment(redis.call('HGET', q.b, field))
		if f and f.seq == S(int(args[p + 2])) and s >= at and e <= f.e then
			local rest = ':' .. f.seq .. ':' .. S(f.x) .. ':' .. S(f.deaths) .. ':' .. f.kind
			if at < s then redis.call('HSET', q.b, field, S(s) .. rest) else redis.call('HDEL', q.b, field) end
			if e < f.e then redis.call('HSET', q.b, id .. ':' .. S(e), S(f.e) .. rest) end
			give_back(q, id, s, e, f, args[p + 5] == '1' and 'suspect' or 'drained', 0)
			count = count + 1
		end
	end
	return done(q, count)
end

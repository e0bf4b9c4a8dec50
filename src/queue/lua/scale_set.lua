-- flags: allow-oom
-- args: holder or "" (then only the wishes `mode` and `want`), n, n * (field, value; "" deletes it), lines of the log (at most 100)
-- reply: n, 0
local function scale_set(keys, args)
	local n = int(args[2])
	if not n or n > 100 or #args < 2 + 2 * n or #args > 102 + 2 * n then return fail('ARG') end
	if args[1] ~= '' and not hex(args[1], 32) then return fail('ARG') end
	for i = 3, 1 + 2 * n, 2 do
		if not string.find(args[i], '^%l[%l:-]*$') or #args[i] > 64 or #args[i + 1] > 262144 then return fail('ARG') end
		if args[i] == 'holder' or args[i] == 'who' or args[i] == 'until' then return fail('ARG') end
		if args[1] == '' and args[i] ~= 'mode' and args[i] ~= 'want' then return fail('ARG') end
	end
	local q, err = open(keys[1])
	if not q then return err end
	local P = q.P
	if args[1] == '' then
		if redis.call('EXISTS', P .. 'scale') == 0 then return fail('NOTFOUND') end
	elseif scale_holder(P) ~= args[1] then
		return fail('STATE')
	end
	for i = 3, 1 + 2 * n, 2 do
		if args[i + 1] == '' then
			redis.call('HDEL', P .. 'scale', args[i])
		else
			redis.call('HSET', P .. 'scale', args[i], args[i + 1])
		end
	end
	for i = 3 + 2 * n, #args do redis.call('RPUSH', P .. 'scalelog', string.sub(args[i], 1, 500)) end
	redis.call('LTRIM', P .. 'scalelog', -200, -1)
	scale_touch(P)
	return { n, 0 }
end

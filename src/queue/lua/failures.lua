-- flags: no-writes
-- args: job, first index, count (at most 1000). reply: index, record for each, lowest first
local function failures(keys, args)
	local from, count = int(args[2]), int(args[3])
	if not int(args[1]) or not from or not count or count < 1 or count > MANY then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local k = q.P .. 'j:' .. args[1]
	if redis.call('EXISTS', k) == 0 then return fail('NOTFOUND') end
	local found = {}
	for _, index in ipairs(redis.call('HKEYS', k .. ':f')) do
		local i = int(index)
		if i and i >= from then found[#found + 1] = i end
	end
	table.sort(found)
	local reply = {}
	for i = 1, math.min(count, #found) do
		reply[2 * i - 1] = found[i]
		reply[2 * i] = redis.call('HGET', k .. ':f', S(found[i]))
	end
	return reply
end

-- flags: no-writes
-- args: job, start, end. reply: start, end, item for each result of a later round that touches [start, end), earlier rounds first
local function overlay(keys, args)
	local s, e = int(args[2]), args[3] == '9007199254740992' and LIMIT or int(args[3])
	if not int(args[1]) or not s or not e or e <= s then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local k = q.P .. 'j:' .. args[1]
	local found = {}
	for _, member in ipairs(redis.call('ZRANGEBYSCORE', k .. ':ri', '-inf', '(' .. S(e))) do
		local a, b, round = string.match(member, '^(%d+):(%d+):%d+:(%d+)$')
		if b and tonumber(b) > s then found[#found + 1] = { tonumber(a), tonumber(b), tonumber(round), round .. ':' .. a } end
	end
	table.sort(found, function(x, y)
		if x[3] ~= y[3] then return x[3] < y[3] end
		return x[1] < y[1]
	end)
	local reply = {}
	for _, r in ipairs(found) do
		local at = #reply
		reply[at + 1], reply[at + 2], reply[at + 3] = r[1], r[2], redis.call('HGET', k .. ':rr', r[4]) or ''
	end
	return reply
end

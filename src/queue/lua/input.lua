-- flags: allow-oom
-- args: job, start, end, max bytes. reply: first, block for each block, at least one, in order
local function input(keys, args)
	local s, e, max = int(args[2]), int(args[3]), int(args[4])
	if not int(args[1]) or not s or not e or not max or e <= s then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local k = q.P .. 'j:' .. args[1]
	local list = redis.call('ZREVRANGEBYSCORE', k .. ':inx', args[2], '-inf', 'LIMIT', 0, 1)
	local after = redis.call('ZRANGEBYSCORE', k .. ':inx', '(' .. args[2], '(' .. args[3], 'LIMIT', 0, 255)
	for i = 1, #after do list[#list + 1] = after[i] end
	local reply, bytes = {}, 0
	for i = 1, #list do
		local first, count, size = string.match(list[i], '^(%d+):(%d+):(%d+)$')
		if not first then break end
		if i > 1 and bytes + tonumber(size) > max then break end
		if tonumber(first) + tonumber(count) > s then
			local block = redis.call('HGET', k .. ':in', first)
			if not block then break end
			bytes = bytes + #block
			reply[#reply + 1] = tonumber(first)
			reply[#reply + 1] = block
		end
	end
	if #reply == 0 then
		local j = job(q, args[1])
		if not j or s >= j.n or num(redis.call('HGET', k, 'inb')) == 0 then return fail('NOTFOUND') end
		return lost(q, args[1], 'its input was deleted')
	end
	return reply
end

-- flags: no-writes
-- args: job. reply: tasks, done, leased, returned, remaining, overlaps, leased ranges, returned ranges
--
-- leased and returned are summed over the ranges themselves, not read from the counters. overlaps: ranges that overlap another, lie beyond
-- `next` or cover a stored result; results whose key is gone; and one more when a counter is wrong.
local function audit(keys, args)
	if not int(args[1]) then return fail('ARG') end
	local q, err = open_existing(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return fail('NOTFOUND') end
	cold(j)
	local all, leased, returned, nleased, nreturned, overlaps = {}, 0, 0, 0, 0, 0
	visit_fragments(q, args[1], function(_, s, f)
		leased, nleased = leased + f.e - s, nleased + 1
		all[#all + 1] = { s, f.e, f.kind }
	end)
	visit_returned(j, function(s, e, _, _, kind)
		returned, nreturned = returned + e - s, nreturned + 1
		all[#all + 1] = { s, e, kind }
	end)
	table.sort(all, function(a, b) return a[1] < b[1] end)
	local till = 0
	for _, r in ipairs(all) do
		if r[1] < till or r[2] > j.next then overlaps = overlaps + 1 end
		till = math.max(till, r[2])
		if r[3] == 'n' or r[3] == 's' then
			local item = redis.call('ZREVRANGEBYSCORE', j.k .. ':i', '(' .. S(r[2]), '-inf', 'LIMIT', 0, 1)[1]
			local e = string.match(item or '', '^%d+:(%d+):')
			if e and tonumber(e) > r[1] then overlaps = overlaps + 1 end
		end
	end
	for _, first in ipairs(redis.call('ZRANGE', j.k .. ':rx', 0, -1)) do
		if redis.call('EXISTS', j.k .. ':rx:' .. first) == 0 then overlaps = overlaps + 1 end
	end
	if leased ~= j.leased or returned ~= j.retn + j.pr then overlaps = overlaps + 1 end
	return { j.n, j.done, leased, returned, j.n - j.next, overlaps, nleased, nreturned }
end

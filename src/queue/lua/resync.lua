-- flags: allow-oom
-- args: bridge, then for each part that the bridge holds or has under way: job, start, end, seq
-- reply: number of parts that are not (or no longer) the bridge's, their positions (from 0)
--
-- Afterwards the fragments here are exactly the parts of the list that are the bridge's, cut as the list has them; what stood here and is
-- not in the list never reached the bridge (a lost reply) and goes back. A part that only partly is the bridge's is not.

local function resync_parts(args)
	local parts = {}
	for p = 2, #args, 4 do
		local e = args[p + 2] == '9007199254740992' and LIMIT or int(args[p + 2])
		local s = int(args[p + 1])
		if not (int(args[p]) and s and e and int(args[p + 3]) and e > s) then return nil end
		parts[#parts + 1] = { id = args[p], s = s, e = e, seq = S(int(args[p + 3])), n = #parts }
	end
	table.sort(parts, function(a, b)
		if a.id ~= b.id then return a.id < b.id end
		if a.s ~= b.s then return a.s < b.s end
		return a.n < b.n
	end)
	return parts
end

-- The parts that lie in a fragment, in order; parts that overlap an earlier one are not ours. parts: all of its job, by start.
local function resync_claim(parts, s, f)
	local mine, till = {}, s
	local low, high = 1, #parts + 1
	while low < high do
		local middle = math.floor((low + high) / 2)
		if parts[middle].s < s then low = middle + 1 else high = middle end
	end
	while parts[low] and parts[low].s < f.e do
		local part = parts[low]
		if part.seq == f.seq and part.s >= till and part.e <= f.e then
			part.ours = true
			mine[#mine + 1] = part
			till = part.e
		end
		low = low + 1
	end
	return mine
end

local function resync_fragment(q, id, s, f, mine)
	local rest = ':' .. f.seq .. ':' .. S(f.x) .. ':' .. S(f.deaths) .. ':' .. f.kind
	if #mine == 1 and mine[1].s == s and mine[1].e == f.e then return end
	redis.call('HDEL', q.b, id .. ':' .. S(s))
	local at = s
	for _, part in ipairs(mine) do
		if part.s > at then give_back(q, id, at, part.s, f, 'drained', 0) end
		redis.call('HSET', q.b, id .. ':' .. S(part.s), S(part.e) .. rest)
		at = part.e
	end
	if at < f.e then give_back(q, id, at, f.e, f, 'drained', 0) end
end

local function resync(keys, args)
	if (#args - 1) % 4 ~= 0 or #args > 4 * MANY + 1 then return fail('ARG') end
	local parts = resync_parts(args)
	if not parts then return fail('ARG') end
	local q, err = enter_bridge(keys[1], args[1])
	if not q then return err end
	local by_job = {}
	for _, part in ipairs(parts) do
		local list = by_job[part.id] or {}
		list[#list + 1] = part
		by_job[part.id] = list
	end
	-- All of them, or the rest would stay leased to nobody: lease keeps their number small.
	local all = redis.call('HGETALL', q.b)
	for i = 1, #all, 2 do
		local id, s = string.match(all[i], '^(%d+):(%d+)$')
		local f = fragment(all[i + 1])
		if id and f then
			resync_fragment(q, id, tonumber(s), f, resync_claim(by_job[id] or {}, tonumber(s), f))
		else
			redis.call('HDEL', q.b, all[i])
		end
	end
	local reply = { 0 }
	for _, part in ipairs(parts) do
		if not part.ours then
			reply[1] = reply[1] + 1
			reply[#reply + 1] = part.n
		end
	end
	return done(q, reply)
end

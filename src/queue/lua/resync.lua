-- flags: allow-oom
-- args: bridge, then for each part that the bridge holds or has under way: job, start, end, seq; for one page of several the window of
--       the page: "JOB:START:JOB:START"
-- reply: number of parts that are not (or no longer) the bridge's, their positions (from 0)
--
-- Afterwards the fragments here are exactly the parts of the list that are the bridge's, cut as the list has them; what stood here and is
-- not in the list never reached the bridge (a lost reply) and goes back. A part that only partly is the bridge's is not.
--
-- A page says this of the tasks in its window alone, from (included) to (not included) in the order of (job, task). A fragment that
-- crosses a border is cut there, so that the next page finds its own side of it whatever this one did with the other: the list has a
-- border there, too, since a window begins where its first part does.

local function resync_parts(args, last)
	local parts = {}
	for p = 2, last, 4 do
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

-- Without one: everything.
local function resync_window(text)
	if not text then return { from_job = 0, from = 0, to_job = LIMIT, to = 0 } end
	local a, b, c, d = string.match(text, '^(%d+):(%d+):(%d+):(%d+)$')
	if not a or #text > 4 * 16 + 3 then return nil end
	return { from_job = tonumber(a), from = tonumber(b), to_job = tonumber(c), to = tonumber(d) }
end

-- What of [s, e) lies in the window; nil: nothing.
local function resync_clip(w, id, s, e)
	local job = tonumber(id)
	if job < w.from_job or job > w.to_job then return nil end
	if job == w.from_job and s < w.from then s = w.from end
	if job == w.to_job and e > w.to then e = w.to end
	if s < e then return s, e end
end

-- The parts that lie in [s, e) of a fragment, in order; parts that overlap an earlier one are not ours. parts: all of its job, by start.
local function resync_claim(parts, s, e, seq)
	local mine, till = {}, s
	local low, high = 1, #parts + 1
	while low < high do
		local middle = math.floor((low + high) / 2)
		if parts[middle].s < s then low = middle + 1 else high = middle end
	end
	while parts[low] and parts[low].s < e do
		local part = parts[low]
		if part.seq == seq and part.s >= till and part.e <= e then
			part.ours = true
			mine[#mine + 1] = part
			till = part.e
		end
		low = low + 1
	end
	return mine
end

-- The fragment [s, f.e), of which [from, till) lies in the window and the parts `mine` in that.
local function resync_fragment(q, id, s, f, from, till, mine)
	if #mine == 1 and mine[1].s == s and mine[1].e == f.e then return end
	local rest = ':' .. f.seq .. ':' .. S(f.x) .. ':' .. S(f.deaths) .. ':' .. f.kind
	redis.call('HDEL', q.b, id .. ':' .. S(s))
	if s < from then redis.call('HSET', q.b, id .. ':' .. S(s), S(from) .. rest) end
	local at = from
	for _, part in ipairs(mine) do
		if part.s > at then give_back(q, id, at, part.s, f, 'drained', 0) end
		redis.call('HSET', q.b, id .. ':' .. S(part.s), S(part.e) .. rest)
		at = part.e
	end
	if at < till then give_back(q, id, at, till, f, 'drained', 0) end
	if till < f.e then redis.call('HSET', q.b, id .. ':' .. S(till), S(f.e) .. rest) end
end

local function resync(keys, args)
	local paged = #args % 4 == 2
	local last = paged and #args - 1 or #args
	if last % 4 ~= 1 or last > 4 * MANY + 1 then return fail('ARG') end
	local parts, window = resync_parts(args, last), resync_window(paged and args[#args])
	if not parts or not window then return fail('ARG') end
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
		s = tonumber(s)
		if id and f and s < f.e then
			local from, till = resync_clip(window, id, s, f.e)
			if from then resync_fragment(q, id, s, f, from, till, resync_claim(by_job[id] or {}, from, till, f.seq)) end
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

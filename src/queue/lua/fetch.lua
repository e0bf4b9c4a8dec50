-- flags: allow-oom
-- args: job, unordered, from (index, or arrival cursor), max bytes, max items, waiter ("": none)
-- reply: state, held, finished, tasks, done, failed, freed to, cursor, n, n * (start, end, freed, item)
--
-- In order: the item that covers `from` and those that follow without a gap. When the job is over a gap is skipped: its tasks never ran.
-- What the consumer freed is named with an empty item (as they come: `freed to` names the prefix); so is, with 2 for freed, what the caller is to
-- read from a key of its own. Nothing new: the waiter is rung when there is.

local function fetch_item(member)
	local s, e, size = string.match(member, '^(%d+):(%d+):(%d+)$')
	return tonumber(s), tonumber(e), tonumber(size), s
end

-- The end of the acknowledged interval that covers `at`, or nil.
local function fetch_freed(j, at)
	if at >= j.n then return nil end
	if at < j.fto then return math.min(j.fto, j.n) end
	if j.nak == 0 then return nil end
	local s, e = string.match(redis.call('ZREVRANGEBYSCORE', j.k .. ':ak', S(at), '-inf', 'LIMIT', 0, 1)[1] or '', '^(%d+):(%d+)$')
	return e and tonumber(e) > at and math.min(tonumber(e), j.n) or nil
end

-- Appends what was planned; plan: start, end, field of :r or false when freed.
local function fetch_emit(q, j, plan, reply)
	local fields = {}
	for i = 3, #plan, 3 do
		if plan[i] then fields[#fields + 1] = plan[i] end
	end
	local values = #fields > 0 and redis.call('HMGET', j.k .. ':r', unpack(fields)) or {}
	local k = 0
	for i = 1, #plan, 3 do
		local item, freed = false, 1
		if plan[i + 2] then
			k = k + 1
			item = values[k]
			if item then
				freed = 0
			elseif redis.call('EXISTS', j.k .. ':rx:' .. plan[i + 2]) == 1 then
				freed = 2
			else
				damage(q, j, 'results were deleted')
			end
		end
		local at = #reply
		reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = plan[i], plan[i + 1], freed, item or ''
	end
	return #plan / 3
end

local function fetch_plan(plan, s, e, field)
	local at = #plan
	plan[at + 1], plan[at + 2], plan[at + 3] = s, e, field
end

-- Returns whether it looked at everything that is there.
local function fetch_ordered(j, from, max_items, max_bytes, plan)
	local after = redis.call('ZRANGEBYSCORE', j.k .. ':i', S(from), '+inf', 'LIMIT', 0, max_items)
	local list = after
	if from > 0 and tonumber(string.match(after[1] or '', '^%d+')) ~= from then
		list = redis.call('ZREVRANGEBYSCORE', j.k .. ':i', S(from), '-inf', 'LIMIT', 0, 1)
		for i = 1, #after do list[#list + 1] = after[i] end
	end
	local at, bytes, i = from, 0, 1
	while #plan < 3 * max_items do
		local s, e, size, field
		if list[i] then s, e, size, field = fetch_item(list[i]) end
		if s and e <= at then
			i = i + 1
		elseif s and s <= at then
			if bytes > 0 and bytes + size > max_bytes then return false end
			fetch_plan(plan, s, e, field)
			bytes, at, i = bytes + size, e, i + 1
		else
			local freed = fetch_freed(j, at)
			if freed then
				fetch_plan(plan, at, math.min(freed, s or freed), false)
				at = math.min(freed, s or freed)
			elseif s and j.final then
				at = s
			else
				return #after < max_items
			end
		end
	end
	return false
end

-- Returns the next cursor and whether that was all.
local function fetch_unordered(j, cursor, max_items, max_bytes, plan)
	if cursor > j.arr then cursor = 0 end
	local list = redis.call('ZRANGEBYSCORE', j.k .. ':a', '(' .. S(cursor), '+inf', 'WITHSCORES', 'LIMIT', 0, max_items)
	local bytes = 0
	for i = 1, #list, 2 do
		local s, e, size, field = fetch_item(list[i])
		if bytes > 0 and bytes + size > max_bytes then return cursor, false end
		fetch_plan(plan, s, e, field)
		bytes, cursor = bytes + size, tonumber(list[i + 1])
	end
	if #list < 2 * max_items then return j.arr, true end
	return cursor, false
end

local function fetch(keys, args)
	local from, max_bytes, max_items = int(args[3]), int(args[4]), int(args[5])
	if #args ~= 6 or not int(args[1]) or not from or not max_bytes or not max_items or max_items < 1 or max_items > 256 or
		(args[6] ~= '' and not hex(args[6], 32)) then
		return fail('ARG')
	end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return done(q, fail('NOTFOUND')) end
	local plan, cursor, all = {}, 0, nil
	if args[2] == '1' then
		cursor, all = fetch_unordered(j, from, max_items, max_bytes, plan)
	else
		all = fetch_ordered(j, from, max_items, max_bytes, plan)
	end
	local reply = { '', 0, 0, j.n, j.done, j.c1 + j.c2 + j.c3 + j.c4, j.fto, cursor, 0 }
	reply[9] = fetch_emit(q, j, plan, reply)
	if #plan == 0 then
		if j.final and j.bytes > 0 and redis.call('EXISTS', j.k .. ':i', j.k .. ':ri') == 0 then damage(q, j, 'results were deleted') end
		verify(q, j)
		wait_for(q, j, args[6], args[2] == '1' and 'any' or S(from))
	end
	reply[1], reply[2], reply[3] = shown_state(j.state, j.open == 1), shown_held(j), j.final and all and 1 or 0
	return done(q, reply)
end

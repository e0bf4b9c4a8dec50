-- Granting ranges. In a file of its own because two functions use it: lease, which is refused when the server is out of memory, and
-- lease_returned, which is not: what came back must run again even then, or a reader in order would wait for ever.

-- How many suspects a bridge holds (read only where suspects exist).
local function held_suspects(q)
	local count = 0
	for _, value in pairs(fragments(q, q.bridge)) do
		if string.find(value, ':[sS]$') then count = count + 1 end
	end
	return count
end

local function grant(q, g, j, s, e, x, deaths, kind)
	g.writes[#g.writes + 1] = j.id .. ':' .. S(s)
	g.writes[#g.writes + 1] = S(e) .. ':' .. g.seq .. ':' .. S(x) .. ':' .. S(deaths) .. ':' .. kind
	local reply, flags = g.reply, (is_suspect(kind) and 1 or 0) + (j.w > 0 and 2 or 0)
	local at = #reply
	reply[at + 1], reply[at + 2], reply[at + 3] = tonumber(j.id), s, e
	reply[at + 4], reply[at + 5], reply[at + 6] = deaths, x, flags
	g.count = g.count + 1
	g.want = g.want - (e - s)
	add(j, 'leased', e - s)
	if j.state == 'PENDING' then
		put(j, 'state', 'RUNNING')
		redis.call('HSETNX', j.k, 'started', S(q.now))
	end
end

-- How much of a returned range [s, e) this request gets, and as what; 0: nothing.
local function portion(q, g, s, e, x, kind)
	local suspect = is_suspect(kind) or (x >= 3 and e - s == 1)
	if not suspect then
		local most = x >= 3 and math.ceil((e - s) / 8) or e - s
		return math.min(most, g.want), kind
	end
	if not g.suspects_allowed then return 0 end
	g.suspects = g.suspects or held_suspects(q)
	if g.solitary or (x >= 3 and g.suspects > 0) then return 0 end
	g.suspects = g.suspects + 1
	g.solitary = x >= 3
	return 1, make_suspect(kind)
end

-- Ranges of j that came back, lowest first. A suspect range gives several single tasks.
local function grant_returned(q, g, j)
	local ret = j.k .. ':ret'
	local list = redis.pcall('ZRANGE', ret, 0, 63)
	if list.err then return damage(q, j, 'the list of returned ranges is unreadable') end
	if #list == 0 then return damage(q, j, 'returned ranges were deleted') end
	for i = 1, #list do
		local a, b, c, d, kind = string.match(list[i], FRAGMENT)
		if not a then return damage(q, j, 'a returned range is unreadable') end
		local s, e, x, deaths = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
		local first = s
		while s < e and g.want > 0 and g.count < g.max do
			local k, as = portion(q, g, s, e, x, kind)
			if k < 1 then break end
			grant(q, g, j, s, s + k, x, deaths, as)
			s = s + k
			if not is_suspect(as) then break end
		end
		if s > first then
			redis.call('ZREM', ret, list[i])
			if s < e then redis.call('ZADD', ret, S(s), S(s) .. ':' .. b .. ':' .. c .. ':' .. d .. ':' .. kind) end
			add(j, 'retn', first - s)
		end
		if g.want < 1 or g.count >= g.max then return end
	end
end

local function grant_new(q, g, j)
	local k = math.min(g.want, j.n - j.next, room(q, j))
	if k < 1 then
		-- While no result is known the room grows by itself (room); later only results read, freed or come make it.
		if (j.done > 0 or (q.rlimit > 0 and q.rbytes >= q.rlimit)) and j.held == 0 then
			put(j, 'held', 1)
			if q.rlimit > 0 then q_due(q, 'chores', q.vt + q.lease) end
			redis.call('ZADD', q.P .. 'held', j.id, j.id)
			j.everyone = true
		end
		return
	end
	local s = j.next
	put(j, 'next', s + k)
	if s == 0 and j.state == 'PENDING' then -- nothing of it was ever given
		put(j, 'state', 'RUNNING')
		put(j, 'started', S(q.now))
	end
	grant(q, g, j, s, s + k, 0, 0, 'n')
end

-- Sticky jobs: each task has a home, the bridge that it goes to unless another one is idle. Homes are contiguous and follow from the
-- bridges of the moment and their ranks alone, so that the next job of as many tasks finds them where they were. Unstarted tasks stand
-- in `ret`, from which any part can be given; so only a job all of whose results have room gets homes.
local HOMES_MAX = 256

local function assign_homes(q, j)
	local ids = redis.call('ZRANGE', q.P .. 'L', 0, HOMES_MAX)
	if #ids < 2 or #ids > HOMES_MAX or room(q, j) < j.n then return end
	table.sort(ids)
	local ranks, total = {}, 0
	for i, id in ipairs(ids) do
		ranks[i] = num(redis.call('HGET', q.P .. 'bm:' .. id, 'ranks'))
		total = total + ranks[i]
	end
	if total < 1 then return end
	local homes, s, sum = {}, 0, 0
	for i, id in ipairs(ids) do
		sum = sum + ranks[i]
		local e = sum == total and j.n or math.min(j.n, math.floor(j.n / total * sum))
		if e > s then
			homes[#homes + 1] = id .. ':' .. S(s) .. ':' .. S(e)
			redis.call('ZADD', j.k .. ':ret', S(s), S(s) .. ':' .. S(e) .. ':0:0:n')
			s = e
		end
	end
	redis.call('HSET', j.k, 'homes', table.concat(homes, ' '))
	add(j, 'retn', j.n)
	put(j, 'next', j.n)
end

-- A returned range that nothing speaks against giving in any part, or nil.
local function ordinary(member)
	local a, b, c, d, kind = string.match(member or '', FRAGMENT)
	if not a or is_suspect(kind) or tonumber(c) >= 3 then return nil end
	return { s = tonumber(a), e = tonumber(b), x = tonumber(c), deaths = tonumber(d), kind = kind, tail = ':' .. c .. ':' .. d .. ':' .. kind }
end

-- Gives [s, e) of a returned range; what is before and behind it stays.
local function grant_part(q, g, j, member, r, s, e)
	local ret = j.k .. ':ret'
	redis.call('ZREM', ret, member)
	if r.s < s then redis.call('ZADD', ret, S(r.s), S(r.s) .. ':' .. S(s) .. r.tail) end
	if e < r.e then redis.call('ZADD', ret, S(e), S(e) .. ':' .. S(r.e) .. r.tail) end
	add(j, 'retn', s - e)
	grant(q, g, j, s, e, r.x, r.deaths, r.kind)
end

-- What has its home here, lowest first.
local function grant_home(q, g, j, homes)
	local a, b = string.match(homes, q.bridge .. ':(%d+):(%d+)')
	if not a then return end
	local ret = j.k .. ':ret'
	local list = peek('ZREVRANGEBYSCORE', ret, a, '-inf', 'LIMIT', 0, 1)
	for _, member in ipairs(peek('ZRANGEBYSCORE', ret, '(' .. a, '(' .. b, 'LIMIT', 0, 64)) do list[#list + 1] = member end
	for _, member in ipairs(list) do
		if g.want < 1 or g.count >= g.max then return end
		local r = ordinary(member)
		local s = r and math.max(r.s, tonumber(a))
		local e = r and math.min(r.e, tonumber(b), s + g.want)
		if r and s < e then grant_part(q, g, j, member, r, s, e) end
	end
end

-- For a bridge with an idle lane and nothing at home: a share of what is left, from the end of the longest range, as its own bridge
-- begins at the other end. Suspects and ranges that are being narrowed down go the way of all jobs.
local function grant_elsewhere(q, g, j, homes)
	local best, longest
	for _, member in ipairs(peek('ZRANGE', j.k .. ':ret', 0, 63)) do
		local r = ordinary(member)
		if not r then return grant_returned(q, g, j) end
		if not longest or r.e - r.s > longest.e - longest.s then best, longest = member, r end
	end
	if not longest then return grant_returned(q, g, j) end
	local _, others = string.gsub(homes, ' ', ' ')
	local k = math.min(g.want, longest.e - longest.s, math.max(1, math.floor(j.retn / (2 * (others + 1)))))
	grant_part(q, g, j, best, longest, longest.e - k, longest.e)
end

local function grant_sticky(q, g, j)
	local homes = redis.call('HGET', j.k, 'homes')
	if not homes or g.returned_only then return grant_returned(q, g, j) end
	local before = g.count
	grant_home(q, g, j, homes)
	if g.count > before then return end
	if g.busy then
		g.elsewhere = true
	else
		grant_elsewhere(q, g, j, homes)
	end
end

local function may_run(g, j)
	if j.p.treq > 0 and g.time_left and g.time_left < j.p.treq then return false end
	if not j.p.tags then return true end
	for tag in string.gmatch(j.p.tags, '[^,]+') do
		if not string.find(g.tags, ',' .. tag .. ',', 1, true) then return false end
	end
	return true
end

-- Serves the request from one job of `ready`; returns whether the job stays there.
local function serve(q, g, id)
	local j = job(q, id)
	if j and j.broken then damage(q, j, 'its record is unreadable') end
	if not j or j.final then
		redis.call('ZREM', q.P .. 'ready', id)
		return false
	end
	if not may_run(g, j) then return true end
	if j.p.sticky and j.next == 0 and j.n > 0 and j.open == 0 and j.parked == 0 and j.held == 0 and not g.returned_only then assign_homes(q, j) end
	if j.retn > 0 then (j.p.sticky and grant_sticky or grant_returned)(q, g, j) end
	if j.final then return false end
	local fresh = j.parked == 0 and j.held == 0 and j.next < j.n
	if fresh and g.want > 0 and g.count < g.max and not g.returned_only then grant_new(q, g, j) end
	if j.retn > 0 or (fresh and j.held == 0 and j.next < j.n) then return true end
	redis.call('ZREM', q.P .. 'ready', id)
	return false
end

-- How much of the only job that has work nobody has been given yet; LIMIT when there are others, or more may come.
local function left(q, g)
	local j = g.only and q.jobs[g.only]
	if not j or j.open ~= 0 then return LIMIT end
	return j.retn + j.n - j.next
end

-- A bridge holds 500 fragments, or 3 for each of its ranks, before it gets no more.
local function crowded(q)
	local count = redis.call('HLEN', q.b)
	return count > 500 and count > 3 * num(redis.call('HGET', q.P .. 'bm:' .. q.bridge, 'ranks'))
end

-- Walks the jobs that have work until the request is filled. Looks at about 100 of them at most, 500 where none may run here, and then
-- the next request goes on from there. Returns whether there is nothing for this bridge.
local function walk(q, g)
	local at, seen, step = q.at, 0, 4
	q.at = 0
	if not q.work then return true end
	while seen < (g.count > 0 and 100 or 500) do
		local ids = redis.call('ZRANGE', q.P .. 'ready', at, at + step - 1)
		if #ids == 0 and at > 0 and seen == 0 then
			at = 0
			ids = redis.call('ZRANGE', q.P .. 'ready', 0, step - 1)
		end
		if seen == 0 and #ids > 0 and crowded(q) then return false end
		if seen == 0 and at == 0 and #ids == 1 then g.only = ids[1] end
		for i = 1, #ids do
			if g.want < 1 or g.count >= g.max then return false end
			if serve(q, g, ids[i]) then at = at + 1 end
		end
		if #ids < step and at == 0 then q_work(q, false) end
		if #ids < step then return g.count == 0 end
		seen, step = seen + step, 32
	end
	if g.count == 0 then q.at = at end
	return false
end

local function sleep(q)
	if q.asleep then return end
	q.asleep = true
	redis.call('SADD', q.P .. 'idle', q.bridge)
	q_put(q, 'i:' .. q.bridge, 1)
end

local function wake(q)
	q.asleep = false
	redis.call('SREM', q.P .. 'idle', q.bridge)
	q_put(q, 'i:' .. q.bridge, 0)
end

-- Appends the record of the first range's job if it is small, and behind it its input block (index of its first line, block) if there is a small one.
local function lease_record(q, reply)
	local k = q.P .. 'j:' .. S(reply[6])
	local record = redis.pcall('GET', k .. ':spec')
	if type(record) ~= 'string' or #record > RECORD_MAX then return end
	reply[#reply + 1] = record
	local member = peek('ZREVRANGEBYSCORE', k .. ':inx', S(reply[7]), '-inf', 'LIMIT', 0, 1)[1]
	local first, count, size = string.match(member or '', '^(%d+):(%d+):(%d+)$')
	if not first or tonumber(first) + tonumber(count) <= reply[7] or tonumber(size) > RECORD_MAX then return end
	local block = redis.pcall('HGET', k .. ':in', first)
	if type(block) == 'string' then reply[#reply + 1], reply[#reply + 2] = tonumber(first), block end
end

-- args: bridge, seq, want, max ranges, flags, time left in ms or -1, tags with a comma before and behind each
local function lease_ranges(keys, args, returned_only)
	local seq, want, max, flags = int(args[2]), int(args[3]), int(args[4]), int(args[5])
	if not seq or seq < 1 or not want or want < 1 or not max or max < 1 or max > 64 or not flags or #args ~= 7 then return fail('ARG') end
	local q, err = enter_bridge(keys[1], args[1])
	if not q then return err end
	if seq <= num(q.seq) then return done(q, fail('SEQ')) end
	q.seq = S(seq)
	local g = { seq = q.seq, want = want, max = max, count = 0, time_left = int(args[6]), tags = args[7], returned_only = returned_only,
		suspects_allowed = flags % 4 < 2, busy = flags % 8 >= 4, writes = {}, reply = { q.paused and 1 or 0, q.drain and 1 or 0, 0, seq, 0 } }
	local nothing = not q.drain and (q.paused or walk(q, g))
	-- It would ask again at once and get nothing.
	if g.count > 0 and not q.work and not q.drain and want - g.want < math.floor(flags / 32) then nothing = true end
	if g.count > 0 then redis.call('HSET', q.b, unpack(g.writes)) end
	if nothing then
		sleep(q)
		g.reply[3] = g.elsewhere and 2 or 1
	elseif q.asleep then
		wake(q)
	end
	g.reply[5] = g.count
	g.reply[#g.reply + 1] = g.count > 0 and redis.call('ZCARD', q.P .. 'L') or 0
	if flags % 32 >= 16 then g.reply[#g.reply + 1] = left(q, g) end
	if flags % 16 >= 8 and g.count > 0 then lease_record(q, g.reply) end
	return done(q, g.reply)
end

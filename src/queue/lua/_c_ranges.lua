-- Ranges: the fragments that bridges hold, the ranges that came back, the clean-up after bridges.
--
-- A fragment is one field of b:BRIDGE, "JOB:START" -> "END:SEQ:EXPIRIES:DEATHS:KIND". A returned range is a member of
-- j:JOB:ret, "START:END:EXPIRIES:DEATHS:KIND", with its start as score. KIND n: ordinary, s: suspect; N, S: the same in a
-- later round (retry), whose results go to :rr. At every instant, for every job:
--     leased (fragments of all bridges) + retn (returned) + done + (n - next) = n

local FRAGMENT = '^(%d+):(%d+):(%d+):(%d+):([nsNS])$'

local function is_suspect(kind)
	return kind == 's' or kind == 'S'
end

local function make_suspect(kind)
	return kind == 'N' and 'S' or kind == 'n' and 's' or kind
end

local function varint(value)
	local bytes = ''
	while value >= 128 do
		bytes = bytes .. string.char(value % 128 + 128)
		value = math.floor(value / 128)
	end
	return bytes .. string.char(value)
end

-- Stores an item under its first index. The arrival number is for readers that take results as they come. slices: bytes that it has elsewhere.
local function store(q, j, s, e, kind, item, slices)
	local first, size = S(s), #item + (slices or 0)
	local member = first .. ':' .. S(e) .. ':' .. size
	if kind == 'n' or kind == 's' then
		change(q, j, 'HSET', j.k .. ':r', first, item)
		change(q, j, 'ZADD', j.k .. ':i', first, member)
		add(j, 'arr', 1)
		change(q, j, 'ZADD', j.k .. ':a', S(j.arr), member)
	else
		local round = redis.call('HGET', j.k, 'round') or '0'
		change(q, j, 'HSET', j.k .. ':rr', round .. ':' .. first, item)
		change(q, j, 'ZADD', j.k .. ':ri', first, member .. ':' .. round)
	end
	add(j, 'bytes', size)
	add(j, 'tb', size)
	q.freshbytes = q.freshbytes + size
end

-- What is kept of a failed task (record/segment.h); status: its number there.
local function failure_record(status, s, deaths, reason)
	return '\1' .. string.char(status) .. varint(s) .. '\0\0' .. varint(deaths) .. '\0\0\0' .. varint(#reason) .. reason .. '\0'
end

-- A task that took its worker down too often: the server itself writes the record of its failure (record/segment.h) and its
-- empty result, so that readers in order pass it.
local function bury(q, j, s, deaths, kind)
	change(q, j, 'HSET', j.k .. ':f', S(s), failure_record(2, s, deaths, 'killed its worker ' .. S(deaths) .. ' times'))
	if j.p.results == 0 then store(q, j, s, s + 1, kind, 'v\1\2\2\0') end
	add(j, 'c2', 1)
	add(j, 'done', 1)
	j.lo, j.hi = math.min(j.lo, s), math.max(j.hi, s + 1)
	unhold(q, j)
end

-- Puts [s, e) into the list of returned ranges. Neighbours with the same history become one, unless they are being narrowed
-- down (x >= 3): pieces that grew together again would never get smaller.
local function put_back(q, j, s, e, x, deaths, kind)
	local ret, tail = j.k .. ':ret', ':' .. S(x) .. ':' .. S(deaths) .. ':' .. kind
	add(j, 'retn', e - s)
	if x < 3 and deaths == 0 then
		local right = peek('ZRANGEBYSCORE', ret, S(e), S(e), 'LIMIT', 0, 1)[1]
		local stop = right and string.match(right, '^%d+:(%d+)' .. tail .. '$')
		if stop then
			redis.call('ZREM', ret, right)
			e = tonumber(stop)
		end
		local left = peek('ZREVRANGEBYSCORE', ret, '(' .. S(s), '-inf', 'LIMIT', 0, 1)[1]
		local start, till = string.match(left or '', '^(%d+):(%d+)' .. tail .. '$')
		if start and tonumber(till) == s then
			redis.call('ZREM', ret, left)
			s = tonumber(start)
		end
	end
	change(q, j, 'ZADD', ret, S(s), S(s) .. ':' .. S(e) .. tail)
	make_ready(q, j)
	j.bells = j.bells + 1
end

-- What dies with a bridge may have killed it, or run there when something else did. Tasks that deaths were counted against and that came to
-- an end all the same tell how often it is something else: for every doubling of these deaths a task must have one more to be given up.
local function deaths_allowed(j)
	local acquitted, most = 1 + num(redis.call('HGET', j.k, 'acquitted')), j.p.maxdeaths
	while acquitted >= 2 do
		acquitted, most = acquitted / 2, most + 1
	end
	return most
end

-- [s, e) of a fragment leaves its bridge unfinished. how: 'drained' (nothing happened to it), 'suspect' (its rank fell silent), 'expired'
-- (its bridge did) or 'blamed' (it may have run on the rank whose death took the bridge down). A death counts only against a task that was alone: leased as a suspect, and after an expiry the only
-- suspect of its bridge.
local function give_back(q, id, s, e, f, how, suspects)
	local j = job(q, id)
	if not j then return end
	local x, deaths, kind = f.x, f.deaths, f.kind
	if how == 'suspect' then
		if is_suspect(kind) then deaths = deaths + 1 end
		kind = make_suspect(kind)
	elseif how == 'expired' then
		x = x + 1
		if is_suspect(kind) and suspects == 1 then deaths = deaths + 1 end
		redis.call('HINCRBY', j.k, 'requeued', 1)
	elseif how == 'blamed' then
		x = math.max(x, 3)
		if is_suspect(kind) and suspects == 1 then deaths = deaths + 1 end
		kind = make_suspect(kind)
		redis.call('HINCRBY', j.k, 'requeued', 1)
	end
	add(j, 'leased', s - e)
	if deaths > f.deaths then redis.call('HINCRBY', j.k, 'deaths', 1) end
	if deaths >= j.p.maxdeaths and not j.final and e - s == 1 and is_suspect(kind) and deaths >= deaths_allowed(j) then
		return bury(q, j, s, deaths, kind)
	end
	put_back(q, j, s, e, x, deaths, kind)
end

local function fragment(value)
	local e, seq, x, deaths, kind = string.match(value or '', FRAGMENT)
	if e then return { e = tonumber(e), seq = seq, x = tonumber(x), deaths = tonumber(deaths), kind = kind } end
end

-- Fragments of a bridge as a table from field to value; at most about MANY. Second result: is that all?
local function fragments(q, bridge)
	local reply = redis.call('HSCAN', q.P .. 'b:' .. bridge, 0, 'COUNT', MANY)
	local all = {}
	for i = 1, #reply[2], 2 do all[reply[2][i]] = reply[2][i + 1] end
	return all, reply[1] == '0'
end

local function delete_fields(key, fields)
	for i = 1, #fields, MANY do redis.call('HDEL', key, unpack(fields, i, math.min(i + MANY - 1, #fields))) end
end

-- Gives back a fragment from s on in which single tasks, listed in order, are to blame.
local function give_back_around(q, id, s, f, how, suspects, blamed)
	for _, task in ipairs(blamed) do
		if task >= s and task < f.e then
			if s < task then give_back(q, id, s, task, f, how, suspects) end
			give_back(q, id, task, task + 1, f, 'blamed', suspects)
			s = task + 1
		end
	end
	if s < f.e then give_back(q, id, s, f.e, f, how, suspects) end
end

-- Gives back what a bridge holds. blamed: tasks of each job, or nil. Returns whether that was all.
local function give_back_all(q, bridge, how, blamed)
	local all, complete = fragments(q, bridge)
	local fields, suspects = {}, 0
	for _, value in pairs(all) do
		local f = fragment(value)
		if f and is_suspect(f.kind) then suspects = suspects + 1 end
	end
	for field, value in pairs(all) do
		local id, s = string.match(field, '^(%d+):(%d+)$')
		local f = fragment(value)
		fields[#fields + 1] = field
		if id and f then give_back_around(q, id, tonumber(s), f, how, suspects, blamed and blamed[id] or {}) end
	end
	delete_fields(q.P .. 'b:' .. bridge, fields)
	return complete
end

-- Gives back everything and forgets the bridge; false: there is more to do. Its record goes first, so that it does not come back to
-- life with half of its fragments.
local function drop_bridge(q, bridge, how, blamed)
	redis.call('HDEL', q.key, 'b:' .. bridge, 'i:' .. bridge)
	q.changed['i:' .. bridge] = nil
	if not give_back_all(q, bridge, how, blamed) then
		redis.call('ZADD', q.P .. 'L', -1, bridge)
		q_due(q, 'due', 0)
		return false
	end
	local v = redis.call('HMGET', q.P .. 'bm:' .. bridge, 'ranks', 'drain')
	redis.call('HINCRBY', q.key, 'ranks', S(-num(v[1]))) -- a bare -0 would be no integer
	if v[2] then redis.call('HINCRBY', q.key, 'drains', -1) end
	redis.call('ZREM', q.P .. 'L', bridge)
	redis.call('SREM', q.P .. 'idle', bridge)
	redis.call('UNLINK', q.P .. 'b:' .. bridge, q.P .. 'bm:' .. bridge, q.P .. 'bell:' .. bridge)
	-- It may have died with a bell unheard.
	if redis.call('EXISTS', q.P .. 'ready') == 1 then q.bells = q.bells + 64 end
	q.emptied = true
	return true
end

-- A producer that fell silent: what it sent so far is all there is.
local function close_input(q, j, reason)
	put(j, 'open', 0)
	if reason then put(cold(j), 'creason', reason) end
	redis.call('ZREM', q.P .. 'LP', j.id)
	j.everyone = true
end

-- A bridge's calls note when it was seen in its record only; its score in L is a lower bound of its deadline and follows when it is
-- looked at here, once a lease. Removes one bridge at most.
local function reap(q)
	if q.vt <= q.due and q.due <= q.vt + q.lease then return end
	local L = q.P .. 'L'
	if q.bridge then redis.call('ZADD', L, S(q.vt + q.lease), q.bridge) end
	-- A call that failed in its middle, or somebody else, may have put something there.
	if redis.call('EXISTS', q.P .. 'ready') == 1 then q_work(q, true) end
	local list = redis.call('ZRANGE', L, 0, 7, 'WITHSCORES')
	local due, more = q.vt + q.lease, #list == 16
	for i = 1, #list, 2 do
		local id, deadline = list[i], tonumber(list[i + 1])
		if deadline >= q.vt then
			due, more = math.min(due, deadline), false
			break
		end
		local seen = string.match(redis.call('HGET', q.key, 'b:' .. id) or '', '^%d+')
		deadline = seen and tonumber(seen) + q.lease or -1
		if deadline < q.vt then
			due = 0
			drop_bridge(q, id, 'expired')
			break
		end
		redis.call('ZADD', L, S(deadline), id)
		due = math.min(due, deadline)
	end
	if more then due = math.min(due, q.vt) end
	q.due = due
	q_put(q, 'due', S(due))
end

-- The first member of a zset of virtual times, if its time is over; lowers `chores` to it otherwise.
local function first_due(q, name)
	local first = redis.call('ZRANGE', q.P .. name, 0, 0, 'WITHSCORES')
	if not first[1] then return nil end
	local time = tonumber(first[2])
	if time >= q.vt then return q_due(q, 'chores', time) end
	q_due(q, 'chores', q.vt)
	return first[1]
end

-- One lost producer, one expired job, what still waits to be told, jobs held by the limit of the server.
local function chores(q)
	if q.vt <= q.chores and q.chores <= q.vt + 20 * q.lease then return end
	q.chores = q.vt + 20 * q.lease
	q_put(q, 'chores', S(q.chores))
	local producer = first_due(q, 'LP')
	if producer then
		local j = job(q, producer)
		redis.call('ZREM', q.P .. 'LP', producer)
		if j and j.open == 1 then close_input(q, j, 'input ended at task ' .. S(j.n) .. ': nothing more was heard of its submitter') end
	end
	local old = first_due(q, 'exp')
	if old and remove_job(q, old) then q.emptied = true end
	if q.rlimit > 0 and unhold_some(q) > 0 then q_due(q, 'chores', q.vt + q.lease) end
	q.deps = true
end

-- Housekeeping, a bounded piece of it whenever the clock moved and something may be due.
local function upkeep(q)
	if not q.moved then return end
	reap(q)
	chores(q)
	flush(q)
	if q.emptied then vanish_if_unused(q) end
end

-- Writes the clock, the caller's record and what else of the queue changed.
local function save(q)
	if not q.exists then return end
	if q.bridge then
		local record = S(q.vt) .. ' ' .. q.seq .. ' ' .. S(q.at)
		if record ~= q.record then q_put(q, 'b:' .. q.bridge, record) end
	end
	local args, n = {}, 0
	for name, value in pairs(q.changed) do
		args[n + 1], args[n + 2] = name, value
		n = n + 2
	end
	if n > 0 then redis.call('HSET', q.key, unpack(args)) end
	q.changed = {}
end

-- Every function that changes something ends with this.
local function done(q, reply)
	flush(q)
	save(q)
	if q.emptied then vanish_if_unused(q) end
	return reply
end

-- For clients: opens the queue, moves the clock.
local function enter(key)
	local q, err = open_existing(key)
	if not q then return nil, err end
	clock(q)
	upkeep(q)
	if not q.exists then return nil, fail('NOQUEUE') end
	return q
end

-- For bridges: the same, and renews the caller's lease before anybody's is looked at, so that nobody is reaped by its own call.
local function enter_bridge(key, bridge)
	local q, err = open(key, bridge)
	if not q then return nil, err end
	local _, seq, at = string.match(q.record or '', '^(%d+) (%d+) (%d+)$')
	-- One that has a record joined with a good id.
	if not seq then return nil, fail(hex(bridge, 32) and 'GONE' or 'ARG') end
	clock(q)
	q.bridge, q.b, q.seq, q.at = bridge, q.P .. 'b:' .. bridge, seq, nat(at)
	if q.drains > 0 then q.drain = redis.call('HGET', q.P .. 'bm:' .. bridge, 'drain') end
	upkeep(q)
	return q
end

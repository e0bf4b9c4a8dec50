-- What several reading functions share.

-- The state that people see.
local function shown_state(state, is_open)
	return is_open and (state == 'PENDING' or state == 'RUNNING') and 'OPEN' or state
end

-- Held means that nothing new starts because results are unread, not that the first results are still being waited for.
local function shown_held(j)
	return j.held == 1 and (j.leased == 0 or j.bytes * 2 >= j.p.backlog) and 1 or 0
end

-- One job as a flat list; the order is that of struct ranq_job_info (queue.h). nil: no such job.
local function info_of(q, id)
	local j = job(q, id)
	if not j then return nil end
	cold(j)
	local v = redis.call('HMGET', j.k, 'uuid', 'name', 'owner', 'reason', 'stale', 'requeued', 'deaths', 'round', 'created', 'ended')
	return { tonumber(id), v[1] or '', v[2] or '', v[3] or '', shown_state(j.state, j.open == 1), v[4] or '', j.open, shown_held(j),
		j.damaged and 1 or 0, j.n, j.next, j.done, j.leased, j.retn + j.pr, 
		math.max(0, j.done - j.c1 - j.c2 - j.c3 - j.c4), j.c1, j.c2, j.c3, j.c4, j.bytes,
		redis.call('ZCARD', j.k .. ':i') + redis.call('ZCARD', j.k .. ':ri'), j.freed, j.p.backlog, j.el, nat(v[5]), nat(v[6]), nat(v[7]), nat(v[8]), nat(v[9]), nat(j.started), nat(v[10]), S(j.p.prio), j.p.results,
		nat(redis.call('HGET', q.key, 'ranks')) }
end

-- All fragments of a job: calls visit(bridge, s, fragment) for each. Only for functions that people call.
local function visit_fragments(q, id, visit)
	local bridges = redis.call('ZRANGE', q.P .. 'L', 0, -1)
	for _, bridge in ipairs(bridges) do
		local all = redis.call('HGETALL', q.P .. 'b:' .. bridge)
		for i = 1, #all, 2 do
			local of, s = string.match(all[i], '^(%d+):(%d+)$')
			local f = of == id and fragment(all[i + 1])
			if f then visit(bridge, tonumber(s), f) end
		end
	end
end

-- Calls visit(s, e, x, deaths, kind) for each returned range, parked ones included.
local function visit_returned(j, visit)
	for _, key in ipairs({ ':ret', ':nr' }) do
		for _, member in ipairs(redis.call('ZRANGE', j.k .. key, 0, -1)) do
			local s, e, x, deaths, kind = string.match(member, FRAGMENT)
			if s then visit(tonumber(s), tonumber(e), tonumber(x), tonumber(deaths), kind) end
		end
	end
end

-- A bridge asked for what must be there. The job ends, or it would be leased again and again.
local function lost(q, id, what)
	clock(q)
	local j = job(q, id)
	if not j or j.final then return done(q, fail('NOTFOUND')) end
	damage(q, j, what)
	return done(q, fail('LOST'))
end

-- Keys deleted by hand must not leave a client waiting for ever. Looked at when a client waits, once a lease for each job.
local function verify(q, j)
	if j.final or num(redis.call('HGET', j.k, 'checked')) > q.vt then return end
	redis.call('HSET', j.k, 'checked', S(q.vt + q.lease))
	if redis.call('EXISTS', j.k .. ':spec') == 0 then return damage(q, j, 'its record was deleted') end
	if num(redis.call('HGET', j.k, 'inb')) > 0 and redis.call('EXISTS', j.k .. ':in') == 0 then
		return damage(q, j, 'its input was deleted')
	end
	if j.retn > 0 and redis.call('EXISTS', j.k .. ':ret') == 0 then return damage(q, j, 'returned ranges were deleted') end
	if j.leased == 0 or redis.call('ZCARD', q.P .. 'L') > 100 then return end
	local sum = 0
	visit_fragments(q, j.id, function(_, s, f) sum = sum + f.e - s end)
	if sum < j.leased then damage(q, j, 'leased ranges were deleted') end
end

local function wait_for(q, j, waiter, want)
	local k = j.k .. ':w'
	if j.final or waiter == '' or j.w >= MANY then return end
	put(j, 'w', j.w + redis.call('HSET', k, waiter, want))
end

-- DEFERRED while a job in :deps still runs, IMPOSSIBLE when one ended otherwise than COMPLETE, else PENDING.
local function dependency_state(q, j)
	local state, cause = 'PENDING', nil
	for _, id in ipairs(redis.call('SMEMBERS', j.k .. ':deps')) do
		local other = job(q, id)
		if not other then
			return 'IMPOSSIBLE', id
		elseif other.state == 'COMPLETE' then
			redis.call('SREM', j.k .. ':deps', id)
			redis.call('SREM', other.k .. ':rdeps', j.id)
		elseif other.final then
			state, cause = 'IMPOSSIBLE', id
		elseif state == 'PENDING' then
			state = 'DEFERRED'
		end
	end
	return state, cause
end

-- Number of lines that an input block says it has (a varint at its start), or nil.
local function block_count(block)
	local value, scale = 0, 1
	for i = 1, math.min(#block, 4) do
		local byte = string.byte(block, i)
		value = value + byte % 128 * scale
		if byte < 128 then return value > 0 and value or nil end
		scale = scale * 128
	end
end

-- A block may stand for one argument that is too large to travel whole: a line of NUL, SHA-256, `:`, bytes (record/input.h). Its slices
-- are fields HASH:SLICE beside the blocks.
local ARGUMENT_MAX = 4294967296
local function block_argument(block)
	local hash, total = string.match(block, '^\1.%z(%x+):(%d+)$')
	total = int(total)
	if hash and hex(hash, 64) and total and total > 0 and total <= ARGUMENT_MAX then return hash, total end
end

-- Are all slices there? A server that came back older may lack the last ones.
local function has_argument(k, hash, total)
	for slice = 0, slices_of(total) - 1 do
		if redis.call('HEXISTS', k, hash .. ':' .. S(slice)) == 0 then return false end
	end
	return true
end

local PRODUCER_MS = 60000
local function renew_producer(q, j)
	local deadline = q.vt + math.max(PRODUCER_MS, 4 * q.lease)
	redis.call('ZADD', q.P .. 'LP', S(deadline), j.id)
	q_due(q, 'chores', deadline)
end

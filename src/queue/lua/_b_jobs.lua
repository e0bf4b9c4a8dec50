-- Jobs: reading and writing the hash of a job, ends of jobs, dependencies, removal.
--
-- A call reads the hash of each job once (job), changes the copy (put) and writes what changed at its end (flush). So the
-- counters of a job are written together with the ranges that they count, in one atomic call.

-- What lease, commit and release need of a job is one field, `counts`: its state and its counters, packed (job_read has the order). To look for
-- 21 fields and to make numbers of their texts would be a third of a call. What never changes is `policy`; `cold` reads the rest where it is needed.
local POLICY = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (-?%d+) (%d+) (%d+) (.*)$'

local STATES = { 'DEFERRED', 'PENDING', 'RUNNING', 'COMPLETE', 'ERROR', 'CANCELLED', 'IMPOSSIBLE' }
local STATE_NUMBERS = { DEFERRED = 1, PENDING = 2, RUNNING = 3, COMPLETE = 4, ERROR = 5, CANCELLED = 6, IMPOSSIBLE = 7 }
local FINAL = { COMPLETE = true, ERROR = true, CANCELLED = true, IMPOSSIBLE = true }

-- Fields of the hash beside it; all else that `put` and `add` change is in `counts`.
local FIELDS = { pr = true, freed = true, started = true, damaged = true, creason = true, batch = true, inb = true }

-- Parsed policies; a Functions library keeps them from call to call.
local policies, npolicies = {}, 0
local function parse_policy(text)
	local known = policies[text]
	if known then return known end
	local a, b, c, d, e, f, g, h, i, tags = string.match(text, POLICY)
	if not a then return nil end
	local p = { results = nat(a), backlog = nat(b), maxout = nat(c), maxdeaths = nat(d), maxfails = nat(e), stop = nat(f) % 2 == 1,
		sticky = nat(f) >= 2, prio = num(g), treq = nat(h), ttl = nat(i), tags = tags ~= '' and tags or nil }
	if npolicies > 100 then policies, npolicies = {}, 0 end
	policies[text] = p
	npolicies = npolicies + 1
	return p
end

-- The copy of a job, from `counts`: all its numbers must be numbers (to compare anything else is an error), and the important ones make sense; or nil.
-- open: 0 the input came with the job, 1 it is open, 2 it is closed.
local function job_read(id, k, p, counts)
	local state, n, next, done, leased, retn, arr, bytes, tb, el, w, held, open, parked, c1, c2, c3, c4, fto, nak = cmsgpack.unpack(counts)
	state = STATES[state]
	if not (state and leased >= 0 and next >= 0 and next <= n and done >= 0 and done <= n and n < LIMIT) then return nil end
	if not (retn > -LIMIT and arr > -LIMIT and bytes > -LIMIT and tb > -LIMIT and el > -LIMIT and w > -LIMIT and held > -LIMIT and open >= 0 and
		parked > -LIMIT and c1 > -LIMIT and c2 > -LIMIT and c3 > -LIMIT and c4 > -LIMIT and fto > -LIMIT and nak > -LIMIT and
		leased + retn + arr + bytes + tb + el + w + held + parked + c1 + c2 + c3 + c4 + fto + nak < 16 * LIMIT) then
		return nil
	end
	return { id = id, k = k, state = state, p = p, n = n, next = next, done = done, leased = leased, retn = retn, arr = arr, bytes = bytes,
		tb = tb, el = el, w = w, held = held, open = open == 1 and 1 or 0, parked = parked, c1 = c1, c2 = c2, c3 = c3, c4 = c4, fto = fto,
		nak = nak, streamed = open > 0, final = FINAL[state] or false, bells = 0, lo = LIMIT, hi = 0, dirty = false, changed = false,
		everyone = false }
end

-- Somebody else wrote into the record: it can be looked at and removed, and is not worked on.
local function job_broken(id, k, p)
	p = p or { results = 0, backlog = 0, maxout = 0, maxdeaths = 0, maxfails = 0, prio = 0, treq = 0, ttl = 604800000 }
	local j = job_read(id, k, p, cmsgpack.pack(STATE_NUMBERS.RUNNING, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	j.broken = true
	return j
end

local function job_pack(j)
	return cmsgpack.pack(STATE_NUMBERS[j.state], j.n, j.next, j.done, j.leased, j.retn, j.arr, j.bytes, j.tb, j.el, j.w, j.held,
		j.streamed and 2 - j.open or 0, j.parked, j.c1, j.c2, j.c3, j.c4, j.fto, j.nak)
end

local function job_known(q, j)
	q.jobs[j.id] = j
	q.order[#q.order + 1] = j
	return j
end

local function job(q, id)
	local known = q.jobs[id]
	if known ~= nil then return known end
	local k = q.P .. 'j:' .. id
	local v = redis.pcall('HMGET', k, 'counts', 'policy')
	if v.err or not (v[1] or v[2]) then
		q.jobs[id] = false
		return false
	end
	local p = parse_policy(v[2] or '')
	local sound, j = pcall(job_read, id, k, p, v[1])
	return job_known(q, p and sound and j or job_broken(id, k, p))
end

-- The fields of a job that are needed seldom.
local function cold(j)
	if not j.cold then
		j.cold = true
		local v = redis.call('HMGET', j.k, 'pr', 'freed', 'started', 'damaged', 'creason')
		j.pr, j.freed, j.started, j.damaged, j.creason = nat(v[1]), nat(v[2]), j.started or v[3], v[4], v[5]
	end
	return j
end

-- A field of the hash that the copy need not know.
local function set_field(j, name, value)
	j.changed = j.changed or {}
	j.changed[name] = value
end

local function put(j, name, value)
	j[name] = value
	if FIELDS[name] then set_field(j, name, value) else j.dirty = true end
end

local function add(j, name, amount)
	put(j, name, j[name] + amount)
end

-- Jobs with work stand in `ready`, highest priority first, then in order of submission.
local function make_ready(q, j)
	if j.final or j.state == 'DEFERRED' or j.broken then return end
	q_work(q, true)
	redis.call('ZADD', q.P .. 'ready', (1000 - j.p.prio) * 1099511627776 + tonumber(j.id), j.id)
end

-- How many tasks that nobody has had yet may start without the results of a job outgrowing its backlog. While little is known
-- about their size, four results of a mebibyte each are taken as seen; when nothing has come for two seconds they are
-- taken as 64 KiB each, so that a large machine with long tasks is not held at the start.
local function room(q, j)
	if j.p.results ~= 0 then return LIMIT end
	if q.rlimit > 0 and q.rbytes + q.freshbytes >= q.rlimit then return 0 end
	local prior = math.min(j.p.maxout, 1048576)
	if j.done == 0 and j.next > 0 and cold(j).started and q.now - num(j.started) > 2000 then prior = math.min(prior, 65536) end
	local each = (j.tb + 4 * prior + 1) / (j.done + 4)
	local tasks = math.floor((j.p.backlog - j.bytes) / each) - j.leased
	if tasks < 1 and j.bytes == 0 and j.leased == 0 then return 1 end
	return tasks
end

-- A job that was held goes on when there is room again; some slack, so that ranges do not come task by task.
local function unhold(q, j)
	if j.held == 0 or j.final then return end
	local tasks = room(q, j)
	if tasks < 1 or (tasks < 64 and j.bytes * 8 > j.p.backlog * 7) then return end
	put(j, 'held', 0)
	redis.call('ZREM', q.P .. 'held', j.id)
	make_ready(q, j)
	j.bells = j.bells + tasks
end

-- What the limit of all results held back, when there is room below it again: 100 jobs a call, in turn. Returns how many it looked at.
local function unhold_some(q)
	local held, from = q.P .. 'held', nat(redis.call('HGET', q.key, 'heldat'))
	local ids = redis.call('ZRANGEBYSCORE', held, '(' .. S(from), '+inf', 'LIMIT', 0, 100)
	if #ids == 0 and from > 0 then ids = redis.call('ZRANGE', held, 0, 99) end
	local at = #ids == 100 and nat(ids[100]) or 0
	if at ~= from then q_put(q, 'heldat', S(at)) end
	for i = 1, #ids do
		local j = job(q, ids[i])
		if j then unhold(q, j) else redis.call('ZREM', held, ids[i]) end
	end
	return #ids
end

-- Rings those who wait for the job: readers in order for one index, others for any change.
local function ring_waiters(q, j, all)
	local w = peek('HGETALL', j.k .. ':w')
	local left = 0
	for i = 1, #w, 2 do
		local want = tonumber(w[i + 1])
		if all or not want or (want >= j.lo and want < j.hi) then
			ring(q, w[i], 'look')
			redis.call('HDEL', j.k .. ':w', w[i])
		else
			left = left + 1
		end
	end
	put(j, 'w', left)
end

-- The one place where a job ends. Its fragments stay with their bridges until these let go of them; what comes back is kept
-- in :ret, so that a retry knows what never ran.
local function finish(q, j, state, reason)
	put(j, 'state', state)
	set_field(j, 'reason', reason)
	set_field(j, 'ended', S(q.now))
	j.final = true
	if q.work then redis.call('ZREM', q.P .. 'ready', j.id) end
	if j.held ~= 0 then
		put(j, 'held', 0)
		redis.call('ZREM', q.P .. 'held', j.id)
	end
	if j.open == 1 then redis.call('ZREM', q.P .. 'LP', j.id) end
	redis.call('ZADD', q.P .. 'exp', S(q.vt + j.p.ttl), j.id)
	q_due(q, 'chores', q.vt + j.p.ttl)
	if j.leased > 0 then ring_bridges(q, 'stop ' .. j.id) end
	j.everyone = true
	if redis.call('EXISTS', j.k .. ':rdeps') == 1 then
		redis.call('RPUSH', q.P .. 'deps', j.id)
		q.deps = true
	end
end

local function damage(q, j, what)
	cold(j)
	put(j, 'damaged', 1)
	j.broken = true
	if not j.final then finish(q, j, 'ERROR', 'damaged: ' .. what) end
end

-- Changes a key of the job. When the key has another type the job is damaged, but the call goes on: other jobs may be part of it.
local function change(q, j, ...)
	local reply = redis.pcall(...)
	if type(reply) == 'table' and reply.err then damage(q, j, 'a key of it was replaced') end
	return reply
end

-- Ends the job if this call was its end.
local function settle(q, j)
	if j.final or j.state == 'DEFERRED' then return end
	local failed = j.c1 + j.c2 + j.c3 + j.c4
	if failed > j.p.maxfails then
		return finish(q, j, 'ERROR', 'more than ' .. S(j.p.maxfails) .. ' tasks failed')
	elseif failed > 0 and j.p.stop then
		return finish(q, j, 'ERROR', 'stopped because a task failed')
	elseif j.open == 1 or j.done + j.parked < j.n then
		return
	elseif j.streamed and cold(j).creason then
		return finish(q, j, 'ERROR', j.creason)
	elseif j.parked > 0 then
		return finish(q, j, 'ERROR', S(j.parked) .. ' of ' .. S(j.n) .. ' tasks never ran')
	elseif failed > 0 then
		return finish(q, j, 'ERROR', S(failed) .. ' of ' .. S(j.n) .. ' tasks failed')
	end
	finish(q, j, 'COMPLETE', '')
end

local function write_changes(j)
	local args, n = {}, 0
	if j.dirty then
		args[1], args[2], n = 'counts', job_pack(j), 2
		j.dirty = false
	end
	if j.changed then
		for name, value in pairs(j.changed) do
			args[n + 1], args[n + 2] = name, value
			n = n + 2
		end
		j.changed = false
	end
	if n > 0 then redis.call('HSET', j.k, unpack(args)) end
end

-- Tells the jobs that wait for one that has ended; at most MANY change. Returns whether that was all. Those of a job that ended otherwise than
-- COMPLETE stay in its :rdeps, so that a retry can revive them; forget: there will be no retry.
local function tell_dependents(q, ended, forget)
	local changed = 0
	for _, id in ipairs(peek('SMEMBERS', ended.k .. ':rdeps')) do
		if changed >= MANY then return false end
		local j = job(q, id)
		if not j then
			redis.call('SREM', ended.k .. ':rdeps', id)
		elseif ended.state ~= 'COMPLETE' then
			if forget then redis.call('SREM', ended.k .. ':rdeps', id) end
			if forget or not j.final then changed = changed + 1 end
			if not j.final then finish(q, j, 'IMPOSSIBLE', 'job ' .. ended.id .. ' ended ' .. ended.state) end
		else
			redis.call('SREM', j.k .. ':deps', ended.id)
			redis.call('SREM', ended.k .. ':rdeps', id)
			changed = changed + 1
			if j.state == 'DEFERRED' and redis.call('SCARD', j.k .. ':deps') == 0 then
				put(j, 'state', 'PENDING')
				make_ready(q, j)
				j.bells = j.bells + j.n
				settle(q, j)
			end
		end
	end
	return true
end

-- Works through the list of ended jobs, at most 20 in a call.
local function dependents(q)
	for _ = 1, 20 do
		local id = redis.call('LPOP', q.P .. 'deps')
		if not id then return end
		local ended = job(q, id)
		if ended and ended.final and not tell_dependents(q, ended) then redis.call('RPUSH', q.P .. 'deps', id) end
	end
	q_due(q, 'chores', 0)
end

-- Writes what this call changed and rings those whom it concerns; may be called again.
local function flush(q)
	local i = 1
	while i <= #q.order do
		if not q.order[i].removed then settle(q, q.order[i]) end
		i = i + 1
	end
	if q.deps then
		q.deps = nil
		dependents(q)
	end
	local bells, hint = q.bells, nil
	q.bells = 0
	for k = 1, #q.order do
		local j = q.order[k]
		if not j.removed then
			if j.w > 0 and (j.everyone or j.hi > 0) then ring_waiters(q, j, j.everyone) end
			write_changes(j)
			-- Who may not run it would swallow the bell.
			if j.bells > 0 and (j.p.tags or j.p.treq > 0) then bells = MANY end
			if j.bells > 0 then
				bells, hint = bells + j.bells, j.id
			end
			j.bells, j.everyone, j.lo, j.hi = 0, false, LIMIT, 0
		end
	end
	if bells > 0 and q.work then ring_idle(q, bells, hint) end
	if q.freshbytes ~= 0 then
		q.rbytes = redis.call('HINCRBY', q.key, 'rbytes', S(q.freshbytes))
		q.freshbytes = 0
	end
end

-- Results that are too large to travel whole: `task:NAME:BYTES` in j:JOB:v, the slices in j:JOB:v:NAME.
local SLICE_BYTES, SPLIT_MAX = 8388608, 68719476736

local function slices_of(bytes)
	return math.ceil(bytes / SLICE_BYTES)
end

-- Those of the tasks between two bounds of a zset range, but for those in `keep`.
local function drop_slices(j, from, to, keep)
	for _, member in ipairs(peek('ZRANGEBYSCORE', j.k .. ':v', from, to)) do
		if not (keep and keep[member]) then
			redis.call('UNLINK', j.k .. ':v:' .. (string.match(member, '^%d+:(%x+):') or ''))
			redis.call('ZREM', j.k .. ':v', member)
		end
	end
end

-- All of a job's, MANY in a call; false: there are more.
local function remove_slices(k)
	local members = peek('ZRANGE', k .. ':v', 0, MANY - 1)
	for _, member in ipairs(members) do
		redis.call('UNLINK', k .. ':v:' .. (string.match(member, '^%d+:(%x+):') or ''))
	end
	if #members == MANY then redis.call('ZREM', k .. ':v', unpack(members)) end
	return #members < MANY
end

-- Items in keys of their own: j:JOB:rx names their first tasks, j:JOB:rx:FIRST has the bytes. Goes with these of them, at most MANY.
local function drop_apart(k, firsts)
	local keys = {}
	for i = 1, #firsts do keys[i] = k .. ':rx:' .. firsts[i] end
	redis.call('UNLINK', unpack(keys))
	redis.call('ZREM', k .. ':rx', unpack(firsts))
end

-- All of a job's, MANY in a call; false: there are more.
local function remove_apart(k)
	local firsts = peek('ZRANGE', k .. ':rx', 0, MANY - 1)
	if #firsts > 0 then drop_apart(k, firsts) end
	return #firsts < MANY
end

local SUFFIXES = { '', ':spec', ':ret', ':nr', ':r', ':i', ':a', ':f', ':in', ':inx', ':w', ':c', ':ak', ':rr', ':ri', ':deps', ':rdeps', ':v', ':rx' }

-- A module of one part stays a minute for the next job with it, while there are bridges to run that.
local function drop_blob(q, hash, keep)
	if not hash or hash == '' then return end
	if redis.call('HINCRBY', q.P .. 'blobs', hash, -1) < 1 then
		local key = q.P .. 'blob:' .. hash
		redis.call('HDEL', q.P .. 'blobs', hash)
		if keep and redis.pcall('HLEN', key) == 1 and redis.call('EXISTS', q.P .. 'L') == 1 then
			redis.call('EXPIRE', key, MODULE_TTL)
		else
			redis.call('UNLINK', key)
		end
	end
end

-- What a removed job has in files (record/offload.h) is left to be removed by who sees them: `UUID` and the directory. Few clients see it
-- where nobody does, so the oldest give way.
local FILES_MAX, FILES_TTL = 10000, 2592000

local function leave_files(q, uuid, dir)
	local key = q.P .. 'files'
	redis.pcall('ZADD', key, S(q.now), uuid .. dir)
	if redis.pcall('ZCARD', key) == FILES_MAX + 1 then redis.call('ZREM', key, redis.call('ZRANGE', key, 0, 0)[1]) end
	redis.call('EXPIRE', key, FILES_TTL)
end

-- Removes every key of a job; false: more jobs than one call can tell wait for it, repeat. Fragments of it that bridges still hold are
-- dropped when these let go of them.
local function remove_job(q, id)
	local k = q.P .. 'j:' .. id
	local j = job(q, id)
	if j then
		if not j.final then finish(q, j, 'CANCELLED', 'removed') end
		if not tell_dependents(q, j, true) or not remove_slices(k) or not remove_apart(k) then return false end
		if j.w > 0 then ring_waiters(q, j, true) end
		local v = redis.call('HMGET', k, 'uuid', 'module', 'data', 'files')
		if v[1] then redis.call('HDEL', q.P .. 'uuids', v[1]) end
		if v[1] and v[4] then leave_files(q, v[1], v[4]) end
		drop_blob(q, v[2], true)
		drop_blob(q, v[3])
		q.freshbytes = q.freshbytes - j.bytes
		j.removed = true
		q.jobs[id] = false
	end
	local keys = {}
	for i = 1, #SUFFIXES do keys[i] = k .. SUFFIXES[i] end
	redis.call('UNLINK', unpack(keys))
	for _, name in ipairs({ 'all', 'ready', 'held', 'exp', 'LP' }) do redis.call('ZREM', q.P .. name, id) end
	return true
end

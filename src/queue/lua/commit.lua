-- flags: allow-oom
-- args: bridge, then for each item: job, at, seq, start, end, counts ("" all OK, or five numbers), elapsed in us, item, number of
--       failure records, and for each of those index, record; with results in slices "failures:slices" instead of the number, and after the
--       records for each of those task, name, bytes; with "failures:slices:NUMBER" the item is empty here, its bytes are in up:BRIDGE:NUMBER
-- reply: drain, paused, one '1' or '0' for each item, number of stopped jobs, these, number of jobs that a client waits for, these
--
-- All arguments are read before the first write, then the items are applied to copies of the fragments and jobs, and what
-- changed is written with a few commands for the whole call: an item costs a few microseconds.

local function commit_counts(text, tasks)
	if text == '' then return tasks, 0, 0, 0, 0 end
	local a, b, c, d, e = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
	if not a then return nil end
	a, b, c, d, e = tonumber(a), tonumber(b), tonumber(c), tonumber(d), tonumber(e)
	if a + b + c + d + e ~= tasks then return nil end
	return a, b, c, d, e
end

-- Notes that the bytes of the item at p are in a key of their own; no two items can have the same.
local function commit_check_apart(args, at, p, number)
	at.apart, at.numbers = at.apart or {}, at.numbers or {}
	if not int(number) or args[p + 7] ~= '' or at.numbers[number] then return false end
	at.numbers[number] = true
	at.apart[p] = { number = number }
	return true
end

-- "failures:slices" or "failures:slices:NUMBER" of the item at p and what it stands for, or nil. at.splits gets where in args the slices of the
-- item are named.
local function commit_check_elsewhere(args, at, p, s, e)
	local nf, nv, number = string.match(args[p + 8] or '', '^(%d+):(%d+):?(%d*)$')
	nf, nv = tonumber(nf), tonumber(nv)
	if not nf or nf > MANY or nv > MANY or (nv < 1 and number == '') then return nil end
	if number ~= '' and not commit_check_apart(args, at, p, number) then return nil end
	local from = p + 9 + 2 * nf
	if from + 3 * nv - 1 > #args then return nil end
	for k = from, from + 3 * nv - 1, 3 do
		local index, bytes = int(args[k]), int(args[k + 2])
		if not index or index < s or index >= e or not hex(args[k + 1], 64) or not bytes or bytes > SPLIT_MAX then return nil end
	end
	at.splits = at.splits or {}
	at.splits[p] = nv > 0 and { from = from, till = from + 3 * nv - 1 } or nil
	args[p + 8] = S(nf)
	return nf, 3 * nv
end

-- Positions of the items in args, or nil when anything is wrong with any of them.
local function commit_check(args)
	local at, p, n, last = {}, 2, 0, #args
	while p <= last do
		local s, e = tonumber(args[p + 3]), tonumber(args[p + 4])
		local elapsed, nf, more = tonumber(args[p + 6]), tonumber(args[p + 8]), 0
		if s and e and not nf then nf, more = commit_check_elsewhere(args, at, p, s, e) end
		if not (s and e and elapsed and nf and s >= 0 and e > s and e <= LIMIT and s % 1 == 0 and e % 1 == 0) then return nil end
		if not (elapsed >= 0 and elapsed < LIMIT and elapsed % 1 == 0 and nf >= 0 and nf <= MANY and nf % 1 == 0) then return nil end
		if #args[p] > 16 or #args[p + 1] > 16 or #args[p + 2] > 16 or p + 8 + 2 * nf > last then return nil end
		if args[p + 5] ~= '' and not commit_counts(args[p + 5], e - s) then return nil end
		for k = p + 9, p + 7 + 2 * nf, 2 do
			local index = int(args[k])
			if not index or index < s or index >= e or #args[k + 1] > 8192 then return nil end
		end
		n = n + 1
		at[n] = p
		p = p + 9 + 2 * nf + more
	end
	if #at > MANY then return nil end
	return at
end

-- A fragment as commits need it: its end, and the rest of its text as it stands.
local function commit_fragment(value)
	local e, seq, rest = string.match(value or '', '^(%d+):(%d+)(:%d+:%d+:[nsNS])$')
	if e then return { e = tonumber(e), text = e, seq = seq, rest = rest, kind = string.sub(rest, -1) } end
end

-- The fragments that the items name, and for each item the field.
local function commit_load(q, args, at)
	local fields, held, ask = {}, {}, {}
	for i = 1, #at do
		local p = at[i]
		local field = args[p] .. ':' .. args[p + 1]
		fields[i] = field
		if held[field] == nil then
			held[field] = false
			ask[#ask + 1] = field
		end
	end
	local values = redis.call('HMGET', q.b, unpack(ask))
	local loaded = {}
	for i = 1, #ask do
		held[ask[i]] = values[i] and commit_fragment(values[i])
		loaded[ask[i]] = values[i]
	end
	return held, fields, loaded
end

-- [s, e) leaves the fragment f; what is left of it on either side stays, the left part under the same field.
local function commit_cut(held, touched, field, f, id, at, s, e)
	touched[field] = true
	held[field] = nil
	if e < f.e then
		local right = id .. ':' .. S(e)
		touched[right] = true
		held[right] = at < s and { e = f.e, text = f.text, seq = f.seq, rest = f.rest, kind = f.kind } or f
	end
	if at < s then
		f.e, f.text = s, S(s)
		held[field] = f
	end
end

-- After a roll-back of the server tasks run again whose results the consumer has and has acknowledged since: nobody will read them, and
-- stored they would fill the backlog for ever.
local function commit_acknowledged(j, s, e)
	if e <= j.fto then return true end
	if j.nak == 0 then return false end
	local member = peek('ZREVRANGEBYSCORE', j.k .. ':ak', S(s), '-inf', 'LIMIT', 0, 1)[1]
	local till = string.match(member or '', '^%d+:(%d+)$')
	return till ~= nil and e <= tonumber(till)
end

-- Are all slices here that the item names? They were, or the bridge would not name them; but a server that came back older has lost the last ones.
local function commit_has_slices(j, args, split)
	for k = split.from, split.till, 3 do
		if redis.call('HLEN', j.k .. ':v:' .. args[k + 1]) ~= slices_of(int(args[k + 2])) then return false end
	end
	return true
end

-- What the tasks [s, e) have in slices: that of this commit stays, that of attempts before it goes. Returns the bytes of what stays.
local function commit_take_slices(q, j, args, split, s, e)
	local keep, bytes = {}, 0
	for k = split.from, split.till, 3 do
		local member = args[k] .. ':' .. args[k + 1] .. ':' .. args[k + 2]
		if not keep[member] then bytes = bytes + int(args[k + 2]) end
		keep[member] = true
		redis.call('PERSIST', j.k .. ':v:' .. args[k + 1])
		change(q, j, 'ZADD', j.k .. ':v', args[k], member)
	end
	drop_slices(j, S(s), '(' .. S(e), keep)
	return bytes
end

-- A suspect ended by itself. The deaths that were counted against it were of something else (deaths_allowed). rest: of its fragment.
local function commit_acquit(j, rest, counts)
	local deaths = tonumber(string.match(rest, '^:%d+:(%d+)'))
	if deaths > 0 and (counts == '' or string.find(counts, '^%d+ %d+ 0 ')) then redis.call('HINCRBY', j.k, 'acquitted', S(deaths)) end
end

-- Is everything there that was sent ahead of this call? Not when the server had no memory for it, or it has expired: then nothing of the call is
-- carried out, and its bytes come with it the next time. The length is what the server has, whatever the sender thinks.
local function commit_find_apart(q, apart)
	for _, a in pairs(apart) do
		a.key = q.P .. 'up:' .. q.bridge .. ':' .. a.number
		a.len = redis.pcall('STRLEN', a.key)
		if type(a.len) ~= 'number' or a.len < 1 then return false end
	end
	return true
end

-- The bytes get their place without being looked at. Anything that is there was there before a roll-back.
local function commit_take_apart(q, j, first, a)
	local key = j.k .. ':rx:' .. first
	redis.call('RENAME', a.key, key)
	redis.call('PERSIST', key)
	change(q, j, 'ZADD', j.k .. ':rx', first, first)
	a.taken = true
end

local function commit_drop_apart(apart)
	for _, a in pairs(apart) do
		if not a.taken then redis.call('UNLINK', a.key) end
	end
end

-- Counts an item of a running job and notes what is to be stored.
local function commit_count(q, args, p, j, kind, s, e, split, apart)
	if j.done == 0 then j.bells = j.bells + 64 end
	if args[p + 5] ~= '' then
		local _, b, c, d, x = commit_counts(args[p + 5], e - s)
		j.c1, j.c2, j.c3, j.c4 = j.c1 + b, j.c2 + c, j.c3 + d, j.c4 + x
	end
	j.done, j.leased, j.el = j.done + (e - s), j.leased - (e - s), j.el + args[p + 6]
	if s < j.lo then j.lo = s end
	if e > j.hi then j.hi = e end
	if kind ~= 'n' and is_suspect(kind) and j.retn > 0 then j.bells = j.bells + 1 end
	for k = p + 9, p + 7 + 2 * tonumber(args[p + 8]), 2 do
		local f = j.failures
		f[#f + 1], f[#f + 2] = args[k], args[k + 1]
	end
	if j.p.results ~= 0 then return end
	local item, slices = args[p + 7], split and commit_take_slices(q, j, args, split, s, e) or 0
	if kind ~= 'n' and kind ~= 's' then return store(q, j, s, e, kind, apart and redis.call('GET', apart.key) or item, slices) end
	if commit_acknowledged(j, s, e) then
		if split then drop_slices(j, S(s), '(' .. S(e)) end
		return add(cold(j), 'freed', e - s)
	end
	local first, size, k, arr = S(s), (apart and apart.len or #item) + slices, j.nstored, j.arr + 1
	local member = first .. ':' .. S(e) .. ':' .. S(size)
	j.arr, j.fresh, j.nstored = arr, j.fresh + size, k + 2
	if apart then
		commit_take_apart(q, j, first, apart)
	else
		local r = #j.r
		j.r[r + 1], j.r[r + 2] = first, item
	end
	j.i[k + 1], j.i[k + 2] = first, member
	j.a[k + 1], j.a[k + 2] = S(arr), member
end

local function commit_store(q, j)
	local k = j.k
	for from = 1, #j.failures, 2 * MANY do
		change(q, j, 'HSET', k .. ':f', unpack(j.failures, from, math.min(#j.failures, from + 2 * MANY - 1)))
	end
	if j.nstored > 0 then
		if j.r[1] then change(q, j, 'HSET', k .. ':r', unpack(j.r)) end
		change(q, j, 'ZADD', k .. ':i', unpack(j.i))
		change(q, j, 'ZADD', k .. ':a', unpack(j.a))
	end
	j.bytes, j.tb = j.bytes + j.fresh, j.tb + j.fresh
	q.freshbytes = q.freshbytes + j.fresh
	j.dirty = true
	unhold(q, j)
end

local function commit_write_fragments(q, held, touched, loaded)
	local gone, changed = {}, {}
	for field in pairs(touched) do
		local f = held[field]
		if f then
			changed[#changed + 1] = field
			changed[#changed + 1] = f.text .. ':' .. f.seq .. f.rest
		elseif loaded[field] then
			gone[#gone + 1] = field
		end
	end
	delete_fields(q.b, gone)
	for from = 1, #changed, 2 * MANY do
		redis.call('HSET', q.b, unpack(changed, from, math.min(#changed, from + 2 * MANY - 1)))
	end
end

local function commit(keys, args)
	local at = commit_check(args)
	if not at or #at == 0 then return fail('ARG') end
	local q, err = enter_bridge(keys[1], args[1])
	if not q then return err end
	if at.apart and not commit_find_apart(q, at.apart) then return done(q, fail('APART')) end
	local held, fields, loaded = commit_load(q, args, at)
	local touched, active = {}, {}
	local accepted, stopped, waited = {}, {}, {}
	for n = 1, #at do
		local p = at[n]
		local id, field = args[p], fields[n]
		local f, s, e = held[field], tonumber(args[p + 3]), tonumber(args[p + 4])
		local start = tonumber(args[p + 1])
		local j = q.jobs[id]
		if j == nil then j = job(q, id) end
		accepted[n] = '0'
		if not j or j.final then stopped[id] = true end
		if f and f.seq == args[p + 2] and s >= start and e <= f.e then
			local rest, kind = f.rest, f.kind
			commit_cut(held, touched, field, f, id, start, s, e)
			local split = at.splits and at.splits[p]
			if j and not j.final and split and j.p.results == 0 and not commit_has_slices(j, args, split) then
				give_back(q, id, s, e, fragment(S(e) .. ':' .. args[p + 2] .. rest), 'suspect', 0)
			elseif j and not j.final then
				if not active[id] then
					active[id] = j
					j.failures, j.r, j.i, j.a, j.fresh, j.nstored = {}, {}, {}, {}, 0, 0
					if j.w > 0 then waited[id] = true end
				end
				commit_count(q, args, p, j, kind, s, e, split, at.apart and at.apart[p])
				if kind ~= 'n' and is_suspect(kind) then commit_acquit(j, rest, args[p + 5]) end
				accepted[n] = '1'
			elseif j then
				give_back(q, id, s, e, fragment(S(e) .. ':' .. args[p + 2] .. rest), 'drained', 0)
			end
		elseif j then
			j.stale = (j.stale or 0) + 1
		end
	end
	if at.apart then commit_drop_apart(at.apart) end
	commit_write_fragments(q, held, touched, loaded)
	for _, j in pairs(active) do commit_store(q, j) end
	for _, j in ipairs(q.order) do
		if j.stale and not j.removed then redis.call('HINCRBY', j.k, 'stale', j.stale) end
	end
	flush(q)
	local reply = { q.drain and 1 or 0, q.paused and 1 or 0, table.concat(accepted), 0 }
	for id, j in pairs(active) do
		if j.final and j.state ~= 'COMPLETE' then stopped[id] = true end
	end
	for id in pairs(stopped) do
		if int(id) and reply[4] < 32 then
			reply[4] = reply[4] + 1
			reply[#reply + 1] = int(id)
		end
	end
	local count = #reply + 1
	reply[count] = 0
	for id in pairs(waited) do
		if reply[count] < 32 then
			reply[count] = reply[count] + 1
			reply[#reply + 1] = int(id)
		end
	end
	return done(q, reply)
end

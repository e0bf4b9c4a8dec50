-- args: job, 1: failed tasks only, then up to 100 tasks whose results are given up, so that they run as if they had failed. reply: tasks that run again, 1 when there is more to do: repeat
--
-- Failed tasks go back as ranges of the next round, at most 1000 in a call; the job is over until the last call. Tasks that never
-- ran (the job was cancelled or stopped) run too, or are parked in :nr until a later retry asks for them.

-- Does a zset of intervals `START:END...` by start have one with the index?
local function retry_covers(key, index)
	local member = peek('ZREVRANGEBYSCORE', key, S(index), '-inf', 'LIMIT', 0, 1)[1]
	local stop = string.match(member or '', '^%d+:(%d+)')
	return stop and tonumber(stop) > index
end

-- Tasks that failed or run again anyway, and those whose results were acknowledged, stay what they are.
local function retry_give_up(j, args)
	for i = 3, #args do
		local index = int(args[i])
		if index < j.next and index >= j.fto and redis.call('HEXISTS', j.k .. ':f', S(index)) == 0 and not retry_covers(j.k .. ':ret', index) and
			not retry_covers(j.k .. ':nr', index) and not retry_covers(j.k .. ':ak', index) then
			redis.call('HSET', j.k .. ':f', S(index), failure_record(1, index, 0, 'its result was given up'))
			add(j, 'c1', 1)
		end
	end
end

local function retry_begin(q, j, failed_only)
	if redis.call('HSETNX', j.k, 'retrying', 1) == 0 then return end
	redis.call('HINCRBY', j.k, 'round', 1)
	if failed_only then
		if j.retn > 0 then
			redis.call('ZUNIONSTORE', j.k .. ':nr', 2, j.k .. ':ret', j.k .. ':nr', 'AGGREGATE', 'MIN')
			redis.call('UNLINK', j.k .. ':ret')
			put(j, 'pr', j.pr + j.retn)
			put(j, 'retn', 0)
		end
		put(j, 'parked', j.pr + j.n - j.next)
	elseif j.parked > 0 then
		redis.call('ZUNIONSTORE', j.k .. ':ret', 2, j.k .. ':ret', j.k .. ':nr', 'AGGREGATE', 'MIN')
		redis.call('UNLINK', j.k .. ':nr')
		put(j, 'retn', j.retn + j.pr)
		put(j, 'pr', 0)
		put(j, 'parked', 0)
	end
end

-- Returns how many tasks went back, and whether there are more.
local function retry_failed(q, j)
	local indices = {}
	for _, index in ipairs(redis.call('HKEYS', j.k .. ':f')) do
		if int(index) then indices[#indices + 1] = int(index) end
	end
	table.sort(indices)
	local count = math.min(#indices, MANY)
	local i = 1
	while i <= count do
		local s = i
		while i < count and indices[i + 1] == indices[i] + 1 do i = i + 1 end
		put_back(q, j, indices[s], indices[i] + 1, 0, 0, 'N')
		i = i + 1
	end
	for k = 1, count do
		local name = 'c' .. S(string.byte(redis.call('HGET', j.k .. ':f', S(indices[k])), 2) or 1)
		if not j[name] or j[name] < 1 then name = 'c1' end
		add(j, name, -1)
		redis.call('HDEL', j.k .. ':f', S(indices[k]))
	end
	add(j, 'done', -count)
	return count, #indices > count
end

-- Jobs that had become impossible because of this one wait again.
local function retry_revive(q, first)
	local todo, at = { first }, 1
	while todo[at] and at <= MANY do
		for _, id in ipairs(redis.call('SMEMBERS', todo[at].k .. ':rdeps')) do
			local j = job(q, id)
			if j and j.state == 'IMPOSSIBLE' and dependency_state(q, j) == 'DEFERRED' then
				put(j, 'state', 'DEFERRED')
				set_field(j, 'reason', '')
				j.final = false
				j.everyone = true
				redis.call('ZREM', q.P .. 'exp', id)
				todo[#todo + 1] = j
			end
		end
		at = at + 1
	end
end

local function retry(keys, args)
	if not int(args[1]) or (args[2] ~= '0' and args[2] ~= '1') or #args > 102 then return fail('ARG') end
	for i = 3, #args do
		if not int(args[i]) then return fail('ARG') end
	end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return done(q, fail('NOTFOUND')) end
	if not j.final or cold(j).damaged then return done(q, fail('STATE')) end
	local state = dependency_state(q, j)
	if state == 'IMPOSSIBLE' or (#args > 2 and (j.leased > 0 or j.p.results ~= 0)) then return done(q, fail('STATE')) end
	retry_give_up(j, args)
	local failed_only = args[2] == '1'
	local never = failed_only and 0 or j.n - j.done
	if never == 0 and redis.call('EXISTS', j.k .. ':f') == 0 and redis.call('HEXISTS', j.k, 'retrying') == 0 then
		return done(q, { 0, 0 })
	end
	retry_begin(q, j, failed_only)
	local count, more = retry_failed(q, j)
	-- What went back is no longer done, so the last call's `never` has it; of failed tasks only each call names its own.
	if more then return done(q, { failed_only and count or 0, 1 }) end
	redis.call('HDEL', j.k, 'retrying')
	put(j, 'state', state == 'PENDING' and (j.started and 'RUNNING' or 'PENDING') or 'DEFERRED')
	set_field(j, 'reason', '')
	set_field(j, 'ended', 0)
	j.final = false
	j.everyone = true
	j.bells = j.bells + never
	redis.call('ZREM', q.P .. 'exp', j.id)
	make_ready(q, j)
	retry_revive(q, j)
	return done(q, { count + never, 0 })
end

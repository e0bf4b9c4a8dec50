-- flags: allow-oom
-- args: job, epoch, 1 when there is a state, state, then start, end of each range. reply: 1 when there is more to free: repeat
--
-- The ranges may lie beyond the present end of a streamed job that lost batches in a roll-back.
--
-- Stores the state and frees the items that lie wholly inside what was acknowledged so far. The acknowledged prefix is one number; other
-- acknowledged intervals are disjoint members of :ak, so they take room for gaps only.

local function ack_free(q, j, s, e, budget)
	local list = redis.call('ZRANGEBYSCORE', j.k .. ':i', s, '(' .. S(e), 'LIMIT', 0, budget)
	local members, fields = {}, {}
	for _, member in ipairs(list) do
		local a, b, size = string.match(member, '^(%d+):(%d+):(%d+)$')
		if tonumber(b) <= e then
			members[#members + 1] = member
			fields[#fields + 1] = a
			add(j, 'bytes', -tonumber(size))
			add(j, 'freed', tonumber(b) - tonumber(a))
			q.freshbytes = q.freshbytes - tonumber(size)
		end
	end
	if #members > 0 then
		redis.call('ZREM', j.k .. ':i', unpack(members))
		redis.call('ZREM', j.k .. ':a', unpack(members))
		redis.call('HDEL', j.k .. ':r', unpack(fields))
		if redis.call('EXISTS', j.k .. ':rx') == 1 then drop_apart(j.k, fields) end
		if redis.call('EXISTS', j.k .. ':v') == 1 then
			for _, member in ipairs(members) do
				local a, b = string.match(member, '^(%d+):(%d+)')
				drop_slices(j, a, '(' .. b)
			end
		end
	end
	return #list
end

-- Takes the interval that touches [from, to] out of :ak, lowest first.
local function ack_take(j, from, to)
	local member = redis.call('ZRANGEBYSCORE', j.k .. ':ak', from, S(to), 'LIMIT', 0, 1)[1]
	if not member then return nil end
	redis.call('ZREM', j.k .. ':ak', member)
	local s, e = string.match(member, '^(%d+):(%d+)$')
	return tonumber(s), tonumber(e)
end

local function ack_range(q, j, s, e, budget)
	if s <= j.fto then
		if e > j.fto then put(j, 'fto', e) end
		local a, b = ack_take(j, '-inf', j.fto)
		while a do
			if b > j.fto then put(j, 'fto', b) end
			a, b = ack_take(j, '-inf', j.fto)
		end
		return ack_free(q, j, '-inf', j.fto, budget)
	end
	local left = redis.call('ZREVRANGEBYSCORE', j.k .. ':ak', S(s), '-inf', 'LIMIT', 0, 1)[1]
	local a, b = string.match(left or '', '^(%d+):(%d+)$')
	if a and tonumber(b) >= s then
		redis.call('ZREM', j.k .. ':ak', left)
		s, e = tonumber(a), math.max(e, tonumber(b))
	end
	local c, d = ack_take(j, S(s), e)
	while c do
		e = math.max(e, d)
		c, d = ack_take(j, S(s), e)
	end
	redis.call('ZADD', j.k .. ':ak', S(s), S(s) .. ':' .. S(e))
	return ack_free(q, j, S(s), e, budget)
end

local function ack(keys, args)
	if not int(args[1]) or not int(args[2]) or #args < 4 or #args % 2 ~= 0 or #args > 4 + 2 * MANY then return fail('ARG') end
	for i = 5, #args, 2 do
		local s, e = int(args[i]), args[i + 1] == '9007199254740992' and LIMIT or int(args[i + 1])
		if not s or not e or e <= s then return fail('ARG') end
	end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return done(q, fail('NOTFOUND')) end
	local epoch = redis.call('HGET', j.k .. ':c', 'epoch')
	if not epoch or num(epoch) ~= int(args[2]) then return done(q, fail('EPOCH')) end
	if args[3] == '1' then redis.call('HSET', j.k .. ':c', 'state', args[4]) end
	cold(j)
	local budget = MANY
	for i = 5, #args, 2 do
		if budget <= 0 then break end
		budget = budget - ack_range(q, j, int(args[i]), tonumber(args[i + 1]), budget)
	end
	local intervals = redis.call('ZCARD', j.k .. ':ak')
	if intervals ~= j.nak then put(j, 'nak', intervals) end
	unhold(q, j)
	if q.rlimit > 0 then unhold_some(q) end
	return done(q, budget <= 0 and 1 or 0)
end

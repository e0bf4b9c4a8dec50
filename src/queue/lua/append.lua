-- args: job, uuid, batch, number of tasks, then for each block: block, number of its lines
-- reply: tasks of the job now, 1 when nothing was taken because too much input waits
--
-- Batches are numbered from 0; one that was taken before changes nothing. 0 tasks: only a sign of life.
local APPEND_WAITING_BYTES = 67108864

local function append(keys, args)
	local batch, count = int(args[3]), int(args[4])
	if not int(args[1]) or not hex(args[2], 32) or not batch or not count or #args % 2 ~= 0 or #args > 2 * MANY then return fail('ARG') end
	local lines, bytes, hash, total = 0, 0, nil, nil
	for i = 5, #args, 2 do
		local c = int(args[i + 1])
		if not c or c ~= block_count(args[i]) then return fail('ARG') end
		lines, bytes = lines + c, bytes + #args[i]
		local h, t = block_argument(args[i])
		if h and hash then return fail('ARG') end
		if h then hash, total, bytes = h, t, bytes + t end
	end
	if #args > 4 and lines ~= count then return fail('ARG') end
	local q, err = enter(keys[1])
	if not q then return err end
	local j = job(q, args[1])
	if not j then return done(q, fail('NOTFOUND')) end
	local v = redis.call('HMGET', j.k, 'uuid', 'batch', 'inb')
	local taken, inb = num(v[2]), num(v[3])
	if v[1] ~= args[2] then return done(q, fail('NOTFOUND')) end
	if count > 0 and batch < taken then return done(q, { j.n, 0 }) end
	if j.open ~= 1 or j.final or (count > 0 and batch > taken) or j.n + count >= LIMIT then return done(q, fail('STATE')) end
	renew_producer(q, j)
	if count == 0 then return done(q, { j.n, 0 }) end
	if j.n > 0 and (j.n - j.next) * (inb / j.n) > APPEND_WAITING_BYTES then return done(q, { j.n, 1 }) end
	if hash and not has_argument(j.k .. ':in', hash, total) then return done(q, fail('INPUT')) end
	local first = j.n
	for i = 5, #args, 2 do
		redis.call('HSET', j.k .. ':in', S(first), args[i])
		redis.call('ZADD', j.k .. ':inx', S(first), S(first) .. ':' .. args[i + 1] .. ':' .. #args[i])
		first = first + int(args[i + 1])
	end
	put(j, 'n', j.n + count)
	put(j, 'batch', taken + 1)
	put(j, 'inb', inb + bytes)
	make_ready(q, j)
	if j.state ~= 'DEFERRED' then j.bells = j.bells + count end
	return done(q, { j.n, 0 })
end
